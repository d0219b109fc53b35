//! Calendar quota: an amount for each period, counted where the call was admitted.
//!
//! Debt is not carried over: a new period starts at zero.

use std::time::Duration;

use crate::limit::Calendar;
use crate::time::Wall;

#[derive(Clone, Debug)]
pub struct Quota {
    bound: u64,
    calendar: Calendar,
    span: Span,
    used: u64,
    held: u64,
    /// End of the last period before this one in which anything was charged.
    charged_until: Option<Wall>,
}

/// One calendar period: from `start`, up to but not including `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: Wall,
    pub end: Wall,
}

impl Quota {
    pub fn new(bound: u64, calendar: Calendar, now: Wall) -> Self {
        let span = calendar.span_at(now);
        Self {
            bound,
            calendar,
            span,
            used: 0,
            held: 0,
            charged_until: None,
        }
    }

    pub fn bound(&self) -> u64 {
        self.bound
    }

    pub fn set_bound(&mut self, bound: u64) {
        self.bound = bound;
    }

    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    pub fn span(&self) -> Span {
        self.span
    }

    /// May pass the bound, by what settling found above the reservations.
    pub fn used(&self) -> u64 {
        self.used
    }

    pub fn held(&self) -> u64 {
        self.held
    }

    pub fn room(&self) -> u64 {
        self.bound
            .saturating_sub(self.used.saturating_add(self.held))
    }

    /// Starts the next period when its time has come. A clock that was set back stays within the
    /// period that it had reached: it hands out nothing twice.
    pub fn advance(&mut self, now: Wall) {
        if now < self.span.end {
            return;
        }
        self.enter(self.calendar.span_at(now));
    }

    /// Nothing is charged, nor was in a period that a clock set back by `kept` would return to.
    pub fn is_idle(&self, now: Wall, kept: Duration) -> bool {
        self.used == 0 && self.held == 0 && self.charged_until.is_none_or(|end| end + kept <= now)
    }

    /// How long until `wanted` fits; zero if it fits now, `None` if it never will. Expects a quota
    /// advanced to `now`.
    pub fn wait(&self, wanted: u64, now: Wall) -> Option<Duration> {
        if wanted > self.bound {
            return None;
        }
        let charged = self.used.saturating_add(self.held);
        if charged.saturating_add(wanted) <= self.bound {
            return Some(Duration::ZERO);
        }
        Some(self.span.end.since(now))
    }

    /// Takes `amount`, which the caller found to fit. Returns the period that it is charged to.
    pub fn reserve(&mut self, amount: u64) -> Wall {
        self.held = self.held.saturating_add(amount);
        self.span.start
    }

    /// A call that outlived its period leaves the new one untouched.
    pub fn settle(&mut self, period_start: Wall, reserved: u64, actual: u64, now: Wall) {
        self.advance(now);
        if period_start != self.span.start {
            return;
        }
        self.held = self.held.saturating_sub(reserved);
        self.used = self.used.saturating_add(actual);
    }

    /// Counts what an earlier process knew of the period that started at `period_start`. A period
    /// later than the clock's is believed, for the clock may have been set back; an earlier one,
    /// or one of another calendar, is over.
    pub fn restore(&mut self, amount: u64, period_start: Wall, now: Wall) {
        self.advance(now);
        if period_start > self.span.start {
            let span = self.calendar.span_at(period_start);
            if span.start != period_start {
                return;
            }
            self.enter(span);
        }
        if period_start == self.span.start {
            self.used = self.used.saturating_add(amount);
        }
    }

    fn enter(&mut self, span: Span) {
        if self.used > 0 || self.held > 0 {
            self.charged_until = Some(self.span.end);
        }
        self.span = span;
        self.used = 0;
        self.held = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Period;

    fn calendar(period: Period, zone: &str) -> Calendar {
        Calendar {
            period,
            time_zone: jiff::tz::TimeZone::get(zone).unwrap(),
        }
    }

    fn wall(text: &str) -> Wall {
        Wall(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn a_call_that_outlives_its_period_does_not_charge_the_next_one() {
        let mut quota = Quota::new(
            100,
            calendar(Period::Day, "UTC"),
            wall("2026-03-01T23:59:00Z"),
        );
        let period = quota.reserve(80);
        quota.advance(wall("2026-03-02T00:00:00Z"));
        let next = quota.reserve(50);
        quota.settle(period, 80, 500, wall("2026-03-02T00:01:00Z"));
        assert_eq!((quota.used(), quota.held(), quota.room()), (0, 50, 50));
        quota.settle(next, 50, 20, wall("2026-03-02T00:02:00Z"));
        assert_eq!((quota.used(), quota.held(), quota.room()), (20, 0, 80));
    }

    #[test]
    fn a_clock_that_is_set_back_hands_out_nothing_twice() {
        let mut quota = Quota::new(
            100,
            calendar(Period::Hour, "UTC"),
            wall("2026-03-01T10:59:00Z"),
        );
        let period = quota.reserve(100);
        quota.settle(period, 100, 100, wall("2026-03-01T10:59:30Z"));
        quota.advance(wall("2026-03-01T11:00:00Z"));
        quota.reserve(100);
        for back in ["2026-03-01T10:59:59Z", "2026-03-01T07:00:00Z"] {
            quota.advance(wall(back));
            assert_eq!(quota.room(), 0, "at {back}");
        }
        assert_eq!(
            quota.wait(1, wall("2026-03-01T10:00:00Z")),
            Some(Duration::from_secs(7200))
        );
    }

    #[test]
    fn a_charged_quota_is_not_forgotten_while_a_clock_could_return_to_it() {
        let mut quota = Quota::new(
            100,
            calendar(Period::Hour, "UTC"),
            wall("2026-03-01T10:00:00Z"),
        );
        let period = quota.reserve(10);
        quota.settle(period, 10, 10, wall("2026-03-01T10:00:00Z"));
        let kept = Duration::from_secs(24 * 3600);
        for (at, idle) in [
            ("2026-03-01T10:30:00Z", false),
            ("2026-03-01T15:00:00Z", false),
            ("2026-03-02T11:00:00Z", true),
        ] {
            quota.advance(wall(at));
            assert_eq!(quota.is_idle(wall(at), kept), idle, "at {at}");
        }
    }

    #[test]
    fn what_settling_finds_above_the_quota_stays_until_the_period_ends() {
        let now = wall("2026-03-01T12:00:00Z");
        let mut quota = Quota::new(100, calendar(Period::Day, "UTC"), now);
        let period = quota.reserve(90);
        quota.settle(period, 90, 130, now);
        assert_eq!((quota.used(), quota.room()), (130, 0));
        assert_eq!(quota.wait(0, now), Some(Duration::from_secs(12 * 3600)));
        assert_eq!(quota.wait(101, now), None);
    }

    #[test]
    fn restores_the_current_period_only() {
        let now = wall("2026-03-15T12:00:00Z");
        let mut quota = Quota::new(100, calendar(Period::Month, "UTC"), now);
        quota.restore(40, wall("2026-03-01T00:00:00Z"), now);
        quota.restore(30, wall("2026-02-01T00:00:00Z"), now);
        quota.restore(30, wall("2026-03-09T00:00:00Z"), now);
        assert_eq!(quota.used(), 40);
        quota.restore(7, wall("2026-04-01T00:00:00Z"), now);
        assert_eq!(
            (quota.used(), quota.span().start),
            (7, wall("2026-04-01T00:00:00Z"))
        );
    }
}
