//! What is learned of calls so that little is reserved in vain: how long answers get, and how many
//! bytes a token has.

use std::collections::HashMap;

use crate::ids::{ApplicationName, ModelName};

use self::histogram::Histogram;

mod histogram;

/// Until an application or its model has been seen often enough.
pub const ANSWER_DEFAULT: u64 = 512;

/// Fewer say nothing about a high quantile.
const OBSERVATIONS_MIN: u64 = 20;

/// Pairs of application and model with a memory of their own, of about 1 KiB. Past it, new
/// applications are estimated by their model.
const PAIRS_MAX: usize = 10_000;

/// Models come from the configuration, over all of its reloads. Past it, a new one is not learned.
const MODELS_MAX: usize = 1000;

const BYTES_PER_TOKEN_DEFAULT: f64 = 4.0;
/// A ratio outside this is a prompt that is not text; it must not spoil the ratio of those that are.
const BYTES_PER_TOKEN: std::ops::RangeInclusive<f64> = 1.0..=16.0;

/// Answer lengths by application and model, and the bytes of a prompt token by model.
#[derive(Clone, Debug, Default)]
pub struct AnswerEstimates {
    models: HashMap<ModelName, ModelEstimates>,
    pairs: usize,
}

#[derive(Clone, Debug)]
struct ModelEstimates {
    answers: Histogram,
    applications: HashMap<ApplicationName, Histogram>,
    bytes_per_token: f64,
}

/// One line for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerEstimate<'a> {
    /// `None`: all applications of the model.
    pub application: Option<&'a ApplicationName>,
    pub model: &'a ModelName,
    /// What `answer_tokens` returns.
    pub tokens: u64,
    pub observations: u64,
}

impl AnswerEstimates {
    /// Tokens that 95% of the answers stay within.
    pub fn answer_tokens(&self, application: Option<&ApplicationName>, model: &ModelName) -> u64 {
        let Some(estimates) = self.models.get(model) else {
            return ANSWER_DEFAULT;
        };
        application
            .and_then(|application| estimates.applications.get(application))
            .and_then(known)
            .or_else(|| known(&estimates.answers))
            .unwrap_or(ANSWER_DEFAULT)
    }

    /// What `bytes` of prompt come to, by the ratio learned for the model. Rather too many tokens.
    pub fn prompt_tokens(&self, model: &ModelName, bytes: u64) -> u64 {
        let ratio = self
            .models
            .get(model)
            .map_or(BYTES_PER_TOKEN_DEFAULT, |model| model.bytes_per_token);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate; the ratio is at least 1, and a cast from a float saturates"
        )]
        let tokens = (bytes as f64 / ratio).ceil() as u64;
        tokens
    }

    /// An answer that ended by itself or at the call's own bound; not one that was cut or left.
    pub fn observe_answer(
        &mut self,
        application: Option<&ApplicationName>,
        model: &ModelName,
        tokens: u64,
    ) {
        let has_room = self.pairs < PAIRS_MAX;
        let Some(estimates) = self.model_mut(model) else {
            return;
        };
        estimates.answers.observe(tokens);
        let Some(application) = application else {
            return;
        };
        if let Some(answers) = estimates.applications.get_mut(application) {
            answers.observe(tokens);
            return;
        }
        if has_room {
            let mut answers = Histogram::default();
            answers.observe(tokens);
            estimates.applications.insert(application.clone(), answers);
            self.pairs += 1;
        }
    }

    /// A text prompt of `bytes`, once its tokens are known.
    pub fn observe_prompt(&mut self, model: &ModelName, bytes: u64, tokens: u64) {
        if bytes == 0 || tokens == 0 {
            return;
        }
        let Some(estimates) = self.model_mut(model) else {
            return;
        };
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let ratio =
            (bytes as f64 / tokens as f64).clamp(*BYTES_PER_TOKEN.start(), *BYTES_PER_TOKEN.end());
        let error = ratio - estimates.bytes_per_token;
        // Falls faster than it rises: too low a ratio reserves too much for a moment, too high a
        // one passes the limit.
        estimates.bytes_per_token += if error < 0.0 {
            0.1 * error
        } else {
            0.02 * error
        };
    }

    /// All that was learned, for metrics.
    pub fn iter(&self) -> impl Iterator<Item = AnswerEstimate<'_>> {
        self.models.iter().flat_map(move |(model, estimates)| {
            let applications = estimates
                .applications
                .iter()
                .map(|(name, answers)| (Some(name), answers));
            std::iter::once((None, &estimates.answers))
                .chain(applications)
                .map(move |(application, answers)| AnswerEstimate {
                    application,
                    model,
                    tokens: self.answer_tokens(application, model),
                    observations: answers.observations(),
                })
        })
    }

    fn model_mut(&mut self, model: &ModelName) -> Option<&mut ModelEstimates> {
        if !self.models.contains_key(model) {
            if self.models.len() >= MODELS_MAX {
                return None;
            }
            let estimates = ModelEstimates {
                answers: Histogram::default(),
                applications: HashMap::new(),
                bytes_per_token: BYTES_PER_TOKEN_DEFAULT,
            };
            self.models.insert(model.clone(), estimates);
        }
        self.models.get_mut(model)
    }
}

fn known(answers: &Histogram) -> Option<u64> {
    (answers.observations() >= OBSERVATIONS_MIN).then(|| answers.high_quantile())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn app(name: &str) -> ApplicationName {
        name.into()
    }

    fn gpt() -> ModelName {
        "gpt-4o".into()
    }

    #[test]
    fn an_unknown_application_is_estimated_by_its_model_and_that_by_a_default() {
        let mut estimates = AnswerEstimates::default();
        let estimate =
            |estimates: &AnswerEstimates, name| estimates.answer_tokens(Some(&app(name)), &gpt());
        for _ in 0..19 {
            estimates.observe_answer(Some(&app("chat")), &gpt(), 100);
        }
        assert_eq!(estimate(&estimates, "chat"), ANSWER_DEFAULT);
        estimates.observe_answer(Some(&app("chat")), &gpt(), 100);
        assert!((100..=105).contains(&estimate(&estimates, "chat")));
        assert_eq!(estimate(&estimates, "new"), estimate(&estimates, "chat"));
        assert_eq!(
            estimates.answer_tokens(None, &"other".into()),
            ANSWER_DEFAULT
        );
    }

    #[test]
    fn applications_of_one_model_are_learned_apart_and_listed() {
        let mut estimates = AnswerEstimates::default();
        for _ in 0..50 {
            estimates.observe_answer(Some(&app("tags")), &gpt(), 5);
            estimates.observe_answer(Some(&app("essays")), &gpt(), 3000);
        }
        assert_eq!(estimates.answer_tokens(Some(&app("tags")), &gpt()), 5);
        assert!((3000..=3150).contains(&estimates.answer_tokens(Some(&app("essays")), &gpt())));
        let mut observations: Vec<u64> = estimates
            .iter()
            .map(|estimate| estimate.observations)
            .collect();
        observations.sort_unstable();
        assert_eq!(observations, [50, 50, 100]);
    }

    #[test]
    fn past_the_bound_new_applications_share_their_models_memory() {
        let mut estimates = AnswerEstimates::default();
        for index in 0..PAIRS_MAX + 10 {
            estimates.observe_answer(Some(&app(&index.to_string())), &gpt(), 7);
        }
        assert_eq!(estimates.iter().count(), PAIRS_MAX + 1);
        assert_eq!(
            estimates.answer_tokens(Some(&app(&PAIRS_MAX.to_string())), &gpt()),
            7
        );
    }

    #[test]
    fn the_bytes_of_a_token_are_learned_from_below() {
        let mut estimates = AnswerEstimates::default();
        assert_eq!(estimates.prompt_tokens(&gpt(), 400), 100);
        for index in 0..2000 {
            estimates.observe_prompt(&gpt(), if index % 2 == 0 { 200 } else { 300 }, 100);
        }
        let tokens = estimates.prompt_tokens(&gpt(), 2500);
        assert!(
            (1000..=1250).contains(&tokens),
            "{tokens}: between the mean's 1000 and the lowest's 1250"
        );
        estimates.observe_prompt(&gpt(), u64::MAX, 1);
        estimates.observe_prompt(&gpt(), 1, u64::MAX);
        assert!(estimates.prompt_tokens(&gpt(), u64::MAX) > 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

        /// Answers spread evenly from `low` to `low + spread`, after others ten times as long.
        #[test]
        fn the_estimate_converges_on_the_95th_percentile(
            low in 0u64..2000,
            spread in 200u64..4000,
            seed: u64,
        ) {
            let mut estimates = AnswerEstimates::default();
            let mut roll = seed;
            for index in 0..4000 {
                roll = roll.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let tokens = low + (roll >> 33) % spread;
                estimates.observe_answer(None, &gpt(), if index < 1000 { tokens * 10 } else { tokens });
            }
            let learned = estimates.answer_tokens(None, &gpt());
            prop_assert!(learned >= low + spread * 90 / 100, "{} of {} + {}", learned, low, spread);
            prop_assert!(learned <= (low + spread) * 106 / 100, "{} of {} + {}", learned, low, spread);
        }
    }
}
