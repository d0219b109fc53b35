//! Circuit breaker. Closed lets calls through, open refuses them, half-open lets one probe through.
//!
//! Does not decide what a failure is: its caller says how each call ended.

use std::time::Duration;

use crate::time::Mono;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerRule {
    /// Share of failures, 0 to 1, at which the breaker trips.
    pub failure_threshold: f64,
    /// Calls that the interval must hold before the share counts for anything.
    pub min_throughput: u32,
    pub interval: Duration,
    pub trip_duration: Duration,
    pub accept_retry_after: bool,
}

/// A backend that asks for more is asked again after this all the same: providers have been seen to
/// send hours.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);

/// A probe whose outcome nobody reported for this long no longer keeps others from trying.
pub const PROBE_DEADLINE: Duration = Duration::from_secs(30);

/// The interval slides in steps of a twentieth of it.
const SLICES: usize = 20;

#[derive(Clone, Debug)]
pub struct Breaker {
    rule: BreakerRule,
    state: State,
    /// Grows with every change of state; what belongs to an earlier one is not counted.
    generation: u64,
    slices: [Slice; SLICES],
    /// Serial number of the current slice since the clock's origin.
    slice: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Closed,
    Open {
        until: Mono,
    },
    /// `probe_until`: one probe is out, and another may go from then. `None`: its slot is free.
    HalfOpen {
        probe_until: Option<Mono>,
    },
}

/// Leave to call, to be reported with how it ended.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    generation: u64,
}

/// How a call ended, as far as the backend's health goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Success,
    /// With the backend's own `Retry-After`.
    Failure {
        retry_after: Option<Duration>,
    },
    /// It says nothing about the backend: the client hung up, say.
    Neutral,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    calls: u32,
    failures: u32,
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

impl Breaker {
    pub fn new(rule: BreakerRule) -> Self {
        Self {
            rule,
            state: State::Closed,
            generation: 0,
            slices: [Slice::default(); SLICES],
            slice: 0,
        }
    }

    /// An open breaker whose time has passed shows as half-open.
    pub fn state(&self, now: Mono) -> State {
        match self.state {
            State::Open { until } if now >= until => State::HalfOpen { probe_until: None },
            State::HalfOpen {
                probe_until: Some(until),
            } if now >= until => State::HalfOpen { probe_until: None },
            State::Closed | State::Open { .. } | State::HalfOpen { .. } => self.state,
        }
    }

    /// Whether `begin` would let a call through. Takes nothing.
    pub fn would_admit(&self, now: Mono) -> bool {
        self.admits_from(now).is_none()
    }

    /// From when a call may be let through; `None` if now.
    pub fn admits_from(&self, now: Mono) -> Option<Mono> {
        match self.state(now) {
            State::Closed | State::HalfOpen { probe_until: None } => None,
            State::Open { until }
            | State::HalfOpen {
                probe_until: Some(until),
            } => Some(until),
        }
    }

    /// Lets a call through, as the probe if the breaker is half-open, or refuses it. Each pass is
    /// reported with `end`.
    pub fn begin(&mut self, now: Mono) -> Option<Pass> {
        match self.state(now) {
            State::Closed => {}
            State::Open { .. }
            | State::HalfOpen {
                probe_until: Some(_),
            } => return None,
            State::HalfOpen { probe_until: None } => {
                self.enter(State::HalfOpen {
                    probe_until: Some(now + PROBE_DEADLINE),
                });
            }
        }
        Some(Pass {
            generation: self.generation,
        })
    }

    /// A call that began before the last change of state is not heard: its news is old.
    pub fn end(&mut self, pass: Pass, health: Health, now: Mono) {
        if pass.generation != self.generation {
            return;
        }
        match (self.state, health) {
            (State::Closed, Health::Success) => self.count(0, now),
            (State::Closed, Health::Failure { retry_after }) => {
                self.count(1, now);
                if self.is_failing() {
                    self.trip(retry_after, now);
                }
            }
            (State::HalfOpen { .. }, Health::Success) => self.close(),
            (State::HalfOpen { .. }, Health::Failure { retry_after }) => {
                self.trip(retry_after, now);
            }
            (State::HalfOpen { .. }, Health::Neutral) => {
                self.enter(State::HalfOpen { probe_until: None });
            }
            (State::Closed, Health::Neutral) | (State::Open { .. }, _) => {}
        }
    }

    /// After a reload. The state survives.
    pub fn set_rule(&mut self, rule: BreakerRule) {
        // Slices of another length would be misread.
        if rule.interval != self.rule.interval {
            self.slices = [Slice::default(); SLICES];
        }
        self.rule = rule;
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
    }

    fn close(&mut self) {
        self.slices = [Slice::default(); SLICES];
        self.enter(State::Closed);
    }

    fn trip(&mut self, retry_after: Option<Duration>, now: Mono) {
        let asked = retry_after
            .filter(|_| self.rule.accept_retry_after)
            .unwrap_or_default();
        let pause = asked.min(RETRY_AFTER_MAX).max(self.rule.trip_duration);
        self.enter(State::Open { until: now + pause });
    }

    fn is_failing(&self) -> bool {
        let (calls, failures) =
            self.slices
                .iter()
                .fold((0u32, 0u32), |(calls, failures), slice| {
                    (
                        calls.saturating_add(slice.calls),
                        failures.saturating_add(slice.failures),
                    )
                });
        // Even a threshold of zero takes a failure.
        calls >= self.rule.min_throughput.max(1)
            && f64::from(failures) >= self.rule.failure_threshold * f64::from(calls)
    }

    fn count(&mut self, failures: u32, now: Mono) {
        self.slide(now);
        let slice = &mut self.slices[index_of(self.slice)];
        slice.calls = slice.calls.saturating_add(1);
        slice.failures = slice.failures.saturating_add(failures);
    }

    fn slide(&mut self, now: Mono) {
        let slices = u64::try_from(SLICES).unwrap_or(1);
        let slice_ns = u64::try_from(self.rule.interval.as_nanos()).unwrap_or(u64::MAX) / slices;
        let current = (now.0 / slice_ns.max(1)).max(self.slice);
        for passed in 0..(current - self.slice).min(slices) {
            self.slices[index_of(current - passed)] = Slice::default();
        }
        self.slice = current;
    }
}

fn index_of(slice: u64) -> usize {
    usize::try_from(slice % 20).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILURE: Health = Health::Failure { retry_after: None };

    fn at(s: u64) -> Mono {
        Mono::from_secs(100_000 + s)
    }

    fn call(breaker: &mut Breaker, health: Health, now: Mono) {
        let pass = breaker.begin(now).expect("let through");
        breaker.end(pass, health, now);
    }

    fn tripped(rule: BreakerRule, health: Health) -> Breaker {
        let mut breaker = Breaker::new(BreakerRule {
            min_throughput: 1,
            ..rule
        });
        call(&mut breaker, health, at(0));
        breaker
    }

    #[test]
    fn half_of_ten_failing_trips_for_thirty_seconds_and_a_good_probe_closes() {
        let mut breaker = Breaker::new(BreakerRule::default());
        for index in 0..9 {
            call(
                &mut breaker,
                if index % 2 == 0 {
                    FAILURE
                } else {
                    Health::Success
                },
                at(index),
            );
        }
        assert_eq!(breaker.state(at(9)), State::Closed, "nine are too few");
        call(&mut breaker, FAILURE, at(9));
        assert_eq!(breaker.state(at(9)), State::Open { until: at(39) });
        assert_eq!(breaker.begin(at(38)), None);
        let probe = breaker.begin(at(39)).expect("the probe");
        assert_eq!(breaker.begin(at(39)), None, "only one probe");
        breaker.end(probe, Health::Success, at(40));
        assert_eq!(breaker.state(at(40)), State::Closed);
        call(&mut breaker, FAILURE, at(41));
        assert_eq!(
            breaker.state(at(41)),
            State::Closed,
            "old failures are forgotten"
        );
    }

    #[test]
    fn a_failing_probe_opens_again() {
        let mut breaker = tripped(BreakerRule::default(), FAILURE);
        let probe = breaker.begin(at(30)).expect("the probe");
        breaker.end(probe, FAILURE, at(31));
        assert_eq!(breaker.state(at(31)), State::Open { until: at(61) });
    }

    #[test]
    fn failures_leave_the_share_as_the_interval_slides_on() {
        let mut breaker = Breaker::new(BreakerRule::default());
        for s in 0..9 {
            call(&mut breaker, FAILURE, at(s));
        }
        call(&mut breaker, FAILURE, at(69));
        assert_eq!(breaker.state(at(69)), State::Closed);
        for s in 70..78 {
            call(&mut breaker, FAILURE, at(s));
        }
        assert_eq!(
            breaker.state(at(78)),
            State::Closed,
            "nine within the minute"
        );
        call(&mut breaker, FAILURE, at(78));
        assert_ne!(breaker.state(at(78)), State::Closed);
    }

    #[test]
    fn stays_open_for_retry_after_if_that_is_accepted_and_longer_up_to_ten_minutes() {
        let until = |accept_retry_after, s| {
            let rule = BreakerRule {
                accept_retry_after,
                ..BreakerRule::default()
            };
            let breaker = tripped(
                rule,
                Health::Failure {
                    retry_after: Some(Duration::from_secs(s)),
                },
            );
            breaker
                .admits_from(at(0))
                .expect("open")
                .since(at(0))
                .as_secs()
        };
        assert_eq!(
            [
                until(true, 90),
                until(true, 7),
                until(true, 86_400),
                until(false, 90)
            ],
            [90, 30, 600, 30]
        );
    }

    #[test]
    fn a_hang_up_during_the_probe_frees_its_slot() {
        let mut breaker = tripped(BreakerRule::default(), FAILURE);
        let probe = breaker.begin(at(30)).expect("the probe");
        breaker.end(probe, Health::Neutral, at(31));
        assert!(breaker.would_admit(at(31)));
        assert!(breaker.begin(at(31)).is_some());
        assert!(!breaker.would_admit(at(31)));
    }

    #[test]
    fn a_probe_that_never_reports_is_replaced_and_no_longer_heard() {
        let mut breaker = tripped(BreakerRule::default(), FAILURE);
        let lost = breaker.begin(at(30)).expect("the probe");
        assert_eq!(breaker.admits_from(at(40)), Some(at(60)));
        let second = breaker.begin(at(60)).expect("another probe");
        breaker.end(lost, FAILURE, at(61));
        assert!(matches!(breaker.state(at(61)), State::HalfOpen { .. }));
        breaker.end(second, Health::Success, at(62));
        assert_eq!(breaker.state(at(62)), State::Closed);
    }

    #[test]
    fn late_news_of_calls_from_before_the_trip_changes_nothing() {
        let mut breaker = Breaker::new(BreakerRule {
            min_throughput: 1,
            ..BreakerRule::default()
        });
        let late: Vec<Pass> = (0..3).filter_map(|_| breaker.begin(at(0))).collect();
        call(&mut breaker, FAILURE, at(0));
        let probe = breaker.begin(at(30)).expect("the probe");
        breaker.end(late[0], Health::Success, at(31));
        breaker.end(late[1], FAILURE, at(31));
        breaker.end(late[2], Health::Neutral, at(31));
        assert_eq!(
            breaker.state(at(31)),
            State::HalfOpen {
                probe_until: Some(at(60))
            }
        );
        breaker.end(probe, Health::Success, at(32));
        assert_eq!(breaker.state(at(32)), State::Closed);
    }

    #[test]
    fn hang_ups_are_no_calls_of_the_share() {
        let mut breaker = Breaker::new(BreakerRule {
            min_throughput: 2,
            ..BreakerRule::default()
        });
        for _ in 0..20 {
            call(&mut breaker, Health::Neutral, at(0));
        }
        call(&mut breaker, FAILURE, at(0));
        assert_eq!(breaker.state(at(0)), State::Closed);
        call(&mut breaker, FAILURE, at(0));
        assert_ne!(breaker.state(at(0)), State::Closed);
    }
}
