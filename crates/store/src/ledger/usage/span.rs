//! The time that a report is about, cut into whole hours and what lies around them.

use domain::Wall;

use super::UsageQuery;
use crate::ledger::sums::{HOUR_MS, hour_of};

/// Times of calls, `from` and later, before `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: i64,
    pub(super) to: i64,
}

/// Further from the epoch than any clock, and still far from overflow.
const FOREVER: Span = Span {
    from: -HOUR_MS * (1 << 40),
    to: HOUR_MS * (1 << 40),
};

impl Span {
    pub(super) fn of(query: &UsageQuery) -> Self {
        let within = |at: Wall| at.0.clamp(FOREVER.from, FOREVER.to);
        Self {
            from: query.since.map_or(FOREVER.from, within),
            to: query.until.map_or(FOREVER.to, within),
        }
    }

    /// The hours that lie in it as a whole; empty if none does.
    pub(super) fn whole_hours(self) -> Self {
        let from = hour_of(Wall(self.from + HOUR_MS - 1)).0;
        Self {
            from,
            to: hour_of(Wall(self.to)).0.max(from),
        }
    }

    /// What lies before and after `inner`, which may reach past this.
    pub(super) fn around(self, inner: Self) -> [Self; 2] {
        let before = Self {
            from: self.from,
            to: inner.from.min(self.to),
        };
        [
            before,
            Self {
                from: inner.to.max(before.to),
                to: self.to,
            },
        ]
    }

    pub(super) fn is_empty(self) -> bool {
        self.from >= self.to
    }
}
