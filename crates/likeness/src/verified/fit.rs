//! The logistic curve through an entry's observations, and how sure its threshold is.

use std::collections::VecDeque;
use std::sync::LazyLock;

use super::Observation;
use super::normal::quantile;

/// Points of the confidence band. More of them move the bound in the third digit.
const BAND: usize = 50;

/// Each doubt, and by how many deviations the threshold moves at it.
static BAND_POINTS: LazyLock<Vec<(f64, f64)>> = LazyLock::new(|| {
    // The least doubts matter most to a strict bound.
    let doubts = (1..BAND).map(|at| (at as f64 / BAND as f64).powi(3));
    doubts.map(|doubt| (doubt, quantile(1.0 - doubt))).collect()
});

/// Newton's method settles in a handful of steps; past this many it does not.
const STEPS_MAX: usize = 50;

/// `right = 1 / (1 + exp(-steepness (similarity - threshold)))`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    threshold: f64,
    steepness: f64,
    /// Standard error of the threshold.
    deviation: f64,
}

impl Fit {
    /// The most likely curve; `None` if it does not rise or none is found.
    ///
    /// Two observations are added to those there are, as constraints: a question that shares nothing is
    /// answered wrongly, the same question rightly. And the likelihood is penalised as Firth has it, since
    /// observations that a threshold separates cleanly would make the steepness infinite and the threshold
    /// seem certain, after six of them.
    pub fn of(seen: &VecDeque<Observation>, start: Option<Self>) -> Option<Self> {
        let constraints = [
            Observation {
                similarity: 0.0,
                right: false,
            },
            Observation {
                similarity: 1.0,
                right: true,
            },
        ];
        let points: Vec<Observation> = seen.iter().copied().chain(constraints).collect();
        // One more observation moves the curve little: the last one is a good start.
        let start = start.filter(|fit| fit.steepness < 200.0);
        let mut line = start.map_or(
            Line {
                intercept: 0.0,
                slope: 0.0,
            },
            |fit| Line {
                intercept: -fit.steepness * fit.threshold,
                slope: fit.steepness,
            },
        );
        let mut inverse = None;
        for _ in 0..STEPS_MAX {
            let information = Information::of(&points, line);
            let found = information.inverse()?;
            let (mut at_intercept, mut at_slope) = (0.0, 0.0);
            for point in &points {
                let (right, s) = (line.right(point.similarity), point.similarity);
                let leverage =
                    right * (1.0 - right) * (found.a + 2.0 * found.b * s + found.c * s * s);
                let residual = f64::from(u8::from(point.right)) - right + leverage * (0.5 - right);
                at_intercept += residual;
                at_slope += residual * s;
            }
            let step = Line {
                intercept: found.a * at_intercept + found.b * at_slope,
                slope: found.b * at_intercept + found.c * at_slope,
            };
            // Long steps overshoot where the curve is flat.
            let damped = f64::min(
                1.0,
                10.0 / step.slope.abs().max(step.intercept.abs()).max(1e-12),
            );
            line = Line {
                intercept: line.intercept + damped * step.intercept,
                slope: line.slope + damped * step.slope,
            };
            inverse = Some(found);
            if step.slope.abs() < 1e-6 && step.intercept.abs() < 1e-6 {
                break;
            }
        }
        let covariance = inverse?;
        let rises = line.slope.is_finite() && line.intercept.is_finite() && line.slope > 1e-3;
        if !rises {
            return None;
        }
        // The threshold is a ratio of both parameters: its variance to first order.
        let (by_intercept, by_slope) = (
            -1.0 / line.slope,
            line.intercept / (line.slope * line.slope),
        );
        let variance = by_intercept * by_intercept * covariance.a
            + 2.0 * by_intercept * by_slope * covariance.b
            + by_slope * by_slope * covariance.c;
        let threshold = (-line.intercept / line.slope).clamp(0.0, 1.0);
        Some(Self {
            threshold,
            steepness: line.slope,
            deviation: variance.max(0.0).sqrt(),
        })
    }

    /// A lower bound of the probability that the answer is right: the best over the band.
    pub fn right_at_least(&self, similarity: f64) -> f64 {
        BAND_POINTS
            .iter()
            .map(|(doubt, deviations)| {
                let threshold = self.threshold + deviations * self.deviation;
                (1.0 - doubt) * logistic(self.steepness * (similarity - threshold))
            })
            .fold(0.0, f64::max)
    }
}

#[derive(Clone, Copy)]
struct Line {
    intercept: f64,
    slope: f64,
}

impl Line {
    fn right(self, similarity: f64) -> f64 {
        logistic(self.intercept + self.slope * similarity)
    }
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// A symmetric matrix of two by two: `a b / b c`.
#[derive(Clone, Copy)]
struct Information {
    a: f64,
    b: f64,
    c: f64,
}

impl Information {
    fn of(points: &[Observation], line: Line) -> Self {
        let mut sum = Self {
            a: 0.0,
            b: 0.0,
            c: 0.0,
        };
        for point in points {
            let right = line.right(point.similarity);
            let weight = right * (1.0 - right);
            sum.a += weight;
            sum.b += weight * point.similarity;
            sum.c += weight * point.similarity * point.similarity;
        }
        sum
    }

    fn inverse(self) -> Option<Self> {
        let determinant = self.a * self.c - self.b * self.b;
        (determinant > 1e-12).then(|| Self {
            a: self.c / determinant,
            b: -self.b / determinant,
            c: self.a / determinant,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_is_found_where_answers_turn_right() {
        let seen = (0..100).map(|n| {
            let similarity = 0.7 + 0.003 * f64::from(n);
            Observation {
                similarity,
                right: similarity > 0.85,
            }
        });
        let fit = Fit::of(&seen.collect(), None).expect("a curve");
        assert!((fit.threshold - 0.85).abs() < 0.01, "{fit:?}");
        assert!(fit.right_at_least(0.99) > 0.9, "{fit:?}");
        assert!(fit.right_at_least(0.80) < 0.1, "{fit:?}");
    }

    #[test]
    fn answers_that_are_right_where_they_are_far_give_no_curve() {
        let seen = (0..40).map(|n| Observation {
            similarity: 0.5 + 0.01 * f64::from(n),
            right: n < 20,
        });
        let fit = Fit::of(&seen.collect(), None);
        assert!(
            fit.is_none_or(|fit| fit.right_at_least(1.0) < 0.95),
            "{fit:?}"
        );
    }
}
