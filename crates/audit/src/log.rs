//! What a gateway writes to: sealed on the calling thread, in the page cache when `append` returns.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use disk::{Lock, Signal, Stop};
use domain::Wall;

use crate::chain::content_hash;
use crate::database::{Database, State, Tip, unusable};
use crate::filter::with_filter;
use crate::frame::Frame;
use crate::gathering::{Gatherer, Gathering};
use crate::handover::Handing;
use crate::keys::{Keyring, Keys, Lent};
use crate::record::{Draft, put_content, put_skeleton};
use crate::sealer::Whose;
use crate::vault::{NotWritten, Unwritable, Vault};
use crate::whereabouts::Whereabouts;
use crate::writer::{Shared, Writer};
use crate::{AuditError, event};

mod opening;
mod sealing;

pub use opening::region_of;
pub(crate) use sealing::Sealing;

/// One store: a directory, in a region.
#[derive(Clone, Debug)]
pub struct Settings {
    pub dir: PathBuf,
    /// Where the directory is, as a label: fixed when the store is made, and part of the chain.
    pub region: String,
    /// Of a prompt and of an answer each; what is longer is cut, and the record says so.
    pub content_bytes_max: usize,
    /// Of one file of contents.
    pub segment_bytes: u64,
    /// Of all contents. Past it, `append` is refused.
    pub bytes_max: u64,
    /// What the chain may lag. Past it, `append` is refused.
    pub behind_bytes_max: u64,
    /// A head is signed after this many entries, or once one has waited this long.
    pub head_entries: u64,
    pub head_interval: Duration,
    /// Newest entries that searches read one by one, before they are indexed.
    pub index_tail: u64,
    /// How long a record that no call requires may wait in memory for others, to be sealed and written
    /// with them: a kill loses so much of them. Zero: each is written by its call.
    pub gathering: Duration,
}

/// Long enough that waking a thread for it is no cost, and that writing is one for many; short enough to
/// tell people of what a kill loses.
const GATHERING: Duration = Duration::from_millis(10);

impl Settings {
    pub fn new(dir: impl Into<PathBuf>, region: impl Into<String>) -> Self {
        Self {
            dir: dir.into(),
            region: region.into(),
            content_bytes_max: 1024 * 1024,
            segment_bytes: 16 * 1024 * 1024,
            bytes_max: u64::MAX,
            behind_bytes_max: 1024 * 1024 * 1024,
            head_entries: 1_000,
            head_interval: Duration::from_secs(60),
            index_tail: 16_384,
            gathering: GATHERING,
        }
    }

    pub(crate) fn segments_dir(&self) -> PathBuf {
        self.dir.join("content")
    }

    pub(crate) fn lock_path(&self) -> PathBuf {
        self.dir.join("lock")
    }

    pub(crate) fn head_due(&self, state: &State, now: Wall, unsigned: u64) -> bool {
        unsigned >= self.head_entries
            || unsigned > 0 && now.since(state.head_at) >= self.head_interval
    }
}

/// Of prompt and answer of a record that its call writes. What hashing and indexing longer ones takes, no
/// call waits for: the writer reads them back.
const HANDED_BYTES_MAX: usize = 64 * 1024;

thread_local! {
    /// Of the frame before, where it was a short one: memory that a call just used is in the processor's
    /// cache. It holds nothing that is not on disk.
    static MEMORY: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Of a record beside its contents: ten texts of a kilobyte, numbers, and what seals them.
const HEADER_BYTES_MAX: u64 = 16 * 1024;

/// Dropping it stops at once and leaves the rest to the next start; `close` finishes.
#[derive(Debug)]
pub struct AuditLog {
    shared: Arc<Shared>,
    settings: Settings,
    writer: Option<JoinHandle<bool>>,
    gathering: Arc<Gathering>,
    gatherer: Option<JoinHandle<()>>,
    appended: AtomicU64,
    refused: AtomicU64,
    sealing: Arc<Sealing>,
    _lock: Lock,
}

/// For metrics and readiness.
#[derive(Clone, Debug, Default)]
pub struct Levels {
    /// Records that this process wrote, and those that it refused.
    pub appended: u64,
    pub refused: u64,
    /// Those that were taken, to be written with others, and then could not be.
    pub lost: u64,
    /// Entries of the chain, and how many no head covers yet.
    pub entries: u64,
    pub unsigned: u64,
    /// Bytes that are not chained yet, and of all contents on disk.
    pub behind_bytes: u64,
    pub bytes_on_disk: u64,
    /// Why records cannot be appended.
    pub append_fault: Option<String>,
    /// Why the chain lags; records are taken as long as there is room.
    pub chain_fault: Option<String>,
}

impl AuditLog {
    /// Makes the store if there is none. Keys wrapped by a previous key-encryption key are rotated.
    pub fn open(settings: Settings, keys: Keys, now: Wall) -> Result<Self, AuditError> {
        let Some((lock, database, keyring)) = opening::take(&settings, keys, now)? else {
            return Err(AuditError::Store(format!(
                "the audit log in {} is in use by another gateway: stop it, or set another directory",
                settings.dir.display()
            )));
        };
        Self::start(settings, lock, database, Arc::new(keyring), now)
    }

    pub(crate) fn start(
        settings: Settings,
        lock: Lock,
        database: Database,
        keyring: Arc<Keyring>,
        now: Wall,
    ) -> Result<Self, AuditError> {
        let failed = |error: &dyn std::fmt::Display| unusable(&settings.dir, error);
        let state = State::read(&database.connection).map_err(|error| failed(&error))?;
        let tip =
            Tip::read(&database.connection, &keyring.store()).map_err(|error| failed(&error))?;
        let vault = Vault::open(settings.segments_dir(), state.segment, &settings)
            .map_err(|error| failed(&error))?;
        let shared = Arc::new(Shared {
            vault,
            keyring,
            signal: Signal::default(),
            has_work: AtomicBool::new(true),
            now: AtomicI64::new(now.0),
            database_fault: Mutex::default(),
            entries: AtomicU64::new(tip.sequence),
            unsigned: AtomicU64::new(tip.sequence - state.head.min(tip.sequence)),
        });
        let paths = vec![
            settings.dir.clone(),
            settings.segments_dir(),
            database.path(),
        ];
        let whereabouts = Whereabouts::note(paths).map_err(|error| failed(&error))?;
        let writer = Writer::new(
            Arc::clone(&shared),
            &settings,
            database,
            &state,
            whereabouts,
        )
        .ok_or_else(|| failed(&"it has no segment to write to"))?;
        let writer = std::thread::Builder::new()
            .name("audit-writer".into())
            .spawn(move || writer.run())
            .map_err(|error| failed(&error))?;
        let (gathering, sealing) = (
            Arc::new(Gathering::new(settings.gathering)),
            Arc::<Sealing>::default(),
        );
        let gatherer = Gatherer::new(
            Arc::clone(&gathering),
            Arc::clone(&sealing),
            Arc::clone(&shared),
        );
        let gatherer = if settings.gathering.is_zero() {
            None
        } else {
            let gatherer = std::thread::Builder::new()
                .name("audit-gatherer".into())
                .spawn(move || gatherer.run())
                .map_err(|error| failed(&error))?;
            Some(gatherer)
        };
        Ok(Self {
            shared,
            settings,
            writer: Some(writer),
            gathering,
            gatherer,
            appended: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            sealing,
            _lock: lock,
        })
    }

    /// Takes a call's record. One that is `required` is written when this returns: kill -9 cannot lose
    /// it. Others may wait in memory for as long as `Settings::gathering` says. Never waits for the
    /// database; the first call of a person in a month writes a key, under a lock.
    pub fn append(&self, draft: &Draft<'_>, now: Wall) -> Result<(), Unwritable> {
        let now = now.max(draft.at);
        self.shared.note_now(now);
        let max = self.settings.content_bytes_max;
        if self.gathering.take(draft, max, now) {
            return Ok(());
        }
        let texts = draft.texts(max);
        let is_short = texts.iter().map(|text| text.len()).sum::<usize>() <= HANDED_BYTES_MAX;
        let appended = self.write(draft, now, is_short.then_some(texts));
        let counter = if appended.is_ok() {
            self.gathering.resume();
            &self.appended
        } else {
            &self.refused
        };
        counter.fetch_add(1, Ordering::Relaxed);
        appended
    }

    /// Without `texts`, the writer tells its words.
    fn write(
        &self,
        draft: &Draft<'_>,
        now: Wall,
        texts: Option<[&[u8]; 2]>,
    ) -> Result<(), Unwritable> {
        // Keys that are retired in this very moment were looked at too early.
        let mut looked_at = Some(now);
        loop {
            match self.try_write(draft, now, texts, looked_at) {
                Err(NotWritten::Outdated) => looked_at = None,
                Err(NotWritten::Unwritable) => return Err(Unwritable),
                Ok(()) => return Ok(()),
            }
        }
    }

    /// With a key of which `looked_at` says when the key file was looked at, if not just now.
    fn try_write(
        &self,
        draft: &Draft<'_>,
        now: Wall,
        texts: Option<[&[u8]; 2]>,
        looked_at: Option<Wall>,
    ) -> Result<(), NotWritten> {
        let shared = &*self.shared;
        let lent = shared.keyring.of_draft(
            draft.subscription.as_str(),
            draft.person(),
            draft.at,
            looked_at,
        );
        let Lent { key, generation } = self.sealing.note(lent).ok_or(Unwritable)?;
        let is_still = || shared.keyring.is_still(generation);
        let max = self.settings.content_bytes_max;
        let len = |content: Option<&[u8]>| content.map_or(0, |content| content.len().min(max));
        let mut memory = MEMORY.take();
        let sealed = Frame::of(
            &mut memory,
            &key.key,
            len(draft.prompt) + len(draft.answer),
            |header| {
                event::put_record_mark(header);
                put_skeleton(header, draft, key.id, max, now);
            },
            |content| put_content(content, draft, max),
        );
        let mut frame = self.sealing.note(sealed).ok_or(Unwritable)?;
        let Some(texts) = texts else {
            shared.vault.append(&mut frame, None, &is_still)?;
            shared.wake();
            return Ok(());
        };
        let content_hash = content_hash(frame.sealed());
        with_filter(&texts, |filter| {
            let handing = Handing {
                content_hash,
                filter,
            };
            shared.vault.append(&mut frame, Some(&handing), &is_still)
        })?;
        MEMORY.set(memory);
        shared.wake();
        Ok(())
    }

    /// Whether a record that is as large as one may be finds room now. For calls that must not be
    /// answered without one: asked before, because afterwards is too late.
    pub fn has_room(&self) -> bool {
        let contents = 2 * self.settings.content_bytes_max as u64;
        self.shared.vault.has_room(contents + HEADER_BYTES_MAX)
    }

    /// Whether this person's record could be sealed now: asked before, as `has_room` is. Looks at the key
    /// file, which another process may have wrapped with a key that this one does not know, and makes the
    /// person's key of the month if there is none.
    pub fn can_seal(&self, whose: Whose<'_>) -> bool {
        let Whose {
            subscription,
            person,
            at,
        } = whose;
        let key = self
            .shared
            .keyring
            .of_draft(subscription.as_str(), person, at, None);
        self.sealing.note(key).is_some()
    }

    /// From time to time, say each ten seconds: signs what has waited long enough for a head, and looks
    /// whether the key file can be opened. Blocks where a key service is asked.
    pub fn tick(&self, now: Wall) {
        self.sealing.note(self.shared.keyring.epoch());
        self.shared.note_now(now);
        self.shared.wake();
    }

    pub fn levels(&self) -> Levels {
        let shared = &*self.shared;
        let chain_fault = shared
            .database_fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        // Before what the vault has: a record that moves from one to the other is counted in either.
        let gathered = self.gathering.behind_bytes();
        let ended = self.writer.as_ref().is_none_or(JoinHandle::is_finished);
        let ended =
            ended.then(|| "the audit log's writer has ended; restart the gateway".to_owned());
        Levels {
            appended: self.appended.load(Ordering::Relaxed) + self.gathering.written(),
            refused: self.refused.load(Ordering::Relaxed),
            lost: self.gathering.lost(),
            entries: shared.entries.load(Ordering::Relaxed),
            unsigned: shared.unsigned.load(Ordering::Relaxed),
            behind_bytes: gathered + shared.vault.behind_bytes(),
            bytes_on_disk: shared.vault.bytes_on_disk(),
            append_fault: shared.vault.fault().or_else(|| self.sealing.fault()),
            chain_fault: ended.or(chain_fault),
        }
    }

    /// Why nobody may look for this log in its folder: it is another one's, or gone.
    pub(crate) fn displaced(&self) -> Option<String> {
        self.shared.vault.displaced()
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// When the last record came, or the last tick.
    pub(crate) fn now(&self) -> Wall {
        Wall(self.shared.now.load(Ordering::Relaxed))
    }

    pub(crate) fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.shared.keyring)
    }

    /// Chains and signs everything appended so far. A database that keeps failing is waited for 5 s;
    /// the segments keep what the chain lacks for the next start.
    pub fn close(mut self, now: Wall) {
        self.shared.note_now(now);
        if !self.stop(Stop::Finish) {
            tracing::warn!("the audit log's chain lacks records; the next start chains them");
        }
        if let Err(error) = self.shared.vault.close() {
            tracing::warn!(%error, "cannot trim the audit log's last segment");
        }
    }

    /// What was gathered is written in any case.
    fn stop(&mut self, stop: Stop) -> bool {
        self.gathering.ask_to_stop();
        if let Some(gatherer) = self.gatherer.take()
            && gatherer.join().is_err()
        {
            tracing::error!("records of the audit log that were in memory are lost");
        }
        self.shared.signal.ask_to_stop(stop);
        self.writer
            .take()
            .is_some_and(|writer| writer.join().unwrap_or(false))
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        self.stop(Stop::Abandon);
    }
}
