//! A map with a bound in bytes: what is seldom asked for goes first.
//!
//! `quick_cache` keeps what was asked for again apart from what was asked for once, as S3-FIFO does, so that
//! a burst of questions that nobody repeats does not push out those that everybody asks.

use std::sync::Arc;

use quick_cache::sync::Cache as Map;
use quick_cache::{Lifecycle, Options, OptionsBuilder, Weighter};

use crate::{CacheError, Entry, Key};

/// Of one shard at least: an entry must fit into one.
const SHARD_BYTES_MIN: u64 = 16 * 1024 * 1024;
const SHARDS_MAX: u64 = 64;
/// About what an entry takes; only how much is remembered of evicted keys depends on it.
const ENTRY_BYTES_GUESS: u64 = 2_048;

#[derive(Debug)]
pub(crate) struct Bounded {
    map: Map<Key, Arc<Entry>, Bytes, foldhash::fast::RandomState, Leaving>,
}

#[derive(Clone, Debug)]
struct Bytes;

impl Weighter<Key, Arc<Entry>> for Bytes {
    fn weight(&self, _: &Key, entry: &Arc<Entry>) -> u64 {
        entry.bytes() as u64
    }
}

/// Collects what has to leave everywhere else too.
#[derive(Clone, Debug)]
struct Leaving;

impl Lifecycle<Key, Arc<Entry>> for Leaving {
    type RequestState = Vec<Arc<Entry>>;

    fn on_evict(&self, leaving: &mut Vec<Arc<Entry>>, _: Key, entry: Arc<Entry>) {
        leaving.push(entry);
    }
}

impl Bounded {
    pub(crate) fn new(bytes_max: u64) -> Result<Self, CacheError> {
        let options = options(OptionsBuilder::new(), bytes_max)?;
        let hasher = foldhash::fast::RandomState::default();
        Ok(Self {
            map: Map::with_options(options, Bytes, hasher, Leaving),
        })
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        self.map.get(key)
    }

    /// Without being asked for.
    pub(crate) fn peek(&self, key: &Key) -> Option<Arc<Entry>> {
        self.map.peek(key)
    }

    /// Returns what has to leave: the one of the same key, those that are evicted, or the new one itself
    /// where it is too large.
    pub(crate) fn insert(&self, entry: &Arc<Entry>) -> Vec<Arc<Entry>> {
        let mut leaving = Vec::new();
        self.map
            .insert_with_lifecycle(entry.key, Arc::clone(entry), &mut leaving);
        leaving
    }

    /// This one, not another of the same key.
    pub(crate) fn remove(&self, entry: &Arc<Entry>) {
        self.map
            .remove_if(&entry.key, |there| Arc::ptr_eq(there, entry));
    }

    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.map.weight()
    }
}

/// Shards that are large enough for any one value.
pub(crate) fn options(mut builder: OptionsBuilder, bytes_max: u64) -> Result<Options, CacheError> {
    let items = usize::try_from(bytes_max / ENTRY_BYTES_GUESS).unwrap_or(usize::MAX);
    builder
        .weight_capacity(bytes_max)
        .estimated_items_capacity(items)
        .shards((bytes_max / SHARD_BYTES_MIN).clamp(1, SHARDS_MAX) as usize)
        .build()
        .map_err(|error| CacheError::Settings(format!("cannot size the cache: {error}")))
}
