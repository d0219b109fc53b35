//! That the index holds each record once, however it came there.

use rusqlite::Connection;

use super::*;
use crate::database::State as Progress;
use crate::index::{self, Building, Chaining};
use crate::record::Numbers;

/// Records whose content each has a word of its own, chained and not indexed.
fn chained(count: u32) -> (Place, Vec<Call>) {
    let calls: Vec<Call> = (1..=count)
        .map(|number| {
            let user = ["alice", "bob"][number as usize % 2];
            Call::new(number, "search", user, &format!("own{number} shared"))
        })
        .collect();
    (Place::written(&calls), calls)
}

/// As the writer does it while it chains them.
fn add_records(archive: &mut Archive, building: &mut Building, range: std::ops::Range<u64>) {
    let mut select = archive
        .database
        .connection
        .prepare("SELECT sequence, header, segment, offset, length FROM chain WHERE segment IS NOT NULL ORDER BY sequence")
        .unwrap();
    let mut rows = select.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let sequence: i64 = row.get(0).unwrap();
        if !range.contains(&sequence.cast_unsigned()) {
            continue;
        }
        let header: Vec<u8> = row.get(1).unwrap();
        let number = |at| row.get::<_, i64>(at).unwrap().cast_unsigned();
        let place = crate::segment::Place {
            segment: number(2),
            offset: number(3),
            length: number(4),
        };
        let sealed = archive.contents.read(&place).unwrap();
        let record = Numbers::read(&mut crate::bytes::Reader::new(&header[2..])).unwrap();
        building.add(
            &archive.keyring,
            &Chaining {
                sequence: sequence.cast_unsigned(),
                record,
                header: &header,
                sealed: &sealed,
            },
        );
    }
}

fn keep_up(archive: &mut Archive, building: &mut Building) {
    while index::keep_up(
        building,
        &mut archive.database,
        &mut archive.contents,
        &archive.keyring,
        1,
    )
    .unwrap()
    {}
}

fn indexed(archive: &Archive) -> u64 {
    Progress::read(&archive.database.connection)
        .unwrap()
        .indexed
}

fn last(archive: &Archive) -> u64 {
    archive
        .database
        .connection
        .query_row("SELECT max(sequence) FROM chain", [], |row| {
            row.get::<_, i64>(0)
        })
        .unwrap()
        .cast_unsigned()
}

/// What a search finds, and how many records it opened for it.
fn search(archive: &mut Archive, calls: &[Call], text: &str) -> (Vec<u32>, u64) {
    let query = Query {
        text: Some(text.to_owned()),
        ..Query::default()
    };
    let page = archive.find(&query, &Scope::All).unwrap();
    (numbers(&page, calls), page.opened)
}

/// Each own word finds its record alone, and a shared one all of them once.
fn assert_indexed(archive: &mut Archive, calls: &[Call]) {
    assert_eq!(indexed(archive), last(archive));
    let mut opened = 0;
    for call in calls {
        let (found, looked_at) = search(archive, calls, &format!("own{}", call.number));
        assert_eq!(found, [call.number]);
        opened += looked_at;
    }
    let calls_squared = (calls.len() * calls.len()) as u64;
    assert!(opened < calls_squared / 2, "{opened}: not by filters");
    let all: Vec<u32> = calls.iter().rev().map(|call| call.number).collect();
    assert_eq!(search(archive, calls, "shared").0, all);
}

#[test]
fn records_are_indexed_as_they_are_chained_without_being_read_again() {
    let (place, calls) = chained(12);
    let mut archive = place.archive();
    let (mut building, end) = (Building::default(), last(&archive));
    building.begin(0);
    add_records(&mut archive, &mut building, 1..end + 1);
    building.reach(end);
    std::fs::rename(place.store().join("content"), place.store().join("away")).unwrap();
    archive = place.archive();
    keep_up(&mut archive, &mut building);
    std::fs::rename(place.store().join("away"), place.store().join("content")).unwrap();
    assert_indexed(&mut place.archive(), &calls);
}

#[test]
fn what_an_earlier_process_left_and_a_batch_that_failed_are_read_again() {
    for is_committed in [true, false] {
        let (place, calls) = chained(12);
        let mut archive = place.archive();
        let (mut building, end) = (Building::default(), last(&archive));
        building.begin(6);
        add_records(&mut archive, &mut building, 7..end + 1);
        if is_committed {
            building.reach(end);
        }
        keep_up(&mut archive, &mut building);
        assert_indexed(&mut archive, &calls);
    }
}

#[test]
fn what_somebody_else_indexed_meanwhile_is_there_once() {
    let (place, calls) = chained(12);
    let mut archive = place.archive();
    let (mut building, end) = (Building::default(), last(&archive));
    building.begin(0);
    add_records(&mut archive, &mut building, 1..end + 1);
    building.reach(end);
    Archive::open(
        Settings {
            index_tail: 1,
            ..place.settings()
        },
        place.keys(),
        NOON,
    )
    .unwrap()
    .reindex()
    .unwrap();
    archive
        .note(Read::Export, "something new", &actor(), NOON)
        .unwrap();
    keep_up(&mut archive, &mut building);
    assert_indexed(&mut archive, &calls);
    let sequences: i64 = archive
        .database
        .connection
        .query_row("SELECT count(*) FROM filters", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sequences, 2, "one for each person");
}

#[test]
fn looks_alone_are_no_reason_to_index_for_ever() {
    let (place, _) = chained(2);
    let mut archive = place.archive();
    let (mut building, end) = (Building::default(), last(&archive));
    building.begin(0);
    add_records(&mut archive, &mut building, 1..end + 1);
    building.reach(end);
    keep_up(&mut archive, &mut building);
    for _ in 0..3 {
        archive
            .note(Read::Export, "once more", &actor(), NOON)
            .unwrap();
    }
    keep_up(&mut archive, &mut building);
    assert_eq!(indexed(&archive), last(&archive));
}

#[test]
fn an_erased_persons_words_do_not_come_into_the_index_afterwards() {
    let (place, calls) = chained(12);
    let mut archive = place.archive();
    let (mut building, end) = (Building::default(), last(&archive));
    building.begin(0);
    add_records(&mut archive, &mut building, 1..end + 1);
    building.reach(end);
    place
        .archive()
        .erase_person("alice", &actor(), NOON)
        .unwrap();
    keep_up(&mut archive, &mut building);
    let filters: i64 = archive
        .database
        .connection
        .query_row("SELECT count(*) FROM filters", [], |row| row.get(0))
        .unwrap();
    assert_eq!(filters, 1);
    assert_eq!(
        search(&mut archive, &calls, "shared").0,
        [11, 9, 7, 5, 3, 1]
    );
}

#[test]
fn the_writer_indexes_what_it_chains() {
    let place = Place::new();
    let settings = Settings {
        index_tail: 5,
        ..place.settings()
    };
    let log = AuditLog::open(settings, place.keys(), NOON).unwrap();
    let calls: Vec<Call> = (1..=12)
        .map(|number| Call::new(number, "search", "alice", &format!("own{number} shared")))
        .collect();
    for call in &calls {
        log.append(&call.draft(), call.at()).unwrap();
    }
    let mut archive = Archive::of(&log).unwrap();
    while last(&archive) < 13 || last(&archive) - indexed(&archive) >= 5 {
        assert!(log.levels().chain_fault.is_none(), "{:?}", log.levels());
        std::thread::sleep(Duration::from_millis(5));
    }
    let all: Vec<u32> = calls.iter().rev().map(|call| call.number).collect();
    assert_eq!(search(&mut archive, &calls, "shared").0, all);
    assert_eq!(search(&mut archive, &calls, "own3").0, [3]);
    log.close(NOON);
}

#[test]
fn an_index_of_an_earlier_version_is_built_anew() {
    for version in [1, 2, 3, 4] {
        is_built_anew(version);
    }
}

fn is_built_anew(version: u32) {
    let (place, calls) = chained(6);
    place.archive().reindex().unwrap();
    let database = Connection::open(place.store().join("audit.sqlite")).unwrap();
    if version < 3 {
        database.execute_batch(BEFORE_THIRD).unwrap();
    }
    database
        .execute_batch(&format!(
            "INSERT INTO filters (key, first, last, sealed) VALUES (1, 2, 3, x'00');
            UPDATE state SET indexed = 5; PRAGMA user_version = {version};"
        ))
        .unwrap();
    let mut archive = place.archive();
    assert_eq!(indexed(&archive), 0);
    assert_eq!(search(&mut archive, &calls, "own4").0, [4]);
    assert_eq!(place.problems(), [""; 0]);
    let mut building = Building::default();
    keep_up(&mut archive, &mut building);
    assert_indexed(&mut archive, &calls);
}
