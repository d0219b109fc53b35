//! Will it, or did it? Looked at only where the rest is much the same: questions mix their tenses freely.

use super::{Alignment, Pair, Question, alignment};
use crate::difference::{Difference, Kind};
use crate::read::{Is, Item};

pub fn difference(pair: &Pair<'_>, alignment: &Alignment) -> Option<Difference> {
    if !alignment.is_close() {
        return None;
    }
    let (cached, asked) = (Tense::of(&pair.cached), Tense::of(&pair.asked));
    let (future, past) = match (cached.future, asked.future) {
        (Some(_), None) => (
            cached.future,
            asked.past.or_else(|| past_form(&pair.asked, &pair.cached)),
        ),
        (None, Some(_)) => (
            cached.past.or_else(|| past_form(&pair.cached, &pair.asked)),
            asked.future,
        ),
        _ => return inflected(pair),
    };
    let (first, second) = (future?, past?);
    Some(pair.differ(
        Kind::Time,
        Some(first.span.clone()),
        Some(second.span.clone()),
    ))
}

struct Tense<'a> {
    future: Option<&'a Item>,
    past: Option<&'a Item>,
}

impl<'a> Tense<'a> {
    fn of(question: &'a Question<'_>) -> Self {
        let find = |words: &[&str]| {
            question
                .items
                .iter()
                .find(|item| words.contains(&item.text.as_str()))
        };
        // English only: `was` is also German for `what`.
        let english = find(&["the", "who", "did", "what", "when"]).is_some();
        Self {
            future: find(&["will", "shall"]).filter(|_| english),
            past: find(&["was", "were", "did", "had"]).filter(|_| english),
        }
    }
}

/// `happened`, where the other side has `happen`.
fn past_form<'a>(of: &'a Question<'_>, other: &Question<'_>) -> Option<&'a Item> {
    let bare = |item: &Item| {
        other
            .items
            .iter()
            .any(|o| o.is == item.is && !o.text.ends_with("ed"))
    };
    of.items
        .iter()
        .find(|item| matches!(item.is, Is::Content(_)) && item.text.ends_with("ed") && bare(item))
}

/// French `parlera` and `parlé`.
fn inflected(pair: &Pair<'_>) -> Option<Difference> {
    let future = |item: &Item| {
        let text = &item.text;
        text.len() > 5
            && ["ra", "ront", "rai", "rons", "rez"]
                .iter()
                .any(|ending| text.ends_with(ending))
    };
    for item in pair
        .cached
        .items
        .iter()
        .filter(|item| matches!(item.is, Is::Content(_)))
    {
        let form = pair.asked.items.iter().find(|other| {
            matches!(other.is, Is::Content(_))
                && alignment::begins_alike(&item.text, &other.text)
                && future(item) != future(other)
        });
        let exact = pair.asked.items.iter().any(|other| other.text == item.text);
        if let Some(form) = form.filter(|_| !exact) {
            return Some(pair.differ(Kind::Time, Some(item.span.clone()), Some(form.span.clone())));
        }
    }
    None
}
