//! Placeholders of one conversation, and the values that they stand for.

use std::collections::HashMap;
use std::sync::Arc;

use crate::pii::Kind;

/// Values that one conversation may have masked.
const VALUES_MAX: usize = 10_000;

/// A client sends the whole conversation with each call, so placeholders are numbered by first
/// occurrence and nothing is kept between calls.
#[derive(Debug, Default)]
pub struct Masks {
    placeholders: HashMap<(Kind, Arc<str>), Arc<str>>,
    values: HashMap<Arc<str>, Arc<str>>,
    /// By kind, the last number given out.
    last: HashMap<Kind, u32>,
}

impl Masks {
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Keeps away from what a text says of its own accord: a client that writes `<EMAIL_1>` shall
    /// not read someone's address in the answer.
    pub fn avoid(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find('<') {
            rest = &rest[at + 1..];
            if let Some((kind, number, _)) = read(rest) {
                let last = self.last.entry(kind).or_default();
                *last = (*last).max(number);
            }
        }
    }

    /// The value's placeholder; `None` past the bound.
    pub fn placeholder(&mut self, kind: Kind, value: &str) -> Option<Arc<str>> {
        let key = (kind, Arc::<str>::from(value));
        if let Some(placeholder) = self.placeholders.get(&key) {
            return Some(placeholder.clone());
        }
        if self.values.len() >= VALUES_MAX {
            return None;
        }
        let last = self.last.entry(kind).or_default();
        *last = last.checked_add(1)?;
        let placeholder: Arc<str> =
            format!("<{}_{last}>", kind.as_str().to_ascii_uppercase()).into();
        self.values.insert(placeholder.clone(), key.1.clone());
        self.placeholders.insert(key, placeholder.clone());
        Some(placeholder)
    }

    /// What `placeholder`, brackets and all, stands for.
    pub fn value(&self, placeholder: &str) -> Option<&str> {
        self.values.get(placeholder).map(|value| &**value)
    }
}

/// Longest placeholder in bytes: `<CONNECTION_STRING_4294967295>`.
pub(super) const PLACEHOLDER_BYTES_MAX: usize = 32;

/// `EMAIL_1>` behind its opening bracket: kind, number, length.
pub(super) fn read(text: &str) -> Option<(Kind, u32, usize)> {
    let len = text
        .bytes()
        .take(PLACEHOLDER_BYTES_MAX)
        .position(|byte| byte == b'>')?;
    let (name, number) = text[..len].rsplit_once('_')?;
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
    let kind = Kind::ALL
        .into_iter()
        .find(|kind| kind.as_str().eq_ignore_ascii_case(name))?;
    let number = number.parse().ok().filter(|_| is_number)?;
    let is_upper = !name.bytes().any(|byte| byte.is_ascii_lowercase());
    is_upper.then_some((kind, number, len + 1))
}
