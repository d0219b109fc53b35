//! Whether and when a failed attempt is followed by another one.
//!
//! Which failures may be retried at all is the router's business.

use std::time::Duration;

use crate::time::Mono;

const BACKOFF_BASE: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// A client does not wait longer than this for an upstream's `Retry-After`: it is told to instead.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(2);

/// Allowed whatever the share says, so that a quiet gateway can fail over too.
const RETRIES_PER_SECOND: u64 = 3;

const SLICES: usize = 10;

/// Retries of the last 10 s against its calls, in slices of 1 s. Keeps a failing upstream from
/// being sent a multiple of its load.
#[derive(Clone, Debug, Default)]
pub struct RetryBudget {
    slices: [Slice; SLICES],
    second: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    calls: u64,
    retries: u64,
}

impl RetryBudget {
    /// A call's first attempt.
    pub fn count_call(&mut self, now: Mono) {
        self.slide(now);
        self.current().calls += 1;
    }

    /// Takes leave for one retry. `share`: retries for each call, as `RetryRule::budget` says.
    pub fn take_retry(&mut self, share: f64, now: Mono) -> bool {
        self.slide(now);
        let calls: u64 = self.slices.iter().map(|slice| slice.calls).sum();
        let retries: u64 = self.slices.iter().map(|slice| slice.retries).sum();
        #[expect(
            clippy::cast_precision_loss,
            reason = "ten seconds of calls fit a float"
        )]
        let within_share = (retries + 1) as f64 <= share * calls as f64;
        let admitted = within_share || self.current().retries < RETRIES_PER_SECOND;
        self.current().retries += u64::from(admitted);
        admitted
    }

    fn slide(&mut self, now: Mono) {
        let second = (now.0 / 1_000_000_000).max(self.second);
        for passed in 0..(second - self.second).min(10) {
            self.slices[index_of(second - passed)] = Slice::default();
        }
        self.second = second;
    }

    fn current(&mut self) -> &mut Slice {
        &mut self.slices[index_of(self.second)]
    }
}

/// How long to wait before the next attempt; `None` to give up. `retries` were made so far.
///
/// Another member is not asked to honour the failed one's `Retry-After`. Where no other is left, a
/// short one is waited out and a long one is the client's to wait.
pub fn pause(
    retries: u32,
    retry_after: Option<Duration>,
    other_member_left: bool,
    roll: u64,
) -> Option<Duration> {
    let backoff = backoff(retries, roll);
    match retry_after {
        Some(asked) if !other_member_left => (asked <= RETRY_AFTER_MAX).then(|| asked.max(backoff)),
        Some(_) | None => Some(backoff),
    }
}

/// Full jitter: anything from nothing to a bound that doubles with each retry.
fn backoff(retries: u32, roll: u64) -> Duration {
    let bound = BACKOFF_BASE
        .saturating_mul(1 << retries.min(16))
        .min(BACKOFF_MAX);
    let bound_ns = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(roll % (bound_ns + 1))
}

fn index_of(second: u64) -> usize {
    usize::try_from(second % 10).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn retries_stay_within_their_share_of_ten_seconds_of_calls() {
        let mut budget = RetryBudget::default();
        for s in 0..10 {
            for _ in 0..100 {
                budget.count_call(Mono::from_secs(s));
            }
        }
        let granted = (0..1000)
            .filter(|_| budget.take_retry(0.2, Mono::from_secs(9)))
            .count();
        assert_eq!(granted, 200);
    }

    #[test]
    fn three_a_second_are_always_allowed() {
        let mut budget = RetryBudget::default();
        for s in 100..120 {
            let granted = (0..50)
                .filter(|_| budget.take_retry(0.2, Mono::from_secs(s)))
                .count();
            assert_eq!(granted, 3, "second {s}");
        }
    }

    #[test]
    fn calls_of_more_than_ten_seconds_ago_pay_for_nothing() {
        let mut budget = RetryBudget::default();
        for _ in 0..1000 {
            budget.count_call(Mono::from_secs(100));
        }
        assert!((0..50).all(|_| budget.take_retry(0.2, Mono::from_secs(109))));
        assert_eq!(
            (0..50)
                .filter(|_| budget.take_retry(0.2, Mono::from_secs(110)))
                .count(),
            3
        );
    }

    #[test]
    fn a_short_retry_after_is_waited_out_only_when_nobody_else_is_left() {
        let asked = |ms| Some(Duration::from_millis(ms));
        assert_eq!(pause(0, asked(1500), false, 0), asked(1500));
        assert_eq!(pause(0, asked(2001), false, 0), None);
        assert_eq!(pause(0, asked(2001), true, 0), asked(0));
        assert_eq!(pause(0, None, false, 0), asked(0));
    }

    proptest! {
        #[test]
        fn pauses_double_up_to_two_seconds(retries in 0u32..40, roll: u64) {
            let pause = pause(retries, None, true, roll).expect("another member is left");
            prop_assert!(pause <= BACKOFF_MAX);
            prop_assert!(pause <= BACKOFF_BASE * (1 << retries.min(10)));
        }
    }
}
