//! Who is let in: subscription keys.

use domain::record::Outcome;
use serde_json::{Value, json};
use simulator::Behaviour;

use crate::harness::{
    CHAT_KEY, Call, Gate, SEARCH_KEY, SEARCH_SECOND_KEY, chat, config, eventually, provider,
};

fn without_credential() -> Call {
    chat("answer 5 words").without("api-key")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_taken_from_every_header_that_sdks_use() {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(config().backend("east", region.address())).await;
    for (name, value) in [
        ("api-key", SEARCH_KEY.to_owned()),
        ("x-api-key", SEARCH_KEY.to_owned()),
        ("ocp-apim-subscription-key", SEARCH_KEY.to_owned()),
        ("authorization", format!("Bearer {SEARCH_KEY}")),
        ("authorization", format!("bearer {SEARCH_KEY}")),
        ("api-key", SEARCH_SECOND_KEY.to_owned()),
    ] {
        let answer = gate.send(without_credential().header(name, &value)).await;
        assert_eq!(answer.status, 200, "{name}: {:?}", answer.body);
        let who = gate.record(answer.id()).await.opening.who;
        assert_eq!(who.subscription.as_str(), "search");
        assert!(
            !who.caller.contains(SEARCH_KEY) && who.caller.contains("search"),
            "{}",
            who.caller
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_known_is_turned_away_and_leaves_no_record() {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(config().backend("east", region.address())).await;
    let almost = &SEARCH_KEY[..SEARCH_KEY.len() - 1];
    let calls = [
        without_credential(),
        without_credential().header("api-key", ""),
        without_credential().header("api-key", "unknown-key-0123456789"),
        without_credential().header("api-key", almost),
        without_credential().header("api-key", &format!("{SEARCH_KEY}x")),
        without_credential().header("api-key", &SEARCH_KEY.to_uppercase()),
        without_credential().header("authorization", SEARCH_KEY),
        without_credential().header("authorization", &format!("Basic {SEARCH_KEY}")),
        without_credential().header("api-key", &"k".repeat(20_000)),
    ];
    let count = calls.len() as u64;
    for call in calls {
        let answer = gate.send(call.clone()).await;
        assert_eq!(
            (answer.status, answer.code()),
            (401, "invalid_api_key".to_owned()),
            "{call:?}"
        );
        assert!(
            answer.header("www-authenticate").starts_with("Bearer"),
            "{call:?}"
        );
        assert!(!answer.text().contains(almost));
    }
    // Whoever is not let in learns nothing about models either.
    assert_eq!(
        gate.send(without_credential().model("gpt-9")).await.status,
        401
    );
    assert!(gate.records().is_empty());
    assert_eq!(region.counts().total.calls, 0);
    let turned_away = gate.metrics().await.sum(
        "tollgate_unauthenticated_total",
        &["code=\"invalid_api_key\""],
    );
    assert_eq!(turned_away, count + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_different_keys_are_refused_and_the_same_one_twice_is_not() {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(config().backend("east", region.address())).await;
    let both = |name: &str, key: &str| chat("answer 5 words").another_header(name, key);
    for call in [
        both("api-key", CHAT_KEY),
        both("x-api-key", CHAT_KEY),
        both("ocp-apim-subscription-key", SEARCH_SECOND_KEY),
        both("authorization", &format!("Bearer {CHAT_KEY}")),
    ] {
        let answer = gate.send(call.clone()).await;
        assert_eq!(
            (answer.status, answer.code()),
            (400, "invalid_request_error".to_owned()),
            "{call:?}"
        );
    }
    for call in [
        both("api-key", SEARCH_KEY),
        both("x-api-key", SEARCH_KEY),
        both("authorization", &format!("Bearer {SEARCH_KEY}")),
    ] {
        assert_eq!(gate.send(call.clone()).await.status, 200, "{call:?}");
    }
    assert_eq!(region.counts().total.calls, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_subscription_may_not_call() {
    let region = provider(Behaviour::default()).await;
    let suspended = config()
        .backend("east", region.address())
        .with("/subscriptions/0/state", json!("suspended"));
    let gate = Gate::start(suspended).await;
    let answer = gate.send(chat("hi")).await;
    assert_eq!(
        (answer.status, answer.code()),
        (403, "not_permitted".to_owned())
    );
    assert_eq!(gate.send(chat("hi").key(CHAT_KEY)).await.status, 200);
    assert_eq!(region.counts().total.calls, 1);
}

/// `tollgate keys` on a running gateway.
fn keys(gate: &Gate, arguments: &[&str]) -> String {
    let output = gate.tollgate(&[&["keys"], arguments].concat());
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn status(gate: &Gate, key: &str) -> u16 {
    gate.send(chat("answer 5 words").key(key)).await.status
}

/// A change of keys is in force soon; meanwhile, `other` keeps working.
async fn becomes(gate: &Gate, key: &str, wanted: u16, other: Option<&str>) {
    eventually("the change of keys", async || {
        if let Some(other) = other {
            assert_eq!(
                status(gate, other).await,
                200,
                "the other key works all the time"
            );
        }
        (status(gate, key).await == wanted).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_created_rotated_and_revoked_while_the_gateway_runs() {
    let region = provider(Behaviour::default()).await;
    let keyless = config()
        .backend("east", region.address())
        .with("/subscriptions/1/keys", json!({}));
    let gate = Gate::start(keyless).await;
    let on = |slot| ["--subscription", "chat", "--slot", slot];
    let primary = keys(&gate, &[&["create"], &on("primary")[..]].concat());
    assert!(primary.starts_with("tg_"), "a key's form");
    becomes(&gate, &primary, 200, None).await;
    let secondary = keys(&gate, &[&["create"], &on("secondary")[..]].concat());
    becomes(&gate, &secondary, 200, Some(&primary)).await;

    let rotated = keys(&gate, &[&["rotate"], &on("primary")[..]].concat());
    becomes(&gate, &rotated, 200, Some(&secondary)).await;
    becomes(&gate, &primary, 401, Some(&secondary)).await;

    let listed = keys(&gate, &["list", "--format", "json"]);
    for key in [&primary, &secondary, &rotated] {
        let secret = key.rsplit('_').next().unwrap();
        assert!(!listed.contains(secret), "a secret is shown once");
    }
    let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
    let live = listed
        .iter()
        .find(|key| key["slot"] == "secondary" && key["revoked"].is_null())
        .unwrap();
    keys(&gate, &["revoke", live["key_id"].as_str().unwrap()]);
    becomes(&gate, &secondary, 401, Some(&rotated)).await;
    assert!(
        gate.records()
            .iter()
            .all(|record| record.outcome == Outcome::Ok)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_made_for_an_application_is_that_application_whatever_its_headers_say() {
    let region = provider(Behaviour::default()).await;
    let keyless = config()
        .backend("east", region.address())
        .with("/subscriptions/1/keys", json!({}));
    let gate = Gate::start(keyless).await;
    let key = keys(
        &gate,
        &[
            "create",
            "--subscription",
            "chat",
            "--application",
            "chat-ui",
        ],
    );
    becomes(&gate, &key, 200, None).await;
    let answer = gate
        .send(chat("hi").key(&key).header("x-app-name", "someone-else"))
        .await;
    let who = gate.record(answer.id()).await.opening.who;
    assert_eq!(who.application.unwrap().as_str(), "chat-ui");
    assert!(!who.caller.contains(key.rsplit('_').next().unwrap()));
}
