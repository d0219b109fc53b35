//! Rate, quota, budget and concurrency counters: reserved before a call, settled after it.
//!
//! What a limit means is `domain`'s; here is which counters a call touches, and that it touches
//! all of them or none.

use std::sync::Arc;

use domain::limit::{Demand, Limit, LimitRefusal};
use domain::quota::Span;
use domain::record::{Charge, ChargeUnit};
use domain::{Budget, Currency, Figures, Held, LimitId, Nanos, Now, Place, Rule, Spent, Wall};

use self::map::Entry;
pub use self::memory::MemoryCounters;

mod memory;

mod map;

/// `Memory` for one gateway.
#[derive(Debug)]
pub enum Counters {
    Memory(MemoryCounters),
}

/// One limit and the value of its counter key for this call.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub limit: &'a Arc<Limit>,
    pub key: &'a str,
    pub past: Past<'a>,
}

/// What becomes of a call that the limit has no room for.
#[derive(Clone, Copy, Debug)]
pub enum Past<'a> {
    Refuse,
    /// It is charged all the same. For budgets only.
    Pass,
    /// It is charged all the same if this limit admits it, which counts by the same key and is not
    /// touched before. For budgets only.
    Throttle(&'a Arc<Limit>),
}

/// What a call holds from admission until it settles. One that is dropped instead gives everything
/// back as if no token was used (a request still counts as one), so that nothing stays reserved;
/// the trail never does that to a call that reached a provider.
#[must_use]
#[derive(Debug)]
pub struct Reservation {
    /// One for each counter, in no order that means anything.
    parts: Vec<Part>,
    at: Now,
}

#[derive(Debug)]
struct Part {
    entry: Arc<Entry>,
    limit: Arc<Limit>,
    held: Held,
    /// Just after this call was admitted.
    figures: Figures,
    /// There was no room, and it was let through.
    is_past: bool,
}

#[derive(Debug)]
pub enum Reserved {
    Admitted(Reservation),
    /// The cheap bound would refuse, or would hold back room that others need: count the prompt
    /// exactly and ask again with `prompt_exact` set.
    CountFirst,
}

#[derive(Debug, thiserror::Error)]
pub enum ReserveError {
    /// Of several that refuse, one that this call can never fit, else the longest to wait for.
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

/// One counter of a budget, for alerts, the admin API and metrics.
#[derive(Clone, Debug)]
pub struct BudgetLevel {
    pub limit: Arc<Limit>,
    /// The limit's rule: thresholds, currency, what happens past it.
    pub budget: Arc<Budget>,
    pub key: Arc<str>,
    /// With the raises in force.
    pub amount: Nanos,
    /// Of calls that ended.
    pub used: Nanos,
    /// Held by calls in flight.
    pub reserved: Nanos,
    /// The period that this counts.
    pub span: Span,
}

/// What the ledger knew at start, for counters to continue from.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// Charged in the last minute: when, and how much (1 for request limits).
    pub recent: Vec<(Charge, Wall, u64)>,
    /// Sums of the current calendar periods: limit, key, period start, tokens.
    pub quotas: Vec<(LimitId, Arc<str>, Wall, u64)>,
    /// The period that was charged last, of each budget, key and currency.
    pub budgets: Vec<RestoredBudget>,
}

/// What a budget was charged in a calendar period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredBudget {
    pub budget: LimitId,
    pub key: Arc<str>,
    pub period_start: Wall,
    pub currency: Currency,
    pub spent: Nanos,
}

impl Counters {
    pub fn memory() -> Self {
        Self::Memory(MemoryCounters::default())
    }

    /// Takes from every limit, or from none. The same limit and key twice count once.
    #[expect(
        clippy::unused_async,
        reason = "counters shared by several gateways wait for a network"
    )]
    pub async fn reserve(
        &self,
        asks: &[Ask<'_>],
        demand: &Demand,
        now: Now,
    ) -> Result<Reserved, ReserveError> {
        match self {
            Self::Memory(counters) => counters.reserve(asks, demand, now),
        }
    }

    /// Trues a reservation up to what was used and lets its concurrency go. Never fails, never
    /// waits.
    pub fn settle(&self, reservation: Reservation, spent: Spent, now: Now) {
        match self {
            Self::Memory(_) => reservation.settle(spent, now),
        }
    }

    /// Before the first call, or for budgets that are new: adds to what is there. What belongs to no limit, or to one that counts something else now,
    /// is ignored.
    pub fn restore(&self, restored: &Restored, limits: &[Arc<Limit>], now: Now) {
        match self {
            Self::Memory(counters) => counters.restore(restored, limits, now),
        }
    }

    /// Every counter in use; what `reserved` says must be zero when no call is in flight.
    pub fn levels(&self, now: Now) -> Vec<Level> {
        match self {
            Self::Memory(counters) => counters.levels(now),
        }
    }

    /// Every budget counter in use, of its current period. One that nobody asked since the period
    /// began and that had nothing restored is not there: it is at zero.
    pub fn budget_levels(&self, now: Now) -> Vec<BudgetLevel> {
        match self {
            Self::Memory(counters) => counters.budget_levels(now),
        }
    }

    /// Counters that take memory, one for each limit and key.
    pub fn in_use(&self) -> usize {
        match self {
            Self::Memory(counters) => counters.in_use(),
        }
    }

    /// Forgets idle counters. They are also swept as their number grows; calling this now and then
    /// gives their memory back after a burst of distinct keys.
    pub fn sweep(&self, now: Now) {
        match self {
            Self::Memory(counters) => counters.sweep(now),
        }
    }
}

impl Reservation {
    /// What goes into the record, so that a restart can restore the counters.
    pub fn charges(&self) -> Vec<Charge> {
        self.parts.iter().filter_map(Part::charge).collect()
    }

    /// Each limit's figures at admission, for the response's headers.
    pub fn figures(&self) -> impl Iterator<Item = (&Limit, &Figures)> {
        self.parts
            .iter()
            .map(|part| (part.limit.as_ref(), &part.figures))
    }

    /// The levels at admission, one per limit.
    pub fn levels(&self) -> Vec<Level> {
        self.parts
            .iter()
            .map(|part| Level::new(&part.limit, part.entry.key(), part.figures))
            .collect()
    }

    /// Budgets that had no room for the call and let it through.
    pub fn past(&self) -> impl Iterator<Item = &Arc<Limit>> {
        let past = self.parts.iter().filter(|part| part.is_past);
        past.map(|part| &part.limit)
    }

    fn settle(mut self, spent: Spent, now: Now) {
        self.release(spent, now);
    }

    fn release(&mut self, spent: Spent, now: Now) {
        for Part { entry, held, .. } in self.parts.drain(..) {
            entry.lock().counter.settle(held, spent, now);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.release(Spent::default(), self.at);
    }
}

impl Part {
    fn charge(&self) -> Option<Charge> {
        let unit = match (self.held.place(), &self.limit.rule) {
            (Place::Gauge, _) => return None,
            (Place::Period { start }, Rule::Budget(_)) => ChargeUnit::Budget {
                period_start: start,
            },
            (Place::Period { start }, _) => ChargeUnit::Quota {
                period_start: start,
            },
            (Place::Slice(_), Rule::RequestsPerMinute { .. }) => ChargeUnit::RequestsPerMinute,
            (Place::Slice(_), _) => ChargeUnit::TokensPerMinute,
        };
        Some(Charge {
            limit: self.limit.id.clone(),
            key: self.entry.key().clone(),
            unit,
        })
    }
}

impl Level {
    fn new(limit: &Arc<Limit>, key: &Arc<str>, figures: Figures) -> Self {
        let Figures {
            bound,
            used,
            reserved,
            remaining,
            reset,
        } = figures;
        Self {
            limit: limit.clone(),
            key: key.clone(),
            bound,
            used,
            reserved,
            remaining,
            reset,
        }
    }
}

impl BudgetLevel {
    /// `None` of a counter that counts no money.
    fn new(
        limit: &Arc<Limit>,
        key: &Arc<str>,
        figures: Figures,
        span: Option<Span>,
    ) -> Option<Self> {
        let Rule::Budget(budget) = &limit.rule else {
            return None;
        };
        let nanos = |amount: u64| Nanos::saturated(i128::from(amount));
        Some(Self {
            limit: limit.clone(),
            budget: budget.clone(),
            key: key.clone(),
            amount: nanos(figures.bound),
            used: nanos(figures.used),
            reserved: nanos(figures.reserved),
            span: span?,
        })
    }
}

#[cfg(test)]
mod tests;
