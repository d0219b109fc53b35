use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::request;

fn chat(body: &str) -> Request {
    let body = Bytes::copy_from_slice(body.as_bytes());
    request::read(Operation::ChatCompletions, body, None).unwrap()
}

fn shape(body: &str) -> Result<Shape, Unshaped> {
    chat(body).shape(&[])
}

fn digest(body: &str) -> Digest {
    shape(body).unwrap().digest
}

const CALL: &str = r#"{"model":"m","messages":[{"role":"system","content":"be brief"},{"role":"user","content":"Why is the sky blue?"}],"temperature":0.5,"seed":7}"#;

#[test]
fn the_way_a_call_is_written_does_not_matter() {
    for same in [
        r#"{ "seed" : 7.0, "temperature":5e-1,"messages":[{"content":"be brief","role":"system"},{"role":"user","content":"Why is the sky blue?"}],"model":"m" }"#,
        r#"{"mod\u0065l":"m","messages":[{"role":"system","content":"be\u0020brief"},{"role":"user","content":"Why is the sky blue?"}],"temperature":0.50,"seed":70e-1}"#,
        // Streamed or not, with usage or without: the answer is the same.
        r#"{"stream":true,"stream_options":{"include_usage":true},"model":"m","messages":[{"role":"system","content":"be brief"},{"role":"user","content":"Why is the sky blue?"}],"temperature":0.5,"seed":7}"#,
    ] {
        assert_eq!(digest(same), digest(CALL), "{same}");
    }
}

#[test]
fn every_field_matters_even_one_that_nobody_knows() {
    let mut seen = vec![digest(CALL)];
    for (old, new) in [
        ("be brief", "be Brief"),
        ("\"seed\":7", "\"seed\":8"),
        ("\"seed\":7", "\"seed\":null"),
        ("\"seed\":7", "\"seed\":\"7\""),
        ("\"seed\":7", "\"seed\":7,\"unheard_of\":[]"),
        ("\"seed\":7", "\"seed\":7,\"unheard_of\":[[]]"),
        ("\"seed\":7", "\"seed\":7,\"unheard_of\":{}"),
        ("\"seed\":7", "\"seed\":7,\"user\":\"anna\""),
        ("0.5", "0.51"),
        ("system", "developer"),
        // A number too exact for a float.
        ("\"seed\":7", "\"seed\":9007199254740993"),
        ("\"seed\":7", "\"seed\":9007199254740992"),
        // Halves of pairs are no texts, and two of them are two.
        ("be brief", "be \\ud83d"),
        ("be brief", "be \\ud83e"),
        ("be brief", "be \\ufffd"),
    ] {
        let other = digest(&CALL.replace(old, new));
        assert!(!seen.contains(&other), "{old} -> {new}");
        seen.push(other);
    }
    let moved = CALL.replace(
        r#"{"role":"system","content":"be brief"},{"role":"user","content":"Why is the sky blue?"}"#,
        r#"{"role":"user","content":"Why is the sky blue?"},{"role":"system","content":"be brief"}"#,
    );
    assert!(!seen.contains(&digest(&moved)));
}

#[test]
fn fields_that_an_operator_names_shape_nothing() {
    let with = CALL.replace("\"seed\":7", "\"seed\":7,\"user\":\"anna\"");
    let of = |body: &str| chat(body).shape(&[Ignored::User]).unwrap().digest;
    assert_eq!(of(&with), of(CALL));
    let metadata = CALL.replace("\"seed\":7", "\"seed\":7,\"metadata\":{}");
    assert_ne!(of(&metadata), of(CALL));
}

#[test]
fn what_cannot_be_answered_again_says_why() {
    for (more, why) in [
        (r#""logprobs":true"#, Unshaped::Logprobs),
        (r#""web_search_options":{}"#, Unshaped::WebSearch),
        (r#""store":true"#, Unshaped::Stored),
        (r#""modalities":["text","audio"]"#, Unshaped::Audio),
        (r#""temperature":"hot""#, Unshaped::Temperature),
    ] {
        let body = format!(r#"{{"model":"m","messages":[],{more}}}"#);
        assert_eq!(shape(&body), Err(why), "{more}");
    }
    let off = r#"{"model":"m","messages":[],"logprobs":false,"store":null,"temperature":null}"#;
    assert_eq!(shape(off).unwrap().temperature.to_bits(), 1f64.to_bits());
    let large = format!(
        r#"{{"model":"m","input":"{}"}}"#,
        "x".repeat(BODY_BYTES_MAX)
    );
    let call = request::read(Operation::Embeddings, large.into(), None).unwrap();
    assert_eq!(call.shape(&[]), Err(Unshaped::TooLarge));
}

#[test]
fn a_call_that_offers_tools_says_so() {
    for (more, offers) in [
        ("", false),
        (r#","tools":[],"functions":null"#, false),
        (r#","tools":[{"type":"function"}]"#, true),
        (r#","functions":[{"name":"f"}]"#, true),
    ] {
        let body = format!(r#"{{"model":"m","messages":[]{more}}}"#);
        assert_eq!(shape(&body).unwrap().offers_tools, offers, "{more}");
    }
}

#[test]
fn operations_do_not_share_answers() {
    let body = Bytes::from_static(br#"{"model":"m","prompt":"x","input":"x","messages":[]}"#);
    let of = |operation| {
        let call = request::read(operation, body.clone(), None).unwrap();
        call.shape(&[]).unwrap().digest
    };
    assert_ne!(of(Operation::ChatCompletions), of(Operation::Completions));
    assert_ne!(of(Operation::Completions), of(Operation::Embeddings));
}

#[test]
fn only_the_last_user_turns_text_is_left_out_of_what_is_around_it() {
    let question = |body: &str| chat(body).question(&[]).unwrap();
    let asked = question(CALL);
    assert_eq!(
        (&*asked.text, asked.user_turns),
        ("Why is the sky blue?", 1)
    );
    let other = CALL.replace("Why is the sky blue?", "And the sea?");
    assert_eq!(question(&other).around, asked.around);
    assert_ne!(digest(&other), digest(CALL));
    for (old, new) in [
        ("be brief", "be long"),
        ("\"seed\":7", "\"seed\":8"),
        (r#"{"role":"user""#, r#"{"role":"user","name":"x""#),
        (
            r#""content":"Why is the sky blue?""#,
            r#""content":[{"type":"text","text":"Why is the sky blue?"}]"#,
        ),
    ] {
        assert_ne!(
            question(&CALL.replace(old, new)).around,
            asked.around,
            "{new}"
        );
    }
}

#[test]
fn parts_that_are_no_text_stay_in_what_is_around() {
    let body = |text: &str, url: &str| {
        format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"text","text":"{text}"}},{{"type":"image_url","image_url":{{"url":"{url}"}}}},{{"type":"text","text":"please"}}]}}]}}"#
        )
    };
    let question = |body: &str| chat(body).question(&[]).unwrap();
    let one = question(&body("what is it", "https://a/1.png"));
    assert_eq!(one.text, "what is it\nplease");
    assert_eq!(one.around, question(&body("who", "https://a/1.png")).around);
    assert_ne!(one.around, question(&body("who", "https://a/2.png")).around);
}

#[test]
fn a_call_that_does_not_end_with_a_users_text_asks_no_question() {
    for messages in [
        "[]",
        r#"[{"role":"user","content":"x"},{"role":"assistant","content":"y"}]"#,
        r#"[{"role":"user","content":" "}]"#,
        r#"[{"role":"user","content":null}]"#,
        r#"[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a"}}]}]"#,
    ] {
        let body = format!(r#"{{"model":"m","messages":{messages}}}"#);
        assert_eq!(chat(&body).question(&[]), None, "{messages}");
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e6..1e6f64).prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]{1,2}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// The same value in another writing: keys backwards, spaces, every character escaped.
fn rewritten(value: &Value, out: &mut String) {
    let escaped = |text: &str, out: &mut String| {
        out.push('"');
        for unit in text.encode_utf16() {
            out.push_str(&format!("\\u{unit:04x}"));
        }
        out.push('"');
    };
    match value {
        Value::Object(members) => {
            out.push_str("{ ");
            for (at, (key, value)) in members.iter().rev().enumerate() {
                if at > 0 {
                    out.push_str(" ,\n");
                }
                escaped(key, out);
                out.push_str(" : ");
                rewritten(value, out);
            }
            out.push('}');
        }
        Value::Array(elements) => {
            out.push('[');
            for (at, element) in elements.iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                rewritten(element, out);
            }
            out.push_str(" ]");
        }
        Value::String(text) => escaped(text, out),
        Value::Number(number) if number.is_i64() => out.push_str(&format!("{number}.00e0")),
        other => out.push_str(&other.to_string()),
    }
}

proptest! {
    #[test]
    fn calls_have_one_digest_exactly_if_they_mean_the_same(one in value(), other in value()) {
        let body = |value: &Value| json!({ "model": "m", "x": value });
        let mut text = String::new();
        rewritten(&body(&one), &mut text);
        let digest_of = digest(&body(&one).to_string());
        prop_assert_eq!(digest(&text), digest_of);
        let same = mean_the_same(&one, &other);
        prop_assert_eq!(digest(&body(&other).to_string()) == digest_of, same);
    }

    #[test]
    fn what_is_around_a_question_says_nothing_of_its_text(
        one in "\\PC{1,20}", other in "\\PC{1,20}", system in ".{0,8}", temperature in 0..3,
    ) {
        prop_assume!(!one.trim().is_empty() && !other.trim().is_empty());
        let body = |text: &str, system: &str| json!({
            "model": "m", "temperature": temperature,
            "messages": [{ "role": "system", "content": system }, { "role": "user", "content": text }],
        }).to_string();
        let question = |text: &str, system: &str| chat(&body(text, system)).question(&[]).unwrap();
        prop_assert_eq!(question(&one, &system).around, question(&other, &system).around);
        prop_assert_eq!(&question(&one, &system).text, &one);
        let longer = format!("{system}.");
        prop_assert_ne!(question(&one, &system).around, question(&one, &longer).around);
    }
}

/// JSON knows no difference between 1 and 1.0.
fn mean_the_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64() == other.as_f64() && one.is_f64() != other.is_f64()
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| mean_the_same(a, b))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|((a, x), (b, y))| a == b && mean_the_same(x, y))
        }
        _ => one == other,
    }
}
