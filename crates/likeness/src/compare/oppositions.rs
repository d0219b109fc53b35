//! Words that exclude each other: buy and sell, before and after, French and Spanish.

use std::collections::HashMap;

use super::alignment::is_giver_and_taker;
use super::{Alignment, Pair, Question, focus, negation};
use crate::difference::{Difference, Kind};
use crate::lexicon::{self, Pole};
use crate::read::{Is, Item};
use crate::words::stem;

pub fn difference(pair: &Pair<'_>, alignment: &Alignment) -> Option<Difference> {
    opposed(pair, alignment)
        .or_else(|| prefixes(pair, alignment))
        .or_else(|| one_sided(pair, alignment))
}

pub fn opposed(pair: &Pair<'_>, alignment: &Alignment) -> Option<Difference> {
    let cached = poles_of(&pair.cached);
    let asked = poles_of(&pair.asked);
    let mut found: Vec<(&Pole, &Item, &Item)> = Vec::new();
    for (group, sides) in &cached {
        let Some(others) = asked.get(group) else {
            continue;
        };
        let lacks =
            |of: &[(&Pole, &Item)], pole: &Pole| of.iter().all(|(other, _)| other.at != pole.at);
        let (left, right) = (
            sides.iter().find(|(pole, _)| lacks(others, pole)),
            others.iter().find(|(pole, _)| lacks(sides, pole)),
        );
        let (Some((pole, item)), Some((_, other))) = (left, right) else {
            continue;
        };
        // `not covered` is `excluded`.
        let denied =
            matches!(pole.kind, Kind::Direction | Kind::Negation) && negation::differs(pair);
        let asks_alike = pole.kind == Kind::Question && focus::is_one(pair);
        if !denied && !asks_alike && (!pole.weak || alignment.is_close()) {
            found.push((*pole, *item, *other));
        }
    }
    let (pole, item, other) = found.into_iter().min_by_key(|(pole, _, _)| pole.group)?;
    Some(pair.differ(pole.kind, Some(item.span.clone()), Some(other.span.clone())))
}

/// Extremes and parties, which narrow a question where only one side has them.
pub fn one_sided(pair: &Pair<'_>, alignment: &Alignment) -> Option<Difference> {
    if !alignment.is_close() {
        return None;
    }
    let party = |item: &&Item| {
        lexicon::poles(&item.text)
            .iter()
            .any(|pole| pole.kind == Kind::Scope)
    };
    let (cached, asked) = (
        alignment.left_cached(pair).find(party),
        alignment.left_asked(pair).find(party),
    );
    let span = |item: Option<&Item>| item.map(|item| item.span.clone());
    if cached.is_some() != asked.is_some() {
        return Some(pair.differ(Kind::Scope, span(cached), span(asked)));
    }
    let (cached, asked) = (
        extreme(&pair.cached, &pair.asked),
        extreme(&pair.asked, &pair.cached),
    );
    (cached.is_some() != asked.is_some())
        .then(|| pair.differ(Kind::Quantifier, span(cached), span(asked)))
}

/// An extreme for which the other side has no word at all.
fn extreme<'a>(question: &'a Question<'_>, other: &Question<'_>) -> Option<&'a Item> {
    const EXTREMES: [&str; 24] = [
        "first",
        "last",
        "earliest",
        "latest",
        "longest",
        "shortest",
        "highest",
        "lowest",
        "largest",
        "smallest",
        "oldest",
        "newest",
        "erste",
        "ersten",
        "letzte",
        "letzten",
        "laengste",
        "kuerzeste",
        "premier",
        "premiere",
        "dernier",
        "derniere",
        "maximum",
        "minimum",
    ];
    let said = |item: &Item| {
        other
            .items
            .iter()
            .any(|o| is_one(o) || lexicon::stand_together(&o.text, &item.text))
    };
    let is_extreme =
        |item: &&Item| !matches!(item.is, Is::Date(_)) && EXTREMES.contains(&item.text.as_str());
    question
        .items
        .iter()
        .find(is_extreme)
        .filter(|item| !said(item))
}

/// `1st`, in digits.
fn is_one(item: &Item) -> bool {
    matches!(
        item.is,
        Is::Quantity {
            value: 1000,
            unit: None
        }
    )
}

type Poles<'a> = HashMap<u16, Vec<(&'static Pole, &'a Item)>>;

pub fn poles_of<'a>(question: &'a Question<'_>) -> Poles<'a> {
    let mut found = Poles::new();
    for (at, item) in question.items.iter().enumerate() {
        // German `vor 14 Tagen` is a time ago, not before something.
        let ago = item.text == "vor"
            && question
                .items
                .get(at + 1)
                .is_some_and(|next| matches!(next.is, Is::Quantity { .. }));
        // `le plus petit`: the word behind says which way.
        let steps = matches!(
            item.text.as_str(),
            "plus" | "more" | "most" | "moins" | "less" | "least"
        );
        let graded = steps
            && question.items.get(at + 1).is_some_and(|next| {
                lexicon::poles(&next.text)
                    .iter()
                    .any(|pole| pole.kind == Kind::Quantifier || pole.kind == Kind::Direction)
            });
        if !ago
            && !graded
            && matches!(
                item.is,
                Is::Content(_) | Is::Function | Is::Quantity { unit: None, .. }
            )
        {
            for pole in lexicon::poles(&item.text) {
                found.entry(pole.group).or_default().push((pole, item));
            }
        }
    }
    found
}

/// What makes a word its own contrary.
const DENYING: [&str; 10] = [
    "un", "in", "im", "ir", "il", "non", "dis", "de", "des", "mis",
];

/// What gives one verb different directions.
const TURNING: [&str; 24] = [
    "un", "in", "de", "des", "dis", "ent", "ab", "aus", "ein", "an", "auf", "zu", "up", "down",
    "en", "over", "under", "ueber", "unter", "vor", "nach", "hin", "her", "re",
];

/// `unassigned` and `assigned`, `einbauen` and `ausbauen`: the same word behind another prefix.
pub fn prefixes(pair: &Pair<'_>, alignment: &Alignment) -> Option<Difference> {
    if !alignment.is_small() || negation::differs(pair) {
        return None;
    }
    for item in alignment.left_cached(pair) {
        for other in alignment.left_asked(pair) {
            if turned(&item.text, &other.text) {
                return Some(pair.differ(
                    Kind::Direction,
                    Some(item.span.clone()),
                    Some(other.span.clone()),
                ));
            }
        }
    }
    None
}

pub fn turned(a: &str, b: &str) -> bool {
    if is_giver_and_taker(a, b) {
        return true;
    }
    let denied = |a: &str, b: &str| {
        DENYING
            .iter()
            .filter_map(|prefix| a.strip_prefix(prefix))
            .any(|root| root.len() >= 5 && stem(root) == stem(b))
    };
    let roots = |word: &'_ str| {
        TURNING
            .iter()
            .filter_map(|prefix| word.strip_prefix(prefix).map(stem).map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let turned = || {
        let others = roots(b);
        roots(a)
            .iter()
            .any(|root| root.len() >= 4 && others.contains(root))
    };
    denied(a, b) || denied(b, a) || turned()
}
