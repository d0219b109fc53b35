//! Which tokens are let in, and what they become.

use aws_lc_rs::hmac;
use config::Expression;
use config::snapshot::{Match, Require};
use gateway::identity::{AuthError, TokenFault};
use http::StatusCode;
use serde_json::{Value, json};

use super::issuer::{SigningKey, TestIssuer, encode, unsigned};
use super::{Gate, NOW_S, at, good_claims, with};

/// What the gate says of a token with these claims, signed by the issuer's own key.
async fn refusal_of(claims: impl FnOnce(Value) -> Value) -> AuthError {
    let key = SigningKey::ec("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    let gate = Gate::trusting(Require::Jwt, &[&issuer]);
    gate.bearer(&key.token(&claims(good_claims(&issuer))), at(NOW_S))
        .await
        .unwrap_err()
}

#[tokio::test]
async fn a_good_token_names_its_subscription() {
    let key = SigningKey::ec("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    let gate = Gate::trusting(Require::Jwt, &[&issuer]);
    let caller = gate
        .bearer(&key.token(&good_claims(&issuer)), at(NOW_S))
        .await
        .unwrap();
    assert_eq!(caller.subscription.id.as_str(), "search");
    assert_eq!(caller.issuer.as_deref(), Some("entra"));
    assert_eq!(caller.subject.as_deref(), Some("user-7"));
    assert_eq!(caller.claims.as_ref().unwrap()["azp"], "search");
    assert_eq!(&*caller.label(), "entra:user-7");
    assert!(caller.key_id.is_none());
}

#[tokio::test]
async fn a_label_is_cut_at_a_character() {
    let key = SigningKey::ec("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    let gate = Gate::trusting(Require::Jwt, &[&issuer]);
    let claims = with(
        good_claims(&issuer),
        &json!({"sub": format!("a\n{}", "é".repeat(200))}),
    );
    let caller = gate.bearer(&key.token(&claims), at(NOW_S)).await.unwrap();
    assert_eq!(caller.label().len(), 127);
    assert!(caller.label().starts_with("entra:aé"));
}

#[tokio::test]
async fn a_token_signed_by_someone_else_is_refused() {
    let key = SigningKey::ec("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    let gate = Gate::trusting(Require::Jwt, &[&issuer]);
    let forged = SigningKey::ec("k1").token(&good_claims(&issuer));
    assert_eq!(
        gate.bearer(&forged, at(NOW_S)).await.unwrap_err(),
        AuthError::BadToken(TokenFault::BadSignature)
    );
    let genuine = key.token(&good_claims(&issuer));
    let (message, signature) = genuine.rsplit_once('.').unwrap();
    let (header, _) = message.split_once('.').unwrap();
    let raised = with(good_claims(&issuer), &json!({"azp": "chat"}));
    let changed = format!("{header}.{}.{signature}", encode(raised.to_string()));
    assert_eq!(
        gate.bearer(&changed, at(NOW_S)).await.unwrap_err(),
        AuthError::BadToken(TokenFault::BadSignature)
    );
}

#[tokio::test]
async fn unsigned_tokens_and_public_keys_used_as_secrets_are_refused() {
    let key = SigningKey::rsa("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    let gate = Gate::trusting(Require::Jwt, &[&issuer]);
    let claims = good_claims(&issuer);
    assert!(gate.bearer(&key.token(&claims), at(NOW_S)).await.is_ok());
    for alg in ["none", "None", "nOnE", ""] {
        let token = format!("{}.", unsigned(&json!({"alg": alg, "kid": "k1"}), &claims));
        let refused = gate.bearer(&token, at(NOW_S)).await.unwrap_err();
        assert_eq!(
            refused,
            AuthError::BadToken(TokenFault::AlgorithmNotAllowed),
            "{alg}"
        );
    }
    let message = unsigned(&json!({"alg": "HS256", "kid": "k1"}), &claims);
    for secret in [
        key.modulus(),
        key.published().to_string().into_bytes(),
        encode(key.modulus()).into_bytes(),
    ] {
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, &secret),
            message.as_bytes(),
        );
        let refused = gate
            .bearer(&format!("{message}.{}", encode(tag)), at(NOW_S))
            .await
            .unwrap_err();
        assert_eq!(
            refused,
            AuthError::BadToken(TokenFault::AlgorithmNotAllowed)
        );
    }
    assert_eq!(issuer.key_fetches(), 1);
}

#[tokio::test]
async fn an_algorithm_that_the_issuer_is_not_allowed_is_refused_with_a_good_signature() {
    let key = SigningKey::ec("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    let mut gate = Gate::trusting(Require::Jwt, &[&issuer]);
    let token = key.token(&good_claims(&issuer));
    assert!(gate.bearer(&token, at(NOW_S)).await.is_ok());
    gate.reload_issuer(
        |trusted| trusted.algorithms = vec![config::snapshot::Algorithm::Rs256],
        &issuer,
    );
    let refused = gate.bearer(&token, at(NOW_S)).await.unwrap_err();
    assert_eq!(
        refused,
        AuthError::BadToken(TokenFault::AlgorithmNotAllowed)
    );
}

#[tokio::test]
async fn a_token_whose_algorithm_is_not_its_keys_is_refused() {
    let (ec, rsa) = (SigningKey::ec("k1"), SigningKey::rsa("k2"));
    let issuer = TestIssuer::start(&[&ec, &rsa]).await;
    let gate = Gate::trusting(Require::Jwt, &[&issuer]);
    let confused =
        ec.token_with_header(&json!({"alg": "ES256", "kid": "k2"}), &good_claims(&issuer));
    let refused = gate.bearer(&confused, at(NOW_S)).await.unwrap_err();
    assert_eq!(
        refused,
        AuthError::BadToken(TokenFault::AlgorithmNotAllowed)
    );
    // A key that the token brings along is not looked at.
    let own = SigningKey::ec("k1");
    let header = json!({"alg": "ES256", "kid": "k1", "jwk": own.published(), "jku": format!("{}/own", issuer.address)});
    let refused = gate
        .bearer(
            &own.token_with_header(&header, &good_claims(&issuer)),
            at(NOW_S),
        )
        .await
        .unwrap_err();
    assert_eq!(refused, AuthError::BadToken(TokenFault::BadSignature));
}

#[tokio::test]
async fn a_token_outside_its_times_is_refused() {
    let expired = refusal_of(|claims| with(claims, &json!({"exp": NOW_S - 60}))).await;
    assert_eq!(expired, AuthError::BadToken(TokenFault::Expired));
    assert_eq!(
        expired.describe(),
        (StatusCode::UNAUTHORIZED, "invalid_token")
    );
    assert!(
        expired
            .challenge()
            .unwrap()
            .contains("the token has expired")
    );
    let early = refusal_of(|claims| with(claims, &json!({"nbf": NOW_S + 61}))).await;
    assert_eq!(early, AuthError::BadToken(TokenFault::NotYetValid));
    let endless = refusal_of(|mut claims| {
        claims.as_object_mut().unwrap().remove("exp");
        claims
    });
    assert_eq!(endless.await, AuthError::BadToken(TokenFault::Malformed));
}

#[tokio::test]
async fn a_token_for_someone_else_or_from_someone_else_is_refused() {
    let audience =
        refusal_of(|claims| with(claims, &json!({"aud": ["api://gateway/extra", "x"]}))).await;
    assert_eq!(audience, AuthError::BadToken(TokenFault::WrongAudience));
    let issuer = refusal_of(|claims| with(claims, &json!({"iss": "https://elsewhere"}))).await;
    assert_eq!(issuer, AuthError::BadToken(TokenFault::WrongIssuer));
    let nobody = refusal_of(|_| json!({"exp": NOW_S + 60})).await;
    assert_eq!(nobody, AuthError::BadToken(TokenFault::WrongIssuer));
}

#[tokio::test]
async fn a_role_that_merely_contains_the_required_one_is_refused_by_the_claims_name() {
    for roles in [
        json!(["AI.Consumer.Denied"]),
        json!("AI.Consumer,AI.Admin"),
        json!([]),
        json!(null),
    ] {
        let refused = refusal_of(|claims| with(claims, &json!({ "roles": roles }))).await;
        assert_eq!(
            refused,
            AuthError::ClaimMissing {
                claim: "roles".into()
            }
        );
        assert_eq!(refused.describe(), (StatusCode::FORBIDDEN, "not_permitted"));
        assert!(refused.to_string().contains("`roles`"));
    }
}

#[tokio::test]
async fn all_required_values_must_be_there_where_all_are_required() {
    let key = SigningKey::ec("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    let mut gate = Gate::trusting(Require::Jwt, &[&issuer]);
    gate.reload_issuer(
        |trusted| {
            trusted.required_claims[0].matching = Match::All;
            trusted.required_claims[0].values.push("AI.Stream".into());
        },
        &issuer,
    );
    let one = key.token(&good_claims(&issuer));
    assert_eq!(
        gate.bearer(&one, at(NOW_S)).await.unwrap_err(),
        AuthError::ClaimMissing {
            claim: "roles".into()
        }
    );
    let both = key.token(&with(
        good_claims(&issuer),
        &json!({"roles": ["AI.Stream", "x", "AI.Consumer"]}),
    ));
    assert!(gate.bearer(&both, at(NOW_S)).await.is_ok());
}

#[tokio::test]
async fn a_token_that_maps_to_no_subscription_or_to_a_suspended_one_is_refused() {
    for (azp, refusal) in [
        ("nobody", AuthError::NoSubscription),
        ("", AuthError::NoSubscription),
        ("paused", AuthError::Suspended),
    ] {
        let refused = refusal_of(|claims| with(claims, &json!({ "azp": azp }))).await;
        assert_eq!(refused, refusal, "{azp}");
        assert_eq!(refused.describe().0, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn a_mapping_that_faults_refuses_and_names_the_rule() {
    let refused = refusal_of(|mut claims| {
        claims.as_object_mut().unwrap().remove("azp");
        claims
    })
    .await;
    assert_eq!(
        refused.describe(),
        (StatusCode::BAD_REQUEST, "policy_fault")
    );
    assert!(
        refused
            .to_string()
            .contains("`identity.jwt.entra.subscription`"),
        "{refused}"
    );
}

#[tokio::test]
async fn the_user_is_what_the_issuer_says_of_the_token_cut_to_128_bytes() {
    let key = SigningKey::ec("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    let mut gate = Gate::trusting(Require::Jwt, &[&issuer]);
    gate.reload_issuer(
        |trusted| trusted.user = Some(Expression::compile("claims.oid").unwrap()),
        &issuer,
    );
    let long = "x".repeat(200);
    for (oid, user) in [
        ("alice", Some("alice")),
        (" ", None),
        (&*long, Some(&long[..128])),
    ] {
        let token = key.token(&with(good_claims(&issuer), &json!({ "oid": oid })));
        let caller = gate.bearer(&token, at(NOW_S)).await.unwrap();
        assert_eq!(caller.user.as_deref(), user);
    }
    let without = key.token(&good_claims(&issuer));
    let refused = gate.bearer(&without, at(NOW_S)).await.unwrap_err();
    assert!(
        refused.to_string().contains("`identity.jwt.entra.user`"),
        "{refused}"
    );
}

#[tokio::test]
async fn the_application_is_the_tokens_before_it_is_the_headers() {
    let key = SigningKey::ec("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    let mut gate = Gate::trusting(Require::Jwt, &[&issuer]);
    let named = key.token(&with(good_claims(&issuer), &json!({"app": "  web\tshop "})));
    let blank = key.token(&with(good_claims(&issuer), &json!({"app": " "})));
    gate.reload_issuer(
        |trusted| trusted.application = Some(Expression::compile("claims.app").unwrap()),
        &issuer,
    );
    for (token, application) in [(named, "webshop"), (blank, "from header")] {
        let lines = [
            ("authorization", &*format!("Bearer {token}")),
            ("x-app-name", "from header"),
        ];
        assert_eq!(
            gate.call(&lines, at(NOW_S)).await.unwrap().application,
            Some(application.into())
        );
    }
    let absent = gate
        .bearer(&key.token(&good_claims(&issuer)), at(NOW_S))
        .await
        .unwrap_err();
    assert!(
        absent
            .to_string()
            .contains("`identity.jwt.entra.application`"),
        "{absent}"
    );
}

#[tokio::test]
async fn a_key_and_a_token_must_be_of_one_subscription() {
    let key = SigningKey::ec("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    let gate = Gate::trusting(Require::Both, &[&issuer]);
    let bearer = format!("Bearer {}", key.token(&good_claims(&issuer)));
    let both = gate
        .call(
            &[("authorization", &bearer), ("api-key", "search-key-of-16")],
            at(NOW_S),
        )
        .await
        .unwrap();
    assert_eq!(
        (both.key_id.as_deref(), both.subject.as_deref()),
        (Some("search/primary"), Some("user-7"))
    );
    let of_two = gate
        .call(
            &[("authorization", &bearer), ("api-key", "chat-key-of-16-x")],
            at(NOW_S),
        )
        .await;
    assert_eq!(of_two.unwrap_err(), AuthError::SubscriptionsDiffer);
    let bad_key = gate
        .call(
            &[("authorization", &bearer), ("api-key", "unknown-key-16-x")],
            at(NOW_S),
        )
        .await;
    assert_eq!(bad_key.unwrap_err(), AuthError::UnknownKey);
    let expired = format!(
        "Bearer {}",
        key.token(&with(good_claims(&issuer), &json!({"exp": 1})))
    );
    let bad_token = gate
        .call(
            &[("authorization", &expired), ("api-key", "search-key-of-16")],
            at(NOW_S),
        )
        .await;
    assert_eq!(
        bad_token.unwrap_err(),
        AuthError::BadToken(TokenFault::Expired)
    );
    assert_eq!(
        gate.call(&[("authorization", &bearer)], at(NOW_S))
            .await
            .unwrap_err(),
        AuthError::KeyRequired
    );
}

#[tokio::test]
async fn of_two_entries_for_one_issuer_the_audience_decides() {
    let key = SigningKey::ec("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    let mut gate = Gate::trusting(Require::Jwt, &[&issuer]);
    let mut second = super::trusted(&issuer);
    second.name = "batch".into();
    second.audiences = vec!["api://batch".into()];
    gate.snapshot.issuers.push(second.into());
    gate.snapshot.revision += 1;
    gate.sync();
    let token = key.token(&with(good_claims(&issuer), &json!({"aud": "api://batch"})));
    assert_eq!(
        gate.bearer(&token, at(NOW_S))
            .await
            .unwrap()
            .issuer
            .as_deref(),
        Some("batch")
    );
    assert_eq!(issuer.key_fetches(), 1);
}

#[tokio::test]
async fn an_issuer_of_many_tenants_is_filled_from_the_tokens_tenant() {
    let key = SigningKey::ec("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    let pattern = "https://login.example/{tenantid}/v2.0";
    issuer
        .set_discovery(json!({"issuer": pattern, "jwks_uri": format!("{}/keys", issuer.address)}));
    let gate = Gate::trusting(Require::Jwt, &[&issuer]);
    let of = |iss: &str, tid: &str| {
        key.token(&with(
            good_claims(&issuer),
            &json!({"iss": iss, "tid": tid}),
        ))
    };
    assert!(
        gate.bearer(&of("https://login.example/42/v2.0", "42"), at(NOW_S))
            .await
            .is_ok()
    );
    let refused = gate
        .bearer(&of("https://login.example/42/v2.0", "43"), at(NOW_S))
        .await
        .unwrap_err();
    assert_eq!(refused, AuthError::BadToken(TokenFault::WrongIssuer));
}

#[tokio::test]
async fn an_issuer_that_the_configuration_names_is_the_one_that_counts() {
    let key = SigningKey::ec("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    let mut gate = Gate::trusting(Require::Jwt, &[&issuer]);
    gate.reload_issuer(
        |trusted| trusted.issuer = Some("https://public.example".into()),
        &issuer,
    );
    let discovered = key.token(&good_claims(&issuer));
    let refused = gate.bearer(&discovered, at(NOW_S)).await.unwrap_err();
    assert_eq!(refused, AuthError::BadToken(TokenFault::WrongIssuer));
    let named = with(
        good_claims(&issuer),
        &json!({"iss": "https://public.example"}),
    );
    assert!(gate.bearer(&key.token(&named), at(NOW_S)).await.is_ok());
    // It is known without its keys that this token is none of the issuer's.
    issuer.set_down(true);
    let mut cold = Gate::new(Require::Jwt);
    cold.snapshot.issuers = gate.snapshot.issuers.clone();
    cold.sync();
    let refused = cold.bearer(&discovered, at(NOW_S)).await.unwrap_err();
    assert_eq!(refused, AuthError::BadToken(TokenFault::WrongIssuer));
}
