//! Credentials: keys with a prefix of their provider, tokens, private keys, passwords in URLs and
//! connection strings, and whatever is called a password.

use super::scan::Match;
use super::text::{Joined, Word};
use super::{Confidence, Kind};

// What is called a secret: its name, what joins the two, and the value.
mod assigned;

mod name;

mod gap;

mod quote;

mod looks;

mod scheme;

mod option;

// What is known by its form.
mod prefix;

mod url;

pub(super) use assigned::{Assigned, Named, find as assigned};
pub(super) use option::find as option;
pub(super) use prefix::find as prefixed;
pub(super) use quote::Quote;
pub(super) use url::find as in_url;

/// `eyJ…`: a header and a payload in base64url, and a signature (RFC 7519).
pub(super) fn jwt(word: &Word<'_>) -> Option<Match> {
    let bytes = word.rest();
    if !bytes.starts_with(b"eyJ") || word.joined == Joined::ToMore {
        return None;
    }
    let mut parts = 0;
    let mut at = 0;
    let mut end = 0;
    loop {
        let len = bytes[at..]
            .iter()
            .take_while(|byte| is_base64url(**byte))
            .count();
        // An unsigned token has no signature; an encrypted one has five parts.
        if len < if parts < 2 { 4 } else { 1 } {
            break;
        }
        parts += 1;
        at += len;
        end = at;
        if parts == 5 || bytes.get(at) != Some(&b'.') {
            break;
        }
        at += 1;
    }
    (parts >= 2).then_some(Match {
        kind: Kind::Jwt,
        end: word.start + end,
        confidence: Confidence(if parts == 2 { 80 } else { 98 }),
    })
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

const BEGIN: &[u8] = b"-----BEGIN ";
const KEY: &[u8] = b"PRIVATE KEY";
/// Longest of `RSA `, `ENCRYPTED `, `OPENSSH ` and what may come.
const ALGORITHM_BYTES_MAX: usize = 24;

/// A PEM block (RFC 7468) from its first dash to its last, or to the end of the text.
pub(super) fn private_key(bytes: &[u8], start: usize) -> Option<Match> {
    let rest = &bytes[start..];
    if !rest.starts_with(BEGIN) {
        return None;
    }
    let label = &rest[BEGIN.len()
        ..rest
            .len()
            .min(BEGIN.len() + ALGORITHM_BYTES_MAX + KEY.len())];
    memchr::memmem::find(label, KEY)?;
    let end = memchr::memmem::find(rest, b"-----END ").and_then(|end| {
        let after = &rest[end + 9..];
        let dashes = memchr::memmem::find(&after[..after.len().min(64)], b"-----")?;
        Some(end + 9 + dashes + 5)
    });
    Some(Match {
        kind: Kind::PrivateKey,
        end: start + end.unwrap_or(rest.len()),
        confidence: Confidence(99),
    })
}

#[cfg(test)]
mod tests {
    use crate::pii::tests::named as found;

    #[test]
    fn tokens_and_keys_are_found_whole() {
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
        assert_eq!(
            found(&format!("Authorization: Bearer {jwt}.")),
            [("jwt", jwt)]
        );
        let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIBOgIBAAJBAK\n-----END RSA PRIVATE KEY-----";
        assert_eq!(
            found(&format!("key:\n{key}\nthanks")),
            [("private_key", key)]
        );
        let cut = "-----BEGIN PRIVATE KEY-----\nMIIBOgIBAAJBAK";
        assert_eq!(found(cut), [("private_key", cut)]);
    }

    #[test]
    fn public_things_are_none() {
        for text in [
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
            "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
            "eyJ is how a token begins",
        ] {
            assert_eq!(found(text), [("", ""); 0], "{text}");
        }
    }
}
