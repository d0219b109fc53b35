//! Values that are called a secret: `password: …`, `AccountKey=…`, `"client_secret": "…"`.

use super::super::scan::Match;
use super::super::text::Word;
use super::super::{Confidence, Kind};
use super::gap::{self, Place, Sign};
use super::looks::{Around, Looks, is_code, is_literal, is_mixed, reads_as_word};
use super::name::{self, Reading};
use super::quote::{Quote, typographic};
use super::scheme::Scheme;
use super::url::is_placeholder;

/// Between the name of a scheme and its token.
const SPACES_MAX: usize = 12;
/// A shorter value is none.
const VALUE_BYTES_MIN: usize = 4;

/// A value without quotes is judged by as much: each name in a long one would read it to its end.
const JUDGED_BYTES_MAX: usize = 512;

/// A name was read; its value stands at `start`.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Assigned {
    pub(in super::super) start: usize,
    /// Where what gave it begins.
    name: usize,
    pub(in super::super) quote: Option<Quote>,
    kind: Kind,
    form: Form,
}

/// What a value must be.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// Of what was called so.
    Called {
        sign: Sign,
        looks: Looks,
        is_emphasized: bool,
    },
    /// Of an authentication scheme.
    Token(Scheme),
}

/// What a word says of the value behind it.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Named {
    pub(in super::super) value: Option<Assigned>,
    /// What is still to come may say otherwise.
    pub(in super::super) is_open: bool,
}

/// `word` begins the name.
pub(in super::super) fn find(word: &Word<'_>) -> Named {
    let bytes = word.bytes();
    if let Some(scheme) = Scheme::named(word.as_bytes()) {
        let spaces = bytes[word.end..].iter();
        let spaces = spaces.take_while(|byte| **byte == b' ').count();
        let value = Assigned {
            start: word.end + spaces,
            name: word.start,
            quote: None,
            kind: Kind::Credential,
            form: Form::Token(scheme),
        };
        return Named {
            value: (1..=SPACES_MAX).contains(&spaces).then_some(value),
            is_open: false,
        };
    }
    let name = match name::read(bytes, word.start) {
        Reading::Name(name) => name,
        Reading::Open => {
            return Named {
                value: None,
                is_open: true,
            };
        }
        Reading::Nothing => return Named::default(),
    };
    let gap = gap::read(bytes, &name);
    let called = |place: Place| Assigned {
        start: place.start,
        name: name.start,
        quote: place.quote,
        kind: name.kind,
        form: Form::Called {
            sign: place.sign,
            looks: name.looks,
            is_emphasized: place.is_emphasized,
        },
    };
    Named {
        value: gap.place.map(called),
        is_open: gap.is_open,
    }
}

impl Assigned {
    /// The name and password of `-u admin:…`, or the password of `-p…`: what is behind them.
    pub(super) fn option(dash: usize, start: usize) -> Self {
        Self {
            start,
            name: dash,
            quote: None,
            kind: Kind::Credential,
            form: Form::Called {
                sign: Sign::Argument,
                looks: Looks::Mixed,
                is_emphasized: false,
            },
        }
    }

    /// The first `bytes` of the text are gone.
    pub(in super::super) fn shifted(self, bytes: usize) -> Option<Self> {
        let start = self.start.checked_sub(bytes)?;
        let name = self.name.saturating_sub(bytes);
        Some(Self {
            start,
            name,
            ..self
        })
    }

    /// Whether it counts, and not what a name says that begins between this one's begin and the value:
    /// `accessToken`. Unless that asks less of the value: `key: password="…"`.
    pub(in super::super) fn outweighs(self, other: Option<Self>, at: usize) -> bool {
        let asks_more = other.is_some_and(|other| other.is_certain() && !self.is_certain());
        self.name < at && at < self.start && !asks_more
    }

    /// Any value will do.
    fn is_certain(self) -> bool {
        matches!(
            self.form,
            Form::Called {
                looks: Looks::Any | Looks::NoPath,
                ..
            }
        )
    }

    /// Whether the value is in quotes that are still to be closed: what it is cannot be told yet.
    pub(in super::super) fn is_open(self, bytes: &[u8]) -> bool {
        self.quote
            .is_some_and(|quote| quote.end(&bytes[self.start..]).is_none())
    }

    /// The value, if it reads like one.
    pub(in super::super) fn value(self, bytes: &[u8]) -> Option<Match> {
        let rest = &bytes[self.start..];
        let near = &rest[..rest.len().min(JUDGED_BYTES_MAX)];
        let is_long = self.quote.is_none() && near.len() < rest.len() && bare_end(near).is_none();
        let value = match self.quote {
            Some(quote) => &rest[..quote.end(rest).unwrap_or(rest.len())],
            None => bare(near),
        };
        let (sign, looks, is_emphasized) = match self.form {
            Form::Called {
                sign,
                looks,
                is_emphasized,
            } => (sign, looks, is_emphasized),
            Form::Token(scheme) => {
                let length = scheme.token(value)?;
                return Some(self.found(length, Confidence(90)));
            }
        };
        let emphasis = value.iter().rev().take_while(|byte| **byte == b'*').count();
        let value = &value[..value.len() - if is_emphasized { emphasis } else { 0 }];
        let is_assigned = matches!(sign, Sign::Assign { .. } | Sign::Argument);
        let is_said = !is_assigned && self.quote.is_none();
        let is_below = sign == Sign::SayBelow && self.quote.is_none();
        let around = Around {
            is_spaced: sign == Sign::Assign { is_spaced: true },
            is_assigned,
            after: rest.get(value.len()).copied(),
            is_generic: rest
                .get(value.len() + 1)
                .is_some_and(u8::is_ascii_alphabetic),
        };
        let is_none = value.len() < VALUE_BYTES_MIN
            || is_placeholder(value)
            || is_literal(value)
            || is_said && reads_as_word(value)
            || self.quote.is_none() && !is_long && is_code(value, around)
            || (is_below || sign == Sign::Argument) && !is_mixed(value)
            // The next name.
            || is_below && rest.get(value.len()) == Some(&b':')
            || !looks.admits(value, is_said);
        let confidence = Confidence(if is_said { 75 } else { 85 });
        let whole = || if is_long { bare(rest) } else { value };
        (!is_none).then(|| self.found(whole().len(), confidence))
    }

    fn found(self, length: usize, confidence: Confidence) -> Match {
        Match {
            kind: self.kind,
            end: self.start + length,
            confidence,
        }
    }
}

/// What `rest` begins with up to where a value without quotes ends.
fn bare(rest: &[u8]) -> &[u8] {
    let mut value = &rest[..bare_end(rest).unwrap_or(rest.len())];
    // A sentence ends there; before anything else, a full stop is the secret's own.
    let ends_sentence = rest.get(value.len()).is_none_or(u8::is_ascii_whitespace);
    while ends_sentence && matches!(value.last(), Some(b'.' | b':')) {
        value = &value[..value.len() - 1];
    }
    value
}

fn bare_end(rest: &[u8]) -> Option<usize> {
    let ends_value = |at: usize, byte: u8| match byte {
        b'&' => begins_parameter(&rest[at + 1..]),
        b'\\' => matches!(rest.get(at + 1), Some(b'n' | b'r' | b't' | b'"' | b'\'')),
        0xc2 | 0xe2 => typographic(&rest[at..]).is_some(),
        _ => byte.is_ascii_whitespace() || b";,\"'`<)}".contains(&byte),
    };
    (0..rest.len()).find(|at| ends_value(*at, rest[*at]))
}

/// `next=…`, of what stands behind a `&` in an address.
fn begins_parameter(rest: &[u8]) -> bool {
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
    let length = rest.iter().take_while(|byte| is_of_name(byte)).count();
    length > 0 && rest.get(length) == Some(&b'=')
}

#[cfg(test)]
mod tests;
