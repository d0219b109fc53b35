//! How long a delivery that failed waits for its next try.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(2);
/// Past it a channel that comes back waits too long for what it missed.
const LONGEST: Duration = Duration::from_secs(600);
/// However long a channel asks for.
const ASKED_MAX: Duration = Duration::from_secs(3600);

/// After `failures` in a row, at least 1. `roll`, from 0 to 1, spreads those that failed together
/// over the second half of the pause.
pub fn pause(failures: u32, asked: Option<Duration>, roll: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let full = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    let own = full.mul_f64(0.5 + roll.clamp(0.0, 1.0) / 2.0);
    own.max(asked.unwrap_or_default().min(ASKED_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_ten_minutes_and_are_spread_over_their_second_half() {
        let longest: Vec<u64> = (1..12).map(|n| pause(n, None, 1.0).as_secs()).collect();
        assert_eq!(longest, [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        assert_eq!(pause(3, None, 0.0), Duration::from_secs(4));
        assert_eq!(pause(u32::MAX, None, 1.0), LONGEST);
    }

    #[test]
    fn a_channel_that_asks_for_longer_gets_it_up_to_an_hour() {
        let asked = |s| pause(1, Some(Duration::from_secs(s)), 0.5).as_secs();
        assert_eq!((asked(0), asked(30), asked(86_400)), (1, 30, 3600));
    }
}
