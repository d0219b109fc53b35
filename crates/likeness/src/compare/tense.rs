//! Will it, or did it? Questions mix their tenses freely, so that only what is yet to come against what is
//! over counts, and where little else differs, is against was.

use super::{Alignment, Pair, Question, alignment};
use crate::difference::{Difference, Kind};
use crate::language::Language;
use crate::read::{Is, Item};

/// Below this share of words in common a tense is part of another wording.
const SHARE_MIN: f64 = 0.4;
/// From this share of a common frame `is` and `was` are the only difference.
const FRAME_MIN: f64 = 0.7;

pub fn difference(pair: &Pair<'_>, alignment: &Alignment) -> Option<Difference> {
    let close = alignment.is_close() || alignment.share() >= SHARE_MIN;
    if !close {
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
        _ => {
            return inflected(pair, alignment).or_else(|| copula(pair, alignment));
        }
    };
    let (Some(first), Some(second)) = (future, past) else {
        return inflected(pair, alignment);
    };
    Some(pair.differ(
        Kind::Time,
        Some(first.span.clone()),
        Some(second.span.clone()),
    ))
}

pub struct Tense<'a> {
    pub future: Option<&'a Item>,
    pub past: Option<&'a Item>,
}

impl<'a> Tense<'a> {
    pub fn of(question: &'a Question<'_>) -> Self {
        let (future, past): (&[&str], &[&str]) = match question.language {
            Language::English => (
                &[
                    "will",
                    "shall",
                    "expected",
                    "forecast",
                    "upcoming",
                    "planned",
                    "scheduled",
                ],
                &[
                    "was", "were", "did", "had", "won", "got", "went", "came", "took", "gave",
                    "made", "said", "told", "bought", "sold", "sent", "paid", "lost", "found",
                    "kept", "chose", "began", "broke", "flew", "rose", "fell", "grew", "wrote",
                    "spent", "became", "happened",
                ],
            ),
            // `werden` makes the passive as well: see `copula`.
            Language::German => (
                &["kuenftig", "voraussichtlich", "erwartet", "geplant"],
                &[
                    "wurde", "wurden", "war", "waren", "hatte", "hatten", "gab", "kam", "kamen",
                    "ging", "gingen", "fand", "nahm", "sah", "stand", "blieb", "hielt", "liess",
                    "schrieb", "fuhr", "begann", "musste", "mussten", "konnte", "durfte", "wollte",
                ],
            ),
            Language::French => (
                &[
                    "sera", "seront", "aura", "auront", "prevu", "prevue", "prevus", "attendu",
                    "attendus",
                ],
                &[
                    "etait", "etaient", "fut", "avait", "avaient", "eu", "ete", "fallait",
                    "devait", "pouvait", "allait",
                ],
            ),
        };
        let find = |words: &[&str]| {
            question
                .items
                .iter()
                .find(|item| words.contains(&item.text.as_str()))
        };
        Self {
            future: find(future),
            past: find(past),
        }
    }
}

/// `happened`, where the other side has `happen`.
fn past_form<'a>(of: &'a Question<'_>, other: &Question<'_>) -> Option<&'a Item> {
    if of.language != Language::English {
        return None;
    }
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
fn inflected(pair: &Pair<'_>, alignment: &Alignment) -> Option<Difference> {
    if !alignment.is_close() {
        return None;
    }
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

/// One form of an auxiliary in the place of another: `does` and `did`, `ist` and `war`, `wird` and `wurde`.
fn copula(pair: &Pair<'_>, alignment: &Alignment) -> Option<Difference> {
    if alignment.frame().share() < FRAME_MIN || pair.cached.language != pair.asked.language {
        return None;
    }
    let (now, then): (&[&str], &[&str]) = match pair.cached.language {
        Language::English => (
            &["is", "are", "do", "does", "will", "can"],
            &["was", "were", "did", "had"],
        ),
        Language::German => (
            &["ist", "sind", "wird", "werden", "gibt"],
            &[
                "war", "waren", "wurde", "wurden", "hatte", "hatten", "hat", "haben", "gab",
            ],
        ),
        Language::French => (
            &["est", "sont", "sera", "seront", "va", "vont"],
            &["etait", "etaient", "fut", "furent", "a", "ont"],
        ),
    };
    let (cached, asked) = alignment.frame().gaps(pair);
    let find = |items: &[&'_ Item], words: &[&str]| {
        items
            .iter()
            .find(|item| words.contains(&item.text.as_str()))
            .map(|item| item.span.clone())
    };
    let lacks = |items: &[&'_ Item], words: &[&str]| find(items, words).is_none();
    let forth = (lacks(&cached, then) && lacks(&asked, now))
        .then(|| find(&cached, now).zip(find(&asked, then)))
        .flatten();
    let back = (lacks(&cached, now) && lacks(&asked, then))
        .then(|| find(&cached, then).zip(find(&asked, now)))
        .flatten();
    let (first, other) = forth.or(back)?;
    Some(pair.differ(Kind::Time, Some(first), Some(other)))
}

#[cfg(test)]
mod tests {
    use crate::compare::compare;
    use crate::difference::Kind;

    #[test]
    fn what_is_over_is_not_what_is_to_come() {
        let differ = |a: &str, b: &str| {
            let found = compare(a, b).map(|found| found.kind);
            assert_eq!(found, Some(Kind::Time), "{a} / {b}");
        };
        differ("Who won the tender?", "Who will win the tender?");
        differ("What does the licence cost?", "What did the licence cost?");
        differ(
            "Wann wird der Umzug bezahlt?",
            "Wann wurde der Umzug bezahlt?",
        );
        differ(
            "Le service est-il fermé le lundi ?",
            "Le service était-il fermé le lundi ?",
        );
    }
}
