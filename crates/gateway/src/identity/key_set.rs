//! An issuer's public keys, and whether one of them signed a token. Pure.
//!
//! Which keys can be used at all is `jwk.rs`'s to say.

use config::snapshot::Algorithm;
use serde::Deserialize;
use serde_json::Value;

use super::jwk::{Unusable, VerificationKey};
use super::token::{self, UnverifiedToken};

/// Further keys of a set are dropped with a warning. Issuers publish two to some twenty.
const KEYS_MAX: usize = 64;

/// Keys tried for a token that names none: more would let anyone burn our time with one header.
const KEYS_TRIED_MAX: usize = 16;

/// What one issuer publishes, at one time.
#[derive(Debug)]
pub(super) struct KeySet {
    /// What `iss` must be; may hold Entra's `{tenantid}`.
    pub issuer: String,
    keys: Vec<VerificationKey>,
}

/// The body of a `jwks_uri`. Keys are read one by one, so that a strange one spoils no other.
#[derive(Default, Deserialize)]
pub(super) struct Jwks {
    keys: Vec<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Verified,
    BadSignature,
    /// The key that the token names does not verify its algorithm.
    WrongAlgorithm,
    /// The issuer may have published the key since: ask it again.
    NoSuchKey,
}

impl KeySet {
    pub fn new(issuer: String, jwks: Jwks) -> Self {
        let mut keys: Vec<VerificationKey> = Vec::new();
        for published in jwks.keys {
            if keys.len() == KEYS_MAX {
                tracing::warn!(
                    issuer,
                    "more than {KEYS_MAX} keys are published: the rest are not used"
                );
                break;
            }
            let key = match VerificationKey::new(published) {
                Ok(key) => key,
                Err(Unusable::Unsupported) => continue,
                Err(unusable @ (Unusable::Weak | Unusable::Malformed)) => {
                    tracing::warn!(issuer, reason = %unusable, "a published key is not used");
                    continue;
                }
            };
            if !keys.iter().any(|earlier| earlier.is_named_like(&key)) {
                keys.push(key);
            }
        }
        Self { issuer, keys }
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The same issuer with the same keys: what was verified with one stays verified.
    pub fn equals(&self, other: &Self) -> bool {
        self.issuer == other.issuer
            && self.keys.len() == other.keys.len()
            && self
                .keys
                .iter()
                .zip(&other.keys)
                .all(|(ours, theirs)| ours.published == theirs.published)
    }

    /// `algorithm` is the token's, after the issuer's allow-list.
    pub fn verify(&self, token: &UnverifiedToken<'_>, algorithm: Algorithm) -> Verdict {
        let Some(key_id) = token.key_id.as_deref() else {
            return self.try_keys(token, algorithm, |_| true);
        };
        let is_named = |key: &VerificationKey| key.published.kid.as_deref() == Some(key_id);
        if self.keys.iter().any(is_named) {
            return match self.try_keys(token, algorithm, is_named) {
                Verdict::NoSuchKey => Verdict::WrongAlgorithm,
                verdict => verdict,
            };
        }
        match self.try_keys(token, algorithm, |key| key.published.kid.is_none()) {
            Verdict::Verified => Verdict::Verified,
            Verdict::BadSignature | Verdict::WrongAlgorithm | Verdict::NoSuchKey => {
                Verdict::NoSuchKey
            }
        }
    }

    fn try_keys(
        &self,
        token: &UnverifiedToken<'_>,
        algorithm: Algorithm,
        is_wanted: impl Fn(&VerificationKey) -> bool,
    ) -> Verdict {
        let suits = |key: &&VerificationKey| {
            is_wanted(key)
                && key.algorithms.contains(&algorithm)
                && key
                    .published
                    .issuer
                    .as_deref()
                    .is_none_or(|pattern| token::is_from(pattern, &token.claims))
        };
        let mut verdict = Verdict::NoSuchKey;
        for key in self.keys.iter().filter(suits).take(KEYS_TRIED_MAX) {
            if key.signed(token, algorithm) {
                return Verdict::Verified;
            }
            verdict = Verdict::BadSignature;
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::*;

    /// RFC 7515, appendix A.3.
    const ES256: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

    fn es256_key() -> Value {
        json!({
            "kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        })
    }

    fn with(mut key: Value, members: &Value) -> Value {
        key.as_object_mut()
            .unwrap()
            .extend(members.as_object().unwrap().clone());
        key
    }

    fn key_set(keys: &[Value]) -> KeySet {
        KeySet::new(
            "https://issuer".into(),
            Jwks {
                keys: keys.to_vec(),
            },
        )
    }

    fn named(key_id: Option<&str>) -> UnverifiedToken<'static> {
        let mut token = UnverifiedToken::parse(ES256).ok().unwrap();
        token.key_id = key_id.map(Into::into);
        token
    }

    fn verify(keys: &[Value], key_id: Option<&str>) -> Verdict {
        key_set(keys).verify(&named(key_id), Algorithm::Es256)
    }

    fn rsa(bits: usize) -> Value {
        let modulus = vec![0xff; bits / 8];
        json!({"kty": "RSA", "kid": "rsa", "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB"})
    }

    #[test]
    fn the_standards_own_example_verifies() {
        assert_eq!(verify(&[es256_key()], None), Verdict::Verified);
        assert_eq!(
            verify(&[with(es256_key(), &json!({"kid": "a"}))], Some("a")),
            Verdict::Verified
        );
    }

    #[test]
    fn rfc_8037s_example_verifies() {
        let key = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
        let mut token = named(None);
        token.message = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        token.signature = URL_SAFE_NO_PAD
            .decode("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")
            .unwrap();
        assert_eq!(
            key_set(&[key]).verify(&token, Algorithm::EdDsa),
            Verdict::Verified
        );
    }

    #[test]
    fn a_changed_byte_anywhere_is_a_bad_signature() {
        let keys = key_set(&[es256_key()]);
        let mut token = named(None);
        token.signature[7] ^= 1;
        assert_eq!(keys.verify(&token, Algorithm::Es256), Verdict::BadSignature);
        let mut token = named(None);
        token.message = &token.message[1..];
        assert_eq!(keys.verify(&token, Algorithm::Es256), Verdict::BadSignature);
        let mut token = named(None);
        token.signature.clear();
        assert_eq!(keys.verify(&token, Algorithm::Es256), Verdict::BadSignature);
    }

    #[test]
    fn a_named_key_is_the_only_one_tried() {
        let good = with(es256_key(), &json!({"kid": "a"}));
        let other = with(
            es256_key(),
            &json!({"kid": "b", "x": es256_key()["y"], "y": es256_key()["x"]}),
        );
        assert_eq!(
            verify(&[other.clone(), good.clone()], Some("a")),
            Verdict::Verified
        );
        assert_eq!(
            verify(&[other.clone(), good.clone()], Some("b")),
            Verdict::BadSignature
        );
        assert_eq!(
            verify(&[other.clone(), good.clone()], Some("c")),
            Verdict::NoSuchKey
        );
        assert_eq!(verify(&[other, good], None), Verdict::Verified);
    }

    #[test]
    fn a_key_without_a_name_serves_a_token_whose_key_id_is_unknown() {
        let other = with(es256_key(), &json!({"kid": "b"}));
        assert_eq!(
            verify(&[other, es256_key()], Some("rotated")),
            Verdict::Verified
        );
    }

    #[test]
    fn the_key_decides_the_algorithm() {
        let keys = key_set(&[
            with(es256_key(), &json!({"kid": "a"})),
            with(rsa(2048), &json!({"alg": "RS256"})),
        ]);
        assert_eq!(
            keys.verify(&named(Some("a")), Algorithm::Rs256),
            Verdict::WrongAlgorithm
        );
        assert_eq!(
            keys.verify(&named(Some("a")), Algorithm::Es384),
            Verdict::WrongAlgorithm
        );
        assert_eq!(
            keys.verify(&named(Some("rsa")), Algorithm::Es256),
            Verdict::WrongAlgorithm
        );
        assert_eq!(
            keys.verify(&named(Some("rsa")), Algorithm::Rs384),
            Verdict::WrongAlgorithm
        );
        assert_eq!(
            keys.verify(&named(Some("rsa")), Algorithm::Rs256),
            Verdict::BadSignature
        );
    }

    #[test]
    fn keys_that_must_not_verify_are_left_out() {
        let secret = json!({"kty": "oct", "kid": "a", "k": "c2VjcmV0"});
        let encrypts = with(es256_key(), &json!({"use": "enc"}));
        let only_signs = with(es256_key(), &json!({"key_ops": ["sign"]}));
        let of_another_family = with(es256_key(), &json!({"alg": "RS256"}));
        let with_a_secret_algorithm = with(rsa(2048), &json!({"alg": "HS256"}));
        let unknown_curve = with(es256_key(), &json!({"crv": "P-521"}));
        let short_point = with(es256_key(), &json!({"x": "f83O"}));
        let without_modulus = json!({"kty": "RSA", "e": "AQAB"});
        let no_object = json!("key");
        for key in [
            secret,
            encrypts,
            only_signs,
            of_another_family,
            with_a_secret_algorithm,
            unknown_curve,
            short_point,
            without_modulus,
            no_object,
            rsa(1024),
            rsa(16_384),
        ] {
            assert!(key_set(std::slice::from_ref(&key)).is_empty(), "{key}");
        }
        assert!(!key_set(&[rsa(2048)]).is_empty());
        assert!(
            !key_set(&[with(
                es256_key(),
                &json!({"use": "sig", "key_ops": ["verify"], "alg": "ES256"})
            )])
            .is_empty()
        );
    }

    #[test]
    fn a_short_modulus_is_not_lengthened_by_zeros() {
        let padded = [vec![0; 128], vec![0xff; 128]].concat();
        let key = json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(padded), "e": "AQAB"});
        assert!(key_set(&[key]).is_empty());
    }

    #[test]
    fn a_strange_key_spoils_no_other_and_duplicates_count_once() {
        let good = with(es256_key(), &json!({"kid": "a"}));
        let replaced = with(
            good.clone(),
            &json!({"x": es256_key()["y"], "y": es256_key()["x"]}),
        );
        let keys = [
            json!(null),
            good.clone(),
            good,
            replaced,
            es256_key(),
            es256_key(),
        ];
        assert_eq!(key_set(&keys).keys.len(), 2);
        assert_eq!(verify(&keys, Some("a")), Verdict::Verified);
    }

    #[test]
    fn an_endless_set_and_an_endless_search_are_cut() {
        let many: Vec<_> = (0..200)
            .map(|n| with(rsa(2048), &json!({"kid": n.to_string()})))
            .collect();
        assert_eq!(key_set(&many).keys.len(), KEYS_MAX);
        let wrong = |n: usize| {
            with(
                es256_key(),
                &json!({"kid": n.to_string(), "x": es256_key()["y"]}),
            )
        };
        let last_tried: Vec<_> = (1..KEYS_TRIED_MAX)
            .map(wrong)
            .chain([es256_key()])
            .collect();
        assert_eq!(verify(&last_tried, None), Verdict::Verified);
        let one_too_late: Vec<_> = (0..KEYS_TRIED_MAX)
            .map(wrong)
            .chain([es256_key()])
            .collect();
        assert_eq!(verify(&one_too_late, None), Verdict::BadSignature);
    }

    #[test]
    fn a_key_bound_to_one_tenant_signs_for_no_other() {
        let of_joe = with(es256_key(), &json!({"issuer": "joe"}));
        let of_ann = with(es256_key(), &json!({"issuer": "ann"}));
        assert_eq!(verify(&[of_joe], None), Verdict::Verified);
        assert_eq!(verify(&[of_ann], None), Verdict::NoSuchKey);
    }

    #[test]
    fn a_set_equals_another_with_the_same_keys() {
        let a = with(es256_key(), &json!({"kid": "a"}));
        let b = with(es256_key(), &json!({"kid": "b"}));
        assert!(key_set(&[a.clone(), b.clone()]).equals(&key_set(&[a.clone(), b.clone()])));
        assert!(!key_set(std::slice::from_ref(&a)).equals(&key_set(&[a.clone(), b.clone()])));
        assert!(!key_set(std::slice::from_ref(&a)).equals(&key_set(&[b])));
        assert!(
            !key_set(std::slice::from_ref(&a))
                .equals(&KeySet::new("https://other".into(), Jwks { keys: vec![a] }))
        );
    }
}
