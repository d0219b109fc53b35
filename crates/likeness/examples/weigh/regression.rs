//! A logistic regression whose weights keep their signs, by accelerated projected gradient descent.

use likeness::{Feature, Tells};

const FEATURES: usize = Feature::ALL.len();
/// Against weights that a few pairs make: in units of one pair, over standardised features.
const PENALTY: f64 = 3.0;
const STEPS: usize = 1500;

pub struct Sample {
    pub values: [f64; FEATURES],
    pub same: bool,
    /// How much the pair counts.
    pub counts: f64,
}

/// Weights of features as they come, not standardised.
pub struct Model {
    pub weights: [f64; FEATURES],
    pub bias: f64,
}

impl Model {
    pub fn fit(samples: &[Sample]) -> Self {
        let scales = Scales::of(samples);
        let rows: Vec<[f64; FEATURES]> =
            samples.iter().map(|sample| scales.apply(sample)).collect();
        let total: f64 = samples.iter().map(|sample| sample.counts).sum();
        // The curvature of the loss is at most a quarter of the features' squares.
        let step = 4.0 / (total * FEATURES as f64 / 4.0 + 4.0 * PENALTY);
        let (mut weights, mut bias) = ([0.0; FEATURES], 0.0);
        let (mut ahead, mut bias_ahead) = (weights, bias);
        let mut momentum = 1.0_f64;
        for _ in 0..STEPS {
            let (mut slope, mut bias_slope) = (ahead.map(|weight| PENALTY * weight), 0.0);
            for (row, sample) in rows.iter().zip(samples) {
                let score: f64 =
                    bias_ahead + row.iter().zip(&ahead).map(|(x, w)| x * w).sum::<f64>();
                let right = 1.0 / (1.0 + (-score).exp());
                let error = (right - f64::from(u8::from(sample.same))) * sample.counts;
                bias_slope += error;
                for (slope, x) in slope.iter_mut().zip(row) {
                    *slope += error * x;
                }
            }
            let mut next = ahead;
            for (at, feature) in Feature::ALL.iter().enumerate() {
                next[at] = allowed(*feature, ahead[at] - step * slope[at]);
            }
            let bias_next = bias_ahead - step * bias_slope;
            let grown = f64::midpoint(1.0, (1.0 + 4.0 * momentum * momentum).sqrt());
            let carry = (momentum - 1.0) / grown;
            for at in 0..FEATURES {
                ahead[at] = next[at] + carry * (next[at] - weights[at]);
            }
            bias_ahead = bias_next + carry * (bias_next - bias);
            (weights, bias, momentum) = (next, bias_next, grown);
        }
        scales.undo(weights, bias)
    }

    pub fn score(&self, values: &[f64; FEATURES]) -> f64 {
        self.bias
            + values
                .iter()
                .zip(&self.weights)
                .map(|(x, w)| x * w)
                .sum::<f64>()
    }
}

fn allowed(feature: Feature, weight: f64) -> f64 {
    match feature.tells() {
        Tells::For => weight.max(0.0),
        Tells::Against => weight.min(0.0),
        Tells::Either => weight,
    }
}

/// What brings each feature to mean 0 and deviation 1.
struct Scales {
    mean: [f64; FEATURES],
    deviation: [f64; FEATURES],
}

impl Scales {
    fn of(samples: &[Sample]) -> Self {
        let count = samples.len().max(1) as f64;
        let (mut mean, mut deviation) = ([0.0; FEATURES], [0.0; FEATURES]);
        for at in 0..FEATURES {
            mean[at] = samples.iter().map(|sample| sample.values[at]).sum::<f64>() / count;
            let squares = samples
                .iter()
                .map(|sample| (sample.values[at] - mean[at]).powi(2));
            // What hardly ever differs must not weigh much for a pair or two.
            deviation[at] = (squares.sum::<f64>() / count).sqrt().max(0.1);
        }
        Self { mean, deviation }
    }

    fn apply(&self, sample: &Sample) -> [f64; FEATURES] {
        std::array::from_fn(|at| (sample.values[at] - self.mean[at]) / self.deviation[at])
    }

    fn undo(&self, standardised: [f64; FEATURES], bias: f64) -> Model {
        let weights: [f64; FEATURES] =
            std::array::from_fn(|at| standardised[at] / self.deviation[at]);
        let shift: f64 = weights
            .iter()
            .zip(&self.mean)
            .map(|(w, mean)| w * mean)
            .sum();
        Model {
            weights,
            bias: bias - shift,
        }
    }
}
