//! Content that is too large, broken or in another form: judged, or as `on_error` says.

use bytes::Bytes;
use domain::record::{AttemptFailure, Outcome, Ruling};
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

use super::{EMAIL, asking, said, saying, stage, verdicts};
use crate::scripted::{Answer, DONE, USAGE};
use crate::stage::{KEY, reported, request};

const MIB: usize = 1024 * 1024;

fn long(bytes: usize) -> String {
    format!("{} {EMAIL}", "word ".repeat(bytes / 5))
}

fn streamed() -> Request<Full<Bytes>> {
    let messages = json!([{"role": "user", "content": "hello"}]);
    request(json!({"model": "gpt-4o", "stream": true, "messages": messages}).to_string())
}

#[tokio::test]
async fn a_large_answer_is_held_and_judged_whole() {
    let (stage, _backend) = stage("[ { pii: {} } ]", saying(&long(2 * MIB))).await;
    let told = stage.call(asking("hello")).await;
    assert_eq!(told.status, 200);
    assert!(said(&told).ends_with("word  [EMAIL]"));
    assert_eq!(told.header("x-tollgate-tokens"), Some("17"));
    let record = stage.record().await;
    assert_eq!(record.metered, reported(12, 5));
    assert_eq!(verdicts(&record)[0].2, Ruling::Redacted);
}

#[tokio::test]
async fn an_answer_past_what_may_be_held_is_blocked_unless_it_may_pass() {
    for (guards, passes) in [
        ("[ { pii: {} } ]", false),
        ("[ { pii: { on_error: allow } } ]", true),
    ] {
        let (stage, _backend) = stage(guards, saying(&long(17 * MIB))).await;
        let told = stage.call(asking("hello")).await;
        assert_eq!(told.status.as_u16(), if passes { 200 } else { 400 });
        assert_eq!(told.body.len() > 17 * MIB, passes);
        let record = stage.record().await;
        assert_eq!(verdicts(&record)[0].4.as_deref(), Some("answer too large"));
        // What crossed is billed: by its usage where its end passed, else by what was held.
        assert_eq!(record.metered.is_estimated(), !passes);
        assert!(record.metered.usage().completion >= 5);
        assert_eq!(record.attempts.len(), 1);
    }
}

#[tokio::test]
async fn a_large_answer_that_breaks_off_is_no_answer() {
    let whole = saying(&long(2 * MIB)).truncated();
    let (stage, _backend) = stage("[ { pii: {} } ]", whole).await;
    let told = stage.call(asking("hello")).await;
    assert_eq!(
        (told.status.as_u16(), told.code().as_deref()),
        (502, Some("upstream_failed"))
    );
    let record = stage.record().await;
    assert_eq!(record.attempts.len(), 1);
    assert_eq!(record.attempts[0].failure, Some(AttemptFailure::Cut));
    assert!(record.metered.usage().prompt > 0);
}

#[tokio::test]
async fn an_event_that_is_too_large_ends_the_stream_unless_it_may_pass() {
    let delta = json!({"choices": [{"index": 0, "delta": {"content": long(2 * MIB)}}]});
    let event = format!("data: {delta}\n\n");
    for (guards, passes) in [
        ("[ { pii: {} } ]", false),
        ("[ { pii: { on_error: allow } } ]", true),
    ] {
        let (stage, _backend) = stage(guards, Answer::stream(&[&event, USAGE, DONE])).await;
        let told = stage.call(streamed()).await;
        assert_eq!(told.text().contains(EMAIL), passes);
        assert_eq!(told.text().contains("content_filter"), !passes);
        let record = stage.record().await;
        assert_eq!(verdicts(&record)[0].4.as_deref(), Some("event too large"));
    }
}

#[tokio::test]
async fn a_guarded_stream_that_breaks_off_says_so_and_nothing_raw() {
    let delta = json!({"choices": [{"index": 0, "delta": {"content": format!("To {EMAIL}")}}]});
    let event = format!("data: {delta}\n\n");
    let (stage, _backend) = stage("[ { pii: {} } ]", Answer::stream(&[&event]).closed()).await;
    let told = stage.call(streamed()).await;
    let text = told.text();
    assert!(
        text.contains("upstream_failed") && !text.contains("anna"),
        "{text}"
    );
    assert_eq!(stage.record().await.outcome, Outcome::Cut);
}

#[tokio::test]
async fn completions_and_azure_s_paths_stream_past_guards_too() {
    let text = |text: &str| {
        format!(
            "data: {}\n\n",
            json!({"choices": [{"index": 0, "text": text}]})
        )
    };
    let delta = |text: &str| {
        format!(
            "data: {}\n\n",
            json!({"choices": [{"index": 0, "delta": {"content": text}}]})
        )
    };
    let (mail, domain) = EMAIL.split_at(9);
    for (path, events) in [
        ("/v1/completions", [text(mail), text(domain)]),
        ("/openai/v1/completions", [text(mail), text(domain)]),
        (
            "/openai/deployments/gpt-4o/chat/completions?api-version=1",
            [delta(mail), delta(domain)],
        ),
        ("/openai/v1/chat/completions", [delta(mail), delta(domain)]),
    ] {
        let answer = Answer::stream(&[&events[0], &events[1], USAGE, DONE]);
        let (stage, _backend) = stage("[ { pii: {} } ]", answer).await;
        let body = json!({"model": "gpt-4o", "stream": true, "prompt": "hello", "messages": []});
        let request = Request::post(path).header("api-key", KEY);
        let request = request
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap();
        let told = stage.call(request).await;
        assert!(told.text().contains("[EMAIL]"), "{path}: {}", told.text());
        assert!(
            !told.text().contains("anna") && !told.text().contains("example.com"),
            "{path}"
        );
        for data in told
            .text()
            .lines()
            .filter_map(|line| line.strip_prefix("data: {"))
        {
            let _: Value = serde_json::from_str(&format!("{{{data}")).unwrap();
        }
    }
}
