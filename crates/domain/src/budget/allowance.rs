//! One counter of a budget: a quota of money whose bound moves as raises come and end.

use std::sync::Arc;
use std::time::Duration;

use super::{Budget, Raise};
use crate::money::{Currency, Nanos};
use crate::quota::{Quota, Span};
use crate::time::Wall;

#[derive(Clone, Debug)]
pub struct Allowance {
    /// In nanos. Its bound is `amount` and the raises in force.
    quota: Quota,
    amount: Nanos,
    currency: Currency,
    /// Those for this counter's key.
    raises: Arc<[Raise]>,
}

impl Allowance {
    pub fn new(budget: &Budget, key: &str, now: Wall) -> Self {
        let mut allowance = Self {
            quota: Quota::new(0, budget.calendar.clone(), now),
            amount: budget.amount,
            currency: budget.currency,
            raises: raises_for(budget, key),
        };
        allowance.set_bound(now);
        allowance
    }

    /// Applies a reloaded budget. False if it counts in another calendar or currency.
    #[must_use]
    pub fn follow(&mut self, budget: &Budget, key: &str, now: Wall) -> bool {
        if *self.quota.calendar() != budget.calendar || self.currency != budget.currency {
            return false;
        }
        self.amount = budget.amount;
        self.raises = raises_for(budget, key);
        self.set_bound(now);
        true
    }

    /// Starts the next period when its time has come, and ends raises.
    pub fn advance(&mut self, now: Wall) {
        self.quota.advance(now);
        if !self.raises.is_empty() {
            self.set_bound(now);
        }
    }

    pub fn bound(&self) -> u64 {
        self.quota.bound()
    }

    pub fn span(&self) -> Span {
        self.quota.span()
    }

    pub fn used(&self) -> u64 {
        self.quota.used()
    }

    pub fn held(&self) -> u64 {
        self.quota.held()
    }

    pub fn room(&self) -> u64 {
        self.quota.room()
    }

    pub fn is_idle(&self, now: Wall, kept: Duration) -> bool {
        self.quota.is_idle(now, kept)
    }

    /// As of a quota; a raise that comes meanwhile is not foreseen.
    pub fn wait(&self, nanos: u64, now: Wall) -> Option<Duration> {
        self.quota.wait(nanos, now)
    }

    /// Takes an amount, whether it fits or not: what a budget lets through counts all the same.
    pub fn reserve(&mut self, nanos: u64) -> Wall {
        self.quota.reserve(nanos)
    }

    pub fn settle(&mut self, period_start: Wall, reserved: u64, actual: u64, now: Wall) {
        self.quota.settle(period_start, reserved, actual, now);
    }

    pub fn restore(&mut self, nanos: u64, currency: Currency, period_start: Wall, now: Wall) {
        if currency == self.currency {
            self.quota.restore(nanos, period_start, now);
        }
    }

    fn set_bound(&mut self, now: Wall) {
        let raised = self.raises.iter().filter(|raise| now < raise.until);
        let amount = self.amount + raised.map(|raise| raise.by).sum();
        self.quota.set_bound(u64::try_from(amount.0).unwrap_or(0));
    }
}

fn raises_for(budget: &Budget, key: &str) -> Arc<[Raise]> {
    if budget.raises.is_empty() {
        return budget.raises.clone();
    }
    let of_key = budget.raises.iter().filter(|raise| raise.is_for(key));
    of_key.cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{OnExceeded, Unpriced};
    use crate::limit::{Calendar, Period, Reserve};

    const NOW: Wall = Wall(1_772_409_600_000); // Monday, 2 March 2026, 00:00 UTC.

    fn budget(amount: i64, raises: Vec<Raise>) -> Budget {
        Budget {
            amount: Nanos(amount),
            currency: Currency::USD,
            calendar: Calendar {
                period: Period::Day,
                time_zone: jiff::tz::TimeZone::UTC,
            },
            reserve: Reserve::Learned,
            on_exceeded: OnExceeded::Refuse,
            unpriced: Unpriced::Refuse,
            alert_at: Arc::default(),
            raises: raises.into(),
        }
    }

    #[test]
    fn a_raise_opens_room_until_it_ends_and_what_was_spent_stays_spent() {
        let raise = Raise {
            key: None,
            by: Nanos(50),
            until: NOW + Duration::from_secs(3600),
        };
        let mut allowance = Allowance::new(&budget(100, Vec::new()), "all", NOW);
        let period = allowance.reserve(100);
        allowance.settle(period, 100, 100, NOW);
        assert_eq!(
            allowance.wait(40, NOW),
            Some(Duration::from_secs(24 * 3600))
        );

        assert!(allowance.follow(&budget(100, vec![raise]), "all", NOW));
        assert_eq!(allowance.wait(40, NOW), Some(Duration::ZERO));
        let period = allowance.reserve(40);
        allowance.settle(period, 40, 40, NOW);
        allowance.advance(NOW + Duration::from_secs(3600));
        assert_eq!(
            (allowance.bound(), allowance.used(), allowance.room()),
            (100, 140, 0)
        );
    }

    #[test]
    fn another_calendar_or_currency_is_another_counter() {
        let before = budget(100, Vec::new());
        let mut allowance = Allowance::new(&before, "all", NOW);
        let mut weekly = before.clone();
        weekly.calendar.period = Period::Week;
        let euros = Budget {
            currency: "EUR".parse().unwrap(),
            ..before
        };
        assert!(!allowance.follow(&weekly, "all", NOW));
        assert!(!allowance.follow(&euros, "all", NOW));
        assert!(allowance.follow(&budget(7, Vec::new()), "all", NOW));
        assert_eq!(allowance.bound(), 7);
    }

    #[test]
    fn amounts_of_another_currency_are_not_restored() {
        let mut allowance = Allowance::new(&budget(100, Vec::new()), "all", NOW);
        allowance.restore(60, "EUR".parse().unwrap(), NOW, NOW);
        assert_eq!(allowance.used(), 0);
        allowance.restore(60, Currency::USD, NOW, NOW);
        assert_eq!(allowance.used(), 60);
    }
}
