//! Yes or no: an odd number of denials on one side and an even one on the other.

use super::{Alignment, Pair, Question};
use crate::difference::{Difference, Kind};
use crate::lexicon;
use crate::read::{Is, Item};

/// Below this share of words in common, a denial more may be the wording.
const SHARE_MIN: f64 = 0.2;

pub fn difference(pair: &Pair<'_>, alignment: &Alignment) -> Option<Difference> {
    if !differs(pair)
        || alignment.denies_by_contrary()
        || alignment.share() < SHARE_MIN && !alignment.is_framed()
    {
        return None;
    }
    let (cached, asked) = (denials(&pair.cached), denials(&pair.asked));
    let fewer = if cached.len() < asked.len() {
        &pair.cached
    } else {
        &pair.asked
    };
    if fewer
        .items
        .iter()
        .any(|item| lexicon::denies_implicitly(&item.text))
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

fn denials<'a>(question: &'a Question<'_>) -> Vec<&'a Item> {
    let items = &question.items;
    let text = |at: usize| items.get(at).map_or("", |item| item.text.as_str());
    let mut found = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let behind_ne = || {
            items[at.saturating_sub(5)..at]
                .iter()
                .any(|item| matches!(item.text.as_str(), "ne" | "n"))
        };
        let denies = match item.text.as_str() {
            // `bill no. 10243`
            "no" => !items
                .get(at + 1)
                .is_some_and(|next| matches!(next.is, Is::Quantity { .. })),
            // `Isn't there a bus?` asks whether there is one.
            "not" => {
                !(at == 1
                    && matches!(
                        text(0),
                        "is" | "are" | "does" | "did" | "has" | "was" | "isn" | "aren"
                    ))
            }
            "ne" | "n" => at > 0,
            "never" | "none" | "nobody" | "nothing" | "without" | "neither" | "except"
            | "nicht" | "nie" | "niemals" | "niemand" | "nichts" | "ohne" | "ausser" | "sans"
            | "sauf" | "cannot" | "nowhere" => true,
            "pas" | "jamais" | "rien" | "aucun" | "aucune" => !behind_ne(),
            word => word.starts_with("kein"),
        };
        if denies {
            found.push(item);
        }
    }
    found
}
