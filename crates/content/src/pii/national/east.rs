//! Poland: PESEL. Romania: CNP. Czechia and Slovakia: rodné číslo.

use super::super::Kind;
use super::super::digits::weighted;
use super::super::scan::Match;
use super::super::text::Separator;
use super::{Candidate, is_date};

/// Birth with the century in the month, serial, check digit by weights 1, 3, 7, 9.
pub(super) fn pesel(candidate: &Candidate<'_>) -> Option<Match> {
    let number = candidate.digits.take(11)?;
    if !number.is_bare() || !is_date(number.value(2, 4) % 20, number.value(4, 6)) {
        return None;
    }
    let sum = weighted(&number.digits[..10], &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]);
    if (10 - sum % 10) % 10 != u32::from(number.digits[10]) {
        return None;
    }
    candidate.found(Kind::PlPesel, number.end(), 55, 96)
}

/// Sex and century, birth, county, serial, check digit.
pub(super) fn cnp(candidate: &Candidate<'_>) -> Option<Match> {
    let number = candidate.digits.take(13)?;
    let is_form = number.is_bare()
        && number.digits[0] > 0
        && is_date(number.value(3, 5), number.value(5, 7))
        && matches!(number.value(7, 9), 1..=48 | 51 | 52 | 70);
    if !is_form {
        return None;
    }
    let rest = weighted(number.digits, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
    let check = if rest == 10 { 1 } else { rest };
    if check != u32::from(number.digits[12]) {
        return None;
    }
    candidate.found(Kind::RoCnp, number.end(), 70, 97)
}

/// Birth, a slash, four digits; the whole is a multiple of 11.
pub(super) fn birth_number(candidate: &Candidate<'_>) -> Option<Match> {
    let number = candidate.digits.take(10)?;
    let month = number.value(2, 4);
    // Women's months are 50 more; 20 more where a day's serials ran out.
    let month = if month > 50 { month - 50 } else { month };
    let month = if month > 20 { month - 20 } else { month };
    let is_form = number.is_grouped(&[6, 4], Separator::Slash) || number.is_bare();
    if !is_form || !is_date(month, number.value(4, 6)) || number.value(0, 10) % 11 != 0 {
        return None;
    }
    let form = if number.is_bare() { 20 } else { 85 };
    candidate.found(Kind::CzBirthNumber, number.end(), form, 95)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::tests::found;

    #[test]
    fn eastern_ids_are_found_and_one_wrong_digit_is_not() {
        assert_eq!(found("PESEL 44051401359"), [(Kind::PlPesel, "44051401359")]);
        assert_eq!(found("CNP 1800101221144"), [(Kind::RoCnp, "1800101221144")]);
        assert_eq!(
            found("RČ 736028/5163"),
            [(Kind::CzBirthNumber, "736028/5163")]
        );
        for text in ["PESEL 44051401358", "CNP 1800101221145", "RČ 736028/5164"] {
            assert_eq!(found(text), [], "{text}");
        }
    }
}
