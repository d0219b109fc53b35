//! Sinks of the real binary: kill -9, other configurations, and what an operator asks. Kafka has its own
//! tests, in `tests/kafka`.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value, json};
use simulator::Behaviour;
use tokio::task::JoinSet;

use crate::harness::{Config, Gate, chat, config, eventually, provider};

const KILLS: usize = 6;
/// Between two kills, of each client. Where the disk is slow, an archive that follows clients without a
/// bound never catches up.
const CALLS: usize = 60;

/// A small file, rotated and compressed every few dozen calls.
fn archiving(config: Config, folder: &Path) -> Config {
    let path = folder.join("usage.jsonl");
    let rotate = json!({ "size": "16KiB", "compression": "zstd", "keep": 1000 });
    config.add(
        "/sinks",
        json!({
            "id": "archive",
            "file": { "path": path, "rotate": rotate },
            "batch": { "linger": "5ms", "records": 20 },
        }),
    )
}

/// Every line of every file, by its call's id, and how often it is there.
fn archived(folder: &Path) -> HashMap<String, usize> {
    let mut events = HashMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // It may be renamed or compressed meanwhile: then it is read the next time.
        let Ok(bytes) = std::fs::read(&path) else {
            continue;
        };
        let bytes = match path.extension().and_then(|extension| extension.to_str()) {
            Some("zst") => zstd::decode_all(&*bytes).unwrap(),
            Some("jsonl") => bytes,
            _ => continue,
        };
        for line in String::from_utf8(bytes).unwrap().lines() {
            // The last line of a file that is being written to.
            let Ok(event) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            let id = event["id"].as_str().unwrap().to_owned();
            *events.entry(id).or_default() += 1;
        }
    }
    events
}

async fn archives_the_whole_ledger(gate: &Gate, folder: &Path) -> HashMap<String, usize> {
    eventually("every call in the archive", async || {
        let ledger = gate.records();
        let archived = archived(folder);
        let all = ledger
            .iter()
            .all(|record| archived.contains_key(&record.opening.id.to_string()));
        (all && archived.len() == ledger.len()).then_some(archived)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_under_load_lose_no_event_and_leave_only_whole_lines() {
    let region = provider(Behaviour::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let archiving = archiving(config().backend("east", region.address()), folder.path());
    let mut gate = Gate::start(archiving).await;
    let mut finished = Vec::new();
    for _ in 0..KILLS {
        let mut clients = JoinSet::new();
        for _ in 0..8 {
            let door = gate.door.clone();
            clients.spawn(async move {
                let mut finished = Vec::new();
                for _ in 0..CALLS {
                    let Ok(opened) = door.try_open(chat("answer 5 words")).await else {
                        break;
                    };
                    let id = opened.id();
                    let answer = opened.rest().await;
                    if answer.status != 200 || !answer.is_whole {
                        break;
                    }
                    finished.push(id);
                }
                finished
            });
        }
        eventually("some more in the archive", async || {
            (archived(folder.path()).len() > finished.len() + 50).then_some(())
        })
        .await;
        gate.kill9();
        finished.extend(clients.join_all().await.into_iter().flatten());
        gate.restart().await;
    }
    let archived = archives_the_whole_ledger(&gate, folder.path()).await;
    for id in &finished {
        assert!(archived.contains_key(id), "a client read all of {id}");
    }
    assert!(gate.stop().await.success());
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "jsonl")
        {
            for line in std::fs::read_to_string(path).unwrap().lines() {
                serde_json::from_str::<Value>(line).unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_is_added_while_the_gateway_runs_begins_where_it_is_told_to() {
    let region = provider(Behaviour::default()).await;
    let (late, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let plain = config().backend("east", region.address());
    let mut gate = Gate::start(plain.clone()).await;
    for _ in 0..5 {
        gate.send(chat("answer 5 words")).await;
    }
    gate.all_records(5).await;
    let sink = |id: &str, folder: &Path, from: &str| json!({ "id": id, "file": { "path": folder.join("usage.jsonl") }, "from": from, "batch": { "linger": "5ms" } });
    gate.rewrite(
        plain
            .add("/sinks", sink("late", late.path(), "now"))
            .add("/sinks", sink("whole", whole.path(), "start")),
    );
    eventually("the old calls", async || {
        (archived(whole.path()).len() == 5).then_some(())
    })
    .await;
    gate.send(chat("answer 5 words")).await;
    eventually("the new one", async || {
        (archived(late.path()).len() == 1).then_some(())
    })
    .await;
    eventually("all", async || {
        (archived(whole.path()).len() == 6).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_can_list_test_replay_and_forget() {
    let region = provider(Behaviour::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let archiving = archiving(config().backend("east", region.address()), folder.path());
    let gate = Gate::start(archiving).await;
    for _ in 0..3 {
        gate.send(chat("answer 5 words")).await;
    }
    gate.all_records(3).await;
    archives_the_whole_ledger(&gate, folder.path()).await;
    let said = |arguments: &[&str]| {
        let output = gate.tollgate(arguments);
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };

    let waiting = async || {
        let (_, listed) = said(&["sinks", "list", "--format", "json"]);
        let listed: Value = serde_json::from_str(&listed).unwrap();
        assert_eq!(listed[0]["sink"], "archive", "{listed}");
        assert_eq!(listed[0]["state"], "configured", "{listed}");
        (listed[0]["waiting"] == 0).then_some(())
    };
    eventually("nothing waits", waiting).await;

    let (worked, text) = said(&["sinks", "replay", "archive", "--since", "1h"]);
    assert!(
        worked && text.starts_with("archive: 3 calls are sent again"),
        "{text}"
    );
    eventually("they come twice", async || {
        archived(folder.path())
            .values()
            .all(|times| *times == 2)
            .then_some(())
    })
    .await;

    let (worked, text) = said(&["sinks", "test"]);
    assert_eq!(
        (worked, &*text),
        (true, "archive (file): took a test event\n")
    );
    let (worked, text) = said(&["sinks", "replay", "nobody", "--since", "1h"]);
    assert!(
        !worked && text.contains("no sink `nobody` has run"),
        "{text}"
    );
    let (worked, text) = said(&["sinks", "test", "nobody"]);
    assert!(!worked && text.contains("no sink `nobody`"), "{text}");
    let (worked, text) = said(&["sinks", "forget", "archive"]);
    assert_eq!(
        (worked, &*text),
        (true, "archive: its place is forgotten\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_not_there_is_told_in_words_and_holds_up_no_call() {
    let region = provider(Behaviour::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("later");
    let archiving = archiving(config().backend("east", region.address()), &missing);
    let gate = Gate::start(archiving).await;
    assert_eq!(gate.send(chat("answer 5 words")).await.status, 200);
    eventually("it is seen", async || {
        let metrics = gate.metrics().await;
        (metrics.sum("tollgate_sink_failing", &["sink=\"archive\""]) == 1).then_some(())
    })
    .await;
    assert!(
        gate.log().contains("sink fails: events wait on the ledger"),
        "{}",
        gate.log()
    );
    gate.all_records(1).await;
    std::fs::create_dir(&missing).unwrap();
    archives_the_whole_ledger(&gate, &missing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_fails_is_listed_with_the_reason_until_it_works_again() {
    let region = provider(Behaviour::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let late = folder.path().join("late");
    let gate = Gate::start(archiving(config().backend("east", region.address()), &late)).await;
    gate.send(chat("hello")).await;
    let listed = || {
        let output = gate.tollgate(&["sinks", "list", "--format", "json"]);
        let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
        listed[0].clone()
    };
    let failing = eventually("it is listed as failing", async || {
        let sink = listed();
        (sink["state"] == "failing").then_some(sink)
    })
    .await;
    let error = failing["error"].as_str().unwrap();
    assert!(
        error.contains("late/usage.jsonl") && error.contains("No such file"),
        "{error}"
    );
    assert!(failing["failing_since"].is_string(), "{failing}");
    std::fs::create_dir(&late).unwrap();
    eventually("it works again", async || {
        let sink = listed();
        let is_well = sink["state"] == "configured" && sink["waiting"] == 0;
        is_well.then(|| assert_eq!(sink["error"], Value::Null))
    })
    .await;
}
