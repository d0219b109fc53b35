//! Entries by meaning: the vectors of each partition, scanned.
//!
//! No graph: a scan is exact, needs no rebuilding, and forgets an entry at once. Vectors stand in blocks of
//! bounded size, each under its own lock, without gaps: the last vector of a partition takes the place of one
//! that goes. A scan therefore never holds up a `put` for longer than a block takes. It may miss an entry that
//! is being moved at that moment, or meet it twice: it is returned once at most.

mod block;
mod scan;
mod vector;

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use domain::Wall;
use foldhash::{HashMap, HashMapExt};

use crate::entry::Asked;
use crate::{Entry, Near, Partition};
use block::{BLOCK_SLOTS, Block};
use scan::Nearest;
pub use vector::Vector;

/// Up to this many entries in a partition every one is compared. In larger ones signs are compared first, and
/// whole vectors only of those whose signs are near enough: `docs/cache.md` says what that may miss.
pub const EXACT_MAX: usize = 131_072;

/// So that a map that grows holds up a sixteenth of the partitions.
const MAPS: usize = 16;

#[derive(Debug)]
pub(crate) struct Index {
    /// `EXACT_MAX` but in tests.
    pub(crate) exact_max: usize,
    maps: [RwLock<HashMap<Partition, Arc<Vectors>>>; MAPS],
}

/// Of one partition.
#[derive(Debug)]
struct Vectors {
    dimensions: usize,
    /// All are full but the last.
    blocks: RwLock<Vec<Arc<RwLock<Block>>>>,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            exact_max: EXACT_MAX,
            maps: std::array::from_fn(|_| RwLock::new(HashMap::new())),
        }
    }
}

impl Index {
    /// One of another number of dimensions than its partition's is left out: it can be compared with none.
    pub(crate) fn insert(&self, entry: &Arc<Entry>, vector: &Vector) {
        let Some(asked) = &entry.asked else {
            return;
        };
        let map = self.map(&asked.partition);
        // Held while the vector goes in, so that its partition is not dropped as empty meanwhile.
        let partitions = read(map);
        if let Some(vectors) = partitions.get(&asked.partition) {
            vectors.push(entry, asked, vector);
            return;
        }
        drop(partitions);
        let mut partitions = write(map);
        let vectors = partitions.entry(asked.partition).or_insert_with(|| {
            Arc::new(Vectors {
                dimensions: vector.dimensions(),
                blocks: RwLock::default(),
            })
        });
        vectors.push(entry, asked, vector);
    }

    pub(crate) fn remove(&self, entry: &Arc<Entry>, asked: &Asked) {
        let map = self.map(&asked.partition);
        let is_empty = {
            let partitions = read(map);
            let Some(vectors) = partitions.get(&asked.partition) else {
                return;
            };
            vectors.remove(entry, asked)
        };
        if is_empty {
            let mut partitions = write(map);
            let stays = partitions
                .get(&asked.partition)
                .is_some_and(|vectors| !read(&vectors.blocks).is_empty());
            if !stays {
                partitions.remove(&asked.partition);
            }
            if partitions.len() * 4 < partitions.capacity() {
                let room = partitions.len() * 2;
                partitions.shrink_to(room);
            }
        }
    }

    pub(crate) fn nearest(
        &self,
        partition: &Partition,
        embedding: &[f32],
        min: f32,
        at_most: usize,
        now: Wall,
    ) -> Vec<Near> {
        let vectors = read(self.map(partition)).get(partition).map(Arc::clone);
        let Some(vectors) = vectors.filter(|vectors| vectors.dimensions == embedding.len()) else {
            return Vec::new();
        };
        let Some(asked) = Vector::of(embedding) else {
            return Vec::new();
        };
        let blocks = read(&vectors.blocks).clone();
        let mut nearest = Nearest::new(min, at_most, now);
        if blocks.len() <= self.exact_max / BLOCK_SLOTS {
            for block in &blocks {
                read(block).scan(&asked, &mut nearest);
            }
        } else {
            scan::by_signs(&blocks, &asked, &mut nearest);
        }
        nearest.into_sorted()
    }

    /// Of vectors and of partitions.
    pub(crate) fn len(&self) -> (usize, usize) {
        let (mut vectors, mut partitions) = (0, 0);
        for map in &self.maps {
            let map = read(map);
            partitions += map.len();
            vectors += map.values().map(|of| of.len()).sum::<usize>();
        }
        (vectors, partitions)
    }

    fn map(&self, partition: &Partition) -> &RwLock<HashMap<Partition, Arc<Vectors>>> {
        &self.maps[usize::from(partition.0[0]) % MAPS]
    }
}

impl Vectors {
    fn push(&self, entry: &Arc<Entry>, asked: &Asked, vector: &Vector) {
        if vector.dimensions() != self.dimensions {
            return;
        }
        let mut blocks = write(&self.blocks);
        if blocks.last().is_none_or(|last| read(last).is_full()) {
            if blocks.len() == blocks.capacity() {
                let more = 1 + blocks.len() / 4;
                blocks.reserve_exact(more);
            }
            blocks.push(Arc::default());
        }
        let before = (blocks.len() - 1) * BLOCK_SLOTS;
        let Some(last) = blocks.last() else {
            return;
        };
        let mut last = write(last);
        let place = before + last.len();
        // A partition of four billion vectors would need two terabytes.
        asked
            .place
            .store(u32::try_from(place).unwrap_or(u32::MAX), Ordering::Relaxed);
        last.push(entry, vector);
    }

    /// Whether it was the last of the partition.
    fn remove(&self, entry: &Arc<Entry>, asked: &Asked) -> bool {
        let mut blocks = write(&self.blocks);
        let place = asked.place.load(Ordering::Relaxed);
        let (number, slot) = (place as usize / BLOCK_SLOTS, place as usize % BLOCK_SLOTS);
        let Some((last, full)) = blocks.split_last() else {
            return true;
        };
        let block = full.get(number).unwrap_or(last);
        if !read(block).is_at(slot, entry) {
            return false;
        }
        let Some(moved) = write(last).pop() else {
            return false;
        };
        if !Arc::ptr_eq(&moved.entry, entry) {
            if let Some(asked) = &moved.entry.asked {
                asked.place.store(place, Ordering::Relaxed);
            }
            write(block).put(slot, moved);
        }
        if read(last).len() == 0 {
            blocks.pop();
        }
        blocks.is_empty()
    }

    fn len(&self) -> usize {
        let blocks = read(&self.blocks);
        blocks.last().map_or(0, |last| {
            (blocks.len() - 1) * BLOCK_SLOTS + read(last).len()
        })
    }
}

/// What a lock guards is whole between any two of its own steps, so a panic elsewhere leaves it usable.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
