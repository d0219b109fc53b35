//! What answers and prompts were like so far, to guess what the next one will take.

/// Held for an answer while nothing was learned.
pub const ANSWER_TOKENS_DEFAULT: u64 = 512;
/// Share of answers that the learned length covers.
pub const QUANTILE: f64 = 0.95;
/// Answers before a pair's own history is trusted over its model's.
pub const OBSERVATIONS_MIN: f64 = 20.0;

/// English prose in the o200k and cl100k encodings.
const BYTES_PER_TOKEN_DEFAULT: f64 = 4.0;
const BYTES_PER_TOKEN_MIN: f64 = 1.0;
const BYTES_PER_TOKEN_MAX: f64 = 8.0;
/// Weight of the newest prompt in the running ratio.
const PROMPT_WEIGHT: f64 = 0.05;

/// Tokens that 95% of an application's answers by a model stayed within; the model's own where the
/// application is new, the default where both are.
pub fn answer_tokens(own: Option<&AnswerLengths>, of_model: Option<&AnswerLengths>) -> u64 {
    let known = [own, of_model]
        .into_iter()
        .flatten()
        .find(|lengths| lengths.observations() >= OBSERVATIONS_MIN);
    known.map_or(ANSWER_TOKENS_DEFAULT, AnswerLengths::quantile)
}

/// How many bytes of text a model makes one token of.
#[derive(Clone, Copy, Debug)]
pub struct PromptDensity {
    bytes_per_token: f64,
}

impl Default for PromptDensity {
    fn default() -> Self {
        Self {
            bytes_per_token: BYTES_PER_TOKEN_DEFAULT,
        }
    }
}

impl PromptDensity {
    pub fn bytes_per_token(self) -> f64 {
        self.bytes_per_token
    }

    /// A prompt of `text_bytes` that the provider counted as `tokens`.
    pub fn observe(&mut self, text_bytes: u64, tokens: u64) {
        if tokens == 0 || text_bytes == 0 {
            return;
        }
        let seen =
            (text_bytes as f64 / tokens as f64).clamp(BYTES_PER_TOKEN_MIN, BYTES_PER_TOKEN_MAX);
        self.bytes_per_token += PROMPT_WEIGHT * (seen - self.bytes_per_token);
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
pub struct AnswerLengths {
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

    pub fn observe(&mut self, tokens: u64) {
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
    pub fn observations(&self) -> f64 {
        self.total / self.unit
    }

    /// The upper end of the bucket that holds the quantile.
    pub fn quantile(&self) -> u64 {
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

    fn saw(tokens: u64, times: usize) -> AnswerLengths {
        let mut lengths = AnswerLengths::default();
        (0..times).for_each(|_| lengths.observe(tokens));
        lengths
    }

    #[test]
    fn nothing_learned_means_the_default() {
        let few = saw(7, 19);
        assert_eq!(answer_tokens(None, None), ANSWER_TOKENS_DEFAULT);
        assert_eq!(answer_tokens(Some(&few), Some(&few)), ANSWER_TOKENS_DEFAULT);
    }

    #[test]
    fn a_new_application_goes_by_its_model_until_it_has_a_history() {
        let model = saw(40, 100);
        let by_model = answer_tokens(Some(&saw(1_000, 10)), Some(&model));
        assert!((40..=43).contains(&by_model), "{by_model}");
        let own = answer_tokens(Some(&saw(1_000, 25)), Some(&model));
        assert!((1_000..=1_072).contains(&own), "{own}");
    }

    #[test]
    fn a_change_of_habit_shows_after_a_few_hundred_answers() {
        let mut lengths = saw(2_000, 10_000);
        (0..700).for_each(|_| lengths.observe(100));
        assert!(lengths.quantile() <= 108);
    }

    #[test]
    fn prompts_teach_their_density() {
        let mut density = PromptDensity::default();
        (0..200).for_each(|_| density.observe(600, 200));
        assert!((density.bytes_per_token() - 3.0).abs() < 0.01);
        density.observe(0, 7);
        density.observe(7, 0);
        assert!((density.bytes_per_token() - 3.0).abs() < 0.01);
    }

    proptest! {
        #[test]
        fn it_converges_to_the_quantile_of_what_it_saw(lengths in prop::collection::vec(1u64..40_000, 1_000..1_500)) {
            let mut learned = AnswerLengths::default();
            // Several rounds, so that fading old ones leaves the same mixture.
            for length in lengths.iter().cycle().take(lengths.len() * 3) {
                learned.observe(*length);
            }
            let guess = learned.quantile();
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
