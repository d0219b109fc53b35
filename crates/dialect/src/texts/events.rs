//! The texts of a streamed answer. Each place of each choice is one text that comes in pieces; an
//! editor may hold back its end, and gets to say the rest before the choice finishes.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;
use serde_json::Value;

use super::{
    ARGUMENTS, Renamed, TOKENS, calling, distinct, is_no_text, lines, names, quoted, span_in,
    spliced,
};
use crate::json::{Json, scan};

/// Places that one answer may write to. Providers use a few for each choice.
const PLACES_MAX: usize = 1024;

/// Where in an answer a text stands, for as long as the answer streams.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    choice: u64,
    path: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    Key(String),
    /// Of an array, by its elements' `index` where they have one: a later event's first element may
    /// go on with an earlier one's third.
    Item(u64),
}

impl Place {
    /// As [`super::edit_called`] tells it.
    fn called(&self) -> &str {
        let names = self.path.iter().rev().find_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Item(_) => None,
        });
        calling(names.unwrap_or_default())
    }

    /// The text is part of a JSON document: what is put into it must be escaped as its strings are.
    pub fn is_json(&self) -> bool {
        matches!(self.path.last(), Some(Step::Key(key)) if key == ARGUMENTS)
    }
}

/// The next of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// Before the first of one: the name of the member whose value it is. Nothing takes its place.
    Called(&'a str),
    More(&'a str),
    /// Nothing more comes: whatever was held back must be said now.
    End,
}

/// An event whose texts cannot be told from the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the answer could not be read")]
pub struct Unreadable;

/// Follows the places of one answer.
#[derive(Debug, Default)]
pub struct EventTexts {
    open: Vec<Open>,
    /// The last event's data: events that are put in have its members too, but its choices and usage.
    last: Vec<u8>,
    /// The last event lacks the blank line that ends it, as where a provider was cut.
    is_torn: bool,
}

/// A text that may go on.
#[derive(Debug)]
struct Open {
    place: Place,
    /// Names on its path that were edited, by their depth: what is said there later says them so.
    names: Vec<(usize, String)>,
}

impl EventTexts {
    /// `events` are whole server-sent events. `edit` says what takes each part's place.
    pub fn edit(
        &mut self,
        events: &[u8],
        edit: &mut dyn FnMut(&Place, Part<'_>) -> String,
    ) -> Result<Vec<u8>, Unreadable> {
        let mut out = Vec::with_capacity(events.len() + 64);
        let mut rest = events;
        while !rest.is_empty() {
            let (event, after) = rest.split_at(event_length(rest));
            self.event(event, edit, &mut out)?;
            self.is_torn = !(event.ends_with(b"\n\n") || event.ends_with(b"\n\r\n"));
            rest = after;
        }
        Ok(out)
    }

    /// The answer ended: events with what was still held back.
    pub fn finish(&mut self, edit: &mut dyn FnMut(&Place, Part<'_>) -> String) -> Vec<u8> {
        let mut out = Vec::new();
        self.close(|_| true, edit, &mut out);
        if self.is_torn && !out.is_empty() {
            out.splice(0..0, *b"\n\n");
        }
        out
    }

    fn event(
        &mut self,
        event: &[u8],
        edit: &mut dyn FnMut(&Place, Part<'_>) -> String,
        out: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        let event = &*named(event, edit);
        let Some(data) = data_of(event)? else {
            out.extend_from_slice(event);
            return Ok(());
        };
        let document = &event[data.clone()];
        if document.trim_ascii() == b"[DONE]" {
            self.close(|_| true, edit, out);
            out.extend_from_slice(event);
            return Ok(());
        }
        if scan::members(document, []).is_err() {
            return Err(Unreadable);
        }
        let value = Json::whole(document);
        if !has_choices(value) {
            // An error, or what no provider sends yet: its texts are whole.
            self.close(|_| true, edit, out);
            let edited = super::edit_answer(document, |called, text| whole(called, text, edit));
            put(event, &data, edited.as_deref().unwrap_or(document), out);
            return Ok(());
        }
        let Aside { edits, token_lists } = aside(document, edit);
        let mut pass = Pass {
            document,
            edits,
            token_lists,
            names: Vec::new(),
            open: &mut self.open,
            edit,
        };
        let mut finished = Vec::new();
        for (key, value) in value.members() {
            if key != "choices" {
                continue;
            }
            for (at, choice) in (0..).zip(value.elements()) {
                let number = index_of(choice).unwrap_or(at);
                pass.choice(number, choice)?;
                if choice
                    .get("finish_reason")
                    .is_some_and(|reason| reason.is_string())
                {
                    finished.push(number);
                }
            }
        }
        let Pass {
            mut edits,
            token_lists,
            ..
        } = pass;
        edits.extend(token_lists.into_iter().map(|span| (span, b"null".to_vec())));
        edits.sort_by_key(|(span, _)| span.start);
        let edited = if edits.is_empty() {
            Cow::Borrowed(document)
        } else {
            Cow::Owned(spliced(document, &edits))
        };
        self.last.clear();
        self.last.extend_from_slice(&edited);
        if finished.is_empty() {
            put(event, &data, &edited, out);
            return Ok(());
        }
        // Its own texts come before what was held back of them, and both before the end.
        let mut last = Vec::new();
        self.close(|place| finished.contains(&place.choice), edit, &mut last);
        if last.is_empty() {
            put(event, &data, &edited, out);
            return Ok(());
        }
        put(event, &data, &without_reasons(&edited), out);
        out.extend_from_slice(&last);
        put(event, &data, &without_texts(&edited), out);
        Ok(())
    }

    /// Ends the texts of some places, with an event for each that still has something to say.
    fn close(
        &mut self,
        ends: impl Fn(&Place) -> bool,
        edit: &mut dyn FnMut(&Place, Part<'_>) -> String,
        out: &mut Vec<u8>,
    ) {
        let last = &self.last;
        self.open.retain(|Open { place, names }| {
            if !ends(place) {
                return true;
            }
            let rest = edit(place, Part::End);
            if !rest.is_empty() {
                out.extend_from_slice(b"data: {");
                put_head(last, out);
                out.extend_from_slice(b"\"choices\":[");
                out.extend_from_slice(place.choice_with(&rest, names).to_string().as_bytes());
                out.extend_from_slice(b"]}\n\n");
            }
            false
        });
    }
}

/// The event without a name of its own that was edited: what is left of one names nothing.
fn named<'e>(event: &'e [u8], edit: &mut dyn FnMut(&Place, Part<'_>) -> String) -> Cow<'e, [u8]> {
    let mut edits = Vec::new();
    for (span, name) in lines::odd_names(event) {
        if whole("", &name, edit).is_some() {
            edits.push((span, Vec::new()));
        }
    }
    if edits.is_empty() {
        return Cow::Borrowed(event);
    }
    Cow::Owned(spliced(event, &edits))
}

/// Whether all that it calls choices are some.
fn has_choices(event: Json<'_>) -> bool {
    let is_choices = |value: Json<'_>| value.is_array() && value.elements().all(Json::is_object);
    let mut choices = event.members().filter(|(key, _)| key == "choices");
    let mut is_any = false;
    choices.all(|(_, value)| {
        is_any = true;
        is_choices(value)
    }) && is_any
}

/// The members of an event that those of its answer have in common.
fn put_head(event: &[u8], out: &mut Vec<u8>) {
    for (key, value) in Json::whole(event).members() {
        if matches!(&*key, "choices" | "usage" | "error") {
            continue;
        }
        out.extend_from_slice(&quoted(&key));
        out.push(b':');
        out.extend_from_slice(value.raw());
        out.push(b',');
    }
}

/// What becomes of an event's members beside its choices.
struct Aside {
    edits: Vec<(Range<usize>, Vec<u8>)>,
    token_lists: Vec<Range<usize>>,
}

/// A text that comes in one piece, as it was edited.
fn whole(
    called: &str,
    text: &str,
    edit: &mut dyn FnMut(&Place, Part<'_>) -> String,
) -> Option<String> {
    let place = Place {
        choice: 0,
        path: Vec::new(),
    };
    if !called.is_empty() {
        edit(&place, Part::Called(called));
    }
    let mut edited = edit(&place, Part::More(text));
    edited.push_str(&edit(&place, Part::End));
    (edited != text).then_some(edited)
}

/// Their texts are whole: citations, say.
fn aside(document: &[u8], edit: &mut dyn FnMut(&Place, Part<'_>) -> String) -> Aside {
    let mut edit = |called: &str, text: &str| whole(called, text, edit);
    let mut editor = super::Editor {
        document,
        edits: Vec::new(),
        token_lists: Vec::new(),
        is_answer: true,
        edit: &mut edit,
    };
    let event = Json::whole(document);
    let mut renamed = Vec::new();
    let mut members = event.members();
    while let Some((name, value)) = members.next_written() {
        let Some(key) = name.text() else { break };
        editor.name(name, &key, &mut renamed);
        if key != "choices" {
            editor.value(&key, value, 0);
        }
    }
    editor.rename(event, renamed);
    let super::Editor {
        edits, token_lists, ..
    } = editor;
    Aside { edits, token_lists }
}

impl Place {
    /// A choice that says `text` here and nothing else. `names`: of its path, those that were edited.
    fn choice_with(&self, text: &str, names: &[(usize, String)]) -> Value {
        let edited = |depth: usize| {
            let name = names.iter().find(|(at, _)| *at == depth);
            name.map(|(_, name)| name.clone())
        };
        let value =
            self.path
                .iter()
                .enumerate()
                .rev()
                .fold(Value::from(text), |inner, (depth, step)| match step {
                    Step::Key(key) => {
                        let key = edited(depth).unwrap_or_else(|| key.clone());
                        Value::from_iter([(key, inner)])
                    }
                    Step::Item(index) => {
                        let mut inner = inner;
                        if let Value::Object(members) = &mut inner {
                            members.insert("index".to_owned(), Value::from(*index));
                        }
                        Value::from(vec![inner])
                    }
                });
        let mut choice = value;
        if let Value::Object(members) = &mut choice {
            members.insert("index".to_owned(), Value::from(self.choice));
            members.insert("finish_reason".to_owned(), Value::Null);
        }
        choice
    }
}

/// One event's choices, looked through.
struct Pass<'a, 'e> {
    document: &'a [u8],
    edits: Vec<(Range<usize>, Vec<u8>)>,
    token_lists: Vec<Range<usize>>,
    /// Of the place that is looked at, the names that were edited, by their depth.
    names: Vec<(usize, String)>,
    open: &'e mut Vec<Open>,
    edit: &'e mut dyn FnMut(&Place, Part<'_>) -> String,
}

impl<'a> Pass<'a, '_> {
    fn choice(&mut self, number: u64, choice: Json<'a>) -> Result<(), Unreadable> {
        let mut place = Place {
            choice: number,
            path: Vec::new(),
        };
        self.walk(&mut place, choice)
    }

    fn walk(&mut self, place: &mut Place, value: Json<'a>) -> Result<(), Unreadable> {
        for (at, element) in (0..).zip(value.elements()) {
            place.path.push(Step::Item(index_of(element).unwrap_or(at)));
            self.value(place, element)?;
            place.path.pop();
        }
        let mut renamed = Vec::new();
        let mut members = value.members();
        while let Some((written, value)) = members.next_written() {
            let Some(key) = written.text() else { break };
            let edited_names = self.names.len();
            if !names::is_known(&key)
                && let Some(edited) = whole("", &key, self.edit)
            {
                self.names.push((place.path.len(), edited.clone()));
                let span = self.span(written);
                renamed.push(Renamed { span, edited });
            }
            // Of the choice itself: anywhere else the name is anybody's.
            if key == TOKENS && place.path.is_empty() {
                if !value.is_null() {
                    let span = self.span(value);
                    self.token_lists.push(span);
                }
            } else if matches!(value.raw().first(), Some(b'"' | b'{' | b'[')) {
                place.path.push(Step::Key(key.into_owned()));
                self.value(place, value)?;
                place.path.pop();
            }
            self.names.truncate(edited_names);
        }
        let spans = |name: Json<'_>| span_in(self.document, name);
        self.edits.extend(distinct(value, renamed, spans));
        Ok(())
    }

    fn value(&mut self, place: &mut Place, value: Json<'a>) -> Result<(), Unreadable> {
        if !value.is_string() {
            return self.walk(place, value);
        }
        let text = value.text().ok_or(Unreadable)?;
        let key = match place.path.last() {
            Some(Step::Key(key)) => key.as_str(),
            Some(Step::Item(_)) | None => "",
        };
        if is_no_text(key, &text) {
            return Ok(());
        }
        // A tool's name comes once and whole.
        if key == "name" {
            if !is_name(&text)
                && let Some(edited) = whole("", &text, self.edit)
            {
                let span = self.span(value);
                self.edits.push((span, quoted(&edited)));
            }
            return Ok(());
        }
        if !self.open.iter().any(|open| open.place == *place) {
            if self.open.len() >= PLACES_MAX {
                return Err(Unreadable);
            }
            self.open.push(Open {
                place: place.clone(),
                names: self.names.clone(),
            });
            let called = place.called();
            if !called.is_empty() {
                (self.edit)(place, Part::Called(called));
            }
        }
        let edited = (self.edit)(place, Part::More(&text));
        if edited != *text {
            let span = self.span(value);
            self.edits.push((span, quoted(&edited)));
        }
        Ok(())
    }

    fn span(&self, value: Json<'_>) -> Range<usize> {
        span_in(self.document, value)
    }
}

/// Of a function: no number that stands for somebody.
fn is_name(text: &str) -> bool {
    const DIGITS_MAX: usize = 4;
    let mut digits = 0;
    let is_plain = text.bytes().all(|byte| {
        digits = if byte.is_ascii_digit() { digits + 1 } else { 0 };
        digits <= DIGITS_MAX && (byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    });
    is_plain && text.len() <= 64
}

fn index_of(value: Json<'_>) -> Option<u64> {
    std::str::from_utf8(value.get("index")?.raw())
        .ok()?
        .parse()
        .ok()
}

/// Up to and with the blank line that ends the first event.
pub fn event_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(end) = memchr(b'\n', &bytes[at..]) {
        let line = &bytes[at..at + end];
        at += end + 1;
        if matches!(line, b"" | b"\r") {
            return at;
        }
    }
    bytes.len()
}

/// Where the event's data stands; `None` if it has none. Data in several lines is not one document
/// that could be spliced.
fn data_of(event: &[u8]) -> Result<Option<Range<usize>>, Unreadable> {
    let mut found = None;
    let mut at = 0;
    while at < event.len() {
        let end = memchr(b'\n', &event[at..]).map_or(event.len(), |length| at + length);
        let line = event[at..end]
            .strip_suffix(b"\r")
            .unwrap_or(&event[at..end]);
        if let Some(data) = line.strip_prefix(b"data:") {
            if found.is_some() {
                return Err(Unreadable);
            }
            let start = at + line.len() - data.len();
            found = Some(start..at + line.len());
        }
        at = end + 1;
    }
    Ok(found)
}

fn put(event: &[u8], data: &Range<usize>, document: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&event[..data.start]);
    if document.first() != Some(&b' ') && event.get(data.start) == Some(&b' ') {
        out.push(b' ');
    }
    out.extend_from_slice(document);
    out.extend_from_slice(&event[data.end..]);
}

/// The event as it would be if its choices went on.
fn without_reasons(document: &[u8]) -> Vec<u8> {
    changed(document, |event| {
        if let Value::Object(members) = event {
            members.remove("usage");
        }
        each_choice(event, |choice| {
            choice.insert("finish_reason".to_owned(), Value::Null);
        });
    })
}

/// The event as it would be if everything had been said before.
fn without_texts(document: &[u8]) -> Vec<u8> {
    changed(document, |event| {
        each_choice(event, |choice| {
            if choice.contains_key("delta") {
                choice.insert("delta".to_owned(), Value::Object(serde_json::Map::new()));
            }
            if choice.contains_key("text") {
                choice.insert("text".to_owned(), Value::from(""));
            }
        });
    })
}

fn each_choice(event: &mut Value, mut change: impl FnMut(&mut serde_json::Map<String, Value>)) {
    let choices = event.get_mut("choices").and_then(Value::as_array_mut);
    for choice in choices
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
    {
        change(choice);
    }
}

/// Rare enough (once for each choice) to go through a tree.
fn changed(document: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let Ok(mut event) = serde_json::from_slice(document) else {
        return document.to_vec();
    };
    change(&mut event);
    event.to_string().into_bytes()
}

#[cfg(test)]
mod tests;
