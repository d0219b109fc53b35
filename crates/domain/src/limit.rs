//! Limits as configured, what a call asks of them, and what a refusal says.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::budget::Budget;
use crate::ids::{ApplicationName, LimitId, ProductId, SubscriptionId};
use crate::time::Wall;

/// One configured limit. Its counters live elsewhere, one for each value of its counter key.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    pub id: LimitId,
    pub scope: Scope,
    pub name: Arc<str>,
    pub rule: Rule,
}

/// Where a limit is declared. Limits of every scope apply together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    Global,
    Product(ProductId),
    Subscription(SubscriptionId),
    Application(ApplicationName),
    /// Of a budget: its match, written out.
    Match(Arc<str>),
}

impl fmt::Display for Scope {
    /// `global`, `product/standard`, `subscription/search`, `application/chat-ui`; of a budget, such
    /// a list.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("global"),
            Self::Product(id) => write!(f, "product/{id}"),
            Self::Subscription(id) => write!(f, "subscription/{id}"),
            Self::Application(name) => write!(f, "application/{name}"),
            Self::Match(written) => f.write_str(written),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// Refusal 429 `token_limit`.
    TokensPerMinute {
        tokens_per_minute: u64,
        reserve: Reserve,
        /// True: the prompt is counted by its tokenizer as soon as the cheap bound could waste the
        /// limit. False: the learned bytes-per-token ratio is reserved instead, never a count.
        estimate_prompt_tokens: bool,
    },
    /// Refusal 429 `request_limit`.
    RequestsPerMinute { requests_per_minute: u64 },
    /// Refusal 429 `request_limit`.
    Concurrency { max_concurrent: u64 },
    /// Refusal 403 `quota_exceeded`.
    TokenQuota {
        tokens: u64,
        calendar: Calendar,
        reserve: Reserve,
    },
    /// Counted in nanos. Refusal 403 `budget_exceeded`.
    Budget(Arc<Budget>),
}

/// A calendar period and the zone whose midnight starts it.
#[derive(Clone, Debug, PartialEq)]
pub struct Calendar {
    pub period: Period,
    pub time_zone: jiff::tz::TimeZone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    Hour,
    Day,
    /// ISO 8601: starts on Monday.
    Week,
    Month,
    /// Starts in January, April, July and October.
    Quarter,
    Year,
}

/// How much of an answer is held before it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reserve {
    /// The smaller of the call's `max_tokens` and a high quantile learned for its application and
    /// model. What that misses is the overshoot.
    #[default]
    Learned,
    /// The full bound: never passed, at the price of room.
    Max,
}

/// What one call asks of every limit that applies to it: tokens, and what they may cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// No prompt of this length has more tokens than this.
    pub prompt_bound: u64,
    /// By the learned bytes-per-token ratio.
    pub prompt_likely: u64,
    /// By the model's tokenizer; `None` until someone needed it.
    pub prompt_exact: Option<u64>,
    /// All choices together; at most `answer_max`.
    pub answer_likely: u64,
    /// The request's `max_tokens` times its choices, else the model's own bound.
    pub answer_max: u64,
    /// `None`: no price is known.
    pub rates: Option<TokenRates>,
}

/// Nanos for a million tokens, in the ledger's currency, at the dearest of the backends that may
/// answer: a failover cannot cost more than was held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenRates {
    pub prompt: u64,
    pub answer: u64,
}

/// Why a limit said no, with everything that the caller is told.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitRefusal {
    pub limit: Arc<Limit>,
    /// The bound, in the rule's own unit.
    pub bound: u64,
    /// Settled use in the window or period.
    pub used: u64,
    /// Held by calls in flight.
    pub reserved: u64,
    pub wanted: u64,
    /// When asking again could succeed. `None`: this call can never fit (400 `exceeds_limit`).
    pub retry_after: Option<Duration>,
    pub resets_at: Option<Wall>,
    /// A budget among those that say no, under which another model may answer instead.
    pub downgrade: Option<Arc<Limit>>,
}
