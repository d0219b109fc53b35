//! What is written down of a call. Holds no content and no credential.

use std::sync::Arc;
use std::time::Duration;

use crate::ids::{
    ApplicationName, BackendId, CallId, LimitId, ModelName, ProductId, SubscriptionId,
};
use crate::time::Wall;
use crate::usage::Metered;

/// A call that may reach a provider, as known when it is admitted. Written before it is forwarded,
/// so that a crash leaves it on the ledger as interrupted.
#[derive(Clone, Debug, PartialEq)]
pub struct Opening {
    pub id: CallId,
    pub at: Wall,
    pub who: Who,
    pub model: ModelName,
    pub stream: bool,
    pub revision: u64,
    /// The prompt's tokens as far as known: exact, else likely.
    pub prompt_tokens: u64,
    /// Token-counting limits that this call is charged to.
    pub charges: Vec<Charge>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    pub subscription: SubscriptionId,
    pub product: ProductId,
    pub application: Option<ApplicationName>,
    /// Which credential proved it: a key's id, or `issuer:subject` cut to 128 bytes. Never a secret.
    pub caller: Arc<str>,
}

/// A counter that a call's tokens (or the call itself, for request limits) count against. Restores
/// counters at start.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Charge {
    pub limit: LimitId,
    pub key: Arc<str>,
    pub unit: ChargeUnit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChargeUnit {
    /// Sliding 60 s of tokens.
    TokensPerMinute,
    /// Sliding 60 s of calls.
    RequestsPerMinute,
    /// Tokens of a calendar period that started at this wall time.
    Quota { period_start: Wall },
}

/// One per call of an authenticated caller, refused ones too.
#[derive(Clone, Debug, PartialEq)]
pub struct CallRecord {
    pub opening: Opening,
    pub outcome: Outcome,
    /// What the client got; 0 if it left before any status.
    pub status: u16,
    /// The limit or rule that refused, e.g. `product/standard/team-tpm`.
    pub rule: Option<Arc<str>>,
    pub backend: Option<BackendId>,
    pub cache: CacheOutcome,
    pub metered: Metered,
    pub latency: Duration,
    pub first_byte: Option<Duration>,
    pub attempts: Vec<AttemptRecord>,
}

/// One try at one backend.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptRecord {
    pub backend: BackendId,
    /// 0 if no status came.
    pub status: u16,
    pub failure: Option<AttemptFailure>,
    /// What this backend will bill for this attempt. The call's own `metered` is that of the attempt
    /// that answered; the others' tokens stand only here.
    pub metered: Metered,
    pub latency: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttemptFailure {
    Connect,
    Tls,
    FirstByteTimeout,
    IdleTimeout,
    TotalTimeout,
    /// The connection broke before or within the answer.
    Cut,
    /// 401 or 403 on the gateway's own credential.
    Credential,
    /// 408, 429, 5xx, or one that is no answer to a call, such as a redirect.
    Status,
    /// The client left.
    HungUp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Answered in full.
    Ok,
    /// The upstream's own 4xx, passed through.
    ClientError,
    /// A limit, quota, permission or guard said no: `rule` says which.
    Refused,
    /// No backend gave an answer.
    UpstreamFailed,
    /// The answer broke off after its first byte.
    Cut,
    /// The client left before the end.
    HungUp,
    /// The gateway died; found in the journal at the next start.
    Interrupted,
    /// The gateway itself failed.
    GatewayError,
}

impl Outcome {
    pub const ALL: [Self; 8] = [
        Self::Ok,
        Self::ClientError,
        Self::Refused,
        Self::UpstreamFailed,
        Self::Cut,
        Self::HungUp,
        Self::Interrupted,
        Self::GatewayError,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ClientError => "client_error",
            Self::Refused => "refused",
            Self::UpstreamFailed => "upstream_failed",
            Self::Cut => "cut",
            Self::HungUp => "hung_up",
            Self::Interrupted => "interrupted",
            Self::GatewayError => "gateway_error",
        }
    }
}

impl AttemptFailure {
    pub const ALL: [Self; 9] = [
        Self::Connect,
        Self::Tls,
        Self::FirstByteTimeout,
        Self::IdleTimeout,
        Self::TotalTimeout,
        Self::Cut,
        Self::Credential,
        Self::Status,
        Self::HungUp,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::FirstByteTimeout => "first_byte_timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::TotalTimeout => "total_timeout",
            Self::Cut => "cut",
            Self::Credential => "credential",
            Self::Status => "status",
            Self::HungUp => "hung_up",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CacheOutcome {
    #[default]
    Off,
    Hit,
    Miss,
}

impl CacheOutcome {
    pub const ALL: [Self; 3] = [Self::Off, Self::Hit, Self::Miss];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Hit => "hit",
            Self::Miss => "miss",
        }
    }
}
