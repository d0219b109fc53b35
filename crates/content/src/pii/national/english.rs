//! United States: social security number. United Kingdom: National Insurance and NHS numbers.

use super::super::Kind;
use super::super::digits::weighted;
use super::super::scan::Match;
use super::super::text::{Separator, separator_at};
use super::Candidate;

/// No check digit, but areas and groups that are never given out.
pub(super) fn ssn(candidate: &Candidate<'_>) -> Option<Match> {
    let number = candidate.digits.take(9)?;
    let (area, group, serial) = (number.value(0, 3), number.value(3, 5), number.value(5, 9));
    if matches!(area, 0 | 666 | 900..) || group == 0 || serial == 0 {
        return None;
    }
    let form = if number.is_grouped(&[3, 2, 4], Separator::Dash) {
        78
    } else if number.is_grouped(&[3, 2, 4], Separator::Space) {
        45
    } else if number.is_bare() {
        10
    } else {
        return None;
    };
    candidate.found(Kind::UsSsn, number.end(), form, 88)
}

/// Two letters, six digits, a letter from A to D: `AB 12 34 56 C`.
pub(super) fn nino(candidate: &Candidate<'_>) -> Option<Match> {
    let bytes = candidate.word.rest();
    let [first, second, ..] = *bytes else {
        return None;
    };
    let is_prefix = first.is_ascii_uppercase()
        && second.is_ascii_uppercase()
        && !b"DFIQUV".contains(&first)
        && !b"DFIOQUV".contains(&second)
        && !matches!(
            &bytes[..2],
            b"BG" | b"GB" | b"KN" | b"NK" | b"NT" | b"TN" | b"ZZ"
        );
    if !is_prefix {
        return None;
    }
    let mut at = 2;
    let mut digits = 0;
    let mut is_bare = true;
    let suffix = loop {
        let byte = *bytes.get(at)?;
        match byte {
            b'0'..=b'9' if digits < 6 => digits += 1,
            b'A'..=b'D' if digits == 6 => break at + 1,
            _ if digits % 2 == 0 => {
                let (Separator::Space | Separator::Dash, width) = separator_at(bytes, at)? else {
                    return None;
                };
                at += width;
                is_bare = false;
                continue;
            }
            _ => return None,
        }
        at += 1;
    };
    let form = if is_bare { 76 } else { 88 };
    candidate.found(Kind::UkNino, candidate.word.start + suffix, form, 97)
}

/// Ten digits, the last one 11 less the weighted sum's rest.
pub(super) fn nhs(candidate: &Candidate<'_>) -> Option<Match> {
    let number = candidate.digits.take(10)?;
    let is_form = number.is_bare()
        || number.is_grouped(&[3, 3, 4], Separator::Space)
        || number.is_grouped(&[3, 3, 4], Separator::Dash);
    let rest = weighted(number.digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    let check = (11 - rest) % 11;
    if !is_form || check != u32::from(number.digits[9]) {
        return None;
    }
    let form = if number.is_grouped(&[3, 3, 4], Separator::Space) {
        40
    } else {
        15
    };
    candidate.found(Kind::UkNhsNumber, number.end(), form, 94)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::tests::found;

    #[test]
    fn ids_are_found_and_what_was_never_given_out_is_not() {
        assert_eq!(found("SSN 536-90-4399"), [(Kind::UsSsn, "536-90-4399")]);
        assert_eq!(found("SSN 536904399"), [(Kind::UsSsn, "536904399")]);
        for nino in ["AB 12 34 56 C", "AB123456C"] {
            assert_eq!(found(&format!("NINO {nino}")), [(Kind::UkNino, nino)]);
        }
        assert_eq!(
            found("NHS 943 476 5919"),
            [(Kind::UkNhsNumber, "943 476 5919")]
        );
        for text in [
            "666-90-4399",
            "000-12-3456",
            "GB123456A",
            "NHS 943 476 5918",
            "AB123456E",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }
}
