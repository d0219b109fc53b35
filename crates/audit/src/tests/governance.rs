//! What must go and what must stay: retention and holds.

use super::*;

#[test]
fn what_is_held_is_neither_erased_nor_purged_until_it_is_released() {
    let calls = two_teams();
    let holds: [(&str, Hold, &[u32]); 3] = [
        (
            "subscription",
            Hold::Subscription("search".into()),
            &[1, 2, 5],
        ),
        ("call", Hold::Call(calls[0].id()), &[1]),
        (
            "time",
            Hold::Time {
                since: calls[1].at(),
                until: calls[3].at(),
            },
            &[2, 3],
        ),
    ];
    let late = NOON + DAY * 91;
    for (name, hold, held) in holds {
        let place = Place::written(&calls);
        let mut archive = place.archive();
        let number = archive.hold(&hold, &actor(), NOON).unwrap();
        for person in ["alice", "bob", "carol"] {
            let theirs = |number: &u32| calls[*number as usize - 1].user.as_deref() == Some(person);
            if held.iter().any(theirs) {
                let error = archive.erase_person(person, &actor(), NOON).unwrap_err();
                assert!(
                    matches!(&error, AuditError::Held(text) if text.contains(&format!("legal hold {number}"))),
                    "{name}: {error}"
                );
            }
        }
        let purged = archive.purge(&actor(), late).unwrap();
        assert_eq!(
            (purged.records, purged.held),
            (5 - held.len() as u64, held.len() as u64),
            "{name}"
        );
        let kept: Vec<u32> = contents(&place, &calls)
            .into_iter()
            .filter(|(_, state)| *state == "here")
            .map(|(number, _)| number)
            .collect();
        assert_eq!(kept, held, "{name}");
        archive.release(number, &actor(), late).unwrap();
        assert_eq!(
            archive.purge(&actor(), late).unwrap().records,
            held.len() as u64,
            "{name}"
        );
        assert!(archive.release(number, &actor(), late).is_err());
        let events = archive.events(None, 2).unwrap();
        let refused = events
            .iter()
            .find(|entry| entry.event == Event::Read(Read::Refused));
        let about = refused.and_then(|entry| entry.details.clone());
        assert_eq!(
            about.map(|details| details.about),
            Some(format!("release hold {number}: there is none")),
            "{name}"
        );
        assert_eq!(place.problems(), [""; 0], "{name}");
    }
}

#[test]
fn a_person_is_held_by_a_pseudonym_in_months_to_come_too() {
    let place = Place::written(&two_teams());
    let number = place
        .archive()
        .hold_person("alice", &actor(), NOON)
        .unwrap();
    let next_month = Call {
        number: 40_000,
        ..Call::new(1, "sales", "alice", "December")
    };
    place.write(std::slice::from_ref(&next_month));
    assert_eq!(place.archive().covered(number).unwrap(), 4);
    let unknown = place.archive().hold_person("Alice", &actor(), NOON);
    assert_eq!(place.archive().covered(unknown.unwrap()).unwrap(), 0);
    let purged = place.archive().purge(&actor(), NOON + DAY * 365).unwrap();
    assert_eq!((purged.records, purged.held), (2, 4));
    let placed = place.archive().holds().unwrap();
    assert_eq!((placed.len(), placed[0].number), (2, number));
    assert_eq!(holds_text(place.dir.path(), "alice"), None);
}

#[test]
fn content_goes_on_its_day_and_not_before_and_its_skeleton_stays() {
    let calls = [
        Call::new(1, "search", "alice", "thirty days").kept_for(30),
        Call::new(2, "search", "alice", "a year").kept_for(365),
        Call::new(3, "sales", "bob", "thirty days too").kept_for(30),
    ];
    let place = Place::written(&calls);
    let mut archive = place.archive();
    let due = calls[0].at() + DAY * 30;
    assert_eq!(
        archive.purge(&actor(), Wall(due.0 - 1)).unwrap(),
        Purged::default()
    );
    assert_eq!(archive.purge(&actor(), due).unwrap().records, 1);
    assert_eq!(
        contents(&place, &calls),
        [(1, "gone"), (2, "here"), (3, "here")]
    );
    assert_eq!(archive.purge(&actor(), due + DAY).unwrap().records, 1);
    assert_eq!(place.problems(), [""; 0]);
    let found = archive
        .show(calls[0].id(), &Scope::All, &actor(), NOON)
        .unwrap()
        .unwrap();
    assert_eq!(
        (&*found.skeleton.model, found.skeleton.prompt_bytes),
        ("gpt-4o", Some(11))
    );
    assert_eq!(
        archive.purge(&actor(), due + DAY * 2).unwrap(),
        Purged::default()
    );
}

#[test]
fn a_purge_that_decided_before_a_hold_was_placed_takes_nothing() {
    let calls = two_teams();
    let place = Place::written(&calls);
    let late = NOON + DAY * 91;
    let mut archive = place.archive();
    let (number, range) = archive.due(late).unwrap().remove(0);
    let sorted = archive.sort(number, &range, late).unwrap();
    let hold = Hold::Subscription("search".into());
    place.archive().hold(&hold, &actor(), late).unwrap();
    let dropped = archive.drop_contents(number, &range, &sorted, &actor(), late);
    assert_eq!(dropped.unwrap(), None);
    // It decides again, and keeps what is held.
    let purged = archive.purge(&actor(), late).unwrap();
    assert_eq!((purged.records, purged.held), (2, 3));
    assert_eq!(place.problems(), [""; 0]);
}

#[test]
fn files_and_keys_of_what_is_gone_go_too() {
    // Four to a file of 64 KiB.
    let calls: Vec<Call> = (1..=20)
        .map(|number| Call::new(number, "search", "alice", &"word ".repeat(3_000)))
        .collect();
    let place = Place::written(&calls);
    let mut archive = place.archive();
    let files = || bytes_below(&place.store().join("content")).len() as u64;
    let before = files();
    let purged = archive.purge(&actor(), NOON + DAY * 200).unwrap();
    assert_eq!(
        (purged.records, purged.keys, purged.files),
        (20, 1, before - 1)
    );
    assert_eq!(files(), 1, "the last may still be written to");
    assert_eq!(place.problems(), [""; 0]);
    assert_eq!(place.report().gone, 20);
}

#[test]
fn the_last_keys_of_a_quiet_store_go_too_once_their_month_is_long_over() {
    let calls = [
        Call::new(1, "search", "alice", "thirty days").kept_for(30),
        Call::new(2, "search", "bob", "a year").kept_for(365),
    ];
    let place = Place::written(&calls);
    let log = place.log();
    let purge = |days: u32| {
        let mut archive = Archive::of(&log).unwrap();
        let purged = archive.purge(&actor(), NOON + DAY * days).unwrap();
        (purged.records, purged.keys)
    };
    // Of November: it may still be needed until the middle of January.
    assert_eq!(purge(31), (1, 0));
    assert_eq!(purge(50), (0, 0));
    assert_eq!(purge(54), (0, 1));
    assert_eq!(purge(55), (0, 0));
    assert_eq!(purge(400), (1, 1));
    log.close(NOON);
    assert_eq!(place.archive().keyring.live(), []);
    assert_eq!(place.problems(), [""; 0]);
}

#[test]
fn keys_are_looked_for_anew_only_where_one_may_have_come_out_of_use() {
    let place = Place::written(&[
        Call::new(1, "search", "alice", "a hundred days").kept_for(100),
        Call::new(2, "search", "alice", "a year").kept_for(365),
    ]);
    let log = place.log();
    let mut archive = Archive::of(&log).unwrap();
    let late = NOON + DAY * 60;
    assert!(archive.may_drop_keys(late));
    archive.purge(&actor(), late).unwrap();
    let mut archive = Archive::of(&log).unwrap();
    assert!(!archive.may_drop_keys(late + DAY));
    assert!(
        archive.may_drop_keys(late + DAY * 31),
        "another month is over"
    );
    // So soon after a purge that no other month is over, and with content that went.
    archive.purge(&actor(), NOON + DAY * 99).unwrap();
    let due = archive.due(NOON + DAY * 101).unwrap().remove(0);
    let sorted = archive.sort(due.0, &due.1, NOON + DAY * 101).unwrap();
    assert!(!archive.may_drop_keys(NOON + DAY * 101));
    archive
        .drop_contents(due.0, &due.1, &sorted, &actor(), NOON + DAY * 101)
        .unwrap();
    assert!(archive.may_drop_keys(NOON + DAY * 101), "killed in between");
}

#[test]
fn purged_and_erased_words_leave_the_index() {
    let calls = [
        Call::new(1, "search", "alice", "ephemeral").kept_for(1),
        Call::new(2, "search", "alice", "lasting"),
        Call::new(3, "search", "bob", "lasting"),
    ];
    let place = Place::written(&calls);
    let mut archive = Archive::open(
        Settings {
            index_tail: 1,
            ..place.settings()
        },
        place.keys(),
        NOON,
    )
    .unwrap();
    archive.reindex().unwrap();
    let sequences = |archive: &Archive| {
        let mut sequences = Vec::new();
        let words = [crate::words::hash(b"ephemeral")];
        for (hashes, name) in [(&words[..], "ephemeral"), (&[], "all")] {
            let mut found = Vec::new();
            index::search(
                &archive.database.connection,
                &archive.keyring,
                hashes,
                1..=u64::MAX >> 1,
                |_| true,
                |sequence| found.push(sequence),
            )
            .unwrap();
            found.sort_unstable();
            sequences.push((name, found));
        }
        sequences
    };
    assert_eq!(
        sequences(&archive),
        [("ephemeral", vec![3]), ("all", vec![3, 4, 5])]
    );
    archive.purge(&actor(), NOON + DAY * 2).unwrap();
    assert_eq!(
        sequences(&archive),
        [("ephemeral", vec![]), ("all", vec![4, 5])]
    );
    archive.erase_person("alice", &actor(), NOON).unwrap();
    assert_eq!(
        sequences(&archive),
        [("ephemeral", vec![]), ("all", vec![5])]
    );
}

#[test]
fn a_hold_keeps_what_was_written_a_moment_ago() {
    let calls = [1, 2, 3].map(|number| Call::new(number, "search", "alice", "a moment ago"));
    let span = Hold::Time {
        since: NOON,
        until: NOON + DAY,
    };
    for hold in [None, Some(Hold::Subscription("search".into())), Some(span)] {
        let place = Place::new();
        let log = place.log();
        let mut archive = place.archive();
        match &hold {
            None => archive.hold_person("alice", &actor(), NOON),
            Some(hold) => archive.hold(hold, &actor(), NOON),
        }
        .unwrap();
        for call in &calls {
            log.append(&call.draft(), call.at()).unwrap();
        }
        let person = archive.erase_person("alice", &actor(), NOON);
        assert!(matches!(person, Err(AuditError::Held(_))), "{person:?}");
        for number in [4, 5, 6] {
            let call = Call::new(number, "search", "alice", "a moment ago");
            log.append(&call.draft(), call.at()).unwrap();
        }
        let team = archive.erase_subscription(&"search".into(), &actor(), NOON);
        assert!(matches!(team, Err(AuditError::Held(_))), "{team:?}");
        log.close(NOON);
        let here = calls.clone().map(|call| (call.number, "here"));
        assert_eq!(contents(&place, &calls), here);
        assert_eq!((place.report().records, place.report().gone), (6, 0));
        assert_eq!(place.problems(), [""; 0]);
    }
}

#[test]
fn a_person_on_hold_is_not_erased_before_there_is_a_record() {
    let place = Place::written(&[]);
    let mut archive = place.archive();
    let number = archive.hold_person("alice", &actor(), NOON).unwrap();
    let error = archive.erase_person("alice", &actor(), NOON).unwrap_err();
    assert!(
        matches!(&error, AuditError::Held(told) if told.contains(&format!("legal hold {number}"))),
        "{error}"
    );
}

#[test]
fn a_store_tells_its_region_without_keys_and_stays_as_it_is() {
    assert_eq!(region_of(Place::new().dir.path()), None);
    let place = Place::written(&two_teams());
    let database = rusqlite::Connection::open(place.store().join("audit.sqlite")).unwrap();
    let version = || -> i64 {
        let read = database.pragma_query_value(None, "user_version", |row| row.get(0));
        read.unwrap()
    };
    database.execute_batch("PRAGMA user_version = 4").unwrap();
    assert_eq!(region_of(&place.store()).as_deref(), Some("eu"));
    assert_eq!(version(), 4);
    let log = place.log();
    assert_eq!(region_of(&place.store()).as_deref(), Some("eu"));
    log.close(NOON);
    database
        .execute_batch("UPDATE chain SET header = x'00' WHERE sequence = 1")
        .unwrap();
    assert_eq!(region_of(&place.store()), None);
}
