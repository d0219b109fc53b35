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
    let (rules, mut left) = if word.starts_with_digit() {
        (OF_DIGITS, rules_for(digits.group_ends()))
    } else {
        (OF_LETTERS, (1 << OF_LETTERS.len()) - 1)
    };
    let mut surest: Option<Match> = None;
    while left != 0 {
        let (_, rule) = rules[left.trailing_zeros() as usize];
        left &= left - 1;
        // Of equals the last.
        if let Some(found) = rule(&candidate)
            && surest.is_none_or(|surest| surest.confidence <= found.confidence)
        {
            surest = Some(found);
        }
    }
    surest
}

/// Bit *n*: the *n*th of `OF_DIGITS` may find something where groups end after these counts of digits.
/// Most numbers of a text are looked at by three of them.
fn rules_for(group_ends: u32) -> u32 {
    let mut ends = group_ends & COUNTS;
    let mut rules = RULES_BY_COUNT[0];
    while ends != 0 {
        rules |= RULES_BY_COUNT[ends.trailing_zeros() as usize];
        ends &= ends - 1;
    }
    rules
}

/// No id of digits alone has more.
const COUNT_MAX: usize = 13;
const COUNTS: u32 = (1 << (COUNT_MAX + 1)) - 2;

/// By count of digits, bits of rules; at 0, those that look whatever the counts are.
static RULES_BY_COUNT: [u32; COUNT_MAX + 1] = {
    let mut by_count = [0; COUNT_MAX + 1];
    let mut rule = 0;
    while rule < OF_DIGITS.len() {
        let counts = OF_DIGITS[rule].0;
        let mut count = 1;
        if counts == 0 {
            by_count[0] |= 1 << rule;
        }
        while count <= COUNT_MAX {
            if counts & 1 << count != 0 {
                by_count[count] |= 1 << rule;
            }
            count += 1;
        }
        rule += 1;
    }
    by_count
};

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
