//! Every operation, unary and streamed, on every path that an SDK uses.

use serde_json::{Value, json};
use simulator::Behaviour;

use crate::harness::{Call, Gate, chat, completion, config, embedding, get, provider};

/// The paths of one operation: OpenAI's, Azure's dated one, Azure's undated one.
fn paths(operation: &str, deployment: &str) -> [String; 3] {
    [
        format!("/v1/{operation}"),
        format!("/openai/deployments/{deployment}/{operation}?api-version=2024-10-21"),
        format!("/openai/v1/{operation}"),
    ]
}

fn on_every_path(call: &Call, operation: &str, deployment: &str) -> Vec<Call> {
    paths(operation, deployment)
        .map(|path| call.clone().path(&path))
        .to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn unary_calls_are_answered_and_metered_on_every_path_by_both_providers() {
    let region = provider(Behaviour::default()).await;
    let backends = [
        config().backend("east", region.address()),
        config().azure_backend("east", region.address()),
    ];
    for config in backends {
        let gate = Gate::start(config).await;
        let calls = [
            on_every_path(&chat("answer 12 words"), "chat/completions", "gpt-4o"),
            on_every_path(
                &completion("answer 12 words"),
                "completions",
                "gpt-3.5-turbo-instruct",
            ),
            on_every_path(
                &embedding("red river road"),
                "embeddings",
                "text-embedding-3-small",
            ),
        ];
        for call in calls.concat() {
            let answer = gate.send(call.clone()).await;
            assert_eq!(answer.status, 200, "{call:?}: {:?}", answer.body);
            assert_eq!(
                answer.number("x-tollgate-tokens"),
                answer.total_tokens(),
                "{call:?}"
            );
            let record = gate.record(answer.id()).await;
            assert_eq!(
                record.metered.usage().total(),
                answer.total_tokens(),
                "{call:?}"
            );
            assert!(!record.metered.is_estimated());
        }
        gate.all_records(9).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_answered_and_metered_on_every_path_by_both_providers() {
    let region = provider(Behaviour::default()).await;
    let backends = [
        config().backend("east", region.address()),
        config().azure_backend("east", region.address()),
    ];
    for config in backends {
        let gate = Gate::start(config).await;
        let calls = [
            on_every_path(
                &chat("answer 12 words").stream(),
                "chat/completions",
                "gpt-4o",
            ),
            on_every_path(
                &completion("answer 12 words").stream(),
                "completions",
                "gpt-3.5-turbo-instruct",
            ),
        ];
        for call in calls.concat() {
            let answer = gate.send(call.clone()).await;
            assert_eq!(answer.status, 200, "{call:?}");
            assert!(
                answer
                    .header("content-type")
                    .starts_with("text/event-stream")
            );
            let events = answer.events();
            assert_eq!(events.last().unwrap(), "[DONE]", "{call:?}");
            assert!(events.len() >= 13, "{call:?}: {} events", events.len());
            let record = gate.record(answer.id()).await;
            assert_eq!(record.metered.usage().completion, 12, "{call:?}");
            assert!(
                record.opening.stream && !record.metered.is_estimated(),
                "{call:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_azure_paths_the_deployment_is_the_model_whatever_the_body_says() {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(config().backend("east", region.address())).await;
    let path = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21";
    let answer = gate.send(chat("hi").model("o3").path(path)).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    assert_eq!(
        gate.record(answer.id()).await.opening.model.as_str(),
        "gpt-4o"
    );
    assert_eq!(region.calls()[0].model, "gpt-4o");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_models_list_shows_what_the_caller_is_granted() {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(config().backend("east", region.address())).await;
    let mut listed: Vec<String> = gate.send(get("/v1/models")).await.json()["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap().to_owned())
        .collect();
    listed.sort();
    assert_eq!(
        listed,
        ["gpt-3.5-turbo-instruct", "gpt-4o", "text-embedding-3-small"]
    );

    let one = gate.send(get("/v1/models/gpt-4o")).await.json();
    assert_eq!(
        (&one["id"], &one["object"]),
        (&json!("gpt-4o"), &json!("model"))
    );
    for name in ["o3", "nothing"] {
        let other = gate.send(get(&format!("/v1/models/{name}"))).await;
        assert_eq!(
            (other.status, other.code()),
            (404, "model_not_found".to_owned())
        );
    }
    assert_eq!(region.counts().total.calls, 0);
    assert!(gate.records().is_empty(), "a list is not a call of a model");
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_structured_output_and_several_choices_come_through() {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(config().backend("east", region.address())).await;
    let parameters = json!({
        "type": "object",
        "properties": { "city": { "type": "string" } },
        "required": ["city"],
    });
    let tool =
        json!({ "type": "function", "function": { "name": "weather", "parameters": parameters } });
    let called = gate
        .send(
            chat("how is it?")
                .field("tools", json!([tool]))
                .field("tool_choice", "required"),
        )
        .await
        .json();
    let function = &called["choices"][0]["message"]["tool_calls"][0]["function"];
    assert_eq!(function["name"], "weather");
    let arguments: Value = serde_json::from_str(function["arguments"].as_str().unwrap()).unwrap();
    assert!(arguments["city"].is_string());

    let format = json!({
        "type": "json_schema",
        "json_schema": { "name": "place", "strict": true, "schema": parameters },
    });
    let shaped = gate
        .send(chat("where?").field("response_format", format))
        .await;
    let content: Value = serde_json::from_str(&shaped.words()).unwrap();
    assert!(content["city"].is_string());

    let several = gate.send(chat("answer 5 words").field("n", 3)).await;
    assert_eq!(several.json()["choices"].as_array().unwrap().len(), 3);
    assert_eq!(
        gate.record(several.id()).await.metered.usage().completion,
        15
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn cached_reasoning_and_audio_tokens_are_kept_apart_on_the_ledger() {
    let detailed = Behaviour {
        cached_prompt_tokens: 5,
        reasoning_tokens: 7,
        audio_prompt_tokens: 2,
        audio_completion_tokens: 3,
        ..Behaviour::default()
    };
    let region = provider(detailed).await;
    let gate = Gate::start(config().backend("east", region.address())).await;
    for call in [chat("answer 10 words"), chat("answer 10 words").stream()] {
        let answer = gate.send(call).await;
        let record = gate.record(answer.id()).await;
        let usage = record.metered.usage();
        let count = region.calls().pop().unwrap();
        assert_eq!((usage.cached_prompt, usage.reasoning), (5, 7));
        assert_eq!((usage.audio_prompt, usage.audio_completion), (2, 3));
        assert_eq!(
            (usage.prompt, usage.completion),
            (count.prompt_tokens, count.completion_tokens),
            "prompt includes cached, completion includes reasoning"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_say_where_they_come_from_and_what_is_left() {
    let region = provider(Behaviour::default()).await;
    let limited = config()
        .backend("east", region.address())
        .token_limit("team-tpm", 50_000)
        .request_limit("team-rpm", 100);
    let gate = Gate::start(limited).await;
    let answer = gate.send(chat("answer 10 words").max_tokens(10)).await;
    assert_eq!(answer.header("x-tollgate-backend"), "east");
    assert_eq!(answer.header("x-tollgate-attempts"), "1");
    assert_eq!(answer.header("x-tollgate-cache"), "off");
    assert_eq!(answer.header("x-ratelimit-limit-tokens"), "50000");
    assert_eq!(answer.header("x-ratelimit-limit-requests"), "100");
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), "99");
    let remaining = answer.number("x-ratelimit-remaining-tokens");
    assert!((49_500..50_000).contains(&remaining), "{remaining}");
    for reset in ["x-ratelimit-reset-tokens", "x-ratelimit-reset-requests"] {
        let text = answer.header(reset);
        assert!(
            text.starts_with("1m") || text.ends_with('s'),
            "{reset}: {text}"
        );
    }

    let stream = gate
        .send(chat("answer 10 words").max_tokens(10).stream())
        .await;
    assert_eq!(stream.header("x-tollgate-backend"), "east");
    assert_eq!(stream.header("x-ratelimit-remaining-requests"), "98");
    assert_eq!(
        stream.header("x-tollgate-tokens"),
        "",
        "not known yet when a stream begins"
    );
}
