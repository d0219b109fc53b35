//! From what was read to a [`Snapshot`]: rules that take more than one field to see.
//!
//! Whatever could not be read is reported already and left out here, so nothing is reported twice.

mod access;
mod alert;
mod audit;
mod backend;
mod budget;
mod cache;
mod guard;
mod identity;
mod key;
mod limit;
mod model;
pub(crate) mod price;
mod product;
mod semantic;
mod sink;
mod telemetry;

use std::collections::HashMap;
use std::sync::Arc;

use domain::{ApplicationName, Scope, SubscriptionId};

use self::limit::LimitCompiler;
use crate::RegistryKey;
use crate::file::subscription;
use crate::file::{Admin, Counters, File, RequestBounds, Store};
use crate::problem::Problems;
use crate::read::Placed;
use crate::snapshot::{Auditing, Settings, Snapshot, Subscription, Telemetry};

pub(crate) fn compile(
    file: File,
    registry: &[RegistryKey],
    revision: u64,
    problems: &mut Problems,
) -> Snapshot {
    let mut settings = settings(&file, problems);
    let prices = price::written(&file, problems);
    let File {
        // Of the process: `settings` has read these.
        listen: _,
        admin: _,
        limits: _,
        data_dir: _,
        time_zone: _,
        // `price::written` has read these.
        currency,
        exchange_rates: _,
        prices: _,
        store: Store,
        counters: Counters,
        identity,
        backends,
        pools,
        models,
        products,
        subscriptions,
        applications,
        audit,
        audit_stores,
        caching,
        access,
        guards,
        budgets,
        sinks,
        metrics,
        notify,
        alerts,
        telemetry,
        limit_lists,
    } = file;
    settings.telemetry = telemetry::telemetry(telemetry, problems);
    let dimensions = telemetry::dimensions("metrics.dimensions", &metrics.dimensions, problems);

    let alerting = alert::alerting(notify.items, alerts.items, problems);

    let backends = backend::backends(backends.items, problems);
    backend::check_members(&pools.items, &models.items, &backends, problems);
    let models = model::models(pools.items, models.items, &backends.models, problems);

    let common = budget::Common {
        models: &models,
        currency,
        time_zone: &settings.time_zone,
    };
    let budgets = budget::budgets(budgets.items, &common, problems);

    let mut audits = audit::Audits::new(audit_stores, &settings.data_dir, problems);
    let audit = audits.rule(&Scope::Global, audit, None, problems);

    let mut limits = LimitCompiler::new(&settings.time_zone, problems);
    let every_model: Vec<_> = models.values().map(|model| &**model).collect();
    let global = limits.compile(&Scope::Global, limit_lists, &every_model);
    let mut application_limits: HashMap<ApplicationName, _> = HashMap::new();
    let mut application_audits = Vec::new();
    let mut application_caches = HashMap::new();
    for application in applications.items {
        let name = application.name.id;
        let scope = Scope::Application(name.clone());
        let compiled = limits.compile(&scope, application.limit_lists, &every_model);
        let rule = cache::rule(&scope, application.cache, None, limits.problems);
        application_caches.extend(rule.map(|rule| (name.clone(), rule)));
        application_limits.insert(name, compiled);
        application_audits.push((scope, application.audit));
    }
    let guards = guard::guards(&Scope::Global, guards, None, &backends, limits.problems);
    let issuers_are_declared = !identity.jwt.items.is_empty() || !identity.jwt.is_whole;
    let products = product::products(
        products.items,
        &models,
        issuers_are_declared,
        &product::Defaults {
            dimensions: dimensions.as_ref(),
            guards: guards.as_ref(),
            audit: audit.as_ref(),
        },
        &mut audits,
        &backends,
        &mut limits,
    );
    let application_audits = application_audits
        .into_iter()
        .filter_map(|(scope, audit)| audits.of_application(&scope, audit?, limits.problems))
        .collect();

    let mut bound = cache::Bound::default();
    for (name, cache) in &application_caches {
        bound.note(Some(cache));
        for region in audits.regions() {
            bound.add(Some(cache), &Scope::Application(name.clone()), Some(region));
        }
    }
    let mut written = Vec::new();
    let mut compiled: HashMap<SubscriptionId, Arc<Subscription>> = HashMap::new();
    for section in subscriptions.items {
        let subscription::Subscription {
            id,
            name,
            product,
            owner,
            state,
            keys,
            audit,
            cache,
            // `price::written` has read these.
            prices: _,
            guards: own_guards,
            limit_lists,
        } = section;
        // A product that is none is reported where it is named.
        if let Some(granted) = products.get(&product.id) {
            let scope = Scope::Subscription(id.id.clone());
            let audit = audits.rule(&scope, audit, granted.audit.as_ref(), limits.problems);
            let cache = cache::rule(&scope, cache, granted.cache.as_ref(), limits.problems);
            bound.note(cache.as_ref());
            bound.add(
                cache.as_ref(),
                &scope,
                audit.as_ref().and_then(|of| of.region()),
            );
            let subscription = Subscription {
                id: id.id.clone(),
                name: name.map_or_else(|| id.id.to_string(), |name| name.text),
                owner: owner.map(|owner| owner.text),
                state,
                product: granted.product.clone(),
                limits: limits.compile_with(
                    &Scope::Subscription(id.id.clone()),
                    limit_lists,
                    &granted.unbounded,
                ),
                budgets: budget::of_tenant(&budgets, &id.id, &product.id),
                audit: audit.and_then(audit::Ruled::recording),
                cache,
                guards: guard::guards(
                    &Scope::Subscription(id.id.clone()),
                    own_guards,
                    granted.product.guards.as_ref(),
                    &backends,
                    limits.problems,
                ),
            };
            compiled.insert(id.id.clone(), Arc::new(subscription));
        }
        written.push((id, keys));
    }
    budget::check_downgrades(&budgets, &models, &compiled, problems);
    let keys = key::keys(&written, registry, &compiled, problems);
    let caching = cache::caching(caching, &mut audits, &bound, problems);
    let auditing = Auditing {
        stores: audits.into_stores(),
        access: access::access(access.items, problems),
    };
    let mut expected = sink::folders(&sinks.items, problems);
    expected.extend(bound.local_model(&caching));
    let sinks = sink::sinks(sinks.items, &auditing.stores, problems);
    let issuers = identity::issuers(identity.jwt.items, problems);
    let products: HashMap<_, _> = products
        .into_iter()
        .map(|(id, product)| (id, product.product))
        .collect();
    let priced = price::Compiled {
        models: &models,
        backends: &backends.models,
        products: products.values().map(|product| &**product).collect(),
        subscriptions: compiled.values().map(|of| &**of).collect(),
    };
    let prices = prices.prices(&priced, problems);
    Snapshot {
        revision,
        settings,
        issuers,
        subscriptions: compiled,
        keys,
        products,
        models,
        backends: backends.models,
        limits: global,
        budgets: budgets.into_iter().map(|budget| budget.keyed).collect(),
        application_limits,
        application_audits,
        application_caches,
        caching,
        auditing,
        alerting,
        prices,
        sinks,
        expected,
    }
}

fn settings(file: &File, problems: &mut Problems) -> Settings {
    let RequestBounds {
        body,
        headers,
        header_timeout,
        body_timeout,
        write_timeout,
        idle_timeout,
        connections,
        calls,
        bodies_in_memory,
        queue_delay,
        drain,
    } = &file.limits;
    if body.0 > bodies_in_memory.value.0 {
        problems.error(
            bodies_in_memory.place,
            "limits.bodies_in_memory",
            "less than `limits.body`: the largest bodies would always be refused",
            "raise it, or lower `limits.body`",
        );
    }
    let admin = file.admin.as_ref().map(|Admin { listen }| listen);
    if let Some(Placed {
        value: admin,
        place,
    }) = admin
        && admin.address == file.listen.address
        && admin.address.port() != 0
    {
        problems.error(
            *place,
            "admin.listen",
            "the same address as `listen`",
            "give the admin listener another port",
        );
    }
    Settings {
        listen: file.listen.address,
        tls: file.listen.tls.clone(),
        admin_listen: admin.map(|listen| listen.value.address),
        admin_tls: admin.and_then(|listen| listen.value.tls.clone()),
        data_dir: file.data_dir.0.clone(),
        body_bytes_max: body.0,
        headers_bytes_max: headers.0,
        header_timeout: header_timeout.0,
        body_timeout: body_timeout.0,
        write_timeout: write_timeout.0,
        idle_timeout: idle_timeout.0,
        connections_max: connections.0,
        calls_max: calls.0,
        bodies_in_memory_bytes_max: bodies_in_memory.value.0,
        queue_delay: queue_delay.0,
        drain: drain.0,
        time_zone: file.time_zone.clone(),
        metric_series_max: usize::try_from(file.metrics.series_max.0).unwrap_or(usize::MAX),
        telemetry: Telemetry::default(),
    }
}
