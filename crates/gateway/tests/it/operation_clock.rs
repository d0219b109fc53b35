//! A wall clock that is set back and forth by an hour, across midnight: limits hold, and records
//! stay sane.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use config::{Environment, Source};
use domain::record::Outcome;
use domain::{Rule, Wall};
use gateway::{Clock, Gateway};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use simulator::{Behaviour, Running, Simulator};
use store::{Counters, Ledger};

/// 2026-11-22 23:30 UTC.
const EVENING: Wall = Wall::from_secs(1_795_390_200);
const HOUR_MS: i64 = 3_600_000;
const KEY: &str = "search-key-of-16-or-more";

async fn provider() -> Running {
    let any_port = "127.0.0.1:0".parse().unwrap();
    Simulator::start(any_port, Behaviour::default(), 7)
        .await
        .unwrap()
}

fn gateway(data: &Path, provider: &Running, clock: &Clock) -> Arc<Gateway> {
    let text = format!(
        "
backends: [{{ id: a, dialect: openai, url: 'http://{}/v1', auth: none }}]
models: [{{ name: gpt-4o, backend: a, max_output_tokens: 1000 }}]
products:
  - id: standard
    models: [gpt-4o]
    token_limits: [{{ name: tpm, tokens_per_minute: 100000 }}]
    quotas: [{{ name: day, tokens: 200, period: day, reserve: max }}]
subscriptions: [{{ id: search, product: standard, keys: {{ primary: {KEY} }} }}]
",
        provider.address()
    );
    let source = Source {
        name: "clock.yaml".into(),
        text,
    };
    let environment = Environment {
        variables: &|_| None,
        files: &|_| Err("there are none".into()),
    };
    let (snapshot, _) = config::load(&[source], &environment, &[], 1).unwrap();
    let now = clock.now();
    let (ledger, recovered) = Ledger::open(data, now).unwrap();
    let counters = Counters::memory();
    counters.restore(&recovered.counters, &snapshot.every_limit(), now);
    Gateway::new(snapshot, counters, ledger, clock.clone()).unwrap()
}

/// A call for 50 words with all that belongs to it: some 60 tokens.
async fn call(gateway: &Arc<Gateway>) -> StatusCode {
    let body = r#"{"model":"gpt-4o","max_tokens":50,"messages":[{"role":"user","content":"answer 50 words"}]}"#;
    let request = Request::post("/v1/chat/completions")
        .header("api-key", KEY)
        .body(Full::new(Bytes::from_static(body.as_bytes())))
        .unwrap();
    let answer = gateway
        .handle(request, IpAddr::V4(Ipv4Addr::LOCALHOST))
        .await;
    let status = answer.status();
    let mut body = answer.into_body();
    while let Some(frame) = body.frame().await {
        frame.unwrap();
    }
    status
}

/// Tokens used of the minute's limit and of the day's quota.
fn used(gateway: &Gateway) -> (u64, u64) {
    let levels = gateway.counters.levels(gateway.clock.now());
    let of = |is_quota: bool| {
        let of_kind = |rule: &Rule| matches!(rule, Rule::TokenQuota { .. }) == is_quota;
        let level = levels.iter().find(|level| of_kind(&level.limit.rule));
        level.map_or(0, |level| level.used)
    };
    (of(false), of(true))
}

#[tokio::test]
async fn an_hour_back_and_forth_hands_out_nothing_twice_and_leaves_the_minute_alone() {
    let (data, provider) = (tempfile::tempdir().unwrap(), provider().await);
    let clock = Clock::manual(EVENING);
    let gateway = gateway(data.path(), &provider, &clock);
    assert_eq!(call(&gateway).await, StatusCode::OK);
    let (minute, one_call) = used(&gateway);
    assert!(one_call > 50 && minute == one_call);

    // Into the next day: a new quota, the same minute.
    clock.step_wall(HOUR_MS);
    assert_eq!(used(&gateway).0, minute);
    for _ in 0..3 {
        assert_eq!(call(&gateway).await, StatusCode::OK);
    }
    assert_eq!(call(&gateway).await, StatusCode::FORBIDDEN);
    assert_eq!(used(&gateway), (4 * one_call, 3 * one_call));

    // Back and forth, some more: neither day gives anything again.
    for by_ms in [-HOUR_MS, HOUR_MS, -HOUR_MS, HOUR_MS] {
        clock.step_wall(by_ms);
        assert_eq!(call(&gateway).await, StatusCode::FORBIDDEN);
        assert_eq!(used(&gateway), (4 * one_call, 3 * one_call));
    }
    // What is in the window leaves it after a minute that passed, whatever the wall says.
    clock.advance(Duration::from_secs(61));
    assert_eq!(used(&gateway), (0, 3 * one_call));
    gateway.close().await;
}

#[tokio::test]
async fn a_restart_with_the_clock_set_back_continues_the_period_that_was_reached() {
    let (data, provider) = (tempfile::tempdir().unwrap(), provider().await);
    let clock = Clock::manual(EVENING + Duration::from_millis(HOUR_MS as u64));
    let before = gateway(data.path(), &provider, &clock);
    for _ in 0..3 {
        assert_eq!(call(&before).await, StatusCode::OK);
    }
    let reached = used(&before).1;
    before.close().await;

    let after = gateway(data.path(), &provider, &Clock::manual(EVENING));
    assert_eq!(used(&after).1, reached);
    assert_eq!(call(&after).await, StatusCode::FORBIDDEN);
    after.close().await;
}

#[tokio::test]
async fn records_of_calls_that_a_step_falls_into_are_sane() {
    let (data, provider) = (tempfile::tempdir().unwrap(), provider().await);
    let clock = Clock::manual(EVENING);
    let gateway = gateway(data.path(), &provider, &clock);
    for by_ms in [-HOUR_MS, HOUR_MS] {
        // The step falls between the call's begin and its end: its body is not read yet.
        let request = Request::post("/v1/chat/completions")
            .header("api-key", KEY)
            .body(Full::new(Bytes::from_static(
                br#"{"model":"gpt-4o","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"answer 9 words"}]}"#,
            )))
            .unwrap();
        let answer = gateway
            .handle(request, IpAddr::V4(Ipv4Addr::LOCALHOST))
            .await;
        clock.step_wall(by_ms);
        clock.advance(Duration::from_millis(250));
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            frame.unwrap();
        }
    }
    gateway.close().await;

    let mut records = store::ledger::recent(data.path(), 10).unwrap();
    records.sort_by_key(|record| record.opening.at.0);
    let at: Vec<i64> = records
        .iter()
        .map(|record| record.opening.at.0 - EVENING.0)
        .collect();
    assert_eq!(at, [250 - HOUR_MS, 0]);
    for record in &records {
        assert_eq!(record.outcome, Outcome::Ok);
        assert_eq!(record.latency, Duration::from_millis(250));
    }
    assert_ne!(records[0].opening.id, records[1].opening.id);
}
