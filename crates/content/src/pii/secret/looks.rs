//! What a value looks like: a secret, a word, or a program's code.

/// How much a value must look like a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looks {
    Any,
    /// Anything but a directory.
    NoPath,
    /// Digits and letters, and not as a passport's number has them.
    Mixed,
    /// The same in quotes or behind `=` only: `Pass: C01X00T47`, `PASS: TestLogin2`.
    MixedInCode,
    /// As machines make them.
    LikeToken {
        bytes_min: usize,
    },
}

const MIXED_BYTES_MIN: usize = 6;

impl Looks {
    pub(super) fn admits(self, value: &[u8], is_said: bool) -> bool {
        match self {
            Self::Any => true,
            Self::NoPath => !value.starts_with(b"/"),
            Self::MixedInCode if is_said => false,
            // What is known by its form is found as what it is.
            _ if value.starts_with(b"eyJ") => false,
            Self::Mixed | Self::MixedInCode => is_mixed(value),
            Self::LikeToken { bytes_min } => value.len() >= bytes_min && is_like_token(value),
        }
    }

    pub(super) fn is_of_token(self) -> bool {
        matches!(self, Self::LikeToken { .. })
    }
}

pub(super) fn is_mixed(value: &[u8]) -> bool {
    value.len() >= MIXED_BYTES_MIN
        && value.iter().any(u8::is_ascii_digit)
        && value.iter().any(u8::is_ascii_alphabetic)
        && value
            .iter()
            .any(|byte| !byte.is_ascii_uppercase() && !byte.is_ascii_digit())
}

/// Letters and digits that take turns, and no words: `user_123`, `images/a1b2c3.png`, `PROJ-1234`.
fn is_like_token(value: &[u8]) -> bool {
    const TURNS_MIN: usize = 3;
    const WORD_BYTES_MIN: usize = 5;
    let is_of_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=%".contains(byte);
    let is_turn = |pair: &&[u8]| {
        pair[0].is_ascii_digit() && pair[1].is_ascii_alphabetic()
            || pair[0].is_ascii_alphabetic() && pair[1].is_ascii_digit()
            || pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase()
    };
    let is_word = |part: &[u8]| {
        part.len() >= WORD_BYTES_MIN
            && (part.iter().all(u8::is_ascii_lowercase) || part.iter().all(u8::is_ascii_uppercase))
    };
    value.iter().all(is_of_token)
        && value.iter().any(u8::is_ascii_digit)
        && value.windows(2).filter(is_turn).count() >= TURNS_MIN
        && !value
            .split(|byte| !byte.is_ascii_alphanumeric())
            .any(is_word)
        && !is_uuid(value)
}

fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36
        && value.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// `password: required`: in a sentence a secret has a digit or a sign in it, or changes case.
pub(super) fn reads_as_word(value: &[u8]) -> bool {
    let tail = &value[1..];
    value
        .iter()
        .all(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80)
        && (tail.iter().all(|byte| !byte.is_ascii_uppercase()))
}

/// What stands around a value without quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    /// `name = value`: configurations rarely have spaces there, programs mostly.
    pub(super) is_spaced: bool,
    /// `=` or its like, not `:`.
    pub(super) is_assigned: bool,
    pub(super) after: Option<u8>,
    /// `<T`.
    pub(super) is_generic: bool,
}

/// Whether a value without quotes is a program's: a literal, a name, a path of names, or a call.
pub(super) fn is_code(value: &[u8], around: Around) -> bool {
    if value.starts_with(b"(") || is_path_of_files(value) {
        return true;
    }
    let (bare, is_marked) = match value {
        // A reference, a YAML tag, a statement's parameter.
        [b'&' | b'*' | b'!' | b'@' | b':', bare @ ..] => (bare, true),
        _ => (value, false),
    };
    let is_of_path = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.:?".contains(byte);
    let len = bare.iter().take_while(|byte| is_of_path(byte)).count();
    let (path, rest) = bare.split_at(len);
    // TypeScript's `a.b!` is never null.
    let rest = if rest == b"!" && is_path(path) {
        b""
    } else {
        rest
    };
    if !path.first().is_some_and(|byte| is_of_name(*byte)) {
        return false;
    }
    let has_digit = path.iter().any(u8::is_ascii_digit);
    match rest {
        [b'(' | b'[', ..] => return !has_digit || !path.iter().any(u8::is_ascii_uppercase),
        [b'-', b'>', ..] => return !has_digit,
        [] if has_digit => return false,
        [] => {}
        _ => return false,
    }
    is_marked || is_path(path) || is_literal(path) || may_be_name(path, around)
}

/// `/usr/local`, `kubernetes.io/tls`.
fn is_path_of_files(value: &[u8]) -> bool {
    value.contains(&b'/')
        && value
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || b"/._-".contains(byte))
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

/// `a.b.C_D`, `a::b`, `a?.b`.
fn is_path(path: &[u8]) -> bool {
    let is_joint = |byte: &u8| b".:?".contains(byte);
    let is_joined = |pair: &[u8]| is_joint(&pair[0]) && is_of_name(pair[1]);
    path.windows(2).any(is_joined) && path.last().is_some_and(|byte| is_of_name(*byte))
}

const LITERALS: [&[u8]; 10] = [
    b"true",
    b"false",
    b"null",
    b"none",
    b"nil",
    b"undefined",
    b"void",
    b"await",
    b"string",
    b"empty",
];

pub(super) fn is_literal(value: &[u8]) -> bool {
    LITERALS
        .iter()
        .any(|literal| value.eq_ignore_ascii_case(literal))
}

/// A single name: where a program has one, and a configuration none.
fn may_be_name(name: &[u8], around: Around) -> bool {
    if !name.iter().all(|byte| is_of_name(*byte)) {
        return false;
    }
    match around.after {
        Some(b'<') => around.is_generic,
        Some(b')' | b',' | b'}') => true,
        Some(b';') => !around.is_assigned || around.is_spaced,
        _ => around.is_spaced,
    }
}
