//! The members of a request that the gateway reads, checked as far as it relies on them.

use domain::usage::ServiceTier;

use crate::json::{Json, strict};
use crate::{Operation, usage};

use super::{RequestError, Span};

#[derive(Debug, Default)]
pub(super) struct Fields {
    pub model: Option<Span>,
    pub stream: bool,
    pub stream_options: Option<Span>,
    pub wants_usage: bool,
    pub answer_tokens_max: Option<u64>,
    pub choices: u64,
    /// That it asks for, where the word is known.
    pub tier: ServiceTier,
    /// The answer may be spoken.
    pub speaks: bool,
    pub messages: Option<Span>,
    /// Some message may have content in parts.
    pub has_parts: bool,
    /// Raw length of the strings in the members that make up the prompt.
    pub text_bytes: usize,
    /// Token ids in `prompt` or `input`, and their raw length.
    pub ids: usize,
    pub id_bytes: usize,
}

impl Fields {
    pub(super) fn read(operation: Operation, body: &[u8]) -> Result<Self, RequestError> {
        let mut fields = Self {
            choices: 1,
            ..Self::default()
        };
        let mut prompts = 1;
        let mut fault = None;
        let verdict = strict::check(body, |member| {
            if fault.is_none() {
                fault = fields.take(operation, body, &member, &mut prompts).err();
            }
        });
        if let Err(strict::Fault { message, key }) = verdict {
            return Err(RequestError {
                message,
                param: key,
            });
        }
        if let Some(fault) = fault {
            return Err(fault);
        }
        fields.choices = fields.choices.saturating_mul(prompts);
        Ok(fields)
    }

    fn take(
        &mut self,
        operation: Operation,
        body: &[u8],
        member: &strict::Member<'_>,
        prompts: &mut u64,
    ) -> Result<(), RequestError> {
        let span = Span {
            start: member.value.start,
            end: member.value.end,
        };
        let value = Json::whole(span.of(body));
        match (operation, member.key.as_ref()) {
            (_, "model") => self.model = Some(span),
            (Operation::Embeddings, "input") | (Operation::Completions, "prompt") => {
                self.text_bytes += member.string_bytes;
                self.ids = member.scalars;
                self.id_bytes = member.scalar_bytes;
                *prompts = prompts_in(operation, value);
            }
            (Operation::Embeddings, _) => {}
            (_, "stream") => self.stream = flag(value, "stream")?,
            (_, "stream_options") => {
                self.stream_options = Some(span);
                self.wants_usage = wants_usage(value)?;
            }
            (_, name @ ("max_tokens" | "max_completion_tokens")) => {
                self.answer_tokens_max = self.answer_tokens_max.max(integer(value, name, 0)?);
            }
            (Operation::Completions, "best_of") => {
                self.choices = self.choices.max(integer(value, "best_of", 1)?.unwrap_or(1));
            }
            (_, "n") => self.choices = self.choices.max(integer(value, "n", 1)?.unwrap_or(1)),
            (_, "service_tier") => self.tier = usage::service_tier(value).unwrap_or_default(),
            (Operation::ChatCompletions, "modalities") => {
                self.speaks = value.elements().any(|kind| kind.raw() == br#""audio""#);
            }
            (Operation::Completions, "suffix") => self.text_bytes += member.string_bytes,
            (Operation::ChatCompletions, "messages") => {
                self.messages = Some(span);
                self.has_parts = member.has_parts;
                self.text_bytes += member.string_bytes;
            }
            (Operation::ChatCompletions, "tools" | "functions" | "response_format") => {
                self.text_bytes += member.string_bytes;
            }
            _ => {}
        }
        Ok(())
    }
}

/// A completion answers each of several prompts with `n` choices.
fn prompts_in(operation: Operation, value: Json<'_>) -> u64 {
    let is_list = value
        .elements()
        .next()
        .is_some_and(|first| first.is_string() || first.is_array());
    match operation {
        Operation::Completions if is_list => value.elements().count() as u64,
        Operation::ChatCompletions | Operation::Completions | Operation::Embeddings => 1,
    }
}

fn wants_usage(options: Json<'_>) -> Result<bool, RequestError> {
    if options.is_null() {
        return Ok(false);
    }
    if !options.is_object() {
        return Err(RequestError::field("stream_options", "must be an object"));
    }
    match options.get("include_usage") {
        Some(value) => flag(value, "stream_options.include_usage"),
        None => Ok(false),
    }
}

fn flag(value: Json<'_>, name: &str) -> Result<bool, RequestError> {
    match value.raw() {
        b"true" => Ok(true),
        b"false" | b"null" => Ok(false),
        _ => Err(RequestError::field(name, "must be true or false")),
    }
}

fn integer(value: Json<'_>, name: &str, min: u64) -> Result<Option<u64>, RequestError> {
    if value.is_null() {
        return Ok(None);
    }
    let digits = value.raw();
    let Some(text) = std::str::from_utf8(digits)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
    else {
        return Err(RequestError::field(
            name,
            &format!("must be an integer of at least {min}"),
        ));
    };
    match text.parse::<u64>() {
        Ok(number) if number >= min => Ok(Some(number)),
        Ok(_) => Err(RequestError::field(
            name,
            &format!("must be an integer of at least {min}"),
        )),
        Err(_) => Err(RequestError::field(name, "is too large")),
    }
}
