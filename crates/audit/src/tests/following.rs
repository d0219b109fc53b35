//! Followers of the log: what they get, what they miss, and who moves them.

use super::*;

#[test]
fn a_follower_gets_each_record_once_and_content_only_if_it_may() {
    let place = Place::written(&two_teams());
    let follow = |name: &str, with_content| {
        Follower::open(place.archive(), name, true, Scope::All, with_content, NOON).unwrap()
    };
    let mut follower = follow("siem", false);
    assert_eq!(follower.lag().unwrap().records, 5);
    let first = follower.next(3).unwrap();
    assert!(first.iter().all(|found| found.content == State::Closed));
    follower.pass(first[2].sequence, NOON).unwrap();
    drop(follower);
    let rest = follow("siem", true).next(10).unwrap();
    let calls = two_teams();
    let ids: Vec<CallId> = first
        .iter()
        .chain(&rest)
        .map(|found| found.skeleton.call)
        .collect();
    assert_eq!(ids, calls.iter().map(Call::id).collect::<Vec<_>>());
    assert!(
        matches!(&rest[0].content, State::Here(content) if content.prompt.as_deref() == calls[3].draft().prompt)
    );
    let mut new = Follower::open(place.archive(), "later", false, Scope::All, false, NOON).unwrap();
    assert_eq!(new.next(10).unwrap().len(), 0);
}

fn follower(place: &Place, name: &str, with_content: bool) -> Follower {
    Follower::open(place.archive(), name, true, Scope::All, with_content, NOON).unwrap()
}

fn calls_of(found: &[Found]) -> Vec<CallId> {
    found.iter().map(|found| found.skeleton.call).collect()
}

#[test]
fn entries_that_are_no_records_are_no_lag() {
    let place = Place::written(&two_teams());
    let mut follower = follower(&place, "siem", false);
    let last = follower.next(10).unwrap()[4].sequence;
    follower.pass(last, NOON).unwrap();
    let mut archive = place.archive();
    for _ in 0..3 {
        archive.note(Read::Export, "", &actor(), NOON).unwrap();
    }
    assert!(follower.next(10).unwrap().is_empty());
    assert_eq!(follower.lag().unwrap(), Lag::default());
    assert_eq!(cursors(&place.store()).unwrap()[0].lag, Lag::default());
}

#[test]
fn a_follower_that_is_rewound_reads_again_what_ended_since_then() {
    let calls = two_teams();
    let place = Place::written(&calls);
    let mut running = follower(&place, "siem", true);
    let all = running.next(10).unwrap();
    running.pass(all[4].sequence, NOON).unwrap();
    // The chain knows when calls ended.
    let since = calls[2].at();
    assert_eq!(
        rewind(&place.store(), "siem", since, NOON).unwrap(),
        Some(3)
    );
    // What it was about to pass does not undo it.
    running.pass(all[4].sequence, NOON).unwrap();
    assert_eq!(cursors(&place.store()).unwrap()[0].lag.records, 3);
    assert_eq!(running.lag().unwrap().records, 3);
    assert!(running.was_moved());
    running.move_is_noted();
    assert!(!running.was_moved());
    let again = running.next(10).unwrap();
    assert_eq!(
        calls_of(&again),
        calls[2..].iter().map(Call::id).collect::<Vec<_>>()
    );
    drop(running);
    assert_eq!(follower(&place, "siem", true).next(10).unwrap().len(), 3);
    let all = rewind(&place.store(), "siem", Wall(0), NOON).unwrap();
    let none = rewind(&place.store(), "siem", NOON + DAY * 999, NOON).unwrap();
    assert_eq!((all, none), (Some(5), Some(0)));
    assert_eq!(
        rewind(&place.store(), "unknown", since, NOON).unwrap(),
        None
    );
}

#[test]
fn a_follower_that_is_forgotten_begins_anew_and_one_in_use_goes_on() {
    let place = Place::written(&two_teams());
    let mut running = follower(&place, "siem", true);
    let first = running.next(2).unwrap();
    running.pass(first[1].sequence, NOON).unwrap();
    assert!(forget(&place.store(), "siem").unwrap());
    assert!(!forget(&place.store(), "siem").unwrap());
    assert_eq!(running.next(10).unwrap().len(), 3);
    assert_eq!(cursors(&place.store()).unwrap()[0].lag.records, 3);
    drop(running);
    assert!(forget(&place.store(), "siem").unwrap());
    assert_eq!(cursors(&place.store()).unwrap(), []);
    assert_eq!(follower(&place, "siem", true).next(10).unwrap().len(), 5);
}

#[test]
fn retention_waits_for_no_follower_and_the_log_says_what_each_missed() {
    let calls = [
        Call::new(1, "search", "alice", "one").kept_for(30),
        Call::new(2, "search", "bob", "two").kept_for(30),
        Call::new(3, "search", "carol", "three").kept_for(365),
        Call::new(4, "search", "dave", "four").kept_for(30),
    ];
    let place = Place::written(&calls);
    let mut ahead = follower(&place, "ahead", true);
    let first = ahead.next(1).unwrap();
    ahead.pass(first[0].sequence, NOON).unwrap();
    // Metadata stays, so who wants no more misses nothing.
    let mut metadata = follower(&place, "metadata", false);
    let mut stuck = follower(&place, "stuck", true);
    let later = NOON + DAY * 40;
    let purged = place.archive().purge(&actor(), later).unwrap();
    let missed = [("ahead".to_owned(), 2), ("stuck".to_owned(), 3)];
    assert_eq!((purged.records, purged.missed), (3, missed.into()));

    let told: Vec<u64> = [&mut ahead, &mut metadata, &mut stuck]
        .map(|follower| follower.lag().unwrap().missed)
        .into();
    assert_eq!(told, [2, 0, 3]);
    let listed = cursors(&place.store()).unwrap();
    let listed: Vec<_> = listed
        .iter()
        .map(|cursor| (&*cursor.name, cursor.lag.records, cursor.lag.missed))
        .collect();
    assert_eq!(
        listed,
        [("ahead", 3, 2), ("metadata", 4, 0), ("stuck", 4, 3)]
    );
    let events = place.archive().events(None, 100).unwrap();
    let about: Vec<String> = events
        .into_iter()
        .filter(|entry| matches!(entry.event, Event::Purged { .. }))
        .map(|entry| entry.details.unwrap().about)
        .collect();
    assert_eq!(about, ["missed by sink ahead: 2; missed by sink stuck: 3"]);

    let states: Vec<bool> = stuck
        .next(10)
        .unwrap()
        .iter()
        .map(|found| matches!(found.content, State::Here(_)))
        .collect();
    assert_eq!(states, [false, false, true, false]);
    // What a follower took before it went is none of it.
    let last = stuck.next(10).unwrap()[3].sequence;
    stuck.pass(last, NOON).unwrap();
    let purged = place.archive().purge(&actor(), NOON + DAY * 400).unwrap();
    assert_eq!(purged.missed, [("ahead".to_owned(), 1)].into());
    assert_eq!(place.problems(), [""; 0]);
}

#[test]
fn cursors_of_an_older_version_are_taken_over() {
    let place = Place::written(&two_teams());
    let database = rusqlite::Connection::open(place.store().join("audit.sqlite")).unwrap();
    database.execute_batch(BEFORE_THIRD).unwrap();
    database
        .execute_batch("INSERT INTO cursors VALUES ('siem', 3, 7); PRAGMA user_version = 2;")
        .unwrap();
    drop(database);
    let cursor = cursors(&place.store()).unwrap().remove(0);
    assert_eq!(
        (&*cursor.name, cursor.lag.records, cursor.moved_at),
        ("siem", 4, Wall(7))
    );
    assert_eq!(follower(&place, "siem", true).next(10).unwrap().len(), 4);
    assert_eq!(place.problems(), [""; 0]);
}
