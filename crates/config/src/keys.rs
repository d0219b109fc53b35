//! Keys that clients present, known to the gateway by their hash alone.

use sha2::{Digest, Sha256};

use crate::snapshot::KeyHash;

/// What a client presents is looked up by this: the SHA-256 of the key's whole text.
pub fn key_hash(secret: &str) -> KeyHash {
    KeyHash(Sha256::digest(secret.as_bytes()).into())
}

/// Why a key in the file is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyFault {
    Short,
    Hash,
    Characters,
}

/// A key as the file has it: the secret itself, or `sha256:` and its hash.
pub(crate) fn written_hash(text: &str) -> Result<KeyHash, KeyFault> {
    const CHARACTERS_MIN: usize = 16;
    if let Some(digits) = text.strip_prefix("sha256:") {
        return hash_of_digits(digits).ok_or(KeyFault::Hash);
    }
    if text.chars().count() < CHARACTERS_MIN {
        return Err(KeyFault::Short);
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(KeyFault::Characters);
    }
    Ok(key_hash(text))
}

fn hash_of_digits(digits: &str) -> Option<KeyHash> {
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else {
        return None;
    };
    if pairs.len() != 32 {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
        let digit = |c: u8| char::from(c).to_digit(16);
        *byte = u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?;
    }
    Some(KeyHash(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_hash_is_that_of_the_secret() {
        let digits = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        assert_eq!(
            written_hash(&format!("sha256:{digits}")),
            Ok(key_hash("test"))
        );
        assert_eq!(
            written_hash(&format!("sha256:{}", digits.to_uppercase())),
            Ok(key_hash("test"))
        );
    }

    #[test]
    fn a_key_that_cannot_serve_is_refused() {
        assert_eq!(written_hash("fifteen-letters"), Err(KeyFault::Short));
        assert_eq!(written_hash("sha256:abc"), Err(KeyFault::Hash));
        assert_eq!(
            written_hash(&format!("sha256:{}", "é".repeat(32))),
            Err(KeyFault::Hash)
        );
        assert_eq!(written_hash("sixteen letters!"), Err(KeyFault::Characters));
        assert_eq!(
            written_hash("sixteen-letters!"),
            Ok(key_hash("sixteen-letters!"))
        );
    }
}
