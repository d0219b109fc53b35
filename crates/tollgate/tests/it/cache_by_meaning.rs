//! Answers to questions that mean the same, from outside: with the local model's own file, and without it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use simulator::Behaviour;

use crate::harness::{Answer, Config, Gate, chat, config, eventually, provider};

const ASKED: &str = "Can I return an item within 30 days?";
/// The same in other words.
const ALIKE: &str = "May I return an item within 30 days?";
/// Nearly the same words.
const OTHER_NUMBER: &str = "Can I return an item within 60 days?";
const NEGATED: &str = "Can I not return an item within 30 days?";

/// The folder that `make model` fills. Fails rather than skips.
fn models() -> PathBuf {
    let named = std::env::var_os("TOLLGATE_MODELS").map(PathBuf::from);
    let cache = embed::user_cache(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"));
    let folders: Vec<PathBuf> = named.into_iter().chain(cache).collect();
    let files =
        embed::find(&folders).unwrap_or_else(|missing| panic!("{missing} (or: make model)"));
    files.model.parent().unwrap().to_owned()
}

/// The model has as long as a slow machine takes.
fn by_meaning(models: &Path, disk: Value) -> Config {
    let local = json!({ "models": models.to_str().unwrap(), "timeout": "10m" });
    config()
        .with(
            "/products/0/cache",
            json!({ "exact": { "ttl": "1h" }, "semantic": { "ttl": "1h", "min_similarity": 0.8 } }),
        )
        .with("/caching", disk)
        .with("/caching/embedder", json!({ "local": local }))
}

fn cached(answer: &Answer) -> &str {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("x-tollgate-cache")
}

/// In all of the gateway's runs.
fn loads(gate: &Gate) -> usize {
    gate.log().matches("local model loaded").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_in_other_words_is_a_hit_and_a_near_miss_is_none() {
    let region = provider(Behaviour::default()).await;
    let config = by_meaning(&models(), json!({})).backend("east", region.address());
    let gate = Gate::start(config).await;
    let first = gate.send(chat(ASKED)).await;
    assert_eq!(cached(&first), "miss");
    let again = gate.send(chat(ALIKE)).await;
    assert_eq!(cached(&again), "hit");
    let similarity: f64 = again.header("x-tollgate-similarity").parse().unwrap();
    assert!((0.8..1.0).contains(&similarity), "{similarity}");
    assert_eq!(again.words(), first.words());
    assert_ne!(again.json()["id"], first.json()["id"]);

    for near_miss in [OTHER_NUMBER, NEGATED] {
        let answer = gate.send(chat(near_miss)).await;
        assert_eq!(cached(&answer), "miss", "{near_miss}");
        assert_eq!(answer.header("x-tollgate-similarity"), "");
    }
    assert_eq!(region.counts().total.calls, 3);
    let metrics = gate.metrics().await;
    let passed_over = |difference: &str| {
        metrics.sum(
            "tollgate_cache_passed_over_total",
            &[&format!("difference=\"{difference}\"")],
        )
    };
    // Both were near enough, had their words not differed.
    assert!(passed_over("number") > 0 && passed_over("negation") > 0);
    let hit = gate.record(again.id()).await;
    assert_eq!(hit.similarity, Some((similarity * 1_000.0).round() as u16));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_questions_are_still_found_by_meaning() {
    let region = provider(Behaviour::default()).await;
    let config = by_meaning(&models(), json!({ "disk": {} })).backend("east", region.address());
    let mut gate = Gate::start(config).await;
    let first = gate.send(chat(ASKED)).await;
    assert_eq!(cached(&first), "miss");
    assert!(gate.stop().await.success());
    gate.restart().await;
    eventually("what was on disk", async || {
        let metrics = gate.metrics().await;
        (metrics.sum("tollgate_cache_entries", &[]) == 1).then_some(())
    })
    .await;
    let again = gate.send(chat(ALIKE)).await;
    assert_eq!(cached(&again), "hit");
    assert!(!again.header("x-tollgate-similarity").is_empty());
    assert_eq!(again.words(), first.words());
}

/// By their words alone these are not told to be one: what the model made of the first is not on disk.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_a_question_is_read_again_to_be_compared() {
    let region = provider(Behaviour::default()).await;
    let config = by_meaning(&models(), json!({ "disk": {} })).backend("east", region.address());
    let mut gate = Gate::start(config).await;
    let first = gate.send(chat("How much is shipping?")).await;
    assert_eq!(cached(&first), "miss");
    assert!(gate.stop().await.success());
    gate.restart().await;
    eventually("what was on disk", async || {
        let metrics = gate.metrics().await;
        (metrics.sum("tollgate_cache_entries", &[]) == 1).then_some(())
    })
    .await;
    let again = gate.send(chat("What are the shipping costs?")).await;
    assert_eq!(cached(&again), "hit");
    assert_eq!(again.words(), first.words());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_model_calls_are_misses_and_just_the_same_ones_hits() {
    let region = provider(Behaviour::default()).await;
    let nowhere = tempfile::tempdir().unwrap();
    let config = by_meaning(nowhere.path(), json!({})).backend("east", region.address());
    let gate = Gate::start(config).await;
    for question in [ASKED, ALIKE] {
        assert_eq!(cached(&gate.send(chat(question)).await), "miss");
    }
    assert_eq!(cached(&gate.send(chat(ASKED)).await), "hit");
    let metrics = gate.metrics().await;
    let failed = metrics.sum("tollgate_cache_unembedded_total", &["reason=\"failed\""]);
    assert_eq!(failed, 2);
    let log = gate.log();
    assert!(log.contains("tollgate cache install-model"), "{log}");
    assert_eq!(loads(&gate), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_model_is_loaded_by_the_first_question_that_needs_it_and_once() {
    let region = provider(Behaviour::default()).await;
    let config = by_meaning(&models(), json!({})).backend("east", region.address());
    let gate = Gate::start(config).await;
    let exactly = chat(ASKED).header("x-tollgate-cache", "exact");
    assert_eq!(cached(&gate.send(exactly).await), "miss");
    assert_eq!(cached(&gate.send(chat(ASKED)).await), "hit");
    let off = chat(ALIKE).header("x-tollgate-cache", "off");
    assert_eq!(cached(&gate.send(off).await), "off");
    assert_eq!(loads(&gate), 0, "no question has needed it");
    for question in [ALIKE, OTHER_NUMBER] {
        assert_eq!(cached(&gate.send(chat(question)).await), "miss");
    }
    assert_eq!(loads(&gate), 1);
}
