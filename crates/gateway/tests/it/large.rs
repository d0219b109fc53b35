//! Unary answers of more than is held: they stream through, metered by their head and tail.

use domain::Metered;
use domain::record::{AttemptFailure, Outcome};

use crate::scripted::{Answer, Backend};
use crate::stage::{Rules, Stage, chat, prompt_tokens, reported};

/// What the gateway holds of a unary answer before it lets it through.
const HELD_BYTES: usize = 1024 * 1024;

fn only() -> Rules {
    Rules {
        priorities: vec![1],
        ..Rules::default()
    }
}

#[tokio::test]
async fn a_large_answer_streams_through_and_its_usage_is_read_from_its_end() {
    let body = large_chat();
    let a = Backend::answering(Answer::json(200, body.clone())).await;
    let stage = Stage::new(&only(), &[&a]);
    let told = stage.call(chat()).await;
    assert_eq!(told.body, body);
    assert!(!told.broke);
    assert_eq!(told.header("x-tollgate-tokens"), None);
    assert_eq!(stage.level("tpm"), (17, 0));
    let record = stage.record().await;
    assert_eq!(record.outcome, Outcome::Ok);
    assert_eq!(record.metered, reported(12, 5));
}

#[tokio::test]
async fn a_large_answer_that_is_cut_breaks_off_and_is_counted() {
    let whole = large_chat();
    let (a, b) = (
        Backend::answering(Answer::json(200, whole.clone()).truncated()).await,
        Backend::answering(Answer::chat()).await,
    );
    let rules = Rules {
        priorities: vec![1, 1],
        ..Rules::default()
    };
    let stage = Stage::new(&rules, &[&a, &b]);
    let told = stage.call(chat()).await;
    assert!(told.broke, "it never looks whole");
    assert_eq!(b.requests(), 0);
    let record = stage.record().await;
    assert_eq!(record.outcome, Outcome::Cut);
    assert_eq!(record.attempts[0].failure, Some(AttemptFailure::Cut));
    assert_eq!(record.metered, reported(12, 5), "its usage had come");
}

#[tokio::test]
async fn a_client_that_leaves_a_large_answer_pays_for_what_passed() {
    let words = "moon ".repeat(HELD_BYTES / 4);
    let body = format!(r#"{{"choices":[{{"message":{{"content":"{words}"#);
    let a = Backend::answering(Answer::json(200, body).stalled()).await;
    let stage = Stage::new(&only(), &[&a]);
    drop(stage.begin(chat()).await);
    a.left(1).await;
    let record = stage.record().await;
    assert_eq!(record.outcome, Outcome::HungUp);
    let Metered::Estimated(usage) = record.metered else {
        panic!("{:?}", record.metered);
    };
    assert_eq!(usage.prompt, prompt_tokens());
    let held = (HELD_BYTES / "moon ".len()) as u64;
    assert!(usage.completion > held * 9 / 10, "{}", usage.completion);
}

#[tokio::test]
async fn a_large_error_of_the_client_is_passed_on_and_costs_nothing() {
    let body = format!(
        r#"{{"error":{{"message":"{}"}}}}"#,
        "too long ".repeat(HELD_BYTES / 8)
    );
    let a = Backend::answering(Answer::json(400, body.clone())).await;
    let stage = Stage::new(&only(), &[&a]);
    let told = stage.call(chat()).await;
    assert_eq!(told.status, 400);
    assert_eq!(told.body, body);
    assert_eq!(stage.level("tpm"), (0, 0));
    let record = stage.record().await;
    assert_eq!(record.outcome, Outcome::ClientError);
    assert_eq!(record.metered, Metered::NOTHING);
    assert_eq!(record.attempts[0].metered, Metered::NOTHING);
}

/// An answer of more than is held, its usage at its end.
fn large_chat() -> String {
    format!(
        r#"{{"choices":[{{"message":{{"content":"{}"}}}}],"usage":{{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17}}}}"#,
        "moon ".repeat(HELD_BYTES / 4)
    )
}
