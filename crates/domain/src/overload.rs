//! Which calls are turned away while the gateway has more work than processor.
//!
//! As CoDel does for packets: a queue that empties now and then is fine however long it gets, one
//! that stays long is not. What is watched is how long work waits before it runs.

use std::time::Duration;

use crate::Mono;

/// Of so many calls, `Shedder::share` says how many are turned away.
pub const SHARE_OF: u32 = 16;

/// Turns away a growing share of new calls while the delay stays above its target.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shedder {
    /// Since when no delay was within the target.
    above_since: Option<Mono>,
    /// Calls turned away, of `SHARE_OF`.
    share: u32,
}

impl Shedder {
    /// One call in sixteen is always let in: it shows whether there is room again.
    const SHARE_MAX: u32 = SHARE_OF - 1;
    /// Each look above the target turns away an eighth more.
    const STEP: u32 = 2;

    /// `delay` is how long work waited that just ran. Returns the share from now on.
    pub fn observe(&mut self, delay: Duration, target: Duration, now: Mono) -> u32 {
        if delay <= target {
            // The queue was worked off: halving lets the rest back in within a few looks.
            self.above_since = None;
            self.share /= 2;
        } else {
            let since = *self.above_since.get_or_insert(now - delay.min(target));
            if now.since(since) >= target * 2 {
                self.share = (self.share + Self::STEP).min(Self::SHARE_MAX);
            }
        }
        self.share
    }
}

/// Whether the call of this number is among the share, which is spread evenly.
pub const fn sheds(number: u32, share: u32) -> bool {
    // The same as `number * share` carrying into the next sixteen.
    (number % SHARE_OF) * share % SHARE_OF >= SHARE_OF - share
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TARGET: Duration = Duration::from_millis(200);
    const LOOK_EVERY: Duration = Duration::from_millis(50);

    #[test]
    fn a_share_is_spread_evenly_and_exact() {
        for share in 0..SHARE_OF {
            for start in [0, 7, u32::MAX - 15] {
                let shed = (0..SHARE_OF).filter(|n| sheds(start.wrapping_add(*n), share));
                assert_eq!(shed.count() as u32, share, "{share} from {start}");
            }
        }
        let every_other: Vec<bool> = (0..4).map(|number| sheds(number, 8)).collect();
        assert_eq!(every_other, [false, true, false, true]);
    }

    #[test]
    fn a_burst_that_is_worked_off_in_time_sheds_nothing() {
        let mut shedder = Shedder::default();
        let mut now = Mono::from_secs(100);
        for delay_ms in [0, 150, 390, 300, 190, 250, 0] {
            now = now + LOOK_EVERY;
            let share = shedder.observe(Duration::from_millis(delay_ms), TARGET, now);
            assert_eq!(share, 0, "{delay_ms} ms");
        }
    }

    /// A queue with one server, looked at every 50 ms: what it served, its delays, its shares.
    fn run(offered: impl Fn(u32) -> u32, looks: u32) -> (u32, Vec<Duration>, Vec<u32>) {
        const SERVED_PER_LOOK: u32 = 50;
        let mut shedder = Shedder::default();
        let (mut queue, mut served, mut share, mut number) = (0u32, 0, 0, 0u32);
        let (mut delays, mut shares) = (Vec::new(), Vec::new());
        for look in 0..looks {
            for _ in 0..offered(look) {
                number += 1;
                queue += u32::from(!sheds(number, share));
            }
            let now = Mono::from_secs(100) + LOOK_EVERY * look;
            let done = queue.min(SERVED_PER_LOOK);
            queue -= done;
            served += done;
            let delay = LOOK_EVERY * queue / SERVED_PER_LOOK;
            share = shedder.observe(delay, TARGET, now);
            delays.push(delay);
            shares.push(share);
        }
        (served, delays, shares)
    }

    proptest! {
        #[test]
        fn past_capacity_the_queue_stays_short_and_the_capacity_is_used(
            tenths in 11u32..100,
        ) {
            let (served, delays, _) = run(|_| 5 * tenths, 600);
            prop_assert!(served >= 600 * 50 * 9 / 10, "{served}");
            // Settled after ten seconds; how long the queue gets before that depends on the flood.
            let worst = delays[200..].iter().max().copied().unwrap_or_default();
            prop_assert!(worst <= TARGET * 12, "{worst:?}");
        }

        #[test]
        fn once_there_is_room_nothing_is_shed_within_half_a_second(
            tenths in 11u32..100,
            flooded in 40u32..400,
        ) {
            let (_, delays, shares) = run(|look| if look < flooded { 5 * tenths } else { 10 }, flooded + 400);
            let worked_off = (flooded as usize..)
                .find(|look| delays[*look] <= TARGET)
                .unwrap_or(usize::MAX);
            prop_assert!(shares[worked_off + 5..].iter().all(|share| *share == 0));
        }
    }
}
