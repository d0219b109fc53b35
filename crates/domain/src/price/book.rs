//! The price book: everything that is known of prices, and the rules by which one of them applies.
//!
//! Prices stand at five scopes, from the catalogue to a single subscription. The narrowest scope
//! that has a price for a model gives it. Percentages change prices of their own scope and of wider
//! ones, never a narrower one: a price negotiated with a team is what the team pays.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Factor, Price, RateCard, Schedule};
use crate::ids::{BackendId, ModelName, ProductId, SubscriptionId};
use crate::money::Currency;
use crate::record::PriceId;
use crate::time::Wall;

/// By whom each list is looked up.
#[derive(Clone, Debug, Default)]
pub struct Book {
    pub exchange_rates: Vec<ExchangeRate>,
    /// By the model and the backend that may answer it.
    pub catalogue: HashMap<(ModelName, BackendId), Vec<Entry>>,
    pub models: HashMap<ModelName, Vec<Entry>>,
    pub backends: HashMap<BackendId, Vec<Entry>>,
    pub products: HashMap<ProductId, Vec<Entry>>,
    pub subscriptions: HashMap<SubscriptionId, Vec<Entry>>,
}

/// One line of the book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is: `backends[eastus].prices[0]`. A part of a price's identity.
    pub origin: Arc<str>,
    /// Where it was read: `tollgate.yaml:12`.
    pub written: Arc<str>,
    /// Absent: every model.
    pub models: Option<Vec<ModelName>>,
    pub since: Option<Wall>,
    /// Not included.
    pub until: Option<Wall>,
    pub term: Term,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// A price of its own.
    Rates {
        card: Arc<RateCard>,
        currency: Currency,
    },
    /// Paid by the hour, whatever is used: its calls cost nothing more.
    Provisioned,
    /// A discount or a mark-up on what wider scopes say.
    Percent(Factor),
}

/// How many `to` one `from` is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeRate {
    /// Where it was read: `tollgate.yaml:12`.
    pub written: Arc<str>,
    pub from: Currency,
    pub to: Currency,
    pub rate: Factor,
    pub since: Option<Wall>,
}

/// Whose price is asked for. Without product and subscription: what the model costs by itself.
#[derive(Clone, Copy, Debug)]
pub struct Question<'q> {
    pub model: &'q ModelName,
    pub backend: &'q BackendId,
    pub product: Option<&'q ProductId>,
    pub subscription: Option<&'q SubscriptionId>,
    /// What amounts shall be in.
    pub currency: Currency,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Catalogue,
    Model,
    Backend,
    Product,
    Subscription,
}

/// Which price applies at a time, and why.
#[derive(Clone, Debug)]
pub struct Answer<'b> {
    /// Absent: nothing says what it costs.
    pub chosen: Option<(Level, &'b Entry)>,
    /// Percentages that apply to it, widest scope first.
    pub adjustments: Vec<(Level, &'b Entry)>,
    pub exchange: Exchange<'b>,
    pub passed_over: Vec<(Level, &'b Entry, PassedOver)>,
    /// What amounts are in.
    pub currency: Currency,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange<'b> {
    /// The price is in the wanted currency.
    Same,
    By(&'b ExchangeRate),
    /// No rate is in effect, so the price is none.
    Missing {
        from: Currency,
        to: Currency,
    },
}

/// Why an entry that names the model does not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassedOver {
    /// It begins later.
    NotYet,
    /// It has ended, or a later one took its place.
    NoLonger,
    /// One of its scope names the model.
    LessSpecific,
    /// A narrower scope has a price.
    Narrower,
    /// It is a percentage, and the price is of a narrower scope.
    PriceIsNarrower,
}

impl Book {
    /// Which price applies at this time.
    pub fn answer<'b>(&'b self, question: &Question<'_>, at: Wall) -> Answer<'b> {
        let mut passed_over = Vec::new();
        let (mut chosen, mut adjustments) = (None, Vec::new());
        for (level, entries) in self.levels(question) {
            let model = question.model;
            let (prices, percentages): (Vec<_>, Vec<_>) = entries
                .iter()
                .filter(|entry| entry.concerns(model))
                .partition(|entry| !matches!(entry.term, Term::Percent(_)));
            for kind in [prices, percentages] {
                let best = best(&kind, at);
                for entry in kind {
                    match best {
                        Some(best) if std::ptr::eq(best, entry) => {}
                        best => passed_over.push((level, entry, entry.fault(best, at))),
                    }
                }
                match best {
                    Some(entry) if matches!(entry.term, Term::Percent(_)) => {
                        adjustments.push((level, entry));
                    }
                    Some(entry) => {
                        let wider = chosen.replace((level, entry));
                        passed_over.extend(
                            wider.map(|(level, entry)| (level, entry, PassedOver::Narrower)),
                        );
                    }
                    None => {}
                }
            }
        }
        let narrowest = chosen.map(|(level, _)| level);
        adjustments.retain(|&(level, entry)| {
            let applies = narrowest.is_none_or(|narrowest| level >= narrowest);
            if !applies {
                passed_over.push((level, entry, PassedOver::PriceIsNarrower));
            }
            applies
        });
        passed_over.sort_by_key(|(level, ..)| *level);
        Answer {
            exchange: chosen.map_or(Exchange::Same, |(_, entry)| {
                self.exchange(entry, question.currency, at)
            }),
            chosen,
            adjustments,
            passed_over,
            currency: question.currency,
        }
    }

    /// The prices of all times, each made of its answer by `price`: see [`Answer::price`].
    pub fn schedule(
        &self,
        question: &Question<'_>,
        price: &mut dyn FnMut(&Answer<'_>) -> Option<Arc<Price>>,
    ) -> Schedule {
        let changes = self.changes(question).into_iter();
        Schedule::new(changes.map(|since| (since, price(&self.answer(question, since)))))
    }

    /// Whether anything at these two scopes could change what the model costs by itself.
    pub fn is_overridden(&self, question: &Question<'_>) -> bool {
        self.levels(question).any(|(level, entries)| {
            level >= Level::Product && entries.iter().any(|entry| entry.concerns(question.model))
        })
    }

    /// When the price may change, ascending, and before all times.
    fn changes(&self, question: &Question<'_>) -> Vec<Wall> {
        let of_entries = self
            .levels(question)
            .flat_map(|(_, entries)| entries)
            .filter(|entry| entry.concerns(question.model))
            .flat_map(|entry| [entry.since, entry.until]);
        let of_rates = self.exchange_rates.iter().map(|rate| rate.since);
        let mut changes: Vec<Wall> = of_entries.chain(of_rates).flatten().collect();
        changes.push(Wall(i64::MIN));
        changes.sort_unstable();
        changes.dedup();
        changes
    }

    fn levels<'b>(
        &'b self,
        question: &Question<'_>,
    ) -> impl Iterator<Item = (Level, &'b [Entry])> + use<'b> {
        let pair = (question.model.clone(), question.backend.clone());
        let product = question.product.and_then(|id| self.products.get(id));
        let subscription = question
            .subscription
            .and_then(|id| self.subscriptions.get(id));
        [
            (Level::Catalogue, self.catalogue.get(&pair)),
            (Level::Model, self.models.get(question.model)),
            (Level::Backend, self.backends.get(question.backend)),
            (Level::Product, product),
            (Level::Subscription, subscription),
        ]
        .into_iter()
        .map(|(level, entries)| (level, entries.map_or(&[][..], Vec::as_slice)))
    }

    fn exchange(&self, entry: &Entry, to: Currency, at: Wall) -> Exchange<'_> {
        let from = match &entry.term {
            Term::Rates { currency, .. } if *currency != to => *currency,
            Term::Rates { .. } | Term::Provisioned | Term::Percent(_) => return Exchange::Same,
        };
        let in_effect = |rate: &&ExchangeRate| {
            rate.from == from && rate.to == to && rate.since.is_none_or(|since| since <= at)
        };
        match self
            .exchange_rates
            .iter()
            .filter(in_effect)
            .max_by_key(|rate| rate.since)
        {
            Some(rate) => Exchange::By(rate),
            None => Exchange::Missing { from, to },
        }
    }
}

impl Entry {
    fn concerns(&self, model: &ModelName) -> bool {
        self.models
            .as_ref()
            .is_none_or(|models| models.contains(model))
    }

    fn is_in_effect(&self, at: Wall) -> bool {
        self.since.is_none_or(|since| since <= at) && self.until.is_none_or(|until| at < until)
    }

    /// Why another, or none, was the best of its scope.
    fn fault(&self, best: Option<&Self>, at: Wall) -> PassedOver {
        if self.since.is_some_and(|since| since > at) {
            return PassedOver::NotYet;
        }
        match best {
            Some(best)
                if self.is_in_effect(at) && best.models.is_some() && self.models.is_none() =>
            {
                PassedOver::LessSpecific
            }
            _ => PassedOver::NoLonger,
        }
    }
}

/// Of one scope: one that names the model, else one for every model; of those the latest.
fn best<'b>(entries: &[&'b Entry], at: Wall) -> Option<&'b Entry> {
    entries
        .iter()
        .copied()
        .filter(|entry| entry.is_in_effect(at))
        .max_by_key(|entry| (entry.models.is_some(), entry.since))
}

impl Answer<'_> {
    /// `None`: there is none, or no exchange rate for it. `text` says all that made it, and `id`
    /// is made of that.
    pub fn price(&self, name: impl FnOnce(&Self) -> (PriceId, Arc<str>)) -> Option<Price> {
        let (_, entry) = self.chosen?;
        let card = match &entry.term {
            Term::Rates { card, .. } => Arc::clone(card),
            Term::Provisioned => Arc::new(RateCard::nothing()),
            Term::Percent(_) => return None,
        };
        if let Exchange::Missing { .. } = self.exchange {
            return None;
        }
        let (id, text) = name(self);
        Some(Price {
            id,
            text,
            card,
            factor: self.factor(),
            currency: self.currency,
        })
    }

    /// Percentages and the exchange rate, multiplied; the order makes no difference.
    pub fn factor(&self) -> Factor {
        let exchange = match self.exchange {
            Exchange::Same | Exchange::Missing { .. } => Factor::ONE,
            Exchange::By(rate) => rate.rate,
        };
        self.adjustments
            .iter()
            .fold(exchange, |product, (_, entry)| match entry.term {
                Term::Percent(factor) => product.times(factor),
                Term::Rates { .. } | Term::Provisioned => product,
            })
    }
}

impl Level {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Catalogue => "catalogue",
            Self::Model => "model",
            Self::Backend => "backend",
            Self::Product => "product",
            Self::Subscription => "subscription",
        }
    }
}

impl PassedOver {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotYet => "not in effect yet",
            Self::NoLonger => "no longer in effect",
            Self::LessSpecific => "another one names the model",
            Self::Narrower => "a narrower scope has a price",
            Self::PriceIsNarrower => {
                "the price is of a narrower scope, which percentages of wider ones do not change"
            }
        }
    }
}
