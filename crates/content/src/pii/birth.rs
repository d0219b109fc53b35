//! Dates of birth: a date that is called one.

use super::context::{Context, Topic};
use super::date;
use super::digits::Digits;
use super::scan::Match;
use super::text::{Joined, Word, ends_at};
use super::{Confidence, Kind};

/// `word` is the date's first word: a number, or an English month.
pub(super) fn find(word: &Word<'_>, digits: &Digits, context: &Context) -> Option<Match> {
    if word.joined == Joined::ToMore || !context.is_near(Topic::Birth, word.start) {
        return None;
    }
    let end = if word.starts_with_digit() {
        date::end_of(word.bytes(), word.start, digits)?
    } else {
        date::end_after_month(word.bytes(), word.start, word.end)?
    };
    ends_at(word.bytes(), end).then_some(Match {
        kind: Kind::DateOfBirth,
        end,
        confidence: Confidence(90),
    })
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
        ] {
            assert_eq!(births(text), [date], "{text}");
        }
    }

    #[test]
    fn other_dates_are_none() {
        for text in [
            "due on 12.03.2025",
            "on 12 March 2025 we met",
            "born in 1985",
        ] {
            assert_eq!(births(text), [""; 0], "{text}");
        }
    }
}
