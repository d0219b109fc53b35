//! The rules in their order: what is sure before what is likely. The first difference found is told.

mod alignment;
mod capitals;
mod evidence;
mod facts;
mod figures;
mod focus;
mod frame;
mod infinitive;
mod lookalikes;
mod negation;
mod only;
mod operators;
mod oppositions;
mod order;
mod participants;
mod roles;
mod score;
mod short;
mod sides;
mod signs;
mod tense;
mod unread;
mod verbatim;

use std::cmp::Ordering;
use std::ops::Range;

use crate::difference::{Difference, Kind};
use crate::language::Language;
use crate::lexicon;
use crate::passages::{self, Passage};
use crate::read::{self, Is, Item};
use alignment::Alignment;
pub use evidence::{Evidence, Feature, Tells};

/// Past this, two questions are the same only to the letter: the alignment of long texts says little, and
/// a bound keeps it cheap.
const BYTES_MAX: usize = 2 * 1024;

/// A longer sentence asks something, whatever else it says.
const SENTENCE_ABOUT_ASKING_MAX: usize = 14;

/// What makes the answer to `cached` a wrong one to `asked`, whatever else they have in common; `None` if
/// nothing was found.
///
/// Symmetric but for the sides a difference names. It takes a vector's word for it that the two are near:
/// of two questions about different things it finds no difference unless these rules meet one.
pub fn compare(cached: &str, asked: &str) -> Option<Difference> {
    in_order(cached, asked, veto)
}

/// The same of two questions of this similarity, and whether much of a little speaks against the answer. `said` is
/// asked for the [comparer](crate::comparer)'s word where the words alone are not enough to tell.
pub fn compare_similar(
    cached: &str,
    asked: &str,
    similarity: f64,
    said: impl FnOnce() -> Option<f64>,
) -> Option<Difference> {
    in_order(cached, asked, |pair, alignment| {
        veto(pair, alignment).or_else(|| score::difference(pair, alignment, similarity, said))
    })
}

/// What the score weighs, for whoever fits its weights; `None` where there is nothing to weigh.
pub fn evidence(cached: &str, asked: &str, similarity: f64, said: Option<f64>) -> Option<Evidence> {
    let mut found = None;
    let differs = in_order(cached, asked, |pair, alignment| {
        let difference = veto(pair, alignment);
        if difference.is_none() {
            found = Some(Evidence::of(pair, alignment, similarity, said));
        }
        difference
    });
    found.filter(|_| differs.is_none())
}

/// Where several alignments are as good, one side leads: always the same, whichever was asked.
fn in_order(
    cached: &str,
    asked: &str,
    find: impl FnOnce(&Pair<'_>, &Alignment) -> Option<Difference>,
) -> Option<Difference> {
    let turned = match cached.cmp(asked) {
        Ordering::Equal => return None,
        Ordering::Less => false,
        Ordering::Greater => true,
    };
    if cached.len().max(asked.len()) > BYTES_MAX {
        return Some(Difference {
            kind: Kind::Length,
            cached: String::new(),
            asked: String::new(),
        });
    }
    let (first, second) = if turned {
        (asked, cached)
    } else {
        (cached, asked)
    };
    let pair = Pair::read(first, second);
    let alignment = Alignment::of(&pair);
    let found = find(&pair, &alignment)?;
    Some(if turned { found.turned() } else { found })
}

/// What makes two questions different whatever else they have in common.
fn veto(pair: &Pair<'_>, alignment: &Alignment) -> Option<Difference> {
    unread::difference(pair)
        .or_else(|| verbatim::difference(pair))
        .or_else(|| signs::difference(pair))
        .or_else(|| operators::difference(pair))
        .or_else(|| facts::difference(pair, alignment))
        .or_else(|| figures::difference(pair))
        .or_else(|| oppositions::difference(pair, alignment))
        .or_else(|| negation::difference(pair, alignment))
        .or_else(|| focus::difference(pair, alignment))
        .or_else(|| tense::difference(pair, alignment))
        .or_else(|| alignment.difference(pair))
        .or_else(|| lookalikes::difference(pair, alignment))
        .or_else(|| alignment.frame().difference(pair))
        .or_else(|| capitals::difference(pair))
        .or_else(|| order::difference(pair))
        .or_else(|| roles::difference(pair, alignment))
        .or_else(|| sides::difference(pair))
        .or_else(|| only::difference(pair, alignment))
        .or_else(|| short::difference(pair))
}

struct Pair<'a> {
    cached: Question<'a>,
    asked: Question<'a>,
}

impl<'a> Pair<'a> {
    fn read(cached: &'a str, asked: &'a str) -> Self {
        let mut pair = Pair {
            cached: Question::read(cached),
            asked: Question::read(asked),
        };
        pair.unwrap_both();
        pair.date_both();
        infinitive::move_verb(&mut pair.cached.items, &pair.asked.items);
        infinitive::move_verb(&mut pair.asked.items, &pair.cached.items);
        pair
    }

    fn date_both(&mut self) {
        self.cached.date_beside(&self.asked.items);
        self.asked.date_beside(&self.cached.items);
    }

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

/// Carries content of its own; a bare `one` is in every second sentence.
fn bears(item: &Item) -> bool {
    !matches!(
        item.is,
        Is::Function
            | Is::Quantity {
                value: 1000,
                unit: None
            }
    )
}

struct Question<'a> {
    text: &'a str,
    passages: Vec<Passage>,
    items: Vec<Item>,
    language: Language,
}

impl<'a> Question<'a> {
    fn read(text: &'a str) -> Self {
        let passages = passages::find(text);
        let hidden: Vec<Range<usize>> = passages
            .iter()
            .map(|passage| passage.span.clone())
            .collect();
        let items = read::items(text, &hidden);
        Self {
            text,
            language: Language::of(items.iter().map(|item| item.text.as_str())),
            items,
            passages,
        }
    }

    /// Reads days written in figures (`14/8`) as the dates they are on the other side.
    fn date_beside(&mut self, other: &[Item]) {
        for item in &mut self.items {
            let Some((first, second)) = item.text.split_once('/') else {
                continue;
            };
            let written = |day: &str, month: &str| {
                Some((day.parse::<u32>().ok()?, month.parse::<u32>().ok()?))
            };
            let read = [written(first, second), written(second, first)];
            let meant = other.iter().find(|o| match &o.is {
                Is::Date(date) => read
                    .iter()
                    .flatten()
                    .any(|(day, month)| *date == format!("month {month}-{day}")),
                _ => false,
            });
            if let Some(meant) = meant {
                item.is = meant.is.clone();
            }
        }
    }

    /// A sentence about the asking stands at an end, has a word for that, and shares none with the other side.
    fn unwrap_beside(&mut self, other: &[Item]) {
        for _ in 0..2 {
            let last = self.items.last().map_or(0, |item| item.sentence);
            for edge in [0, last] {
                let sentence = || self.items.iter().filter(|item| item.sentence == edge);
                let shares =
                    sentence().any(|item| bears(item) && other.iter().any(|o| o.is == item.is));
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(cached: &str, asked: &str) -> Option<Kind> {
        compare(cached, asked).map(|difference| difference.kind)
    }

    #[test]
    fn a_difference_names_its_kind_and_both_places() {
        let found = compare(
            "Can I get a refund within 30 days?",
            "Can I get a refund within sixty days?",
        );
        let expected = Difference {
            kind: Kind::Number,
            cached: "30 days".into(),
            asked: "sixty days".into(),
        };
        assert_eq!(found, Some(expected));
    }

    #[test]
    fn what_a_vector_blurs_is_told_apart() {
        assert_eq!(
            kind("Is it due on 3 May?", "Is it due on 3 March?"),
            Some(Kind::Date)
        );
        assert_eq!(
            kind("Is 25 MB too large?", "Is 25 GB too large?"),
            Some(Kind::Unit)
        );
        assert_eq!(
            kind("Which fees are due?", "Which fees are not due?"),
            Some(Kind::Negation)
        );
        assert_eq!(
            kind("How do I enable the proxy?", "How do I disable the proxy?"),
            Some(Kind::Direction)
        );
        assert_eq!(
            kind("Fly from Rome to Oslo", "Fly from Oslo to Rome"),
            Some(Kind::Direction)
        );
        assert_eq!(
            kind("What does `ls -a` do?", "What does `ls -l` do?"),
            Some(Kind::Code)
        );
        assert_eq!(
            kind("Wer hat Zugriff?", "Wann hat er Zugriff?"),
            Some(Kind::Question)
        );
        assert_eq!(
            kind("Dois-je signer ?", "Puis-je signer ?"),
            Some(Kind::Modality)
        );
    }

    #[test]
    fn other_words_for_the_same_pass() {
        assert_eq!(
            kind("Hello, which fees are due? Thanks!", "Which fees are due?"),
            None
        );
        assert_eq!(kind("Is it due on 3 May?", "Is it due on May 3rd?"), None);
        assert_eq!(kind("Kostet das 50 €?", "Kostet das fünfzig Euro?"), None);
    }

    #[test]
    fn long_texts_are_the_same_only_to_the_letter() {
        let long = "word ".repeat(4000);
        assert_eq!(compare(&long, &long), None);
        assert_eq!(kind(&long, &format!("{long}more")), Some(Kind::Length));
    }

    proptest! {
        #[test]
        fn any_two_texts_compare_and_the_order_does_not_matter(
            a in "[a-cA-C0-3 .,:/'`\"„“?äé€°%-]{0,40}", b in "\\PC{0,40}",
        ) {
            prop_assert_eq!(compare(&a, &a), None);
            let (forth, back) = (compare(&a, &b), compare(&b, &a));
            prop_assert_eq!(forth.is_some(), back.is_some());
        }
    }
}
