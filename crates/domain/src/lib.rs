//! Tollgate's nouns and decisions: limits, quotas, breakers, pool choice, usage.
//!
//! Pure: no I/O, no async, no clock, no randomness. `now` and `roll` are arguments, so every
//! rule here can be tested in a microsecond.

pub mod ids;

pub mod time;

pub mod usage;

// Limits: as configured, what a call asks, and how each kind counts.
pub mod limit;

pub mod demand;

pub mod counter;

pub mod window;

pub mod quota;

pub mod calendar;

pub mod concurrency;

pub mod estimate;

// Routing: who is healthy, who has room, who is next, and whether to try again.
pub mod breaker;

pub mod saturation;

pub mod pool;

pub mod retry;

pub mod record;

pub use breaker::{Breaker, BreakerRule};
pub use counter::{Counter, Figures, Held, Place, Verdict};
pub use demand::Amount;
pub use estimate::AnswerEstimates;
pub use ids::{
    ApplicationName, BackendId, CallId, LimitId, ModelName, PoolId, ProductId, SubscriptionId,
};
pub use limit::{Demand, Limit, LimitRefusal, Reserve, Rule, Scope};
pub use pool::{Choice, Member, MemberState, Pool, RetryRule, Rotation};
pub use retry::RetryBudget;
pub use saturation::{RoomSeen, Saturation};
pub use time::{Mono, Now, Wall};
pub use usage::{Metered, Usage};
