//! Netherlands: burgerservicenummer. Belgium: national number.

use super::super::Kind;
use super::super::digits::weighted;
use super::super::scan::Match;
use super::super::text::Separator;
use super::{Candidate, is_date};

/// Nine digits whose weighted sum is a multiple of 11; every eleventh fits, so a word must call it
/// one.
pub(super) fn bsn(candidate: &Candidate<'_>) -> Option<Match> {
    let number = candidate.digits.take(9)?;
    let is_form = number.is_bare() || number.is_separated_by(Separator::Dot);
    let (body, check) = number.digits.split_at(8);
    let sum = weighted(body, &[9, 8, 7, 6, 5, 4, 3, 2]);
    let is_valid = sum % 11 == u32::from(check[0]) && sum > 0;
    if !is_form || !is_valid {
        return None;
    }
    candidate.found(Kind::NlBsn, number.end(), 20, 86)
}

/// Birth, serial, and 97 less the rest: `85.07.30-033.28`. From 2000 on a 2 is put in front.
pub(super) fn national_number(candidate: &Candidate<'_>) -> Option<Match> {
    let number = candidate.digits.take(11)?;
    let lens: Vec<usize> = number.groups.iter().map(|group| group.len()).collect();
    let is_form = number.is_bare() || lens == [2, 2, 2, 3, 2] || lens == [6, 3, 2];
    if !is_form || !is_date(number.value(2, 4), number.value(4, 6)) {
        return None;
    }
    let body = number.value(0, 9);
    let key = number.value(9, 11);
    if key != 97 - body % 97 && key != 97 - (2_000_000_000 + body) % 97 {
        return None;
    }
    let form = if number.is_bare() { 68 } else { 94 };
    candidate.found(Kind::BeNationalNumber, number.end(), form, 97)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::tests::found;

    #[test]
    fn ids_are_found_and_one_wrong_digit_is_not() {
        assert_eq!(found("BSN 111222333"), [(Kind::NlBsn, "111222333")]);
        assert_eq!(
            found("85.07.30-033.28"),
            [(Kind::BeNationalNumber, "85.07.30-033.28")]
        );
        for text in ["BSN 111222334", "111222333", "85.07.30-033.29"] {
            assert_eq!(found(text), [], "{text}");
        }
    }
}
