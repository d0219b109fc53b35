//! OpenAI's wire form.

use serde_json::{Value, json};
use simulator::{Behaviour, words};

use crate::client::{ask, chat, get, post, region};

#[tokio::test]
async fn an_answer_reports_the_very_tokens_of_its_words() {
    let region = region(Behaviour::default()).await;
    let answer = ask(&region, &chat("answer 40 words", json!({}))).await;
    let body = answer.json();
    assert_eq!(answer.status, 200);
    assert_eq!(
        words::tokens(body["choices"][0]["message"]["content"].as_str().unwrap()),
        40
    );
    assert_eq!(body["usage"]["prompt_tokens"], 11);
    assert_eq!(body["usage"]["completion_tokens"], 40);
    assert_eq!(body["usage"]["total_tokens"], 51);
    assert_eq!(body["model"], "gpt-4o-2024-08-06");
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert!(answer.header("x-request-id").starts_with("req_"));
    assert!(answer.header("openai-processing-ms").parse::<u64>().is_ok());
}

#[tokio::test]
async fn the_same_seed_gives_the_same_answer() {
    let (one, other) = (
        region(Behaviour::default()).await,
        region(Behaviour::default()).await,
    );
    let content = |body: Value| body["choices"][0]["message"]["content"].clone();
    let asked = chat("hi", json!({}));
    assert_eq!(
        content(ask(&one, &asked).await.json()),
        content(ask(&other, &asked).await.json())
    );
    assert_ne!(content(ask(&one, &asked).await.json()), Value::Null);
}

#[tokio::test]
async fn a_stream_says_the_same_words_piece_by_piece_and_usage_last_of_all() {
    let region = region(Behaviour::default()).await;
    let options = json!({ "stream": true, "stream_options": { "include_usage": true } });
    let events = ask(&region, &chat("answer 12 words", options))
        .await
        .events();
    let (usage, chunks) = events.split_last().unwrap();
    let text: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(words::tokens(&text), 12);
    assert_eq!(chunks.len(), 1 + 12 + 1);
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(chunks[13]["choices"][0]["finish_reason"], "stop");
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk.get("usage") == Some(&Value::Null))
    );
    assert_eq!(
        (&usage["choices"], &usage["usage"]["completion_tokens"]),
        (&json!([]), &json!(12))
    );
}

#[tokio::test]
async fn a_stream_without_include_usage_has_no_usage_field_at_all() {
    let region = region(Behaviour::default()).await;
    let events = ask(&region, &chat("answer 3 words", json!({ "stream": true })))
        .await
        .events();
    assert_eq!(events.len(), 5);
    assert!(events.iter().all(|event| event.get("usage").is_none()));
}

#[tokio::test]
async fn tool_calls_are_whole_in_answers_and_in_fragments_in_streams() {
    let region = region(Behaviour::default()).await;
    let tool = json!({ "type": "function", "function": { "name": "get_weather", "parameters": {
        "type": "object", "properties": { "city": { "type": "string" }, "days": { "type": "integer" } } } } });
    let body = ask(&region, &chat("use a tool", json!({ "tools": [tool] })))
        .await
        .json();
    let call = &body["choices"][0]["message"]["tool_calls"][0]["function"];
    assert_eq!(
        (&call["name"], &body["choices"][0]["finish_reason"]),
        (&json!("get_weather"), &json!("tool_calls"))
    );
    let arguments: Value = serde_json::from_str(call["arguments"].as_str().unwrap()).unwrap();
    assert!(arguments["city"].is_string() && arguments["days"].is_i64());

    let options = json!({ "tools": [tool], "tool_choice": "required", "stream": true });
    let events = ask(&region, &chat("hi", options)).await.events();
    let calls: Vec<_> = events
        .iter()
        .map(|event| &event["choices"][0]["delta"]["tool_calls"][0])
        .collect();
    let arguments: String = calls
        .iter()
        .filter_map(|call| call["function"]["arguments"].as_str())
        .collect();
    assert_eq!(calls[0]["function"]["name"], "get_weather");
    assert!(
        calls.len() > 4 && serde_json::from_str::<Value>(&arguments).unwrap()["city"].is_string()
    );
}

#[tokio::test]
async fn choices_come_each_with_its_index_and_cut_answers_say_length() {
    let region = region(Behaviour::default()).await;
    let options = json!({ "n": 2, "max_tokens": 5 });
    let body = ask(&region, &chat("answer 40 words", options)).await.json();
    assert_eq!(body["choices"][1]["index"], 1);
    assert_eq!(body["choices"][1]["finish_reason"], "length");
    assert_eq!(body["usage"]["completion_tokens"], 10);
}

#[tokio::test]
async fn details_of_usage_are_as_configured() {
    let behaviour = Behaviour {
        reasoning_tokens: 64,
        cached_prompt_tokens: 8,
        audio_prompt_tokens: 2,
        ..Behaviour::default()
    };
    let usage = ask(&region(behaviour).await, &chat("answer 4 words", json!({})))
        .await
        .json()["usage"]
        .clone();
    assert_eq!(usage["completion_tokens"], 68);
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 64);
    assert_eq!(
        usage["prompt_tokens_details"],
        json!({ "cached_tokens": 8, "audio_tokens": 2 })
    );
}

#[tokio::test]
async fn legacy_completions_answer_whole_and_streamed() {
    let region = region(Behaviour::default()).await;
    let body =
        json!({ "model": "gpt-3.5-turbo-instruct", "prompt": "say 4 words", "max_tokens": 9 });
    let answer = post(region.address(), "/v1/completions", &body.to_string(), &[])
        .await
        .unwrap()
        .json();
    assert_eq!(
        words::tokens(answer["choices"][0]["text"].as_str().unwrap()),
        4
    );
    assert_eq!(answer["usage"]["prompt_tokens"], 4);
    let mut body = body;
    body["stream"] = json!(true);
    body["stream_options"] = json!({ "include_usage": true });
    let events = post(region.address(), "/v1/completions", &body.to_string(), &[])
        .await
        .unwrap()
        .events();
    assert_eq!(events.last().unwrap()["usage"]["completion_tokens"], 4);
}

#[tokio::test]
async fn embeddings_come_as_numbers_or_base64() {
    let region = region(Behaviour::default()).await;
    let embed = async |more: Value| {
        let mut body = json!({ "model": "text-embedding-3-small", "input": ["red road", "blue river"], "dimensions": 8 });
        body["encoding_format"] = more;
        post(region.address(), "/v1/embeddings", &body.to_string(), &[])
            .await
            .unwrap()
            .json()
    };
    let numbers = embed(json!("float")).await;
    assert_eq!(numbers["data"][1]["embedding"].as_array().unwrap().len(), 8);
    assert_eq!(
        numbers["usage"],
        json!({ "prompt_tokens": 4, "total_tokens": 4 })
    );
    assert_eq!(
        embed(json!("base64")).await["data"][0]["embedding"]
            .as_str()
            .unwrap()
            .len(),
        44
    );
}

#[tokio::test]
async fn models_are_listed_and_looked_up() {
    let region = region(Behaviour {
        models: vec!["mine".to_owned()],
        ..Behaviour::default()
    })
    .await;
    assert_eq!(
        get(region.address(), "/v1/models").await.json()["data"][0]["id"],
        "mine"
    );
    assert_eq!(
        get(region.address(), "/v1/models/mine").await.json()["object"],
        "model"
    );
    assert_eq!(get(region.address(), "/v1/models/other").await.status, 404);
}
