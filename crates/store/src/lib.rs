//! Where state lives: counters, the ledger behind its journal, the registry of keys, alerts.
//!
//! Each boundary is an enum of variants behind a few methods. Rules are `domain`'s; here are locks,
//! maps and files.

pub mod alerts;
pub mod counters;
mod directory;
pub mod ledger;
pub mod registry;
mod shared_map;

pub use alerts::Alerts;
pub use counters::Counters;
pub use ledger::Ledger;
pub use registry::Registry;
pub use shared_map::shared_map;
