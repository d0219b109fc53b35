//! Bank account numbers: ISO 13616, with its country's length and its check digits.

use super::scan::Match;
use super::text::{Joined, Separator, Word, ends_at, separator_at};
use super::{Confidence, Kind};

const LEN_MAX: usize = 34;

pub(super) fn find(word: &Word<'_>) -> Option<Match> {
    let bytes = word.rest();
    let country = [
        bytes.first()?.to_ascii_uppercase(),
        bytes.get(1)?.to_ascii_uppercase(),
    ];
    if word.joined == Joined::ToMore || !bytes.get(2..4)?.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let len = length_in(country)?;
    let end = word.start + end_of(bytes, len)?;
    ends_at(word.bytes(), end).then_some(Match {
        kind: Kind::Iban,
        end,
        confidence: Confidence(99),
    })
}

/// Where `len` characters in groups of any length end, if their check digits hold.
fn end_of(bytes: &[u8], len: usize) -> Option<usize> {
    let mut characters = [0; LEN_MAX];
    let mut count = 0;
    let mut at = 0;
    let (mut in_group, mut is_grouped) = (0, false);
    while count < len {
        let byte = *bytes.get(at)?;
        if byte.is_ascii_alphanumeric() {
            characters[count] = byte.to_ascii_uppercase();
            count += 1;
            at += 1;
            in_group += 1;
            // Groups are of four: without that rule, numbers reach into the words behind them.
            if is_grouped && in_group > 4 {
                return None;
            }
        } else {
            let (Separator::Space | Separator::Dash, width) = separator_at(bytes, at)? else {
                return None;
            };
            if in_group != 4 {
                return None;
            }
            at += width;
            (in_group, is_grouped) = (0, true);
        }
    }
    let (head, tail) = characters[..len].split_at(4);
    (mod_97(tail.iter().chain(head)) == 1).then_some(at)
}

/// Letters count as two digits: A is 10.
fn mod_97<'a>(characters: impl Iterator<Item = &'a u8>) -> u32 {
    characters.fold(0, |rest, &byte| {
        if byte.is_ascii_digit() {
            (rest * 10 + u32::from(byte - b'0')) % 97
        } else {
            (rest * 100 + u32::from(byte - b'A') + 10) % 97
        }
    })
}

/// From the IBAN registry that SWIFT keeps.
fn length_in(country: [u8; 2]) -> Option<usize> {
    Some(match &country {
        b"NO" => 15,
        b"BE" => 16,
        b"DK" | b"FO" | b"FI" | b"GL" | b"NL" | b"SD" | b"FK" => 18,
        b"MK" | b"SI" => 19,
        b"AT" | b"BA" | b"EE" | b"KZ" | b"LT" | b"LU" | b"XK" | b"MN" => 20,
        b"CR" | b"HR" | b"LI" | b"LV" | b"CH" => 21,
        b"BH" | b"BG" | b"GE" | b"DE" | b"IE" | b"ME" | b"RS" | b"GB" | b"VA" => 22,
        b"AE" | b"GI" | b"IL" | b"IQ" | b"TL" | b"OM" | b"SO" => 23,
        b"AD" | b"CZ" | b"MD" | b"PK" | b"RO" | b"SA" | b"SK" | b"ES" | b"SE" | b"TN" | b"VG" => 24,
        b"PT" | b"ST" | b"LY" => 25,
        b"IS" | b"TR" => 26,
        b"FR" | b"GR" | b"IT" | b"MR" | b"MC" | b"SM" | b"BI" | b"DJ" => 27,
        b"AL" | b"AZ" | b"CY" | b"DO" | b"GT" | b"HU" | b"LB" | b"PL" | b"BY" | b"SV" | b"NI" => 28,
        b"BR" | b"EG" | b"PS" | b"QA" | b"UA" => 29,
        b"JO" | b"KW" | b"MU" | b"YE" => 30,
        b"MT" | b"SC" => 31,
        b"LC" => 32,
        b"RU" => 33,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::pii::tests::values as found;

    #[test]
    fn accounts_are_found_with_and_without_groups() {
        for iban in [
            "DE89 3704 0044 0532 0130 00",
            "DE89370400440532013000",
            "gb29 nwbk 6016 1331 9268 19",
            "FR14 2004 1010 0505 0001 3M02 606",
            "NO93 8601 1117 947",
            "MT84MALT011000012345MTLCAST001S",
        ] {
            assert_eq!(found(&format!("IBAN: {iban}.")), [iban]);
        }
    }

    #[test]
    fn a_wrong_digit_length_or_country_is_none() {
        for text in [
            "DE88 3704 0044 0532 0130 00",
            "DE89 3704 0044 0532 0130",
            "ZZ89 3704 0044 0532 0130 00",
            "DE89 3704 0044 0532 0130 001",
            "XDE89370400440532013000",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }
}
