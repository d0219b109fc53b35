//! The thread that chains what calls wrote. Calls never wait for it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use disk::{Signal, Stop};
use domain::Wall;

use crate::database::{Database, Failed, State, Tip};
use crate::index::Building;
use crate::keys::Keyring;
use crate::segment::Segment;
use crate::vault::{Contents, Vault};
use crate::whereabouts::Whereabouts;
use crate::witness::tell;
use crate::{AuditError, Settings, index};

mod batch;

mod rows;

use batch::{Batch, Reading};

/// Between transactions: what comes in meanwhile shares the next one.
const BATCH_PAUSE: Duration = Duration::from_millis(200);
/// Between two looks whether the store's folder is where it was, while there is nothing to chain.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// Closing gives a faulty database this many tries.
const CLOSING_TRIES: u32 = 20;

/// What a gateway's threads and the writer share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) vault: Vault,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) signal: Signal,
    pub(crate) has_work: AtomicBool,
    /// The latest `now` that anyone told, in ms.
    pub(crate) now: AtomicI64,
    pub(crate) database_fault: Mutex<Option<String>>,
    /// As of the last commit.
    pub(crate) entries: AtomicU64,
    pub(crate) unsigned: AtomicU64,
}

impl Shared {
    fn note_fault(&self, fault: Option<String>) {
        let mut noted = self
            .database_fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match (&*noted, &fault) {
            (None, Some(fault)) => tracing::error!(%fault, "the audit log lags"),
            (Some(_), None) => tracing::info!("the audit log is chained again"),
            _ => {}
        }
        *noted = fault;
    }

    pub(crate) fn note_now(&self, now: Wall) {
        self.now.fetch_max(now.0, Ordering::SeqCst);
    }

    pub(crate) fn wake(&self) {
        self.has_work.store(true, Ordering::SeqCst);
        self.signal.wake();
    }
}

pub(crate) struct Writer {
    shared: Arc<Shared>,
    settings: Settings,
    dir: PathBuf,
    /// `None` after a fault, until it can be opened again.
    database: Option<Database>,
    contents: Contents,
    segment: Arc<Segment>,
    offset: u64,
    /// Everything before it, in `segment`, is on the platter.
    synced: u64,
    reading: Reading,
    building: Building,
    whereabouts: Whereabouts,
}

enum Step {
    /// There may be more.
    Wrote,
    CaughtUp,
}

impl Writer {
    /// `None` if the vault has nothing to read, which it always has.
    pub(crate) fn new(
        shared: Arc<Shared>,
        settings: &Settings,
        database: Database,
        state: &State,
        whereabouts: Whereabouts,
    ) -> Option<Self> {
        let segment = shared.vault.first_unapplied()?;
        let offset = if segment.number == state.segment {
            state.offset
        } else {
            0
        };
        shared.vault.note_applied(offset);
        Some(Self {
            settings: settings.clone(),
            dir: settings.dir.clone(),
            contents: Contents::new(settings.segments_dir()),
            database: Some(database),
            segment,
            offset,
            synced: 0,
            reading: Reading::default(),
            building: Building::default(),
            whereabouts,
            shared,
        })
    }

    /// True if the chain has everything.
    pub(crate) fn run(mut self) -> bool {
        let mut tries = 0;
        loop {
            let stop = self.shared.signal.stop();
            if stop == Some(Stop::Abandon) {
                return false;
            }
            if !self.shared.vault.find(&self.whereabouts) {
                // The chain's place is gone with the folder.
                if stop.is_some() {
                    return false;
                }
                self.shared.signal.pause(RETRY_PAUSE);
                continue;
            }
            self.shared.vault.mend();
            let stepped = self.step().and_then(|step| match step {
                // Searches read what is not indexed: it waits while there are records to chain, but not in
                // memory without bound.
                Step::Wrote if !self.building.is_full() => Ok(true),
                Step::Wrote => self.index().map(|_| true),
                Step::CaughtUp if stop.is_some() => self.sign(true).map(|()| false),
                Step::CaughtUp => {
                    self.sign(false)?;
                    self.index()
                }
            });
            match stepped {
                Ok(true) => {
                    tries = 0;
                    self.shared.note_fault(None);
                }
                Ok(false) => {
                    self.shared.note_fault(None);
                    if stop.is_some() {
                        return true;
                    }
                    self.wait_for_work();
                }
                Err(fault) => {
                    self.shared.note_fault(Some(fault.to_string()));
                    self.database = None;
                    if stop.is_none() {
                        self.shared.signal.pause(RETRY_PAUSE);
                        continue;
                    }
                    tries += 1;
                    if tries == CLOSING_TRIES {
                        return false;
                    }
                    std::thread::sleep(RETRY_PAUSE);
                }
            }
        }
    }

    fn wait_for_work(&self) {
        let has_work = || self.shared.has_work.load(Ordering::SeqCst);
        self.shared.signal.wait(Some(LOOK_INTERVAL), has_work);
        if has_work() {
            self.shared.signal.pause(BATCH_PAUSE);
        }
    }

    fn step(&mut self) -> Result<Step, AuditError> {
        // Before reading: a record that comes later sets it again.
        self.shared.has_work.store(false, Ordering::SeqCst);
        loop {
            // Asked for first: if there is a later segment, this one's end is final.
            let next = self.shared.vault.after(self.segment.number);
            let end = self.segment.end();
            if self.offset < end {
                self.chain(end)?;
                return Ok(Step::Wrote);
            }
            let Some(next) = next else {
                return Ok(Step::CaughtUp);
            };
            if !self.segment.is_left()
                && let Err(error) = self.segment.trim(end)
            {
                tracing::warn!(%error, "cannot trim a segment of the audit log");
            }
            self.segment.cool();
            self.shared.vault.leave(next.number);
            self.segment = next;
            self.offset = 0;
            self.synced = 0;
        }
    }

    /// One transaction's worth of what stands before `end`.
    fn chain(&mut self, end: u64) -> Result<(), AuditError> {
        self.sync(end)?;
        let batch = Batch {
            segment: &self.segment,
            offset: self.offset,
            end: self.synced,
        };
        let database = match &mut self.database {
            Some(database) => database,
            none => none.insert(Database::open_existing(&self.dir)?),
        };
        let chained = batch
            .chain(
                database,
                &self.shared,
                &self.settings,
                &mut self.building,
                &mut self.reading,
            )
            .map_err(|failed| failed.in_dir(&self.dir))?;
        let shared = &self.shared;
        shared.vault.note_applied(chained.reached - self.offset);
        shared.entries.store(chained.entries, Ordering::Relaxed);
        shared.unsigned.store(chained.unsigned, Ordering::Relaxed);
        self.offset = chained.reached;
        if chained.is_signed {
            tell(database, &shared.keyring)?;
        }
        Ok(())
    }

    /// What the chain says is there is there after a power loss too: the next of the segment is on the
    /// platter before it is chained.
    fn sync(&mut self, end: u64) -> Result<(), AuditError> {
        if self.offset >= self.synced {
            self.shared.keyring.sync()?;
            self.segment
                .sync()
                .map_err(|error| batch::unreadable(&error))?;
            self.synced = end;
        }
        Ok(())
    }

    /// Signs entries that wait for it: all of them at the end, else those that wait long enough.
    fn sign(&mut self, at_end: bool) -> Result<(), AuditError> {
        let now = Wall(self.shared.now.load(Ordering::SeqCst));
        let settings = self.settings.clone();
        let shared = Arc::clone(&self.shared);
        let dir = self.dir.clone();
        let database = self.database()?;
        let signed = (|| -> Result<_, Failed> {
            let state = State::read(&database.connection)?;
            let tip = Tip::read(&database.connection, &shared.keyring.store())?;
            let unsigned = tip.sequence - state.head.min(tip.sequence);
            if unsigned == 0 || !(at_end || settings.head_due(&state, now, unsigned)) {
                return Ok(false);
            }
            database.wait_for_platter(true)?;
            let transaction = database.begin()?;
            let mut tip = Tip::read(&transaction, &shared.keyring.store())?;
            tip.append_head(&transaction, &shared.keyring, now)?;
            transaction.commit()?;
            shared.entries.store(tip.sequence, Ordering::Relaxed);
            Ok(true)
        })();
        if signed.map_err(|failed| failed.in_dir(&dir))? {
            shared.unsigned.store(0, Ordering::Relaxed);
            tell(database, &shared.keyring)?;
        }
        Ok(())
    }

    /// True if there was enough to index.
    fn index(&mut self) -> Result<bool, AuditError> {
        let shared = Arc::clone(&self.shared);
        let tail = self.settings.index_tail;
        let dir = self.dir.clone();
        self.database()?;
        let (Some(database), contents) = (&mut self.database, &mut self.contents) else {
            return Ok(false);
        };
        index::keep_up(
            &mut self.building,
            database,
            contents,
            &shared.keyring,
            tail,
        )
        .map_err(|failed| failed.in_dir(&dir))
    }

    fn database(&mut self) -> Result<&mut Database, AuditError> {
        match &mut self.database {
            Some(database) => Ok(database),
            none => Ok(none.insert(Database::open_existing(&self.dir)?)),
        }
    }
}
