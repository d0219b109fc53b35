//! What was learned of answers' lengths and prompts' density: what a call will take, most likely.
//!
//! The arithmetic is `domain::estimate`'s. Each model and each application's use of it has a lock of
//! its own, which a call finds once and keeps: no two applications wait for each other, and two
//! calls of one for nanoseconds.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use config::snapshot::Model;
use dialect::{Operation, Request};
use domain::estimate::{self, AnswerLengths, PromptDensity};
use domain::record::{CallRecord, Outcome};
use domain::{ApplicationName, Demand, Metered, ModelName};
use foldhash::fast::RandomState;
use papaya::Equivalent;
use store::shared_map;

/// Bound of an answer when neither the request nor the model's configuration names one.
const ANSWER_TOKENS_MAX: u64 = 128 * 1024;
/// Pairs of application and model that are remembered; past this, new ones go by their model's.
const PAIRS_MAX: usize = 10_000;
/// Models likewise: their names come from the configuration.
const MODELS_MAX: usize = 10_000;

pub struct Estimates {
    models: papaya::HashMap<ModelName, Shared<ModelHistory>, RandomState>,
    pairs: papaya::HashMap<Pair, Shared<AnswerLengths>, RandomState>,
}

impl Default for Estimates {
    fn default() -> Self {
        Self {
            models: shared_map(),
            pairs: shared_map(),
        }
    }
}

type Shared<T> = Arc<Mutex<T>>;

#[derive(Debug, Default)]
struct ModelHistory {
    answers: AnswerLengths,
    density: PromptDensity,
}

/// What is known of one call's like, as far as there were any.
#[derive(Clone, Debug, Default)]
pub struct Precedent {
    model: Option<Shared<ModelHistory>>,
    own: Option<Shared<AnswerLengths>>,
}

/// What one answer teaches.
struct Lesson<'a> {
    application: Option<&'a ApplicationName>,
    model: &'a ModelName,
    /// Of one choice; `None` where there is no text to come.
    answer_tokens: Option<u64>,
    prompt_text_bytes: u64,
    prompt_tokens: u64,
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
    pub fn precedent(&self, application: Option<&ApplicationName>, model: &ModelName) -> Precedent {
        let own = application.and_then(|application| {
            let pair = PairRef { application, model };
            self.pairs.pin().get(&pair).cloned()
        });
        Precedent {
            model: self.models.pin().get(model).cloned(),
            own,
        }
    }

    /// Learns from answers whose provider counted them.
    pub fn learn(&self, precedent: Precedent, record: &CallRecord, call: &Request) {
        if let (Outcome::Ok, Metered::Reported(usage)) = (record.outcome, &record.metered) {
            let answer = usage.completion.div_ceil(call.choices.max(1));
            let lesson = Lesson {
                application: record.opening.who.application.as_ref(),
                model: &record.opening.model,
                answer_tokens: (call.operation != Operation::Embeddings).then_some(answer),
                prompt_text_bytes: call.prompt_text_bytes(),
                prompt_tokens: usage.prompt,
            };
            self.observe(precedent, &lesson);
        }
    }

    fn observe(&self, precedent: Precedent, lesson: &Lesson<'_>) {
        let Lesson {
            application,
            model: name,
            answer_tokens,
            prompt_text_bytes,
            prompt_tokens,
        } = *lesson;
        if let Some(model) = precedent.model.or_else(|| self.new_model(name)) {
            let mut model = lock(&model);
            if let Some(tokens) = answer_tokens {
                model.answers.observe(tokens);
            }
            model.density.observe(prompt_text_bytes, prompt_tokens);
        }
        if let (Some(tokens), Some(application)) = (answer_tokens, application)
            && let Some(own) = precedent.own.or_else(|| self.new_pair(application, name))
        {
            lock(&own).observe(tokens);
        }
    }

    /// Calls at the same moment may pass the bound by their number.
    fn new_model(&self, name: &ModelName) -> Option<Shared<ModelHistory>> {
        let models = self.models.pin();
        if models.len() >= MODELS_MAX {
            return models.get(name).cloned();
        }
        Some(
            models
                .get_or_insert_with(name.clone(), Arc::default)
                .clone(),
        )
    }

    fn new_pair(
        &self,
        application: &ApplicationName,
        model: &ModelName,
    ) -> Option<Shared<AnswerLengths>> {
        let pairs = self.pairs.pin();
        if pairs.len() >= PAIRS_MAX {
            return pairs.get(&PairRef { application, model }).cloned();
        }
        let pair = Pair {
            application: application.clone(),
            model: model.clone(),
        };
        Some(pairs.get_or_insert_with(pair, Arc::default).clone())
    }

    pub fn for_each(&self, mut show: impl FnMut(Learned<'_>)) {
        for (Pair { application, model }, lengths) in &self.pairs.pin() {
            show(Learned::of(Some(application), model, &lock(lengths)));
        }
        for (model, history) in &self.models.pin() {
            show(Learned::of(None, model, &lock(history).answers));
        }
    }
}

impl Precedent {
    pub fn demand(&self, model: &Model, call: &Request) -> Demand {
        let per_choice_max = call
            .answer_tokens_max
            .or(model.max_output_tokens)
            .unwrap_or(ANSWER_TOKENS_MAX);
        let answer_max = match call.operation {
            Operation::Embeddings => 0,
            Operation::ChatCompletions | Operation::Completions => {
                per_choice_max.saturating_mul(call.choices)
            }
        };
        let (answer, density) = {
            let own = self.own.as_deref().map(lock);
            let of_model = self.model.as_deref().map(lock);
            let answer = estimate::answer_tokens(
                own.as_deref(),
                of_model.as_deref().map(|history| &history.answers),
            );
            let density = of_model.map_or(PromptDensity::default(), |history| history.density);
            (answer.saturating_mul(call.choices), density)
        };
        let prompt_bound = call.prompt_tokens_bound();
        let likely = call.prompt_text_bytes() as f64 / density.bytes_per_token();
        Demand {
            prompt_bound,
            prompt_likely: (likely.ceil() as u64).min(prompt_bound),
            prompt_exact: None,
            answer_likely: answer.min(answer_max),
            answer_max,
            rates: None,
        }
    }
}

impl<'a> Learned<'a> {
    fn of(
        application: Option<&'a ApplicationName>,
        model: &'a ModelName,
        lengths: &AnswerLengths,
    ) -> Self {
        Self {
            application,
            model,
            answer_tokens: lengths.quantile(),
            observations: lengths.observations(),
        }
    }
}

/// Each observation is whole, so one that panicked leaves nothing to repair.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(PartialEq, Eq)]
struct Pair {
    application: ApplicationName,
    model: ModelName,
}

/// Borrowed, so that a lookup allocates nothing.
#[derive(Hash)]
struct PairRef<'a> {
    application: &'a ApplicationName,
    model: &'a ModelName,
}

impl Hash for Pair {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { application, model } = self;
        PairRef { application, model }.hash(state);
    }
}

impl Equivalent<Pair> for PairRef<'_> {
    fn equivalent(&self, pair: &Pair) -> bool {
        *self.application == pair.application && *self.model == pair.model
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn teach(estimates: &Estimates, application: &ApplicationName, answer_tokens: u64) {
        let model = ModelName::from("gpt-4o");
        let lesson = Lesson {
            application: Some(application),
            model: &model,
            answer_tokens: Some(answer_tokens),
            prompt_text_bytes: 600,
            prompt_tokens: 200,
        };
        estimates.observe(estimates.precedent(Some(application), &model), &lesson);
    }

    #[test]
    fn an_application_is_learned_apart_from_its_model() {
        let estimates = Estimates::default();
        (0..100).for_each(|_| teach(&estimates, &"batch".into(), 40));
        (0..25).for_each(|_| teach(&estimates, &"chat".into(), 1_000));
        let mut learned = Vec::new();
        estimates.for_each(|one| {
            let name = one.application.map_or("", ApplicationName::as_str);
            learned.push((name.to_owned(), one.answer_tokens));
        });
        learned.sort();
        assert!(matches!(
            &learned[..],
            [(all, 1_000..), (batch, 40..=43), (chat, 1_000..=1_072)]
                if all.is_empty() && batch == "batch" && chat == "chat"
        ));
    }

    #[test]
    fn memory_is_bounded_and_the_rest_goes_by_the_model() {
        let estimates = Estimates::default();
        for n in 0..PAIRS_MAX + 500 {
            teach(&estimates, &ApplicationName(format!("app-{n}").into()), 10);
        }
        let mut shown = 0;
        estimates.for_each(|_| shown += 1);
        assert_eq!(shown, PAIRS_MAX + 1);
        let precedent = estimates.precedent(Some(&"app-10400".into()), &"gpt-4o".into());
        assert!(precedent.own.is_none() && precedent.model.is_some());
    }
}
