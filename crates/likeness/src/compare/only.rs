//! `Only users`, where the other side has `some users` or just `users`.

use super::{Alignment, Pair, bears};
use crate::difference::{Difference, Kind};
use crate::read::Item;

/// Below this share of a common frame `only` may be part of another wording.
const FRAMED_MIN: f64 = 0.75;

/// One side narrows a word with `only` and the other neither narrows nor denies anything.
pub fn difference(pair: &Pair<'_>, alignment: &Alignment) -> Option<Difference> {
    if alignment.frame().share() < FRAMED_MIN {
        return None;
    }
    let (cached, asked) = (&pair.cached.items, &pair.asked.items);
    let (left, right) = (only(cached), only(asked));
    let narrows = |item: &Item| {
        matches!(
            item.text.as_str(),
            "only" | "just" | "solely" | "exclusively" | "alone" | "but" | "except" | "not" | "no"
        )
    };
    let other = match (left, right) {
        (Some(_), None) => asked,
        (None, Some(_)) => cached,
        _ => return None,
    };
    if other.iter().any(narrows) {
        return None;
    }
    let some = other.iter().find(|item| item.text == "some");
    let span = |item: Option<&Item>| item.map(|item| item.span.clone());
    Some(pair.differ(Kind::Quantifier, span(left.or(some)), span(right.or(some))))
}

/// `Only` before a word that it narrows.
fn only(items: &[Item]) -> Option<&Item> {
    let before = |two: &[Item]| two[0].text == "only" && bears(&two[1]);
    items.windows(2).find(|two| before(two)).map(|two| &two[0])
}

#[cfg(test)]
mod tests {
    use crate::compare::compare;
    use crate::difference::Kind;

    #[test]
    fn only_some_and_neither_are_three_questions() {
        let kind = |a: &str, b: &str| compare(a, b).map(|found| found.kind);
        for (a, b) in [
            (
                "List only users with a badge",
                "List some users with a badge",
            ),
            ("List only users with a badge", "List users with a badge"),
            (
                "Can only admins see the log?",
                "Can some admins see the log?",
            ),
            ("Can only admins see the log?", "Can admins see the log?"),
        ] {
            assert_eq!(kind(a, b), Some(Kind::Quantifier), "{a} / {b}");
            assert_eq!(kind(b, a), Some(Kind::Quantifier), "{b} / {a}");
        }
        let (a, b) = (
            "Can only admins see the log?",
            "Can just admins see the log?",
        );
        assert_eq!(kind(a, b), None);
    }
}
