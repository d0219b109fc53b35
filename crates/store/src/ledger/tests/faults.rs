//! Faults while the gateway runs, and the files it leaves.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rusqlite::Connection;

use super::*;

/// Room for two segments and ten records.
fn tiny() -> Options {
    Options {
        journal_bytes_max: 128 * 1024,
        records_in_memory_max: 10,
        ..small()
    }
}

/// Another process that holds the database, until dropped.
fn hold(dir: &Path) -> Connection {
    let connection = Connection::open(dir.join("ledger.sqlite")).unwrap();
    connection
        .execute_batch("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE")
        .unwrap();
    connection
}

#[test]
fn every_token_of_calls_that_nothing_had_room_for_is_on_the_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = Ledger::open_with(dir.path(), now(NOON), &tiny()).unwrap();
    let held = hold(dir.path());
    for number in 0..1000 {
        let record = call(number, NOON);
        let entry = ledger.begin(&record.opening);
        ledger.append(Some(entry), record);
    }
    let health = ledger.health();
    assert!(
        health
            .journal_fault
            .is_some_and(|fault| fault.contains("bound"))
    );
    assert_eq!(health.records_in_memory, 10);
    assert!(health.folded > 100, "{}", health.folded);
    assert!(health.behind_bytes > 100_000);

    drop(held);
    ledger.close();

    let all = total(dir.path());
    assert_eq!((all.calls, all.total_tokens), (1000, 120_000));
    assert_eq!((all.cost, all.saved), (Nanos(360_000), Nanos(40_000)));
    assert_eq!(totals_of_calls(dir.path())[0].calls, 1000 - health.folded);
    let (ledger, recovered) = open(dir.path());
    assert_eq!((recovered.interrupted.len(), recovered.replayed), (0, 0));
    assert_eq!(recovered.counters.quotas[0].3, 120_000);
    assert_eq!(recovered.counters.budgets[0].spent, Nanos(360_000));
    ledger.close();
}

#[test]
fn a_kill_with_records_in_memory_still_knows_the_tokens_of_calls_that_had_begun() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = Ledger::open_with(dir.path(), now(NOON), &tiny()).unwrap();
    let held = hold(dir.path());
    let record = call(0, NOON);
    let entry = ledger.begin(&record.opening);
    for number in 1..1000 {
        ledger.append(None, call(number, NOON));
    }
    assert!(ledger.health().folded > 0);
    ledger.append(Some(entry), record.clone());
    drop(ledger);
    drop(held);

    let (ledger, recovered) = open(dir.path());
    ledger.close();

    assert_eq!(recovered.interrupted.len(), 1);
    assert_eq!(
        find(dir.path(), record.opening.id).unwrap(),
        Some(as_interrupted(&record, 20))
    );
}

#[test]
fn a_journal_that_cannot_grow_is_reported_and_the_database_takes_over() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    let journal = journal_dir(dir.path());
    fs::rename(&journal, dir.path().join("gone")).unwrap();
    fs::write(&journal, "not a directory").unwrap();
    for number in 0..1000 {
        let record = call(number, NOON);
        let entry = ledger.begin(&record.opening);
        ledger.append(Some(entry), record);
    }
    assert!(
        ledger
            .health()
            .journal_fault
            .is_some_and(|fault| fault.contains("journal segment"))
    );
    ledger.close();
    fs::remove_file(&journal).unwrap();

    assert_eq!(total(dir.path()).calls, 1000);
    assert_eq!(totals(dir.path()), totals_of_calls(dir.path()));
}

#[test]
fn a_locked_database_delays_records_and_loses_none() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    let held = hold(dir.path());
    for number in 0..100 {
        ledger.append(None, call(number, NOON));
    }
    assert!(ledger.health().behind_bytes > 0);
    drop(held);
    ledger.close();
    assert_eq!(total(dir.path()).calls, 100);
}

#[test]
fn a_long_stream_holds_its_own_segment_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    let stream = call(0, NOON);
    let entry = ledger.begin(&stream.opening);
    for number in 1..3000 {
        ledger.append(None, call(number, NOON));
    }
    ledger.progress(&entry, 1234);
    ledger.close();

    // The stream's, the current one and the spare: of more than ten.
    assert!(
        segment_files(dir.path()) <= 3,
        "{}",
        segment_files(dir.path())
    );
    let (ledger, recovered) = open(dir.path());
    ledger.close();
    assert_eq!(recovered.interrupted.len(), 1);
    assert_eq!(
        find(dir.path(), stream.opening.id).unwrap(),
        Some(as_interrupted(&stream, 1234))
    );
}

#[test]
fn a_clean_end_leaves_no_journal_and_private_files() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (ledger, _) = open(&data);
    ledger.append(None, call(1, NOON));
    ledger.close();

    assert_eq!(segment_files(&data), 0);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(&journal_dir(&data))), (0o700, 0o700));
    assert_eq!(
        (mode(&data.join("ledger.sqlite")), mode(&data.join("lock"))),
        (0o600, 0o600)
    );
}

#[test]
fn a_second_gateway_is_told_which_directory_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let (first, _) = open(dir.path());
    let error = Ledger::open(dir.path(), now(NOON)).unwrap_err().to_string();
    assert!(
        error.contains(&*dir.path().to_string_lossy()) && error.contains("another gateway"),
        "{error}"
    );
    first.close();
    open(dir.path()).0.close();
}

#[test]
fn a_newer_database_is_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).0.close();
    let connection = Connection::open(dir.path().join("ledger.sqlite")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    for error in [
        Ledger::open(dir.path(), now(NOON)).unwrap_err(),
        recent(dir.path(), 1).unwrap_err(),
    ] {
        assert!(error.0.contains("layout 99"), "{error}");
    }
}

#[test]
fn a_database_that_is_none_is_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("ledger.sqlite"), "x".repeat(4096)).unwrap();
    let error = Ledger::open(dir.path(), now(NOON)).unwrap_err();
    assert!(
        error.0.contains("ledger.sqlite") && error.0.contains("not a database"),
        "{error}"
    );
}

#[test]
fn a_record_with_absurd_names_is_cut_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = Ledger::open(dir.path(), now(NOON)).unwrap();
    let mut record = call(1, NOON);
    record.opening.who.caller = "x".repeat(20_000_000).into();
    let entry = ledger.begin(&record.opening);
    ledger.append(Some(entry), record.clone());
    ledger.close();
    let found = find(dir.path(), record.opening.id).unwrap().unwrap();
    assert_eq!(
        (found.metered, found.opening.who.caller.len()),
        (record.metered, 256)
    );
}

/// A file system of a few MiB, gone when dropped. `None` where mounting is not permitted.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs"])
            .arg(dir.path())
            .output();
        if mount.as_ref().is_ok_and(|output| output.status.success()) {
            return Some(Self(dir));
        }
        eprintln!("SKIPPED: a full disk is not tested, for a tmpfs cannot be mounted: {mount:?}");
        None
    }

    fn fill(&self) -> std::path::PathBuf {
        use std::io::Write as _;
        let filler = self.0.path().join("filler");
        let mut file = fs::File::create(&filler).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
        filler
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmount = std::process::Command::new("umount")
            .arg("-l")
            .arg(self.0.path())
            .status();
        assert!(unmount.is_ok());
    }
}

#[test]
fn a_full_disk_keeps_records_in_memory_until_there_is_room_again() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let dir = disk.0.path().join("data");
    let (ledger, _) = open(&dir);
    let filler = disk.fill();
    // More than the two segments that are already there can take.
    for number in 0..1000 {
        let record = call(number, NOON);
        let entry = ledger.begin(&record.opening);
        ledger.append(Some(entry), record);
    }
    let health = ledger.health();
    assert!(health.journal_fault.is_some(), "{health:?}");
    assert!(health.records_in_memory > 100, "{health:?}");
    assert_eq!(health.folded, 0);

    fs::remove_file(filler).unwrap();
    ledger.close();
    assert_eq!(total(&dir).calls, 1000);
    assert_eq!(totals(&dir), totals_of_calls(&dir));
}
