//! Errors as the two providers word them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::question::Invalid;
use crate::quota::Exhausted;
use crate::route::Provider;

/// Why a call is refused or fails, before any answer.
#[derive(Debug)]
pub enum Failure {
    BadKey,
    Invalid(Invalid),
    TooLarge,
    UnknownModel(String),
    NoSuchPath,
    Quota(Exhausted),
    /// Told to fail.
    Injected {
        status: u16,
        retry_after: Option<Duration>,
    },
}

impl Failure {
    pub fn status(&self) -> u16 {
        match self {
            Self::BadKey => 401,
            Self::Invalid(_) => 400,
            Self::TooLarge => 413,
            Self::UnknownModel(_) | Self::NoSuchPath => 404,
            Self::Quota(_) => 429,
            Self::Injected { status, .. } => *status,
        }
    }

    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Quota(exhausted) => Some(exhausted.retry_after),
            Self::Injected { retry_after, .. } => *retry_after,
            Self::BadKey
            | Self::Invalid(_)
            | Self::TooLarge
            | Self::UnknownModel(_)
            | Self::NoSuchPath => None,
        }
    }

    pub fn body(&self, provider: Provider) -> Value {
        match provider {
            Provider::OpenAi => {
                let (message, kind, param, code) = self.openai();
                json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
            }
            Provider::Azure => self.azure(),
        }
    }

    fn openai(
        &self,
    ) -> (
        String,
        &'static str,
        Option<&'static str>,
        Option<&'static str>,
    ) {
        const INVALID: &str = "invalid_request_error";
        match self {
            Self::BadKey | Self::Injected { status: 401, .. } => (
                "Incorrect API key provided: ****. You can find your API key at \
                 https://platform.openai.com/account/api-keys."
                    .to_owned(),
                INVALID,
                None,
                Some("invalid_api_key"),
            ),
            Self::Invalid(Invalid { message, param }) => (message.clone(), INVALID, *param, None),
            Self::TooLarge | Self::Injected { status: 413, .. } => (
                "Maximum content size limit exceeded.".to_owned(),
                INVALID,
                None,
                None,
            ),
            Self::UnknownModel(model) => (
                format!("The model `{model}` does not exist or you do not have access to it."),
                INVALID,
                None,
                Some("model_not_found"),
            ),
            Self::NoSuchPath => ("Invalid URL".to_owned(), INVALID, None, None),
            Self::Quota(Exhausted {
                unit,
                limit,
                retry_after,
            }) => (
                format!(
                    "Rate limit reached for organization org-simulated on {unit} per min: Limit {limit}. Please try \
                     again in {}ms.",
                    retry_after.as_millis()
                ),
                unit,
                None,
                Some("rate_limit_exceeded"),
            ),
            Self::Injected { status: 429, .. } => (
                "Rate limit reached. Please try again later.".to_owned(),
                "requests",
                None,
                Some("rate_limit_exceeded"),
            ),
            Self::Injected { status: 403, .. } => (
                "You are not allowed to sample from this model".to_owned(),
                INVALID,
                None,
                Some("permission_denied"),
            ),
            Self::Injected { status: 503, .. } => (
                "The engine is currently overloaded, please try again later".to_owned(),
                "server_error",
                None,
                None,
            ),
            Self::Injected {
                status: 500..=599, ..
            } => (
                "The server had an error while processing your request. Sorry about that!"
                    .to_owned(),
                "server_error",
                None,
                None,
            ),
            Self::Injected { status, .. } => (
                format!("The request was refused ({status})."),
                INVALID,
                None,
                None,
            ),
        }
    }

    fn azure(&self) -> Value {
        match self {
            Self::BadKey | Self::Injected { status: 401, .. } => json!({ "error": {
                "code": "401",
                "message": "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a \
                            valid key for an active subscription and use a correct regional API endpoint for your resource.",
            }}),
            Self::UnknownModel(_) => json!({ "error": {
                "code": "DeploymentNotFound",
                "message": "The API deployment for this resource does not exist. If you created the deployment within \
                            the last 5 minutes, please wait a moment and try again.",
            }}),
            Self::NoSuchPath => {
                json!({ "error": { "code": "404", "message": "Resource not found" } })
            }
            Self::Quota(Exhausted { retry_after, .. }) => json!({ "error": {
                "code": "429",
                "message": format!(
                    "Requests to this operation have exceeded the call rate limit of your current pricing tier. Please \
                     retry after {} seconds.",
                    retry_after.as_secs_f64().ceil()
                ),
            }}),
            Self::Injected {
                status: status @ (429 | 500..=599),
                ..
            } => {
                let (message, ..) = self.openai();
                json!({ "error": { "code": status.to_string(), "message": message } })
            }
            // Azure passes the model's own complaints on as they are.
            Self::Invalid(_) | Self::TooLarge | Self::Injected { .. } => {
                let (message, kind, param, code) = self.openai();
                json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
            }
        }
    }
}
