//! What must go and what must stay: retention, holds, erasure, keys.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

/// Each with what its content has become.
fn contents(place: &Place, calls: &[Call]) -> Vec<(u32, &'static str)> {
    let mut archive = place.archive();
    calls
        .iter()
        .map(|call| {
            let found = archive
                .show(call.id(), &Scope::All, &actor(), NOON)
                .unwrap();
            let state = match found.map(|found| found.content) {
                Some(State::Here(content)) if content.prompt.as_deref() == call.draft().prompt => {
                    "here"
                }
                Some(State::Here(_)) => "other",
                Some(State::Gone { .. }) => "gone",
                Some(State::Closed) => "closed",
                Some(State::Unreadable) => "unreadable",
                None => "missing",
            };
            (call.number, state)
        })
        .collect()
}

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

/// Every byte of every file.
fn bytes_below(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for file in fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            files.extend(bytes_below(&path));
        } else {
            files.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    files
}

fn holds_text(dir: &Path, text: &str) -> Option<PathBuf> {
    let (text, wide) = (
        text.as_bytes(),
        text.encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<u8>>(),
    );
    let holds = |bytes: &[u8], part: &[u8]| {
        bytes
            .windows(part.len())
            .any(|window| window.eq_ignore_ascii_case(part))
    };
    bytes_below(dir)
        .into_iter()
        .find(|(_, bytes)| holds(bytes, text) || holds(bytes, &wide))
        .map(|(path, _)| path)
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
    let purged = place.archive().purge(&actor(), NOON + DAY * 365).unwrap();
    assert_eq!((purged.records, purged.held), (2, 4));
    let placed = place.archive().holds().unwrap();
    assert_eq!((placed.len(), placed[0].number), (1, number));
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
fn a_new_key_wraps_the_keys_anew_and_changes_no_record() {
    let calls = two_teams();
    let place = Place::written(&calls);
    let content = bytes_below(&place.store().join("content"));
    let old_key_file = fs::read(place.key_dir().join("keys.tgk")).unwrap();

    let rotated = keys(&place.key_dir(), "kek-2", &["kek-1"]);
    let log = AuditLog::open(place.settings(), rotated, NOON).unwrap();
    log.append(
        &Call::new(6, "search", "alice", "under the new key").draft(),
        NOON,
    )
    .unwrap();
    log.close(NOON);
    let after = bytes_below(&place.store().join("content"));
    assert!(
        content.iter().all(|file| after.contains(file)),
        "records are as they were"
    );
    assert_eq!(
        fs::read_dir(place.key_dir()).unwrap().count(),
        2,
        "the key file and its lock"
    );
    let new_key_file = fs::read(place.key_dir().join("keys.tgk")).unwrap();
    assert!(
        !new_key_file
            .windows(48)
            .any(|piece| old_key_file[4_096 + 68..4_096 + 116] == *piece)
    );

    // The old key alone opens nothing, and says what is missing.
    let error = Archive::open(place.settings(), place.keys(), NOON)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("wrapped with `kek-2`, and the configured key-encryption keys are kek-1"),
        "{error}"
    );
    let mut archive =
        Archive::open(place.settings(), keys(&place.key_dir(), "kek-2", &[]), NOON).unwrap();
    assert_eq!(
        archive
            .find(
                &Query {
                    with_content: true,
                    ..Query::default()
                },
                &Scope::All
            )
            .unwrap()
            .found
            .iter()
            .filter(|found| matches!(found.content, State::Here(_)))
            .count(),
        6
    );
    let report = archive
        .verify(&Options {
            open: true,
            ..Options::default()
        })
        .unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
    let events = archive.events(None, 100).unwrap();
    let rotated = Event::Rotated {
        from: "kek-1".to_owned(),
        to: "kek-2".to_owned(),
    };
    assert_eq!(
        events.iter().filter(|entry| entry.event == rotated).count(),
        1
    );
}

#[test]
fn a_gateway_that_runs_takes_up_a_rotation_by_a_command() {
    let place = Place::new();
    let both = || keys(&place.key_dir(), "kek-1", &["kek-2"]);
    let log = AuditLog::open(place.settings(), both(), NOON).unwrap();
    let calls = [
        Call::new(1, "search", "alice", "before"),
        Call::new(2, "search", "dave", "after"),
    ];
    log.append(&calls[0].draft(), NOON).unwrap();
    let command = keys(&place.key_dir(), "kek-2", &["kek-1"]);
    Archive::open(place.settings(), command, NOON)
        .unwrap()
        .rotate(&actor(), NOON)
        .unwrap();
    log.append(&calls[1].draft(), NOON).unwrap();
    log.close(NOON);
    let mut archive = Archive::open(place.settings(), both(), NOON).unwrap();
    assert_eq!(
        archive
            .find(&Query::default(), &Scope::All)
            .unwrap()
            .found
            .len(),
        2
    );
    assert!(
        archive
            .verify(&Options {
                open: true,
                ..Options::default()
            })
            .unwrap()
            .is_sound()
    );
}

#[derive(Debug)]
struct FakeVault(&'static str);

/// Wraps by adding, as no service should; fails when it is called `down`.
impl Kms for FakeVault {
    fn id(&self) -> &str {
        "vault:tollgate"
    }

    fn wrap(&self, root: &[u8]) -> Result<Vec<u8>, String> {
        Ok(root
            .iter()
            .map(|byte| byte.wrapping_add(1))
            .chain([9; 100])
            .collect())
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<Vec<u8>, String> {
        if self.0 == "down" {
            return Err("status 503".to_owned());
        }
        Ok(wrapped[..32]
            .iter()
            .map(|byte| byte.wrapping_sub(1))
            .collect())
    }
}

#[test]
fn a_key_service_is_asked_when_a_store_is_opened_and_by_no_call() {
    let place = Place::new();
    let with = |state| Keys {
        dir: place.key_dir(),
        current: Kek::Remote(Box::new(FakeVault(state))),
        previous: Vec::new(),
    };
    let log = AuditLog::open(place.settings(), with("up"), NOON).unwrap();
    for call in two_teams() {
        log.append(&call.draft(), call.at()).unwrap();
    }
    log.close(NOON);
    let error = AuditLog::open(place.settings(), with("down"), NOON)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`vault:tollgate` cannot unwrap the audit log's root key: status 503"),
        "{error}"
    );
    let mut archive = Archive::open(place.settings(), with("up"), NOON).unwrap();
    assert_eq!(
        archive
            .find(&Query::default(), &Scope::All)
            .unwrap()
            .found
            .len(),
        5
    );
}

#[test]
fn nothing_that_was_said_or_who_said_it_stands_anywhere_as_plain_text() {
    let place = Place::new();
    let log = AuditLog::open(
        Settings {
            index_tail: 1,
            ..place.settings()
        },
        place.keys(),
        NOON,
    )
    .unwrap();
    let planted = [
        "zanzibar",
        "petra@example.com",
        "mallory.smith",
        "gingerbread",
        "ticket 4711",
        "qwertyuiop",
    ];
    let mut call = Call::new(1, "search", "mallory.smith", "we sail to Zanzibar");
    call.answer = "eat Gingerbread".to_owned();
    log.append(&call.draft(), NOON).unwrap();
    let check = |when: &str| {
        for text in planted {
            assert_eq!(holds_text(place.dir.path(), text), None, "{when}: {text}");
        }
    };
    check("while it runs");
    log.close(NOON);
    check("closed");
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
    let query = Query {
        text: Some("zanzibar".to_owned()),
        person: Some("mallory.smith".to_owned()),
        ..Query::default()
    };
    assert_eq!(
        archive
            .search(&query, &Scope::All, &actor(), NOON)
            .unwrap()
            .found
            .len(),
        1
    );
    archive
        .note(Read::Export, "qwertyuiop", &actor(), NOON)
        .unwrap();
    archive
        .hold_person("mallory.smith", &actor(), NOON)
        .unwrap();
    check("after a search, an export and a hold");
    // And the search for planted text finds what is there.
    assert!(holds_text(place.dir.path(), "gpt-4o").is_some());
}

#[test]
fn files_are_their_owners_alone() {
    let place = Place::written(&two_teams());
    for dir in [
        place.store(),
        place.key_dir(),
        place.store().join("content"),
    ] {
        assert_eq!(
            fs::metadata(&dir).unwrap().permissions().mode() & 0o777,
            0o700,
            "{}",
            dir.display()
        );
    }
    for (path, _) in bytes_below(place.dir.path()) {
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600,
            "{}",
            path.display()
        );
    }
}

#[test]
fn keys_and_stores_that_do_not_belong_together_are_refused() {
    let (one, other) = (Place::written(&two_teams()), Place::written(&two_teams()));
    let error = |settings: Settings, keys: Keys| {
        AuditLog::open(settings, keys, NOON)
            .unwrap_err()
            .to_string()
    };
    assert!(error(one.settings(), other.keys()).contains("of another store"));
    let moved = Settings {
        region: "us".to_owned(),
        ..one.settings()
    };
    assert!(error(moved, one.keys()).contains("is in region `eu`, not `us`: records do not move"));
    fs::remove_dir_all(one.key_dir()).unwrap();
    assert!(error(one.settings(), one.keys()).contains("restore it from its own backup"));
    fs::remove_dir_all(other.store()).unwrap();
    assert!(error(other.settings(), other.keys()).contains("it was deleted or replaced"));
}
