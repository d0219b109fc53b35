//! Answers that may be given again: found by what was asked exactly, or by how near a question is.
//!
//! Knows of keys, vectors and bytes. What shapes an answer, who may be answered from the cache and whether
//! two questions mean the same are decided elsewhere, and so is when it is: `now` is an argument.

// What is kept, and by what it is found.
mod entry;

mod cache;

mod memory;

mod selection;

mod levels;

// How it is found by meaning.
mod index;

// What stays when there is no room for all, and when it goes.
mod bounded;

mod answers;

mod expiry;

// What survives a restart.
mod disk;

#[cfg(test)]
mod tests;

pub use cache::{Cache, Settings};
pub use disk::DiskSettings;
pub use disk::beside::{Beside, Listed, Stats};
pub use entry::{Answer, Entry, EntryId, Key, Near, NewEntry, Owner, Partition, Question};
pub use index::{EXACT_MAX, Vector};
pub use levels::{DiskLevels, Levels};
pub use selection::{Purged, Selection};

/// What went wrong, for an operator.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    #[error("{0}")]
    Settings(String),
    #[error("{0}")]
    Disk(String),
    #[error(transparent)]
    Keys(#[from] ::audit::AuditError),
}
