//! Keys that tell by their first letters who gave them out.

use super::super::scan::Match;
use super::super::text::{Joined, Word};
use super::super::{Confidence, Kind};

/// A prefix, how many characters follow at least, and which.
struct Form {
    prefix: &'static [u8],
    rest_min: usize,
    rest_max: usize,
    alphabet: Alphabet,
}

#[derive(Clone, Copy)]
enum Alphabet {
    /// A–Z, 0–9.
    Upper,
    Hex,
    Alphanumeric,
    /// With `-`, `_` and, in the middle, `.`.
    Token,
    /// And `=`.
    Padded,
}

const fn form(prefix: &'static str, rest_min: usize, rest_max: usize, alphabet: Alphabet) -> Form {
    Form {
        prefix: prefix.as_bytes(),
        rest_min,
        rest_max,
        alphabet,
    }
}

/// As their providers document them.
const FORMS: &[Form] = {
    use Alphabet::{Alphanumeric, Hex, Padded, Token, Upper};
    &[
        form("sk-", 20, 256, Token),
        form("AKIA", 16, 16, Upper),
        form("ASIA", 16, 16, Upper),
        form("ghp_", 36, 255, Alphanumeric),
        form("gho_", 36, 255, Alphanumeric),
        form("ghu_", 36, 255, Alphanumeric),
        form("ghs_", 36, 255, Alphanumeric),
        form("ghr_", 36, 255, Alphanumeric),
        form("github_pat_", 22, 255, Token),
        form("glpat-", 20, 64, Token),
        form("xoxb-", 20, 255, Token),
        form("xoxp-", 20, 255, Token),
        form("xoxa-", 20, 255, Token),
        form("xoxs-", 20, 255, Token),
        form("xapp-", 20, 255, Token),
        form("AIza", 35, 35, Token),
        form("ya29.", 20, 512, Token),
        form("GOCSPX-", 20, 64, Token),
        form("sk_live_", 16, 255, Alphanumeric),
        form("sk_test_", 16, 255, Alphanumeric),
        form("rk_live_", 16, 255, Alphanumeric),
        form("whsec_", 24, 128, Alphanumeric),
        form("npm_", 36, 36, Alphanumeric),
        form("pypi-AgE", 32, 512, Token),
        form("hf_", 30, 64, Alphanumeric),
        form("gsk_", 40, 64, Alphanumeric),
        form("xai-", 40, 128, Token),
        form("SG.", 40, 128, Token),
        form("dop_v1_", 64, 64, Hex),
        form("dapi", 32, 34, Hex),
        form("shpat_", 32, 32, Hex),
        form("tg_", 24, 128, Token),
        form("pplx-", 40, 64, Alphanumeric),
        form("r8_", 37, 64, Alphanumeric),
        form("lin_api_", 32, 64, Alphanumeric),
        form("hvs.", 24, 255, Token),
        form("dckr_pat_", 24, 64, Token),
        form("ATATT3x", 40, 512, Padded),
        form("nvapi-", 40, 128, Token),
        form("AGE-SECRET-KEY-1", 40, 64, Upper),
    ]
};

pub(in super::super) fn find(word: &Word<'_>) -> Option<Match> {
    let bytes = word.rest();
    // Every prefix begins so; most words do not.
    if !matches!(
        bytes[0],
        b's' | b'A'
            | b'g'
            | b'x'
            | b'y'
            | b'G'
            | b'r'
            | b'w'
            | b'n'
            | b'p'
            | b'h'
            | b'S'
            | b'd'
            | b't'
            | b'l'
    ) || word.joined == Joined::ToMore
    {
        return None;
    }
    FORMS.iter().find_map(|form| {
        let rest = bytes.strip_prefix(form.prefix)?;
        let len = rest
            .iter()
            .take_while(|byte| form.alphabet.has(**byte))
            .count();
        let trimmed = rest[..len]
            .iter()
            .rev()
            .skip_while(|byte| matches!(byte, b'.' | b'-'))
            .count();
        let is_form = (form.rest_min..=form.rest_max).contains(&trimmed)
            && (matches!(form.alphabet, Alphabet::Upper) || looks_random(&rest[..trimmed]));
        is_form.then_some(Match {
            kind: Kind::Credential,
            end: word.start + form.prefix.len() + trimmed,
            confidence: Confidence(96),
        })
    })
}

impl Alphabet {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Hex => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
            Self::Alphanumeric => byte.is_ascii_alphanumeric(),
            Self::Token => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'),
            Self::Padded => Self::Token.has(byte) || byte == b'=',
        }
    }
}

/// `sk-learn-contrib-package-name` is a name: it has no digit, or one letter all through.
fn looks_random(rest: &[u8]) -> bool {
    let digits = rest.iter().filter(|byte| byte.is_ascii_digit()).count();
    let first = rest.first();
    digits > 0 && rest.iter().any(|byte| Some(byte) != first)
        || rest.iter().any(u8::is_ascii_uppercase) && rest.iter().any(u8::is_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use crate::pii::tests::values as found;

    #[test]
    fn keys_are_found_by_their_prefix() {
        for key in [
            "sk-proj-a1B2c3D4e5F6g7H8i9J0k1L2",
            "sk-ant-api03-Zm9vYmFyYmF6cXV4-12345678",
            "AKIAIOSFODNN7EXAMPLE",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "AIzaSyA1234567890abcdefghijklmnopqrstuv",
            "xoxb-123456789012-abcdefABCDEF",
            "dckr_pat_7Kq2mP9xQ4rT7vW1bN3cD5fG6hJ",
            "ATATT3xFfGF0a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0=3F9A8B7C",
            "nvapi-a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V2w3X4y5Z6_-aB1",
            "AGE-SECRET-KEY-1QQPZRY9X8GF2TVDW0S3JN54KHCE6MUA7LQPZRY9X8GF2TVDW0S3JN54KHC",
        ] {
            assert_eq!(found(&format!("use {key}. ok")), [key]);
        }
    }

    #[test]
    fn names_that_begin_alike_are_none() {
        for text in [
            "sk-learn-contrib-package-name",
            "AKIA",
            "dapi",
            "tg_short",
            "hf_model",
            "xai-grok",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }
}
