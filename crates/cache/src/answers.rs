//! Answers that are in memory although they are on disk too: those that are asked for.

use bytes::Bytes;
use quick_cache::sync::Cache as Map;
use quick_cache::{OptionsBuilder, Weighter};

use crate::{CacheError, EntryId, bounded};

/// What one takes beside its bytes: its place in the map, and the header of its buffer.
const ANSWER_BYTES: u64 = 176;

#[derive(Debug)]
pub(crate) struct Answers {
    map: Map<u64, Bytes, Length, foldhash::fast::RandomState>,
}

#[derive(Clone, Debug)]
struct Length;

impl Weighter<u64, Bytes> for Length {
    fn weight(&self, _: &u64, answer: &Bytes) -> u64 {
        answer.len() as u64 + ANSWER_BYTES
    }
}

impl Answers {
    pub(crate) fn new(bytes_max: u64) -> Result<Self, CacheError> {
        let options = bounded::options(OptionsBuilder::new(), bytes_max)?;
        let hasher = foldhash::fast::RandomState::default();
        Ok(Self {
            map: Map::with_options(options, Length, hasher, Default::default()),
        })
    }

    pub(crate) fn get(&self, id: EntryId) -> Option<Bytes> {
        self.map.get(&id.0)
    }

    pub(crate) fn insert(&self, id: EntryId, answer: Bytes) {
        self.map.insert(id.0, answer);
    }

    pub(crate) fn remove(&self, id: EntryId) {
        self.map.remove(&id.0);
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.map.weight()
    }
}
