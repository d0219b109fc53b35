//! Many calls at once that end in every way there is: each leaves one record, and together they
//! leave nothing behind.

use std::collections::HashSet;

use domain::record::Outcome;
use gateway::clock::Chance;
use tokio::task::JoinSet;

use crate::scripted::{Answer, Backend, DELTA, DONE, Script, USAGE};
use crate::stage::{IP, Rules, Stage, Told, chat, streamed_chat};

const CALLS: usize = 300;

fn scripts() -> Vec<Script> {
    let error = "data: {\"error\":{\"message\":\"overloaded\"}}\n\n";
    let mut scripts = vec![Script::Reset];
    scripts.extend(
        [
            Answer::chat(),
            Answer::chat(),
            Answer::chat().truncated(),
            Answer::error(400),
            Answer::error(429).with("retry-after-ms", "5"),
            Answer::error(503),
            Answer::stream(&[DELTA, USAGE, DONE]),
            Answer::stream(&[DELTA, DONE]),
            Answer::stream(&[DELTA, error]),
            Answer::stream(&[DELTA]).closed(),
            Answer::stream(&[DELTA]).stalled(),
        ]
        .map(Script::Answer),
    );
    scripts
}

#[tokio::test]
async fn however_calls_end_each_leaves_one_record_and_nothing_stays_reserved() {
    let backends = [
        Backend::answering(Answer::chat()).await,
        Backend::answering(Answer::stream(&[DELTA, USAGE, DONE])).await,
        Backend::answering(Answer::chat()).await,
    ];
    let chance = Chance::seeded(7);
    let scripts = scripts();
    for backend in &backends {
        for _ in 0..CALLS {
            backend.then(scripts[chance.roll() as usize % scripts.len()].clone());
        }
    }
    let rules = Rules {
        timeout: "{ first_byte: 10s, idle: 20ms }".into(),
        breaker: "{ min_throughput: 20, trip_duration: 1s }".into(),
        limits: "
    token_limits: [ { name: tpm, tokens_per_minute: 5000 } ]
    concurrency_limits: [ { name: open, max_concurrent: 40 } ]
    quotas: [ { name: day, tokens: 1000000, period: day } ]"
            .into(),
        ..Rules::default()
    };
    let stage = Stage::new(&rules, &backends.each_ref());

    let mut calls = JoinSet::new();
    for call in 0..CALLS {
        let gateway = stage.gateway.clone();
        let clock = stage.clock.clone();
        // A third of the clients leave, after any number of steps.
        let patience = chance.roll().is_multiple_of(3).then(|| chance.roll() % 60);
        calls.spawn(async move {
            let request = if call % 2 == 0 {
                chat()
            } else {
                streamed_chat()
            };
            let whole = async { Told::read(gateway.handle(request, IP).await).await };
            let leaves = async {
                for _ in 0..patience.unwrap_or(u64::MAX) {
                    // Silence is measured on this clock.
                    clock.advance(std::time::Duration::from_millis(1));
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                biased;
                _ = whole => {}
                () = leaves => {}
            }
        });
        if call % 50 == 49 {
            while calls.join_next().await.is_some() {}
        }
    }

    let (tokens, reserved) = stage.level("day");
    assert_eq!(reserved, 0);
    let records = stage.records().await;
    assert_eq!(records.len(), CALLS);
    let ids: HashSet<_> = records.iter().map(|record| record.opening.id).collect();
    assert_eq!(ids.len(), CALLS);
    let charged: u64 = records
        .iter()
        .map(|record| record.metered.usage().total())
        .sum();
    assert_eq!(charged, tokens);
    for outcome in [
        Outcome::Ok,
        Outcome::ClientError,
        Outcome::Refused,
        Outcome::UpstreamFailed,
        Outcome::Cut,
        Outcome::HungUp,
    ] {
        let times = records.iter().filter(|record| record.outcome == outcome);
        assert!(times.count() > 0, "no call ended {outcome:?}");
    }
    for record in &records {
        let answered = record
            .attempts
            .iter()
            .filter(|tried| tried.failure.is_none());
        let is_answered = matches!(record.outcome, Outcome::Ok | Outcome::ClientError);
        assert_eq!(answered.count(), usize::from(is_answered), "{record:#?}");
    }
}
