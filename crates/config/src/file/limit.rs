//! Limits, the same four lists at every scope. Limits of every scope apply together.

use domain::Reserve;
use domain::limit::Period;
use jiff::tz::TimeZone;

use crate::read::{Cel, LimitName, List, Placed, Whole, section, words};

section! {
    /// Limits of one scope.
    pub struct LimitLists {
        /// Tokens per minute. Past it: 429 `token_limit`.
        pub token_limits: List<TokenLimit> = "[]",
        /// Tokens per calendar period. Past it: 403 `quota_exceeded`.
        pub quotas: List<Quota> = "[]",
        /// Requests per minute. Past it: 429 `request_limit`.
        pub request_limits: List<RequestLimit> = "[]",
        /// Calls at once. Past it: 429 `request_limit`.
        pub concurrency_limits: List<ConcurrencyLimit> = "[]",
    }
}

/// Large enough for any limit, small enough that sums of them do not overflow.
pub(super) const AMOUNT_MAX: u64 = 1_000_000_000_000_000;

section! {
    /// Tokens per minute: in any 60 seconds, reservations stay within it.
    pub struct TokenLimit {
        /// Names it in refusals. Unique among the limits of its scope.
        pub name: LimitName,
        /// CEL whose value picks the counter. Without it: one for everybody at the top level,
        /// `subscription.id` in products and subscriptions, `application.name` in applications.
        pub counter_key: Option<Cel>,
        /// Prompt and answer together.
        pub tokens_per_minute: Whole<1, AMOUNT_MAX>,
        /// Count the prompt with the model's tokenizer when a bound by its length could waste the
        /// limit. False: reserve by the learned bytes per token, and never count.
        pub estimate_prompt_tokens: bool = "true",
        /// How much of an answer is held before it is known.
        pub reserve: Placed<Reserve> = "learned",
    }
}

section! {
    /// Tokens per calendar period.
    pub struct Quota {
        /// Names it in refusals. Unique among the limits of its scope.
        pub name: LimitName,
        /// CEL whose value picks the counter. Without it: as for token limits.
        pub counter_key: Option<Cel>,
        /// Prompt and answer together.
        pub tokens: Whole<1, AMOUNT_MAX>,
        /// When it starts anew.
        pub period: Period,
        /// The time zone whose midnight starts the period. Without it, the top level's `time_zone`.
        pub time_zone: Option<TimeZone>,
        /// How much of an answer is held before it is known.
        pub reserve: Placed<Reserve> = "learned",
    }
}

section! {
    /// Requests per minute.
    pub struct RequestLimit {
        /// Names it in refusals. Unique among the limits of its scope.
        pub name: LimitName,
        /// CEL whose value picks the counter. Without it: as for token limits.
        pub counter_key: Option<Cel>,
        /// Calls admitted in any 60 seconds.
        pub requests_per_minute: Whole<1, 1_000_000_000>,
    }
}

section! {
    /// Calls at once.
    pub struct ConcurrencyLimit {
        /// Names it in refusals. Unique among the limits of its scope.
        pub name: LimitName,
        /// CEL whose value picks the counter. Without it: as for token limits.
        pub counter_key: Option<Cel>,
        /// Calls in flight, streams until their last byte.
        pub max_concurrent: Whole<1, 1_000_000>,
    }
}

words! { Period, "period":
    /// Starts with each hour.
    "hour" => Period::Hour,
    /// Starts at midnight.
    "day" => Period::Day,
    /// Starts on Monday.
    "week" => Period::Week,
    /// Starts on the first.
    "month" => Period::Month,
    /// Starts on 1 January, April, July and October.
    "quarter" => Period::Quarter,
    /// Starts on 1 January.
    "year" => Period::Year,
}

words! { Reserve, "way to reserve":
    /// The smaller of the call's `max_tokens` and a high quantile learned for its application and
    /// model. Overshoot is what that misses.
    "learned" => Reserve::Learned,
    /// The full bound of the answer: the limit is never passed, at the price of room.
    "max" => Reserve::Max,
}
