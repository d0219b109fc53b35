//! One limit's count for one value of its counter key: check, take, settle.
//!
//! Pure: who locks it and where it is kept is the store's business. Every method expects `now` to
//! be later than, or as late as, before; an earlier one counts as the latest seen.

use std::time::Duration;

use crate::budget::Allowance;
use crate::concurrency::Gauge;
use crate::demand::Amount;
use crate::limit::Rule;
use crate::money::Currency;
use crate::quota::{Quota, Span};
use crate::time::{Now, Wall};
use crate::window::{SliceId, Window};

/// What calls in flight hold uncounted may be at most this part of the bound, so that all but 1/20
/// of it is usable whatever the mix of prompts.
const UNCOUNTED_SHARE: u64 = 20;

/// No call uses more tokens. A larger number is a fault of whoever reported it, and must not keep
/// a team out for years.
const TOKENS_MAX: u64 = 1 << 40;

/// Likewise of money: a hundred million units, whatever the currency.
const NANOS_MAX: u64 = 100_000_000_000_000_000;

/// A swept quota that is asked for again starts at zero, so it is kept this long past its period:
/// a clock set back by less hands out nothing twice.
const QUOTA_KEPT: Duration = Duration::from_secs(24 * 3600);

#[derive(Clone, Debug)]
pub struct Counter {
    measure: Measure,
    /// Sum of the uncounted prompt bounds held by calls in flight.
    uncounted: u64,
    in_flight: u64,
}

#[derive(Clone, Debug)]
enum Measure {
    Tokens(Window),
    Requests(Window),
    Concurrency(Gauge),
    Quota(Quota),
    Budget(Allowance),
}

/// What a call used in the end. Each counter takes what it counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    pub tokens: u64,
    /// In the ledger's currency; 0 where no price is known.
    pub nanos: u64,
}

/// What one call holds of one counter. Given back to the counter that it came from.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub struct Held {
    place: Place,
    amount: u64,
    uncounted: u64,
}

/// Where a call was charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Slice(SliceId),
    Gauge,
    Period { start: Wall },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Fits,
    /// The prompt's bound would refuse, or would hold back room that others need, where its exact
    /// count may not.
    CountFirst,
    Refused {
        /// `None`: it never fits.
        retry_after: Option<Duration>,
    },
}

/// One reading of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    pub bound: u64,
    pub used: u64,
    pub reserved: u64,
    pub remaining: u64,
    /// Until all of it is there again, if nobody asks.
    pub reset: Duration,
}

impl Counter {
    /// `key`: the value of the counter key, since a raise may be for one of them.
    pub fn new(rule: &Rule, key: &str, now: Now) -> Self {
        let measure = match rule {
            Rule::TokensPerMinute {
                tokens_per_minute, ..
            } => Measure::Tokens(Window::new(*tokens_per_minute)),
            Rule::RequestsPerMinute {
                requests_per_minute,
            } => Measure::Requests(Window::new(*requests_per_minute)),
            Rule::Concurrency { max_concurrent } => {
                Measure::Concurrency(Gauge::new(*max_concurrent))
            }
            Rule::TokenQuota {
                tokens, calendar, ..
            } => Measure::Quota(Quota::new(*tokens, calendar.clone(), now.wall)),
            Rule::Budget(budget) => Measure::Budget(Allowance::new(budget, key, now.wall)),
        };
        Self {
            measure,
            uncounted: 0,
            in_flight: 0,
        }
    }

    /// Applies a reloaded rule: what was counted stays, the new bound holds. False if the rule
    /// counts something else, or in another calendar: that is another counter.
    #[must_use]
    pub fn follow(&mut self, rule: &Rule, key: &str, now: Now) -> bool {
        match (&mut self.measure, rule) {
            (Measure::Tokens(window), Rule::TokensPerMinute { .. })
            | (Measure::Requests(window), Rule::RequestsPerMinute { .. }) => {
                window.set_bound(rule.bound(), now.mono);
            }
            (Measure::Concurrency(gauge), Rule::Concurrency { .. }) => {
                gauge.set_bound(rule.bound());
            }
            (Measure::Quota(quota), Rule::TokenQuota { calendar, .. })
                if quota.calendar() == calendar =>
            {
                quota.set_bound(rule.bound());
            }
            (Measure::Budget(allowance), Rule::Budget(budget)) => {
                return allowance.follow(budget, key, now.wall);
            }
            (
                Measure::Tokens(_)
                | Measure::Requests(_)
                | Measure::Concurrency(_)
                | Measure::Quota(_)
                | Measure::Budget(_),
                _,
            ) => {
                return false;
            }
        }
        true
    }

    pub fn advance(&mut self, now: Now) {
        match &mut self.measure {
            Measure::Tokens(window) | Measure::Requests(window) => window.advance(now.mono),
            Measure::Concurrency(_) => {}
            Measure::Quota(quota) => quota.advance(now.wall),
            Measure::Budget(allowance) => allowance.advance(now.wall),
        }
    }

    /// Whether `amount` may be taken. Expects a counter advanced to `now`.
    pub fn check(&self, amount: Amount, now: Now) -> Verdict {
        let wait = self.wait(amount.wanted, now);
        let fits = wait == Some(Duration::ZERO);
        if amount.uncounted == 0 {
            return if fits {
                Verdict::Fits
            } else {
                Verdict::Refused { retry_after: wait }
            };
        }
        let uncounted = self.uncounted.saturating_add(amount.uncounted);
        if fits && uncounted <= self.bound() / UNCOUNTED_SHARE {
            return Verdict::Fits;
        }
        // A count is not worth its time where the shortest prompt would be told the same.
        let least = self.wait(amount.wanted.saturating_sub(amount.uncounted), now);
        if !fits && least == wait {
            return Verdict::Refused { retry_after: wait };
        }
        Verdict::CountFirst
    }

    /// Takes what `check` found to fit, or what is let through all the same.
    pub fn take(&mut self, amount: Amount) -> Held {
        let Amount { wanted, uncounted } = amount;
        let place = match &mut self.measure {
            Measure::Tokens(window) | Measure::Requests(window) => {
                Place::Slice(window.reserve(wanted))
            }
            Measure::Concurrency(gauge) => {
                gauge.reserve();
                Place::Gauge
            }
            Measure::Quota(quota) => Place::Period {
                start: quota.reserve(wanted),
            },
            Measure::Budget(allowance) => Place::Period {
                start: allowance.reserve(wanted),
            },
        };
        self.uncounted = self.uncounted.saturating_add(uncounted);
        self.in_flight = self.in_flight.saturating_add(1);
        Held {
            place,
            amount: wanted,
            uncounted,
        }
    }

    /// Trues what a call held up to what it used. A request stays one request.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "taken, so that it cannot be settled twice"
    )]
    pub fn settle(&mut self, held: Held, spent: Spent, now: Now) {
        let Held {
            place,
            amount,
            uncounted,
        } = held;
        let tokens = spent.tokens.min(TOKENS_MAX);
        self.uncounted = self.uncounted.saturating_sub(uncounted);
        self.in_flight = self.in_flight.saturating_sub(1);
        match (&mut self.measure, place) {
            (Measure::Tokens(window), Place::Slice(id)) => {
                window.settle(id, amount, tokens, now.mono);
            }
            (Measure::Requests(window), Place::Slice(id)) => {
                window.settle(id, amount, amount, now.mono);
            }
            (Measure::Concurrency(gauge), Place::Gauge) => gauge.settle(),
            (Measure::Quota(quota), Place::Period { start }) => {
                quota.settle(start, amount, tokens, now.wall);
            }
            (Measure::Budget(allowance), Place::Period { start }) => {
                allowance.settle(start, amount, spent.nanos.min(NANOS_MAX), now.wall);
            }
            // Held of another counter; nothing of it is here.
            (
                Measure::Tokens(_)
                | Measure::Requests(_)
                | Measure::Concurrency(_)
                | Measure::Quota(_)
                | Measure::Budget(_),
                _,
            ) => {}
        }
    }

    /// Counts what an earlier process charged to a window at `at`.
    pub fn restore_recent(&mut self, amount: u64, at: Wall, now: Now) {
        let age = now.wall.since(at);
        match &mut self.measure {
            Measure::Tokens(window) | Measure::Requests(window) => {
                window.restore(amount.min(TOKENS_MAX), now.mono - age, now.mono);
            }
            Measure::Concurrency(_) | Measure::Quota(_) | Measure::Budget(_) => {}
        }
    }

    /// Counts what an earlier process charged to the period that began at `period_start`.
    pub fn restore_period(&mut self, tokens: u64, period_start: Wall, now: Now) {
        match &mut self.measure {
            Measure::Quota(quota) => quota.restore(tokens, period_start, now.wall),
            Measure::Tokens(_)
            | Measure::Requests(_)
            | Measure::Concurrency(_)
            | Measure::Budget(_) => {}
        }
    }

    /// Counts what an earlier process spent in the period that began at `period_start`.
    pub fn restore_money(&mut self, nanos: u64, currency: Currency, period_start: Wall, now: Now) {
        match &mut self.measure {
            Measure::Budget(allowance) => {
                allowance.restore(nanos, currency, period_start, now.wall);
            }
            Measure::Tokens(_)
            | Measure::Requests(_)
            | Measure::Concurrency(_)
            | Measure::Quota(_) => {}
        }
    }

    pub fn figures(&self, now: Now) -> Figures {
        let bound = self.bound();
        match &self.measure {
            Measure::Tokens(window) | Measure::Requests(window) => Figures {
                bound,
                used: window.used(),
                reserved: window.held(),
                remaining: window.room(),
                reset: window.wait(bound, now.mono).unwrap_or_default(),
            },
            Measure::Concurrency(gauge) => Figures {
                bound,
                used: 0,
                reserved: gauge.open(),
                remaining: gauge.room(),
                reset: Duration::ZERO,
            },
            Measure::Quota(quota) => Figures {
                bound,
                used: quota.used(),
                reserved: quota.held(),
                remaining: quota.room(),
                reset: quota.span().end.since(now.wall),
            },
            Measure::Budget(allowance) => Figures {
                bound,
                used: allowance.used(),
                reserved: allowance.held(),
                remaining: allowance.room(),
                reset: allowance.span().end.since(now.wall),
            },
        }
    }

    /// The period that is counted now, of what counts by the calendar.
    pub fn span(&self) -> Option<Span> {
        match &self.measure {
            Measure::Tokens(_) | Measure::Requests(_) | Measure::Concurrency(_) => None,
            Measure::Quota(quota) => Some(quota.span()),
            Measure::Budget(allowance) => Some(allowance.span()),
        }
    }

    /// Nothing would be lost if it were forgotten. Expects a counter advanced to `now`.
    pub fn is_idle(&self, now: Now) -> bool {
        self.in_flight == 0
            && match &self.measure {
                Measure::Tokens(window) | Measure::Requests(window) => window.is_empty(),
                Measure::Concurrency(gauge) => gauge.open() == 0,
                Measure::Quota(quota) => quota.is_idle(now.wall, QUOTA_KEPT),
                Measure::Budget(allowance) => allowance.is_idle(now.wall, QUOTA_KEPT),
            }
    }

    fn bound(&self) -> u64 {
        match &self.measure {
            Measure::Tokens(window) | Measure::Requests(window) => window.bound(),
            Measure::Concurrency(gauge) => gauge.bound(),
            Measure::Quota(quota) => quota.bound(),
            Measure::Budget(allowance) => allowance.bound(),
        }
    }

    fn wait(&self, wanted: u64, now: Now) -> Option<Duration> {
        match &self.measure {
            Measure::Tokens(window) | Measure::Requests(window) => window.wait(wanted, now.mono),
            Measure::Concurrency(gauge) => gauge.wait(),
            Measure::Quota(quota) => quota.wait(wanted, now.wall),
            Measure::Budget(allowance) => allowance.wait(wanted, now.wall),
        }
    }
}

impl Held {
    pub fn place(&self) -> Place {
        self.place
    }

    pub fn amount(&self) -> u64 {
        self.amount
    }
}

#[cfg(test)]
mod tests;
