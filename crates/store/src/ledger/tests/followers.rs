//! Reading the ledger with a cursor: beside the writer, across restarts, kills and housekeeping.

use rusqlite::Connection;

use super::super::follow::{self, Follower, From, Lag};
use super::*;

/// Ten calls, a second apart, on a ledger that is closed again.
fn ten_calls(dir: &Path) {
    let (ledger, _) = open(dir);
    for number in 0..10 {
        ledger.append(None, numbered(number));
    }
    ledger.close();
}

fn numbered(number: u128) -> CallRecord {
    let mut call = call(number, NOON + Duration::from_secs(number as u64));
    // Only the journal has it.
    call.opening.price = None;
    call
}

fn follower(dir: &Path, from: From) -> Follower {
    Follower::open(dir, "usage", from, NOON).unwrap()
}

/// Reads and passes everything, `batch` calls at a time.
fn read_all(follower: &mut Follower, batch: usize) -> Vec<CallRecord> {
    let mut all = Vec::new();
    loop {
        let entries = follower.next(batch).unwrap();
        let Some(last) = entries.last() else {
            return all;
        };
        follower.pass(last, NOON).unwrap();
        all.extend(entries.into_iter().map(|entry| entry.record));
    }
}

fn change(dir: &Path, sql: &str) {
    let connection = Connection::open(dir.join("ledger.sqlite")).unwrap();
    connection.execute_batch(sql).unwrap();
}

#[test]
fn a_follower_reads_each_call_once_and_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    ten_calls(dir.path());
    let mut first = follower(dir.path(), From::Start);
    let entries = first.next(4).unwrap();
    let records: Vec<_> = entries.iter().map(|entry| entry.record.clone()).collect();
    assert_eq!(records, (0..4).map(numbered).collect::<Vec<_>>());
    let again = first.next(4).unwrap();
    assert_eq!(
        again[0].record,
        numbered(0),
        "the same until they are passed"
    );
    first.pass(&entries[3], NOON).unwrap();
    drop(first);

    let mut second = follower(dir.path(), From::Start);
    let rest = read_all(&mut second, 3);
    assert_eq!(rest, (4..10).map(numbered).collect::<Vec<_>>());
}

#[test]
fn a_new_follower_begins_where_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    ten_calls(dir.path());
    let mut from_now = follower(dir.path(), From::Now);
    let mut from_start = Follower::open(dir.path(), "other", From::Start, NOON).unwrap();
    assert_eq!(read_all(&mut from_now, 100), vec![]);
    assert_eq!(read_all(&mut from_start, 100).len(), 10);
    let (ledger, _) = open(dir.path());
    ledger.append(None, numbered(10));
    ledger.close();
    assert_eq!(read_all(&mut from_now, 100), vec![numbered(10)]);
    assert_eq!(read_all(&mut from_start, 100), vec![numbered(10)]);
}

#[test]
fn a_follower_on_an_empty_ledger_misses_nothing_that_follows() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    let mut early = follower(dir.path(), From::Now);
    ledger.append(None, numbered(1));
    ledger.close();
    assert_eq!(read_all(&mut early, 100), vec![numbered(1)]);
}

#[test]
fn interrupted_calls_are_followed_too() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    let mut follower = follower(dir.path(), From::Now);
    let record = numbered(1);
    let entry = ledger.begin(&record.opening);
    ledger.progress(&entry, 7);
    drop(ledger);
    let (ledger, recovered) = open(dir.path());
    assert_eq!(recovered.interrupted.len(), 1);
    let followed = read_all(&mut follower, 100);
    assert_eq!(followed, vec![as_interrupted(&record, 7)]);
    drop(ledger);
}

#[test]
fn what_lags_is_counted_and_its_oldest_call_is_known() {
    let dir = tempfile::tempdir().unwrap();
    ten_calls(dir.path());
    let mut follower = follower(dir.path(), From::Start);
    let entries = follower.next(7).unwrap();
    follower.pass(&entries[6], NOON).unwrap();
    let seventh = numbered(7);
    let lag = Lag {
        records: 3,
        oldest: Some(seventh.opening.at + seventh.latency),
    };
    assert_eq!(follower.lag().unwrap(), lag);
    read_all(&mut follower, 100);
    assert_eq!(follower.lag().unwrap(), Lag::default());
    let states = follow::cursors(dir.path()).unwrap();
    assert_eq!(states.len(), 1);
    assert_eq!((&*states[0].name, states[0].lag), ("usage", Lag::default()));
}

/// Row numbers are SQLite's to change: a vacuum numbers the rows that are left anew.
#[test]
fn a_vacuum_moves_no_cursor() {
    let dir = tempfile::tempdir().unwrap();
    ten_calls(dir.path());
    let mut follower = follower(dir.path(), From::Start);
    let entries = follower.next(7).unwrap();
    follower.pass(&entries[6], NOON).unwrap();
    change(dir.path(), "DELETE FROM calls WHERE rowid <= 5; VACUUM");
    let (ledger, _) = open(dir.path());
    ledger.append(None, numbered(10));
    ledger.close();
    let rest = read_all(&mut follower, 100);
    assert_eq!(rest, (7..=10).map(numbered).collect::<Vec<_>>());
}

#[test]
fn where_the_last_call_is_gone_and_numbers_begin_anew_calls_are_read_twice_rather_than_never() {
    let dir = tempfile::tempdir().unwrap();
    ten_calls(dir.path());
    let mut follower = follower(dir.path(), From::Start);
    read_all(&mut follower, 100);
    change(dir.path(), "DELETE FROM calls WHERE rowid > 2; VACUUM");
    let (ledger, _) = open(dir.path());
    ledger.append(None, numbered(10));
    ledger.close();
    let followed = read_all(&mut follower, 100);
    assert_eq!(followed.last(), Some(&numbered(10)));
}

#[test]
fn a_rewound_follower_reads_again_from_that_time_even_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    ten_calls(dir.path());
    let mut follower = follower(dir.path(), From::Start);
    let entries = follower.next(100).unwrap();
    let since = NOON + Duration::from_secs(6);
    let again = follow::rewind(dir.path(), "usage", since, NOON).unwrap();
    assert_eq!(again, Some(4));
    // What it was about to pass when it was rewound does not undo that.
    follower.pass(&entries[9], NOON).unwrap();
    let rest = read_all(&mut follower, 3);
    assert_eq!(rest, (6..10).map(numbered).collect::<Vec<_>>());
    assert_eq!(
        follow::rewind(dir.path(), "nobody", since, NOON).unwrap(),
        None
    );
}

#[test]
fn a_forgotten_follower_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    ten_calls(dir.path());
    read_all(&mut follower(dir.path(), From::Start), 100);
    assert!(follow::forget(dir.path(), "usage").unwrap());
    assert!(!follow::forget(dir.path(), "usage").unwrap());
    assert_eq!(
        read_all(&mut follower(dir.path(), From::Start), 100).len(),
        10
    );
}

#[test]
fn a_call_that_somebody_damaged_does_not_keep_the_others() {
    let dir = tempfile::tempdir().unwrap();
    ten_calls(dir.path());
    change(
        dir.path(),
        "UPDATE calls SET outcome = 'nonsense' WHERE rowid = 4",
    );
    let followed = read_all(&mut follower(dir.path(), From::Start), 100);
    assert_eq!(followed.len(), 9);
}

#[test]
fn a_database_that_cannot_be_written_holds_no_follower_up() {
    let dir = tempfile::tempdir().unwrap();
    ten_calls(dir.path());
    let mut follower = follower(dir.path(), From::Start);
    let entries = follower.next(5).unwrap();
    change(
        dir.path(),
        "CREATE TRIGGER full BEFORE UPDATE ON sink_cursors BEGIN SELECT raise(FAIL, 'disk full'); END",
    );
    assert!(follower.pass(&entries[4], NOON).is_err());
    let next = follower.next(1).unwrap();
    assert_eq!(next[0].record, numbered(5));
}
