//! Everything that applies to one (subscription, application, model), looked up in a few steps.

use std::sync::Arc;

use domain::price::PriceList;
use domain::{ApplicationName, Limit, ModelName};

use crate::snapshot::{Issuer, KeyedLimit, Model, Snapshot, Subscription};

#[derive(Clone, Copy, Debug)]
pub struct Plan<'s> {
    pub model: &'s Arc<Model>,
    /// What it costs this subscription, at each backend.
    pub prices: &'s Arc<PriceList>,
    /// Global, product, subscription, application.
    scopes: [&'s [KeyedLimit]; 4],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("no such model")]
    UnknownModel,
    #[error("the product does not grant this model")]
    NotGranted,
}

impl<'s> Plan<'s> {
    /// Of every scope, the widest first. All apply together.
    pub fn limits(&self) -> impl Iterator<Item = &'s KeyedLimit> + use<'s> {
        self.scopes.into_iter().flatten()
    }
}

impl Snapshot {
    pub fn plan<'s>(
        &'s self,
        subscription: &'s Subscription,
        application: Option<&ApplicationName>,
        model: &str,
    ) -> Result<Plan<'s>, PlanError> {
        let model = self.models.get(model).ok_or(PlanError::UnknownModel)?;
        if !subscription.product.grants(&model.name) {
            return Err(PlanError::NotGranted);
        }
        let of_application = application.and_then(|name| self.application_limits.get(name));
        let scopes = [
            &*self.limits,
            &*subscription.product.limits,
            &*subscription.limits,
            of_application.map_or(&[][..], Vec::as_slice),
        ];
        let prices = self.prices.list(subscription, &model.name);
        Ok(Plan {
            model,
            prices,
            scopes,
        })
    }

    /// Each declared limit once.
    pub fn every_limit(&self) -> Vec<Arc<Limit>> {
        let global = self.limits.iter();
        let products = self.products.values().flat_map(|product| &product.limits);
        let subscriptions = self
            .subscriptions
            .values()
            .flat_map(|subscription| &subscription.limits);
        let applications = self.application_limits.values().flatten();
        global
            .chain(products)
            .chain(subscriptions)
            .chain(applications)
            .map(|keyed| keyed.limit.clone())
            .collect()
    }

    /// What the subscription may ask for, in alphabetical order.
    pub fn granted_models<'s>(&'s self, subscription: &'s Subscription) -> Vec<&'s ModelName> {
        subscription
            .product
            .models
            .iter()
            .filter(|model| self.models.contains_key(*model))
            .collect()
    }

    pub fn issuer(&self, name: &str) -> Option<&Arc<Issuer>> {
        self.issuers.iter().find(|issuer| &*issuer.name == name)
    }
}
