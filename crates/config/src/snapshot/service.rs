//! Services that judge content: how the gateway gets to them, and what of an answer blocks.

use std::sync::Arc;
use std::time::Duration;

use content::safety::{azure, moderation};
use content::split::Bounds;
use domain::breaker::BreakerRule;

use super::{BackendAuth, ClientTls, PrivateUrl, SigningKey};

/// A service, and how the gateway gets to it.
#[derive(Debug)]
pub struct Service {
    /// Names it in logs and errors, and finds its breaker again after a reload: `backend/safety`, or
    /// the rule of the guard that has it to itself.
    pub name: Arc<str>,
    /// Where it is asked, or what its paths are added to.
    pub url: PrivateUrl,
    pub auth: BackendAuth,
    /// In which header `BackendAuth::ApiKey` is sent.
    pub key_header: KeyHeader,
    pub tls: ClientTls,
    pub connect_timeout: Duration,
    pub breaker: BreakerRule,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyHeader {
    /// `Authorization: Bearer`
    Bearer,
    /// `Ocp-Apim-Subscription-Key`
    OcpApimSubscription,
}

/// Windows of long content, for prompts and for streamed answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    pub prompt: Bounds,
    pub answer: AnswerWindows,
}

/// Windows of streamed answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerWindows {
    pub bounds: Bounds,
    /// The longest that a text waits for its window to fill up.
    pub hold: Duration,
}

/// Azure AI Content Safety.
#[derive(Debug)]
pub struct ContentSafety {
    pub service: Arc<Service>,
    pub api_version: Arc<str>,
    pub rules: azure::Rules,
    pub shields_prompt: bool,
    /// For one question to the service.
    pub timeout: Duration,
    pub windows: Windows,
}

/// OpenAI's moderation endpoint.
#[derive(Debug)]
pub struct Moderation {
    pub service: Arc<Service>,
    pub model: Arc<str>,
    pub rules: moderation::Rules,
    pub timeout: Duration,
    pub windows: Windows,
}

/// Microsoft Presidio's analyzer.
#[derive(Debug)]
pub struct Presidio {
    pub service: Arc<Service>,
    pub language: Arc<str>,
    /// By the analyzer's names.
    pub entities: Vec<String>,
    pub score_min: f64,
    pub action: PresidioAction,
    pub timeout: Duration,
    pub windows: Windows,
}

/// What becomes of what the analyzer finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresidioAction {
    Redact,
    /// Put back in the answer.
    Mask,
    Block,
}

/// A judge of one's own.
#[derive(Debug)]
pub struct GuardWebhook {
    pub service: Arc<Service>,
    pub key: Option<SigningKey>,
    pub timeout: Duration,
    /// Of streamed answers; whatever is whole is sent whole.
    pub windows: AnswerWindows,
}
