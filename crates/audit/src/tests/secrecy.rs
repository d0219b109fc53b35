//! Keys, and that nothing stands anywhere in the clear.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

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

#[test]
fn a_rotation_to_a_key_that_a_gateway_does_not_know_is_its_fault_until_it_can_open_the_keys_again()
{
    let place = Place::new();
    let log = place.log();
    let call = |number| Call::new(number, "search", "alice", "a prompt");
    let search = SubscriptionId::from("search");
    let whose = Whose {
        subscription: &search,
        person: "alice",
        at: NOON,
    };
    let rotate = |current: &str, previous: &str| {
        let command = keys(&place.key_dir(), current, &[previous]);
        let mut archive = Archive::open(place.settings(), command, NOON).unwrap();
        archive.rotate(&actor(), NOON).unwrap();
    };
    assert!(log.can_seal(whose));
    log.append(&call(1).draft(), NOON).unwrap();

    rotate("kek-2", "kek-1");
    let fault = |log: &AuditLog| log.levels().append_fault.unwrap_or_default();
    assert_eq!(fault(&log), "", "nobody has looked yet");
    log.tick(NOON);
    assert!(
        fault(&log).ends_with(
            "wrapped with `kek-2`, and the configured key-encryption keys are kek-1; another process rotated them: restart the gateway with the new key"
        ),
        "{}",
        fault(&log)
    );
    assert!(!log.can_seal(whose));
    let later = NOON + Duration::from_millis(1);
    assert!(log.append(&call(2).draft(), later).is_err());

    rotate("kek-1", "kek-2");
    assert!(log.can_seal(whose), "it looks anew each time");
    assert_eq!(fault(&log), "");
    log.append(&call(3).draft(), later).unwrap();
    log.close(later);
    assert_eq!(place.problems(), [""; 0]);
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
