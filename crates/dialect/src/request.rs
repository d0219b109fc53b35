//! Reads what the gateway must know of a request, and edits only what must change, by splicing.

use bytes::Bytes;
use domain::ModelName;

use crate::{Encoding, Operation};

/// A request as read. The body keeps the client's bytes.
#[derive(Clone, Debug)]
pub struct Request {
    pub operation: Operation,
    /// The path's deployment where there is one, else the body's `model`.
    pub model: ModelName,
    pub stream: bool,
    /// The client itself set `stream_options.include_usage: true`.
    pub wants_usage: bool,
    /// `max_completion_tokens`, else `max_tokens`; of one choice.
    pub answer_tokens_max: Option<u64>,
    /// `n` (or `best_of` if larger); at least 1.
    pub choices: u64,
    body: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RequestError {
    pub message: String,
    /// The field at fault, as OpenAI's `param`.
    pub param: Option<String>,
}

/// Refuses what is not one JSON object, any duplicate key at any depth, a missing or empty model.
pub fn read(operation: Operation, body: Bytes, deployment: Option<&str>) -> Result<Request, RequestError> {
    let _ = (operation, body, deployment);
    todo!()
}

impl Request {
    /// No tokenizer makes more tokens of this prompt. Cheap: lengths and counts only. Images and
    /// audio by the provider's published rules, at their highest.
    pub fn prompt_tokens_bound(&self) -> u64 {
        todo!()
    }

    /// Bytes of text in the prompt: what the learned bytes-per-token ratio applies to.
    pub fn prompt_text_bytes(&self) -> u64 {
        todo!()
    }

    /// The prompt's tokens by the model's tokenizer and the provider's published overheads.
    pub fn prompt_tokens(&self, encoding: Encoding) -> u64 {
        let _ = encoding;
        todo!()
    }

    /// The body to send: the model's name replaced by `deployment`, and for streams
    /// `stream_options.include_usage` true. The very same bytes where nothing changes.
    pub fn body_for(&self, deployment: &str) -> Bytes {
        let _ = deployment;
        todo!()
    }

    pub fn body_len(&self) -> usize {
        self.body.len()
    }
}
