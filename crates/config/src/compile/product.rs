//! Products.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use domain::{ModelName, ProductId, Scope};

use super::audit::{Audits, Ruled};
use super::backend::Backends;
use super::limit::{LimitCompiler, unbounded};
use super::{cache, guard, telemetry};
use crate::file::product::{self, Credential};
use crate::read::{List, Placed};
use crate::snapshot::{CacheRule, Dimensions, Guards, Model, Product, Require};

/// A product, and those of its models whose answers have no bound.
pub(super) struct Granted {
    pub product: Arc<Product>,
    pub unbounded: Vec<ModelName>,
    /// Its own rule, else the configuration's.
    pub audit: Option<Ruled>,
    pub cache: Option<Arc<CacheRule>>,
}

/// What the top level says for products that do not.
pub(super) struct Defaults<'d> {
    pub dimensions: Option<&'d Arc<Dimensions>>,
    pub guards: Option<&'d Arc<Guards>>,
    pub audit: Option<&'d Ruled>,
}

pub(super) fn products(
    sections: Vec<product::Product>,
    models: &HashMap<ModelName, Arc<Model>>,
    issuers_are_declared: bool,
    defaults: &Defaults<'_>,
    audits: &mut Audits,
    backends: &Backends,
    limits: &mut LimitCompiler<'_>,
) -> HashMap<ProductId, Granted> {
    let mut products = HashMap::new();
    for section in sections {
        let product::Product {
            id,
            name,
            models: granted,
            require,
            application,
            metrics,
            audit,
            cache,
            guards,
            // `price::written` has read these.
            prices: _,
            limit_lists,
        } = section;
        let id = id.id;
        let require = required(&id, require.as_ref(), issuers_are_declared, limits);
        let mut names: Vec<ModelName> = Vec::with_capacity(granted.items.len());
        let mut seen = HashSet::new();
        for model in granted.items {
            if seen.insert(model.id.clone()) {
                names.push(model.id);
                continue;
            }
            let problem = format!("`{}` is listed twice", model.id);
            limits.problems.error(
                model.place,
                &format!("products[{id}].models"),
                problem,
                "list it once",
            );
        }
        names.sort_unstable();
        let within_reach: Vec<&Model> = names
            .iter()
            .filter_map(|name| models.get(name))
            .map(|model| &**model)
            .collect();
        let unbounded = unbounded(&within_reach);
        let field = format!("products[{id}].metrics.dimensions");
        let dimensions = telemetry::dimensions(&field, &metrics.dimensions, limits.problems)
            .or_else(|| defaults.dimensions.cloned());
        let audit = audits.rule(
            &Scope::Product(id.clone()),
            audit,
            defaults.audit,
            limits.problems,
        );
        if application.is_some() {
            audits.callers_choose(audit.as_ref());
        }
        let cache = cache::rule(&Scope::Product(id.clone()), cache, None, limits.problems);
        let product = Product {
            dimensions,
            name: name.map_or_else(|| id.to_string(), |name| name.text),
            models: names,
            require,
            application_header: application.map(|application| application.from_header),
            limits: limits.compile_with(&Scope::Product(id.clone()), limit_lists, &unbounded),
            guards: guard::guards(
                &Scope::Product(id.clone()),
                guards,
                defaults.guards,
                backends,
                limits.problems,
            ),
            id: id.clone(),
        };
        products.insert(
            id,
            Granted {
                product: Arc::new(product),
                unbounded,
                audit,
                cache,
            },
        );
    }
    products
}

fn required(
    product: &ProductId,
    credentials: Option<&Placed<List<Credential>>>,
    issuers_are_declared: bool,
    limits: &mut LimitCompiler<'_>,
) -> Require {
    let Some(Placed {
        value: credentials,
        place,
    }) = credentials
    else {
        return Require::Either;
    };
    let field = format!("products[{product}].require");
    let wants = |credential| credentials.items.contains(&credential);
    if wants(Credential::Jwt) && !issuers_are_declared {
        let problem = "it requires a token, but no issuer is trusted";
        limits.problems.error(
            *place,
            &field,
            problem,
            "add an issuer under `identity.jwt`",
        );
    }
    match (wants(Credential::SubscriptionKey), wants(Credential::Jwt)) {
        (true, true) => Require::Both,
        (true, false) => Require::SubscriptionKey,
        (false, true) => Require::Jwt,
        (false, false) => {
            if credentials.is_whole {
                let fix =
                    "write [subscription_key], [jwt] or both; leave it out if either one will do";
                limits
                    .problems
                    .error(*place, &field, "it requires nothing", fix);
            }
            Require::Either
        }
    }
}
