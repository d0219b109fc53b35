//! Months with their days, weekdays, holidays, quarters, years, and days told from today.

use super::{Is, numbers};
use crate::words::Word;

const MONTHS: [&str; 12] = [
    "january jan januar janvier jaenner",
    "february feb februar fevrier",
    "march maerz mars",
    "april apr avril",
    "may mai",
    "june jun juni juin",
    "july jul juli juillet",
    "august aug aout",
    "september sep septembre",
    "october oct oktober okt octobre",
    "november nov novembre",
    "december dec dezember dez decembre",
];

const DAYS: [&str; 17] = [
    "monday mondays montag montags lundi lundis",
    "tuesday tuesdays dienstag dienstags mardi mardis",
    "wednesday wednesdays mittwoch mittwochs mercredi mercredis",
    "thursday thursdays donnerstag donnerstags jeudi jeudis",
    "friday fridays freitag freitags vendredi vendredis",
    "saturday saturdays samstag samstags sonnabend sonnabends samedi samedis",
    "sunday sundays sonntag sonntags dimanche dimanches",
    "today heute",
    "tomorrow morgen demain",
    "yesterday gestern",
    "uebermorgen",
    "vorgestern",
    "christmas xmas weihnachten weihnachts noel",
    "easter ostern paques pfingsten",
    "karfreitag",
    "ostermontag",
    "silvester",
];

fn among(lists: &[&str], word: &str) -> Option<usize> {
    lists
        .iter()
        .position(|list| list.split(' ').any(|entry| entry == word))
}

/// A date at the head of `words`, and how many it takes.
pub fn read(words: &[Word], before: Option<&str>, text: &str) -> Option<(Is, usize)> {
    let word = words.first()?;
    numeric(word, text)
        .or_else(|| quarter(words))
        .or_else(|| month(words, before))
        .or_else(|| day(words))
        .or_else(|| year(words, before))
        .map(|(date, used)| (Is::Date(date), used))
}

/// `2011-03-11`, `11.03.2011`, `11/03/2011`, `3.3.`
fn numeric(word: &Word, text: &str) -> Option<(String, usize)> {
    let mark = word
        .text
        .chars()
        .find(|c| !c.is_ascii_digit())
        .filter(|c| matches!(c, '-' | '.' | '/'))?;
    let parts: Vec<u32> = word
        .text
        .split(mark)
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    let (year, month, day) = match (mark, parts.as_slice()) {
        ('-', [year @ 1900..=2100, month, day]) => (Some(*year), *month, *day),
        (_, [day, month, year @ 1900..=2100]) => (Some(*year), *month, *day),
        ('.', [day, month]) if text[word.span.end..].starts_with('.') && *day > 0 => {
            (None, *month, *day)
        }
        _ => return None,
    };
    // English may put the month first; only a day past twelve tells.
    let (month, day) = if month > 12 && day <= 12 {
        (day, month)
    } else {
        (month, day)
    };
    ((1..=12).contains(&month) && day <= 31).then(|| (written(month, Some(day), year), 1))
}

fn written(month: u32, day: Option<u32>, year: Option<u32>) -> String {
    let day = day.map_or_else(String::new, |day| format!("-{day}"));
    let year = year.map_or_else(String::new, |year| format!("-{year}"));
    format!("month {month}{day}{year}")
}

fn quarter(words: &[Word]) -> Option<(String, usize)> {
    let head = &words[0].text;
    if let Some(number) = head.strip_prefix(['q', 't'])
        && let Some(number) = number.split(['/', '-']).next()
        && matches!(number, "1" | "2" | "3" | "4")
    {
        let tail = head
            .split_once('/')
            .map_or_else(String::new, |(_, year)| format!(" {year}"));
        let (tail, used) = if tail.is_empty() {
            with_year(words, 1)
        } else {
            (tail, 1)
        };
        return Some((format!("quarter {number}{tail}"), used));
    }
    let number = numbers::read(words).filter(|number| number.ordinal)?;
    let named = words.get(number.words)?;
    if !matches!(
        named.text.as_str(),
        "quarter" | "quartal" | "quartals" | "trimestre"
    ) {
        return None;
    }
    let (tail, used) = with_year(words, number.words + 1);
    Some((format!("quarter {}{tail}", number.value), used))
}

/// The year behind, perhaps after `of`.
fn with_year(words: &[Word], used: usize) -> (String, usize) {
    let of = usize::from(
        words
            .get(used)
            .is_some_and(|word| matches!(word.text.as_str(), "of" | "de" | "in")),
    );
    match words.get(used + of).and_then(a_year) {
        Some(year) => (format!(" {year}"), used + of + 1),
        None => (String::new(), used),
    }
}

fn a_year(word: &Word) -> Option<u32> {
    word.text
        .parse()
        .ok()
        .filter(|year| (1900..=2100).contains(year))
}

fn month(words: &[Word], before: Option<&str>) -> Option<(String, usize)> {
    let text = |at: usize| words.get(at).map_or("", |word| word.text.as_str());
    // `May one park here?`
    if text(0) == "may" && text(1) == "one" {
        return None;
    }
    let day_at = |at: usize| {
        let number = numbers::read(words.get(at..)?)?;
        let whole = number.value.fract().abs() < 1e-9 && (1. ..=31.).contains(&number.value);
        (whole && (number.ordinal || text(at).len() <= 2 || number.words == 1))
            .then_some((number.value as u32, number.words))
    };
    let (month, day, used) = if let Some(month) = among(&MONTHS, text(0)) {
        let is_verb = text(0) == "may"
            && !words[0].named
            && day_at(1).is_none_or(|_| a_year(&words[1]).is_some());
        let named = matches!(
            before,
            Some("in" | "of" | "for" | "by" | "since" | "until" | "from" | "last" | "next" | "and")
        );
        if text(0) == "may" && is_verb && !named {
            return None;
        }
        match day_at(1).filter(|_| a_year(&words[1]).is_none()) {
            Some((day, more)) => (month, Some(day), 1 + more),
            None => (month, None, 1),
        }
    } else {
        let (day, more) = day_at(0)?;
        let of = usize::from(matches!(text(more), "of" | "de"));
        let month = among(&MONTHS, text(more + of))?;
        (month, Some(day), more + of + 1)
    };
    let (year, used) = match words.get(used).and_then(a_year) {
        Some(year) => (Some(year), used + 1),
        None => (None, used),
    };
    Some((written(month as u32 + 1, day, year), used))
}

fn day(words: &[Word]) -> Option<(String, usize)> {
    let text = |at: usize| words.get(at).map_or("", |word| word.text.as_str());
    let day = |at: usize| format!("day {at}");
    match (text(0), text(1), text(2)) {
        ("day", "after", "tomorrow") => return Some((day(10), 3)),
        ("apres", "demain", _) => return Some((day(10), 2)),
        ("avant", "hier", _) => return Some((day(11), 2)),
        ("good", "friday", _) | ("karfreitag", ..) | ("vendredi", "saint", _) => {
            return Some((day(14), 2));
        }
        ("easter", "monday", _) | ("ostermontag", ..) => return Some((day(15), 2)),
        ("lundi", "de", "paques") => return Some((day(15), 3)),
        _ => {}
    }
    among(&DAYS, text(0)).map(|at| (day(at), 1))
}

fn year(words: &[Word], before: Option<&str>) -> Option<(String, usize)> {
    let year = a_year(&words[0])?;
    // A round number with a word behind it counts what that says, unless it is said to be a year.
    let dated = matches!(
        before,
        Some(
            "in" | "im"
                | "en"
                | "year"
                | "jahr"
                | "annee"
                | "since"
                | "seit"
                | "depuis"
                | "of"
                | "de"
        )
    );
    if year % 100 == 0
        && !dated
        && words
            .get(1)
            .is_some_and(|next| next.sentence == words[0].sentence)
    {
        return None;
    }
    // `2000 euros` is money.
    let counted = words.get(1).is_some_and(|word| {
        matches!(
            word.text.as_str(),
            "euro"
                | "euros"
                | "€"
                | "dollars"
                | "eur"
                | "usd"
                | "kronen"
                | "kroner"
                | "crowns"
                | "couronnes"
                | "zloty"
                | "franken"
                | "francs"
                | "pounds"
                | "pfund"
                | "livres"
                | "yen"
        )
    });
    (!counted).then(|| (format!("year {year}"), 1))
}
