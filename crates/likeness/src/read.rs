//! A question as items: numbers with their units, dates, times, and words, each in one spelling.

mod dates;
mod numbers;
mod openings;
mod units;

use std::ops::Range;

use crate::lexicon;
use crate::words::{self, Word, stem};

/// One item of a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub is: Is,
    pub span: Range<usize>,
    pub named: bool,
    pub sentence: u16,
    /// The word as folded; empty for what is not a word.
    pub text: String,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Is {
    /// In thousandths, and of what.
    Quantity {
        value: i64,
        unit: Option<&'static str>,
    },
    /// A unit by itself: `in euros`, `per mile`.
    Unit(&'static str),
    /// A month with its day, a weekday, a quarter, a year, tomorrow.
    Date(String),
    /// The stem of a word that carries content.
    Content(String),
    Function,
}

/// Reads the words of a text, politeness left out and its beginning levelled.
pub fn items(text: &str, hidden: &[Range<usize>]) -> Vec<Item> {
    let words = openings::level(&without_politeness(words::split(text, hidden)));
    let mut items = Vec::with_capacity(words.len());
    let mut at = 0;
    while at < words.len() {
        let rest = &words[at..];
        let before = at.checked_sub(1).map(|before| words[before].text.as_str());
        let (is, used) = dates::read(rest, before, text)
            .or_else(|| units::quantity(rest, before))
            .or_else(|| units::alone(rest, before))
            .unwrap_or_else(|| (word(&rest[0]), 1));
        let last = &words[at + used - 1];
        items.push(Item {
            span: rest[0].span.start..last.span.end,
            named: rest[0].named,
            sentence: rest[0].sentence,
            text: rest[0].text.clone(),
            is,
        });
        at += used;
    }
    items
}

/// Every word of a text, folded, greetings and thanks left out.
pub fn without_greetings(text: &str) -> Vec<String> {
    let words = without_politeness(words::split(text, &[]));
    words.into_iter().map(|word| word.text).collect()
}

fn word(word: &Word) -> Is {
    // A single letter is a name (`table A`) where it is a capital, else what an apostrophe or a hyphen left.
    if word.text.len() == 1 {
        let named = word.named && word.text.is_ascii();
        return if named {
            Is::Content(word.text.clone())
        } else {
            Is::Function
        };
    }
    if lexicon::is_function(&word.text) {
        return Is::Function;
    }
    Is::Content(lexicon::canonical(stem(&lexicon::respelled(&word.text))).to_owned())
}

/// Drops greetings and thanks: sentences at either end of a text that are mostly polite words, and polite
/// words elsewhere.
fn without_politeness(mut words: Vec<Word>) -> Vec<Word> {
    mark_greetings(&mut words);
    for _ in 0..EDGES_MAX {
        let first = words.first().map_or(0, |word| word.sentence);
        let last = words.last().map_or(0, |word| word.sentence);
        let before = words.len();
        for edge in [first, last] {
            let of_edge = || words.iter().filter(|word| word.sentence == edge);
            if asks_nothing(of_edge) && of_edge().count() < words.len() {
                words.retain(|word| word.sentence != edge);
            }
        }
        if words.len() == before {
            break;
        }
    }
    if words.iter().any(|word| !lexicon::is_polite(&word.text)) {
        words.retain(|word| !lexicon::is_polite(&word.text));
    }
    words
}

/// How many sentences of greeting or thanks are looked for at either end.
const EDGES_MAX: usize = 3;

/// Mostly polite words, or few and a thank-you or an address among them. A sentence with much else in it asks
/// something, however politely.
fn asks_nothing<'a, I: Iterator<Item = &'a Word>>(of_edge: impl Fn() -> I) -> bool {
    let length = of_edge().count();
    let polite = of_edge()
        .filter(|word| lexicon::is_polite(&word.text))
        .count();
    let numbered = of_edge().any(|word| word.text.contains(|c: char| c.is_ascii_digit()));
    let parts = of_edge().any(|word| lexicon::parts(&word.text))
        || of_edge()
            .next()
            .is_some_and(|word| lexicon::addresses(&word.text));
    polite > 0 && polite * 2 >= length || parts && length <= PARTING_MAX && !numbered
}

/// The most words of a thank-you that are not all polite.
const PARTING_MAX: usize = 5;

/// `Good morning` and `im Voraus` are polite; `good` and `morning` by themselves are not.
fn mark_greetings(words: &mut [Word]) {
    for at in 1..words.len() {
        let greets = match words[at - 1].text.as_str() {
            "good" => &["morning", "afternoon", "evening", "day"][..],
            "guten" => &["tag", "morgen", "abend"],
            "in" => &["advance"],
            "im" => &["voraus"],
            "d" => &["avance"],
            _ => continue,
        };
        if greets.contains(&words[at].text.as_str()) {
            "hello".clone_into(&mut words[at - 1].text);
            "hello".clone_into(&mut words[at].text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) {
        let keys = |text| {
            items(text, &[])
                .into_iter()
                .map(|item| item.is)
                .collect::<Vec<_>>()
        };
        assert_eq!(keys(a), keys(b), "{a} / {b}");
    }

    #[test]
    fn spellings_of_one_number_are_one() {
        same("30 days", "thirty days");
        same("3,000 euros", "three thousand EUR");
        same("30 000 €", "dreißigtausend Euro");
        same("quatre-vingt-dix jours", "90 jours");
        same("einundzwanzig Tage", "21 Tage");
        same("two hundred and five", "205");
        same("soixante et onze", "71");
        same("the third floor", "the 3rd floor");
        same("im fünften Stock", "im 5. Stock");
        same("le troisième étage", "le 3e étage");
        same("$5k", "5,000 dollars");
        same("25 Mo", "25 mégaoctets");
        same("zehn Prozent", "10 %");
        same("dix pour cent", "10%");
        same("€50", "50 euros");
        same("dix-huit", "18");
    }

    #[test]
    fn spellings_of_one_date_or_time_are_one() {
        same("3 May", "May 3rd");
        same("on the third of May", "on the 3 May");
        same("11 March 2011", "March 11, 2011");
        same("2011-03-11", "11. März 2011");
        same("zum 3.3. da", "zum 3. März da");
        same("Q1 2025", "first quarter 2025");
        same("T1 2025", "premier trimestre 2025");
        same("at 9 pm", "at 21:00");
        same("um acht am Abend", "um 20 Uhr");
        same("à 8 heures du soir", "à 20 h");
        same("half an hour", "30 minutes");
        same("seven days", "one week");
    }

    #[test]
    fn politeness_is_no_part_of_a_question() {
        same(
            "Good morning! How tall is it, please? Thanks!",
            "how tall is it?",
        );
        same(
            "Guten Tag! Wie hoch ist er? Vielen Dank im Voraus!",
            "Wie hoch ist er?",
        );
        same(
            "Dear support, how tall is it? Kind regards",
            "how tall is it?",
        );
        same(
            "Sehr geehrte Damen und Herren, wie hoch ist er? Mit freundlichen Grüßen",
            "wie hoch ist er?",
        );
        same(
            "Madame, Monsieur, quelle est sa hauteur ? Un grand merci !",
            "quelle est sa hauteur ?",
        );
    }

    #[test]
    fn a_number_and_its_unit_in_one_german_word_are_two() {
        same("30-tägige Frist", "dreißigtägige Frist");
        same("sechsjährig", "sechs Jahre");
    }
}
