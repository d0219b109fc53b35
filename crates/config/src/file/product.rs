//! `products`: bundles of models and limits.

use domain::{ModelName, ProductId};

use super::audit::Audit;
use super::cache::Cache;
use super::guard::GuardOfOneKind;
use super::limit::LimitLists;
use super::price::ScopedPrice;
use super::telemetry::ProductMetrics;
use crate::read::{Declared, List, Placed, Reference, Text, section, words};

section! {
    /// A bundle of models and limits that subscriptions are granted.
    pub struct Product {
        /// Names it in subscriptions and limits.
        pub id: Declared<ProductId>,
        /// What people call it. Without it, its id.
        pub name: Option<Text>,
        /// What its subscriptions may ask for.
        pub models: List<Reference<ModelName>>,
        /// The credentials that a call needs, all of them. Without it, either one will do.
        pub require: Option<Placed<List<Credential>>>,
        /// Where a call may name its application, if its key or token does not.
        pub application: Option<ApplicationSource>,
        /// Token metrics by dimensions of this product's own.
        pub metrics: ProductMetrics = "{}",
        /// What is kept of calls. Without it, as the top level says.
        pub audit: Option<Placed<Audit>>,
        /// Which answers may be given again. Without it, none.
        pub cache: Option<Cache>,
        /// Who looks at prompts and answers, in this order. Without it, the top level's; `[]` is nobody.
        pub guards: Option<List<GuardOfOneKind>>,
        /// Prices and percentages for its subscriptions.
        pub prices: List<Placed<ScopedPrice>> = "[]",
        ..limit_lists: LimitLists,
    }
}

section! {
    /// Where a call may name its application.
    pub struct ApplicationSource {
        /// The header that names it. Clients can write anything there; it is cut to 128 bytes.
        pub from_header: http::HeaderName,
    }
}

/// A credential that a product can demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    SubscriptionKey,
    Jwt,
}

words! { Credential, "credential":
    /// A primary or secondary key of the subscription.
    "subscription_key" => Credential::SubscriptionKey,
    /// A token of an issuer under `identity.jwt`.
    "jwt" => Credential::Jwt,
}
