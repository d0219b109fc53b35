//! One published key: whether it can be used, and for which algorithms. Pure.
//!
//! The key decides which algorithms it verifies, never the token: a token that names HMAC, or an
//! algorithm of another family, finds no key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use config::snapshot::Algorithm;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::crypto::aws_lc;
use serde::Deserialize;
use serde_json::Value;

use super::token::{self, UnverifiedToken};

const RSA_BITS_MIN: usize = 2048;
const RSA_BITS_MAX: usize = 8192;

#[derive(Debug)]
pub(super) struct VerificationKey {
    pub published: Jwk,
    pub algorithms: &'static [Algorithm],
    key: DecodingKey,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Jwk {
    pub kty: String,
    pub kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    /// Entra's: whose tokens this key may sign, where a set serves many tenants.
    pub issuer: Option<String>,
}

/// Why a published key is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    #[error("it is not a public signing key of a supported kind")]
    Unsupported,
    #[error("its modulus is shorter than {RSA_BITS_MIN} bits")]
    Weak,
    #[error("its parameters are malformed")]
    Malformed,
}

impl VerificationKey {
    pub fn new(published: Value) -> Result<Self, Unusable> {
        let published: Jwk = serde_json::from_value(published).map_err(|_| Unusable::Malformed)?;
        let signs = published
            .usage
            .as_deref()
            .is_none_or(|usage| usage == "sig")
            && published
                .key_ops
                .as_ref()
                .is_none_or(|operations| operations.iter().any(|o| o == "verify"));
        if !signs {
            return Err(Unusable::Unsupported);
        }
        let (family, key) = published.key()?;
        let algorithms = match &published.alg {
            None => family,
            Some(name) => narrowed(family, token::algorithm(name).ok_or(Unusable::Unsupported)?)?,
        };
        Ok(Self {
            published,
            algorithms,
            key,
        })
    }

    /// A key without a name is like another only if it is the same key.
    pub fn is_named_like(&self, other: &Self) -> bool {
        if self.published.kid.is_none() || other.published.kid.is_none() {
            return self.published == other.published;
        }
        self.published.kid == other.published.kid && self.published.kty == other.published.kty
    }

    pub fn signed(&self, token: &UnverifiedToken<'_>, algorithm: Algorithm) -> bool {
        let Ok(verifier) =
            (aws_lc::DEFAULT_PROVIDER.verifier_factory)(&as_jsonwebtoken(algorithm), &self.key)
        else {
            return false;
        };
        verifier
            .verify(token.message.as_bytes(), &token.signature)
            .is_ok()
    }
}

const RSA: &[Algorithm] = &[
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
];

impl Jwk {
    fn key(&self) -> Result<(&'static [Algorithm], DecodingKey), Unusable> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", None) => Ok((
                RSA,
                rsa_key(&parameter(self.n.as_ref())?, &parameter(self.e.as_ref())?)?,
            )),
            ("EC", Some("P-256")) => Ok((&[Algorithm::Es256], self.ec_key(32)?)),
            ("EC", Some("P-384")) => Ok((&[Algorithm::Es384], self.ec_key(48)?)),
            ("OKP", Some("Ed25519")) => {
                let x = parameter(self.x.as_ref())?;
                if x.len() != 32 {
                    return Err(Unusable::Malformed);
                }
                Ok((&[Algorithm::EdDsa], DecodingKey::from_ed_der(&x)))
            }
            // Shared secrets (`oct`) above all: what is published is no secret.
            _ => Err(Unusable::Unsupported),
        }
    }

    fn ec_key(&self, coordinate_bytes: usize) -> Result<DecodingKey, Unusable> {
        let (x, y) = (parameter(self.x.as_ref())?, parameter(self.y.as_ref())?);
        if x.len() != coordinate_bytes || y.len() != coordinate_bytes {
            return Err(Unusable::Malformed);
        }
        // An uncompressed point, as X9.62 writes it.
        Ok(DecodingKey::from_ec_der(
            &[&[4], x.as_slice(), y.as_slice()].concat(),
        ))
    }
}

fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Result<DecodingKey, Unusable> {
    let zeros = modulus.iter().take_while(|&&byte| byte == 0).count();
    let modulus = &modulus[zeros..];
    let Some(first) = modulus.first() else {
        return Err(Unusable::Malformed);
    };
    let bits = modulus.len() * 8 - first.leading_zeros() as usize;
    if bits < RSA_BITS_MIN {
        return Err(Unusable::Weak);
    }
    if bits > RSA_BITS_MAX {
        return Err(Unusable::Unsupported);
    }
    Ok(DecodingKey::from_rsa_raw_components(modulus, exponent))
}

fn parameter(text: Option<&String>) -> Result<Vec<u8>, Unusable> {
    let text = text.ok_or(Unusable::Malformed)?;
    // Some issuers pad what the standard leaves bare.
    URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .map_err(|_not_base64url| Unusable::Malformed)
}

/// A key that names its algorithm verifies that one only, and it must be of the key's family.
fn narrowed(
    family: &'static [Algorithm],
    algorithm: Algorithm,
) -> Result<&'static [Algorithm], Unusable> {
    let at = family
        .iter()
        .position(|&known| known == algorithm)
        .ok_or(Unusable::Malformed)?;
    Ok(&family[at..=at])
}

fn as_jsonwebtoken(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::Rs384 => jsonwebtoken::Algorithm::RS384,
        Algorithm::Rs512 => jsonwebtoken::Algorithm::RS512,
        Algorithm::Ps256 => jsonwebtoken::Algorithm::PS256,
        Algorithm::Ps384 => jsonwebtoken::Algorithm::PS384,
        Algorithm::Ps512 => jsonwebtoken::Algorithm::PS512,
        Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::Es384 => jsonwebtoken::Algorithm::ES384,
        Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
    }
}
