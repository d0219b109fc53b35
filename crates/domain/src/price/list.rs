//! Prices as a call finds them: by backend, then by time. Made when the configuration loads.

use std::sync::Arc;

use super::{Price, Rates};
use crate::ids::BackendId;
use crate::money::{Currency, Nanos};
use crate::record::{Cost, OpeningPrice, PriceId};
use crate::time::Wall;
use crate::usage::{ServiceTier, Usage};

/// What one model costs somebody at each backend that may answer it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceList {
    pub members: Vec<(BackendId, Schedule)>,
}

/// The price of each time, `None` while there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// By when it begins; the first begins before all times.
    spans: Vec<(Wall, Option<Arc<Price>>)>,
}

/// What of a call can make it dearer, as far as known before it is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// A bound of them: long prompts cost more by the token.
    pub prompt_tokens: u64,
    /// That it asks for. A provider may serve it at the standard one instead.
    pub tier: ServiceTier,
    /// It may write a provider's prompt cache, which costs more than reading.
    pub writes_cache: bool,
    pub has_audio: bool,
}

/// The most that a call's tokens can cost at any backend that may answer it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ceiling {
    pub prompt_per_million: Nanos,
    pub completion_per_million: Nanos,
    pub currency: Currency,
    /// Of the dearest prompt.
    pub price: Arc<Price>,
}

impl PriceList {
    pub fn price(&self, backend: &BackendId, at: Wall) -> Option<&Arc<Price>> {
        let (_, schedule) = self.members.iter().find(|(member, _)| member == backend)?;
        schedule.at(at)
    }

    /// The one of that id, whichever backend's.
    pub fn named(&self, id: &PriceId, at: Wall) -> Option<&Arc<Price>> {
        let mut prices = self.members.iter().filter_map(|(_, of)| of.at(at));
        prices.find(|price| price.id == *id)
    }

    /// What usage at a backend costs, and what its prompt cache saved.
    pub fn cost(&self, backend: &BackendId, at: Wall, usage: &Usage) -> (Cost, Nanos) {
        match self.price(backend, at) {
            Some(price) => price.cost(usage),
            None => (Cost::without_price(usage), Nanos::ZERO),
        }
    }

    /// A call that needed not be made: what its usage costs where it costs least was saved, at least. What it
    /// cost is an amount of zero, so that the saving has a currency and a price that made it.
    pub fn spared(&self, at: Wall, usage: &Usage) -> (Cost, Nanos) {
        let prices = self.members.iter().filter_map(|(_, of)| of.at(at));
        let bills = prices.filter_map(|price| Some((price.bill(usage)?.amount, price)));
        let Some((saved, price)) = bills.min_by_key(|(amount, _)| *amount) else {
            return (Cost::Nothing, Nanos::ZERO);
        };
        let cost = Cost::Priced {
            amount: Nanos::ZERO,
            currency: price.currency,
            price: price.id.clone(),
        };
        (cost, saved)
    }

    /// `Err`: a backend that may answer the call has no price for it.
    pub fn ceiling(&self, at: Wall, ask: &Ask) -> Result<Ceiling, BackendId> {
        let mut ceiling: Option<Ceiling> = None;
        for (backend, schedule) in &self.members {
            let bound = schedule.at(at).and_then(|price| Price::ceiling(price, ask));
            let Some(bound) = bound else {
                return Err(backend.clone());
            };
            ceiling = Some(match ceiling {
                None => bound,
                Some(other) => other.or_dearer(bound),
            });
        }
        ceiling.ok_or_else(|| BackendId::from(""))
    }
}

impl Schedule {
    /// By when each begins, ascending. Neighbours that are the same price are one.
    pub fn new(spans: impl IntoIterator<Item = (Wall, Option<Arc<Price>>)>) -> Self {
        let mut distinct: Vec<(Wall, Option<Arc<Price>>)> = Vec::new();
        for span in spans {
            if distinct.last().is_none_or(|(_, price)| *price != span.1) {
                distinct.push(span);
            }
        }
        Self { spans: distinct }
    }

    /// At one time for ever.
    pub fn always(price: Price) -> Self {
        Self::new([(Wall(i64::MIN), Some(Arc::new(price)))])
    }

    pub fn at(&self, at: Wall) -> Option<&Arc<Price>> {
        let (_, price) = self.spans.iter().rev().find(|(since, _)| *since <= at)?;
        price.as_ref()
    }

    /// The first time from `at` on at which there is no price.
    pub fn gap_from(&self, at: Wall) -> Option<Wall> {
        if self.at(at).is_none() {
            return Some(at);
        }
        let gap = |(since, price): &&(Wall, Option<Arc<Price>>)| *since > at && price.is_none();
        self.spans.iter().find(gap).map(|(since, _)| *since)
    }

    /// By when each begins.
    pub fn spans(&self) -> &[(Wall, Option<Arc<Price>>)] {
        &self.spans
    }

    pub fn prices(&self) -> impl Iterator<Item = &Arc<Price>> {
        self.spans.iter().filter_map(|(_, price)| price.as_ref())
    }
}

impl Price {
    /// `None` if there is no rate for what the call may use.
    pub fn ceiling(self: &Arc<Self>, ask: &Ask) -> Option<Ceiling> {
        let standard = self.card.rates(ServiceTier::Standard, ask.prompt_tokens);
        let asked = self.card.rates(ask.tier, ask.prompt_tokens);
        let bound = |of: fn(&Rates, &Ask) -> Option<Nanos>| {
            let rates = [standard, asked].into_iter().flatten();
            rates.filter_map(|rates| of(&rates, ask)).max()
        };
        let prompt = bound(Rates::prompt_bound)?;
        // Without a rate for answers, as embeddings have none: nothing that could be charged.
        let completion = bound(Rates::completion_bound).unwrap_or_default();
        Some(Ceiling {
            prompt_per_million: self.factor.rate_bound(prompt),
            completion_per_million: self.factor.rate_bound(completion),
            currency: self.currency,
            price: Arc::clone(self),
        })
    }
}

impl Rates {
    fn prompt_bound(&self, ask: &Ask) -> Option<Nanos> {
        let input = self.input?;
        let written = [self.cache_write, self.cache_write_1h];
        let dearer = written.into_iter().flatten().filter(|_| ask.writes_cache);
        let audio = self.audio_input.into_iter().filter(|_| ask.has_audio);
        let cached = self.cached_input;
        dearer.chain(audio).chain(cached).chain([input]).max()
    }

    fn completion_bound(&self, ask: &Ask) -> Option<Nanos> {
        let output = self.output?;
        let audio = self.audio_output.filter(|_| ask.has_audio);
        self.reasoning
            .into_iter()
            .chain(audio)
            .chain([output])
            .max()
    }
}

impl Ceiling {
    fn or_dearer(self, other: Self) -> Self {
        let completion_per_million = self
            .completion_per_million
            .max(other.completion_per_million);
        let dearer = if other.prompt_per_million > self.prompt_per_million {
            other
        } else {
            self
        };
        Self {
            completion_per_million,
            ..dearer
        }
    }

    /// What an interrupted call is charged.
    pub fn opening(&self) -> OpeningPrice {
        OpeningPrice {
            id: self.price.id.clone(),
            currency: self.currency,
            prompt_per_million: self.prompt_per_million,
            completion_per_million: self.completion_per_million,
        }
    }
}
