//! The data path: from a client's request to a settled record.
//!
//! Start reading at [`pipeline`]. Rules live in `domain`, wire formats in `dialect`; here are
//! sockets, tasks and the clock.

pub mod admin;
pub mod admission;
pub mod alerts;
pub mod audit;
pub mod backfill;
pub mod body;
pub mod cache;
pub mod clock;
pub mod credentials;
pub mod encoding;
pub mod estimates;
pub mod fetch;
pub mod gateway;
pub mod guards;
pub mod headers;
pub mod identity;
mod in_time;
pub mod meter;
pub mod overload;
pub mod pipeline;
pub mod refusal;
pub mod reply;
pub mod router;
pub mod said;
pub mod server;
pub mod sinks;
pub mod telemetry;
pub mod tls;
pub mod trail;
pub mod upstream;

pub use clock::Clock;
pub use gateway::Gateway;
