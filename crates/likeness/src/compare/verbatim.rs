//! Quotes and code: the same to the letter, but for the quotes' capitals and spaces.

use super::{Pair, Question};
use crate::difference::{Difference, Kind};
use crate::passages::Passage;
use crate::words::fold;

pub fn difference(pair: &Pair<'_>) -> Option<Difference> {
    let (cached, asked) = (&pair.cached, &pair.asked);
    let only_cached = cached
        .passages
        .iter()
        .find(|passage| !holds(asked, cached, passage));
    let only_asked = asked
        .passages
        .iter()
        .find(|passage| !holds(cached, asked, passage));
    let passage = only_cached.or(only_asked)?;
    let kind = if passage.code {
        Kind::Code
    } else {
        Kind::Quote
    };
    let span = |passage: Option<&Passage>| passage.map(|passage| passage.inner.clone());
    Some(pair.differ(kind, span(only_cached), span(only_asked)))
}

/// Whether `question` has the other's passage: marked as one, or, where it marks none, in its text.
fn holds(question: &Question<'_>, other: &Question<'_>, passage: &Passage) -> bool {
    let wanted = &other.text[passage.inner.clone()];
    if question.passages.is_empty() {
        // A marked number or a typed text without marks lacks its signs too.
        return letters(question.text).contains(&letters(wanted));
    }
    question.passages.iter().any(|passage| {
        let found = &question.text[passage.inner.clone()];
        if passage.code {
            tokens(found).eq(tokens(wanted))
        } else {
            letters(found) == letters(wanted)
        }
    })
}

/// Code without regard to the width of spaces.
fn tokens(code: &str) -> impl Iterator<Item = &str> {
    code.split_whitespace()
}

fn letters(text: &str) -> String {
    let mut out = String::from(" ");
    for word in fold(text)
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        out.push_str(word);
        out.push(' ');
    }
    out
}
