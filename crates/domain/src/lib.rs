//! Tollgate's nouns and decisions: limits, quotas, breakers, pool choice, usage.
//!
//! Pure: no I/O, no async, no clock, no randomness. `now` and `roll` are arguments, so every
//! rule here can be tested in a microsecond.

pub mod ids;
pub mod time;
pub mod usage;
pub mod limit;
pub mod breaker;
pub mod estimate;
pub mod pool;
pub mod retry;
pub mod saturation;
pub mod record;

pub use ids::{ApplicationName, BackendId, CallId, LimitId, ModelName, PoolId, ProductId, SubscriptionId};
pub use limit::{Demand, Limit, LimitRefusal, Reserve, Rule, Scope};
pub use time::{Mono, Now, Wall};
pub use usage::{Metered, Usage};
