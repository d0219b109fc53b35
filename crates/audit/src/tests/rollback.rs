//! Older files put back: a store behind its keys, and keys behind their store.

use std::fs;

use super::tampering::{copy, has};
use super::*;
use crate::keys::Found;

/// The store as it was, under keys that know more.
fn roll_back(place: &Place, old: &Path) {
    fs::remove_dir_all(place.store()).unwrap();
    copy(old, &place.store());
}

/// Two calls, a copy of the store, and two calls more.
fn copied() -> (Place, PathBuf) {
    let calls = two_teams();
    let place = Place::written(&calls[..2]);
    let old = place.dir.path().join("old");
    copy(&place.store(), &old);
    place.write(&calls[2..4]);
    (place, old)
}

pub(super) fn rolled_back_and_written_on() -> Place {
    let (place, old) = copied();
    roll_back(&place, &old);
    place.write(&later_calls(10, 5));
    place
}

fn later_calls(first: u32, count: u32) -> Vec<Call> {
    let later = first..first + count;
    later
        .map(|number| Call::new(number, "search", "alice", "later"))
        .collect()
}

const ROLLED_BACK: &str =
    "entry 6: the log was rolled back or rewritten before it: the key file knew 7 entries";

#[test]
fn a_store_that_was_rolled_back_says_so_for_ever() {
    let (place, old) = copied();
    roll_back(&place, &old);
    assert!(has(&place.problems(), "the key file knows 7 entries"));
    for number in [10, 20, 30] {
        place.write(&later_calls(number, 5));
        let problems = place.problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with(ROLLED_BACK), "{problems:?}");
    }
    assert_eq!(place.report().records, 2 + 15);
}

#[test]
fn a_store_that_was_rolled_back_twice_says_so_twice() {
    let (place, old) = copied();
    for number in [10, 20] {
        roll_back(&place, &old);
        place.write(&later_calls(number, 5));
    }
    // The branch that the first start began is gone with its entry; the key file knew that branch.
    let problems = place.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        has(&problems, "the key file knew 12 entries"),
        "{problems:?}"
    );
    let younger = place.dir.path().join("younger");
    copy(&place.store(), &younger);
    place.write(&later_calls(30, 1));
    roll_back(&place, &younger);
    place.write(&later_calls(40, 1));
    assert_eq!(place.problems().len(), 2);
}

#[test]
fn a_database_alone_that_was_rolled_back_is_found_too() {
    let (place, old) = copied();
    for name in ["audit.sqlite", "audit.sqlite-wal", "audit.sqlite-shm"] {
        let _ = fs::remove_file(place.store().join(name));
        let _ = fs::copy(old.join(name), place.store().join(name));
    }
    place.write(&later_calls(10, 5));
    let problems = place.problems();
    assert!(has(&problems, "rolled back or rewritten"), "{problems:?}");
    assert!(has(&problems, "heads.log line 3"), "{problems:?}");
    assert!(!has(&problems, "missing in heads.log"), "{problems:?}");
}

#[test]
fn looks_at_a_store_that_was_rolled_back_leave_the_key_file_what_it_knows() {
    let (place, old) = copied();
    let known = place.archive().keyring.witness().unwrap();
    roll_back(&place, &old);
    let mut archive = place.archive();
    for _ in 0..4 {
        archive.note(Read::Export, "", &actor(), NOON).unwrap();
    }
    assert_eq!(archive.keyring.witness().unwrap(), known);
    let problems = place.problems();
    assert!(
        has(&problems, "the key file has another hash for it"),
        "{problems:?}"
    );
    place.write(&[]);
    assert!(has(&place.problems(), "rolled back or rewritten"));
}

#[test]
fn a_start_that_was_killed_once_it_had_said_so_says_it_once() {
    let (place, old) = copied();
    let keys = place.dir.path().join("old-keys");
    copy(&place.key_dir(), &keys);
    roll_back(&place, &old);
    place.write(&[]);
    // The key file was not told yet.
    fs::remove_dir_all(place.key_dir()).unwrap();
    copy(&keys, &place.key_dir());
    place.write(&later_calls(10, 5));
    let problems = place.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with(ROLLED_BACK), "{problems:?}");
}

/// Alice is erased, and the key file from before is put back.
fn revived() -> (Place, KeyId) {
    let place = Place::written(&two_teams());
    let keys = place.dir.path().join("old-keys");
    copy(&place.key_dir(), &keys);
    let erased = place.archive().erase_person("alice", &actor(), NOON);
    fs::remove_dir_all(place.key_dir()).unwrap();
    copy(&keys, &place.key_dir());
    (place, erased.unwrap().keys[0])
}

fn is_destroyed(archive: &Archive, key: KeyId) -> bool {
    matches!(archive.keyring.find(key).unwrap(), Found::Destroyed { .. })
}

#[test]
fn a_key_file_from_before_an_erasure_revives_nobody() {
    let (place, key) = revived();
    place.write(&later_calls(10, 1));
    let archive = place.archive();
    assert!(is_destroyed(&archive, key));
    assert_eq!(place.problems(), [""; 0]);
    assert_eq!(place.report().gone, 3);

    // Nor without a gateway.
    let (place, key) = revived();
    assert!(is_destroyed(&place.archive(), key));
}

#[test]
fn a_key_file_from_before_a_purge_revives_nothing() {
    let place = Place::written(&two_teams());
    let keys = place.dir.path().join("old-keys");
    copy(&place.key_dir(), &keys);
    let late = NOON + DAY * 200;
    assert_eq!(place.archive().purge(&actor(), late).unwrap().keys, 4);
    fs::remove_dir_all(place.key_dir()).unwrap();
    copy(&keys, &place.key_dir());
    assert_eq!(place.archive().keyring.live(), []);
}

#[test]
fn a_key_that_lives_though_the_chain_says_it_is_destroyed_is_told() {
    let (place, key) = revived();
    // Beside a gateway that runs: nobody destroys it again yet.
    let lock = disk::Lock::try_take(&place.settings().lock_path()).unwrap();
    let problems = place.problems();
    drop(lock);
    assert!(
        has(
            &problems,
            &format!("entry 9: the key {key} that it destroyed is live")
        ),
        "{problems:?}"
    );
    // Whoever leaves an entry there has it destroyed again.
    let mut archive = place.archive();
    archive.note(Read::Export, "", &actor(), NOON).unwrap();
    assert_eq!(place.problems(), [""; 0]);
}
