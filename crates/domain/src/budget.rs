//! Budgets: money for a calendar period, whose calls they count, and what happens past them.
//!
//! What a call costs is a price's business; here costs are amounts that were worked out already.

mod allowance;
mod matching;

use std::sync::Arc;

use crate::ids::ModelName;
use crate::limit::{Calendar, Reserve};
use crate::money::{Currency, Nanos};
use crate::time::Wall;

pub use allowance::Allowance;
pub use matching::{CallMatch, Pattern, Patterns};

/// As configured, with the raises that were granted since.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    pub amount: Nanos,
    pub currency: Currency,
    pub calendar: Calendar,
    pub reserve: Reserve,
    pub on_exceeded: OnExceeded,
    pub unpriced: Unpriced,
    /// Rising.
    pub alert_at: Arc<[PerMille]>,
    pub raises: Arc<[Raise]>,
}

/// What becomes of a call that no longer fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnExceeded {
    /// Let through and counted.
    Alert,
    /// 403 `budget_exceeded`.
    Refuse,
    /// Answered by this model instead; calls for that one pass.
    Downgrade(ModelName),
    /// Let through as far as this many tokens a minute go, counted from then on.
    Throttle { tokens_per_minute: u64 },
}

/// What becomes of a call whose model has no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpriced {
    /// 403 `unpriced_model`: what cannot be counted cannot be kept within a budget.
    Refuse,
    /// Let through; it takes nothing.
    Allow,
}

/// More money for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raise {
    /// Of one counter only, by its key; of each where absent.
    pub key: Option<Arc<str>>,
    pub by: Nanos,
    /// Not included.
    pub until: Wall,
}

/// A share in thousandths: `800` of a budget is 80% of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PerMille(pub u32);

impl PerMille {
    /// Rounded down to the nano.
    pub fn of(self, amount: Nanos) -> Nanos {
        Nanos::saturated(i128::from(amount.0) * i128::from(self.0) / 1000)
    }
}

impl Budget {
    /// The amount with the raises in force, for the counter of this key.
    pub fn amount_at(&self, key: &str, now: Wall) -> Nanos {
        let raised = self
            .raises
            .iter()
            .filter(|raise| raise.is_for(key) && now < raise.until)
            .map(|raise| raise.by)
            .sum();
        self.amount + raised
    }

    /// Whether a call for `model` goes on though it does not fit.
    pub fn passes(&self, model: &ModelName) -> bool {
        match &self.on_exceeded {
            OnExceeded::Alert => true,
            OnExceeded::Downgrade(to) => to == model,
            OnExceeded::Refuse | OnExceeded::Throttle { .. } => false,
        }
    }
}

impl Raise {
    pub fn is_for(&self, key: &str) -> bool {
        self.key.as_deref().is_none_or(|of| of == key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Period;

    fn budget(raises: Vec<Raise>) -> Budget {
        Budget {
            amount: Nanos(100),
            currency: Currency::USD,
            calendar: Calendar {
                period: Period::Month,
                time_zone: jiff::tz::TimeZone::UTC,
            },
            reserve: Reserve::Learned,
            on_exceeded: OnExceeded::Refuse,
            unpriced: Unpriced::Refuse,
            alert_at: Arc::default(),
            raises: raises.into(),
        }
    }

    #[test]
    fn raises_add_up_until_each_one_ends_and_one_for_a_key_is_for_that_key() {
        let raise = |key: Option<&str>, by, until| Raise {
            key: key.map(Into::into),
            by: Nanos(by),
            until: Wall(until),
        };
        let budget = budget(vec![raise(None, 10, 50), raise(Some("alice"), 5, 80)]);
        let at = |key, now| budget.amount_at(key, Wall(now)).0;
        assert_eq!((at("alice", 49), at("bob", 49)), (115, 110));
        assert_eq!((at("alice", 50), at("bob", 50)), (105, 100));
        assert_eq!(at("alice", 80), 100);
    }

    #[test]
    fn a_threshold_is_a_share_of_the_amount() {
        assert_eq!(PerMille(800).of(Nanos(500_000_000_000)).0, 400_000_000_000);
        assert_eq!(PerMille(1000).of(Nanos(i64::MAX)).0, i64::MAX);
        assert_eq!(PerMille(1).of(Nanos(999)).0, 0);
    }

    #[test]
    fn a_downgrade_lets_the_model_pass_that_it_names() {
        let to = ModelName::from("small");
        let budget = Budget {
            on_exceeded: OnExceeded::Downgrade(to.clone()),
            ..budget(Vec::new())
        };
        assert!(budget.passes(&to));
        assert!(!budget.passes(&"large".into()));
    }
}
