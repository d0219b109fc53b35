//! How much of a limit one call asks for.

use crate::limit::{Demand, Reserve, Rule};

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
            Self::RequestsPerMinute { .. } | Self::Concurrency { .. } => Amount {
                wanted: 1,
                uncounted: 0,
            },
        }
    }

    /// The bound, in the rule's own unit.
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

    fn answer(&self, reserve: Reserve) -> u64 {
        match reserve {
            Reserve::Learned => self.answer_likely.min(self.answer_max),
            Reserve::Max => self.answer_max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Demand = Demand {
        prompt_bound: 4000,
        prompt_likely: 1000,
        prompt_exact: None,
        answer_likely: 300,
        answer_max: 2000,
    };

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
        };
        for reserve in [Reserve::Learned, Reserve::Max] {
            for estimate in [true, false] {
                assert_eq!(tokens(reserve, estimate).amount(&absurd).wanted, u64::MAX);
            }
        }
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
