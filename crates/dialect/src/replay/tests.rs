use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{StreamMeter, transcript::Transcript};

const USAGE: Usage = Usage {
    tier: domain::ServiceTier::Standard,
    prompt: 12,
    completion: 5,
    cached_prompt: 0,
    cache_write: 0,
    cache_write_1h: 0,
    reasoning: 2,
    audio_prompt: 3,
    audio_completion: 1,
    images: 0,
};

const GIVEN: Given<'static> = Given {
    id: "42",
    created: 1_790_000_000,
    model: "gpt-4o",
    usage: &USAGE,
};

fn chat(content: &str) -> String {
    json!({
        "id": "old", "object": "chat.completion", "created": 1, "model": "gpt-4o-2024",
        "system_fingerprint": "fp", "usage": { "prompt_tokens": 1 },
        "choices": [{
            "index": 0, "finish_reason": "stop", "content_filter_results": { "hate": 0 },
            "message": { "role": "assistant", "content": content, "refusal": null },
        }],
    })
    .to_string()
}

fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn only_whole_answers_in_words_are_fit() {
    let fitness = |document: &str| fitness(Operation::ChatCompletions, document.as_bytes());
    assert_eq!(fitness(&chat("hi")), Ok(()));
    let with = |old: &str, new: &str| fitness(&chat("hi").replace(old, new));
    let stop = r#""finish_reason":"stop""#;
    for (old, new, why) in [
        (stop, r#""finish_reason":"length""#, Unfit::NotStopped),
        (
            stop,
            r#""finish_reason":"content_filter""#,
            Unfit::NotStopped,
        ),
        (stop, r#""finish_reason":null"#, Unfit::NotStopped),
        (stop, r#""finish_reason":"tool_calls""#, Unfit::Tools),
        (r#""refusal":null"#, r#""refusal":"no""#, Unfit::Refusal),
        (r#""refusal":null"#, r#""audio":{}"#, Unfit::Audio),
        (r#""refusal":null"#, r#""tool_calls":[{}]"#, Unfit::Tools),
        (r#""content":"hi""#, r#""content":null"#, Unfit::Unreadable),
        (r#""object""#, r#""error":{},"object""#, Unfit::Unreadable),
        (r#""object""#, r#""events":[],"object""#, Unfit::Unreadable),
    ] {
        assert_eq!(with(old, new), Err(why), "{new}");
    }
    assert_eq!(with(r#""refusal":null"#, r#""tool_calls":[]"#), Ok(()));
    assert_eq!(fitness(r#"{"choices":[]}"#), Err(Unfit::Unreadable));
    assert_eq!(fitness("no json"), Err(Unfit::Unreadable));
    let text = r#"{"choices":[{"index":0,"text":"hi","finish_reason":"stop"}]}"#;
    assert_eq!(
        super::fitness(Operation::Completions, text.as_bytes()),
        Ok(())
    );
    let vectors = r#"{"data":[{"embedding":[0.5]}]}"#;
    assert_eq!(
        super::fitness(Operation::Embeddings, vectors.as_bytes()),
        Ok(())
    );
}

#[test]
fn a_whole_answer_has_an_id_a_time_and_a_usage_of_its_own() {
    let given = value(&whole(
        Operation::ChatCompletions,
        chat("hi").as_bytes(),
        &GIVEN,
    ));
    let expected = json!({
        "id": "chatcmpl-42", "object": "chat.completion", "created": 1_790_000_000, "model": "gpt-4o-2024",
        "system_fingerprint": "fp",
        "choices": [{
            "index": 0, "finish_reason": "stop", "content_filter_results": { "hate": 0 },
            "message": { "role": "assistant", "content": "hi", "refusal": null },
        }],
        "usage": {
            "prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17,
            "prompt_tokens_details": { "cached_tokens": 12, "audio_tokens": 3 },
            "completion_tokens_details": { "reasoning_tokens": 2, "audio_tokens": 1 },
        },
    });
    assert_eq!(given, expected);
}

#[test]
fn details_of_usage_are_there_where_they_are_none() {
    let usage = Usage {
        prompt: 12,
        completion: 5,
        ..Usage::default()
    };
    let given = Given {
        usage: &usage,
        ..GIVEN
    };
    let given = value(&whole(
        Operation::ChatCompletions,
        chat("hi").as_bytes(),
        &given,
    ));
    assert_eq!(
        given["usage"]["completion_tokens_details"],
        json!({ "reasoning_tokens": 0, "audio_tokens": 0 })
    );
    assert_eq!(given["usage"]["prompt_tokens_details"]["audio_tokens"], 0);
}

#[test]
fn vectors_keep_what_is_theirs() {
    let document = br#"{"object":"list","data":[{"embedding":[0.5],"index":0}],"model":"e","usage":{"prompt_tokens":1,"total_tokens":1}}"#;
    let given = value(&whole(Operation::Embeddings, document, &GIVEN));
    assert_eq!(given["data"][0]["embedding"], json!([0.5]));
    assert_eq!(given["usage"]["prompt_tokens"], 12);
    assert!(given.get("id").is_none());
}

#[test]
fn a_document_that_was_a_stream_says_what_a_unary_answer_does() {
    let events = "data: {\"id\":\"c\",\"model\":\"gpt-4o-2024\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hi \"}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"you\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let mut transcript = Transcript::new(1_000);
    transcript.push(events.as_bytes());
    let model = transcript.model().unwrap().to_owned();
    let document = with_model(&transcript.into_document().unwrap(), &model);
    assert_eq!(fitness(Operation::ChatCompletions, &document), Ok(()));
    let given = value(&whole(Operation::ChatCompletions, &document, &GIVEN));
    assert_eq!(given["object"], "chat.completion");
    assert_eq!(given["model"], "gpt-4o-2024");
    assert_eq!(given["choices"][0]["message"]["content"], "Hi you");
}

fn parsed(events: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(events).unwrap();
    let mut lines: Vec<&str> = text.split_terminator("\n\n").collect();
    assert_eq!(lines.pop(), Some("data: [DONE]"));
    let lines = lines
        .iter()
        .map(|line| line.strip_prefix("data: ").unwrap());
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_stream_begins_with_a_role_ends_with_a_reason_and_has_usage_if_it_is_wanted() {
    let document = chat("The sky is blue because of Rayleigh scattering.");
    let with = parsed(&events(
        Operation::ChatCompletions,
        document.as_bytes(),
        &GIVEN,
        true,
    ));
    assert_eq!(with[0]["choices"][0]["delta"]["role"], "assistant");
    assert!(with.iter().all(|event| event["id"] == "chatcmpl-42"));
    assert!(
        with.iter()
            .all(|event| event["object"] == "chat.completion.chunk")
    );
    let pieces: Vec<_> = with
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str())
        .filter(|piece| !piece.is_empty())
        .collect();
    assert_eq!(
        pieces,
        ["The sky is blue because", " of Rayleigh scattering."]
    );
    let [.., end, usage] = &with[..] else {
        panic!()
    };
    assert_eq!(end["choices"][0]["finish_reason"], "stop");
    assert_eq!(end["choices"][0]["content_filter_results"]["hate"], 0);
    assert_eq!(
        (
            usage["choices"].clone(),
            usage["usage"]["total_tokens"].clone()
        ),
        (json!([]), json!(17))
    );
    let without = parsed(&events(
        Operation::ChatCompletions,
        document.as_bytes(),
        &GIVEN,
        false,
    ));
    assert_eq!(without.len(), with.len() - 1);
    assert!(without.iter().all(|event| event.get("usage").is_none()));
}

#[test]
fn completions_are_streamed_in_their_own_form() {
    let document = r#"{"model":"m","choices":[{"index":0,"text":"one","finish_reason":"stop"},{"index":1,"text":"two","finish_reason":"stop"}]}"#;
    let events = parsed(&events(
        Operation::Completions,
        document.as_bytes(),
        &GIVEN,
        false,
    ));
    let texts: Vec<_> = events
        .iter()
        .map(|event| {
            (
                &event["choices"][0]["index"],
                event["choices"][0]["text"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        texts,
        [
            (&json!(0), "one"),
            (&json!(0), ""),
            (&json!(1), "two"),
            (&json!(1), "")
        ]
    );
}

proptest! {
    #[test]
    fn a_stream_says_what_the_whole_says(texts in prop::collection::vec(".{0,200}", 1..3)) {
        let choices: Vec<_> = texts.iter().enumerate().map(|(index, text)| json!({
            "index": index, "finish_reason": "stop", "message": { "role": "assistant", "content": text },
        })).collect();
        let document = json!({ "model": "m", "choices": choices }).to_string();
        let events = events(Operation::ChatCompletions, document.as_bytes(), &GIVEN, true);
        let mut transcript = Transcript::new(1 << 20);
        transcript.push(&events);
        let again = value(&transcript.into_document().unwrap());
        for (index, text) in texts.iter().enumerate() {
            prop_assert_eq!(again["choices"][index]["message"]["content"].as_str().unwrap(), text);
        }
        let mut meter = StreamMeter::new(Operation::ChatCompletions, false);
        meter.push(events.into());
        prop_assert!(meter.is_complete());
        prop_assert_eq!(meter.reported().unwrap().completion, 5);
    }

    #[test]
    fn no_document_is_too_odd(document in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = fitness(Operation::ChatCompletions, &document);
        events(Operation::ChatCompletions, &document, &GIVEN, true);
        whole(Operation::ChatCompletions, &document, &GIVEN);
    }
}
