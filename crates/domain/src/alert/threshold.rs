//! Shares of a budget at which someone wants to know.

use std::fmt;

use crate::budget::PerMille;
use crate::money::Nanos;

impl PerMille {
    /// Never by nothing spent.
    pub fn is_reached(self, used: Nanos, amount: Nanos) -> bool {
        used.0 > 0 && i128::from(used.0) * 1000 >= i128::from(amount.0) * i128::from(self.0)
    }
}

impl fmt::Display for PerMille {
    /// `80%`, `99.5%`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 10 {
            0 => write!(f, "{}%", self.0 / 10),
            part => write!(f, "{}.{part}%", self.0 / 10),
        }
    }
}

/// All that are reached, ascending: however far spend jumps, none is passed over.
pub fn reached(thresholds: &[PerMille], used: Nanos, amount: Nanos) -> Vec<PerMille> {
    let mut reached: Vec<PerMille> = thresholds
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

    const THRESHOLDS: [PerMille; 3] = [PerMille(500), PerMille(800), PerMille(1000)];

    #[test]
    fn a_threshold_is_reached_at_its_amount_and_not_a_nano_before() {
        let amount = Nanos(500_000_000_001);
        let at = |used| reached(&THRESHOLDS, Nanos(used), amount).len();
        assert_eq!(at(250_000_000_000), 0);
        assert_eq!(at(250_000_000_001), 1);
        assert_eq!(at(500_000_000_000), 2);
        assert_eq!(at(500_000_000_001), 3);
    }

    #[test]
    fn a_threshold_reads_as_a_percentage() {
        let read = [800, 995, 1000, 1200, 1].map(|share| PerMille(share).to_string());
        assert_eq!(read, ["80%", "99.5%", "100%", "120%", "0.1%"]);
    }

    #[test]
    fn nothing_spent_reaches_nothing_even_of_a_budget_of_nothing() {
        assert!(reached(&THRESHOLDS, Nanos(0), Nanos(0)).is_empty());
        assert_eq!(reached(&THRESHOLDS, Nanos(1), Nanos(0)).len(), 3);
    }

    proptest! {
        #[test]
        fn whatever_the_steps_every_threshold_below_the_end_is_told_once(
            steps in proptest::collection::vec(0i64..400, 1..40),
            shares in proptest::collection::btree_set(1u32..2_000, 1..6),
            amount in 1i64..2_000,
        ) {
            let thresholds: Vec<PerMille> = shares.iter().map(|share| PerMille(*share)).collect();
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
