//! Guards on the data path: what reaches the provider, what reaches the client, what is written down.

mod bounds;
mod flow;
mod judges;
mod nothing_raw;
mod streams;

use bytes::Bytes;
use domain::record::{CallRecord, Content, Outcome, Ruling};
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::scripted::{Answer, Backend, CHAT};
use crate::stage::{KEY, Rules, Stage, Told, chat, reported, request};

const EMAIL: &str = "anna.schmidt@example.com";
const CARD: &str = "4111 1111 1111 1111";

/// A product with these guards, as YAML.
fn guarded(guards: &str) -> Rules {
    Rules {
        priorities: vec![1],
        limits: format!("\n    guards: {guards}"),
        ..Rules::default()
    }
}

async fn stage(guards: &str, answer: Answer) -> (Stage, Backend) {
    let backend = Backend::answering(answer).await;
    (Stage::new(&guarded(guards), &[&backend]), backend)
}

fn asking(text: &str) -> Request<Full<Bytes>> {
    request(json!({"model": "gpt-4o", "messages": [{"role": "user", "content": text}]}).to_string())
}

/// A chat's answer, 12 + 5 tokens by the provider's word.
fn saying(text: &str) -> Answer {
    let mut answer: Value = serde_json::from_str(CHAT).unwrap();
    answer["choices"][0]["message"]["content"] = text.into();
    Answer::json(200, answer.to_string())
}

fn sent(backend: &Backend) -> Value {
    serde_json::from_slice(backend.bodies().last().unwrap()).unwrap()
}

fn prompt_sent(backend: &Backend) -> String {
    sent(backend)["messages"][0]["content"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn said(told: &Told) -> String {
    let answer: Value = serde_json::from_slice(&told.body).unwrap();
    answer["choices"][0]["message"]["content"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

type Found = (String, Content, Ruling, Vec<(String, u32)>, Option<String>);

fn verdicts(record: &CallRecord) -> Vec<Found> {
    let verdicts = record.verdicts.iter().map(|verdict| {
        let findings = verdict.findings.iter();
        (
            verdict.guard.to_string(),
            verdict.on,
            verdict.verdict,
            findings
                .map(|(kind, count)| (kind.to_string(), *count))
                .collect(),
            verdict.failure.as_deref().map(str::to_owned),
        )
    });
    verdicts.collect()
}

const PII: &str = "product/standard/guard/pii";

#[tokio::test]
async fn personal_data_is_redacted_both_ways_and_the_record_says_how_much() {
    let (stage, backend) = stage("[ { pii: {} } ]", saying(&format!("Write to {EMAIL}."))).await;
    let told = stage
        .call(asking(&format!("I am {EMAIL}, or {EMAIL}; card {CARD}.")))
        .await;
    assert_eq!(
        prompt_sent(&backend),
        "I am [EMAIL], or [EMAIL]; card [PAYMENT_CARD]."
    );
    assert_eq!(
        (told.status.as_u16(), &*said(&told)),
        (200, "Write to [EMAIL].")
    );
    assert_eq!(told.header("x-tollgate-tokens"), Some("17"));
    let metrics = stage.metrics();
    for line in [
        r#"tollgate_guard_verdicts_total{guard="product/standard/guard/pii",on="prompt",ruling="redacted"} 1"#,
        r#"tollgate_guard_verdicts_total{guard="product/standard/guard/pii",on="answer",ruling="redacted"} 1"#,
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    let record = stage.record().await;
    assert_eq!(record.metered, reported(12, 5));
    let counts = |counts: &[(&str, u32)]| -> Vec<(String, u32)> {
        counts
            .iter()
            .map(|(kind, count)| ((*kind).to_owned(), *count))
            .collect()
    };
    assert_eq!(
        verdicts(&record),
        [
            (
                PII.into(),
                Content::Prompt,
                Ruling::Redacted,
                counts(&[("email", 2), ("payment_card", 1)]),
                None
            ),
            (
                PII.into(),
                Content::Answer,
                Ruling::Redacted,
                counts(&[("email", 1)]),
                None
            ),
        ]
    );
}

#[tokio::test]
async fn masked_values_come_back_in_the_answer_and_in_tool_arguments() {
    let mut answer: Value = serde_json::from_str(CHAT).unwrap();
    let message = &mut answer["choices"][0]["message"];
    message["content"] = "Ask <EMAIL_1>, not <EMAIL_9>.".into();
    message["tool_calls"] = json!([{"id": "call_1", "type": "function", "function": {
        "name": "send", "arguments": "{\"to\":\"\\u003cEMAIL_1>\"}"}}]);
    let answer = Answer::json(200, answer.to_string());
    let (stage, backend) = stage("[ { pii: { action: mask } } ]", answer).await;
    let told = stage.call(asking(&format!("I am {EMAIL}."))).await;
    assert_eq!(prompt_sent(&backend), "I am <EMAIL_1>.");
    assert_eq!(said(&told), format!("Ask {EMAIL}, not <EMAIL_9>."));
    let answer: Value = serde_json::from_slice(&told.body).unwrap();
    let arguments = &answer["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"];
    assert_eq!(arguments, &json!(format!("{{\"to\":\"{EMAIL}\"}}")));
}

#[tokio::test]
async fn a_number_that_is_masked_in_arguments_of_an_answer_comes_back_as_a_number() {
    let arguments = r#"{"order":4532015112830366,"lat":0.0612345678}"#;
    let mut answer: Value = serde_json::from_str(CHAT).unwrap();
    answer["choices"][0]["message"]["tool_calls"] = json!([{"id": "call_1", "type": "function",
        "function": {"name": "send", "arguments": arguments}}]);
    let answer = Answer::json(200, answer.to_string());
    let (stage, backend) = stage("[ { pii: { action: mask } } ]", answer).await;
    let told = stage.call(asking("My card: 4532 0151 1283 0366")).await;
    assert_eq!(prompt_sent(&backend), "My card: <PAYMENT_CARD_1>");
    let answer: Value = serde_json::from_slice(&told.body).unwrap();
    let call = &answer["choices"][0]["message"]["tool_calls"][0]["function"];
    assert_eq!(call["arguments"], arguments);
}

#[tokio::test]
async fn a_conversation_masks_the_same_values_alike_from_turn_to_turn() {
    let (stage, backend) = stage("[ { pii: { action: mask } } ]", Answer::chat()).await;
    let turns = [
        json!({"role": "user", "content": format!("I am {EMAIL}.")}),
        json!({"role": "assistant", "content": format!("Hello {EMAIL}.")}),
        json!({"role": "user", "content": format!("Write to bob@example.com and {EMAIL}.")}),
    ];
    let mut earlier: Vec<Value> = Vec::new();
    for count in 1..=3 {
        let body = json!({"model": "gpt-4o", "messages": turns[..count]});
        stage.call(request(body.to_string())).await;
        let messages = sent(&backend)["messages"].as_array().unwrap().clone();
        assert_eq!(messages[..earlier.len()], earlier);
        earlier = messages;
    }
    assert_eq!(earlier[2]["content"], "Write to <EMAIL_2> and <EMAIL_1>.");
}

#[tokio::test]
async fn a_blocked_prompt_goes_nowhere_and_is_not_quoted() {
    let rules = "[ { name: cards, pii: { action: allow, kinds: { payment_card: block } } } ]";
    let (stage, backend) = stage(rules, Answer::chat()).await;
    let told = stage
        .call(asking(&format!("{EMAIL} pays with {CARD}")))
        .await;
    assert_eq!(
        (told.status.as_u16(), told.code().as_deref()),
        (400, Some("content_filter"))
    );
    let body: Value = serde_json::from_slice(&told.body).unwrap();
    let rule = "product/standard/guard/cards";
    assert_eq!(body["error"]["tollgate"]["rule"], rule);
    assert_eq!(body["error"]["tollgate"]["scope"], "product/standard");
    let message = body["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("payment_card") && !message.contains("4111"),
        "{message}"
    );
    assert_eq!(backend.requests(), 0);
    let record = stage.record().await;
    assert_eq!(
        (record.outcome, record.rule.as_deref()),
        (Outcome::Refused, Some(rule))
    );
    assert_eq!(record.attempts, []);
    assert_eq!(record.verdicts[0].verdict, Ruling::Blocked);
}

#[tokio::test]
async fn a_blocked_answer_is_a_refusal_that_was_paid_for() {
    let rules = "[ { pii: { action: block, where: [answer] } } ]";
    let (stage, backend) = stage(rules, saying(&format!("Card {CARD}"))).await;
    let told = stage.call(asking(&format!("I am {EMAIL}"))).await;
    assert!(prompt_sent(&backend).contains(EMAIL));
    assert_eq!(
        (told.status.as_u16(), told.code().as_deref()),
        (400, Some("content_filter"))
    );
    assert!(!told.text().contains("4111"));
    assert_eq!(told.header("x-tollgate-tokens"), Some("17"));
    let record = stage.record().await;
    assert_eq!((record.outcome, record.status), (Outcome::Refused, 400));
    assert_eq!(record.metered, reported(12, 5));
    assert_eq!(record.attempts[0].metered, reported(12, 5));
}

#[tokio::test]
async fn every_place_of_a_prompt_is_looked_at() {
    let (stage, backend) = stage("[ { pii: {} } ]", Answer::chat()).await;
    let arguments = json!({"to": EMAIL, "card": 4_111_111_111_111_111_u64, EMAIL: 1}).to_string();
    let body = json!({"model": "gpt-4o", "user": EMAIL, "metadata": {"who": EMAIL}, "messages": [
        {"role": "system", "content": format!("Help {EMAIL}")},
        {"role": "user", "name": EMAIL, "content": [{"type": "text", "text": EMAIL}]},
        {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function",
            "function": {"name": "f", "arguments": arguments}}]},
        {"role": "tool", "tool_call_id": "c1", "content": format!("{{\"mail\": \"{EMAIL}\"}}")},
    ], "tools": [{"type": "function", "function": {"name": "f", "description": EMAIL,
        "parameters": {"properties": {"to": {"enum": [EMAIL], "default": EMAIL}}}}}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"const": EMAIL}}}});
    assert_eq!(stage.call(request(body.to_string())).await.status, 200);
    let text = String::from_utf8(backend.bodies()[0].to_vec()).unwrap();
    assert!(!text.contains("anna") && !text.contains("4111"), "{text}");
    assert_eq!(text.matches("[EMAIL]").count(), 12, "{text}");
}

#[tokio::test]
async fn what_a_value_is_called_says_what_it_is() {
    let (stage, backend) = stage("[ { pii: {} } ]", Answer::chat()).await;
    let arguments = json!({"userPassword": "correct horse", "n": {"ssn": 536_904_399}, "ok": true});
    let body = json!({"model": "gpt-4o", "metadata": {"dateOfBirth": "1984-03-12", "day": "1984-03-12"},
    "messages": [
        {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function",
            "function": {"name": "f", "arguments": arguments.to_string()}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "{\"passportNumber\": \"C01X00T47\"}"},
    ]});
    assert_eq!(stage.call(request(body.to_string())).await.status, 200);
    let sent = sent(&backend);
    assert_eq!(
        sent["metadata"],
        json!({"dateOfBirth": "[DATE_OF_BIRTH]", "day": "1984-03-12"})
    );
    let call = &sent["messages"][0]["tool_calls"][0]["function"]["arguments"];
    let call: Value = serde_json::from_str(call.as_str().unwrap()).unwrap();
    assert_eq!(
        call,
        json!({"userPassword": "[CREDENTIAL]", "n": {"ssn": "[US_SSN]"}, "ok": true})
    );
    assert_eq!(
        sent["messages"][1]["content"],
        "{\"passportNumber\": \"[PASSPORT]\"}"
    );
}

/// Requests with an address as a name, wherever a client may choose one.
fn with_names() -> [Value; 4] {
    let base = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]});
    let with = |name: &str, value: Value| {
        let mut body = base.clone();
        body[name] = value;
        body
    };
    let schema = json!({"type": "object", "properties": {EMAIL: {"type": "string"}}});
    [
        with("metadata", json!({EMAIL: "1"})),
        with("zz", json!({EMAIL: "1", "other@example.com": "2"})),
        with(EMAIL, json!(1)),
        with(
            "tools",
            json!([{"type": "function", "function": {"name": "f", "parameters": schema}}]),
        ),
    ]
}

#[tokio::test]
async fn names_that_a_client_chose_are_looked_at() {
    let redacting = stage("[ { pii: {} } ]", Answer::chat()).await;
    let blocking = stage("[ { pii: { action: block } } ]", Answer::chat()).await;
    for body in with_names() {
        let (stage, backend) = &redacting;
        assert_eq!(stage.call(request(body.to_string())).await.status, 200);
        let sent = String::from_utf8(backend.bodies().last().unwrap().to_vec()).unwrap();
        assert!(
            sent.contains("[EMAIL]") && !sent.contains("example.com"),
            "{sent}"
        );
        let (stage, backend) = &blocking;
        let told = stage.call(request(body.to_string())).await;
        assert_eq!(told.code().as_deref(), Some("content_filter"), "{body}");
        assert_eq!(backend.requests(), 0);
    }
    for record in redacting.0.records().await {
        assert_eq!(verdicts(&record)[0].2, Ruling::Redacted);
    }
}

#[tokio::test]
async fn names_in_an_answer_are_looked_at_and_masked_ones_come_back() {
    let mut answer: Value = serde_json::from_str(CHAT).unwrap();
    answer["choices"][0]["message"]["x"] = json!({EMAIL: 1});
    let (redacting, _backend) =
        stage("[ { pii: {} } ]", Answer::json(200, answer.to_string())).await;
    let told = redacting.call(chat()).await;
    let told = told.text();
    assert!(told.contains("[EMAIL]") && !told.contains(EMAIL), "{told}");

    let mut answer: Value = serde_json::from_str(CHAT).unwrap();
    answer["choices"][0]["message"]["x"] = json!({"<EMAIL_1>": 1});
    let (masking, backend) = stage(
        "[ { pii: { action: mask } } ]",
        Answer::json(200, answer.to_string()),
    )
    .await;
    let [body, ..] = with_names();
    let told = masking.call(request(body.to_string())).await;
    let told = told.text();
    assert_eq!(sent(&backend)["metadata"], json!({"<EMAIL_1>": "1"}));
    assert!(told.contains(EMAIL), "{told}");
}

#[tokio::test]
async fn the_other_routes_are_guarded_too() {
    let (stage, backend) = stage(
        "[ { pii: {} } ]",
        Answer::json(
            200,
            r#"{"data":[{"embedding":[0.5]}],"usage":{"prompt_tokens":3}}"#,
        ),
    )
    .await;
    let post = |path: &str, body: Value| {
        Request::post(path)
            .header("api-key", KEY)
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap()
    };
    for (path, body) in [
        (
            "/v1/embeddings",
            json!({"model": "gpt-4o", "input": ["a", EMAIL]}),
        ),
        (
            "/v1/completions",
            json!({"model": "gpt-4o", "prompt": EMAIL, "suffix": EMAIL}),
        ),
        (
            "/openai/deployments/gpt-4o/chat/completions?api-version=1",
            json!({"messages": [{"role": "user", "content": EMAIL}]}),
        ),
    ] {
        assert_eq!(stage.call(post(path, body)).await.status, 200, "{path}");
        let sent = String::from_utf8(backend.bodies().last().unwrap().to_vec()).unwrap();
        assert!(
            sent.contains("[EMAIL]") && !sent.contains("anna"),
            "{path}: {sent}"
        );
    }
}

#[tokio::test]
async fn a_provider_s_error_is_looked_at_like_an_answer() {
    let error = json!({"error": {"message": format!("cannot read {EMAIL}"), "type": "invalid_request_error"}});
    let (stage, _backend) = stage("[ { pii: {} } ]", Answer::json(400, error.to_string())).await;
    let told = stage.call(chat()).await;
    assert_eq!(told.status, 400);
    assert!(
        told.text().contains("cannot read [EMAIL]"),
        "{}",
        told.text()
    );
}

#[tokio::test]
async fn the_narrowest_scope_that_has_guards_has_its_own() {
    let backend = Backend::answering(Answer::chat()).await;
    let text = |global: &str, product: &str, subscription: &str| {
        format!(
            "
{global}
backends: [ {{ id: a, dialect: openai, url: \"{}\", auth: none }} ]
models: [ {{ name: gpt-4o, backend: a, max_output_tokens: 100 }} ]
products: [ {{ id: standard, models: [gpt-4o]{product} }} ]
subscriptions: [ {{ id: search, product: standard, keys: {{ primary: {KEY} }}{subscription} }} ]
",
            backend.address
        )
    };
    let global = "guards: [ { pii: { action: redact } } ]";
    let product = ", guards: [ { pii: { action: mask } } ]";
    let stage = Stage::reading(&text(global, "", ""));
    for (text, expected) in [
        (text(global, "", ""), "[EMAIL]"),
        (text(global, product, ""), "<EMAIL_1>"),
        (text(global, product, ", guards: []"), EMAIL),
        (text("", "", ""), EMAIL),
    ] {
        stage.reload(&text);
        stage.call(asking(EMAIL)).await;
        assert_eq!(prompt_sent(&backend), expected, "{text}");
    }
}

#[tokio::test]
async fn hashes_are_the_same_for_the_same_key_and_tell_nothing() {
    let rules = "[ { pii: { action: hash, hash_key: the-key-of-our-hashes } } ]";
    let (stage, backend) = stage(rules, Answer::chat()).await;
    stage
        .call(asking(&format!("{EMAIL} bob@example.com {EMAIL}")))
        .await;
    let prompt = prompt_sent(&backend);
    let words: Vec<&str> = prompt.split(' ').collect();
    assert_eq!(words[0], words[2]);
    assert_ne!(words[0], words[1]);
    assert!(
        words[0].starts_with("[EMAIL:") && !prompt.contains("anna"),
        "{prompt}"
    );
}
