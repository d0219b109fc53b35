//! Passwords in URLs: `postgres://user:secret@host/db`.

use super::super::scan::Match;
use super::super::text::Word;
use super::super::{Confidence, Kind};

/// Past this, what stands before an `@` is no name and password.
const AUTHORITY_BYTES_MAX: usize = 256;

/// `word` ends the scheme. What is found reaches from the scheme to the host's end.
pub(in super::super) fn find(word: &Word<'_>) -> Option<Match> {
    let bytes = word.bytes();
    let authority = bytes[word.end..].strip_prefix(b"://")?;
    let len = authority
        .iter()
        .take(AUTHORITY_BYTES_MAX)
        .take_while(|byte| {
            !byte.is_ascii_whitespace() && !matches!(byte, b'/' | b'"' | b'\'' | b'<' | b'>' | b'`')
        })
        .count();
    let authority = &authority[..len];
    let at_sign = memchr::memrchr(b'@', authority)?;
    let colon = memchr::memchr(b':', &authority[..at_sign])?;
    let password = &authority[colon + 1..at_sign];
    if password.is_empty() || is_placeholder(password) {
        return None;
    }
    let host = &authority[at_sign + 1..];
    let host_len = host
        .iter()
        .take_while(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']')
        })
        .count();
    let end = word.end + 3 + at_sign + 1 + host_len;
    let trimmed = bytes[..end]
        .iter()
        .rev()
        .take_while(|byte| matches!(byte, b'.' | b':' | b'-'))
        .count();
    Some(Match {
        kind: Kind::ConnectionString,
        end: end - trimmed,
        confidence: Confidence(97),
    })
}

/// `${PASSWORD}`, `<password>`, `***`: what documentation writes in a secret's place.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    value
        .iter()
        .all(|byte| matches!(byte, b'*' | b'x' | b'X' | b'.' | b'-' | b'_'))
        || value.starts_with(b"$")
        || value.starts_with(b"<")
        || value.starts_with(b"{")
        || value.starts_with(b"[")
        || value.starts_with(b"%")
        || [
            &b"your"[..],
            b"my_",
            b"example",
            b"changeme",
            b"password",
            b"passwort",
            b"secret",
        ]
        .iter()
        .any(|word| {
            value.len() >= word.len()
                && value[..word.len()].eq_ignore_ascii_case(word)
                && value.iter().all(|byte| !byte.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use crate::pii::tests::values as found;

    #[test]
    fn a_url_with_a_password_is_found_up_to_its_host() {
        for (text, url) in [
            (
                "use postgres://app:s3cr3t@db.internal:5432/app",
                "postgres://app:s3cr3t@db.internal:5432",
            ),
            (
                "mongodb+srv://u:p%40ss@cluster0.example.net.",
                "srv://u:p%40ss@cluster0.example.net",
            ),
            ("amqps://guest:9f8a@10.1.2.3", "amqps://guest:9f8a@10.1.2.3"),
        ] {
            assert_eq!(found(text), [url], "{text}");
        }
    }

    #[test]
    fn urls_without_one_are_none() {
        for text in [
            "https://example.com/a:b",
            "postgres://app:${PASSWORD}@db",
            "postgres://user:password@localhost/db",
            "ssh://git@github",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }
}
