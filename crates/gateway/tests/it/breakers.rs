//! Breakers over time: open, one probe, closed or open again; and what clients are told meanwhile.

use domain::record::Outcome;
use http_body_util::BodyExt;

use crate::scripted::{Answer, Backend, DELTA, DONE, Script};
use crate::stage::{Rules, Stage, Told, chat, streamed_chat};

/// One attempt a call, and breakers that one failure opens for 30 s.
fn hair_trigger(priorities: &[u32]) -> Rules {
    Rules {
        priorities: priorities.to_vec(),
        breaker: "{ min_throughput: 1, trip_duration: 30s }".into(),
        retry: "{ attempts: 1 }".into(),
        ..Rules::default()
    }
}

/// Whose one backend failed once.
async fn tripped(backend: &Backend) -> Stage {
    backend.then(Script::Answer(Answer::error(500)));
    let stage = Stage::new(&hair_trigger(&[1]), &[backend]);
    assert_eq!(stage.call(chat()).await.status, 502);
    assert_eq!(stage.open_s("a"), Some(30));
    stage
}

#[tokio::test]
async fn while_every_breaker_is_open_nobody_is_asked_and_clients_hear_of_the_soonest_probe() {
    let (a, b) = (
        Backend::answering(Answer::error(503).with_retry_after(Some(90))).await,
        Backend::answering(Answer::error(503)).await,
    );
    let stage = Stage::new(&hair_trigger(&[1, 2]), &[&a, &b]);
    for _ in 0..2 {
        assert_eq!(stage.call(chat()).await.status, 502);
    }
    assert_eq!([stage.open_s("a"), stage.open_s("b")], [Some(90), Some(30)]);

    stage.advance_s(10);
    let told = stage.call(chat()).await;
    assert_eq!(told.status, 503);
    assert_eq!(told.code().as_deref(), Some("no_healthy_backend"));
    assert_eq!(told.retry_after_s(), Some(20));
    assert_eq!(told.header("x-tollgate-attempts"), None);
    assert_eq!([a.requests(), b.requests()], [1, 1]);
    let metrics = stage.metrics();
    assert!(metrics.contains(r#"tollgate_breaker_open{backend="a"} 1"#));

    let records = stage.records().await;
    assert_eq!(records[2].outcome, Outcome::UpstreamFailed);
    assert_eq!(records[2].rule.as_deref(), Some("no_healthy_backend"));
    assert!(records[2].attempts.is_empty());
}

#[tokio::test]
async fn a_probe_that_is_answered_closes_the_breaker() {
    let a = Backend::answering(Answer::chat()).await;
    let stage = tripped(&a).await;
    stage.advance_s(29);
    assert_eq!(stage.call(chat()).await.status, 503);
    stage.advance_s(1);
    assert_eq!(stage.call(chat()).await.status, 200);
    assert_eq!(stage.open_s("a"), None);
    assert_eq!(stage.call(chat()).await.status, 200);
}

#[tokio::test]
async fn a_probe_that_fails_opens_the_breaker_for_the_whole_time_again() {
    let a = Backend::answering(Answer::chat()).await;
    let stage = tripped(&a).await;
    stage.advance_s(40);
    a.then(Script::Answer(Answer::error(500)));
    assert_eq!(stage.call(chat()).await.status, 502);
    assert_eq!(stage.open_s("a"), Some(30));
}

#[tokio::test]
async fn a_probe_whose_client_is_at_fault_closes_the_breaker() {
    let a = Backend::answering(Answer::chat()).await;
    let stage = tripped(&a).await;
    stage.advance_s(30);
    a.then(Script::Answer(Answer::error(400)));
    assert_eq!(stage.call(chat()).await.status, 400);
    assert_eq!(stage.open_s("a"), None, "the backend answered");
}

#[tokio::test]
async fn one_probe_is_out_at_a_time_and_one_whose_client_left_makes_way() {
    let (a, b) = (
        Backend::answering(Answer::error(500)).await,
        Backend::answering(Answer::chat()).await,
    );
    let stage = Stage::new(&hair_trigger(&[1, 2]), &[&a, &b]);
    assert_eq!(stage.call(chat()).await.status, 502);
    stage.advance_s(30);
    a.then(Script::Silence);
    {
        let probe = stage.begin(chat());
        tokio::select! {
            _ = probe => panic!("a is silent"),
            () = a.asked(2) => {}
        }
        // Dropped at the end of `select!`: its client left.
    }
    assert_eq!(stage.open_s("a"), None, "the place is free");
    a.then(Script::Silence);
    let probe = stage.begin(chat());
    let meanwhile = async {
        a.asked(3).await;
        assert_eq!(stage.open_s("a"), Some(30), "until the probe's deadline");
        let told = stage.call(chat()).await;
        assert_eq!(told.header("x-tollgate-backend"), Some("b"));
    };
    tokio::select! {
        _ = probe => panic!("a is silent"),
        () = meanwhile => {}
    }
    a.left(2).await;
}

#[tokio::test]
async fn clients_that_leave_never_trip_a_breaker() {
    let a = Backend::start(Script::Silence).await;
    let stage = Stage::new(&hair_trigger(&[1]), &[&a]);
    for calls in 1..=5 {
        tokio::select! {
            _ = stage.begin(chat()) => panic!("a is silent"),
            () = a.asked(calls) => {}
        }
    }
    assert_eq!(stage.open_s("a"), None);
}

#[tokio::test]
async fn a_stream_cut_after_its_first_byte_is_one_call_and_one_failure() {
    let a = Backend::answering(Answer::stream(&[DELTA]).closed()).await;
    let rules = Rules {
        breaker: "{ failure_threshold: 0.9, min_throughput: 10 }".into(),
        ..hair_trigger(&[1])
    };
    let stage = Stage::new(&rules, &[&a]);
    for call in 1..=10 {
        assert_eq!(stage.open_s("a"), None, "before call {call}");
        stage.call(streamed_chat()).await;
    }
    assert_eq!(stage.open_s("a"), Some(30));
}

#[tokio::test]
async fn a_stream_from_before_a_trip_that_is_cut_after_it_takes_no_probe() {
    let a = Backend::answering(Answer::error(500)).await;
    a.then(Script::Answer(Answer::stream(&[DELTA]).stalled()));
    let rules = Rules {
        timeout: "{ idle: 50ms }".into(),
        ..hair_trigger(&[1])
    };
    let stage = Stage::new(&rules, &[&a]);
    let mut old = stage.begin(streamed_chat()).await;
    assert!(
        old.body_mut()
            .frame()
            .await
            .is_some_and(|frame| frame.is_ok())
    );
    assert_eq!(stage.call(chat()).await.status, 502);
    stage.advance_s(30);
    assert_eq!(stage.open_s("a"), None, "a probe may go");
    let rest = Told::read(old).await;
    assert!(rest.text().contains("upstream_failed"), "idle: cut");
    assert_eq!(stage.open_s("a"), None, "it still may");
}

#[tokio::test]
async fn an_error_within_a_stream_is_the_backends_failure() {
    let error = "data: {\"error\":{\"message\":\"overloaded\"}}\n\n";
    for events in [&[DELTA, error][..], &[DELTA, error, DONE]] {
        let a = Backend::answering(Answer::stream(events)).await;
        let stage = Stage::new(&hair_trigger(&[1]), &[&a]);
        stage.call(streamed_chat()).await;
        assert_eq!(stage.open_s("a"), Some(30));
    }
}
