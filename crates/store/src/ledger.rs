//! Usage records: a crash-safe journal that calls write to, and the database behind it.
//!
//! A call writes its opening before it is forwarded, its passed tokens while it runs and its record
//! before its last byte is sent: three positioned writes to a file, which a kill of the process
//! cannot undo. One thread brings records from the journal into SQLite, another keeps the journal
//! writable. What neither the journal nor memory has room for loses its detail, never its tokens.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use disk::{Lock, Signal, Stop, private};
use domain::Now;
use domain::record::{CallRecord, Opening, PriceId};
use jiff::tz::TimeZone;

use crate::counters::Restored;
use crate::directory;

mod adjustments;
pub mod backfill;
mod billed;
mod charged;
mod codec;
mod database;
pub mod follow;
mod journal;
mod keeper;
mod kept;
mod levels;
mod migrations;
mod overflow;
mod query;
mod recovery;
mod rollup;
mod rows;
#[cfg(test)]
mod samples;
mod segment;
pub mod spend;
mod sums;
mod tail;
#[cfg(test)]
mod tests;
mod totals;
mod unsummed;
mod usage;
mod verdicts;
mod writer;

pub use adjustments::{Adjustment, adjust, adjustments, each_call};
pub use billed::{BilledQuery, BilledRow, billed};
pub use charged::{Charged, ChargedCall, ChargedQuery, PricedCharge, charged};
use codec::Bounds;
use database::Database;
pub use database::exists;
use journal::{Journal, Place, Unwritable};
use overflow::{Overflow, Waiting};
pub use query::{BudgetHour, budget_hours, budget_levels, find, prices, recent};
use segment::{Frame, Kind, Passed};
use tail::Tail;
pub use usage::{UsageBy, UsageQuery, UsageRow, usage};
use writer::Writer;

/// A longer record is written with its texts cut.
const ENTRY_BYTES_MAX: u64 = 1024 * 1024;

/// Past this they are told to the ledger once more, which knows them.
const PRICES_REMEMBERED_MAX: usize = 100_000;

/// `Sqlite` for one gateway. Dropping it stops at once and leaves the rest to the next start;
/// `close` finishes.
#[derive(Debug)]
pub struct Ledger {
    shared: Arc<Shared>,
    /// Taken when they are joined.
    writer: Option<JoinHandle<bool>>,
    keeper: Option<JoinHandle<()>>,
    _lock: Lock,
}

/// An opened call's place in the journal.
#[derive(Debug)]
pub struct Entry {
    /// `None` if the journal could not be written: a crash would not know of the call.
    place: Option<Place>,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LedgerError(pub String);

#[derive(Clone, Debug)]
pub struct Options {
    /// Of one file of the journal, at least 64 KiB. Two are always there; one more for each that
    /// the database lags, and one for each whose calls have not all ended.
    pub segment_bytes: u64,
    /// What the journal may hold that the database lacks. Past it, records are kept in memory.
    pub journal_bytes_max: u64,
    /// Past it, calls that the journal cannot take are kept as sums, without their detail.
    pub records_in_memory_max: usize,
    /// How much of the journal a power loss may undo. A kill of the process undoes nothing.
    pub sync_interval: Duration,
    /// Whose days sums are kept by, so that reports in this zone over many days are quick.
    pub time_zone: TimeZone,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 16 * 1024 * 1024,
            journal_bytes_max: 1024 * 1024 * 1024,
            records_in_memory_max: 10_000,
            sync_interval: Duration::from_secs(1),
            time_zone: TimeZone::UTC,
        }
    }
}

/// What opening found.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    pub counters: Restored,
    /// Calls that were in flight when the last process died; now on the ledger as interrupted.
    pub interrupted: Vec<CallRecord>,
    /// Entries that the journal had and the database had not.
    pub replayed: u64,
    /// Places in the journal that could not be read. Their files are kept as `*.tgj.damaged`.
    pub damaged: u64,
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

impl Ledger {
    pub fn open(dir: &Path, now: Now) -> Result<(Self, Recovered), LedgerError> {
        Self::open_with(dir, now, &Options::default())
    }

    pub fn open_with(
        dir: &Path,
        now: Now,
        options: &Options,
    ) -> Result<(Self, Recovered), LedgerError> {
        let failed = |what: &str, error: std::io::Error| {
            LedgerError(format!("cannot {what} in {}: {error}", dir.display()))
        };
        private::create_directory(&journal_dir(dir))
            .map_err(|error| failed("make the data directory", error))?;
        let Some(lock) = directory::lock(dir).map_err(|error| failed("take the lock", error))?
        else {
            return Err(LedgerError(format!(
                "the data directory {} is in use by another gateway: stop it, or set another `data_dir`",
                dir.display()
            )));
        };
        let mut database = Database::open(dir)?;
        let replay = recovery::replay(&journal_dir(dir), &mut database)?;
        let read = |error| {
            LedgerError(format!(
                "cannot read the ledger in {}: {error}",
                dir.display()
            ))
        };
        database.set_time_zone(&options.time_zone).map_err(read)?;
        database.prune_levels(now.wall).map_err(read)?;
        let counters = database.restored(now).map_err(read)?;
        let journal = Journal::create(
            journal_dir(dir),
            replay.next_segment,
            options.segment_bytes,
            options.journal_bytes_max,
        )
        .map_err(|error| failed("make the journal", error))?;
        let ledger = Self::start(dir, lock, database, journal, now, options)
            .map_err(|error| failed("start the ledger", error))?;
        let recovered = Recovered {
            counters,
            interrupted: replay.interrupted,
            replayed: replay.replayed,
            damaged: replay.damaged,
        };
        Ok((ledger, recovered))
    }

    fn start(
        dir: &Path,
        lock: Lock,
        database: Database,
        journal: Journal,
        now: Now,
        options: &Options,
    ) -> std::io::Result<Self> {
        let tail = Tail::new(journal.current());
        let shared = Arc::new(Shared {
            journal,
            overflow: Overflow::new(options.records_in_memory_max),
            writer_signal: Signal::default(),
            keeper_signal: Signal::default(),
            has_records: AtomicBool::new(false),
            database_fault: Mutex::default(),
            remembered: papaya::HashSet::new(),
        });
        let mut ledger = Self {
            shared: Arc::clone(&shared),
            writer: None,
            keeper: None,
            _lock: lock,
        };
        let writer = Writer::new(
            Arc::clone(&shared),
            dir.to_owned(),
            database,
            tail,
            now.wall,
        );
        ledger.writer = Some(
            std::thread::Builder::new()
                .name("ledger-writer".into())
                .spawn(move || writer.run())?,
        );
        let sync_interval = options.sync_interval;
        ledger.keeper = Some(
            std::thread::Builder::new()
                .name("ledger-keeper".into())
                .spawn(move || keeper::run(&shared, sync_interval))?,
        );
        Ok(ledger)
    }

    /// Before a call is forwarded. Never blocks on the database.
    pub fn begin(&self, opening: &Opening) -> Entry {
        let mut frame = framed(Kind::Opening, |bytes, bounds| {
            codec::put_opening(bytes, opening, bounds);
        });
        let place = self.shared.append(&mut frame).ok();
        Entry { place }
    }

    /// Before a piece of an answer is sent: completion tokens passed so far. One small positioned
    /// write, so that a crash knows them.
    pub fn progress(&self, entry: &Entry, completion_tokens: u64) {
        if let Some(place) = &entry.place {
            self.shared.note_passed(place, completion_tokens);
        }
    }

    /// Before the last byte of an answer is sent. `entry` is `None` for calls that were refused
    /// before they could reach a provider. When this returns, kill -9 cannot lose the record.
    pub fn append(&self, entry: Option<Entry>, record: CallRecord) {
        if self.shared.journal_record(&record).is_ok() {
            return;
        }
        let opening = entry.and_then(|entry| entry.place);
        // It takes no further room, so it can still carry the tokens past a crash.
        if let Some(place) = &opening {
            self.shared
                .note_passed(place, record.metered.usage().completion);
        }
        self.shared.overflow.push(Waiting { record, opening });
        self.shared.writer_signal.wake();
    }

    /// Before the first record that names the price. Costs a look-up where it was told before, and
    /// asks for the text, JSON that holds the complete price, only where it was not.
    pub fn remember_price(&self, id: &PriceId, text: impl FnOnce() -> String) {
        let remembered = self.shared.remembered.pin();
        if remembered.contains(id) {
            return;
        }
        if remembered.len() >= PRICES_REMEMBERED_MAX {
            remembered.clear();
        }
        let text = text();
        let mut frame = Frame::new(Kind::Price, |bytes| codec::put_price(bytes, id, &text));
        let is_kept = self.shared.append(&mut frame).is_ok()
            || self.shared.overflow.push_price(id.clone(), text);
        self.shared.wake_writer();
        // Only now: a call that finds it here may append its record at once.
        if is_kept {
            remembered.insert(id.clone());
        }
    }

    pub fn health(&self) -> Health {
        let Shared {
            journal,
            overflow,
            database_fault,
            ..
        } = &*self.shared;
        let ended = self.writer.as_ref().is_none_or(JoinHandle::is_finished);
        let ended = ended.then(|| "the ledger's writer has ended; restart the gateway".to_owned());
        Health {
            journal_fault: journal.fault(),
            database_fault: ended.or_else(|| lock(database_fault).clone()),
            records_in_memory: overflow.records(),
            behind_bytes: journal.behind_bytes(),
            folded: overflow.folded_calls(),
        }
    }

    /// Waits until the database has everything appended so far, then closes. A database that keeps
    /// failing is waited for 5 s; the journal keeps what it lacks for the next start.
    pub fn close(mut self) {
        let finished = self.stop(Stop::Finish);
        if finished {
            if let Err(error) = self.shared.journal.delete_all() {
                tracing::warn!(%error, "cannot delete the journal; the next start will");
            }
        } else {
            tracing::warn!(
                "the ledger's database lacks records; the next start brings them from the journal"
            );
        }
        let Health {
            records_in_memory,
            folded,
            ..
        } = self.health();
        if !self.shared.overflow.is_empty() {
            tracing::error!(
                records_in_memory,
                folded,
                "records are lost: neither the journal nor the database could be written"
            );
        }
    }

    /// The keeper ends last: it brings what the writer could not write back into the journal.
    fn stop(&mut self, stop: Stop) -> bool {
        self.shared.writer_signal.ask_to_stop(stop);
        let finished = self
            .writer
            .take()
            .is_some_and(|writer| writer.join().unwrap_or(false));
        self.shared.keeper_signal.ask_to_stop(stop);
        let kept = self
            .keeper
            .take()
            .is_some_and(|keeper| keeper.join().is_ok());
        finished && kept
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.stop(Stop::Abandon);
    }
}

/// What calls and the two threads share.
#[derive(Debug)]
struct Shared {
    journal: Journal,
    overflow: Overflow,
    writer_signal: Signal,
    keeper_signal: Signal,
    /// Something was written that the database wants. That a call began is nothing.
    has_records: AtomicBool,
    database_fault: Mutex<Option<String>>,
    /// Prices whose text was written since the start.
    remembered: papaya::HashSet<PriceId>,
}

impl Shared {
    fn append(&self, frame: &mut Frame) -> Result<Place, Unwritable> {
        let place = self.journal.append(frame);
        if self.journal.wants_keeper() {
            self.keeper_signal.wake();
        }
        place
    }

    fn wake_writer(&self) {
        self.has_records.store(true, Ordering::SeqCst);
        self.writer_signal.wake();
    }

    fn journal_record(&self, record: &CallRecord) -> Result<(), Unwritable> {
        let mut frame = framed(Kind::Record, |bytes, bounds| {
            codec::put_record(bytes, record, bounds);
        });
        self.append(&mut frame)?;
        self.wake_writer();
        Ok(())
    }

    fn note_passed(&self, opening: &Place, completion_tokens: u64) {
        let tokens = u32::try_from(completion_tokens).unwrap_or(u32::MAX);
        if let Err(error) = opening.set_passed(Passed::Tokens(tokens)) {
            self.journal
                .note_fault(format!("cannot write to the journal: {error}"));
        }
    }

    fn note_database(&self, fault: Option<String>) {
        let mut noted = lock(&self.database_fault);
        match (&*noted, &fault) {
            (None, Some(fault)) => {
                tracing::error!(%fault, "ledger fault; records wait in the journal");
            }
            (Some(_), None) => tracing::info!("the ledger can be written again"),
            _ => {}
        }
        *noted = fault;
    }
}

fn framed(kind: Kind, put: impl Fn(&mut Vec<u8>, Bounds)) -> Frame {
    let frame = Frame::new(kind, |bytes| put(bytes, Bounds::FULL));
    if frame.len() <= ENTRY_BYTES_MAX {
        return frame;
    }
    Frame::new(kind, |bytes| put(bytes, Bounds::CUT))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn journal_dir(dir: &Path) -> PathBuf {
    dir.join("journal")
}
