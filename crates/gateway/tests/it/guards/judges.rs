//! Guards that ask a service: what blocks, what is asked, and what follows when it gives no answer.

use std::time::Duration;

use bytes::Bytes;
use domain::record::{CallRecord, Content, Outcome, Ruling};
use http::Request;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use simulator::{Behaviour, Running, Simulator};

use super::streams::{DELTA_STOP, arguments, delta, said};
use super::{asking, saying, verdicts};
use crate::scripted::{Answer, Backend, DONE, DeadBackend, USAGE};
use crate::sinks::metric;
use crate::stage::{KEY, Stage, Told, reported, request};

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

const IN_WINDOWS: &str = "[ { content_safety: { backend: safety, categories: { hate: 4 }, answer_window: 100, overlap: 30, where: [answer], timeout: 300ms ON } } ]";

fn in_windows(on_error: &str) -> String {
    IN_WINDOWS.replace("ON", &format!(", on_error: {on_error}"))
}

pub fn streamed() -> Request<Full<Bytes>> {
    let body =
        json!({"model": "gpt-4o", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    request(body.to_string())
}

/// The text in events of so many characters.
fn events(text: &str, chars: usize) -> Vec<String> {
    let all: Vec<char> = text.chars().collect();
    let pieces = all
        .chunks(chars)
        .map(|piece| piece.iter().collect::<String>());
    let mut events: Vec<String> = pieces.map(|piece| delta(&piece)).collect();
    events.extend([DELTA_STOP, USAGE, DONE].map(str::to_owned));
    events
}

fn streaming(events: &[String]) -> Answer {
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    Answer::stream(&events)
}

#[tokio::test]
async fn a_stream_that_passes_is_told_byte_for_byte() {
    let judge = judge(Behaviour::default()).await;
    let text = "A perfectly harmless sentence, said again. ".repeat(20);
    let events = events(&text, 7);
    let (stage, _model) = stage(&judge, &in_windows("block"), streaming(&events)).await;
    let told = stage.call(streamed()).await;
    let expected: String = events
        .iter()
        .filter(|event| *event != USAGE)
        .cloned()
        .collect();
    assert_eq!(told.text(), expected);
    assert!(judge.counts().judged >= 8, "{}", judge.counts().judged);
    let record = stage.record().await;
    assert_eq!(
        (record.outcome, record.metered),
        (Outcome::Ok, reported(12, 5))
    );
    assert!(record.verdicts.is_empty());
}

#[tokio::test]
async fn nothing_of_a_bad_window_reaches_the_client() {
    let judge = judge(Behaviour::default()).await;
    for at in [0, 20, 88, 95, 100, 130, 299, 400] {
        let mut text = "all fine here ".repeat(40);
        text.insert_str(at, " harm-hate-6 ");
        for chars in [1, 9, 1_000] {
            let (stage, _model) = stage(
                &judge,
                &in_windows("block"),
                streaming(&events(&text, chars)),
            )
            .await;
            let told = stage.call(streamed()).await;
            let (said, _) = said(told.text());
            assert!(
                !said.contains("harm") && text.starts_with(&said),
                "{at} {chars}: {said}"
            );
            let last = told
                .text()
                .trim_end()
                .lines()
                .last()
                .unwrap_or_default()
                .to_owned();
            assert!(
                last.contains("\"code\":\"content_filter\""),
                "{}",
                told.text()
            );
            let record = stage.record().await;
            assert_eq!(record.outcome, Outcome::Refused);
            assert_eq!(
                only(&record),
                (Content::Answer, Ruling::Blocked, found("hate", 6), None)
            );
        }
    }
}

#[tokio::test]
async fn a_service_that_fails_mid_stream_ends_it_unless_it_may_pass() {
    let text = "all fine here and there. ".repeat(40);
    for (why, behaviour) in faults() {
        for on_error in ["block", "allow"] {
            let judge = judge(Behaviour::default()).await;
            let model = Backend::answering(Answer::chat()).await;
            let address = format!("http://{}", judge.address());
            let stage = Stage::reading(&configured(&model, &address, &in_windows(on_error), "[]"));
            let all = events(&text, 50);
            model.always(streaming(&all));
            judge.set(behaviour.clone());
            let told = stage.call(streamed()).await;
            let (said, _) = said(told.text());
            let record = stage.record().await;
            let verdict = &verdicts(&record)[0];
            assert_eq!(
                (verdict.1, verdict.4.as_deref()),
                (Content::Answer, Some(why)),
                "{why}"
            );
            if on_error == "allow" {
                assert_eq!(said, text, "{why}");
                assert!(told.text().ends_with(DONE), "{why}");
                assert_eq!((verdict.2, record.outcome), (Ruling::Passed, Outcome::Ok));
            } else {
                assert!(
                    told.text().contains("guard_unavailable"),
                    "{why}: {}",
                    told.text()
                );
                assert_eq!(
                    (verdict.2, record.outcome),
                    (Ruling::Blocked, Outcome::Refused)
                );
            }
        }
    }
}

#[tokio::test]
async fn a_judge_that_dies_between_two_windows_ends_what_has_begun() {
    let text = "all fine here and there. ".repeat(40);
    let all = events(&text, 50);
    for on_error in ["block", "allow"] {
        let judge = judge(Behaviour::default()).await;
        let (stage, model) = stage(&judge, &in_windows(on_error), streaming(&all)).await;
        let mut body = stage.begin(streamed()).await.into_body();
        let mut told = String::new();
        let mut add = |frame: http_body::Frame<Bytes>| {
            told.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
        };
        add(body.frame().await.unwrap().unwrap());
        judge.set(Behaviour {
            status: Some(500),
            ..Behaviour::default()
        });
        while let Some(frame) = body.frame().await {
            add(frame.unwrap());
        }
        drop(body);
        let (said, _) = said(&told);
        assert!(
            said.starts_with("all fine") && text.starts_with(&said),
            "{said}"
        );
        assert_eq!(said == text, on_error == "allow");
        assert_eq!(
            told.contains("guard_unavailable"),
            on_error == "block",
            "{told}"
        );
        let record = stage.record().await;
        assert_eq!(verdicts(&record)[0].4.as_deref(), Some("status 500"));
        drop(model);
    }
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

async fn hooked(verdict: Value, settings: &str, answer: Answer) -> (Stage, Backend, Backend) {
    let hook = Backend::answering(Answer::json(200, verdict.to_string())).await;
    let model = Backend::answering(answer).await;
    let url = &hook.address;
    let guards = format!(
        "[ {{ name: ours, webhook: {{ url: \"{url}/judge?team=1\", secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, {settings} }} }} ]"
    );
    let text = configured(&model, "http://127.0.0.1:9", &guards, "[]");
    (Stage::reading(&text), model, hook)
}

#[tokio::test]
async fn a_webhook_is_told_whose_texts_it_judges_and_signed_to() {
    let (stage, model, hook) = hooked(
        json!({"verdict": "pass"}),
        "where: [prompt]",
        saying("fine"),
    )
    .await;
    assert_eq!(stage.call(asking("hello")).await.status, 200);
    assert_eq!(model.requests(), 1);
    let body: Value = serde_json::from_slice(&hook.bodies()[0]).unwrap();
    assert_eq!(body["texts"], json!(["hello"]));
    for (field, expected) in [
        ("version", json!(1)),
        ("guard", json!("product/standard/guard/ours")),
        ("subscription", json!("search")),
        ("product", json!("standard")),
        ("model", json!("gpt-4o")),
        ("on", json!("prompt")),
        ("application", Value::Null),
    ] {
        assert_eq!(body[field], expected, "{field}");
    }
    let header = |name: &str| hook.headers(name)[0].clone().unwrap();
    let id = header("webhook-id");
    assert_eq!(id, format!("guard_{}", body["call"].as_str().unwrap()));
    let key = [
        0x31, 0xf2, 0x90, 0xf6, 0xbf, 0x06, 0x29, 0x8a, 0xab, 0x4f, 0x08, 0xd4, 0x3c, 0x3f, 0x08,
        0x2c, 0xf6, 0x48, 0xa3, 0x62, 0xda, 0x2d, 0xa4, 0xb0,
    ];
    let text = String::from_utf8(hook.bodies()[0].to_vec()).unwrap();
    let signature = gateway::alerts::signature(&key, &id, &header("webhook-timestamp"), &text);
    assert_eq!(header("webhook-signature"), signature);
}

#[tokio::test]
async fn a_webhook_blocks_with_its_reason_and_redacts_what_it_returns() {
    let block = json!({"verdict": "block", "reason": "medical/diagnosis"});
    let (stage, model, _hook) = hooked(block, "where: [prompt]", saying("fine")).await;
    let told = stage.call(asking("hello")).await;
    assert_eq!((told.status.as_u16(), model.requests()), (400, 0));
    assert!(told.text().contains("medical/diagnosis"), "{}", told.text());
    let record = stage.record().await;
    let expected = (
        Content::Prompt,
        Ruling::Blocked,
        found("medical/diagnosis", 1),
        None,
    );
    assert_eq!(only(&record), expected);

    let redact = json!({"verdict": "redact", "texts": ["who is [X]?"]});
    let (stage, model, _hook) = hooked(redact, "where: [prompt]", saying("fine")).await;
    assert_eq!(stage.call(asking("who is anna?")).await.status, 200);
    assert_eq!(super::prompt_sent(&model), "who is [X]?");
    assert_eq!(only(&stage.record().await).1, Ruling::Redacted);

    let redact = json!({"verdict": "redact", "texts": ["one", "too many"]});
    let (stage, model, _hook) = hooked(redact, "where: [prompt]", saying("fine")).await;
    assert_eq!(stage.call(asking("who is anna?")).await.status, 503);
    assert_eq!(model.requests(), 0);
}

#[tokio::test]
async fn a_webhook_edits_a_stream_where_it_stands() {
    let all = events("who is anna then?", 3);
    let redact = json!({"verdict": "redact", "texts": ["who is [X] then?"]});
    let (stage, _model, hook) = hooked(redact, "where: [answer]", streaming(&all)).await;
    let told = stage.call(streamed()).await;
    assert_eq!(said(told.text()).0, "who is [X] then?");
    assert!(told.text().ends_with(DONE), "{}", told.text());
    assert_eq!(hook.requests(), 1);
    let record = stage.record().await;
    assert_eq!(only(&record).1, Ruling::Redacted);
}

#[tokio::test]
async fn lists_block_and_redact_prompts_answers_and_streams() {
    let blocks = "[ { lists: { words: [falcon], patterns: ['PRJ-\\d{4}'] } } ]";
    let redacts = "[ { lists: { words: [falcon], patterns: ['PRJ-\\d{4}'], action: redact } } ]";
    let judge = judge(Behaviour::default()).await;
    let (blocking, model) = stage(&judge, blocks, saying("see PRJ-1234")).await;
    let told = blocking.call(asking("the \u{ff26}ALCON flies")).await;
    assert_eq!((told.status.as_u16(), model.requests()), (400, 0));
    assert!(
        told.text().contains("word") && !told.text().contains("ALCON"),
        "{}",
        told.text()
    );
    let told = blocking.call(asking("the falconer")).await;
    assert_eq!((told.status.as_u16(), model.requests()), (400, 1));

    let (redacting, model) = stage(&judge, redacts, saying("see PRJ-1234")).await;
    let told = redacting.call(asking("the Falcon flies")).await;
    assert_eq!(super::prompt_sent(&model), "the [REDACTED] flies");
    assert_eq!(super::said(&told), "see [REDACTED]");
    assert_eq!(redacting.record().await.verdicts.len(), 2);

    for chars in [1, 2, 5, 100] {
        let all = events("a falcon, PRJ-1234 and a falconer", chars);
        let (redacting, _model) = stage(&judge, redacts, streaming(&all)).await;
        let told = redacting.call(streamed()).await;
        let expected = "a [REDACTED], [REDACTED] and a falconer";
        assert_eq!(said(told.text()).0, expected, "{chars}");
        let (blocking, _model) = stage(&judge, blocks, streaming(&all)).await;
        let told: Told = blocking.call(streamed()).await;
        assert!(told.text().contains("content_filter") && !told.text().contains("PRJ"));
    }
}

fn with_presidio(judge: &Running, settings: &str) -> String {
    let address = judge.address();
    format!("[ {{ presidio: {{ url: \"http://{address}\", language: de, {settings} }} }} ]")
}

#[tokio::test]
async fn names_that_presidio_finds_are_taken_out_of_prompts_and_answers() {
    let judge = judge(Behaviour::default()).await;
    let guards = with_presidio(&judge, "");
    let answer = saying("Erika Mustermann lives in Springfield.");
    let (stage, model) = stage(&judge, &guards, answer).await;
    let prompt = json!([
        {"role": "system", "content": "é Be kind to Erika Mustermann."},
        {"role": "user", "content": "Where is Musterstraße 12?"},
        {"role": "tool", "content": "word ".repeat(2_000) + "John Q. Public"},
    ]);
    let told = stage.call(messages(&prompt)).await;
    let sent = super::sent(&model);
    assert_eq!(sent["messages"][0]["content"], "é Be kind to [PERSON].");
    assert_eq!(sent["messages"][1]["content"], "Where is [LOCATION]?");
    assert_eq!(
        sent["messages"][2]["content"],
        "word ".repeat(2_000) + "[PERSON]"
    );
    assert_eq!(super::said(&told), "[PERSON] lives in [LOCATION].");
    let record = stage.record().await;
    let kinds = [("PERSON", 2), ("LOCATION", 1)].map(|(kind, count)| (kind.to_owned(), count));
    let mut found = verdicts(&record)[0].3.clone();
    found.sort();
    let mut expected = kinds.to_vec();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(verdicts(&record)[0].2, Ruling::Redacted);
}

#[tokio::test]
async fn names_in_a_stream_are_taken_out_wherever_windows_and_events_end() {
    let judge = judge(Behaviour::default()).await;
    let settings = "answer_window: 100, overlap: 30, where: [answer]";
    for at in [0, 60, 78, 84, 90, 96, 100, 150] {
        let mut text = "all fine here ".repeat(20);
        text.insert_str(at, " Erika Mustermann ");
        let expected = text.replace("Erika Mustermann", "[PERSON]");
        for chars in [1, 7, 1_000] {
            let guards = with_presidio(&judge, settings);
            let (stage, _model) = stage(&judge, &guards, streaming(&events(&text, chars))).await;
            let told = stage.call(streamed()).await;
            assert_eq!(said(told.text()).0, expected, "{at} {chars}");
            assert!(told.text().ends_with(DONE));
            let record = stage.record().await;
            assert_eq!(
                only(&record),
                (Content::Answer, Ruling::Redacted, found("PERSON", 1), None)
            );
        }
    }
}

#[tokio::test]
async fn names_that_are_masked_are_put_back_for_the_client_alone() {
    let judge = judge(Behaviour::default()).await;
    let address = judge.address();
    // `<EMAIL_1>` stands for something by then, and whatever an analyzer makes of it stays.
    let guards = format!(
        "[ {{ pii: {{ action: mask }} }}, {{ presidio: {{ url: \"http://{address}\", action: mask, timeout: 60s }} }} ]"
    );
    let prompt = json!([
        {"role": "user", "content": "I am Erika Mustermann, <PERSON_3>, anna.schmidt@example.com."},
        {"role": "assistant", "content": "Hello Erika Mustermann."},
        {"role": "user", "content": "Who is John Q. Public?"},
    ]);
    let answer = saying("<PERSON_5> knows <PERSON_4> and Erika Mustermann at <EMAIL_1>.");
    let (stage_of_names, model) = stage(&judge, &guards, answer).await;
    let told = stage_of_names.call(messages(&prompt)).await;
    let sent = super::sent(&model);
    let contents = [0, 1, 2].map(|turn| sent["messages"][turn]["content"].clone());
    assert_eq!(
        contents,
        [
            "I am <PERSON_4>, <PERSON_3>, <EMAIL_1>.",
            "Hello <PERSON_4>.",
            "Who is <PERSON_5>?",
        ]
    );
    assert_eq!(
        super::said(&told),
        "John Q. Public knows Erika Mustermann and Erika Mustermann at anna.schmidt@example.com."
    );
    let record = stage_of_names.record().await;
    let all = verdicts(&record);
    assert!(all.iter().all(|verdict| verdict.2 == Ruling::Redacted));

    // In streams, wherever windows and events end.
    let text = format!(
        "{}Erika Mustermann met <PERSON_1> in Springfield. {}",
        "all fine here ".repeat(9),
        "and there ".repeat(20)
    );
    let settings = "action: mask, answer_window: 100, overlap: 30, timeout: 60s";
    for chars in [1, 7, 1_000] {
        let guards = with_presidio(&judge, settings);
        let (stage, model) = stage(&judge, &guards, streaming(&events(&text, chars))).await;
        let body = json!({"model": "gpt-4o", "stream": true, "messages": [{"role": "user", "content": "John Q. Public"}]});
        let told = stage.call(request(body.to_string())).await;
        assert_eq!(super::prompt_sent(&model), "<PERSON_1>");
        let expected = text.replace("<PERSON_1>", "John Q. Public");
        assert_eq!(said(told.text()).0, expected, "{chars}");
        assert!(told.text().ends_with(DONE));
    }
}

#[tokio::test]
async fn names_in_a_streams_tool_arguments_stay_json_however_they_are_written() {
    const QUOTED: &str = "John\n\"Q\" Public";
    let judge = judge(Behaviour::default()).await;
    // What the analyzer is asked about is what it means: behind `\n` begins a name, and no `n`.
    let text = r#"{"note":"all fine here","to":"Dear\nErika\u0020Mustermann","at":"\"Musterstra\u00dfe 12\"","cc":"John\n\"Q\" Public","who":"<PERSON_1>","s":"x\"y"}"#;
    let expected = |erika: &str, street: &str, cc: &str, john: &str| json!({"note": "all fine here", "to": format!("Dear\n{erika}"), "at": format!("\"{street}\""), "cc": cc, "who": john, "s": "x\"y"});
    for (action, expected) in [
        (
            "mask",
            expected("Erika Mustermann", "Musterstraße 12", QUOTED, QUOTED),
        ),
        (
            "redact",
            expected("[PERSON]", "[LOCATION]", "[PERSON]", "<PERSON_1>"),
        ),
    ] {
        for chars in [1, 7, 40, 1_000] {
            let all: Vec<char> = text.chars().collect();
            let pieces = all
                .chunks(chars)
                .map(|piece| piece.iter().collect::<String>());
            let mut events: Vec<String> = pieces.map(|piece| arguments(&piece)).collect();
            events.extend([DELTA_STOP, USAGE, DONE].map(str::to_owned));
            let settings =
                format!("action: {action}, answer_window: 100, overlap: 45, timeout: 60s");
            let guards = with_presidio(&judge, &settings);
            let (stage, _model) = stage(&judge, &guards, streaming(&events)).await;
            let prompt = json!([{"role": "user", "content": "Who is John\n\"Q\" Public?"}]);
            let body = json!({"model": "gpt-4o", "stream": true, "messages": prompt});
            let told = stage.call(request(body.to_string())).await;
            let said: Value = serde_json::from_str(&said(told.text()).1)
                .unwrap_or_else(|error| panic!("{error}: {}", told.text()));
            assert_eq!(said, expected, "{action} {chars}");
        }
    }
}

#[tokio::test]
async fn presidio_can_block_and_goes_by_on_error_too() {
    let judge = judge(Behaviour::default()).await;
    let (stage_of_names, model) = stage(
        &judge,
        &with_presidio(&judge, "action: block"),
        saying("fine"),
    )
    .await;
    let told = stage_of_names.call(asking("Erika Mustermann")).await;
    assert_eq!((told.status.as_u16(), model.requests()), (400, 0));
    assert!(told.text().contains("PERSON") && !told.text().contains("Erika"));
    judge.set(Behaviour {
        garbage: Some("[{}]".to_owned()),
        ..Behaviour::default()
    });
    for (on_error, status) in [("block", 503), ("allow", 200)] {
        let guards = with_presidio(&judge, &format!("on_error: {on_error}"));
        let (stage, _model) = stage(&judge, &guards, saying("fine")).await;
        assert_eq!(
            stage.call(asking("Erika Mustermann")).await.status.as_u16(),
            status
        );
        let record = stage.record().await;
        assert_eq!(verdicts(&record)[0].4.as_deref(), Some("unreadable answer"));
    }
}

#[tokio::test]
async fn harm_in_a_streams_tool_arguments_is_found_behind_escapes_too() {
    let judge = judge(Behaviour::default()).await;
    let text = r#"{"note":"ha\u0072m\u002dhate-6"}"#;
    for chars in [1, 5, 1_000] {
        let all: Vec<char> = text.chars().collect();
        let pieces = all
            .chunks(chars)
            .map(|piece| piece.iter().collect::<String>());
        let mut events: Vec<String> = pieces.map(|piece| arguments(&piece)).collect();
        events.extend([DELTA_STOP, USAGE, DONE].map(str::to_owned));
        let (stage, _model) = stage(&judge, &in_windows("block"), streaming(&events)).await;
        let told = stage.call(streamed()).await;
        assert!(told.text().contains("content_filter"), "{}", told.text());
        assert!(!told.text().contains("hate-6"), "{}", told.text());
    }
}

#[tokio::test]
async fn a_client_that_leaves_while_a_window_is_judged_is_billed_for_what_came() {
    let judge = judge(Behaviour::default()).await;
    let all = events(&"all fine here and there. ".repeat(40), 50);
    let (stage, _model) = stage(&judge, &in_windows("block"), streaming(&all)).await;
    let mut body = stage.begin(streamed()).await.into_body();
    assert!(body.frame().await.unwrap().is_ok());
    drop(body);
    let record = stage.record().await;
    assert_eq!(record.outcome, Outcome::HungUp);
    assert!(record.metered.usage().completion > 0);
    assert!(record.verdicts.is_empty());
}
