//! A text as candidates see it: words, what separates them, and where a value may begin and end.

/// A word that a value may begin with, and what is known around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<'a> {
    pub(super) text: &'a str,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) joined: Joined,
}

/// What stands directly before a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// Nothing that would make it part of something longer.
    No,
    /// `ORD-`, `build_`, `a/`, `#`: more likely a part of a reference.
    ToReference,
    /// It continues a number or a word: nothing begins here.
    ToMore,
}

/// Between the groups of a number. Typographic forms count as the ones on a keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Separator {
    Space,
    Dash,
    Dot,
    Slash,
}

impl<'a> Word<'a> {
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    pub(super) fn as_bytes(&self) -> &'a [u8] {
        &self.bytes()[self.start..self.end]
    }

    /// From the word's start to the text's end.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.bytes()[self.start..]
    }

    pub(super) fn starts_with_digit(&self) -> bool {
        self.bytes()[self.start].is_ascii_digit()
    }
}

impl Joined {
    pub(super) fn before(text: &str, start: usize) -> Self {
        let bytes = text.as_bytes();
        let Some(&last) = start.checked_sub(1).and_then(|at| bytes.get(at)) else {
            return Self::No;
        };
        let before = start.checked_sub(2).and_then(|at| bytes.get(at)).copied();
        match last {
            b'#' | b'_' | b'$' => Self::ToReference,
            b'-' | b'/' | b'\\' => match before {
                Some(byte) if byte.is_ascii_digit() => Self::ToMore,
                Some(byte) if byte.is_ascii_alphabetic() => Self::ToReference,
                _ => Self::No,
            },
            b',' if is_between_fields(bytes, start - 1) => Self::No,
            b'.' | b',' => match before {
                Some(byte) if byte.is_ascii_digit() => Self::ToMore,
                _ => Self::No,
            },
            _ if last.is_ascii_alphanumeric() => Self::ToMore,
            _ if last.is_ascii() => Self::No,
            _ if is_letter_before(text, start) => Self::ToMore,
            _ => Self::No,
        }
    }
}

/// A letter or a digit, or part of a letter outside ASCII. General punctuation (dashes, quotes) and
/// the Latin-1 signs are none.
#[inline]
pub(super) fn is_word_at(bytes: &[u8], at: usize) -> bool {
    match bytes.get(at) {
        None => false,
        Some(byte) if byte.is_ascii() => byte.is_ascii_alphanumeric(),
        Some(_) => is_letter_at(bytes, at),
    }
}

/// Outside ASCII.
#[cold]
fn is_letter_at(bytes: &[u8], at: usize) -> bool {
    match bytes.get(at) {
        None | Some(0xc2) => false,
        Some(0xe2) => !matches!(bytes.get(at + 1), Some(0x80 | 0x81)),
        Some(0x80..=0xbf) => !continues_punctuation(bytes, at),
        Some(_) => true,
    }
}

fn continues_punctuation(bytes: &[u8], at: usize) -> bool {
    let lead = (1..=3.min(at))
        .map(|back| at - back)
        .find(|&at| bytes[at] >= 0xc0);
    lead.is_some_and(|lead| !is_word_at(bytes, lead))
}

/// The words of a name in camel case, each with where it begins: `date`, `Of`, `Birth`. None of any other word.
pub(super) fn humps(word: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let rest = word.get(from..).filter(|rest| !rest.is_empty())?;
        let is_end = |pair: &[u8]| !pair[0].is_ascii_uppercase() && pair[1].is_ascii_uppercase();
        let end = rest.windows(2).position(is_end).map(|at| at + 1);
        if from == 0 && end.is_none() {
            return None;
        }
        let start = from;
        from += end.unwrap_or(rest.len());
        Some((start, &word[start..from]))
    })
}

/// Whether a value may end here: what follows does not continue it.
pub(super) fn ends_at(bytes: &[u8], end: usize) -> bool {
    if is_word_at(bytes, end) {
        return false;
    }
    match bytes.get(end) {
        Some(b'_') => false,
        Some(b',') if is_between_fields(bytes, end) => true,
        Some(b'-' | b'.' | b'/' | b',' | b':') => {
            !bytes.get(end + 1).is_some_and(u8::is_ascii_digit)
        }
        _ => true,
    }
}

/// No number with thousands or a fraction has longer parts.
const WHOLE_DIGITS_MAX: usize = 6;
const FRACTION_DIGITS_MAX: usize = 12;

/// Whether a comma stands between fields, as in CSV, rather than in a number: `7,4111111111111111`, not `1,234`
/// or `3,14159`.
fn is_between_fields(bytes: &[u8], comma: usize) -> bool {
    let is_digit = |byte: &&u8| byte.is_ascii_digit();
    let before = bytes[..comma].iter().rev();
    let whole = before
        .clone()
        .take(WHOLE_DIGITS_MAX + 1)
        .take_while(is_digit);
    let whole = whole.count();
    let after = &bytes[comma + 1..];
    let fraction = after
        .iter()
        .take(FRACTION_DIGITS_MAX + 1)
        .take_while(is_digit);
    let fraction = fraction.count();
    if whole == 0 || whole > WHOLE_DIGITS_MAX || fraction == 0 || fraction > FRACTION_DIGITS_MAX {
        return true;
    }
    // `192.168.1.5,7`, `536-90-4399,7`: of its parts, only thousands have three digits behind a point.
    let mut before = before.skip(whole);
    let is_grouped = match before.next() {
        Some(b'-' | b'/' | b':') => true,
        Some(b'.') => whole != 3,
        _ => false,
    };
    let follows_digit = before.next().is_some_and(u8::is_ascii_digit);
    // `7,536-90-4399`, `7,12345678Z`, `7,192.168.1.5`.
    let behind = &after[fraction..];
    let goes_on = match behind.first() {
        Some(b'-' | b'/' | b':') => behind.get(1).is_some_and(u8::is_ascii_digit),
        Some(b'.') => is_dotted(&behind[1..]),
        Some(_) => is_word_at(behind, 0),
        None => false,
    };
    is_grouped && follows_digit || goes_on
}

/// Digits, and a point with more behind.
fn is_dotted(bytes: &[u8]) -> bool {
    let digits = bytes
        .iter()
        .take(4)
        .take_while(|byte| byte.is_ascii_digit());
    let digits = digits.count();
    digits > 0
        && bytes.get(digits) == Some(&b'.')
        && bytes.get(digits + 1).is_some_and(u8::is_ascii_digit)
}

/// A separator and its length in bytes.
pub(super) fn separator_at(bytes: &[u8], at: usize) -> Option<(Separator, usize)> {
    Some(match bytes.get(at)? {
        b' ' => (Separator::Space, 1),
        b'-' => (Separator::Dash, 1),
        b'.' => (Separator::Dot, 1),
        b'/' => (Separator::Slash, 1),
        // No-break space; thin and other typographic spaces, no-break hyphen, en dash.
        0xc2 if bytes.get(at + 1) == Some(&0xa0) => (Separator::Space, 2),
        0xe2 if bytes.get(at + 1) == Some(&0x80) => match bytes.get(at + 2)? {
            0x80..=0x8a | 0xaf => (Separator::Space, 3),
            0x91 | 0x93 => (Separator::Dash, 3),
            _ => return None,
        },
        _ => return None,
    })
}

/// How wide what stands between the groups of a value is that its check digits prove, however it is
/// written: ` - `, two spaces, a tab, a line's end.
pub(super) fn gap_at(bytes: &[u8], at: usize) -> Option<usize> {
    const SEPARATORS_MAX: usize = 3;
    let mut end = at;
    for _ in 0..SEPARATORS_MAX {
        end += match bytes.get(end)? {
            b'\t' | b'\r' | b'\n' | b'_' => 1,
            byte if byte.is_ascii_alphanumeric() => break,
            _ => match separator_at(bytes, end) {
                Some((_, width)) => width,
                None => break,
            },
        };
    }
    (end > at).then_some(end - at)
}

fn is_letter_before(text: &str, at: usize) -> bool {
    text[..at]
        .chars()
        .next_back()
        .is_some_and(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_a_word_says_whether_a_value_may_begin() {
        for (text, expected) in [
            ("", Joined::No),
            ("a ", Joined::No),
            ("card:", Joined::No),
            ("(", Joined::No),
            ("“", Joined::No),
            ("Tel.", Joined::No),
            ("ORD-", Joined::ToReference),
            ("#", Joined::ToReference),
            ("12-", Joined::ToMore),
            ("1.", Joined::ToMore),
            ("é", Joined::ToMore),
        ] {
            let whole = format!("{text}42");
            assert_eq!(Joined::before(&whole, text.len()), expected, "{text:?}");
        }
    }

    #[test]
    fn names_in_camel_case_have_words() {
        for (name, expected) in [
            ("dateOfBirth", vec![(0, "date"), (4, "Of"), (6, "Birth")]),
            ("DateOfBirth", vec![(0, "Date"), (4, "Of"), (6, "Birth")]),
            ("dbPASSWORD", vec![(0, "db"), (2, "PASSWORD")]),
            ("Birth", vec![]),
            ("BIRTH", vec![]),
            ("né", vec![]),
            ("", vec![]),
        ] {
            let found: Vec<(usize, &str)> = humps(name.as_bytes())
                .map(|(at, hump)| (at, std::str::from_utf8(hump).unwrap()))
                .collect();
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn commas_of_rows_are_told_from_those_of_numbers() {
        for (text, expected) in [
            ("7,4111111111111111", true),
            ("4111111111111111,12", true),
            ("7,DE89", true),
            ("x,7", true),
            ("a,b", true),
            ("7,12345678Z", true),
            ("7,536-90-4399", true),
            ("536-90-4399,7", true),
            ("7,192.168.1.5", true),
            ("192.168.1.5,7", true),
            ("2024-03-12,7", true),
            ("1,234", false),
            ("1,234,567", false),
            ("1,234.56", false),
            ("1.234,56", false),
            ("3,14159", false),
            ("-3,5", false),
            ("0,0612345678", false),
        ] {
            let comma = text.find(',').unwrap();
            assert_eq!(
                is_between_fields(text.as_bytes(), comma),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn typographic_separators_are_those_of_a_keyboard() {
        for (text, expected) in [
            ("\u{a0}", Some((Separator::Space, 2))),
            ("\u{202f}", Some((Separator::Space, 3))),
            ("\u{2009}", Some((Separator::Space, 3))),
            ("–", Some((Separator::Dash, 3))),
            ("é", None),
            ("“", None),
            ("", None),
        ] {
            assert_eq!(separator_at(text.as_bytes(), 0), expected, "{text:?}");
        }
    }

    #[test]
    fn letters_of_any_script_are_words_and_punctuation_is_not() {
        for (text, expected) in [
            ("é", true),
            ("ж", true),
            ("漢", true),
            ("“", false),
            ("…", false),
            ("«", false),
        ] {
            for at in 0..text.len() {
                assert_eq!(is_word_at(text.as_bytes(), at), expected, "{text} at {at}");
            }
        }
    }
}
