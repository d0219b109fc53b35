//! Values that are called a secret: `password: …`, `AccountKey=…`, `"client_secret": "…"`.

use super::super::scan::Match;
use super::super::text::Word;
use super::super::{Confidence, Kind};
use super::url::is_placeholder;

/// A secret's name, without case, `_` and `-`; and what its value is.
const NAMES: &[(&[u8], Kind)] = &[
    (b"password", Kind::Credential),
    (b"passwd", Kind::Credential),
    (b"pwd", Kind::ConnectionString),
    (b"passphrase", Kind::Credential),
    (b"passwort", Kind::Credential),
    (b"kennwort", Kind::Credential),
    (b"contrasena", Kind::Credential),
    ("contraseña".as_bytes(), Kind::Credential),
    (b"motdepasse", Kind::Credential),
    (b"passe", Kind::Credential),
    (b"secret", Kind::Credential),
    (b"clientsecret", Kind::Credential),
    (b"apikey", Kind::Credential),
    (b"accesskey", Kind::Credential),
    (b"secretkey", Kind::Credential),
    (b"secretaccesskey", Kind::Credential),
    (b"awssecretaccesskey", Kind::Credential),
    (b"accesstoken", Kind::Credential),
    (b"authtoken", Kind::Credential),
    (b"refreshtoken", Kind::Credential),
    (b"accountkey", Kind::ConnectionString),
    (b"sharedaccesskey", Kind::ConnectionString),
    (b"sharedaccesssignature", Kind::ConnectionString),
];

const NAME_BYTES_MAX: usize = 24;
/// A value's start is looked for this far behind its name.
const GAP_BYTES_MAX: usize = 12;

/// A name was read; its value stands at `start`.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Assigned {
    pub(in super::super) start: usize,
    kind: Kind,
    /// `=`, `:`, or a space where a verb stands between.
    sign: u8,
    scheme: Scheme,
}

/// What a value must look like.
#[derive(Clone, Copy, Debug)]
enum Scheme {
    Any,
    /// `Authorization: Bearer …` (RFC 6750).
    Bearer,
    /// `Authorization: Basic …`: a name and a password in base64 (RFC 7617).
    Basic,
}

/// A shorter word behind `bearer` is none of a machine's.
const TOKEN_BYTES_MIN: usize = 16;

impl Scheme {
    /// Of a word, where the name of a scheme stands.
    fn named(word: &[u8]) -> Option<Self> {
        if word.eq_ignore_ascii_case(b"bearer") {
            return Some(Self::Bearer);
        }
        word.eq_ignore_ascii_case(b"basic").then_some(Self::Basic)
    }

    /// The length of the token that `value` begins with.
    fn token(self, value: &[u8]) -> Option<usize> {
        let is_of_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
        let length = value.iter().take_while(|byte| is_of_token(byte)).count();
        let token = &value[..length];
        let is_token = match self {
            Self::Any => true,
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

/// `next=…`, of what stands behind a `&` in an address.
fn begins_parameter(rest: &[u8]) -> bool {
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
    let length = rest.iter().take_while(|byte| is_of_name(byte)).count();
    length > 0 && rest.get(length) == Some(&b'=')
}

impl Assigned {
    /// The first `bytes` of the text are gone.
    pub(in super::super) fn shifted(self, bytes: usize) -> Option<Self> {
        let start = self.start.checked_sub(bytes)?;
        Some(Self { start, ..self })
    }
}

/// `word` begins the name.
pub(in super::super) fn find(word: &Word<'_>) -> Option<Assigned> {
    if let Some(scheme) = Scheme::named(word.as_bytes()) {
        let spaces = word.bytes()[word.end..].iter();
        let spaces = spaces.take_while(|byte| **byte == b' ').count();
        return (1..=GAP_BYTES_MAX).contains(&spaces).then_some(Assigned {
            start: word.end + spaces,
            kind: Kind::Credential,
            sign: b' ',
            scheme,
        });
    }
    let (kind, name_end) = name(word)?;
    let (start, sign) = value_start(word.bytes(), name_end)?;
    Some(Assigned {
        start,
        kind,
        sign,
        scheme: Scheme::Any,
    })
}

/// What its value stands between, if anything.
fn quote_of(bytes: &[u8], assigned: Assigned) -> Option<u8> {
    let before = *bytes.get(assigned.start.checked_sub(1)?)?;
    matches!(before, b'"' | b'\'' | b'`').then_some(before)
}

/// Where the value ends, as far as it has come.
fn length(rest: &[u8], quote: Option<u8>) -> usize {
    let ends_value = |at: usize, byte: u8| match quote {
        Some(quote) => byte == quote || byte == b'\n',
        None if byte == b'&' => begins_parameter(&rest[at + 1..]),
        None => byte.is_ascii_whitespace() || b";,\"'`<)}".contains(&byte),
    };
    (0..rest.len())
        .find(|at| ends_value(*at, rest[*at]))
        .unwrap_or(rest.len())
}

/// Whether the value is in quotes that are still to be closed: what it is cannot be told yet.
pub(in super::super) fn is_open(bytes: &[u8], assigned: Assigned) -> bool {
    let rest = &bytes[assigned.start..];
    let quote = quote_of(bytes, assigned);
    quote.is_some() && length(rest, quote) == rest.len()
}

/// The value, if it reads like one.
pub(in super::super) fn value(bytes: &[u8], assigned: Assigned) -> Option<Match> {
    let Assigned {
        start,
        kind,
        sign,
        scheme,
    } = assigned;
    let quote = quote_of(bytes, assigned);
    let is_quoted = quote.is_some();
    let rest = &bytes[start..];
    let len = length(rest, quote);
    let mut value = &rest[..len];
    // A sentence ends there; before anything else, a full stop is the secret's own.
    let ends_sentence = rest.get(len).is_none_or(u8::is_ascii_whitespace);
    while !is_quoted && ends_sentence && matches!(value.last(), Some(b'.' | b':')) {
        value = &value[..value.len() - 1];
    }
    if let Scheme::Bearer | Scheme::Basic = scheme {
        return scheme.token(value).map(|length| Match {
            kind,
            end: start + length,
            confidence: Confidence(90),
        });
    }
    let is_said = sign != b'=' && !is_quoted;
    if value.len() < 4 || is_placeholder(value) || is_said && reads_as_word(value) {
        return None;
    }
    Some(Match {
        kind,
        end: start + value.len(),
        confidence: Confidence(if is_said { 75 } else { 85 }),
    })
}

/// The name that begins at `word`, with `_` and `-` left out.
fn name(word: &Word<'_>) -> Option<(Kind, usize)> {
    let bytes = word.rest();
    if !matches!(
        bytes[0] | 0x20,
        b'p' | b'k' | b'c' | b'm' | b's' | b'a' | b'r'
    ) {
        return None;
    }
    let mut name = [0; NAME_BYTES_MAX];
    let mut len = 0;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let is_joint = matches!(byte, b'_' | b'-')
            || *byte == b' ' && matches!(&name[..len], b"mot" | b"motde" | b"api");
        if byte.is_ascii_alphabetic() || *byte >= 0x80 {
            *name.get_mut(len)? = byte.to_ascii_lowercase();
            len += 1;
        } else if !is_joint || len == 0 {
            break;
        }
        at += 1;
    }
    let known = NAMES.iter().find(|(known, _)| *known == &name[..len])?;
    Some((known.1, word.start + at))
}

const VERBS: [&[u8]; 5] = [b" is ", b" ist ", b" est ", b" es ", b" lautet "];

/// Behind `=`, `:`, ` is ` or their like, and an opening quote.
fn value_start(bytes: &[u8], name_end: usize) -> Option<(usize, u8)> {
    let window = &bytes[name_end..bytes.len().min(name_end + GAP_BYTES_MAX)];
    let mut at = 0;
    let mut sign = None;
    while let Some(&byte) = window.get(at) {
        match byte {
            b'=' | b':' if sign.is_none() || sign == Some(byte) => sign = Some(byte),
            b'>' if sign == Some(b'=') => {}
            b'"' | b'\'' | b'`' if sign.is_none() => {}
            b'"' | b'\'' | b'`' => {
                at += 1;
                break;
            }
            b' ' if sign.is_none() => {
                let verb = VERBS.iter().find(|verb| window[at..].starts_with(verb));
                if let Some(verb) = verb {
                    sign = Some(b' ');
                    at += verb.len();
                    if matches!(window.get(at), Some(b'"' | b'\'' | b'`')) {
                        at += 1;
                    }
                    break;
                }
            }
            b' ' => {}
            _ => break,
        }
        at += 1;
    }
    let start = name_end + at;
    sign.filter(|_| start < bytes.len())
        .map(|sign| (start, sign))
}

/// `password: required`: in a sentence a secret has a digit or a sign in it, or changes case.
fn reads_as_word(value: &[u8]) -> bool {
    let tail = &value[1..];
    value
        .iter()
        .all(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80)
        && (tail.iter().all(|byte| !byte.is_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use crate::pii::tests::values as found;

    #[test]
    fn what_is_called_a_secret_is_one() {
        for (text, secret) in [
            ("password: hunter2!", "hunter2!"),
            ("Password=Pa55word!;x", "Pa55word!"),
            ("password: Tr0ub4dor&3", "Tr0ub4dor&3"),
            ("/login?password=a1b2&c3&next=/home", "a1b2&c3"),
            ("pwd is correct-horse-battery!!", "correct-horse-battery!!"),
            ("Pwd=Xy12zz.;Timeout=5", "Xy12zz."),
            (
                "Authorization: Bearer 8f14e45fceea167a5a36dedd4bea2543",
                "8f14e45fceea167a5a36dedd4bea2543",
            ),
            (
                r#"{"Authorization": "Basic YWRtaW46aHVudGVyMg=="}"#,
                "YWRtaW46aHVudGVyMg==",
            ),
            (
                "curl -H 'authorization: bearer ab12CD34ef56GH78'.",
                "ab12CD34ef56GH78",
            ),
            ("PASSWORD=Correct-Horse", "Correct-Horse"),
            (r#"{"client_secret": "a8Qzz9"}"#, "a8Qzz9"),
            ("my password is Tr0ub4dor", "Tr0ub4dor"),
            ("Das Passwort ist Geheim123.", "Geheim123"),
            ("le mot de passe est Soleil42", "Soleil42"),
            ("contraseña: Luna2024", "Luna2024"),
            ("Endpoint=sb://x/;SharedAccessKey=abc123DEF=;", "abc123DEF="),
            ("Server=db;User Id=sa;Pwd=Xy12zz;", "Xy12zz"),
            ("api key: 9f8e7d6c5b", "9f8e7d6c5b"),
        ] {
            assert_eq!(found(text), [secret], "{text}");
        }
    }

    #[test]
    fn talk_about_secrets_is_none() {
        for text in [
            "password: required",
            "Your password must be long",
            "password=${DB_PASSWORD}",
            "password=********",
            "the secret is out",
            "passwords are hashed",
            "Pass: 12",
            "the bearer of this letter, bearer responsibilities",
            "Basic authentication, basic information12345",
            "Authorization: Bearer <token>",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }
}
