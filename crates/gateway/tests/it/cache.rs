//! Answers that are given again: to whom, how, and what is left of it on the ledger.

mod coalescing;
mod isolation;

use bytes::Bytes;
use domain::record::{CacheOutcome, Cost, Outcome};
use domain::{Metered, Nanos};
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::scripted::{Answer, Backend, CHAT, DELTA, DONE, USAGE};
use crate::sinks::eventually;
use crate::stage::{Stage, Told, request};

/// Two teams of one product and one of another, which share a model, and one more model.
fn configuration(backend: &Backend, cache: &str, more_of_product: &str) -> String {
    let address = &backend.address;
    format!(
        "backends: [ {{ id: a, dialect: openai, url: \"{address}\", auth: {{ bearer: the-gateway-s-own }} }} ]
pools: [ {{ id: all, members: [ {{ backend: a }} ] }} ]
models:
  - {{ name: gpt-4o, pool: all, max_output_tokens: 1000, tokenizer: o200k, price: {{ input_per_million: 10, output_per_million: 100 }} }}
  - {{ name: gpt-mini, pool: all, max_output_tokens: 1000, tokenizer: o200k }}
products:
  - {{ id: standard, models: [gpt-4o, gpt-mini], cache: {cache}, token_limits: [ {{ name: tpm, tokens_per_minute: 1000000 }} ]{more_of_product} }}
  - {{ id: other, models: [gpt-4o, gpt-mini], cache: {cache} }}
subscriptions:
  - {{ id: search, product: standard, keys: {{ primary: search-key-of-16-or-more }} }}
  - {{ id: chat, product: standard, keys: {{ primary: chat-key-of-16-or-more }} }}
  - {{ id: apart, product: other, keys: {{ primary: apart-key-of-16-or-more }} }}
"
    )
}

const EXACT: &str = "{ exact: {} }";

async fn stage(cache: &str, answer: Answer) -> (Stage, Backend) {
    let backend = Backend::answering(answer).await;
    (Stage::reading(&configuration(&backend, cache, "")), backend)
}

fn asking(text: &str) -> Value {
    json!({"model": "gpt-4o", "messages": [{"role": "user", "content": text}]})
}

fn streamed(text: &str) -> Value {
    let mut call = asking(text);
    call["stream"] = true.into();
    call
}

fn call(body: &Value) -> Request<Full<Bytes>> {
    request(body.to_string())
}

fn with(
    mut request: Request<Full<Bytes>>,
    name: &'static str,
    value: &str,
) -> Request<Full<Bytes>> {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

fn cached(told: &Told) -> &str {
    told.header("x-tollgate-cache").unwrap()
}

fn json_of(told: &Told) -> Value {
    serde_json::from_slice(&told.body).unwrap()
}

/// What a stream says, its usage if it has one, and that it ended as it should.
fn heard(told: &Told) -> (String, Option<Value>) {
    let events: Vec<&str> = told.text().split_terminator("\n\n").collect();
    assert_eq!(events.last(), Some(&"data: [DONE]"), "{}", told.text());
    let mut text = String::new();
    let mut usage = None;
    for event in &events[..events.len() - 1] {
        let event: Value = serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
        let piece = event["choices"][0]["delta"]["content"].as_str();
        text.push_str(piece.unwrap_or_default());
        usage = event
            .get("usage")
            .filter(|usage| !usage.is_null())
            .cloned()
            .or(usage);
    }
    (text, usage)
}

const STOP: &str =
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

/// A stream that ends by itself: 12 + 5 tokens by the provider's word.
fn stream() -> Answer {
    Answer::stream(&[
        "data: {\"id\":\"c1\",\"model\":\"gpt-4o-2024\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"About \"}}]}\n\n",
        "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"384,400 km.\"}}]}\n\n",
        STOP,
        USAGE,
        DONE,
    ])
}

#[tokio::test]
async fn a_call_that_was_answered_is_answered_again_and_charged_nothing() {
    let (stage, backend) = stage(EXACT, Answer::chat()).await;
    let first = stage.call(call(&asking("How far?"))).await;
    assert_eq!((cached(&first), first.header("age")), ("miss", None));
    let used = stage.level("tpm");
    stage.advance_s(9);
    let again = stage.call(call(&asking("How far?"))).await;
    assert_eq!((cached(&again), again.header("age")), ("hit", Some("9")));
    assert_eq!(again.header("x-tollgate-tokens"), Some("0"));
    assert_eq!(again.header("x-tollgate-backend"), None);
    assert_eq!(backend.requests(), 1);
    assert_eq!(stage.level("tpm"), used);
    let (before, after) = (json_of(&first), json_of(&again));
    assert_eq!(before["choices"], after["choices"]);
    assert_ne!(before["id"], after["id"]);
    assert_eq!(after["usage"]["prompt_tokens_details"]["cached_tokens"], 12);
    let metrics = stage.metrics();
    for line in [
        r#"tollgate_cache_lookups_total{product="standard",result="exact"} 1"#,
        r#"tollgate_cache_lookups_total{product="standard",result="miss"} 1"#,
        r#"tollgate_saved_tokens_total{subscription="search",model="gpt-4o"} 17"#,
        r#"tollgate_saved_total{subscription="search",model="gpt-4o",currency="USD"} 0.00062"#,
        "tollgate_cache_entries 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    let records = stage.records().await;
    let [miss, hit] = &records[..] else {
        panic!("{records:#?}")
    };
    assert_eq!((miss.cache, miss.saved_tokens), (CacheOutcome::Miss, 0));
    assert_eq!(
        (hit.cache, hit.outcome, hit.status),
        (CacheOutcome::Hit, Outcome::Ok, 200)
    );
    assert_eq!((hit.metered, hit.saved_tokens), (Metered::NOTHING, 17));
    assert!(miss.cost.amount() > Nanos::ZERO);
    // An amount of zero: what was saved has a currency, and a price that says why.
    let free = Cost::Priced {
        amount: Nanos::ZERO,
        currency: miss.cost.currency().unwrap(),
        price: miss.cost.price().unwrap().clone(),
    };
    assert_eq!((&hit.cost, hit.saved), (&free, miss.cost.amount()));
    assert!(hit.attempts.is_empty() && hit.backend.is_none() && hit.similarity.is_none());
}

#[tokio::test]
async fn an_answer_is_given_as_its_client_asks_whichever_way_it_came() {
    for answer in [Answer::chat(), stream()] {
        let is_stream = answer.is_stream();
        let (stage, backend) = stage(EXACT, answer).await;
        let first = if is_stream {
            streamed("How far?")
        } else {
            asking("How far?")
        };
        let first = stage.call(call(&first)).await;
        assert_eq!(cached(&first), "miss", "{}", first.text());
        let whole = stage.call(call(&asking("How far?"))).await;
        assert_eq!(cached(&whole), "hit");
        assert_eq!(whole.header("content-type"), Some("application/json"));
        let whole = json_of(&whole);
        assert_eq!(
            whole["choices"][0]["message"]["content"],
            "About 384,400 km."
        );
        assert_eq!(whole["object"], "chat.completion");
        assert_eq!(whole["usage"]["total_tokens"], 17);
        let told = stage.call(call(&streamed("How far?"))).await;
        assert_eq!(cached(&told), "hit");
        assert!(
            told.header("content-type")
                .unwrap()
                .starts_with("text/event-stream")
        );
        assert_eq!(heard(&told), ("About 384,400 km.".to_owned(), None));
        let mut wanted = streamed("How far?");
        wanted["stream_options"] = json!({"include_usage": true});
        let (_, usage) = heard(&stage.call(call(&wanted)).await);
        assert_eq!(usage.unwrap()["prompt_tokens_details"]["cached_tokens"], 12);
        assert_eq!(backend.requests(), 1);
    }
}

#[tokio::test]
async fn vectors_are_given_again() {
    let vectors = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,0.25]}],"model":"e","usage":{"prompt_tokens":3,"total_tokens":3}}"#;
    let (stage, backend) = stage(EXACT, Answer::json(200, vectors)).await;
    let ask = || {
        let mut call = call(&json!({"model": "gpt-4o", "input": "moon"}));
        *call.uri_mut() = "/v1/embeddings".parse().unwrap();
        call
    };
    assert_eq!(cached(&stage.call(ask()).await), "miss");
    let again = stage.call(ask()).await;
    assert_eq!(cached(&again), "hit");
    assert_eq!(json_of(&again)["data"][0]["embedding"], json!([0.5, 0.25]));
    assert_eq!(backend.requests(), 1);
}

#[tokio::test]
async fn an_answer_is_not_given_again_past_its_time() {
    let (stage, backend) = stage("{ exact: { ttl: 10m } }", Answer::chat()).await;
    stage.call(call(&asking("How far?"))).await;
    stage.advance_s(599);
    assert_eq!(cached(&stage.call(call(&asking("How far?"))).await), "hit");
    stage.advance_s(1);
    assert_eq!(cached(&stage.call(call(&asking("How far?"))).await), "miss");
    assert_eq!(backend.requests(), 2);
}

#[tokio::test]
async fn what_a_client_wants_of_the_cache_is_done() {
    let (stage, backend) = stage(EXACT, Answer::chat()).await;
    let ask = || call(&asking("How far?"));
    for (name, value, told) in [
        ("cache-control", "no-store", "miss"),
        ("x-tollgate-cache", "off", "off"),
        ("accept", "*/*", "miss"),
        ("accept", "*/*", "hit"),
        ("cache-control", "no-store", "hit"),
        ("cache-control", "no-cache", "miss"),
        ("x-tollgate-cache", "refresh", "miss"),
        ("cache-control", "max-age=60", "hit"),
    ] {
        let answer = stage.call(with(ask(), name, value)).await;
        assert_eq!(cached(&answer), told, "{name}: {value}");
    }
    stage.advance_s(61);
    assert_eq!(
        cached(&stage.call(with(ask(), "cache-control", "max-age=60")).await),
        "miss"
    );
    let fault = stage.call(with(ask(), "x-tollgate-cache", "maybe")).await;
    assert_eq!(fault.status, 400);
    assert_eq!(json_of(&fault)["error"]["param"], "x-tollgate-cache");
    assert_eq!(backend.requests(), 6);
}

#[tokio::test]
async fn what_may_not_be_answered_again_is_not() {
    let tools = CHAT
        .replace("\"content\":\"About 384,400 km.\"", "\"content\":null,\"tool_calls\":[{\"id\":\"t\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]")
        .replace("\"stop\"", "\"tool_calls\"");
    let cut = CHAT.replace("\"stop\"", "\"length\"");
    for answer in [
        Answer::json(200, tools),
        Answer::json(200, cut),
        Answer::json(422, CHAT),
        Answer::stream(&[
            crate::scripted::DELTA,
            crate::scripted::USAGE,
            crate::scripted::DONE,
        ]),
    ] {
        let (stage, backend) = stage(EXACT, answer).await;
        for _ in 0..2 {
            let told = stage.call(call(&asking("How far?"))).await;
            assert_eq!(cached(&told), "miss");
        }
        assert_eq!(backend.requests(), 2);
    }
    let (stage, backend) = stage("{ exact: {}, max_temperature: 0.5 }", Answer::chat()).await;
    for (field, value) in [
        ("temperature", json!(0.6)),
        // One that says nothing is as hot as providers make it.
        ("seed", json!(1)),
        ("logprobs", json!(true)),
        ("store", json!(true)),
    ] {
        for _ in 0..2 {
            let mut ask = asking("How far?");
            ask[field] = value.clone();
            assert_eq!(cached(&stage.call(call(&ask)).await), "off", "{field}");
        }
    }
    assert_eq!(backend.requests(), 8);
}

#[tokio::test]
async fn a_stream_larger_than_an_entry_is_not_given_again_without_its_end() {
    let long = "x".repeat(2_000);
    let last = format!(
        "data: {{\"choices\":[{{\"index\":0,\"finish_reason\":\"stop\",\"delta\":{{\"content\":\"{long}\"}}}}]}}\n\n"
    );
    let backend = Backend::answering(Answer::stream(&[
        crate::scripted::DELTA,
        &last,
        crate::scripted::USAGE,
        crate::scripted::DONE,
    ]))
    .await;
    let text = configuration(&backend, EXACT, "");
    let stage = Stage::reading(&format!("{text}\ncaching: {{ max_entry: 1KiB }}"));
    for _ in 0..2 {
        let told = stage.call(call(&streamed("How far?"))).await;
        assert_eq!(cached(&told), "miss");
        assert!(heard(&told).0.ends_with(&long));
    }
    assert_eq!(backend.requests(), 2);
}

#[tokio::test]
async fn a_product_may_share_among_its_subscriptions_and_ignore_who_asks() {
    let cache = "{ exact: {}, vary_by: [product.id], ignore: [user] }";
    let (stage, backend) = stage(cache, Answer::chat()).await;
    let mut ask = asking("How far?");
    ask["user"] = "anna".into();
    let by = |key: &str| {
        with(
            call(&asking("How far?")),
            "authorization",
            &format!("Bearer {key}"),
        )
    };
    assert_eq!(cached(&stage.call(call(&ask)).await), "miss");
    assert_eq!(
        cached(&stage.call(by("chat-key-of-16-or-more")).await),
        "hit"
    );
    assert_eq!(
        cached(&stage.call(by("apart-key-of-16-or-more")).await),
        "miss"
    );
    assert_eq!(backend.requests(), 2);
}

#[tokio::test]
async fn a_value_that_tells_calls_apart_and_is_missing_is_a_fault() {
    let cache = "{ exact: {}, vary_by: ['request.headers[\"x-tenant\"]'] }";
    let (stage, _backend) = stage(cache, Answer::chat()).await;
    let told = stage.call(call(&asking("How far?"))).await;
    assert_eq!(
        (told.status.as_u16(), told.code().as_deref()),
        (400, Some("policy_fault"))
    );
    let of = |tenant| with(call(&asking("How far?")), "x-tenant", tenant);
    assert_eq!(cached(&stage.call(of("a")).await), "miss");
    assert_eq!(cached(&stage.call(of("b")).await), "miss");
    assert_eq!(cached(&stage.call(of("a")).await), "hit");
}

#[tokio::test]
async fn guards_look_at_what_is_given_again_and_each_gets_its_own_values_back() {
    let backend = Backend::answering(Answer::json(
        200,
        CHAT.replace("About 384,400 km.", "Ask <EMAIL_1>."),
    ))
    .await;
    let guards = ", guards: [ { pii: { action: mask } } ]";
    let stage = Stage::reading(&configuration(&backend, EXACT, guards));
    let ask = |email: &str| call(&asking(&format!("I am {email}.")));
    let said = |told: &Told| json_of(told)["choices"][0]["message"]["content"].clone();
    let first = stage.call(ask("anna@example.com")).await;
    assert_eq!(
        (cached(&first), said(&first)),
        ("miss", json!("Ask anna@example.com."))
    );
    let second = stage.call(ask("bert@example.com")).await;
    assert_eq!(
        (cached(&second), said(&second)),
        ("hit", json!("Ask bert@example.com."))
    );
    let mut stream = streamed("I am carl@example.com.");
    stream["stream"] = true.into();
    let third = stage.call(call(&stream)).await;
    assert_eq!(
        (cached(&third), heard(&third).0),
        ("hit", "Ask carl@example.com.".to_owned())
    );
    assert_eq!(backend.requests(), 1);
    // A guard that came later looks at answers that were kept before it.
    let stricter =
        ", guards: [ { pii: { action: mask } }, { lists: { words: [ask], where: [answer] } } ]";
    stage.reload(&configuration(&backend, EXACT, stricter));
    let blocked = stage.call(ask("dora@example.com")).await;
    assert_eq!(
        blocked.code().as_deref(),
        Some("content_filter"),
        "{}",
        blocked.text()
    );
    assert_eq!(backend.requests(), 1);
}

#[tokio::test]
async fn an_answer_with_masks_that_its_prompt_had_not_is_not_kept() {
    let content = "Ask anna@example.com.";
    let whole = Answer::json(200, CHAT.replace("About 384,400 km.", content));
    let of_stream = Answer::stream(&[
        &DELTA.replace("About 384,400 km.", content),
        STOP,
        USAGE,
        DONE,
    ]);
    let guards = ", guards: [ { pii: { action: mask } } ]";
    for (answer, body) in [
        (whole, asking("Whom shall I ask?")),
        (of_stream, streamed("Whom shall I ask?")),
    ] {
        let backend = Backend::answering(answer).await;
        let stage = Stage::reading(&configuration(&backend, EXACT, guards));
        for requests in 1..=2 {
            let told = stage.call(call(&body)).await;
            assert!(told.text().contains("anna@"), "{}", told.text());
            assert_eq!((cached(&told), backend.requests()), ("miss", requests));
        }
        // Guards that let the answer be have it kept.
        stage.reload(&configuration(&backend, EXACT, ""));
        assert_eq!(cached(&stage.call(call(&body)).await), "miss");
        assert_eq!(cached(&stage.call(call(&body)).await), "hit");
        assert_eq!(backend.requests(), 3);
    }
}

#[tokio::test]
async fn a_disk_is_asked_for_until_it_is_used_and_not_where_none_is_wanted() {
    let backend = Backend::answering(Answer::chat()).await;
    let folder = tempfile::tempdir().unwrap();
    let text = configuration(&backend, EXACT, "");
    let text = format!("data_dir: \"{}\"\n{text}", folder.path().display());
    let stage = Stage::reading_in(folder, &text);
    let gateway = &stage.gateway;
    let wants_disk = || gateway.cache.wants_disk(&gateway.snapshot.load());
    assert!(!wants_disk());
    stage.reload(&format!("{text}caching: {{ disk: {{}} }}\n"));
    assert!(wants_disk());
    // As soon as the store is open whose keys seal what is kept.
    eventually("the disk is used", || {
        gateway.use_disk();
        !wants_disk()
    })
    .await;
    assert!(gateway.cache.entries().levels().disk.is_some());
}

#[tokio::test]
async fn past_its_memory_the_cache_lets_old_answers_go() {
    let backend = Backend::answering(Answer::chat()).await;
    let text = configuration(&backend, EXACT, "");
    let stage = Stage::reading(&format!(
        "{text}\ncaching: {{ memory: 1MiB, max_entry: 1KiB }}"
    ));
    let long = CHAT.replace("About", &"x".repeat(2_000));
    backend.always(Answer::json(200, long));
    for _ in 0..2 {
        assert_eq!(cached(&stage.call(call(&asking("long"))).await), "miss");
    }
    backend.always(Answer::chat());
    for index in 0..3_000 {
        stage.call(call(&asking(&format!("{index}")))).await;
    }
    let levels = stage.gateway.cache.entries().levels();
    assert!(levels.evicted > 0, "{levels:?}");
    assert!(levels.memory_bytes <= 1024 * 1024, "{levels:?}");
}
