//! Numbers in digits and in words: English, German, French.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::words::Word;

/// A value, how many words say it, and whether it is an ordinal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number {
    pub value: f64,
    pub words: usize,
    pub ordinal: bool,
}

pub fn read(words: &[Word]) -> Option<Number> {
    let first = words.first()?;
    if first.text.starts_with(|c: char| c.is_ascii_digit()) {
        return digits(&first.text).map(|(value, ordinal)| Number {
            value,
            words: 1,
            ordinal,
        });
    }
    if let Some(value) = ordinal(&first.text) {
        return Some(Number {
            value,
            words: 1,
            ordinal: true,
        });
    }
    spelled(words)
}

/// `3,000`, `1.000`, `39,5`, `3rd`, `5k`; with its unit if that is stuck to it, see [`stuck`].
fn digits(text: &str) -> Option<(f64, bool)> {
    let end = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, ending) = text.split_at(end);
    let value = value(number)?;
    match ending {
        "" => Some((value, false)),
        "st" | "nd" | "rd" | "th" | "e" | "er" | "ere" | "eme" | "ieme" | "te" | "ten" | "ter" => {
            Some((value, true))
        }
        "k" => Some((value * 1e3, false)),
        "m" | "mio" => Some((value * 1e6, false)),
        _ => None,
    }
}

/// A number and the letters that stick to it: `30min`, `9pm`, `21h`.
pub fn stuck(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| c.is_ascii_alphabetic())?;
    (end > 0).then_some(())?;
    Some((value(&text[..end])?, &text[end..]))
}

fn value(number: &str) -> Option<f64> {
    let separators: Vec<char> = number.chars().filter(|c| !c.is_ascii_digit()).collect();
    let grouped = |mark: char| {
        let mut parts = number.split(mark);
        let head = parts
            .next()
            .is_some_and(|head| (1..=3).contains(&head.len()) && head != "0");
        head && parts.all(|part| part.len() == 3)
    };
    let plain = match separators.as_slice() {
        [] => number.to_owned(),
        [mark @ ('.' | ',')] if !grouped(*mark) => number.replace(*mark, "."),
        [first @ ('.' | ','), .., last @ ('.' | ',')] if first != last => {
            number.replace(*first, "").replace(*last, ".")
        }
        [first, ..] if !matches!(first, ':' | '/' | '-') && grouped(*first) => {
            number.replace(*first, "")
        }
        _ => return None,
    };
    plain.parse().ok()
}

#[rustfmt::skip] // A table to be read across.
const SMALL: [(&str, f64); 111] = [
    ("zero", 0.), ("one", 1.), ("two", 2.), ("three", 3.), ("four", 4.), ("five", 5.), ("six", 6.), ("seven", 7.),
    ("eight", 8.), ("nine", 9.), ("ten", 10.), ("eleven", 11.), ("twelve", 12.), ("thirteen", 13.),
    ("fourteen", 14.), ("fifteen", 15.), ("sixteen", 16.), ("seventeen", 17.), ("eighteen", 18.),
    ("nineteen", 19.), ("twenty", 20.), ("thirty", 30.), ("forty", 40.), ("fifty", 50.), ("sixty", 60.),
    ("seventy", 70.), ("eighty", 80.), ("ninety", 90.), ("dozen", 12.), ("twice", 2.),
    ("null", 0.), ("eins", 1.), ("zwei", 2.), ("drei", 3.), ("vier", 4.), ("fuenf", 5.), ("sechs", 6.),
    ("sieben", 7.), ("acht", 8.), ("neun", 9.), ("zehn", 10.), ("elf", 11.), ("zwoelf", 12.), ("dreizehn", 13.),
    ("vierzehn", 14.), ("fuenfzehn", 15.), ("sechzehn", 16.), ("siebzehn", 17.), ("achtzehn", 18.),
    ("neunzehn", 19.), ("zwanzig", 20.), ("dreissig", 30.), ("vierzig", 40.), ("fuenfzig", 50.),
    ("sechzig", 60.), ("siebzig", 70.), ("achtzig", 80.), ("neunzig", 90.), ("dutzend", 12.), ("doppelt", 2.),
    ("deux", 2.), ("trois", 3.), ("quatre", 4.), ("cinq", 5.), ("sept", 7.), ("huit", 8.), ("neuf", 9.),
    ("dix", 10.), ("onze", 11.), ("douze", 12.), ("treize", 13.), ("quatorze", 14.), ("quinze", 15.),
    ("seize", 16.), ("vingt", 20.), ("vingts", 20.), ("trente", 30.), ("quarante", 40.), ("cinquante", 50.),
    ("soixante", 60.), ("septante", 70.), ("huitante", 80.), ("nonante", 90.), ("douzaine", 12.),
    ("hundred", 100.), ("hundert", 100.), ("cent", 100.), ("cents", 100.), ("thousand", 1e3), ("tausend", 1e3),
    ("mille", 1e3), ("million", 1e6), ("millions", 1e6), ("millionen", 1e6), ("billion", 1e9), ("milliarde", 1e9),
    ("milliarden", 1e9), ("milliard", 1e9), ("milliards", 1e9), ("hundreds", 100.), ("thousands", 1e3),
    ("half", 0.5), ("halbe", 0.5), ("halben", 0.5), ("halbes", 0.5), ("demi", 0.5), ("demie", 0.5),
    ("zweimal", 2.), ("dreimal", 3.), ("moitie", 0.5), ("haelfte", 0.5),
];

static NAMED: LazyLock<HashMap<&str, f64>> = LazyLock::new(|| SMALL.into_iter().collect());

fn small(text: &str) -> Option<f64> {
    NAMED.get(text).copied()
}

/// German writes numbers in one word: `fuenfundzwanzig`, `dreitausend`, `zweihundert`.
fn compound(text: &str) -> Option<f64> {
    if let Some(value) = small(text) {
        return Some(value);
    }
    if text.len() < 8 || text.len() > 64 {
        return None;
    }
    for (mark, scale) in [("tausend", 1e3), ("hundert", 100.)] {
        if let Some((left, right)) = text.split_once(mark) {
            let left = if matches!(left, "" | "ein") {
                1.
            } else {
                compound(left)?
            };
            let right = match right.strip_prefix("und").unwrap_or(right) {
                "" => 0.,
                right => compound(right)?,
            };
            return Some(left * scale + right);
        }
    }
    let (ones, tens) = text.split_once("und")?;
    let ones = if ones == "ein" { 1. } else { small(ones)? };
    Some(small(tens)? + ones)
}

fn spelled(words: &[Word]) -> Option<Number> {
    let (mut total, mut current, mut used) = (0., 0., 0);
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let Some(value) = compound(&word.text) else {
            let joins = matches!(word.text.as_str(), "and" | "et") && at > 0;
            let (before, after) = (
                at.checked_sub(1),
                words.get(at + 1).and_then(|word| compound(&word.text)),
            );
            let follows = before.is_some_and(|before| before + 1 == used)
                && after.is_some_and(|after| {
                    after < 100. && current >= 20. && (current % 100. < 1. || word.text == "et")
                });
            // `vingt et un`: the article is a number there.
            if joins
                && word.text == "et"
                && current >= 20.
                && words.get(at + 1).is_some_and(|word| word.text == "un")
            {
                return Some(Number {
                    value: total + current + 1.,
                    words: at + 2,
                    ordinal: false,
                });
            }
            if joins && follows {
                at += 1;
                continue;
            }
            break;
        };
        let fits = match value {
            v if v >= 1e3 => true,
            v if v >= 100. => current < 100.,
            v if v >= 20. => {
                current % 100. < 1. || (v - 20.).abs() < 0.1 && (current % 100. - 4.).abs() < 0.1
            }
            v if v >= 1. => {
                current % 10. < 1.
                    && (current % 100. >= 20.
                        || current % 100. < 1.
                        || (7. ..10.).contains(&v) && words[used - 1].text == "dix")
            }
            _ => used == 0,
        };
        // Side by side without a hyphen or a scale they are two numbers.
        if !fits || value < 1. && used > 0 {
            break;
        }
        if value >= 1e3 {
            total += f64::max(current, 1.) * value;
            current = 0.;
        } else if value >= 100. || (value - 20.).abs() < 0.1 && (current % 100. - 4.).abs() < 0.1 {
            current = f64::max(current, 1.) * value;
        } else {
            current += value;
        }
        at += 1;
        used = at;
    }
    (used > 0).then_some(Number {
        value: total + current,
        words: used,
        ordinal: false,
    })
}

fn ordinal(text: &str) -> Option<f64> {
    const ENGLISH: [&str; 13] = [
        "zeroth", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth",
        "ninth", "tenth", "eleventh", "twelfth",
    ];
    const GERMAN: [&str; 13] = [
        "nullt", "erst", "zweit", "dritt", "viert", "fuenft", "sechst", "siebt", "acht", "neunt",
        "zehnt", "elft", "zwoelft",
    ];
    let at = |list: &[&str], word: &str| {
        list.iter()
            .position(|entry| *entry == word)
            .map(|n| n as f64)
    };
    if let Some(value) = at(&ENGLISH, text) {
        return Some(value);
    }
    for ending in ["er", "en", "es", "em", "e"] {
        if let Some(value) = text.strip_suffix(ending).and_then(|stem| at(&GERMAN, stem)) {
            return Some(value);
        }
    }
    match text {
        "premier" | "premiere" | "premiers" | "premieres" => return Some(1.),
        "seconde" => return Some(2.),
        _ => {}
    }
    let stem = text
        .strip_suffix("iemes")
        .or_else(|| text.strip_suffix("ieme"))?;
    let stem = match stem {
        "cinqu" => "cinq",
        "neuv" => "neuf",
        "quatr" => "quatre",
        "onz" => "onze",
        "douz" => "douze",
        other => other,
    };
    small(stem)
}
