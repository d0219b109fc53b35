//! When an alert is due: thresholds crossed, conditions that last, pauses between deliveries.
//!
//! What an alert says and where it goes is the gateway's.

pub mod backoff;
mod episode;
mod threshold;

pub use episode::{Episode, Step};
pub use threshold::reached;
