//! Italy: codice fiscale, sixteen characters of name, birth and place with a check letter.

use super::super::Kind;
use super::super::scan::Match;
use super::super::text::separator_at;
use super::{Candidate, is_date};

/// Digits may be replaced by these letters where two people would have had the same code.
const FOR_DIGITS: &[u8; 10] = b"LMNPQRSTUV";
const MONTHS: &[u8; 12] = b"ABCDEHLMPRST";
/// Value of a character at an odd place, 0 to 9 and A to Z.
const ODD: [u32; 26] = [
    1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
];

pub(super) fn fiscal_code(candidate: &Candidate<'_>) -> Option<Match> {
    let bytes = candidate.word.rest();
    let mut code = [0u8; 16];
    let mut at = 0;
    for (place, character) in code.iter_mut().enumerate() {
        if matches!(place, 3 | 6 | 8 | 9 | 11 | 12 | 15)
            && let Some((_, width)) = separator_at(bytes, at)
        {
            at += width;
        }
        *character = bytes.get(at)?.to_ascii_uppercase();
        let is_of_place = match place {
            0..=5 | 8 | 11 | 15 => character.is_ascii_uppercase(),
            _ => digit(*character).is_some(),
        };
        if !is_of_place {
            return None;
        }
        at += 1;
    }
    let month = MONTHS.iter().position(|month| *month == code[8])? as u64 + 1;
    let day = digit(code[9])? * 10 + digit(code[10])?;
    // Women's days are 41 to 71.
    if !is_date(month, if day > 40 { day - 40 } else { day }) {
        return None;
    }
    let sum: u32 = code[..15]
        .iter()
        .zip(1..)
        .map(|(byte, place)| weight(*byte, place % 2 == 1))
        .sum();
    if code[15] != b'A' + (sum % 26) as u8 {
        return None;
    }
    candidate.found(Kind::ItFiscalCode, candidate.word.start + at, 98, 99)
}

fn digit(byte: u8) -> Option<u64> {
    if byte.is_ascii_digit() {
        return Some(u64::from(byte - b'0'));
    }
    FOR_DIGITS
        .iter()
        .position(|letter| *letter == byte)
        .map(|digit| digit as u64)
}

fn weight(byte: u8, is_odd: bool) -> u32 {
    let value = if byte.is_ascii_digit() {
        byte - b'0'
    } else {
        byte - b'A'
    };
    if is_odd {
        ODD[usize::from(value)]
    } else {
        u32::from(value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Detector;
    use super::*;

    #[test]
    fn a_code_is_found_and_one_wrong_character_is_not() {
        let found = |text: &str| Detector::default().find(text).len();
        for code in [
            "RSSMRA85T10A562S",
            "RSS MRA 85T10 A562S",
            "RSS MRA 85 T 10 A 562 S",
            "rssmra85t10a562s",
        ] {
            let text = format!("C.F. {code},");
            let found = Detector::default().find(&text);
            assert_eq!(found[0].kind, Kind::ItFiscalCode);
            assert_eq!(&text[found[0].range.clone()], code);
        }
        assert_eq!(found("C.F. RSSMRA85T10A562T"), 0);
        assert_eq!(found("C.F. RSSMRA85T99A562S"), 0);
    }
}
