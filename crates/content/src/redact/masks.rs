//! Placeholders of one conversation, and the values that they stand for.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::pii::Kind;

/// Values that one conversation may have masked.
const VALUES_MAX: usize = 10_000;

/// A client sends the whole conversation with each call, so placeholders are numbered by first
/// occurrence and nothing is kept between calls.
#[derive(Debug, Default)]
pub struct Masks {
    /// By kind, as placeholders have it, and value.
    placeholders: HashMap<(Arc<str>, Arc<str>), Arc<str>>,
    values: HashMap<Arc<str>, Arc<str>>,
    /// By kind, the last number given out.
    last: HashMap<Arc<str>, u32>,
    /// The greatest number that the client itself wrote with a kind that is none of ours.
    last_of_others: u32,
}

impl Masks {
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// How many values it has masked.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Keeps away from what a text says of its own accord: a client that writes `<EMAIL_1>` shall
    /// not read someone's address in the answer.
    pub fn avoid(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find('<') {
            rest = &rest[at + 1..];
            let Some((kind, number)) = read(rest) else {
                continue;
            };
            // Analyzers have kinds of their own: one number for all of them has a bound.
            let last = match ours(kind) {
                true => self.last.entry(kind.into()).or_default(),
                false => &mut self.last_of_others,
            };
            *last = (*last).max(number);
        }
    }

    /// The value's placeholder; `None` past the bound.
    pub fn placeholder(&mut self, kind: Kind, value: &str) -> Option<Arc<str>> {
        self.named(&kind.as_str().to_ascii_uppercase(), value)
    }

    /// The same, of a kind that somebody else found, by any name.
    pub fn placeholder_of(&mut self, kind: &str, value: &str) -> Option<Arc<str>> {
        let name = kind.chars().take(KIND_BYTES_MAX).map(|char| match char {
            'a'..='z' => char.to_ascii_uppercase(),
            'A'..='Z' | '0'..='9' => char,
            _ => '_',
        });
        self.named(&name.collect::<String>(), value)
    }

    fn named(&mut self, kind: &str, value: &str) -> Option<Arc<str>> {
        let key = (Arc::<str>::from(kind), Arc::<str>::from(value));
        if let Some(placeholder) = self.placeholders.get(&key) {
            return Some(placeholder.clone());
        }
        if self.values.len() >= VALUES_MAX {
            return None;
        }
        let first = if ours(kind) { 0 } else { self.last_of_others };
        let last = self.last.entry(key.0.clone()).or_insert(first);
        *last = last.checked_add(1)?;
        let placeholder: Arc<str> = format!("<{kind}_{last}>").into();
        self.values.insert(placeholder.clone(), key.1.clone());
        self.placeholders.insert(key, placeholder.clone());
        Some(placeholder)
    }

    /// What `placeholder`, brackets and all, stands for.
    pub fn value(&self, placeholder: &str) -> Option<&str> {
        self.values.get(placeholder).map(|value| &**value)
    }
}

impl Masks {
    /// Where a text has placeholders that stand for something.
    pub fn places(&self, text: &str) -> Vec<Range<usize>> {
        let mut places = Vec::new();
        if self.is_empty() {
            return places;
        }
        for (at, _) in text.match_indices('<') {
            let end = text[at..]
                .bytes()
                .take(PLACEHOLDER_BYTES_MAX)
                .position(|byte| byte == b'>');
            let place = at..end.map_or(at, |end| at + end + 1);
            if self.value(&text[place.clone()]).is_some() {
                places.push(place);
            }
        }
        places
    }
}

/// Longest placeholder in bytes: `<CONNECTION_STRING_4294967295>`.
pub(super) const PLACEHOLDER_BYTES_MAX: usize = 32;
/// What is left of that for a kind.
const KIND_BYTES_MAX: usize = 19;

/// A kind that this process finds.
fn ours(kind: &str) -> bool {
    let known = |ours: &Kind| ours.as_str().eq_ignore_ascii_case(kind);
    Kind::ALL.iter().any(known)
}

/// `EMAIL_1>` behind its opening bracket: kind and number.
fn read(text: &str) -> Option<(&str, u32)> {
    let len = text
        .bytes()
        .take(PLACEHOLDER_BYTES_MAX)
        .position(|byte| byte == b'>')?;
    let (name, number) = text[..len].rsplit_once('_')?;
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
    let number = number.parse().ok().filter(|_| is_number)?;
    let may_stand = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let is_kind = !name.is_empty() && name.bytes().all(may_stand);
    is_kind.then_some((name, number))
}
