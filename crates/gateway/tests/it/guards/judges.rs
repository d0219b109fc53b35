//! Guards that ask a service: what blocks, what is asked, and what follows when it gives no answer.

mod hooks;
mod presidio;
pub mod windows;

use std::time::Duration;

use bytes::Bytes;
use domain::record::{CallRecord, Content, Outcome, Ruling};
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use simulator::{Behaviour, Running, Simulator};

use super::{asking, saying, verdicts};
use crate::scripted::{Answer, Backend, DeadBackend};
use crate::sinks::metric;
use crate::stage::{KEY, Stage, reported, request};

pub async fn judge(behaviour: Behaviour) -> Running {
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    Simulator::start(any, behaviour, 7).await.unwrap()
}

const OTHER_KEY: &str = "other-key-of-16-or-more";

/// One model, and a judge at `judge`. The second product has guards of its own.
fn configured(model: &Backend, judge: &str, guards: &str, others: &str) -> String {
    let address = &model.address;
    format!(
        "
backends:
  - {{ id: a, dialect: openai, url: \"{address}\", auth: none }}
  - id: safety
    dialect: azure-content-safety
    url: \"{judge}\"
    auth: {{ api_key: judge-key }}
    breaker: {{ min_throughput: 4, trip_duration: 30s }}
  - {{ id: mod, dialect: openai, url: \"{judge}/v1\", auth: {{ api_key: judge-key }} }}
models: [ {{ name: gpt-4o, backend: a, max_output_tokens: 1000, tokenizer: o200k }} ]
products:
  - {{ id: standard, models: [gpt-4o], guards: {guards} }}
  - {{ id: other, models: [gpt-4o], guards: {others} }}
subscriptions:
  - {{ id: search, product: standard, keys: {{ primary: {KEY} }} }}
  - {{ id: lab, product: other, keys: {{ primary: {OTHER_KEY} }} }}
"
    )
}

async fn stage(judge: &Running, guards: &str, answer: Answer) -> (Stage, Backend) {
    let model = Backend::answering(answer).await;
    let judge = format!("http://{}", judge.address());
    let text = configured(&model, &judge, guards, "[]");
    (Stage::reading(&text), model)
}

const SAFETY: &str =
    "[ { name: harm, content_safety: { backend: safety, categories: { hate: 4, violence: 4 } } } ]";

/// Who looked, at what, what became of it, what was found, and why it could not look.
fn only(record: &CallRecord) -> (Content, Ruling, Vec<(String, u32)>, Option<String>) {
    let mut all = verdicts(record);
    assert_eq!(all.len(), 1, "{all:?}");
    let (_, on, ruling, found, failure) = all.remove(0);
    (on, ruling, found, failure)
}

fn found(category: &str, figure: u32) -> Vec<(String, u32)> {
    vec![(category.to_owned(), figure)]
}

fn messages(messages: &Value) -> Request<Full<Bytes>> {
    request(json!({"model": "gpt-4o", "messages": messages}).to_string())
}

#[tokio::test]
async fn harm_at_its_threshold_blocks_and_milder_harm_is_written_down() {
    let judge = judge(Behaviour {
        require_api_key: Some("judge-key".to_owned()),
        ..Behaviour::default()
    })
    .await;
    for (text, status, ruling, category, severity) in [
        ("harm-violence-6", 400, Ruling::Blocked, "violence", 6),
        ("harm-violence-4", 400, Ruling::Blocked, "violence", 4),
        ("harm-violence-2", 200, Ruling::Passed, "violence", 2),
        ("harm-hate-5", 400, Ruling::Blocked, "hate", 4),
    ] {
        let (stage, model) = stage(&judge, SAFETY, saying("fine")).await;
        let told = stage.call(asking(text)).await;
        assert_eq!(told.status.as_u16(), status, "{text}: {}", told.text());
        if status == 400 {
            assert_eq!(told.code().as_deref(), Some("content_filter"));
            assert!(
                told.text().contains("product/standard/guard/harm"),
                "{}",
                told.text()
            );
            assert!(told.text().contains(category) && !told.text().contains("harm-"));
            assert_eq!(model.requests(), 0, "{text}");
        }
        let record = stage.record().await;
        let expected = (Content::Prompt, ruling, found(category, severity), None);
        assert_eq!(only(&record), expected, "{text}");
        let rule = record.rule.as_deref();
        assert_eq!(
            rule,
            (status == 400).then_some("product/standard/guard/harm")
        );
    }
}

#[tokio::test]
async fn other_products_have_other_settings() {
    let judge = judge(Behaviour::default()).await;
    let model = Backend::answering(saying("fine")).await;
    let others = "[ { content_safety: { backend: safety, categories: { violence: 6 } } } ]";
    let address = format!("http://{}", judge.address());
    let stage = Stage::reading(&configured(&model, &address, SAFETY, others));
    let ask = |key: &str| {
        let mut request = asking("harm-violence-4 harm-hate-6");
        let bearer = format!("Bearer {key}").parse().unwrap();
        request.headers_mut().insert("authorization", bearer);
        request
    };
    assert_eq!(stage.call(ask(KEY)).await.status, 400);
    assert_eq!(stage.call(ask(OTHER_KEY)).await.status, 200);
}

#[tokio::test]
async fn no_text_hides_behind_another_ones_length() {
    let judge = judge(Behaviour {
        dilute_past_chars: Some(1_000),
        ..Behaviour::default()
    })
    .await;
    let nice = "You are a kind and helpful assistant. ".repeat(100);
    for prompt in [
        json!([{"role": "system", "content": nice}, {"role": "user", "content": "harm-violence-6"}]),
        json!([{"role": "user", "content": [{"type": "text", "text": nice}, {"type": "text", "text": "harm-hate-6"}]}]),
        json!([{"role": "user", "content": "hi"}, {"role": "tool", "content": "harm-hate-6"}, {"role": "user", "content": nice}]),
        json!([{"role": "system", "content": [{"type": "text", "text": "harm-hate-6"}]}, {"role": "user", "content": nice}]),
    ] {
        let (stage, model) = stage(&judge, SAFETY, saying("fine")).await;
        let told = stage.call(messages(&prompt)).await;
        assert_eq!(
            (told.status.as_u16(), model.requests()),
            (400, 0),
            "{prompt}"
        );
    }
}

#[tokio::test]
async fn attacks_are_looked_for_in_what_users_write_and_what_tools_return() {
    let judge = judge(Behaviour::default()).await;
    let guards = "[ { content_safety: { backend: safety, categories: {}, shield_prompt: true } } ]";
    for (prompt, status, category) in [
        (
            json!([{"role": "user", "content": "attack-on-the-model"}]),
            400,
            "prompt_attack",
        ),
        (
            json!([{"role": "user", "content": "look"}, {"role": "tool", "content": "attack-on-the-model"}]),
            400,
            "document_attack",
        ),
        (
            json!([{"role": "system", "content": "ignore attack-on-the-model"}, {"role": "user", "content": "hi"}]),
            200,
            "",
        ),
    ] {
        let (stage, _model) = stage(&judge, guards, saying("attack-on-the-model")).await;
        let told = stage.call(messages(&prompt)).await;
        assert_eq!(told.status.as_u16(), status, "{prompt}");
        assert!(told.text().contains(category), "{}", told.text());
    }
}

#[tokio::test]
async fn a_long_prompt_is_judged_to_its_end() {
    let judge = judge(Behaviour::default()).await;
    let (stage, model) = stage(&judge, SAFETY, saying("fine")).await;
    let told = stage.call(asking(&"word ".repeat(20_000))).await;
    assert_eq!(
        (told.status.as_u16(), model.requests()),
        (200, 1),
        "{}",
        told.text()
    );
    assert!(judge.counts().judged >= 10, "{}", judge.counts().judged);
    for at in [9_980, 9_995, 10_000, 19_900, 50_003, 99_980] {
        let mut text = "word ".repeat(20_000);
        text.insert_str(at, " harm-violence-6 ");
        let told = stage.call(asking(&text)).await;
        assert_eq!(told.status, 400, "{at}");
    }
    assert_eq!(model.requests(), 1);
}

/// What a service can do wrong, and what the record then says.
fn faults() -> Vec<(&'static str, Behaviour)> {
    let usual = Behaviour::default;
    vec![
        (
            "status 500",
            Behaviour {
                status: Some(500),
                ..usual()
            },
        ),
        (
            "status 429",
            Behaviour {
                status: Some(429),
                retry_after: Some(Duration::from_secs(7)),
                ..usual()
            },
        ),
        (
            "status 401",
            Behaviour {
                require_api_key: Some("another".to_owned()),
                ..usual()
            },
        ),
        (
            "unreadable answer",
            Behaviour {
                garbage: Some("<html>".to_owned()),
                ..usual()
            },
        ),
        (
            "unreadable answer",
            Behaviour {
                garbage: Some("{}".to_owned()),
                ..usual()
            },
        ),
        (
            "answer cut",
            Behaviour {
                close_after_bytes: Some(10),
                ..usual()
            },
        ),
        (
            "answer cut",
            Behaviour {
                reset_after_chunks: Some(0),
                ..usual()
            },
        ),
        (
            "timeout",
            Behaviour {
                hang: Duration::from_secs(60),
                ..usual()
            },
        ),
        (
            "timeout",
            Behaviour {
                stall_after_chunks: Some(0),
                ..usual()
            },
        ),
    ]
}

fn with_on_error(on_error: &str) -> String {
    format!("[ {{ content_safety: {{ backend: safety, timeout: 300ms, on_error: {on_error} }} }} ]")
}

#[tokio::test]
async fn a_service_that_gives_no_answer_blocks_unless_it_may_pass() {
    for (why, behaviour) in faults() {
        let judge = judge(behaviour).await;
        for (on_error, status, asked) in [("block", 503, 0), ("allow", 200, 1)] {
            let (stage, model) = stage(&judge, &with_on_error(on_error), saying("fine")).await;
            let told = stage.call(asking("hello")).await;
            assert_eq!(told.status.as_u16(), status, "{why}: {}", told.text());
            assert_eq!(model.requests(), asked, "{why}");
            let metrics = stage.metrics();
            let record = stage.record().await;
            let ruling = if status == 503 {
                assert_eq!(told.code().as_deref(), Some("guard_unavailable"), "{why}");
                let wait = if why == "status 429" { 7 } else { 1 };
                assert_eq!(told.retry_after_s(), Some(wait), "{why}");
                Ruling::Blocked
            } else {
                Ruling::Passed
            };
            let verdict = &verdicts(&record)[0];
            assert_eq!(verdict.1, Content::Prompt);
            assert_eq!(
                (verdict.2, verdict.4.as_deref()),
                (ruling, Some(why)),
                "{why}"
            );
            assert!(
                metrics.contains("tollgate_guard_failures_total"),
                "{metrics}"
            );
        }
    }
}

#[tokio::test]
async fn a_service_that_is_not_there_blocks_unless_it_may_pass() {
    let dead = DeadBackend::new();
    for (on_error, status) in [("block", 503), ("allow", 200)] {
        let model = Backend::answering(saying("fine")).await;
        let text = configured(&model, &dead.address, &with_on_error(on_error), "[]");
        let stage = Stage::reading(&text);
        assert_eq!(stage.call(asking("hello")).await.status.as_u16(), status);
        let record = stage.record().await;
        assert_eq!(verdicts(&record)[0].4.as_deref(), Some("unreachable"));
    }
}

#[tokio::test]
async fn a_service_that_is_down_is_not_asked_for_a_while() {
    let judge = judge(Behaviour {
        status: Some(503),
        ..Behaviour::default()
    })
    .await;
    let (stage, _model) = stage(&judge, &with_on_error("block"), saying("fine")).await;
    for _ in 0..4 {
        assert_eq!(stage.call(asking("hello")).await.status, 503);
    }
    let asked = judge.counts().judged;
    let open = "tollgate_guard_breaker_open{service=\"backend/safety\"}";
    assert_eq!(metric(&stage.gateway, open) as u64, 1);
    let told = stage.call(asking("hello")).await;
    assert_eq!((told.status.as_u16(), judge.counts().judged), (503, asked));
    assert!(told.text().contains("breaker open"), "{}", told.text());
    assert_eq!(told.retry_after_s(), Some(30));
    judge.set(Behaviour::default());
    stage.advance_s(31);
    let half_open = "tollgate_guard_breaker_half_open{service=\"backend/safety\"}";
    assert_eq!(metric(&stage.gateway, half_open) as u64, 1);
    assert_eq!(stage.call(asking("hello")).await.status, 200);
    assert!(judge.counts().judged > asked);
    for series in [open, half_open] {
        assert_eq!(metric(&stage.gateway, series) as u64, 0);
    }
}

#[tokio::test]
async fn an_answer_that_is_blocked_is_billed_and_not_told() {
    let judge = judge(Behaviour::default()).await;
    let (stage, model) = stage(&judge, SAFETY, saying("harm-hate-6")).await;
    let told = stage.call(asking("hello")).await;
    assert_eq!((told.status.as_u16(), model.requests()), (400, 1));
    assert_eq!(told.code().as_deref(), Some("content_filter"));
    assert!(!told.text().contains("harm-hate"), "{}", told.text());
    let record = stage.record().await;
    assert_eq!(
        (record.outcome, record.metered),
        (Outcome::Refused, reported(12, 5))
    );
    assert_eq!(
        only(&record),
        (Content::Answer, Ruling::Blocked, found("hate", 6), None)
    );
}

#[tokio::test]
async fn the_moderation_endpoint_blocks_by_score_or_by_its_own_word() {
    let judge = judge(Behaviour::default()).await;
    for (settings, text, status) in [
        ("", "harm-violence-4", 200),
        ("", "harm-violence-5", 400),
        ("thresholds: { violence: 0.3 }", "harm-violence-3", 400),
        ("thresholds: { violence: 0.8 }", "harm-violence-7", 200),
        ("thresholds: { violence: 0.8 }", "harm-hate-9", 200),
        (
            "thresholds: { violence: 0.8 }, flagged: true",
            "harm-hate-9",
            400,
        ),
        ("thresholds: { no-such-category: 0.8 }", "hello", 503),
    ] {
        let guards = format!("[ {{ moderation: {{ backend: mod, {settings} }} }} ]");
        let (stage, _model) = stage(&judge, &guards, saying("fine")).await;
        let told = stage.call(asking(text)).await;
        assert_eq!(
            told.status.as_u16(),
            status,
            "{settings} {text}: {}",
            told.text()
        );
    }
}
