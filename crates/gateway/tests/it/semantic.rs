//! Answers to questions that mean the same: given, kept back and tried, with the local model itself.

mod deployment;

use std::path::PathBuf;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::scripted::{Answer, Backend};
use crate::sinks::eventually;
use crate::stage::{Stage, Told, request};

const ASKED: &str = "Can I return an item within 30 days?";
/// The same in other words.
const ALIKE: &str = "May I return an item within 30 days?";
/// Nearly the same words.
const OTHER: &str = "Can I return an item within 60 days?";

/// The model that `make model` fetched. Fails rather than skips.
fn models() -> PathBuf {
    let named = std::env::var_os("TOLLGATE_MODELS").map(PathBuf::from);
    let cache = embed::user_cache(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"));
    let folders: Vec<PathBuf> = named.into_iter().chain(cache).collect();
    let files =
        embed::find(&folders).unwrap_or_else(|missing| panic!("{missing} (or: make model)"));
    files.model.parent().unwrap().to_owned()
}

/// Two teams of one product. The model has as long as a slow machine takes.
fn configuration(backend: &Backend, semantic: &str, models: &str) -> String {
    let address = &backend.address;
    format!(
        "backends: [ {{ id: a, dialect: openai, url: \"{address}\", auth: {{ bearer: the-gateway-s-own }} }} ]
pools: [ {{ id: all, members: [ {{ backend: a }} ] }} ]
models: [ {{ name: gpt-4o, pool: all, max_output_tokens: 1000, tokenizer: o200k }} ]
products: [ {{ id: standard, models: [gpt-4o], cache: {{ semantic: {semantic} }} }} ]
subscriptions:
  - {{ id: search, product: standard, keys: {{ primary: search-key-of-16-or-more }} }}
  - {{ id: chat, product: standard, keys: {{ primary: chat-key-of-16-or-more }} }}
caching: {{ embedder: {{ local: {{ models: {models}, timeout: 10m }} }} }}
"
    )
}

async fn stage(semantic: &str) -> (Stage, Backend) {
    let backend = Backend::answering(Answer::chat()).await;
    let models = models().display().to_string();
    (
        Stage::reading(&configuration(&backend, semantic, &models)),
        backend,
    )
}

fn asking(text: &str) -> Value {
    json!({"model": "gpt-4o", "messages": [
        {"role": "system", "content": "You are a shop."},
        {"role": "user", "content": text},
    ]})
}

fn call(body: &Value) -> Request<Full<Bytes>> {
    request(body.to_string())
}

fn with(mut call: Request<Full<Bytes>>, name: &'static str, value: &str) -> Request<Full<Bytes>> {
    call.headers_mut().insert(name, value.parse().unwrap());
    call
}

fn cached(told: &Told) -> &str {
    told.header("x-tollgate-cache").unwrap()
}

fn counted(stage: &Stage, line: &str) -> bool {
    let metrics = stage.metrics();
    metrics.lines().any(|found| found == line)
}

#[tokio::test]
async fn a_question_that_means_the_same_is_answered_again() {
    let (stage, backend) = stage("{}").await;
    let first = stage.call(call(&asking(ASKED))).await;
    assert_eq!(cached(&first), "miss");
    let again = stage.call(call(&asking(ALIKE))).await;
    assert_eq!(cached(&again), "hit");
    let similarity: f64 = again
        .header("x-tollgate-similarity")
        .unwrap()
        .parse()
        .unwrap();
    assert!((0.95..1.0).contains(&similarity), "{similarity}");
    assert!(again.text().contains("384,400"), "{}", again.text());
    assert_eq!(again.header("x-tollgate-tokens"), Some("0"));

    let mut streamed = asking(ALIKE);
    streamed["stream"] = true.into();
    let streamed = stage.call(call(&streamed)).await;
    assert_eq!(cached(&streamed), "hit");
    assert!(streamed.text().ends_with("data: [DONE]\n\n"));
    assert_eq!(backend.requests(), 1);
    assert!(counted(
        &stage,
        r#"tollgate_cache_lookups_total{product="standard",result="semantic"} 2"#
    ));
    let records = stage.records().await;
    let thousandths = (similarity * 1_000.0).round() as u16;
    // All began at one moment, so they have no order.
    let hits = records.iter().filter(|record| record.similarity.is_some());
    let kept: Vec<_> = hits
        .map(|record| (record.similarity, record.saved_tokens))
        .collect();
    assert_eq!(kept, [(Some(thousandths), 17); 2]);
}

#[tokio::test]
async fn a_question_that_differs_in_a_number_is_not() {
    let (stage, backend) = stage("{ min_similarity: 0.8 }").await;
    stage.call(call(&asking(ASKED))).await;
    let other = stage.call(call(&asking(OTHER))).await;
    assert_eq!(cached(&other), "miss");
    assert_eq!(backend.requests(), 2);
    assert!(counted(
        &stage,
        r#"tollgate_cache_passed_over_total{difference="number"} 1"#
    ));
}

#[tokio::test]
async fn without_the_guard_the_vector_alone_decides() {
    let (stage, backend) = stage("{ guard: false, min_similarity: 0.9 }").await;
    stage.call(call(&asking(ASKED))).await;
    let other = stage.call(call(&asking(OTHER))).await;
    assert_eq!(cached(&other), "hit");
    assert_eq!(backend.requests(), 1);
}

#[tokio::test]
async fn nothing_but_the_last_question_may_differ() {
    let (stage, backend) = stage("{}").await;
    stage.call(call(&asking(ASKED))).await;
    let mut system = asking(ALIKE);
    system["messages"][0]["content"] = "You are a bank.".into();
    let mut warm = asking(ALIKE);
    warm["temperature"] = 0.5.into();
    let mut tools = asking(ALIKE);
    tools["tools"] = json!([{"type": "function", "function": {"name": "f"}}]);
    let mut turns = asking(ALIKE);
    turns["messages"][0]["role"] = "user".into();
    let others_key = "chat-key-of-16-or-more";
    let bearer = format!("Bearer {others_key}");
    for different in [
        call(&system),
        call(&warm),
        call(&tools),
        call(&turns),
        with(call(&asking(ALIKE)), "authorization", &bearer),
        with(call(&asking(ALIKE)), "x-tollgate-cache", "exact"),
        with(call(&asking(ALIKE)), "cache-control", "no-cache"),
    ] {
        let told = stage.call(different).await;
        assert_eq!((told.status.as_u16(), cached(&told)), (200, "miss"));
    }
    assert_eq!(backend.requests(), 8);
}

#[tokio::test]
async fn an_answer_is_over_when_its_time_is() {
    let (stage, _backend) = stage("{ ttl: 10m }").await;
    stage.call(call(&asking(ASKED))).await;
    stage.advance_s(599);
    assert_eq!(cached(&stage.call(call(&asking(ALIKE))).await), "hit");
    stage.advance_s(1);
    assert_eq!(cached(&stage.call(call(&asking(ALIKE))).await), "miss");
}

#[tokio::test]
async fn shadow_gives_nothing_and_counts_what_would_have_been_right() {
    let (stage, backend) = stage("{ shadow: true }").await;
    stage.call(call(&asking(ASKED))).await;
    let again = stage.call(call(&asking(ALIKE))).await;
    assert_eq!(cached(&again), "miss");
    assert_eq!(backend.requests(), 2);
    let right =
        r#"tollgate_cache_compared_total{product="standard",mode="shadow",verdict="right"} 1"#;
    eventually("the answers are compared", || counted(&stage, right)).await;

    let wrong = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"No, never."},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17}}"#;
    backend.always(Answer::json(200, wrong));
    stage
        .call(call(&asking("Could I return an item within 30 days?")))
        .await;
    let wrong =
        r#"tollgate_cache_compared_total{product="standard",mode="shadow",verdict="wrong"} 1"#;
    eventually("the answers are compared", || counted(&stage, wrong)).await;
}

#[tokio::test]
async fn an_error_rate_tries_answers_before_it_gives_them() {
    let (stage, backend) = stage("{ max_error_rate: 0.05 }").await;
    stage.call(call(&asking(ASKED))).await;
    let again = stage.call(call(&asking(ALIKE))).await;
    assert_eq!(cached(&again), "miss");
    assert_eq!(backend.requests(), 2);
    let right =
        r#"tollgate_cache_compared_total{product="standard",mode="explored",verdict="right"} 1"#;
    eventually("the answers are compared", || counted(&stage, right)).await;
}

#[tokio::test]
async fn an_answer_that_was_right_often_enough_is_given_under_an_error_rate() {
    for cache in ["", "exact: { ttl: 1h }, "] {
        let backend = Backend::answering(Answer::chat()).await;
        let models = models().display().to_string();
        let rules = configuration(&backend, "{ max_error_rate: 0.05 }", &models)
            .replace("cache: { semantic", &format!("cache: {{ {cache}semantic"));
        let stage = Stage::reading(&rules);
        stage.call(call(&asking(ASKED))).await;
        // What is right is learned of the first answer, and no further one stands beside it.
        let mut given = 0;
        for tried in 1..=120 {
            let wording = format!("May I return an item within 30 days{}?", " ".repeat(tried));
            let told = stage.call(call(&asking(&wording))).await;
            if cached(&told) == "hit" {
                given += 1;
                continue;
            }
            let compared = tried - given;
            let right = format!(
                r#"tollgate_cache_compared_total{{product="standard",mode="explored",verdict="right"}} {compared}"#
            );
            eventually("the answers are compared", || counted(&stage, &right)).await;
        }
        assert!(given > 20, "{given} of 120");
    }
}

#[tokio::test]
async fn an_answer_that_was_wrong_once_stands_beside_the_one_that_was_tried() {
    let (stage, backend) = stage("{ shadow: true }").await;
    stage.call(call(&asking(ASKED))).await;
    backend.always(Answer::json(
        200,
        r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"No, never."},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17}}"#,
    ));
    stage.call(call(&asking(ALIKE))).await;
    eventually("both are kept", || {
        counted(&stage, "tollgate_cache_entries 2")
    })
    .await;
}

#[tokio::test]
async fn without_the_model_calls_are_answered_by_their_backend() {
    let backend = Backend::answering(Answer::chat()).await;
    let nowhere = tempfile::tempdir().unwrap();
    let models = nowhere.path().display().to_string();
    let stage = Stage::reading(&configuration(&backend, "{}", &models));
    for text in [ASKED, ALIKE] {
        let told = stage.call(call(&asking(text))).await;
        assert_eq!((told.status.as_u16(), cached(&told)), (200, "miss"));
    }
    assert!(counted(
        &stage,
        r#"tollgate_cache_unembedded_total{reason="failed"} 2"#
    ));
}

#[tokio::test]
async fn a_text_that_would_be_read_in_part_is_not_compared() {
    let (stage, _backend) = stage("{}").await;
    let long = "the same words ".repeat(200);
    for end in ["one", "two"] {
        let told = stage.call(call(&asking(&format!("{long} {end}")))).await;
        assert_eq!(cached(&told), "miss");
    }
    assert!(counted(
        &stage,
        r#"tollgate_cache_unembedded_total{reason="too_long"} 2"#
    ));
}
