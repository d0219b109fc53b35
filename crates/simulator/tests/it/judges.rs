//! Services that judge content.

use std::time::Duration;

use serde_json::json;
use simulator::Behaviour;

use crate::client::{post, region};

const ANALYZE: &str = "/contentsafety/text:analyze?api-version=2024-09-01";
const KEY: (&str, &str) = ("Ocp-Apim-Subscription-Key", "k");

#[tokio::test]
async fn each_service_answers_in_its_own_form() {
    let region = region(Behaviour::default()).await;
    let ask = async |path: &str, body: serde_json::Value| {
        let answer = post(region.address(), path, &body.to_string(), &[KEY]).await;
        answer.unwrap().json()
    };
    let found = ask(ANALYZE, json!({ "text": "a harm-hate-4" })).await;
    assert_eq!(
        found["categoriesAnalysis"][0],
        json!({ "category": "Hate", "severity": 4 })
    );
    let found = ask(
        "/contentsafety/text:shieldPrompt?api-version=2024-09-01",
        json!({ "userPrompt": "hi", "documents": ["attack-on-the-model"] }),
    )
    .await;
    assert_eq!(
        found["documentsAnalysis"],
        json!([{ "attackDetected": true }])
    );
    let found = ask(
        "/v1/moderations",
        json!({ "input": ["ok", "harm-violence-8"] }),
    )
    .await;
    assert_eq!(found["results"][1]["category_scores"]["violence"], 0.8);
    assert_eq!(found["results"][0]["flagged"], false);
    let found = ask(
        "/analyze",
        json!({ "text": "in Springfield", "language": "en" }),
    )
    .await;
    assert_eq!(found[0]["entity_type"], "LOCATION");
    assert_eq!((region.counts().judged, region.counts().begun), (4, 0));
}

#[tokio::test]
async fn a_judge_can_be_keyed_broken_and_talk_nonsense() {
    let region = region(Behaviour {
        require_api_key: Some("k".to_owned()),
        ..Behaviour::default()
    })
    .await;
    let ask =
        async |key: (&str, &str)| post(region.address(), ANALYZE, r#"{"text":"x"}"#, &[key]).await;
    assert_eq!(ask(("api-key", "other")).await.unwrap().status, 401);
    assert_eq!(ask(KEY).await.unwrap().status, 200);
    region.set(Behaviour {
        status: Some(429),
        retry_after: Some(Duration::from_secs(3)),
        ..Behaviour::default()
    });
    let full = ask(KEY).await.unwrap();
    assert_eq!((full.status, full.header("retry-after")), (429, "3"));
    region.set(Behaviour {
        garbage: Some("<html>".to_owned()),
        ..Behaviour::default()
    });
    assert_eq!(ask(KEY).await.unwrap().body, b"<html>");
    region.set(Behaviour {
        reset_after_chunks: Some(0),
        ..Behaviour::default()
    });
    assert!(ask(KEY).await.is_err());
    region.set(Behaviour {
        close_after_bytes: Some(5),
        ..Behaviour::default()
    });
    assert!(ask(KEY).await.unwrap().is_cut);
}

#[tokio::test]
async fn azures_service_wants_its_api_version() {
    let region = region(Behaviour::default()).await;
    let path = "/contentsafety/text:analyze";
    let answer = post(region.address(), path, r#"{"text":"x"}"#, &[])
        .await
        .unwrap();
    assert_eq!(answer.status, 404);
}
