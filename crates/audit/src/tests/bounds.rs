//! What happens at each bound, and with several who write at once.

use std::fs;

use super::*;
use crate::frame::{Frame, Scan};
use crate::seal::SealingKey;
use crate::vault::{NotWritten, Vault};

#[test]
fn a_full_store_refuses_says_so_and_takes_records_again_after_a_purge() {
    let place = Place::new();
    let settings = Settings {
        bytes_max: 300_000,
        segment_bytes: 64 * 1024,
        ..place.settings()
    };
    let log = AuditLog::open(settings, place.keys(), NOON).unwrap();
    let long = "word ".repeat(4_000);
    let mut number = 0;
    let mut append = |log: &AuditLog| {
        number += 1;
        let call = Call::new(number, "search", "alice", &long).kept_for(1);
        log.append(&call.draft(), NOON)
    };
    let taken = (0..100).take_while(|_| append(&log).is_ok()).count();
    assert!((6..=14).contains(&taken), "{taken} of 20 kB each");
    let levels = log.levels();
    let fault = levels.append_fault.unwrap();
    assert!(
        fault.contains(
            "has reached its bound of 300000 bytes; shorten the retention, or raise the bound"
        ),
        "{fault}"
    );
    assert_eq!((levels.appended, levels.refused), (taken as u64, 1));
    // The chain catches up meanwhile; a purge of what it has makes room.
    let mut archive = Archive::of(&log).unwrap();
    for _ in 0..500 {
        archive.purge(&actor(), NOON + DAY * 2).unwrap();
        log.tick(NOON + DAY * 2);
        if append(&log).is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(log.levels().append_fault.is_none(), "{:?}", log.levels());
    log.close(NOON + DAY * 2);
    assert_eq!(place.problems(), [""; 0]);
}

#[test]
fn content_past_its_bound_is_cut_at_a_character_and_says_so() {
    let place = Place::new();
    let log = AuditLog::open(
        Settings {
            content_bytes_max: 10,
            ..place.settings()
        },
        place.keys(),
        NOON,
    )
    .unwrap();
    let call = Call {
        answer: "short".to_owned(),
        ..Call::new(1, "search", "alice", "123456789é and more")
    };
    log.append(&call.draft(), NOON).unwrap();
    log.close(NOON);
    let found = place
        .archive()
        .show(call.id(), &Scope::All, &actor(), NOON)
        .unwrap()
        .unwrap();
    let State::Here(content) = found.content else {
        panic!()
    };
    assert_eq!(content.prompt.as_deref(), Some(&b"123456789"[..]));
    assert_eq!(content.answer.as_deref(), Some(&b"short"[..]));
    assert_eq!(
        (found.skeleton.prompt_cut, found.skeleton.answer_cut),
        (true, false)
    );
    assert_eq!(found.skeleton.prompt_bytes, Some(20), "as long as it was");
}

#[test]
fn a_record_longer_than_a_segment_gets_one_of_its_own() {
    let place = Place::new();
    let calls = [
        Call::new(1, "search", "alice", "small"),
        Call::new(2, "search", "alice", &"large ".repeat(30_000)),
        Call::new(3, "search", "alice", "small again"),
    ];
    place.write(&calls);
    let mut archive = place.archive();
    for call in &calls {
        let found = archive
            .show(call.id(), &Scope::All, &actor(), NOON)
            .unwrap()
            .unwrap();
        assert!(
            matches!(found.content, State::Here(content) if content.prompt.as_deref() == call.draft().prompt)
        );
    }
    assert_eq!(place.problems(), [""; 0]);
}

#[test]
fn metadata_alone_is_a_record_too() {
    let place = Place::new();
    let log = place.log();
    let call = Call::new(1, "search", "alice", "not kept");
    log.append(
        &Draft {
            prompt: None,
            answer: None,
            ..call.draft()
        },
        NOON,
    )
    .unwrap();
    log.close(NOON);
    let mut archive = place.archive();
    archive.reindex().unwrap();
    let found = archive
        .show(call.id(), &Scope::All, &actor(), NOON)
        .unwrap()
        .unwrap();
    let State::Here(content) = found.content else {
        panic!()
    };
    assert_eq!(
        (content.prompt, content.answer, content.user.as_deref()),
        (None, None, Some("alice"))
    );
    assert_eq!(found.skeleton.prompt_bytes, None);
}

#[test]
fn names_that_a_client_made_long_are_cut() {
    let place = Place::new();
    let log = place.log();
    let call = Call::new(1, "search", "alice", "x");
    let long = "é".repeat(100_000);
    log.append(
        &Draft {
            application: Some(&long),
            model: &long,
            caller: &long,
            ..call.draft()
        },
        NOON,
    )
    .unwrap();
    log.close(NOON);
    let found = place
        .archive()
        .show(call.id(), &Scope::All, &actor(), NOON)
        .unwrap()
        .unwrap();
    assert_eq!(
        (
            found.skeleton.model.len(),
            found.skeleton.application.unwrap().len()
        ),
        (1_024, 1_024)
    );
    assert_eq!(place.problems(), [""; 0]);
}

#[test]
fn a_database_that_fails_delays_the_chain_and_no_call() {
    let place = Place::new();
    place.log().close(NOON);
    let log = place.log();
    let blocker = rusqlite::Connection::open(place.store().join("audit.sqlite")).unwrap();
    blocker
        .execute_batch("ALTER TABLE segments RENAME TO segments_away")
        .unwrap();
    let calls = two_teams();
    for call in &calls {
        log.append(&call.draft(), NOON).unwrap();
    }
    let wait = |done: &dyn Fn(&Levels) -> bool| {
        (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            done(&log.levels())
        })
    };
    assert!(wait(&|levels| levels.chain_fault.is_some()));
    log.append(&Call::new(6, "search", "bob", "still taken").draft(), NOON)
        .unwrap();
    blocker
        .execute_batch("ALTER TABLE segments_away RENAME TO segments")
        .unwrap();
    assert!(wait(
        &|levels| levels.chain_fault.is_none() && levels.behind_bytes == 0
    ));
    log.close(NOON);
    assert_eq!(place.report().records, 6);
    assert_eq!(place.problems(), [""; 0]);
}

#[test]
fn threads_and_commands_take_turns() {
    let place = Place::new();
    let log = place.log();
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let log = &log;
            scope.spawn(move || {
                for number in 0..50 {
                    let call = Call::new(
                        thread * 100 + number,
                        "search",
                        &format!("person-{number}"),
                        "x",
                    );
                    log.append(&call.draft(), NOON).unwrap();
                }
            });
        }
        scope.spawn(|| {
            let mut archive = place.archive();
            for _ in 0..10 {
                archive.note(Read::Export, "", &actor(), NOON).unwrap();
            }
        });
    });
    log.close(NOON);
    let report = place.report();
    assert_eq!((report.records, report.problems), (200, vec![]));
    assert_eq!(
        place.archive().keyring.live().len(),
        50,
        "one key for each person"
    );
}

#[test]
fn a_log_in_use_is_not_opened_by_another_gateway() {
    let place = Place::new();
    let _log = place.log();
    let error = AuditLog::open(place.settings(), place.keys(), NOON)
        .unwrap_err()
        .to_string();
    assert!(error.contains("in use by another gateway"), "{error}");
}

#[test]
fn a_directory_without_a_log_is_said_to_have_none() {
    let place = Place::new();
    fs::create_dir_all(place.store()).unwrap();
    let error = Archive::open(place.settings(), place.keys(), NOON).unwrap_err();
    assert!(
        matches!(&error, AuditError::NotFound(text) if text.contains("there is no audit log in")),
        "{error}"
    );
}

#[test]
fn a_head_is_signed_once_enough_entries_or_enough_time_have_passed() {
    let place = Place::new();
    let settings = Settings {
        head_entries: 3,
        head_interval: Duration::from_secs(120),
        ..place.settings()
    };
    let log = AuditLog::open(settings, place.keys(), NOON).unwrap();
    let wait = |done: &dyn Fn(&Levels) -> bool| {
        let is_done = (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            done(&log.levels())
        });
        assert!(is_done, "{:?}", log.levels());
    };
    log.append(&two_teams()[0].draft(), NOON).unwrap();
    wait(&|levels| levels.entries == 3 && levels.unsigned == 1);
    log.tick(NOON + Duration::from_secs(240));
    wait(&|levels| levels.entries == 4 && levels.unsigned == 0);
    log.close(NOON);
}

#[test]
fn a_store_at_its_bound_tells_once_a_call_was_refused_and_until_there_is_room() {
    let place = Place::new();
    let settings = Settings {
        content_bytes_max: 4 * 1024,
        bytes_max: 128 * 1024,
        ..place.settings()
    };
    let log = AuditLog::open(settings, place.keys(), NOON).unwrap();
    let mut number = 0;
    while log.has_room() {
        assert_eq!(log.levels().append_fault, None);
        number += 1;
        let call = Call::new(number, "search", "alice", &"word ".repeat(700)).kept_for(1);
        log.append(&call.draft(), NOON).unwrap();
        while log.levels().behind_bytes > 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let fault = log.levels().append_fault.unwrap();
    assert!(fault.contains("has reached its bound of 131072"), "{fault}");

    let later = NOON + DAY * 3;
    Archive::of(&log).unwrap().purge(&actor(), later).unwrap();
    log.tick(later);
    let ends = (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        log.levels().append_fault.is_none()
    });
    assert!(ends && log.has_room(), "{:?}", log.levels());
    log.close(later);
}

#[test]
fn what_was_sealed_too_early_is_taken_back_and_the_next_record_stands_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        segment_bytes: 64 * 1024,
        ..Settings::new(dir.path(), "eu")
    };
    let vault = Vault::open(dir.path().to_owned(), 0, &settings).unwrap();
    let key = SealingKey::new(&[3; 32]).unwrap();
    let append = |content: &[u8], is_still: bool| {
        let mut memory = Vec::new();
        let header = |header: &mut Vec<u8>| header.extend_from_slice(b"header");
        let put = |bytes: &mut Vec<u8>| bytes.extend_from_slice(content);
        let mut frame = Frame::of(&mut memory, &key, content.len(), header, put).unwrap();
        vault.append(&mut frame, None, &|| is_still)
    };
    assert_eq!(append(&[1; 5_000], false), Err(NotWritten::Outdated));
    assert_eq!(vault.behind_bytes(), 0);
    append(b"anew", true).unwrap();
    let bytes = fs::read(crate::segment::path_of(dir.path(), 1)).unwrap();
    let mut scan = Scan::new(&bytes, 1, 0, bytes.len() as u64);
    let mut found = scan.next().unwrap().sealed.to_vec();
    assert_eq!(key.open(&mut found, b"header"), Some(&b"anew"[..]));
    assert!(scan.next().is_none());
    assert_eq!((scan.damaged, scan.torn), (0, false));
}
