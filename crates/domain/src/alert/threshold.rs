//! Shares of a budget at which someone wants to know.

use std::fmt;

use crate::money::Nanos;

/// In millionths of the amount: exact, and ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Threshold(pub u32);

impl Threshold {
    /// Of a share as it is written: 0.8. Above 0, up to 10.
    pub fn from_share(share: f64) -> Option<Self> {
        let millionths = (share * 1e6).round();
        (1.0..=1e7)
            .contains(&millionths)
            .then_some(Self(millionths as u32))
    }

    pub fn is_reached(self, used: Nanos, amount: Nanos) -> bool {
        i128::from(used.0) * 1_000_000 >= i128::from(amount.0) * i128::from(self.0) && used.0 > 0
    }
}

impl fmt::Display for Threshold {
    /// `80%`, `99.5%`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 10_000, self.0 % 10_000);
        if part == 0 {
            return write!(f, "{whole}%");
        }
        let part = format!("{part:04}");
        write!(f, "{whole}.{}%", part.trim_end_matches('0'))
    }
}

/// All that are reached, ascending: however far spend jumps, none is passed over.
pub fn reached(thresholds: &[Threshold], used: Nanos, amount: Nanos) -> Vec<Threshold> {
    let mut reached: Vec<Threshold> = thresholds
        .iter()
        .copied()
        .filter(|threshold| threshold.is_reached(used, amount))
        .collect();
    reached.sort_unstable();
    reached.dedup();
    reached
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn thresholds() -> Vec<Threshold> {
        [0.5, 0.8, 1.0]
            .into_iter()
            .map(|share| Threshold::from_share(share).unwrap())
            .collect()
    }

    #[test]
    fn a_threshold_is_reached_at_its_amount_and_not_a_nano_before() {
        let amount = Nanos(500_000_000_001);
        let at = |used| reached(&thresholds(), Nanos(used), amount).len();
        assert_eq!(at(250_000_000_000), 0);
        assert_eq!(at(250_000_000_001), 1);
        assert_eq!(at(500_000_000_000), 2);
        assert_eq!(at(500_000_000_001), 3);
    }

    #[test]
    fn a_threshold_reads_as_a_percentage() {
        let read = [0.8, 0.995, 1.0, 1.2, 0.000_1]
            .map(|share| Threshold::from_share(share).unwrap().to_string());
        assert_eq!(read, ["80%", "99.5%", "100%", "120%", "0.01%"]);
        assert_eq!(Threshold::from_share(0.0), None);
        assert_eq!(Threshold::from_share(f64::NAN), None);
    }

    #[test]
    fn nothing_spent_reaches_nothing_even_of_a_budget_of_nothing() {
        assert!(reached(&thresholds(), Nanos(0), Nanos(0)).is_empty());
        assert_eq!(reached(&thresholds(), Nanos(1), Nanos(0)).len(), 3);
    }

    proptest! {
        #[test]
        fn whatever_the_steps_every_threshold_below_the_end_is_told_once(
            steps in proptest::collection::vec(0i64..400, 1..40),
            shares in proptest::collection::btree_set(1u32..2_000_000, 1..6),
            amount in 1i64..2_000,
        ) {
            let thresholds: Vec<Threshold> = shares.iter().map(|share| Threshold(*share)).collect();
            let mut told = BTreeSet::new();
            let mut used = 0;
            for step in steps {
                used += step;
                for threshold in reached(&thresholds, Nanos(used), Nanos(amount)) {
                    told.insert(threshold);
                }
            }
            for threshold in thresholds {
                prop_assert_eq!(told.contains(&threshold), threshold.is_reached(Nanos(used), Nanos(amount)));
            }
        }
    }
}
