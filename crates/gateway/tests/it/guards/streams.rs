//! Streams past guards: cut anywhere, nothing that must not pass does, and text still flows.

use domain::record::{Outcome, Ruling};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::{CARD, EMAIL, asking, guarded, verdicts};
use crate::scripted::{Answer, Backend, DONE, USAGE};
use crate::stage::{Stage, Told, reported, request};

pub fn delta(text: &str) -> String {
    let choice = json!({"index": 0, "delta": {"content": text}, "finish_reason": null});
    format!("data: {}\n\n", json!({"id": "c1", "choices": [choice]}))
}

pub fn arguments(text: &str) -> String {
    let call = json!({"index": 0, "function": {"arguments": text}});
    let choice = json!({"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": null});
    format!("data: {}\n\n", json!({"id": "c1", "choices": [choice]}))
}

pub const DELTA_STOP: &str =
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

/// The texts of a stream's events, put together.
pub fn said(stream: &str) -> (String, String) {
    let (mut content, mut arguments) = (String::new(), String::new());
    for data in stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: {"))
    {
        let event: Value = serde_json::from_str(&format!("{{{data}")).unwrap();
        let delta = &event["choices"][0]["delta"];
        content.push_str(delta["content"].as_str().unwrap_or_default());
        let call = &delta["tool_calls"][0]["function"]["arguments"];
        arguments.push_str(call.as_str().unwrap_or_default());
    }
    (content, arguments)
}

fn streamed(text: &str) -> http::Request<http_body_util::Full<bytes::Bytes>> {
    let body =
        json!({"model": "gpt-4o", "stream": true, "messages": [{"role": "user", "content": text}]});
    request(body.to_string())
}

async fn stream(stage: &Stage, backend: &Backend, events: &[String], prompt: &str) -> Told {
    let mut events: Vec<&str> = events.iter().map(String::as_str).collect();
    events.extend([DELTA_STOP, USAGE, DONE]);
    backend.always(Answer::stream(&events));
    stage.call(streamed(prompt)).await
}

async fn stage(guards: &str) -> (Stage, Backend) {
    let backend = Backend::answering(Answer::chat()).await;
    (Stage::new(&guarded(guards), &[&backend]), backend)
}

/// In every two pieces, and letter by letter.
fn every_cut(text: &str) -> Vec<Vec<&str>> {
    let places: Vec<usize> = (0..=text.len())
        .filter(|at| text.is_char_boundary(*at))
        .collect();
    let mut cuts: Vec<Vec<&str>> = places
        .iter()
        .map(|at| vec![&text[..*at], &text[*at..]])
        .collect();
    cuts.push(places.windows(2).map(|two| &text[two[0]..two[1]]).collect());
    cuts
}

#[tokio::test]
async fn wherever_a_stream_is_cut_personal_data_does_not_reach_the_client() {
    let (stage, backend) = stage("[ { pii: {} } ]").await;
    let text = format!("Grüße an {EMAIL}, Karte {CARD}.");
    for cut in every_cut(&text) {
        let events: Vec<String> = cut.iter().map(|piece| delta(piece)).collect();
        let told = stream(&stage, &backend, &events, "hello").await;
        assert_eq!(
            said(told.text()).0,
            "Grüße an [EMAIL], Karte [PAYMENT_CARD].",
            "{cut:?}"
        );
        assert!(told.text().ends_with(DONE));
        assert!(
            !told.text().contains("anna") && !told.text().contains("4111"),
            "{cut:?}"
        );
    }
}

#[tokio::test]
async fn wherever_arguments_are_cut_they_stay_json_without_personal_data() {
    let (stage, backend) = stage("[ { pii: {} } ]").await;
    let text = format!(
        "{{\"text\":\"Dear\\n{EMAIL}\",\"u\":\"anna.schmidt\\u0040example.com\",\"n\":4111111111111111,\
         \"dbPassword\":\"it's a \\u0041bc\",\"born\":[\"1984-03-12\"],\"day\":\"1984-03-12\"}}"
    );
    for cut in every_cut(&text) {
        let events: Vec<String> = cut.iter().map(|piece| arguments(piece)).collect();
        let told = stream(&stage, &backend, &events, "hello").await;
        let said: Value = serde_json::from_str(&said(told.text()).1)
            .unwrap_or_else(|error| panic!("{error}: {}", told.text()));
        assert_eq!(
            said,
            json!({"text": "Dear\n[EMAIL]", "u": "[EMAIL]", "n": "[PAYMENT_CARD]",
                "dbPassword": "[CREDENTIAL]", "born": ["[DATE_OF_BIRTH]"], "day": "1984-03-12"}),
            "{cut:?}"
        );
    }
}

#[tokio::test]
async fn wherever_a_stream_is_cut_masked_values_come_back() {
    let (stage, backend) = stage("[ { pii: { action: mask } } ]").await;
    for cut in every_cut("Ask <EMAIL_1>, not <EMAIL_2> or <b>.") {
        let events: Vec<String> = cut.iter().map(|piece| delta(piece)).collect();
        let told = stream(&stage, &backend, &events, &format!("I am {EMAIL}")).await;
        assert_eq!(
            said(told.text()).0,
            format!("Ask {EMAIL}, not <EMAIL_2> or <b>."),
            "{cut:?}"
        );
    }
    for cut in every_cut("{\"to\":\"<EMAIL_1>\"}") {
        let events: Vec<String> = cut.iter().map(|piece| arguments(piece)).collect();
        let told = stream(&stage, &backend, &events, &format!("I am {EMAIL}")).await;
        assert_eq!(
            said(told.text()).1,
            format!("{{\"to\":\"{EMAIL}\"}}"),
            "{cut:?}"
        );
    }
}

#[tokio::test]
async fn wherever_a_stream_is_cut_what_is_masked_in_it_comes_back_as_it_was() {
    let (stage, backend) = stage("[ { pii: { action: mask } } ]").await;
    let text = format!(r#"{{"order":4532015112830366,"pw":"{CARD}","lat":0.0612345678}}"#);
    for cut in every_cut(&text) {
        let events: Vec<String> = cut.iter().map(|piece| arguments(piece)).collect();
        let told = stream(&stage, &backend, &events, "hello").await;
        assert_eq!(said(told.text()).1, text, "{cut:?}");
    }
}

#[tokio::test]
async fn wherever_json_within_arguments_is_cut_a_value_is_escaped_for_it() {
    let (stage, backend) = stage("[ { pii: { action: mask } } ]").await;
    let inner = json!({"pw": "<CREDENTIAL_1>"}).to_string();
    for cut in every_cut(&json!({ "body": inner }).to_string()) {
        let events: Vec<String> = cut.iter().map(|piece| arguments(piece)).collect();
        let prompt = r#"password='Gr8"x12zz' please"#;
        let told = stream(&stage, &backend, &events, prompt).await;
        let outer: Value = serde_json::from_str(&said(told.text()).1).unwrap();
        let inner: Value = serde_json::from_str(outer["body"].as_str().unwrap()).unwrap();
        assert_eq!(inner, json!({"pw": r#"Gr8"x12zz"#}), "{cut:?}");
    }
}

#[tokio::test]
async fn a_stream_is_settled_by_what_the_provider_said_and_tells_its_verdicts() {
    let (stage, backend) = stage("[ { pii: {} } ]").await;
    stream(&stage, &backend, &[delta("To "), delta(EMAIL)], "hello").await;
    let record = stage.record().await;
    assert_eq!(
        (record.outcome, record.metered),
        (Outcome::Ok, reported(12, 5))
    );
    assert_eq!(verdicts(&record)[0].2, Ruling::Redacted);
    assert_eq!(verdicts(&record)[0].3, [("email".to_owned(), 1)]);
}

#[tokio::test]
async fn a_stream_that_must_not_go_on_ends_with_an_error_event() {
    let (stage, backend) = stage("[ { pii: { action: block } } ]").await;
    let told = stream(
        &stage,
        &backend,
        &[delta("Hello "), delta(EMAIL), delta(" more")],
        "hello",
    )
    .await;
    let text = told.text();
    assert!(
        text.contains("\"code\":\"content_filter\"") && !text.contains("anna"),
        "{text}"
    );
    assert!(!text.contains("more") && !text.contains("[DONE]"), "{text}");
    assert!(!told.broke);
    let record = stage.record().await;
    assert_eq!((record.outcome, record.status), (Outcome::Refused, 200));
    assert_eq!(record.rule.as_deref(), Some("product/standard/guard/pii"));
    assert_eq!(record.verdicts[0].verdict, Ruling::Blocked);
    assert!(record.metered.usage().completion > 0);
}

#[tokio::test]
async fn an_event_that_cannot_be_read_ends_the_stream_unless_it_may_pass() {
    for (guards, passes) in [
        ("[ { pii: {} } ]", false),
        ("[ { pii: { on_error: allow } } ]", true),
    ] {
        let (stage, backend) = stage(guards).await;
        let told = stream(&stage, &backend, &["data: half\n\n".to_owned()], "hello").await;
        assert_eq!(
            told.text().contains("data: half"),
            passes,
            "{}",
            told.text()
        );
        assert_eq!(told.text().contains("content_filter"), !passes);
        let record = stage.record().await;
        assert_eq!(verdicts(&record)[0].4.as_deref(), Some("unreadable event"));
        let ruling = if passes {
            Ruling::Passed
        } else {
            Ruling::Blocked
        };
        assert_eq!(record.verdicts[0].verdict, ruling);
    }
}

#[tokio::test]
async fn names_in_a_stream_s_events_are_looked_at() {
    for (guards, blocks) in [
        ("[ { pii: {} } ]", false),
        ("[ { pii: { action: block } } ]", true),
    ] {
        let (stage, backend) = stage(guards).await;
        let event = format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"hi \",\"x\":{{\"{EMAIL}\":\"so long\"}}}}}}]}}\n\n"
        );
        let told = stream(&stage, &backend, &[event], "hello").await;
        let told = told.text();
        assert!(!told.contains("anna"), "{told}");
        assert_eq!(told.contains("content_filter"), blocks, "{told}");
        assert_eq!(told.contains("[EMAIL]"), !blocks, "{told}");
    }
}

#[tokio::test]
async fn lines_of_a_stream_beside_its_data_tell_nothing() {
    let (stage, backend) = stage("[ { pii: {} } ]").await;
    let events = [
        format!(": ping for {EMAIL}\n\n"),
        format!(
            "event: {EMAIL}\nid: {EMAIL}\nretry: {EMAIL}\n{EMAIL}: x\n{}",
            delta("a ")
        ),
        format!(
            "event: 4111111111111111\nid: 4111111111111111\n{}",
            delta("b ")
        ),
        format!("event: custom.delta\nretry: 3000\n{}", delta("c ")),
    ];
    let told = stream(&stage, &backend, &events, "hello").await;
    let told = told.text();
    assert!(!told.contains("anna") && !told.contains("4111"), "{told}");
    assert_eq!(said(told).0, "a b c ");
    assert!(
        told.contains(":\n\n") && told.contains("event: custom.delta\nretry: 3000\n"),
        "{told}"
    );
    let found = &verdicts(&stage.record().await)[0].3;
    assert_eq!(found, &[("payment_card".to_owned(), 1)]);
}

#[tokio::test]
async fn data_in_several_lines_is_one_event() {
    let (stage, backend) = stage("[ { pii: {} } ]").await;
    let event = format!(
        "data: {{\"choices\":[{{\"index\":0,\r\ndata:\"delta\":{{\"content\":\"I am {EMAIL}. \"}}\r\ndata: }}]}}\r\n\r\n"
    );
    let told = stream(&stage, &backend, &[event], "hello").await;
    let told = told.text();
    assert_eq!(said(told).0, "I am [EMAIL]. ", "{told}");
}

#[tokio::test]
async fn text_leaves_at_most_one_word_late() {
    let (stage, backend) = stage("[ { pii: {} } ]").await;
    let events = [delta("One "), delta("two "), delta("three ")].concat();
    backend.always(Answer::stream(&[&events]).stalled());
    let mut body = stage.begin(streamed("hello")).await.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    let first = String::from_utf8(first.to_vec()).unwrap();
    assert_eq!(said(&first).0, "One two three ");
}

#[tokio::test]
async fn a_client_that_leaves_a_guarded_stream_is_billed_for_what_passed() {
    let (stage, backend) = stage("[ { pii: {} } ]").await;
    backend.always(Answer::stream(&[&delta(&format!("Mail {EMAIL} now "))]).stalled());
    let mut body = stage.begin(streamed("hello")).await.into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    let record = stage.record().await;
    assert_eq!(record.outcome, Outcome::HungUp);
    assert!(record.metered.usage().completion > 0);
    assert_eq!(verdicts(&record)[0].2, Ruling::Redacted);
}

#[tokio::test]
async fn a_unary_answer_is_whole_while_streams_are_guarded() {
    let (stage, backend) = stage("[ { pii: {} } ]").await;
    backend.always(Answer::chat());
    assert_eq!(stage.call(asking("hello")).await.status, 200);
}
