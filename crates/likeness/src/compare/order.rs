//! The same words in another order between the same little words: from A to B, and from B to A.

use super::Pair;
use crate::difference::{Difference, Kind};
use crate::lexicon;
use crate::read::{Is, Item};

/// Two items changed places.
pub fn difference(pair: &Pair<'_>) -> Option<Difference> {
    exchanged(pair).or_else(|| moved(pair))
}

/// From A to B here, from B to A there, whatever words stand around.
fn exchanged(pair: &Pair<'_>) -> Option<Difference> {
    let (from, to) = way(&pair.cached.items)?;
    let (back_from, back_to) = way(&pair.asked.items)?;
    let there_and_back =
        place(from) != place(to) && place(from) == place(back_to) && place(to) == place(back_from);
    there_and_back.then(|| {
        pair.differ(
            Kind::Direction,
            Some(from.span.start..to.span.end),
            Some(back_from.span.start..back_to.span.end),
        )
    })
}

/// `from 9 to 10`: two figures and where they stand.
fn way(items: &[Item]) -> Option<(&Item, &Item)> {
    items.windows(4).find_map(|four| {
        let [from, start, to, end] = four else {
            return None;
        };
        let ways = matches!(from.text.as_str(), "from" | "von" | "vom" | "de")
            && matches!(
                to.text.as_str(),
                "to" | "into" | "auf" | "nach" | "zu" | "a" | "en" | "vers"
            );
        (ways && place(start).is_some() && place(end).is_some()).then_some((start, end))
    })
}

/// A figure without its unit, which often stands at one end only; of a time, the hour and minute.
fn place(item: &Item) -> Option<i64> {
    let hour = item.text.strip_suffix(":00").unwrap_or(&item.text);
    if let Ok(figure) = hour.parse::<i32>() {
        return Some(i64::from(figure) * 1000);
    }
    match item.is {
        Is::Quantity { value, .. } => Some(value),
        _ => None,
    }
}

/// The same words at all places but those that were exchanged.
fn moved(pair: &Pair<'_>) -> Option<Difference> {
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

#[cfg(test)]
mod tests {
    use crate::{Kind, compare};

    #[test]
    fn there_is_not_back() {
        for (there, back) in [
            (
                "Raise the quota from 5 to 8",
                "Lift my quota, it goes from 8 to 5",
            ),
            (
                "Termin von 14 auf 16 Uhr legen",
                "Leg den Termin bitte von 16 auf 14 Uhr",
            ),
        ] {
            let kind = compare(there, back).map(|found| found.kind);
            assert_eq!(kind, Some(Kind::Direction), "{there} / {back}");
        }
    }

    #[test]
    fn the_same_way_in_other_words_is_no_difference_of_order() {
        assert_eq!(
            compare(
                "Move the call from 9 to 10",
                "Move the call from nine to ten"
            ),
            None
        );
    }
}
