//! What an operator does not want to read or to send: words, patterns, and topics, which are many
//! phrases at once. All are looked for in the text as it reads, not as it is encoded: see
//! [`crate::fold`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

mod patterns;
mod phrases;
mod stream;
mod topics;

use patterns::Patterns;
use phrases::Phrases;
use topics::Topics;

pub use stream::Stream;

use crate::fold::Fold;

/// Words of one guard, and phrases of all its topics.
pub const PHRASES_MAX: usize = 10_000;

/// Of one word or phrase, folded.
pub const PHRASE_CHARS_MAX: usize = 200;

pub const PATTERNS_MAX: usize = 200;

/// What all patterns of a guard may take together, compiled.
pub const PATTERN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a streamed text's patterns can reach over. A longer match is seen as far as it has come.
pub const PATTERN_REACH_CHARS: usize = 256;

/// What takes the place of what was found.
const REPLACEMENT: &str = "[REDACTED]";

/// As an operator writes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spec {
    pub words: Vec<String>,
    /// Regular expressions, without look-around and back-references: they take linear time.
    pub patterns: Vec<String>,
    pub topics: BTreeMap<String, Topic>,
    pub action: Action,
}

/// What is done with words and patterns. A topic is the whole text: it blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    #[default]
    Block,
    Redact,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Topic {
    /// Phrases and what each adds to the score, once in a window.
    pub phrases: BTreeMap<String, u32>,
    /// The score from which on the topic is there.
    pub threshold: u32,
    /// How near to each other phrases count together, in characters.
    pub window: usize,
}

/// An item that cannot be looked for, and where it stands in its list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    #[error("holds no letter, digit or sign")]
    EmptyWord { at: usize },
    #[error("is longer than {PHRASE_CHARS_MAX} characters")]
    LongWord { at: usize },
    #[error("has a phrase that is empty or longer than {PHRASE_CHARS_MAX} characters: `{phrase}`")]
    TopicPhrase { topic: String, phrase: String },
    #[error("can never be reached: its phrases add up to {sum}")]
    TopicThreshold { topic: String, sum: u32 },
    #[error("holds more than {PHRASES_MAX} words and phrases")]
    TooManyPhrases,
    #[error("holds more than {PATTERNS_MAX} patterns")]
    TooManyPatterns,
    #[error("{problem}")]
    Pattern { at: usize, problem: String },
}

/// Compiled: cheap to use, and shared by all calls.
#[derive(Debug)]
pub struct Lists {
    words: Option<Phrases>,
    patterns: Option<Patterns>,
    topics: Topics,
    action: Action,
}

/// What was found, without any of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub words: u32,
    pub patterns: u32,
    /// Topics that are there and their highest score, in the order of their names.
    pub topics: BTreeMap<String, u32>,
    pub is_blocked: bool,
}

impl Found {
    pub fn is_empty(&self) -> bool {
        self.words == 0 && self.patterns == 0 && self.topics.is_empty()
    }

    /// Kinds as records name them, with how often or how much.
    pub fn kinds(&self) -> Vec<(String, u32)> {
        let mut kinds = Vec::new();
        if self.words > 0 {
            kinds.push(("word".to_owned(), self.words));
        }
        if self.patterns > 0 {
            kinds.push(("pattern".to_owned(), self.patterns));
        }
        let topics = self.topics.iter();
        kinds.extend(topics.map(|(name, score)| (format!("topic/{name}"), *score)));
        kinds
    }

    pub fn add(&mut self, other: &Self) {
        self.words = self.words.saturating_add(other.words);
        self.patterns = self.patterns.saturating_add(other.patterns);
        for (topic, score) in &other.topics {
            let highest = self.topics.entry(topic.clone()).or_default();
            *highest = (*highest).max(*score);
        }
        self.is_blocked |= other.is_blocked;
    }
}

/// One thing that was found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hit {
    range: Range<usize>,
    of: Of,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Words,
    Patterns,
}

impl Lists {
    /// Every item that cannot be used is an error, not only the first.
    pub fn new(spec: &Spec) -> Result<Self, Vec<SpecError>> {
        let mut errors = Vec::new();
        let phrases: usize = spec.topics.values().map(|topic| topic.phrases.len()).sum();
        if spec.words.len() + phrases > PHRASES_MAX {
            errors.push(SpecError::TooManyPhrases);
        }
        if spec.patterns.len() > PATTERNS_MAX {
            errors.push(SpecError::TooManyPatterns);
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        for (at, word) in spec.words.iter().enumerate() {
            match phrases::folded(word) {
                None => errors.push(SpecError::EmptyWord { at }),
                Some(folded) if folded.chars().count() > PHRASE_CHARS_MAX => {
                    errors.push(SpecError::LongWord { at });
                }
                Some(_) => {}
            }
        }
        topics::check(&spec.topics, &mut errors);
        let patterns = Patterns::new(&spec.patterns, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            words: Phrases::new(spec.words.iter().map(String::as_str)),
            patterns,
            topics: Topics::new(&spec.topics),
            action: spec.action,
        })
    }

    /// The text with what its action takes out. A text that is blocked is returned as far as it is
    /// not: the caller must look at `found.is_blocked`.
    pub fn edit<'a>(&self, text: &'a str, found: &mut Found) -> Cow<'a, str> {
        let hits = self.hits(text);
        self.count(&hits, found);
        self.topics.whole(text, found);
        redacted(text, &hits)
    }

    /// Words and patterns, in order; those that overlap are one.
    fn hits(&self, text: &str) -> Vec<Hit> {
        let mut hits = Vec::new();
        if let Some(words) = &self.words {
            let folded = Fold::Words.fold(text);
            words.each(&folded.text, |_, range| {
                hits.push(Hit {
                    range: folded.source(range),
                    of: Of::Words,
                });
            });
        }
        if let Some(patterns) = &self.patterns {
            let folded = Fold::Spelling.fold(text);
            patterns.each(&folded.text, |range| {
                hits.push(Hit {
                    range: folded.source(range),
                    of: Of::Patterns,
                });
            });
        }
        merged(hits)
    }

    fn count(&self, hits: &[Hit], found: &mut Found) {
        for hit in hits {
            let count = match hit.of {
                Of::Words => &mut found.words,
                Of::Patterns => &mut found.patterns,
            };
            *count = count.saturating_add(1);
        }
        found.is_blocked |= !hits.is_empty() && self.action == Action::Block;
    }

    /// How many characters a text that goes on must be known ahead.
    fn reach(&self) -> usize {
        let words = self.words.as_ref().map_or(0, Phrases::chars_max);
        let patterns = self.patterns.as_ref().map_or(0, |_| PATTERN_REACH_CHARS);
        // One more, to see that a word ended.
        words.max(patterns).max(self.topics.chars_max()) + 1
    }
}

fn merged(mut hits: Vec<Hit>) -> Vec<Hit> {
    hits.sort_by_key(|hit| (hit.range.start, hit.range.end));
    let mut merged: Vec<Hit> = Vec::with_capacity(hits.len());
    for hit in hits {
        match merged.last_mut() {
            Some(last) if hit.range.start < last.range.end => {
                last.range.end = last.range.end.max(hit.range.end);
            }
            _ => merged.push(hit),
        }
    }
    merged
}

fn redacted<'a>(text: &'a str, hits: &[Hit]) -> Cow<'a, str> {
    if hits.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut edited = String::with_capacity(text.len());
    let mut at = 0;
    for hit in hits {
        edited.push_str(&text[at..hit.range.start]);
        edited.push_str(REPLACEMENT);
        at = hit.range.end;
    }
    edited.push_str(&text[at..]);
    Cow::Owned(edited)
}

#[cfg(test)]
mod tests;
