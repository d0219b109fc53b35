//! What clients see when upstreams fail: other backends first, then the truth.

use std::time::Duration;

use domain::record::{AttemptFailure, Outcome};
use serde_json::{Value, json};
use simulator::{Behaviour, Running};
use tokio::net::TcpSocket;

use crate::harness::{Config, Gate, Reply, Upstream, chat, config, provider};

const PATIENT: &str = r#"{ "failure_threshold": 1.0, "min_throughput": 1000000 }"#;

/// East first, west as standby; no breaker interferes.
fn two(east: &Running, west: &Running) -> Config {
    patient(
        config()
            .backend("east", east.address())
            .standby("west", west.address()),
        2,
    )
}

fn patient(config: Config, backends: usize) -> Config {
    let breaker: Value = serde_json::from_str(PATIENT).unwrap();
    (0..backends).fold(config, |config, index| {
        config.with(&format!("/backends/{index}/breaker"), breaker.clone())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_before_the_first_byte_is_answered_by_another_backend() {
    let usual = Behaviour::default;
    let failing = |status: u16| Behaviour {
        status: Some(status),
        ..usual()
    };
    let cases = [
        ("408", failing(408), AttemptFailure::Status),
        ("429", failing(429), AttemptFailure::Status),
        ("500", failing(500), AttemptFailure::Status),
        ("503", failing(503), AttemptFailure::Status),
        ("529", failing(529), AttemptFailure::Status),
        (
            "401 on our credential",
            failing(401),
            AttemptFailure::Credential,
        ),
        (
            "403 on our credential",
            failing(403),
            AttemptFailure::Credential,
        ),
        (
            "a reset",
            Behaviour {
                reset_after_chunks: Some(0),
                ..usual()
            },
            AttemptFailure::Cut,
        ),
        (
            "a close",
            Behaviour {
                close_after_chunks: Some(0),
                ..usual()
            },
            AttemptFailure::Cut,
        ),
        (
            "a late first byte",
            Behaviour {
                hang: Duration::from_secs(20),
                ..usual()
            },
            AttemptFailure::FirstByteTimeout,
        ),
    ];
    let (east, west) = (provider(usual()).await, provider(usual()).await);
    let gate = Gate::start(
        two(&east, &west).with("/backends/0/timeout", json!({ "first_byte": "300ms" })),
    )
    .await;
    for (fault, behaviour, failure) in cases {
        for call in [chat("answer 5 words"), chat("answer 5 words").stream()] {
            // A new behaviour forgets nothing of what the gateway learned of a throttled backend.
            let answer = loop {
                east.set(behaviour.clone());
                let answer = gate.send(call.clone()).await;
                assert_eq!(
                    (answer.status, answer.is_whole),
                    (200, true),
                    "{fault}: {:?}",
                    answer.body
                );
                assert_eq!(answer.header("x-tollgate-backend"), "west", "{fault}");
                if answer.header("x-tollgate-attempts") == "2" {
                    break answer;
                }
            };
            let record = gate.record(answer.id()).await;
            assert_eq!(record.attempts[0].failure, Some(failure), "{fault}");
            assert_eq!(record.attempts[0].backend.as_str(), "east", "{fault}");
            assert_eq!(record.attempts[1].failure, None, "{fault}");
            assert_eq!(record.outcome, Outcome::Ok, "{fault}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unary_answer_that_is_cut_fails_over() {
    let cut = Behaviour {
        close_after_bytes: Some(80),
        ..Behaviour::default()
    };
    let (east, west) = (provider(cut).await, provider(Behaviour::default()).await);
    let gate = Gate::start(two(&east, &west)).await;
    let answer = gate.send(chat("answer 30 words")).await;
    assert_eq!(
        (
            answer.status,
            answer.is_whole,
            answer.words().split(' ').count()
        ),
        (200, true, 30)
    );
    assert_eq!(answer.header("x-tollgate-attempts"), "2");
    let record = gate.record(answer.id()).await;
    assert_eq!(record.attempts[0].failure, Some(AttemptFailure::Cut));
    assert_eq!(
        record.attempts[0].metered.usage().prompt,
        11,
        "the first backend bills its prompt"
    );
    assert_eq!(
        record.metered.usage().total(),
        41,
        "the call is charged once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_where_nobody_listens_is_passed_over() {
    // Its port is taken: a free one could become that of another test's backend, which would answer.
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nowhere = taken.local_addr().unwrap();
    let west = provider(Behaviour::default()).await;
    let gate = Gate::start(
        config()
            .backend("east", nowhere)
            .standby("west", west.address()),
    )
    .await;
    let answer = gate.send(chat("answer 5 words")).await;
    assert_eq!(
        (answer.status, answer.header("x-tollgate-attempts")),
        (200, "2")
    );
    let record = gate.record(answer.id()).await;
    assert_eq!(record.attempts[0].failure, Some(AttemptFailure::Connect));
    assert_eq!(record.attempts[0].metered.usage().total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_tried_again_after_the_first_byte() {
    for behaviour in [
        Behaviour {
            close_after_chunks: Some(6),
            ..Behaviour::default()
        },
        Behaviour {
            reset_after_chunks: Some(6),
            ..Behaviour::default()
        },
        Behaviour {
            stall_after_chunks: Some(6),
            ..Behaviour::default()
        },
    ] {
        let (east, west) = (
            provider(behaviour).await,
            provider(Behaviour::default()).await,
        );
        let gate =
            Gate::start(two(&east, &west).with("/backends/0/timeout", json!({ "idle": "500ms" })))
                .await;
        let answer = gate.send(chat("answer 30 words").stream()).await;
        assert_eq!(answer.status, 200);
        assert!(!answer.text().contains("[DONE]"), "it never looks whole");
        let last: Value = serde_json::from_str(answer.events().last().unwrap()).unwrap();
        assert_eq!(last["error"]["code"], "upstream_failed", "{last}");
        assert_eq!(last["error"]["type"], "server_error");
        let record = gate.record(answer.id()).await;
        assert_eq!((record.outcome, record.attempts.len()), (Outcome::Cut, 1));
        assert!(record.metered.is_estimated());
        let passed = answer.streamed_words().split_whitespace().count() as u64;
        assert_eq!(
            record.metered.usage().completion,
            passed,
            "what passed is charged"
        );
        assert_eq!(west.counts().total.calls, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_s_own_refusal_comes_through_byte_by_byte() {
    let body = "{ \"error\": {\"message\":\"h\\u00e9\", \"type\":\"invalid_request_error\",\"param\":null,\"code\":\"x\"} }\n";
    for status in [400, 404, 409, 413, 415, 422] {
        let upstream = Upstream::start(move |_| Reply::json(body).status(status)).await;
        let gate = Gate::start(config().backend("east", upstream.address)).await;
        for call in [chat("hi"), chat("hi").stream()] {
            let answer = gate.send(call).await;
            assert_eq!((answer.status, answer.text().as_str()), (status, body));
            assert_eq!(answer.header("content-type"), "application/json");
            let record = gate.record(answer.id()).await;
            assert_eq!(
                (record.outcome, record.status),
                (Outcome::ClientError, status)
            );
            assert_eq!(record.metered.usage().total(), 0);
        }
        assert_eq!(upstream.seen().len(), 2, "{status} is never tried again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn out_of_attempts_the_client_hears_what_kind_of_failure_it_was() {
    let failing = |status: u16| Behaviour {
        status: Some(status),
        ..Behaviour::default()
    };
    let late = Behaviour {
        hang: Duration::from_secs(20),
        ..Behaviour::default()
    };
    for (behaviour, status, code) in [
        (failing(500), 502, "upstream_failed"),
        (failing(403), 502, "upstream_auth_failed"),
        (
            Behaviour {
                close_after_chunks: Some(0),
                ..Behaviour::default()
            },
            502,
            "upstream_failed",
        ),
        (late, 504, "upstream_timeout"),
    ] {
        let (east, west) = (provider(behaviour.clone()).await, provider(behaviour).await);
        let quick = json!({ "first_byte": "300ms" });
        let config = two(&east, &west)
            .with("/backends/0/timeout", quick.clone())
            .with("/backends/1/timeout", quick)
            .retry(2, 1.0);
        let gate = Gate::start(config).await;
        for call in [chat("hi"), chat("hi").stream()] {
            let answer = gate.send(call).await;
            assert_eq!((answer.status, answer.code().as_str()), (status, code));
            assert_eq!(answer.header("x-tollgate-attempts"), "2");
            assert!(answer.json()["error"]["tollgate"]["request_id"] == answer.id());
            let record = gate.record(answer.id()).await;
            assert_eq!(
                (record.outcome, record.attempts.len()),
                (Outcome::UpstreamFailed, 2)
            );
            assert_eq!(record.metered.usage().total(), 0, "no answer, no charge");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_are_throttled_the_soonest_retry_after_is_told() {
    let throttled = |seconds| Behaviour {
        status: Some(429),
        retry_after: Some(Duration::from_secs(seconds)),
        ..Behaviour::default()
    };
    let (east, west) = (provider(throttled(8)).await, provider(throttled(40)).await);
    let gate = Gate::start(two(&east, &west).retry(2, 1.0)).await;
    let answer = gate.send(chat("hi")).await;
    assert_eq!(
        (answer.status, answer.code()),
        (429, "upstream_rate_limited".to_owned())
    );
    assert!(
        (7..=8).contains(&answer.number("retry-after")),
        "{:?}",
        answer.headers
    );
    assert_eq!(answer.json()["error"]["type"], "rate_limit_error");
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_never_double_a_load() {
    let failing = Behaviour {
        status: Some(500),
        ..Behaviour::default()
    };
    let (east, west) = (provider(failing.clone()).await, provider(failing).await);
    let gate = Gate::start(two(&east, &west).retry(3, 0.2)).await;
    const CALLS: u64 = 300;
    for _ in 0..CALLS {
        assert_eq!(gate.send(chat("hi")).await.status, 502);
    }
    let attempts = east.counts().total.calls + west.counts().total.calls;
    assert!(
        (CALLS + 30..CALLS * 3 / 2).contains(&attempts),
        "{attempts} attempts of {CALLS} calls"
    );
}
