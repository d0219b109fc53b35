//! Quotes and code: the same to the letter, but for the quotes' capitals and spaces.

use super::roles::compares;
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
    let Some(passage) = only_cached.or(only_asked) else {
        return turned(pair);
    };
    let kind = if passage.code {
        Kind::Code
    } else {
        Kind::Quote
    };
    let span = |passage: Option<&Passage>| passage.map(|passage| passage.inner.clone());
    Some(pair.differ(kind, span(only_cached), span(only_asked)))
}

/// Passages that changed places where nothing else did: `Rename "A" to "B"`, `Rename "B" to "A"`. Not what is listed, or
/// told apart from each other.
fn turned(pair: &Pair<'_>) -> Option<Difference> {
    let (cached, asked) = (&pair.cached, &pair.asked);
    if cached.passages.len() != asked.passages.len()
        || around(cached) != around(asked)
        || between(cached).any(|gap| LISTING.contains(&gap.trim()))
        || compares(&cached.items)
    {
        return None;
    }
    let inner =
        |question: &Question<'_>, passage: &Passage| letters(&question.text[passage.inner.clone()]);
    let both = cached.passages.iter().zip(&asked.passages);
    let (one, other) = both
        .filter(|(one, other)| inner(cached, one) != inner(asked, other))
        .map(|(one, other)| (one.inner.clone(), other.inner.clone()))
        .next()?;
    Some(pair.differ(Kind::Direction, Some(one), Some(other)))
}

/// Words between passages that make a list of them.
pub const LISTING: [&str; 9] = ["", "and", "or", "und", "oder", "et", "ou", "vs", "versus"];

/// What stands before, between, and behind the passages.
fn around(question: &Question<'_>) -> Vec<String> {
    let mut from = 0;
    let mut gaps = Vec::with_capacity(question.passages.len() + 1);
    for passage in &question.passages {
        gaps.push(letters(&question.text[from..passage.span.start]));
        from = passage.span.end;
    }
    gaps.push(letters(&question.text[from..]));
    gaps
}

fn between(question: &Question<'_>) -> impl Iterator<Item = String> {
    let inner = question.passages.len().saturating_sub(1);
    around(question).into_iter().skip(1).take(inner)
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

#[cfg(test)]
mod tests {
    use crate::compare::compare;
    use crate::difference::Kind;

    #[test]
    fn quotes_that_changed_places_ask_the_reverse() {
        let differ = |a: &str, b: &str| {
            let found = compare(a, b).map(|found| found.kind);
            assert_eq!(found, Some(Kind::Direction), "{a} / {b}");
        };
        differ(
            "Is the tab \"North\" left of the tab \"South\"?",
            "Is the tab \"South\" left of the tab \"North\"?",
        );
        differ(
            "Kommt „Regen“ im Alphabet vor „Schnee“?",
            "Kommt „Schnee“ im Alphabet vor „Regen“?",
        );
    }

    #[test]
    fn quotes_in_a_list_have_no_order() {
        let same = |a: &str, b: &str| assert_eq!(compare(a, b), None, "{a} / {b}");
        same(
            "Who sings \"North\" and \"South\"?",
            "Who sings \"South\" and \"North\"?",
        );
        same(
            "Worin unterscheidet sich „Regen“ von „Schnee“?",
            "Worin unterscheidet sich „Schnee“ von „Regen“?",
        );
    }
}
