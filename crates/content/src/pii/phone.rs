//! Phone numbers: ITU-T E.164 with a country code, and the forms in which people of some countries
//! write theirs.

use super::context::{Context, Topic};
use super::digits::{Digits, Number};
use super::scan::Match;
use super::text::{Joined, Separator, is_word_at, separator_at};
use super::{Confidence, Kind};

/// `plus` is the place of a `+`. Digits with any separators and one pair of parentheses follow.
pub(super) fn international(text: &str, plus: usize, context: &Context) -> Option<Match> {
    if Joined::before(text, plus) == Joined::ToMore {
        return None;
    }
    let bytes = text.as_bytes();
    if !matches!(bytes.get(plus + 1), Some(b'0'..=b'9' | b'(')) {
        return None;
    }
    let dialled = dial(bytes, plus + 1)?;
    with_country_code(bytes, &dialled, context, plus, Confidence(93))
}

/// A number that begins with the digit or the parenthesis at `start`.
pub(super) fn national(
    text: &str,
    start: usize,
    digits: &Digits,
    context: &Context,
) -> Option<Match> {
    let bytes = text.as_bytes();
    if Joined::before(text, start) != Joined::No || follows_digits(bytes, start) {
        return None;
    }
    let dialled = dial(bytes, start)?;
    if dialled.starts_with(&[0, 0]) && dialled.digits().get(2).is_some_and(|digit| *digit != 0) {
        let without = dialled.without(2);
        let form = Confidence(if dialled.groups > 1 { 70 } else { 45 });
        if let Some(found) = with_country_code(bytes, &without, context, start, form) {
            return Some(found);
        }
    }
    let form = form_of(bytes, start, &dialled, digits)?;
    let confidence = if context.is_reference(bytes, start, Topic::Phone) {
        form.lowered(30)
    } else if context.is_near(Topic::Phone, start) {
        form.raised(45)
    } else {
        form
    };
    Some(Match {
        kind: Kind::Phone,
        end: dialled.end,
        confidence,
    })
}

/// It is a later group of something longer.
fn follows_digits(bytes: &[u8], start: usize) -> bool {
    matches!(&bytes[..start], [.., digit, b' ' | b'\xa0'] if digit.is_ascii_digit())
}

/// How sure a national number's form alone makes it.
fn form_of(bytes: &[u8], start: usize, dialled: &Dialled, digits: &Digits) -> Option<Confidence> {
    let len = dialled.len;
    if bytes[start] == b'(' {
        // `(555) 123-4567`, `(030) 123456`.
        return match (dialled.parenthesis, dialled.digits()[0]) {
            (3, 2..=9) if len == 10 => Some(Confidence(78)),
            (2..=6, 0) if (7..=12).contains(&len) => Some(Confidence(70)),
            _ => None,
        };
    }
    let number = digits.take(len);
    // `0.123` is a fraction, and no area is `00`.
    if digits
        .groups()
        .first()
        .is_some_and(|group| group.len() == 1)
        || dialled.starts_with(&[0, 0])
    {
        return None;
    }
    let is_grouped = dialled.groups > 1;
    match dialled.digits()[0] {
        0 if (9..=12).contains(&len) => Some(Confidence(match number {
            // France: `06 12 34 56 78`.
            Some(number) if is_pairs(&number) => 80,
            _ if is_grouped => 52,
            _ => 30,
        })),
        0 if (7..=8).contains(&len) && is_grouped => Some(Confidence(25)),
        // `555-123-4567`.
        2..=9 if len == 10 => {
            let number = number?;
            let is_us = [Separator::Dash, Separator::Dot]
                .iter()
                .any(|separator| number.is_grouped(&[3, 3, 4], *separator));
            Some(Confidence(if is_us { 62 } else { 20 }))
        }
        // Spain: `612 345 678`; Italy: `347 1234567`.
        3 | 6..=9 if (9..=10).contains(&len) => Some(Confidence(if is_grouped { 35 } else { 20 })),
        // `40.989406` is no number to dial.
        1..=9 if (6..=11).contains(&len) => {
            let is_fraction = number?.is_separated_by(Separator::Dot) && dialled.groups == 2;
            (!is_fraction).then_some(Confidence(8))
        }
        _ => None,
    }
}

fn is_pairs(number: &Number<'_>) -> bool {
    [Separator::Space, Separator::Dot, Separator::Dash]
        .iter()
        .any(|separator| number.is_grouped(&[2; 5], *separator))
}

fn with_country_code(
    bytes: &[u8],
    dialled: &Dialled,
    context: &Context,
    start: usize,
    base: Confidence,
) -> Option<Match> {
    let code_len = country_code_len(dialled.digits())?;
    let rest = dialled.len - code_len;
    let is_long_enough = match dialled.digits()[0] {
        1 => rest == 10,
        _ => (6..=13).contains(&rest),
    };
    if !is_long_enough || dialled.len > 15 {
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
        end: dialled.end,
        confidence,
    })
}

/// Digits as dialled, and where they end.
#[derive(Clone, Copy)]
struct Dialled {
    values: [u8; 16],
    len: usize,
    end: usize,
    groups: usize,
    /// Digits within the parentheses, if it has any.
    parenthesis: usize,
}

impl Dialled {
    fn digits(&self) -> &[u8] {
        &self.values[..self.len]
    }

    fn starts_with(&self, digits: &[u8]) -> bool {
        self.digits().starts_with(digits)
    }

    fn without(mut self, count: usize) -> Self {
        self.values.copy_within(count.., 0);
        self.len -= count;
        self
    }
}

/// Reads digits, separators between them, and one pair of parentheses: `+49 (0)30 123-456`.
fn dial(bytes: &[u8], start: usize) -> Option<Dialled> {
    let mut dialled = Dialled {
        values: [0; 16],
        len: 0,
        end: start,
        groups: 0,
        parenthesis: 0,
    };
    let mut open = None;
    let mut at = start;
    let mut is_in_group = false;
    loop {
        match bytes.get(at) {
            Some(digit @ b'0'..=b'9') => {
                *dialled.values.get_mut(dialled.len)? = digit - b'0';
                dialled.len += 1;
                dialled.groups += usize::from(!is_in_group);
                is_in_group = true;
                at += 1;
                dialled.end = at;
                continue;
            }
            Some(b'(') if open.is_none() && bytes.get(at + 1).is_some_and(u8::is_ascii_digit) => {
                open = Some(dialled.len);
                at += 1;
            }
            Some(b')') if open.is_some() && dialled.parenthesis == 0 => {
                dialled.parenthesis = dialled.len - open?;
                at += 1;
                dialled.end = at;
                // `) `.
                if let Some((Separator::Space | Separator::Dash, width)) = separator_at(bytes, at)
                    && bytes.get(at + width).is_some_and(u8::is_ascii_digit)
                {
                    at += width;
                }
            }
            _ => {
                let Some((_, width)) = separator_at(bytes, at) else {
                    break;
                };
                // One, or one and an opening parenthesis.
                let next = bytes.get(at + width);
                if !next.is_some_and(|byte| byte.is_ascii_digit() || *byte == b'(') {
                    break;
                }
                at += width;
            }
        }
        is_in_group = false;
    }
    let is_whole = dialled.len > 0 && !is_word_at(bytes, dialled.end);
    let is_closed = open.is_none() || dialled.parenthesis > 0;
    (is_whole && is_closed && bytes.get(dialled.end) != Some(&b'%')).then_some(dialled)
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
mod tests {
    use super::super::{Detector, Kind};

    fn phones(text: &str) -> Vec<&str> {
        let found = Detector::default().find(text);
        let phones = found
            .into_iter()
            .filter(|finding| finding.kind == Kind::Phone);
        phones.map(|finding| &text[finding.range]).collect()
    }

    #[test]
    fn numbers_are_found_as_people_of_several_countries_write_them() {
        for (before, phone) in [
            ("", "+49 30 901820"),
            ("", "+49 (0)30 901-820"),
            ("", "+1 (555) 123-4567"),
            ("", "+33 6 12 34 56 78"),
            ("", "+442079460958"),
            ("", "0049 171 1234567"),
            ("", "(555) 123-4567"),
            ("", "(030) 123456"),
            ("", "06 12 34 56 78"),
            ("Tel. ", "030/1234567"),
            ("Handy: ", "0171-1234567"),
            ("teléfono ", "612 345 678"),
            ("cellulare ", "347 1234567"),
            ("phone ", "020 7946 0958"),
            ("call ", "555-123-4567"),
            ("Handy: ", "01711234567"),
        ] {
            let text = format!("{before}{phone}, bitte");
            assert_eq!(phones(&text), [phone], "{text}");
        }
    }

    #[test]
    fn other_numbers_are_none() {
        for text in [
            "2024-11-22 10:30",
            "1732270000",
            "order 0171 1234567",
            "+1 555 123",
            "+5%",
            "1+1234567890",
            "Total: 1.234.567,00",
            "ISBN 978-3-16-148410-0",
            "0.12345678901",
        ] {
            assert_eq!(phones(text), [""; 0], "{text}");
        }
    }
}
