//! How near is near enough, learned for each cached answer from whether it was right: the decision rule of
//! vCache (arXiv 2502.03771), in our own words.
//!
//! Each entry keeps observations: how similar a question was, and whether the cached answer was right for it.
//! A logistic curve is fitted through them: right with probability `1 / (1 + exp(-γ (s - t)))` at similarity
//! `s`. The threshold `t` is only an estimate, so it is moved up to the end of its one-sided confidence band:
//! with probability `1 - ε` the answer is right at least as often as the moved curve says, which makes
//! `(1 - ε)` times the curve a lower bound of being right. The best bound over all `ε` is taken. The entry is
//! then tried out (asked upstream, compared) just often enough that a wrong answer is served with probability
//! at most `max_error_rate`.
//!
//! Ours differs from the published code where observations separate cleanly: that takes the threshold's variance from
//! a table, and after six right answers believes the curve almost wholly; ours takes it from a penalised likelihood
//! (see `fit`), which without any wrong answer knows little of where they would begin. So what counting says is asked
//! too (see `count`), and the better of both bounds is taken: behind a guard nearly all that is seen is right.
//!
//! # What it promises
//!
//! Over the calls that reach an entry, explored ones included, the expected share of wrong answers is at most
//! `max_error_rate`, *if* being right follows a logistic curve of similarity (or, for what counting says, is no rarer
//! nearer by), calls are independent given their similarity, those who judge answers do not err, and the band is honest
//! at the few observations there are.
//! None of these holds exactly; the tests simulate the first two. It says nothing of a single answer, and an
//! entry whose answer has gone stale is not noticed but where it is explored.

mod count;
mod fit;
mod normal;

use std::collections::VecDeque;

use fit::Fit;

/// Below this many nothing is estimated: a curve through fewer is a guess.
const OBSERVATIONS_MIN: usize = 6;

/// The newest are kept; older ones tell of an older answer.
const OBSERVATIONS_MAX: usize = 128;

/// What was seen of one cached answer.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    seen: VecDeque<Observation>,
    fit: Option<Fit>,
}

/// A question's similarity to the cached one, and whether the cached answer was right for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    pub similarity: f64,
    pub right: bool,
}

/// What to do with a call that an entry might answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Ask upstream, compare the answers, and [`Observations::add`] what came out.
    Explore,
    /// Serve the cached answer.
    Exploit,
}

impl Observations {
    /// Takes note of a comparison. One whose similarity is no number is not taken.
    pub fn add(&mut self, observation: Observation) {
        if !observation.similarity.is_finite() {
            return;
        }
        let similarity = observation.similarity.clamp(0.0, 1.0);
        if self.seen.len() == OBSERVATIONS_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back(Observation {
            similarity,
            ..observation
        });
        let enough = self.seen.len() >= OBSERVATIONS_MIN && self.seen.iter().any(|seen| seen.right);
        self.fit = if enough {
            Fit::of(&self.seen, self.fit)
        } else {
            None
        };
    }

    /// The oldest first, to be stored and added again.
    pub fn iter(&self) -> impl Iterator<Item = Observation> + '_ {
        self.seen.iter().copied()
    }

    pub fn len(&self) -> usize {
        self.seen.len()
    }

    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}

/// Whether to serve the entry at this similarity. `roll` is uniform in `[0, 1)`.
///
/// `max_error_rate` is a share of calls: `0.01` is one wrong answer in a hundred. Zero always explores.
pub fn decide(
    observations: &Observations,
    similarity: f64,
    max_error_rate: f64,
    roll: f64,
) -> Decision {
    // Written so that what is no number explores.
    if roll > explore_share(observations, similarity, max_error_rate) {
        Decision::Exploit
    } else {
        Decision::Explore
    }
}

/// How often a call at this similarity must be explored, from 0 to 1.
pub fn explore_share(observations: &Observations, similarity: f64, max_error_rate: f64) -> f64 {
    let usable = similarity.is_finite() && max_error_rate > 0.0;
    if !usable || observations.len() < OBSERVATIONS_MIN {
        return 1.0;
    }
    let similarity = similarity.clamp(0.0, 1.0);
    let by_curve = observations
        .fit
        .as_ref()
        .map_or(0.0, |fit| fit.right_at_least(similarity));
    let by_count = count::right_at_least(&observations.seen, similarity);
    let right_at_least = by_curve.max(by_count);
    if right_at_least <= 0.0 {
        // Nothing is known: not even now and then.
        return 1.0;
    }
    let wrong_at_most = 1.0 - right_at_least;
    (1.0 - max_error_rate / wrong_at_most).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Chance for simulations: the same numbers on every machine.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
        }

        fn between(&mut self, low: f64, high: f64) -> f64 {
            low + (high - low) * self.roll()
        }
    }

    struct Outcome {
        error_rate: f64,
        hit_rate: f64,
    }

    /// 60 entries with known curves, some of which are never right, and 150 calls to each.
    fn simulate(seed: u64, max_error_rate: f64) -> Outcome {
        let mut dice = Dice(seed);
        let (mut calls, mut hits, mut wrong) = (0u32, 0u32, 0u32);
        for _ in 0..60 {
            let (threshold, steepness) = (dice.between(0.75, 1.05), dice.between(20.0, 120.0));
            let mut observations = Observations::default();
            for _ in 0..150 {
                let similarity = dice.between(0.7, 1.0);
                let right =
                    dice.roll() < 1.0 / (1.0 + (-steepness * (similarity - threshold)).exp());
                calls += 1;
                match decide(&observations, similarity, max_error_rate, dice.roll()) {
                    Decision::Explore => observations.add(Observation { similarity, right }),
                    Decision::Exploit => {
                        hits += 1;
                        wrong += u32::from(!right);
                    }
                }
            }
        }
        let of_calls = |count: u32| f64::from(count) / f64::from(calls);
        Outcome {
            error_rate: of_calls(wrong),
            hit_rate: of_calls(hits),
        }
    }

    #[test]
    fn the_observed_error_stays_within_the_bound_in_twenty_runs() {
        for max_error_rate in [0.01, 0.02, 0.05] {
            let runs: Vec<Outcome> = (1..=20)
                .map(|seed| simulate(seed, max_error_rate))
                .collect();
            let worst = runs.iter().map(|run| run.error_rate).fold(0.0, f64::max);
            let hits = runs.iter().map(|run| run.hit_rate).sum::<f64>() / 20.0;
            assert!(worst <= max_error_rate, "bound {max_error_rate}: {worst}");
            assert!(
                hits > 0.08,
                "bound {max_error_rate}: a rule that never serves is safe and useless: {hits}"
            );
        }
    }

    #[test]
    fn few_observations_always_explore() {
        let mut observations = Observations::default();
        for _ in 0..OBSERVATIONS_MIN - 1 {
            observations.add(Observation {
                similarity: 0.9,
                right: true,
            });
            assert_eq!(decide(&observations, 1.0, 0.05, 0.999), Decision::Explore);
        }
    }

    #[test]
    fn an_entry_that_was_never_right_is_never_served() {
        let mut observations = Observations::default();
        for _ in 0..50 {
            observations.add(Observation {
                similarity: 0.95,
                right: false,
            });
        }
        assert_eq!(decide(&observations, 1.0, 0.05, 0.999), Decision::Explore);
    }

    #[test]
    fn a_bound_of_zero_and_what_is_no_number_explore() {
        let mut observations = Observations::default();
        for similarity in [0.8, 0.85, 0.9, 0.92, 0.94, 0.96, 0.98, 0.99] {
            observations.add(Observation {
                similarity,
                right: true,
            });
        }
        observations.add(Observation {
            similarity: f64::NAN,
            right: true,
        });
        assert_eq!(observations.len(), 8);
        for (similarity, bound, roll) in [
            (1.0, 0.0, 0.999),
            (f64::NAN, 0.05, 0.999),
            (1.0, f64::NAN, 0.999),
            (1.0, 0.05, f64::NAN),
        ] {
            assert_eq!(
                decide(&observations, similarity, bound, roll),
                Decision::Explore
            );
        }
    }

    #[test]
    fn no_more_than_the_newest_observations_are_kept() {
        let mut observations = Observations::default();
        for number in 0..1000 {
            observations.add(Observation {
                similarity: f64::from(number) / 1000.0,
                right: number > 500,
            });
        }
        assert_eq!(observations.len(), OBSERVATIONS_MAX);
        assert!(observations.iter().all(|seen| seen.similarity > 0.8));
    }

    proptest! {
        #[test]
        fn a_more_permissive_bound_never_explores_more(
            seen in prop::collection::vec((0.5f64..1.0, any::<bool>()), 0..60),
            similarity in 0.0f64..=1.0,
            bounds in (0.0f64..0.5, 0.0f64..0.5),
            roll in 0.0f64..1.0,
        ) {
            let mut observations = Observations::default();
            for (similarity, right) in seen {
                observations.add(Observation { similarity, right });
            }
            let (strict, loose) = (bounds.0.min(bounds.1), bounds.0.max(bounds.1));
            let share = |bound| explore_share(&observations, similarity, bound);
            prop_assert!(share(loose) <= share(strict));
            if decide(&observations, similarity, strict, roll) == Decision::Exploit {
                prop_assert_eq!(decide(&observations, similarity, loose, roll), Decision::Exploit);
            }
        }

        #[test]
        fn a_nearer_question_is_never_explored_more(
            seen in prop::collection::vec((0.5f64..1.0, any::<bool>()), 0..60),
            near in 0.0f64..=1.0,
            far in 0.0f64..=1.0,
        ) {
            let (far, near) = (far.min(near), far.max(near));
            let mut observations = Observations::default();
            for (similarity, right) in seen {
                // Unless it was seen that nearer ones are answered wrongly.
                let right = right || similarity > far;
                observations.add(Observation { similarity, right });
            }
            prop_assert!(explore_share(&observations, near, 0.02) <= explore_share(&observations, far, 0.02) + 1e-12);
        }
    }
}
