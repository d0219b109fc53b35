//! What a question asks for: a person, a time, a place, a reason, an amount. Two that ask for different
//! things about the same have different answers, however they are put.

use std::ops::Range;

use super::{Alignment, Pair, Question};
use crate::difference::{Difference, Kind};
use crate::language::Language;
use crate::lexicon;
use crate::read::{Is, Item};

/// Below this share of words in common a question word is part of another wording.
const SHARE_MIN: f64 = 0.3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Focus {
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
    let (cached, asked) = match (focus(&pair.cached), focus(&pair.asked)) {
        (Some(cached), Some(asked)) => (cached, asked),
        (Some(cached), None) => {
            let whether = whether(&pair.asked, cached.0)?;
            return alignment
                .is_close()
                .then(|| pair.differ(Kind::Question, Some(cached.1), Some(whether)));
        }
        (None, Some(asked)) => {
            let whether = whether(&pair.cached, asked.0)?;
            return alignment
                .is_close()
                .then(|| pair.differ(Kind::Question, Some(whether), Some(asked.1)));
        }
        (None, None) => return None,
    };
    differ(cached.0, asked.0).then(|| pair.differ(Kind::Question, Some(cached.1), Some(asked.1)))
}

/// The verb of a question that is answered by yes or no, where the other side asks for more than that. A
/// question about a way is answered by `yes` too: `Can I`, `How can I`.
fn whether(question: &Question<'_>, other: Focus) -> Option<Range<usize>> {
    let items = &question.items;
    if matches!(other, Focus::Open | Focus::Choice)
        || items.iter().any(|item| lexicon::asks_by_word(&item.text))
    {
        return None;
    }
    let last = items.last()?.sentence;
    let mut of_last = items.iter().filter(|item| item.sentence == last);
    let first = of_last.next()?;
    // French asks `La banque est-elle`: by the verb before its pronoun.
    let inverted = || {
        let two = items.windows(2).find(|two| {
            let pronoun = matches!(
                two[1].text.as_str(),
                "il" | "elle" | "ils" | "elles" | "on" | "je" | "nous" | "vous" | "ce" | "t"
            );
            pronoun
                && two[0].sentence == last
                && matches!(
                    two[0].text.as_str(),
                    "est"
                        | "sont"
                        | "peut"
                        | "puis"
                        | "doit"
                        | "dois"
                        | "faut"
                        | "a"
                        | "ont"
                        | "ai"
                        | "avez"
                        | "pouvons"
                        | "devons"
                        | "sera"
                        | "seront"
                        | "peuvent"
                        | "doivent"
                )
        });
        two.map(|two| &two[0])
    };
    let french = question.language == Language::French;
    let verb = if french {
        inverted().unwrap_or(first)
    } else {
        first
    };
    let needs = matches!(
        verb.text.as_str(),
        "do" | "does"
            | "did"
            | "may"
            | "darf"
            | "duerfen"
            | "must"
            | "need"
            | "should"
            | "brauche"
            | "brauchen"
            | "muss"
            | "muessen"
            | "soll"
            | "sollte"
            | "dois"
            | "doit"
            | "devons"
            | "faut"
            | "ai"
    );
    let ok = |item: &Item| matches!(item.text.as_str(), "ok" | "okay" | "possible" | "moeglich");
    let can = items.iter().any(ok)
        || matches!(
            verb.text.as_str(),
            "can"
                | "could"
                | "is"
                | "are"
                | "was"
                | "were"
                | "will"
                | "has"
                | "have"
                | "kann"
                | "koennen"
                | "ist"
                | "sind"
                | "war"
                | "wird"
                | "werden"
                | "hat"
                | "haben"
                | "gibt"
                | "gilt"
                | "puis"
                | "peut"
                | "pouvons"
                | "est"
                | "sont"
        );
    (needs || can && other != Focus::Manner).then(|| verb.span.clone())
}

/// Both ask for the same, in whichever words: `at what time`, `when`.
pub fn is_one(pair: &Pair<'_>) -> bool {
    match (focus(&pair.cached), focus(&pair.asked)) {
        (Some(one), Some(other)) => one.0 == other.0 && one.0 != Focus::Open,
        _ => false,
    }
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
pub fn focus(question: &Question<'_>) -> Option<(Focus, Range<usize>)> {
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
    found
        .map(|(focus, span, _)| (focus, span))
        .or_else(|| named(items))
}

/// `Überweisung nach Polen Dauer`: keywords without a word of asking name what is asked for.
fn named(items: &[Item]) -> Option<(Focus, Range<usize>)> {
    if items.len() > KEYWORDS_MAX || items.iter().any(|item| lexicon::asks_by_word(&item.text)) {
        return None;
    }
    items.iter().find_map(|item| {
        let focus = match item.text.as_str() {
            "dauer" | "duration" | "duree" => Focus::Duration,
            "grund" | "reason" | "raison" => Focus::Reason,
            "kosten" | "preis" | "cost" | "costs" | "price" | "prix" | "cout" | "tarif" => {
                Focus::Amount
            }
            "frist" | "deadline" => Focus::Time,
            _ => return None,
        };
        Some((focus, item.span.clone()))
    })
}

/// More words are a sentence.
const KEYWORDS_MAX: usize = 8;

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
        (Language::German, "was")
        | (
            _,
            "what" | "which" | "welche" | "welcher" | "welches" | "welchen" | "welchem" | "quel"
            | "quelle" | "quels" | "quelles",
        ) => {
            // `What does it cost?`
            let costs = items[at..]
                .iter()
                .take_while(|item| item.sentence == items[at].sentence)
                .any(|item| matches!(item.text.as_str(), "cost" | "costs" | "kostet" | "kosten"));
            if costs && matches!(text(0), "what" | "was") {
                return Some(Focus::Amount);
            }
            let chooses = !matches!(text(0), "what" | "was" | "quel" | "quelle")
                && items
                    .get(at + 1)
                    .is_some_and(|next| matches!(next.is, Is::Content(_)));
            noun(text(1))
                .or_else(|| noun(text(2)).filter(|_| text(1) != "is" && text(1).len() < 5))
                .unwrap_or(if chooses { Focus::Choice } else { Focus::Open })
        }
        (Language::English, "how") => match text(1) {
            "high" => Focus::Amount,
            "many" | "much" => match text(2) {
                "minutes" | "hours" | "days" | "weeks" | "months" | "years" | "time" => {
                    Focus::Duration
                }
                "times" => Focus::Frequency,
                "kilometres" | "kilometers" | "miles" => Focus::Distance,
                _ => Focus::Amount,
            },
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
            "viel" | "viele" | "vielen" => match text(2) {
                "minuten" | "stunden" | "tage" | "wochen" | "monate" | "jahre" | "zeit" => {
                    Focus::Duration
                }
                "kilometer" => Focus::Distance,
                _ => Focus::Amount,
            },
            "lange" => Focus::Duration,
            "weit" => Focus::Distance,
            "oft" | "haeufig" => Focus::Frequency,
            "hoch" => Focus::Amount,
            "kommt" | "gross" | "alt" | "heisst" | "lautet" => Focus::Open,
            _ => Focus::Manner,
        },
        (Language::French, "combien") => match (text(1), text(2)) {
            (
                "de" | "d",
                "temps" | "minutes" | "jours" | "mois" | "annees" | "heures" | "semaines",
            ) => Focus::Duration,
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
        | "zeitpunkt" | "monat" | "deadline" | "frist" | "heure" | "jour" | "mois" | "annee"
        | "moment" => Focus::Time,
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
    fn what_is_answered_by_yes_is_not_answered_by_a_time() {
        let differ = |a: &str, b: &str| {
            let found = compare(a, b).map(|found| found.kind);
            assert_eq!(found, Some(Kind::Question), "{a} / {b}");
        };
        differ("Can I change my plan?", "When can I change my plan?");
        differ(
            "Brauche ich eine Überweisung?",
            "Wie bekomme ich eine Überweisung?",
        );
        // A way is asked for by both.
        assert_eq!(
            compare("Can I change my plan?", "How can I change my plan?"),
            None
        );
    }

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
