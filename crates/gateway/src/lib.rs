//! The data path: from a client's request to a settled record.
//!
//! Start reading at [`pipeline`]. Rules live in `domain`, wire formats in `dialect`; here are
//! sockets, tasks and the clock.

pub mod pipeline;
pub mod gateway;
pub mod trail;
pub mod identity;
pub mod admission;
pub mod router;
pub mod upstream;
pub mod reply;
pub mod meter;
pub mod refusal;
pub mod body;
pub mod encoding;
pub mod headers;
pub mod server;
pub mod admin;
pub mod telemetry;
pub mod clock;
pub mod fetch;

pub use clock::Clock;
pub use gateway::Gateway;
