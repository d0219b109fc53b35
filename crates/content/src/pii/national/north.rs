//! Sweden: personnummer. Austria: Sozialversicherungsnummer.

use super::super::Kind;
use super::super::digits::{luhn, weighted};
use super::super::scan::Match;
use super::super::text::Separator;
use super::{Candidate, is_date};

/// Birth, a dash, three digits and their Luhn digit: `811218-9876`, `19811218-9876`.
pub(super) fn personnummer(candidate: &Candidate<'_>) -> Option<Match> {
    let (number, century) = match candidate.digits.take(12) {
        Some(number) if matches!(number.value(0, 2), 19 | 20) => (number, 2),
        _ => (candidate.digits.take(10)?, 0),
    };
    let is_form = number.is_bare()
        || number.is_grouped(&[6, 4], Separator::Dash)
        || number.is_grouped(&[8, 4], Separator::Dash);
    let day = number.value(century + 4, century + 6);
    // Coordination numbers add 60 to the day.
    let day = if day > 60 { day - 60 } else { day };
    let month = number.value(century + 2, century + 4);
    if !is_form || !is_date(month, day) || !luhn(&number.digits[century..]) {
        return None;
    }
    let form = match (number.is_bare(), century) {
        (false, _) => 84,
        (true, 0) => 25,
        (true, _) => 45,
    };
    candidate.found(Kind::SePersonnummer, number.end(), form, 95)
}

/// Serial with its check digit in the fourth place, then the birth: `1237 010180`.
pub(super) fn austria(candidate: &Candidate<'_>) -> Option<Match> {
    let number = candidate.digits.take(10)?;
    let is_form = number.is_bare() || number.is_grouped(&[4, 6], Separator::Space);
    let month = number.value(6, 8);
    // Months 13 to 15 where a day's serials ran out.
    let is_birth = is_date(month, number.value(4, 6)) || matches!(month, 13..=15);
    if !is_form || !is_birth || number.digits[0] == 0 {
        return None;
    }
    let sum = weighted(number.digits, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]);
    if sum % 11 != u32::from(number.digits[3]) {
        return None;
    }
    let form = if number.is_bare() { 25 } else { 58 };
    candidate.found(Kind::AtSocialSecurity, number.end(), form, 95)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::tests::found;

    #[test]
    fn ids_are_found_and_one_wrong_digit_is_not() {
        for id in ["811218-9876", "19811218-9876"] {
            assert_eq!(
                found(&format!("personnummer {id}")),
                [(Kind::SePersonnummer, id)]
            );
        }
        assert_eq!(
            found("SVNR 1237 010180"),
            [(Kind::AtSocialSecurity, "1237 010180")]
        );
        for text in ["811218-9877", "SVNR 1238 010180", "8112189876"] {
            assert_eq!(found(text), [], "{text}");
        }
    }
}
