//! Everything that applies to one (subscription, application, model), looked up in a few steps.

use std::sync::Arc;

use domain::price::PriceList;
use domain::{ApplicationName, Limit, ModelName};

use crate::snapshot::{
    BudgetRaise, Issuer, KeyedBudget, KeyedLimit, Model, Snapshot, Subscription,
};

#[derive(Clone, Copy, Debug)]
pub struct Plan<'s> {
    pub model: &'s Arc<Model>,
    /// What it costs this subscription, at each backend.
    pub prices: &'s Arc<PriceList>,
    /// Global, product, subscription, application.
    scopes: [&'s [KeyedLimit]; 4],
    /// All of the configuration's, of which these may count the subscription's calls.
    budgets: (&'s [KeyedBudget], &'s [usize]),
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

    /// Those that count a call of this application and user. They apply beside the limits.
    pub fn budgets<'c>(
        &self,
        application: Option<&'c ApplicationName>,
        user: Option<&'c str>,
    ) -> impl Iterator<Item = &'s KeyedBudget> + use<'s, 'c> {
        let ((all, of_tenant), model) = (self.budgets, &self.model.name);
        of_tenant
            .iter()
            .filter_map(|index| all.get(*index))
            .filter(move |budget| budget.matching.fits_call(model, application, user))
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
        let budgets = (&*self.budgets, &*subscription.budgets);
        Ok(Plan {
            model,
            prices,
            scopes,
            budgets,
        })
    }

    /// Of a model that the gateway itself asks on a subscription's behalf: no limits, and nobody need grant
    /// it. What it costs counts against budgets.
    pub fn own_plan<'s>(&'s self, subscription: &'s Subscription, model: &str) -> Option<Plan<'s>> {
        let model = self.models.get(model)?;
        Some(Plan {
            model,
            prices: self.prices.list(subscription, &model.name),
            scopes: [&[]; 4],
            budgets: (&*self.budgets, &*subscription.budgets),
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
        let budgets = self.budgets.iter().flat_map(|budget| {
            let own = Some(budget.keyed.limit.clone());
            own.into_iter().chain(budget.throttle.clone())
        });
        global
            .chain(products)
            .chain(subscriptions)
            .chain(applications)
            .map(|keyed| keyed.limit.clone())
            .chain(budgets)
            .collect()
    }

    /// Applies the raises that the registry has. One for a budget that is not there, or in another
    /// currency than the budget's, waits for it.
    pub fn raise_budgets(&mut self, raises: &[BudgetRaise]) {
        for budget in &mut self.budgets {
            let currency = budget.budget.currency;
            let of_budget: Vec<_> = raises
                .iter()
                .filter(|raise| raise.budget == *budget.name && raise.currency == currency)
                .map(|raise| raise.raise.clone())
                .collect();
            if !of_budget.is_empty() {
                *budget = budget.raised(of_budget);
            }
        }
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
