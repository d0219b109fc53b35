//! Erasure: unreadable in every copy, provable, and nobody else's loss.

use std::fs;

use super::*;

fn copy_store(from: &Path, to: &Path) {
    fs::create_dir_all(to.join("content")).unwrap();
    for dir in ["", "content"] {
        for file in fs::read_dir(from.join(dir)).unwrap() {
            let file = file.unwrap();
            if file.file_type().unwrap().is_file() {
                fs::copy(file.path(), to.join(dir).join(file.file_name())).unwrap();
            }
        }
    }
}

#[test]
fn an_erased_person_is_unreadable_in_backups_too_and_others_are_untouched() {
    let calls = two_teams();
    let place = Place::written(&calls);
    let backup = Place {
        dir: tempfile::tempdir().unwrap(),
    };
    copy_store(&place.store(), &backup.store());

    let erased = place
        .archive()
        .erase_person("alice", &actor(), NOON)
        .unwrap();
    assert_eq!(
        (erased.records, erased.keys.len()),
        (3, 2),
        "of two subscriptions"
    );
    let left = [
        (1, "gone"),
        (2, "here"),
        (3, "here"),
        (4, "gone"),
        (5, "gone"),
    ];
    assert_eq!(contents(&place, &calls), left);
    assert_eq!(place.problems(), [""; 0]);
    assert_eq!(place.report().gone, 3);

    // The backup of the database, with today's keys.
    let settings = Settings::new(backup.store(), "eu");
    let mut old = Archive::open(settings, place.keys(), NOON).unwrap();
    let query = Query {
        with_content: true,
        ..Query::default()
    };
    let page = old.find(&query, &Scope::All).unwrap();
    let here: Vec<u32> = page
        .found
        .iter()
        .filter(|found| matches!(found.content, State::Here(_)))
        .map(|found| {
            calls
                .iter()
                .find(|call| call.id() == found.skeleton.call)
                .unwrap()
                .number
        })
        .collect();
    assert_eq!(here, [3, 2]);
    let words = Query {
        text: Some("narwhal".to_owned()),
        ..Query::default()
    };
    assert_eq!(old.find(&words, &Scope::All).unwrap().found.len(), 0);
}

#[test]
fn an_erasure_is_proved_by_its_receipt_and_names_nobody() {
    let place = Place::written(&two_teams());
    let mut archive = place.archive();
    let erased = archive.erase_person("bob", &actor(), NOON).unwrap();
    let entry = archive
        .events(None, 10)
        .unwrap()
        .into_iter()
        .find(|entry| entry.sequence == erased.sequence)
        .unwrap();
    let Event::Erased {
        subject,
        commitment,
        keys,
        records,
    } = entry.event
    else {
        panic!("{entry:?}")
    };
    assert_eq!(
        (subject, keys, records),
        (Subject::Person, erased.keys.clone(), 1)
    );
    let salt: Vec<u8> = (0..32)
        .map(|at| u8::from_str_radix(&erased.salt[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &salt);
    aws_lc_rs::hmac::verify(&key, b"person:bob", &commitment).unwrap();
    assert_eq!(entry.details.unwrap().actor, actor());
    // Nothing leads from what is left to him.
    let person = Query {
        person: Some("bob".to_owned()),
        ..Query::default()
    };
    assert_eq!(archive.find(&person, &Scope::All).unwrap().found.len(), 0);
    let again = archive.erase_person("bob", &actor(), NOON).unwrap_err();
    assert!(matches!(again, AuditError::NotFound(_)), "{again}");
}

#[test]
fn a_subscription_is_erased_and_its_people_go_on_elsewhere() {
    let calls = two_teams();
    let place = Place::written(&calls);
    let erased = place
        .archive()
        .erase_subscription(&"search".into(), &actor(), NOON)
        .unwrap();
    assert_eq!(erased.records, 3);
    assert_eq!(
        contents(&place, &calls),
        [
            (1, "gone"),
            (2, "gone"),
            (3, "here"),
            (4, "here"),
            (5, "gone")
        ]
    );
    let after = Call::new(6, "search", "alice", "A new beginning");
    place.write(std::slice::from_ref(&after));
    assert_eq!(contents(&place, &[after]), [(6, "here")]);
    assert_eq!(place.problems(), [""; 0]);
}

#[test]
fn a_log_in_use_does_not_go_on_with_a_key_that_a_command_destroyed() {
    let place = Place::new();
    let log = place.log();
    let calls = [
        Call::new(1, "search", "alice", "before"),
        Call::new(2, "search", "alice", "after"),
    ];
    log.append(&calls[0].draft(), calls[0].at()).unwrap();
    Archive::open(place.settings(), place.keys(), NOON)
        .unwrap()
        .erase_person("alice", &actor(), NOON)
        .unwrap();
    log.append(&calls[1].draft(), calls[1].at()).unwrap();
    log.close(NOON);
    assert_eq!(contents(&place, &calls), [(1, "gone"), (2, "here")]);
    assert_eq!(place.problems(), [""; 0]);
}

/// Of the keys and the chain: how many contents are gone, as `verify` counts them.
fn gone(place: &Place) -> u64 {
    assert_eq!(place.problems(), [""; 0]);
    place.report().gone
}

#[test]
fn a_receipt_counts_what_was_not_chained_yet() {
    let place = Place::new();
    let log = place.log();
    for call in &two_teams() {
        log.append(&call.draft(), call.at()).unwrap();
    }
    let erased = place
        .archive()
        .erase_person("alice", &actor(), NOON)
        .unwrap();
    assert_eq!((erased.records, erased.keys.len()), (3, 2));
    log.close(NOON);
    assert_eq!(gone(&place), 3);
}

#[test]
fn what_a_gateway_that_died_left_is_held_and_counted_too() {
    let calls = two_teams();
    let place = Place::new();
    let log = place.log();
    // Opened while it ran: it has chained nothing, and neither could the gateway.
    let mut archive = place.archive();
    let blocker = rusqlite::Connection::open(place.store().join("audit.sqlite")).unwrap();
    blocker
        .execute_batch("ALTER TABLE segments RENAME TO segments_away")
        .unwrap();
    for call in &calls {
        log.append(&call.draft(), call.at()).unwrap();
    }
    drop(log);
    blocker
        .execute_batch("ALTER TABLE segments_away RENAME TO segments")
        .unwrap();
    let number = archive
        .hold(&Hold::Call(calls[4].id()), &actor(), NOON)
        .unwrap();
    let held = archive.erase_person("alice", &actor(), NOON);
    assert!(matches!(held, Err(AuditError::Held(_))), "{held:?}");
    archive.release(number, &actor(), NOON).unwrap();
    let erased = archive.erase_person("alice", &actor(), NOON).unwrap();
    assert_eq!(erased.records, 3);
    assert_eq!(gone(&place), 3);
}

#[test]
fn keys_that_were_retired_open_what_they_sealed_and_are_erased_with_their_successors() {
    let calls = two_teams();
    let place = Place::new();
    let log = place.log();
    let mut archive = place.archive();
    log.append(&calls[0].draft(), calls[0].at()).unwrap();
    // What is left of an erasure that found a hold only once the chain had come so far.
    let exclusive = archive.keyring.exclusive().unwrap();
    let keys = archive.keyring.ids_of(None, Some("alice"));
    archive.keyring.retire(&exclusive, &keys).unwrap();
    drop(exclusive);
    for call in &calls[1..] {
        log.append(&call.draft(), call.at()).unwrap();
    }
    log.close(NOON);
    let here = [1, 2, 3, 4, 5].map(|number| (number, "here"));
    assert_eq!(contents(&place, &calls), here);
    let erased = archive.erase_person("alice", &actor(), NOON).unwrap();
    assert_eq!((erased.records, erased.keys.len()), (3, 3));
    assert_eq!(gone(&place), 3);
}

#[test]
fn no_record_goes_that_no_receipt_counts_however_calls_and_erasures_meet() {
    for required in [true, false] {
        let place = Place::new();
        let log = place.log();
        let erased = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..2)
                .map(|writer| {
                    let log = &log;
                    scope.spawn(move || {
                        for number in 0..1_500 {
                            let number = writer * 10_000 + number;
                            let call = Call::new(number, "search", "alice", "again and again");
                            let draft = Draft {
                                required,
                                ..call.draft()
                            };
                            log.append(&draft, call.at()).unwrap();
                        }
                    })
                })
                .collect();
            let mut erased = 0;
            while !writers.iter().all(|writer| writer.is_finished()) {
                match place.archive().erase_person("alice", &actor(), NOON) {
                    Ok(receipt) => erased += receipt.records,
                    Err(AuditError::NotFound(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            erased
        });
        log.close(NOON);
        assert_eq!(place.report().records, 3_000);
        assert_eq!(gone(&place), erased, "required: {required}");
    }
}

#[test]
fn an_erasure_that_is_refused_leaves_an_entry_that_names_nobody() {
    let calls = two_teams();
    let place = Place::written(&calls);
    let mut archive = place.archive();
    let hold = Hold::Subscription("search".into());
    let number = archive.hold(&hold, &actor(), NOON).unwrap();
    let refused = archive.erase_person("alice", &actor(), NOON).unwrap_err();
    let told = refused.to_string();
    assert!(told.contains(&format!("legal hold {number}")), "{told}");
    for call in &calls {
        assert!(!told.contains(&call.id().to_string()), "{told}");
    }
    archive.erase_person("mallory", &actor(), NOON).unwrap_err();
    let refusals: Vec<String> = archive
        .events(None, 10)
        .unwrap()
        .into_iter()
        .filter(|entry| entry.event == Event::Read(Read::Refused))
        .map(|entry| entry.details.unwrap().about)
        .collect();
    assert_eq!(
        refusals,
        [
            "erase a person's records: there are none".to_owned(),
            format!("erase a person's records: on legal hold {number}"),
        ]
    );
}
