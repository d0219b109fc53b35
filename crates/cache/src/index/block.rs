//! Some vectors in one piece of memory each for what is read together.

use std::sync::Arc;

use super::scan::{self, Nearest};
use super::vector::Vector;
use crate::Entry;

/// A megabyte and a half of vectors of 384 dimensions: some fifty microseconds for one who waits.
pub(super) const BLOCK_SLOTS: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Block {
    entries: Vec<Arc<Entry>>,
    /// One vector behind the other, as the three that follow.
    codes: Vec<i8>,
    shrinks: Vec<f32>,
    signs: Vec<u64>,
}

/// What stands in one place.
pub(super) struct Slot {
    pub(super) entry: Arc<Entry>,
    codes: Vec<i8>,
    shrink: f32,
    signs: Vec<u64>,
}

impl Block {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= BLOCK_SLOTS
    }

    pub(super) fn is_at(&self, slot: usize, entry: &Arc<Entry>) -> bool {
        self.entries
            .get(slot)
            .is_some_and(|there| Arc::ptr_eq(there, entry))
    }

    pub(super) fn push(&mut self, entry: &Arc<Entry>, vector: &Vector) {
        if self.entries.len() == self.entries.capacity() {
            // A quarter more: doubling would leave half of a large cache's memory unused.
            let more = (self.entries.len() / 4).clamp(1, BLOCK_SLOTS - self.entries.len());
            self.entries.reserve_exact(more);
            self.shrinks.reserve_exact(more);
            self.codes.reserve_exact(more * vector.codes.len());
            self.signs.reserve_exact(more * vector.signs.len());
        }
        self.entries.push(Arc::clone(entry));
        self.codes.extend_from_slice(&vector.codes);
        self.shrinks.push(vector.shrink);
        self.signs.extend_from_slice(&vector.signs);
    }

    /// The last one.
    pub(super) fn pop(&mut self) -> Option<Slot> {
        let (dimensions, words) = self.widths()?;
        let entry = self.entries.pop()?;
        let slot = Slot {
            entry,
            codes: self.codes.split_off(self.codes.len() - dimensions),
            shrink: self.shrinks.pop()?,
            signs: self.signs.split_off(self.signs.len() - words),
        };
        if self.entries.len() * 2 < self.entries.capacity() {
            self.entries.shrink_to_fit();
            self.codes.shrink_to_fit();
            self.shrinks.shrink_to_fit();
            self.signs.shrink_to_fit();
        }
        Some(slot)
    }

    pub(super) fn put(&mut self, place: usize, slot: Slot) {
        let Some((dimensions, words)) = self.widths() else {
            return;
        };
        self.codes[place * dimensions..][..dimensions].copy_from_slice(&slot.codes);
        self.signs[place * words..][..words].copy_from_slice(&slot.signs);
        self.shrinks[place] = slot.shrink;
        self.entries[place] = slot.entry;
    }

    /// Compares all of them.
    pub(super) fn scan(&self, asked: &Vector, nearest: &mut Nearest) {
        let mut dots = [0; BLOCK_SLOTS];
        let dots = &mut dots[..self.len()];
        scan::dots(&self.codes, &asked.codes, dots);
        for ((dot, shrink), entry) in dots.iter().zip(&self.shrinks).zip(&self.entries) {
            nearest.meet(*dot as f32 * shrink * asked.shrink, entry);
        }
    }

    /// How many signs of each are another's.
    pub(super) fn distances<'d>(
        &self,
        asked: &Vector,
        distances: &'d mut [u16; BLOCK_SLOTS],
    ) -> &'d [u16] {
        let distances = &mut distances[..self.len()];
        scan::distances(&self.signs, &asked.signs, distances);
        distances
    }

    /// Compares this one, if it is still there.
    pub(super) fn scan_one(&self, place: usize, asked: &Vector, nearest: &mut Nearest) {
        let dimensions = asked.codes.len();
        let codes = self.codes.get(place * dimensions..).unwrap_or_default();
        let (Some(codes), Some(shrink), Some(entry)) = (
            codes.get(..dimensions),
            self.shrinks.get(place),
            self.entries.get(place),
        ) else {
            return;
        };
        let mut dot = [0];
        scan::dots(codes, &asked.codes, &mut dot);
        nearest.meet(dot[0] as f32 * shrink * asked.shrink, entry);
    }

    /// Components of a vector, and words of its signs.
    fn widths(&self) -> Option<(usize, usize)> {
        let dimensions = self.codes.len().checked_div(self.len())?;
        Some((dimensions, dimensions.div_ceil(64)))
    }
}
