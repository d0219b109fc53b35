//! What many calls add up to: usage by hour and name, and quotas by period.
//!
//! The database keeps these sums next to the calls, and memory keeps them alone for calls that
//! neither disk nor memory had room for.

use std::collections::HashMap;
use std::ops::AddAssign;
use std::sync::Arc;

use domain::record::{CacheOutcome, CallRecord, Charge, ChargeUnit, Outcome};
use domain::{ApplicationName, BackendId, LimitId, ModelName, ProductId, SubscriptionId, Wall};

pub(super) const HOUR_MS: i64 = 3_600_000;

/// Stands for the names that a bounded map had no room for.
const OTHER: &str = "(other)";

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct UsageKey {
    /// Milliseconds since the epoch at which the hour starts, UTC.
    pub(super) hour: Wall,
    pub(super) subscription: SubscriptionId,
    pub(super) product: ProductId,
    pub(super) application: Option<ApplicationName>,
    pub(super) model: ModelName,
    pub(super) backend: Option<BackendId>,
    pub(super) outcome: Outcome,
    pub(super) cache: CacheOutcome,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct UsageSums {
    pub(super) calls: u64,
    pub(super) attempts: u64,
    pub(super) prompt: u64,
    pub(super) completion: u64,
    pub(super) cached_prompt: u64,
    pub(super) reasoning: u64,
    pub(super) total: u64,
    pub(super) estimated: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct QuotaKey {
    pub(super) limit: LimitId,
    pub(super) key: Arc<str>,
    pub(super) period_start: Wall,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct QuotaSum {
    pub(super) tokens: u64,
    /// When the latest of its calls began.
    pub(super) updated_at: Wall,
}

#[derive(Debug, Default)]
pub(super) struct Sums {
    pub(super) usage: HashMap<UsageKey, UsageSums>,
    pub(super) quotas: HashMap<QuotaKey, QuotaSum>,
}

impl Sums {
    pub(super) fn add(&mut self, record: &CallRecord) {
        let sums = self.usage.entry(UsageKey::of(record)).or_default();
        *sums += UsageSums::of(record);
        self.add_quotas(record, usize::MAX);
    }

    /// Past `keys_max` usage keys, the names that clients and the configuration's size multiply
    /// (application, model, backend) become one; what is left is bounded by subscriptions and
    /// hours. Past `keys_max` quota keys, further ones are left out: only a restart would read them.
    pub(super) fn add_within(&mut self, record: &CallRecord, keys_max: usize) {
        let mut key = UsageKey::of(record);
        if self.usage.len() >= keys_max && !self.usage.contains_key(&key) {
            key.application = None;
            key.model = OTHER.into();
            key.backend = None;
        }
        *self.usage.entry(key).or_default() += UsageSums::of(record);
        self.add_quotas(record, keys_max);
    }

    fn add_quotas(&mut self, record: &CallRecord, keys_max: usize) {
        let tokens = kept(record.metered.usage().total());
        for Charge { limit, key, unit } in &record.opening.charges {
            let ChargeUnit::Quota { period_start } = *unit else {
                continue;
            };
            let key = QuotaKey {
                limit: limit.clone(),
                key: Arc::clone(key),
                period_start,
            };
            if self.quotas.len() >= keys_max && !self.quotas.contains_key(&key) {
                continue;
            }
            let sum = self.quotas.entry(key).or_default();
            sum.tokens += tokens;
            sum.updated_at = sum.updated_at.max(record.opening.at);
        }
    }

    /// Puts back what could not be written.
    pub(super) fn merge(&mut self, other: Self) {
        for (key, sums) in other.usage {
            *self.usage.entry(key).or_default() += sums;
        }
        for (key, sum) in other.quotas {
            let into = self.quotas.entry(key).or_default();
            into.tokens += sum.tokens;
            into.updated_at = into.updated_at.max(sum.updated_at);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.usage.is_empty()
    }
}

impl UsageKey {
    fn of(record: &CallRecord) -> Self {
        let opening = &record.opening;
        Self {
            hour: hour_of(opening.at),
            subscription: opening.who.subscription.clone(),
            product: opening.who.product.clone(),
            application: opening.who.application.clone(),
            model: opening.model.clone(),
            backend: record.backend.clone(),
            outcome: record.outcome,
            cache: record.cache,
        }
    }
}

impl UsageSums {
    pub(super) fn of(record: &CallRecord) -> Self {
        let usage = record.metered.usage();
        let total = kept(usage.prompt) + kept(usage.completion);
        Self {
            calls: 1,
            attempts: record.attempts.len() as u64,
            prompt: kept(usage.prompt),
            completion: kept(usage.completion),
            cached_prompt: kept(usage.cached_prompt),
            reasoning: kept(usage.reasoning),
            total,
            estimated: if record.metered.is_estimated() {
                total
            } else {
                0
            },
        }
    }
}

impl AddAssign for UsageSums {
    fn add_assign(&mut self, other: Self) {
        let Self {
            calls,
            attempts,
            prompt,
            completion,
            cached_prompt,
            reasoning,
            total,
            estimated,
        } = other;
        self.calls += calls;
        self.attempts += attempts;
        self.prompt += prompt;
        self.completion += completion;
        self.cached_prompt += cached_prompt;
        self.reasoning += reasoning;
        self.total += total;
        self.estimated += estimated;
    }
}

pub(super) fn hour_of(at: Wall) -> Wall {
    Wall(at.0.div_euclid(HOUR_MS) * HOUR_MS)
}

/// A provider that reports more than a trillion tokens is wrong, and must not make the sums of
/// honest calls overflow: four million such calls still fit the database's 63 bits.
pub(super) fn kept(tokens: u64) -> u64 {
    tokens.min(1 << 40)
}
