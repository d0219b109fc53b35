//! Usage records: a crash-safe journal that calls write to, and the database behind it.

use std::path::Path;

use domain::record::{CallRecord, Opening};
use domain::{CallId, Now};

use crate::counters::Restored;

/// `Sqlite` for one gateway.
#[derive(Debug)]
pub struct Ledger {}

/// An opened call's place in the journal.
#[derive(Debug)]
pub struct Entry {}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LedgerError(pub String);

/// What opening found.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    pub counters: Restored,
    /// Calls that were in flight when the last process died; now on the ledger as interrupted.
    pub interrupted: u64,
    /// Entries that the journal had and the database had not.
    pub replayed: u64,
}

impl Ledger {
    pub fn open(dir: &Path, now: Now) -> Result<(Self, Recovered), LedgerError> {
        let _ = (dir, now);
        todo!()
    }

    /// Before a call is forwarded. Never blocks on the database.
    pub fn begin(&self, opening: &Opening) -> Entry {
        let _ = opening;
        todo!()
    }

    /// Before a piece of an answer is sent: completion tokens passed so far. One small positioned
    /// write, so that a crash knows them.
    pub fn progress(&self, entry: &Entry, completion_tokens: u64) {
        let _ = (entry, completion_tokens);
        todo!()
    }

    /// Before the last byte of an answer is sent. `entry` is `None` for calls that were refused
    /// before they could reach a provider. When this returns, kill -9 cannot lose the record.
    pub fn append(&self, entry: Option<Entry>, record: CallRecord) {
        let _ = (entry, record);
        todo!()
    }

    pub fn health(&self) -> Health {
        todo!()
    }

    /// Waits until the database has everything appended so far, then closes.
    pub fn close(self) {
        todo!()
    }
}

#[derive(Clone, Debug, Default)]
pub struct Health {
    /// The journal cannot be written (disk full, say); records are kept in memory, bounded.
    pub journal_fault: Option<String>,
    pub database_fault: Option<String>,
    pub records_in_memory: u64,
    /// Bytes in the journal that the database does not have yet.
    pub behind_bytes: u64,
    /// Calls whose detail was folded into sums because memory was full too.
    pub folded: u64,
}

/// For tests that look one call up.
pub fn find(dir: &Path, id: CallId) -> Result<Option<CallRecord>, LedgerError> {
    let _ = (dir, id);
    todo!()
}
