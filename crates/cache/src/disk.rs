//! Behind the memory: what survives a restart, sealed under the audit log's keys.
//!
//! One thread writes, in batches, and nobody waits for it: an entry that finds its queue full stays in memory
//! only. What fails here fails no call: it is counted, logged once, and tried again.

pub(crate) mod beside;
pub(crate) mod codec;
pub(crate) mod database;
mod turn;
mod warm;
mod writer;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use ::audit::{KeyId, Sealer};
use bytes::Bytes;
use rusqlite::{Connection, OpenFlags};

use crate::entry::Written;
use crate::index::Vector;
use crate::memory::Memory;
use crate::{Entry, EntryId};
use database::{Database, is_damaged};
use writer::Writer;

/// Entries that wait to be written.
const QUEUE_MAX: usize = 1_024;
/// And their bytes.
const QUEUE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Where entries are kept, and how much of it.
#[derive(Clone, Debug)]
pub struct DiskSettings {
    /// Of `cache.db`, which one gateway writes to.
    pub dir: PathBuf,
    /// Of its pages in use. Past it, what was not used for longest goes.
    pub bytes_max: u64,
    /// Whose keys seal what is written: an erasure there makes it unreadable here.
    pub sealer: Sealer,
}

#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) shared: Arc<Shared>,
    queue: Option<SyncSender<Message>>,
    writer: Option<JoinHandle<()>>,
    reader: Mutex<Option<Reader>>,
}

#[derive(Debug)]
struct Reader {
    connection: Connection,
    /// Of which file: see [`Shared::file`].
    file: u64,
}

/// What the writer and everybody else look at.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) memory: Arc<Memory>,
    pub(crate) settings: DiskSettings,
    queued_bytes: AtomicU64,
    /// Of the keys, as of the last look: what is put in now was bought before any later erasure.
    epoch: AtomicU64,
    /// Changes when a damaged file is replaced.
    file: AtomicU64,
    /// A reader met damage.
    is_suspect: AtomicBool,
    pub(crate) is_warming: AtomicBool,
    pub(crate) bytes: AtomicU64,
    pub(crate) written: AtomicU64,
    pub(crate) unwritten: AtomicU64,
    fault: Mutex<Option<String>>,
}

pub(crate) enum Message {
    Put(Box<Put>),
    Seen(Arc<Entry>),
    /// Answered once everything before it is written, and everything outside is known.
    CatchUp(SyncSender<()>),
}

pub(crate) struct Put {
    pub(crate) entry: Arc<Entry>,
    pub(crate) answer: Bytes,
    pub(crate) codes: Option<Box<[i8]>>,
    pub(crate) epoch: u64,
    bytes: u64,
}

pub(crate) fn head_aad(id: EntryId) -> [u8; 24] {
    aad(b"tollgate cache h", id)
}

pub(crate) fn answer_aad(id: EntryId) -> [u8; 24] {
    aad(b"tollgate cache a", id)
}

/// Of purges that wait.
pub(crate) const PURGE_AAD: &[u8] = b"tollgate cache purge";

/// Whatever is moved to another entry's place does not open there.
fn aad(kind: &[u8; 16], id: EntryId) -> [u8; 24] {
    let mut aad = [0; 24];
    aad[..16].copy_from_slice(kind);
    aad[16..].copy_from_slice(&id.0.to_be_bytes());
    aad
}

impl Disk {
    /// `database` is none where it could not be opened: it is tried again.
    pub(crate) fn start(
        memory: &Arc<Memory>,
        settings: DiskSettings,
        database: Result<Database, String>,
    ) -> Self {
        let epoch = settings.sealer.epoch().unwrap_or(0);
        let shared = Arc::new(Shared {
            memory: Arc::clone(memory),
            settings,
            queued_bytes: AtomicU64::new(0),
            epoch: AtomicU64::new(epoch),
            file: AtomicU64::new(0),
            is_suspect: AtomicBool::new(false),
            is_warming: AtomicBool::new(database.is_ok()),
            bytes: AtomicU64::new(0),
            written: AtomicU64::new(0),
            unwritten: AtomicU64::new(0),
            fault: Mutex::default(),
        });
        let database = database.map_err(|fault| shared.note_fault(fault)).ok();
        let (queue, queued) = sync_channel(QUEUE_MAX);
        let writer = Writer::new(Arc::clone(&shared), database, queued);
        let spawned = std::thread::Builder::new()
            .name("cache-writer".into())
            .spawn(move || writer.run());
        let writer = spawned
            .map_err(|error| shared.note_fault(format!("cannot start the cache's writer: {error}")))
            .ok();
        Self {
            shared,
            queue: writer.is_some().then_some(queue),
            writer,
            reader: Mutex::default(),
        }
    }

    /// Never waits. What finds no room stays in memory only.
    pub(crate) fn offer(&self, entry: &Arc<Entry>, answer: Bytes, vector: Option<&Vector>) {
        let shared = &self.shared;
        let codes = vector.map(|vector| vector.codes().into());
        let text = entry.text().map_or(0, |text| text.len());
        let bytes = (512 + answer.len() + text + vector.map_or(0, Vector::dimensions)) as u64;
        let put = Put {
            entry: Arc::clone(entry),
            answer,
            codes,
            epoch: shared.epoch.load(Ordering::Acquire),
            bytes,
        };
        let queued = shared.queued_bytes.fetch_add(bytes, Ordering::AcqRel);
        let has_room = queued + bytes <= QUEUE_BYTES_MAX;
        let is_queued = has_room && self.send(Message::Put(Box::new(put)));
        if !is_queued {
            shared.queued_bytes.fetch_sub(bytes, Ordering::AcqRel);
            shared.unwritten.fetch_add(1, Ordering::Relaxed);
            entry.set_written(Written::Never);
        }
    }

    /// What does not get through is seen again, or is forgotten with the restart.
    pub(crate) fn tell_seen(&self, entry: &Arc<Entry>) {
        self.send(Message::Seen(Arc::clone(entry)));
    }

    fn send(&self, message: Message) -> bool {
        self.queue
            .as_ref()
            .is_some_and(|queue| queue.try_send(message).is_ok())
    }

    /// Blocks.
    pub(crate) fn catch_up(&self) {
        let (done, wait) = sync_channel(1);
        let sent = self
            .queue
            .as_ref()
            .is_some_and(|queue| queue.send(Message::CatchUp(done)).is_ok());
        if sent {
            // An error says that the writer has ended: there is nothing to wait for.
            let _ = wait.recv();
        }
    }

    /// The answer as it was written. `None` if it is not there, or nobody can open it any more. Blocks.
    pub(crate) fn read(&self, entry: &Entry) -> Option<Bytes> {
        let (key, mut sealed) = match self.read_sealed(entry.id) {
            Ok(found) => found?,
            Err(error) => {
                if is_damaged(&error) {
                    self.shared.is_suspect.store(true, Ordering::Release);
                }
                return None;
            }
        };
        let sealer = &self.shared.settings.sealer;
        let opened = sealer.open(key, &mut sealed, &answer_aad(entry.id));
        Some(Bytes::copy_from_slice(opened.ok()??))
    }

    fn read_sealed(&self, id: EntryId) -> rusqlite::Result<Option<(KeyId, Vec<u8>)>> {
        let file = self.shared.file.load(Ordering::Acquire);
        // A connection is as good after a panic as before it.
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        if reader.as_ref().is_none_or(|reader| reader.file != file) {
            let path = self.shared.settings.dir.join(database::FILE);
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(path, flags)?;
            *reader = Some(Reader { connection, file });
        }
        let found = match &*reader {
            Some(reader) => Database::answer(&reader.connection, id),
            None => Ok(None),
        };
        if found.is_err() {
            *reader = None;
        }
        found
    }
}

impl Drop for Disk {
    /// Writes what waits.
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the cache's writer has panicked");
        }
    }
}

impl Shared {
    /// Logged when it is another one than before.
    pub(crate) fn note_fault(&self, fault: String) {
        let mut known = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref() != Some(&fault) {
            tracing::error!(
                fault,
                "the cache cannot write to its disk: entries stay in memory"
            );
            *known = Some(fault);
        }
    }

    fn note_recovery(&self) {
        let mut known = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if known.take().is_some() {
            tracing::info!("the cache writes to its disk again");
        }
    }

    pub(crate) fn fault(&self) -> Option<String> {
        self.fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
