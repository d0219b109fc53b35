//! Prices as compiled: the book that says why, and the lists in which calls look.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use domain::price::PriceList;
use domain::price::book::{Answer, Book, Question};
use domain::{BackendId, Currency, ModelName, Nanos, ProductId, SubscriptionId, Wall};

use super::Subscription;

#[derive(Clone, Debug)]
pub struct Prices {
    /// What costs are in.
    pub currency: Currency,
    pub book: Book,
    /// The catalogue that list prices are from: `litellm 1.109.1, taken 2026-11-22`.
    pub catalogue: Arc<str>,
    /// The catalogue's file; absent for the one that ships with Tollgate.
    pub catalogue_file: Option<PathBuf>,
    pub provisioned: Vec<Provisioned>,
    pub(crate) lists: Lists,
}

/// Throughput that is paid by the hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provisioned {
    pub backend: BackendId,
    /// Absent: all that the backend answers.
    pub models: Option<Vec<ModelName>>,
    pub amount_per_hour: Nanos,
    pub currency: Currency,
    pub since: Wall,
    /// Not included.
    pub until: Option<Wall>,
}

pub(crate) type ByModel = HashMap<ModelName, Arc<PriceList>>;

/// Products and subscriptions stand here only with models whose price they change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists {
    pub of_models: ByModel,
    pub of_products: HashMap<ProductId, ByModel>,
    pub of_subscriptions: HashMap<SubscriptionId, ByModel>,
    /// Of a model that has none.
    pub empty: Arc<PriceList>,
}

impl Prices {
    /// Without any price: everything is unpriced.
    pub fn none(currency: Currency) -> Self {
        Self {
            currency,
            book: Book::default(),
            catalogue: Arc::from(""),
            catalogue_file: None,
            provisioned: Vec::new(),
            lists: Lists::default(),
        }
    }

    /// What the model costs this subscription at each backend that may answer it.
    pub fn list(&self, subscription: &Subscription, model: &ModelName) -> &Arc<PriceList> {
        self.list_of(&subscription.id, &subscription.product.id, model)
    }

    /// The same by names, which a record has and the configuration may have no longer.
    pub fn list_of(
        &self,
        subscription: &SubscriptionId,
        product: &ProductId,
        model: &ModelName,
    ) -> &Arc<PriceList> {
        let Lists {
            of_models,
            of_products,
            of_subscriptions,
            empty,
        } = &self.lists;
        let own = of_subscriptions.get(subscription);
        let of_product = || of_products.get(product)?.get(model);
        own.and_then(|lists| lists.get(model))
            .or_else(of_product)
            .or_else(|| of_models.get(model))
            .unwrap_or(empty)
    }

    /// What the model costs by itself.
    pub fn list_of_model(&self, model: &ModelName) -> &Arc<PriceList> {
        self.lists.of_models.get(model).unwrap_or(&self.lists.empty)
    }

    /// Which price applies, and why.
    pub fn explain<'b>(
        &'b self,
        model: &ModelName,
        backend: &BackendId,
        subscription: Option<&Subscription>,
        at: Wall,
    ) -> Answer<'b> {
        let question = Question {
            model,
            backend,
            product: subscription.map(|subscription| &subscription.product.id),
            subscription: subscription.map(|subscription| &subscription.id),
            currency: self.currency,
        };
        self.book.answer(&question, at)
    }

    /// For subscriptions of a product that have no prices of their own.
    pub fn explain_for_product<'b>(
        &'b self,
        model: &ModelName,
        backend: &BackendId,
        product: &ProductId,
        at: Wall,
    ) -> Answer<'b> {
        let question = Question {
            model,
            backend,
            product: Some(product),
            subscription: None,
            currency: self.currency,
        };
        self.book.answer(&question, at)
    }
}
