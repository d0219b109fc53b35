//! Tokens to order: good ones, and each kind of bad one that a verifier must refuse.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::keys::Generation;

const LIFETIME_SECONDS: u64 = 3600;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mint {
    pub claims: Map<String, Value>,
    pub algorithm: Algorithm,
    /// Instead of the signing key's own id. An id nobody published is simply written here.
    pub kid: Option<String>,
    pub without_kid: bool,
    /// `exp` lies an hour back.
    pub expired: bool,
    /// Signed by another key than the header names.
    pub foreign_key: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    #[default]
    RS256,
    PS256,
    ES256,
    EdDSA,
    /// Unsigned.
    #[serde(rename = "none")]
    Unsigned,
    /// The forgery that takes the public RSA key for an HMAC secret.
    HS256,
}

#[derive(Debug)]
pub struct MintError;

impl std::fmt::Display for MintError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("no key could be made or used")
    }
}

impl std::error::Error for MintError {}

impl From<Unspecified> for MintError {
    fn from(_: Unspecified) -> Self {
        Self
    }
}

impl Mint {
    pub(super) fn token(
        &self,
        issuer: &str,
        generation: &Generation,
        now: u64,
    ) -> Result<String, MintError> {
        let (name, kind) = match self.algorithm {
            Algorithm::RS256 => ("RS256", "rsa"),
            Algorithm::PS256 => ("PS256", "rsa"),
            Algorithm::ES256 => ("ES256", "ec"),
            Algorithm::EdDSA => ("EdDSA", "ed"),
            Algorithm::Unsigned => ("none", "rsa"),
            Algorithm::HS256 => ("HS256", "rsa"),
        };
        let mut header = json!({ "typ": "JWT", "alg": name });
        if !self.without_kid {
            header["kid"] = json!(self.kid.clone().unwrap_or_else(|| generation.kid(kind)));
        }
        let message = format!(
            "{}.{}",
            encode(&header),
            encode(&self.all_claims(issuer, now))
        );
        let foreign = self.foreign_key.then(|| Generation::numbered(0));
        let signature = self.sign(foreign.as_ref().unwrap_or(generation), message.as_bytes())?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn all_claims(&self, issuer: &str, now: u64) -> Value {
        let mut claims = self.claims.clone();
        let expires = if self.expired {
            now - LIFETIME_SECONDS
        } else {
            now + LIFETIME_SECONDS
        };
        let issued = now.min(expires) - u64::from(self.expired) * LIFETIME_SECONDS;
        for (name, value) in [
            ("iss", json!(issuer)),
            ("iat", json!(issued)),
            ("nbf", json!(issued)),
            ("exp", json!(expires)),
        ] {
            claims.entry(name).or_insert(value);
        }
        Value::Object(claims)
    }

    fn sign(&self, generation: &Generation, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        match self.algorithm {
            Algorithm::RS256 => generation.sign_rs256(message),
            Algorithm::PS256 => generation.sign_ps256(message),
            Algorithm::ES256 => generation.sign_es256(message),
            Algorithm::EdDSA => generation.sign_eddsa(message),
            Algorithm::Unsigned => Ok(Vec::new()),
            Algorithm::HS256 => {
                let secret =
                    hmac::Key::new(hmac::HMAC_SHA256, generation.rsa_public_pem()?.as_bytes());
                Ok(hmac::sign(&secret, message).as_ref().to_vec())
            }
        }
    }
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
