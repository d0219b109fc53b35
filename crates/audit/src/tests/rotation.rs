//! Rotations that are cut short: the entry is there exactly when the keys were rotated.

use super::*;
use crate::killing::kill_at;

/// What the key file's first page says behind its witness: another after each rotation.
fn wrapped(place: &Place) -> Vec<u8> {
    let file = std::fs::read(place.key_dir().join("keys.tgk")).unwrap();
    file[64..4_096].to_vec()
}

fn rotations(place: &Place, keys: Keys) -> Vec<(String, String, Option<Actor>)> {
    let mut archive = Archive::open(place.settings(), keys, NOON).unwrap();
    let report = archive.verify(&Options {
        open: true,
        ..Options::default()
    });
    assert_eq!(report.unwrap().problems, []);
    let events = archive.events(None, 100).unwrap().into_iter();
    events
        .filter_map(|entry| match entry.event {
            Event::Rotated { from, to } => {
                Some((from, to, entry.details.map(|details| details.actor)))
            }
            _ => None,
        })
        .collect()
}

fn files(place: &Place) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(place.key_dir())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Every point at which `work` can be killed, and then that it is not.
fn killed_everywhere(mut work: impl FnMut(usize) -> Result<(), AuditError>) {
    for point in 0.. {
        assert!(point < 100, "it never ends");
        match work(point) {
            Ok(()) => {
                assert!(point > 10, "{point} points are not all that there are");
                return;
            }
            Err(error) => assert!(error.to_string().contains("killed"), "{point}: {error}"),
        }
    }
}

#[test]
fn a_command_that_is_killed_anywhere_leaves_an_entry_exactly_if_it_rotated() {
    let mut outcomes = [0, 0];
    killed_everywhere(|point| {
        let place = Place::written(&two_teams());
        let both = || keys(&place.key_dir(), "kek-2", &["kek-1"]);
        let before = wrapped(&place);
        let mut archive = Archive::open(place.settings(), both(), NOON).unwrap();
        kill_at(Some(point));
        let rotated = archive.rotate(&actor(), NOON);
        drop(archive);
        kill_at(None);
        let is_rotated = wrapped(&place) != before;
        let expected = ("kek-1".to_owned(), "kek-2".to_owned(), Some(actor()));
        let told = rotations(&place, both());
        assert_eq!(
            told,
            vec![expected; usize::from(is_rotated)],
            "killed at {point}"
        );
        assert_eq!(
            files(&place),
            ["keys.lock", "keys.tgk"],
            "killed at {point}"
        );
        // Looking again makes no second one, nor does the next rotation forget it.
        assert_eq!(rotations(&place, both()).len(), told.len());
        let mut archive = Archive::open(place.settings(), both(), NOON).unwrap();
        archive.rotate(&actor(), NOON).unwrap();
        drop(archive);
        assert_eq!(rotations(&place, both()).len(), told.len() + 1);
        outcomes[usize::from(is_rotated)] += 1;
        rotated
    });
    assert!(outcomes.iter().all(|count| *count > 2), "{outcomes:?}");
}

#[test]
fn a_start_that_is_killed_anywhere_rotates_once_in_the_end() {
    killed_everywhere(|point| {
        let place = Place::written(&two_teams());
        let both = || keys(&place.key_dir(), "kek-2", &["kek-1"]);
        kill_at(Some(point));
        let opened = AuditLog::open(place.settings(), both(), NOON);
        kill_at(None);
        let is_open = opened.map(|log| log.close(NOON));
        let log = AuditLog::open(place.settings(), both(), NOON).unwrap();
        log.close(NOON);
        let expected = ("kek-1".to_owned(), "kek-2".to_owned(), None);
        assert_eq!(rotations(&place, both()), [expected], "killed at {point}");
        assert_eq!(
            files(&place),
            ["keys.lock", "keys.tgk"],
            "killed at {point}"
        );
        is_open
    });
}

#[test]
fn a_rotation_that_failed_keeps_no_key_that_is_erased_afterwards() {
    killed_everywhere(|point| {
        let place = Place::written(&two_teams());
        let mut archive = place.archive();
        kill_at(Some(point));
        let rotated = archive.rotate(&actor(), NOON);
        drop(archive);
        kill_at(None);
        place
            .archive()
            .erase_person("alice", &actor(), NOON)
            .unwrap();
        assert_eq!(
            files(&place),
            ["keys.lock", "keys.tgk"],
            "killed at {point}"
        );
        let there: Vec<u32> = contents(&place, &two_teams())
            .into_iter()
            .filter(|(_, state)| *state == "here")
            .map(|(number, _)| number)
            .collect();
        assert_eq!(there, [2, 3], "killed at {point}");
        rotated
    });
}

#[test]
fn a_gateway_that_runs_writes_the_entry_of_a_command_that_was_killed() {
    let place = Place::new();
    let log = place.log();
    let mut archive = place.archive();
    // Behind the file's new name, before the entry.
    let point = 8;
    kill_at(Some(point));
    archive.rotate(&actor(), NOON).unwrap_err();
    kill_at(None);
    drop(archive);
    let count = |log: &AuditLog| {
        let events = Archive::of(log).unwrap().events(None, 10).unwrap();
        let rotated = events.iter().map(|entry| &entry.event);
        rotated
            .filter(|event| matches!(event, Event::Rotated { .. }))
            .count()
    };
    assert_eq!((count(&log), count(&log)), (1, 1));
    log.close(NOON);
}
