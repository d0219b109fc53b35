//! Placeholders of one conversation, and the values that they stand for.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::pii::Kind;

use super::spelling::{self, Spelling};
use super::written::{self, PLACEHOLDER_BYTES_MAX};

/// Values that one conversation may have masked.
const VALUES_MAX: usize = 10_000;

/// A client sends the whole conversation with each call, so placeholders are numbered by first
/// occurrence and nothing is kept between calls.
///
/// All spellings of one value in a prompt have one placeholder, so that a model does not take one
/// person for several; what is put back for it is the first of them. What an answer spells its own way
/// comes back as it was.
#[derive(Debug, Default)]
pub struct Masks {
    /// By kind, as placeholders have it, and value.
    placeholders: HashMap<(Arc<str>, Arc<str>), Arc<str>>,
    /// By kind and what all spellings have in common, of kinds that have several.
    alike: HashMap<(Kind, String), Arc<str>>,
    /// By name: `EMAIL_1`.
    values: HashMap<Arc<str>, Spelling>,
    /// By kind, the last number given out.
    last: HashMap<Arc<str>, u32>,
    /// The greatest number that the client itself wrote with a kind that is none of ours.
    last_of_others: u32,
    is_answer: bool,
}

impl Masks {
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// How many values it has masked.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// What is masked from now on is of the answer.
    pub fn begin_answer(&mut self) {
        self.is_answer = true;
    }

    /// Keeps away from what a text says of its own accord: a client that writes `<EMAIL_1>` shall
    /// not read someone's address in the answer.
    pub fn avoid(&mut self, text: &str) {
        for (_, written) in written::all(text) {
            let Some((kind, number)) = numbered(&written.name) else {
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
    pub(super) fn placeholder(&mut self, kind: Kind, value: Spelling) -> Option<Arc<str>> {
        let name = kind.as_str().to_ascii_uppercase();
        let alike = spelling::alike(kind, &value.meaning()).filter(|_| !self.is_answer);
        let Some(alike) = alike.map(|alike| (kind, alike)) else {
            return self.named(&name, value);
        };
        if let Some(placeholder) = self.alike.get(&alike) {
            return Some(placeholder.clone());
        }
        let placeholder = self.named(&name, value)?;
        self.alike.insert(alike, placeholder.clone());
        Some(placeholder)
    }

    /// The same, of a kind that somebody else found, by any name.
    pub fn placeholder_of(&mut self, kind: &str, value: &str) -> Option<Arc<str>> {
        let name = kind.chars().take(KIND_BYTES_MAX).map(|char| match char {
            'a'..='z' => char.to_ascii_uppercase(),
            'A'..='Z' | '0'..='9' => char,
            _ => '_',
        });
        self.named(&name.collect::<String>(), Spelling::of_anybody(value))
    }

    fn named(&mut self, kind: &str, value: Spelling) -> Option<Arc<str>> {
        let key = (Arc::<str>::from(kind), Arc::<str>::from(value.meaning()));
        if let Some(placeholder) = self.placeholders.get(&key) {
            return Some(placeholder.clone());
        }
        if self.values.len() >= VALUES_MAX {
            return None;
        }
        let first = if ours(kind) { 0 } else { self.last_of_others };
        let last = self.last.entry(key.0.clone()).or_insert(first);
        *last = last.checked_add(1)?;
        let name: Arc<str> = format!("{kind}_{last}").into();
        let placeholder: Arc<str> = format!("<{name}>").into();
        self.values.insert(name, value);
        self.placeholders.insert(key, placeholder.clone());
        Some(placeholder)
    }

    /// What `EMAIL_1` stands for.
    pub(super) fn value(&self, name: &str) -> Option<&Spelling> {
        self.values.get(name)
    }

    /// Where a text has placeholders that stand for something.
    pub fn places(&self, text: &str) -> Vec<Range<usize>> {
        if self.is_empty() {
            return Vec::new();
        }
        let standing = |(place, written): (_, written::Written)| {
            let stands = self.value(&written.name).is_some();
            stands.then_some(place)
        };
        written::all(text).filter_map(standing).collect()
    }
}

/// What a number of ten digits leaves for a kind.
const KIND_BYTES_MAX: usize = PLACEHOLDER_BYTES_MAX - "<_4294967295>".len();

/// A kind that this process finds.
fn ours(kind: &str) -> bool {
    let known = |ours: &Kind| ours.as_str().eq_ignore_ascii_case(kind);
    Kind::ALL.iter().any(known)
}

/// `EMAIL_1`: kind and number.
fn numbered(name: &str) -> Option<(&str, u32)> {
    let (kind, number) = name.rsplit_once('_')?;
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
    let number = number.parse().ok().filter(|_| is_number)?;
    (!kind.is_empty()).then_some((kind, number))
}
