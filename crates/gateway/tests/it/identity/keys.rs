//! Subscription keys, and what they carry.

use config::snapshot::Require;
use gateway::identity::AuthError;

use super::{Gate, NOW_S, at};

#[tokio::test]
async fn a_key_names_its_subscription() {
    let gate = Gate::new(Require::SubscriptionKey);
    let caller = gate
        .call(&[("api-key", "search-key-of-16")], at(NOW_S))
        .await
        .unwrap();
    assert_eq!(caller.subscription.id.as_str(), "search");
    assert_eq!(caller.key_id.as_deref(), Some("search/primary"));
    assert_eq!(&*caller.label(), "search/primary");
    assert!(caller.claims.is_none() && caller.application.is_none());
}

#[tokio::test]
async fn an_unknown_key_is_refused_and_so_is_one_of_another_length_or_case() {
    let gate = Gate::new(Require::SubscriptionKey);
    for key in [
        "search-key-of-17",
        "search-key-of-1",
        "Search-key-of-16",
        "search-key-of-16-and-more",
    ] {
        assert_eq!(
            gate.call(&[("x-api-key", key)], at(NOW_S))
                .await
                .unwrap_err(),
            AuthError::UnknownKey,
            "{key}"
        );
    }
}

#[tokio::test]
async fn the_primary_and_the_secondary_key_both_work_until_one_is_revoked() {
    let mut gate = Gate::new(Require::SubscriptionKey);
    let search = gate.snapshot.subscriptions["search"].clone();
    gate.add_key("search-key-second", "search/secondary", &search, None);
    for (key, id) in [
        ("search-key-of-16", "search/primary"),
        ("search-key-second", "search/secondary"),
    ] {
        let caller = gate
            .call(&[("ocp-apim-subscription-key", key)], at(NOW_S))
            .await
            .unwrap();
        assert_eq!(caller.key_id.as_deref(), Some(id));
    }
    gate.snapshot
        .keys
        .retain(|_, grant| &*grant.key_id != "search/primary");
    assert_eq!(
        gate.call(&[("api-key", "search-key-of-16")], at(NOW_S))
            .await
            .unwrap_err(),
        AuthError::UnknownKey
    );
    assert!(
        gate.call(&[("api-key", "search-key-second")], at(NOW_S))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn two_different_keys_are_refused_even_if_both_are_good() {
    let gate = Gate::new(Require::SubscriptionKey);
    let two = [
        ("api-key", "search-key-of-16"),
        ("authorization", "Bearer chat-key-of-16-x"),
    ];
    assert_eq!(
        gate.call(&two, at(NOW_S)).await.unwrap_err(),
        AuthError::Conflicting
    );
    let same = [
        ("api-key", "search-key-of-16"),
        ("authorization", "Bearer search-key-of-16"),
    ];
    assert!(gate.call(&same, at(NOW_S)).await.is_ok());
}

#[tokio::test]
async fn a_suspended_subscription_is_refused() {
    let gate = Gate::new(Require::SubscriptionKey);
    assert_eq!(
        gate.call(&[("api-key", "paused-key-of-16")], at(NOW_S))
            .await
            .unwrap_err(),
        AuthError::Suspended
    );
}

#[tokio::test]
async fn a_key_where_a_token_is_required_is_refused() {
    for require in [Require::Jwt, Require::Both] {
        let gate = Gate::new(require);
        let refused = gate
            .call(&[("api-key", "search-key-of-16")], at(NOW_S))
            .await
            .unwrap_err();
        assert_eq!(refused, AuthError::TokenRequired, "{require:?}");
    }
    assert!(
        Gate::new(Require::Either)
            .call(&[("api-key", "search-key-of-16")], at(NOW_S))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_keys_own_application_wins_over_the_header() {
    let mut gate = Gate::new(Require::SubscriptionKey);
    let search = gate.snapshot.subscriptions["search"].clone();
    gate.add_key("search-key-for-app", "tg_app", &search, Some("indexer"));
    let header = ("x-app-name", " web shop ");
    let of_key = gate
        .call(&[("api-key", "search-key-for-app"), header], at(NOW_S))
        .await
        .unwrap();
    assert_eq!(of_key.application, Some("indexer".into()));
    let of_header = gate
        .call(&[("api-key", "search-key-of-16"), header], at(NOW_S))
        .await
        .unwrap();
    assert_eq!(of_header.application, Some("web shop".into()));
}

#[tokio::test]
async fn a_token_is_refused_where_no_issuer_is_trusted() {
    let gate = Gate::new(Require::Either);
    let token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UifQ.AAAA";
    let refused = gate.bearer(token, at(NOW_S)).await.unwrap_err();
    assert_eq!(
        refused,
        AuthError::BadToken(gateway::identity::TokenFault::WrongIssuer)
    );
}
