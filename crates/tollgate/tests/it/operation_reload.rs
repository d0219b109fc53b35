//! Reloads while calls and streams are under way: all or nothing, a thousand times.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::record::Outcome;
use simulator::Behaviour;
use tokio::task::JoinSet;

use crate::harness::{Answer, Gate, chat, config, in_time, provider};

const RELOADS: u64 = 1_000;
/// The token limit's figure tells the configurations apart: clients see it in a header.
const FIRST_LIMIT: u64 = 1_000_000_000;

/// A call's id and the limit that it was told.
fn seen(answer: &Answer) -> (String, u64) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.is_whole);
    let limit = answer.number("x-ratelimit-limit-tokens");
    (answer.id().to_owned(), limit)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_reloads_half_of_them_broken_drop_no_call_and_mix_no_policy() {
    let region = provider(Behaviour::default()).await;
    let config_of = |limit: u64| {
        config()
            .backend("east", region.address())
            .token_limit("tpm", limit)
    };
    let mut gate = Gate::start(config_of(FIRST_LIMIT)).await;

    let over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for number in 0..4 {
        let (door, over) = (gate.door.clone(), over.clone());
        clients.spawn(async move {
            let mut answers = Vec::new();
            while !over.load(Ordering::Relaxed) {
                // Two of them stream for longer than many reloads take; the others' calls are under way in
                // one or two.
                let call = match number % 2 {
                    0 => chat("answer 10 words").simulate(serde_json::json!({ "hang": "20ms" })),
                    _ => chat("answer 40 words")
                        .stream()
                        .simulate(serde_json::json!({ "tokens_per_second": 40 })),
                };
                answers.push(seen(&door.send(call).await));
            }
            answers
        });
    }

    let mut log = LogReader::default();
    for number in 1..=RELOADS {
        let limit = FIRST_LIMIT + number;
        if number % 2 == 1 {
            // Everything as in a good one, but for one field.
            let broken = config_of(limit).with("/time_zone", format!("Nowhere/{number}").into());
            gate.rewrite(broken);
            gate.signal("HUP");
            let line = log.wait(&gate, &format!("`Nowhere/{number}`")).await;
            let place = line.split("tollgate.yaml:").nth(1).unwrap();
            assert!(place.starts_with(|c: char| c.is_ascii_digit()), "{line}");
            assert!(
                place.contains("time_zone") && place.contains("; write"),
                "{line}"
            );
        } else {
            gate.rewrite(config_of(limit));
            gate.signal("HUP");
            log.wait(&gate, "\"configuration in force\"").await;
        }
    }
    over.store(true, Ordering::Relaxed);
    let mut answers = Vec::new();
    while let Some(of_one) = in_time("the clients' end", clients.join_next()).await {
        answers.extend(of_one.unwrap());
    }

    let records = gate.all_records(answers.len()).await;
    let records: HashMap<String, _> = records
        .into_iter()
        .map(|record| (record.opening.id.to_string(), record))
        .collect();
    // The file may be found by itself between its change and the signal: then it is in force twice,
    // under two revisions. Never is one revision two configurations.
    let mut revisions = BTreeMap::new();
    for (id, limit) in &answers {
        let record = &records[id];
        assert_eq!(record.outcome, Outcome::Ok);
        let told = *revisions.entry(record.opening.revision).or_insert(*limit);
        assert_eq!(told, *limit, "revision {}", record.opening.revision);
    }
    assert!(revisions.values().is_sorted());
    let broken = revisions.values().find(|limit| *limit % 2 == 1);
    assert_eq!(broken, None, "a broken configuration was in force");
    eprintln!(
        "{} calls under {} revisions",
        answers.len(),
        revisions.len()
    );
    assert!(answers.len() > 100 && revisions.len() > 50);
    let log = gate.log();
    for said in [
        "\"configuration in force\"",
        "not loaded: the configuration in force stays",
    ] {
        assert!(log.matches(said).count() as u64 >= RELOADS / 2, "{said}");
    }
    assert!(gate.stop().await.success());
}

/// Reads a growing log once.
#[derive(Default)]
struct LogReader {
    read: usize,
}

impl LogReader {
    /// The next line that contains `text`.
    async fn wait(&mut self, gate: &Gate, text: &str) -> String {
        in_time(text, async {
            loop {
                let log = gate.log();
                let mut lines = log[self.read..].split_inclusive('\n');
                while let Some(line) = lines.next().filter(|line| line.ends_with('\n')) {
                    self.read += line.len();
                    if line.contains(text) {
                        return line.to_owned();
                    }
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await
    }
}
