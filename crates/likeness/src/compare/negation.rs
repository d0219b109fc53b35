//! Yes or no: an odd number of denials on one side and an even one on the other.

use super::{Alignment, Pair, Question};
use crate::difference::{Difference, Kind};
use crate::lexicon;
use crate::read::{Is, Item};

/// Below this share of words in common, a denial more may be the wording.
const SHARE_MIN: f64 = 0.3;

pub fn difference(pair: &Pair<'_>, alignment: &Alignment) -> Option<Difference> {
    if !differs(pair) {
        let (cached, asked) = denied_by_prefix(pair)?;
        let span = |item: &Item| Some(item.span.clone());
        return Some(pair.differ(Kind::Negation, span(cached), span(asked)));
    }
    if alignment.denies_by_contrary() || alignment.share() < SHARE_MIN && !alignment.is_framed() {
        return None;
    }
    let (cached, asked) = (denials(&pair.cached), denials(&pair.asked));
    let (fewer, more) = if cached.len() < asked.len() {
        (&pair.cached, &pair.asked)
    } else {
        (&pair.asked, &pair.cached)
    };
    // What both sides say takes no denial away: the `left` of a left join.
    let said = |item: &Item| more.items.iter().any(|other| other.text == item.text);
    if fewer
        .items
        .iter()
        .any(|item| lexicon::denies_implicitly(&item.text) && !said(item))
    {
        return None;
    }
    let span = |items: &[&Item]| items.first().map(|item| item.span.clone());
    Some(pair.differ(Kind::Negation, span(&cached), span(&asked)))
}

/// Whether one side denies once more than the other, modulo double denial.
pub fn differs(pair: &Pair<'_>) -> bool {
    denials(&pair.cached).len() % 2 != denials(&pair.asked).len() % 2
}

/// A word of one side that denies a word of the other, which has it nowhere: members, non-members.
fn denied_by_prefix<'p>(pair: &'p Pair<'_>) -> Option<(&'p Item, &'p Item)> {
    let (cached, asked) = (&pair.cached.items, &pair.asked.items);
    let alone = |item: &&Item, others: &[Item]| !others.iter().any(|other| other.is == item.is);
    cached
        .iter()
        .filter(|item| alone(item, asked))
        .find_map(|one| {
            let mut others = asked.iter().filter(|item| alone(item, cached));
            let denies = |other: &&Item| denies(one, other) || denies(other, one);
            Some((one, others.find(denies)?))
        })
}

fn denies(long: &Item, short: &Item) -> bool {
    let (Is::Content(long), Is::Content(short)) = (&long.is, &short.is) else {
        return false;
    };
    let rest = |prefix: &&str| {
        long.strip_prefix(*prefix)
            .map(|rest| rest.trim_start_matches('-'))
    };
    short.len() >= DENIED_MIN && PREFIXES.iter().filter_map(rest).any(|rest| rest == short)
}

const PREFIXES: [&str; 9] = ["un", "non", "in", "im", "ir", "il", "dis", "nicht", "miss"];
/// Shorter words begin by chance like others: `it`, `unit`.
const DENIED_MIN: usize = 4;

/// `bill no. 10243`, `relance n° 2`.
fn numbers(items: &[Item], at: usize) -> bool {
    let next = |ahead: usize| items.get(at + ahead);
    let number =
        |item: Option<&Item>| item.is_some_and(|item| matches!(item.is, Is::Quantity { .. }));
    number(next(1)) || next(1).is_some_and(|item| item.text == "°") && number(next(2))
}

/// `Isn't there a bus?` and `Wasn't it moved?` ask whether there is and it was.
fn opens(items: &[Item], at: usize) -> bool {
    let second = at > 0
        && items[at - 1].sentence == items[at].sentence
        && (at == 1 || items[at - 2].sentence != items[at].sentence);
    second
        && matches!(
            items[at - 1].text.as_str(),
            "is" | "are"
                | "does"
                | "did"
                | "has"
                | "have"
                | "was"
                | "were"
                | "isn"
                | "aren"
                | "would"
                | "should"
        )
}

/// `…, or not?`
fn or_not(items: &[Item], at: usize) -> bool {
    at > 0
        && matches!(items[at - 1].text.as_str(), "or" | "oder" | "ou")
        && items
            .get(at + 1)
            .is_none_or(|next| next.sentence != items[at].sentence)
}

/// `…, hasn't it?`
fn is_tag(items: &[Item], at: usize) -> bool {
    let ends = |at: usize| {
        items
            .get(at)
            .is_none_or(|item| item.sentence != items[at - 1].sentence)
    };
    let pronoun = |item: &Item| {
        matches!(
            item.text.as_str(),
            "it" | "they" | "he" | "she" | "you" | "we" | "i" | "there"
        )
    };
    at > 2 && items.get(at + 1).is_some_and(pronoun) && ends(at + 2)
}

/// French `ne` with a `que` and without a word that denies.
fn only(items: &[Item], at: usize) -> bool {
    let behind = &items[at + 1..items.len().min(at + 6)];
    let has = |words: &[&str]| {
        behind
            .iter()
            .any(|item| words.contains(&item.text.as_str()))
    };
    has(&["que", "qu"])
        && !has(&[
            "pas", "plus", "jamais", "rien", "personne", "aucun", "aucune",
        ])
}

pub fn denials<'a>(question: &'a Question<'_>) -> Vec<&'a Item> {
    let items = &question.items;
    let text = |at: usize| items.get(at).map_or("", |item| item.text.as_str());
    let mut found = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let behind_ne = || {
            items[at.saturating_sub(5)..at]
                .iter()
                .any(|item| matches!(item.text.as_str(), "ne" | "n"))
        };
        let before_ne = || {
            items[at + 1..items.len().min(at + 5)]
                .iter()
                .any(|item| matches!(item.text.as_str(), "ne" | "n"))
        };
        let denies = match item.text.as_str() {
            // `bill no. 10243`
            "no" => !(numbers(items, at) || or_not(items, at)),
            // `Isn't there a bus?` asks whether there is one.
            "not" => {
                !(opens(items, at)
                    || or_not(items, at)
                    || is_tag(items, at)
                    || text(at + 1) == "only")
            }
            // `OK or not?`
            "nicht" | "pas" if or_not(items, at) => false,
            "n" if numbers(items, at) => false,
            // `Ne … que` is only.
            "ne" | "n" => at > 0 && !only(items, at),
            "never" | "none" | "nobody" | "nothing" | "without" | "neither" | "except"
            | "nicht" | "nie" | "niemals" | "niemand" | "nichts" | "ohne" | "ausser" | "sans"
            | "sauf" | "cannot" | "nowhere" => true,
            "pas" | "jamais" | "rien" => !behind_ne(),
            "aucun" | "aucune" => !behind_ne() && !before_ne(),
            word => word.starts_with("kein"),
        };
        if denies {
            found.push(item);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::compare::compare;

    #[test]
    fn a_tag_a_leading_not_and_an_or_not_deny_nothing() {
        let same = |a: &str, b: &str| assert_eq!(compare(a, b), None, "{a} / {b}");
        same("Isn't the lift out of order?", "Is the lift out of order?");
        same("The lift works again, doesn't it?", "The lift works again?");
        same("Is the lift working or not?", "Is the lift working?");
    }

    #[test]
    fn a_denial_more_is_another_question() {
        assert!(compare("Which rooms are booked?", "Which rooms aren't booked?").is_some());
        assert!(compare("Il reste des places ?", "Il ne reste pas de places ?").is_some());
    }

    #[test]
    fn a_word_that_denies_another_by_its_prefix_is_its_contrary() {
        let differ = |a: &str, b: &str| assert!(compare(a, b).is_some(), "{a} / {b}");
        differ(
            "Is the sauna open to members?",
            "Is the sauna open to non-members?",
        );
        differ(
            "Wo sitzen die Raucher im Zug?",
            "Wo sitzen die Nichtraucher im Zug?",
        );
        // Twice denied is as good as not at all.
        assert_eq!(
            compare(
                "Which seats are unassigned?",
                "Which seats are not assigned?"
            ),
            None
        );
    }
}
