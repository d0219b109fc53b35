//! The texts of requests and answers: what somebody wrote or will read, wherever it stands.
//!
//! Every string counts as text that is not known to be something else, so a field that this version
//! has never heard of is looked at too, and its name with it. Edits are splices: all other bytes stay as they came.

mod arguments;
mod events;
mod lines;
mod meaning;
mod names;
mod turns;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::json::{Json, scan};

pub use arguments::ArgumentTexts;
pub use events::{EventTexts, Part, Place, Unreadable, event_length};
pub use lines::plain_events;
pub use meaning::Meaning;
pub use turns::{Voice, each_turn};

/// Their strings are names of the protocol and ids: no text, as long as they look like one.
const NAMES: [&str; 14] = [
    "role",
    "type",
    "id",
    "object",
    "model",
    "finish_reason",
    "tool_call_id",
    "system_fingerprint",
    "service_tier",
    "encoding_format",
    "reasoning_effort",
    "verbosity",
    "format",
    "detail",
];

/// Their strings are sound, pictures and vectors, as long as they look like base64.
const ENCODED: [&str; 3] = ["data", "b64_json", "embedding"];

/// No sound and no picture is shorter; an account number is.
const ENCODED_BYTES_MIN: usize = 128;

/// An id is no longer.
const NAME_BYTES_MAX: usize = 128;

/// A tool call's arguments are JSON within a string.
const ARGUMENTS: &str = "arguments";

/// Tokens one by one would tell what was taken out of the text.
const TOKENS: &str = "logprobs";

/// They stand in an object of a list at the top, as `choices` is; anywhere else the name is anybody's.
const TOKENS_DEPTH: usize = 2;

/// Deeper documents are no requests or answers; [`crate::request::read`] refuses them before.
const DEPTH_MAX: usize = 128;

/// `document` with every text as `edit` returns it; `None` if `edit` never returned one. What is
/// not JSON is one text.
pub fn edit(document: &[u8], mut edit: impl FnMut(&str) -> Option<String>) -> Option<Vec<u8>> {
    edit_called(document, |_, text| edit(text))
}

/// As [`edit`], which is told first what each text is called: the name of the member whose value it is, alone
/// or in a list. Empty where that is none, or says nothing because it is the protocol's.
pub fn edit_called(
    document: &[u8],
    mut edit: impl FnMut(&str, &str) -> Option<String>,
) -> Option<Vec<u8>> {
    edit_any(document, false, &mut edit)
}

/// As [`edit_called`], of an answer: what is masked in a number of a tool call's arguments is to come
/// back as that number.
pub fn edit_answer(
    document: &[u8],
    mut edit: impl FnMut(&str, &str) -> Option<String>,
) -> Option<Vec<u8>> {
    edit_any(document, true, &mut edit)
}

fn edit_any(
    document: &[u8],
    is_answer: bool,
    edit: &mut dyn FnMut(&str, &str) -> Option<String>,
) -> Option<Vec<u8>> {
    if scan::members(document, []).is_err() {
        let text = String::from_utf8_lossy(document);
        return edit("", &text).map(String::into_bytes);
    }
    let mut editor = Editor {
        document,
        edits: Vec::new(),
        token_lists: Vec::new(),
        is_answer,
        edit,
    };
    editor.walk(Json::whole(document), "", 0);
    editor.finish()
}

/// Shows every text of `document`.
pub fn each(document: &[u8], mut look: impl FnMut(&str)) {
    edit(document, |text| {
        look(text);
        None
    });
}

struct Editor<'a, 'e> {
    document: &'a [u8],
    edits: Vec<(Range<usize>, Vec<u8>)>,
    token_lists: Vec<Range<usize>>,
    is_answer: bool,
    // A reference, so that what arguments hold is not a type of its own at each depth.
    edit: &'e mut dyn FnMut(&str, &str) -> Option<String>,
}

impl<'a> Editor<'a, '_> {
    /// `called`: as its elements are, if it is a list.
    fn walk(&mut self, value: Json<'a>, called: &str, depth: usize) {
        if depth > DEPTH_MAX {
            return;
        }
        for element in value.elements() {
            self.element(called, element, depth);
        }
        let mut renamed = Vec::new();
        let mut members = value.members();
        while let Some((name, value)) = members.next_written() {
            let Some(key) = name.text() else { break };
            self.name(name, &key, &mut renamed);
            if key == TOKENS && depth == TOKENS_DEPTH {
                self.token_lists.push(self.span(value));
            } else {
                self.value(&key, value, depth);
            }
        }
        self.rename(value, renamed);
    }

    /// The name of one member.
    fn name(&mut self, written: Json<'a>, name: &str, renamed: &mut Vec<Renamed>) {
        if !names::is_known(name)
            && let Some(edited) = (self.edit)("", name)
        {
            let span = self.span(written);
            renamed.push(Renamed { span, edited });
        }
    }

    fn rename(&mut self, object: Json<'_>, renamed: Vec<Renamed>) {
        let spans = |name: Json<'_>| span_in(self.document, name);
        self.edits.extend(distinct(object, renamed, spans));
    }

    fn value(&mut self, key: &str, value: Json<'a>, depth: usize) {
        let called = calling(key);
        if !value.is_string() {
            return self.walk(value, called, depth + 1);
        }
        self.string(key, called, value);
    }

    fn element(&mut self, called: &str, value: Json<'a>, depth: usize) {
        if !value.is_string() {
            return self.walk(value, called, depth + 1);
        }
        self.string("", called, value);
    }

    fn string(&mut self, key: &str, called: &str, value: Json<'a>) {
        let Some(text) = value.text() else { return };
        if let Some(edited) = self.edited(key, called, &text) {
            self.edits.push((self.span(value), quoted(&edited)));
        }
    }

    fn edited(&mut self, key: &str, called: &str, text: &str) -> Option<String> {
        if is_no_text(key, text) {
            return None;
        }
        if key != ARGUMENTS {
            return (self.edit)(called, text);
        }
        let arguments = match self.is_answer {
            true => ArgumentTexts::of_answer(),
            false => ArgumentTexts::default(),
        };
        arguments.whole(text, self.edit)
    }

    fn span(&self, value: Json<'_>) -> Range<usize> {
        span_in(self.document, value)
    }

    fn finish(mut self) -> Option<Vec<u8>> {
        if self.edits.is_empty() {
            return None;
        }
        let hidden = self
            .token_lists
            .into_iter()
            .map(|span| (span, b"null".to_vec()));
        self.edits.extend(hidden);
        self.edits.sort_by_key(|(span, _)| span.start);
        Some(spliced(self.document, &self.edits))
    }
}

/// Where `value` stands in the document that it is of.
fn span_in(document: &[u8], value: Json<'_>) -> Range<usize> {
    let start = value.raw().as_ptr().addr() - document.as_ptr().addr();
    start..start + value.raw().len()
}

/// A member's name that was edited.
struct Renamed {
    span: Range<usize>,
    edited: String,
}

/// The edits that give an object's members their new names. Values that differ may be the same once
/// they are taken out, and a name that is there twice is no JSON to us: further ones get a number.
fn distinct(
    object: Json<'_>,
    renamed: Vec<Renamed>,
    span: impl Fn(Json<'_>) -> Range<usize>,
) -> Vec<(Range<usize>, Vec<u8>)> {
    if renamed.is_empty() {
        return Vec::new();
    }
    let changes: HashSet<usize> = renamed.iter().map(|name| name.span.start).collect();
    let mut taken = HashSet::new();
    let mut members = object.members();
    while let Some((name, _)) = members.next_written() {
        if !changes.contains(&span(name).start) {
            taken.extend(name.text().map(Cow::into_owned));
        }
    }
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut edits = Vec::with_capacity(renamed.len());
    for Renamed { span, edited } in renamed {
        let mut name = edited.clone();
        while !taken.insert(name.clone()) {
            let number = numbers.entry(edited.clone()).or_insert(1);
            *number += 1;
            name = format!("{edited}_{number}");
        }
        edits.push((span, quoted(&name)));
    }
    edits
}

/// What a member's name says of its value.
fn calling(name: &str) -> &str {
    if names::is_known(name) { "" } else { name }
}

/// Whether what stands under `key` is something else than text. Told by the value too: a client can
/// write anything anywhere.
fn is_no_text(key: &str, text: &str) -> bool {
    if NAMES.contains(&key) {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte);
        return text.len() <= NAME_BYTES_MAX && text.bytes().all(is_name);
    }
    if ENCODED.contains(&key) {
        return is_encoded(text);
    }
    is_picture(text)
}

/// `data:image/png;base64,…`, with nothing but base64 behind it.
fn is_picture(text: &str) -> bool {
    const HEAD_BYTES_MAX: usize = 64;
    let Some(rest) = text.strip_prefix("data:") else {
        return false;
    };
    let head = rest.get(..HEAD_BYTES_MAX).unwrap_or(rest);
    let encoded = head
        .find(";base64,")
        .and_then(|at| rest.get(at + ";base64,".len()..));
    encoded.is_some_and(is_encoded)
}

fn is_encoded(text: &str) -> bool {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte);
    text.len() >= ENCODED_BYTES_MIN && text.bytes().all(is_base64)
}

/// Spans in order and apart, each with what takes its place.
fn spliced(document: &[u8], edits: &[(Range<usize>, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(document.len() + 64);
    let mut copied = 0;
    for (span, with) in edits {
        out.extend_from_slice(&document[copied..span.start]);
        out.extend_from_slice(with);
        copied = span.end;
    }
    out.extend_from_slice(&document[copied..]);
    out
}

/// As a JSON string.
fn quoted(text: &str) -> Vec<u8> {
    serde_json::to_vec(text).unwrap_or_else(|_| b"\"\"".to_vec())
}

/// What stands between the quotes of `text` as a JSON string: for text that goes into arguments.
pub fn escaped(text: &str) -> Cow<'_, str> {
    let is_plain = text
        .bytes()
        .all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if is_plain {
        return Cow::Borrowed(text);
    }
    let quoted = quoted(text);
    Cow::Owned(String::from_utf8_lossy(&quoted[1..quoted.len() - 1]).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn upper(document: &str) -> String {
        let edited = edit(document.as_bytes(), |text| {
            text.contains("anna")
                .then(|| text.replace("anna", "[NAME]\"\n"))
        });
        edited.map_or_else(
            || document.to_owned(),
            |bytes| String::from_utf8(bytes).unwrap(),
        )
    }

    #[test]
    fn texts_are_edited_wherever_they_stand_and_nothing_else_changes() {
        for (document, expected) in [
            (
                r#"{ "model": "anna", "messages" : [ {"role":"user","content":"I am anna"} ], "x": 1.50 }"#,
                r#"{ "model": "anna", "messages" : [ {"role":"user","content":"I am [NAME]\"\n"} ], "x": 1.50 }"#,
            ),
            (
                r#"{"messages":[{"content":[{"type":"text","text":"anna"}]}]}"#,
                r#"{"messages":[{"content":[{"type":"text","text":"[NAME]\"\n"}]}]}"#,
            ),
            (r#"{"id":"anna b"}"#, r#"{"id":"[NAME]\"\n b"}"#),
            (r#"{"data":"anna"}"#, r#"{"data":"[NAME]\"\n"}"#),
            (
                r#"{"input":["b","\u0061nna"]}"#,
                r#"{"input":["b","[NAME]\"\n"]}"#,
            ),
            (
                r#"{"unheard_of":{"deep":["anna"]}}"#,
                r#"{"unheard_of":{"deep":["[NAME]\"\n"]}}"#,
            ),
            (
                r#"{"choices":[{"content":"bob","logprobs":{"content":[{"token":"anna"}]}}]}"#,
                r#"{"choices":[{"content":"bob","logprobs":{"content":[{"token":"anna"}]}}]}"#,
            ),
            (
                r#"{"choices":[{"logprobs":{"content":[{"token":"anna"}]},"content":"anna"}]}"#,
                r#"{"choices":[{"logprobs":null,"content":"[NAME]\"\n"}]}"#,
            ),
            (
                r#"{"metadata":{"logprobs":{"x":"anna"}}}"#,
                r#"{"metadata":{"logprobs":{"x":"[NAME]\"\n"}}}"#,
            ),
            (r#"{"logprobs":"anna"}"#, r#"{"logprobs":"[NAME]\"\n"}"#),
            ("anna says", "[NAME]\"\n says"),
            (
                r#"{"content":"anna""#,
                r#"{"content":"[NAME]"
""#,
            ),
        ] {
            assert_eq!(upper(document), expected, "{document}");
        }
    }

    #[test]
    fn names_that_the_protocol_does_not_know_are_texts() {
        for (document, expected) in [
            (
                r#"{"metadata": {"anna":"1"}}"#,
                r#"{"metadata": {"[NAME]\"\n":"1"}}"#,
            ),
            (r#"{ "anna" : 1 }"#, r#"{ "[NAME]\"\n" : 1 }"#),
            (
                r#"{"tools":[{"function":{"parameters":{"properties":{"\u0061nna":{"type":"string"}}}}}]}"#,
                r#"{"tools":[{"function":{"parameters":{"properties":{"[NAME]\"\n":{"type":"string"}}}}}]}"#,
            ),
            (
                r#"{"choices":[{"message":{"content":"hi","x":{"anna":1}}}]}"#,
                r#"{"choices":[{"message":{"content":"hi","x":{"[NAME]\"\n":1}}}]}"#,
            ),
        ] {
            assert_eq!(upper(document), expected, "{document}");
        }
    }

    #[test]
    fn names_that_become_the_same_are_told_apart() {
        let document = r#"{"a@x":1,"[EMAIL]_2":{"c@x":0},"b@x":2,"[EMAIL]":3,"d@x":4}"#;
        let edited = edit(document.as_bytes(), |text| {
            text.contains('@').then(|| "[EMAIL]".to_owned())
        });
        assert_eq!(
            String::from_utf8(edited.unwrap()).unwrap(),
            r#"{"[EMAIL]_3":1,"[EMAIL]_2":{"[EMAIL]":0},"[EMAIL]_4":2,"[EMAIL]":3,"[EMAIL]_5":4}"#
        );
    }

    #[test]
    fn thousands_of_names_that_become_the_same_are_told_apart() {
        let members: Vec<String> = (0..10_000).map(|at| format!("\"{at}@x\":0")).collect();
        let document = format!("{{{}}}", members.join(","));
        let edited = edit(document.as_bytes(), |_| Some("[EMAIL]".to_owned())).unwrap();
        crate::json::strict::check(&edited, |_| {}).unwrap();
    }

    /// A document of any form, and the names and texts in it.
    fn documents() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<u32>().prop_map(serde_json::Value::from),
            "[a-z]{0,3}".prop_map(serde_json::Value::from),
            Just(serde_json::Value::from(PLANTED)),
        ];
        let name = prop_oneof![
            3 => prop::sample::select(vec!["content", "type", "model", "metadata", "data", "choices"])
                .prop_map(str::to_owned),
            2 => "[a-z\"]{0,3}",
            1 => Just(PLANTED.to_owned()),
            1 => Just(format!("{PLANTED}2")),
        ];
        let value = leaf.prop_recursive(4, 24, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
                prop::collection::vec((name.clone(), inner), 0..5)
                    .prop_map(serde_json::Value::from_iter),
            ]
        });
        value.prop_map(|value| serde_json::json!({"x": value}))
    }

    /// No name of the protocol, wherever it stands.
    const PLANTED: &str = "anna \"S.\" é";

    proptest! {
        #[test]
        fn what_is_planted_anywhere_is_found_and_taken_out(document in documents()) {
            let written = document.to_string();
            let edited = edit(written.as_bytes(), |text| {
                text.contains("anna").then(|| "[NAME]".to_owned())
            });
            let planted = written.contains("anna");
            prop_assert_eq!(edited.is_some(), planted);
            let edited = edited.unwrap_or_else(|| written.clone().into_bytes());
            prop_assert!(!String::from_utf8_lossy(&edited).contains("anna"));
            // As strictly as it will be read again.
            let strict = crate::json::strict::check(&edited, |_| ());
            prop_assert!(strict.is_ok());
            let mut shown = Vec::new();
            each(written.as_bytes(), |text| shown.push(text.to_owned()));
            let mut turns = Vec::new();
            each_turn(written.as_bytes(), |_, text| turns.push(text.to_owned()));
            prop_assert_eq!(shown, turns);
        }
    }

    #[test]
    fn pictures_and_sound_are_no_texts_and_cannot_hide_one() {
        let encoded = "anna".repeat(40);
        for document in [
            format!(r#"{{"image_url":{{"url":"data:image/png;base64,{encoded}"}}}}"#),
            format!(r#"{{"input_audio":{{"data":"{encoded}","format":"wav"}}}}"#),
        ] {
            assert_eq!(upper(&document), document);
            let with_text = document.replace("annaanna\"", "anna is here\"");
            assert_ne!(upper(&with_text), with_text);
        }
    }

    #[test]
    fn arguments_of_tools_are_texts_within_json_within_a_string() {
        let document = r#"{"tool_calls":[{"id":"anna","function":{"name":"f","arguments":"{\"who\":\"\\u0061nna\",\"n\":1}"}}]}"#;
        let expected = r#"{"tool_calls":[{"id":"anna","function":{"name":"f","arguments":"{\"who\":\"[NAME]\\\"\\n\",\"n\":1}"}}]}"#;
        assert_eq!(upper(document), expected);
        let cut = r#"{"arguments":"{\"who\": anna"}"#;
        assert_eq!(upper(cut), r#"{"arguments":"{\"who\": [NAME]\"\n"}"#);
    }

    #[test]
    fn texts_are_told_what_they_are_called_unless_the_protocol_calls_them_so() {
        let mut seen = Vec::new();
        let document = r#"{"messages":[{"content":"c","tool_calls":[{"function":{"arguments":"{\"pin\":\"4\"}"}}]}],
            "metadata":{"dateOfBirth":"d","list":["e",["f",{"g":"h"}]],"content":["i"]}}"#;
        edit_called(document.as_bytes(), |called, text| {
            seen.push(format!("{called}={text}"));
            None
        });
        let expected = "=c =pin pin=4 =dateOfBirth dateOfBirth=d =list list=e list=f =g g=h =i";
        assert_eq!(seen.join(" "), expected);
    }

    #[test]
    fn every_text_is_shown_and_names_of_the_protocol_are_not() {
        let mut seen = Vec::new();
        let document =
            r#"{"model":"m","messages":[{"role":"user","name":"n","content":"c"}],"user":"u"}"#;
        each(document.as_bytes(), |text| seen.push(text.to_owned()));
        assert_eq!(seen, ["n", "c", "u"]);
    }

    #[test]
    fn what_goes_into_arguments_is_escaped_there() {
        assert_eq!(escaped("plain é"), "plain é");
        assert_eq!(escaped("a\"b\\\n"), "a\\\"b\\\\\\n");
    }
}
