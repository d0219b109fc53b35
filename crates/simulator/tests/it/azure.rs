//! Azure OpenAI's wire form, where it differs.

use serde_json::{Value, json};
use simulator::Behaviour;

use crate::client::{chat, get, post, region};

const PATH: &str = "/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21";

#[tokio::test]
async fn a_stream_opens_with_the_prompts_filter_results_and_no_choices() {
    let region = region(Behaviour {
        region: "eastus".to_owned(),
        ..Behaviour::default()
    })
    .await;
    let body = chat(
        "answer 2 words",
        json!({ "stream": true, "stream_options": { "include_usage": true } }),
    );
    let answer = post(
        region.address(),
        PATH,
        &body.to_string(),
        &[("api-key", "x")],
    )
    .await
    .unwrap();
    assert_eq!(answer.header("x-ms-region"), "eastus");
    let events = answer.events();
    assert_eq!(
        (&events[0]["choices"], &events[0]["usage"]),
        (&json!([]), &Value::Null)
    );
    assert!(events[0]["prompt_filter_results"][0]["content_filter_results"]["hate"].is_object());
    assert_eq!(
        events[2]["choices"][0]["content_filter_results"]["violence"]["filtered"],
        false
    );
    assert_eq!(events.last().unwrap()["usage"]["completion_tokens"], 2);
    assert_eq!(region.counts().models["my-gpt"].complete, 1);
}

#[tokio::test]
async fn a_dated_path_needs_its_date_and_the_newer_one_does_not() {
    let region = region(Behaviour::default()).await;
    let body = chat("hi", json!({})).to_string();
    let status = async |path| {
        post(region.address(), path, &body, &[])
            .await
            .unwrap()
            .status
    };
    assert_eq!(
        status("/openai/deployments/my-gpt/chat/completions").await,
        404
    );
    assert_eq!(status(PATH).await, 200);
    assert_eq!(status("/openai/v1/chat/completions").await, 200);
    assert_eq!(
        get(region.address(), "/openai/models?api-version=2024-10-21")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn an_unknown_deployment_is_refused_in_azures_words() {
    let region = region(Behaviour {
        models: vec!["other".to_owned()],
        ..Behaviour::default()
    })
    .await;
    let answer = post(
        region.address(),
        PATH,
        &chat("hi", json!({})).to_string(),
        &[],
    )
    .await
    .unwrap();
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (404, &json!("DeploymentNotFound"))
    );
}

#[tokio::test]
async fn a_token_of_the_metadata_service_opens_what_a_key_opens() {
    let region = region(Behaviour {
        require_api_key: Some("secret".to_owned()),
        ..Behaviour::default()
    })
    .await;
    let path = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://cognitiveservices.azure.com";
    let token = crate::client::send("GET", region.address(), path, "", &[("metadata", "true")])
        .await
        .unwrap()
        .json();
    let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
    let body = chat("hi", json!({})).to_string();
    let status = async |name, value: &str| {
        post(region.address(), PATH, &body, &[(name, value)])
            .await
            .unwrap()
            .status
    };
    assert_eq!(status("authorization", &bearer).await, 200);
    assert_eq!(status("api-key", "secret").await, 200);
    assert_eq!(status("api-key", "other").await, 401);
    assert_eq!(region.counts().identity_tokens, 1);
}
