//! Spain: DNI and NIE. Portugal: NIF.

use super::super::Kind;
use super::super::digits::{value, weighted};
use super::super::scan::Match;
use super::super::text::{Separator, separator_at};
use super::Candidate;

/// The letter for the rest of the number by 23.
const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

/// Eight digits and their letter: `12345678Z`, `12.345.678-Z`, `12 345 678 Z`.
pub(super) fn dni(candidate: &Candidate<'_>) -> Option<Match> {
    lettered(candidate, 0, 8, 0)
}

/// X, Y or Z, seven digits and their letter: `X1234567L`.
pub(super) fn nie(candidate: &Candidate<'_>) -> Option<Match> {
    let first = candidate.word.rest()[0].to_ascii_uppercase();
    let lead = u64::from(first.checked_sub(b'X')?);
    if lead > 2 {
        return None;
    }
    lettered(candidate, 1, 7, lead * 10_000_000)
}

fn lettered(candidate: &Candidate<'_>, skip: usize, count: usize, lead: u64) -> Option<Match> {
    // Its letter is the last character: no group of digits goes past it.
    if candidate.digits.len() > count {
        return None;
    }
    let bytes = candidate.word.rest();
    let mut digits = [0u8; 8];
    let mut read = 0;
    let mut at = skip;
    let mut is_bare = true;
    let mut is_spaced = false;
    let mut in_group = 0;
    let letter = loop {
        let byte = *bytes.get(at)?;
        if byte.is_ascii_digit() {
            in_group += 1;
            *digits[..count].get_mut(read)? = byte - b'0';
            read += 1;
            at += 1;
        } else if byte.is_ascii_alphabetic() {
            break byte;
        } else {
            let (separator, width) = separator_at(bytes, at)?;
            at += width;
            let next = bytes.get(at)?;
            let is_form = match separator {
                // `12.345.678`.
                Separator::Dot => next.is_ascii_digit() && in_group <= 3,
                Separator::Space if next.is_ascii_digit() && read > 0 => {
                    is_spaced = true;
                    in_group <= 3
                }
                Separator::Dash | Separator::Space => {
                    next.is_ascii_alphabetic() || read == 0 && skip > 0
                }
                Separator::Slash => false,
            };
            if !is_form {
                return None;
            }
            (is_bare, in_group) = (false, 0);
        }
    };
    let number = value(&digits[..count]) + lead;
    let is_letter = LETTERS[(number % 23) as usize] == letter.to_ascii_uppercase();
    if read != count || !is_letter || is_spaced && letter.is_ascii_lowercase() {
        return None;
    }
    let form = match (is_bare, is_spaced) {
        // Two numbers and a word, as likely.
        (_, true) => 40,
        (true, false) => 74,
        (false, false) => 82,
    };
    candidate.found(Kind::EsDni, candidate.word.start + at + 1, form, 97)
}

/// Nine digits by weights 9 to 2; every tenth number fits, so a word must call it one.
pub(super) fn nif(candidate: &Candidate<'_>) -> Option<Match> {
    let number = candidate.digits.take(9)?;
    let is_form = number.is_bare() || number.is_grouped(&[3, 3, 3], Separator::Space);
    if !is_form || !matches!(number.digits[0], 1..=3 | 5 | 6 | 8 | 9) {
        return None;
    }
    let rest = weighted(number.digits, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    let check = if rest < 2 { 0 } else { 11 - rest };
    if check != u32::from(number.digits[8]) {
        return None;
    }
    candidate.found(Kind::PtNif, number.end(), 20, 85)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::tests::found;

    #[test]
    fn iberian_ids_are_found_and_one_wrong_character_is_not() {
        for id in ["12345678Z", "12.345.678-Z", "12345678-Z", "X1234567L"] {
            assert_eq!(found(&format!("DNI {id}.")), [(Kind::EsDni, id)]);
        }
        for (text, id) in [
            ("DNI número 12 345 678 Z", "12 345 678 Z"),
            ("DNI 12 345 678-Z", "12 345 678-Z"),
        ] {
            assert_eq!(found(text), [(Kind::EsDni, id)]);
        }
        assert_eq!(found("NIF 123456789"), [(Kind::PtNif, "123456789")]);
        for text in [
            "DNI 12345678A",
            "NIE X1234567A",
            "NIF 123456780",
            "123456789",
            "tax amount 123456789",
            "12 345 678 Z",
            "DNI 12 345 678 z",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }
}
