//! What the ledger has beside what a provider's invoice has: the same days and models, tokens and
//! money, and how far apart they are.
//!
//! Not here: reading either side.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::decimal::Decimal;
use crate::invoice::TokenKind;

/// What differs between two rows; absent: summed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub day: Option<Date>,
    pub model: Option<String>,
    pub kind: Option<TokenKind>,
}

/// One side of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// `None`: this side does not say.
    pub tokens: Option<i64>,
    pub cost: Option<Decimal>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sides {
    pub ours: Option<Amounts>,
    pub theirs: Option<Amounts>,
    /// Tokens of ours that have no price: our cost is less than it is by theirs.
    pub unpriced: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct By {
    pub day: bool,
    pub model: bool,
    pub kind: bool,
}

/// From which difference on a row is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    /// Of the larger side.
    pub share: Decimal,
    /// Money that is never worth a look.
    pub cost: Decimal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Same,
    /// Not the same, and within the tolerance.
    Within,
    Differs,
    OnlyOurs,
    OnlyTheirs,
}

/// Rows are days times models times kinds; a file of more has something else for a model.
pub const ROWS_MAX: usize = 500_000;

#[derive(Debug)]
pub struct Comparison {
    by: By,
    rows: BTreeMap<Key, Sides>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "more than {ROWS_MAX} rows to compare; is the right column mapped to model? Else sum over more with --by, or take a shorter time"
)]
pub struct TooManyRows;

impl Comparison {
    pub fn new(by: By) -> Self {
        Self {
            by,
            rows: BTreeMap::new(),
        }
    }

    pub fn add_ours(
        &mut self,
        key: &Key,
        amounts: Amounts,
        unpriced: i64,
    ) -> Result<(), TooManyRows> {
        let sides = self.sides(key)?;
        sides.unpriced = sides.unpriced.saturating_add(unpriced);
        sides.ours.get_or_insert_default().add(amounts);
        Ok(())
    }

    pub fn add_theirs(&mut self, key: &Key, amounts: Amounts) -> Result<(), TooManyRows> {
        self.sides(key)?.theirs.get_or_insert_default().add(amounts);
        Ok(())
    }

    fn sides(&mut self, key: &Key) -> Result<&mut Sides, TooManyRows> {
        let key = Key {
            day: key.day.filter(|_| self.by.day),
            model: key.model.clone().filter(|_| self.by.model),
            kind: key.kind.filter(|_| self.by.kind),
        };
        if self.rows.len() >= ROWS_MAX && !self.rows.contains_key(&key) {
            return Err(TooManyRows);
        }
        Ok(self.rows.entry(key).or_default())
    }

    pub fn by(&self) -> By {
        self.by
    }

    pub fn rows(&self) -> impl Iterator<Item = (&Key, &Sides)> {
        self.rows.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Of both sides.
    pub fn total(&self) -> Sides {
        let mut total = Sides::default();
        for sides in self.rows.values() {
            if let Some(ours) = sides.ours {
                total.ours.get_or_insert_default().add(ours);
            }
            if let Some(theirs) = sides.theirs {
                total.theirs.get_or_insert_default().add(theirs);
            }
            total.unpriced = total.unpriced.saturating_add(sides.unpriced);
        }
        total
    }
}

impl Amounts {
    pub fn add(&mut self, other: Self) {
        if let Some(tokens) = other.tokens {
            self.tokens = Some(self.tokens.unwrap_or(0).saturating_add(tokens));
        }
        if let Some(cost) = other.cost {
            self.cost = Some(self.cost.unwrap_or_default() + cost);
        }
    }

    fn is_nothing(&self) -> bool {
        self.tokens.unwrap_or(0) == 0 && self.cost.unwrap_or_default() == Decimal::ZERO
    }
}

impl Sides {
    /// Ours less theirs; `None` if a side does not say. A side without the row has nothing of it.
    pub fn tokens_difference(&self) -> Option<i64> {
        let (ours, theirs) = self.both(|amounts| amounts.tokens, 0)?;
        Some(ours.saturating_sub(theirs))
    }

    pub fn cost_difference(&self) -> Option<Decimal> {
        let (ours, theirs) = self.both(|amounts| amounts.cost, Decimal::ZERO)?;
        Some(ours - theirs)
    }

    /// Of theirs; `None` if they have none.
    pub fn tokens_share(&self) -> Option<Decimal> {
        let theirs = self.theirs?.tokens?;
        tokens(self.tokens_difference()?)?.share_of(tokens(theirs)?)
    }

    pub fn cost_share(&self) -> Option<Decimal> {
        let theirs = self.theirs?.cost?;
        self.cost_difference()?.share_of(theirs.abs())
    }

    fn both<T: Copy>(&self, of: impl Fn(&Amounts) -> Option<T>, nothing: T) -> Option<(T, T)> {
        match (&self.ours, &self.theirs) {
            (Some(ours), Some(theirs)) => of(ours).zip(of(theirs)),
            (Some(ours), None) => of(ours).map(|ours| (ours, nothing)),
            (None, Some(theirs)) => of(theirs).map(|theirs| (nothing, theirs)),
            (None, None) => None,
        }
    }

    pub fn verdict(&self, tolerance: Tolerance) -> Verdict {
        let worth_a_look = |amounts: &Amounts| {
            let cost = amounts.cost.unwrap_or_default().abs();
            !amounts.is_nothing()
                && (amounts.cost.is_none() || cost > tolerance.cost || self.unpriced > 0)
        };
        match (&self.ours, &self.theirs) {
            (Some(ours), None) if worth_a_look(ours) => return Verdict::OnlyOurs,
            (None, Some(theirs)) if worth_a_look(theirs) => return Verdict::OnlyTheirs,
            (None, None) => return Verdict::Same,
            (Some(_), None) | (None, Some(_)) => return Verdict::Within,
            (Some(_), Some(_)) => {}
        }
        let by_tokens = self
            .both(|amounts| amounts.tokens.and_then(tokens), Decimal::ZERO)
            .map(|(ours, theirs)| apart(ours, theirs, tolerance.share, Decimal::ZERO));
        let by_cost = self
            .both(|amounts| amounts.cost, Decimal::ZERO)
            .map(|(ours, theirs)| apart(ours, theirs, tolerance.share, tolerance.cost));
        by_tokens.max(by_cost).unwrap_or(Verdict::Within)
    }
}

fn tokens(number: i64) -> Option<Decimal> {
    Decimal::new(i128::from(number), 0)
}

fn apart(ours: Decimal, theirs: Decimal, share: Decimal, floor: Decimal) -> Verdict {
    let difference = (ours - theirs).abs();
    if difference == Decimal::ZERO {
        return Verdict::Same;
    }
    let allowed = ours.abs().max(theirs.abs()).times(share);
    if difference <= allowed || difference <= floor {
        Verdict::Within
    } else {
        Verdict::Differs
    }
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Within => "within",
            Self::Differs => "differs",
            Self::OnlyOurs => "only_ours",
            Self::OnlyTheirs => "only_theirs",
        }
    }

    pub fn is_fine(self) -> bool {
        match self {
            Self::Same | Self::Within => true,
            Self::Differs | Self::OnlyOurs | Self::OnlyTheirs => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    const BY: By = By {
        day: true,
        model: true,
        kind: false,
    };

    fn key(day: i8, model: &str, kind: TokenKind) -> Key {
        Key {
            day: Some(date(2026, 11, day)),
            model: Some(model.to_owned()),
            kind: Some(kind),
        }
    }

    fn amounts(tokens: i64, cost: &str) -> Amounts {
        Amounts {
            tokens: Some(tokens),
            cost: Some(cost.parse().unwrap()),
        }
    }

    fn percent(number: i128) -> Tolerance {
        Tolerance {
            share: Decimal::new(number, 2).unwrap(),
            cost: Decimal::ZERO,
        }
    }

    #[test]
    fn kinds_of_a_day_and_model_are_one_row_and_its_difference_is_of_theirs() {
        let mut comparison = Comparison::new(BY);
        let input = key(1, "gpt-4o", TokenKind::Input);
        let output = key(1, "gpt-4o", TokenKind::Output);
        comparison
            .add_ours(&input, amounts(1_000, "2.5"), 0)
            .unwrap();
        comparison.add_ours(&output, amounts(500, "5"), 0).unwrap();
        comparison
            .add_theirs(&input, amounts(1_000, "2.5"))
            .unwrap();
        comparison.add_theirs(&output, amounts(600, "6")).unwrap();
        let rows: Vec<_> = comparison.rows().collect();
        assert_eq!(rows.len(), 1);
        let sides = rows[0].1;
        assert_eq!(sides.tokens_difference(), Some(-100));
        assert_eq!(sides.tokens_share().unwrap().to_string(), "-0.0625");
        assert_eq!(sides.cost_difference().unwrap().to_string(), "-1");
        assert_eq!(
            sides.verdict(percent(10)),
            Verdict::Differs,
            "money is 12% apart"
        );
        assert_eq!(sides.verdict(percent(12)), Verdict::Within);
        assert_eq!(comparison.total(), *sides);
    }

    #[test]
    fn a_row_that_one_side_alone_has_is_never_fine() {
        let ours = Sides {
            ours: Some(amounts(5, "0.1")),
            ..Sides::default()
        };
        assert_eq!(ours.verdict(percent(50)), Verdict::OnlyOurs);
        assert_eq!(ours.tokens_difference(), Some(5));
        assert_eq!(ours.tokens_share(), None);
        let theirs = Sides {
            theirs: Some(amounts(0, "45.5")),
            ..Sides::default()
        };
        assert_eq!(theirs.verdict(percent(50)), Verdict::OnlyTheirs);
        assert_eq!(theirs.cost_difference().unwrap().to_string(), "-45.5");
    }

    #[test]
    fn small_change_is_not_worth_a_look_unless_no_price_is_why_it_is_small() {
        let cent = Tolerance {
            share: Decimal::ZERO,
            cost: "0.01".parse().unwrap(),
        };
        let mut sides = Sides {
            ours: Some(amounts(5, "0.01")),
            ..Sides::default()
        };
        assert_eq!(sides.verdict(cent), Verdict::Within);
        sides.unpriced = 5;
        assert_eq!(sides.verdict(cent), Verdict::OnlyOurs);
    }

    #[test]
    fn what_a_side_does_not_say_is_not_compared() {
        let sides = Sides {
            ours: Some(amounts(1_000, "2.5")),
            theirs: Some(Amounts {
                tokens: None,
                cost: Some("2.5".parse().unwrap()),
            }),
            unpriced: 0,
        };
        assert_eq!(sides.tokens_difference(), None);
        assert_eq!(sides.verdict(percent(0)), Verdict::Same);
    }

    proptest! {
        #[test]
        fn the_total_is_that_of_the_rows_however_they_are_grouped(
            parts in prop::collection::vec((1_i8..4, 0_usize..3, -1_000_i64..1_000_000, any::<bool>()), 0..40),
            day: bool, model: bool, kind: bool,
        ) {
            let mut comparison = Comparison::new(By { day, model, kind });
            let (mut ours, mut theirs) = (0, 0);
            for (day, model, tokens, is_ours) in parts {
                let key = key(day, ["a", "b", "c"][model], TokenKind::Input);
                let amounts = Amounts { tokens: Some(tokens), cost: None };
                if is_ours {
                    ours += tokens;
                    comparison.add_ours(&key, amounts, 0).unwrap();
                } else {
                    theirs += tokens;
                    comparison.add_theirs(&key, amounts).unwrap();
                }
            }
            let total = comparison.total();
            prop_assert_eq!(total.ours.map_or(0, |side| side.tokens.unwrap()), ours);
            prop_assert_eq!(total.theirs.map_or(0, |side| side.tokens.unwrap()), theirs);
            let differences: i64 = comparison.rows().filter_map(|(_, sides)| sides.tokens_difference()).sum();
            prop_assert_eq!(differences, ours - theirs);
        }
    }
}
