//! What many calls add up to: usage by hour and name, quotas and budgets by period.
//!
//! The database keeps these sums next to the calls, and memory keeps them alone for calls that
//! neither disk nor memory had room for.

use std::ops::AddAssign;
use std::sync::Arc;

use domain::record::{CacheOutcome, CallRecord, Charge, ChargeUnit, Outcome};
use domain::{
    ApplicationName, BackendId, Currency, LimitId, ModelName, Nanos, PriceId, ProductId,
    SubscriptionId, Wall,
};
use foldhash::HashMap;

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
    /// None for calls that are unpriced or owe nothing.
    pub(super) currency: Option<Currency>,
    pub(super) price: Option<PriceId>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct UsageSums {
    pub(super) calls: u64,
    pub(super) attempts: u64,
    pub(super) prompt: u64,
    pub(super) completion: u64,
    pub(super) cached_prompt: u64,
    pub(super) cache_write: u64,
    pub(super) reasoning: u64,
    pub(super) audio_prompt: u64,
    pub(super) audio_completion: u64,
    pub(super) images: u64,
    pub(super) total: u64,
    pub(super) estimated: u64,
    pub(super) unpriced_calls: u64,
    pub(super) unpriced: u64,
    pub(super) cost: Nanos,
    /// The part of `cost` whose tokens are estimated.
    pub(super) estimated_cost: Nanos,
    pub(super) saved: Nanos,
    pub(super) saved_tokens: u64,
    /// Cached answers that would have been given and were held against the provider's.
    pub(super) compared: u64,
    pub(super) compared_wrong: u64,
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

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct BudgetKey {
    pub(super) limit: LimitId,
    pub(super) key: Arc<str>,
    pub(super) period_start: Wall,
    pub(super) hour: Wall,
    pub(super) currency: Currency,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BudgetSum {
    pub(super) spent: Nanos,
    /// When the latest of its calls began.
    pub(super) updated_at: Wall,
}

/// The amounts that sums of usage have, and what a row of `calls` adds to each.
pub(super) const AMOUNTS: [(&str, &str); 20] = [
    ("calls", "cache IN ('off', 'hit', 'miss')"),
    ("attempts", "attempts"),
    ("prompt_tokens", "prompt_tokens"),
    ("completion_tokens", "completion_tokens"),
    ("cached_prompt_tokens", "cached_prompt_tokens"),
    ("cache_write_tokens", "cache_write_tokens"),
    ("reasoning_tokens", "reasoning_tokens"),
    ("audio_prompt_tokens", "audio_prompt_tokens"),
    ("audio_completion_tokens", "audio_completion_tokens"),
    ("images", "images"),
    ("total_tokens", "prompt_tokens + completion_tokens"),
    (
        "estimated_tokens",
        "estimated * (prompt_tokens + completion_tokens)",
    ),
    ("unpriced_calls", "cost IS NULL"),
    (
        "unpriced_tokens",
        "(cost IS NULL) * (prompt_tokens + completion_tokens)",
    ),
    ("cost", "ifnull(cost, 0)"),
    ("estimated_cost", "estimated * ifnull(cost, 0)"),
    ("saved", "saved"),
    ("saved_tokens", "saved_tokens"),
    ("compared", "cache IN ('shadow_right', 'shadow_wrong')"),
    ("compared_wrong", "cache = 'shadow_wrong'"),
];

#[derive(Debug, Default)]
pub(super) struct Sums {
    pub(super) usage: HashMap<UsageKey, UsageSums>,
    /// Only of calls that began before `by_user_before`.
    pub(super) by_user: HashMap<Option<Arc<str>>, HashMap<UsageKey, UsageSums>>,
    by_user_before: Wall,
    pub(super) quotas: HashMap<QuotaKey, QuotaSum>,
    pub(super) budgets: HashMap<BudgetKey, BudgetSum>,
}

impl Sums {
    /// For a batch, whose users are few.
    pub(super) fn by_user_before(time: Wall) -> Self {
        Self {
            by_user_before: time,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, record: &CallRecord) {
        let (key, of_call) = (UsageKey::of(record), UsageSums::of(record));
        if record.opening.at < self.by_user_before {
            let of_user = self
                .by_user
                .entry(record.opening.who.user.clone())
                .or_default();
            *of_user.entry(key.clone()).or_default() += of_call;
        }
        *self.usage.entry(key).or_default() += of_call;
        self.add_charges(record, usize::MAX);
    }

    /// Past `keys_max` usage keys, the names that clients and the configuration's size multiply
    /// (application, model, backend, price) become one; what is left is bounded by subscriptions and
    /// hours. Past `keys_max` keys of quotas or budgets, further ones are left out: only a restart
    /// would read them.
    pub(super) fn add_within(&mut self, record: &CallRecord, keys_max: usize) {
        let mut key = UsageKey::of(record);
        if self.usage.len() >= keys_max && !self.usage.contains_key(&key) {
            key.application = None;
            key.model = OTHER.into();
            key.backend = None;
            key.price = None;
        }
        *self.usage.entry(key).or_default() += UsageSums::of(record);
        self.add_charges(record, keys_max);
    }

    fn add_charges(&mut self, record: &CallRecord, keys_max: usize) {
        for charge in &record.opening.charges {
            match charge.unit {
                ChargeUnit::TokensPerMinute | ChargeUnit::RequestsPerMinute => {}
                ChargeUnit::Quota { period_start } => {
                    self.add_quota(record, charge, period_start, keys_max);
                }
                ChargeUnit::Budget { period_start } => {
                    self.add_budget(record, charge, period_start, keys_max);
                }
            }
        }
    }

    fn add_quota(&mut self, record: &CallRecord, charge: &Charge, period_start: Wall, max: usize) {
        let key = QuotaKey {
            limit: charge.limit.clone(),
            key: Arc::clone(&charge.key),
            period_start,
        };
        if self.quotas.len() >= max && !self.quotas.contains_key(&key) {
            return;
        }
        let sum = self.quotas.entry(key).or_default();
        sum.tokens += kept(record.metered.usage().total());
        sum.updated_at = sum.updated_at.max(record.opening.at);
    }

    /// What is owed nothing or nobody knows how much takes nothing from a budget.
    fn add_budget(&mut self, record: &CallRecord, charge: &Charge, period_start: Wall, max: usize) {
        let Some(currency) = record.cost.currency() else {
            return;
        };
        let key = BudgetKey {
            limit: charge.limit.clone(),
            key: Arc::clone(&charge.key),
            period_start,
            hour: hour_of(record.opening.at),
            currency,
        };
        if self.budgets.len() >= max && !self.budgets.contains_key(&key) {
            return;
        }
        let sum = self.budgets.entry(key).or_default();
        sum.spent += Nanos(kept_money(record.cost.amount()));
        sum.updated_at = sum.updated_at.max(record.opening.at);
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
        for (key, sum) in other.budgets {
            let into = self.budgets.entry(key).or_default();
            into.spent += sum.spent;
            into.updated_at = into.updated_at.max(sum.updated_at);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.usage.is_empty()
    }

    /// Nearly as the database keeps them: it finds the place of a row sooner next to the last one's.
    pub(super) fn usage_in_order(&self) -> Vec<(&UsageKey, &UsageSums)> {
        let mut usage: Vec<_> = self.usage.iter().collect();
        usage.sort_unstable_by(|(one, _), (other, _)| one.place().cmp(&other.place()));
        usage
    }

    /// As `usage_in_order`.
    pub(super) fn quotas_in_order(&self) -> Vec<(&QuotaKey, &QuotaSum)> {
        let mut quotas: Vec<_> = self.quotas.iter().collect();
        quotas.sort_unstable_by(|(one, _), (other, _)| one.place().cmp(&other.place()));
        quotas
    }

    /// How many sums there are.
    pub(super) fn keys(&self) -> usize {
        let by_user: usize = self.by_user.values().map(HashMap::len).sum();
        self.usage.len() + by_user + self.quotas.len() + self.budgets.len()
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
            currency: record.cost.currency(),
            price: record.cost.price().cloned(),
        }
    }
}

impl UsageKey {
    fn place(&self) -> impl Ord {
        let application = self.application.as_ref().map(|name| name.as_str());
        (
            self.hour,
            self.subscription.as_str(),
            self.product.as_str(),
            application,
            self.model.as_str(),
        )
    }
}

impl QuotaKey {
    fn place(&self) -> impl Ord {
        (self.limit.as_str(), &*self.key)
    }
}

impl UsageSums {
    pub(super) fn of(record: &CallRecord) -> Self {
        let usage = record.metered.usage();
        let total = kept(usage.prompt) + kept(usage.completion);
        let cost = Nanos(kept_money(record.cost.amount()));
        let (is_estimated, is_unpriced) =
            (record.metered.is_estimated(), record.cost.is_unpriced());
        let would_have_been_right = record.cache.would_have_been_right();
        Self {
            calls: u64::from(record.cache.is_call()),
            attempts: record.attempts.len() as u64,
            prompt: kept(usage.prompt),
            completion: kept(usage.completion),
            cached_prompt: kept(usage.cached_prompt),
            cache_write: kept(usage.cache_write),
            reasoning: kept(usage.reasoning),
            audio_prompt: kept(usage.audio_prompt),
            audio_completion: kept(usage.audio_completion),
            images: kept(usage.images),
            total,
            estimated: if is_estimated { total } else { 0 },
            unpriced_calls: u64::from(is_unpriced),
            unpriced: if is_unpriced { total } else { 0 },
            cost,
            estimated_cost: if is_estimated { cost } else { Nanos::ZERO },
            saved: Nanos(kept_money(record.saved)),
            saved_tokens: kept(record.saved_tokens),
            compared: u64::from(would_have_been_right.is_some()),
            compared_wrong: u64::from(would_have_been_right == Some(false)),
        }
    }

    /// In the order of `AMOUNTS`.
    pub(super) fn amounts(&self) -> [i64; AMOUNTS.len()] {
        let Self {
            calls,
            attempts,
            prompt,
            completion,
            cached_prompt,
            cache_write,
            reasoning,
            audio_prompt,
            audio_completion,
            images,
            total,
            estimated,
            unpriced_calls,
            unpriced,
            cost,
            estimated_cost,
            saved,
            saved_tokens,
            compared,
            compared_wrong,
        } = *self;
        [
            calls.cast_signed(),
            attempts.cast_signed(),
            prompt.cast_signed(),
            completion.cast_signed(),
            cached_prompt.cast_signed(),
            cache_write.cast_signed(),
            reasoning.cast_signed(),
            audio_prompt.cast_signed(),
            audio_completion.cast_signed(),
            images.cast_signed(),
            total.cast_signed(),
            estimated.cast_signed(),
            unpriced_calls.cast_signed(),
            unpriced.cast_signed(),
            cost.0,
            estimated_cost.0,
            saved.0,
            saved_tokens.cast_signed(),
            compared.cast_signed(),
            compared_wrong.cast_signed(),
        ]
    }

    pub(super) fn from_amounts(amounts: [i64; AMOUNTS.len()]) -> Self {
        let [
            calls,
            attempts,
            prompt,
            completion,
            cached_prompt,
            cache_write,
            reasoning,
            audio_prompt,
            audio_completion,
            images,
            total,
            estimated,
            unpriced_calls,
            unpriced,
            cost,
            estimated_cost,
            saved,
            saved_tokens,
            compared,
            compared_wrong,
        ] = amounts;
        Self {
            calls: calls.cast_unsigned(),
            attempts: attempts.cast_unsigned(),
            prompt: prompt.cast_unsigned(),
            completion: completion.cast_unsigned(),
            cached_prompt: cached_prompt.cast_unsigned(),
            cache_write: cache_write.cast_unsigned(),
            reasoning: reasoning.cast_unsigned(),
            audio_prompt: audio_prompt.cast_unsigned(),
            audio_completion: audio_completion.cast_unsigned(),
            images: images.cast_unsigned(),
            total: total.cast_unsigned(),
            estimated: estimated.cast_unsigned(),
            unpriced_calls: unpriced_calls.cast_unsigned(),
            unpriced: unpriced.cast_unsigned(),
            cost: Nanos(cost),
            estimated_cost: Nanos(estimated_cost),
            saved: Nanos(saved),
            saved_tokens: saved_tokens.cast_unsigned(),
            compared: compared.cast_unsigned(),
            compared_wrong: compared_wrong.cast_unsigned(),
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
            cache_write,
            reasoning,
            audio_prompt,
            audio_completion,
            images,
            total,
            estimated,
            unpriced_calls,
            unpriced,
            cost,
            estimated_cost,
            saved,
            saved_tokens,
            compared,
            compared_wrong,
        } = other;
        self.calls += calls;
        self.attempts += attempts;
        self.prompt += prompt;
        self.completion += completion;
        self.cached_prompt += cached_prompt;
        self.cache_write += cache_write;
        self.reasoning += reasoning;
        self.audio_prompt += audio_prompt;
        self.audio_completion += audio_completion;
        self.images += images;
        self.total += total;
        self.estimated += estimated;
        self.unpriced_calls += unpriced_calls;
        self.unpriced += unpriced;
        self.cost += cost;
        self.estimated_cost += estimated_cost;
        self.saved += saved;
        self.saved_tokens += saved_tokens;
        self.compared += compared;
        self.compared_wrong += compared_wrong;
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

/// As `kept`: no call costs nine million units, and a thousand that claim to still fit.
pub(super) fn kept_money(amount: Nanos) -> i64 {
    amount.0.clamp(-(1 << 53), 1 << 53)
}
