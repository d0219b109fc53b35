//! Stores that cannot take a record: who is refused, and what is kept all the same.

use std::path::Path;

use audit::Actor;
use config::snapshot::AuditStore;
use gateway::audit::stores;

use super::{Audited, asking, audited, credentials, now, rules};
use crate::scripted::{Answer, Backend};
use crate::stage::{Rules, Stage, chat};

async fn without_a_store(rule: &str) -> Audited {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("store"), "no folder").unwrap();
    let backend = Backend::answering(Answer::chat()).await;
    let stage = Stage::new(&rules(folder.path(), rule, "[]"), &[&backend]);
    let snapshot = stage.gateway.snapshot.load_full();
    Audited {
        stage,
        backend,
        folder,
        snapshot,
    }
}

#[tokio::test]
async fn a_call_that_must_be_recorded_and_cannot_is_refused_before_it_is_forwarded() {
    let required = without_a_store("{ content: full, required: true }").await;
    let told = required.stage.call(chat()).await;
    assert_eq!(
        (told.status.as_u16(), told.code().as_deref()),
        (503, Some("audit_unavailable"))
    );
    assert_eq!(told.retry_after_s(), Some(60));
    assert_eq!(required.backend.requests(), 0);
    let metrics = required.stage.metrics();
    assert!(
        metrics.contains(r#"tollgate_audit_refused_calls_total{store="main"} 1"#),
        "{metrics}"
    );
    assert!(
        metrics.contains(r#"tollgate_audit_fault{store="main",part="records"} 1"#),
        "{metrics}"
    );
    let record = required.stage.record().await;
    assert_eq!(record.rule.as_deref(), Some("product/standard/audit"));

    let other = without_a_store("{ content: full }").await;
    assert_eq!(other.stage.call(chat()).await.status, 200);
    let metrics = other.stage.metrics();
    assert!(
        metrics.contains(r#"tollgate_audit_records_total{store="main",result="failed"} 1"#),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_call_that_must_be_recorded_is_refused_while_the_keys_are_wrapped_with_an_unknown_one() {
    let running = audited("{ content: full, required: true }", "[]", Answer::chat()).await;
    assert_eq!(running.stage.call(chat()).await.status, 200);
    assert!(
        running
            .stage
            .metrics()
            .contains(r#"tollgate_audit_fault{store="main",part="records"} 0"#)
    );

    // As `audit keys rotate` does it, reading a file whose new key the gateway was not started with.
    let with_new_key = |folder: &Path| {
        let rules = rules(folder, "{ content: full, required: true }", "[]");
        let kek = r#"kek: { id: kek-2029, key: "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=" }"#;
        Rules {
            money: rules.money.replace("keys: {", &format!("keys: {{ {kek},")),
            ..rules
        }
    };
    let elsewhere = tempfile::tempdir().unwrap();
    let command = Stage::new(&with_new_key(elsewhere.path()), &[&running.backend]);
    let mut definition = AuditStore::clone(&command.gateway.snapshot.load().auditing.stores[0]);
    let known = &running.snapshot.auditing.stores[0];
    definition.dir.clone_from(&known.dir);
    definition.keys_dir.clone_from(&known.keys_dir);
    let actor = Actor {
        by: "root".into(),
        role: "admin".into(),
        reason: "yearly".into(),
    };
    stores::archive(&definition, &credentials(), now())
        .unwrap()
        .rotate(&actor, now())
        .unwrap();

    let told = running.stage.call(chat()).await;
    assert_eq!(
        (told.status.as_u16(), told.code().as_deref()),
        (503, Some("audit_unavailable"))
    );
    assert_eq!(running.backend.requests(), 1, "it was not forwarded");
    let metrics = running.stage.metrics();
    assert!(
        metrics.contains(r#"tollgate_audit_fault{store="main",part="records"} 1"#),
        "{metrics}"
    );
    assert!(
        metrics.contains(r#"tollgate_audit_refused_calls_total{store="main"} 1"#),
        "{metrics}"
    );
    let Audited {
        stage,
        backend,
        folder,
        ..
    } = running;
    stage.gateway.close().await;

    let stage = Stage::new(&with_new_key(folder.path()), &[&backend]);
    assert_eq!(stage.call(chat()).await.status, 200);
    let metrics = stage.metrics();
    assert!(
        metrics.contains(r#"tollgate_audit_fault{store="main",part="records"} 0"#),
        "{metrics}"
    );
    let restarted = Audited {
        snapshot: stage.gateway.snapshot.load_full(),
        stage,
        backend,
        folder,
    };
    assert_eq!(restarted.records().await.len(), 2);
}

#[tokio::test]
async fn a_full_store_has_every_call_that_was_answered_and_refuses_those_that_must_be_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Backend::answering(Answer::chat()).await;
    let mut rules = rules(folder.path(), "{ content: full, required: true }", "[]");
    rules.money = rules
        .money
        .replace("content_bytes: 4KiB", "content_bytes: 256KiB, bytes: 32MiB");
    let stage = Stage::new(&rules, &[&backend]);
    let full = Audited {
        snapshot: stage.gateway.snapshot.load_full(),
        stage,
        backend,
        folder,
    };
    let long = "word ".repeat(50_000);
    let mut answered = 0;
    let refused = loop {
        let told = full.stage.call(asking(&long)).await;
        if told.status != 200 {
            break told;
        }
        answered += 1;
        assert!(answered < 200, "32 MiB do not hold so many");
    };
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_deref()),
        (503, Some("audit_unavailable"))
    );
    assert!(answered > 50, "{answered}");
    let metrics = full.stage.metrics();
    assert!(
        metrics.contains(r#"tollgate_audit_fault{store="main",part="records"} 1"#),
        "{metrics}"
    );
    assert_eq!(full.backend.requests(), answered);
    assert_eq!(full.records().await.len(), answered);
}
