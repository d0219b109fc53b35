//! A whole answer as the stream that it might have been.

use super::{Given, put_id, put_member, put_number, put_text, put_usage};
use crate::Operation;
use crate::json::Json;

/// A piece has at least this much of the text, and goes on to the end of a word.
const PIECE_BYTES_MIN: usize = 16;
/// Languages without spaces are cut between characters.
const PIECE_BYTES_MAX: usize = 64;

/// Members of an answer that its events do not repeat, or that stand elsewhere in them.
const OF_THE_WHOLE: [&str; 7] = [
    "id", "object", "created", "model", "choices", "usage", "events",
];

pub(super) fn events(
    operation: Operation,
    document: &[u8],
    given: &Given<'_>,
    wants_usage: bool,
) -> Vec<u8> {
    let document = Json::whole(document);
    let mut stream = Stream::new(operation, document, given, wants_usage);
    let choices = document.get("choices").into_iter().flat_map(Json::elements);
    for (place, choice) in (0u64..).zip(choices) {
        let written = choice.get("index").map(Json::raw);
        let index = written
            .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
            .unwrap_or(place);
        stream.choice(index, choice);
    }
    if wants_usage {
        stream.event(|out| {
            out.extend_from_slice(b"\"choices\":[],\"usage\":");
            put_usage(out, operation, given.usage);
        });
    }
    stream.out.extend_from_slice(b"data: [DONE]\n\n");
    stream.out
}

struct Stream {
    out: Vec<u8>,
    /// What each event begins with.
    head: Vec<u8>,
    is_chat: bool,
    /// Where usage is wanted, every other event says that it has none.
    tail: &'static [u8],
}

impl Stream {
    fn new(operation: Operation, document: Json<'_>, given: &Given<'_>, wants_usage: bool) -> Self {
        let is_chat = operation == Operation::ChatCompletions;
        let mut head = Vec::with_capacity(256);
        head.extend_from_slice(b"data: {");
        put_member(&mut head, "id", |out| put_id(out, operation, given));
        let object = if is_chat {
            "chat.completion.chunk"
        } else {
            "text_completion"
        };
        put_member(&mut head, "object", |out| put_text(out, object));
        put_member(&mut head, "created", |out| put_number(out, given.created));
        let model = document.get("model").and_then(Json::text);
        let model = model.as_deref().unwrap_or(given.model);
        put_member(&mut head, "model", |out| put_text(out, model));
        for (key, value) in document.members() {
            if !OF_THE_WHOLE.contains(&&*key) {
                put_member(&mut head, &key, |out| out.extend_from_slice(value.raw()));
            }
        }
        head.push(b',');
        Self {
            out: Vec::with_capacity(4 * document.raw().len() + 1024),
            head,
            is_chat,
            tail: if wants_usage { b",\"usage\":null" } else { b"" },
        }
    }

    fn event(&mut self, rest: impl FnOnce(&mut Vec<u8>)) {
        self.out.extend_from_slice(&self.head);
        rest(&mut self.out);
        self.out.extend_from_slice(b"}\n\n");
    }

    fn of_choice(&mut self, index: u64, finish: &str, said: impl FnOnce(&mut Vec<u8>)) {
        let tail = self.tail;
        self.event(|out| {
            out.extend_from_slice(b"\"choices\":[{\"index\":");
            put_number(out, index);
            out.push(b',');
            said(out);
            out.extend_from_slice(b",\"finish_reason\":");
            out.extend_from_slice(finish.as_bytes());
            out.extend_from_slice(b"}]");
            out.extend_from_slice(tail);
        });
    }

    fn choice(&mut self, index: u64, choice: Json<'_>) {
        let message = choice.get("message");
        if let Some(message) = message {
            self.role(index, message);
            // What was thought was said first.
            for name in ["reasoning_content", "reasoning", "content"] {
                if let Some(text) = message.get(name).and_then(Json::text) {
                    self.text(index, name, &text);
                }
            }
        } else if let Some(text) = choice.get("text").and_then(Json::text) {
            self.text(index, "text", &text);
        }
        self.end(index, choice);
    }

    /// The first event of a choice: who speaks, and what is no text.
    fn role(&mut self, index: u64, message: Json<'_>) {
        self.of_choice(index, "null", |out| {
            out.extend_from_slice(b"\"delta\":{\"role\":\"assistant\",\"content\":\"\"");
            for (key, value) in message.members() {
                let is_said = matches!(
                    &*key,
                    "role" | "content" | "reasoning_content" | "reasoning" | "tool_calls"
                );
                if !is_said {
                    put_member(out, &key, |out| out.extend_from_slice(value.raw()));
                }
            }
            out.push(b'}');
        });
    }

    fn text(&mut self, index: u64, name: &str, text: &str) {
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(piece_length(rest));
            rest = after;
            let is_chat = self.is_chat;
            self.of_choice(index, "null", |out| {
                if is_chat {
                    out.extend_from_slice(b"\"delta\":{");
                    put_member(out, name, |out| put_text(out, piece));
                    out.push(b'}');
                } else {
                    put_text(out, name);
                    out.push(b':');
                    put_text(out, piece);
                    out.extend_from_slice(b",\"logprobs\":null");
                }
            });
        }
    }

    fn end(&mut self, index: u64, choice: Json<'_>) {
        let finish = choice.get("finish_reason").map(Json::raw);
        let finish = finish.and_then(|raw| std::str::from_utf8(raw).ok());
        let is_chat = self.is_chat;
        self.of_choice(index, finish.unwrap_or("null"), |out| {
            let nothing: &[u8] = if is_chat {
                b"\"delta\":{}"
            } else {
                b"\"text\":\"\",\"logprobs\":null"
            };
            out.extend_from_slice(nothing);
            for (key, value) in choice.members() {
                let is_said = matches!(
                    &*key,
                    "index" | "message" | "text" | "finish_reason" | "logprobs" | "delta"
                );
                if !is_said {
                    put_member(out, &key, |out| out.extend_from_slice(value.raw()));
                }
            }
        });
    }
}

/// To the end of a word, so that what a reader sees grows as it does when a model writes.
fn piece_length(text: &str) -> usize {
    let mut in_word = false;
    for (at, character) in text.char_indices() {
        let is_space = character.is_whitespace();
        if at >= PIECE_BYTES_MIN && is_space && in_word || at >= PIECE_BYTES_MAX {
            return at;
        }
        in_word = !is_space;
    }
    text.len()
}
