//! The simulator's own count.

use serde_json::{Value, json};
use simulator::Behaviour;
use simulator::behaviour::UsageForm;
use simulator::ledger::Tally;

use crate::client::{ask, chat, post, region};

#[tokio::test]
async fn counts_hold_every_answer_whose_last_byte_was_seen() {
    let region = region(Behaviour::default()).await;
    for round in 0..200 {
        let stream = round % 2 == 0;
        ask(
            &region,
            &chat("answer 5 words", json!({ "stream": stream })),
        )
        .await;
        let total = region.counts().total;
        assert_eq!(
            (total.complete, total.sent_tokens),
            (round + 1, 5 * (round + 1))
        );
    }
    let expected = Tally {
        calls: 200,
        answers: [(200, 200)].into(),
        prompt_tokens: 200 * 11,
        completion_tokens: 1000,
        sent_tokens: 1000,
        complete: 200,
        complete_prompt_tokens: 200 * 11,
        complete_completion_tokens: 1000,
        hang_ups: 0,
    };
    assert_eq!(region.counts().total, expected);
    assert_eq!(region.counts().models["gpt-4o"], expected);
}

#[tokio::test]
async fn calls_are_known_by_the_id_they_came_with() {
    let region = region(Behaviour::default()).await;
    let body = chat("answer 5 words", json!({})).to_string();
    post(
        region.address(),
        "/v1/chat/completions",
        &body,
        &[("x-request-id", "mine")],
    )
    .await
    .unwrap();
    let call = region
        .calls()
        .into_iter()
        .find(|call| call.request_id == "mine")
        .unwrap();
    assert_eq!(
        (call.status, call.completion_tokens, call.complete),
        (Some(200), 5, true)
    );
}

#[tokio::test]
async fn usage_comes_in_every_form_that_is_met_in_the_field() {
    let streamed = json!({ "stream": true, "stream_options": { "include_usage": true } });
    let usages = async |usage| {
        let region = region(Behaviour {
            usage,
            ..Behaviour::default()
        })
        .await;
        let unary = ask(&region, &chat("answer 2 words", json!({})))
            .await
            .json();
        let events = ask(&region, &chat("answer 2 words", streamed.clone()))
            .await
            .events();
        (
            unary.get("usage").cloned(),
            events
                .iter()
                .map(|event| event.get("usage").cloned())
                .collect::<Vec<_>>(),
        )
    };
    let (unary, stream) = usages(UsageForm::Missing).await;
    assert!(unary.is_none() && stream.iter().all(Option::is_none));
    assert_eq!(usages(UsageForm::Null).await.0, Some(Value::Null));
    assert_eq!(
        usages(UsageForm::Bare).await.0,
        Some(json!({ "prompt_tokens": 11, "completion_tokens": 2 }))
    );
    assert_eq!(
        usages(UsageForm::NullDetails).await.0.unwrap()["prompt_tokens_details"],
        Value::Null
    );
    let (_, stream) = usages(UsageForm::LastChoice).await;
    assert_eq!(
        (
            stream.len(),
            &stream[3].as_ref().unwrap()["completion_tokens"]
        ),
        (4, &json!(2))
    );
    let (_, stream) = usages(UsageForm::EveryChunk).await;
    let growing: Vec<_> = stream
        .iter()
        .map(|usage| {
            usage.as_ref().unwrap()["completion_tokens"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(growing, [0, 1, 2, 2, 2]);
}
