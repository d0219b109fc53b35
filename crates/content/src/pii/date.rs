//! Dates as people write them, and as they hide in ids.

use super::text::{Separator, is_word_at, separator_at};

/// No one alive was born before, and no id says later.
const YEARS: std::ops::RangeInclusive<u64> = 1900..=2060;

pub(super) fn is_day(day: u64, month: u64) -> bool {
    let last = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => return false,
    };
    (1..=last).contains(&day)
}

/// `12.03.1985`, `12/03/85`, `1985-03-12`, `19850312`, `12. März 1985`, `12 de marzo de 1985`: where it
/// ends.
pub(super) fn end_of(bytes: &[u8], start: usize) -> Option<usize> {
    numeric(bytes, start)
        .or_else(|| with_month_name(bytes, start))
        .or_else(|| compact(bytes, start))
}

fn numeric(bytes: &[u8], start: usize) -> Option<usize> {
    let (first, first_end) = number(bytes, start, 4)?;
    let gap = gap(bytes, first_end)?;
    let second_start = first_end + gap.len();
    let (second, second_end) = number(bytes, second_start, 2)?;
    if !bytes[second_end..].starts_with(gap) {
        return None;
    }
    let third_start = second_end + gap.len();
    let (third, end) = number(bytes, third_start, 4)?;
    let is_date = match (first_end - start, end - third_start) {
        (4, 1..=2) => YEARS.contains(&first) && is_day(third, second),
        (1..=2, 2) => is_day(first, second) || is_day(second, first),
        (1..=2, 4) => YEARS.contains(&third) && (is_day(first, second) || is_day(second, first)),
        _ => false,
    };
    is_date.then_some(end)
}

/// Between the numbers of a date: one separator, or a full stop and a space.
fn gap(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let mut end = at;
    match separator_at(bytes, at)? {
        (Separator::Space, _) => return None,
        (Separator::Dot, width) => {
            end += width;
            if let Some((Separator::Space, width)) = separator_at(bytes, end) {
                end += width;
            }
        }
        (Separator::Dash | Separator::Slash, width) => end += width,
    }
    Some(&bytes[at..end])
}

/// `19850312`.
fn compact(bytes: &[u8], start: usize) -> Option<usize> {
    let (date, end) = number(bytes, start, 8)?;
    let is_date = end - start == 8
        && YEARS.contains(&(date / 10_000))
        && is_day(date % 100, date / 100 % 100);
    is_date.then_some(end)
}

/// Day, month's name, year; with `de`, `of`, a full stop or a comma between them.
fn with_month_name(bytes: &[u8], start: usize) -> Option<usize> {
    let at = day(bytes, start)?;
    let at = between(bytes, at)?;
    let end = word_end(bytes, at);
    if !is_month(&bytes[at..end]) {
        return None;
    }
    year(bytes, between(bytes, end)?)
}

/// `March 12, 1985`: the word at `start` is the month.
pub(super) fn end_after_month(bytes: &[u8], start: usize, word_end: usize) -> Option<usize> {
    if !is_month(&bytes[start..word_end]) {
        return None;
    }
    let at = day(bytes, between(bytes, word_end)?)?;
    year(bytes, between(bytes, at)?)
}

/// `March 1985`.
pub(super) fn end_of_month(bytes: &[u8], start: usize, word_end: usize) -> Option<usize> {
    if !is_month(&bytes[start..word_end]) {
        return None;
    }
    year(bytes, between(bytes, word_end)?)
}

/// `12`, `12th`, `1er`, `1º`.
fn day(bytes: &[u8], start: usize) -> Option<usize> {
    let (day, at) = number(bytes, start, 2)?;
    let ordinal = [
        &b"st"[..],
        b"nd",
        b"rd",
        b"th",
        b"er",
        "º".as_bytes(),
        "°".as_bytes(),
    ]
    .into_iter()
    .find(|ordinal| bytes[at..].starts_with(ordinal));
    (1..=31)
        .contains(&day)
        .then_some(at + ordinal.map_or(0, |ordinal| ordinal.len()))
}

fn year(bytes: &[u8], start: usize) -> Option<usize> {
    let (year, end) = number(bytes, start, 4)?;
    (YEARS.contains(&year) && end == start + 4).then_some(end)
}

fn number(bytes: &[u8], start: usize, len_max: usize) -> Option<(u64, usize)> {
    let len = bytes
        .get(start..)?
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if !(1..=len_max).contains(&len) {
        return None;
    }
    let value = bytes[start..start + len]
        .iter()
        .fold(0, |value, byte| value * 10 + u64::from(byte - b'0'));
    Some((value, start + len))
}

/// Past `. `, `, ` and ` de `.
fn between(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    if matches!(bytes.get(at), Some(b'.' | b',')) {
        at += 1;
    }
    if let Some((Separator::Space | Separator::Dash, width)) = separator_at(bytes, at) {
        at += width;
    }
    for word in [&b"de "[..], b"of ", b"del "] {
        if bytes.get(at..)?.starts_with(word) {
            at += word.len();
        }
    }
    (at > start).then_some(at)
}

fn word_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while is_word_at(bytes, at) {
        at += 1;
    }
    at
}

/// Longest name of a month, in bytes.
pub(super) const MONTH_BYTES_MAX: usize = 10;

pub(super) fn is_month(word: &[u8]) -> bool {
    if !(3..=MONTH_BYTES_MAX).contains(&word.len()) {
        return false;
    }
    let mut lower = [0; MONTH_BYTES_MAX];
    let lower = &mut lower[..word.len()];
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    MONTHS
        .split_ascii_whitespace()
        .any(|month| month.as_bytes() == lower)
}

const MONTHS: &str = "january february march april may june july august september october november \
    december jan feb mar apr jun jul aug sep sept oct nov dec \
    januar februar märz maerz mai juni juli oktober dezember jänner mär okt dez \
    janvier février mars avril juin juillet août septembre octobre novembre décembre \
    enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre \
    gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_five_languages_are_read_to_their_end() {
        for text in [
            "12.03.1985",
            "12/03/85",
            "03/28/1985",
            "1985-03-12",
            "12. März 1985",
            "12 mars 1985",
            "1er avril 1985",
            "12 de marzo de 1985",
            "12 marzo 1985",
            "12th of March 1985",
            "12-Mar-1985",
            "12. 03. 1985",
            "12. Maerz 1985",
            "1° marzo 1985",
            "19850312",
        ] {
            assert_eq!(end_of(text.as_bytes(), 0), Some(text.len()), "{text}");
        }
        assert_eq!(end_of(b"1985-03-12T00:00:00Z", 0), Some(10));
        for text in ["March 12, 1985", "March 12th, 1985"] {
            assert_eq!(end_after_month(text.as_bytes(), 0, 5), Some(text.len()));
        }
        assert_eq!(end_of_month(b"March 1985", 0, 5), Some(10));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "13.13.1985",
            "99.99.1985",
            "1.2.3",
            "2024-13-45",
            "12 men 1985",
            "12 1985",
            "31.04.1985",
            "12.03-1985",
            "12. 03.1985",
            "12 03 1985",
            "19851312",
            "198503",
        ] {
            assert_eq!(end_of(text.as_bytes(), 0), None, "{text}");
        }
    }
}
