//! A token taken apart, and the rules for its times and its audience. Pure.
//!
//! Signatures are `key_set.rs`'s, claims that an operator asks for `required_claims.rs`'s.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use config::snapshot::Algorithm;
use domain::Wall;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::refusal::TokenFault;

/// How far our clock and an issuer's may lie apart.
pub(super) const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Nothing in it is to be believed before its signature is verified.
pub(super) struct UnverifiedToken<'a> {
    /// What the header names, if it is an algorithm that any issuer may use.
    pub algorithm: Option<Algorithm>,
    pub key_id: Option<String>,
    pub claims: Map<String, Value>,
    /// What the signature covers.
    pub message: &'a str,
    pub signature: Vec<u8>,
}

/// When a verified token may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub not_before: Option<Wall>,
    pub expires: Wall,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that a receiver must understand. We know none, so any refuses the token.
    crit: Option<IgnoredAny>,
}

impl<'a> UnverifiedToken<'a> {
    pub fn parse(text: &'a str) -> Result<Self, TokenFault> {
        let (message, signature) = text.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(TokenFault::Malformed)?;
        let header: Header =
            serde_json::from_slice(&decode(header)?).map_err(|_| TokenFault::Malformed)?;
        if header.crit.is_some() {
            return Err(TokenFault::Malformed);
        }
        Ok(Self {
            algorithm: algorithm(&header.alg),
            key_id: header.kid,
            claims: serde_json::from_slice(&decode(claims)?).map_err(|_| TokenFault::Malformed)?,
            message,
            signature: decode(signature)?,
        })
    }
}

fn decode(part: &str) -> Result<Vec<u8>, TokenFault> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_not_base64url| TokenFault::Malformed)
}

/// The whole list of what can be allowed: neither `none` nor a shared secret is on it.
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    Some(match name {
        "RS256" => Algorithm::Rs256,
        "RS384" => Algorithm::Rs384,
        "RS512" => Algorithm::Rs512,
        "PS256" => Algorithm::Ps256,
        "PS384" => Algorithm::Ps384,
        "PS512" => Algorithm::Ps512,
        "ES256" => Algorithm::Es256,
        "ES384" => Algorithm::Es384,
        // RFC 9864 renames the one curve of EdDSA that we know.
        "EdDSA" | "Ed25519" => Algorithm::EdDsa,
        _ => return None,
    })
}

/// Whether a token of issuer `pattern` may carry these claims. Entra's discovery document for many
/// tenants names its issuer with a hole, `{tenantid}`, that the token's `tid` fills.
pub(super) fn is_from(pattern: &str, claims: &Map<String, Value>) -> bool {
    const HOLE: &str = "{tenantid}";
    let Some(issuer) = claims.get("iss").and_then(Value::as_str) else {
        return false;
    };
    let Some((before, after)) = pattern.split_once(HOLE) else {
        return issuer == pattern;
    };
    let Some(tenant) = claims.get("tid").and_then(Value::as_str) else {
        return false;
    };
    issuer
        .strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after))
        == Some(tenant)
        && !tenant.is_empty()
        && tenant
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Whether `aud`, one value or a list, holds any of `accepted`. None accepted: no token is.
pub(super) fn is_meant_for(accepted: &[String], claims: &Map<String, Value>) -> bool {
    let is_accepted = |value: &Value| {
        value
            .as_str()
            .is_some_and(|audience| accepted.iter().any(|a| a == audience))
    };
    match claims.get("aud") {
        Some(Value::Array(audiences)) => audiences.iter().any(is_accepted),
        Some(audience) => is_accepted(audience),
        None => false,
    }
}

impl Validity {
    /// A token without an end is malformed to us: it could never be withdrawn.
    pub fn of(claims: &Map<String, Value>) -> Result<Self, TokenFault> {
        let expires = claims
            .get("exp")
            .and_then(moment)
            .ok_or(TokenFault::Malformed)?;
        let not_before = match claims.get("nbf") {
            Some(value) => Some(moment(value).ok_or(TokenFault::Malformed)?),
            None => None,
        };
        Ok(Self {
            not_before,
            expires,
        })
    }

    pub fn check(self, now: Wall) -> Result<(), TokenFault> {
        if now >= self.expires + CLOCK_SKEW {
            return Err(TokenFault::Expired);
        }
        if self
            .not_before
            .is_some_and(|begin| begin > now + CLOCK_SKEW)
        {
            return Err(TokenFault::NotYetValid);
        }
        Ok(())
    }
}

/// Seconds since 1970, whole or not. Past the range of `Wall` they mean its end.
fn moment(value: &Value) -> Option<Wall> {
    let seconds = value.as_f64()?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float cast saturates: the far future stays the far future"
    )]
    Some(Wall((seconds * 1000.0) as i64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW: Wall = Wall::from_secs(1_790_000_000);

    fn claims(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn times(value: &Value) -> Result<(), TokenFault> {
        Validity::of(&claims(value))?.check(NOW)
    }

    fn token(header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.AAAA", part(header), part(claims))
    }

    #[test]
    fn a_token_is_good_until_60_s_after_its_expiry() {
        assert_eq!(times(&json!({"exp": 1_790_000_000 - 59})), Ok(()));
        assert_eq!(
            times(&json!({"exp": 1_790_000_000 - 60})),
            Err(TokenFault::Expired)
        );
        assert_eq!(times(&json!({"exp": 1_790_000_000.5 - 60.0})), Ok(()));
    }

    #[test]
    fn a_token_is_good_from_60_s_before_its_beginning() {
        assert_eq!(
            times(&json!({"exp": 1_790_000_900, "nbf": 1_790_000_060})),
            Ok(())
        );
        assert_eq!(
            times(&json!({"exp": 1_790_000_900, "nbf": 1_790_000_061})),
            Err(TokenFault::NotYetValid)
        );
    }

    #[test]
    fn a_token_without_an_end_is_malformed() {
        assert_eq!(times(&json!({})), Err(TokenFault::Malformed));
        assert_eq!(
            times(&json!({"exp": "1790000900"})),
            Err(TokenFault::Malformed)
        );
        assert_eq!(times(&json!({"exp": null})), Err(TokenFault::Malformed));
        assert_eq!(
            times(&json!({"exp": 1_790_000_900, "nbf": "soon"})),
            Err(TokenFault::Malformed)
        );
    }

    #[test]
    fn absurd_times_neither_panic_nor_wrap() {
        assert_eq!(times(&json!({"exp": 1e300})), Ok(()));
        assert_eq!(times(&json!({"exp": -1e300})), Err(TokenFault::Expired));
        assert_eq!(
            times(&json!({"exp": 1e300, "nbf": 1e300})),
            Err(TokenFault::NotYetValid)
        );
        assert_eq!(times(&json!({"exp": u64::MAX, "nbf": i64::MIN})), Ok(()));
    }

    #[test]
    fn an_audience_is_compared_whole() {
        let accepted = ["api://gateway".to_owned(), "other".to_owned()];
        assert!(is_meant_for(
            &accepted,
            &claims(&json!({"aud": "api://gateway"}))
        ));
        assert!(is_meant_for(
            &accepted,
            &claims(&json!({"aud": ["x", "other"]}))
        ));
        assert!(!is_meant_for(
            &accepted,
            &claims(&json!({"aud": "api://gateway2"}))
        ));
        assert!(!is_meant_for(
            &accepted,
            &claims(&json!({"aud": "x other"}))
        ));
        assert!(!is_meant_for(
            &accepted,
            &claims(&json!({"aud": [["other"]]}))
        ));
        assert!(!is_meant_for(&accepted, &claims(&json!({}))));
        assert!(!is_meant_for(
            &[],
            &claims(&json!({"aud": "api://gateway"}))
        ));
    }

    #[test]
    fn an_issuer_is_compared_whole_and_its_tenant_is_the_tokens() {
        assert!(is_from(
            "https://issuer/",
            &claims(&json!({"iss": "https://issuer/"}))
        ));
        assert!(!is_from(
            "https://issuer/",
            &claims(&json!({"iss": "https://issuer"}))
        ));
        assert!(!is_from("https://issuer/", &claims(&json!({}))));
        let pattern = "https://login.example/{tenantid}/v2.0";
        assert!(is_from(
            pattern,
            &claims(&json!({"iss": "https://login.example/42-ab/v2.0", "tid": "42-ab"}))
        ));
        assert!(!is_from(
            pattern,
            &claims(&json!({"iss": "https://login.example/42-ab/v2.0", "tid": "42-ac"}))
        ));
        assert!(!is_from(
            pattern,
            &claims(&json!({"iss": "https://login.example/42-ab/v2.0"}))
        ));
        assert!(!is_from(
            pattern,
            &claims(&json!({"iss": "https://login.example/a/b/v2.0", "tid": "a/b"}))
        ));
        assert!(!is_from(
            pattern,
            &claims(&json!({"iss": "https://login.example//v2.0", "tid": ""}))
        ));
        assert!(!is_from(
            pattern,
            &claims(&json!({"iss": pattern, "tid": "{tenantid}"}))
        ));
    }

    #[test]
    fn only_signatures_by_public_keys_have_an_algorithm() {
        for name in [
            "none", "None", "", "HS256", "HS384", "HS512", "rs256", "ES512", "RSA-OAEP", "dir",
        ] {
            assert_eq!(algorithm(name), None, "{name}");
        }
        assert_eq!(algorithm("PS384"), Some(Algorithm::Ps384));
        assert_eq!(algorithm("Ed25519"), Some(Algorithm::EdDsa));
    }

    #[test]
    fn a_token_that_demands_an_extension_is_refused() {
        let plain = token(
            &json!({"alg": "ES256", "kid": "k1", "jku": "https://evil.example"}),
            &json!({"sub": "a"}),
        );
        let parsed = UnverifiedToken::parse(&plain).ok().unwrap();
        assert_eq!(parsed.key_id.as_deref(), Some("k1"));
        assert_eq!(parsed.claims["sub"], "a");
        let critical = token(
            &json!({"alg": "ES256", "crit": ["b64"], "b64": false}),
            &json!({}),
        );
        assert_eq!(
            UnverifiedToken::parse(&critical).err(),
            Some(TokenFault::Malformed)
        );
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in "[A-Za-z0-9_.=+/-]{0,120}") {
            let _parsed_or_refused = UnverifiedToken::parse(&text).is_ok();
        }

        #[test]
        fn any_claims_are_judged_without_a_panic(exp in any::<f64>(), nbf in any::<f64>(), now in any::<i64>()) {
            if let Ok(validity) = Validity::of(&claims(&json!({"exp": exp, "nbf": nbf}))) {
                let judged = validity.check(Wall(now));
                prop_assert!(judged.is_ok() || matches!(judged, Err(TokenFault::Expired | TokenFault::NotYetValid)));
            }
        }
    }
}
