//! The cache: what is put in, found and removed. Only `read`, `catch_up` and dropping it wait for a disk.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use domain::Wall;
use likeness::verified::Observation;

use crate::disk::database::Database;
use crate::disk::{Disk, DiskSettings};
use crate::entry::Held;
use crate::levels::Levels;
use crate::memory::{Memory, Why};
use crate::{
    Answer, CacheError, Entry, EntryId, Key, Near, NewEntry, Partition, Purged, Selection,
};

/// Expired entries that are removed with each that is put in, so that memory is freed without anybody's help.
const SWEPT_WITH_PUT: usize = 8;
const SWEPT_AT_ONCE: usize = 256;

#[derive(Clone, Debug)]
pub struct Settings {
    /// Of everything in memory: answers, texts, vectors, and what finds them.
    pub memory_bytes: u64,
    /// Without it, a restart begins with an empty cache, and erasures of the audit log do not reach it.
    pub disk: Option<DiskSettings>,
}

/// Dropping it writes what waits.
#[derive(Debug)]
pub struct Cache {
    memory_bytes: u64,
    // Before the memory, so that it is dropped first.
    disk: Option<Disk>,
    pub(crate) memory: Arc<Memory>,
}

impl Cache {
    /// A disk that cannot be used is no error: the cache is in memory until it can be. What is on disk comes
    /// back in the background.
    pub fn open(settings: Settings, now: Wall) -> Result<Self, CacheError> {
        // Milliseconds with room for a thousand entries each: a restart goes on behind the last one.
        let mut next_id = now.0.unsigned_abs() << 10;
        let database = settings
            .disk
            .as_ref()
            .map(|disk| Database::open(&disk.dir, disk.bytes_max));
        if let Some(Ok(database)) = &database {
            // A clock that was set back must not give an id again.
            next_id = next_id.max(database.max_id().unwrap_or(0) + 1);
        }
        let memory = Arc::new(Memory::new(
            settings.memory_bytes,
            settings.disk.is_some(),
            next_id,
        )?);
        memory.note_now(now);
        let disk = settings
            .disk
            .zip(database)
            .map(|(disk, database)| Disk::start(&memory, disk, database));
        Ok(Self {
            memory_bytes: settings.memory_bytes,
            disk,
            memory,
        })
    }

    /// The answer to just this.
    pub fn get(&self, key: &Key, now: Wall) -> Option<Arc<Entry>> {
        self.memory
            .entries
            .get(key)
            .filter(|entry| entry.is_live(now))
    }

    /// Answers to questions of this partition whose similarity is at least `min`; the nearest first, `at_most`
    /// so many. Up to [`EXACT_MAX`](crate::EXACT_MAX) entries in a partition none is missed.
    pub fn nearest(
        &self,
        partition: &Partition,
        embedding: &[f32],
        min: f32,
        at_most: usize,
        now: Wall,
    ) -> Vec<Near> {
        self.memory
            .index
            .nearest(partition, embedding, min, at_most, now)
    }

    /// What the entry answers with. Counts as use: entries that are not used go first.
    pub fn answer(&self, entry: &Arc<Entry>) -> Answer {
        self.memory.entries.get(&entry.key);
        entry.note_use();
        match self.memory.answer(entry) {
            Some(answer) => Answer::Ready(answer),
            None => Answer::OnDisk,
        }
    }

    /// The answer from wherever it is: `answer` first, where a thread must not block. `None` if it is not
    /// there any more; the entry then goes too.
    pub fn read(&self, entry: &Arc<Entry>) -> Option<Bytes> {
        if let Answer::Ready(answer) = self.answer(entry) {
            return Some(answer);
        }
        let answer = self.disk.as_ref().and_then(|disk| disk.read(entry));
        match (&answer, &self.memory.answers) {
            (Some(answer), Some(answers)) if !entry.is_gone() => {
                answers.insert(entry.id, answer.clone());
            }
            (None, _) => self.memory.lose(entry),
            _ => {}
        }
        answer
    }

    /// Takes the place of what is there under the same key. Never waits for a disk.
    ///
    /// An embedding that has no direction is none: the entry is then found exactly only.
    pub fn put(&self, new: NewEntry) -> Arc<Entry> {
        let now = new.stored_at;
        self.memory.note_now(now);
        let id = EntryId(self.memory.next_id.fetch_add(1, Ordering::Relaxed));
        let answer = new.answer.clone();
        let (entry, vector) = Entry::new(id, new, self.disk.is_some());
        self.memory.counts.stored.fetch_add(1, Ordering::Relaxed);
        if let (Held::Elsewhere, Some(answers)) = (&entry.held, &self.memory.answers) {
            answers.insert(id, answer.clone());
        }
        self.memory.insert(&entry, vector.as_ref());
        if let Some(disk) = self.disk.as_ref().filter(|_| !entry.is_gone()) {
            disk.offer(&entry, answer, vector.as_ref());
        }
        self.memory.sweep(now, SWEPT_WITH_PUT);
        entry
    }

    /// Notes whether the entry's answer was right for a question as near as this.
    pub fn observe(&self, entry: &Arc<Entry>, observation: Observation) {
        if let (true, Some(disk)) = (self.memory.observe(entry, observation), &self.disk) {
            disk.tell_seen(entry);
        }
    }

    /// Removes what is selected; from the disk within a moment.
    pub fn purge(&self, what: &Selection) -> Purged {
        self.memory.purge(what, Why::Purged)
    }

    /// What `purge` would remove now.
    pub fn would_purge(&self, what: &Selection) -> Purged {
        let mut purged = Purged::default();
        self.each(what, |entry| purged.add(entry));
        purged
    }

    /// Every selected entry that is there throughout, at least once.
    pub fn each(&self, what: &Selection, each: impl FnMut(&Arc<Entry>)) {
        self.memory.each(what, each);
    }

    /// Frees what is over, in small steps, and tells the time to the disk's thread. From time to time, say
    /// every second; what is over is never returned, whether this runs or not.
    pub fn tick(&self, now: Wall) {
        self.memory.note_now(now);
        while self.memory.sweep(now, SWEPT_AT_ONCE) {}
    }

    /// Returns once what was put in is written as far as it will be, what is on disk is back, and what
    /// commands and erasures removed is gone. Without it all of that happens within about a second. Blocks.
    pub fn catch_up(&self) {
        if let Some(disk) = &self.disk {
            disk.catch_up();
        }
    }

    pub fn levels(&self) -> Levels {
        let disk = self.disk.as_ref().map(|disk| &*disk.shared);
        Levels::of(&self.memory, self.memory_bytes, disk)
    }
}
