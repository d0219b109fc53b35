//! Records that the journal could not take: kept in memory in full, and past a bound as sums.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::CallId;
use domain::record::{CallRecord, PriceId};

use super::journal::Place;
use super::sums::Sums;

/// Past this, sums no longer tell applications, models and backends apart.
const FOLDED_KEYS_MAX: usize = 10_000;
/// Past this, a folded call's opening is marked as settled at once and not when its sums are on
/// disk: a kill in between loses its tokens.
const FOLDED_OPENINGS_MAX: usize = 100_000;

/// Past this, what an id stands for is not written down until a later call names it again.
const PRICES_MAX: usize = 1_000;

#[derive(Debug)]
pub(super) struct Overflow {
    records_max: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    records: VecDeque<Waiting>,
    folded: Folded,
    folded_calls: u64,
    prices: Vec<(PriceId, String)>,
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) record: CallRecord,
    /// Where its opening stands, if it has one.
    pub(super) opening: Option<Place>,
}

/// Calls without their detail.
#[derive(Debug, Default)]
pub(super) struct Folded {
    pub(super) sums: Sums,
    pub(super) openings: Vec<(CallId, Place)>,
}

impl Overflow {
    pub(super) fn new(records_max: usize) -> Self {
        Self {
            records_max,
            held: Mutex::default(),
        }
    }

    pub(super) fn push(&self, waiting: Waiting) {
        let mut held = self.held();
        if held.records.len() < self.records_max {
            held.records.push_back(waiting);
            return;
        }
        held.folded_calls += 1;
        held.folded
            .sums
            .add_within(&waiting.record, FOLDED_KEYS_MAX);
        let Some(place) = waiting.opening else { return };
        if held.folded.openings.len() < FOLDED_OPENINGS_MAX {
            held.folded
                .openings
                .push((waiting.record.opening.id, place));
        } else {
            mark_folded(&place);
        }
    }

    /// Up to `len` of the oldest.
    pub(super) fn take(&self, len: usize) -> Vec<Waiting> {
        let mut held = self.held();
        let len = len.min(held.records.len());
        held.records.drain(..len).collect()
    }

    /// They were the oldest, and are again. May pass the bound by what was taken.
    pub(super) fn put_back(&self, taken: Vec<Waiting>) {
        let mut held = self.held();
        for waiting in taken.into_iter().rev() {
            held.records.push_front(waiting);
        }
    }

    pub(super) fn take_folded(&self) -> Option<Folded> {
        let mut held = self.held();
        (!held.folded.sums.is_empty()).then(|| std::mem::take(&mut held.folded))
    }

    pub(super) fn put_folded_back(&self, folded: Folded) {
        let mut held = self.held();
        held.folded.sums.merge(folded.sums);
        held.folded.openings.extend(folded.openings);
    }

    /// False if there is no room for it.
    pub(super) fn push_price(&self, id: PriceId, text: String) -> bool {
        let mut held = self.held();
        let has_room = held.prices.len() < PRICES_MAX;
        if has_room {
            held.prices.push((id, text));
        }
        has_room
    }

    pub(super) fn take_prices(&self) -> Vec<(PriceId, String)> {
        std::mem::take(&mut self.held().prices)
    }

    pub(super) fn put_prices_back(&self, prices: Vec<(PriceId, String)>) {
        self.held().prices.extend(prices);
    }

    pub(super) fn is_empty(&self) -> bool {
        let held = self.held();
        held.records.is_empty() && held.folded.sums.is_empty() && held.prices.is_empty()
    }

    pub(super) fn records(&self) -> u64 {
        self.held().records.len() as u64
    }

    pub(super) fn folded_calls(&self) -> u64 {
        self.held().folded_calls
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From here on a restart does not take the opening for an interrupted call.
pub(super) fn mark_folded(opening: &Place) {
    if let Err(error) = opening.set_passed(super::segment::Passed::Folded) {
        tracing::error!(%error, "cannot mark a call as folded; a restart would count it twice");
    }
}
