//! The audit log: prompts and answers on record, sealed, chained, and gone when they must be.
//!
//! `AuditLog` is what a gateway writes to; `Archive` is what people read and govern through, in the
//! gateway or in a command beside it. The format is written down in `docs/audit.md`, so that an
//! auditor can check a log without this code. Decides nothing about who may read or what is recorded:
//! that is the gateway's.

// What is recorded, and the chain that it becomes part of.
mod record;

mod event;

mod chain;

mod head;

// How it is sealed, and how it becomes unreadable.
mod seal;

mod keys;

// Where it is.
mod frame;

mod segment;

mod handover;

mod whereabouts;

mod vault;

mod gathering;

mod database;

mod witness;

mod writer;

mod log;

mod rotation;

mod sealer;

// What people do with it.
mod archive;

mod query;

mod words;

mod wanted;

mod filter;

mod index;

mod verify;

#[cfg(test)]
mod tests;

mod bytes;
mod killing;

pub use archive::cursors::{Cursor, Lag, cursors, forget, rewind};
pub use archive::follow::Follower;
pub use archive::{Archive, Erased, Placed, Purged};
pub use event::{Actor, Details, Entry, Event, Hold, Read, Subject};
pub use head::Head;
pub use keys::{Kek, KeyId, Keys, Kms};
pub use log::{AuditLog, Levels, Settings, region_of};
pub use query::{Found, Page, Query, Scope, State};
pub use record::{Content, Draft, Hit, Skeleton};
pub use sealer::{Sealer, Whose};
pub use vault::Unwritable;
pub use verify::{Options, Problem, Report, verify};

/// What went wrong, for an operator.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("{0}")]
    Store(String),
    #[error("{0}")]
    Keys(String),
    /// Never with keys of the right length and a system that has entropy.
    #[error("the crypto library failed")]
    Crypto,
    #[error("{0}")]
    NotFound(String),
    /// What was asked for is on legal hold.
    #[error("{0}")]
    Held(String),
    /// The question cannot be asked so.
    #[error("{0}")]
    Invalid(String),
}
