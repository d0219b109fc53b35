//! Who is asked next, when, and what the client is told to wait for.

use crate::scripted::{Answer, Backend, Script};
use crate::stage::{Rules, Stage, chat};

fn members(priorities: &[u32]) -> Rules {
    Rules {
        priorities: priorities.to_vec(),
        ..Rules::default()
    }
}

fn rate_limited(after_s: u64) -> Answer {
    Answer::error(429).with_retry_after(Some(after_s))
}

#[tokio::test]
async fn an_equal_answers_before_a_lower_priority_is_asked() {
    let (a, b, c) = (
        Backend::answering(Answer::error(503)).await,
        Backend::answering(Answer::chat()).await,
        Backend::answering(Answer::chat()).await,
    );
    let stage = Stage::new(&members(&[1, 1, 2]), &[&a, &b, &c]);
    let told = stage.call(chat()).await;
    assert_eq!(told.status, 200);
    assert_eq!(told.header("x-tollgate-backend"), Some("b"));
    assert_eq!(told.header("x-tollgate-attempts"), Some("2"));
    assert_eq!([a.requests(), b.requests(), c.requests()], [1, 1, 0]);
}

#[tokio::test]
async fn the_only_member_is_asked_again_once_its_retry_after_has_passed() {
    let a = Backend::answering(Answer::chat()).await;
    a.then(Script::Answer(
        Answer::error(429).with("retry-after-ms", "20"),
    ));
    let stage = Stage::new(&members(&[1]), &[&a]);
    let told = stage.call(chat()).await;
    assert_eq!(told.status, 200);
    assert_eq!(told.header("x-tollgate-attempts"), Some("2"));
}

#[tokio::test]
async fn a_retry_after_of_more_than_two_seconds_is_the_clients_to_wait_for() {
    for status in [429, 503] {
        let a = Backend::answering(Answer::error(status).with_retry_after(Some(3))).await;
        let stage = Stage::new(&members(&[1]), &[&a]);
        let told = stage.call(chat()).await;
        assert_eq!(told.header("x-tollgate-attempts"), Some("1"));
        assert_eq!(a.requests(), 1);
    }
}

#[tokio::test]
async fn a_retry_leaves_alone_who_said_when_to_come_back() {
    let (a, b) = (
        Backend::answering(rate_limited(60)).await,
        Backend::answering(Answer::chat()).await,
    );
    let stage = Stage::new(&members(&[1, 1]), &[&a, &b]);
    assert_eq!(stage.call(chat()).await.status, 200);
    assert_eq!([a.requests(), b.requests()], [1, 1]);

    b.then(Script::Answer(Answer::error(503)));
    let told = stage.call(chat()).await;
    assert_eq!(told.status, 200, "b is asked again");
    assert_eq!(told.header("x-tollgate-attempts"), Some("2"));
    assert_eq!([a.requests(), b.requests()], [1, 3]);
}

#[tokio::test]
async fn of_those_that_failed_the_one_that_is_back_first_is_asked_again() {
    let (a, b) = (
        Backend::answering(Answer::chat()).await,
        Backend::answering(rate_limited(60)).await,
    );
    a.then(Script::Answer(Answer::error(503)));
    let stage = Stage::new(&members(&[1, 1]), &[&a, &b]);
    let told = stage.call(chat()).await;
    assert_eq!(told.status, 200);
    assert_eq!(told.header("x-tollgate-backend"), Some("a"));
    assert_eq!(told.header("x-tollgate-attempts"), Some("3"));
}

#[tokio::test]
async fn a_client_waits_for_the_soonest_of_many_rate_limits() {
    let (a, b, c) = (
        Backend::answering(rate_limited(5)).await,
        Backend::answering(rate_limited(90)).await,
        Backend::answering(rate_limited(60)).await,
    );
    let stage = Stage::new(&members(&[1, 1, 2]), &[&a, &b, &c]);
    let told = stage.call(chat()).await;
    assert_eq!(told.code().as_deref(), Some("upstream_rate_limited"));
    assert_eq!(told.retry_after_s(), Some(5));
    assert_eq!(told.header("retry-after-ms"), Some("5000"));
}

#[tokio::test]
async fn a_first_attempt_asks_a_full_member_when_no_other_is_left() {
    let a = Backend::answering(rate_limited(60)).await;
    let stage = Stage::new(&members(&[1]), &[&a]);
    assert_eq!(stage.call(chat()).await.status, 429);
    assert_eq!(stage.call(chat()).await.status, 429);
    assert_eq!(a.requests(), 2);
}

#[tokio::test]
async fn calls_overflow_before_a_429_to_an_equal_then_to_a_lower_priority() {
    let full = Answer::chat()
        .with("x-ratelimit-remaining-tokens", "0")
        .with("x-ratelimit-reset-tokens", "30s");
    let (a, b, c) = (
        Backend::answering(full.clone()).await,
        Backend::answering(full).await,
        Backend::answering(Answer::chat()).await,
    );
    let stage = Stage::new(&members(&[1, 1, 2]), &[&a, &b, &c]);
    for expected in ["a", "b", "c", "c"] {
        let told = stage.call(chat()).await;
        assert_eq!(told.header("x-tollgate-backend"), Some(expected));
        assert_eq!(told.header("x-tollgate-attempts"), Some("1"));
    }
    stage.advance_s(30);
    let told = stage.call(chat()).await;
    assert_ne!(told.header("x-tollgate-backend"), Some("c"));
}

#[tokio::test]
async fn early_hints_are_not_the_answer() {
    let a = Backend::answering(Answer::chat().after_hints()).await;
    let stage = Stage::new(&members(&[1]), &[&a]);
    let told = stage.call(chat()).await;
    assert_eq!(told.status, 200);
    assert_eq!(told.header("x-tollgate-attempts"), Some("1"));
}

#[tokio::test]
async fn a_credential_that_a_backend_refuses_is_told_to_nobody() {
    let own = r#"{"error":{"message":"Incorrect API key provided: the-gateway-s-own"}}"#;
    let a = Backend::answering(Answer::json(401, own)).await;
    let stage = Stage::new(&members(&[1]), &[&a]);
    let told = stage.call(chat()).await;
    assert_eq!(told.code().as_deref(), Some("upstream_auth_failed"));
    assert!(!told.text().contains("the-gateway-s-own"));
    let metrics = stage.metrics();
    let alarm = r#"tollgate_attempts_total{backend="a",failure="credential"} 3"#;
    assert!(metrics.contains(alarm), "{metrics}");
}
