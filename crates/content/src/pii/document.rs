//! Passports and driving licences: the machine-readable zone and the British licence have check
//! digits or a form of their own, others are told by what they are called.

use super::context::{Context, Topic};
use super::scan::Match;
use super::text::{Joined, Word, ends_at};
use super::{Confidence, Kind};

pub(super) fn find(word: &Word<'_>, has_digit: bool, context: &Context) -> Option<Match> {
    let may_be = has_digit
        || word.as_bytes() == b"P"
        || word.end - word.start == 1 && context.is_close(Topic::Passport, word.start);
    if !may_be || word.joined == Joined::ToMore {
        return None;
    }
    machine_readable(word)
        .or_else(|| british_licence(word))
        .or_else(|| named(word, context))
        .or_else(|| italian_card(word, context))
}

/// A number of 6 to 12 letters and digits behind the document's name, or below such a one in a table.
fn named(word: &Word<'_>, context: &Context) -> Option<Match> {
    // First, because it is quick to tell and seldom so.
    let topic = called(word, context)?;
    let (kind, lens) = match topic {
        Topic::Licence => (Kind::DrivingLicence, 8..=12),
        _ => (Kind::Passport, 7..=10),
    };
    let end = if is_number(word.as_bytes()) && lens.contains(&(word.end - word.start)) {
        word.end
    } else if context.is_close(Topic::Passport, word.start) {
        end_of_groups(word)?
    } else {
        return None;
    };
    let is_reference = context.is_reference(word.bytes(), word.start, topic);
    if is_reference || !ends_at(word.bytes(), end) {
        return None;
    }
    Some(Match {
        kind,
        end,
        confidence: Confidence(80),
    })
}

fn called(word: &Word<'_>, context: &Context) -> Option<Topic> {
    let nearer = if context.is_nearer(Topic::Licence, Topic::Passport) {
        Topic::Licence
    } else {
        Topic::Passport
    };
    if context.is_near(nearer, word.start) {
        return Some(nearer);
    }
    [Topic::Passport, Topic::Licence]
        .into_iter()
        .find(|topic| context.is_below(*topic, word.bytes(), word.start))
}

fn is_number(bytes: &[u8]) -> bool {
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    digits >= 4 && bytes.iter().all(|byte| is_of_number(*byte))
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || byte.is_ascii_uppercase()
}

/// Nine letters and digits, and a check digit, as German documents print them: `C01X 00T4 7`,
/// `L 01X 00T 471`.
fn end_of_groups(word: &Word<'_>) -> Option<usize> {
    const LEN: usize = 9;
    let bytes = word.rest();
    let mut characters = [0; LEN];
    let mut at = 0;
    for (count, character) in characters.iter_mut().enumerate() {
        if count > 0 && bytes.get(at) == Some(&b' ') {
            at += 1;
        }
        *character = *bytes.get(at).filter(|byte| is_of_number(**byte))?;
        at += 1;
    }
    // Words in capitals are none.
    let is_form = characters[0].is_ascii_uppercase()
        && characters[1].is_ascii_digit()
        && is_number(&characters);
    at += usize::from(bytes.get(at).is_some_and(u8::is_ascii_digit));
    is_form.then_some(word.start + at)
}

/// Carta d'identità: `CA12345AA`, where a word speaks of ids.
fn italian_card(word: &Word<'_>, context: &Context) -> Option<Match> {
    let bytes: &[u8; 9] = word.as_bytes().try_into().ok()?;
    let is_form = bytes.iter().enumerate().all(|(at, byte)| match at {
        2..=6 => byte.is_ascii_digit(),
        _ => byte.is_ascii_uppercase(),
    });
    let is_called_so = context.is_near(Topic::Identity, word.start)
        && !context.is_reference(word.bytes(), word.start, Topic::Identity);
    (is_form && is_called_so && ends_at(word.bytes(), word.end)).then_some(Match {
        kind: Kind::Passport,
        end: word.end,
        confidence: Confidence(80),
    })
}

/// Great Britain: five letters of the surname, six digits of the birth, two initials, and three
/// more. `MORGA657054SM9IJ`.
fn british_licence(word: &Word<'_>) -> Option<Match> {
    let bytes: &[u8; 16] = word.as_bytes().try_into().ok()?;
    let (surname, birth, initials, last) =
        (&bytes[..5], &bytes[5..11], &bytes[11..13], &bytes[13..]);
    let letters = surname
        .iter()
        .take_while(|byte| byte.is_ascii_uppercase())
        .count();
    let is_form = letters > 0
        && surname[letters..].iter().all(|byte| *byte == b'9')
        && birth.iter().all(u8::is_ascii_digit)
        && initials
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || *byte == b'9')
        && (last[0].is_ascii_digit() || last[0].is_ascii_uppercase())
        && last[1..].iter().all(u8::is_ascii_uppercase);
    if !is_form {
        return None;
    }
    // Women's months are 51 to 62.
    let month = (birth[1] - b'0') % 5 * 10 + (birth[2] - b'0');
    let day = (birth[3] - b'0') * 10 + (birth[4] - b'0');
    if !matches!(birth[1], b'0' | b'1' | b'5' | b'6')
        || !super::date::is_day(day.into(), month.into())
    {
        return None;
    }
    Some(Match {
        kind: Kind::DrivingLicence,
        end: word.end,
        confidence: Confidence(93),
    })
}

const LINE: usize = 44;

/// ICAO 9303, TD3: both lines of a passport, or its second one alone.
fn machine_readable(word: &Word<'_>) -> Option<Match> {
    let line: &[u8] = word.rest().get(..LINE)?;
    // Nothing else parts a zone's words.
    if word.end < word.start + LINE && word.bytes()[word.end] != b'<' {
        return None;
    }
    if !line
        .iter()
        .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase() || *byte == b'<')
    {
        return None;
    }
    let end = word.start + LINE;
    let found = |end| {
        Some(Match {
            kind: Kind::Passport,
            end,
            confidence: Confidence(98),
        })
    };
    if line.starts_with(b"P") && line[5..].windows(2).any(|two| two == b"<<") && line[43] == b'<' {
        let rest = &word.bytes()[end..];
        let gap = rest
            .iter()
            .take(2)
            .take_while(|byte| matches!(byte, b'\r' | b'\n' | b' '))
            .count();
        let second = rest.get(gap..gap + LINE);
        return match second {
            Some(second) if gap > 0 && is_second_line(second) => found(end + gap + LINE),
            _ => found(end),
        };
    }
    if is_second_line(line) {
        found(end)
    } else {
        None
    }
}

/// Number, birth and expiry each with a check digit that holds.
fn is_second_line(line: &[u8]) -> bool {
    [(0, 9), (13, 19), (21, 27)].iter().all(|&(from, to)| {
        line[to].is_ascii_digit() && check_digit(&line[from..to]) == line[to] - b'0'
    })
}

/// Weights 7, 3, 1; A is 10, `<` is 0.
fn check_digit(field: &[u8]) -> u8 {
    let sum: u32 = field
        .iter()
        .zip([7, 3, 1].into_iter().cycle())
        .map(|(byte, weight)| {
            weight
                * match byte {
                    b'0'..=b'9' => u32::from(byte - b'0'),
                    b'A'..=b'Z' => u32::from(byte - b'A') + 10,
                    _ => 0,
                }
        })
        .sum();
    (sum % 10) as u8
}

#[cfg(test)]
mod tests {
    use crate::pii::tests::named as found;

    #[test]
    fn documents_are_found_by_name_or_form() {
        let zone = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10";
        for (text, kind, value) in [
            ("Passport no. 123456789", "passport", "123456789"),
            ("Reisepass C01X00T47", "passport", "C01X00T47"),
            ("passaporto YA1234567", "passport", "YA1234567"),
            ("Reisepassnummer: C01X 00T4 7", "passport", "C01X 00T4 7"),
            ("Passport no. C01X 00T47", "passport", "C01X 00T47"),
            (
                "Personalausweisnummer: L 01X 00T 471",
                "passport",
                "L 01X 00T 471",
            ),
            ("carta d'identità CA12345AA", "passport", "CA12345AA"),
            (
                "licence MORGA657054SM9IJ ok",
                "driving_licence",
                "MORGA657054SM9IJ",
            ),
            ("Führerschein B072RRE2I55", "driving_licence", "B072RRE2I55"),
            (zone, "passport", zone),
            (&zone[45..], "passport", &zone[45..]),
        ] {
            assert_eq!(found(text), [(kind, value)], "{text}");
        }
    }

    #[test]
    fn what_stands_below_a_document_is_one() {
        assert_eq!(
            found("name,passport\nAnna,C01X00T47\nBen,C01X00T48\n"),
            [("passport", "C01X00T47"), ("passport", "C01X00T48")]
        );
        assert_eq!(
            found("passport | item\nC01X00T47 | X1234567\nC01X00T48 | X1234568\n"),
            [("passport", "C01X00T47"), ("passport", "C01X00T48")]
        );
    }

    #[test]
    fn without_name_or_form_it_is_no_document() {
        for text in [
            "C01X00T47",
            "model X1234567",
            "passport control 12345678",
            "driving school 12345678",
            "passport: A FEW 12345",
            "PASSPORT IS NO 12345",
            "passport A4 paper 00T47",
            "a passport and then row C01X 00T4 7",
            "part CA12345AA",
            "tax codes for article CA12345AA",
            "passport office, ticket 12345678",
            "MORGA697054SM9IJ",
        ] {
            assert_eq!(found(text), [("", ""); 0], "{text}");
        }
    }
}
