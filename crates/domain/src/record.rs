//! What is written down of a call. Holds no content and no credential.

use std::sync::Arc;
use std::time::Duration;

use crate::ids::{
    ApplicationName, BackendId, CallId, LimitId, ModelName, ProductId, SubscriptionId,
};
use crate::money::{Currency, Nanos};
use crate::time::Wall;
use crate::usage::{Metered, Usage};

/// A call that may reach a provider, as known when it is admitted. Written before it is forwarded,
/// so that a crash leaves it on the ledger as interrupted.
#[derive(Clone, Debug, PartialEq)]
pub struct Opening {
    pub id: CallId,
    pub at: Wall,
    pub who: Who,
    /// The one that answers.
    pub model: ModelName,
    /// What the client asked for, if a budget had `model` answer instead.
    pub asked_model: Option<ModelName>,
    pub stream: bool,
    pub revision: u64,
    /// The prompt's tokens as far as known: exact, else likely.
    pub prompt_tokens: u64,
    /// Limits and budgets that this call is charged to.
    pub charges: Vec<Charge>,
    /// What its tokens cost, as far as known before a backend is chosen. Only the journal has it, so
    /// that a call which a crash interrupts is not free: a record has its `cost` instead.
    pub price: Option<OpeningPrice>,
}

/// What a call is priced at if the gateway dies before it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpeningPrice {
    pub id: PriceId,
    pub currency: Currency,
    pub prompt_per_million: Nanos,
    pub completion_per_million: Nanos,
}

/// Names one complete price: rates, currency, exchange rate, source and effective date. The same
/// price has the same id, and what it stands for is on the ledger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PriceId(pub Arc<str>);

/// What a call or an attempt costs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cost {
    /// Nothing is owed: nothing reached a provider.
    #[default]
    Nothing,
    Priced {
        amount: Nanos,
        currency: Currency,
        price: PriceId,
    },
    /// Tokens passed for which no price is known: shown, counted, alarmed, never zero.
    Unpriced,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    pub subscription: SubscriptionId,
    pub product: ProductId,
    pub application: Option<ApplicationName>,
    /// Which credential proved it: a key's id, or `issuer:subject` cut to 128 bytes. Never a secret.
    pub caller: Arc<str>,
    /// The person behind it, as a claim of the token says; cut to 128 bytes.
    pub user: Option<Arc<str>>,
}

/// A counter that a call's tokens (for request limits the call itself, for budgets its cost) count
/// against. Restores counters at start.
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
    /// Money of a calendar period that started at this wall time.
    Budget { period_start: Wall },
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
    /// As `metered`, that of the attempt which answered.
    pub cost: Cost,
    /// What caches kept off the bill, in the cost's currency: the provider's (its discount on the
    /// prompt's cached part), or the gateway's own (all of it).
    pub saved: Nanos,
    /// What an answer from the gateway's own cache took when it was made, none of it charged here.
    pub saved_tokens: u64,
    /// Of the question that was asked to the one that was answered before, their cosine in
    /// thousandths. Absent where they are the same.
    pub similarity: Option<u16>,
    pub latency: Duration,
    pub first_byte: Option<Duration>,
    pub attempts: Vec<AttemptRecord>,
    /// Of guards that found something, or could not look.
    pub verdicts: Vec<Verdict>,
}

/// What a guard found that was not nothing. Kinds and numbers, never what was found itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// As a rule is named: `product/standard/guard/pii`.
    pub guard: Arc<str>,
    pub on: Content,
    pub verdict: Ruling,
    /// By kind or category: how often, or how severe.
    pub findings: Vec<(Arc<str>, u32)>,
    /// Why the guard could not judge, in a few words of its own: `timeout`, `status 503`.
    pub failure: Option<Arc<str>>,
}

/// What a guard looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Content {
    Prompt,
    Answer,
}

/// What became of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ruling {
    Passed,
    Redacted,
    Blocked,
}

impl Content {
    pub const ALL: [Self; 2] = [Self::Prompt, Self::Answer];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Answer => "answer",
        }
    }
}

impl Ruling {
    pub const ALL: [Self; 3] = [Self::Passed, Self::Redacted, Self::Blocked];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Redacted => "redacted",
            Self::Blocked => "blocked",
        }
    }
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
    pub cost: Cost,
    pub latency: Duration,
}

impl Cost {
    /// Of usage for which no price is known.
    pub fn without_price(usage: &Usage) -> Self {
        if usage.is_nothing() {
            Self::Nothing
        } else {
            Self::Unpriced
        }
    }

    /// Zero if nothing is owed, and while it is unknown what is.
    pub fn amount(&self) -> Nanos {
        match self {
            Self::Nothing | Self::Unpriced => Nanos::ZERO,
            Self::Priced { amount, .. } => *amount,
        }
    }

    pub fn currency(&self) -> Option<Currency> {
        match self {
            Self::Nothing | Self::Unpriced => None,
            Self::Priced { currency, .. } => Some(*currency),
        }
    }

    pub fn price(&self) -> Option<&PriceId> {
        match self {
            Self::Nothing | Self::Unpriced => None,
            Self::Priced { price, .. } => Some(price),
        }
    }

    pub fn is_unpriced(&self) -> bool {
        matches!(self, Self::Unpriced)
    }
}

impl OpeningPrice {
    /// Rounded half up to a billionth, once.
    pub fn cost(&self, prompt_tokens: u64, completion_tokens: u64) -> Cost {
        let prompt = i128::from(self.prompt_per_million.0) * i128::from(prompt_tokens);
        let completion = i128::from(self.completion_per_million.0) * i128::from(completion_tokens);
        let millionths = prompt.saturating_add(completion).saturating_add(500_000);
        Cost::Priced {
            amount: Nanos::saturated(millionths.div_euclid(1_000_000)),
            currency: self.currency,
            price: self.id.clone(),
        }
    }
}

impl PriceId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for PriceId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
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
    /// No call of a client: the cache had a deployment make a vector of a question, at its asker's cost.
    Embedding,
    /// No call either: a cached answer that would have been given was held against the provider's.
    ShadowRight,
    ShadowWrong,
    /// Nobody can say which.
    ShadowUnknown,
    /// The same of one that was tried, because its record was not good enough to give it.
    ExploredRight,
    ExploredWrong,
    ExploredUnknown,
}

impl CacheOutcome {
    pub const ALL: [Self; 10] = [
        Self::Off,
        Self::Hit,
        Self::Miss,
        Self::Embedding,
        Self::ShadowRight,
        Self::ShadowWrong,
        Self::ShadowUnknown,
        Self::ExploredRight,
        Self::ExploredWrong,
        Self::ExploredUnknown,
    ];

    /// A client made it. What the cache does for one has records too, and is none of its calls.
    pub fn is_call(self) -> bool {
        match self {
            Self::Off | Self::Hit | Self::Miss => true,
            Self::Embedding
            | Self::ShadowRight
            | Self::ShadowWrong
            | Self::ShadowUnknown
            | Self::ExploredRight
            | Self::ExploredWrong
            | Self::ExploredUnknown => false,
        }
    }

    /// Of a cached answer that would have been given: whether that had been right, if somebody can say.
    pub fn would_have_been_right(self) -> Option<bool> {
        match self {
            Self::ShadowRight => Some(true),
            Self::ShadowWrong => Some(false),
            Self::Off
            | Self::Hit
            | Self::Miss
            | Self::Embedding
            | Self::ShadowUnknown
            | Self::ExploredRight
            | Self::ExploredWrong
            | Self::ExploredUnknown => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Embedding => "embedding",
            Self::ShadowRight => "shadow_right",
            Self::ShadowWrong => "shadow_wrong",
            Self::ShadowUnknown => "shadow_unknown",
            Self::ExploredRight => "explored_right",
            Self::ExploredWrong => "explored_wrong",
            Self::ExploredUnknown => "explored_unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_call_is_priced_to_the_nearest_billionth() {
        let price = OpeningPrice {
            id: "p1".into(),
            currency: Currency::USD,
            prompt_per_million: "2.50".parse().unwrap(),
            completion_per_million: "0.0005".parse().unwrap(),
        };
        assert_eq!(price.cost(1_000, 0).amount(), Nanos(2_500_000));
        // A completion token costs half a billionth.
        assert_eq!(price.cost(0, 1).amount(), Nanos(1));
        assert_eq!(price.cost(1_000, 3).amount(), Nanos(2_500_002));
        assert_eq!(price.cost(u64::MAX, u64::MAX).amount(), Nanos(i64::MAX));
    }

    #[test]
    fn tokens_without_a_price_are_unpriced_and_not_free() {
        let cost = |prompt| {
            Cost::without_price(&Usage {
                prompt,
                ..Usage::default()
            })
        };
        assert_eq!(cost(1), Cost::Unpriced);
        assert_eq!(cost(0), Cost::Nothing);
    }
}
