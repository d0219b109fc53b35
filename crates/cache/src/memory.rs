//! What is in memory: entries by key, by meaning and by when they expire. All of them hold the same entries.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use domain::Wall;
use likeness::verified::Observation;

use crate::answers::Answers;
use crate::bounded::Bounded;
use crate::entry::{Held, OBSERVATIONS_BYTES, Written};
use crate::expiry::{BATCH, Expiry};
use crate::index::{Index, Vector};
use crate::{CacheError, Entry, EntryId, Purged, Selection};

/// Share of the memory that observations of answers may take. Past it, entries that have none get none: they
/// are explored as new ones are.
const OBSERVATIONS_SHARE: u64 = 16;
/// Ids of entries that left, until the disk knows. Past it the disk is compared with the memory instead.
const LEFT_MAX: usize = 65_536;

#[derive(Debug)]
pub(crate) struct Memory {
    bytes_max: u64,
    /// Of `entries`.
    pub(crate) entries_bytes_max: u64,
    pub(crate) entries: Bounded,
    pub(crate) index: Index,
    pub(crate) expiry: Expiry,
    /// Where answers may be on disk: those that are here too.
    pub(crate) answers: Option<Answers>,
    left: Mutex<Left>,
    observed: AtomicU64,
    pub(crate) next_id: AtomicU64,
    /// The latest time that anybody told.
    now: AtomicI64,
    pub(crate) counts: Counts,
}

/// What the disk has to be told.
#[derive(Debug, Default)]
pub(crate) struct Left {
    pub(crate) ids: Vec<EntryId>,
    /// There were too many: compare.
    pub(crate) more: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) stored: AtomicU64,
    pub(crate) replaced: AtomicU64,
    pub(crate) evicted: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) expired: AtomicU64,
    pub(crate) purged: AtomicU64,
    pub(crate) erased: AtomicU64,
    pub(crate) lost: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Replaced,
    Evicted,
    Refused,
    Expired,
    Purged,
    Erased,
    Lost,
}

impl Memory {
    /// With a disk, half is for answers and half for what finds them.
    pub(crate) fn new(bytes_max: u64, has_disk: bool, next_id: u64) -> Result<Self, CacheError> {
        let rest = bytes_max - bytes_max / OBSERVATIONS_SHARE;
        let for_answers = if has_disk { rest / 2 } else { 0 };
        let entries_bytes_max = rest - for_answers;
        Ok(Self {
            bytes_max,
            entries_bytes_max,
            entries: Bounded::new(entries_bytes_max)?,
            index: Index::default(),
            expiry: Expiry::default(),
            answers: has_disk.then(|| Answers::new(for_answers)).transpose()?,
            left: Mutex::default(),
            observed: AtomicU64::new(0),
            next_id: AtomicU64::new(next_id),
            now: AtomicI64::new(i64::MIN),
            counts: Counts::default(),
        })
    }

    pub(crate) fn note_now(&self, now: Wall) {
        self.now.fetch_max(now.0, Ordering::AcqRel);
    }

    pub(crate) fn now(&self) -> Wall {
        Wall(self.now.load(Ordering::Acquire))
    }

    pub(crate) fn insert(&self, entry: &Arc<Entry>, vector: Option<&Vector>) {
        if let Some(vector) = vector {
            self.index.insert(entry, vector);
        }
        self.expiry.add(entry);
        for leaving in self.entries.insert(entry) {
            let why = if Arc::ptr_eq(&leaving, entry) {
                Why::Refused
            } else if leaving.key == entry.key {
                Why::Replaced
            } else {
                Why::Evicted
            };
            if why == Why::Replaced && leaving.id > entry.id {
                // One that was read from the disk met a newer one that was just put in: that one stays.
                self.give_back(&leaving, entry);
            } else {
                self.forget(&leaving, why);
            }
        }
        if entry.is_gone() {
            // A purge met it on its way in.
            self.entries.remove(entry);
        }
    }

    fn give_back(&self, newer: &Arc<Entry>, older: &Arc<Entry>) {
        for leaving in self.entries.insert(newer) {
            let why = if Arc::ptr_eq(&leaving, older) {
                Why::Replaced
            } else {
                Why::Evicted
            };
            self.forget(&leaving, why);
        }
        if newer.is_gone() {
            self.entries.remove(newer);
        }
    }

    /// Takes it from everywhere. False if somebody else does.
    pub(crate) fn forget(&self, entry: &Arc<Entry>, why: Why) -> bool {
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
        if let Some(answers) = &self.answers {
            answers.remove(entry.id);
            self.note_left(entry.id);
        }
        let count = match why {
            Why::Replaced => &self.counts.replaced,
            Why::Evicted => &self.counts.evicted,
            Why::Refused => &self.counts.refused,
            Why::Expired => &self.counts.expired,
            Why::Purged => &self.counts.purged,
            Why::Erased => &self.counts.erased,
            Why::Lost => &self.counts.lost,
        };
        count.fetch_add(1, Ordering::Relaxed);
        true
    }

    fn note_left(&self, id: EntryId) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if left.ids.len() < LEFT_MAX {
            left.ids.push(id);
        } else {
            left.more = true;
        }
    }

    pub(crate) fn take_left(&self) -> Left {
        std::mem::take(&mut *self.left.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What could not be told goes back.
    pub(crate) fn put_back_left(&self, back: Left) {
        for id in back.ids {
            self.note_left(id);
        }
        if back.more {
            self.left
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .more = true;
        }
    }

    /// One whose answer is neither here nor on disk.
    pub(crate) fn lose(&self, entry: &Arc<Entry>) {
        if entry.written() != Written::Waiting {
            self.forget(entry, Why::Lost);
        }
    }

    /// True if it was noted.
    pub(crate) fn observe(&self, entry: &Entry, observation: Observation) -> bool {
        let Some(asked) = &entry.asked else {
            return false;
        };
        let room = self.bytes_max / OBSERVATIONS_SHARE / OBSERVATIONS_BYTES as u64;
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
        asked.observe(observation, first)
    }

    pub(crate) fn purge(&self, what: &Selection, why: Why) -> Purged {
        let mut purged = Purged::default();
        self.each(what, |entry| {
            if self.forget(entry, why) {
                purged.add(entry);
            }
        });
        purged
    }

    /// Every selected entry that is there throughout, at least once.
    pub(crate) fn each(&self, what: &Selection, mut each: impl FnMut(&Arc<Entry>)) {
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

    /// Frees some that are over; true if there may be more.
    pub(crate) fn sweep(&self, now: Wall, at_most: usize) -> bool {
        let over = self.expiry.over(now, at_most.min(BATCH));
        for entry in &over {
            self.forget(entry, Why::Expired);
        }
        !over.is_empty()
    }

    pub(crate) fn bytes(&self) -> u64 {
        let answers = self.answers.as_ref().map_or(0, Answers::bytes);
        let observed = self.observed.load(Ordering::Relaxed) * OBSERVATIONS_BYTES as u64;
        self.entries.bytes() + answers + observed
    }

    /// The answer, if it is in memory.
    pub(crate) fn answer(&self, entry: &Entry) -> Option<bytes::Bytes> {
        match &entry.held {
            Held::Here(answer) => Some(answer.clone()),
            Held::Elsewhere => self.answers.as_ref()?.get(entry.id),
        }
    }
}
