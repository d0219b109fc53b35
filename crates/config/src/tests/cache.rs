//! The cache: which rule applies, and what is refused.

use std::time::Duration;

use dialect::shape::Ignored;
use domain::{ApplicationName, SubscriptionId};

use super::*;
use crate::snapshot::CacheRule;

/// `SMALL` with rules of its product and its subscription.
fn with(product: &str, subscription: &str, more: &str) -> String {
    let written = |rule: &str| match rule {
        "" => String::new(),
        rule => format!(", cache: {rule}"),
    };
    let text = SMALL
        .replace(
            "models: [gpt-4o] }",
            &format!("models: [gpt-4o]{} }}", written(product)),
        )
        .replace(
            "0123456789 } }",
            &format!("0123456789 }}{} }}", written(subscription)),
        );
    format!("{text}{more}")
}

fn rule(snapshot: &Snapshot) -> Option<&CacheRule> {
    snapshot.subscriptions[&SubscriptionId::from("search")]
        .cache
        .as_deref()
}

#[test]
fn without_a_rule_nothing_is_cached() {
    let snapshot = loaded(SMALL);
    assert!(rule(&snapshot).is_none());
    assert_eq!(snapshot.caching.memory_bytes, 256 * 1024 * 1024);
}

#[test]
fn a_rule_that_says_little_shares_nothing_between_subscriptions() {
    let snapshot = loaded(&with("{ exact: {} }", "", ""));
    let rule = rule(&snapshot).unwrap();
    assert_eq!(&*rule.rule, "product/standard/cache");
    let vary_by: Vec<_> = rule.vary_by.iter().map(|cel| cel.source()).collect();
    assert_eq!(vary_by, ["subscription.id"]);
    assert_eq!(rule.max_temperature.to_bits(), 1f64.to_bits());
    assert_eq!(rule.exact.unwrap().ttl, Duration::from_secs(3600));
}

#[test]
fn the_narrowest_scope_wins_as_a_whole() {
    let product = "{ exact: { ttl: 10m }, vary_by: [product.id], ignore: [user, metadata] }";
    let snapshot = loaded(&with(product, "{ max_temperature: 0.2, exact: {} }", ""));
    let of_subscription = rule(&snapshot).unwrap();
    assert_eq!(&*of_subscription.rule, "subscription/search/cache");
    assert!(of_subscription.ignored.is_empty());
    let snapshot = loaded(&with(
        product,
        "{}",
        "applications: [{ name: bot, cache: { exact: {} } }]\n",
    ));
    assert!(!rule(&snapshot).unwrap().is_on());
    assert!(snapshot.application_caches[&ApplicationName::from("bot")].is_on());
    let snapshot = loaded(&with(product, "", ""));
    let ignored = &rule(&snapshot).unwrap().ignored;
    assert_eq!(ignored[..], [Ignored::User, Ignored::Metadata]);
}

#[test]
fn mistakes_are_told_together_each_with_its_fix() {
    let told = super::problems(&with(
        "{ exact: { ttl: 0s }, vary_by: [], max_temperature: 3, ignore: [seed] }",
        "",
        "caching: { memory: 1KiB, max_entry: 2MiB }\n",
    ))
    .join("\n");
    let fields = [
        "caching.memory",
        "caching.max_entry",
        "products[standard].cache.max_temperature",
        "products[standard].cache.ignore[0]",
    ];
    for field in fields {
        assert!(told.contains(field), "{field}: {told}");
    }
    let told = super::problems(&with("{ exact: { ttl: 0s }, vary_by: [] }", "", "")).join("\n");
    assert!(
        told.contains("products[standard].cache.exact.ttl"),
        "{told}"
    );
    assert!(told.contains("write `[subscription.id]`"), "{told}");
}

#[test]
fn what_is_kept_on_disk_stays_in_the_region_that_callers_require() {
    let stores = "\naudit_stores: [ { id: eu, region: eu } ]\ncaching: { disk: { bytes: 1GiB } }\n";
    let snapshot = loaded(&with("{ exact: {} }", "", stores));
    let disk = snapshot.caching.disk.as_ref().unwrap();
    assert_eq!((disk.bytes_max, disk.store.as_str()), (1 << 30, "eu"));

    let bound = with(
        "{ exact: {} }, audit: { content: none, region: us }",
        "",
        stores,
    );
    let problems = problems(&bound);
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains("caching.disk.store")),
        "{problems:?}"
    );
    // Who caches nothing is not meant.
    let uncached = with("{}, audit: { content: none, region: us }", "", stores);
    loaded(&uncached);
}

#[test]
fn without_audit_stores_the_default_one_seals_what_is_cached() {
    let snapshot = loaded(&with("{ exact: {} }", "", "\ncaching: { disk: {} }\n"));
    assert_eq!(
        snapshot.caching.disk.as_ref().unwrap().store.as_str(),
        "default"
    );
    assert_eq!(snapshot.auditing.stores.len(), 1);
}
