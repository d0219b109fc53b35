//! Tollgate's nouns and decisions: limits, quotas, breakers, pool choice, usage.
//!
//! Pure: no I/O, no async, no clock, no randomness. `now` and `roll` are arguments, so every
//! rule here can be tested in a microsecond.

pub mod ids;

pub mod time;

pub mod usage;

pub mod money;

// Limits: as configured, what a call asks, and how each kind counts.
pub mod limit;

pub mod demand;

pub mod counter;

pub mod window;

pub mod quota;

pub mod budget;

pub mod calendar;

pub mod concurrency;

// Routing: who is healthy, who is next, and whether to try again.
pub mod breaker;

pub mod saturation;

pub mod pool;

pub mod retry;

// Overload: which calls are turned away so that the others are served.
pub mod overload;

// Learning: what the next call will take.
pub mod estimate;

pub mod record;

// Audit records: who may do what with them.
pub mod access;

pub mod audit;

// Alerts: what is worth telling, and when.
pub mod alert;

pub mod forecast;

pub mod pace;

// Prices: what tokens cost, and which price applies.
pub mod price;

pub use budget::Budget;
pub use counter::{Counter, Figures, Held, Place, Spent, Verdict};
pub use demand::Amount;
pub use ids::{
    AccessId, ApplicationName, AuditStoreId, BackendId, CallId, ChannelId, LimitId, ModelName,
    PoolId, ProductId, SinkId, SubscriptionId,
};
pub use limit::{Demand, Limit, LimitRefusal, Reserve, Rule, Scope};
pub use money::{Currency, Nanos};
pub use price::Price;
pub use record::{Cost, PriceId};
pub use time::{Mono, Now, Wall};
pub use usage::{Metered, ServiceTier, Usage};
