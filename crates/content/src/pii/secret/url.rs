//! Passwords in URLs: `postgres://user:secret@host/db`, and URLs that are one.

use super::super::scan::Match;
use super::super::text::Word;
use super::super::{Confidence, Kind};

/// Past this, what stands before an `@` is no name and password.
const AUTHORITY_BYTES_MAX: usize = 256;

/// `word` ends the scheme. What is found reaches from the scheme to the host's end.
pub(in super::super) fn find(word: &Word<'_>) -> Option<Match> {
    let bytes = word.bytes();
    let authority = bytes[word.end..].strip_prefix(b"://")?;
    if let Some(len) = webhook(authority) {
        return Some(Match {
            kind: Kind::Credential,
            end: word.end + "://".len() + len,
            confidence: Confidence(96),
        });
    }
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

/// Whoever knows such an address may write there.
const WEBHOOKS: [&[u8]; 4] = [
    b"hooks.slack.com/services/",
    b"hooks.slack.com/workflows/",
    b"discord.com/api/webhooks/",
    b"discordapp.com/api/webhooks/",
];

/// The length of a webhook's address, whose last part is its key.
fn webhook(address: &[u8]) -> Option<usize> {
    const KEY_BYTES_MIN: usize = 16;
    let before = WEBHOOKS.iter().find(|host| address.starts_with(host))?;
    let path = &address[before.len()..];
    let is_of_path = |byte: &&u8| byte.is_ascii_alphanumeric() || b"/_-".contains(byte);
    let len = path.iter().take_while(is_of_path).count();
    let key = path[..len].rsplit(|byte| *byte == b'/').next()?;
    let is_key = key.len() >= KEY_BYTES_MIN && !is_placeholder(key);
    is_key.then_some(before.len() + len)
}

/// `${PASSWORD}`, `<password>`, `***`: what documentation writes in a secret's place.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    value
        .iter()
        .all(|byte| matches!(byte, b'*' | b'x' | b'X' | b'.' | b'-' | b'_'))
        || value.ends_with(b"...")
        || is_variable(value)
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

/// `DB_PASSWORD`: where the secret is.
fn is_variable(value: &[u8]) -> bool {
    value.contains(&b'_')
        && value
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || *byte == b'_')
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
            (
                "at https://hooks.slack.com/services/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.",
                "https://hooks.slack.com/services/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",
            ),
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
            "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
            "https://hooks.slack.com/services/",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }
}
