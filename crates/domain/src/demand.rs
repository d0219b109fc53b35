//! How much of a limit one call asks for.

use crate::budget::Budget;
use crate::limit::{Demand, Reserve, Rule, TokenRates};

/// What one call asks of one counter, in the rule's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    pub wanted: u64,
    /// The part of `wanted` that is only a bound: a count could lower it, down to nothing.
    pub uncounted: u64,
}

impl Rule {
    pub fn amount(&self, demand: &Demand) -> Amount {
        match self {
            Self::TokensPerMinute {
                reserve,
                estimate_prompt_tokens: true,
                ..
            }
            | Self::TokenQuota { reserve, .. } => demand.bounded(*reserve),
            Self::TokensPerMinute {
                reserve,
                estimate_prompt_tokens: false,
                ..
            } => demand.likely(*reserve),
            Self::Budget(budget) => demand.cost(budget),
            Self::RequestsPerMinute { .. } | Self::Concurrency { .. } => Amount {
                wanted: 1,
                uncounted: 0,
            },
        }
    }

    /// The bound, in the rule's own unit; of a budget without its raises.
    pub fn bound(&self) -> u64 {
        match self {
            Self::TokensPerMinute {
                tokens_per_minute, ..
            } => *tokens_per_minute,
            Self::RequestsPerMinute {
                requests_per_minute,
            } => *requests_per_minute,
            Self::Concurrency { max_concurrent } => *max_concurrent,
            Self::TokenQuota { tokens, .. } => *tokens,
            Self::Budget(budget) => u64::try_from(budget.amount.0).unwrap_or(0),
        }
    }
}

impl Demand {
    /// The prompt's exact count, else no less than it can be.
    fn bounded(&self, reserve: Reserve) -> Amount {
        let uncounted = if self.prompt_exact.is_some() {
            0
        } else {
            self.prompt_bound
        };
        let prompt = self.prompt_exact.unwrap_or(self.prompt_bound);
        Amount {
            wanted: self.answer(reserve).saturating_add(prompt),
            uncounted,
        }
    }

    /// The prompt's exact count, else the learned guess.
    fn likely(&self, reserve: Reserve) -> Amount {
        let prompt = self.prompt_exact.unwrap_or(self.prompt_likely);
        Amount {
            wanted: self.answer(reserve).saturating_add(prompt),
            uncounted: 0,
        }
    }

    /// What the tokens may cost, by the same bounds. Nothing where no price is known.
    fn cost(&self, budget: &Budget) -> Amount {
        let Amount { uncounted, .. } = self.bounded(budget.reserve);
        let prompt = self.prompt_exact.unwrap_or(self.prompt_bound);
        let rates = self.rates.unwrap_or_default();
        Amount {
            wanted: rates.of(prompt, self.answer(budget.reserve)),
            uncounted: rates.of(uncounted, 0),
        }
    }

    /// As [`Rule::amount`] for a budget that lets the call through whatever it takes: no bound, and
    /// nothing to count for.
    pub fn likely_cost(&self, budget: &Budget) -> Amount {
        let prompt = self.prompt_exact.unwrap_or(self.prompt_likely);
        let rates = self.rates.unwrap_or_default();
        Amount {
            wanted: rates.of(prompt, self.answer(budget.reserve)),
            uncounted: 0,
        }
    }

    fn answer(&self, reserve: Reserve) -> u64 {
        match reserve {
            Reserve::Learned => self.answer_likely.min(self.answer_max),
            Reserve::Max => self.answer_max,
        }
    }
}

impl TokenRates {
    /// Nanos, each part rounded up.
    pub fn of(self, prompt_tokens: u64, answer_tokens: u64) -> u64 {
        let part = |tokens: u64, per_million: u64| {
            let nanos = (u128::from(tokens) * u128::from(per_million)).div_ceil(1_000_000);
            u64::try_from(nanos).unwrap_or(u64::MAX)
        };
        part(prompt_tokens, self.prompt).saturating_add(part(answer_tokens, self.answer))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::budget::{OnExceeded, Unpriced};
    use crate::limit::{Calendar, Period};
    use crate::money::{Currency, Nanos};

    const CALL: Demand = Demand {
        prompt_bound: 4000,
        prompt_likely: 1000,
        prompt_exact: None,
        answer_likely: 300,
        answer_max: 2000,
        rates: Some(TokenRates {
            prompt: 2_500_000_000,
            answer: 10_000_000_000,
        }),
    };

    fn budget(reserve: Reserve) -> Rule {
        Rule::Budget(Arc::new(Budget {
            amount: Nanos(1_000_000_000),
            currency: Currency::USD,
            calendar: Calendar {
                period: Period::Month,
                time_zone: jiff::tz::TimeZone::UTC,
            },
            reserve,
            on_exceeded: OnExceeded::Refuse,
            unpriced: Unpriced::Refuse,
            alert_at: Arc::default(),
            raises: Arc::default(),
        }))
    }

    fn tokens(reserve: Reserve, estimate_prompt_tokens: bool) -> Rule {
        Rule::TokensPerMinute {
            tokens_per_minute: 10_000,
            reserve,
            estimate_prompt_tokens,
        }
    }

    #[test]
    fn learned_reserves_the_likely_answer_and_max_the_whole_bound() {
        let amount = |reserve| tokens(reserve, true).amount(&CALL);
        assert_eq!(
            amount(Reserve::Learned),
            Amount {
                wanted: 4300,
                uncounted: 4000
            }
        );
        assert_eq!(
            amount(Reserve::Max),
            Amount {
                wanted: 6000,
                uncounted: 4000
            }
        );
    }

    #[test]
    fn an_exact_prompt_leaves_nothing_uncounted() {
        let counted = Demand {
            prompt_exact: Some(900),
            ..CALL
        };
        for estimate in [true, false] {
            let amount = tokens(Reserve::Learned, estimate).amount(&counted);
            assert_eq!(
                amount,
                Amount {
                    wanted: 1200,
                    uncounted: 0
                }
            );
        }
    }

    #[test]
    fn without_estimates_the_learned_prompt_is_reserved_and_never_counted() {
        let amount = tokens(Reserve::Learned, false).amount(&CALL);
        assert_eq!(
            amount,
            Amount {
                wanted: 1300,
                uncounted: 0
            }
        );
    }

    #[test]
    fn absurd_demands_do_not_overflow() {
        let absurd = Demand {
            prompt_bound: u64::MAX,
            prompt_likely: u64::MAX,
            prompt_exact: None,
            answer_likely: u64::MAX,
            answer_max: u64::MAX,
            rates: Some(TokenRates {
                prompt: u64::MAX,
                answer: u64::MAX,
            }),
        };
        for reserve in [Reserve::Learned, Reserve::Max] {
            for estimate in [true, false] {
                assert_eq!(tokens(reserve, estimate).amount(&absurd).wanted, u64::MAX);
            }
            assert_eq!(budget(reserve).amount(&absurd).wanted, u64::MAX);
        }
    }

    #[test]
    fn a_budget_reserves_what_the_bounds_may_cost() {
        // 2.50 and 10.00 a million: 4000 tokens of prompt are 0.01, 300 of an answer 0.003.
        let amount = budget(Reserve::Learned).amount(&CALL);
        assert_eq!(
            amount,
            Amount {
                wanted: 13_000_000,
                uncounted: 10_000_000
            }
        );
        let counted = Demand {
            prompt_exact: Some(1000),
            ..CALL
        };
        let amount = budget(Reserve::Max).amount(&counted);
        assert_eq!(
            amount,
            Amount {
                wanted: 22_500_000,
                uncounted: 0
            }
        );
    }

    #[test]
    fn a_budget_that_lets_through_holds_what_is_likely() {
        let Rule::Budget(rule) = budget(Reserve::Learned) else {
            panic!("it is a budget")
        };
        assert_eq!(CALL.likely_cost(&rule).wanted, 5_500_000);
        let unpriced = Demand {
            rates: None,
            ..CALL
        };
        assert_eq!(unpriced.likely_cost(&rule).wanted, 0);
    }

    #[test]
    fn parts_of_a_nano_are_rounded_up() {
        let rates = TokenRates {
            prompt: 1,
            answer: 1,
        };
        assert_eq!(rates.of(1, 0), 1);
        assert_eq!(rates.of(1_000_001, 1), 3);
        assert_eq!(rates.of(0, 0), 0);
    }

    #[test]
    fn a_likely_answer_above_the_calls_own_bound_is_cut_to_it() {
        let short = Demand {
            answer_max: 10,
            prompt_exact: Some(5),
            ..CALL
        };
        assert_eq!(tokens(Reserve::Learned, true).amount(&short).wanted, 15);
    }
}
