//! What a correct file means.

use std::collections::HashSet;
use std::sync::Arc;

use domain::{ModelName, Rule, Scope};

use super::*;
use crate::snapshot::Require;

#[test]
fn the_example_loads_and_means_what_it_says() {
    let snapshot = loaded(EXAMPLE);
    assert_eq!(snapshot.revision, 7);
    assert_eq!(snapshot.settings.body_bytes_max, 32 << 20);
    let subscription = snapshot.keys[&key_hash(SECRETS[0])].subscription.clone();
    assert_eq!(
        (subscription.id.as_str(), &*subscription.name),
        ("search", "Search team")
    );
    assert_eq!(subscription.product.require, Require::SubscriptionKey);

    let plan = snapshot
        .plan(&subscription, None, "gpt-4o")
        .expect("it is granted");
    let ids: Vec<&str> = plan.limits().map(|keyed| keyed.limit.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "product/standard/team-tpm",
            "product/standard/team-month",
            "product/standard/team-rpm",
            "product/standard/app-open"
        ]
    );
    assert_eq!(plan.model.pool.members.len(), 3);
    assert_eq!(plan.model.deployment_at(&"openai-eastus".into()), "gpt-4o");
    assert_eq!(
        plan.model.affinity.as_ref().map(|key| key.source()),
        Some("request.headers[\"x-session-id\"]")
    );
    assert_eq!(
        snapshot
            .issuer("entra")
            .expect("an issuer")
            .algorithms
            .len(),
        9
    );
}

#[test]
fn every_example_loads_without_a_warning() {
    for text in [EXAMPLE, SELF_HOSTED, AZURE_IDENTITIES, GUARDS, SINKS, SMALL] {
        assert_eq!(problems(text), Vec::<String>::new());
    }
}

#[test]
fn every_model_of_a_product_is_granted_in_whatever_order_they_are_listed() {
    let listed = ["m-9", "m-1", "m-5", "m-3", "m-7"];
    let models: String = listed
        .iter()
        .chain(&["m-4"])
        .map(|name| format!("  - {{ name: {name}, backend: b }}\n"))
        .collect();
    let snapshot = loaded(&format!(
        "
backends: [{{ id: b, dialect: openai, url: 'https://b.example', auth: none }}]
models:
{models}
products: [{{ id: p, models: [{}] }}]
subscriptions: [{{ id: s, product: p, keys: {{ primary: 0123456789abcdef }} }}]
",
        listed.join(", ")
    ));
    let subscription = &snapshot.subscriptions["s"];
    for name in listed {
        assert!(snapshot.plan(subscription, None, name).is_ok(), "{name}");
    }
    assert_eq!(
        snapshot.plan(subscription, None, "m-4").err(),
        Some(crate::PlanError::NotGranted)
    );
    let granted = snapshot.granted_models(subscription);
    let granted: Vec<_> = granted.into_iter().map(ModelName::as_str).collect();
    assert_eq!(granted, ["m-1", "m-3", "m-5", "m-7", "m-9"]);
}

#[test]
fn limits_of_every_scope_apply_together() {
    let snapshot = loaded(SELF_HOSTED);
    let support = &snapshot.subscriptions["support"];
    let batch = "nightly-batch".into();
    let plan = snapshot
        .plan(support, Some(&batch), "llama-3.3-70b")
        .expect("it is granted");
    let limits: Vec<(&str, &str)> = plan
        .limits()
        .map(|keyed| (keyed.limit.id.as_str(), keyed.counter_key.source()))
        .collect();
    assert_eq!(
        limits,
        [
            ("global/hardware", "\"all\""),
            (
                "product/internal/team-model",
                "subscription.id + \"/\" + model.name"
            ),
            ("subscription/support/day", "subscription.id"),
            ("application/nightly-batch/open", "application.name"),
        ]
    );
    let other = "chat-ui".into();
    assert_eq!(
        snapshot
            .plan(support, Some(&other), "llama-3.3-70b")
            .expect("it is granted")
            .limits()
            .count(),
        3
    );
    assert_eq!(snapshot.every_limit().len(), 5);

    let Rule::TokenQuota { calendar, .. } = &plan.limits().nth(2).expect("a quota").limit.rule
    else {
        panic!("no quota")
    };
    assert_eq!(calendar.time_zone.iana_name(), Some("Europe/Berlin"));
    assert_eq!(
        plan.limits().nth(2).expect("a quota").limit.scope,
        Scope::Subscription("support".into())
    );
}

#[test]
fn a_model_is_unknown_or_not_granted() {
    let text = SMALL.replace(
        "models:\n",
        "models:\n  - { name: o1, backend: eastus, tokenizer: o200k }\n",
    );
    let snapshot = loaded(&text);
    let search = &snapshot.subscriptions["search"];
    assert_eq!(
        snapshot.plan(search, None, "gpt-9").err(),
        Some(PlanError::UnknownModel)
    );
    assert_eq!(
        snapshot.plan(search, None, "o1").err(),
        Some(PlanError::NotGranted)
    );
    assert_eq!(
        snapshot.granted_models(search),
        [&ModelName::from("gpt-4o")]
    );
}

#[test]
fn values_can_come_from_outside_whatever_their_kind() {
    let snapshot = loaded(
        "listen: '127.0.0.1:${env:PORT}'\nquotas: [{ name: a, tokens: \"${env:PORT}\", period: day }]",
    );
    assert_eq!(snapshot.settings.listen.port(), 9000);
    assert!(matches!(
        snapshot.limits[0].limit.rule,
        Rule::TokenQuota { tokens: 9000, .. }
    ));
}

#[test]
fn a_backends_url_has_no_slash_at_its_end() {
    assert_eq!(
        loaded(SMALL).backends["eastus"].url.as_str(),
        "https://api.example.com/v1"
    );
}

#[test]
fn ten_thousand_subscriptions_with_one_counter_key_compile_it_once() {
    let mut text = SMALL.to_owned();
    for n in 0..10_000 {
        text.push_str(&format!(
            "  - {{ id: team-{n}, name: Team {n}, product: standard, keys: {{ primary: key-of-team-{n:06} }}, \
             quotas: [{{ name: month, counter_key: 'subscription.id + \"x\"', tokens: 1000, period: month }}] }}\n"
        ));
    }
    let snapshot = loaded(&text);
    assert_eq!(snapshot.subscriptions.len(), 10_001);
    let limits = snapshot
        .subscriptions
        .values()
        .flat_map(|subscription| &subscription.limits);
    let keys: HashSet<_> = limits
        .map(|keyed| Arc::as_ptr(&keyed.counter_key))
        .collect();
    assert_eq!(keys.len(), 1, "one expression is compiled once");
}

#[test]
fn a_product_s_dimensions_stand_instead_of_those_of_the_configuration() {
    let text = SMALL.replace(
        "products:\n  - { id: standard, models: [gpt-4o] }",
        "metrics: { dimensions: { Team: subscription.name }, series_max: 50 }
products:
  - { id: standard, models: [gpt-4o] }
  - { id: other, models: [gpt-4o], metrics: { dimensions: { Model: model.name, App: application.name } } }",
    );
    let snapshot = loaded(&text);
    let names = |product: &str| -> Vec<String> {
        let dimensions = snapshot.products[product].dimensions.as_ref();
        let list = &dimensions.expect("dimensions").list;
        list.iter().map(|one| one.name.to_string()).collect()
    };
    assert_eq!(names("standard"), ["Team"]);
    assert_eq!(names("other"), ["Model", "App"]);
    assert_eq!(snapshot.settings.metric_series_max, 50);
}

#[test]
fn a_collector_s_headers_are_secrets() {
    let text = format!(
        "{SMALL}telemetry: {{ service_name: gate, resource: {{ deployment.environment.name: test }}, otlp: {{ endpoint: 'https://otlp.example.com/base/', headers: {{ Authorization: 'Basic hidden-value' }}, sample_ratio: 0.25, interval: 15s }} }}\n"
    );
    let telemetry = loaded(&text).settings.telemetry;
    assert!(!format!("{telemetry:?}").contains("hidden-value"));
    assert_eq!(telemetry.service_name, "gate");
    let otlp = telemetry.otlp.expect("an exporter");
    assert_eq!(otlp.endpoint.as_str(), "https://otlp.example.com/base");
    assert_eq!(otlp.headers[0].0.as_str(), "authorization");
    assert_eq!(otlp.headers[0].1.reveal(), "Basic hidden-value");
    assert_eq!(loaded(SMALL).settings.telemetry.otlp, None);
}
