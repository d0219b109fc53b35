//! The same words in another order between the same little words: from A to B, and from B to A.

use super::Pair;
use crate::difference::{Difference, Kind};
use crate::lexicon;
use crate::read::{Is, Item};

/// Two items changed places and nothing else did.
pub fn difference(pair: &Pair<'_>) -> Option<Difference> {
    let (cached, asked) = (&pair.cached.items, &pair.asked.items);
    if cached.len() != asked.len() {
        return None;
    }
    let apart: Vec<usize> = (0..cached.len())
        .filter(|at| !super::alignment::same(&cached[*at], &asked[*at]))
        .collect();
    let [first, .., last] = apart.as_slice() else {
        return None;
    };
    // `A and B` are `B and A`.
    let joined = |items: &[Item]| {
        let and = |item: &Item| {
            matches!(
                item.text.as_str(),
                "and" | "or" | "und" | "oder" | "et" | "ou"
            )
        };
        let between = &items[first + 1..*last];
        between.iter().any(and)
            && between
                .iter()
                .all(|item| and(item) || lexicon::is_article(&item.text))
    };
    if apart.len() == 2 && joined(cached) {
        return None;
    }
    let moved = |at: &usize| {
        !matches!(cached[*at].is, Is::Function)
            && apart
                .iter()
                .any(|other| super::alignment::same(&cached[*at], &asked[*other]))
    };
    (apart.iter().all(moved) && apart.len() * 2 <= cached.len() + 1).then(|| {
        let span = |items: &[Item]| items[*first].span.start..items[*last].span.end;
        pair.differ(Kind::Direction, Some(span(cached)), Some(span(asked)))
    })
}
