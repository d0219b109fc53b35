//! The cache: what is put in, found and removed. In memory; nothing here waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use domain::Wall;
use likeness::verified::Observation;

use crate::bounded::Bounded;
use crate::entry::OBSERVATIONS_BYTES;
use crate::expiry::{BATCH, Expiry};
use crate::index::Index;
use crate::{
    Answer, CacheError, Entry, EntryId, Key, Near, NewEntry, Partition, Purged, Selection,
};

/// Share of the memory that observations of answers may take. Past it, entries that have none get none: they
/// are explored as new ones are.
const OBSERVATIONS_SHARE: u64 = 16;
/// Expired entries that are removed with each that is put in, so that memory is freed without anybody's help.
const SWEPT_WITH_PUT: usize = 8;

#[derive(Clone, Debug)]
pub struct Settings {
    /// Of everything in memory: answers, texts, vectors, and what finds them.
    pub memory_bytes: u64,
}

#[derive(Debug)]
pub struct Cache {
    settings: Settings,
    entries: Bounded,
    pub(crate) index: Index,
    expiry: Expiry,
    next_id: AtomicU64,
    observed: AtomicU64,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    stored: AtomicU64,
    replaced: AtomicU64,
    evicted: AtomicU64,
    refused: AtomicU64,
    expired: AtomicU64,
    purged: AtomicU64,
}

/// For metrics. Those that say "since" count since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    pub entries: u64,
    /// Entries that can be found by meaning, and how many partitions they are in.
    pub questions: u64,
    pub partitions: u64,
    /// Of memory, rounded up; and what it may be.
    pub memory_bytes: u64,
    pub memory_bytes_max: u64,
    /// Since the start: put in, and why entries went.
    pub stored: u64,
    pub replaced: u64,
    pub evicted: u64,
    /// Too large for the memory that there is.
    pub refused: u64,
    pub expired: u64,
    pub purged: u64,
}

enum Why {
    Replaced,
    Evicted,
    Refused,
    Expired,
    Purged,
}

impl Cache {
    pub fn open(settings: Settings, now: Wall) -> Result<Self, CacheError> {
        let for_entries = settings.memory_bytes - settings.memory_bytes / OBSERVATIONS_SHARE;
        Ok(Self {
            entries: Bounded::new(for_entries)?,
            index: Index::default(),
            expiry: Expiry::default(),
            // Milliseconds with room for a thousand entries each: a restart goes on behind the last one.
            next_id: AtomicU64::new(now.0.unsigned_abs() << 10),
            observed: AtomicU64::new(0),
            counts: Counts::default(),
            settings,
        })
    }

    /// The answer to just this.
    pub fn get(&self, key: &Key, now: Wall) -> Option<Arc<Entry>> {
        self.entries.get(key).filter(|entry| entry.is_live(now))
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
        self.index.nearest(partition, embedding, min, at_most, now)
    }

    /// What the entry answers with. Counts as use: entries that are not used go first.
    pub fn answer(&self, entry: &Arc<Entry>) -> Answer {
        self.entries.get(&entry.key);
        Answer::Ready(entry.answer.clone())
    }

    /// The answer from wherever it is. May block on a disk. `None` if it is not there any more.
    pub fn read(&self, entry: &Arc<Entry>) -> Option<Bytes> {
        match self.answer(entry) {
            Answer::Ready(answer) => Some(answer),
            Answer::OnDisk => None,
        }
    }

    /// Takes the place of what is there under the same key. Never waits for a disk.
    ///
    /// An embedding that has no direction is none: the entry is then found exactly only.
    pub fn put(&self, new: NewEntry) -> Arc<Entry> {
        let now = new.stored_at;
        let id = EntryId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let (entry, vector) = Entry::new(id, new);
        self.counts.stored.fetch_add(1, Ordering::Relaxed);
        if let Some(vector) = vector {
            self.index.insert(&entry, &vector);
        }
        self.expiry.add(&entry);
        for leaving in self.entries.insert(&entry) {
            let why = if Arc::ptr_eq(&leaving, &entry) {
                Why::Refused
            } else if leaving.key == entry.key {
                Why::Replaced
            } else {
                Why::Evicted
            };
            self.forget(&leaving, &why);
        }
        if entry.is_gone() {
            // A purge met it on its way in.
            self.entries.remove(&entry);
        }
        for over in &self.expiry.over(now, SWEPT_WITH_PUT) {
            self.forget(over, &Why::Expired);
        }
        entry
    }

    /// Notes whether the entry's answer was right for a question as near as this.
    pub fn observe(&self, entry: &Entry, observation: Observation) {
        let Some(asked) = &entry.asked else {
            return;
        };
        let room = self.settings.memory_bytes / OBSERVATIONS_SHARE / OBSERVATIONS_BYTES as u64;
        let first = || {
            // Looked at under the lock that `forget` waits for when it gives back what was counted here.
            if entry.is_gone() {
                return false;
            }
            let counted = self.observed.fetch_add(1, Ordering::Relaxed) < room;
            if !counted {
                self.observed.fetch_sub(1, Ordering::Relaxed);
            }
            counted
        };
        asked.observe(observation, first);
    }

    /// Removes what is selected.
    pub fn purge(&self, what: &Selection) -> Purged {
        let mut purged = Purged::default();
        self.each(what, |entry| {
            if self.forget(entry, &Why::Purged) {
                purged.add(entry);
            }
        });
        purged
    }

    /// What `purge` would remove now.
    pub fn would_purge(&self, what: &Selection) -> Purged {
        let mut purged = Purged::default();
        self.each(what, |entry| purged.add(entry));
        purged
    }

    /// Every selected entry that is there throughout, at least once.
    pub fn each(&self, what: &Selection, mut each: impl FnMut(&Arc<Entry>)) {
        let mut one = |entry: &Arc<Entry>| {
            if what.holds(entry) && !entry.is_gone() {
                each(entry);
            }
        };
        match &what.keys {
            Some(keys) => {
                for entry in keys.iter().filter_map(|key| self.entries.peek(key)) {
                    one(&entry);
                }
            }
            None => self.expiry.walk(one),
        }
    }

    /// Frees what is over, in small steps. From time to time, say every second; what is over is never
    /// returned, whether this runs or not.
    pub fn tick(&self, now: Wall) {
        loop {
            let over = self.expiry.over(now, BATCH);
            if over.is_empty() {
                return;
            }
            for entry in &over {
                self.forget(entry, &Why::Expired);
            }
        }
    }

    pub fn levels(&self) -> Levels {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts {
            stored,
            replaced,
            evicted,
            refused,
            expired,
            purged,
        } = &self.counts;
        let observed = self.observed.load(Ordering::Relaxed) * OBSERVATIONS_BYTES as u64;
        let (questions, partitions) = self.index.len();
        Levels {
            entries: self.entries.len() as u64,
            questions: questions as u64,
            partitions: partitions as u64,
            memory_bytes: self.entries.bytes() + observed,
            memory_bytes_max: self.settings.memory_bytes,
            stored: count(stored),
            replaced: count(replaced),
            evicted: count(evicted),
            refused: count(refused),
            expired: count(expired),
            purged: count(purged),
        }
    }

    /// Takes it from everywhere. False if somebody else does.
    fn forget(&self, entry: &Arc<Entry>, why: &Why) -> bool {
        if !entry.begin_to_go() {
            return false;
        }
        self.entries.remove(entry);
        self.expiry.remove(entry);
        if let Some(asked) = &entry.asked {
            self.index.remove(entry, asked);
            if asked.has_observations() {
                self.observed.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let count = match why {
            Why::Replaced => &self.counts.replaced,
            Why::Evicted => &self.counts.evicted,
            Why::Refused => &self.counts.refused,
            Why::Expired => &self.counts.expired,
            Why::Purged => &self.counts.purged,
        };
        count.fetch_add(1, Ordering::Relaxed);
        true
    }
}
