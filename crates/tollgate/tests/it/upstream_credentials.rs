//! Tokens for backends that take nothing else, from fake issuers.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{Behaviour, Running};

use crate::harness::{Config, Gate, chat, config, eventually, provider};

/// A provider that takes no key that the gateway has: only tokens of the fake Microsoft services.
async fn tokens_only() -> Running {
    provider(Behaviour {
        require_api_key: Some("a-key-that-nobody-has".to_owned()),
        ..Behaviour::default()
    })
    .await
}

/// A fake of Microsoft's token services.
async fn issuer(lifetime: Duration) -> Running {
    provider(Behaviour {
        identity_token_lifetime: lifetime,
        ..Behaviour::default()
    })
    .await
}

fn managed(issuer: &Running) -> Value {
    json!({ "managed_identity": { "endpoint": format!("http://{}", issuer.address()) } })
}

fn client(issuer: &Running, secret: &str) -> Value {
    let token_url = format!("http://{}/contoso/oauth2/v2.0/token", issuer.address());
    json!({ "client_credentials": {
        "token_url": token_url, "client_id": "app", "client_secret": secret, "scope": "models.use",
    } })
}

fn with_auth(config: Config, backend: usize, auth: Value) -> Config {
    config.with(&format!("/backends/{backend}/auth"), auth)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_backends_share_the_token_of_one_managed_identity() {
    let issuer = issuer(Duration::from_secs(3600)).await;
    let (east, west) = (tokens_only().await, tokens_only().await);
    let config = config()
        .backend("east", east.address())
        .azure_backend("west", west.address());
    let config = with_auth(with_auth(config, 0, managed(&issuer)), 1, managed(&issuer));
    let gate = Gate::start(config.clone()).await;
    for _ in 0..10 {
        assert_eq!(gate.send(chat("hi")).await.status, 200);
    }
    assert!(east.counts().total.complete > 0 && west.counts().total.complete > 0);
    assert_eq!(issuer.counts().identity_tokens, 1);
    let identity = "identity=\"managed_identity system for https://cognitiveservices.azure.com\"";
    let metrics = gate.metrics().await;
    let left = metrics.sum("tollgate_upstream_token_expiry_seconds", &[identity]);
    assert!((3500..=3600).contains(&left), "{left}");
    assert_eq!(
        metrics.sum("tollgate_upstream_token_fetch_failures_total", &[]),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_keeps_the_token_of_an_identity_that_stays_and_forgets_one_that_is_gone() {
    let issuer = issuer(Duration::from_secs(3600)).await;
    let east = tokens_only().await;
    let before = with_auth(
        config().backend("east", east.address()),
        0,
        managed(&issuer),
    );
    let mut gate = Gate::start(before.clone()).await;
    assert_eq!(gate.send(chat("hi")).await.status, 200);
    gate.rewrite(before.request_limit("many", 1_000_000));
    eventually("the reload", async || {
        let metrics = gate.metrics().await;
        (metrics.sum("tollgate_config_revision", &[]) == 2).then_some(())
    })
    .await;
    assert_eq!(gate.send(chat("hi")).await.status, 200);
    assert_eq!(issuer.counts().identity_tokens, 1);

    gate.rewrite(config().backend("east", east.address()));
    eventually("the second reload", async || {
        let metrics = gate.metrics().await;
        (metrics.sum("tollgate_config_revision", &[]) == 3).then_some(())
    })
    .await;
    let metrics = gate.metrics().await;
    assert_eq!(
        metrics.sum("tollgate_upstream_token_expiry_seconds", &[]),
        0
    );
    assert_eq!(gate.send(chat("hi")).await.code(), "upstream_auth_failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platforms_token_and_a_clients_secret_open_backends_too() {
    let issuer = issuer(Duration::from_secs(3600)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "a.platform.token").unwrap();
    let federated = json!({ "workload_identity": {
        "authority": format!("http://{}", issuer.address()),
        "tenant_id": "contoso", "client_id": "app", "token_file": file.to_str().unwrap(),
    } });
    for auth in [federated, client(&issuer, "right")] {
        let east = tokens_only().await;
        let config = with_auth(config().backend("east", east.address()), 0, auth);
        let gate = Gate::start(config).await;
        assert_eq!(gate.send(chat("hi")).await.status, 200);
    }
    assert_eq!(issuer.counts().identity_tokens, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_whose_token_cannot_be_had_is_passed_over() {
    let issuer = issuer(Duration::from_secs(3600)).await;
    let (east, west) = (tokens_only().await, provider(Behaviour::default()).await);
    let config = config()
        .backend("east", east.address())
        .standby("west", west.address());
    let config = with_auth(config, 0, client(&issuer, "wrong"));
    let gate = Gate::start_verbose(config).await;
    let answer = gate.send(chat("hi")).await;
    assert_eq!(
        (answer.status, answer.header("x-tollgate-backend")),
        (200, "west")
    );
    assert_eq!(answer.number("x-tollgate-attempts"), 2);
    // The backend saw nothing, and nothing is billed for it.
    assert_eq!(east.counts().begun, 0);
    let record = gate.record(answer.id()).await;
    let first = &record.attempts[0];
    assert_eq!(
        (
            first.backend.as_str(),
            first.status,
            first.metered.usage().prompt
        ),
        ("east", 0, 0)
    );
    assert_eq!(
        first.failure.map(|failure| failure.as_str()),
        Some("credential")
    );
    let log = gate.log();
    assert!(log.contains("invalid_client AADSTS7000215"), "{log}");
    assert!(!log.contains("client_secret=wrong"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_finds_no_credential_anywhere_is_told_that_it_is_the_gateways() {
    let issuer = issuer(Duration::from_secs(3600)).await;
    let east = tokens_only().await;
    let config = config().backend("east", east.address());
    let gate = Gate::start(with_auth(config, 0, client(&issuer, "wrong"))).await;
    let answer = gate.send(chat("hi")).await;
    assert_eq!(
        (answer.status, &*answer.code()),
        (502, "upstream_auth_failed")
    );
    assert!(!answer.text().contains("AADSTS"), "{}", answer.text());
    let failures = gate
        .metrics()
        .await
        .sum("tollgate_upstream_token_fetch_failures_total", &[]);
    assert_eq!(failures, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_refreshed_ahead_and_outlive_their_issuer_until_they_end() {
    let issuer = issuer(Duration::from_secs(3)).await;
    let east = tokens_only().await;
    let config = with_auth(
        config().backend("east", east.address()),
        0,
        managed(&issuer),
    );
    let gate = Gate::start_verbose(config.with(
        "/backends/0/breaker",
        json!({ "min_throughput": 1_000_000 }),
    ))
    .await;
    // Each token lives for three seconds: no call ever meets one that has ended.
    eventually("the third token", async || {
        assert_eq!(gate.send(chat("hi")).await.status, 200);
        (issuer.counts().identity_tokens >= 3).then_some(())
    })
    .await;

    let down = |status| Behaviour {
        identity_token_lifetime: Duration::from_secs(3),
        identity_status: status,
        ..Behaviour::default()
    };
    issuer.set(down(Some(503)));
    // It goes on with what it has…
    assert_eq!(gate.send(chat("hi")).await.status, 200);
    eventually("the token's end", async || {
        let answer = gate.send(chat("hi")).await;
        // …and says so when that has ended.
        (answer.status == 502 && answer.code() == "upstream_auth_failed").then_some(())
    })
    .await;
    issuer.set(down(None));
    eventually("a token", async || {
        (gate.send(chat("hi")).await.status == 200).then_some(())
    })
    .await;
    // Even a log that holds back nothing has no token in it.
    assert!(!gate.log().contains("simulated-entra."));
}
