//! What secrets are called.

use super::super::Kind;
use super::super::text::is_word_at;
use super::looks::Looks;

/// A name in a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: Kind,
    /// What a value must look like that is called so.
    pub(super) looks: Looks,
    /// `Authorization`: a word may stand before the value.
    pub(super) has_scheme: bool,
}

/// In lower case. Between their words may stand nothing, a space, `_` or `-`. Names that other things have
/// too ask more of the value.
const NAMES: &[(&str, Kind, Looks)] = {
    use Kind::{ConnectionString, Credential};
    use Looks::{Any, LikeToken, Mixed, MixedInCode, NoPath};
    &[
        ("password", Credential, Any),
        ("passwd", Credential, Any),
        ("pwd", ConnectionString, NoPath),
        ("pw", Credential, Any),
        ("pgpassword", Credential, Any),
        ("passphrase", Credential, Any),
        ("passwort", Credential, Any),
        ("kennwort", Credential, Any),
        ("contrasena", Credential, Any),
        ("contraseña", Credential, Any),
        ("mot de passe", Credential, Any),
        ("mdp", Credential, Any),
        ("passe", Credential, Any),
        ("pass", Credential, MixedInCode),
        ("clave", Credential, Mixed),
        ("clave api", Credential, Any),
        ("secret", Credential, Any),
        ("client secret", Credential, Any),
        ("secret key base", Credential, Any),
        ("secret key", Credential, Any),
        ("secret access key", Credential, Any),
        ("aws secret access key", Credential, Any),
        ("api key", Credential, Any),
        ("api schlüssel", Credential, Any),
        ("clé api", Credential, Any),
        ("chiave api", Credential, Any),
        ("access key", Credential, Any),
        ("access token", Credential, Any),
        ("auth token", Credential, Any),
        ("refresh token", Credential, Any),
        ("token", Credential, LikeToken { bytes_min: 8 }),
        ("key", Credential, LikeToken { bytes_min: 12 }),
        ("sig", Credential, LikeToken { bytes_min: 20 }),
        ("amz signature", Credential, LikeToken { bytes_min: 20 }),
        (AUTHORIZATION, Credential, LikeToken { bytes_min: 16 }),
        ("identified by", Credential, Any),
        ("account key", ConnectionString, Any),
        ("shared access key", ConnectionString, Any),
        ("shared access signature", ConnectionString, Any),
    ]
};

const AUTHORIZATION: &str = "authorization";

/// Tokens and keys that are shown to everybody.
const PUBLIC: [&[u8]; 6] = [
    b"public",
    b"cache",
    b"idempotency",
    b"next",
    b"page",
    b"continuation",
];

/// What begins at a place.
pub(super) enum Reading {
    Nothing,
    /// A name whose end is still to come.
    Open,
    Name(Name),
}

/// The longest name that begins at `start`.
pub(super) fn read(bytes: &[u8], start: usize) -> Reading {
    let mut longest = Reading::Nothing;
    for &(name, kind, looks) in NAMES {
        match end_of(name.as_bytes(), &bytes[start..]) {
            None => {}
            Some(End::ToCome) => return Reading::Open,
            Some(End::At(len)) => {
                let end = start + len;
                if matches!(longest, Reading::Name(Name { end: other, .. }) if other >= end) {
                    continue;
                }
                longest = Reading::Name(Name {
                    start,
                    end,
                    kind,
                    looks,
                    has_scheme: name == AUTHORIZATION,
                });
            }
        }
    }
    match longest {
        Reading::Name(name) if name.looks.is_of_token() && is_public(&bytes[..start]) => {
            Reading::Nothing
        }
        other => other,
    }
}

enum End {
    ToCome,
    At(usize),
}

/// Where `name` ends that `bytes` begin with. `password_hash` is no `password`.
fn end_of(name: &[u8], bytes: &[u8]) -> Option<End> {
    let mut at = 0;
    for &expected in name {
        match bytes.get(at) {
            None => return Some(End::ToCome),
            Some(byte) if expected == b' ' => at += usize::from(b" _-".contains(byte)),
            Some(byte) if byte.to_ascii_lowercase() == expected => at += 1,
            Some(_) => return None,
        }
    }
    let joint = bytes[at..].iter().take_while(|byte| b"_-".contains(byte));
    let after = at + joint.count();
    if after == bytes.len() {
        return Some(End::ToCome);
    }
    (!is_word_at(bytes, after)).then_some(End::At(after))
}

fn is_public(before: &[u8]) -> bool {
    let before = before.strip_suffix(b"_").unwrap_or(before);
    let before = before.strip_suffix(b"-").unwrap_or(before);
    let before = before.strip_suffix(b" ").unwrap_or(before);
    PUBLIC.iter().any(|word| {
        let from = before.len().checked_sub(word.len());
        from.is_some_and(|from| before[from..].eq_ignore_ascii_case(word))
    })
}
