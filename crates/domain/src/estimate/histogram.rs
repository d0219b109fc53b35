//! A distribution in fixed memory that forgets: each observation weighs more than the one before.

/// Up to here each number has a bucket of its own; above, buckets are 5% wide.
const EXACT_MAX: u64 = 20;
const GROWTH: f64 = 1.05;

/// Reaches past 400,000 tokens. Longer answers count as that long.
const BUCKETS: usize = 224;

/// After this many observations, an older one weighs half.
const HALF_LIFE: f64 = 200.0;

/// Weights are scaled down before they lose precision.
const WEIGHT_MAX: f64 = 1_048_576.0;

const QUANTILE: f64 = 0.95;

#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: Box<[f32; BUCKETS]>,
    /// Of the next observation.
    weight: f64,
    observations: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: Box::new([0.0; BUCKETS]),
            weight: 1.0,
            observations: 0,
        }
    }
}

impl Histogram {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "weights stay below a million and need few digits"
    )]
    pub fn observe(&mut self, tokens: u64) {
        self.observations = self.observations.saturating_add(1);
        self.buckets[bucket_of(tokens)] += self.weight as f32;
        self.weight *= (std::f64::consts::LN_2 / HALF_LIFE).exp();
        if self.weight > WEIGHT_MAX {
            for bucket in self.buckets.iter_mut() {
                *bucket /= self.weight as f32;
            }
            self.weight = 1.0;
        }
    }

    pub fn observations(&self) -> u64 {
        self.observations
    }

    /// The upper edge of the bucket that the 95th percentile lies in.
    pub fn high_quantile(&self) -> u64 {
        let total: f64 = self.buckets.iter().map(|weight| f64::from(*weight)).sum();
        let mut above = total * (1.0 - QUANTILE);
        for (bucket, weight) in self.buckets.iter().enumerate().rev() {
            above -= f64::from(*weight);
            if above < 0.0 {
                return highest_of(bucket);
            }
        }
        0
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "buckets are 5% wide; a cast from a float saturates"
)]
fn bucket_of(tokens: u64) -> usize {
    if tokens <= EXACT_MAX {
        return tokens as usize;
    }
    let above = ((tokens as f64 / EXACT_MAX as f64).ln() / GROWTH.ln()).ceil() as usize;
    (EXACT_MAX as usize + above).min(BUCKETS - 1)
}

/// The largest number that `bucket_of` puts there.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "there are 224 buckets"
)]
fn highest_of(bucket: usize) -> u64 {
    let exact = EXACT_MAX as usize;
    if bucket <= exact {
        return bucket as u64;
    }
    (EXACT_MAX as f64 * GROWTH.powi((bucket - exact) as i32)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_at_most_five_percent_wide() {
        for tokens in (0..2000).chain((2000..400_000).step_by(97)) {
            let highest = highest_of(bucket_of(tokens));
            assert!(
                highest + 1 >= tokens,
                "{tokens} is above its bucket's {highest}"
            );
            assert!(
                highest <= tokens + tokens / 20 + 1,
                "{tokens} is far below its bucket's {highest}"
            );
        }
        assert!(highest_of(bucket_of(u64::MAX)) > 400_000);
    }

    #[test]
    fn one_long_answer_in_a_hundred_is_above_the_quantile_and_one_in_ten_is_not() {
        let quantile = |every: u64| {
            let mut histogram = Histogram::default();
            for index in 1..=5000 {
                histogram.observe(if index % every == 0 { 4000 } else { 100 });
            }
            histogram.high_quantile()
        };
        assert!(quantile(100) <= 105);
        assert!(quantile(10) >= 4000 * 95 / 100);
    }
}
