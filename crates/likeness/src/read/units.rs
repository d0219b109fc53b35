//! Units and currencies, and quantities in one of each kind.

mod names;

use super::{Is, numbers};
use crate::words::Word;
use names::{ONLY_COUNTED, SPANS, unit};

/// A unit of degree says its scale behind it; a currency its country before; a rate its second behind.
fn unit_after(words: &[Word]) -> Option<(&'static str, f64, usize)> {
    let text = |at: usize| words.get(at).map_or("", |word| word.text.as_str());
    let country = matches!(
        text(0),
        "us" | "british"
            | "britische"
            | "britischen"
            | "canadian"
            | "swiss"
            | "schweizer"
            | "of"
            | "a"
            | "an"
            | "une"
    );
    if let (true, Some((unit, factor))) = (country, unit(text(1))) {
        return Some((unit, factor, 2));
    }
    if matches!(text(0), "per" | "pour") && text(1) == "cent" {
        return Some(("percent", 1., 2));
    }
    // `one go`, `2.5 to a whole`: short French units only as they are written.
    if matches!(text(0), "go" | "to" | "mo" | "ko")
        && !words[0].named
        && (text(0) == "to" || matches!(text(1), "to" | "back"))
    {
        return None;
    }
    let (named, factor) = unit(text(0))?;
    match named {
        "degree" => Some(match text(1) {
            "c" | "celsius" => ("celsius", 1., 2),
            "f" | "fahrenheit" => ("fahrenheit", 1., 2),
            _ => ("degree", 1., 1),
        }),
        "bit" | "byte" => {
            let per = usize::from(matches!(text(1), "per" | "par" | "pro" | "je"));
            let second = unit(text(1 + per))
                .is_some_and(|(unit, factor)| unit == "s" && (factor - 1.).abs() < 0.1);
            Some((named, factor, if second { 2 + per } else { 1 }))
        }
        "dollar" | "pound" | "franc" => {
            let country = matches!(
                text(1),
                "americains" | "americain" | "sterling" | "us" | "suisse" | "suisses"
            );
            Some((named, factor, 1 + usize::from(country)))
        }
        _ => Some((named, factor, 1)),
    }
}

/// German `sechsjährig` and `dreitägige`: a number and its unit in one word.
fn of_so_many(word: &Word) -> Option<(Is, usize)> {
    let (number, named, factor) = SPANS.iter().find_map(|(ending, named, factor)| {
        let at = word.text.find(ending)?;
        Some((&word.text[..at], *named, *factor))
    })?;
    let number = Word {
        text: number.to_owned(),
        ..word.clone()
    };
    let found = numbers::read(std::slice::from_ref(&number))?;
    Some((quantity_of(found.value * factor, Some(named)), 1))
}

/// A number with what it counts.
pub fn quantity(words: &[Word], before: Option<&str>) -> Option<(Is, usize)> {
    if let Some(found) = words
        .first()
        .filter(|word| word.text.ends_with("ig") || word.text.contains("ige"))
        .and_then(of_so_many)
    {
        return Some(found);
    }
    let text = |at: usize| words.get(at).map_or("", |word| word.text.as_str());
    // `$50`: the sign before the number.
    if matches!(text(0), "€" | "$" | "£" | "¥") {
        let (named, factor) = unit(text(0))?;
        let number = numbers::read(&words[1..])?;
        return Some((
            quantity_of(number.value * factor, Some(named)),
            1 + number.words,
        ));
    }
    // `a hundred`, `half an hour`.
    let article = usize::from(matches!(text(0), "a" | "une" | "eine" | "ein"));
    if article == 1
        && !matches!(
            text(1),
            "hundred" | "thousand" | "million" | "half" | "dozen" | "halbe" | "demi"
        )
    {
        return counted_once(words);
    }
    let mut rest = &words[article..];
    if let Some((value, letters)) = rest.first().and_then(|word| numbers::stuck(&word.text)) {
        if let Some(hour) = clock(value, letters) {
            return Some((quantity_of(hour * 3600., Some("s")), 1 + article));
        }
        if let Some((named, factor)) = unit(letters) {
            let late = evening(&rest[1..], value, named);
            let hours = value + if late.is_some() { 12. } else { 0. };
            return Some((
                quantity_of(hours * factor, Some(named)),
                1 + article + late.unwrap_or(0),
            ));
        }
    }
    // `9:00`, perhaps in the evening.
    if let Some((hours, minutes)) = rest.first().and_then(|word| time(&word.text)) {
        let mut hours = hours;
        let mut used = 1 + usize::from(matches!(text(1), "uhr" | "h"));
        if matches!(text(used), "pm" | "am")
            || matches!(text(used), "p" | "a") && text(used + 1) == "m"
        {
            hours = clock(
                hours,
                if text(used).starts_with('p') {
                    "pm"
                } else {
                    "am"
                },
            )?;
            used += if text(used).len() == 1 { 2 } else { 1 };
        } else if let Some(late) = evening(&rest[used..], hours, "s") {
            hours += 12.;
            used += late;
        } else if let Some(early) = morning(&rest[used..]) {
            used += early;
        }
        return Some((
            quantity_of(hours * 3600. + minutes * 60., Some("s")),
            used.min(words.len()),
        ));
    }
    let number = numbers::read(rest)?;
    // The English article of sequence is also a unit; `per second` is not the number two, nor is `second-hand`.
    if rest[0].text == "second"
        && (matches!(before, Some("per" | "a" | "each" | "every"))
            || rest.get(1).is_some_and(|next| next.text == "hand"))
    {
        return None;
    }
    rest = &rest[number.words..];
    let used = article + number.words;
    let mark = rest.first().map_or("", |word| word.text.as_str());
    let spelled_mark =
        matches!(mark, "p" | "a") && rest.get(1).is_some_and(|word| word.text == "m");
    // German `am` stands before the evening.
    let early = mark == "am" && part_of_day(rest, &EVENING).is_some();
    if let Some(hour) = clock(
        number.value,
        if early {
            ""
        } else if spelled_mark && mark == "p" {
            "pm"
        } else if spelled_mark {
            "am"
        } else {
            mark
        },
    ) {
        return Some((
            quantity_of(hour * 3600., Some("s")),
            used + 1 + usize::from(spelled_mark),
        ));
    }
    if number.ordinal {
        return Some((quantity_of(number.value, None), used));
    }
    let digits = words[article]
        .text
        .starts_with(|c: char| c.is_ascii_digit());
    let found = unit_after(rest)
        .filter(|_| digits || !matches!(rest[0].text.as_str(), "go" | "to" | "mo" | "ko"));
    let (named, factor, more) = found.unwrap_or(("", 1., 0));
    let hours = named == "s" && (factor - 3600.).abs() < 0.1;
    let mut value = number.value * factor;
    let mut taken = used + more;
    if hours || found.is_none() {
        let tail = &words[taken.min(words.len())..];
        if let Some(late) = evening(tail, number.value, "s") {
            return Some((
                quantity_of((number.value + 12.) * 3600., Some("s")),
                taken + late,
            ));
        }
        if let Some(early) = morning(tail) {
            value = number.value * 3600.;
            return Some((quantity_of(value, Some("s")), taken + early));
        }
    }
    // `cents`, as a plural of the number, was none.
    let named = found.map(|_| named);
    taken = taken.min(words.len());
    Some((quantity_of(value, named), taken))
}

/// `a kilo` is one kilogram.
fn counted_once(words: &[Word]) -> Option<(Is, usize)> {
    let (named, factor) = unit(&words.get(1)?.text)?;
    words[1]
        .text
        .starts_with(|c: char| c.is_ascii_alphabetic())
        .then_some(())?;
    let plain = !ONLY_COUNTED.split(' ').any(|word| word == words[1].text);
    (plain && !matches!(named, "year" | "month")).then(|| (quantity_of(factor, Some(named)), 2))
}

/// A unit with no number: `in euros`, `per mile`.
pub fn alone(words: &[Word], before: Option<&str>) -> Option<(Is, usize)> {
    let word = words.first()?;
    let per = matches!(before, Some("per" | "par" | "pro" | "je" | "le" | "du"));
    if word.text == "mille" && per {
        return Some((Is::Unit("mile"), 1));
    }
    if ONLY_COUNTED.split(' ').any(|entry| entry == word.text) {
        return None;
    }
    let (named, factor) = unit(&word.text)?;
    // A year, a day and a week by themselves are words like others (`this year`).
    let money_or_measure = !matches!(named, "s" | "month" | "year" | "degree");
    money_or_measure.then(|| (Is::Unit(scaled(named, factor)), 1))
}

fn scaled(named: &'static str, factor: f64) -> &'static str {
    match (named, factor) {
        ("m", 1000.) => "km",
        ("g", 1000.) => "kg",
        ("byte", 1e6) => "megabyte",
        ("byte", 1e9) => "gigabyte",
        ("byte", 1e3) => "kilobyte",
        ("byte", 1e12) => "terabyte",
        _ => named,
    }
}

fn quantity_of(value: f64, unit: Option<&'static str>) -> Is {
    Is::Quantity {
        value: (value * 1000.).round() as i64,
        unit,
    }
}

fn clock(value: f64, mark: &str) -> Option<f64> {
    match mark {
        "am" if value <= 12. => Some(value % 12.),
        "pm" if value <= 12. => Some(value % 12. + 12.),
        _ => None,
    }
}

fn time(text: &str) -> Option<(f64, f64)> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes) = (hours.parse::<u8>().ok()?, minutes.parse::<u8>().ok()?);
    (hours < 25 && minutes < 60).then(|| (f64::from(hours), f64::from(minutes)))
}

const EVENING: [&str; 8] = [
    "evening",
    "abend",
    "abends",
    "soir",
    "night",
    "afternoon",
    "nachmittag",
    "nachmittags",
];

/// How many words until one that says evening, for an hour before noon.
fn evening(words: &[Word], hours: f64, unit: &str) -> Option<usize> {
    let at = part_of_day(words, &EVENING)?;
    (hours < 12. && unit == "s").then_some(at)
}

fn morning(words: &[Word]) -> Option<usize> {
    part_of_day(
        words,
        &[
            "morning",
            "morgens",
            "morgen",
            "frueh",
            "matin",
            "vormittag",
            "vormittags",
        ],
    )
}

fn part_of_day(words: &[Word], parts: &[&str]) -> Option<usize> {
    let at = words
        .iter()
        .take(3)
        .position(|word| parts.contains(&word.text.as_str()))?;
    let between = [
        "in", "the", "am", "der", "du", "at", "o", "clock", "de", "l",
    ];
    words[..at]
        .iter()
        .all(|word| between.contains(&word.text.as_str()))
        .then_some(at + 1)
}
