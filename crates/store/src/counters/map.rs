//! Where counters are found: a bounded map from limit and key, read without a lock.

use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{Counter, Limit, LimitId, Now};
use foldhash::quality::RandomState;
use papaya::Equivalent;

use crate::shared_map;

/// Past this, calls with a new key are refused (`ReserveError::Full`) until idle counters can be
/// swept. A counter takes some 300 bytes, a busy window up to 2 KiB.
pub const COUNTERS_MAX: usize = 1_000_000;

/// A shard is swept by whoever makes it twice as large as the last sweep left it; at most 8,000
/// counters or so are one shard's, so this bounds how long one call may be held up by it.
const SHARDS: usize = 128;
const SHARD_SWEPT_FROM: usize = 16;

/// How many counters a call that finds the map full looks at before it gives up.
const SWEPT_WHEN_FULL: usize = 16_384;

/// Counters of all limits and keys.
pub struct CounterMap {
    shards: Box<[Shard]>,
    /// Seeded for each process, and the map is bounded: clients choose keys, and see nothing of
    /// where these lie.
    hasher: RandomState,
    counters_max: usize,
    counters: AtomicUsize,
    /// Serial of the next counter.
    next: AtomicU64,
    /// Which shard is swept next when the map is full.
    sweep_next: AtomicUsize,
}

struct Shard {
    entries: papaya::HashMap<Key, Arc<Entry>, BuildHasherDefault<Hashed>>,
    counters: AtomicUsize,
    sweep_at: AtomicUsize,
    /// The second in which it was last swept because the map was full.
    swept_full_s: AtomicU64,
}

/// One counter, its lock and its place in the order in which locks are taken.
pub struct Entry {
    pub serial: u64,
    key: Key,
    state: Mutex<State>,
}

pub struct State {
    /// As last seen by a call; a reload makes a new one.
    pub limit: Arc<Limit>,
    pub counter: Counter,
    /// Taken out of the map: nothing may be reserved here any more. What is held still settles.
    pub retired: bool,
}

#[derive(Clone, PartialEq, Eq)]
struct Key {
    hash: u64,
    limit: LimitId,
    key: Arc<str>,
}

/// A key that is only borrowed, so that looking up allocates nothing.
struct Lookup<'a> {
    hash: u64,
    limit: &'a str,
    key: &'a str,
}

/// The map is full of counters in use.
#[derive(Debug)]
pub struct Full;

impl CounterMap {
    pub fn new(counters_max: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            hasher: RandomState::default(),
            counters_max,
            counters: AtomicUsize::new(0),
            next: AtomicU64::new(0),
            sweep_next: AtomicUsize::new(0),
        }
    }

    pub fn find_or_make(
        &self,
        limit: &Arc<Limit>,
        key: &str,
        now: Now,
    ) -> Result<Arc<Entry>, Full> {
        let hash = self.hasher.hash_one((limit.id.as_str(), key));
        let shard = self.shard(hash);
        let lookup = Lookup {
            hash,
            limit: limit.id.as_str(),
            key,
        };
        if let Some(entry) = shard.entries.pin().get(&lookup) {
            return Ok(entry.clone());
        }
        if shard.is_grown() {
            self.sweep_shard(shard, now);
        }
        self.make_room(now)?;
        let key = Key {
            hash,
            limit: limit.id.clone(),
            key: key.into(),
        };
        let entry = Arc::new(Entry {
            serial: self.next.fetch_add(1, Ordering::Relaxed),
            key: key.clone(),
            state: Mutex::new(State {
                limit: limit.clone(),
                counter: Counter::new(&limit.rule, &key.key, now),
                retired: false,
            }),
        });
        // Counted before it can be found, so that whoever sweeps it finds it counted.
        shard.counters.fetch_add(1, Ordering::Relaxed);
        match shard.entries.pin().try_insert_with(key, || entry.clone()) {
            Ok(_) => Ok(entry),
            Err(others) => {
                shard.counters.fetch_sub(1, Ordering::Relaxed);
                self.counters.fetch_sub(1, Ordering::Relaxed);
                Ok(others.clone())
            }
        }
    }

    /// Takes a retired counter out, if it is still in.
    pub fn forget(&self, entry: &Arc<Entry>) {
        let shard = self.shard(entry.key.hash);
        let removed = shard
            .entries
            .pin()
            .remove_if(&entry.key, |_, found| Arc::ptr_eq(found, entry))
            .is_ok_and(|removed| removed.is_some());
        if removed {
            shard.counters.fetch_sub(1, Ordering::Relaxed);
            self.counters.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub fn sweep(&self, now: Now) {
        for shard in &self.shards {
            self.sweep_shard(shard, now);
        }
    }

    pub fn len(&self) -> usize {
        self.counters.load(Ordering::Relaxed)
    }

    pub fn for_each(&self, mut visit: impl FnMut(&Arc<Entry>)) {
        for shard in &self.shards {
            for entry in shard.entries.pin().values() {
                visit(entry);
            }
        }
    }

    /// Counts one more counter in.
    fn make_room(&self, now: Now) -> Result<(), Full> {
        if self.count_in() {
            return Ok(());
        }
        let second = now.mono.0 / 1_000_000_000;
        let mut looked_at = 0;
        while looked_at < SWEPT_WHEN_FULL {
            let shard = &self.shards[self.sweep_next.fetch_add(1, Ordering::Relaxed) % SHARDS];
            // Once a second: a flood of new keys must not turn every call into a sweep.
            if shard.swept_full_s.swap(second, Ordering::Relaxed) == second {
                break;
            }
            looked_at += shard.counters.load(Ordering::Relaxed);
            self.sweep_shard(shard, now);
            if self.count_in() {
                return Ok(());
            }
        }
        Err(Full)
    }

    fn count_in(&self) -> bool {
        let counters = self.counters.fetch_add(1, Ordering::Relaxed);
        if counters >= self.counters_max {
            self.counters.fetch_sub(1, Ordering::Relaxed);
        }
        counters < self.counters_max
    }

    fn sweep_shard(&self, shard: &Shard, now: Now) {
        // Others see a shard that is not due while this runs.
        shard.sweep_at.store(usize::MAX, Ordering::Relaxed);
        for entry in shard.entries.pin().values() {
            if entry.retire_if_idle(now) {
                self.forget(entry);
            }
        }
        let left = shard.counters.load(Ordering::Relaxed);
        shard.sweep_at.store(
            left.saturating_mul(2).max(SHARD_SWEPT_FROM),
            Ordering::Relaxed,
        );
    }

    fn shard(&self, hash: u64) -> &Shard {
        // Bits that the shard's own map does not look at.
        let index = usize::try_from(hash >> 40).unwrap_or(0) % SHARDS;
        &self.shards[index]
    }
}

impl Shard {
    fn is_grown(&self) -> bool {
        self.counters.load(Ordering::Relaxed) >= self.sweep_at.load(Ordering::Relaxed)
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            entries: shared_map(),
            counters: AtomicUsize::new(0),
            sweep_at: AtomicUsize::new(SHARD_SWEPT_FROM),
            swept_full_s: AtomicU64::new(0),
        }
    }
}

impl Entry {
    pub fn key(&self) -> &Arc<str> {
        &self.key.key
    }

    pub fn limit(&self) -> &LimitId {
        &self.key.limit
    }

    /// Held for the few lines of one decision. Rules do not panic, but should one, its counter
    /// goes on rather than refuse a team forever.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that is locked is in use, so not idle.
    fn retire_if_idle(&self, now: Now) -> bool {
        let Ok(mut state) = self.state.try_lock() else {
            return false;
        };
        state.counter.advance(now);
        state.retired |= state.counter.is_idle(now);
        state.retired
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Hash for Lookup<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Equivalent<Key> for Lookup<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.hash == key.hash && *self.key == *key.key && self.limit == key.limit.as_str()
    }
}

/// Keys come hashed, with a secret seed.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl fmt::Debug for CounterMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CounterMap")
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("limit", &self.key.limit)
            .field("key", &self.key.key)
            .finish_non_exhaustive()
    }
}
