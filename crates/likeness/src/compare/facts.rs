//! Numbers, quantities, units and dates: each must have its like on the other side.

use super::alignment::same;
use super::{Alignment, Pair, Question};
use crate::difference::{Difference, Kind};
use crate::read::{Is, Item};

pub fn difference(pair: &Pair<'_>, alignment: &Alignment) -> Option<Difference> {
    dates(pair)
        .or_else(|| quantities(pair, alignment))
        .or_else(|| units(pair))
        .or_else(|| measured(pair))
        .or_else(|| counted(pair))
}

/// A number that has a unit on one side and is bare on the other, which asks for that unit: `15 percent of 80`,
/// `how many percent of 80 is 15`.
fn measured(pair: &Pair<'_>) -> Option<Difference> {
    let asked_for = |of: &Question<'_>, other: &Question<'_>| {
        quantities_of(of).find_map(|item| {
            let Is::Quantity {
                value,
                unit: Some(unit),
            } = item.is
            else {
                return None;
            };
            let bare = Is::Quantity { value, unit: None };
            let stands = quantities_of(other).any(|o| o.is == bare);
            let wanted = other.items.iter().find(|o| o.is == Is::Unit(unit))?;
            stands.then(|| (item.span.clone(), wanted.span.clone()))
        })
    };
    let (cached, asked) = asked_for(&pair.cached, &pair.asked).or_else(|| {
        let (asked, cached) = asked_for(&pair.asked, &pair.cached)?;
        Some((cached, asked))
    })?;
    Some(pair.differ(Kind::Unit, Some(cached), Some(asked)))
}

/// The same number of another thing that both sides name: `32 psi in bar`, `32 bar in psi`.
fn counted(pair: &Pair<'_>) -> Option<Difference> {
    for (at, item) in pair.cached.items.iter().enumerate() {
        let mut likes = pair
            .asked
            .items
            .iter()
            .enumerate()
            .filter(|(_, o)| o.is == item.is);
        let (Is::Quantity { .. }, Some((other, _)), None) = (&item.is, likes.next(), likes.next())
        else {
            continue;
        };
        let things = thing(&pair.cached, at).zip(thing(&pair.asked, other));
        let Some((one, two)) = things.filter(|(one, two)| !same(one, two)) else {
            continue;
        };
        let stands =
            |item: &Item, question: &Question<'_>| question.items.iter().any(|o| o.is == item.is);
        if stands(one, &pair.asked) && stands(two, &pair.cached) {
            return Some(pair.differ(
                Kind::Direction,
                Some(one.span.clone()),
                Some(two.span.clone()),
            ));
        }
    }
    None
}

/// What stands behind a number.
fn thing<'a>(question: &'a Question<'_>, at: usize) -> Option<&'a Item> {
    let number = &question.items[at];
    let behind = question.items.iter().skip(at + 1).take(THING_WITHIN);
    behind
        .take_while(|item| item.sentence == number.sentence)
        .find(|item| matches!(item.is, Is::Content(_) | Is::Unit(_) | Is::Date(_)))
}

/// How far behind a number its thing is looked for.
const THING_WITHIN: usize = 3;

fn dates(pair: &Pair<'_>) -> Option<Difference> {
    let cached = dates_of(&pair.cached);
    let asked = dates_of(&pair.asked);
    let only = |of: &[Part<'_>], other: &[Part<'_>], all: &Question<'_>| {
        of.iter()
            .find(|part| !other.iter().any(|o| o.0 == part.0) && !stands(&part.0, all))
            .map(|part| part.1.span.clone())
    };
    let only_cached = only(&cached, &asked, &pair.asked);
    let only_asked = only(&asked, &cached, &pair.cached);
    (only_cached.is_some() || only_asked.is_some())
        .then(|| pair.differ(Kind::Date, only_cached, only_asked))
}

type Part<'a> = (String, &'a Item);

/// Dates in their parts: a year may stand apart from its month on one side.
fn dates_of<'a>(question: &'a Question<'_>) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    for item in &question.items {
        let Is::Date(date) = &item.is else { continue };
        let mut numbers = date.split([' ', '-']);
        let name = numbers.next().unwrap_or_default();
        for (at, number) in numbers.enumerate() {
            let name = match (at, number.len()) {
                (_, 4) => "year",
                (0, _) => name,
                _ => "of month",
            };
            parts.push((format!("{name} {number}"), item));
        }
    }
    parts
}

/// The day of a month may be read as a bare number on the other side.
fn stands(part: &str, question: &Question<'_>) -> bool {
    let Some(day) = part
        .strip_prefix("of month ")
        .and_then(|day| day.parse::<i64>().ok())
    else {
        return false;
    };
    question
        .items
        .iter()
        .any(|item| matches!(item.is, Is::Quantity { value, unit: None } if value == day * 1000))
}

fn quantities(pair: &Pair<'_>, alignment: &Alignment) -> Option<Difference> {
    let mut asked: Vec<&Item> = quantities_of(&pair.asked).collect();
    let mut cached = Vec::new();
    for item in quantities_of(&pair.cached) {
        match asked.iter().position(|other| alike(&item.is, &other.is)) {
            Some(at) => _ = asked.remove(at),
            None => cached.push(item),
        }
    }
    // A number said twice on one side, and one (`one of them`, `the first`), need no like.
    if cached.is_empty() || asked.is_empty() {
        // Where all else is the same, the number is what differs.
        let few = |item: &Item| is_few(item) && !alignment.is_framed();
        cached.retain(|item| !needless(item, &pair.asked) && !few(item));
        asked.retain(|item| !needless(item, &pair.cached) && !few(item));
    }
    let same_value = |a: &Item, b: &Item| matches!((&a.is, &b.is), (Is::Quantity { value: a, .. }, Is::Quantity { value: b, .. }) if a == b);
    let (first, other) = (cached.first(), asked.first());
    let kind = match (first, other) {
        (None, None) => return None,
        (Some(a), Some(b))
            if same_value(a, b) || measures(a) && measures(b) && digits(a) == digits(b) =>
        {
            Kind::Unit
        }
        _ => Kind::Number,
    };
    Some(pair.differ(
        kind,
        first.map(|item| item.span.clone()),
        other.map(|item| item.span.clone()),
    ))
}

fn quantities_of<'a>(question: &'a Question<'_>) -> impl Iterator<Item = &'a Item> {
    question
        .items
        .iter()
        .filter(|item| matches!(item.is, Is::Quantity { .. }))
}

fn measures(item: &Item) -> bool {
    matches!(item.is, Is::Quantity { unit: Some(_), .. })
}

fn digits(item: &Item) -> &str {
    item.text
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap_or_default()
}

fn needless(item: &Item, other: &Question<'_>) -> bool {
    let Is::Quantity { value, unit } = item.is else {
        return false;
    };
    // `a kilometre` for `per km`, `seven days` for `the week`.
    let a_unit =
        unit.is_some_and(|unit| is_one(item) && other.items.iter().any(|item| names(item, unit)));
    let a_week = unit == Some("s")
        && value == 604_800_000
        && other
            .items
            .iter()
            .any(|item| matches!(item.text.as_str(), "week" | "woche" | "semaine"));
    let repeated = quantities_of(other).any(|other| alike(&item.is, &other.is));
    let in_date = value % 1000 == 0
        && dates_of(other)
            .iter()
            .any(|(part, _)| part.split(' ').next_back() == Some(&(value / 1000).to_string()));
    repeated || a_unit || a_week || unit.is_none() && (value == 1000 || in_date)
}

/// So few may be counted in the wording of one side: a score weighs them (see [`one_sided`]).
const FEW_MAX: i64 = 10;

/// `Two-factor` and `2FA`, `both sides`, `a month`: what is only counted on one side.
fn is_few(item: &Item) -> bool {
    match item.is {
        Is::Quantity { value, unit: None } => (0..=FEW_MAX * 1000).contains(&value),
        Is::Quantity { unit: Some(_), .. } => is_one(item),
        _ => false,
    }
}

fn is_one(item: &Item) -> bool {
    matches!(
        item.text.as_str(),
        "a" | "an" | "one" | "une" | "un" | "ein" | "eine" | "einen" | "einem" | "1"
    )
}

/// How many quantities and dates of either side have no like on the other.
pub fn one_sided(pair: &Pair<'_>) -> usize {
    let alone = |of: &Question<'_>, other: &Question<'_>| {
        let lacks = |item: &&Item| match &item.is {
            Is::Quantity { .. } => !quantities_of(other).any(|other| alike(&item.is, &other.is)),
            Is::Date(_) => !other.items.iter().any(|other| other.is == item.is),
            _ => false,
        };
        of.items.iter().filter(lacks).count()
    };
    alone(&pair.cached, &pair.asked) + alone(&pair.asked, &pair.cached)
}

fn alike(a: &Is, b: &Is) -> bool {
    let (
        Is::Quantity {
            value: a,
            unit: of_a,
        },
        Is::Quantity {
            value: b,
            unit: of_b,
        },
    ) = (a, b)
    else {
        return false;
    };
    // `Ibuprofen 400` and `400 mg`, `at 9` and `9 o'clock`, `8 Urlaubstage` and `8 Tage`.
    let is_counted = |unit: &Option<&str>, a: i64, bare: &Option<&str>, b: i64| {
        let times = |factor: i64| a == b.saturating_mul(factor) || a.saturating_mul(factor) == b;
        unit.is_some() && bare.is_none() && b > 0 && FACTORS.into_iter().any(times)
    };
    // `a half` and `50%`.
    let is_part = |percent: &Option<&str>, a: i64, bare: &Option<&str>, b: i64| {
        *percent == Some("percent") && bare.is_none() && b < 1000 && a == b * 100
    };
    a == b && units_agree(*of_a, *of_b)
        || is_counted(of_a, *a, of_b, *b)
        || is_counted(of_b, *b, of_a, *a)
        || is_part(of_a, *a, of_b, *b)
        || is_part(of_b, *b, of_a, *a)
}

/// How many of its smallest the units are that people leave out.
const FACTORS: [i64; 6] = [12, 60, 1000, 3600, 86_400, 604_800];

/// A unit left out, degrees without a scale, and cents without a currency agree with what names more.
fn units_agree(a: Option<&str>, b: Option<&str>) -> bool {
    let (Some(a), Some(b)) = (a, b) else {
        return true;
    };
    let wide = |wide: &str, narrow: &str| match wide {
        "degree" => matches!(narrow, "celsius" | "fahrenheit"),
        "cent" => matches!(narrow, "euro" | "dollar"),
        _ => false,
    };
    a == b || wide(a, b) || wide(b, a)
}

fn units(pair: &Pair<'_>) -> Option<Difference> {
    let only = |of: &Question<'_>, other: &Question<'_>| {
        let missing = |item: &&Item| match item.is {
            Is::Unit(unit) => !other.items.iter().any(|item| names(item, unit)),
            _ => false,
        };
        of.items.iter().find(missing).map(|item| item.span.clone())
    };
    let cached = only(&pair.cached, &pair.asked)?;
    let asked = only(&pair.asked, &pair.cached)?;
    Some(pair.differ(Kind::Unit, Some(cached), Some(asked)))
}

fn names(item: &Item, wanted: &str) -> bool {
    match item.is {
        Is::Unit(unit) => unit == wanted,
        Is::Quantity { unit, .. } => unit.is_some_and(|unit| {
            unit == wanted
                || matches!((unit, wanted), ("m", "km") | ("g", "kg"))
                || unit == "byte" && wanted.ends_with("byte")
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::compare::compare;
    use crate::difference::Kind;

    #[test]
    fn the_same_number_of_another_thing_is_another_question() {
        let kind = |a: &str, b: &str| compare(a, b).map(|found| found.kind);
        assert_eq!(
            kind("How much are 32 psi in bar?", "How much are 32 bar in psi?"),
            Some(Kind::Direction)
        );
    }

    #[test]
    fn a_unit_that_is_asked_for_is_not_the_one_that_is_given() {
        let kind = |a: &str, b: &str| compare(a, b).map(|found| found.kind);
        for (given, asked) in [
            ("What is 30 percent of 60?", "30 is what percent of 60?"),
            (
                "Wie viel sind 30 % von 60?",
                "Wie viel Prozent sind 30 von 60?",
            ),
        ] {
            assert_eq!(kind(given, asked), Some(Kind::Unit), "{given} / {asked}");
            assert_eq!(kind(asked, given), Some(Kind::Unit), "{asked} / {given}");
        }
        assert_eq!(kind("Is 30 percent of 60 18?", "Is 30% of 60 18?"), None);
        assert!(
            kind(
                "How much are 40 Swiss francs in euros?",
                "How much are 40 euros in Swiss francs?"
            )
            .is_some()
        );
    }

    #[test]
    fn a_unit_that_is_understood_may_be_left_out() {
        let same = |a: &str, b: &str| assert_eq!(compare(a, b), None, "{a} / {b}");
        same(
            "Kann ich 8 Tage Urlaub mitnehmen?",
            "Kann ich 8 Urlaubstage mitnehmen?",
        );
        same(
            "Wie lange gilt ein 6-stelliger Code?",
            "Wie lange gilt ein sechsstelliger Code?",
        );
        same(
            "Is the lease 36 months long?",
            "Is the lease three years long?",
        );
    }
}
