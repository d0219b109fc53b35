//! Calls of one day, gathered into charges as they are read.

use std::collections::BTreeMap;

use domain::Usage;
use domain::money::{Currency, Nanos};
use domain::price::Kind;

use super::document::Document;
use super::{Charge, Meter, Pair, Prices, Provider, Span};
use crate::decimal::Decimal;

/// Whose call it was, and of what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    pub subscription: String,
    pub product: String,
    pub application: Option<String>,
    pub model: String,
    /// If a budget had `model` answer instead.
    pub asked_model: Option<String>,
    pub backend: Option<String>,
}

/// A call, or calls of which only the sums are known.
#[derive(Clone, Debug)]
pub struct Call {
    pub group: Group,
    pub usage: Usage,
    pub is_estimated: bool,
    /// Absent: no price is known.
    pub cost: Option<Cost>,
    pub saved: Nanos,
    /// Sums of several calls cannot be split by kinds: prices depend on each prompt's length.
    pub is_sum: bool,
}

#[derive(Clone, Debug)]
pub struct Cost {
    pub amount: Nanos,
    pub currency: Currency,
    pub price: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    group: Group,
    currency: Currency,
    price: Option<String>,
    tier: Option<String>,
    meter: Meter,
    prices: Option<Prices>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    quantity: u64,
    estimated: u64,
    billed: Nanos,
    saved: Nanos,
}

/// Rows of one day. Names of applications are the clients', so a day of more is not gathered.
pub const ROWS_MAX: usize = 1_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a day has more than {ROWS_MAX} different charges; take parts of a day with --since and --until"
)]
pub struct TooManyCharges;

#[derive(Debug)]
pub struct Day {
    /// Of calls that cost nothing known.
    home: Currency,
    charges: BTreeMap<Key, Sums>,
    unpriced_calls: u64,
}

impl Day {
    pub fn new(home: Currency) -> Self {
        Self {
            home,
            charges: BTreeMap::new(),
            unpriced_calls: 0,
        }
    }

    pub fn unpriced_calls(&self) -> u64 {
        self.unpriced_calls
    }

    /// `document`: what the call's price stands for.
    pub fn add(&mut self, call: &Call, document: Option<&Document>) -> Result<(), TooManyCharges> {
        let Some(cost) = &call.cost else {
            self.unpriced_calls += 1;
            return self.add_unpriced(call);
        };
        let items = match document {
            Some(document) if !call.is_sum => document.items(&call.usage),
            Some(_) | None => None,
        };
        let parts = items.and_then(|items| {
            let exact = items.iter().map(|item| {
                let meter = meter(item.kind);
                meter
                    .pricing_quantity(item.count)
                    .times(item.prices.billing.contracted)
            });
            let billed = split(cost.amount, &exact.collect::<Vec<_>>())?;
            Some(items.into_iter().zip(billed).collect::<Vec<_>>())
        });
        let key = |meter, tier, prices| Key {
            group: call.group.clone(),
            currency: cost.currency,
            price: Some(cost.price.clone()),
            tier,
            meter,
            prices,
        };
        let Some(parts) = parts else {
            // Charged by other rates than the price has for it, as an interrupted call is.
            let (meter, quantity) = all_together(&call.usage);
            return self.sum(
                key(meter, None, None),
                call,
                quantity,
                cost.amount,
                call.saved,
            );
        };
        let mut saved = call.saved;
        for (item, billed) in parts {
            let of_item = match item.kind {
                Kind::CachedInput => std::mem::take(&mut saved),
                _ => Nanos::ZERO,
            };
            let key = key(meter(item.kind), Some(item.tier), Some(item.prices));
            self.sum(key, call, item.count, billed, of_item)?;
        }
        Ok(())
    }

    fn add_unpriced(&mut self, call: &Call) -> Result<(), TooManyCharges> {
        for (kind, count) in domain::price::kinds(&call.usage) {
            if count > 0 {
                let key = Key {
                    group: call.group.clone(),
                    currency: self.home,
                    price: None,
                    tier: None,
                    meter: meter(kind),
                    prices: None,
                };
                self.sum(key, call, count, Nanos::ZERO, Nanos::ZERO)?;
            }
        }
        Ok(())
    }

    fn sum(
        &mut self,
        key: Key,
        call: &Call,
        quantity: u64,
        billed: Nanos,
        saved: Nanos,
    ) -> Result<(), TooManyCharges> {
        if self.charges.len() >= ROWS_MAX && !self.charges.contains_key(&key) {
            return Err(TooManyCharges);
        }
        let sums = self.charges.entry(key).or_default();
        sums.quantity = sums.quantity.saturating_add(quantity);
        if call.is_estimated {
            sums.estimated = sums.estimated.saturating_add(quantity);
        }
        sums.billed += billed;
        sums.saved += saved;
        Ok(())
    }

    pub fn into_charges(
        self,
        charge_period: Span,
        billing_period: Span,
        directory: &Directory,
    ) -> impl Iterator<Item = Charge> {
        self.charges.into_iter().map(move |(key, sums)| {
            let Key {
                group,
                currency,
                price,
                tier,
                meter,
                prices,
            } = key;
            // Charged, at a price that is only known for all kinds together.
            let average = || average(meter, currency, sums.billed, sums.quantity);
            let prices = prices.or_else(|| price.as_ref().map(|_| average()));
            Charge {
                billing_period,
                charge_period,
                subscription_name: directory.subscriptions.get(&group.subscription).cloned(),
                provider: directory.provider(group.backend.as_deref()),
                subscription: group.subscription,
                product: group.product,
                application: group.application,
                model: group.model,
                asked_model: group.asked_model,
                backend: group.backend,
                meter,
                tier,
                quantity: sums.quantity,
                estimated: sums.estimated,
                currency,
                billed: sums.billed,
                saved: sums.saved,
                prices,
                price_id: price.filter(|id| !id.is_empty()),
            }
        })
    }
}

/// What the ledger's ids are called, as far as anybody knows.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    pub subscriptions: BTreeMap<String, String>,
    pub providers: BTreeMap<String, Provider>,
}

impl Directory {
    pub fn provider(&self, backend: Option<&str>) -> Provider {
        match backend {
            None => Provider::unknown(),
            Some(id) => match self.providers.get(id) {
                Some(provider) => provider.clone(),
                None => Provider::of_backend(id, None),
            },
        }
    }
}

fn all_together(usage: &Usage) -> (Meter, u64) {
    match (usage.total(), usage.images) {
        (0, images @ 1..) => (Meter::Image, images),
        (tokens, _) => (Meter::Tokens, tokens),
    }
}

fn meter(kind: Kind) -> Meter {
    match kind {
        Kind::Input => Meter::Input,
        Kind::CachedInput => Meter::CachedInput,
        Kind::CacheWrite => Meter::CacheWrite,
        Kind::CacheWriteHour => Meter::CacheWriteHour,
        Kind::AudioInput => Meter::AudioInput,
        Kind::Output => Meter::Output,
        Kind::Reasoning => Meter::Reasoning,
        Kind::AudioOutput => Meter::AudioOutput,
        Kind::Image => Meter::Image,
    }
}

/// An amount over its parts, which add up to it but for rounding: each whole nanos, all together the
/// amount. `None` if they do not add up to it.
fn split(amount: Nanos, exact: &[Decimal]) -> Option<Vec<Nanos>> {
    let total: Decimal = exact.iter().copied().sum();
    let nano = Decimal::new(1, 9)?;
    if (Decimal::from(amount) - total).abs() > nano {
        return None;
    }
    let mut parts: Vec<Nanos> = exact.iter().map(|part| part.whole_nanos()).collect();
    let given: Nanos = parts.iter().copied().sum();
    let rest = amount - given;
    let largest = (0..parts.len()).max_by_key(|index| exact[*index])?;
    parts[largest] += rest;
    Some(parts)
}

/// So that price times quantity is the cost, as near as a price can be.
fn average(meter: Meter, currency: Currency, billed: Nanos, quantity: u64) -> Prices {
    let units = quantity.saturating_mul(1_000_000 / meter.units_priced());
    let price = Decimal::average_per_million(billed, units);
    let pair = Pair {
        list: price,
        contracted: price,
    };
    Prices {
        billing: pair,
        pricing: pair,
        pricing_currency: currency,
    }
}

#[cfg(test)]
mod tests;
