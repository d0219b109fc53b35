//! Some vectors in one piece of memory each for what is read together.

use std::sync::Arc;

use super::scan::{self, Nearest, Planes};
use super::vector::{Vector, lead};
use crate::Entry;

/// A megabyte and a half of vectors of 384 dimensions: some fifty microseconds for one who waits.
pub(super) const BLOCK_SLOTS: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Block {
    entries: Vec<Arc<Entry>>,
    /// The first components of each, one vector behind the other, as all that follow.
    leads: Vec<i8>,
    /// The components behind those, which are seldom read.
    rests: Vec<i8>,
    shrinks: Vec<f32>,
    rest_lengths: Vec<f32>,
    signs: Vec<u64>,
}

/// What stands in one place.
pub(super) struct Slot {
    pub(super) entry: Arc<Entry>,
    lead: Vec<i8>,
    rest: Vec<i8>,
    shrink: f32,
    rest_length: f32,
    signs: Vec<u64>,
}

/// Components of a vector in either plane, and words of its signs.
struct Widths {
    lead: usize,
    rest: usize,
    words: usize,
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
        let (lead, rest) = vector.codes.split_at(lead(vector.dimensions()));
        if self.entries.len() == self.entries.capacity() {
            // A quarter more: doubling would leave half of a large cache's memory unused.
            let more = (self.entries.len() / 4).clamp(1, BLOCK_SLOTS - self.entries.len());
            self.entries.reserve_exact(more);
            self.shrinks.reserve_exact(more);
            self.rest_lengths.reserve_exact(more);
            self.leads.reserve_exact(more * lead.len());
            self.rests.reserve_exact(more * rest.len());
            self.signs.reserve_exact(more * vector.signs.len());
        }
        self.entries.push(Arc::clone(entry));
        self.leads.extend_from_slice(lead);
        self.rests.extend_from_slice(rest);
        self.shrinks.push(vector.shrink);
        self.rest_lengths.push(vector.rest);
        self.signs.extend_from_slice(&vector.signs);
    }

    /// The last one.
    pub(super) fn pop(&mut self) -> Option<Slot> {
        let Widths { lead, rest, words } = self.widths()?;
        let entry = self.entries.pop()?;
        let slot = Slot {
            entry,
            lead: self.leads.split_off(self.leads.len() - lead),
            rest: self.rests.split_off(self.rests.len() - rest),
            shrink: self.shrinks.pop()?,
            rest_length: self.rest_lengths.pop()?,
            signs: self.signs.split_off(self.signs.len() - words),
        };
        if self.entries.len() * 2 < self.entries.capacity() {
            self.entries.shrink_to_fit();
            self.leads.shrink_to_fit();
            self.rests.shrink_to_fit();
            self.shrinks.shrink_to_fit();
            self.rest_lengths.shrink_to_fit();
            self.signs.shrink_to_fit();
        }
        Some(slot)
    }

    pub(super) fn put(&mut self, place: usize, slot: Slot) {
        let Some(Widths { lead, rest, words }) = self.widths() else {
            return;
        };
        self.leads[place * lead..][..lead].copy_from_slice(&slot.lead);
        self.rests[place * rest..][..rest].copy_from_slice(&slot.rest);
        self.signs[place * words..][..words].copy_from_slice(&slot.signs);
        self.shrinks[place] = slot.shrink;
        self.rest_lengths[place] = slot.rest_length;
        self.entries[place] = slot.entry;
    }

    /// Compares all of them, and whole those that may be near enough.
    pub(super) fn scan(&self, asked: &Vector, nearest: &mut Nearest) {
        let mut similarities = [f32::NAN; BLOCK_SLOTS];
        let similarities = &mut similarities[..self.len()];
        let planes = Planes {
            leads: &self.leads,
            rests: &self.rests,
            shrinks: &self.shrinks,
            rest_lengths: &self.rest_lengths,
        };
        scan::similarities(&planes, asked, nearest.least(), similarities);
        for (similarity, entry) in similarities.iter().zip(&self.entries) {
            nearest.meet(*similarity, entry);
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
        let (lead, rest) = asked.codes.split_at(lead(asked.dimensions()));
        let of = |plane: &'_ [i8], asked: &[i8]| -> Option<i32> {
            let codes = plane.get(place * asked.len()..(place + 1) * asked.len())?;
            Some(scan::dot(codes, asked))
        };
        let (Some(of_lead), Some(of_rest), Some(shrink), Some(entry)) = (
            of(&self.leads, lead),
            of(&self.rests, rest),
            self.shrinks.get(place),
            self.entries.get(place),
        ) else {
            return;
        };
        nearest.meet((of_lead + of_rest) as f32 * shrink * asked.shrink, entry);
    }

    fn widths(&self) -> Option<Widths> {
        let lead = self.leads.len().checked_div(self.len())?;
        let rest = self.rests.len().checked_div(self.len())?;
        let words = (lead + rest).div_ceil(64);
        Some(Widths { lead, rest, words })
    }
}
