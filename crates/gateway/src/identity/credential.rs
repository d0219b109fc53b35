//! The credentials of a request: at most one subscription key and at most one token.
//!
//! Tells a key from a token; believes neither.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use config::snapshot::KeyHash;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

use super::AuthError;

/// A longer one is refused unread. Entra's largest tokens are some 8 KiB.
const CREDENTIAL_BYTES_MAX: usize = 16 * 1024;

static KEY_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("ocp-apim-subscription-key"),
];

/// What a client presented, with its digest: keys and verified tokens are both found by it.
#[derive(Clone, Copy)]
pub(super) struct Secret<'a> {
    pub text: &'a str,
    pub digest: KeyHash,
}

#[derive(Default)]
pub(super) struct Credentials<'a> {
    pub key: Option<Secret<'a>>,
    pub token: Option<Secret<'a>>,
}

impl<'a> Credentials<'a> {
    /// The same credential twice is one; two different ones of a kind are a conflict, whether or
    /// not they are known. A known key is a key whatever its form: a team may keep one with dots.
    pub fn read(
        headers: &'a HeaderMap,
        is_key: impl Fn(&KeyHash) -> bool,
    ) -> Result<Self, AuthError> {
        let mut found = Self::default();
        for value in headers.get_all(AUTHORIZATION) {
            let secret = Secret::new(bearer(value)?, "authorization")?;
            if !is_key(&secret.digest) && has_form_of_token(secret.text) {
                put(&mut found.token, secret)?;
            } else {
                put(&mut found.key, secret)?;
            }
        }
        for name in &KEY_HEADERS {
            for value in headers.get_all(name) {
                let secret = Secret::new(text(value, name.as_str())?, name.as_str())?;
                if !is_key(&secret.digest) && has_form_of_token(secret.text) {
                    return Err(AuthError::TokenInKeyHeader {
                        header: name.as_str(),
                    });
                }
                put(&mut found.key, secret)?;
            }
        }
        if found.key.is_none() && found.token.is_none() {
            return Err(AuthError::NoCredential);
        }
        Ok(found)
    }
}

impl<'a> Secret<'a> {
    fn new(text: &'a str, header: &'static str) -> Result<Self, AuthError> {
        if text.is_empty() {
            return Err(AuthError::Empty { header });
        }
        if text.len() > CREDENTIAL_BYTES_MAX {
            return Err(AuthError::TooLong { header });
        }
        Ok(Self {
            text,
            digest: KeyHash(Sha256::digest(text).into()),
        })
    }
}

fn put<'a>(slot: &mut Option<Secret<'a>>, secret: Secret<'a>) -> Result<(), AuthError> {
    if slot
        .as_ref()
        .is_some_and(|earlier| earlier.text != secret.text)
    {
        return Err(AuthError::Conflicting);
    }
    *slot = Some(secret);
    Ok(())
}

fn bearer(value: &HeaderValue) -> Result<&str, AuthError> {
    let value = text(value, "authorization")?;
    let (scheme, credential) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(if value.is_empty() {
            AuthError::Empty {
                header: "authorization",
            }
        } else {
            AuthError::NotBearer
        });
    }
    Ok(credential.trim())
}

fn text<'a>(value: &'a HeaderValue, header: &'static str) -> Result<&'a str, AuthError> {
    Ok(value
        .to_str()
        .map_err(|_not_ascii| AuthError::NotAscii { header })?
        .trim())
}

/// Three base64url parts, the first of which is a JSON object with `alg`. An unsigned token's last
/// part is empty: it is a token all the same, to be refused as one.
fn has_form_of_token(text: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Header {
        #[serde(rename = "alg")]
        _alg: serde::de::IgnoredAny,
    }
    let mut parts = text.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let is_base64url = |part: &str| {
        part.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if !is_base64url(payload) || !is_base64url(signature) {
        return false;
    }
    let Ok(header) = URL_SAFE_NO_PAD.decode(header) else {
        return false;
    };
    header.first() == Some(&b'{') && serde_json::from_slice::<Header>(&header).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "tg_ab12cd_5f2b9c";
    const TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.e30.AAAA";

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    /// Texts of the key and the token found.
    fn read(lines: &[(&'static str, &str)]) -> Result<(Option<String>, Option<String>), AuthError> {
        let headers = headers(lines);
        let found = Credentials::read(&headers, |_| false)?;
        Ok((
            found.key.map(|key| key.text.into()),
            found.token.map(|token| token.text.into()),
        ))
    }

    #[test]
    fn a_key_is_taken_from_every_header_that_clients_use() {
        for (name, value) in [
            ("authorization", format!("Bearer {KEY}")),
            ("authorization", format!("bEARER   {KEY} ")),
            ("api-key", KEY.to_owned()),
            ("x-api-key", KEY.to_owned()),
            ("ocp-apim-subscription-key", KEY.to_owned()),
        ] {
            assert_eq!(
                read(&[(name, &value)]),
                Ok((Some(KEY.into()), None)),
                "{name}: {value}"
            );
        }
    }

    #[test]
    fn a_bearer_of_three_parts_with_an_alg_is_a_token() {
        assert_eq!(
            read(&[("authorization", &format!("Bearer {TOKEN}"))]),
            Ok((None, Some(TOKEN.into())))
        );
        // {"alg":"none"} and an empty signature.
        let unsigned = "eyJhbGciOiJub25lIn0.e30.";
        assert_eq!(
            read(&[("authorization", &format!("Bearer {unsigned}"))]),
            Ok((None, Some(unsigned.into())))
        );
    }

    #[test]
    fn a_bearer_with_dots_that_is_no_token_is_a_key() {
        for key in [
            "corp.team.secret",
            "a.b.c.d",
            "e30.e30.e30",
            "eyJhbGciOiJFUzI1NiJ9.e30",
            "eyJhbGciOiJFUzI1NiJ9.e30.+/+/",
        ] {
            assert_eq!(
                read(&[("authorization", &format!("Bearer {key}"))]),
                Ok((Some(key.into()), None)),
                "{key}"
            );
        }
    }

    #[test]
    fn a_known_key_is_a_key_even_if_it_looks_like_a_token() {
        let headers = headers(&[("authorization", &format!("Bearer {TOKEN}"))]);
        let known = KeyHash(Sha256::digest(TOKEN).into());
        let found = Credentials::read(&headers, |hash| *hash == known).unwrap();
        assert_eq!(found.key.map(|key| key.text), Some(TOKEN));
        assert!(found.token.is_none());
    }

    #[test]
    fn a_key_and_a_token_are_both_taken() {
        let both = read(&[
            ("authorization", &format!("Bearer {TOKEN}")),
            ("api-key", KEY),
        ]);
        assert_eq!(both, Ok((Some(KEY.into()), Some(TOKEN.into()))));
    }

    #[test]
    fn the_same_key_twice_is_one_and_two_different_ones_are_refused() {
        let bearer = format!("Bearer {KEY}");
        assert_eq!(
            read(&[
                ("api-key", KEY),
                ("x-api-key", KEY),
                ("authorization", &bearer)
            ]),
            Ok((Some(KEY.into()), None))
        );
        for other in [
            ("x-api-key", "another-key"),
            ("api-key", "another-key"),
            ("authorization", "Bearer another-key"),
        ] {
            assert_eq!(
                read(&[("api-key", KEY), other]),
                Err(AuthError::Conflicting),
                "{other:?}"
            );
        }
        let second = "eyJhbGciOiJFUzI1NiJ9.e30.BBBB";
        let tokens = [
            ("authorization", format!("Bearer {TOKEN}")),
            ("authorization", format!("Bearer {second}")),
        ];
        assert_eq!(
            read(&[(tokens[0].0, &tokens[0].1), (tokens[1].0, &tokens[1].1)]),
            Err(AuthError::Conflicting)
        );
    }

    #[test]
    fn what_is_no_credential_is_refused_by_name() {
        assert_eq!(read(&[]), Err(AuthError::NoCredential));
        assert_eq!(
            read(&[("authorization", "Basic dXNlcjpwYXNz")]),
            Err(AuthError::NotBearer)
        );
        assert_eq!(read(&[("authorization", KEY)]), Err(AuthError::NotBearer));
        assert_eq!(
            read(&[("authorization", "Bearer ")]),
            Err(AuthError::Empty {
                header: "authorization"
            })
        );
        assert_eq!(
            read(&[("authorization", "")]),
            Err(AuthError::Empty {
                header: "authorization"
            })
        );
        assert_eq!(
            read(&[("x-api-key", " ")]),
            Err(AuthError::Empty {
                header: "x-api-key"
            })
        );
        assert_eq!(
            read(&[("api-key", "clé-secrète")]),
            Err(AuthError::NotAscii { header: "api-key" })
        );
        assert_eq!(
            read(&[("api-key", TOKEN)]),
            Err(AuthError::TokenInKeyHeader { header: "api-key" })
        );
        let long = "k".repeat(CREDENTIAL_BYTES_MAX + 1);
        assert_eq!(
            read(&[("api-key", &long)]),
            Err(AuthError::TooLong { header: "api-key" })
        );
    }

    proptest! {
        #[test]
        fn any_header_value_is_read_or_refused(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
            for name in ["authorization", "api-key"] {
                let mut headers = HeaderMap::new();
                headers.append(name, value.clone());
                if let Ok(found) = Credentials::read(&headers, |_| false) {
                    prop_assert!(found.key.is_some() != found.token.is_some());
                }
            }
        }
    }
}
