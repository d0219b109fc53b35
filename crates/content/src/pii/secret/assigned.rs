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
    let (kind, name_end) = name(word)?;
    let (start, sign) = value_start(word.bytes(), name_end)?;
    Some(Assigned { start, kind, sign })
}

/// The value, if it reads like one.
pub(in super::super) fn value(bytes: &[u8], assigned: Assigned) -> Option<Match> {
    let Assigned { start, kind, sign } = assigned;
    let quote = *bytes.get(start.checked_sub(1)?)?;
    let is_quoted = matches!(quote, b'"' | b'\'' | b'`');
    let ends_value = |byte: u8| match quote {
        b'"' | b'\'' | b'`' => byte == quote || byte == b'\n',
        _ => byte.is_ascii_whitespace() || b";,\"'`<&)}".contains(&byte),
    };
    let len = bytes[start..]
        .iter()
        .take_while(|byte| !ends_value(**byte))
        .count();
    let mut value = &bytes[start..start + len];
    while !is_quoted && matches!(value.last(), Some(b'.' | b'!' | b'?' | b':')) {
        value = &value[..value.len() - 1];
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
            ("password: hunter2!", "hunter2"),
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
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }
}
