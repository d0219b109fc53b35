//! Keys that change, issuers that are down, and how often they are asked.

use std::sync::Arc;
use std::time::Duration;

use config::snapshot::Require;
use gateway::fetch::Fetch;
use gateway::identity::{AuthError, Authenticator, RefreshRule, TokenFault};
use http::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;

use super::issuer::{SigningKey, TestIssuer, unsigned};
use super::{Gate, NOW_S, at, good_claims, with};

const UNKNOWN: AuthError = AuthError::BadToken(TokenFault::UnknownKeyId);

/// Fails a test that would else hang.
async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), future)
        .await
        .expect("nothing to wait for")
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_first_names_it() {
    let (old, new) = (SigningKey::ec("old"), SigningKey::ec("new"));
    let issuer = TestIssuer::start(&[&old]).await;
    let gate = Gate::trusting(Require::Jwt, &[&issuer]);
    assert!(
        gate.bearer(&old.token(&good_claims(&issuer)), at(NOW_S))
            .await
            .is_ok()
    );
    issuer.publish(&[&old, &new]);
    assert!(
        gate.bearer(&new.token(&good_claims(&issuer)), at(NOW_S))
            .await
            .is_ok()
    );
    assert_eq!(issuer.key_fetches(), 2);
}

#[tokio::test]
async fn made_up_key_ids_cost_the_issuer_one_fetch_in_five_minutes() {
    let key = SigningKey::ec("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    let gate = Gate::trusting(Require::Jwt, &[&issuer]);
    let claims = good_claims(&issuer);
    for n in 0..20 {
        let token = SigningKey::ec(&format!("made-up-{n}")).token(&claims);
        assert_eq!(
            gate.bearer(&token, at(NOW_S + n)).await.unwrap_err(),
            UNKNOWN
        );
    }
    assert_eq!(issuer.key_fetches(), 2);
    let late = SigningKey::ec("late").token(&claims);
    assert_eq!(
        gate.bearer(&late, at(NOW_S + 299)).await.unwrap_err(),
        UNKNOWN
    );
    assert_eq!(issuer.key_fetches(), 2);
    assert_eq!(
        gate.bearer(&late, at(NOW_S + 300)).await.unwrap_err(),
        UNKNOWN
    );
    assert_eq!(issuer.key_fetches(), 3);
    assert!(gate.bearer(&key.token(&claims), at(NOW_S)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_calls_at_once_share_the_first_fetch_and_the_refetch() {
    let (old, new) = (SigningKey::ec("old"), SigningKey::ec("new"));
    let issuer = TestIssuer::start(&[&old]).await;
    let gate = Arc::new(Gate::trusting(Require::Jwt, &[&issuer]));
    for (signer, fetches) in [(&old, 1), (&new, 2)] {
        issuer.publish(&[signer]);
        let mut calls = JoinSet::new();
        for n in 0..100 {
            let token = signer.token(&with(good_claims(&issuer), &json!({"sub": n.to_string()})));
            let gate = gate.clone();
            calls.spawn(async move { gate.bearer(&token, at(NOW_S)).await });
        }
        for caller in calls.join_all().await {
            caller.unwrap();
        }
        assert_eq!(issuer.key_fetches(), fetches);
    }
}

#[tokio::test]
async fn a_token_of_a_withdrawn_key_is_refused_though_it_was_verified_before() {
    let (old, new) = (SigningKey::ec("old"), SigningKey::ec("new"));
    let issuer = TestIssuer::start(&[&old]).await;
    let gate = Gate::trusting(Require::Jwt, &[&issuer]);
    let token = old.token(&good_claims(&issuer));
    assert!(gate.bearer(&token, at(NOW_S)).await.is_ok());
    issuer.publish(&[&new]);
    assert!(
        gate.bearer(&new.token(&good_claims(&issuer)), at(NOW_S))
            .await
            .is_ok()
    );
    assert_eq!(gate.bearer(&token, at(NOW_S)).await.unwrap_err(), UNKNOWN);
}

#[tokio::test]
async fn a_token_verified_before_is_refused_once_it_expires() {
    let key = SigningKey::ec("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    let gate = Gate::trusting(Require::Jwt, &[&issuer]);
    let token = key.token(&good_claims(&issuer));
    for s in [0, 600, 659] {
        assert!(gate.bearer(&token, at(NOW_S + s)).await.is_ok(), "{s}");
    }
    let expired = gate.bearer(&token, at(NOW_S + 660)).await.unwrap_err();
    assert_eq!(expired, AuthError::BadToken(TokenFault::Expired));
}

#[tokio::test]
async fn a_token_verified_before_is_judged_by_the_rules_of_a_reload() {
    let key = SigningKey::ec("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    let mut gate = Gate::trusting(Require::Jwt, &[&issuer]);
    let token = key.token(&good_claims(&issuer));
    assert!(gate.bearer(&token, at(NOW_S)).await.is_ok());
    gate.reload_issuer(
        |trusted| trusted.required_claims[0].values = vec!["AI.Admin".into()],
        &issuer,
    );
    assert_eq!(
        gate.bearer(&token, at(NOW_S)).await.unwrap_err(),
        AuthError::ClaimMissing {
            claim: "roles".into()
        }
    );
    gate.reload_issuer(
        |trusted| trusted.audiences = vec!["api://other".into()],
        &issuer,
    );
    let refused = gate.bearer(&token, at(NOW_S)).await.unwrap_err();
    assert_eq!(refused, AuthError::BadToken(TokenFault::WrongAudience));
    assert_eq!(issuer.key_fetches(), 1);
}

#[tokio::test]
async fn an_issuer_that_is_down_keeps_its_last_good_keys() {
    let key = SigningKey::ec("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    let gate = Gate::trusting(Require::Jwt, &[&issuer]);
    assert!(
        gate.bearer(&key.token(&good_claims(&issuer)), at(NOW_S))
            .await
            .is_ok()
    );
    let fresh = |n: i64| key.token(&with(good_claims(&issuer), &json!({"jti": n.to_string()})));
    let stranger = SigningKey::ec("made-up").token(&good_claims(&issuer));
    issuer.set_down(true);
    assert_eq!(
        gate.bearer(&stranger, at(NOW_S)).await.unwrap_err(),
        UNKNOWN
    );
    assert!(gate.bearer(&fresh(1), at(NOW_S)).await.is_ok());
    issuer.set_down(false);
    for nonsense in [
        "",
        "{}",
        r#"{"keys":[]}"#,
        r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#,
        "<html>",
    ] {
        issuer.publish_text(nonsense.into());
        let later = at(NOW_S + 300 * i64::try_from(issuer.key_fetches()).unwrap());
        let before = issuer.key_fetches();
        let stranger = SigningKey::ec("made-up")
            .token(&with(good_claims(&issuer), &json!({"exp": NOW_S + 90_000})));
        assert_eq!(gate.bearer(&stranger, later).await.unwrap_err(), UNKNOWN);
        assert_eq!(issuer.key_fetches(), before + 1, "{nonsense}");
        assert!(
            gate.bearer(&fresh(2), at(NOW_S)).await.is_ok(),
            "{nonsense}"
        );
    }
}

#[tokio::test]
async fn an_issuer_that_was_never_reached_is_503_with_a_time_to_come_back() {
    let key = SigningKey::ec("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    issuer.set_down(true);
    let gate = Gate::trusting(Require::Either, &[&issuer]);
    let refused = gate
        .bearer(&key.token(&good_claims(&issuer)), at(NOW_S))
        .await
        .unwrap_err();
    assert_eq!(
        refused.describe(),
        (StatusCode::SERVICE_UNAVAILABLE, "issuer_unavailable")
    );
    assert_eq!(refused.retry_after(), Some(Duration::from_secs(60)));
    let none = format!(
        "{}.",
        unsigned(&json!({"alg": "none"}), &good_claims(&issuer))
    );
    assert_eq!(
        gate.bearer(&none, at(NOW_S)).await.unwrap_err(),
        AuthError::BadToken(TokenFault::AlgorithmNotAllowed)
    );
    assert!(
        gate.call(&[("api-key", "search-key-of-16")], at(NOW_S))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn an_issuer_that_is_down_holds_up_no_other() {
    let key = SigningKey::ec("k1");
    let (dead, alive) = (
        TestIssuer::start(&[&key]).await,
        TestIssuer::start(&[&key]).await,
    );
    let warm = key.token(&with(good_claims(&alive), &json!({"jti": "1"})));
    let token = key.token(&good_claims(&alive));
    let mut gate = Gate::trusting(Require::Jwt, &[&alive]);
    assert!(gate.bearer(&warm, at(NOW_S)).await.is_ok());
    dead.hold_keys(true);
    gate.snapshot
        .issuers
        .insert(0, super::trusted(&dead).into());
    gate.sync();
    let answer = tokio::time::timeout(Duration::from_secs(4), gate.bearer(&token, at(NOW_S))).await;
    assert!(answer.expect("no wait").is_ok());
}

#[tokio::test]
async fn keys_that_were_read_before_a_call_asked_do_not_answer_it() {
    let (old, new) = (SigningKey::ec("old"), SigningKey::ec("new"));
    let issuer = TestIssuer::start(&[&old]).await;
    let gate = Gate::trusting(Require::Jwt, &[&issuer]);
    assert!(
        gate.bearer(&old.token(&good_claims(&issuer)), at(NOW_S))
            .await
            .is_ok()
    );
    issuer.hold_keys(true);
    let stranger = SigningKey::ec("made-up").token(&good_claims(&issuer));
    let of_new = new.token(&good_claims(&issuer));
    let ask_after_rotation = async {
        in_time(async {
            while issuer.key_fetches() < 2 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        issuer.publish(&[&new]);
        let let_go = async { issuer.hold_keys(false) };
        tokio::join!(gate.bearer(&of_new, at(NOW_S + 300)), let_go).0
    };
    let (refused, caller) = tokio::join!(gate.bearer(&stranger, at(NOW_S)), ask_after_rotation);
    assert_eq!(refused.unwrap_err(), UNKNOWN);
    assert!(caller.is_ok());
    assert_eq!(issuer.key_fetches(), 3);
}

#[tokio::test]
async fn keys_are_fetched_again_by_themselves() {
    let (old, new) = (SigningKey::ec("old"), SigningKey::ec("new"));
    let issuer = TestIssuer::start(&[&old]).await;
    let mut gate = Gate::new(Require::Jwt);
    let rule = RefreshRule {
        every: Duration::from_millis(5),
        ..RefreshRule::default()
    };
    gate.authenticator = Authenticator::with_refresh(Fetch::default(), rule).into();
    gate.snapshot.issuers.push(super::trusted(&issuer).into());
    gate.sync();
    let (of_old, of_new) = (
        old.token(&good_claims(&issuer)),
        new.token(&good_claims(&issuer)),
    );
    // The one refetch is used up, so that what follows can only be the refresh.
    assert_eq!(gate.bearer(&of_new, at(NOW_S)).await.unwrap_err(), UNKNOWN);
    assert!(gate.bearer(&of_old, at(NOW_S)).await.is_ok());
    issuer.publish(&[&new]);
    let refreshed = async {
        while gate.bearer(&of_old, at(NOW_S)).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    in_time(refreshed).await;
    assert!(gate.bearer(&of_new, at(NOW_S)).await.is_ok());
}

#[tokio::test]
async fn keys_without_names_rotate_too() {
    let (old, new) = (SigningKey::nameless(), SigningKey::nameless());
    let issuer = TestIssuer::start(&[&old]).await;
    let gate = Gate::trusting(Require::Jwt, &[&issuer]);
    assert!(
        gate.bearer(&old.token(&good_claims(&issuer)), at(NOW_S))
            .await
            .is_ok()
    );
    issuer.publish(&[&new]);
    assert!(
        gate.bearer(&new.token(&good_claims(&issuer)), at(NOW_S))
            .await
            .is_ok()
    );
    let forged = SigningKey::nameless().token(&good_claims(&issuer));
    assert_eq!(
        gate.bearer(&forged, at(NOW_S)).await.unwrap_err(),
        AuthError::BadToken(TokenFault::BadSignature)
    );
    assert_eq!(issuer.key_fetches(), 2);
}

#[tokio::test]
async fn a_reload_keeps_the_keys_of_issuers_that_stay_and_ends_the_tasks_of_those_that_go() {
    let key = SigningKey::ec("k1");
    let (first, second) = (
        TestIssuer::start(&[&key]).await,
        TestIssuer::start(&[&key]).await,
    );
    let mut gate = Gate::trusting(Require::Jwt, &[&first]);
    assert!(
        gate.bearer(&key.token(&good_claims(&first)), at(NOW_S))
            .await
            .is_ok()
    );
    gate.reload_issuer(|_| {}, &first);
    assert!(
        gate.bearer(&key.token(&good_claims(&first)), at(NOW_S))
            .await
            .is_ok()
    );
    assert_eq!(first.key_fetches(), 1);
    gate.reload_issuer(|_| {}, &second);
    let refused = gate
        .bearer(&key.token(&good_claims(&first)), at(NOW_S))
        .await
        .unwrap_err();
    assert_eq!(refused, AuthError::BadToken(TokenFault::WrongIssuer));
    gate.snapshot.issuers.clear();
    gate.sync();
    gate.tasks.close();
    gate.tasks.wait().await;
}

#[tokio::test]
async fn keys_elsewhere_over_plain_http_are_not_fetched() {
    let key = SigningKey::ec("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    for uri in ["http://192.0.2.1/keys", "file:///etc/passwd", "keys"] {
        issuer.set_discovery(json!({"issuer": issuer.address, "jwks_uri": uri}));
        let gate = Gate::trusting(Require::Jwt, &[&issuer]);
        let refused = gate
            .bearer(&key.token(&good_claims(&issuer)), at(NOW_S))
            .await
            .unwrap_err();
        assert!(
            matches!(refused, AuthError::IssuerUnavailable { .. }),
            "{refused:?}"
        );
    }
    assert_eq!(issuer.key_fetches(), 0);
}

#[tokio::test]
async fn an_endless_key_set_is_not_read() {
    let key = SigningKey::ec("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    let padding = " ".repeat(1024 * 1024);
    issuer.publish_text(format!("{{\"keys\":[{}]{padding}}}", key.published()));
    let gate = Gate::trusting(Require::Jwt, &[&issuer]);
    let refused = gate
        .bearer(&key.token(&good_claims(&issuer)), at(NOW_S))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, AuthError::IssuerUnavailable { .. }),
        "{refused:?}"
    );
    assert_eq!(issuer.key_fetches(), 1);
}

#[tokio::test]
async fn while_shutting_down_nobody_waits_for_keys_that_will_not_come() {
    let key = SigningKey::ec("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    let gate = Gate::trusting(Require::Jwt, &[&issuer]);
    assert!(
        gate.bearer(&key.token(&good_claims(&issuer)), at(NOW_S))
            .await
            .is_ok()
    );
    gate.stop.cancel();
    gate.tasks.close();
    gate.tasks.wait().await;
    let stranger = SigningKey::ec("made-up").token(&good_claims(&issuer));
    let answer =
        tokio::time::timeout(Duration::from_secs(9), gate.bearer(&stranger, at(NOW_S))).await;
    assert_eq!(answer.expect("no wait").unwrap_err(), UNKNOWN);
    assert!(
        gate.bearer(&key.token(&good_claims(&issuer)), at(NOW_S))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_token_is_verified_once_while_nothing_changes() {
    let key = SigningKey::ec("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    let mut gate = Gate::trusting(Require::Jwt, &[&issuer]);
    let token = key.token(&good_claims(&issuer));
    let claims = async |gate: &Gate| {
        gate.bearer(&token, at(NOW_S))
            .await
            .unwrap()
            .claims
            .unwrap()
    };
    let first = claims(&gate).await;
    assert!(Arc::ptr_eq(&first, &claims(&gate).await));
    // A refetch that brings the same keys changes nothing.
    let stranger = SigningKey::ec("made-up").token(&good_claims(&issuer));
    assert_eq!(
        gate.bearer(&stranger, at(NOW_S)).await.unwrap_err(),
        UNKNOWN
    );
    assert!(Arc::ptr_eq(&first, &claims(&gate).await));
    gate.reload_issuer(|_| {}, &issuer);
    assert!(!Arc::ptr_eq(&first, &claims(&gate).await));
}
