//! What survives, and what must not.

mod faults;

use std::fs;
use std::path::PathBuf;

use ::audit::{Actor, Archive, AuditLog, Kek, Keys};
use domain::SubscriptionId;
use likeness::comparer::Reading;
use likeness::verified::Observation;
use tempfile::TempDir;

use super::*;
use crate::{Answer, Beside, DiskSettings, Listed, Selection};

/// 2026-11-22 12:00 UTC.
pub(super) const NOON: Wall = Wall(1_795_348_800_000);

/// An audit log, its keys, and a cache that is sealed with them.
pub(super) struct Place {
    dir: TempDir,
    pub(super) log: AuditLog,
}

impl Place {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        let settings = ::audit::Settings::new(path.join("audit"), "eu");
        let log = AuditLog::open(settings, keys(path.join("keys")), NOON).unwrap();
        Self { dir, log }
    }

    pub(super) fn cache_dir(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    fn file(&self) -> PathBuf {
        self.cache_dir().join("cache.db")
    }

    pub(super) fn settings(&self, memory_bytes: u64, bytes_max: u64) -> Settings {
        Settings {
            memory_bytes,
            disk: Some(DiskSettings {
                dir: self.cache_dir(),
                bytes_max,
                sealer: self.log.sealer(),
            }),
        }
    }

    /// With what was on disk back in memory.
    fn cache_at(&self, now: Wall) -> Cache {
        let cache = Cache::open(self.settings(16 * MEBIBYTE, 64 * MEBIBYTE), now).unwrap();
        cache.catch_up();
        cache
    }

    fn cache(&self) -> Cache {
        self.cache_at(NOON)
    }

    /// As another process has it.
    pub(super) fn archive(&self) -> Archive {
        let path = self.dir.path();
        let settings = ::audit::Settings::new(path.join("audit"), "eu");
        Archive::open(settings, keys(path.join("keys")), NOON).unwrap()
    }

    fn beside(&self) -> Beside {
        Beside::open(&self.cache_dir()).unwrap().unwrap()
    }

    /// Whether any of the cache's files holds these bytes.
    fn holds(&self, bytes: &[u8]) -> bool {
        fs::read_dir(self.cache_dir()).unwrap().any(|file| {
            let held = fs::read(file.unwrap().path()).unwrap();
            held.windows(bytes.len()).any(|window| window == bytes)
        })
    }
}

fn keys(dir: PathBuf) -> Keys {
    Keys {
        dir,
        current: Kek::Local {
            id: "kek".to_owned(),
            key: [7; 32],
        },
        previous: Vec::new(),
    }
}

pub(super) fn actor() -> Actor {
    Actor {
        by: "root".to_owned(),
        role: "admin".to_owned(),
        reason: "request 88".to_owned(),
    }
}

fn at_noon(new: NewEntry) -> NewEntry {
    NewEntry {
        stored_at: NOON,
        expires_at: NOON + std::time::Duration::from_secs(3600),
        ..new
    }
}

fn bought_by(subscription: &str, person: &str, number: u64) -> NewEntry {
    let mut new = at_noon(asked(number, partition(1), Dice(number).direction(64)));
    new.owner = Owner {
        user: Some(Arc::from(person)),
        ..owner(subscription)
    };
    new.answer = Bytes::from(format!("answer {number} for {person}"));
    new
}

fn answer_of(cache: &Cache, number: u64, now: Wall) -> Option<Bytes> {
    cache.read(&cache.get(&key(number), now)?)
}

#[test]
fn entries_come_back_whole_after_a_restart() {
    let place = Place::new();
    let cache = place.cache();
    let new = bought_by("hr", "anna", 1);
    let (answer, embedding) = (new.answer.clone(), new.question.clone().unwrap().embedding);
    let before = cache.put(NewEntry {
        usage: Usage {
            prompt: 12,
            completion: 34,
            ..Usage::default()
        },
        ..new
    });
    cache.put(at_noon(entry(2, "exact only")));
    cache.observe(
        &before,
        Observation {
            similarity: 0.875,
            right: true,
        },
    );
    drop(cache);

    let cache = place.cache();
    let after = cache.get(&key(1), NOON).unwrap();
    assert_eq!(
        (after.id, &after.owner, &after.model),
        (before.id, &before.owner, &before.model)
    );
    assert_eq!(
        (after.usage, after.stored_at, after.expires_at),
        (before.usage, before.stored_at, before.expires_at)
    );
    assert_eq!(
        (after.text(), after.partition()),
        (before.text(), before.partition())
    );
    assert_eq!(
        after.observations().iter().collect::<Vec<_>>(),
        [Observation {
            similarity: 0.875,
            right: true
        }]
    );
    assert_eq!(cache.answer(&after), Answer::OnDisk);
    assert_eq!(cache.read(&after), Some(answer.clone()));
    assert_eq!(cache.answer(&after), Answer::Ready(answer));
    let near = cache.nearest(&partition(1), &embedding, 0.999, 2, NOW_LATER);
    assert_eq!(near.len(), 1);
    assert_eq!(near[0].entry.id, before.id);
    assert_eq!(
        answer_of(&cache, 2, NOON).as_deref(),
        Some(&b"exact only"[..])
    );
    assert!(cache.put(at_noon(entry(3, ""))).id > before.id);
}

#[test]
fn a_reading_does_not_come_back_and_there_is_room_for_another() {
    let place = Place::new();
    let reading = Reading::of(&[101, 102], &[0.1; 2 * 384]).unwrap();
    let mut new = bought_by("hr", "anna", 1);
    new.question.as_mut().unwrap().reading = Some(reading.clone());
    let cache = place.cache();
    assert!(!cache.put(new).lacks_reading());
    drop(cache);

    let cache = place.cache();
    let after = cache.get(&key(1), NOON).unwrap();
    assert!(after.lacks_reading());
    after.keep_reading(reading.clone());
    assert_eq!(after.reading(), Some(&reading));
}

const NOW_LATER: Wall = Wall(NOON.0 + 1);

#[test]
fn the_newer_of_two_answers_comes_back_and_what_left_does_not() {
    let place = Place::new();
    let cache = place.cache();
    for (number, answer) in [(1, "old"), (2, "purged"), (3, "stays"), (1, "new")] {
        cache.put(at_noon(entry(number, answer)));
    }
    cache.catch_up();
    let what = Selection {
        keys: Some(vec![key(2)]),
        ..Selection::default()
    };
    cache.purge(&what);
    drop(cache);
    let cache = place.cache();
    assert_eq!(answer_of(&cache, 1, NOON).as_deref(), Some(&b"new"[..]));
    assert_eq!(answer_of(&cache, 2, NOON), None);
    assert_eq!(answer_of(&cache, 3, NOON).as_deref(), Some(&b"stays"[..]));
    assert_eq!(place.beside().stats(NOON).unwrap().entries, 2);
}

#[test]
fn what_expired_while_nothing_ran_is_not_found_and_leaves_the_disk() {
    let place = Place::new();
    let cache = place.cache();
    for number in 0..600 {
        cache.put(at_noon(entry(number, "an answer")));
    }
    drop(cache);
    let later = NOON + std::time::Duration::from_secs(3600);
    assert_eq!(place.beside().stats(later).unwrap().expired, 600);
    let cache = place.cache_at(later);
    assert_eq!(cache.levels().entries, 0);
    for _ in 0..3 {
        cache.catch_up();
    }
    assert_eq!(place.beside().stats(later).unwrap().entries, 0);
}

#[test]
fn nothing_that_was_said_is_on_disk_in_the_clear() {
    let place = Place::new();
    let cache = place.cache();
    let mut new = bought_by("narwhal-team", "anna@example.com", 1);
    new.model = "secret-model".into();
    cache.put(new);
    drop(cache);
    for said in [
        "question 1",
        "answer 1 for",
        "anna@example.com",
        "narwhal-team",
        "secret-model",
    ] {
        assert!(!place.holds(said.as_bytes()), "{said}");
    }
    assert!(!place.holds(&key(1).0), "hashes of texts can be guessed");
    assert!(!place.holds(&partition(1).0));
}

#[test]
fn an_erased_person_is_forgotten_by_a_running_cache_and_unreadable_in_every_copy() {
    let place = Place::new();
    let cache = place.cache();
    cache.put(bought_by("hr", "anna", 1));
    cache.put(bought_by("hr", "bob", 2));
    cache.catch_up();
    let copy = tempfile::tempdir().unwrap();
    for file in ["cache.db", "cache.db-wal"] {
        fs::copy(place.cache_dir().join(file), copy.path().join(file)).unwrap();
    }
    // By another process; put in before it, written after it: whose it is, nobody can tell any more.
    place
        .archive()
        .erase_person("anna", &actor(), NOON)
        .unwrap();
    cache.put(bought_by("hr", "anna", 3));
    cache.catch_up();
    cache.catch_up();
    for number in [1, 3] {
        assert!(cache.get(&key(number), NOON).is_none(), "{number}");
        assert!(
            cache
                .nearest(&partition(1), &Dice(number).direction(64), 0.9, 1, NOON)
                .is_empty()
        );
    }
    assert!(answer_of(&cache, 2, NOON).is_some());
    assert_eq!(cache.levels().erased, 2);
    assert_eq!(place.beside().stats(NOON).unwrap().entries, 1);
    // Who comes back after the erasure is cached as anybody is.
    cache.put(bought_by("hr", "anna", 4));
    cache.catch_up();
    assert!(cache.get(&key(4), NOON).is_some());
    drop(cache);

    let old = Beside::open(copy.path()).unwrap().unwrap();
    let (mut readable, mut unreadable) = (Vec::new(), 0);
    old.each(&place.log.sealer(), |listed| {
        match listed {
            Listed::Readable(one) => readable.push(one.0.key),
            Listed::Unreadable(_) => unreadable += 1,
        }
        Ok(())
    })
    .unwrap();
    assert_eq!((readable, unreadable), (vec![key(2)], 1));
}

#[test]
fn an_erased_subscription_does_not_come_back_with_a_restart() {
    let place = Place::new();
    let cache = place.cache();
    cache.put(bought_by("hr", "anna", 1));
    cache.put(bought_by("it", "anna", 2));
    drop(cache);
    place
        .archive()
        .erase_subscription(&SubscriptionId::from("hr"), &actor(), NOON)
        .unwrap();
    let cache = place.cache();
    assert!(cache.get(&key(1), NOON).is_none());
    assert!(answer_of(&cache, 2, NOON).is_some());
    assert_eq!(place.beside().stats(NOON).unwrap().entries, 1);
}

#[test]
fn a_command_purges_beside_a_running_cache_and_a_stopped_one() {
    let place = Place::new();
    let cache = place.cache();
    for number in 0..300 {
        cache.put(bought_by(
            if number % 3 == 0 { "hr" } else { "it" },
            "anna",
            number,
        ));
    }
    cache.catch_up();
    let sealer = place.log.sealer();
    let of_hr = Selection {
        subscription: Some("hr".into()),
        ..Selection::default()
    };
    let purged = place.beside().purge(&sealer, &of_hr, NOON).unwrap();
    assert_eq!(purged.entries, 100);
    cache.catch_up();
    assert_eq!(cache.levels().entries, 200);
    assert!(cache.get(&key(3), NOON).is_none());
    assert_eq!(place.beside().stats(NOON).unwrap().purges_waiting, 0);
    drop(cache);

    let purged = place
        .beside()
        .purge(&sealer, &Selection::default(), NOON)
        .unwrap();
    assert_eq!(purged.entries, 200);
    let cache = place.cache();
    assert_eq!(cache.levels().entries, 0);
    cache.put(bought_by("hr", "anna", 1));
    cache.catch_up();
    assert!(
        cache.get(&key(1), NOON).is_some(),
        "a purge is of what was there before it"
    );
}

#[test]
fn the_disk_keeps_what_is_used_within_its_bound() {
    let place = Place::new();
    let cache = Cache::open(place.settings(64 * MEBIBYTE, 4 * MEBIBYTE), NOON).unwrap();
    let answer = "x".repeat(8_000);
    for number in 0..1_000 {
        let now = Wall(NOON.0 + number * 10);
        let number = number as u64;
        cache.put(NewEntry {
            stored_at: now,
            ..at_noon(entry(number, &answer))
        });
        if number.is_multiple_of(50) {
            if let Some(first) = cache.get(&key(0), now) {
                cache.answer(&first);
            }
            cache.catch_up();
        }
    }
    cache.catch_up();
    let levels = cache.levels();
    let disk = levels.disk.clone().unwrap();
    assert!(disk.bytes <= 4 * MEBIBYTE, "{disk:?}");
    assert!(
        levels.entries < 600 && levels.entries > 100,
        "{}",
        levels.entries
    );
    let on_disk = place.beside().stats(NOON).unwrap().entries;
    assert_eq!(on_disk, levels.entries, "{levels:?}");
    assert!(cache.get(&key(0), NOON).is_some(), "it was used throughout");
    assert!(cache.get(&key(1), NOON).is_none());
    assert!(cache.get(&key(999), NOON).is_some());
    // With what the bound leaves for one transaction.
    assert!(fs::metadata(place.file()).unwrap().len() < 24 * MEBIBYTE);
}

#[test]
fn an_answer_that_was_pushed_out_of_memory_is_read_from_the_disk() {
    let place = Place::new();
    let cache = Cache::open(place.settings(2 * MEBIBYTE, 64 * MEBIBYTE), NOON).unwrap();
    let answer = |number: u64| format!("{number:0>8000}");
    for number in 0..500 {
        cache.put(at_noon(entry(number, &answer(number))));
        cache.catch_up();
    }
    assert!(cache.levels().memory_bytes < 2 * MEBIBYTE);
    let mut on_disk = 0;
    for number in 0..500 {
        let entry = cache.get(&key(number), NOON).unwrap();
        on_disk += u32::from(cache.answer(&entry) == Answer::OnDisk);
        assert_eq!(cache.read(&entry), Some(answer(number).into()));
    }
    assert!(on_disk > 300, "{on_disk}");
}
