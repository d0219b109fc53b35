//! Token issuers that rotate their keys, or are not there.

use serde_json::json;
use simulator::Behaviour;
use simulator::issuer::Mint;

use crate::harness::{Gate, chat, config, provider};
use crate::tokens::{claiming, good, issuer, send, trusting};

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_an_issuer_rotates_are_found_and_withdrawn_ones_refused() {
    let (region, issuer) = (provider(Behaviour::default()).await, issuer().await);
    let gate = Gate::start(trusting(
        config().backend("east", region.address()),
        &issuer,
    ))
    .await;
    let before = issuer.mint(&good()).unwrap();
    assert_eq!(send(&gate, &before).await.status, 200);
    issuer.rotate(true);
    let after = issuer.mint(&good()).unwrap();
    assert_eq!(
        send(&gate, &after).await.status,
        200,
        "an unknown key id is looked up at once"
    );
    assert_eq!(
        send(&gate, &before).await.status,
        200,
        "the old key is still published"
    );

    let fetches = issuer.fetches().keys;
    let unknown = issuer
        .mint(&Mint {
            kid: Some("nobody".to_owned()),
            ..good()
        })
        .unwrap();
    for _ in 0..50 {
        assert_eq!(send(&gate, &unknown).await.status, 401);
    }
    assert!(
        issuer.fetches().keys <= fetches + 2,
        "forged key ids do not drive traffic to the issuer"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_is_down_costs_nobody_who_is_known() {
    let (region, issuer) = (provider(Behaviour::default()).await, issuer().await);
    let gate = Gate::start(trusting(
        config().backend("east", region.address()),
        &issuer,
    ))
    .await;
    assert_eq!(
        send(&gate, &issuer.mint(&good()).unwrap()).await.status,
        200
    );
    issuer.set_down(true);
    let new_token = issuer.mint(&claiming("sub", json!("user-2"))).unwrap();
    assert_eq!(
        send(&gate, &new_token).await.status,
        200,
        "the last good keys are kept"
    );
    assert_eq!(gate.send(chat("hi")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_was_never_reached_is_a_503_for_tokens_and_nothing_for_keys() {
    let (region, issuer) = (provider(Behaviour::default()).await, issuer().await);
    issuer.set_down(true);
    let gate = Gate::start(trusting(
        config().backend("east", region.address()),
        &issuer,
    ))
    .await;
    let answer = send(&gate, &issuer.mint(&good()).unwrap()).await;
    assert_eq!(
        (answer.status, answer.code()),
        (503, "issuer_unavailable".to_owned())
    );
    assert!(answer.number("retry-after") >= 1);
    assert_eq!(gate.send(chat("hi")).await.status, 200);
}
