//! From where to where and who to whom: the place of each word in its sentence, and words that changed places.

mod place;
mod voice;

use super::alignment::same;
use super::participants::relations;
use super::{Alignment, Pair};
use crate::difference::{Difference, Kind};
use crate::language::Language;
use crate::read::{Is, Item};
pub use place::{Place, binds, place, preposition};
pub use voice::is_be;
use voice::{around_verb, suffered, voiced};

/// Past this many items a question is not searched for roles: each word is held against each.
const ITEMS_MAX: usize = 96;

pub fn difference(pair: &Pair<'_>, alignment: &Alignment) -> Option<Difference> {
    let (cached, asked) = (&pair.cached.items, &pair.asked.items);
    if cached.len().max(asked.len()) > ITEMS_MAX {
        return None;
    }
    if compares(cached) && compares(asked) {
        return None;
    }
    let shared = shared(pair);
    let found = turned(pair, alignment)
        .or_else(|| replaced(pair, alignment))
        .or_else(|| exchanged(&shared, alignment))
        .or_else(|| turned_about(cached, asked, &shared))
        .or_else(|| voiced(pair, &shared))
        .or_else(|| suffered(pair, alignment))
        .or_else(|| {
            let framed = alignment.frame().share() >= 0.5;
            framed
                .then(|| around_verb(cached, asked, &shared))
                .flatten()
        })?;
    Some(pair.differ(
        Kind::Direction,
        Some(cached[found.0].span.clone()),
        Some(asked[found.1].span.clone()),
    ))
}

/// `The difference between A and B` is that between B and A.
pub fn compares(items: &[Item]) -> bool {
    let compares = |item: &Item| {
        let text = item.text.as_str();
        matches!(
            text,
            "vs" | "versus" | "differ" | "compare" | "vergleich" | "comparer" | "comparaison"
        ) || [
            "differen",
            "unterschied",
            "unterscheid",
            "distingu",
            "vergleich",
        ]
        .iter()
        .any(|root| text.starts_with(root))
    };
    items.iter().any(compares)
}

/// A word that both sides have once, and its place in each.
#[derive(Clone, Copy)]
struct Shared {
    cached: usize,
    asked: usize,
    place: Place,
    other: Place,
}

fn shared(pair: &Pair<'_>) -> Vec<Shared> {
    let (cached, asked) = (&pair.cached.items, &pair.asked.items);
    let bears = |item: &Item| !matches!(item.is, Is::Function);
    let mut found: Vec<Shared> = Vec::new();
    for (at, item) in cached.iter().enumerate().filter(|(_, item)| bears(item)) {
        let mut likes =
            (0..asked.len()).filter(|other| bears(&asked[*other]) && same(item, &asked[*other]));
        let (Some(other), None) = (likes.next(), likes.next()) else {
            continue;
        };
        let twice = cached
            .iter()
            .enumerate()
            .any(|(again, o)| again != at && bears(o) && same(o, &asked[other]));
        if twice {
            continue;
        }
        found.push(Shared {
            cached: at,
            asked: other,
            place: place(cached, at, pair.cached.language),
            other: place(asked, other, pair.asked.language),
        });
    }
    found
}

/// Two words each of which stands where the other stood. Standing bare is a place only where little else
/// differs.
fn exchanged(shared: &[Shared], alignment: &Alignment) -> Option<(usize, usize)> {
    let close = alignment.share() >= BARE_SHARE_MIN || alignment.is_framed();
    for (n, one) in shared.iter().enumerate() {
        if one.place == one.other {
            continue;
        }
        for two in &shared[n + 1..] {
            let bare = one.place == Place::Bare || one.other == Place::Bare;
            if one.place == two.other && one.other == two.place && (close || !bare) {
                return Some((one.cached, one.asked));
            }
        }
    }
    None
}

const BARE_SHARE_MIN: f64 = 0.65;

/// Nearly the same words, and somebody acts on whom the other side lets act.
fn turned(pair: &Pair<'_>, alignment: &Alignment) -> Option<(usize, usize)> {
    let relations = relations(&pair.cached, &pair.asked);
    let turned = relations.turned > relations.kept && alignment.share() >= TURNED_SHARE_MIN;
    relations.first_turned.filter(|_| turned)
}

/// With fewer words in common another verb may turn it back.
const TURNED_SHARE_MIN: f64 = 0.7;

/// A preposition of another place before the same words: `mails from`, `mails to`.
fn replaced(pair: &Pair<'_>, alignment: &Alignment) -> Option<(usize, usize)> {
    if alignment.frame().share() < REPLACED_MIN || pair.cached.language != pair.asked.language {
        return None;
    }
    let language = pair.cached.language;
    let (cached, asked) = (
        turning(&pair.cached.items, language),
        turning(&pair.asked.items, language),
    );
    // Everything else is the same, so that the prepositions stand in the same order.
    if cached.len() != asked.len() {
        return None;
    }
    cached.iter().zip(&asked).find_map(|(one, other)| {
        let turned = (one.1 == Place::From) != (other.1 == Place::From);
        // Behind the last one stands what is quoted, which is the same on both sides.
        let alike = match (
            pair.cached.items.get(one.0 + 1),
            pair.asked.items.get(other.0 + 1),
        ) {
            (Some(one), Some(other)) => same(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        (turned && alike).then_some((one.0, other.0))
    })
}

/// From this share of a common frame a preposition is told from another.
const REPLACED_MIN: f64 = 0.65;

/// The prepositions directly before a word or a passage, but for `of` and its likes that only join.
pub fn turning(items: &[Item], language: Language) -> Vec<(usize, Place)> {
    let place = |at: usize| {
        let place = preposition(&items[at].text, language)?;
        let turns = matches!(place, Place::From | Place::To | Place::At | Place::For)
            && !matches!(
                items[at].text.as_str(),
                "have"
                    | "has"
                    | "got"
                    | "ve"
                    | "want"
                    | "need"
                    | "like"
                    | "of"
                    | "habe"
                    | "hab"
                    | "haben"
                    | "brauche"
                    | "will"
                    | "moechte"
                    | "ai"
                    | "veux"
                    | "voudrais"
                    | "des"
            );
        turns.then_some((at, place))
    };
    (0..items.len()).filter_map(place).collect()
}

/// One word that goes from where the other side goes to.
fn turned_about(cached: &[Item], asked: &[Item], shared: &[Shared]) -> Option<(usize, usize)> {
    let turned = |word: &&Shared| {
        matches!(
            (sure(cached, word.cached), sure(asked, word.asked)),
            (Some(Place::From), Some(Place::To)) | (Some(Place::To), Some(Place::From))
        )
    };
    let found = shared.iter().find(turned)?;
    Some((found.cached, found.asked))
}

/// From or to, where the preposition says nothing else: `of`, `de` and `zu` say too much by themselves.
fn sure(items: &[Item], at: usize) -> Option<Place> {
    if items.get(at + 1).is_some_and(|next| next.text == "->") {
        return Some(Place::From);
    }
    for item in items[at.saturating_sub(2)..at].iter().rev() {
        match item.text.as_str() {
            "from" | "von" | "vom" | "aus" | "depuis" | "leaving" => return Some(Place::From),
            "to" | "into" | "nach" | "vers" | "towards" | "->" => return Some(Place::To),
            "dem" | "den" | "einem" | "einen" => {}
            word if binds(word) => {}
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::compare::compare;
    use crate::difference::Kind;

    fn turned(a: &str, b: &str) {
        let found = compare(a, b).map(|found| found.kind);
        assert_eq!(found, Some(Kind::Direction), "{a} / {b}");
    }

    #[test]
    fn what_comes_from_where_it_went_is_another_question() {
        turned(
            "I have pesos and want rupees: at which rate?",
            "What is the exchange rate from rupees to pesos?",
        );
        turned(
            "Wie komme ich von Kiel aus nach Graz?",
            "Wie komme ich von Graz aus nach Kiel?",
        );
        turned(
            "Combien coûte le bus du port à la gare ?",
            "Combien coûte le bus de la gare au port ?",
        );
        turned(
            "How do I turn a list into a tuple?",
            "How do I turn a tuple into a list?",
        );
        turned(
            "transfer Poland -> Germany",
            "Transfer from Germany to Poland",
        );
        turned("Show the mails to Ines", "Show the mails from Ines");
    }

    #[test]
    fn who_does_it_to_whom_is_told_by_order_case_and_voice() {
        turned(
            "Does the carrier pay the shipper?",
            "Does the shipper pay the carrier?",
        );
        turned(
            "Schuldet der Pächter dem Verein Geld?",
            "Schuldet der Verein dem Pächter Geld?",
        );
        turned(
            "Does the shipper insure the carrier?",
            "Is the shipper insured by the carrier?",
        );
        turned(
            "Where sits the party that appealed?",
            "Where sits the party that was appealed?",
        );
    }

    #[test]
    fn another_order_of_the_same_places_is_the_same_question() {
        let same = |a: &str, b: &str| assert_eq!(compare(a, b), None, "{a} / {b}");
        same(
            "Which ferry goes from Kiel to Oslo?",
            "To Oslo from Kiel: which ferry?",
        );
        same(
            "How do an inlet and an outlet differ?",
            "How do an outlet and an inlet differ?",
        );
        same(
            "Does the carrier insure the goods?",
            "Are the goods insured by the carrier?",
        );
    }
}
