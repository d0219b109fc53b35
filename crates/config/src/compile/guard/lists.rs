//! Words, patterns and topics: each that cannot be looked for is reported where it stands.

use content::lists::{self, Spec, SpecError};

use super::Kind;
use super::service::Site;
use crate::file::guard::lists::{ListAction, Lists, Topic};
use crate::problem::Place;
use crate::read::{List, Named, Text};
use crate::snapshot::GuardKind;

/// A topic's name stands in records.
const TOPIC_NAME_BYTES_MAX: usize = 50;

pub(super) fn lists(section: Lists, site: &mut Site<'_>) -> Kind {
    let Lists {
        words,
        patterns,
        topics,
        action: ListAction(action),
        r#where: _,
        on_error,
    } = section;
    let places = |list: &List<Text>| list.items.iter().map(|item| item.place).collect();
    let (word_places, pattern_places): (Vec<Place>, Vec<Place>) =
        (places(&words), places(&patterns));
    let topic_places: Vec<(String, Place)> = topics
        .entries
        .iter()
        .map(|topic| (topic.name.clone(), topic.place))
        .collect();
    let is_empty = |list: &List<Text>| list.items.is_empty() && list.is_whole;
    if is_empty(&words) && is_empty(&patterns) && topics.entries.is_empty() {
        let fix = "name words, patterns or topics";
        report(site, site.place, "", "it looks for nothing", fix);
    }
    for topic in &topics.entries {
        check_name(topic, site);
    }
    let spec = Spec {
        words: words.items.into_iter().map(|word| word.text).collect(),
        patterns: patterns.items.into_iter().map(|text| text.text).collect(),
        topics: topics.entries.into_iter().map(topic).collect(),
        action,
    };
    let errors = match lists::Lists::new(&spec) {
        Ok(lists) => return (on_error, Some(GuardKind::Lists(Box::new(lists)))),
        Err(errors) => errors,
    };
    for error in errors {
        let problem = error.to_string();
        let topic_place = |name: &str| {
            let found = topic_places.iter().find(|(known, _)| known == name);
            found.map_or(site.place, |(_, place)| *place)
        };
        let (place, field, fix) = match &error {
            SpecError::EmptyWord { at } | SpecError::LongWord { at } => (
                word_places[*at],
                format!(".words[{at}]"),
                "remove it, or write another word",
            ),
            SpecError::Pattern { at, .. } => (
                pattern_places[*at],
                format!(".patterns[{at}]"),
                "write a regular expression of the `regex` crate: no look-around, no \
                 back-references",
            ),
            SpecError::TopicPhrase { topic, .. } => (
                topic_place(topic),
                format!(".topics[{topic}].phrases"),
                "remove it, or write another phrase",
            ),
            SpecError::TopicThreshold { topic, .. } => (
                topic_place(topic),
                format!(".topics[{topic}].threshold"),
                "lower it, or add phrases",
            ),
            SpecError::TooManyPhrases | SpecError::TooManyPatterns => {
                (site.place, String::new(), "make several guards of it")
            }
        };
        report(site, place, &field, &problem, fix);
    }
    (on_error, None)
}

fn topic(written: Named<Topic>) -> (String, lists::Topic) {
    let Topic {
        phrases,
        threshold,
        window,
    } = written.value;
    let phrases = phrases.entries.into_iter();
    let topic = lists::Topic {
        phrases: phrases
            .map(|phrase| (phrase.name, phrase.value.as_u32()))
            .collect(),
        threshold: threshold.as_u32(),
        window: window.as_u32() as usize,
    };
    (written.name, topic)
}

fn check_name(topic: &Named<Topic>, site: &mut Site<'_>) {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let fits = (1..=TOPIC_NAME_BYTES_MAX).contains(&topic.name.len());
    if !fits || !topic.name.bytes().all(is_name) {
        let problem = "a topic's name stands in records, and this is no name";
        let fix = "write up to 50 letters, digits, `_`, `-` and `.`";
        report(site, topic.place, ".topics", problem, fix);
    }
}

fn report(site: &mut Site<'_>, place: Place, field: &str, problem: &str, fix: &str) {
    let field = format!("{}.lists{field}", site.field);
    site.problems.error(place, &field, problem, fix);
}
