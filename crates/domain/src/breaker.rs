//! Circuit breaker. Closed lets calls through, open refuses them, half-open lets one probe through.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Mono;

/// Longest that a backend's own `Retry-After` may keep its breaker open: one that names a day would
/// take it out for good.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerRule {
    /// Share of failures, 0 to 1, at which the breaker trips.
    pub failure_threshold: f64,
    /// Calls that the interval must hold before the share counts for anything.
    pub min_throughput: u32,
    pub interval: Duration,
    pub trip_duration: Duration,
    /// A failure's `Retry-After` keeps the breaker open, if it is longer than `trip_duration`.
    pub accept_retry_after: bool,
}

impl Default for BreakerRule {
    fn default() -> Self {
        Self {
            failure_threshold: 0.5,
            min_throughput: 10,
            interval: Duration::from_secs(60),
            trip_duration: Duration::from_secs(30),
            accept_retry_after: true,
        }
    }
}

/// How a call that the breaker let through ended, as far as its backend is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Success,
    Failure {
        retry_after: Option<Duration>,
    },
    /// The client left or was at fault: says nothing of the backend.
    Neutral,
}

/// One call that was let through. Its verdict counts only while the breaker is in the state that
/// let it through: a slow call from before a trip neither closes nor reopens the breaker.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket {
    generation: u64,
}

#[derive(Clone, Debug)]
pub struct Breaker {
    rule: BreakerRule,
    state: State,
    /// Grows with every change of state, and with every probe.
    generation: u64,
    slices: VecDeque<Slice>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open {
        until: Mono,
    },
    /// One probe is out. Should its caller vanish without a word, another may go once this passes.
    HalfOpen {
        probe_until: Mono,
    },
}

/// Calls of one sixteenth of the interval.
#[derive(Clone, Copy, Debug)]
struct Slice {
    start: Mono,
    calls: u32,
    failures: u32,
}

/// Parts that the interval slides by.
const SLICES: u32 = 16;

impl Breaker {
    pub fn new(rule: BreakerRule) -> Self {
        Self {
            rule,
            state: State::Closed,
            generation: 0,
            slices: VecDeque::with_capacity(SLICES as usize + 1),
        }
    }

    /// Until when no call is let through; `None` if one would be now. Changes nothing.
    pub fn open_until(&self, now: Mono) -> Option<Mono> {
        match self.state {
            State::Closed => None,
            State::Open { until: end } | State::HalfOpen { probe_until: end } => {
                (now < end).then_some(end)
            }
        }
    }

    /// Not closed: open, or waiting for its probe.
    pub fn is_tripped(&self) -> bool {
        self.state != State::Closed
    }

    /// Lets a call through, as the probe if the breaker was open.
    pub fn begin(&mut self, now: Mono) -> Option<Ticket> {
        if self.open_until(now).is_some() {
            return None;
        }
        if self.state != State::Closed {
            self.enter(State::HalfOpen {
                probe_until: now + self.rule.trip_duration,
            });
        }
        Some(Ticket {
            generation: self.generation,
        })
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "consumed: a ticket has one verdict"
    )]
    pub fn finish(&mut self, ticket: Ticket, verdict: Verdict, now: Mono) {
        let Ticket { generation } = ticket;
        if generation != self.generation {
            return;
        }
        match (self.state, verdict) {
            (State::HalfOpen { .. }, Verdict::Success) => self.enter(State::Closed),
            (State::HalfOpen { .. }, Verdict::Failure { retry_after }) => {
                self.trip(retry_after, now);
            }
            // The place is free at once for another probe.
            (State::HalfOpen { .. }, Verdict::Neutral) => self.enter(State::Open { until: now }),
            (State::Closed, Verdict::Neutral) | (State::Open { .. }, _) => {}
            (State::Closed, Verdict::Success) => self.count(0, now),
            (State::Closed, Verdict::Failure { retry_after }) => {
                self.count(1, now);
                self.trip_if_failing(retry_after, now);
            }
        }
    }

    /// An answer broke off after its call had been counted as a success: the same call counts as a
    /// failure instead. Says nothing of a breaker that is not closed, whose probe decides.
    pub fn cut(&mut self, now: Mono) {
        if self.state != State::Closed {
            return;
        }
        self.forget_old(now);
        let success = self
            .slices
            .iter_mut()
            .rev()
            .find(|slice| slice.failures < slice.calls);
        match success {
            Some(slice) => slice.failures += 1,
            // It began before the interval did.
            None => self.count(1, now),
        }
        self.trip_if_failing(None, now);
    }

    fn trip_if_failing(&mut self, retry_after: Option<Duration>, now: Mono) {
        let (calls, failures) = self.counted();
        let share = f64::from(failures) / f64::from(calls);
        if calls >= self.rule.min_throughput && share >= self.rule.failure_threshold {
            self.trip(retry_after, now);
        }
    }

    fn forget_old(&mut self, now: Mono) {
        while self
            .slices
            .front()
            .is_some_and(|slice| now.since(slice.start) >= self.rule.interval)
        {
            self.slices.pop_front();
        }
    }

    fn count(&mut self, failures: u32, now: Mono) {
        self.forget_old(now);
        match self.slices.back_mut() {
            Some(slice) if now.since(slice.start) < self.rule.interval / SLICES => {
                slice.calls = slice.calls.saturating_add(1);
                slice.failures = slice.failures.saturating_add(failures);
            }
            _ => self.slices.push_back(Slice {
                start: now,
                calls: 1,
                failures,
            }),
        }
    }

    fn counted(&self) -> (u32, u32) {
        self.slices
            .iter()
            .fold((0u32, 0u32), |(calls, failures), slice| {
                (
                    calls.saturating_add(slice.calls),
                    failures.saturating_add(slice.failures),
                )
            })
    }

    fn trip(&mut self, retry_after: Option<Duration>, now: Mono) {
        let asked = retry_after
            .filter(|_| self.rule.accept_retry_after)
            .unwrap_or_default()
            .min(RETRY_AFTER_MAX);
        self.enter(State::Open {
            until: now + asked.max(self.rule.trip_duration),
        });
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
        self.slices.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: Verdict = Verdict::Failure { retry_after: None };

    fn at(s: u64) -> Mono {
        Mono::from_secs(1_000 + s)
    }

    fn call(breaker: &mut Breaker, verdict: Verdict, now: Mono) {
        let ticket = breaker.begin(now).expect("let through");
        breaker.finish(ticket, verdict, now);
    }

    fn tripped(rule: BreakerRule) -> Breaker {
        let mut breaker = Breaker::new(rule);
        for _ in 0..rule.min_throughput {
            call(&mut breaker, FAILED, at(0));
        }
        assert!(breaker.open_until(at(0)).is_some());
        breaker
    }

    #[test]
    fn half_of_ten_failing_trips_for_thirty_seconds_then_one_probe_closes_it() {
        let mut breaker = Breaker::new(BreakerRule::default());
        for n in 0..10 {
            call(
                &mut breaker,
                if n % 2 == 0 { Verdict::Success } else { FAILED },
                at(0),
            );
        }
        assert_eq!(breaker.begin(at(29)), None);
        let probe = breaker.begin(at(30)).expect("the probe");
        assert_eq!(breaker.begin(at(30)), None, "only one probe");
        breaker.finish(probe, Verdict::Success, at(31));
        assert_eq!(breaker.open_until(at(31)), None);
        assert!(!breaker.is_tripped());
    }

    #[test]
    fn nine_failures_of_nine_are_below_the_throughput_that_counts() {
        let mut breaker = Breaker::new(BreakerRule::default());
        for _ in 0..9 {
            call(&mut breaker, FAILED, at(0));
        }
        assert_eq!(breaker.open_until(at(0)), None);
    }

    #[test]
    fn failures_older_than_the_interval_are_forgotten_one_slice_at_a_time() {
        let mut breaker = Breaker::new(BreakerRule::default());
        for _ in 0..9 {
            call(&mut breaker, FAILED, at(0));
        }
        call(&mut breaker, FAILED, at(61));
        assert_eq!(breaker.open_until(at(61)), None, "the nine are gone");
        for s in 0..9 {
            call(&mut breaker, FAILED, at(62 + s * 6));
        }
        assert!(
            breaker.open_until(at(117)).is_some(),
            "ten within sixty seconds, however spread"
        );
    }

    #[test]
    fn a_longer_retry_after_keeps_it_open_and_a_shorter_one_does_not_shorten_it() {
        let rule = BreakerRule {
            min_throughput: 1,
            ..BreakerRule::default()
        };
        for (asked_s, open_s) in [(7, 30), (90, 90), (86_400, 600)] {
            let mut breaker = Breaker::new(rule);
            call(
                &mut breaker,
                Verdict::Failure {
                    retry_after: Some(Duration::from_secs(asked_s)),
                },
                at(0),
            );
            assert_eq!(
                breaker.open_until(at(0)),
                Some(at(open_s)),
                "Retry-After: {asked_s}"
            );
        }
        let mut deaf = Breaker::new(BreakerRule {
            accept_retry_after: false,
            ..rule
        });
        call(
            &mut deaf,
            Verdict::Failure {
                retry_after: Some(Duration::from_secs(90)),
            },
            at(0),
        );
        assert_eq!(deaf.open_until(at(0)), Some(at(30)));
    }

    #[test]
    fn a_probe_whose_caller_vanished_does_not_hold_the_breaker_shut() {
        let mut breaker = tripped(BreakerRule::default());
        let _vanished = breaker.begin(at(30)).expect("the probe");
        assert_eq!(breaker.begin(at(59)), None);
        assert!(breaker.begin(at(60)).is_some());
    }

    #[test]
    fn a_probe_whose_client_hung_up_makes_way_for_another_at_once() {
        let mut breaker = tripped(BreakerRule::default());
        let probe = breaker.begin(at(30)).expect("the probe");
        breaker.finish(probe, Verdict::Neutral, at(31));
        assert!(breaker.begin(at(31)).is_some());
    }

    #[test]
    fn a_late_result_from_before_the_trip_changes_nothing() {
        let rule = BreakerRule {
            min_throughput: 1,
            ..BreakerRule::default()
        };
        let mut breaker = Breaker::new(rule);
        let slow = breaker.begin(at(0)).expect("closed");
        let slower = breaker.begin(at(0)).expect("closed");
        call(&mut breaker, FAILED, at(0));
        breaker.finish(slow, Verdict::Success, at(1));
        assert_eq!(breaker.open_until(at(1)), Some(at(30)));
        let probe = breaker.begin(at(30)).expect("the probe");
        breaker.finish(slower, FAILED, at(31));
        breaker.finish(probe, Verdict::Success, at(32));
        assert!(!breaker.is_tripped());
    }

    #[test]
    fn an_answer_that_is_cut_is_one_call_and_one_failure() {
        let rule = BreakerRule {
            failure_threshold: 0.9,
            ..BreakerRule::default()
        };
        let mut breaker = Breaker::new(rule);
        for n in 0..10 {
            assert_eq!(breaker.open_until(at(n)), None, "before cut {n}");
            call(&mut breaker, Verdict::Success, at(n));
            breaker.cut(at(n));
        }
        assert_eq!(breaker.open_until(at(9)), Some(at(39)));
        breaker.cut(at(39));
        assert!(
            breaker.begin(at(39)).is_some(),
            "a late cut takes no probe and opens nothing"
        );
    }

    #[test]
    fn an_answer_cut_after_the_interval_still_counts() {
        let mut breaker = Breaker::new(BreakerRule {
            min_throughput: 1,
            ..BreakerRule::default()
        });
        call(&mut breaker, Verdict::Success, at(0));
        breaker.cut(at(300));
        assert_eq!(breaker.open_until(at(300)), Some(at(330)));
    }

    #[test]
    fn a_failed_probe_opens_it_again_for_the_whole_time() {
        let mut breaker = tripped(BreakerRule::default());
        let probe = breaker.begin(at(40)).expect("the probe");
        breaker.finish(probe, FAILED, at(41));
        assert_eq!(breaker.open_until(at(41)), Some(at(71)));
    }
}
