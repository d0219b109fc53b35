//! Guards that ask a service about a streamed answer, window by window.

use bytes::Bytes;
use domain::record::{Content, Outcome, Ruling};
use http::Request;
use http_body_util::{BodyExt, Full};
use serde_json::json;
use simulator::Behaviour;

use super::{configured, faults, found, judge, only, stage};
use crate::guards::streams::{DELTA_STOP, arguments, delta, said};
use crate::guards::verdicts;
use crate::scripted::{Answer, Backend, DONE, USAGE};
use crate::stage::{Stage, reported, request};

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
pub fn events(text: &str, chars: usize) -> Vec<String> {
    let all: Vec<char> = text.chars().collect();
    let pieces = all
        .chunks(chars)
        .map(|piece| piece.iter().collect::<String>());
    let mut events: Vec<String> = pieces.map(|piece| delta(&piece)).collect();
    events.extend([DELTA_STOP, USAGE, DONE].map(str::to_owned));
    events
}

pub fn streaming(events: &[String]) -> Answer {
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
