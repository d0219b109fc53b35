//! A streamed answer put together again, in the form that it would have had unary. For records: what
//! a client was sent in a hundred pieces is one text there, which can be read and searched.

use std::borrow::Cow;

use memchr::memchr;

use crate::json::{Json, scan};

/// Deeper events are no answers.
const DEPTH_MAX: usize = 16;
/// What a value costs beside its text, as memory is counted.
const NODE_BYTES: usize = 48;

/// Members whose later value takes the place of the earlier one; other texts go on where they stopped.
const REPLACED: [&str; 9] = [
    "role",
    "type",
    "id",
    "name",
    "object",
    "model",
    "finish_reason",
    "system_fingerprint",
    "service_tier",
];

/// Sound, and tokens one by one: what was said stands beside them as text.
const LEFT_OUT: [&str; 2] = ["data", "logprobs"];

#[derive(Debug)]
pub struct Transcript {
    bytes_max: usize,
    bytes: usize,
    is_cut: bool,
    /// As the first event that says so names it.
    model: Option<String>,
    choices: Node,
    /// Events without choices, as they came.
    others: Vec<Vec<u8>>,
}

#[derive(Debug)]
enum Node {
    Text(String),
    /// A number, `true` or `false`.
    Plain(String),
    Map(Vec<(String, Node)>),
    /// By the elements' own `index`, else by their place.
    List(Vec<(u64, Node)>),
}

impl Transcript {
    /// Past about `bytes_max` the rest is left out, and the document says so.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            bytes: 0,
            is_cut: false,
            model: None,
            choices: Node::List(Vec::new()),
            others: Vec::new(),
        }
    }

    /// Whole server-sent events. What cannot be read is left out.
    pub fn push(&mut self, events: &[u8]) {
        let mut rest = events;
        while !rest.is_empty() && !self.is_cut {
            let end = memchr(b'\n', rest).unwrap_or(rest.len());
            let line = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            if let Some(data) = line.strip_prefix(b"data:") {
                self.event(data.trim_ascii());
            }
        }
    }

    fn event(&mut self, data: &[u8]) {
        if !data.starts_with(b"{") {
            return; // `[DONE]`
        }
        let Some(choices) = Json::whole(data).get("choices") else {
            if scan::members(data, []).is_ok() {
                self.bytes += data.len() + NODE_BYTES;
                self.others.push(data.to_vec());
                self.is_cut = self.bytes > self.bytes_max;
            }
            return;
        };
        if self.model.is_none() {
            let model = Json::whole(data).get("model").and_then(Json::text);
            // Names are short; Azure's opening event has none.
            let model = model.filter(|name| !name.is_empty() && name.len() <= 256);
            self.model = model.map(Cow::into_owned);
        }
        let mut budget = self.bytes_max.saturating_sub(self.bytes);
        let before = budget;
        let is_whole = self.choices.merge("choices", choices, 0, &mut budget);
        self.bytes += before - budget;
        self.is_cut = !is_whole;
    }

    /// Something is left out. What ends the answer may be there all the same.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// What the provider called the model that answered.
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// `{"choices":[{"index":0,"message":{"role":"assistant","content":"…"},"finish_reason":"stop"}]}`;
    /// `None` if nothing was said.
    pub fn into_document(self) -> Option<Vec<u8>> {
        let Self {
            bytes,
            is_cut,
            choices,
            others,
            ..
        } = self;
        if bytes == 0 {
            return None;
        }
        let mut out = Vec::with_capacity(bytes + 64);
        out.extend_from_slice(b"{\"choices\":");
        choices.write(&mut out);
        if !others.is_empty() {
            out.extend_from_slice(b",\"events\":[");
            for (at, event) in others.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(event);
            }
            out.push(b']');
        }
        if is_cut {
            out.extend_from_slice(b",\"cut\":true");
        }
        out.push(b'}');
        Some(out)
    }
}

impl Node {
    /// Goes on with `value`. False once the budget is used up.
    fn merge(&mut self, key: &str, value: Json<'_>, depth: usize, budget: &mut usize) -> bool {
        if depth > DEPTH_MAX {
            return true;
        }
        if value.is_object() {
            return self.merge_members(value, depth, budget);
        }
        if value.is_array() {
            return self.merge_elements(key, value, depth, budget);
        }
        let Some(text) = value.text() else {
            *self = Self::Plain(String::from_utf8_lossy(value.raw()).into_owned());
            return true;
        };
        let Some(left) = budget.checked_sub(text.len()) else {
            return false;
        };
        *budget = left;
        match self {
            Self::Text(before) if !REPLACED.contains(&key) => before.push_str(&text),
            other => *other = Self::Text(text.into_owned()),
        }
        true
    }

    fn merge_members(&mut self, value: Json<'_>, depth: usize, budget: &mut usize) -> bool {
        if !matches!(self, Self::Map(_)) {
            *self = Self::Map(Vec::new());
        }
        let Self::Map(members) = self else {
            return true;
        };
        for (key, value) in value.members() {
            let key = match key {
                Cow::Borrowed("delta") => Cow::Borrowed("message"),
                key => key,
            };
            if value.is_null() || LEFT_OUT.contains(&&*key) {
                continue;
            }
            let known = members.iter().position(|(known, _)| *known == *key);
            let Some(at) = known.or_else(|| {
                *budget = budget.checked_sub(NODE_BYTES + key.len())?;
                members.push((key.to_string(), Self::Plain("null".to_owned())));
                Some(members.len() - 1)
            }) else {
                return false;
            };
            if !members[at].1.merge(&key, value, depth + 1, budget) {
                return false;
            }
        }
        true
    }

    fn merge_elements(
        &mut self,
        key: &str,
        value: Json<'_>,
        depth: usize,
        budget: &mut usize,
    ) -> bool {
        if !matches!(self, Self::List(_)) {
            *self = Self::List(Vec::new());
        }
        let Self::List(elements) = self else {
            return true;
        };
        for (place, value) in (0..).zip(value.elements()) {
            let index = value.get("index").and_then(number).unwrap_or(place);
            let known = elements.iter().position(|(known, _)| *known == index);
            let Some(at) = known.or_else(|| {
                *budget = budget.checked_sub(NODE_BYTES)?;
                elements.push((index, Self::Plain("null".to_owned())));
                Some(elements.len() - 1)
            }) else {
                return false;
            };
            if !elements[at].1.merge(key, value, depth + 1, budget) {
                return false;
            }
        }
        true
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => put_text(text, out),
            Self::Plain(plain) => out.extend_from_slice(plain.as_bytes()),
            Self::Map(members) => {
                out.push(b'{');
                for (at, (key, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    put_text(key, out);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
            Self::List(elements) => {
                out.push(b'[');
                for (at, (_, value)) in elements.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    value.write(out);
                }
                out.push(b']');
            }
        }
    }
}

fn number(value: Json<'_>) -> Option<u64> {
    std::str::from_utf8(value.raw()).ok()?.parse().ok()
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    // Texts always become JSON.
    if serde_json::to_writer(&mut *out, text).is_err() {
        out.extend_from_slice(b"\"\"");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn document(events: &[Value]) -> Value {
        let mut transcript = Transcript::new(100_000);
        for event in events {
            transcript.push(format!("data: {event}\n\n").as_bytes());
        }
        transcript.push(b"data: [DONE]\n\n");
        serde_json::from_slice(&transcript.into_document().unwrap()).unwrap()
    }

    #[test]
    fn pieces_become_the_unary_answer() {
        let delta = |delta: Value| json!({ "id": "c1", "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] });
        let told = document(&[
            delta(json!({ "role": "assistant", "content": "" })),
            delta(json!({ "content": "It is 384,400\u{202f}km" })),
            delta(json!({ "content": " \"away\".\n" })),
            json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] }),
        ]);
        assert_eq!(
            told,
            json!({ "choices": [{
                "index": 0,
                "message": { "role": "assistant", "content": "It is 384,400\u{202f}km \"away\".\n" },
                "finish_reason": "stop",
            }] })
        );
    }

    #[test]
    fn choices_and_tool_calls_go_on_by_their_own_index() {
        let told = document(&[
            json!({ "choices": [{ "index": 1, "delta": { "tool_calls": [{ "index": 2, "id": "x", "type": "function", "function": { "name": "find", "arguments": "{\"a\"" } }] } }] }),
            json!({ "choices": [{ "index": 0, "delta": { "content": "A" } }] }),
            json!({ "choices": [{ "index": 1, "delta": { "tool_calls": [{ "index": 2, "function": { "arguments": ":1}" } }] } }] }),
        ]);
        let choices = told["choices"].as_array().unwrap();
        assert_eq!(
            choices[0]["message"]["tool_calls"][0]["function"],
            json!({ "name": "find", "arguments": "{\"a\":1}" })
        );
        assert_eq!(choices[1]["message"]["content"], "A");
    }

    #[test]
    fn what_has_no_choices_is_kept_as_it_came() {
        let told = document(&[
            json!({ "choices": [{ "text": "so", "index": 0 }] }),
            json!({ "error": { "message": "overloaded" } }),
        ]);
        assert_eq!(told["choices"][0]["text"], "so");
        assert_eq!(told["events"][0]["error"]["message"], "overloaded");
    }

    #[test]
    fn past_its_bound_the_rest_is_left_out_and_the_document_says_so() {
        let mut transcript = Transcript::new(1_000);
        let event = json!({ "choices": [{ "index": 0, "delta": { "content": "x".repeat(300) } }] });
        for _ in 0..1_000 {
            transcript.push(format!("data: {event}\n\n").as_bytes());
        }
        assert!(transcript.is_cut());
        let told = transcript.into_document().unwrap();
        assert!(told.len() < 1_200, "{}", told.len());
        let told: Value = serde_json::from_slice(&told).unwrap();
        assert_eq!(told["cut"], true);
        assert!(
            told["choices"][0]["message"]["content"]
                .as_str()
                .unwrap()
                .starts_with("xxx")
        );
    }

    #[test]
    fn a_stream_that_said_nothing_leaves_no_document() {
        let mut transcript = Transcript::new(1_000);
        transcript.push(b": keep-alive\n\ndata: [DONE]\n\n");
        assert!(transcript.into_document().is_none());
    }

    proptest! {
        #[test]
        fn whatever_comes_the_document_is_json_within_its_bound(
            lines in prop::collection::vec("(data: ?)?[{}\\[\\]\",:a-z0-9\\\\ ]{0,60}\n", 0..40), max in 0..2_000_usize,
        ) {
            let mut transcript = Transcript::new(max);
            for line in &lines {
                transcript.push(line.as_bytes());
            }
            if let Some(document) = transcript.into_document() {
                prop_assert!(document.len() < 6 * max + 400);
                prop_assert!(serde_json::from_slice::<Value>(&document).is_ok(), "{}", String::from_utf8_lossy(&document));
            }
        }
    }
}
