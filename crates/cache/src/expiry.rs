//! Entries by when they expire, so that what is over goes without a look at what is not.
//!
//! Each entry knows its place in its list, so that one that goes earlier leaves at once and nothing is left
//! of it: a list grows with what lives, not with what ever came.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::Wall;

use crate::Entry;

/// Entries that expire within the same span share a list. Only when memory is freed depends on it.
const SPAN_MS: i64 = 8_000;
/// Held under one lock.
pub(crate) const BATCH: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Expiry {
    spans: Mutex<BTreeMap<i64, Vec<Arc<Entry>>>>,
}

impl Expiry {
    pub(crate) fn add(&self, entry: &Arc<Entry>) {
        let mut spans = self.lock();
        let span = spans.entry(span_of(entry)).or_default();
        let place = u32::try_from(span.len()).unwrap_or(u32::MAX);
        entry.expiry_place.store(place, Ordering::Relaxed);
        span.push(Arc::clone(entry));
    }

    pub(crate) fn remove(&self, entry: &Arc<Entry>) {
        let mut spans = self.lock();
        let number = span_of(entry);
        let Some(span) = spans.get_mut(&number) else {
            return;
        };
        let place = entry.expiry_place.load(Ordering::Relaxed) as usize;
        if !span
            .get(place)
            .is_some_and(|there| Arc::ptr_eq(there, entry))
        {
            return;
        }
        span.swap_remove(place);
        if let Some(moved) = span.get(place) {
            moved.expiry_place.store(place as u32, Ordering::Relaxed);
        }
        if span.is_empty() {
            spans.remove(&number);
        } else if span.len() * 4 < span.capacity() {
            span.shrink_to(span.len() * 2);
        }
    }

    /// Some that are over, `at_most` so many; none once no whole span is.
    pub(crate) fn over(&self, now: Wall, at_most: usize) -> Vec<Arc<Entry>> {
        let spans = self.lock();
        let due = now.0.div_euclid(SPAN_MS);
        match spans.first_key_value() {
            Some((number, span)) if *number < due => {
                span.iter().rev().take(at_most).cloned().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Every entry that is there from beginning to end of the walk is given at least once, in small batches
    /// between which others may come and go.
    pub(crate) fn walk(&self, mut each: impl FnMut(&Arc<Entry>)) {
        let mut from = i64::MIN;
        // Backwards in a list: what takes the place of one that goes comes from behind, where the walk has been.
        let mut below = usize::MAX;
        loop {
            let batch: Vec<Arc<Entry>> = {
                let spans = self.lock();
                let Some((number, span)) = spans.range(from..).next() else {
                    return;
                };
                if *number > from {
                    (from, below) = (*number, usize::MAX);
                }
                let end = below.min(span.len());
                let start = end.saturating_sub(BATCH);
                below = start;
                span[start..end].to_vec()
            };
            for entry in &batch {
                each(entry);
            }
            if below == 0 {
                let Some(next) = from.checked_add(1) else {
                    return;
                };
                (from, below) = (next, usize::MAX);
            }
        }
    }

    /// No invariant spans a panic.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<i64, Vec<Arc<Entry>>>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The list is due once all of it is over.
fn span_of(entry: &Entry) -> i64 {
    entry.expires_at.0.div_euclid(SPAN_MS)
}
