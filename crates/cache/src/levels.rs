//! What there is and why it went, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::disk::Shared;
use crate::memory::{Counts, Memory};

/// Those that say "since" count since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Those who bought them were erased from the audit log, or may have been.
    pub erased: u64,
    /// Their answers were not on disk any more.
    pub lost: u64,
    pub disk: Option<DiskLevels>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskLevels {
    pub bytes: u64,
    pub bytes_max: u64,
    /// Since the start: written, and kept in memory only because the disk was behind, full or faulty.
    pub written: u64,
    pub unwritten: u64,
    /// What is on disk is still coming back after a start.
    pub is_warming: bool,
    pub fault: Option<String>,
}

impl Levels {
    pub(crate) fn of(memory: &Memory, memory_bytes_max: u64, disk: Option<&Shared>) -> Self {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts {
            stored,
            replaced,
            evicted,
            refused,
            expired,
            purged,
            erased,
            lost,
        } = &memory.counts;
        let (questions, partitions) = memory.index.len();
        Self {
            entries: memory.entries.len() as u64,
            questions: questions as u64,
            partitions: partitions as u64,
            memory_bytes: memory.bytes(),
            memory_bytes_max,
            stored: count(stored),
            replaced: count(replaced),
            evicted: count(evicted),
            refused: count(refused),
            expired: count(expired),
            purged: count(purged),
            erased: count(erased),
            lost: count(lost),
            disk: disk.map(|disk| DiskLevels {
                bytes: count(&disk.bytes),
                bytes_max: disk.settings.bytes_max,
                written: count(&disk.written),
                unwritten: count(&disk.unwritten),
                is_warming: disk.is_warming.load(Ordering::Relaxed),
                fault: disk.fault(),
            }),
        }
    }
}
