//! Signing keys, made when they are first needed: an RSA key takes a while.

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// The keys between two rotations, one of each kind.
pub struct Generation {
    number: u64,
    rsa: OnceLock<Option<RsaKeyPair>>,
    ec: OnceLock<Option<EcdsaKeyPair>>,
    ed: OnceLock<Option<Ed25519KeyPair>>,
}

impl Generation {
    pub fn numbered(number: u64) -> Self {
        Self {
            number,
            rsa: OnceLock::new(),
            ec: OnceLock::new(),
            ed: OnceLock::new(),
        }
    }

    /// `rsa`, `ec` or `ed` with the generation's number.
    pub fn kid(&self, kind: &str) -> String {
        format!("{kind}-{}", self.number)
    }

    pub fn sign_rsa(
        &self,
        encoding: &'static dyn RsaEncoding,
        message: &[u8],
    ) -> Result<Vec<u8>, Unspecified> {
        let key = self.rsa()?;
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(encoding, &SystemRandom::new(), message, &mut signature)?;
        Ok(signature)
    }

    pub fn sign_rs256(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        self.sign_rsa(&RSA_PKCS1_SHA256, message)
    }

    pub fn sign_ps256(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        self.sign_rsa(&RSA_PSS_SHA256, message)
    }

    pub fn sign_es256(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        Ok(self
            .ec()?
            .sign(&SystemRandom::new(), message)?
            .as_ref()
            .to_vec())
    }

    pub fn sign_eddsa(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        Ok(self.ed()?.try_sign(message)?.as_ref().to_vec())
    }

    /// What an attacker has in hand, as most libraries would load it.
    pub fn rsa_public_pem(&self) -> Result<String, Unspecified> {
        let der: PublicKeyX509Der<'_> = self.rsa()?.public_key().as_der()?;
        let text = STANDARD.encode(der.as_ref());
        let lines: Vec<_> = text
            .as_bytes()
            .chunks(64)
            .map(String::from_utf8_lossy)
            .collect();
        Ok(format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            lines.join("\n")
        ))
    }

    /// Every key as a JWK; like Microsoft's, without `alg`. A key that cannot be made is absent.
    pub fn jwks(&self) -> Vec<Value> {
        [self.rsa_jwk(), self.ec_jwk(), self.ed_jwk()]
            .into_iter()
            .flatten()
            .collect()
    }

    fn rsa_jwk(&self) -> Option<Value> {
        let (modulus, exponent) = rsa_numbers(self.rsa().ok()?.public_key().as_ref())?;
        let (modulus, exponent) = (
            URL_SAFE_NO_PAD.encode(modulus),
            URL_SAFE_NO_PAD.encode(exponent),
        );
        Some(
            json!({ "kty": "RSA", "use": "sig", "kid": self.kid("rsa"), "n": modulus, "e": exponent }),
        )
    }

    fn ec_jwk(&self) -> Option<Value> {
        // An uncompressed point: 4, then two coordinates of 32 bytes.
        let (x, y) = self
            .ec()
            .ok()?
            .public_key()
            .as_ref()
            .get(1..65)?
            .split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        Some(
            json!({ "kty": "EC", "crv": "P-256", "use": "sig", "kid": self.kid("ec"), "x": x, "y": y }),
        )
    }

    fn ed_jwk(&self) -> Option<Value> {
        let x = URL_SAFE_NO_PAD.encode(self.ed().ok()?.public_key().as_ref());
        Some(json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": self.kid("ed"), "x": x }))
    }

    fn rsa(&self) -> Result<&RsaKeyPair, Unspecified> {
        self.rsa
            .get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).ok())
            .as_ref()
            .ok_or(Unspecified)
    }

    fn ec(&self) -> Result<&EcdsaKeyPair, Unspecified> {
        let make = || EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).ok();
        self.ec.get_or_init(make).as_ref().ok_or(Unspecified)
    }

    fn ed(&self) -> Result<&Ed25519KeyPair, Unspecified> {
        self.ed
            .get_or_init(|| Ed25519KeyPair::generate().ok())
            .as_ref()
            .ok_or(Unspecified)
    }
}

/// Modulus and exponent of a 2048-bit key in PKCS#1: a sequence of two integers, whose lengths are
/// known, the first with a zero before it.
fn rsa_numbers(pkcs1: &[u8]) -> Option<(&[u8], &[u8])> {
    const BEFORE_MODULUS: &[u8] = &[0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00];
    let (modulus, rest) = pkcs1.strip_prefix(BEFORE_MODULUS)?.split_at_checked(256)?;
    Some((modulus, rest.strip_prefix(&[0x02, 0x03])?))
}
