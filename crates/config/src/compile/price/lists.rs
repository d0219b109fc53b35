//! From the book to the lists in which calls look: everything that takes more than a look-up is done
//! here, once.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use domain::price::PriceList;
use domain::price::book::{Answer, Book, Exchange, Question, Term};
use domain::{Currency, ModelName, Price, PriceId, ProductId, ServiceTier, SubscriptionId, Wall};

use super::Compiled;
use crate::snapshot::prices::{ByModel, Lists};
use crate::snapshot::{Model, Product};

pub(super) fn lists(book: &Book, currency: Currency, compiled: &Compiled<'_>) -> Lists {
    let mut maker = Maker {
        book,
        currency,
        prices: HashMap::new(),
        lists: HashMap::new(),
    };
    let of_models = compiled
        .models
        .values()
        .map(|model| (model.name.clone(), maker.list(model, None, None)))
        .collect();
    let (mut of_products, mut of_subscriptions) = (HashMap::new(), HashMap::new());
    for product in &compiled.products {
        let lists = maker.overridden(compiled, product, None);
        if !lists.is_empty() {
            of_products.insert(product.id.clone(), lists);
        }
    }
    for subscription in &compiled.subscriptions {
        // What only the product changes stands with the product.
        if book.subscriptions.contains_key(&subscription.id) {
            let lists = maker.overridden(compiled, &subscription.product, Some(&subscription.id));
            of_subscriptions.insert(subscription.id.clone(), lists);
        }
    }
    Lists {
        of_models,
        of_products,
        of_subscriptions,
        empty: Arc::default(),
    }
}

/// Makes each price and each list once: a thousand subscriptions with the same discount share them.
struct Maker<'b> {
    book: &'b Book,
    currency: Currency,
    prices: HashMap<PriceId, Arc<Price>>,
    /// By backends, dates and price ids.
    lists: HashMap<String, Arc<PriceList>>,
}

impl Maker<'_> {
    fn overridden(
        &mut self,
        compiled: &Compiled<'_>,
        product: &Product,
        subscription: Option<&SubscriptionId>,
    ) -> ByModel {
        let mut lists = ByModel::new();
        for name in &product.models {
            let Some(model) = compiled.models.get(name) else {
                continue;
            };
            let is_overridden = model.pool.members.iter().any(|member| {
                self.book.is_overridden(&Question {
                    model: name,
                    backend: &member.backend,
                    product: Some(&product.id),
                    subscription,
                    currency: self.currency,
                })
            });
            if is_overridden {
                let list = self.list(model, Some(&product.id), subscription);
                lists.insert(name.clone(), list);
            }
        }
        lists
    }

    fn list(
        &mut self,
        model: &Model,
        product: Option<&ProductId>,
        subscription: Option<&SubscriptionId>,
    ) -> Arc<PriceList> {
        let mut list = PriceList::default();
        for member in &model.pool.members {
            let question = Question {
                model: &model.name,
                backend: &member.backend,
                product,
                subscription,
                currency: self.currency,
            };
            let prices = &mut self.prices;
            let schedule = self
                .book
                .schedule(&question, &mut |answer| price(answer, prices));
            list.members.push((member.backend.clone(), schedule));
        }
        let key = key(&list);
        Arc::clone(self.lists.entry(key).or_insert_with(|| Arc::new(list)))
    }
}

fn price(answer: &Answer<'_>, known: &mut HashMap<PriceId, Arc<Price>>) -> Option<Arc<Price>> {
    let price = super::priced(answer)?;
    let kept = known
        .entry(price.id.clone())
        .or_insert_with(|| Arc::new(price));
    Some(Arc::clone(kept))
}

fn key(list: &PriceList) -> String {
    let mut key = String::new();
    for (backend, schedule) in &list.members {
        // Written to a `String`, which cannot fail.
        let _ = writeln!(key, "{backend}");
        for (since, price) in schedule.spans() {
            let id = price.as_ref().map_or("", |price| price.id.as_str());
            let _ = write!(key, " {} {id}", since.0);
        }
    }
    key
}

/// What will be unpriced once every date has passed.
#[derive(Default)]
pub(super) struct Missing {
    /// Models and the backends at which they have no price.
    pub prices: BTreeMap<ModelName, Vec<String>>,
    /// Models whose answers have none.
    pub answers: Vec<ModelName>,
    /// Currencies from which there is no rate, and the models with prices in them.
    pub exchange_rates: BTreeMap<Currency, Vec<String>>,
}

pub(super) fn missing(book: &Book, currency: Currency, compiled: &Compiled<'_>) -> Missing {
    let mut missing = Missing::default();
    let mut names: Vec<&ModelName> = compiled.models.keys().collect();
    names.sort_unstable();
    for name in names {
        let model = &compiled.models[name];
        let mut has_answers = true;
        for member in &model.pool.members {
            let question = Question {
                model: name,
                backend: &member.backend,
                product: None,
                subscription: None,
                currency,
            };
            let answer = book.answer(&question, Wall(i64::MAX));
            match (answer.chosen, answer.exchange) {
                (None, _) => {
                    let backends = missing.prices.entry(name.clone()).or_default();
                    backends.push(member.backend.to_string());
                }
                (Some(_), Exchange::Missing { from, .. }) => {
                    let models = missing.exchange_rates.entry(from).or_default();
                    if models.last().map(String::as_str) != Some(name.as_str()) {
                        models.push(name.to_string());
                    }
                }
                (Some((_, entry)), Exchange::Same | Exchange::By(_)) => {
                    has_answers &= prices_answers(&entry.term);
                }
            }
        }
        if !has_answers && model.max_output_tokens != Some(0) {
            missing.answers.push(name.clone());
        }
    }
    missing
}

fn prices_answers(term: &Term) -> bool {
    match term {
        Term::Rates { card, .. } => card
            .tier(ServiceTier::Standard)
            .is_some_and(|tier| tier.base.output.is_some()),
        Term::Provisioned | Term::Percent(_) => true,
    }
}
