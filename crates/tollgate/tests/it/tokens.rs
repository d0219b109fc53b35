//! Who is let in: tokens of an OpenID issuer.

use serde_json::{Map, Value, json};
use simulator::issuer::{Algorithm, Mint};
use simulator::{Behaviour, Issuer};

use crate::harness::{Answer, CHAT_KEY, Config, Gate, SEARCH_KEY, chat, config, provider};

pub async fn issuer() -> Issuer {
    Issuer::start("127.0.0.1:0".parse().unwrap()).await.unwrap()
}

pub fn trusting(config: Config, issuer: &Issuer) -> Config {
    config.with(
        "/identity/jwt",
        json!([{
            "name": "entra",
            "openid_config": issuer.openid_config(),
            "audiences": ["api://ai-gateway"],
            "required_claims": [{ "name": "roles", "match": "any", "values": ["AI.Consumer", "AI.Admin"] }],
            "subscription": "claims.azp",
            "application": "claims.app_displayname",
        }]),
    )
}

pub fn good_claims() -> Map<String, Value> {
    let claims = json!({
        "aud": "api://ai-gateway",
        "sub": "user-1",
        "azp": "search",
        "app_displayname": "Search UI",
        "roles": ["Other", "AI.Consumer"],
    });
    claims.as_object().unwrap().clone()
}

pub fn good() -> Mint {
    Mint {
        claims: good_claims(),
        ..Mint::default()
    }
}

pub fn claiming(name: &str, value: Value) -> Mint {
    let mut claims = good_claims();
    claims.insert(name.to_owned(), value);
    Mint {
        claims,
        ..Mint::default()
    }
}

pub async fn send(gate: &Gate, token: &str) -> Answer {
    gate.send(chat("answer 5 words").bearer(token)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_s_claims_name_the_subscription_and_the_application() {
    let (region, issuer) = (provider(Behaviour::default()).await, issuer().await);
    let gate = Gate::start(trusting(
        config().backend("east", region.address()),
        &issuer,
    ))
    .await;
    for algorithm in [
        Algorithm::RS256,
        Algorithm::PS256,
        Algorithm::ES256,
        Algorithm::EdDSA,
    ] {
        let token = issuer
            .mint(&Mint {
                algorithm,
                ..good()
            })
            .unwrap();
        let answer = send(&gate, &token).await;
        assert_eq!(answer.status, 200, "{algorithm:?}: {:?}", answer.body);
        let who = gate.record(answer.id()).await.opening.who;
        assert_eq!(who.subscription.as_str(), "search");
        assert_eq!(who.application.unwrap().as_str(), "Search UI");
        assert_eq!(&*who.caller, "entra:user-1");
    }
    let several = claiming("aud", json!(["api://other", "api://ai-gateway"]));
    assert_eq!(
        send(&gate, &issuer.mint(&several).unwrap()).await.status,
        200
    );
    let single_role = claiming("roles", json!("AI.Admin"));
    assert_eq!(
        send(&gate, &issuer.mint(&single_role).unwrap())
            .await
            .status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_expired_and_misdirected_tokens_are_turned_away() {
    let (region, issuer, stranger) = (
        provider(Behaviour::default()).await,
        issuer().await,
        issuer().await,
    );
    let gate = Gate::start(trusting(
        config().backend("east", region.address()),
        &issuer,
    ))
    .await;
    let seconds = jiff::Timestamp::UNIX_EPOCH.duration_until(now()).as_secs();
    let tampered = {
        let token = issuer.mint(&good()).unwrap();
        let other = issuer.mint(&claiming("azp", json!("chat"))).unwrap();
        let (parts, others): (Vec<_>, Vec<_>) =
            (token.split('.').collect(), other.split('.').collect());
        [parts[0], others[1], parts[2]].join(".")
    };
    let mint = |mint: Mint| issuer.mint(&mint).unwrap();
    let cases = [
        (
            "unsigned",
            mint(Mint {
                algorithm: Algorithm::Unsigned,
                ..good()
            }),
        ),
        (
            "HMAC with the public key",
            mint(Mint {
                algorithm: Algorithm::HS256,
                ..good()
            }),
        ),
        (
            "another key's signature",
            mint(Mint {
                foreign_key: true,
                ..good()
            }),
        ),
        (
            "an unknown key id",
            mint(Mint {
                kid: Some("nobody".to_owned()),
                ..good()
            }),
        ),
        ("other claims under a good signature", tampered),
        (
            "expired",
            mint(Mint {
                expired: true,
                ..good()
            }),
        ),
        (
            "expired two minutes ago",
            mint(claiming("exp", json!(seconds - 120))),
        ),
        ("no end", mint(claiming("exp", Value::Null))),
        ("not valid yet", mint(claiming("nbf", json!(seconds + 600)))),
        (
            "another audience",
            mint(claiming("aud", json!("api://other"))),
        ),
        (
            "an audience that only contains ours",
            mint(claiming("aud", json!("api://ai-gateway-2"))),
        ),
        ("no audience", mint(claiming("aud", Value::Null))),
        (
            "another issuer's name",
            mint(claiming("iss", json!("https://evil.example.com"))),
        ),
        ("another issuer", stranger.mint(&good()).unwrap()),
        (
            "another issuer that claims to be ours",
            stranger
                .mint(&claiming("iss", json!(issuer.url())))
                .unwrap(),
        ),
    ];
    for (fault, token) in cases {
        let answer = send(&gate, &token).await;
        assert_eq!(
            (answer.status, answer.code()),
            (401, "invalid_token".to_owned()),
            "{fault}: {:?}",
            answer.body
        );
        assert!(
            answer.header("www-authenticate").starts_with("Bearer"),
            "{fault}"
        );
        assert!(!answer.text().contains(&token), "{fault}");
    }
    assert_eq!(region.counts().total.calls, 0);
    assert!(gate.records().is_empty());
    assert_eq!(
        send(&gate, &mint(claiming("exp", json!(seconds - 20))))
            .await
            .status,
        200,
        "clocks differ a little"
    );
}

#[expect(clippy::disallowed_methods, reason = "tokens carry the time of day")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_compared_as_whole_values() {
    let (region, issuer) = (provider(Behaviour::default()).await, issuer().await);
    let gate = Gate::start(trusting(
        config().backend("east", region.address()),
        &issuer,
    ))
    .await;
    for roles in [
        json!(["AI.Consumer.Trial"]),
        json!(["Not.AI.Consumer"]),
        json!(["ai.consumer"]),
        json!("AI.Consumer AI.Other"),
        json!("x,AI.Consumer"),
        json!([["AI.Consumer"]]),
        json!({ "AI.Consumer": true }),
        json!([]),
        Value::Null,
    ] {
        let answer = send(
            &gate,
            &issuer.mint(&claiming("roles", roles.clone())).unwrap(),
        )
        .await;
        assert_eq!(
            (answer.status, answer.code()),
            (403, "not_permitted".to_owned()),
            "{roles}"
        );
    }
    assert_eq!(region.counts().total.calls, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_must_name_a_subscription_that_exists() {
    let (region, issuer) = (provider(Behaviour::default()).await, issuer().await);
    let gate = Gate::start(trusting(
        config().backend("east", region.address()),
        &issuer,
    ))
    .await;
    let unknown = send(
        &gate,
        &issuer.mint(&claiming("azp", json!("nobody"))).unwrap(),
    )
    .await;
    assert_eq!(
        (unknown.status, unknown.code()),
        (403, "not_permitted".to_owned())
    );
    let mut claims = good_claims();
    claims.remove("azp");
    let fault = send(
        &gate,
        &issuer
            .mint(&Mint {
                claims,
                ..Mint::default()
            })
            .unwrap(),
    )
    .await;
    assert_eq!(
        (fault.status, fault.code()),
        (400, "policy_fault".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_may_require_key_and_token_of_one_subscription() {
    let (region, issuer) = (provider(Behaviour::default()).await, issuer().await);
    let both = trusting(config().backend("east", region.address()), &issuer)
        .with("/products/0/require", json!(["subscription_key", "jwt"]));
    let gate = Gate::start(both).await;
    let token = issuer.mint(&good()).unwrap();
    let with = async |key: &str| {
        let answer = gate
            .send(chat("answer 5 words").bearer(&token).header("api-key", key))
            .await;
        (
            answer.status,
            if answer.status == 200 {
                String::new()
            } else {
                answer.code()
            },
        )
    };
    assert_eq!(with(SEARCH_KEY).await, (200, String::new()));
    assert_eq!(with(CHAT_KEY).await, (403, "not_permitted".to_owned()));
    assert_eq!(
        with("unknown-key-0123456789").await,
        (401, "invalid_api_key".to_owned())
    );
    let key_alone = gate.send(chat("hi")).await;
    assert_eq!(
        (key_alone.status, key_alone.code()),
        (401, "invalid_token".to_owned())
    );
    let token_alone = send(&gate, &token).await;
    assert_eq!(
        (token_alone.status, token_alone.code()),
        (401, "invalid_api_key".to_owned())
    );
    let forged = issuer
        .mint(&Mint {
            foreign_key: true,
            ..good()
        })
        .unwrap();
    let with_key = gate
        .send(chat("hi").bearer(&forged).header("api-key", SEARCH_KEY))
        .await;
    assert_eq!(
        with_key.status, 401,
        "a good key does not excuse a bad token"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_not_enough_where_a_token_is_required() {
    let (region, issuer) = (provider(Behaviour::default()).await, issuer().await);
    let token_only = trusting(config().backend("east", region.address()), &issuer)
        .with("/products/0/require", json!(["jwt"]));
    let gate = Gate::start(token_only).await;
    for call in [chat("hi"), chat("hi").bearer(SEARCH_KEY)] {
        assert_eq!(gate.send(call).await.status, 401);
    }
    assert_eq!(
        send(&gate, &issuer.mint(&good()).unwrap()).await.status,
        200
    );
}
