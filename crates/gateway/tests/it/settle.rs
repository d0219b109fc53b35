//! However a call ends, one record is left and nothing stays reserved.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use domain::record::{AttemptFailure, Outcome};
use domain::{Metered, pool::MemberState};
use http::Request;
use http_body::Frame;

use crate::scripted::{Answer, Backend, CHAT, Script, provider_error};
use crate::stage::{Rules, Stage, Told, chat, estimated, prompt_tokens, reported, request};

fn only() -> Rules {
    Rules {
        priorities: vec![1],
        ..Rules::default()
    }
}

/// One backend, one attempt, and the product's limits.
fn limited(limits: &str) -> Rules {
    Rules {
        limits: format!("\n    {limits}"),
        retry: "{ attempts: 1 }".into(),
        ..only()
    }
}

#[tokio::test]
async fn an_answer_is_charged_by_its_usage_everywhere() {
    let a = Backend::answering(Answer::chat()).await;
    let stage = Stage::new(&only(), &[&a]);
    let told = stage.call(chat()).await;
    assert_eq!(told.text(), CHAT);
    assert_eq!(told.header("x-tollgate-tokens"), Some("17"));
    assert_eq!(told.header("x-tollgate-cache"), Some("off"));
    assert_eq!(stage.level("tpm"), (17, 0));
    assert_eq!(stage.level("day"), (17, 0));
    assert_eq!(stage.level("rpm"), (1, 0));
    assert_eq!(stage.level("open"), (0, 0));
    let metrics = stage.metrics();
    for line in [
        r#"tollgate_calls_total{subscription="search",model="gpt-4o",outcome="ok"} 1"#,
        r#"tollgate_tokens_total{subscription="search",model="gpt-4o",kind="prompt"} 12"#,
        r#"tollgate_tokens_total{subscription="search",model="gpt-4o",kind="completion"} 5"#,
        r#"tollgate_attempts_total{backend="a",failure="none"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    let id = told.header("x-request-id").unwrap().to_owned();
    let record = stage.record().await;
    assert_eq!(record.opening.id.to_string(), id);
    assert_eq!(record.outcome, Outcome::Ok);
    assert_eq!(record.status, 200);
    assert_eq!(record.metered, reported(12, 5));
    assert_eq!(record.opening.charges.len(), 3);
}

#[tokio::test]
async fn an_answer_without_usage_is_counted() {
    let body = r#"{"choices":[{"message":{"role":"assistant","content":"About 384,400 km."}}]}"#;
    let a = Backend::answering(Answer::json(200, body)).await;
    let stage = Stage::new(&only(), &[&a]);
    stage.call(chat()).await;
    let completion = dialect::Encoding::O200k.count("About 384,400 km.");
    let record = stage.record().await;
    assert_eq!(record.metered, estimated(prompt_tokens(), completion));
}

#[tokio::test]
async fn a_compressed_answer_reaches_the_client_readable_and_metered() {
    let packed = zstd::encode_all(CHAT.as_bytes(), 3).unwrap();
    let a = Backend::answering(Answer::json(200, packed).with("content-encoding", "zstd")).await;
    let stage = Stage::new(&only(), &[&a]);
    let told = stage.call(chat()).await;
    assert_eq!(told.text(), CHAT);
    assert_eq!(told.header("content-encoding"), None);
    assert_eq!(stage.record().await.metered, reported(12, 5));
}

#[tokio::test]
async fn a_client_that_hangs_up_before_the_head_pays_for_its_prompt() {
    let a = Backend::start(Script::Silence).await;
    let stage = Stage::new(&only(), &[&a]);
    let meanwhile = async {
        a.asked(1).await;
        assert_eq!(stage.level("open"), (0, 1));
    };
    tokio::select! {
        _ = stage.begin(chat()) => panic!("a is silent"),
        () = meanwhile => {}
    }
    assert_eq!(stage.level("open"), (0, 0));
    a.left(1).await;
    assert_eq!(stage.level("tpm"), (prompt_tokens(), 0));
    let record = stage.record().await;
    assert_eq!(record.outcome, Outcome::HungUp);
    assert_eq!(record.status, 0);
    assert_eq!(record.backend, None);
    assert_eq!(record.metered, estimated(prompt_tokens(), 0));
    assert_eq!(record.attempts.len(), 1);
    assert_eq!(record.attempts[0].failure, Some(AttemptFailure::HungUp));
    assert_eq!(record.attempts[0].metered, record.metered);
}

#[tokio::test]
async fn a_client_that_hangs_up_within_a_held_answer_pays_for_its_prompt() {
    let a = Backend::answering(Answer::json(200, &CHAT[..50]).stalled()).await;
    let stage = Stage::new(&only(), &[&a]);
    tokio::select! {
        _ = stage.begin(chat()) => panic!("the answer is not whole"),
        () = a.asked(1) => {}
    }
    a.left(1).await;
    let record = stage.record().await;
    assert_eq!(record.outcome, Outcome::HungUp);
    assert_eq!(record.metered, estimated(prompt_tokens(), 0));
}

#[tokio::test]
async fn a_client_that_hangs_up_between_two_attempts_leaves_the_first_ones_row() {
    let a = Backend::answering(Answer::error(429).with("retry-after-ms", "1900")).await;
    let stage = Stage::new(&only(), &[&a]);
    // The member is full as soon as its answer was read; the call then pauses.
    let pauses = async {
        while stage.state("a") == MemberState::Available {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        _ = stage.begin(chat()) => panic!("the call pauses"),
        () = pauses => {}
    }
    assert_eq!(a.requests(), 1);
    assert_eq!(stage.level("tpm"), (0, 0), "no backend took the prompt");
    let record = stage.record().await;
    assert_eq!(record.outcome, Outcome::HungUp);
    assert_eq!(record.status, 0);
    assert_eq!(record.metered, Metered::NOTHING);
    assert_eq!(record.attempts.len(), 1);
    assert_eq!(record.attempts[0].status, 429);
    assert_eq!(record.attempts[0].failure, Some(AttemptFailure::Status));
}

#[tokio::test]
async fn a_client_that_hangs_up_before_its_body_came_owes_nothing() {
    let a = Backend::answering(Answer::chat()).await;
    let stage = Stage::new(&only(), &[&a]);
    let (head, _) = chat().into_parts();
    let call = stage
        .gateway
        .handle(Request::from_parts(head, Awaited), [127, 0, 0, 1].into());
    tokio::select! {
        biased;
        _ = call => panic!("the body never comes"),
        () = tokio::task::yield_now() => {}
    }
    assert_eq!(stage.level("rpm"), (0, 0));
    let record = stage.record().await;
    assert_eq!(record.outcome, Outcome::HungUp);
    assert_eq!(record.metered, Metered::NOTHING);
    assert!(record.attempts.is_empty());
    assert!(record.opening.charges.is_empty());
}

#[tokio::test]
async fn every_kind_of_limit_refuses_and_leaves_a_record() {
    let cases = [
        (
            "token_limits: [ { name: rule, tokens_per_minute: 20, reserve: max } ]",
            (400, "exceeds_limit"),
        ),
        (
            "request_limits: [ { name: rule, requests_per_minute: 1 } ]",
            (429, "request_limit"),
        ),
        (
            "token_limits: [ { name: rule, tokens_per_minute: 25 } ]",
            (429, "token_limit"),
        ),
        (
            "quotas: [ { name: rule, tokens: 25, period: day } ]",
            (403, "quota_exceeded"),
        ),
    ];
    for (limits, (status, code)) in cases {
        let a = Backend::answering(Answer::chat()).await;
        let stage = Stage::new(&limited(limits), &[&a]);
        // The first call leaves no room for a second one; `exceeds_limit` needs none.
        let bounded = || request(chat_with(r#""max_tokens":10"#));
        if status != 400 {
            assert_eq!(stage.call(bounded()).await.status, 200, "{limits}");
        }
        let asked = a.requests();
        let told = match status {
            400 => stage.call(chat()).await,
            _ => stage.call(bounded()).await,
        };
        assert_eq!(told.status.as_u16(), status, "{limits}: {}", told.text());
        assert_eq!(told.code().as_deref(), Some(code), "{limits}");
        assert_eq!(told.retry_after_s().is_some(), status != 400, "{limits}");
        assert_eq!(told.header("x-tollgate-attempts"), None, "{limits}");
        assert_eq!(a.requests(), asked, "{limits}");
        let mut records = stage.records().await;
        records.retain(|record| record.outcome == Outcome::Refused);
        let [record] = &records[..] else {
            panic!("{limits}: {records:#?}");
        };
        assert_eq!(record.status, status, "{limits}");
        assert_eq!(record.rule.as_deref(), Some("product/standard/rule"));
        assert_eq!(record.metered, Metered::NOTHING, "{limits}");
        assert!(record.attempts.is_empty(), "{limits}");
    }
}

#[tokio::test]
async fn a_call_beside_too_many_others_is_refused_until_one_ends() {
    let a = Backend::answering(Answer::chat()).await;
    a.then(Script::Silence);
    let limits = "concurrency_limits: [ { name: rule, max_concurrent: 1 } ]";
    let stage = Stage::new(&limited(limits), &[&a]);
    let meanwhile = async {
        a.asked(1).await;
        let told = stage.call(chat()).await;
        assert_eq!(told.status, 429);
        assert_eq!(told.code().as_deref(), Some("request_limit"));
    };
    tokio::select! {
        _ = stage.begin(chat()) => panic!("a is silent"),
        () = meanwhile => {}
    }
    assert_eq!(stage.call(chat()).await.status, 200);
    let outcomes: Vec<_> = stage
        .records()
        .await
        .iter()
        .map(|record| record.outcome)
        .collect();
    assert_eq!(outcomes.len(), 3);
    for outcome in [Outcome::HungUp, Outcome::Refused, Outcome::Ok] {
        assert!(outcomes.contains(&outcome), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_call_that_no_backend_answered_owes_no_tokens() {
    let a = Backend::answering(Answer::error(500)).await;
    let stage = Stage::new(&only(), &[&a]);
    assert_eq!(stage.call(chat()).await.status, 502);
    assert_eq!(stage.level("tpm"), (0, 0));
    assert_eq!(stage.level("rpm"), (1, 0), "a request is a request");
    let record = stage.record().await;
    assert_eq!(record.metered, Metered::NOTHING);
    assert_eq!(record.attempts.len(), 3);
    assert!(record.attempts.iter().all(|tried| tried.status == 500));
}

#[tokio::test]
async fn what_a_failed_attempt_may_have_cost_stands_on_its_own_row() {
    let (a, b) = (
        Backend::start(Script::Answer(Answer::chat().truncated())).await,
        Backend::answering(Answer::chat()).await,
    );
    let rules = Rules {
        priorities: vec![1, 1],
        ..Rules::default()
    };
    let stage = Stage::new(&rules, &[&a, &b]);
    let told = stage.call(chat()).await;
    assert_eq!(told.text(), CHAT);
    assert_eq!(told.header("x-tollgate-tokens"), Some("17"));
    let record = stage.record().await;
    assert_eq!(record.metered, reported(12, 5));
    assert!(record.attempts[0].metered.is_estimated());
    assert!(record.attempts[0].metered.usage().prompt > 0);
    assert_eq!(record.attempts[1].metered, reported(12, 5));
}

#[tokio::test]
async fn an_error_of_the_client_costs_nothing() {
    let a = Backend::answering(Answer::error(400)).await;
    let stage = Stage::new(&only(), &[&a]);
    let told = stage.call(chat()).await;
    assert_eq!(told.text(), provider_error(400));
    assert_eq!(stage.level("tpm"), (0, 0));
    let record = stage.record().await;
    assert_eq!(record.outcome, Outcome::ClientError);
    assert_eq!(record.metered, Metered::NOTHING);
}

#[tokio::test]
async fn what_is_refused_before_its_caller_is_known_leaves_no_record() {
    let a = Backend::answering(Answer::chat()).await;
    let stage = Stage::new(&only(), &[&a]);
    let mut stranger = chat();
    stranger.headers_mut().insert(
        "authorization",
        "Bearer not-a-key-of-anybody".parse().unwrap(),
    );
    assert_eq!(stage.call(stranger).await.status, 401);
    assert_eq!(a.requests(), 0);
    assert!(stage.records().await.is_empty());
}

#[tokio::test]
async fn what_is_refused_for_its_body_leaves_a_record_that_charges_nothing() {
    let a = Backend::answering(Answer::chat()).await;
    let stage = Stage::new(&only(), &[&a]);
    for (body, status) in [
        ("{", 400),
        (r#"{"messages":[]}"#, 400),
        (r#"{"model":"gpt-9","messages":[]}"#, 404),
    ] {
        let told = Told::read(stage.begin(request(body)).await).await;
        assert_eq!(told.status, status, "{body}");
    }
    let records = stage.records().await;
    assert_eq!(records.len(), 3);
    for record in records {
        assert_eq!(record.outcome, Outcome::Refused);
        assert!(record.opening.charges.is_empty());
    }
}

/// A request's body of which nothing ever comes.
struct Awaited;

impl http_body::Body for Awaited {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

/// A chat call with one more field.
fn chat_with(field: &str) -> String {
    format!(
        r#"{{"model":"gpt-4o",{field},"messages":[{{"role":"user","content":"How far is the moon?"}}]}}"#
    )
}

#[tokio::test]
async fn a_name_that_no_model_has_stands_in_no_record() {
    let a = Backend::answering(Answer::chat()).await;
    let stage = Stage::new(&only(), &[&a]);
    let body = r#"{"model":"anna@example.com","messages":[{"role":"user","content":"hi"}]}"#;
    let told = stage.call(request(body.to_owned())).await;
    assert_eq!(told.status, 404);
    let record = stage.record().await;
    assert_eq!(record.rule.as_deref(), Some("model_not_found"));
    assert_eq!(record.opening.model.as_str(), "");
}
