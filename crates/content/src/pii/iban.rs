//! Bank account numbers: ISO 13616, with its country's length and its check digits.

use super::context::{Context, Topic};
use super::scan::Match;
use super::text::{Joined, Word, ends_at, gap_at};
use super::{Confidence, Kind};

const LEN_MAX: usize = 34;
/// With all that parts it. A stream holds back as much.
const BYTES_MAX: usize = 96;
/// Some forms have it without a gap.
const LABEL: &[u8] = b"IBAN";

pub(super) fn find(word: &Word<'_>, context: &Context) -> Option<Match> {
    if word.joined == Joined::ToMore {
        return None;
    }
    let start = match word.as_bytes().get(..LABEL.len()) {
        Some(label) if label.eq_ignore_ascii_case(LABEL) => word.start + LABEL.len(),
        _ => word.start,
    };
    let account = Account::read(&word.bytes()[start..])?;
    let end = start + account.end;
    let is_named = context.is_near(Topic::Bank, start);
    let is_account =
        account.is_written_as_one(is_named) && account.checks() && ends_at(word.bytes(), end);
    is_account.then_some(Match {
        kind: Kind::Iban,
        end,
        confidence: Confidence(99),
    })
}

/// Characters that its country's form admits, in groups of any length.
struct Account {
    characters: [u8; LEN_MAX],
    len: usize,
    end: usize,
    /// Bit *n*: a gap stands before the *n*th character.
    gaps: u64,
    has_lower_case: bool,
}

impl Account {
    fn read(bytes: &[u8]) -> Option<Self> {
        let country = [
            bytes.first()?.to_ascii_uppercase(),
            bytes.get(1)?.to_ascii_uppercase(),
        ];
        let form = form_in(country)?;
        let mut account = Self {
            characters: [0; LEN_MAX],
            len: 0,
            end: 0,
            gaps: 0,
            has_lower_case: false,
        };
        for Part(class, len) in COUNTRY_AND_CHECK.iter().chain(form) {
            for _ in 0..*len {
                account.push(bytes, *class)?;
            }
        }
        Some(account)
    }

    /// Takes the next character, past a gap.
    fn push(&mut self, bytes: &[u8], class: Class) -> Option<()> {
        let mut byte = *bytes.get(self.end)?;
        if !class.has(byte) {
            self.end += gap_at(bytes, self.end)?;
            self.gaps |= 1 << self.len;
            byte = *bytes.get(self.end)?;
            if !class.has(byte) || self.end >= BYTES_MAX {
                return None;
            }
        }
        self.has_lower_case |= byte.is_ascii_lowercase();
        self.characters[self.len] = byte.to_ascii_uppercase();
        self.len += 1;
        self.end += 1;
        Some(())
    }

    /// A country that stands alone may be a word, and so may letters in lower case.
    fn is_written_as_one(&self, is_named: bool) -> bool {
        const BEFORE_CHECK: u64 = 1 << 2;
        const BEHIND_CHECK: u64 = 1 << 4;
        const WITHIN_EITHER: u64 = 1 << 1 | 1 << 3;
        const FOURS: u64 = 0x1_1111_1110;
        let (is_parted, is_other) = (self.gaps & BEFORE_CHECK != 0, self.gaps & !FOURS != 0);
        self.gaps & WITHIN_EITHER == 0
            && (!is_parted || is_named || self.gaps & BEHIND_CHECK != 0)
            && (!is_other || !self.has_lower_case)
    }

    fn checks(&self) -> bool {
        let (head, tail) = self.characters[..self.len].split_at(4);
        mod_97(tail.iter().chain(head)) == 1
    }
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

/// What a character of an account may be.
#[derive(Clone, Copy)]
enum Class {
    Digit,
    Letter,
    Any,
}

impl Class {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Digit => byte.is_ascii_digit(),
            Self::Letter => byte.is_ascii_alphabetic(),
            Self::Any => byte.is_ascii_alphanumeric(),
        }
    }
}

/// So many characters of one class.
struct Part(Class, usize);

const fn digits(len: usize) -> Part {
    Part(Class::Digit, len)
}

const fn letters(len: usize) -> Part {
    Part(Class::Letter, len)
}

const fn any(len: usize) -> Part {
    Part(Class::Any, len)
}

const COUNTRY_AND_CHECK: &[Part] = &[letters(2), digits(2)];

/// What follows the check digits: from the IBAN registry that SWIFT keeps.
fn form_in(country: [u8; 2]) -> Option<&'static [Part]> {
    Some(match &country {
        b"NO" => &const { [digits(11)] },
        b"BE" => &const { [digits(12)] },
        b"DK" | b"FO" | b"GL" | b"FI" | b"SD" => &const { [digits(14)] },
        b"FK" => &const { [letters(2), digits(12)] },
        b"NL" => &const { [letters(4), digits(10)] },
        b"SI" => &const { [digits(15)] },
        b"MK" => &const { [digits(3), any(10), digits(2)] },
        b"AT" | b"BA" | b"EE" | b"LT" | b"XK" | b"MN" => &const { [digits(16)] },
        b"LU" | b"KZ" => &const { [digits(3), any(13)] },
        b"HR" => &const { [digits(17)] },
        b"LV" => &const { [letters(4), any(13)] },
        b"CH" | b"LI" => &const { [digits(5), any(12)] },
        b"DE" | b"ME" | b"RS" | b"VA" | b"CR" => &const { [digits(18)] },
        b"GE" => &const { [letters(2), digits(16)] },
        b"BH" => &const { [letters(4), any(14)] },
        b"GB" | b"IE" => &const { [letters(4), digits(14)] },
        b"BG" => &const { [letters(4), digits(6), any(8)] },
        b"AE" | b"IL" | b"TL" | b"SO" => &const { [digits(19)] },
        b"OM" => &const { [digits(3), any(16)] },
        b"GI" => &const { [letters(4), any(15)] },
        b"IQ" => &const { [letters(4), digits(15)] },
        b"MD" => &const { [any(20)] },
        b"ES" | b"CZ" | b"SK" | b"SE" | b"TN" => &const { [digits(20)] },
        b"SA" => &const { [digits(2), any(18)] },
        b"PK" | b"RO" => &const { [letters(4), any(16)] },
        b"VG" => &const { [letters(4), digits(16)] },
        b"AD" => &const { [digits(8), any(12)] },
        b"PT" | b"ST" | b"LY" => &const { [digits(21)] },
        b"IS" => &const { [digits(22)] },
        b"TR" => &const { [digits(6), any(16)] },
        b"FR" | b"MC" => &const { [digits(10), any(11), digits(2)] },
        b"IT" | b"SM" => &const { [letters(1), digits(10), any(12)] },
        b"MR" | b"BI" | b"DJ" => &const { [digits(23)] },
        b"GR" => &const { [digits(7), any(16)] },
        b"GT" => &const { [any(24)] },
        b"PL" | b"HU" => &const { [digits(24)] },
        b"AZ" => &const { [letters(4), any(20)] },
        b"SV" | b"NI" => &const { [letters(4), digits(20)] },
        b"DO" => &const { [any(4), digits(20)] },
        b"BY" => &const { [any(4), digits(4), any(16)] },
        b"LB" => &const { [digits(4), any(20)] },
        b"AL" | b"CY" => &const { [digits(8), any(16)] },
        b"BR" => &const { [digits(23), letters(1), any(1)] },
        b"EG" => &const { [digits(25)] },
        b"PS" | b"QA" => &const { [letters(4), any(21)] },
        b"UA" => &const { [digits(6), any(19)] },
        b"MU" => &const { [letters(4), digits(19), letters(3)] },
        b"KW" => &const { [letters(4), any(22)] },
        b"JO" | b"YE" => &const { [letters(4), digits(4), any(18)] },
        b"SC" => &const { [letters(4), digits(20), letters(3)] },
        b"MT" => &const { [letters(4), digits(5), any(18)] },
        b"LC" => &const { [letters(4), any(24)] },
        b"RU" => &const { [digits(14), any(15)] },
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
    fn groups_may_be_of_any_length() {
        for iban in [
            "ES91 2100 0418 45 0200051332",
            "ES91-2100-0418-45-0200051332",
            "IT 60 X 05428 11101 000000123456",
            "FR14 20041 01005 0500013M026 06",
            "GB29 NWBK 601613 31926819",
            "NL91 ABNA 0417164300",
            "PT50 0002 0123 12345678901 54",
            "DE 89 3704 0044 0532 0130 00",
            "DE89 37040044 0532013000",
            "DE89.3704.0044.0532.0130.00",
            "DE89  3704  0044  0532  0130  00",
            "DE89\t3704\t0044\t0532\t0130\t00",
            "DE89 3704 0044\n0532 0130 00",
            "DE89 3704 0044\r\n0532 0130 00",
            "IBANDE89370400440532013000",
        ] {
            for text in [format!("{iban} and 12 more"), format!("to {iban}.")] {
                assert_eq!(found(&text), [iban], "{text}");
            }
        }
        assert_eq!(
            found("IBAN : NO 9386011117947, thanks"),
            ["NO 9386011117947"]
        );
    }

    #[test]
    fn words_that_are_countries_are_none() {
        for text in [
            "serial no 9386011117947",
            "SERIAL NO 9386011117947",
            "md 94 people have come to see it",
            "de 89 3704 0044 0532 0130 00",
            "D E89 3704 0044 0532 0130 00",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
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
