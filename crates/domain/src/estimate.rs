//! What answers and prompts were like so far, to guess what the next one will take.

use std::collections::HashMap;

use crate::ids::{ApplicationName, ModelName};

/// Held for an answer while nothing was learned.
pub const ANSWER_TOKENS_DEFAULT: u64 = 512;
/// Share of answers that the learned length covers.
pub const QUANTILE: f64 = 0.95;
/// Answers before a pair's own history is trusted over its model's.
pub const OBSERVATIONS_MIN: f64 = 20.0;
/// Pairs of application and model that are remembered; past this, new ones go by their model's.
pub const PAIRS_MAX: usize = 10_000;
/// Models likewise: their names come from the configuration.
const MODELS_MAX: usize = 10_000;

/// English prose in the o200k and cl100k encodings.
const BYTES_PER_TOKEN_DEFAULT: f64 = 4.0;
const BYTES_PER_TOKEN_MIN: f64 = 1.0;
const BYTES_PER_TOKEN_MAX: f64 = 8.0;
/// Weight of the newest prompt in the running ratio.
const PROMPT_WEIGHT: f64 = 0.05;

/// Learned lengths of answers for each application and model, and density of prompts for each model.
#[derive(Debug, Default)]
pub struct Estimates {
    pairs: HashMap<ApplicationName, HashMap<ModelName, AnswerLengths>>,
    pair_count: usize,
    models: HashMap<ModelName, ModelHistory>,
}

#[derive(Debug)]
struct ModelHistory {
    answers: AnswerLengths,
    bytes_per_token: f64,
}

impl Default for ModelHistory {
    fn default() -> Self {
        Self {
            answers: AnswerLengths::default(),
            bytes_per_token: BYTES_PER_TOKEN_DEFAULT,
        }
    }
}

/// One learned length, as metrics show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Learned<'a> {
    /// `None`: of the model over all applications.
    pub application: Option<&'a ApplicationName>,
    pub model: &'a ModelName,
    pub answer_tokens: u64,
    pub observations: f64,
}

impl Estimates {
    /// Tokens that 95% of this application's answers by this model stayed within; the model's own
    /// where the application is new, the default where both are.
    pub fn answer_tokens(&self, application: Option<&ApplicationName>, model: &ModelName) -> u64 {
        let pair = application.and_then(|application| self.pairs.get(application)?.get(model));
        let all = self.models.get(model).map(|history| &history.answers);
        let known = [pair, all]
            .into_iter()
            .flatten()
            .find(|lengths| lengths.observations() >= OBSERVATIONS_MIN);
        known.map_or(ANSWER_TOKENS_DEFAULT, AnswerLengths::quantile)
    }

    pub fn bytes_per_token(&self, model: &ModelName) -> f64 {
        self.models
            .get(model)
            .map_or(BYTES_PER_TOKEN_DEFAULT, |history| history.bytes_per_token)
    }

    pub fn observe_answer(
        &mut self,
        application: Option<&ApplicationName>,
        model: &ModelName,
        tokens: u64,
    ) {
        if let Some(history) = self.history(model) {
            history.answers.observe(tokens);
        }
        let Some(application) = application else {
            return;
        };
        if let Some(lengths) = self
            .pairs
            .get_mut(application)
            .and_then(|models| models.get_mut(model))
        {
            lengths.observe(tokens);
        } else if self.pair_count < PAIRS_MAX {
            self.pair_count += 1;
            let models = self.pairs.entry(application.clone()).or_default();
            models.entry(model.clone()).or_default().observe(tokens);
        }
    }

    /// A prompt of `text_bytes` that the provider counted as `tokens`.
    pub fn observe_prompt(&mut self, model: &ModelName, text_bytes: u64, tokens: u64) {
        if tokens == 0 || text_bytes == 0 {
            return;
        }
        let Some(history) = self.history(model) else {
            return;
        };
        let seen =
            (text_bytes as f64 / tokens as f64).clamp(BYTES_PER_TOKEN_MIN, BYTES_PER_TOKEN_MAX);
        history.bytes_per_token += PROMPT_WEIGHT * (seen - history.bytes_per_token);
    }

    pub fn list(&self) -> impl Iterator<Item = Learned<'_>> {
        let pairs = self.pairs.iter().flat_map(|(application, models)| {
            models
                .iter()
                .map(move |(model, lengths)| lengths.shown(Some(application), model))
        });
        pairs.chain(
            self.models
                .iter()
                .map(|(model, history)| history.answers.shown(None, model)),
        )
    }

    fn history(&mut self, model: &ModelName) -> Option<&mut ModelHistory> {
        if !self.models.contains_key(model) {
            if self.models.len() == MODELS_MAX {
                return None;
            }
            self.models.insert(model.clone(), ModelHistory::default());
        }
        self.models.get_mut(model)
    }
}

/// Buckets that grow by a fourteenth: 160 of them reach past 50,000 tokens, and the last one holds
/// all that is longer.
const BUCKETS: usize = 160;
const GROWTH: f64 = 1.0717734625362931; // 2^(1/10)
/// Each observation fades by this factor with every later one, so that a change of habit shows
/// after some two hundred answers.
const FADE: f64 = 0.995;

/// A histogram of answer lengths in which old answers fade.
#[derive(Clone, Debug)]
struct AnswerLengths {
    weights: Box<[f32; BUCKETS]>,
    total: f64,
    /// What a new observation weighs. Grows instead of every bucket shrinking, until it is rescaled.
    unit: f64,
}

impl Default for AnswerLengths {
    fn default() -> Self {
        Self {
            weights: Box::new([0.0; BUCKETS]),
            total: 0.0,
            unit: 1.0,
        }
    }
}

impl AnswerLengths {
    const UNIT_MAX: f64 = 1e6;

    fn observe(&mut self, tokens: u64) {
        self.unit /= FADE;
        self.weights[bucket_of(tokens)] += self.unit as f32;
        self.total += self.unit;
        if self.unit > Self::UNIT_MAX {
            self.weights
                .iter_mut()
                .for_each(|weight| *weight /= Self::UNIT_MAX as f32);
            self.total = self.weights.iter().map(|weight| f64::from(*weight)).sum();
            self.unit /= Self::UNIT_MAX;
        }
    }

    /// How many answers the weights are worth.
    fn observations(&self) -> f64 {
        self.total / self.unit
    }

    /// The upper end of the bucket that holds the quantile.
    fn quantile(&self) -> u64 {
        let wanted = self.total * QUANTILE;
        let mut seen = 0.0;
        for (index, weight) in self.weights.iter().enumerate() {
            seen += f64::from(*weight);
            if seen >= wanted {
                return bucket_end(index);
            }
        }
        bucket_end(BUCKETS - 1)
    }

    fn shown<'a>(
        &self,
        application: Option<&'a ApplicationName>,
        model: &'a ModelName,
    ) -> Learned<'a> {
        Learned {
            application,
            model,
            answer_tokens: self.quantile(),
            observations: self.observations(),
        }
    }
}

fn bucket_of(tokens: u64) -> usize {
    if tokens <= 1 {
        return 0;
    }
    let index = ((tokens as f64).ln() / GROWTH.ln()).ceil() as usize;
    index.min(BUCKETS - 1)
}

fn bucket_end(index: usize) -> u64 {
    GROWTH.powi(index as i32).floor() as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names() -> (ApplicationName, ModelName) {
        (ApplicationName::from("chat"), ModelName::from("gpt-4o"))
    }

    #[test]
    fn nothing_learned_means_the_default() {
        let (application, model) = names();
        assert_eq!(
            Estimates::default().answer_tokens(Some(&application), &model),
            ANSWER_TOKENS_DEFAULT
        );
    }

    #[test]
    fn a_new_application_goes_by_its_model_until_it_has_a_history() {
        let (application, model) = names();
        let other = ApplicationName::from("batch");
        let mut learned = Estimates::default();
        (0..100).for_each(|_| learned.observe_answer(Some(&other), &model, 40));
        let by_model = learned.answer_tokens(Some(&application), &model);
        assert!((40..=43).contains(&by_model), "{by_model}");
        (0..25).for_each(|_| learned.observe_answer(Some(&application), &model, 1_000));
        let own = learned.answer_tokens(Some(&application), &model);
        assert!((1_000..=1_072).contains(&own), "{own}");
    }

    #[test]
    fn a_change_of_habit_shows_after_a_few_hundred_answers() {
        let (application, model) = names();
        let mut learned = Estimates::default();
        (0..10_000).for_each(|_| learned.observe_answer(Some(&application), &model, 2_000));
        (0..700).for_each(|_| learned.observe_answer(Some(&application), &model, 100));
        assert!(learned.answer_tokens(Some(&application), &model) <= 108);
    }

    #[test]
    fn memory_is_bounded_and_the_rest_goes_by_the_model() {
        let (_, model) = names();
        let mut learned = Estimates::default();
        for n in 0..PAIRS_MAX + 500 {
            learned.observe_answer(
                Some(&ApplicationName(format!("app-{n}").into())),
                &model,
                10,
            );
        }
        assert_eq!(learned.list().count(), PAIRS_MAX + 1);
    }

    #[test]
    fn prompts_teach_their_density() {
        let (_, model) = names();
        let mut learned = Estimates::default();
        (0..200).for_each(|_| learned.observe_prompt(&model, 600, 200));
        assert!((learned.bytes_per_token(&model) - 3.0).abs() < 0.01);
    }

    proptest! {
        #[test]
        fn it_converges_to_the_quantile_of_what_it_saw(lengths in prop::collection::vec(1u64..40_000, 1_000..1_500)) {
            let (application, model) = names();
            let mut learned = Estimates::default();
            // Several rounds, so that fading old ones leaves the same mixture.
            for length in lengths.iter().cycle().take(lengths.len() * 3) {
                learned.observe_answer(Some(&application), &model, *length);
            }
            let guess = learned.answer_tokens(Some(&application), &model);
            let covered = lengths.iter().filter(|length| **length <= guess).count() as f64 / lengths.len() as f64;
            prop_assert!(covered > 0.85, "covers {covered}");
            let far = lengths.iter().filter(|length| **length > guess * 12 / 10).count();
            prop_assert!(far as f64 <= 0.1 * lengths.len() as f64);
        }

        #[test]
        fn no_length_panics_or_leaves_the_buckets(tokens: u64) {
            let mut lengths = AnswerLengths::default();
            lengths.observe(tokens);
            prop_assert!(lengths.quantile() <= bucket_end(BUCKETS - 1));
        }
    }
}
