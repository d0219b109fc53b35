//! kill -9 under load, twenty times over one data directory.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::record::{CallRecord, Outcome};
use serde_json::json;
use simulator::{Behaviour, Running};
use tokio::task::JoinSet;

use crate::harness::{Call, Config, Dice, Door, Gate, chat, config, eventually, provider};

const KILLS: usize = 20;
const CLIENTS: u64 = 12;
const ANSWERS_BEFORE_A_KILL: usize = 60;
const QUOTA: u64 = 1_000_000_000;

/// An answer that a client read to its end.
#[derive(Clone, Debug)]
struct Finished {
    id: String,
    /// What a unary answer said of itself.
    tokens: Option<u64>,
}

#[derive(Default)]
struct Load {
    finished: Mutex<Vec<Finished>>,
    count: AtomicUsize,
    is_over: AtomicBool,
}

async fn client(door: Door, seed: u64, load: Arc<Load>) {
    let mut dice = Dice::new(seed);
    while !load.is_over.load(Ordering::Relaxed) {
        let streams = dice.chance(50);
        let Ok(opened) = door.try_open(call(&mut dice, streams)).await else {
            continue;
        };
        let id = opened.id();
        let answer = opened.rest().await;
        if answer.status == 200 && answer.is_whole {
            let tokens = (!streams).then(|| answer.total_tokens());
            load.finished.lock().unwrap().push(Finished { id, tokens });
            load.count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn call(dice: &mut Dice, streams: bool) -> Call {
    let call = chat(&format!("answer {} words", 1 + dice.below(60)));
    if streams { call.stream() } else { call }
}

fn quota_of(address: std::net::SocketAddr) -> Config {
    config().backend("east", address).longest_answer(4000).add(
        "/products/0/quotas",
        json!({ "name": "year", "tokens": QUOTA, "period": "year", "reserve": "max" }),
    )
}

/// Runs clients until enough of their answers ended, then kills the gateway under them.
async fn load_and_kill(gate: &mut Gate, round: usize) -> Vec<Finished> {
    let load = Arc::new(Load::default());
    let mut clients = JoinSet::new();
    for seed in 0..CLIENTS {
        clients.spawn(client(
            gate.door.clone(),
            seed + 100 * round as u64,
            load.clone(),
        ));
    }
    eventually("enough answers", async || {
        (load.count.load(Ordering::Relaxed) >= ANSWERS_BEFORE_A_KILL).then_some(())
    })
    .await;
    gate.kill9();
    load.is_over.store(true, Ordering::Relaxed);
    clients.join_all().await;
    std::mem::take(&mut *load.finished.lock().unwrap())
}

/// What the quota says is used: told by a call that asks for all of it.
async fn quota_used(gate: &Gate) -> u64 {
    let refusal = gate.send(chat("hi").max_tokens(QUOTA - 10)).await;
    assert_eq!(
        (refusal.status, refusal.code()),
        (403, "quota_exceeded".to_owned()),
        "{:?}",
        refusal.body
    );
    assert_eq!(
        refusal.why("reserved"),
        0,
        "no reservation outlives its call"
    );
    refusal.why("used").as_u64().unwrap()
}

/// Everything that the provider was ever asked is on the ledger, once.
async fn whole_ledger(gate: &Gate, region: &Running) -> HashMap<String, CallRecord> {
    let asked: HashSet<String> = region
        .calls()
        .into_iter()
        .map(|call| call.request_id)
        .collect();
    let records = eventually("every call that the provider saw", async || {
        let records = gate.records();
        let ids: HashSet<_> = records
            .iter()
            .map(|record| record.opening.id.to_string())
            .collect();
        asked.is_subset(&ids).then_some(records)
    })
    .await;
    let count = records.len();
    let by_id: HashMap<_, _> = records
        .into_iter()
        .map(|record| (record.opening.id.to_string(), record))
        .collect();
    assert_eq!(by_id.len(), count, "no call is there twice");
    by_id
}

fn opens_cleanly(gate: &Gate) {
    let mut checked = 0;
    for entry in std::fs::read_dir(gate.data()).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "sqlite")
        {
            let database = rusqlite::Connection::open(&path).unwrap();
            let verdict: String = database
                .query_row("PRAGMA integrity_check", [], |row| row.get(0))
                .unwrap();
            assert_eq!(verdict, "ok", "{}", path.display());
            checked += 1;
        }
    }
    assert!(checked > 0, "there is a database");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_under_load_lose_no_answer_that_a_client_finished() {
    let paced = Behaviour {
        latency: Duration::from_millis(5),
        jitter: Duration::from_millis(20),
        tokens_per_second: 2000,
        ..Behaviour::default()
    };
    let region = provider(paced).await;
    let mut gate = Gate::start(quota_of(region.address())).await;
    let mut finished = Vec::new();
    for round in 0..KILLS {
        finished.extend(load_and_kill(&mut gate, round).await);
        opens_cleanly(&gate);
        gate.restart().await;
        let ledger = whole_ledger(&gate, &region).await;
        for Finished { id, tokens } in &finished {
            let record = &ledger[id];
            assert_eq!(record.outcome, Outcome::Ok, "a client read all of {id}");
            if let Some(tokens) = tokens {
                assert_eq!(record.metered.usage().total(), *tokens, "{id}");
            }
        }
        let charged: u64 = ledger
            .values()
            .map(|record| record.metered.usage().total())
            .sum();
        assert_eq!(
            quota_used(&gate).await,
            charged,
            "counters continue where they were"
        );
    }
    let ledger = whole_ledger(&gate, &region).await;
    let interrupted: Vec<_> = ledger
        .values()
        .filter(|record| record.outcome == Outcome::Interrupted)
        .collect();
    assert!(
        interrupted.len() >= KILLS,
        "calls were in flight at every kill: {}",
        interrupted.len()
    );
    for record in interrupted {
        assert!(record.metered.is_estimated(), "{record:?}");
        assert!(
            record.metered.usage().prompt > 0,
            "the prompt was known: {record:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_stream_is_charged_for_what_had_passed() {
    let stalling = Behaviour {
        stall_after_chunks: Some(21),
        ..Behaviour::default()
    };
    let region = provider(stalling).await;
    let mut gate = Gate::start(quota_of(region.address())).await;
    let mut stream = gate.open(chat("answer 60 words").stream()).await;
    for _ in 0..21 {
        stream.event().await.unwrap();
    }
    gate.kill9();
    gate.restart().await;
    let record = gate.record(&stream.id()).await;
    assert_eq!(record.outcome, Outcome::Interrupted);
    let usage = record.metered.usage();
    assert!(
        (1..=100).contains(&usage.prompt),
        "as far as it was known: {usage:?}"
    );
    assert!(
        (19..=22).contains(&usage.completion),
        "20 words had passed: {usage:?}"
    );
    assert_eq!(quota_used(&gate).await, usage.total());
}

#[tokio::test(flavor = "multi_thread")]
async fn token_and_request_limits_continue_after_a_kill_and_after_a_stop() {
    let region = provider(Behaviour::default()).await;
    let limited = config()
        .backend("east", region.address())
        .token_limit("team-tpm", 100_000)
        .request_limit("team-rpm", 100);
    let mut gate = Gate::start(limited).await;
    for call in 1..=3 {
        let answer = gate.send(chat("answer 60 words").max_tokens(60)).await;
        assert_eq!(answer.number("x-ratelimit-remaining-requests"), 100 - call);
        // Each call before this one counts its 71 tokens; this one holds no less, and at most its
        // prompt's bytes.
        let counted = 100_000 - answer.number("x-ratelimit-remaining-tokens");
        let held = counted - (call - 1) * 71;
        assert!((71..200).contains(&held), "call {call} holds {held}");
        if call == 1 {
            gate.kill9();
        } else {
            assert!(gate.stop().await.success());
        }
        gate.restart().await;
    }
}
