//! Vectors from a deployment: what they cost and whom, and what becomes of calls where there are none.

use std::sync::Arc;

use bytes::Bytes;
use domain::record::{CacheOutcome, CallRecord, Outcome};
use domain::{Metered, Nanos, Usage};
use http::Request;
use http_body_util::Full;
use serde_json::json;
use store::ledger::{UsageBy, UsageQuery, UsageRow};

use super::{ALIKE, ASKED, OTHER, asking, cached, call, counted, with};
use crate::scripted::{Answer, Backend, Script};
use crate::sinks::eventually;
use crate::stage::{IP, Stage, Told};

const OTHERS_KEY: &str = "Bearer chat-key-of-16-or-more";

/// One vector of so many tokens, by its model's own word.
fn vector(components: &[f32], model: &str) -> Answer {
    let body = json!({
        "object": "list",
        "data": [{ "object": "embedding", "index": 0, "embedding": components }],
        "model": model,
        "usage": { "prompt_tokens": 9, "total_tokens": 9 },
    });
    Answer::json(200, body.to_string())
}

fn small() -> Answer {
    vector(&[0.6, 0.8, 0.0], "text-embedding-3-small")
}

/// Chats at one backend, vectors at another; nobody is granted the model that makes them.
fn configuration(chats: &Backend, vectors: &Backend, embedder: &str, more: &str) -> String {
    let (chats, vectors) = (&chats.address, &vectors.address);
    format!(
        "backends:
  - {{ id: a, dialect: openai, url: \"{chats}\", auth: {{ bearer: the-gateway-s-own }} }}
  - {{ id: e, dialect: azure-openai, url: \"{vectors}\", api_version: \"2024-10-21\", auth: {{ api_key: the-embedder-s-own }}, breaker: {{ min_throughput: 100 }} }}
pools:
  - {{ id: all, members: [ {{ backend: a }} ] }}
  - {{ id: vectors, members: [ {{ backend: e }} ], retry: {{ attempts: 1 }} }}
models:
  - {{ name: gpt-4o, pool: all, max_output_tokens: 1000, tokenizer: o200k, price: {{ input_per_million: 10, output_per_million: 100 }} }}
  - {{ name: meanings, pool: vectors, deployment: small, tokenizer: cl100k, price: {{ input_per_million: 2 }} }}
products: [ {{ id: standard, models: [gpt-4o], cache: {{ semantic: {{}} }}, token_limits: [ {{ name: tpm, tokens_per_minute: 1000000 }} ] }} ]
subscriptions:
  - {{ id: search, product: standard, keys: {{ primary: search-key-of-16-or-more }} }}
  - {{ id: chat, product: standard, keys: {{ primary: chat-key-of-16-or-more }} }}
caching: {{ embedder: {{ backend: {embedder} }} }}
{more}"
    )
}

/// As long as a slow machine takes.
const PATIENT: &str = "{ model: meanings, timeout: 10m }";

struct Played {
    stage: Stage,
    chats: Backend,
    vectors: Backend,
}

async fn play(embedder: &str, more: &str, vectors: Answer) -> Played {
    let chats = Backend::answering(Answer::chat()).await;
    let vectors = Backend::answering(vectors).await;
    let stage = Stage::reading(&configuration(&chats, &vectors, embedder, more));
    Played {
        stage,
        chats,
        vectors,
    }
}

impl Played {
    async fn ask(&self, text: &str) -> Told {
        self.stage.call(call(&asking(text))).await
    }
}

fn unembedded(stage: &Stage, reason: &str, times: u32) -> bool {
    let line = format!(r#"tollgate_cache_unembedded_total{{reason="{reason}"}} {times}"#);
    counted(stage, &line)
}

fn embeddings(records: &[CallRecord]) -> Vec<&CallRecord> {
    let of = records.iter();
    of.filter(|record| record.cache == CacheOutcome::Embedding)
        .collect()
}

#[tokio::test]
async fn a_deployments_vectors_find_answers_and_cost_their_asker() {
    let played = play(PATIENT, "", small()).await;
    assert_eq!(cached(&played.ask(ASKED).await), "miss");
    let used = played.stage.level("tpm");
    let again = played.ask(ALIKE).await;
    assert_eq!(cached(&again), "hit");
    assert_eq!(again.header("x-tollgate-similarity"), Some("1.000"));
    assert_eq!(again.header("x-tollgate-tokens"), Some("0"));
    // Limits are the calls' own.
    assert_eq!(played.stage.level("tpm"), used);
    // The guard reads the words, whatever makes the vectors.
    assert_eq!(cached(&played.ask(OTHER).await), "miss");
    assert_eq!((played.chats.requests(), played.vectors.requests()), (2, 3));

    assert_eq!(
        played.vectors.headers("api-key"),
        vec![Some("the-embedder-s-own".to_owned()); 3]
    );
    assert_eq!(played.vectors.headers("authorization"), vec![None; 3]);
    let asked: serde_json::Value = serde_json::from_slice(&played.vectors.bodies()[0]).unwrap();
    assert_eq!(asked["input"], ASKED);

    let folder = played.stage.into_folder().await;
    let records = store::ledger::recent(folder.path(), 100).unwrap();
    assert_eq!(records.len(), 6, "{records:#?}");
    let made = embeddings(&records);
    assert_eq!(made.len(), 3);
    let usage = Usage {
        prompt: 9,
        ..Usage::default()
    };
    for record in made {
        let opening = &record.opening;
        assert_eq!(opening.who.subscription.as_str(), "search");
        assert_eq!(opening.model.as_str(), "meanings");
        assert_eq!(
            (record.outcome, record.metered),
            (Outcome::Ok, Metered::Reported(usage))
        );
        // Nine tokens at two millionths.
        assert_eq!(record.cost.amount(), Nanos(18_000));
        assert_eq!(record.attempts.len(), 1);
        assert!(opening.charges.is_empty(), "{opening:?}");
    }
    let rows = usage_by_cache(&folder);
    let of = |name: &str| rows.iter().find(|row| row.by == [name]).unwrap().clone();
    let (made, hit) = (of("embedding"), of("hit"));
    assert_eq!(
        (made.calls, made.attempts, made.prompt_tokens, made.cost),
        (0, 3, 27, Nanos(54_000))
    );
    assert_eq!((hit.calls, hit.cost), (1, Nanos::ZERO));
    assert!(hit.saved > made.cost, "{hit:?}");
}

fn usage_by_cache(folder: &tempfile::TempDir) -> Vec<UsageRow> {
    let query = UsageQuery {
        by: vec![UsageBy::Cache],
        only: Vec::new(),
        since: None,
        until: None,
        time_zone: jiff::tz::TimeZone::UTC,
    };
    store::ledger::usage(folder.path(), &query).unwrap()
}

#[tokio::test]
async fn budgets_count_vectors_and_one_that_has_no_room_gets_none() {
    let budgets = "budgets: [ { name: meanings, match: { model: meanings }, counter_key: subscription.id, amount: 0.00002, period: month, on_exceeded: refuse } ]";
    let played = play(PATIENT, budgets, small()).await;
    let told = played.ask(ASKED).await;
    assert_eq!((told.status.as_u16(), cached(&told)), (200, "miss"));
    let now = played.stage.clock.now();
    let levels = played.stage.gateway.counters.budget_levels(now);
    assert_eq!(levels[0].used, Nanos(18_000));
    let told = played.ask(ALIKE).await;
    assert_eq!((told.status.as_u16(), cached(&told)), (200, "miss"));
    assert_eq!(played.vectors.requests(), 1);
    assert!(unembedded(&played.stage, "refused", 1));
    let records = played.stage.records().await;
    assert_eq!(embeddings(&records).len(), 1);
    assert_eq!(embeddings(&records)[0].opening.charges.len(), 1);
}

/// The same question, so many times at once.
fn at_once(
    played: &Played,
    times: usize,
    question: impl Fn() -> Request<Full<Bytes>>,
) -> tokio::task::JoinSet<Told> {
    let mut told = tokio::task::JoinSet::new();
    for _ in 0..times {
        let (gateway, request) = (Arc::clone(&played.stage.gateway), question());
        told.spawn(async move { Told::read(gateway.handle(request, IP).await).await });
    }
    told
}

async fn open_calls(stage: &Stage, calls: u32) {
    let all_are_in = format!("tollgate_calls_open {calls}");
    while !counted(stage, &all_are_in) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_text_is_paid_for_once_by_each_who_ask_at_the_same_time_and_shortly_after() {
    let played = play(PATIENT, "", small().held()).await;
    let mut told = at_once(&played, 5, || call(&asking(ASKED)));
    // Five calls, and the one that asks for all of them.
    open_calls(&played.stage, 6).await;
    played.vectors.release();
    while let Some(told) = told.join_next().await {
        assert_eq!(told.unwrap().status, 200);
    }
    assert_eq!(played.vectors.requests(), 1);
    assert_eq!(cached(&played.ask(ASKED).await), "hit");
    assert_eq!(played.vectors.requests(), 1);
    let by_others = with(call(&asking(ASKED)), "authorization", OTHERS_KEY);
    assert_eq!(cached(&played.stage.call(by_others).await), "miss");
    assert_eq!(played.vectors.requests(), 2);
    played.stage.advance_s(60);
    assert_eq!(cached(&played.ask(ASKED).await), "hit");
    assert_eq!(played.vectors.requests(), 3);
}

#[tokio::test]
async fn without_a_vector_a_call_is_a_miss_and_is_counted_by_the_reason() {
    let other_length = vector(&[1.0, 0.0], "text-embedding-3-small");
    for (script, reason) in [
        (Script::Answer(Answer::error(500)), "failed"),
        (Script::Answer(Answer::error(400)), "failed"),
        (Script::Answer(Answer::error(401)), "failed"),
        (Script::Reset, "failed"),
        (Script::Answer(Answer::error(429)), "throttled"),
        (Script::Answer(Answer::json(200, "{}")), "unreadable"),
        (Script::Answer(vector(&[0.0, 0.0, 0.0], "m")), "unreadable"),
        (
            Script::Answer(small().with_body(r#"{"data":[]}"#)),
            "unreadable",
        ),
        (Script::Answer(other_length), "other_length"),
    ] {
        let played = play(PATIENT, "", small()).await;
        assert_eq!(cached(&played.ask(ASKED).await), "miss");
        played.vectors.then(script.clone());
        let told = played.ask(ALIKE).await;
        assert_eq!(
            (told.status.as_u16(), cached(&told)),
            (200, "miss"),
            "{script:?}"
        );
        assert!(
            unembedded(&played.stage, reason, 1),
            "{script:?}: {}",
            played.stage.metrics()
        );
        let records = played.stage.records().await;
        assert_eq!(embeddings(&records).len(), 2, "{script:?}");
    }
}

#[tokio::test]
async fn one_that_is_late_holds_nobody_up_and_is_paid_for_all_the_same() {
    let embedder = "{ model: meanings, timeout: 20ms, max_concurrent: 1 }";
    let played = play(embedder, "", small().held()).await;
    assert_eq!(cached(&played.ask(ASKED).await), "miss");
    assert!(unembedded(&played.stage, "late", 1));
    // Its place is taken until it is told.
    assert_eq!(cached(&played.ask(ALIKE).await), "miss");
    assert!(unembedded(&played.stage, "busy", 1));
    played.vectors.release();
    let calls_open = || counted(&played.stage, "tollgate_calls_open 0");
    eventually("the vector came", calls_open).await;
    let records = played.stage.records().await;
    let [late] = embeddings(&records)[..] else {
        panic!("{records:#?}")
    };
    assert_eq!(
        (late.outcome, late.cost.amount()),
        (Outcome::Ok, Nanos(18_000))
    );
}

#[tokio::test]
async fn vectors_of_another_model_are_not_compared() {
    let played = play(PATIENT, "", small()).await;
    assert_eq!(cached(&played.ask(ASKED).await), "miss");
    // The deployment has another model behind it, and says so.
    let other = vector(&[0.6, 0.8, 0.0], "text-embedding-3-large");
    played.vectors.always(other);
    assert_eq!(cached(&played.ask(ALIKE).await), "miss");
    played.vectors.always(small());
    let third = "Could I return an item within 30 days?";
    assert_eq!(cached(&played.ask(third).await), "hit");
    // So says the configuration: another deployment under the same name.
    let text = configuration(&played.chats, &played.vectors, PATIENT, "");
    played
        .stage
        .reload(&text.replace("deployment: small", "deployment: large"));
    assert_eq!(cached(&played.ask(ALIKE).await), "miss");
}

#[tokio::test]
async fn a_reload_changes_what_makes_the_vectors() {
    let played = play(PATIENT, "", small()).await;
    let deployment = configuration(&played.chats, &played.vectors, PATIENT, "");
    let nowhere = tempfile::tempdir().unwrap();
    let local = format!("local: {{ models: \"{}\" }}", nowhere.path().display());
    let local = deployment.replace(&format!("backend: {PATIENT}"), &local);
    assert_ne!(local, deployment);
    assert_eq!(cached(&played.ask(ASKED).await), "miss");
    played.stage.reload(&local);
    assert_eq!(cached(&played.ask(ALIKE).await), "miss");
    // The model is not there, and nobody else was asked.
    assert!(unembedded(&played.stage, "failed", 1));
    assert_eq!(played.vectors.requests(), 1);
    played.stage.reload(&deployment);
    assert_eq!(cached(&played.ask(ALIKE).await), "hit");
}

#[tokio::test]
async fn answers_are_compared_by_the_same_deployment() {
    let played = play(PATIENT, "", small()).await;
    let text = configuration(&played.chats, &played.vectors, PATIENT, "");
    let shadow = text.replace("semantic: {}", "semantic: { shadow: true }");
    played.stage.reload(&shadow);
    assert_eq!(cached(&played.ask(ASKED).await), "miss");
    let wrong = crate::scripted::CHAT.replace("384,400", "12");
    played.chats.always(Answer::json(200, wrong));
    assert_eq!(cached(&played.ask(ALIKE).await), "miss");
    let wrong =
        r#"tollgate_cache_compared_total{product="standard",mode="shadow",verdict="wrong"} 1"#;
    eventually("the answers are compared", || counted(&played.stage, wrong)).await;
    // Two questions, two answers.
    assert_eq!(played.vectors.requests(), 4);
}

#[tokio::test]
async fn what_was_compared_stands_in_reports_and_is_no_call() {
    let played = play(PATIENT, "", small()).await;
    let text = configuration(&played.chats, &played.vectors, PATIENT, "");
    let shadow = text.replace("semantic: {}", "semantic: { shadow: true }");
    played.stage.reload(&shadow);
    for (question, answer, verdict) in [
        (ASKED, "384,400", None),
        (ALIKE, "384,400", Some("right")),
        (
            "Could I return an item within 30 days?",
            "12",
            Some("wrong"),
        ),
    ] {
        let chat = crate::scripted::CHAT.replace("384,400", answer);
        played.chats.always(Answer::json(200, chat));
        assert_eq!(cached(&played.ask(question).await), "miss");
        let Some(verdict) = verdict else { continue };
        let line = format!(
            r#"tollgate_cache_compared_total{{product="standard",mode="shadow",verdict="{verdict}"}} 1"#
        );
        eventually("the answers are compared", || counted(&played.stage, &line)).await;
    }
    let folder = played.stage.into_folder().await;
    let rows = usage_by_cache(&folder);
    let compared: Vec<_> = rows
        .iter()
        .map(|row| (&*row.by[0], row.calls, row.compared, row.compared_wrong))
        .collect();
    assert_eq!(
        compared,
        [
            ("embedding", 0, 0, 0),
            ("miss", 3, 0, 0),
            ("shadow_right", 0, 1, 0),
            ("shadow_wrong", 0, 1, 1),
        ]
    );
    let records = store::ledger::recent(folder.path(), 100).unwrap();
    let wrong = records
        .iter()
        .find(|record| record.cache == CacheOutcome::ShadowWrong);
    let wrong = wrong.unwrap();
    assert_eq!(wrong.opening.who.product.as_str(), "standard");
    assert_eq!(wrong.opening.model.as_str(), "gpt-4o");
    assert_eq!(
        (wrong.similarity, wrong.metered),
        (Some(1_000), Metered::NOTHING)
    );
}
