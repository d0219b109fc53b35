//! What is counted of each call: a lookup or three, and a few atomic additions.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use config::Snapshot;
use dialect::{Dialect, Operation};
use domain::record::{
    AttemptFailure, AttemptRecord, CallRecord, Content, Outcome, Ruling, Verdict,
};
use domain::{BackendId, Metered, ModelName, SubscriptionId};
use papaya::Equivalent;

use super::bounded::Bounded;
use super::catalogue;
use super::histogram::{CALL_TIME, FIRST_TIME, Histogram, OVERHEAD, TOKENS};
use super::money::{Money, units};
use super::sample::{Family, Value};

/// Past these, what is new is counted under `other`. A pair takes some 250 bytes, a model's
/// distributions about a kilobyte.
const PAIRS_MAX: usize = 50_000;
const MODELS_MAX: usize = 10_000;
const BACKENDS_MAX: usize = 10_000;
const RULES_MAX: usize = 50_000;

const OTHER: &str = "other";

pub const KINDS: [&str; 8] = [
    "prompt",
    "completion",
    "cached_prompt",
    "cache_write",
    "reasoning",
    "audio_prompt",
    "audio_completion",
    "estimated",
];

/// Tokens by kind, in the order of [`KINDS`].
#[derive(Default)]
pub struct Tokens([AtomicU64; KINDS.len()]);

impl Tokens {
    pub fn add(&self, metered: &Metered) {
        let usage = metered.usage();
        let estimated = if metered.is_estimated() {
            usage.total()
        } else {
            0
        };
        let amounts = [
            usage.prompt,
            usage.completion,
            usage.cached_prompt,
            usage.cache_write,
            usage.reasoning,
            usage.audio_prompt,
            usage.audio_completion,
            estimated,
        ];
        for (sum, amount) in self.0.iter().zip(amounts) {
            if amount > 0 {
                sum.fetch_add(amount, Ordering::Relaxed);
            }
        }
    }

    /// Those that were used.
    pub fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let sums = self.0.iter().map(|sum| sum.load(Ordering::Relaxed));
        KINDS.into_iter().zip(sums).filter(|(_, sum)| *sum > 0)
    }
}

/// The series that every call is counted in.
pub struct CallSeries {
    pairs: Bounded<Pair, PairSeries>,
    models: Bounded<ModelKey, ModelSeries>,
    backends: Bounded<BackendId, BackendSeries>,
    rules: Bounded<Arc<str>, AtomicU64>,
    guards: Bounded<Arc<str>, GuardSeries>,
    overhead: Histogram,
}

/// What a provider was asked for, and by which dialect.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub operation: Operation,
    pub provider: Dialect,
}

impl Default for CallSeries {
    fn default() -> Self {
        Self {
            pairs: Bounded::new(PAIRS_MAX, PairSeries::default),
            models: Bounded::new(MODELS_MAX, ModelSeries::new),
            backends: Bounded::new(BACKENDS_MAX, BackendSeries::new),
            rules: Bounded::new(RULES_MAX, AtomicU64::default),
            guards: Bounded::new(RULES_MAX, GuardSeries::default),
            overhead: Histogram::new(&OVERHEAD),
        }
    }
}

impl CallSeries {
    /// `asked` is known of calls that reached a backend.
    pub fn count(&self, record: &CallRecord, asked: Option<Asked>) {
        let model = record.opening.model.as_str();
        let pair = PairRef {
            subscription: record.opening.who.subscription.as_str(),
            model,
        };
        let own = || Pair {
            subscription: record.opening.who.subscription.clone(),
            model: model.into(),
        };
        self.pairs.count(&pair, own, |series| series.count(record));
        if let Some(rule) = record.rule.as_ref().filter(|rule| refused(rule)) {
            self.rules.count(
                &**rule,
                || rule.clone(),
                |count| {
                    count.fetch_add(1, Ordering::Relaxed);
                },
            );
        }
        for verdict in &record.verdicts {
            let count = |series: &GuardSeries| series.count(verdict);
            self.guards
                .count(&*verdict.guard, || verdict.guard.clone(), count);
        }
        for attempt in &record.attempts {
            let (id, own) = (attempt.backend.as_str(), || attempt.backend.clone());
            self.backends.count(id, own, |series| series.count(attempt));
        }
        if let (Some(backend), Some(time)) = (&record.backend, record.first_byte) {
            self.backends.count(
                backend.as_str(),
                || backend.clone(),
                |series| {
                    series.first_byte.observe_time(time);
                },
            );
        }
        if let Some(Asked {
            operation,
            provider,
        }) = asked
        {
            let error = (record.outcome != Outcome::Ok).then_some(record.outcome);
            let key = ModelRef {
                operation,
                provider,
                error,
                model,
            };
            self.models
                .count(&key, || key.owned(), |series| series.count(record));
            if record.outcome == Outcome::Ok {
                let upstream = record.attempts.iter().map(|attempt| attempt.latency).sum();
                self.overhead
                    .observe_time(record.latency.saturating_sub(upstream));
            }
        }
    }

    /// After a load: what is no longer configured makes room.
    pub fn retain(&self, snapshot: &Snapshot) {
        let is_known = |model: &ModelName| {
            model.as_str().is_empty() || snapshot.models.contains_key(model.as_str())
        };
        self.pairs.retain(|pair| {
            snapshot.subscriptions.contains_key(&pair.subscription) && is_known(&pair.model)
        });
        self.models.retain(|key| is_known(&key.model));
        self.backends
            .retain(|id| snapshot.backends.contains_key(id));
    }

    pub fn families(&self, into: &mut Vec<Family>) {
        let mut calls = Family::new(&catalogue::CALLS);
        let mut tokens = Family::new(&catalogue::TOKENS);
        let mut retries = Family::new(&catalogue::RETRIES);
        let mut cost = Family::new(&catalogue::COST);
        let mut saved = Family::new(&catalogue::SAVED);
        let mut unpriced = Family::new(&catalogue::UNPRICED);
        let mut saved_tokens = Family::new(&catalogue::SAVED_TOKENS);
        let mut say = |subscription: &str, model: &str, series: &PairSeries| {
            for (outcome, count) in Outcome::ALL.iter().zip(&series.outcomes) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    calls.add(
                        &[subscription, model, outcome.as_str()],
                        Value::Whole(count),
                    );
                }
            }
            for (kind, sum) in series.tokens.read() {
                tokens.add(&[subscription, model, kind], Value::Whole(sum));
            }
            for sum in series.money.sums() {
                let labels = [subscription, model, sum.currency.as_str()];
                cost.add(&labels, Value::Real(units(sum.cost)));
                saved.add(&labels, Value::Real(units(sum.saved)));
            }
            let calls = series.money.unpriced();
            if calls > 0 {
                unpriced.add(&[subscription, model], Value::Whole(calls));
            }
            let tokens_saved = series.saved_tokens.load(Ordering::Relaxed);
            if tokens_saved > 0 {
                saved_tokens.add(&[subscription, model], Value::Whole(tokens_saved));
            }
            let retried = series.retries.load(Ordering::Relaxed);
            if retried > 0 {
                retries.add(&[subscription, model], Value::Whole(retried));
            }
        };
        self.pairs
            .for_each(|pair, series| say(pair.subscription.as_str(), pair.model.as_str(), series));
        if let Some(series) = self.pairs.other() {
            say(OTHER, OTHER, series);
        }
        into.extend([calls, tokens, retries, cost, saved, unpriced, saved_tokens]);

        let mut refusals = Family::new(&catalogue::REFUSALS);
        let mut say = |rule: &str, count: &AtomicU64| {
            refusals.add(&[rule], Value::Whole(count.load(Ordering::Relaxed)));
        };
        self.rules.for_each(|rule, count| say(rule, count));
        if let Some(count) = self.rules.other() {
            say(OTHER, count);
        }
        into.push(refusals);
        self.guard_families(into);
        self.model_families(into);
        self.backend_families(into);
        let overhead = Value::Distribution(self.overhead.read());
        into.push(Family::of(&catalogue::OVERHEAD, overhead));

        let folded = Family::new(&catalogue::SERIES_FOLDED)
            .with(
                &["subscription_and_model"],
                Value::Whole(self.pairs.folded()),
            )
            .with(&["model"], Value::Whole(self.models.folded()))
            .with(&["backend"], Value::Whole(self.backends.folded()))
            .with(&["rule"], Value::Whole(self.rules.folded()))
            .with(&["guard"], Value::Whole(self.guards.folded()));
        into.push(folded);
    }

    fn guard_families(&self, into: &mut Vec<Family>) {
        let mut verdicts = Family::new(&catalogue::GUARD_VERDICTS);
        let mut failures = Family::new(&catalogue::GUARD_FAILURES);
        let mut say = |guard: &str, series: &GuardSeries| {
            for (on, of_content) in Content::ALL.iter().zip(&series.verdicts) {
                for (ruling, count) in Ruling::ALL.iter().zip(of_content) {
                    let count = count.load(Ordering::Relaxed);
                    if count > 0 {
                        verdicts.add(&[guard, on.as_str(), ruling.as_str()], Value::Whole(count));
                    }
                }
            }
            for (on, count) in Content::ALL.iter().zip(&series.failures) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    failures.add(&[guard, on.as_str()], Value::Whole(count));
                }
            }
        };
        self.guards.for_each(|guard, series| say(guard, series));
        if let Some(series) = self.guards.other() {
            say(OTHER, series);
        }
        into.extend([verdicts, failures]);
    }

    fn model_families(&self, into: &mut Vec<Family>) {
        let mut duration = Family::new(&catalogue::OPERATION_DURATION);
        let mut first_chunk = Family::new(&catalogue::FIRST_CHUNK);
        let mut usage = Family::new(&catalogue::TOKEN_USAGE);
        let mut say = |labels: [&str; 4], series: &ModelSeries| {
            let [operation, provider, model, _] = labels;
            duration.add(&labels, Value::Distribution(series.duration.read()));
            // The rest has no `error_type`: told of calls that ended well, which are nearly all.
            if !labels[3].is_empty() {
                return;
            }
            let first = series.first_chunk.read();
            if first.count() > 0 {
                let labels = [operation, provider, model];
                first_chunk.add(&labels, Value::Distribution(first));
            }
            for (kind, tokens) in [("input", &series.input), ("output", &series.output)] {
                let labels = [operation, provider, model, kind];
                usage.add(&labels, Value::Distribution(tokens.read()));
            }
        };
        self.models.for_each(|key, series| {
            let labels = [
                operation_name(key.operation),
                provider_name(key.provider),
                key.model.as_str(),
                key.error.map_or("", Outcome::as_str),
            ];
            say(labels, series);
        });
        if let Some(series) = self.models.other() {
            say([OTHER, OTHER, OTHER, ""], series);
        }
        into.extend([duration, first_chunk, usage]);
    }

    fn backend_families(&self, into: &mut Vec<Family>) {
        let mut attempts = Family::new(&catalogue::ATTEMPTS);
        let mut duration = Family::new(&catalogue::ATTEMPT_DURATION);
        let mut first_byte = Family::new(&catalogue::FIRST_BYTE);
        let mut say = |id: &str, series: &BackendSeries| {
            let failures = AttemptFailure::ALL.map(AttemptFailure::as_str);
            let endings = std::iter::once("none").chain(failures);
            for (ending, count) in endings.zip(&series.endings) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    attempts.add(&[id, ending], Value::Whole(count));
                }
            }
            duration.add(&[id], Value::Distribution(series.duration.read()));
            first_byte.add(&[id], Value::Distribution(series.first_byte.read()));
        };
        self.backends
            .for_each(|id, series| say(id.as_str(), series));
        if let Some(series) = self.backends.other() {
            say(OTHER, series);
        }
        into.extend([attempts, duration, first_byte]);
    }
}

/// As OpenTelemetry calls it.
pub fn operation_name(operation: Operation) -> &'static str {
    match operation {
        Operation::ChatCompletions => "chat",
        Operation::Completions => "text_completion",
        Operation::Embeddings => "embeddings",
    }
}

/// As OpenTelemetry calls it. Whatever else speaks OpenAI's dialect is named so too.
pub fn provider_name(provider: Dialect) -> &'static str {
    match provider {
        Dialect::OpenAi => "openai",
        Dialect::AzureOpenAi => "azure.ai.openai",
    }
}

/// What a budget's downgrade did is no refusal.
fn refused(rule: &str) -> bool {
    !(rule.starts_with("budget/") && rule.ends_with("/downgrade"))
}

#[derive(PartialEq, Eq)]
struct Pair {
    subscription: SubscriptionId,
    model: ModelName,
}

/// Borrowed, so that a lookup allocates nothing.
#[derive(Hash)]
struct PairRef<'a> {
    subscription: &'a str,
    model: &'a str,
}

impl Hash for Pair {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let borrowed = PairRef {
            subscription: self.subscription.as_str(),
            model: self.model.as_str(),
        };
        borrowed.hash(state);
    }
}

impl Equivalent<Pair> for PairRef<'_> {
    fn equivalent(&self, pair: &Pair) -> bool {
        self.subscription == pair.subscription.as_str() && self.model == pair.model.as_str()
    }
}

#[derive(Default)]
struct PairSeries {
    /// In the order of [`Outcome::ALL`].
    outcomes: [AtomicU64; Outcome::ALL.len()],
    tokens: Tokens,
    money: Money,
    saved_tokens: AtomicU64,
    retries: AtomicU64,
}

impl PairSeries {
    fn count(&self, record: &CallRecord) {
        if let Some(count) = self.outcomes.get(record.outcome as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.tokens.add(&record.metered);
        self.money.add(record);
        if record.saved_tokens > 0 {
            self.saved_tokens
                .fetch_add(record.saved_tokens, Ordering::Relaxed);
        }
        if let Some(retries @ 1..) = record.attempts.len().checked_sub(1) {
            self.retries.fetch_add(retries as u64, Ordering::Relaxed);
        }
    }
}

#[derive(PartialEq, Eq)]
struct ModelKey {
    operation: Operation,
    provider: Dialect,
    error: Option<Outcome>,
    model: ModelName,
}

#[derive(Clone, Copy, Hash)]
struct ModelRef<'a> {
    operation: Operation,
    provider: Dialect,
    error: Option<Outcome>,
    model: &'a str,
}

impl ModelRef<'_> {
    fn owned(&self) -> ModelKey {
        ModelKey {
            operation: self.operation,
            provider: self.provider,
            error: self.error,
            model: self.model.into(),
        }
    }
}

impl ModelKey {
    fn borrowed(&self) -> ModelRef<'_> {
        ModelRef {
            operation: self.operation,
            provider: self.provider,
            error: self.error,
            model: self.model.as_str(),
        }
    }
}

impl Hash for ModelKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.borrowed().hash(state);
    }
}

impl Equivalent<ModelKey> for ModelRef<'_> {
    fn equivalent(&self, key: &ModelKey) -> bool {
        (self.operation, self.provider, self.error) == (key.operation, key.provider, key.error)
            && self.model == key.model.as_str()
    }
}

struct ModelSeries {
    duration: Histogram,
    first_chunk: Histogram,
    input: Histogram,
    output: Histogram,
}

impl ModelSeries {
    fn new() -> Self {
        Self {
            duration: Histogram::new(&CALL_TIME),
            first_chunk: Histogram::new(&FIRST_TIME),
            input: Histogram::new(&TOKENS),
            output: Histogram::new(&TOKENS),
        }
    }

    fn count(&self, record: &CallRecord) {
        self.duration.observe_time(record.latency);
        if let (true, Some(time)) = (record.opening.stream, record.first_byte) {
            self.first_chunk.observe_time(time);
        }
        let usage = record.metered.usage();
        self.input.observe(usage.prompt);
        self.output.observe(usage.completion);
    }
}

/// In the orders of [`Content::ALL`] and [`Ruling::ALL`].
#[derive(Default)]
struct GuardSeries {
    verdicts: [[AtomicU64; Ruling::ALL.len()]; Content::ALL.len()],
    failures: [AtomicU64; Content::ALL.len()],
}

impl GuardSeries {
    fn count(&self, verdict: &Verdict) {
        let on = verdict.on as usize;
        let count = self
            .verdicts
            .get(on)
            .and_then(|of| of.get(verdict.verdict as usize));
        if let Some(count) = count {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if verdict.failure.is_some()
            && let Some(count) = self.failures.get(on)
        {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct BackendSeries {
    /// Answered, then failures in the order of [`AttemptFailure::ALL`].
    endings: [AtomicU64; 1 + AttemptFailure::ALL.len()],
    duration: Histogram,
    first_byte: Histogram,
}

impl BackendSeries {
    fn new() -> Self {
        Self {
            endings: Default::default(),
            duration: Histogram::new(&CALL_TIME),
            first_byte: Histogram::new(&FIRST_TIME),
        }
    }

    fn count(&self, attempt: &AttemptRecord) {
        let ending = attempt.failure.map_or(0, |failure| 1 + failure as usize);
        if let Some(count) = self.endings.get(ending) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.duration.observe_time(attempt.latency);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_and_failures_are_counted_under_their_own_name() {
        for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index);
        }
        for (index, failure) in AttemptFailure::ALL.into_iter().enumerate() {
            assert_eq!(failure as usize, index);
        }
    }
}
