//! What stands behind the name of an authentication scheme: `Bearer …`, `Basic …`.

/// What a value must look like.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scheme {
    /// `Authorization: Bearer …` (RFC 6750).
    Bearer,
    /// `Authorization: Basic …`: a name and a password in base64 (RFC 7617).
    Basic,
}

/// A shorter word behind `bearer` is none of a machine's.
const TOKEN_BYTES_MIN: usize = 16;

impl Scheme {
    /// Of a word, where the name of a scheme stands.
    pub(super) fn named(word: &[u8]) -> Option<Self> {
        if word.eq_ignore_ascii_case(b"bearer") {
            return Some(Self::Bearer);
        }
        word.eq_ignore_ascii_case(b"basic").then_some(Self::Basic)
    }

    /// The length of the token that `value` begins with.
    pub(super) fn token(self, value: &[u8]) -> Option<usize> {
        let is_of_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
        let length = value.iter().take_while(|byte| is_of_token(byte)).count();
        let token = &value[..length];
        let is_token = match self {
            // What is known by its form is found as what it is.
            Self::Bearer => {
                length >= TOKEN_BYTES_MIN
                    && !token.starts_with(b"eyJ")
                    && token.iter().any(u8::is_ascii_digit)
            }
            Self::Basic => is_name_and_password(token),
        };
        is_token.then_some(length)
    }
}

/// In base64: characters that can be read, and a colon among them.
fn is_name_and_password(token: &[u8]) -> bool {
    const BYTES_MIN: usize = 6;
    let token = token.strip_suffix(b"=").unwrap_or(token);
    let token = token.strip_suffix(b"=").unwrap_or(token);
    let (mut bits, mut count, mut has_colon) = (0u32, 0, false);
    for byte in token {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return false,
        };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            let decoded = (bits >> count & 0xFF) as u8;
            if decoded.is_ascii_control() {
                return false;
            }
            has_colon |= decoded == b':';
        }
    }
    has_colon && token.len() >= BYTES_MIN
}
