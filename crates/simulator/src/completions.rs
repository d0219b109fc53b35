//! Legacy completions on the wire, unary and streamed.

use serde_json::{Value, json};

use crate::answer::{Answer, Choice, Content};
use crate::chat::{harmless, quoted};
use crate::delivery::Pieces;
use crate::route::Provider;
use crate::service::call::Asked;
use crate::usage;

pub fn unary(asked: &Asked<'_>, answer: &Answer) -> Pieces {
    let choices = answer.choices.iter().enumerate().map(|(index, choice)| {
        let mut written = json!({
            "text": pieces_of(choice).concat(),
            "index": index,
            "logprobs": null,
            "finish_reason": choice.finish_reason,
        });
        if asked.provider == Provider::Azure {
            written["content_filter_results"] = harmless();
        }
        written
    });
    let mut body = json!({
        "id": asked.id,
        "object": "text_completion",
        "created": asked.created,
        "model": asked.model,
        "choices": choices.collect::<Vec<_>>(),
    });
    let prompt = asked.question.prompt_tokens;
    if let Some(usage) = usage::of(
        asked.behaviour,
        prompt,
        answer.completion_tokens(),
        Some(answer),
    ) {
        body["usage"] = usage;
    }
    Pieces::whole(body.to_string(), answer.visible_tokens)
}

pub fn stream(asked: &Asked<'_>, answer: &Answer) -> Pieces {
    let Asked {
        id, created, model, ..
    } = asked;
    let before_choices =
        format!(r#"{{"id":"{id}","object":"text_completion","created":{created},"choices":["#);
    let after_choices = format!(r#"],"model":{}"#, quoted(model));
    let per_chunk = asked.behaviour.words_per_chunk.max(1) as usize;
    let mut pieces = Pieces::default();
    let mut written = 0;
    for (index, choice) in answer.choices.iter().enumerate() {
        let mut event = |text: &str, finish_reason: Value, tokens: u64| {
            written += tokens;
            let is_last = !finish_reason.is_null() && index + 1 == answer.choices.len();
            let choice = format!(
                r#"{{"text":{},"index":{index},"logprobs":null,"finish_reason":{finish_reason}}}"#,
                quoted(text)
            );
            let usage = asked.chunk_usage(is_last, written, answer);
            pieces.event(
                tokens,
                &[&before_choices, &choice, &after_choices, &usage, "}"],
            );
        };
        for words in pieces_of(choice).chunks(per_chunk) {
            event(&words.concat(), Value::Null, words.len() as u64);
        }
        event("", json!(choice.finish_reason), 0);
    }
    if let Some(usage) = asked.closing_usage(answer) {
        pieces.event(0, &[&before_choices, &after_choices, &usage, "}"]);
    }
    pieces.event(0, &["[DONE]"]);
    pieces
}

fn pieces_of(choice: &Choice) -> &[String] {
    match &choice.content {
        Content::Text(pieces)
        | Content::ToolCall {
            arguments: pieces, ..
        } => pieces,
    }
}
