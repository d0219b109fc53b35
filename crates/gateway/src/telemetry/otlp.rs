//! Traces and metrics for an OpenTelemetry collector, as `http/protobuf`.
//!
//! The messages are written by hand: a span is made once, from the finished record, as the bytes
//! that are sent. A call pays for that only when it is sampled, and never waits.

mod export;
mod metrics;
pub(crate) mod protobuf;
pub(crate) mod resource;
mod span;

pub use export::{Exporter, export};
pub use span::Told;
