//! Quantiles of the normal distribution.

use std::f64::consts::PI;

/// Where the standard normal distribution reaches `share`, by bisection: called for fifty constants.
pub fn quantile(share: f64) -> f64 {
    let (mut low, mut high) = (-8.0, 8.0);
    for _ in 0..40 {
        let middle = 0.5 * (low + high);
        if reached(middle) < share {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// The share below `x`, by its series around zero: exact enough within five deviations.
fn reached(x: f64) -> f64 {
    let (mut sum, mut term, mut n) = (x, x, 1.0);
    while term.abs() > 1e-12 && n < 400.0 {
        n += 2.0;
        term *= x * x / n;
        sum += term;
    }
    0.5 + sum * (-0.5 * x * x).exp() / (2.0 * PI).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_quantiles_come_out() {
        for (share, known) in [
            (0.5, 0.0),
            (0.8, 0.841_621),
            (0.95, 1.644_854),
            (0.99, 2.326_348),
            (0.02, -2.053_749),
        ] {
            assert!(
                (quantile(share) - known).abs() < 1e-5,
                "{share}: {}",
                quantile(share)
            );
        }
    }
}
