//! The rules in their order: what is sure before what is likely. The first difference found is told.

mod alignment;
mod facts;
mod negation;
mod oppositions;
mod order;
mod tense;
mod verbatim;

use std::ops::Range;

use crate::difference::{Difference, Kind};
use crate::lexicon;
use crate::passages::{self, Passage};
use crate::read::{self, Is, Item};
use alignment::Alignment;

/// Past this, two questions are the same only to the letter: the alignment of long texts says little, and
/// a bound keeps it cheap.
const BYTES_MAX: usize = 8 * 1024;

/// A longer sentence asks something, whatever else it says.
const SENTENCE_ABOUT_ASKING_MAX: usize = 14;

/// What makes the answer to `cached` a wrong one to `asked`; `None` if nothing was found.
///
/// Symmetric but for the sides a difference names. It takes a vector's word for it that the two are near:
/// of two questions about different things it finds no difference unless these rules meet one.
pub fn compare(cached: &str, asked: &str) -> Option<Difference> {
    if cached == asked {
        return None;
    }
    if cached.len().max(asked.len()) > BYTES_MAX {
        return Some(Difference {
            kind: Kind::Length,
            cached: String::new(),
            asked: String::new(),
        });
    }
    let mut pair = Pair {
        cached: Question::read(cached),
        asked: Question::read(asked),
    };
    pair.unwrap_both();
    let alignment = Alignment::of(&pair);
    verbatim::difference(&pair)
        .or_else(|| facts::difference(&pair))
        .or_else(|| oppositions::difference(&pair, &alignment))
        .or_else(|| negation::difference(&pair, &alignment))
        .or_else(|| tense::difference(&pair, &alignment))
        .or_else(|| alignment.difference(&pair))
        .or_else(|| order::difference(&pair, &alignment))
}

struct Pair<'a> {
    cached: Question<'a>,
    asked: Question<'a>,
}

impl Pair<'_> {
    /// Drops sentences about the asking that one side has and the other lacks.
    fn unwrap_both(&mut self) {
        self.cached.unwrap_beside(&self.asked.items);
        self.asked.unwrap_beside(&self.cached.items);
    }

    /// A difference with what stands at both places; `None` is nothing.
    fn differ(
        &self,
        kind: Kind,
        cached: Option<Range<usize>>,
        asked: Option<Range<usize>>,
    ) -> Difference {
        let cut = |text: &str, span: Option<Range<usize>>| {
            span.map_or_else(String::new, |span| text[span].to_owned())
        };
        Difference {
            kind,
            cached: cut(self.cached.text, cached),
            asked: cut(self.asked.text, asked),
        }
    }
}

struct Question<'a> {
    text: &'a str,
    passages: Vec<Passage>,
    items: Vec<Item>,
}

impl<'a> Question<'a> {
    fn read(text: &'a str) -> Self {
        let passages = passages::find(text);
        let hidden: Vec<Range<usize>> = passages
            .iter()
            .map(|passage| passage.span.clone())
            .collect();
        Self {
            text,
            items: read::items(text, &hidden),
            passages,
        }
    }

    /// A sentence about the asking stands at an end, has a word for that, and shares none with the other side.
    fn unwrap_beside(&mut self, other: &[Item]) {
        for _ in 0..2 {
            let last = self.items.last().map_or(0, |item| item.sentence);
            for edge in [0, last] {
                let sentence = || self.items.iter().filter(|item| item.sentence == edge);
                let shares = sentence().any(|item| {
                    !matches!(item.is, Is::Function) && other.iter().any(|o| o.is == item.is)
                });
                let wraps = sentence().any(|item| lexicon::is_about_asking(&item.text));
                let length = sentence().count();
                if wraps
                    && !shares
                    && length <= SENTENCE_ABOUT_ASKING_MAX
                    && length < self.items.len()
                {
                    self.items.retain(|item| item.sentence != edge);
                }
            }
            // What then stands first is the first.
            let first = self.items.first().map_or(0, |item| item.sentence);
            self.items
                .iter_mut()
                .for_each(|item| item.sentence -= first);
        }
    }
}
