//! Phone numbers: ITU-T E.164 with a country code, and the forms in which people of some countries
//! write theirs.

use super::context::{Context, Topic};
use super::date;
use super::digits::Digits;
use super::scan::Match;
use super::text::{Joined, Separator};
use super::{Confidence, Kind};

// The digits, and what is said of them.
mod dial;

mod called;

use called::{Said, said_before};
use dial::{Dialled, Joint, dial, dial_within, goes_on_at, is_later_part};

/// Any digits: only what is called a phone is one.
const SHAPELESS: Confidence = Confidence(8);
/// A form that other numbers have too: it needs words that speak of phones.
const COMMON: Confidence = Confidence(40);

/// `start` is the place of a `+`, or of a parenthesis before it. Digits with any separators follow,
/// some of them in parentheses.
pub(super) fn international(text: &str, start: usize, context: &Context) -> Option<Match> {
    if Joined::before(text, start) == Joined::ToMore {
        return None;
    }
    let bytes = text.as_bytes();
    let plus = start + usize::from(bytes[start] == b'(');
    if !matches!(bytes.get(plus + 1), Some(b'0'..=b'9' | b'(')) {
        return None;
    }
    let is_open = plus > start;
    let dialled = if is_open {
        dial_within(bytes, plus + 1)
    } else {
        dial(bytes, plus + 1)
    };
    dialled.longest(|reading| {
        if is_open && reading.parenthesis > CODE_DIGITS_MAX {
            return None;
        }
        // `+1.2345678901`.
        let base = Confidence(if is_fraction(reading) { 45 } else { 93 });
        with_country_code(bytes, reading, context, start, base)
    })
}

/// A number that begins with the digit at `start`.
#[inline]
pub(super) fn national(
    text: &str,
    start: usize,
    digits: &Digits,
    context: &Context,
) -> Option<Match> {
    let is_near_word = context.phone_word(start).is_some();
    if !may_be_dialled(text.as_bytes(), start, digits, is_near_word) {
        return None;
    }
    dialled_from(text, start, digits, context)
}

/// One that begins with the parenthesis at `start`.
pub(super) fn behind_parenthesis(text: &str, start: usize, context: &Context) -> Option<Match> {
    match text.as_bytes().get(start + 1)? {
        b'+' => international(text, start, context),
        b'0'..=b'9' => dialled_from(text, start, &Digits::default(), context),
        _ => None,
    }
}

fn dialled_from(text: &str, start: usize, digits: &Digits, context: &Context) -> Option<Match> {
    let bytes = text.as_bytes();
    let is_chat_link = bytes[..start].ends_with(b"wa.me/");
    let is_joined = Joined::before(text, start) != Joined::No;
    if is_joined && !is_chat_link || is_later_part(bytes, start) {
        return None;
    }
    let found = dial(bytes, start).longest(|reading| {
        if let Some(found) = from_abroad(bytes, start, reading, context) {
            return Some(found);
        }
        let form = form_of(reading, bytes[start] == b'(')?;
        let confidence = if is_chat_link {
            form.raised(80)
        } else {
            called(form, bytes, start, context)
        };
        Some(Match {
            kind: Kind::Phone,
            end: reading.end(),
            confidence,
        })
    })?;
    (is_chat_link || !is_date(bytes, start, digits)).then_some(found)
}

/// How sure a form is with what is said before it.
fn called(form: Confidence, bytes: &[u8], start: usize, context: &Context) -> Confidence {
    if context.is_reference(bytes, start, Topic::Phone) {
        return form.lowered(30);
    }
    if form == SHAPELESS && context.phone_word(start).is_none() {
        return form;
    }
    match said_before(bytes, start, context) {
        Said::Named => form.raised(45),
        Said::Mentioned if form > SHAPELESS => form.raised(35),
        Said::Mentioned | Said::Nothing => form,
    }
}

/// Turns most numbers away before they are read anew. More digits than `digits` has may follow
/// behind a parenthesis or a gap; less are dialled only where a time is the end of it.
#[inline]
fn may_be_dialled(bytes: &[u8], start: usize, digits: &Digits, is_near_word: bool) -> bool {
    const TIME: usize = 2;
    let len = digits.len();
    let len_max = match bytes[start..] {
        [b'0' | b'1', next, ..] if !next.is_ascii_digit() && !is_trunk(&bytes[start + 1..]) => {
            return false;
        }
        [b'0', b'0' | b'1', ..] => 18,
        [b'0', ..] => 12,
        // `1 (212) 555-0147`, `1-800-555-0199`.
        [b'1', next, ..] if !next.is_ascii_digit() => 11,
        _ if is_near_word => 15,
        // Spain, and then North America.
        [b'6'..=b'9', ..] => return (9..=15).contains(&len),
        _ => return (10..=15).contains(&len),
    };
    len <= len_max + TIME && (len >= 6 || goes_on_at(bytes, digits.end()))
}

/// Whether an area of three digits stands behind a 0 or a 1 of its own: columns of those have none.
fn is_trunk(behind: &[u8]) -> bool {
    const GAP_BYTES_MAX: usize = 6;
    let near = behind.iter().take(GAP_BYTES_MAX);
    let gap = near.take_while(|byte| !byte.is_ascii_digit()).count();
    let area = &behind[gap..];
    area.len() > 3 && area[..3].iter().all(u8::is_ascii_digit) && !area[3].is_ascii_digit()
}

/// A date, and what is no further group of it: `2024-03-12 14:00`, but not `06.12.34.56.78`.
fn is_date(bytes: &[u8], start: usize, digits: &Digits) -> bool {
    if let Some(number) = digits.take(8)
        && number.is_bare()
    {
        return (1990..2040).contains(&number.value(0, 4))
            && date::is_day(number.value(6, 8), number.value(4, 6));
    }
    let separator = |group: usize| {
        digits
            .groups()
            .get(group)
            .and_then(|group| group.separator())
    };
    date::end_of(bytes, start).is_some() && separator(3) != separator(2)
}

/// Behind the prefix of Europe, `00`, or of North America, `011`.
fn from_abroad(bytes: &[u8], start: usize, dialled: &Dialled, context: &Context) -> Option<Match> {
    let groups = dialled.groups().len();
    let prefix = match (dialled.digits(), dialled.first_len()) {
        ([0, 0, 1..=9, ..], 2..) => 2,
        ([0, 1, 1, ..], 3) if groups > 2 => 3,
        _ => return None,
    };
    let form = Confidence(if groups > 1 { 70 } else { 45 });
    with_country_code(bytes, &dialled.without(prefix), context, start, form)
}

/// How sure a national number's form alone makes it.
fn form_of(dialled: &Dialled, is_open: bool) -> Option<Confidence> {
    let form = match dialled.digits() {
        _ if is_open => area_in_parentheses(dialled),
        [0, ..] => with_trunk_prefix(dialled),
        [1, 2..=9, ..] if dialled.is_grouped(&[1, 3, 3, 4]) => Some(behind_trunk_1(dialled)),
        _ => without_trunk_prefix(dialled),
    }?;
    let is_wide = dialled.joints().any(|joint| joint == Joint::Wide);
    // Columns of a table look like that.
    Some(if is_wide { form.min(COMMON) } else { form })
}

fn area_in_parentheses(dialled: &Dialled) -> Option<Confidence> {
    let (first, len) = (dialled.digits()[0], dialled.digits().len());
    match dialled.parenthesis {
        // `(555) 123-4567`.
        3 if (2..=9).contains(&first) && len == 10 => Some(Confidence(78)),
        // `(030) 123456`.
        2..=6 if first == 0 && (7..=12).contains(&len) => Some(Confidence(70)),
        // `(0) 89 123456`, `(11) 91234-5678`.
        1 if first == 0 && (9..=12).contains(&len) => Some(COMMON),
        2..=5 if (8..=12).contains(&len) => Some(COMMON),
        _ => None,
    }
}

/// `030/1234567`, `06 12 34 56 78`.
fn with_trunk_prefix(dialled: &Dialled) -> Option<Confidence> {
    if is_five_pairs(dialled) {
        return (!is_count(dialled)).then_some(Confidence(80));
    }
    // `0.123` is a fraction, no area is `00`, and `08.00 - 12.00` are times.
    let spaced = dialled.joints().position(is_spaced);
    let is_dashed = dialled
        .joints()
        .any(|joint| joint == Joint::Spaced(Separator::Dash));
    let area_min = if is_dashed { 3 } else { 2 };
    if dialled.first_len() < area_min || dialled.digits().get(1) == Some(&0) {
        return None;
    }
    let is_grouped = dialled.groups().len() > 1;
    match dialled.digits().len() {
        9..=12 if is_grouped && is_all_pairs(dialled) => Some(Confidence(25)),
        // Vienna: `01 / 512 34 56`.
        9..=12 if spaced.is_some() && dialled.first_len() < 3 => Some(COMMON),
        9..=12 if is_grouped && spaced.is_none_or(|joint| joint == 0) => Some(Confidence(52)),
        9..=12 => Some(Confidence(30)),
        7..=8 if is_grouped => Some(Confidence(25)),
        _ => None,
    }
}

/// `1-800-555-0199`, `1 (212) 555-0147`.
fn behind_trunk_1(dialled: &Dialled) -> Confidence {
    Confidence(match dialled.parenthesis {
        3 => 70,
        _ if is_dashed_or_dotted(dialled) => 62,
        _ => 20,
    })
}

fn without_trunk_prefix(dialled: &Dialled) -> Option<Confidence> {
    let (groups, len) = (dialled.groups().len(), dialled.digits().len());
    let is_us = dialled.is_grouped(&[3, 3, 4]);
    if dialled.first_len() == 1 || is_fraction(dialled) || !is_us && dialled.joints().any(is_spaced)
    {
        return None;
    }
    match dialled.digits()[0] {
        2..=9 if len == 10 => Some(Confidence(if is_us && is_dashed_or_dotted(dialled) {
            62
        } else {
            20
        })),
        // Spain: `612 345 678`.
        6..=9 if len == 9 => Some(Confidence(if groups > 1 { 35 } else { 20 })),
        // `555-1234`.
        2..=9 if dialled.is_grouped(&[3, 4]) && is_dashed_or_dotted(dialled) => {
            Some(Confidence(20))
        }
        1..=9 if (6..=11).contains(&len) => Some(SHAPELESS),
        // With a country code and no `+`.
        _ if groups == 1 && (12..=15).contains(&len) => {
            country_code_len(dialled.digits()).map(|_| SHAPELESS)
        }
        _ => None,
    }
}

fn is_spaced(joint: Joint) -> bool {
    matches!(joint, Joint::Spaced(_))
}

fn is_dashed_or_dotted(dialled: &Dialled) -> bool {
    dialled.is_joined_by(Joint::By(Separator::Dash))
        || dialled.is_joined_by(Joint::By(Separator::Dot))
}

/// `40.989406` is no number to dial.
fn is_fraction(dialled: &Dialled) -> bool {
    dialled.groups().len() == 2 && dialled.is_joined_by(Joint::By(Separator::Dot))
}

fn is_all_pairs(dialled: &Dialled) -> bool {
    dialled.groups().iter().all(|group| group.len == 2)
}

/// France: `06 12 34 56 78`.
fn is_five_pairs(dialled: &Dialled) -> bool {
    dialled.is_grouped(&[2; 5])
        && dialled.joints().next().is_some_and(|joint| {
            joint != Joint::By(Separator::Slash) && dialled.is_joined_by(joint)
        })
}

/// `01 02 03 04 05`.
fn is_count(dialled: &Dialled) -> bool {
    let number = |pair: &[u8]| pair[0] * 10 + pair[1];
    let numbers = dialled.digits().chunks_exact(2).map(number);
    numbers
        .clone()
        .zip(numbers.skip(1))
        .all(|(one, next)| one + 1 == next)
}

/// Longest code of a country, in digits.
const CODE_DIGITS_MAX: usize = 3;

fn with_country_code(
    bytes: &[u8],
    dialled: &Dialled,
    context: &Context,
    start: usize,
    base: Confidence,
) -> Option<Match> {
    let len = dialled.digits().len();
    let rest = len - country_code_len(dialled.digits())?;
    let is_long_enough = match dialled.digits()[0] {
        1 => rest == 10,
        _ => (6..=13).contains(&rest),
    };
    if !is_long_enough || len > 15 {
        return None;
    }
    let confidence = if context.is_reference(bytes, start, Topic::Phone) {
        base.lowered(45)
    } else if context.is_near(Topic::Phone, start) {
        base.raised(25)
    } else {
        base
    };
    Some(Match {
        kind: Kind::Phone,
        end: dialled.end(),
        confidence,
    })
}

/// E.164 assigned country codes.
fn country_code_len(digits: &[u8]) -> Option<usize> {
    match digits {
        [1 | 7, ..] => Some(1),
        [2, 0 | 7, ..]
        | [3, 0..=4 | 6 | 9, ..]
        | [4, 0 | 1 | 3..=9, ..]
        | [5, 1..=8, ..]
        | [6, 0..=6, ..]
        | [8, 1 | 2 | 4 | 6, ..]
        | [9, 0..=5 | 8, ..] => Some(2),
        [2, 1..=6 | 8 | 9, _, ..]
        | [3, 5 | 7 | 8, _, ..]
        | [4, 2, _, ..]
        | [5, 0 | 9, _, ..]
        | [6, 7..=9, _, ..]
        | [8, 0 | 5 | 7 | 8, _, ..]
        | [9, 6 | 7 | 9, _, ..] => Some(3),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
