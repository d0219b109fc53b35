//! Distributions that many threads add to: two atomic additions each, no lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds, and how many of the unit that is shown make one of the unit that is counted.
pub struct Scale {
    pub bounds: &'static [u64],
    pub per_shown: f64,
}

const US: u64 = 1_000;
const MS: u64 = 1_000_000;

/// The buckets of `gen_ai.client.operation.duration`, and three for what takes minutes.
pub static CALL_TIME: Scale = Scale {
    bounds: &[
        10 * MS,
        20 * MS,
        40 * MS,
        80 * MS,
        160 * MS,
        320 * MS,
        640 * MS,
        1_280 * MS,
        2_560 * MS,
        5_120 * MS,
        10_240 * MS,
        20_480 * MS,
        40_960 * MS,
        81_920 * MS,
        163_840 * MS,
        327_680 * MS,
    ],
    per_shown: 1e9,
};

/// The buckets of `gen_ai.server.time_to_first_token`, and three for slow ones.
pub static FIRST_TIME: Scale = Scale {
    bounds: &[
        MS,
        5 * MS,
        10 * MS,
        20 * MS,
        40 * MS,
        60 * MS,
        80 * MS,
        100 * MS,
        250 * MS,
        500 * MS,
        750 * MS,
        1_000 * MS,
        2_500 * MS,
        5_000 * MS,
        7_500 * MS,
        10_000 * MS,
        30_000 * MS,
        60_000 * MS,
        120_000 * MS,
    ],
    per_shown: 1e9,
};

pub static OVERHEAD: Scale = Scale {
    bounds: &[
        25 * US,
        50 * US,
        100 * US,
        250 * US,
        500 * US,
        MS,
        2_500 * US,
        5 * MS,
        10 * MS,
        25 * MS,
        100 * MS,
        1_000 * MS,
    ],
    per_shown: 1e9,
};

/// The buckets of `gen_ai.client.token.usage`.
pub static TOKENS: Scale = Scale {
    bounds: &[
        1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216,
        67_108_864,
    ],
    per_shown: 1.0,
};

pub struct Histogram {
    scale: &'static Scale,
    /// One for each bound and one for what is above them all.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    pub fn new(scale: &'static Scale) -> Self {
        let buckets = (0..=scale.bounds.len()).map(|_| AtomicU64::new(0));
        Self {
            scale,
            buckets: buckets.collect(),
            sum: AtomicU64::new(0),
        }
    }

    pub fn observe(&self, amount: u64) {
        let index = self.scale.bounds.partition_point(|bound| *bound < amount);
        if let Some(bucket) = self.buckets.get(index) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(amount, Ordering::Relaxed);
    }

    pub fn observe_time(&self, time: Duration) {
        self.observe(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    pub fn read(&self) -> Distribution {
        let counts = self
            .buckets
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed));
        Distribution {
            scale: self.scale,
            counts: counts.collect(),
            sum: self.sum.load(Ordering::Relaxed) as f64 / self.scale.per_shown,
        }
    }
}

/// A histogram at one moment.
pub struct Distribution {
    scale: &'static Scale,
    /// Of each bucket alone.
    pub counts: Vec<u64>,
    pub sum: f64,
}

impl Distribution {
    pub fn bounds(&self) -> impl Iterator<Item = f64> {
        let Scale { bounds, per_shown } = self.scale;
        bounds.iter().map(move |bound| *bound as f64 / per_shown)
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_lands_in_the_bucket_whose_bound_it_does_not_pass() {
        let histogram = Histogram::new(&TOKENS);
        for amount in [0, 1, 2, 4, 5, 100_000_000] {
            histogram.observe(amount);
        }
        let read = histogram.read();
        assert_eq!(read.counts[..3], [2, 2, 1]);
        assert_eq!((read.counts.last(), read.count()), (Some(&1), 6));
        assert!((read.sum - 100_000_012.0).abs() < 1e-6);
    }

    #[test]
    fn times_are_shown_in_seconds() {
        let histogram = Histogram::new(&CALL_TIME);
        histogram.observe_time(Duration::from_millis(1500));
        let read = histogram.read();
        assert!((read.sum - 1.5).abs() < 1e-9);
        assert_eq!(read.bounds().next(), Some(0.01));
        for scale in [&CALL_TIME, &FIRST_TIME, &OVERHEAD, &TOKENS] {
            assert!(scale.bounds.is_sorted());
        }
    }
}
