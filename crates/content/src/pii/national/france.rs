//! France: numéro de sécurité sociale (NIR) and numéro fiscal.

use super::super::Kind;
use super::super::digits::value;
use super::super::scan::Match;
use super::super::text::{Separator, separator_at};
use super::Candidate;

/// Sex, year, month, department, commune, serial, and a key of two digits: 97 less the rest.
/// Corsica's departments are 2A and 2B.
pub(super) fn nir(candidate: &Candidate<'_>) -> Option<Match> {
    let bytes = candidate.word.rest();
    let may_begin = matches!(bytes[0], b'1'..=b'4' | b'7' | b'8');
    if !may_begin || !candidate.digits.has_group_end(1 << 15) && !is_corsican(candidate) {
        return None;
    }
    let mut digits = [0u8; 15];
    let mut corsica = None;
    let mut count = 0;
    let mut at = 0;
    while count < 15 {
        let byte = *bytes.get(at)?;
        match byte {
            b'0'..=b'9' => digits[count] = byte - b'0',
            b'A' | b'B' if count == 6 && digits[5] == 2 => {
                // Read as 19 and 18.
                (digits[5], digits[6]) = (1, if byte == b'A' { 9 } else { 8 });
                corsica = Some(byte);
            }
            _ => match separator_at(bytes, at)? {
                (Separator::Space | Separator::Dot, width) => {
                    at += width;
                    continue;
                }
                (Separator::Dash | Separator::Slash, _) => return None,
            },
        }
        count += 1;
        at += 1;
    }
    let month = value(&digits[3..5]);
    let department = value(&digits[5..7]);
    let is_form = matches!(digits[0], 1..=4 | 7 | 8)
        && matches!(month, 1..=12 | 20..=42 | 50..=99)
        && (corsica.is_some() || matches!(department, 1..=19 | 21..=95 | 96..=99));
    let key = 97 - value(&digits[..13]) % 97;
    if !is_form || key != value(&digits[13..]) {
        return None;
    }
    candidate.found(Kind::FrNir, candidate.word.start + at, 94, 98)
}

/// Its letter is the seventh character of fifteen: no group of digits goes past it.
fn is_corsican(candidate: &Candidate<'_>) -> bool {
    let near = candidate.word.rest().iter().take(12);
    candidate.digits.len() <= 5 && near.into_iter().any(|byte| matches!(byte, b'A' | b'B'))
}

/// Thirteen digits, the last three the rest of the first ten by 511.
pub(super) fn tax_id(candidate: &Candidate<'_>) -> Option<Match> {
    let number = candidate.digits.take(13)?;
    let is_form = number.is_bare() || number.is_grouped(&[2, 2, 3, 3, 3], Separator::Space);
    if !is_form || number.digits[0] > 3 || number.value(0, 10) % 511 != number.value(10, 13) {
        return None;
    }
    candidate.found(Kind::FrTaxId, number.end(), 72, 96)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::tests::found;

    #[test]
    fn french_ids_are_found_and_one_wrong_digit_is_not() {
        for nir in [
            "1 84 12 76 451 089 46",
            "184127645108946",
            "1 84 12 2A 451 089 05",
        ] {
            let text = format!("n° sécu {nir}");
            assert_eq!(found(&text).len(), usize::from(is_valid(nir)), "{nir}");
        }
        assert_eq!(
            found("numéro fiscal 3023217600053"),
            [(Kind::FrTaxId, "3023217600053")]
        );
        for text in ["n° sécu 184127645108947", "numéro fiscal 3023217600054"] {
            assert_eq!(found(text), [], "{text}");
        }
    }

    /// Computed another way: digit by digit.
    fn is_valid(nir: &str) -> bool {
        let nir = nir.replace(' ', "").replace("2A", "19").replace("2B", "18");
        let body = nir[..13]
            .bytes()
            .fold(0, |rest, digit| (rest * 10 + u32::from(digit - b'0')) % 97);
        97 - body == nir[13..].parse::<u32>().unwrap()
    }
}
