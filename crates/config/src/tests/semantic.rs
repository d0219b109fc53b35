//! The semantic cache: what it takes for near enough, and what is refused.

use std::time::Duration;

use domain::SubscriptionId;
use likeness::choice::NearEnough;

use super::*;
use crate::snapshot::{Embedder, LocalEmbedder, SemanticRule};

fn with(semantic: &str) -> String {
    let cache = format!("models: [gpt-4o], cache: {{ semantic: {semantic} }} }}");
    SMALL.replace("models: [gpt-4o] }", &cache)
}

fn rule(semantic: &str) -> SemanticRule {
    let snapshot = loaded(&with(semantic));
    let cache = snapshot.subscriptions[&SubscriptionId::from("search")]
        .cache
        .clone();
    cache.unwrap().semantic.clone().unwrap()
}

fn problem(semantic: &str) -> String {
    super::problems(&with(semantic)).join("\n")
}

#[test]
fn what_is_near_enough_without_a_word_needs_the_guard() {
    let plain = rule("{}");
    assert_eq!(plain.choice.near_enough, NearEnough::Safe);
    assert!(plain.choice.guard && !plain.choice.shadow);
    assert_eq!((plain.turns_max, plain.ttl), (1, Duration::from_secs(3600)));
    let told = problem("{ guard: false }");
    assert!(
        told.contains("products[standard].cache.semantic.min_similarity") && told.contains("0.95"),
        "{told}"
    );
}

#[test]
fn a_similarity_and_an_error_rate_are_one_or_the_other() {
    let strict = rule("{ min_similarity: 0.95, guard: false }");
    assert_eq!(strict.choice.near_enough, NearEnough::AtLeast(0.95));
    let learned = rule("{ max_error_rate: 0.02, shadow: true }");
    assert_eq!(learned.choice.near_enough, NearEnough::MaxErrorRate(0.02));
    assert!(learned.choice.shadow);
    let told = problem("{ min_similarity: 0.9, max_error_rate: 0.02 }");
    assert!(told.contains("leave one of them out"), "{told}");
    assert!(problem("{ min_similarity: 1.5 }").contains("min_similarity"));
    assert!(problem("{ max_error_rate: 0 }").contains("max_error_rate"));
}

#[test]
fn who_shares_is_said_for_both_caches_or_for_each() {
    let shared = rule("{ vary_by: [product.id] }");
    let sources: Vec<_> = shared.vary_by.iter().map(|cel| cel.source()).collect();
    assert_eq!(sources, ["product.id"]);
    let as_exact = rule("{}");
    let sources: Vec<_> = as_exact.vary_by.iter().map(|cel| cel.source()).collect();
    assert_eq!(sources, ["subscription.id"]);
    let told = problem("{ vary_by: [] }");
    assert!(told.contains("cache.semantic.vary_by"), "{told}");
}

#[test]
fn a_semantic_cache_alone_is_a_cache() {
    let snapshot = loaded(&with("{}"));
    let subscription = &snapshot.subscriptions[&SubscriptionId::from("search")];
    assert!(subscription.cache.as_ref().unwrap().is_on());
    let local = LocalEmbedder {
        threads: 1,
        models: None,
        timeout: Duration::from_millis(500),
    };
    assert_eq!(snapshot.caching.embedder, Embedder::Local(local.clone()));
    for written in ["", "embedder: {}", "embedder: { local: {} }"] {
        let snapshot = loaded(&format!("{}caching: {{ {written} }}\n", with("{}")));
        assert_eq!(snapshot.caching.embedder, Embedder::Local(local.clone()));
    }
}

fn embedder(written: &str) -> String {
    format!("{}caching: {{ embedder: {written} }}\n", with("{}"))
}

#[test]
fn a_model_of_the_configuration_may_make_the_vectors() {
    let snapshot = loaded(&embedder("{ backend: { model: gpt-4o } }"));
    let Embedder::Backend(backend) = &snapshot.caching.embedder else {
        panic!("{:?}", snapshot.caching)
    };
    assert_eq!(backend.model.as_str(), "gpt-4o");
    assert_eq!(
        (backend.timeout, backend.max_concurrent),
        (Duration::from_secs(1), 16)
    );
    let search = &snapshot.subscriptions[&SubscriptionId::from("search")];
    assert!(snapshot.own_plan(search, "gpt-4o").is_some());
    assert!(snapshot.own_plan(search, "nobody").is_none());
}

#[test]
fn a_threshold_of_the_local_model_is_not_taken_for_anothers_in_silence() {
    let warned = |semantic: &str, embedder: &str| {
        let text = format!("{}caching: {{ embedder: {embedder} }}\n", with(semantic));
        let warnings = super::problems(&text).join("\n");
        warnings.contains("product/standard/cache") && warnings.contains("min_similarity")
    };
    let backend = "{ backend: { model: gpt-4o } }";
    assert!(warned("{}", backend));
    assert!(!warned("{}", "{ local: {} }"));
    for said in [
        "{ min_similarity: 0.95 }",
        "{ max_error_rate: 0.02 }",
        "{ shadow: true }",
    ] {
        assert!(!warned(said, backend), "{said}");
    }
}

#[test]
fn an_embedder_is_one_that_exists_and_one_only() {
    for (written, told) in [
        ("{ backend: { model: nobody } }", "nobody"),
        ("{ backend: {} }", "caching.embedder.backend.model"),
        (
            "{ local: {}, backend: { model: gpt-4o } }",
            "leave one of them out",
        ),
        (
            "{ backend: { model: gpt-4o, timeout: 0s } }",
            "caching.embedder.backend.timeout",
        ),
        (
            "{ backend: { model: gpt-4o, max_concurrent: 0 } }",
            "caching.embedder.backend.max_concurrent",
        ),
    ] {
        let problems = super::problems(&embedder(written)).join("\n");
        assert!(problems.contains(told), "{written}: {problems}");
    }
}

#[test]
fn questions_are_read_only_in_the_region_that_their_askers_require() {
    let text = |product: &str, backend: &str| {
        let product = format!("models: [gpt-4o], {product} }}");
        let text = SMALL.replace("models: [gpt-4o] }", &product);
        format!(
            "{text}audit_stores: [ {{ id: eu, region: eu }} ]\ncaching: {{ embedder: {{ backend: {{ model: gpt-4o{backend} }} }} }}\n"
        )
    };
    let bound =
        "cache: { semantic: { min_similarity: 0.9 } }, audit: { content: none, region: eu }";
    for (backend, said) in [
        ("", "nothing says where the deployment is"),
        (", region: us", "the deployment is in region `us`"),
    ] {
        let told = super::problems(&text(bound, backend)).join("\n");
        let problem = format!("caching.embedder.backend.region: {said}, and `");
        assert!(
            told.contains(&problem) && told.contains("requires `eu`"),
            "{told}"
        );
    }
    loaded(&text(bound, ", region: eu"));
    loaded(&text(
        &bound.replace("semantic: { min_similarity: 0.9 }", "exact: {}"),
        "",
    ));
    loaded(&text(&bound.replace(", region: eu", ""), ""));
}
