//! Germany: Steuer-Identifikationsnummer (ISO 7064 MOD 11,10) and Rentenversicherungsnummer.

use super::super::Kind;
use super::super::digits::value;
use super::super::scan::Match;
use super::super::text::{Separator, separator_at};
use super::{Candidate, is_date};

/// Eleven digits; of the first ten, one occurs twice or three times and others at most once.
pub(super) fn tax_id(candidate: &Candidate<'_>) -> Option<Match> {
    let number = candidate.digits.take(11)?;
    let is_form = number.is_bare()
        || [Separator::Space, Separator::Slash]
            .iter()
            .any(|by| number.is_grouped(&[2, 3, 3, 3], *by));
    if !is_form || number.digits[0] == 0 || !repeats_one(&number.digits[..10]) {
        return None;
    }
    let product = number.digits[..10].iter().fold(10, |product, digit| {
        let sum = match (u32::from(*digit) + product) % 10 {
            0 => 10,
            sum => sum,
        };
        sum * 2 % 11
    });
    let check = (11 - product) % 10;
    if check != u32::from(number.digits[10]) {
        return None;
    }
    let form = if number.is_bare() { 70 } else { 88 };
    candidate.found(Kind::DeTaxId, number.end(), form, 97)
}

fn repeats_one(digits: &[u8]) -> bool {
    let mut counts = [0u8; 10];
    for digit in digits {
        counts[usize::from(*digit)] += 1;
    }
    let repeated = counts.iter().filter(|count| **count > 1).count();
    repeated == 1 && counts.iter().all(|count| *count <= 3)
}

/// Area, birth, first letter of the surname, serial, check digit: `15 070649 C 103`.
pub(super) fn social_security(candidate: &Candidate<'_>) -> Option<Match> {
    let bytes = candidate.word.rest();
    let is_area = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    // Its letter is the ninth character: no group of digits goes past it.
    if !is_area(bytes.get(1)) || candidate.digits.len() > 8 {
        return None;
    }
    let mut digits = [0u8; 12];
    let mut count = 0;
    let mut at = 0;
    while count < 12 {
        let byte = *bytes.get(at)?;
        if count == 8 && byte.is_ascii_uppercase() {
            // A letter counts as two digits, A is 01.
            digits[8] = byte - b'A' + 1;
            count = 9;
        } else if byte.is_ascii_digit() && count != 8 {
            digits[count] = byte - b'0';
            count += 1;
        } else {
            match separator_at(bytes, at)? {
                (Separator::Space | Separator::Dash, width) => {
                    at += width;
                    continue;
                }
                (Separator::Dot | Separator::Slash, _) => return None,
            }
        }
        at += 1;
    }
    let (area, day, month) = (
        value(&digits[..2]),
        value(&digits[2..4]),
        value(&digits[4..6]),
    );
    // Past 50 where two people would have had the same number.
    let day = if day > 50 { day - 50 } else { day };
    if !(2..=99).contains(&area) || !is_date(month, day) {
        return None;
    }
    let letter = [digits[8] / 10, digits[8] % 10];
    let weights = [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1];
    let sum: u32 = digits[..8]
        .iter()
        .chain(&letter)
        .chain(&digits[9..11])
        .zip(weights)
        .map(|(digit, weight)| {
            let product = u32::from(*digit) * weight;
            product / 10 + product % 10
        })
        .sum();
    if sum % 10 != u32::from(digits[11]) {
        return None;
    }
    candidate.found(Kind::DeSocialSecurity, candidate.word.start + at, 93, 98)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::tests::found;

    #[test]
    fn german_ids_are_found_and_one_wrong_digit_is_not() {
        assert_eq!(
            found("Steuer-ID 86095742719"),
            [(Kind::DeTaxId, "86095742719")]
        );
        assert_eq!(
            found("IdNr. 47 036 892 816"),
            [(Kind::DeTaxId, "47 036 892 816")]
        );
        assert_eq!(
            found("RVNR 15 070649 C 103"),
            [(Kind::DeSocialSecurity, "15 070649 C 103")]
        );
        assert_eq!(
            found("RVNR 15070649C103"),
            [(Kind::DeSocialSecurity, "15070649C103")]
        );
        for text in [
            "Steuer-ID 86095742718",
            "RVNR 15 070649 C 104",
            "Steuer-ID 12345678901",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }

    #[test]
    fn the_repeated_digit_is_a_rule_of_its_own() {
        assert!(repeats_one(&[8, 6, 0, 9, 5, 7, 4, 2, 7, 1]));
        assert!(!repeats_one(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 0]));
        assert!(!repeats_one(&[1, 1, 2, 2, 5, 6, 7, 8, 9, 0]));
    }
}
