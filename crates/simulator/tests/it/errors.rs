//! Refusals and failures, in the provider's form.

use std::time::Duration;

use serde_json::json;
use simulator::Behaviour;

use crate::client::{ask, chat, post, region};

#[tokio::test]
async fn refusals_have_the_providers_status_and_code() {
    let behaviour = Behaviour {
        require_api_key: Some("secret".to_owned()),
        ..Behaviour::default()
    };
    let region = region(behaviour).await;
    let refused = async |key: &str, body: &str| {
        let answer = post(
            region.address(),
            "/v1/chat/completions",
            body,
            &[("authorization", key)],
        )
        .await
        .unwrap();
        (answer.status, answer.json()["error"]["code"].clone())
    };
    let asked = chat("hi", json!({})).to_string();
    let unknown = chat("hi", json!({ "model": "unknown-model" })).to_string();
    assert_eq!(
        refused("Bearer wrong", &asked).await,
        (401, json!("invalid_api_key"))
    );
    assert_eq!(
        refused("Bearer secret", &unknown).await,
        (404, json!("model_not_found"))
    );
    assert_eq!(
        refused("Bearer secret", "{\"model\":").await,
        (400, json!(null))
    );
    assert_eq!(refused("Bearer secret", &asked).await, (200, json!(null)));
}

#[tokio::test]
async fn a_quota_shows_in_headers_and_then_refuses_with_the_time_to_wait() {
    let region = region(Behaviour {
        requests_per_minute: Some(2),
        tokens_per_minute: Some(10_000),
        ..Behaviour::default()
    })
    .await;
    let asked = chat("answer 10 words", json!({}));
    let first = ask(&region, &asked).await;
    assert_eq!(first.header("x-ratelimit-limit-requests"), "2");
    assert_eq!(first.header("x-ratelimit-remaining-requests"), "1");
    assert_eq!(first.header("x-ratelimit-remaining-tokens"), "9979");
    ask(&region, &asked).await;
    let refused = ask(&region, &asked).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["error"]["type"], "requests");
    let wait: u64 = refused.header("retry-after-ms").parse().unwrap();
    assert!((1..=30_000).contains(&wait), "{wait}");
    assert_eq!(
        refused.header("retry-after").parse::<u64>().unwrap(),
        wait.div_ceil(1000)
    );
}

#[tokio::test]
async fn calls_fail_as_told_first_or_always_or_by_share() {
    let region = region(Behaviour {
        fail_first: 2,
        fail_status: 502,
        ..Behaviour::default()
    })
    .await;
    let asked = chat("hi", json!({}));
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(ask(&region, &asked).await.status);
    }
    assert_eq!(statuses, [502, 502, 200]);

    region.set(Behaviour {
        status: Some(429),
        retry_after: Some(Duration::from_millis(1500)),
        ..Behaviour::default()
    });
    let refused = ask(&region, &asked).await;
    assert_eq!(
        (
            refused.header("retry-after"),
            refused.header("retry-after-ms")
        ),
        ("2", "1500")
    );

    region.set(Behaviour {
        error_rates: [(500, 0.3), (503, 0.3)].into(),
        ..Behaviour::default()
    });
    for _ in 0..200 {
        ask(&region, &asked).await;
    }
    let answers = region.counts().total.answers;
    assert!(
        (30..90).contains(&answers[&500]) && (30..90).contains(&answers[&503]),
        "{answers:?}"
    );
}

#[tokio::test]
async fn a_call_may_bring_its_own_behaviour_in_three_ways_unless_that_is_off() {
    let region = region(Behaviour::default()).await;
    let in_text = chat(r#"hi [[simulate {"status":500}]] you"#, json!({}));
    let in_body = chat("hi", json!({ "simulate": { "status": 502 } }));
    assert_eq!(ask(&region, &in_text).await.status, 500);
    assert_eq!(ask(&region, &in_body).await.status, 502);
    let headers = [("x-simulate", r#"{"status":503}"#)];
    let by_header = post(
        region.address(),
        "/v1/chat/completions",
        &in_body.to_string(),
        &headers,
    )
    .await
    .unwrap();
    assert_eq!(by_header.status, 503);
    let mistaken = ask(&region, &chat("hi", json!({ "simulate": { "statue": 1 } }))).await;
    assert_eq!(
        (mistaken.status, &mistaken.json()["error"]["param"]),
        (400, &json!("simulate"))
    );

    region.set(Behaviour {
        allow_override: false,
        ..Behaviour::default()
    });
    assert_eq!(ask(&region, &in_text).await.status, 200);
    assert_eq!(ask(&region, &in_body).await.status, 200);
}

#[tokio::test]
async fn a_call_that_fails_first_succeeds_when_it_comes_again_under_its_id() {
    let region = region(Behaviour::default()).await;
    let body = chat("hi", json!({ "simulate": { "fail_first": 1 } })).to_string();
    let status = async |id| {
        post(
            region.address(),
            "/v1/chat/completions",
            &body,
            &[("x-request-id", id)],
        )
        .await
        .unwrap()
        .status
    };
    assert_eq!(
        [
            status("a").await,
            status("b").await,
            status("a").await,
            status("b").await
        ],
        [503, 503, 200, 200]
    );
}
