//! Reads what the gateway must know of a request, and edits only what must change, by splicing.
//!
//! It does not judge what it need not know: fields and shapes that it does not read pass through,
//! and the upstream says what it thinks of them.

mod audio;
mod count;
mod fields;
mod image;
mod size;
mod splice;

use std::fmt;

use bytes::Bytes;
use domain::ModelName;
use domain::usage::ServiceTier;

use crate::json::Json;
use crate::{Encoding, Operation};
use fields::Fields;
use image::ImageRule;
use size::PromptSize;
use splice::Splice;

/// A request as read. The body keeps the client's bytes.
#[derive(Clone)]
pub struct Request {
    pub operation: Operation,
    /// The path's deployment where there is one, else the body's `model`.
    pub model: ModelName,
    pub stream: bool,
    /// The client itself set `stream_options.include_usage: true`.
    pub wants_usage: bool,
    /// The larger of `max_completion_tokens` and `max_tokens`, since backends differ in which they
    /// obey; of one choice.
    pub answer_tokens_max: Option<u64>,
    /// `n` (or `best_of` if larger), for each of a completion's prompts; at least 1.
    pub choices: u64,
    /// Which the provider is asked to serve it at.
    pub tier: ServiceTier,
    /// Sound is in the prompt, or asked for in the answer.
    pub has_audio: bool,
    body: Bytes,
    size: PromptSize,
    /// Replaces the model's value, or puts in the member that is missing.
    model_place: Splice,
    /// Turns on `stream_options.include_usage` where that takes a change.
    include_usage: Option<Splice>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RequestError {
    pub message: String,
    /// The field at fault, as OpenAI's `param`.
    pub param: Option<String>,
}

/// Longer names are refused: they end in records, which must not grow by a client's choice.
const MODEL_BYTES_MAX: usize = 256;

/// Refuses what is not one JSON object, any duplicate key at any depth, a missing or empty model.
pub fn read(
    operation: Operation,
    body: Bytes,
    deployment: Option<&str>,
) -> Result<Request, RequestError> {
    let fields = Fields::read(operation, &body)?;
    let model = match (deployment, fields.model) {
        (Some(deployment), _) => model_name(deployment)?,
        (None, Some(span)) if span.of(&body) != b"null" => {
            match Json::whole(span.of(&body)).text() {
                Some(name) => model_name(&name)?,
                None => return Err(RequestError::field("model", "must be a string")),
            }
        }
        (None, _) => return Err(RequestError::field("model", "is required")),
    };
    let size = PromptSize::of(
        operation,
        &body,
        &fields,
        ImageRule::of_model(model.as_str()),
    );
    Ok(Request {
        operation,
        model,
        stream: fields.stream,
        wants_usage: fields.wants_usage,
        answer_tokens_max: fields.answer_tokens_max,
        choices: fields.choices,
        tier: fields.tier,
        has_audio: size.has_audio || fields.speaks,
        size,
        model_place: splice::model(&body, fields.model),
        include_usage: if fields.stream {
            splice::include_usage(&body, fields.stream_options)
        } else {
            None
        },
        body,
    })
}

fn model_name(name: &str) -> Result<ModelName, RequestError> {
    if name.is_empty() {
        return Err(RequestError::field("model", "must not be empty"));
    }
    if name.len() > MODEL_BYTES_MAX {
        return Err(RequestError::field(
            "model",
            &format!("must not be longer than {MODEL_BYTES_MAX} bytes"),
        ));
    }
    if name.chars().any(char::is_control) {
        return Err(RequestError::field(
            "model",
            "must not hold control characters",
        ));
    }
    Ok(ModelName::from(name))
}

impl Request {
    /// No tokenizer makes more tokens of this prompt. Cheap: lengths and counts only. Images and
    /// audio by the provider's published rules, at their highest.
    pub fn prompt_tokens_bound(&self) -> u64 {
        self.size.tokens_bound
    }

    /// Bytes of text in the prompt: what the learned bytes-per-token ratio applies to. A token id
    /// counts as four bytes.
    pub fn prompt_text_bytes(&self) -> u64 {
        self.size.text_bytes
    }

    /// The prompt's tokens by the model's tokenizer and the provider's published overheads.
    pub fn prompt_tokens(&self, encoding: Encoding) -> u64 {
        let body = Json::whole(&self.body);
        let tokens = match self.operation {
            Operation::ChatCompletions => {
                count::chat(body, encoding, ImageRule::of_model(self.model.as_str()))
            }
            Operation::Completions => {
                count::text_or_ids(body.get("prompt"), encoding) + count::suffix(body, encoding)
            }
            Operation::Embeddings => count::text_or_ids(body.get("input"), encoding),
        };
        tokens.min(self.size.tokens_bound)
    }

    /// The body to send: the model's name replaced by `deployment`, and for streams
    /// `stream_options.include_usage` true. The very same bytes where nothing changes.
    pub fn body_for(&self, deployment: &str) -> Bytes {
        let keeps_model = Json::whole(self.model_place.span.of(&self.body))
            .text()
            .is_some_and(|model| model == deployment);
        let model = (!keeps_model).then(|| self.model_place.with_model(deployment));
        splice::apply(&self.body, model.as_ref(), self.include_usage.as_ref())
    }

    /// The same request as if the client had asked for this model. Read anew, because what images
    /// and audio take depends on the model.
    pub fn asking_for(&self, model: &ModelName) -> Result<Self, RequestError> {
        read(self.operation, self.body.clone(), Some(model.as_str()))
    }

    /// The client's bytes, unless [`Self::with_body`] put others in their place.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The same request with another body, read as strictly as a client's.
    pub fn with_body(&self, body: Bytes) -> Result<Self, RequestError> {
        read(self.operation, body, Some(self.model.as_str()))
    }

    pub fn body_len(&self) -> usize {
        self.body.len()
    }
}

/// Leaves the body out: logs hold no prompts.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("operation", &self.operation)
            .field("model", &self.model)
            .field("stream", &self.stream)
            .field("wants_usage", &self.wants_usage)
            .field("answer_tokens_max", &self.answer_tokens_max)
            .field("choices", &self.choices)
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl RequestError {
    fn field(name: &str, problem: &str) -> Self {
        Self {
            message: format!("`{name}` {problem}"),
            param: Some(name.to_owned()),
        }
    }
}

/// Where something stands in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    start: usize,
    end: usize,
}

impl Span {
    fn of(self, body: &[u8]) -> &[u8] {
        body.get(self.start..self.end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
