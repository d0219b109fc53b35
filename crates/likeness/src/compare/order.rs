//! The same words in another order between the same little words: from A to B, and from B to A.

use super::{Alignment, Pair};
use crate::difference::{Difference, Kind};
use crate::read::{Is, Item};

pub fn difference(pair: &Pair<'_>, alignment: &Alignment) -> Option<Difference> {
    swapped(pair, alignment).or_else(|| roles(pair))
}

/// Two items changed places and nothing else did.
fn swapped(pair: &Pair<'_>, _alignment: &Alignment) -> Option<Difference> {
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

/// What comes from where in one question goes there in the other.
fn roles(pair: &Pair<'_>) -> Option<Difference> {
    let cached = roles_of(&pair.cached.items);
    let asked = roles_of(&pair.asked.items);
    let both = |roles: &[(Role, &Item)]| {
        [Role::From, Role::To]
            .iter()
            .all(|role| roles.iter().any(|(r, _)| r == role))
    };
    if !both(&cached) || !both(&asked) {
        return None;
    }
    for (role, item) in &cached {
        for (other_role, other) in &asked {
            let again = |roles: &[(Role, &Item)], role: &Role, item: &Item| {
                roles
                    .iter()
                    .any(|(r, i)| r == role && super::alignment::same(i, item))
            };
            let flipped = role != other_role && super::alignment::same(item, other);
            if flipped && !again(&asked, role, item) && !again(&cached, other_role, item) {
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

#[derive(Clone, Copy, PartialEq)]
enum Role {
    From,
    To,
}

/// The nearest word behind a preposition of direction, past articles.
fn roles_of(items: &[Item]) -> Vec<(Role, &Item)> {
    let mut found = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let role = match item.text.as_str() {
            "from" | "von" | "vom" | "aus" | "ab" | "depuis" | "leaving" => Role::From,
            "to" | "into" | "nach" | "zu" | "zum" | "vers" | "auf" => Role::To,
            "de" | "d" | "du" if goes_on(items, at) => Role::From,
            "a" | "au" | "en" | "pour"
                if at >= 2 && matches!(items[at - 2].text.as_str(), "de" | "d" | "du") =>
            {
                Role::To
            }
            "for" if at >= 2 && items[at - 2].text == "leaving" => Role::To,
            _ => continue,
        };
        let next = items[at + 1..]
            .iter()
            .take(3)
            .find(|item| !matches!(item.is, Is::Function));
        if let Some(next) = next.filter(|item| !matches!(item.is, Is::Quantity { .. })) {
            found.push((role, next));
        }
    }
    found
}

/// French `de A à B`.
fn goes_on(items: &[Item], at: usize) -> bool {
    let to = items.get(at + 2).map_or("", |item| item.text.as_str());
    matches!(to, "a" | "au" | "vers" | "en" | "pour")
        && items
            .get(at + 3)
            .is_some_and(|item| !matches!(item.is, Is::Function))
}
