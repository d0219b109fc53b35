//! Which backend gets a call: priorities, weights, saturation, breakers, affinity.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use simulator::Behaviour;

use crate::harness::{Answer, Config, Gate, chat, config, eventually, provider};

async fn backend_of(gate: &Gate) -> String {
    backend(&gate.send(chat("answer 5 words")).await)
}

fn backend(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    answer.header("x-tollgate-backend").to_owned()
}

fn failing(status: u16) -> Behaviour {
    Behaviour {
        status: Some(status),
        ..Behaviour::default()
    }
}

/// A breaker that opens at the third failure.
fn touchy(config: Config) -> Config {
    let breaker = json!({ "failure_threshold": 0.5, "min_throughput": 3, "trip_duration": "1s" });
    config.with("/backends/0/breaker", breaker)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_gets_nothing_while_the_first_is_well() {
    let (east, west) = (
        provider(Behaviour::default()).await,
        provider(Behaviour::default()).await,
    );
    let gate = Gate::start(
        config()
            .backend("east", east.address())
            .standby("west", west.address()),
    )
    .await;
    for _ in 0..20 {
        assert_eq!(backend_of(&gate).await, "east");
    }
    assert_eq!(
        (east.counts().total.calls, west.counts().total.calls),
        (20, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_hold_exactly_over_every_window() {
    let region = provider(Behaviour::default()).await;
    let weighted = config()
        .backend("east", region.address())
        .backend("west", region.address())
        .backend("north", region.address())
        .with("/pools/0/members/0/weight", json!(5))
        .with("/pools/0/members/1/weight", json!(2))
        .with("/pools/0/members/2/weight", json!(1));
    let gate = Gate::start(weighted).await;
    let mut chosen = Vec::new();
    for _ in 0..40 {
        chosen.push(backend_of(&gate).await);
    }
    for window in chosen.windows(8) {
        let share = |id: &str| window.iter().filter(|chosen| *chosen == id).count();
        assert_eq!(
            (share("east"), share("west"), share("north")),
            (5, 2, 1),
            "{window:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn traffic_overflows_before_the_upstream_has_to_say_429() {
    let small = Behaviour {
        requests_per_minute: Some(6),
        ..Behaviour::default()
    };
    let (east, west) = (provider(small).await, provider(Behaviour::default()).await);
    let gate = Gate::start(
        config()
            .backend("east", east.address())
            .standby("west", west.address()),
    )
    .await;
    for _ in 0..6 {
        assert_eq!(backend_of(&gate).await, "east");
    }
    for _ in 0..6 {
        assert_eq!(backend_of(&gate).await, "west");
    }
    assert_eq!(
        east.counts().total.answers.get(&429),
        None,
        "nobody had to be turned away"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_larger_than_what_a_backend_has_left_goes_elsewhere() {
    let small = Behaviour {
        tokens_per_minute: Some(1000),
        ..Behaviour::default()
    };
    let (east, west) = (provider(small).await, provider(Behaviour::default()).await);
    let gate = Gate::start(
        config()
            .backend("east", east.address())
            .standby("west", west.address()),
    )
    .await;
    assert_eq!(
        backend(&gate.send(chat("answer 300 words").max_tokens(300)).await),
        "east"
    );
    let large = chat(&"water ".repeat(900)).max_tokens(20);
    assert_eq!(backend(&gate.send(large).await), "west");
    assert_eq!(
        backend(&gate.send(chat("answer 5 words").max_tokens(5)).await),
        "east",
        "a small one still fits"
    );
    assert_eq!(east.counts().total.answers.get(&429), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_breaker_opens_after_its_failures_and_closes_after_a_good_probe() {
    let (east, west) = (
        provider(failing(500)).await,
        provider(Behaviour::default()).await,
    );
    let gate = Gate::start(touchy(
        config()
            .backend("east", east.address())
            .standby("west", west.address()),
    ))
    .await;
    for _ in 0..10 {
        assert_eq!(
            backend_of(&gate).await,
            "west",
            "no client sees the failure"
        );
    }
    let tried = east.counts().total.calls;
    assert!(
        (3..=5).contains(&tried),
        "{tried} calls reached a backend that only fails"
    );
    east.set(Behaviour::default());
    eventually("the first backend's return", async || {
        (backend_of(&gate).await == "east").then_some(())
    })
    .await;
    for _ in 0..5 {
        assert_eq!(backend_of(&gate).await, "east");
    }
    assert_eq!(gate.metrics().await.sum("tollgate_breaker_open", &[]), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_s_own_faults_open_no_breaker() {
    let east = provider(failing(400)).await;
    let gate = Gate::start(touchy(config().backend("east", east.address()))).await;
    for _ in 0..10 {
        assert_eq!(gate.send(chat("hi")).await.status, 400);
    }
    assert_eq!(east.counts().total.calls, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_every_backend_is_open_clients_are_told_when_the_first_is_probed() {
    let east = provider(failing(500)).await;
    let gate = Gate::start(
        touchy(config().backend("east", east.address()))
            .with("/backends/0/breaker/trip_duration", json!("20s"))
            .retry(1, 0.0),
    )
    .await;
    for _ in 0..3 {
        assert_eq!(gate.send(chat("hi")).await.code(), "upstream_failed");
    }
    let refusal = gate.send(chat("hi")).await;
    assert_eq!(
        (refusal.status, refusal.code()),
        (503, "no_healthy_backend".to_owned())
    );
    assert!(
        (15..=20).contains(&refusal.number("retry-after")),
        "{:?}",
        refusal.headers
    );
    assert_eq!(east.counts().total.calls, 3);
    assert_eq!(
        gate.metrics()
            .await
            .sum("tollgate_breaker_open", &["backend=\"east\""]),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_s_retry_after_keeps_its_breaker_open_for_longer_than_its_own_time() {
    let busy = Behaviour {
        retry_after: Some(Duration::from_secs(25)),
        ..failing(503)
    };
    let east = provider(busy).await;
    let gate = Gate::start(touchy(config().backend("east", east.address())).retry(1, 0.0)).await;
    for _ in 0..3 {
        assert_eq!(gate.send(chat("hi")).await.status, 502);
    }
    let refusal = gate.send(chat("hi")).await;
    assert_eq!(refusal.code(), "no_healthy_backend");
    assert!(
        (20..=25).contains(&refusal.number("retry-after")),
        "{:?}",
        refusal.headers
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_with_the_same_key_stay_together_while_their_backend_is_well() {
    let regions = [
        provider(Behaviour::default()).await,
        provider(Behaviour::default()).await,
    ];
    let sticky = touchy(
        config()
            .backend("east", regions[0].address())
            .backend("west", regions[1].address())
            .with(
                "/pools/0/affinity",
                json!("request.headers['x-session-id']"),
            ),
    );
    let gate = Gate::start(sticky).await;
    let call =
        |session: u32| chat("answer 5 words").header("x-session-id", &format!("session-{session}"));
    let mut homes = HashMap::new();
    for session in 0..20 {
        homes.insert(session, backend(&gate.send(call(session)).await));
    }
    for session in (0..20).rev() {
        assert_eq!(backend(&gate.send(call(session)).await), homes[&session]);
    }
    let at_home = |id: &str| homes.values().filter(|home| *home == id).count();
    assert!(at_home("east") >= 3 && at_home("west") >= 3, "{homes:?}");

    regions[0].set(failing(500));
    for session in 0..20 {
        assert_eq!(backend(&gate.send(call(session)).await), "west");
    }
}
