//! Looking at a data directory from outside: beside a running gateway, or after it stopped.

use std::path::Path;

use domain::CallId;
use domain::record::CallRecord;
use rusqlite::Connection;

use super::database::{self, Database};
use super::{LedgerError, journal_dir, recovery, rows};
use crate::directory::Lock;

/// For tests that look one call up.
pub fn find(dir: &Path, id: CallId) -> Result<Option<CallRecord>, LedgerError> {
    let connection = open_to_query(dir)?;
    rows::find(&connection, id).map_err(|error| unreadable(dir, &error))
}

/// The latest calls, newest first.
pub fn recent(dir: &Path, limit: usize) -> Result<Vec<CallRecord>, LedgerError> {
    let connection = open_to_query(dir)?;
    rows::recent(&connection, limit).map_err(|error| unreadable(dir, &error))
}

/// Beside a running gateway the database may lag by a tenth of a second. After one that was killed,
/// the journal is replayed first.
pub(super) fn open_to_query(dir: &Path) -> Result<Connection, LedgerError> {
    let left = recovery::segments(&journal_dir(dir)).is_ok_and(|segments| !segments.is_empty());
    if left && let Ok(Some(_lock)) = Lock::try_take(dir) {
        recovery::replay(&journal_dir(dir), &mut Database::open(dir)?)?;
    }
    database::open_to_read(dir)
}

pub(super) fn unreadable(dir: &Path, error: &rusqlite::Error) -> LedgerError {
    LedgerError(format!(
        "cannot read the ledger in {}: {error}",
        dir.display()
    ))
}
