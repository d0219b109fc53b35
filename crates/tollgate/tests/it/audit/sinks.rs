//! Sinks that follow an audit store, as an operator sees and moves them.

use std::collections::HashMap;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_can_list_replay_and_forget_sinks_of_audit_records() {
    let copies = tempfile::tempdir().unwrap();
    let path = copies.path().join("siem.jsonl");
    let audited = audited(|config| {
        config.with(
            "/sinks",
            json!([{
                "id": "siem",
                "file": { "path": path },
                "records": ["audit"],
                "content": true,
                "batch": { "linger": "1ms" },
            }]),
        )
    })
    .await;
    for _ in 0..3 {
        audited.gate.send(chat("answer 5 words")).await;
    }
    let arrived = || {
        let mut times: HashMap<String, usize> = HashMap::new();
        for line in fs::read_to_string(&path).unwrap_or_default().lines() {
            // The last one may be half written.
            let Ok(event) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            assert_eq!(event["schema"], "tollgate.audit/1");
            *times.entry(event["id"].to_string()).or_default() += 1;
        }
        times
    };
    let each_came = async |count: usize| {
        eventually("each record came", async || {
            let times = arrived();
            (times.len() == 3 && times.values().all(|times| *times == count)).then_some(())
        })
        .await;
    };
    each_came(1).await;
    let said = |arguments: &[&str]| {
        let output = audited.gate.tollgate(arguments);
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let listed = || -> Vec<Value> {
        let (_, listed) = said(&["sinks", "list", "--format", "json"]);
        serde_json::from_str(&listed).unwrap()
    };
    eventually("nothing waits", async || {
        (listed()[0]["waiting"] == 0).then_some(())
    })
    .await;
    let row = &listed()[0];
    let columns = ["sink", "kind", "records", "store", "state", "missed"];
    let shown = columns.map(|column| row[column].clone());
    let expected = json!(["siem", "file", "audit", "eu", "configured", 0]);
    assert_eq!(json!(shown), expected);

    // Records that leave once more are somebody's decision.
    let replayed = |token: &str, more: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(["sinks", "replay", "siem", "--since", "1h"])
            .args(["--config", audited.gate.config_path().to_str().unwrap()])
            .args(more)
            .env("TOLLGATE_ACCESS_TOKEN", token)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), text(&said))
    };
    for (token, more, expected) in [
        (AUDITOR, vec![], "say who you are with --as"),
        (AUDITOR, vec!["--as", "jane"], "say why, with `--reason`"),
        (
            ADMIN,
            vec!["--as", "root", "--reason", "x"],
            "may not read content",
        ),
    ] {
        let (worked, text) = replayed(token, &more);
        assert!(!worked && text.contains(expected), "{text}");
    }
    let (worked, said_again) = replayed(AUDITOR, &["--as", "jane", "--reason", "siem lost a day"]);
    assert!(
        worked && said_again.starts_with("siem: 3 audit records are sent again"),
        "{said_again}"
    );
    each_came(2).await;
    let stats = audited.run(
        "root",
        ADMIN,
        &["stats", "--events", "100", "--format", "json"],
    );
    let stats: Value = serde_json::from_slice(&stats.stdout).unwrap();
    let events = stats["events"].as_array().unwrap().iter();
    let mut by_jane = events.clone().filter(|event| event["by"] == "jane");
    assert!(by_jane.any(|event| {
        event["event"] == "export" && event["about"] == "replay sink siem, with content"
    }));
    let forwards: Vec<(&Value, &Value)> = events
        .filter(|event| event["event"] == "forward")
        .map(|event| (&event["reason"], &event["about"]))
        .collect();
    let expected = [json!("replayed"), json!("configured")];
    let content = json!("with content");
    assert_eq!(
        forwards,
        [(&expected[0], &content), (&expected[1], &content)]
    );
    assert!(audited.verify().status.success());

    let (worked, text) = said(&["sinks", "replay", "nobody", "--since", "1h"]);
    assert!(
        !worked && text.contains("no sink `nobody` has run"),
        "{text}"
    );
    let (worked, text) = said(&["sinks", "forget", "siem"]);
    assert_eq!((worked, &*text), (true, "siem: its place is forgotten\n"));
}
