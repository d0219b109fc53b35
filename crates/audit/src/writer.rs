//! The thread that chains what calls wrote. Calls never wait for it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::Wall;

use crate::bytes::Reader;
use crate::chain::content_hash;
use crate::database::{Body, Database, Failed, State, Tip, tell};
use crate::event::{Event, is_record};
use crate::keys::Keyring;
use crate::record::Skeleton;
use crate::segment::{Scan, Segment};
use crate::signal::{Signal, Stop};
use crate::vault::{Contents, Vault};
use crate::{AuditError, Settings, index};

/// Between transactions: what comes in meanwhile shares the next one.
const BATCH_PAUSE: Duration = Duration::from_millis(200);
const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// Of a segment, for one transaction.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
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
            self.shared.vault.mend();
            let stepped = self.step().and_then(|step| match step {
                Step::Wrote => Ok(true),
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
        self.shared
            .signal
            .wait(None, || self.shared.has_work.load(Ordering::SeqCst));
        self.shared.signal.pause(BATCH_PAUSE);
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
            self.shared.vault.leave(next.number);
            self.segment = next;
            self.offset = 0;
        }
    }

    /// One transaction's worth.
    fn chain(&mut self, end: u64) -> Result<(), AuditError> {
        let unreadable = |error: std::io::Error| {
            AuditError::Store(format!("cannot read a segment of the audit log: {error}"))
        };
        let mut wanted = BATCH_BYTES;
        let (bytes, limit) = loop {
            let len = (end - self.offset).min(wanted as u64);
            let mut bytes = vec![0; usize::try_from(len).unwrap_or(wanted)];
            self.segment
                .read(self.offset, &mut bytes)
                .map_err(unreadable)?;
            let mut scan = Scan::new(&bytes, self.segment.number, self.offset, end);
            match (scan.next(), scan.wanted) {
                (None, Some(more)) if scan.offset() == self.offset => wanted = more,
                _ => break (bytes, end),
            }
        };
        // What the chain says is there is there after a power loss too.
        self.shared.keyring.sync()?;
        self.segment.sync().map_err(unreadable)?;
        let now = Wall(self.shared.now.load(Ordering::SeqCst));
        let store = self.shared.keyring.store();
        let shared = Arc::clone(&self.shared);
        let is_left = self.segment.is_left();
        let (number, offset) = (self.segment.number, self.offset);
        let settings = self.settings.clone();
        let database = self.database()?;
        let before = State::read(&database.connection).map_err(|error| database.faulty(&error))?;
        let bytes_since_head = bytes.len() as u64;
        // Decided before the transaction begins, by what it may hold at most.
        let may_sign = settings.head_due(
            &before,
            now,
            shared.unsigned.load(Ordering::Relaxed) + bytes_since_head / 256,
        );
        database
            .wait_for_platter(may_sign)
            .map_err(|error| database.faulty(&error))?;
        let dir = database.dir().to_owned();
        let chained = (|| -> Result<_, Failed> {
            let transaction = database.begin()?;
            let mut tip = Tip::read(&transaction, &store)?;
            let mut state = State::read(&transaction)?;
            let mut scan = Scan::new(&bytes, number, offset, limit);
            let first = tip.sequence + 1;
            let mut expires: Option<i64> = None;
            let mut malformed = 0;
            while let Some(found) = scan.next() {
                let skeleton = Reader::new(found.header.get(2..).unwrap_or_default());
                let skeleton = Skeleton::read(&mut { skeleton });
                let (true, Ok(skeleton)) = (is_record(found.header), skeleton) else {
                    malformed += 1;
                    continue;
                };
                let expiry = skeleton.expires_at().0;
                expires = Some(expires.map_or(expiry, |known| known.min(expiry)));
                let body = Body::Placed {
                    place: found.place,
                    content_hash: content_hash(found.sealed),
                };
                tip.append(&transaction, skeleton.recorded_at, found.header, &body)?;
            }
            let last = tip.sequence;
            if last >= first {
                note_segment(&transaction, number, (first, last), expires)?;
            }
            // A torn frame at the end of what a dead process left was never acknowledged.
            let places = scan.damaged + malformed + u64::from(scan.torn && !is_left);
            if places > 0 {
                tracing::error!(
                    segment = number,
                    places,
                    "a segment of the audit log is damaged"
                );
                tip.append_event(
                    &transaction,
                    now,
                    &Event::Damaged {
                        segment: number,
                        places,
                    },
                    None,
                )?;
            }
            state.segment = number;
            state.offset = scan.offset();
            state.write(&transaction)?;
            let unsigned = tip.sequence - state.head;
            let head = if may_sign && settings.head_due(&state, now, unsigned) {
                Some(tip.append_head(&transaction, &shared.keyring, now)?)
            } else {
                None
            };
            transaction.commit()?;
            Ok((scan.offset(), tip, head, unsigned))
        })();
        let (reached, tip, head, unsigned) = chained.map_err(|failed| failed.in_dir(&dir))?;
        shared.vault.note_applied(reached - offset);
        shared.entries.store(tip.sequence, Ordering::Relaxed);
        shared
            .unsigned
            .store(if head.is_some() { 0 } else { unsigned }, Ordering::Relaxed);
        self.offset = reached;
        if let Some(head) = head {
            tell(&self.dir, &shared.keyring, &head)?;
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
                return Ok(None);
            }
            database.wait_for_platter(true)?;
            let transaction = database.begin()?;
            let mut tip = Tip::read(&transaction, &shared.keyring.store())?;
            let head = tip.append_head(&transaction, &shared.keyring, now)?;
            transaction.commit()?;
            shared.entries.store(tip.sequence, Ordering::Relaxed);
            Ok(Some(head))
        })();
        if let Some(head) = signed.map_err(|failed| failed.in_dir(&dir))? {
            shared.unsigned.store(0, Ordering::Relaxed);
            tell(&self.dir, &shared.keyring, &head)?;
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
        index::build(database, contents, &shared.keyring, tail)
            .map_err(|failed| failed.in_dir(&dir))
    }

    fn database(&mut self) -> Result<&mut Database, AuditError> {
        match &mut self.database {
            Some(database) => Ok(database),
            none => Ok(none.insert(Database::open_existing(&self.dir)?)),
        }
    }
}

fn note_segment(
    transaction: &rusqlite::Transaction<'_>,
    number: u64,
    (first, last): (u64, u64),
    expires: Option<i64>,
) -> rusqlite::Result<()> {
    let upsert = "INSERT INTO segments (number, first, last, expires) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT DO UPDATE SET last = ?3, expires = min(coalesce(expires, ?4), ?4)";
    transaction
        .prepare_cached(upsert)?
        .execute(rusqlite::params![
            number.cast_signed(),
            first.cast_signed(),
            last.cast_signed(),
            expires
        ])?;
    Ok(())
}
