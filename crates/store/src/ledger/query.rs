//! Looking at a data directory from outside: beside a running gateway, or after it stopped.

use std::path::Path;
use std::sync::Arc;

use domain::record::{CallRecord, PriceId};
use domain::{CallId, Currency, LimitId, Nanos, Wall};
use rusqlite::Connection;

use super::database::{self, Database};
use super::sums::hour_of;
use super::{LedgerError, journal_dir, levels, recovery, rows};
use crate::counters::RestoredBudget;
use crate::directory;

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

/// What the ids of prices stand for, as JSON, in the order of their ids.
pub fn prices(dir: &Path) -> Result<Vec<(PriceId, String)>, LedgerError> {
    let connection = open_to_query(dir)?;
    let read = || {
        let mut select = connection.prepare("SELECT id, text FROM prices ORDER BY id")?;
        let prices = select.query_map([], |row| {
            let id: String = row.get(0)?;
            Ok((PriceId::from(id.as_str()), row.get(1)?))
        })?;
        prices.collect::<rusqlite::Result<_>>()
    };
    read().map_err(|error| unreadable(dir, &error))
}

/// What a budget was charged by calls that began in one hour of UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetHour {
    pub budget: LimitId,
    pub key: Arc<str>,
    pub period_start: Wall,
    pub hour: Wall,
    pub currency: Currency,
    pub spent: Nanos,
}

/// The period that each budget was charged in last, by key and currency.
pub fn budget_levels(dir: &Path, now: Wall) -> Result<Vec<RestoredBudget>, LedgerError> {
    let connection = open_to_query(dir)?;
    levels::budget_levels(&connection, now).map_err(|error| unreadable(dir, &error))
}

/// Of calls that began in the hour of `since` or later, by budget, key and time.
pub fn budget_hours(dir: &Path, since: Wall) -> Result<Vec<BudgetHour>, LedgerError> {
    let connection = open_to_query(dir)?;
    let read = || {
        let mut select = connection.prepare(
            "SELECT budget, key, period_start, hour, currency, nanos FROM budget_hourly
             WHERE hour >= ? ORDER BY budget, key, hour, period_start, currency",
        )?;
        let hours = select.query_map([hour_of(since).0], |row| {
            let budget: String = row.get(0)?;
            let currency: String = row.get(4)?;
            Ok(BudgetHour {
                budget: LimitId::from(budget.as_str()),
                key: row.get::<_, String>(1)?.into(),
                period_start: Wall(row.get(2)?),
                hour: Wall(row.get(3)?),
                currency: rows::currency(&currency)?,
                spent: Nanos(row.get(5)?),
            })
        })?;
        hours.collect::<rusqlite::Result<_>>()
    };
    read().map_err(|error| unreadable(dir, &error))
}

/// Beside a running gateway the database may lag by a quarter of a second. After one that was killed,
/// the journal is replayed first.
pub(super) fn open_to_query(dir: &Path) -> Result<Connection, LedgerError> {
    let left = recovery::segments(&journal_dir(dir)).is_ok_and(|segments| !segments.is_empty());
    if left && let Ok(Some(_lock)) = directory::try_lock(dir) {
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
