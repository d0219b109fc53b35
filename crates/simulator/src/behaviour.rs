//! How a fake provider behaves: what an operator or a test may set, and change while it runs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Every field has a default; the defaults answer at once, correctly, and without limits.
/// As JSON, durations are `"250ms"`, `"2s"`, `"1m"` or a number of milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Before the head of every answer, errors included.
    #[serde(with = "crate::duration")]
    pub latency: Duration,
    /// Up to this much is added to `latency`, evenly spread.
    #[serde(with = "crate::duration")]
    pub jitter: Duration,
    /// A slow first byte: on top of `latency`.
    #[serde(with = "crate::duration")]
    pub hang: Duration,
    /// From an answer's head to its first piece; a unary answer waits it out before its head.
    #[serde(with = "crate::duration")]
    pub time_to_first_token: Duration,
    /// 0: as fast as possible.
    pub tokens_per_second: u32,
    pub words_per_chunk: u32,

    /// Length of an answer when the prompt does not say `answer N words`: evenly spread from here…
    pub answer_words_min: u64,
    /// …to here, inclusive.
    pub answer_words_max: u64,
    /// Hidden tokens, billed as completion, within the request's `max_completion_tokens`.
    pub reasoning_tokens: u64,
    /// Of the prompt, at most all of it.
    pub cached_prompt_tokens: u64,
    /// Of the prompt, at most all of it.
    pub audio_prompt_tokens: u64,
    /// Billed as completion, on top of the words.
    pub audio_completion_tokens: u64,

    pub usage: UsageForm,
    /// Compresses answers although nobody asked.
    pub compress: Option<Compression>,

    /// Every call is answered with this error.
    pub status: Option<u16>,
    /// Share of calls answered with each error: `{"503": 0.1}`.
    pub error_rates: BTreeMap<u16, f64>,
    /// The first calls fail with `fail_status`; set for one call only, the first calls of its
    /// `x-request-id`.
    pub fail_first: u64,
    /// Calls fail with `fail_status` for so long after this behaviour was set.
    #[serde(with = "crate::duration")]
    pub fail_for: Duration,
    pub fail_status: u16,
    /// Sent with 429 and 503; without it a 429 says when its quota allows the call.
    #[serde(with = "crate::duration::optional")]
    pub retry_after: Option<Duration>,

    /// TCP reset after so many pieces of an answer; 0: before its head.
    pub reset_after_chunks: Option<u64>,
    pub reset_after_bytes: Option<u64>,
    /// The connection closes after so many pieces, the answer unfinished; 0: before its head.
    pub close_after_chunks: Option<u64>,
    /// A unary answer's `content-length` then names more than is sent.
    pub close_after_bytes: Option<u64>,
    /// Then nothing more comes, and the connection stays open.
    pub stall_after_chunks: Option<u64>,
    /// A stream then ends with an error event; a unary answer is whole all the same.
    pub error_after_chunks: Option<u64>,

    /// Other keys get 401. Without it any key will do, none too.
    pub require_api_key: Option<String>,
    /// Other models and deployments get 404. Empty: any name but those that start with `unknown`.
    pub models: Vec<String>,
    /// Quota; with it come `x-ratelimit-*` headers.
    pub requests_per_minute: Option<u64>,
    /// Quota; prompt and answer are taken at admission.
    pub tokens_per_minute: Option<u64>,

    /// A service that judges content says this instead of what it found.
    pub garbage: Option<String>,
    /// It finds harm four levels milder in texts with more characters than this.
    pub dilute_past_chars: Option<u64>,

    /// A call may bring its own behaviour: header `x-simulate`, body field `simulate`, or
    /// `[[simulate {…}]]` inside a message.
    pub allow_override: bool,
    /// Azure's `x-ms-region`.
    pub region: String,
    /// Of the tokens that the fake metadata service and token endpoint hand out.
    #[serde(with = "crate::duration")]
    pub identity_token_lifetime: Duration,
    /// Instead of a token, those services answer with this error.
    pub identity_status: Option<u16>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            hang: Duration::ZERO,
            time_to_first_token: Duration::ZERO,
            tokens_per_second: 0,
            words_per_chunk: 1,
            answer_words_min: 20,
            answer_words_max: 60,
            reasoning_tokens: 0,
            cached_prompt_tokens: 0,
            audio_prompt_tokens: 0,
            audio_completion_tokens: 0,
            usage: UsageForm::Exact,
            compress: None,
            status: None,
            error_rates: BTreeMap::new(),
            fail_first: 0,
            fail_for: Duration::ZERO,
            fail_status: 503,
            retry_after: None,
            reset_after_chunks: None,
            reset_after_bytes: None,
            close_after_chunks: None,
            close_after_bytes: None,
            stall_after_chunks: None,
            error_after_chunks: None,
            require_api_key: None,
            models: Vec::new(),
            requests_per_minute: None,
            tokens_per_minute: None,
            garbage: None,
            dilute_past_chars: None,
            allow_override: true,
            region: "simulated".to_owned(),
            identity_token_lifetime: Duration::from_secs(86_400),
            identity_status: None,
        }
    }
}

/// The forms in which usage arrives in the field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageForm {
    /// As the provider documents it.
    #[default]
    Exact,
    /// Never sent, though asked for.
    Missing,
    /// `"usage": null` where the numbers belong.
    Null,
    /// `prompt_tokens` and `completion_tokens` alone: no total, no details.
    Bare,
    /// Details are `null`.
    NullDetails,
    /// All zeros.
    Zero,
    /// Streams: beside the last choice, not in a chunk of its own.
    LastChoice,
    /// Streams: a growing count in every chunk.
    EveryChunk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    Gzip,
    Br,
    Zstd,
}

impl Behaviour {
    /// This behaviour with some fields changed, as one call's override says.
    pub fn with(&self, changes: &Value) -> Result<Self, String> {
        let Value::Object(changes) = changes else {
            return Err("simulate: an object of behaviour fields is needed".to_owned());
        };
        let mut fields =
            serde_json::to_value(self).map_err(|error| format!("simulate: {error}"))?;
        for (name, value) in changes {
            fields[name] = value.clone();
        }
        serde_json::from_value(fields).map_err(|error| format!("simulate: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_written_is_the_default_and_it_survives_being_written() {
        let read: Behaviour = serde_json::from_value(json!({})).unwrap();
        assert_eq!(read, Behaviour::default());
        let written = Behaviour {
            error_rates: [(503, 0.5)].into(),
            retry_after: Some(Duration::from_millis(1500)),
            ..read
        };
        assert_eq!(
            serde_json::from_str::<Behaviour>(&serde_json::to_string(&written).unwrap()).unwrap(),
            written
        );
    }

    #[test]
    fn an_override_changes_only_what_it_names() {
        let usual = Behaviour {
            words_per_chunk: 4,
            ..Behaviour::default()
        };
        let changed = usual
            .with(&json!({ "status": 500, "retry_after": "2s", "error_rates": { "429": 1.0 } }))
            .unwrap();
        assert_eq!(
            changed,
            Behaviour {
                status: Some(500),
                retry_after: Some(Duration::from_secs(2)),
                error_rates: [(429, 1.0)].into(),
                ..usual
            }
        );
    }

    #[test]
    fn an_unknown_field_is_an_error_that_names_it() {
        let error = Behaviour::default()
            .with(&json!({ "latancy": 1 }))
            .unwrap_err();
        assert!(error.contains("latancy"), "{error}");
        assert!(Behaviour::default().with(&json!(3)).is_err());
    }
}
