//! Chat completions on the wire, unary and streamed, as OpenAI writes them and as Azure does.

use serde_json::{Value, json};

use crate::answer::{Answer, Choice, Content};
use crate::behaviour::UsageForm;
use crate::delivery::Pieces;
use crate::route::Provider;
use crate::service::call::Asked;
use crate::usage;

/// What Azure's content filter says of harmless text.
pub fn harmless() -> Value {
    let safe = json!({ "filtered": false, "severity": "safe" });
    json!({ "hate": safe, "self_harm": safe, "sexual": safe, "violence": safe })
}

pub fn unary(asked: &Asked<'_>, answer: &Answer) -> Pieces {
    let choices = answer
        .choices
        .iter()
        .enumerate()
        .map(|(index, choice)| whole_choice(asked, index, choice));
    let mut body = json!({
        "id": asked.id,
        "object": "chat.completion",
        "created": asked.created,
        "model": asked.model,
        "choices": choices.collect::<Vec<_>>(),
        "system_fingerprint": asked.fingerprint,
    });
    if asked.provider == Provider::OpenAi {
        body["service_tier"] = json!("default");
    } else {
        body["prompt_filter_results"] =
            json!([{ "prompt_index": 0, "content_filter_results": harmless() }]);
    }
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

fn whole_choice(asked: &Asked<'_>, index: usize, choice: &Choice) -> Value {
    let message = match &choice.content {
        Content::Text(pieces) => {
            json!({ "role": "assistant", "content": pieces.concat(), "refusal": null, "annotations": [] })
        }
        Content::ToolCall {
            id,
            name,
            arguments,
        } => json!({
            "role": "assistant",
            "content": null,
            "tool_calls": [{
                "id": id,
                "type": "function",
                "function": { "name": name, "arguments": arguments.concat() },
            }],
            "refusal": null,
        }),
    };
    let mut written = json!({ "index": index, "message": message, "logprobs": null, "finish_reason": choice.finish_reason });
    if asked.provider == Provider::Azure {
        written["content_filter_results"] = harmless();
    }
    written
}

pub fn stream(asked: &Asked<'_>, answer: &Answer) -> Pieces {
    let mut stream = Stream {
        asked,
        answer,
        envelope: Envelope::of(asked),
        pieces: Pieces::default(),
        written: 0,
    };
    if asked.provider == Provider::Azure {
        stream.opening();
    }
    for (index, choice) in answer.choices.iter().enumerate() {
        stream.choice(index, choice);
    }
    stream.end();
    stream.pieces
}

struct Stream<'call> {
    asked: &'call Asked<'call>,
    answer: &'call Answer,
    envelope: Envelope,
    pieces: Pieces,
    /// Tokens so far.
    written: u64,
}

impl Stream<'_> {
    /// Azure speaks of the prompt first, in a chunk without choices, id or model.
    fn opening(&mut self) {
        let results = json!([{ "prompt_index": 0, "content_filter_results": harmless() }]);
        let usage = if self.asked.usage_wanted() {
            r#","usage":null"#
        } else {
            ""
        };
        self.pieces.event(
            0,
            &[r#"{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":"#, &results.to_string(), usage, "}"],
        );
    }

    fn choice(&mut self, index: usize, choice: &Choice) {
        let per_chunk = self.asked.behaviour.words_per_chunk.max(1) as usize;
        match &choice.content {
            Content::Text(pieces) => {
                self.delta(
                    index,
                    r#"{"role":"assistant","content":"","refusal":null}"#,
                    None,
                    0,
                );
                for words in pieces.chunks(per_chunk) {
                    let delta = format!(r#"{{"content":{}}}"#, quoted(&words.concat()));
                    self.delta(index, &delta, None, words.len() as u64);
                }
            }
            Content::ToolCall {
                id,
                name,
                arguments,
            } => {
                let opening = json!({
                    "role": "assistant",
                    "content": null,
                    "tool_calls": [{ "index": 0, "id": id, "type": "function", "function": { "name": name, "arguments": "" } }],
                    "refusal": null,
                });
                self.delta(
                    index,
                    &opening.to_string(),
                    None,
                    choice.tokens - arguments.len() as u64,
                );
                for fragment in arguments.chunks(per_chunk) {
                    let delta = format!(
                        r#"{{"tool_calls":[{{"index":0,"function":{{"arguments":{}}}}}]}}"#,
                        quoted(&fragment.concat())
                    );
                    self.delta(index, &delta, None, fragment.len() as u64);
                }
            }
        }
        self.delta(index, "{}", Some(choice.finish_reason), 0);
    }

    fn delta(&mut self, index: usize, delta: &str, finish_reason: Option<&str>, tokens: u64) {
        self.written += tokens;
        let finish_reason = finish_reason.map_or("null".to_owned(), quoted);
        let choice = match self.asked.provider {
            Provider::OpenAi => {
                format!(
                    r#"{{"index":{index},"delta":{delta},"logprobs":null,"finish_reason":{finish_reason}}}"#
                )
            }
            Provider::Azure => format!(
                r#"{{"content_filter_results":{},"delta":{delta},"finish_reason":{finish_reason},"index":{index},"logprobs":null}}"#,
                if tokens == 0 {
                    "{}"
                } else {
                    &self.envelope.harmless
                },
            ),
        };
        let is_last = finish_reason != "null" && index + 1 == self.answer.choices.len();
        let usage = self.asked.chunk_usage(is_last, self.written, self.answer);
        self.pieces.event(
            tokens,
            &[
                &self.envelope.before_choices,
                &choice,
                &self.envelope.after_choices,
                &usage,
                "}",
            ],
        );
    }

    fn end(&mut self) {
        if let Some(usage) = self.asked.closing_usage(self.answer) {
            self.pieces.event(
                0,
                &[
                    &self.envelope.before_choices,
                    &self.envelope.after_choices,
                    &usage,
                    "}",
                ],
            );
        }
        self.pieces.event(0, &["[DONE]"]);
    }
}

/// What stands around the choices of every chunk of one stream.
struct Envelope {
    before_choices: String,
    after_choices: String,
    harmless: String,
}

impl Envelope {
    fn of(asked: &Asked<'_>) -> Self {
        let Asked {
            id,
            created,
            model,
            fingerprint,
            ..
        } = asked;
        let model = quoted(model);
        let object = "chat.completion.chunk";
        let (before_choices, after_choices) = match asked.provider {
            Provider::OpenAi => (
                format!(
                    r#"{{"id":"{id}","object":"{object}","created":{created},"model":{model},"service_tier":"default","system_fingerprint":"{fingerprint}","choices":["#
                ),
                "]".to_owned(),
            ),
            Provider::Azure => (
                r#"{"choices":["#.to_owned(),
                format!(
                    r#"],"created":{created},"id":"{id}","model":{model},"object":"{object}","system_fingerprint":"{fingerprint}""#
                ),
            ),
        };
        Self {
            before_choices,
            after_choices,
            harmless: harmless().to_string(),
        }
    }
}

impl Asked<'_> {
    fn usage_wanted(&self) -> bool {
        self.question.include_usage && self.behaviour.usage != UsageForm::Missing
    }

    /// The `usage` of a chunk that has choices, with the comma before it.
    pub fn chunk_usage(&self, is_last: bool, written: u64, answer: &Answer) -> String {
        if !self.usage_wanted() {
            return String::new();
        }
        let usage = match self.behaviour.usage {
            UsageForm::LastChoice if is_last => self.usage(answer.completion_tokens(), answer),
            UsageForm::EveryChunk => self.usage(written, answer),
            _ => Value::Null,
        };
        format!(r#","usage":{usage}"#)
    }

    /// The `usage` of the chunk of its own that ends a stream; `None` if there is no such chunk.
    pub fn closing_usage(&self, answer: &Answer) -> Option<String> {
        if !self.usage_wanted() || self.behaviour.usage == UsageForm::LastChoice {
            return None;
        }
        Some(format!(
            r#","usage":{}"#,
            self.usage(answer.completion_tokens(), answer)
        ))
    }

    fn usage(&self, completion: u64, answer: &Answer) -> Value {
        usage::of(
            self.behaviour,
            self.question.prompt_tokens,
            completion,
            Some(answer),
        )
        .unwrap_or(Value::Null)
    }
}

pub fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
