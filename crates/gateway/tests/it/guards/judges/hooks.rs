//! Guards of one's own: a webhook, and lists of words, patterns and topics.

use domain::record::{Content, Ruling};
use serde_json::{Value, json};
use simulator::Behaviour;

use super::windows::{events, streamed, streaming};
use super::{configured, found, judge, only, stage};
use crate::guards::streams::said;
use crate::guards::{asking, saying};
use crate::scripted::{Answer, Backend, DONE};
use crate::stage::{Stage, Told};

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
    assert_eq!(crate::guards::prompt_sent(&model), "who is [X]?");
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
    assert_eq!(crate::guards::prompt_sent(&model), "the [REDACTED] flies");
    assert_eq!(crate::guards::said(&told), "see [REDACTED]");
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
