//! Finds personal data and secrets in a text, in one pass and without a regular expression.
//!
//! A candidate is told by its form, then by its check digits, then by the words before it. Names
//! and addresses have no form of their own: they need a model, which is not here.

use std::ops::Range;

mod kind;

mod lead;

mod seen;

mod scan;

mod stream;

// What candidates are made of.
mod text;

mod digits;

mod date;

mod context;

mod column;

// One for each family of kinds.
mod email;

mod network;

mod card;

mod iban;

mod national;

mod phone;

mod document;

mod birth;

mod secret;

pub use kind::{Kind, KindSet};
pub(crate) use seen::meant;
pub use stream::{Piece, Stream};

use seen::Seen;

/// How sure a finding is, in per cent: form, check digits and context together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Confidence(pub u8);

impl Confidence {
    /// What is reported unless told otherwise.
    pub const LIKELY: Self = Self(50);

    fn raised(self, by: u8) -> Self {
        Self(self.0.saturating_add(by).min(99))
    }

    fn lowered(self, by: u8) -> Self {
        Self(self.0.saturating_sub(by))
    }
}

/// One value of one kind. Findings of a text are in order and do not overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub kind: Kind,
    /// Bytes of the text; always whole characters.
    pub range: Range<usize>,
    pub confidence: Confidence,
}

/// Which kinds are looked for, and how sure a finding must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detector {
    pub kinds: KindSet,
    pub confidence_min: Confidence,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            kinds: KindSet::ALL,
            confidence_min: Confidence::LIKELY,
        }
    }
}

impl Detector {
    /// Time and memory are linear in the text, whatever it holds.
    pub fn find(&self, text: &str) -> Vec<Finding> {
        let Some(seen) = Seen::of(text) else {
            return scan::findings(text, *self);
        };
        let mut findings = scan::findings(seen.text(), *self);
        for Finding { range, .. } in &mut findings {
            *range = seen.sources(range);
        }
        findings
    }

    /// As `find`, of a text that is the value of what is called so: `date_of_birth` makes a date one, as it
    /// would in one text with it.
    pub fn find_called(&self, name: &str, text: &str) -> Vec<Finding> {
        let quote = ['"', '\'', '`']
            .into_iter()
            .find(|quote| !text.contains(*quote));
        let Some(mut whole) = lead::of(name, quote.unwrap_or('"')) else {
            return self.find(text);
        };
        let lead = whole.len();
        whole.push_str(text);
        let mut findings = self.find(&whole);
        // The name is a text of its own.
        findings.retain(|finding| finding.range.start >= lead);
        for Finding { range, .. } in &mut findings {
            *range = range.start - lead..range.end - lead;
        }
        findings
    }

    fn wants(&self, found: scan::Match) -> bool {
        self.kinds.has(found.kind) && found.confidence >= self.confidence_min
    }
}

#[cfg(test)]
mod tests;
