//! How long a sink waits before it tries again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// A receiver may ask for more, up to this.
const ASKED_MAX: Duration = Duration::from_secs(300);

/// After so many failures in a row, from 1. `roll` from 0 to 1 spreads many gateways over the upper
/// half, so that they do not come back all at once.
pub fn pause(failures: u32, roll: f64, asked: Option<Duration>) -> Duration {
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(10));
    let ours = doubled
        .min(LONGEST)
        .mul_f64(0.5 + roll.clamp(0.0, 1.0) / 2.0);
    asked.map_or(ours, |asked| ours.max(asked.min(ASKED_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_minute() {
        let pauses: Vec<_> = (1..=8).map(|n| pause(n, 1.0, None).as_millis()).collect();
        assert_eq!(
            pauses,
            [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]
        );
        assert_eq!(pause(u32::MAX, 0.0, None), Duration::from_secs(15));
    }

    #[test]
    fn a_receiver_that_asks_for_more_gets_it_within_reason() {
        assert_eq!(pause(1, 1.0, Some(Duration::from_secs(60))).as_secs(), 60);
        assert_eq!(pause(1, 1.0, Some(Duration::ZERO)).as_millis(), 500);
        assert_eq!(
            pause(9, 0.0, Some(Duration::from_secs(86_400))).as_secs(),
            300
        );
    }
}
