use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn document(events: &[Value]) -> Value {
    let mut transcript = Transcript::new(100_000);
    for event in events {
        transcript.push(format!("data: {event}\n\n").as_bytes());
    }
    transcript.push(b"data: [DONE]\n\n");
    serde_json::from_slice(&transcript.into_document().unwrap()).unwrap()
}

#[test]
fn pieces_become_the_unary_answer() {
    let delta = |delta: Value| json!({ "id": "c1", "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] });
    let told = document(&[
        delta(json!({ "role": "assistant", "content": "" })),
        delta(json!({ "content": "It is 384,400\u{202f}km" })),
        delta(json!({ "content": " \"away\".\n" })),
        json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] }),
    ]);
    assert_eq!(
        told,
        json!({ "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": "It is 384,400\u{202f}km \"away\".\n" },
            "finish_reason": "stop",
        }] })
    );
}

#[test]
fn choices_and_tool_calls_go_on_by_their_own_index() {
    let told = document(&[
        json!({ "choices": [{ "index": 1, "delta": { "tool_calls": [{ "index": 2, "id": "x", "type": "function", "function": { "name": "find", "arguments": "{\"a\"" } }] } }] }),
        json!({ "choices": [{ "index": 0, "delta": { "content": "A" } }] }),
        json!({ "choices": [{ "index": 1, "delta": { "tool_calls": [{ "index": 2, "function": { "arguments": ":1}" } }] } }] }),
    ]);
    let choices = told["choices"].as_array().unwrap();
    assert_eq!(
        choices[0]["message"]["tool_calls"][0]["function"],
        json!({ "name": "find", "arguments": "{\"a\":1}" })
    );
    assert_eq!(choices[1]["message"]["content"], "A");
}

#[test]
fn what_has_no_choices_is_kept_as_it_came() {
    let told = document(&[
        json!({ "choices": [{ "text": "so", "index": 0 }] }),
        json!({ "error": { "message": "overloaded" } }),
    ]);
    assert_eq!(told["choices"][0]["text"], "so");
    assert_eq!(told["events"][0]["error"]["message"], "overloaded");
}

#[test]
fn past_its_bound_the_rest_is_left_out_and_the_document_says_so() {
    let mut transcript = Transcript::new(1_000);
    let event = json!({ "choices": [{ "index": 0, "delta": { "content": "x".repeat(300) } }] });
    for _ in 0..1_000 {
        transcript.push(format!("data: {event}\n\n").as_bytes());
    }
    assert!(transcript.is_cut());
    let told = transcript.into_document().unwrap();
    assert!(told.len() < 1_200, "{}", told.len());
    let told: Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(told["cut"], true);
    assert!(
        told["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .starts_with("xxx")
    );
}

#[test]
fn a_stream_that_said_nothing_leaves_no_document() {
    let mut transcript = Transcript::new(1_000);
    transcript.push(b": keep-alive\n\ndata: [DONE]\n\n");
    assert!(transcript.into_document().is_none());
}

/// As it would be if each event were read.
fn read_one_by_one(events: &[String]) -> Transcript {
    let mut transcript = Transcript::new(100_000);
    for event in events {
        transcript.form = None;
        transcript.push(event.as_bytes());
    }
    transcript
}

#[test]
fn events_that_differ_in_one_text_are_not_read_twice() {
    let event = |text: &str, padding: &str| {
        let text = Value::from(text);
        format!(
            "data: {{\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{text}}},\"finish_reason\":null}}],\"padding\":\"{padding}\"}}\n\n"
        )
    };
    let mut transcript = Transcript::new(1_000);
    transcript.push(event("It is", "ab").as_bytes());
    let before = transcript.form.as_ref().unwrap().before.clone();
    for text in [" \"far\"", "", "\n東"] {
        transcript.push(event(text, text.trim()).as_bytes());
        assert_eq!(transcript.form.as_ref().unwrap().before, before);
    }
    let told: Value = serde_json::from_slice(&transcript.into_document().unwrap()).unwrap();
    assert_eq!(
        told["choices"][0]["message"]["content"],
        "It is \"far\"\n東"
    );
}

#[test]
fn an_event_that_takes_back_what_it_says_is_read_each_time() {
    for event in [
        r#"{"model":"m","choices":[{"x":1,"x":"a"}]}"#,
        r#"{"model":"m","choices":[{"x":"a","x":"b"}]}"#,
        r#"{"model":"m","choices":[{"x":[1],"x":"a"}]}"#,
        r#"{"model":"m","choices":[{"delta":{"x":"a"},"message":[]}]}"#,
    ] {
        let events = vec![format!("data: {event}\n\n"); 3];
        let mut transcript = Transcript::new(1_000);
        for event in &events {
            transcript.push(event.as_bytes());
        }
        assert_eq!(
            transcript.into_document(),
            read_one_by_one(&events).into_document(),
            "{event}"
        );
    }
}

#[test]
fn an_event_that_was_cut_off_is_no_form() {
    let event = |end: &str| {
        format!("data: {{\"model\":\"m\",\"choices\":[{{\"delta\":{{\"content\":\"{end}\n\n")
    };
    let events = [event("a\\\""), event("b\",\"role\":\"r\"}}]}")];
    let mut transcript = Transcript::new(1_000);
    for event in &events {
        transcript.push(event.as_bytes());
    }
    let told = transcript.into_document();
    assert_eq!(told, read_one_by_one(&events).into_document());
    assert!(String::from_utf8(told.unwrap()).unwrap().contains("role"));
}

fn streams() -> impl Strategy<Value = Vec<String>> {
    let text = "[a-c\\\\\"n東]{0,3}";
    let member = prop_oneof![
        4 => text.prop_map(|text| format!("\"content\":{}", Value::from(text))),
        1 => "[a-c\\\\]{0,3}".prop_map(|text| format!("\"content\":\"{text}")),
        1 => Just("\"role\":\"r\"".to_owned()),
        1 => Just("\"content\":7".to_owned()),
        1 => Just("\"content\":null".to_owned()),
        1 => (0..2_u8, text).prop_map(|(index, text)| format!(
            "\"tool_calls\":[{{\"index\":{index},\"function\":{{\"arguments\":{}}}}}]",
            Value::from(text)
        )),
    ];
    let delta = prop::collection::vec(member, 0..3).prop_map(|members| members.join(","));
    let event = (0..2_u8, delta, "[\\]}]{0,3}").prop_map(|(index, delta, end)| {
        let end = if end.is_empty() {
            "}}],\"x\":\"y\"}"
        } else {
            &end
        };
        format!(
            "data: {{\"model\":\"m\",\"choices\":[{{\"index\":{index},\"delta\":{{{delta}{end}\n\n"
        )
    });
    prop::collection::vec(event, 0..8)
}

proptest! {
    #[test]
    fn an_event_that_is_not_read_adds_what_it_would_if_it_were(events in streams()) {
        let mut transcript = Transcript::new(100_000);
        for event in &events {
            transcript.push(event.as_bytes());
        }
        prop_assert_eq!(transcript.into_document(), read_one_by_one(&events).into_document());
    }

    #[test]
    fn whatever_comes_the_document_is_json_within_its_bound(
        lines in prop::collection::vec("(data: ?)?[{}\\[\\]\",:a-z0-9\\\\ ]{0,60}\n", 0..40), max in 0..2_000_usize,
    ) {
        let mut transcript = Transcript::new(max);
        for line in &lines {
            transcript.push(line.as_bytes());
        }
        if let Some(document) = transcript.into_document() {
            prop_assert!(document.len() < 6 * max + 400);
            prop_assert!(serde_json::from_slice::<Value>(&document).is_ok(), "{}", String::from_utf8_lossy(&document));
        }
    }
}
