//! How often a call may be tried again, and after which pause.

use std::time::Duration;

use crate::time::Mono;

const SLICES: usize = 10;
const SLICE: Duration = Duration::from_secs(1);
/// Retries that every pool may make in a second, however few calls it has.
pub const RETRIES_PER_SECOND_MIN: u64 = 3;
const BACKOFF_BASE: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// Calls and retries of one pool in the last 10 s, so that retries never double a load.
#[derive(Clone, Debug, Default)]
pub struct RetryBudget {
    slices: [Slice; SLICES],
}

/// Of the second that `tick` counts.
#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    tick: u64,
    calls: u64,
    retries: u64,
}

impl RetryBudget {
    pub fn note_call(&mut self, now: Mono) {
        self.slice(now).calls += 1;
    }

    /// Takes one retry, if `share` of the last 10 s of calls, or three a second, leave one.
    pub fn take(&mut self, share: f64, now: Mono) -> bool {
        let tick = tick(now);
        let recent = self
            .slices
            .iter()
            .filter(|slice| tick.saturating_sub(slice.tick) < SLICES as u64);
        let (calls, retries) = recent.fold((0, 0), |(calls, retries), slice| {
            (calls + slice.calls, retries + slice.retries)
        });
        let slice = self.slice(now);
        let is_allowed = slice.retries < RETRIES_PER_SECOND_MIN
            || ((retries + 1) as f64) <= share * calls as f64;
        if is_allowed {
            slice.retries += 1;
        }
        is_allowed
    }

    fn slice(&mut self, now: Mono) -> &mut Slice {
        let tick = tick(now);
        let slice = &mut self.slices[(tick % SLICES as u64) as usize];
        if slice.tick != tick {
            *slice = Slice {
                tick,
                ..Slice::default()
            };
        }
        slice
    }
}

fn tick(now: Mono) -> u64 {
    now.0 / SLICE.as_nanos() as u64
}

/// A pause before the same members are tried again: anywhere between nothing and a bound that
/// doubles with each attempt ("full jitter", Brooker 2015). `attempt` counts from 1.
pub fn backoff(attempt: u32, roll: u64) -> Duration {
    let bound = BACKOFF_BASE
        .saturating_mul(1 << attempt.saturating_sub(1).min(10))
        .min(BACKOFF_MAX);
    let share = roll as f64 / u64::MAX as f64;
    bound.mul_f64(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_failing_calls_are_retried_two_hundred_times() {
        let mut budget = RetryBudget::default();
        let now = Mono::from_secs(1_000);
        let retried = (0..1_000)
            .filter(|_| {
                budget.note_call(now);
                budget.take(0.2, now)
            })
            .count();
        assert!((200..=203).contains(&retried), "{retried}");
    }

    #[test]
    fn a_quiet_pool_may_retry_three_times_a_second() {
        let mut budget = RetryBudget::default();
        for s in 0..5 {
            let now = Mono::from_secs(1_000 + s);
            budget.note_call(now);
            assert_eq!((0..5).filter(|_| budget.take(0.2, now)).count(), 3);
        }
    }

    #[test]
    fn calls_older_than_ten_seconds_earn_no_retries() {
        let mut budget = RetryBudget::default();
        (0..1_000).for_each(|_| budget.note_call(Mono::from_secs(1_000)));
        let later = Mono::from_secs(1_011);
        assert_eq!((0..10).filter(|_| budget.take(0.2, later)).count(), 3);
    }

    #[test]
    fn backoff_grows_is_jittered_and_bounded() {
        assert_eq!(backoff(1, 0), Duration::ZERO);
        assert_eq!(backoff(1, u64::MAX), BACKOFF_BASE);
        assert_eq!(backoff(3, u64::MAX), BACKOFF_BASE * 4);
        assert_eq!(backoff(40, u64::MAX), BACKOFF_MAX);
    }
}
