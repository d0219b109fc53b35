//! Which words of one question have their like in the other, and what is left over on both sides.

use super::frame::Frame;
use super::oppositions::turned;
use super::{Pair, negation};
use crate::difference::{Difference, Kind};
use crate::language::Language;
use crate::lexicon;
use crate::read::{Is, Item};
use crate::words::{is_typo, stem};

/// Past this many words left over the questions are not alike, and matching them by likeness is dear.
const LEFT_MAX: usize = 48;

/// From this share of both in common and in order, two questions are one but for the places between.
const FRAMED_MIN: f64 = 0.45;
/// From this share of words in common, two words left over stand for each other.
const WORD_SHARE_MIN: f64 = 0.55;
/// From this share of a common frame it is no longer weighed.
const FIRM_MIN: f64 = 0.7;

/// The content words of both sides, matched one to one.
pub struct Alignment {
    left_cached: Vec<usize>,
    left_asked: Vec<usize>,
    matched: usize,
    frame: Frame,
    denies_by_contrary: bool,
}

impl Alignment {
    pub fn of(pair: &Pair<'_>) -> Self {
        let (cached, asked) = (&pair.cached.items, &pair.asked.items);
        let mut left_asked: Vec<usize> = content(asked);
        let mut left_cached = Vec::new();
        let mut matched = 0;
        let mut denies_by_contrary = false;
        for at in content(cached) {
            match left_asked
                .iter()
                .position(|other| one_word(&cached[at], &asked[*other]))
            {
                Some(found) => {
                    left_asked.remove(found);
                    matched += 1;
                }
                None => left_cached.push(at),
            }
        }
        if left_cached.len().max(left_asked.len()) <= LEFT_MAX {
            left_cached.retain(|at| {
                let Some(found) = left_asked
                    .iter()
                    .position(|other| akin(&cached[*at], &asked[*other]))
                else {
                    return true;
                };
                left_asked.remove(found);
                matched += 1;
                false
            });
            matched += drop_initials(&mut left_cached, cached, &mut left_asked, asked);
            matched += drop_initials(&mut left_asked, asked, &mut left_cached, cached);
            matched += drop_compounds(&mut left_cached, cached, &mut left_asked, asked);
            matched += drop_compounds(&mut left_asked, asked, &mut left_cached, cached);
            // A word whose pole the other side has in another word (`over`, `more than`) is not left over.
            left_cached.retain(|at| {
                !asked
                    .iter()
                    .any(|other| lexicon::stand_together(&cached[*at].text, &other.text))
            });
            left_asked.retain(|at| {
                !cached
                    .iter()
                    .any(|other| lexicon::stand_together(&asked[*at].text, &other.text))
            });
            // `not covered` and `excluded`: the denial and the contrary take each other away.
            if negation::differs(pair) {
                left_cached.retain(|at| {
                    let contrary =
                        |other: &usize| is_contrary(&cached[*at].text, &asked[*other].text);
                    let Some(found) = left_asked.iter().position(contrary) else {
                        return true;
                    };
                    left_asked.remove(found);
                    denies_by_contrary = true;
                    matched += 1;
                    false
                });
            }
        }
        // What agrees as a number or a date ties two questions together as a word does.
        matched += cached
            .iter()
            .filter(|item| is_fact(item) && asked.iter().any(|other| other.is == item.is))
            .count();
        Self {
            left_cached,
            left_asked,
            matched,
            frame: Frame::of(pair),
            denies_by_contrary,
        }
    }

    pub fn left_cached<'a>(
        &self,
        pair: &'a Pair<'_>,
    ) -> impl Iterator<Item = &'a Item> + use<'a, '_> {
        self.left_cached.iter().map(|at| &pair.cached.items[*at])
    }

    pub fn left_asked<'a>(
        &self,
        pair: &'a Pair<'_>,
    ) -> impl Iterator<Item = &'a Item> + use<'a, '_> {
        self.left_asked.iter().map(|at| &pair.asked.items[*at])
    }

    /// Matched words among all, from 0 to 1.
    pub fn share(&self) -> f64 {
        let all = self.matched + self.left_cached.len() + self.left_asked.len();
        if all == 0 {
            1.0
        } else {
            self.matched as f64 / all as f64
        }
    }

    /// A denial on one side goes with a contrary word on the other.
    pub fn denies_by_contrary(&self) -> bool {
        self.denies_by_contrary
    }

    /// Few enough words left over to compare each with each.
    pub fn is_small(&self) -> bool {
        self.left_cached.len().max(self.left_asked.len()) <= LEFT_MAX
    }

    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// The same frame around one place that differs.
    pub fn is_framed(&self) -> bool {
        self.frame.share() >= FRAMED_MIN
    }

    pub fn is_close(&self) -> bool {
        self.is_framed() || self.share() >= 0.5
    }

    /// A name on either side that the other lacks. German writes every noun with a capital.
    fn names(&self, pair: &Pair<'_>) -> Option<Difference> {
        if pair.cached.language == Language::German || pair.asked.language == Language::German {
            return None;
        }
        let name = |item: &&Item| item.named && !lexicon::asks(&item.text);
        let one = self.left_cached(pair).find(name)?;
        let other = self.left_asked(pair).find(name)?;
        Some(pair.differ(
            Kind::Entity,
            Some(one.span.clone()),
            Some(other.span.clone()),
        ))
    }

    /// A word stands for another, where much is the same.
    pub fn exchanges(&self, pair: &Pair<'_>) -> bool {
        let telling = |item: &&Item| self.is_framed() || !lexicon::asks(&item.text);
        let (left, other) = (
            self.left_cached(pair).find(telling),
            self.left_asked(pair).find(telling),
        );
        let tells = |item: Option<&Item>| item.is_some_and(|item| !lexicon::asks(&item.text));
        left.is_some() && other.is_some() && (self.is_framed() || self.share() >= WORD_SHARE_MIN)
            || self.is_framed() && (tells(left) || tells(other))
    }

    /// A word on either side without its like, where the rest is much the same: one stands for the other.
    pub fn difference(&self, pair: &Pair<'_>) -> Option<Difference> {
        let telling = |item: &&Item| self.is_framed() || !lexicon::asks(&item.text);
        let (left, other) = (
            self.left_cached(pair).find(telling),
            self.left_asked(pair).find(telling),
        );
        let both = left.is_some() && other.is_some();
        let close = self.is_framed() || self.share() >= WORD_SHARE_MIN;
        // A word of asking more changes nothing; any other does.
        let tells = |item: Option<&Item>| item.is_some_and(|item| !lexicon::asks(&item.text));
        let framed_by_one = self.is_framed() && (tells(left) || tells(other));
        let number = |item: &&Item| item.text.contains(|c: char| c.is_ascii_digit());
        if let (Some(a), Some(b)) = (
            self.left_cached(pair).find(number),
            self.left_asked(pair).find(number),
        ) {
            return Some(pair.differ(Kind::Number, Some(a.span.clone()), Some(b.span.clone())));
        }
        let named = |item: Option<&Item>| item.is_some_and(|item| item.named);
        if let Some(names) = self.names(pair) {
            return Some(names);
        }
        if !(both && close || framed_by_one) || self.frame.share() < FIRM_MIN {
            return None;
        }
        let kind = if named(left) && named(other) {
            Kind::Entity
        } else {
            Kind::Word
        };
        Some(pair.differ(
            kind,
            left.map(|item| item.span.clone()),
            other.map(|item| item.span.clone()),
        ))
    }
}

/// Takes out initials (`NYC`, `UK`, `VAT`) with the words they stand for on the other side.
fn drop_initials(
    short: &mut Vec<usize>,
    of: &[Item],
    long: &mut Vec<usize>,
    other: &[Item],
) -> usize {
    let before = short.len();
    short.retain(|at| {
        let initials = of[*at].text.as_str();
        let spelled = (0..long.len()).find_map(|start| {
            let run: Vec<usize> = long[start..]
                .iter()
                .copied()
                .enumerate()
                .map_while(|(n, at)| (at <= long[start] + 2 * n).then_some(at))
                .collect();
            let written: String = run
                .iter()
                .filter_map(|at| other[*at].text.chars().next())
                .take(initials.len())
                .collect();
            (written.len() >= 2
                && (2..=6).contains(&initials.len())
                && initials.starts_with(&written))
            .then(|| run[..written.len()].to_vec())
        });
        let Some(spelled) = spelled else { return true };
        long.retain(|at| !spelled.contains(at));
        false
    });
    before - short.len()
}

/// Takes out words written in one with the two they are written in on the other side: `login`, `log in`.
fn drop_compounds(
    one: &mut Vec<usize>,
    of: &[Item],
    two: &mut Vec<usize>,
    other: &[Item],
) -> usize {
    let before = one.len();
    one.retain(|at| {
        let text = of[*at].text.as_str();
        let joined = |first: &usize| {
            let rest = text.strip_prefix(other[*first].text.as_str());
            rest.is_some_and(|rest| {
                other
                    .get(first + 1)
                    .is_some_and(|next| !rest.is_empty() && next.text == rest)
            })
        };
        let Some(first) = two.iter().copied().find(joined) else {
            return true;
        };
        two.retain(|at| *at != first && *at != first + 1);
        false
    });
    before - one.len()
}

fn content(items: &[Item]) -> Vec<usize> {
    items
        .iter()
        .enumerate()
        .filter(|(_, item)| matches!(item.is, Is::Content(_)))
        .map(|(at, _)| at)
        .collect()
}

fn is_fact(item: &Item) -> bool {
    matches!(item.is, Is::Quantity { .. } | Is::Date(_) | Is::Unit(_))
}

pub fn same(a: &Item, b: &Item) -> bool {
    match (&a.is, &b.is) {
        (Is::Function, Is::Function) => a.text == b.text,
        (Is::Content(_), Is::Content(_)) => one_word(a, b) || akin(a, b),
        (a, b) => a == b,
    }
}

/// The same word, whatever its ending, unless the ending turns it about.
fn one_word(a: &Item, b: &Item) -> bool {
    a.is == b.is && (a.text == b.text || !is_giver_and_taker(&a.text, &b.text))
}

/// One word in two forms: mistyped, inflected, or part of a compound.
fn akin(a: &Item, b: &Item) -> bool {
    let (Is::Content(_), Is::Content(_)) = (&a.is, &b.is) else {
        return false;
    };
    let (a, b) = (a.text.as_str(), b.text.as_str());
    if is_typo(a, b) || lexicon::stand_together(a, b) {
        return true;
    }
    if ends(a, b) || ends(b, a) {
        return true;
    }
    if is_giver_and_taker(a, b) {
        return false;
    }
    begins_alike(a, b) || root(a).len() >= ROOT_MIN && root(a) == root(b)
}

/// The shortest root by which two forms are known for one word.
const ROOT_MIN: usize = 4;

/// Compounds: `Budget` in `Jirabudget`. A number within makes it another thing.
fn ends(short: &str, long: &str) -> bool {
    short.len() >= 5 && long.ends_with(short) && long.len() >= short.len() + 4
}

/// Whether the second is a compound of the first.
pub fn is_compound(short: &Item, long: &Item) -> bool {
    matches!(short.is, Is::Content(_)) && ends(&short.text, &long.text)
}

/// What is left without the endings that make nouns of verbs and the beginnings that make participles.
fn root(word: &str) -> &str {
    let participle = word
        .strip_prefix("ge")
        .filter(|rest| rest.len() >= 5 && (rest.ends_with('t') || rest.ends_with("en")));
    let word = participle.unwrap_or(word);
    let noun = [
        "ungen", "ung", "ations", "ation", "ements", "ement", "ments", "ment", "als", "al",
    ]
    .iter()
    .find_map(|ending| word.strip_suffix(ending));
    stem(noun.filter(|rest| rest.len() >= ROOT_MIN).unwrap_or(word))
}

/// `Employer` and `employee`, `employeur` and `employé`: one of them acts on the other.
pub fn is_giver_and_taker(a: &str, b: &str) -> bool {
    let one_way = |a: &str, b: &str| {
        let giver = ["eurs", "euse", "eur", "ers", "ors", "er", "or"]
            .iter()
            .find_map(|ending| a.strip_suffix(ending));
        let taker = ["ees", "ee", "es", "e"]
            .iter()
            .find_map(|ending| b.strip_suffix(ending));
        matches!((giver, taker), (Some(giver), Some(taker)) if giver == taker && giver.len() >= 4)
            && (b.ends_with("ee") || b.ends_with("ees") || a.contains("eur"))
    };
    one_way(a, b) || one_way(b, a)
}

fn is_contrary(a: &str, b: &str) -> bool {
    let opposed = |pole: &lexicon::Pole| {
        lexicon::poles(b)
            .iter()
            .any(|other| other.group == pole.group && other.at != pole.at && !pole.weak)
    };
    turned(a, b) || lexicon::poles(a).iter().any(opposed)
}

/// Two forms of one word, by how they begin.
pub fn begins_alike(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let common = short
        .bytes()
        .zip(long.bytes())
        .take_while(|(x, y)| x == y)
        .count();
    common >= 5 && common * 10 >= long.len() * 6 && !a.contains(|c: char| c.is_ascii_digit())
}
