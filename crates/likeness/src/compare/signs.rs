//! Code without marks around it: `diff -q` and `diff -u`, `s/tea/coffee/` and `s/coffee/tea/`. As words these have only
//! single letters and signs that differ, or nothing.

use std::ops::Range;

use super::roles::compares;
use super::verbatim::LISTING;
use super::{Pair, Question};
use crate::difference::{Difference, Kind};
use crate::words::fold;

/// Both sides have code that the other lacks, or all letters are the same and the signs are not; or files changed
/// places in the same words.
pub fn difference(pair: &Pair<'_>) -> Option<Difference> {
    exchanged(pair).or_else(|| turned(pair))
}

/// `What is in a.txt and not in b.txt?`, `What is in b.txt and not in a.txt?`: not what is listed, or told apart from
/// each other.
fn turned(pair: &Pair<'_>) -> Option<Difference> {
    let (cached, asked) = (parts(&pair.cached, is_file), parts(&pair.asked, is_file));
    let (one, other) = cached
        .iter()
        .zip(&asked)
        .find(|(one, other)| one.text != other.text)?;
    let changed_places = cached.len() == asked.len()
        && only(&cached, &asked).is_none()
        && only(&asked, &cached).is_none();
    let listed = cached.windows(2).any(|two| {
        let between = &pair.cached.text[two[0].span.end..two[1].span.start];
        LISTING.contains(&between.trim().to_lowercase().as_str())
    });
    (changed_places
        && !listed
        && !compares(&pair.cached.items)
        && around(pair.cached.text, &cached) == around(pair.asked.text, &asked))
    .then(|| {
        pair.differ(
            Kind::Direction,
            Some(one.span.clone()),
            Some(other.span.clone()),
        )
    })
}

/// The words without the parts.
fn around(text: &str, parts: &[Code]) -> Vec<String> {
    let mut from = 0;
    let mut rest = String::new();
    for part in parts {
        rest.push_str(&text[from..part.span.start]);
        from = part.span.end;
    }
    rest.push_str(&text[from..]);
    letters(&rest)
}

/// `a.txt`: letters on both sides of a point, a short ending behind it.
fn is_file(part: &str) -> bool {
    part.rsplit_once('.').is_some_and(|(name, ending)| {
        let short = (1..=ENDING_MAX).contains(&ending.len());
        short
            && !name.is_empty()
            && ending.chars().all(|c| c.is_ascii_alphanumeric())
            && ending.starts_with(char::is_alphabetic)
    })
}

const ENDING_MAX: usize = 5;

fn exchanged(pair: &Pair<'_>) -> Option<Difference> {
    let (cached, asked) = (codes(&pair.cached), codes(&pair.asked));
    let (only_cached, only_asked) = (only(&cached, &asked), only(&asked, &cached));
    let exchanged = only_cached.is_some() && only_asked.is_some();
    let signs_alone = || {
        (only_cached.is_some() || only_asked.is_some())
            && letters(pair.cached.text) == letters(pair.asked.text)
    };
    (exchanged || signs_alone()).then(|| pair.differ(Kind::Code, only_cached, only_asked))
}

/// Whether one side has code that the other lacks.
pub fn one_sided(pair: &Pair<'_>) -> bool {
    let (cached, asked) = (codes(&pair.cached), codes(&pair.asked));
    only(&cached, &asked).is_some() || only(&asked, &cached).is_some()
}

struct Code {
    text: String,
    span: Range<usize>,
}

fn only(of: &[Code], others: &[Code]) -> Option<Range<usize>> {
    let lacking = |code: &&Code| !others.iter().any(|other| other.text == code.text);
    of.iter().find(lacking).map(|code| code.span.clone())
}

/// What is written like code outside of passages, which are compared to the letter anyway.
fn codes(question: &Question<'_>) -> Vec<Code> {
    parts(question, is_code)
}

fn parts(question: &Question<'_>, wanted: fn(&str) -> bool) -> Vec<Code> {
    let mut found = Vec::new();
    let mut at = 0;
    for part in question.text.split(char::is_whitespace) {
        let span = at..at + part.len();
        at = span.end + part_end(question.text, span.end);
        let inner = without_emphasis(part.trim_matches(around_words));
        let within = |passage: &crate::passages::Passage| {
            passage.span.start < span.end && span.start < passage.span.end
        };
        if wanted(inner) && !question.passages.iter().any(within) {
            found.push(Code {
                text: without_protocol(&fold(inner)).to_owned(),
                span,
            });
        }
    }
    found
}

/// `*this*` is a word.
fn without_emphasis(part: &str) -> &str {
    let inner = part.trim_start_matches('*').trim_end_matches('*');
    let marked = part.starts_with('*') && part.ends_with('*');
    let is_word = !inner.is_empty() && inner.chars().all(char::is_alphabetic);
    if marked && is_word { inner } else { part }
}

/// How long the space is that ended a part.
fn part_end(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(0, char::len_utf8)
}

/// Signs of the sentence, not of what stands in it.
fn around_words(sign: char) -> bool {
    matches!(
        sign,
        '.' | ','
            | ';'
            | ':'
            | '!'
            | '?'
            | '…'
            | '\''
            | '’'
            | '‘'
            | '"'
            | '“'
            | '”'
            | '„'
            | '«'
            | '»'
            | '('
            | ')'
    )
}

fn is_code(part: &str) -> bool {
    let has_letter = part.chars().any(char::is_alphabetic);
    let mut signs = part.chars();
    let option = matches!(signs.next(), Some('-'))
        && part
            .trim_start_matches('-')
            .starts_with(char::is_alphanumeric);
    // `03/06/2025` is a date, `TCP/IP` and `km/h` are words.
    let slashed = has_letter && part.matches('/').count() >= 2;
    let signed = has_letter
        && part.chars().any(|sign| {
            matches!(
                sign,
                '=' | '<' | '>' | '$' | '\\' | '|' | '*' | '^' | '~' | '{' | '}' | '[' | ']'
            )
        });
    option || slashed || signed
}

fn without_protocol(part: &str) -> &str {
    let part = part.split_once("://").map_or(part, |(_, rest)| rest);
    part.strip_prefix("www.")
        .unwrap_or(part)
        .trim_end_matches('/')
}

fn letters(text: &str) -> Vec<String> {
    fold(text)
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::compare;

    #[test]
    fn another_option_or_sign_is_another_command() {
        let differ = |a: &str, b: &str| {
            let found = compare(a, b).map(|found| found.kind);
            assert_eq!(found, Some(Kind::Code), "{a} / {b}");
        };
        differ("What does ls -t list first?", "What does ls -r list first?");
        differ(
            "Was ersetzt s/Hund/Katze/g in der Datei?",
            "Was ersetzt s/Hund/Katze/ in der Datei?",
        );
        differ(
            "Que fait tr/ab/cd/ dans ce script ?",
            "Que fait tr/cd/ab/ dans ce script ?",
        );
        differ(
            "What does top: -4em do in a style sheet?",
            "What does top: 4em do in a style sheet?",
        );
    }

    #[test]
    fn files_that_changed_places_ask_the_reverse() {
        let found = |a: &str, b: &str| difference(&Pair::read(a, b)).map(|found| found.kind);
        let turned = found(
            "Copy every row of north.csv that south.csv lacks.",
            "Copy every row of south.csv that north.csv lacks.",
        );
        assert_eq!(turned, Some(Kind::Direction));
        let listed = found(
            "Open north.csv and south.csv side by side.",
            "Open south.csv and north.csv side by side.",
        );
        assert_eq!(listed, None);
    }

    #[test]
    fn the_same_code_in_other_words_is_the_same() {
        let same = |a: &str, b: &str| assert_eq!(compare(a, b), None, "{a} / {b}");
        same("What does ls -t list first?", "what does ls -t list first");
        same("Is the *new* office closed?", "Is the new office closed?");
        same(
            "Where do I find https://intranet.example/a/b?",
            "Where do I find intranet.example/a/b/ ?",
        );
        same(
            "Is the office closed on 24/12/2026?",
            "Is the office closed on 24/12/2026",
        );
    }
}
