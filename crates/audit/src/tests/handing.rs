//! That a record is chained as it was written, handed over or read back.

use std::fs;
use std::os::unix::fs::FileExt;

use rusqlite::Connection;

use super::*;

fn find(archive: &mut Archive, calls: &[Call], text: &str) -> Vec<u32> {
    let query = Query {
        text: Some(text.to_owned()),
        limit: Query::LIMIT_MAX,
        ..Query::default()
    };
    numbers(&archive.find(&query, &Scope::All).unwrap(), calls)
}

#[test]
fn records_too_long_to_hand_over_stand_on_the_chain_between_the_others() {
    let place = Place::new();
    let long = "long ".repeat(20_000);
    let calls: Vec<Call> = (1..=40)
        .map(|number| {
            let prompt = format!("own{number} shared");
            let mut call = Call::new(number, "search", "alice", &prompt);
            if [5, 6, 20, 40].contains(&number) {
                call.answer.push_str(&long);
            }
            call
        })
        .collect();
    let settings = Settings {
        segment_bytes: 1024 * 1024,
        index_tail: 1,
        ..place.settings()
    };
    let log = AuditLog::open(settings, place.keys(), NOON).unwrap();
    for call in &calls {
        log.append(&call.draft(), call.at()).unwrap();
    }
    log.close(NOON);
    assert_eq!(place.problems(), [""; 0]);
    let mut archive = place.archive();
    assert_eq!(find(&mut archive, &calls, "long"), [40, 20, 6, 5]);
    assert_eq!(find(&mut archive, &calls, "shared").len(), 40);
    for number in [1, 5, 7, 40] {
        let own = format!("own{number}");
        assert_eq!(find(&mut archive, &calls, &own), [number]);
    }
}

#[test]
fn content_that_is_changed_before_it_is_chained_is_found_at_its_entry() {
    let place = Place::new();
    let log = place.log();
    let database = Connection::open(place.store().join("audit.sqlite")).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    let calls = two_teams();
    for call in &calls {
        log.append(&call.draft(), call.at()).unwrap();
    }
    // The last byte of the first record, behind the chain's opening and its head: what follows it are zeros up to the next frame.
    let path = place.store().join("content").join("00000001.tga");
    let bytes = fs::read(&path).unwrap();
    let next = (8..bytes.len())
        .step_by(8)
        .find(|at| bytes[*at..].starts_with(&bytes[..4]))
        .unwrap();
    let at = (0..next).rev().find(|at| bytes[*at] != 0).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[bytes[at] ^ 1], at as u64).unwrap();
    database.execute_batch("COMMIT").unwrap();
    log.close(NOON);
    assert_eq!(
        place.problems(),
        ["entry 3: its sealed content was changed"]
    );
}
