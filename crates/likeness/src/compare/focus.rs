//! What a question asks for: a person, a time, a place, a reason, an amount. Two that ask for different
//! things about the same have different answers, however they are put.

use std::ops::Range;

use super::{Alignment, Pair, Question};
use crate::difference::{Difference, Kind};
use crate::language::Language;
use crate::read::{Is, Item};

/// Below this share of words in common a question word is part of another wording.
const SHARE_MIN: f64 = 0.3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Focus {
    Person,
    Time,
    Place,
    Reason,
    Amount,
    Duration,
    Distance,
    Frequency,
    Manner,
    /// `Which of them`.
    Choice,
    /// `What`, and `which` with a word that says no more: nothing of what is asked for.
    Open,
}

pub fn difference(pair: &Pair<'_>, alignment: &Alignment) -> Option<Difference> {
    if alignment.share() < SHARE_MIN && !alignment.is_framed() {
        return None;
    }
    let (cached, asked) = (focus(&pair.cached)?, focus(&pair.asked)?);
    differ(cached.0, asked.0).then(|| pair.differ(Kind::Question, Some(cached.1), Some(asked.1)))
}

fn differ(a: Focus, b: Focus) -> bool {
    use Focus::{Amount, Choice, Duration, Frequency, Manner, Open, Place, Reason, Time};
    match (a, b) {
        // `How do I`, `where do I`: the way to a thing is told by its place; and `how come` by its reason.
        (Open, _) | (_, Open) => false,
        // `Which office` may be where, and `which colleague` who.
        (Choice, other) | (other, Choice) => matches!(other, Amount | Reason | Frequency),
        (Manner, Place | Reason) | (Place | Reason, Manner) => false,
        // `How long until` and `when`.
        (Duration, Time) | (Time, Duration) => false,
        (a, b) => a != b,
    }
}

/// What the last sentence that asks by a word asks for, and that word.
fn focus(question: &Question<'_>) -> Option<(Focus, Range<usize>)> {
    let items = &question.items;
    let language = question.language;
    let mut found = None;
    let mut sentence = None;
    let mut place = 0;
    for (at, item) in items.iter().enumerate() {
        place = if sentence == Some(item.sentence) {
            place + 1
        } else {
            0
        };
        let first = sentence != Some(item.sentence) || place <= OPENING_MAX;
        if sentence != Some(item.sentence) {
            sentence = Some(item.sentence);
        }
        if !first {
            continue;
        }
        let Some(focus) = asked_by(items, at, language) else {
            continue;
        };
        // One word a sentence: what stands behind it is a clause.
        if found
            .as_ref()
            .is_none_or(|(_, _, of): &(Focus, Range<usize>, u16)| *of != item.sentence)
        {
            found = Some((focus, item.span.clone(), item.sentence));
        }
    }
    found.map(|(focus, span, _)| (focus, span))
}

/// A question word stands within so many words of a sentence's beginning.
const OPENING_MAX: usize = 3;

fn asked_by(items: &[Item], at: usize, language: Language) -> Option<Focus> {
    let text = |ahead: usize| items.get(at + ahead).map_or("", |item| item.text.as_str());
    Some(match (language, text(0)) {
        (_, "who" | "whom" | "whose" | "wer" | "wen" | "wem" | "wessen") => Focus::Person,
        (Language::French, "qui") if at == 0 || items[at - 1].text != "ce" => Focus::Person,
        (_, "when" | "wann" | "quand") => Focus::Time,
        (_, "where" | "wo" | "wohin" | "woher") => Focus::Place,
        // `D'où vient que` asks for a reason.
        (Language::French, "ou") if at > 0 && items[at - 1].text == "d" => Focus::Open,
        (Language::French, "ou")
            if at == 0
                || items[at - 1].sentence != items[at].sentence
                || items[at - 1].text == "par" =>
        {
            Focus::Place
        }
        (_, "why" | "warum" | "wieso" | "weshalb" | "pourquoi") => Focus::Reason,
        (
            _,
            "what" | "which" | "welche" | "welcher" | "welches" | "welchen" | "welchem" | "quel"
            | "quelle" | "quels" | "quelles",
        ) => {
            let chooses = !matches!(text(0), "what" | "quel" | "quelle")
                && items
                    .get(at + 1)
                    .is_some_and(|next| matches!(next.is, Is::Content(_)));
            noun(text(1))
                .or_else(|| noun(text(2)).filter(|_| text(1) != "is" && text(1).len() < 5))
                .unwrap_or(if chooses { Focus::Choice } else { Focus::Open })
        }
        (Language::English, "how") => match text(1) {
            "many" | "much" => Focus::Amount,
            "long" | "soon" => Focus::Duration,
            "far" => Focus::Distance,
            "often" | "frequently" => Focus::Frequency,
            "come" => Focus::Reason,
            "do" | "does" | "did" | "can" | "could" | "is" | "are" | "was" | "will" | "should"
            | "would" | "to" => Focus::Manner,
            _ => Focus::Open,
        },
        (Language::German, "wie") => match text(1) {
            "viel" if text(2) == "uhr" => Focus::Time,
            "viel" | "viele" | "vielen" => Focus::Amount,
            "lange" => Focus::Duration,
            "weit" => Focus::Distance,
            "oft" | "haeufig" => Focus::Frequency,
            "kommt" | "hoch" | "gross" | "alt" | "heisst" | "lautet" => Focus::Open,
            _ => Focus::Manner,
        },
        (Language::French, "combien") => match (text(1), text(2)) {
            ("de" | "d", "temps" | "jours" | "mois" | "annees" | "heures" | "semaines") => {
                Focus::Duration
            }
            ("de" | "d", "fois") => Focus::Frequency,
            _ => Focus::Amount,
        },
        (Language::French, "comment") => Focus::Manner,
        (_, "number" | "anzahl" | "zahl" | "nombre") if at + 1 < items.len() => Focus::Amount,
        _ => return None,
    })
}

/// `Which day`, `welcher Ort`, `quelle raison`.
fn noun(word: &str) -> Option<Focus> {
    Some(match word {
        "time" | "day" | "date" | "month" | "year" | "week" | "tag" | "datum" | "uhrzeit"
        | "zeitpunkt" | "monat" | "heure" | "jour" | "mois" | "annee" | "moment" => Focus::Time,
        "place" | "location" | "address" | "counter" | "ort" | "stelle" | "adresse"
        | "schalter" | "endroit" | "lieu" | "guichet" => Focus::Place,
        "reason" | "reasons" | "grund" | "gruende" | "gruenden" | "raison" | "raisons"
        | "motif" => Focus::Reason,
        "person" | "personne" => Focus::Person,
        "number" | "anzahl" | "zahl" | "nombre" => Focus::Amount,
        "amount" | "sum" | "price" | "cost" | "costs" | "fee" | "rate" | "betrag" | "summe"
        | "preis" | "kosten" | "hoehe" | "gebuehr" | "montant" | "somme" | "prix" | "cout"
        | "tarif" => Focus::Open,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::compare::compare;
    use crate::difference::Kind;

    #[test]
    fn a_person_a_time_a_place_a_reason_and_an_amount_are_different_answers() {
        let differ = |a: &str, b: &str| {
            let found = compare(a, b).map(|found| found.kind);
            assert_eq!(found, Some(Kind::Question), "{a} / {b}");
        };
        differ("Who runs the fire drill?", "When does the fire drill run?");
        differ(
            "At which counter do I collect my badge?",
            "At what time do I collect my badge?",
        );
        differ(
            "Wie viele Räume sind frei?",
            "Warum sind so viele Räume frei?",
        );
        differ(
            "Où se tient la réunion du comité ?",
            "Quand se tient la réunion du comité ?",
        );
    }
}
