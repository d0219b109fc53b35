//! 10,000 calls of every kind, and the ledger compared with the provider's own count of each.

use std::collections::HashMap;
use std::time::Duration;

use domain::Metered;
use domain::record::{CallRecord, Outcome};
use serde_json::json;
use simulator::Behaviour;
use simulator::ledger::Call as Count;
use tokio::task::JoinSet;

use crate::harness::{
    Call, Dice, Door, Gate, chat, completion, config, embedding, eventually, provider,
};

const CALLS: u64 = 10_000;
const CLIENTS: u64 = 48;

/// What a call is meant to be, and so what must stand on the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// Answered, its usage reported.
    Plain,
    /// Answered by a provider that never says what it cost.
    Unreported,
    /// Answered after an attempt that failed.
    Retried,
    /// Every attempt failed.
    Exhausted,
    /// The provider's own refusal.
    ClientError,
    /// The provider broke off in the middle of a stream.
    Cut,
    /// The client left in the middle of a stream.
    HungUp,
    /// The client left before the first byte.
    LeftEarly,
    /// Refused by the gateway.
    Refused,
}

fn make(dice: &mut Dice) -> (Kind, Call) {
    let words = 1 + dice.below(60);
    let prompt = format!(
        "{}answer {words} words",
        "water ".repeat(dice.below(40) as usize)
    );
    let stream = || chat(&prompt).stream();
    let compressions = ["gzip", "br", "zstd"];
    let compressed = json!({ "compress": compressions[dice.below(3) as usize] });
    let statuses = [429, 500, 503];
    let status = statuses[dice.below(3) as usize];
    match dice.below(100) {
        0..20 => (Kind::Plain, chat(&prompt)),
        20..26 => (Kind::Plain, completion(&prompt)),
        26..32 => (Kind::Plain, embedding(&prompt)),
        32..42 => (Kind::Plain, stream()),
        42..52 => (Kind::Plain, stream().with_usage()),
        52..55 => (Kind::Plain, completion(&prompt).stream()),
        55..58 => (Kind::Plain, chat(&prompt).simulate(compressed)),
        58..62 => (Kind::Plain, stream().simulate(compressed)),
        62..67 => (
            Kind::Unreported,
            chat(&prompt).simulate(json!({ "usage": "missing" })),
        ),
        67..75 => (
            Kind::Unreported,
            stream().simulate(json!({ "usage": "missing" })),
        ),
        75..79 => {
            let once = json!({ "fail_first": 1, "fail_status": status, "retry_after": "0ms" });
            (
                Kind::Retried,
                if dice.chance(50) {
                    stream()
                } else {
                    chat(&prompt)
                }
                .simulate(once),
            )
        }
        79..81 => (
            Kind::Exhausted,
            chat(&prompt).simulate(json!({ "status": status, "retry_after": "0ms" })),
        ),
        81 => (
            Kind::Exhausted,
            stream().simulate(json!({ "close_after_chunks": 0 })),
        ),
        82 => (
            Kind::Exhausted,
            chat(&prompt).simulate(json!({ "close_after_bytes": 50 })),
        ),
        83..87 => (
            Kind::ClientError,
            chat(&prompt).simulate(json!({ "status": 422 })),
        ),
        87..90 => (
            Kind::Cut,
            stream().simulate(json!({ "close_after_chunks": 1 + dice.below(words) })),
        ),
        // What was sent before the stall is known to all three.
        90..93 => (
            Kind::HungUp,
            stream().simulate(json!({ "stall_after_chunks": 1 + dice.below(words) })),
        ),
        93..96 => (
            Kind::LeftEarly,
            stream().simulate(json!({ "stall_after_chunks": 0 })),
        ),
        _ => (Kind::Refused, chat(&prompt).model("o3")),
    }
}

/// Makes the call as its kind says; gives its id, if the client ever learned it.
async fn play(door: &Door, kind: Kind, call: Call) -> Option<String> {
    match kind {
        Kind::LeftEarly => {
            // So that the provider has the call by then, however busy the machine is.
            let patience = Duration::from_secs(2);
            assert!(
                tokio::time::timeout(patience, door.try_open(call))
                    .await
                    .is_err(),
                "an answer came"
            );
            None
        }
        Kind::HungUp => {
            let sent = call_chunks(&call);
            let mut opened = door.open(call).await;
            for _ in 0..sent {
                opened.event().await.unwrap();
            }
            Some(opened.id())
        }
        _ => {
            let answer = door.send(call).await;
            let wanted = match kind {
                Kind::Exhausted => answer.status == 429 || answer.status == 502,
                Kind::ClientError => answer.status == 422,
                Kind::Refused => answer.status == 403,
                _ => answer.status == 200,
            };
            assert!(wanted && answer.is_whole, "{kind:?}: {answer:?}");
            assert_eq!(
                answer.text().contains("upstream_failed"),
                kind == Kind::Cut || answer.status == 502,
                "{kind:?}: {answer:?}"
            );
            Some(answer.id().to_owned())
        }
    }
}

fn call_chunks(call: &Call) -> u64 {
    let body: serde_json::Value = serde_json::from_slice(&call.body()).unwrap();
    body["simulate"]["stall_after_chunks"].as_u64().unwrap()
}

async fn client(door: Door, seed: u64) -> Vec<(Kind, Option<String>)> {
    let mut dice = Dice::new(seed);
    let mut made = Vec::new();
    for _ in (seed..CALLS).step_by(CLIENTS as usize) {
        let (kind, call) = make(&mut dice);
        made.push((kind, play(&door, kind, call).await));
    }
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_mixed_calls_are_on_the_ledger_as_the_provider_counted_them() {
    let region = provider(Behaviour::default()).await;
    let patient = json!({ "failure_threshold": 1.0, "min_throughput": 1_000_000 });
    // Both are the same provider, so that one count has every attempt.
    let config = config()
        .backend("east", region.address())
        .backend("west", region.address())
        .with("/backends/0/breaker", patient.clone())
        .with("/backends/1/breaker", patient)
        .retry(3, 1.0);
    let mut gate = Gate::start(config).await;
    let mut clients = JoinSet::new();
    for seed in 0..CLIENTS {
        clients.spawn(client(gate.door.clone(), seed));
    }
    let made: Vec<_> = clients.join_all().await.into_iter().flatten().collect();
    assert_eq!(made.len() as u64, CALLS);
    assert!(gate.stop().await.success());

    let counts = eventually("the end of every call at the provider", async || {
        let counts = region.calls();
        (counts.len() as u64 == region.counts().total.calls).then_some(counts)
    })
    .await;
    reconcile(&gate, &made, &counts);
}

fn reconcile(gate: &Gate, made: &[(Kind, Option<String>)], counts: &[Count]) {
    let records = gate.records();
    let by_id: HashMap<String, &CallRecord> = records
        .iter()
        .map(|record| (record.opening.id.to_string(), record))
        .collect();
    assert_eq!(by_id.len(), records.len(), "no call is there twice");
    let left_early = made
        .iter()
        .filter(|(kind, _)| *kind == Kind::LeftEarly)
        .count();
    let silent = records.iter().filter(|record| record.status == 0).count();
    assert!(
        silent <= left_early && silent * 10 >= left_early * 9,
        "{silent} records of {left_early} calls that left early"
    );
    assert_eq!(
        records.len() - silent,
        made.len() - left_early,
        "one record for each answer"
    );

    let mut attempts: HashMap<&str, Vec<&Count>> = HashMap::new();
    for count in counts {
        attempts.entry(&count.request_id).or_default().push(count);
    }
    for id in attempts.keys() {
        assert!(
            by_id.contains_key(*id),
            "the provider has a call that the ledger has not"
        );
    }
    let counted = |id: &str| attempts.get(id).map_or(&[][..], Vec::as_slice);
    for (kind, id) in made {
        if let Some(id) = id {
            check(*kind, by_id[id], counted(id));
        }
    }
    let mut sums = Sums::default();
    for (id, record) in &by_id {
        sums.add(record, counted(id));
    }
    sums.check();
    let rows = gate.usage("outcome");
    let calls: u64 = rows.iter().map(|row| row["calls"].as_u64().unwrap()).sum();
    let tokens: u64 = rows
        .iter()
        .map(|row| row["total_tokens"].as_u64().unwrap())
        .sum();
    assert_eq!(calls, records.len() as u64);
    assert_eq!(
        tokens,
        records
            .iter()
            .map(|record| record.metered.usage().total())
            .sum::<u64>()
    );
}

/// One call's record against the provider's attempts.
fn check(kind: Kind, record: &CallRecord, counted: &[&Count]) {
    let outcome = match kind {
        Kind::Plain | Kind::Unreported | Kind::Retried => Outcome::Ok,
        Kind::Exhausted => Outcome::UpstreamFailed,
        Kind::ClientError => Outcome::ClientError,
        Kind::Cut => Outcome::Cut,
        Kind::HungUp | Kind::LeftEarly => Outcome::HungUp,
        Kind::Refused => Outcome::Refused,
    };
    assert_eq!(record.outcome, outcome, "{kind:?}: {record:?} {counted:?}");
    assert_eq!(
        record.attempts.len(),
        counted.len(),
        "{kind:?}: {record:?} {counted:?}"
    );
    let attempts = match kind {
        Kind::Retried => 2..=3,
        // The retry budget may end it before the third.
        Kind::Exhausted => 1..=3,
        Kind::Refused => 0..=0,
        _ => 1..=1,
    };
    assert!(attempts.contains(&counted.len()), "{kind:?}: {record:?}");
    let is_estimated = matches!(kind, Kind::Unreported | Kind::Cut | Kind::HungUp);
    assert_eq!(
        record.metered.is_estimated(),
        is_estimated,
        "{kind:?}: {record:?}"
    );
    for (attempt, count) in record.attempts.iter().zip(counted) {
        assert_eq!(
            attempt.status,
            count.status.unwrap_or(0),
            "{kind:?}: {attempt:?} {count:?}"
        );
    }
    if kind == Kind::Retried {
        // Not always at another backend: one that just asked for a pause is left alone.
        let last = record.attempts.last().unwrap();
        assert!(record.attempts[0].failure.is_some() && last.failure.is_none());
    }
    if let Metered::Reported(usage) = record.metered
        && let Some(count) = counted.last().filter(|_| record.outcome == Outcome::Ok)
    {
        assert_eq!(
            (usage.prompt, usage.completion),
            (count.prompt_tokens, count.completion_tokens),
            "{kind:?}"
        );
    }
}

#[derive(Debug, Default)]
struct Sums {
    reported: u64,
    reported_at_provider: u64,
    estimated: u64,
    estimated_at_provider: u64,
    failed: u64,
    failed_at_provider: u64,
}

impl Sums {
    fn add(&mut self, record: &CallRecord, counted: &[&Count]) {
        let sent = |count: &Count| {
            count.prompt_tokens
                + if count.complete {
                    count.completion_tokens
                } else {
                    count.sent_tokens
                }
        };
        for (attempt, count) in record.attempts.iter().zip(counted) {
            let metered = attempt.metered.usage().total();
            if attempt.failure.is_some() && record.outcome == Outcome::UpstreamFailed {
                self.failed += metered;
                self.failed_at_provider += count.prompt_tokens;
            } else if attempt.metered.is_estimated() {
                self.estimated += metered;
                self.estimated_at_provider += sent(count);
            } else {
                self.reported += metered;
                self.reported_at_provider += sent(count);
            }
        }
    }

    fn check(&self) {
        assert!(
            self.reported > 100_000 && self.estimated > 10_000,
            "{self:?}"
        );
        assert_eq!(self.reported, self.reported_at_provider, "to the token");
        for (ours, theirs) in [
            (self.estimated, self.estimated_at_provider),
            (self.failed, self.failed_at_provider),
        ] {
            assert!(ours.abs_diff(theirs) * 50 <= theirs, "within 2%: {self:?}");
        }
    }
}
