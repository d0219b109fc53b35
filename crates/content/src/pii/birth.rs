//! Dates of birth: a date that is called one.

use super::context::{Context, Topic};
use super::date;
use super::scan::Match;
use super::text::{Joined, Word, ends_at};
use super::{Confidence, Kind};

/// `word` is the date's first word: a number, or a month.
pub(super) fn find(word: &Word<'_>, context: &Context) -> Option<Match> {
    if word.joined == Joined::ToMore || !is_called_so(word, context) {
        return None;
    }
    let bytes = word.bytes();
    let end = if word.starts_with_digit() {
        date::end_of(bytes, word.start)?
    } else {
        date::end_after_month(bytes, word.start, word.end).or_else(|| month(word, context))?
    };
    let is_emphasis = bytes.get(end) == Some(&b'*');
    let is_whole = ends_at(bytes, end) || is_time_at(bytes, end);
    (is_whole && !is_emphasis).then_some(Match {
        kind: Kind::DateOfBirth,
        end,
        confidence: Confidence(90),
    })
}

fn is_called_so(word: &Word<'_>, context: &Context) -> bool {
    context.is_near(Topic::Birth, word.start)
        || word.starts_with_digit()
            && (context.is_below(Topic::Birth, word.bytes(), word.start) || follows_star(word))
}

/// Of what a month and a year may be of, only the birth itself is as near.
fn month(word: &Word<'_>, context: &Context) -> Option<usize> {
    context
        .is_close(Topic::Birth, word.start)
        .then(|| date::end_of_month(word.bytes(), word.start, word.end))?
}

/// `Max Mustermann (* 12. März 1985)`. A star elsewhere is rather a list's, or begins an emphasis.
fn follows_star(word: &Word<'_>) -> bool {
    let before = &word.bytes()[..word.start];
    let Some(before) = before
        .strip_suffix(b" ")
        .unwrap_or(before)
        .strip_suffix(b"*")
    else {
        return false;
    };
    before.ends_with(b"(") || before.ends_with(b"( ")
}

/// `1985-03-12T00:00:00Z`.
fn is_time_at(bytes: &[u8], end: usize) -> bool {
    bytes.get(end) == Some(&b'T') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::super::{Detector, Kind};

    fn births(text: &str) -> Vec<&str> {
        let found = Detector::default().find(text);
        let births = found
            .into_iter()
            .filter(|finding| finding.kind == Kind::DateOfBirth);
        births.map(|finding| &text[finding.range]).collect()
    }

    #[test]
    fn a_date_is_one_of_birth_where_it_is_called_so() {
        for (text, date) in [
            ("born on 12 March 1985 in Leeds", "12 March 1985"),
            ("DOB: 03/28/1985", "03/28/1985"),
            ("geboren am 12.03.1985", "12.03.1985"),
            ("née le 12 mars 1985", "12 mars 1985"),
            ("nació el 12 de marzo de 1985", "12 de marzo de 1985"),
            ("nato il 12/03/1985", "12/03/1985"),
            ("Her birthday is March 12, 1985.", "March 12, 1985"),
            ("born on March 12th, 1985", "March 12th, 1985"),
            ("D.O.B. 12/03/1985", "12/03/1985"),
            ("D.O.B: 12/03/1985", "12/03/1985"),
            ("Max Mustermann (* 12. März 1985)", "12. März 1985"),
            ("Max Mustermann (*12.03.1985)", "12.03.1985"),
            ("geb. 12. 03. 1985", "12. 03. 1985"),
            ("GebDat: 12.03.1985", "12.03.1985"),
            ("geboren am 12. Maerz 1985", "12. Maerz 1985"),
            ("nací el 12 de marzo de 1985", "12 de marzo de 1985"),
            ("F. Nac.: 12-03-1985", "12-03-1985"),
            ("nato il 1° marzo 1985", "1° marzo 1985"),
            ("\"dateOfBirth\": \"1985-03-12T00:00:00Z\"", "1985-03-12"),
            ("\"birthdate\": \"1985-03-12 00:00:00\"", "1985-03-12"),
            ("\"birthDate\":\"19850312\"", "19850312"),
            ("I was born in March 1985", "March 1985"),
            ("née en mars 1985", "mars 1985"),
        ] {
            assert_eq!(births(text), [date], "{text}");
        }
    }

    #[test]
    fn what_stands_below_a_date_of_birth_is_one() {
        for (text, dates) in [
            (
                "| Name | DOB |\n|---|---|\n| Anna | 12.03.1985 |\n| Ben | 13.04.1990 |\n| Carl | 14.05.1991 |",
                &["12.03.1985", "13.04.1990", "14.05.1991"][..],
            ),
            (
                "dob;hired\r\n12.03.1985;01.02.2010\r\n13.04.1990;02.02.2010\r\n",
                &["12.03.1985", "13.04.1990"],
            ),
            (
                "id;dob\n1;\"1985-03-12\"\n2;\"1990-04-13\"",
                &["1985-03-12", "1990-04-13"],
            ),
            ("DOB: 12.03.1985\nHired: 01.02.2010", &["12.03.1985"]),
            (
                "born in Leeds, 12.03.1985\nsigned in York, 01.02.2010",
                &["12.03.1985"],
            ),
            ("a,dob,b\nx,12.03.1985,y\n\nx,13.04.1990,y", &["12.03.1985"]),
        ] {
            assert_eq!(births(text), dates, "{text}");
        }
    }

    #[test]
    fn other_dates_are_none() {
        for text in [
            "due on 12.03.2025",
            "on 12 March 2025 we met",
            "born in 1985",
            "born 12.03.1985x",
            "born 1985-03-12Tx",
            "Max (*12.03.1985*) said",
            "* 12.03.1985 a meeting",
            "2 * 12.03.1985",
            "Costs, * 12.03.2015",
            "born to a family that left in March 1985",
            "birthday party on 12 March 2025",
            "birth rate 12/03/2015",
            "birth-rate of 12/03/2015",
            "Z.O.B. 12/03/1985",
        ] {
            assert_eq!(births(text), [""; 0], "{text}");
        }
    }
}
