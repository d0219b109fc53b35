//! What crosses the gateway unchanged, and the few bytes that do not.

use bytes::Bytes;
use serde_json::json;

use crate::harness::{Gate, Reply, Upstream, chat, config};

/// Odd but valid: an SDK, a proxy or a person may well write it so.
const ODD_BODY: &str = "{ \"temperature\" : 1.0e0,\r\n\t\"model\" :  \"gpt-4o\" , \"x_new\":{\"deep\":[1,2.50,null]},\
     \"messages\":[{\"role\":\"user\",\"content\":\"h\\u00e9 \\/ \u{1f600}\"}] }";

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_needs_no_change_reaches_the_upstream_byte_by_byte() {
    let upstream = Upstream::start(|_| Reply::hello()).await;
    let gate = Gate::start(config().backend("east", upstream.address)).await;
    gate.send(chat("").bytes(ODD_BODY)).await;
    assert_eq!(upstream.only().body, ODD_BODY);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_bytes_of_the_model_s_name_are_replaced() {
    let upstream = Upstream::start(|_| Reply::hello()).await;
    let renamed = config()
        .backend("east", upstream.address)
        .with("/models/0/deployment", json!("gpt-4o-in-the-east"));
    let gate = Gate::start(renamed).await;
    gate.send(chat("").bytes(ODD_BODY)).await;
    let wanted = ODD_BODY.replace("\"gpt-4o\"", "\"gpt-4o-in-the-east\"");
    assert_eq!(upstream.only().body, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_s_bytes_and_unknown_fields_reach_the_client() {
    let body = "{\n  \"id\": \"x\", \"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"h\\u00e9\"},\
         \"finish_reason\":\"stop\",\"x_new\":1.50}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\
         \"total_tokens\":5,\"x_details\":{\"a\":1}}, \"x_more\" : [] }\n";
    let upstream = Upstream::start(move |_| Reply::json(body)).await;
    let gate = Gate::start(config().backend("east", upstream.address)).await;
    let answer = gate.send(chat("hi")).await;
    assert_eq!(answer.body, body);
    assert_eq!(answer.number("x-tollgate-tokens"), 5);
}

/// Comments, odd line ends, an event of two lines and unknown fields: all legal SSE.
const OPENING: &str = ": keep-alive\n\nevent: x\nid: 7\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"he\"},\"x_new\":1}],\"usage\":null}\n\n\
     data: {\"choices\":[{\"index\":0,\"delta\":\ndata: {\"content\":\"llo\"},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_always_asked_of_upstreams_and_its_chunk_is_for_those_who_asked() {
    let upstream = Upstream::start(|_| Reply::events([OPENING, USAGE, DONE].concat())).await;
    let gate = Gate::start(config().backend("east", upstream.address)).await;
    let stripped = [OPENING, DONE].concat();
    let kept = [OPENING, USAGE, DONE].concat();
    let asked = |include: bool| {
        chat("hi").stream().field(
            "stream_options",
            json!({ "include_usage": include, "x_new": 1 }),
        )
    };
    for (call, wanted) in [
        (chat("hi").stream(), &stripped),
        (asked(false), &stripped),
        (asked(true), &kept),
    ] {
        let answer = gate.send(call).await;
        assert_eq!(&answer.text(), wanted);
        let record = gate.record(answer.id()).await;
        assert_eq!(record.metered.usage().total(), 11);
    }
    for seen in upstream.seen() {
        assert_eq!(seen.json()["stream_options"]["include_usage"], true);
    }
    assert_eq!(upstream.seen()[1].json()["stream_options"]["x_new"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_s_opening_chunk_without_choices_is_not_taken_for_the_usage_chunk() {
    let opening = "data: {\"choices\":[],\"id\":\"\",\"prompt_filter_results\":[]}\n\n";
    let upstream =
        Upstream::start(move |_| Reply::events([opening, OPENING, USAGE, DONE].concat())).await;
    let gate = Gate::start(config().azure_backend("east", upstream.address)).await;
    let answer = gate.send(chat("hi").stream()).await;
    assert_eq!(answer.text(), [opening, OPENING, DONE].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_cut_at_every_byte_gives_the_same_events() {
    let whole = [OPENING, USAGE, DONE].concat();
    let source = whole.clone();
    let upstream = Upstream::start(move |_| {
        let (sender, reply) = Reply::pieces();
        let bytes = Bytes::from(source.clone());
        tokio::task::spawn_blocking(move || {
            for at in 0..bytes.len() {
                if sender.blocking_send(bytes.slice(at..=at)).is_err() {
                    return;
                }
            }
        });
        reply
    })
    .await;
    let gate = Gate::start(config().backend("east", upstream.address)).await;
    let answer = gate.send(chat("hi").stream().with_usage()).await;
    assert_eq!(answer.text(), whole);
    assert_eq!(gate.record(answer.id()).await.metered.usage().total(), 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_arrives_while_the_upstream_still_waits() {
    let (sender, reply) = Reply::pieces();
    let reply = std::sync::Mutex::new(Some(reply));
    let upstream = Upstream::start(move |_| reply.lock().unwrap().take().unwrap()).await;
    let gate = Gate::start(config().backend("east", upstream.address)).await;
    let event = |word: &str| {
        Bytes::from(format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word}\"}}}}]}}\n\n"
        ))
    };
    sender.send(event("one")).await.unwrap();
    let mut stream = gate.open(chat("hi").stream()).await;
    assert!(stream.event().await.unwrap().contains("one"));
    // The upstream sends nothing more until the client has read what it sent.
    for word in ["two", "three", "four"] {
        sender.send(event(word)).await.unwrap();
        assert!(stream.event().await.unwrap().contains(word));
    }
    sender
        .send(Bytes::from_static(b"data: [DONE]\n\n"))
        .await
        .unwrap();
    drop(sender);
    assert!(stream.rest().await.is_whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_larger_than_the_gateway_holds_comes_through_and_is_metered() {
    let text = "word ".repeat(600_000);
    let body = json!({
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 9, "completion_tokens": 600_000, "total_tokens": 600_009 },
    })
    .to_string();
    let sent = body.clone();
    let upstream = Upstream::start(move |_| Reply::json(sent.clone())).await;
    let gate = Gate::start(config().backend("east", upstream.address)).await;
    let answer = gate.send(chat("hi")).await;
    assert!(
        answer.body == body,
        "{} bytes of {}",
        answer.body.len(),
        body.len()
    );
    let record = gate.record(answer.id()).await;
    assert_eq!(record.metered.usage().total(), 600_009);
    assert!(!record.metered.is_estimated());
}
