//! An answer given again: which ones may be, and how, whole or as the stream that another client asks
//! for.
//!
//! What is kept is a document in the form of a unary answer, however its first client asked for it. It
//! is given with an id, a time and a usage of its own; all else is as the provider said it.

mod pieces;

use domain::Usage;

use crate::Operation;
use crate::json::{Json, scan};

/// Why an answer is not given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    Unreadable,
    /// A tool is to be called: what it will do, it may do once.
    Tools,
    Refusal,
    Audio,
    /// It was cut short, or filtered.
    NotStopped,
}

/// Whether an answer may be given again to whoever asks the same.
pub fn fitness(operation: Operation, document: &[u8]) -> Result<(), Unfit> {
    let list = match operation {
        Operation::Embeddings => "data",
        Operation::ChatCompletions | Operation::Completions => "choices",
    };
    let Ok([list, error, events]) = scan::members(document, [list, "error", "events"]) else {
        return Err(Unfit::Unreadable);
    };
    let list = list
        .filter(|list| list.is_array())
        .ok_or(Unfit::Unreadable)?;
    // Events that nobody knows are in no other form.
    if events.is_some() || error.is_some_and(|error| !error.is_null()) {
        return Err(Unfit::Unreadable);
    }
    let mut elements = 0;
    for element in list.elements() {
        if operation != Operation::Embeddings {
            choice_fitness(element)?;
        }
        elements += 1;
    }
    if elements == 0 {
        return Err(Unfit::Unreadable);
    }
    Ok(())
}

fn choice_fitness(choice: Json<'_>) -> Result<(), Unfit> {
    let finish = choice.get("finish_reason").and_then(Json::text);
    match finish.as_deref() {
        Some("stop") => {}
        Some("tool_calls" | "function_call") => return Err(Unfit::Tools),
        _ => return Err(Unfit::NotStopped),
    }
    let Some(message) = choice.get("message") else {
        let is_text = choice.get("text").is_some_and(Json::is_string);
        return if is_text {
            Ok(())
        } else {
            Err(Unfit::Unreadable)
        };
    };
    let says = |name| {
        message
            .get(name)
            .is_some_and(|value| !value.is_null() && value.raw() != b"[]")
    };
    if says("tool_calls") || says("function_call") {
        return Err(Unfit::Tools);
    }
    if says("audio") {
        return Err(Unfit::Audio);
    }
    if says("refusal") {
        return Err(Unfit::Refusal);
    }
    match message.get("content") {
        Some(content) if content.is_string() => Ok(()),
        _ => Err(Unfit::Unreadable),
    }
}

/// What is its own of an answer that is given again.
#[derive(Clone, Copy, Debug)]
pub struct Given<'g> {
    /// Of the call that gets it, without the kind of answer before it.
    pub id: &'g str,
    /// In seconds since 1970.
    pub created: i64,
    /// Where the document does not say which model answered.
    pub model: &'g str,
    /// As the provider counted it. It is told with all of the prompt cached.
    pub usage: &'g Usage,
}

/// The document as a unary answer.
pub fn whole(operation: Operation, document: &[u8], given: &Given<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(document.len() + 256);
    out.push(b'{');
    let is_vectors = operation == Operation::Embeddings;
    if !is_vectors {
        put_member(&mut out, "id", |out| put_id(out, operation, given));
        put_member(&mut out, "created", |out| put_number(out, given.created));
    }
    let (mut has_object, mut has_model) = (false, false);
    for (key, value) in Json::whole(document).members() {
        match &*key {
            "usage" => continue,
            "id" | "created" if !is_vectors => continue,
            "object" => has_object = true,
            "model" => has_model = true,
            _ => {}
        }
        put_member(&mut out, &key, |out| out.extend_from_slice(value.raw()));
    }
    if !has_object {
        put_member(&mut out, "object", |out| put_text(out, object(operation)));
    }
    if !has_model {
        put_member(&mut out, "model", |out| put_text(out, given.model));
    }
    put_member(&mut out, "usage", |out| {
        put_usage(out, operation, given.usage);
    });
    out.push(b'}');
    out
}

/// The document as server-sent events: for each choice its role, its text in pieces that end with
/// words, and its end; then the usage, if it is wanted, and `[DONE]`.
pub fn events(
    operation: Operation,
    document: &[u8],
    given: &Given<'_>,
    wants_usage: bool,
) -> Vec<u8> {
    pieces::events(operation, document, given, wants_usage)
}

/// A document made of a stream does not say which model answered.
pub fn with_model(document: &[u8], model: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(document.len() + model.len() + 16);
    out.push(b'{');
    put_member(&mut out, "model", |out| put_text(out, model));
    for (key, value) in Json::whole(document).members() {
        if key != "model" {
            put_member(&mut out, &key, |out| out.extend_from_slice(value.raw()));
        }
    }
    out.push(b'}');
    out
}

fn object(operation: Operation) -> &'static str {
    match operation {
        Operation::ChatCompletions => "chat.completion",
        Operation::Completions => "text_completion",
        Operation::Embeddings => "list",
    }
}

fn put_member(out: &mut Vec<u8>, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
    if !matches!(out.last(), None | Some(b'{')) {
        out.push(b',');
    }
    put_text(out, key);
    out.push(b':');
    value(out);
}

fn put_id(out: &mut Vec<u8>, operation: Operation, given: &Given<'_>) {
    let kind = match operation {
        Operation::ChatCompletions => "chatcmpl-",
        Operation::Completions | Operation::Embeddings => "cmpl-",
    };
    put_text(out, &format!("{kind}{}", given.id));
}

fn put_number(out: &mut Vec<u8>, number: impl std::fmt::Display) {
    out.extend_from_slice(number.to_string().as_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, text);
}

fn put_usage(out: &mut Vec<u8>, operation: Operation, usage: &Usage) {
    out.push(b'{');
    put_member(out, "prompt_tokens", |out| put_number(out, usage.prompt));
    if operation != Operation::Embeddings {
        put_member(out, "completion_tokens", |out| {
            put_number(out, usage.completion);
        });
    }
    put_member(out, "total_tokens", |out| put_number(out, usage.total()));
    put_member(out, "prompt_tokens_details", |out| {
        out.extend_from_slice(b"{\"cached_tokens\":");
        put_number(out, usage.prompt);
        if operation == Operation::ChatCompletions {
            out.extend_from_slice(b",\"audio_tokens\":");
            put_number(out, usage.audio_prompt);
        }
        out.push(b'}');
    });
    // Also where they are none: clients read them without asking whether they are there.
    if operation == Operation::ChatCompletions || usage.reasoning > 0 {
        put_member(out, "completion_tokens_details", |out| {
            out.extend_from_slice(b"{\"reasoning_tokens\":");
            put_number(out, usage.reasoning);
            out.extend_from_slice(b",\"audio_tokens\":");
            put_number(out, usage.audio_completion);
            out.push(b'}');
        });
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests;
