//! The fake issuer, judged by a JWT library.

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm as Verified, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};
use simulator::Issuer;
use simulator::issuer::{Algorithm, Fetches, Mint};

use crate::client::{ANY_PORT, get, post, send};

fn mint(algorithm: Algorithm) -> Mint {
    let claims = json!({ "aud": "api://ai-gateway", "roles": ["AI.Consumer"] })
        .as_object()
        .unwrap()
        .clone();
    Mint {
        claims,
        algorithm,
        ..Mint::default()
    }
}

async fn published(issuer: &Issuer) -> JwkSet {
    serde_json::from_value(get(issuer.address(), "/keys").await.json()).unwrap()
}

fn verify(token: &str, keys: &JwkSet, algorithm: Verified) -> Option<Value> {
    let key = keys.find(&decode_header(token).ok()?.kid?)?;
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&["api://ai-gateway"]);
    Some(
        decode::<Value>(token, &DecodingKey::from_jwk(key).ok()?, &validation)
            .ok()?
            .claims,
    )
}

#[tokio::test]
async fn tokens_of_every_algorithm_verify_against_the_published_keys() {
    let issuer = Issuer::start(ANY_PORT).await.unwrap();
    let discovery = get(issuer.address(), "/.well-known/openid-configuration")
        .await
        .json();
    assert_eq!(discovery["issuer"], issuer.url());
    assert_eq!(discovery["jwks_uri"], format!("{}/keys", issuer.url()));
    let keys = published(&issuer).await;
    for (algorithm, verified) in [
        (Algorithm::RS256, Verified::RS256),
        (Algorithm::PS256, Verified::PS256),
        (Algorithm::ES256, Verified::ES256),
        (Algorithm::EdDSA, Verified::EdDSA),
    ] {
        let claims = verify(&issuer.mint(&mint(algorithm)).unwrap(), &keys, verified).unwrap();
        assert_eq!(
            (&claims["iss"], &claims["roles"][0]),
            (&json!(issuer.url()), &json!("AI.Consumer"))
        );
        assert_eq!(
            claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(),
            3600
        );
    }
    assert_eq!(
        issuer.fetches(),
        Fetches {
            discovery: 1,
            keys: 1
        }
    );
}

#[tokio::test]
async fn bad_tokens_are_bad_in_the_way_that_was_ordered() {
    let issuer = Issuer::start(ANY_PORT).await.unwrap();
    let keys = published(&issuer).await;
    let good = mint(Algorithm::ES256);
    let refused =
        |mint: Mint| verify(&issuer.mint(&mint).unwrap(), &keys, Verified::ES256).is_none();
    assert!(!refused(good.clone()));
    assert!(refused(Mint {
        expired: true,
        ..good.clone()
    }));
    assert!(refused(Mint {
        foreign_key: true,
        ..good.clone()
    }));
    assert!(refused(Mint {
        kid: Some("nobody".to_owned()),
        ..good.clone()
    }));
    assert!(refused(Mint {
        without_kid: true,
        ..good
    }));
    let unsigned = issuer.mint(&mint(Algorithm::Unsigned)).unwrap();
    assert!(unsigned.ends_with('.') && unsigned.matches('.').count() == 2);
    let forged = issuer.mint(&mint(Algorithm::HS256)).unwrap();
    assert_eq!(decode_header(&forged).unwrap().alg, Verified::HS256);
}

#[tokio::test]
async fn a_rotation_signs_with_a_new_key_and_withdraws_the_old_unless_told_to_keep_it() {
    let issuer = Issuer::start(ANY_PORT).await.unwrap();
    let before = issuer.mint(&mint(Algorithm::EdDSA)).unwrap();
    issuer.rotate(true);
    let after = issuer.mint(&mint(Algorithm::EdDSA)).unwrap();
    let both = published(&issuer).await;
    assert!(
        verify(&before, &both, Verified::EdDSA).is_some()
            && verify(&after, &both, Verified::EdDSA).is_some()
    );
    post(issuer.address(), "/rotate", "", &[]).await.unwrap();
    let newest = published(&issuer).await;
    assert!(
        verify(&before, &newest, Verified::EdDSA).is_none()
            && verify(&after, &newest, Verified::EdDSA).is_none()
    );
}

#[tokio::test]
async fn a_down_issuer_answers_503_and_counts_who_asked() {
    let issuer = Issuer::start(ANY_PORT).await.unwrap();
    issuer.set_down(true);
    assert_eq!(get(issuer.address(), "/keys").await.status, 503);
    send("PUT", issuer.address(), "/down", r#"{"down":false}"#, &[])
        .await
        .unwrap();
    let minted = post(
        issuer.address(),
        "/mint",
        r#"{"claims":{"sub":"a"},"algorithm":"EdDSA"}"#,
        &[],
    )
    .await
    .unwrap();
    assert!(minted.json()["token"].is_string());
    assert_eq!(
        get(issuer.address(), "/fetches").await.json(),
        json!({ "discovery": 0, "keys": 1 })
    );
    assert_eq!(
        post(issuer.address(), "/mint", r#"{"claim":{}}"#, &[])
            .await
            .unwrap()
            .status,
        400
    );
}
