//! Every way a stream can end: what the client sees, and what is written down.

use std::time::Duration;

use domain::record::{AttemptFailure, Outcome};
use gateway::body::Body;
use http_body_util::BodyExt;

use crate::scripted::{Answer, Backend, DELTA, DONE, Script, USAGE};
use crate::stage::{
    Rules, Stage, Told, estimated, prompt_tokens, reported, streamed_chat, streamed_chat_with_usage,
};

const ERROR: &str = "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\"}}\n\n";

/// Completion tokens of `DELTA`, by the model's tokenizer.
fn delta_tokens() -> u64 {
    dialect::Encoding::O200k.count("About 384,400 km.")
}

async fn next_piece(body: &mut Body) -> String {
    let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
    String::from_utf8(piece.to_vec()).unwrap()
}

/// One gateway with two members, so that a retry would be seen.
async fn stage(answer: Answer) -> (Stage, Backend, Backend) {
    stage_with("{}", answer).await
}

async fn stage_with(timeout: &str, answer: Answer) -> (Stage, Backend, Backend) {
    let rules = Rules {
        priorities: vec![1, 1],
        timeout: timeout.into(),
        ..Rules::default()
    };
    let (a, b) = (
        Backend::answering(answer).await,
        Backend::answering(Answer::chat()).await,
    );
    (Stage::new(&rules, &[&a, &b]), a, b)
}

#[tokio::test]
async fn a_whole_stream_is_metered_by_its_usage_which_only_those_who_asked_see() {
    for (asks, sees) in [
        (streamed_chat(), [DELTA, DONE].concat()),
        (streamed_chat_with_usage(), [DELTA, USAGE, DONE].concat()),
    ] {
        let (stage, a, _b) = stage(Answer::stream(&[DELTA, USAGE, DONE])).await;
        let told = stage.call(asks).await;
        assert_eq!(told.text(), sees);
        assert!(!told.broke);
        assert_eq!(told.header("content-length"), None);
        assert_eq!(told.header("x-tollgate-tokens"), None);
        let sent = String::from_utf8(a.bodies()[0].to_vec()).unwrap();
        assert!(sent.contains(r#""include_usage":true"#), "{sent}");
        assert_eq!(stage.level("tpm").0, 17);
        let record = stage.record().await;
        assert_eq!(record.outcome, Outcome::Ok);
        assert_eq!(record.metered, reported(12, 5));
        assert_eq!(record.attempts.len(), 1);
        assert_eq!(record.attempts[0].metered, reported(12, 5));
    }
}

#[tokio::test]
async fn a_stream_without_usage_is_counted() {
    let (stage, _a, _b) = stage(Answer::stream(&[DELTA, DONE])).await;
    let told = stage.call(streamed_chat()).await;
    assert_eq!(told.text(), [DELTA, DONE].concat());
    let record = stage.record().await;
    assert_eq!(record.outcome, Outcome::Ok);
    assert_eq!(record.metered, estimated(prompt_tokens(), delta_tokens()));
}

#[tokio::test]
async fn a_stream_that_ends_with_its_usage_and_no_done_is_whole() {
    let (stage, _a, _b) = stage(Answer::stream(&[DELTA, USAGE])).await;
    assert_eq!(stage.call(streamed_chat()).await.text(), DELTA);
    let record = stage.record().await;
    assert_eq!(record.outcome, Outcome::Ok);
    assert_eq!(record.metered, reported(12, 5));
}

#[tokio::test]
async fn a_stream_that_ends_with_neither_done_nor_usage_was_cut() {
    let whole_to_http = Answer::stream(&[DELTA]);
    let closed = Answer::stream(&[DELTA]).closed();
    let within_an_event = Answer::stream(&[DELTA, &DELTA[..40]]).closed();
    for answer in [whole_to_http, closed, within_an_event] {
        let (stage, a, b) = stage(answer).await;
        let told = stage.call(streamed_chat()).await;
        assert_eq!(told.status, 200);
        let rest = told.text().strip_prefix(DELTA).expect("what came passed");
        assert!(rest.starts_with("data: {\"error\":{"), "{rest}");
        assert!(rest.contains("upstream_failed"), "{rest}");
        assert!(rest.ends_with("\n\n"), "{rest}");
        assert_eq!(
            [a.requests(), b.requests()],
            [1, 0],
            "nothing is retried after the first byte"
        );
        let record = stage.record().await;
        assert_eq!(record.outcome, Outcome::Cut);
        assert_eq!(record.status, 200);
        assert_eq!(record.metered, estimated(prompt_tokens(), delta_tokens()));
        assert_eq!(record.attempts.len(), 1);
        assert_eq!(record.attempts[0].failure, Some(AttemptFailure::Cut));
    }
}

#[tokio::test]
async fn a_connection_that_breaks_after_done_costs_the_client_nothing() {
    let (stage, _a, _b) = stage(Answer::stream(&[DELTA, USAGE, DONE]).closed()).await;
    let told = stage.call(streamed_chat()).await;
    assert_eq!(told.text(), [DELTA, DONE].concat());
    assert!(!told.broke);
    assert_eq!(stage.record().await.outcome, Outcome::Ok);
}

#[tokio::test]
async fn an_error_within_a_stream_reaches_the_client_once_and_the_record_as_a_cut() {
    for events in [&[DELTA, ERROR][..], &[DELTA, ERROR, DONE]] {
        let (stage, _a, b) = stage(Answer::stream(events)).await;
        let told = stage.call(streamed_chat()).await;
        assert_eq!(told.text(), events.concat());
        assert_eq!(b.requests(), 0);
        let record = stage.record().await;
        assert_eq!(record.outcome, Outcome::Cut);
        assert_eq!(record.attempts[0].failure, Some(AttemptFailure::Cut));
        assert_eq!(record.metered, estimated(prompt_tokens(), delta_tokens()));
    }
}

#[tokio::test]
async fn a_client_that_leaves_on_an_error_event_did_not_hang_up() {
    let (stage, a, _b) = stage(Answer::stream(&[DELTA, ERROR]).stalled()).await;
    let mut body = stage.begin(streamed_chat()).await.into_body();
    assert_eq!(next_piece(&mut body).await, [DELTA, ERROR].concat());
    drop(body);
    a.left(1).await;
    assert_eq!(stage.record().await.outcome, Outcome::Cut);
}

#[tokio::test]
async fn a_silent_stream_is_cut_after_the_idle_timeout() {
    let (stage, a, b) = stage_with("{ idle: 50ms }", Answer::stream(&[DELTA]).stalled()).await;
    let mut response = stage.begin(streamed_chat()).await;
    assert_eq!(next_piece(response.body_mut()).await, DELTA);
    stage.clock.advance(Duration::from_millis(50));
    let rest = Told::read(response).await;
    assert!(rest.text().contains("upstream_failed"), "{rest:?}");
    a.left(1).await;
    assert_eq!(b.requests(), 0);
    let record = stage.record().await;
    assert_eq!(record.outcome, Outcome::Cut);
    assert_eq!(
        record.attempts[0].failure,
        Some(AttemptFailure::IdleTimeout)
    );
    assert_eq!(record.metered, estimated(prompt_tokens(), delta_tokens()));
}

#[tokio::test]
async fn a_stream_that_never_ends_is_cut_after_the_total_timeout() {
    let (stage, _a, _b) = stage_with("{ total: 50ms }", Answer::stream(&[DELTA]).stalled()).await;
    let response = stage.begin(streamed_chat()).await;
    stage.clock.advance(Duration::from_millis(50));
    Told::read(response).await;
    let record = stage.record().await;
    assert_eq!(record.outcome, Outcome::Cut);
    assert_eq!(
        record.attempts[0].failure,
        Some(AttemptFailure::TotalTimeout)
    );
}

#[tokio::test]
async fn a_client_that_hangs_up_within_a_stream_pays_for_what_passed() {
    let (stage, a, _b) = stage(Answer::stream(&[DELTA]).stalled()).await;
    let mut body = stage.begin(streamed_chat()).await.into_body();
    assert_eq!(next_piece(&mut body).await, DELTA);
    assert_eq!(stage.level("open"), (0, 1));
    drop(body);
    assert_eq!(stage.level("open"), (0, 0));
    a.left(1).await;
    let owed = prompt_tokens() + delta_tokens();
    assert_eq!(stage.level("tpm"), (owed, 0));
    assert_eq!(stage.level("day"), (owed, 0));
    let record = stage.record().await;
    assert_eq!(record.outcome, Outcome::HungUp);
    assert_eq!(record.status, 200);
    assert_eq!(record.backend.unwrap().as_str(), "a");
    assert_eq!(record.metered, estimated(prompt_tokens(), delta_tokens()));
    assert_eq!(record.attempts[0].failure, Some(AttemptFailure::HungUp));
}

#[tokio::test]
async fn a_client_that_never_reads_a_stream_pays_for_its_prompt() {
    let (stage, a, _b) = stage(Answer::stream(&[DELTA]).stalled()).await;
    drop(stage.begin(streamed_chat()).await);
    a.left(1).await;
    let record = stage.record().await;
    assert_eq!(record.outcome, Outcome::HungUp);
    assert_eq!(record.metered, estimated(prompt_tokens(), 0));
}

#[tokio::test]
async fn a_client_that_leaves_after_done_got_all_of_it() {
    let (stage, _a, _b) = stage(Answer::stream(&[DELTA, USAGE, DONE])).await;
    let mut body = stage.begin(streamed_chat()).await.into_body();
    let mut seen = String::new();
    while !seen.ends_with(DONE) {
        seen.push_str(&next_piece(&mut body).await);
    }
    drop(body);
    let record = stage.record().await;
    assert_eq!(record.outcome, Outcome::Ok);
    assert_eq!(record.metered, reported(12, 5));
}

#[tokio::test]
async fn a_compressed_stream_reaches_the_client_readable_and_metered() {
    let events = [DELTA, USAGE, DONE].concat();
    let packed = zstd::encode_all(events.as_bytes(), 3).unwrap();
    let answer = Answer::stream(&[])
        .with_body(packed)
        .with("content-encoding", "zstd");
    let (stage, _a, _b) = stage(answer).await;
    let told = stage.call(streamed_chat()).await;
    assert_eq!(told.text(), [DELTA, DONE].concat());
    assert_eq!(told.header("content-encoding"), None);
    assert_eq!(stage.record().await.metered, reported(12, 5));
}

#[tokio::test]
async fn a_stream_that_fails_before_its_first_byte_is_answered_by_another() {
    let (a, b) = (
        Backend::start(Script::Answer(Answer::stream(&[]).reset())).await,
        Backend::answering(Answer::stream(&[DELTA, USAGE, DONE])).await,
    );
    let stage = Stage::new(&Rules::default(), &[&a, &b]);
    let told = stage.call(streamed_chat()).await;
    assert_eq!(told.text(), [DELTA, DONE].concat());
    assert_eq!(told.header("x-tollgate-attempts"), Some("2"));
    assert_eq!(told.header("x-tollgate-backend"), Some("b"));
    let record = stage.record().await;
    assert_eq!(record.metered, reported(12, 5), "the answering attempt's");
    assert_eq!(record.attempts.len(), 2);
    assert_eq!(record.attempts[0].failure, Some(AttemptFailure::Cut));
    assert_eq!(record.attempts[0].metered.usage().completion, 0);
    assert!(record.attempts[0].metered.is_estimated());
    assert_eq!(record.attempts[1].failure, None);
}

#[tokio::test]
async fn a_late_head_leaves_the_first_event_the_rest_of_the_time() {
    let (stage, a, _b) =
        stage_with("{ first_byte: 60s }", Answer::stream(&[]).stalled().held()).await;
    let late = async {
        a.asked(1).await;
        stage.clock.advance(Duration::from_millis(59_950));
        a.release();
        a.left(1).await;
    };
    let (told, ()) = tokio::join!(stage.call(streamed_chat()), late);
    assert_eq!(told.status, 200, "b answers");
    let record = stage.record().await;
    assert_eq!(
        record.attempts[0].failure,
        Some(AttemptFailure::FirstByteTimeout)
    );
    assert_eq!(record.attempts[0].latency, Duration::from_millis(59_950));
}
