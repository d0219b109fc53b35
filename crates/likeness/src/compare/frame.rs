//! What two questions have in common word for word and in its order, and the places in between where one
//! stands for the other. In a close frame a little word is as telling as a large one: `may I`, `need I`.

use super::Pair;
use super::alignment::same;
use super::focus;
use crate::difference::{Difference, Kind};
use crate::lexicon;
use crate::read::{Is, Item};

/// Past this many comparisons only what both begin and end with is the frame.
const COMPARISONS_MAX: usize = 4096;

/// The longest run of items, with gaps, that both questions have in this order. Articles and the like are
/// left out: they come and go with the wording.
pub struct Frame {
    /// What the run lacks of either side, by place in its items.
    gaps_cached: Vec<usize>,
    gaps_asked: Vec<usize>,
    kept: usize,
    longer: usize,
}

impl Frame {
    pub fn of(pair: &Pair<'_>) -> Self {
        let (cached, asked) = (bearing(&pair.cached.items), bearing(&pair.asked.items));
        let like = |a: &usize, b: &usize| same(&pair.cached.items[*a], &pair.asked.items[*b]);
        let before = cached
            .iter()
            .zip(&asked)
            .take_while(|(a, b)| like(a, b))
            .count();
        let behind = cached[before..]
            .iter()
            .rev()
            .zip(asked[before..].iter().rev())
            .take_while(|(a, b)| like(a, b))
            .count();
        let middle_cached = &cached[before..cached.len() - behind];
        let middle_asked = &asked[before..asked.len() - behind];
        let kept = common(middle_cached, middle_asked, like);
        let rest = |middle: &[usize], kept: &[bool]| {
            let left = middle.iter().zip(kept).filter(|(_, kept)| !**kept);
            left.map(|(at, _)| *at).collect::<Vec<_>>()
        };
        Self {
            gaps_cached: rest(middle_cached, &kept.0),
            gaps_asked: rest(middle_asked, &kept.1),
            kept: before + behind + kept.0.iter().filter(|kept| **kept).count(),
            longer: cached.len().max(asked.len()),
        }
    }

    /// The share of the longer question that stands in both, in order; from 0 to 1.
    pub fn share(&self) -> f64 {
        if self.longer == 0 {
            1.0
        } else {
            self.kept as f64 / self.longer as f64
        }
    }

    /// What stands between, on either side.
    pub fn gaps<'a>(&self, pair: &'a Pair<'_>) -> (Vec<&'a Item>, Vec<&'a Item>) {
        let of = |items: &'a [Item], gaps: &[usize]| gaps.iter().map(|at| &items[*at]).collect();
        (
            of(&pair.cached.items, &self.gaps_cached),
            of(&pair.asked.items, &self.gaps_asked),
        )
    }

    /// A little word in the place of another that is not its like.
    pub fn difference(&self, pair: &Pair<'_>) -> Option<Difference> {
        if self.share() < SHARE_MIN {
            return None;
        }
        let (cached, asked) = self.gaps(pair);
        let moved = |item: &Item, other: &[&Item]| other.iter().any(|o| alike(item, o));
        let only_cached: Vec<&Item> = cached
            .iter()
            .copied()
            .filter(|item| tells(item) && !moved(item, &asked))
            .collect();
        let only_asked: Vec<&Item> = asked
            .iter()
            .copied()
            .filter(|item| tells(item) && !moved(item, &cached))
            .collect();
        // `At what time` and `when`: what is asked for is known better than by a word.
        let one_focus = focus::is_one(pair);
        let asked_alike = |item: &&Item| !(one_focus && lexicon::asks_by_word(&item.text));
        let only_cached: Vec<&Item> = only_cached.into_iter().filter(asked_alike).collect();
        let only_asked: Vec<&Item> = only_asked.into_iter().filter(asked_alike).collect();
        // `Which customers` and `a list of the customers`: only another word of asking stands against `which`.
        let asks = |items: &[&'_ Item]| items.iter().any(|item| lexicon::asks_by_word(&item.text));
        let (open_cached, open_asked) = (asks(&asked), asks(&cached));
        let only_cached: Vec<&Item> = only_cached
            .into_iter()
            .filter(|item| open_cached || !lexicon::asks_openly(&item.text))
            .collect();
        let only_asked: Vec<&Item> = only_asked
            .into_iter()
            .filter(|item| open_asked || !lexicon::asks_openly(&item.text))
            .collect();
        let narrows =
            |items: &[&'_ Item]| items.iter().position(|item| lexicon::narrows(&item.text));
        let (first, other) = match (only_cached.first(), only_asked.first()) {
            (Some(first), Some(other)) => (Some(*first), Some(*other)),
            _ => {
                let first = narrows(&only_cached).map(|at| only_cached[at]);
                let other = narrows(&only_asked).map(|at| only_asked[at]);
                if first.is_none() && other.is_none() {
                    return None;
                }
                (first, other)
            }
        };
        let kind = first.or(other).map_or(Kind::Word, |item| {
            lexicon::kind_of_little(&item.text).unwrap_or(Kind::Word)
        });
        let span = |item: Option<&Item>| item.map(|item| item.span.clone());
        Some(pair.differ(kind, span(first), span(other)))
    }
}

/// Below this share a little word more or less is the wording.
const SHARE_MIN: f64 = 0.45;

pub fn tells(item: &Item) -> bool {
    matches!(item.is, Is::Function) && !lexicon::is_soft(&item.text) && item.text.len() > 1
}

pub fn alike(a: &Item, b: &Item) -> bool {
    a.text == b.text || lexicon::little_alike(&a.text, &b.text)
}

/// Places of the items that are no articles.
fn bearing(items: &[Item]) -> Vec<usize> {
    let bears = |at: &usize| {
        let item = &items[*at];
        // At the end of a sentence German `ein` belongs to the verb.
        let last = items
            .get(at + 1)
            .is_none_or(|next| next.sentence != item.sentence);
        last || !(matches!(item.is, Is::Function) && lexicon::is_article(&item.text))
    };
    (0..items.len()).filter(bears).collect()
}

/// Which of both sides belong to the longest common run.
fn common(
    cached: &[usize],
    asked: &[usize],
    like: impl Fn(&usize, &usize) -> bool,
) -> (Vec<bool>, Vec<bool>) {
    let mut kept = (vec![false; cached.len()], vec![false; asked.len()]);
    if cached.len() * asked.len() > COMPARISONS_MAX {
        return kept;
    }
    let width = asked.len() + 1;
    let mut longest = vec![0u16; (cached.len() + 1) * width];
    let mut agree = vec![false; cached.len() * asked.len()];
    for i in (0..cached.len()).rev() {
        for j in (0..asked.len()).rev() {
            let met = like(&cached[i], &asked[j]);
            agree[i * asked.len() + j] = met;
            longest[i * width + j] = if met {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < cached.len() && j < asked.len() {
        if agree[i * asked.len() + j] {
            (kept.0[i], kept.1[j]) = (true, true);
            (i, j) = (i + 1, j + 1);
        } else if longest[(i + 1) * width + j] >= longest[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use crate::compare::compare;

    #[test]
    fn a_little_word_in_the_place_of_another_tells() {
        let differ = |a: &str, b: &str| assert!(compare(a, b).is_some(), "{a} / {b}");
        differ(
            "May I countersign the form?",
            "Need I countersign the form?",
        );
        differ("Turn the pump on at night", "Turn the pump off at night");
        differ(
            "Wie schalte ich den Ton ein?",
            "Wie schalte ich den Ton aus?",
        );
        differ(
            "Il manque une vis dans le kit",
            "Il manque toutes les vis dans le kit",
        );
        differ(
            "Which badges expire in May?",
            "How many badges expire in May?",
        );
    }

    #[test]
    fn a_little_word_that_means_the_same_does_not() {
        let same = |a: &str, b: &str| assert_eq!(compare(a, b), None, "{a} / {b}");
        same("Can I countersign the form?", "Could I countersign a form?");
        same("Which is the best route?", "What is the best route?");
        same(
            "Kann ich das Formular kopieren?",
            "Könnte man das Formular kopieren?",
        );
    }
}
