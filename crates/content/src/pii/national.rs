//! National ids: each by its length, its inner dates and its check digits. Weak ones need a word.

use super::context::{Context, Topic};
use super::digits::Digits;
use super::scan::Match;
use super::text::{Joined, Word, ends_at};
use super::{Confidence, Kind};

mod germany;

mod france;

mod iberia;

mod italy;

mod east;

mod low_countries;

mod north;

mod english;

/// What every country's rules look at.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    word: &'a Word<'a>,
    digits: &'a Digits,
    context: &'a Context,
}

pub(super) fn find(word: &Word<'_>, digits: &Digits, context: &Context) -> Option<Match> {
    if word.joined == Joined::ToMore {
        return None;
    }
    let candidate = Candidate {
        word,
        digits,
        context,
    };
    let rules = if word.starts_with_digit() {
        OF_DIGITS
    } else {
        OF_LETTERS
    };
    rules
        .iter()
        .filter(|(counts, _)| *counts == 0 || digits.has_group_end(*counts))
        .filter_map(|(_, rule)| rule(&candidate))
        .max_by_key(|found| found.confidence)
}

type Rule = fn(&Candidate<'_>) -> Option<Match>;

/// How many digits an id has, as bits; 0 if letters are among them.
const OF_DIGITS: &[(u32, Rule)] = &[
    (1 << 9, english::ssn),
    (1 << 9, low_countries::bsn),
    (1 << 9, iberia::nif),
    (1 << 10, english::nhs),
    (1 << 10, east::birth_number),
    (1 << 10, north::austria),
    (1 << 10 | 1 << 12, north::personnummer),
    (1 << 11, germany::tax_id),
    (1 << 11, east::pesel),
    (1 << 11, low_countries::national_number),
    (1 << 13, france::tax_id),
    (1 << 13, east::cnp),
    (0, france::nir),
    (0, germany::social_security),
    (0, iberia::dni),
];

const OF_LETTERS: &[(u32, Rule)] = &[
    (0, italy::fiscal_code),
    (0, iberia::nie),
    (0, english::nino),
];

impl Candidate<'_> {
    /// A match that ends at `end`: `form` alone, or `named` where the words before speak of ids.
    fn found(&self, kind: Kind, end: usize, form: u8, named: u8) -> Option<Match> {
        if !ends_at(self.word.bytes(), end) {
            return None;
        }
        let at = self.word.start;
        let topic = match kind {
            Kind::UkNhsNumber => Topic::Health,
            Kind::UsSsn => Topic::SocialSecurity,
            _ => Topic::Identity,
        };
        let (context, bytes) = (self.context, self.word.bytes());
        let is_reference =
            self.word.joined == Joined::ToReference || context.is_reference(bytes, at, topic);
        let confidence = if is_reference {
            Confidence(form).lowered(45)
        } else if context.names(kind, at) {
            Confidence(named).raised(2)
        } else if context.is_near(topic, at) {
            Confidence(named)
        } else if context.is_phone(at) {
            Confidence(form).lowered(35)
        } else {
            Confidence(form)
        };
        Some(Match {
            kind,
            end,
            confidence,
        })
    }
}

/// Year of two digits, month and day in front of many ids.
fn is_date(month: u64, day: u64) -> bool {
    super::date::is_day(day, month)
}
