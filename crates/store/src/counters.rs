//! Rate, quota and concurrency counters: reserved before a call, settled after it.

use std::sync::Arc;

use domain::limit::{Demand, Limit, LimitRefusal};
use domain::record::Charge;
use domain::{LimitId, Now, Wall};

/// `Memory` for one gateway.
#[derive(Debug)]
pub enum Counters {
    Memory(MemoryCounters),
}

#[derive(Debug, Default)]
pub struct MemoryCounters {}

/// One limit and the value of its counter key for this call.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub limit: &'a Arc<Limit>,
    pub key: &'a str,
}

/// What a call holds from admission until it settles. Dropping one without settling is a leak;
/// the trail never does.
#[must_use]
#[derive(Debug)]
pub struct Reservation {}

#[derive(Debug)]
pub enum Reserved {
    Admitted(Reservation),
    /// The cheap bound would refuse, or would hold back room that others need: count the prompt
    /// exactly and ask again with `prompt_exact` set.
    CountFirst,
}

#[derive(Debug, thiserror::Error)]
pub enum ReserveError {
    #[error("limit reached")]
    Refused(Box<LimitRefusal>),
    /// Past `COUNTERS_MAX` distinct keys even after sweeping idle ones: the call is refused 503.
    #[error("too many distinct counter keys")]
    Full,
}

/// One counter's state, for headers, the admin API and metrics.
#[derive(Clone, Debug)]
pub struct Level {
    pub limit: Arc<Limit>,
    pub key: Arc<str>,
    pub bound: u64,
    pub used: u64,
    pub reserved: u64,
    pub remaining: u64,
    /// Until all of it is there again.
    pub reset: std::time::Duration,
}

/// What the ledger knew at start, for counters to continue from.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// Charged in the last minute: when, and how much (1 for request limits).
    pub recent: Vec<(Charge, Wall, u64)>,
    /// Sums of the current calendar periods: limit, key, period start, tokens.
    pub quotas: Vec<(LimitId, Arc<str>, Wall, u64)>,
}

impl Counters {
    pub fn memory() -> Self {
        Self::Memory(MemoryCounters::default())
    }

    /// Takes from every limit, or from none.
    pub async fn reserve(&self, asks: &[Ask<'_>], demand: &Demand, now: Now) -> Result<Reserved, ReserveError> {
        let _ = (asks, demand, now);
        todo!()
    }

    /// Trues a reservation up to the tokens that were used and lets its concurrency go. Never fails,
    /// never waits.
    pub fn settle(&self, reservation: Reservation, tokens: u64, now: Now) {
        let _ = (reservation, tokens, now);
        todo!()
    }

    pub fn restore(&self, restored: &Restored, limits: &[Arc<Limit>], now: Now) {
        let _ = (restored, limits, now);
        todo!()
    }

    /// Every counter in use; what `reserved` says must be zero when no call is in flight.
    pub fn levels(&self, now: Now) -> Vec<Level> {
        let _ = now;
        todo!()
    }
}

impl Reservation {
    /// What goes into the record, so that a restart can restore the counters.
    pub fn charges(&self) -> Vec<Charge> {
        todo!()
    }

    /// The levels at admission, one per limit, for the response's headers.
    pub fn levels(&self) -> Vec<Level> {
        todo!()
    }
}
