//! The ledger's database: SQLite, written by one thread, in batches that say how far they got.

use std::path::{Path, PathBuf};
use std::time::Duration;

use disk::private;
use domain::record::CallRecord;
use domain::{CallId, Now, PriceId, Wall};
use jiff::tz::TimeZone;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::migrations::{self, MigrationError, migrate};
use super::rollup::Rollup;
use super::segment::Position;
use super::sums::Sums;
use super::unsummed::Unsummed;
use super::{LedgerError, levels, rows, totals};
use crate::counters::Restored;

/// 4 MiB: pages that many transactions touch are brought home once for all of them.
const CHECKPOINT_PAGES: i64 = 1_000;

const FILE: &str = "ledger.sqlite";

#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
    path: PathBuf,
    /// As it stands in the database.
    rollup: Rollup,
    unsummed: Unsummed,
}

/// When the sums of a batch are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SumUp {
    /// With the batch, and so are those that wait.
    Now,
    Later,
}

impl Database {
    pub(super) fn open(dir: &Path) -> Result<Self, LedgerError> {
        let path = dir.join(FILE);
        let context = |error: &dyn std::fmt::Display| {
            LedgerError(format!(
                "cannot open the ledger {}: {error}",
                path.display()
            ))
        };
        private::open(&path).map_err(|error| context(&error))?;
        let mut connection = Connection::open(&path).map_err(|error| context(&error))?;
        set_up(&mut connection).map_err(|error| context(&error))?;
        let rollup = Rollup::read(&connection).map_err(|error| context(&error))?;
        let unsummed = Unsummed::read(&connection, &rollup).map_err(|error| context(&error))?;
        Ok(Self {
            connection,
            path,
            rollup,
            unsummed,
        })
    }

    /// Whose days sums are kept by.
    pub(super) fn set_time_zone(&mut self, time_zone: &TimeZone) -> rusqlite::Result<()> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let rollup = self.rollup.in_zone(&transaction, time_zone)?;
        transaction.commit()?;
        self.rollup = rollup;
        Ok(())
    }

    /// Adds one more hour that is over to its day, if there is one. `latest`: when the newest call
    /// began, or now.
    pub(super) fn roll_up(&mut self, latest: Wall) -> rusqlite::Result<bool> {
        if !self.rollup.is_due(&self.connection, latest)? {
            return Ok(false);
        }
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let row = self.unsummed.write(&transaction, &self.rollup)?;
        let rollup = self.rollup.advanced(&transaction)?;
        transaction.commit()?;
        self.unsummed = Unsummed::behind(row, &rollup);
        self.rollup = rollup;
        Ok(true)
    }

    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// One transaction. Calls that are there already are left alone, and add to no sum; so are
    /// prices. After an error nothing of it was written.
    pub(super) fn apply<'a>(
        &mut self,
        records: impl Iterator<Item = &'a CallRecord>,
        prices: &[(PriceId, String)],
        position: Option<Position>,
        sum_up: SumUp,
    ) -> rusqlite::Result<()> {
        let applied = self.try_apply(records, prices, position, sum_up);
        if applied.is_err() {
            self.unsummed.forget();
        }
        applied
    }

    fn try_apply<'a>(
        &mut self,
        records: impl Iterator<Item = &'a CallRecord>,
        prices: &[(PriceId, String)],
        position: Option<Position>,
        sum_up: SumUp,
    ) -> rusqlite::Result<()> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut insert = rows::Insert::new(&transaction)?;
        insert.calls(records, |record| self.unsummed.add(record))?;
        drop(insert);
        let summed = match sum_up {
            SumUp::Now => Some(self.unsummed.write(&transaction, &self.rollup)?),
            SumUp::Later => None,
        };
        add_prices(&transaction, prices)?;
        if let Some(position) = position {
            set_applied(&transaction, position)?;
        }
        transaction.commit()?;
        if let Some(row) = summed {
            self.unsummed = Unsummed::behind(row, &self.rollup);
        }
        Ok(())
    }

    /// Whether sums wait to be written.
    pub(super) fn has_unsummed(&self) -> bool {
        !self.unsummed.is_empty()
    }

    /// Calls whose sums wait.
    pub(super) fn unsummed_calls(&self) -> u64 {
        self.unsummed.calls()
    }

    /// More may not wait.
    pub(super) fn is_full_of_unsummed(&self) -> bool {
        self.unsummed.is_full()
    }

    /// Writes the sums that wait.
    pub(super) fn sum_up(&mut self) -> rusqlite::Result<()> {
        self.apply([].iter(), &[], None, SumUp::Now)
    }

    /// Calls of which only the sums are known.
    pub(super) fn apply_folded(&mut self, sums: &Sums) -> rusqlite::Result<()> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        totals::add(&transaction, sums, true)?;
        self.rollup.add_late_folded(&transaction, sums)?;
        transaction.commit()
    }

    pub(super) fn applied(&self) -> rusqlite::Result<Position> {
        self.connection
            .query_row("SELECT segment, offset FROM applied", [], |row| {
                Ok(Position {
                    segment: row.get::<_, i64>(0)?.cast_unsigned(),
                    offset: row.get::<_, i64>(1)?.cast_unsigned(),
                })
            })
    }

    /// Brings everything committed so far to the platter. Before this, a power loss could undo the
    /// last commits, and the journal must still have what they held.
    pub(super) fn make_durable(&mut self) -> rusqlite::Result<()> {
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        let committed = self
            .connection
            .execute("UPDATE applied SET offset = offset", []);
        self.connection
            .pragma_update(None, "synchronous", "NORMAL")?;
        committed.map(|_| ())
    }

    pub(super) fn has_call(&self, id: CallId) -> rusqlite::Result<bool> {
        rows::has(&self.connection, id)
    }

    /// What counters continue from.
    pub(super) fn restored(&self, now: Now) -> rusqlite::Result<Restored> {
        levels::restored(&self.connection, now)
    }

    pub(super) fn prune_levels(&self, now: Wall) -> rusqlite::Result<()> {
        levels::prune(&self.connection, now)
    }

    pub(super) fn describe(&self, error: &rusqlite::Error) -> String {
        format!(
            "cannot write to the ledger {}: {error}",
            self.path.display()
        )
    }
}

/// Whether a gateway has run with this data directory.
pub fn exists(dir: &Path) -> bool {
    dir.join(FILE).exists()
}

/// For queries, beside a running gateway or without one.
pub(super) fn open_to_read(dir: &Path) -> Result<Connection, LedgerError> {
    open_existing(dir, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// For what stands beside the calls. Waits while the writer has the database.
pub(super) fn open_to_change(dir: &Path) -> Result<Connection, LedgerError> {
    open_existing(dir, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

fn open_existing(dir: &Path, access: OpenFlags) -> Result<Connection, LedgerError> {
    let path = dir.join(FILE);
    if !path.exists() {
        return Err(LedgerError(format!(
            "there is no ledger in {}: no gateway has run with this data directory",
            dir.display()
        )));
    }
    let context = |error: &dyn std::fmt::Display| {
        LedgerError(format!(
            "cannot read the ledger {}: {error}",
            path.display()
        ))
    };
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags).map_err(|error| context(&error))?;
    connection
        .busy_timeout(Duration::from_secs(5))
        .map_err(|error| context(&error))?;
    let found = migrations::version(&connection).map_err(|error| context(&error))?;
    if found == migrations::VERSION {
        return Ok(connection);
    }
    if found > migrations::VERSION {
        return Err(context(&MigrationError::Newer { found }));
    }
    Err(context(
        &"an older version wrote it; start this version's gateway once to bring it up to date",
    ))
}

fn set_up(connection: &mut Connection) -> Result<(), MigrationError> {
    // Short: the writer comes back to its other duties and tries again.
    connection.busy_timeout(Duration::from_secs(1))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.set_prepared_statement_cache_capacity(32);
    migrate(connection)
}

fn set_applied(transaction: &Transaction<'_>, position: Position) -> rusqlite::Result<()> {
    let mut update = transaction.prepare_cached("UPDATE applied SET segment = ?, offset = ?")?;
    update.execute([
        position.segment.cast_signed(),
        position.offset.cast_signed(),
    ])?;
    Ok(())
}

fn add_prices(transaction: &Transaction<'_>, prices: &[(PriceId, String)]) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached("INSERT OR IGNORE INTO prices VALUES (?,?)")?;
    for (id, text) in prices {
        insert.execute([id.as_str(), text])?;
    }
    Ok(())
}
