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
mod tests;
