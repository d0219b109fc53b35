//! Who reads what of a store, and what retention leaves.

use audit::{Query, State};
use domain::Wall;
use gateway::audit::desk::{Desk, DeskError};

use super::{AUDITOR, EMAIL, asking, audited, rules};
use crate::scripted::Answer;
use crate::sinks::eventually;
use crate::stage::{Rules, chat};

#[tokio::test]
async fn a_store_keeps_its_folder_for_as_long_as_the_gateway_runs_and_its_region_for_good() {
    let audited = audited("{ content: full }", "[]", Answer::chat()).await;
    let refused = |from: &str, to: &str| {
        let written = rules(audited.folder.path(), "{ content: full }", "[]");
        let moved = Rules {
            money: written.money.replace(from, to),
            ..written
        };
        let renewed = audited.stage.try_renew(&moved, &audited.backend);
        renewed.unwrap_err()
    };
    let error = refused("/store", "/elsewhere");
    assert!(
        error.contains("audit_stores[main]: its folder stays"),
        "{error}"
    );
    let error = refused("region: eu", "region: us");
    assert!(
        error.contains("audit_stores[main].region: the store in ")
            && error.contains(" was made in region `eu`; write `region: eu`"),
        "{error}"
    );
}

#[tokio::test]
async fn roles_decide_who_reads_what_and_every_visit_is_on_the_log() {
    let audited = audited("{ content: full }", "[ { pii: {} } ]", Answer::chat()).await;
    audited
        .stage
        .call(asking(&format!("I am {EMAIL}, how far is the moon?")))
        .await;
    audited.stage.gateway.tasks.close();
    let call = {
        // The writer chains within a moment.
        let mut found = Vec::new();
        eventually("the record", || {
            let mut desk = audited.desk("carl", "carls-token-of-16", None).unwrap();
            found = desk.search(&Query::default()).unwrap().page.found;
            !found.is_empty()
        })
        .await;
        found[0].skeleton.call
    };

    // Finance sees usage, and nothing that hints at content.
    let mut carl = audited
        .desk("carl", "carls-token-of-16", Some("closing of the month"))
        .unwrap();
    let seen = carl.search(&Query::default()).unwrap();
    assert_eq!(seen.page.found[0].skeleton.prompt_tokens, 12);
    assert!(!gateway::audit::desk::shows_verdicts(
        &seen.page.found[0],
        seen.verdicts.as_ref()
    ));
    for asked in [
        Query {
            with_content: true,
            ..Query::default()
        },
        Query {
            text: Some("moon".into()),
            ..Query::default()
        },
        Query {
            verdict: Some("pii".into()),
            ..Query::default()
        },
    ] {
        let refused = carl.search(&asked).err().unwrap();
        assert!(matches!(refused, DeskError::Denied(_)), "{refused}");
    }
    // Whoever erases does not read; whoever reads says why.
    let mut root = audited
        .desk("root", "roots-token-of-16", Some("a test"))
        .unwrap();
    assert!(matches!(root.show(call, true), Err(DeskError::Denied(_))));
    let mut silent = audited.desk("jane", AUDITOR, Some("  ")).unwrap();
    assert!(matches!(silent.show(call, true), Err(DeskError::NoReason)));
    assert!(matches!(
        audited.desk("jane", "roots-token-of-16", None),
        Err(DeskError::Denied(_))
    ));
    assert!(matches!(
        audited.desk("nobody", AUDITOR, None),
        Err(DeskError::Denied(_))
    ));
    let mut jane = audited.desk("jane", AUDITOR, Some("complaint 17")).unwrap();
    let State::Here(content) = jane.show(call, true).unwrap().page.found.remove(0).content else {
        panic!("no content");
    };
    assert!(String::from_utf8_lossy(&content.prompt.unwrap()).contains("I am [EMAIL], how far"));
    let asked = Query {
        text: Some("\"far is the moon\"".into()),
        ..Query::default()
    };
    assert_eq!(jane.search(&asked).unwrap().page.found.len(), 1);
    // An auditor of some subscriptions does not verify the whole, nor release another's hold.
    let mut hr = audited
        .desk("hr", "hrs-own-token-of-16", Some("x"))
        .unwrap();
    assert!(matches!(
        hr.verify(&audit::Options::default()),
        Err(DeskError::Denied(_))
    ));
    let number = jane
        .hold(&audit::Hold::Time {
            since: Wall(0),
            until: Wall(1),
        })
        .unwrap();
    assert!(matches!(hr.release(number), Err(DeskError::Denied(_))));
    let other = audit::Hold::Subscription("other".into());
    assert!(matches!(hr.hold(&other), Err(DeskError::Denied(_))));
    let unknown = audit::Hold::Call(domain::CallId(7));
    assert!(matches!(hr.hold(&unknown), Err(DeskError::NotFound(_))));
    assert!(matches!(root.release(number), Err(DeskError::Denied(_))));
    jane.release(number).unwrap();

    let events = audited.archive().events(None, 100).unwrap();
    let refused: Vec<String> = events
        .iter()
        .filter(|entry| entry.event == audit::Event::Read(audit::Read::Refused))
        .filter_map(|entry| entry.details.clone())
        .map(|details| format!("{}: {}", details.actor.by, details.about))
        .collect();
    for wanted in [
        "carl: search content=yes",
        "carl: search text=moon",
        "carl: search verdict=pii",
        "hr: hold subscription other",
        &format!("hr: hold call {}", domain::CallId(7)),
        &format!("jane: show {call}: no reason given"),
    ] {
        assert!(refused.iter().any(|told| told == wanted), "{refused:#?}");
    }
    // Who may not read content reads no words that others searched for, and reading this is an entry too.
    let read_by = |desk: &mut Desk| -> String {
        let stats = desk.stats(100).unwrap();
        let told = stats.events.into_iter().filter_map(|entry| entry.details);
        told.map(|details| format!("{}\n", details.about)).collect()
    };
    assert!(read_by(&mut jane).contains("text=\"far is the moon\""));
    let by_root = read_by(&mut root);
    assert!(!by_root.contains("moon"), "{by_root}");
    assert!(by_root.contains("stats events="), "{by_root}");
    let told: Vec<String> = events
        .iter()
        .rev()
        .filter_map(|entry| match (&entry.event, &entry.details) {
            (audit::Event::Read(read), Some(details)) => Some(format!(
                "{read:?} {} ({}): {}",
                details.actor.by, details.actor.role, details.actor.reason
            )),
            _ => None,
        })
        .collect();
    for wanted in [
        "Search carl (finance): closing of the month",
        "Refused carl (finance): closing of the month",
        "Refused root (admin): a test",
        "Refused jane (none): ",
        "Refused nobody (none): ",
        "Show jane (auditor): complaint 17",
        "Search jane (auditor): complaint 17",
        "Refused hr (auditor): x",
        // Who would not say why is told too.
        "Refused jane (auditor): ",
    ] {
        assert!(
            told.iter().any(|told| told == wanted),
            "{wanted}: {told:#?}"
        );
    }
}

#[tokio::test]
async fn content_goes_when_its_days_are_over_and_not_before() {
    let audited = audited("{ content: full, retention: 30d }", "[]", Answer::chat()).await;
    audited.stage.call(chat()).await;
    let store = audited.stage.gateway.audit.all().remove(0);
    let chained = || store.health().behind_bytes == 0 && store.health().entries > 1;
    eventually("the record is chained", chained).await;
    let day_ms = 86_400_000;
    let began = audited.stage.clock.now().wall;
    gateway::audit::retain(&store, Wall(began.0 + 29 * day_ms));
    assert_eq!(store.health().purged, 0);
    assert!(store.health().oldest.is_some());
    gateway::audit::retain(&store, Wall(began.0 + 31 * day_ms));
    assert_eq!(store.health().purged, 1);
    assert_eq!(store.health().oldest, None);
    drop(store);
    let records = audited.records().await;
    assert!(
        matches!(records[0].content, State::Gone { .. }),
        "{:?}",
        records[0]
    );
}
