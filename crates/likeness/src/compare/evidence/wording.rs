//! How much of the wording both have, and what is left over.

use super::{Evidence, Feature};
use crate::compare::alignment::is_compound;
use crate::compare::frame::{alike, tells};
use crate::compare::{Alignment, Pair, Question, facts};
use crate::language::Language;
use crate::lexicon;
use crate::read::{Is, Item};

/// From this many letters a word left over is a rare one.
const LONG_MIN: usize = 8;
/// From this share of common runs of three letters two words are of one root.
const DERIVED_MIN: f64 = 0.35;

pub fn find(pair: &Pair<'_>, alignment: &Alignment, evidence: &mut Evidence) {
    let left: Vec<&Item> = alignment.left_cached(pair).collect();
    let other: Vec<&Item> = alignment.left_asked(pair).collect();
    words(alignment, &left, &other, evidence);
    little(pair, alignment, evidence);
    shared(pair, alignment, evidence);
    let all = || left.iter().chain(&other);
    let long = all().filter(|item| item.text.len() >= LONG_MIN).count();
    evidence.count(Feature::LongLeft, long);
    evidence.flag(Feature::WordForWord, alignment.exchanges(pair));
    let named = all().filter(|item| is_name(item, pair)).count();
    evidence.count(Feature::NamesLeft, named);
    let derived = left.iter().filter(|item| {
        other
            .iter()
            .any(|o| common_runs(&item.text, &o.text) >= DERIVED_MIN)
    });
    evidence.count(Feature::Derived, derived.count());
    lengths(pair, evidence);
}

fn words(alignment: &Alignment, left: &[&Item], other: &[&Item], evidence: &mut Evidence) {
    let asks = |items: &[&Item]| {
        items
            .iter()
            .filter(|item| lexicon::asks(&item.text))
            .count()
    };
    let (asks_left, asks_other) = (asks(left), asks(other));
    let (bare_left, bare_other) = (left.len() - asks_left, other.len() - asks_other);
    let (substituted, added) = (bare_left.min(bare_other), bare_left.abs_diff(bare_other));
    let (share, frame) = (alignment.share(), alignment.frame().share());
    evidence.count(Feature::Substituted, substituted);
    evidence.count(Feature::Added, added);
    evidence.count(Feature::AsksOtherwise, asks_left + asks_other);
    evidence.set(Feature::Share, share);
    evidence.set(Feature::Frame, frame);
    if substituted > 0 {
        evidence.set(Feature::SubstitutedInFrame, frame);
        evidence.set(Feature::SubstitutedAmongShared, share);
    } else if added > 0 {
        evidence.set(Feature::AddedInFrame, frame);
    }
    evidence.flag(Feature::SameWords, left.is_empty() && other.is_empty());
}

fn little(pair: &Pair<'_>, alignment: &Alignment, evidence: &mut Evidence) {
    let (left, other) = alignment.frame().gaps(pair);
    let without = |items: &[&Item], others: &[&Item]| {
        let lacks = |item: &&&Item| tells(item) && !others.iter().any(|o| alike(item, o));
        items.iter().filter(lacks).count()
    };
    let (one, two) = (without(&left, &other), without(&other, &left));
    evidence.count(Feature::LittleBoth, one.min(two));
    evidence.count(Feature::LittleOne, one.abs_diff(two));
    let all = (one + two).min(super::COUNT_MAX) as f64;
    evidence.set(Feature::LittleInFrame, alignment.frame().share() * all);
}

/// Every word of one has its like in the other, and the facts stand in their order.
pub fn nothing_left(pair: &Pair<'_>, alignment: &Alignment) -> bool {
    let words = alignment
        .left_cached(pair)
        .chain(alignment.left_asked(pair));
    let (left, other) = alignment.frame().gaps(pair);
    let can = |item: &Item| CAN.iter().any(|can| lexicon::little_alike(&item.text, can));
    let says_more = |items: &[&Item], others: &[&Item]| {
        let lacks =
            |item: &&Item| tells(item) && !can(item) && !others.iter().any(|o| alike(item, o));
        items.iter().any(lacks)
    };
    let facts = |items: &[Item]| -> Vec<Is> {
        let facts = items.iter().filter(|item| fact_kind(item).is_some());
        facts.map(|item| item.is.clone()).collect()
    };
    words.count() == 0
        && !says_more(&left, &other)
        && !says_more(&other, &left)
        && facts(&pair.cached.items) == facts(&pair.asked.items)
}

/// What `do I` becomes where somebody asks politely.
const CAN: [&str; 3] = ["can", "kann", "peut"];

fn shared(pair: &Pair<'_>, alignment: &Alignment, evidence: &mut Evidence) {
    let (cached, asked) = (&pair.cached.items, &pair.asked.items);
    let stands = |item: &&Item| asked.iter().any(|other| other.is == item.is);
    let fact = |item: &&Item| matches!(item.is, Is::Quantity { .. } | Is::Date(_) | Is::Unit(_));
    evidence.count(
        Feature::FactsShared,
        cached.iter().filter(fact).filter(stands).count(),
    );
    evidence.count(Feature::FactsOneSided, facts::one_sided(pair));
    let named = cached
        .iter()
        .filter(|item| is_name(item, pair))
        .filter(stands);
    evidence.count(Feature::NamesShared, named.count());
    let compounds = |items: &[Item], others: &[Item]| {
        let is_part = |item: &&Item| {
            !others.iter().any(|o| o.text == item.text)
                && others.iter().any(|o| is_compound(item, o))
        };
        items.iter().filter(is_part).count()
    };
    let compounded = compounds(cached, asked) + compounds(asked, cached);
    evidence.count(Feature::Compounded, compounded);
    if compounded > 0 {
        evidence.set(Feature::CompoundedInFrame, alignment.frame().share());
    }
    let unknown = units_not_in(cached, asked) + units_not_in(asked, cached);
    evidence.count(Feature::UnitOneSided, unknown);
    evidence.count(Feature::FactsTurned, turned(cached, asked, fact_kind));
    let name_kind = |item: &Item| is_name(item, pair).then_some(0);
    evidence.count(Feature::NamesTurned, turned(cached, asked, name_kind));
    let opening = |question: &Question<'_>| question.items.first().map(|item| item.text.clone());
    let same = opening(&pair.cached) == opening(&pair.asked);
    evidence.flag(Feature::SameOpening, same);
}

/// Units that stand by themselves and that the others have nowhere.
fn units_not_in(items: &[Item], others: &[Item]) -> usize {
    let has = |wanted: &str| {
        others.iter().any(|item| match item.is {
            Is::Unit(unit) => unit == wanted,
            Is::Quantity { unit, .. } => unit == Some(wanted),
            _ => false,
        })
    };
    let is_unknown = |item: &&Item| matches!(item.is, Is::Unit(unit) if !has(unit));
    items.iter().filter(is_unknown).count()
}

/// Facts of which one can stand for another.
fn fact_kind(item: &Item) -> Option<u8> {
    match item.is {
        Is::Quantity { unit: None, .. } => Some(0),
        Is::Quantity { unit: Some(_), .. } => Some(1),
        Is::Unit(_) => Some(2),
        Is::Date(_) => Some(3),
        Is::Content(_) | Is::Function => None,
    }
}

/// How many neighbours of one kind follow each other in the other order in the other question.
fn turned(one: &[Item], other: &[Item], kind: impl Fn(&Item) -> Option<u8>) -> usize {
    let place = |item: &Item| other.iter().position(|o| o.is == item.is);
    let placed: Vec<(u8, usize)> = one
        .iter()
        .filter_map(|item| Some((kind(item)?, place(item)?)))
        .collect();
    let is_turned = |two: &&[(u8, usize)]| two[0].0 == two[1].0 && two[0].1 > two[1].1;
    placed.windows(2).filter(is_turned).count()
}

fn lengths(pair: &Pair<'_>, evidence: &mut Evidence) {
    let (cached, asked) = (&pair.cached, &pair.asked);
    let length = |question: &Question<'_>| (question.items.len().max(1) as f64).ln();
    let (one, other) = (length(cached), length(asked));
    evidence.set(Feature::LengthRatio, (one - other).abs().min(1.0));
    evidence.set(Feature::Length, f64::midpoint(one, other));
    let sentences = |question: &Question<'_>| question.items.last().map_or(0, |item| item.sentence);
    let more = sentences(cached).abs_diff(sentences(asked));
    evidence.count(Feature::SentencesMore, usize::from(more));
    let language = pair.cached.language;
    evidence.flag(Feature::German, language == Language::German);
    evidence.flag(Feature::French, language == Language::French);
    evidence.flag(Feature::Languages, language != pair.asked.language);
}

/// German writes every noun with a capital.
fn is_name(item: &Item, pair: &Pair<'_>) -> bool {
    item.named && pair.cached.language != Language::German
}

/// Dice's index of runs of three letters.
fn common_runs(a: &str, b: &str) -> f64 {
    let runs = |text: &str| text.len().saturating_sub(2);
    if runs(a) == 0 || runs(b) == 0 {
        return 0.0;
    }
    let common = a
        .as_bytes()
        .windows(3)
        .filter(|run| b.as_bytes().windows(3).any(|other| other == *run))
        .count();
    2.0 * common.min(runs(b)) as f64 / (runs(a) + runs(b)) as f64
}
