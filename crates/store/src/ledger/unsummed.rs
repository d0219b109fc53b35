//! Calls whose rows are in the database and whose sums are not yet. What many batches add to one sum
//! is one change of its row, made every other second.
//!
//! The database says up to which call its sums go, and memory only ever stands for the calls behind
//! that one: whatever becomes of memory, the rows tell what it held.

use domain::record::CallRecord;
use rusqlite::{Connection, Transaction};

use super::rollup::Rollup;
use super::sums::Sums;
use super::{rows, totals};

/// Names in memory at most, some 400 bytes each, and what one batch adds.
const KEYS_MAX: usize = 8_192;
/// Calls that a start has to add up after a kill, at most: half a second's work.
const CALLS_MAX: u64 = 20_000;

#[derive(Debug)]
pub(super) struct Unsummed {
    /// The last call that the sums in the database know of, as this memory has it. `None`: memory
    /// does not hold all that is behind it.
    behind: Option<i64>,
    sums: Sums,
    calls: u64,
}

impl Unsummed {
    /// Of a database that was just opened.
    pub(super) fn read(connection: &Connection, rollup: &Rollup) -> rusqlite::Result<Self> {
        let behind = summed_row(connection)?;
        let is_all = behind == rows::last_row(connection)?;
        Ok(Self {
            behind: is_all.then_some(behind),
            ..Self::behind(behind, rollup)
        })
    }

    /// After the sums were brought up to that row.
    pub(super) fn behind(row: i64, rollup: &Rollup) -> Self {
        Self {
            behind: Some(row),
            sums: Sums::by_user_before(rollup.until()),
            calls: 0,
        }
    }

    /// A call whose row is written in the same transaction.
    pub(super) fn add(&mut self, record: &CallRecord) {
        self.sums.add(record);
        self.calls += 1;
    }

    /// After a transaction that came to nothing: only the rows know.
    pub(super) fn forget(&mut self) {
        self.behind = None;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls == 0 && self.behind.is_some()
    }

    /// Calls in memory.
    pub(super) fn calls(&self) -> u64 {
        self.calls
    }

    pub(super) fn is_full(&self) -> bool {
        self.calls >= CALLS_MAX || self.sums.keys() >= KEYS_MAX
    }

    /// Brings the sums up to the last call, whose row it returns: once the transaction is through,
    /// memory starts behind that one.
    pub(super) fn write(
        &self,
        transaction: &Transaction<'_>,
        rollup: &Rollup,
    ) -> rusqlite::Result<i64> {
        let summed = summed_row(transaction)?;
        let last = rows::last_row(transaction)?;
        if self.behind == Some(summed) {
            add(transaction, rollup, &self.sums)?;
        } else {
            let mut sums = Sums::by_user_before(rollup.until());
            rows::each_behind(transaction, summed, &mut |record| {
                sums.add(&record);
                if sums.keys() >= KEYS_MAX {
                    add(transaction, rollup, &sums)?;
                    sums = Sums::by_user_before(rollup.until());
                }
                Ok(())
            })?;
            add(transaction, rollup, &sums)?;
        }
        if last != summed {
            let mut update = transaction.prepare_cached(
                "UPDATE summed SET (row, call) = (SELECT rowid, id FROM calls WHERE rowid = ?)",
            )?;
            update.execute([last])?;
        }
        Ok(last)
    }
}

fn add(transaction: &Transaction<'_>, rollup: &Rollup, sums: &Sums) -> rusqlite::Result<()> {
    totals::add(transaction, sums, false)?;
    rollup.add_late(transaction, sums)
}

/// Where the last call that sums know of stands now: numbers change when somebody vacuums the file.
fn summed_row(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "SELECT ifnull((SELECT rowid FROM calls WHERE id = summed.call), summed.row) FROM summed",
        )?
        .query_row([], |row| row.get(0))
}
