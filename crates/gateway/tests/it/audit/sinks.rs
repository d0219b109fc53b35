//! Copies of audit records: when they leave, and what a sink that lags does not get.

use super::*;
use crate::sinks::metric;

fn sinks(folder: &Path, sinks: &str) -> Rules {
    Rules {
        alerts: format!("sinks:\n{sinks}"),
        ..rules(folder, "{ content: full, retention: 30d }", "[]")
    }
}

fn purger() -> Actor {
    Actor {
        by: "test".into(),
        role: "admin".into(),
        reason: "a test".into(),
    }
}

#[tokio::test]
async fn retention_waits_for_no_sink_and_metrics_count_what_each_missed() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Backend::answering(Answer::chat()).await;
    let path = folder.path().display();
    // Their folder is not there yet.
    let sinks = sinks(
        folder.path(),
        &format!(
            "  - {{ id: plain, file: {{ path: \"{path}/late/plain.jsonl\" }}, records: [audit] }}
  - {{ id: whole, file: {{ path: \"{path}/late/whole.jsonl\" }}, records: [audit], content: true }}"
        ),
    );
    let stage = Stage::new(&sinks, &[&backend]);
    let store = stage.gateway.snapshot.load_full().auditing.stores[0].clone();
    for _ in 0..3 {
        stage.call(asking("How far is the moon?")).await;
    }
    let open = || stores::archive(&store, &credentials(), now()).unwrap();
    let chained = || open().events(None, 1).is_ok() && audit::cursors(&store.dir).is_ok();
    eventually("the store is there", chained).await;
    let waiting = || {
        let cursors = audit::cursors(&store.dir).unwrap();
        cursors
            .iter()
            .map(|cursor| cursor.lag.records)
            .collect::<Vec<_>>()
    };
    eventually("all are on the chain", || waiting() == [3, 3]).await;
    let later = now() + std::time::Duration::from_secs(31 * 86_400);
    let purged = open().purge(&purger(), later).unwrap();
    assert_eq!(
        (purged.records, purged.missed),
        (3, [("whole".to_owned(), 3)].into())
    );

    let missed = |sink: &str| {
        let series = format!("tollgate_sink_missed_records_total{{sink=\"{sink}\"}}");
        metric(&stage.gateway, &series)
    };
    eventually("it is counted", || missed("whole") as u64 == 3).await;
    assert_eq!(missed("plain") as u64, 0);

    // What is left of the records still arrives, as what it is.
    std::fs::create_dir(folder.path().join("late")).unwrap();
    let lines = || {
        let text = std::fs::read_to_string(folder.path().join("late/whole.jsonl"));
        let text = text.unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .collect::<Vec<_>>()
    };
    eventually("they arrive", || lines().len() == 3).await;
    assert!(
        lines()
            .iter()
            .all(|event| event.get("content").is_none_or(Value::is_null))
    );
    stage.gateway.close().await;
    let events = open().events(None, 100).unwrap();
    let purge = events.iter().find(
        |entry| matches!(&entry.event, audit::Event::Purged { ranges, .. } if !ranges.is_empty()),
    );
    let details = purge.unwrap().details.as_ref().unwrap();
    assert_eq!(details.about, "missed by sink whole: 3");
}

#[tokio::test]
async fn copies_of_records_leave_with_content_only_where_the_sink_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Backend::answering(Answer::chat()).await;
    let path = folder.path().display();
    let rules = Rules {
        alerts: format!(
            "sinks:
  - {{ id: plain, file: {{ path: \"{path}/plain.jsonl\" }}, records: [audit], batch: {{ linger: 1ms }} }}
  - {{ id: whole, file: {{ path: \"{path}/whole.jsonl\" }}, records: [audit], content: true, batch: {{ linger: 1ms }} }}"
        ),
        ..rules(folder.path(), "{ content: full }", "[]")
    };
    let stage = Stage::new(&rules, &[&backend]);
    let snapshot = stage.gateway.snapshot.load_full();
    stage.call(asking("How far is the moon?")).await;
    stage.call(streamed_chat()).await;
    let lines = |name: &str| -> Vec<Value> {
        let text = std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let are_copied = || lines("plain.jsonl").len() == 2 && lines("whole.jsonl").len() == 2;
    eventually("both are copied", are_copied).await;
    let (plain, whole) = (lines("plain.jsonl"), lines("whole.jsonl"));
    assert_eq!((plain.len(), whole.len()), (2, 2));
    assert_eq!(
        (&plain[0]["schema"], &plain[0]["subscription"]),
        (&json!("tollgate.audit/1"), &json!("search"))
    );
    assert_eq!(plain[0]["id"], whole[0]["id"]);
    assert!(plain.iter().all(|event| event.get("content").is_none()));
    assert!(
        whole[0]["content"]["prompt"]
            .as_str()
            .unwrap()
            .contains("How far is the moon?")
    );
    assert_eq!(whole[0]["content"]["answer"], CHAT);
    stage.gateway.close().await;
    let store = &snapshot.auditing.stores[0];
    let mut archive = stores::archive(store, &credentials(), now()).unwrap();
    let events = archive.events(None, 100).unwrap();
    let forwards = events
        .iter()
        .filter(|entry| matches!(entry.event, audit::Event::Read(audit::Read::Forward)));
    assert_eq!(forwards.count(), 2);
    assert!(
        archive
            .verify(&audit::Options::default())
            .unwrap()
            .is_sound(),
        "closing waits for no sink"
    );
}

#[tokio::test]
async fn a_replay_is_on_the_log_also_where_its_entry_cannot_be_written_at_first() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Backend::answering(Answer::chat()).await;
    let path = folder.path().display();
    let copies =
        format!("  - {{ id: siem, file: {{ path: \"{path}/siem.jsonl\" }}, records: [audit] }}");
    let stage = Stage::new(&sinks(folder.path(), &copies), &[&backend]);
    let store = stage.gateway.snapshot.load_full().auditing.stores[0].clone();
    stage.call(asking("How far is the moon?")).await;
    let lines = || {
        let text = std::fs::read_to_string(folder.path().join("siem.jsonl"));
        text.unwrap_or_default().lines().count()
    };
    eventually("it is copied", || lines() == 1).await;
    let cursors = || audit::cursors(&store.dir).unwrap();
    eventually("it has passed", || cursors()[0].lag.records == 0).await;

    // The log takes no more entries about who looked.
    let database = rusqlite::Connection::open(store.dir.join("audit.sqlite")).unwrap();
    database
        .busy_timeout(std::time::Duration::from_secs(60))
        .unwrap();
    let trigger = "CREATE TRIGGER full BEFORE INSERT ON chain WHEN NEW.segment IS NULL AND NEW.sealed IS NOT NULL BEGIN SELECT RAISE(FAIL, 'full'); END";
    database.execute_batch(trigger).unwrap();
    audit::rewind(&store.dir, "siem", Wall(0), now()).unwrap();
    let failures = || {
        metric(
            &stage.gateway,
            "tollgate_sink_failures_total{sink=\"siem\"}",
        )
    };
    eventually("it was tried again", || failures() as u64 >= 2).await;
    assert_eq!(lines(), 1, "nothing leaves before");
    database.execute_batch("DROP TRIGGER full").unwrap();
    drop(database);
    eventually("it is copied again", || lines() == 2).await;

    stage.gateway.close().await;
    let mut archive = stores::archive(&store, &credentials(), now()).unwrap();
    let entries = archive.events(None, 100).unwrap();
    let forwards = entries
        .into_iter()
        .filter(|entry| matches!(entry.event, audit::Event::Read(audit::Read::Forward)));
    let reasons: Vec<String> = forwards
        .map(|entry| entry.details.unwrap().actor.reason)
        .collect();
    assert_eq!(reasons, ["replayed", "configured"]);
}
