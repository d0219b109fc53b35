//! Numbers as they are written: 2.1 and 2.10 have one value and name two versions; 20% off 50 is not 50% off 20.

use super::Pair;
use crate::difference::{Difference, Kind};
use crate::read::{Is, Item};

pub fn difference(pair: &Pair<'_>) -> Option<Difference> {
    let (kind, cached, asked) = written_otherwise(pair)
        .or_else(|| unit_exchanged(pair))
        .or_else(|| bits_for_bytes(pair))?;
    Some(pair.differ(kind, Some(cached.span.clone()), Some(asked.span.clone())))
}

type Found<'a> = (Kind, &'a Item, &'a Item);

fn figures(items: &[Item]) -> impl Iterator<Item = &Item> {
    let in_digits = |item: &&Item| item.text.starts_with(|sign: char| sign.is_ascii_digit());
    items.iter().filter(in_digits)
}

/// A number that the other side has in other figures only. An amount of money or of a measure is the same with a zero
/// more.
fn written_otherwise<'a>(pair: &'a Pair<'_>) -> Option<Found<'a>> {
    let (cached, asked) = (&pair.cached.items, &pair.asked.items);
    let lacks =
        |item: &&Item, other: &[Item]| !figures(other).any(|other| figures_alike(item, other));
    let pairs = figures(cached)
        .filter(|item| lacks(item, asked))
        .flat_map(|one| {
            let others = figures(asked).filter(|item| lacks(item, cached));
            others.map(move |other| (one, other))
        });
    pairs
        .filter(|(one, other)| {
            let equal = value(one).is_some() && value(one) == value(other);
            let bare = unit(one).is_none() || unit(other).is_none();
            equal && bare || grouped_otherwise(&one.text, &other.text)
        })
        .map(|(one, other)| (Kind::Number, one, other))
        .next()
}

fn value(item: &Item) -> Option<i64> {
    match item.is {
        Is::Quantity { value, .. } => Some(value),
        _ => None,
    }
}

fn figures_alike(one: &Item, other: &Item) -> bool {
    if grouped_otherwise(&one.text, &other.text) {
        return false;
    }
    unit(one).is_some() && one.is == other.is
        || value(one).is_some()
            && value(one) == value(other)
            && fraction(&one.text) == fraction(&other.text)
            && leading_zeros(&one.text) == leading_zeros(&other.text)
}

/// `1,000` and `1.000`: a thousand in one language, one in another.
fn grouped_otherwise(one: &str, other: &str) -> bool {
    let marks = |text: &str| text.matches(['.', ',']).count();
    one != other
        && marks(one) == 1
        && marks(other) == 1
        && groups(one)
        && one.replace(',', ".") == other.replace(',', ".")
}

/// Three figures behind the mark and one to three before it.
fn groups(text: &str) -> bool {
    text.split_once(['.', ',']).is_some_and(|(head, group)| {
        (1..=3).contains(&head.len()) && head != "0" && group.len() == 3
    })
}

/// What stands behind the point, unless it groups thousands.
fn fraction(text: &str) -> Option<&str> {
    let (_, fraction) = text.rsplit_once(['.', ','])?;
    let digits = fraction
        .find(|sign: char| !sign.is_ascii_digit())
        .unwrap_or(fraction.len());
    let one_mark = text.matches(['.', ',']).count() == 1;
    (!(one_mark && groups(text))).then_some(&fraction[..digits])
}

fn leading_zeros(text: &str) -> usize {
    let rest = text.trim_start_matches('0');
    let is_zero = !rest.starts_with(|sign: char| sign.is_ascii_digit());
    text.len() - rest.len() - usize::from(is_zero)
}

/// `20% off 50` and `50% off 20`: each number has the unit that the other has on the other side.
fn unit_exchanged<'a>(pair: &'a Pair<'_>) -> Option<Found<'a>> {
    let with_unit = |items: &'a [Item]| figures(items).filter(|item| unit(item).is_some());
    let bare = |items: &[Item], like: &Item| {
        let alone = figures(items).any(|item| {
            item.text == like.text && matches!(item.is, Is::Quantity { unit: None, .. })
        });
        alone && !with_unit_of(items, like)
    };
    let (cached, asked) = (&pair.cached.items, &pair.asked.items);
    let one = with_unit(cached).find(|item| bare(asked, item))?;
    let other = with_unit(asked).find(|item| bare(cached, item))?;
    (unit(one) == unit(other)).then_some((Kind::Direction, one, other))
}

fn with_unit_of(items: &[Item], like: &Item) -> bool {
    figures(items).any(|item| item.text == like.text && unit(item).is_some())
}

fn unit(item: &Item) -> Option<&'static str> {
    match item.is {
        Is::Quantity { unit, .. } => unit,
        _ => None,
    }
}

/// `5 Mb` and `5 MB`. In `mb` nothing tells.
fn bits_for_bytes<'a>(pair: &'a Pair<'_>) -> Option<Found<'a>> {
    let ends = |text: &str, item: &Item, letter: char| {
        let of_unit = text[item.span.clone()]
            .rsplit(|sign: char| !sign.is_alphabetic())
            .next();
        of_unit.is_some_and(|unit| {
            unit.len() == 2 && unit.starts_with(['k', 'K', 'M', 'G', 'T']) && unit.ends_with(letter)
        })
    };
    let find = |letter: char, other: char| {
        let one = pair
            .cached
            .items
            .iter()
            .find(|item| ends(pair.cached.text, item, letter))?;
        let two = pair
            .asked
            .items
            .iter()
            .find(|item| ends(pair.asked.text, item, other))?;
        (unit(one) == Some("byte") && unit(two) == Some("byte")).then_some((Kind::Unit, one, two))
    };
    find('b', 'B').or_else(|| find('B', 'b'))
}

#[cfg(test)]
mod tests {
    use crate::compare::compare;
    use crate::difference::Kind;

    #[test]
    fn other_figures_are_another_number() {
        for (a, b) in [
            (
                "What is new in version 2.1?",
                "What is new in version 2.10?",
            ),
            (
                "What changed in Python 3.1?",
                "What changed in Python 3.10?",
            ),
            ("Read section 4.1 aloud", "Read section 4.10 aloud"),
            (
                "Comment installer la version 2.3 ?",
                "Comment installer la version 2.30 ?",
            ),
            ("Where is order 10.50?", "Where is order 10.5?"),
            ("Is agent 007 in here?", "Is agent 7 in here?"),
            ("Is 1,000 much here?", "Is 1.000 much here?"),
            (
                "What is the VAT on 1,000 euros?",
                "What is the VAT on 1.000 euros?",
            ),
        ] {
            let found = compare(a, b).map(|found| found.kind);
            assert_eq!(found, Some(Kind::Number), "{a} / {b}");
        }
    }

    #[test]
    fn an_amount_is_the_same_with_a_zero_more() {
        for (a, b) in [
            ("Does it cost 10.50 €?", "Does it cost 10.5 euros?"),
            ("Is the rate at 10,5 %?", "Is the rate at 10.5 %?"),
            ("Kostet das 1.000 Euro?", "Kostet das 1000 Euro?"),
            (
                "Does it cost 1,000,000 dollars?",
                "Does it cost 1.000.000 dollars?",
            ),
            (
                "Is the desk open from 09:00?",
                "Is the desk open from 9:00?",
            ),
            (
                "Is version 2.1 or 2.10 newer?",
                "is version 2.1 or 2.10 newer",
            ),
            ("Does it take 1.5 hours?", "Does it take 90 minutes?"),
        ] {
            assert_eq!(compare(a, b), None, "{a} / {b}");
        }
    }

    #[test]
    fn a_number_keeps_its_unit() {
        let found = |a: &str, b: &str| compare(a, b).map(|found| found.kind);
        assert_eq!(
            found("What is 20% off 50?", "What is 50% off 20?"),
            Some(Kind::Direction)
        );
        assert_eq!(
            found("What is 20% off 50?", "What is 20 percent off 50?"),
            None
        );
        assert_eq!(
            found("Is 5 Mb enough?", "Is 5 MB enough?"),
            Some(Kind::Unit)
        );
        assert_eq!(found("Is 5Mb enough?", "Is 5MB enough?"), Some(Kind::Unit));
        assert_eq!(found("Is 5 MB enough?", "is 5 mb enough"), None);
    }
}
