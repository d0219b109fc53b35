//! An attacker who can write to every file of the store, but has no key.

use std::fs;
use std::os::unix::fs::FileExt;

use proptest::prelude::*;
use rusqlite::{Connection, params};

use super::*;
use crate::chain::{Link, genesis};

/// Entries 1 and 2 open the log, 3 to 7 are these calls, 8 is the head at the end.
const FIRST_CALL: i64 = 3;
const LAST: i64 = 8;

fn attacked(attack: impl FnOnce(&Place)) -> Vec<String> {
    let place = Place::written(&two_teams());
    assert_eq!(place.problems(), [""; 0]);
    attack(&place);
    place.problems()
}

fn sql(place: &Place, statement: &str) {
    let connection = Connection::open(place.store().join("audit.sqlite")).unwrap();
    assert!(
        connection.execute(statement, []).unwrap() > 0,
        "{statement}"
    );
}

pub(super) fn has(problems: &[String], part: &str) -> bool {
    problems.iter().any(|problem| problem.contains(part))
}

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_dir() {
            copy(&file.path(), &to.join(file.file_name()));
        } else {
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}

#[test]
fn each_byte_that_a_hash_covers_is_found_where_it_was_changed() {
    let place = Place::written(&two_teams());
    let connection = Connection::open(place.store().join("audit.sqlite")).unwrap();
    for column in ["header", "hash", "content_hash"] {
        for sequence in 1..=LAST {
            let read = format!("SELECT {column} FROM chain WHERE sequence = ?");
            let bytes: Vec<u8> = connection
                .query_row(&read, [sequence], |row| row.get(0))
                .unwrap();
            let write = |bytes: &[u8]| {
                let write = format!("UPDATE chain SET {column} = ? WHERE sequence = ?");
                connection
                    .execute(&write, params![bytes, sequence])
                    .unwrap();
            };
            for at in [0, 1, 8, 16, 31] {
                let mut changed = bytes.clone();
                let Some(byte) = changed.get_mut(at) else {
                    continue;
                };
                *byte ^= 1;
                write(&changed);
                let problems = place.problems();
                assert!(
                    has(&problems, &format!("entry {sequence}: ")),
                    "{column} {sequence} {at}: {problems:?}"
                );
            }
            write(&bytes);
        }
    }
    assert_eq!(place.problems(), [""; 0]);
}

#[test]
fn a_time_that_was_changed_is_found() {
    for sequence in 1..=LAST {
        let problems = attacked(|place| {
            sql(
                place,
                &format!("UPDATE chain SET at = at + 1 WHERE sequence = {sequence}"),
            );
        });
        assert!(
            has(
                &problems,
                &format!("entry {sequence}: its hash does not fit")
            ),
            "{problems:?}"
        );
    }
}

#[test]
fn details_of_a_look_that_were_changed_are_found() {
    let place = Place::written(&two_teams());
    place
        .archive()
        .note(Read::Export, "", &actor(), NOON)
        .unwrap();
    sql(
        &place,
        "UPDATE chain SET sealed = zeroblob(length(sealed)) WHERE sequence = 9",
    );
    assert_eq!(
        place.problems(),
        ["entry 9: its sealed details were changed"]
    );
}

#[test]
fn each_region_of_a_sealed_content_is_found_where_it_was_changed() {
    let place = Place::written(&two_teams());
    let connection = Connection::open(place.store().join("audit.sqlite")).unwrap();
    for sequence in FIRST_CALL..LAST {
        let (segment, offset, length): (i64, i64, i64) = connection
            .query_row(
                "SELECT segment, offset, length FROM chain WHERE sequence = ?",
                [sequence],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .unwrap();
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(crate::segment::path_of(
                &place.store().join("content"),
                segment as u64,
            ))
            .unwrap();
        for at in [0, 11, 12, length / 2, length - 17, length - 16, length - 1] {
            let at = (offset + at) as u64;
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ 0x80], at).unwrap();
            assert_eq!(
                place.problems(),
                [format!("entry {sequence}: its sealed content was changed")]
            );
            file.write_all_at(&byte, at).unwrap();
        }
    }
    assert_eq!(place.problems(), [""; 0]);
}

#[test]
fn a_deleted_entry_is_missing_where_it_stood() {
    let problems = attacked(|place| sql(place, "DELETE FROM chain WHERE sequence = 5"));
    assert_eq!(problems, ["entry 5: it is missing: it was deleted"]);
    let problems = attacked(|place| sql(place, "DELETE FROM chain WHERE sequence IN (4, 5)"));
    assert_eq!(
        problems,
        ["entry 4: it and all up to 5 are missing: they were deleted"]
    );
    let problems = attacked(|place| sql(place, "DELETE FROM chain WHERE sequence = 1"));
    assert!(has(&problems, "entry 1: it is missing"), "{problems:?}");
}

#[test]
fn entries_that_were_swapped_or_moved_up_do_not_fit() {
    let swapped = attacked(|place| {
        for (from, to) in [(4, -1), (5, 4), (-1, 5)] {
            sql(
                place,
                &format!("UPDATE chain SET sequence = {to} WHERE sequence = {from}"),
            );
        }
    });
    for sequence in [4, 5, 6] {
        assert!(
            has(
                &swapped,
                &format!("entry {sequence}: its hash does not fit")
            ),
            "{swapped:?}"
        );
    }
    let closed_up = attacked(|place| {
        sql(place, "DELETE FROM chain WHERE sequence = 5");
        for sequence in 6..=LAST {
            sql(
                place,
                &format!("UPDATE chain SET sequence = {sequence} - 1 WHERE sequence = {sequence}"),
            );
        }
    });
    assert!(
        has(&closed_up, "entry 5: its hash does not fit"),
        "{closed_up:?}"
    );
}

#[test]
fn contents_that_were_swapped_between_records_are_found() {
    let problems = attacked(|place| {
        sql(
            place,
            "UPDATE chain SET (offset, length) = (SELECT offset, length FROM chain WHERE sequence = 4) WHERE sequence = 3",
        );
    });
    assert_eq!(problems, ["entry 3: its sealed content was changed"]);
}

#[test]
fn an_end_that_was_cut_off_is_known_to_three_witnesses() {
    let head = |place: &Place| place.archive().head(NOON).unwrap();
    let place = Place::written(&two_teams());
    let kept = head(&place);
    sql(&place, "DELETE FROM chain WHERE sequence > 5");
    let options = Options {
        head: Some(kept),
        ..Options::default()
    };
    let report = place.archive().verify(&options).unwrap();
    let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    for witness in ["the key file", "the head given", "heads.log line 2"] {
        assert!(
            has(
                &problems,
                &format!(
                    "entry 6: {witness} knows 7 entries and the log has 5: the end was cut off"
                )
            ),
            "{problems:?}"
        );
    }
}

#[test]
fn rolling_the_whole_store_back_is_found_by_the_key_file_and_by_a_head_kept_elsewhere() {
    let place = Place::written(&two_teams()[..2]);
    let old = place.dir.path().join("old");
    copy(&place.store(), &old.join("store"));
    copy(&place.key_dir(), &old.join("keys"));
    place.write(&two_teams()[2..]);
    let kept = place.archive().head(NOON).unwrap();
    fs::remove_dir_all(place.store()).unwrap();
    copy(&old.join("store"), &place.store());
    let problems = place.problems();
    assert!(
        has(
            &problems,
            "the key file knows 8 entries and the log has 5: the end was cut off, or the log was rolled back"
        ),
        "{problems:?}"
    );

    fs::remove_dir_all(place.key_dir()).unwrap();
    copy(&old.join("keys"), &place.key_dir());
    assert_eq!(
        place.problems(),
        [""; 0],
        "everything was rolled back: nothing here can know"
    );
    let options = Options {
        head: Some(kept),
        ..Options::default()
    };
    let report = place.archive().verify(&options).unwrap();
    assert!(
        report.problems[0]
            .what
            .starts_with("the head given knows 8 entries and the log has 5"),
        "{:?}",
        report.problems
    );
}

#[test]
fn heads_that_were_removed_or_forged_outside_are_found() {
    let removed = attacked(|place| fs::remove_file(place.store().join("heads.log")).unwrap());
    assert_eq!(
        removed,
        ["2 of 2 heads are missing in heads.log: it was cut, replaced or removed"]
    );
    let cut = attacked(|place| {
        let path = place.store().join("heads.log");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.lines().next().unwrap().to_owned() + "\n").unwrap();
    });
    assert_eq!(
        cut,
        ["1 of 2 heads are missing in heads.log: it was cut, replaced or removed"]
    );
    let forged = attacked(|place| {
        let path = place.store().join("heads.log");
        let text = fs::read_to_string(&path).unwrap().replacen(" 7 ", " 6 ", 1);
        fs::write(&path, text + "garbage\n").unwrap();
    });
    assert!(
        has(&forged, "heads.log line 2: its signature is false"),
        "{forged:?}"
    );
    assert!(
        has(&forged, "heads.log line 3: it is no head"),
        "{forged:?}"
    );
}

/// An attacker who knows the format and recomputes every hash behind an edit.
#[test]
fn a_chain_that_was_rewritten_does_not_fit_its_heads() {
    let problems = attacked(|place| {
        let connection = Connection::open(place.store().join("audit.sqlite")).unwrap();
        let mut previous = genesis(&place.archive().keyring.store());
        for sequence in 1..=LAST {
            let (at, mut header, content): (i64, Vec<u8>, Vec<u8>) = connection
                .query_row(
                    "SELECT at, header, content_hash FROM chain WHERE sequence = ?",
                    [sequence],
                    |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
                )
                .unwrap();
            if sequence == 4 {
                // The call's status.
                header[49] ^= 1;
            }
            let content_hash = content.try_into().unwrap();
            previous = Link {
                previous: &previous,
                sequence: sequence as u64,
                at,
                header: &header,
                content_hash: &content_hash,
            }
            .hash();
            connection
                .execute(
                    "UPDATE chain SET header = ?, hash = ? WHERE sequence = ?",
                    params![header, previous, sequence],
                )
                .unwrap();
        }
    });
    assert!(
        has(&problems, "entry 8: the head is not of the entry before it"),
        "{problems:?}"
    );
    assert!(
        has(
            &problems,
            "entry 7: heads.log line 2 has another hash for it: the log was rewritten up to here"
        ),
        "{problems:?}"
    );
    // With the keys, the very entry is found.
    assert!(
        has(
            &problems,
            "entry 4: its content does not open with its header: the header was changed"
        ),
        "{problems:?}"
    );
}

#[test]
fn a_head_that_was_signed_by_another_is_forged() {
    let problems = attacked(|place| {
        let other = Place::written(&two_teams());
        let head = other.archive().head(NOON).unwrap();
        let mut header = vec![8, 1];
        Head {
            store: place.archive().keyring.store(),
            ..head
        }
        .put(&mut header);
        let connection = Connection::open(place.store().join("audit.sqlite")).unwrap();
        connection
            .execute("UPDATE chain SET header = ? WHERE sequence = 8", [header])
            .unwrap();
    });
    assert!(
        has(&problems, "entry 8: the head's signature is false"),
        "{problems:?}"
    );
}

#[test]
fn content_that_went_without_a_purge_is_missing() {
    let zeroed = attacked(|place| {
        let archive = place.archive();
        let path = crate::segment::path_of(&place.store().join("content"), 1);
        let len = fs::metadata(&path).unwrap().len();
        drop(archive);
        fs::write(&path, vec![0; len as usize]).unwrap();
    });
    assert_eq!(zeroed.len(), 5, "{zeroed:?}");
    assert!(
        has(
            &zeroed,
            "entry 3: its content was overwritten, and no purge or erasure says why"
        ),
        "{zeroed:?}"
    );
    let deleted = attacked(|place| fs::remove_dir_all(place.store().join("content")).unwrap());
    assert!(
        has(&deleted, "entry 7: its content cannot be read"),
        "{deleted:?}"
    );
    let excused = attacked(|place| sql(place, "UPDATE chain SET gone_by = 2 WHERE sequence = 4"));
    assert_eq!(
        excused,
        [
            "entry 4: its content is gone, and entry 2, which is said to have taken it, does not cover it"
        ]
    );
}

#[test]
fn a_hold_that_only_the_table_lost_is_missed() {
    let hold = Hold::Subscription("search".into());
    for attack in [
        "DELETE FROM holds",
        "UPDATE holds SET released_by = 8",
        "UPDATE holds SET hold = x'0104'",
    ] {
        let place = Place::written(&two_teams());
        place.archive().hold(&hold, &actor(), NOON).unwrap();
        assert_eq!(place.problems(), [""; 0]);
        sql(&place, attack);
        let problems = place.problems();
        assert_eq!(problems.len(), 1, "{attack}: {problems:?}");
        assert!(problems[0].starts_with("entry 9: "), "{problems:?}");
    }
}

#[test]
fn an_index_that_was_changed_is_an_error_and_not_an_empty_answer() {
    let place = Place::written(&two_teams());
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
        text: Some("whales".to_owned()),
        ..Query::default()
    };
    assert_eq!(
        archive
            .search(&query, &Scope::All, &actor(), NOON)
            .unwrap()
            .found
            .len(),
        2
    );
    sql(
        &place,
        "UPDATE filters SET sealed = zeroblob(length(sealed))",
    );
    let error = archive
        .search(&query, &Scope::All, &actor(), NOON)
        .unwrap_err()
        .to_string();
    assert!(error.contains("the search index over entries"), "{error}");
    archive.reindex().unwrap();
    assert_eq!(
        archive
            .search(&query, &Scope::All, &actor(), NOON)
            .unwrap()
            .found
            .len(),
        2
    );
}

/// All calls are indexed; then somebody gets at the database.
fn attacked_index(attack: &str) -> (Place, Vec<String>) {
    let place = Place::written(&two_teams());
    let settings = Settings {
        index_tail: 1,
        ..place.settings()
    };
    let mut archive = Archive::open(settings, place.keys(), NOON).unwrap();
    archive.reindex().unwrap();
    assert_eq!(place.problems(), [""; 0]);
    sql(&place, attack);
    let problems = place.problems();
    (place, problems)
}

fn whales(place: &Place) -> usize {
    let query = Query {
        text: Some("whales".to_owned()),
        ..Query::default()
    };
    let page = place.archive().find(&query, &Scope::All).unwrap();
    page.found.len()
}

#[test]
fn an_index_that_lacks_records_is_told_and_made_anew() {
    let lacks = |problems: &[String], sequence: u64, count: u64| {
        let told = format!("entry {sequence}: the search index lacks it, as of {count} in all");
        assert!(
            problems.len() == 1 && problems[0].starts_with(&told),
            "{problems:?}"
        );
    };
    let (place, problems) = attacked_index("DELETE FROM filters WHERE first = 3");
    lacks(&problems, 3, 2);
    assert_eq!((whales(&place), place.problems()), (2, vec![]));
    let (place, problems) = attacked_index("DELETE FROM filters");
    lacks(&problems, 3, 5);
    assert_eq!((whales(&place), place.problems()), (2, vec![]));
    let (place, problems) = attacked_index("UPDATE filters SET sealed = x'00'");
    assert!(
        has(&problems, "the search index over entries"),
        "{problems:?}"
    );
    assert_eq!((whales(&place), place.problems()), (2, vec![]));
}

#[test]
fn an_index_that_is_said_to_reach_further_than_it_does_hides_nothing() {
    let (place, problems) = attacked_index("DELETE FROM filters");
    assert_eq!(problems.len(), 1);
    drop(place);
    let place = Place::written(&two_teams());
    assert_eq!(whales(&place), 2);
    sql(
        &place,
        "UPDATE state SET indexed = (SELECT max(sequence) FROM chain)",
    );
    assert_eq!(whales(&place), 2);
    assert!(has(&place.problems(), "the search index lacks it, as of 5"));
    assert_eq!(place.problems(), [""; 0]);
}

#[test]
fn retention_that_was_switched_off_is_found() {
    for attack in [
        "UPDATE segments SET expires = 9000000000000000",
        "UPDATE segments SET expires = NULL",
        "UPDATE segments SET first = 6",
        "UPDATE segments SET last = 5",
        "DELETE FROM segments",
    ] {
        let problems = attacked(|place| sql(place, attack));
        assert_eq!(problems.len(), 1, "{attack}: {problems:?}");
        assert!(
            problems[0].starts_with("entry 3: its file of contents 1 is noted to be purged later"),
            "{problems:?}"
        );
    }
}

#[test]
fn content_that_is_overdue_by_hours_is_told_unless_it_is_held() {
    let place = Place::written(&two_teams());
    let overdue = |hours: u32| {
        let options = Options {
            now: Some(NOON + DAY * 90 + Duration::from_secs(3_600) * hours),
            ..Options::default()
        };
        let report = place.archive().verify(&options).unwrap();
        let problems = report.problems.iter().map(ToString::to_string);
        problems.collect::<Vec<_>>()
    };
    assert_eq!(overdue(6), [""; 0]);
    let told = "its content is past its days by hours and on no hold, as of";
    assert!(has(&overdue(7), &format!("entry 3: {told} 5 in all")));
    let hold = Hold::Subscription("search".into());
    place.archive().hold(&hold, &actor(), NOON).unwrap();
    assert!(has(&overdue(7), &format!("entry 5: {told} 2 in all")));
}

#[test]
fn a_hold_that_nobody_placed_is_found() {
    let everything = "INSERT INTO holds (sequence, at, hold) VALUES (5, 0, x'00')";
    let problems = attacked(|place| sql(place, everything));
    assert_eq!(
        problems,
        ["entry 5: a hold is in force that it is said to have placed, and did not"]
    );
}

#[test]
fn a_call_that_is_on_record_twice_is_found_where_it_came_again() {
    let calls = two_teams();
    let place = Place::written(&calls);
    place.write(&calls[1..3]);
    assert_eq!(
        place.problems(),
        [(9, 4), (10, 5)].map(|(again, first)| format!(
            "entry {again}: its call is on record already, as entry {first}: two gateways wrote to the store"
        ))
    );
}

type Covered = (i64, i64, Vec<u8>, Vec<u8>, Vec<u8>, Option<Vec<u8>>);

/// All that hashes cover, as SQLite reads it; `None` if it cannot.
fn dump(place: &Place) -> Option<Vec<Covered>> {
    let connection = Connection::open(place.store().join("audit.sqlite")).ok()?;
    let mut select = connection
        .prepare(
            "SELECT sequence, at, header, content_hash, hash, sealed FROM chain ORDER BY sequence",
        )
        .ok()?;
    let rows = select
        .query_map([], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
            ))
        })
        .ok()?;
    rows.collect::<rusqlite::Result<_>>().ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_byte_of_the_database_changes_nothing_that_counts_or_is_found(at: prop::sample::Index, flip in 1..=255_u8) {
        let place = Place::written(&two_teams());
        let before = dump(&place);
        let path = place.store().join("audit.sqlite");
        let mut bytes = fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        fs::write(&path, &bytes).unwrap();
        let is_found = match Archive::open(place.settings(), place.keys(), NOON) {
            Ok(mut archive) => archive.verify(&Options::default()).map_or(true, |report| !report.is_sound()),
            Err(_) => true,
        };
        prop_assert!(is_found || dump(&place) == before);
    }
}

#[test]
fn an_auditor_without_keys_finds_what_was_changed_with_the_public_key_alone() {
    let place = Place::written(&two_teams());
    let mut archive = place.archive();
    let options = Options {
        head: Some(archive.head(NOON).unwrap()),
        public_key: Some(archive.public_key()),
        ..Options::default()
    };
    archive.erase_person("bob", &actor(), NOON).unwrap();
    drop(archive);
    fs::rename(place.key_dir(), place.dir.path().join("away")).unwrap();
    let check = |options: &Options| verify(&place.settings(), options).unwrap();
    let report = check(&options);
    assert_eq!(
        (report.problems, report.records, report.gone),
        (vec![], 5, 1)
    );
    let wrong = Options {
        public_key: Some([1; 32]),
        ..options.clone()
    };
    assert!(
        check(&wrong).problems[0]
            .what
            .contains("its public key is not the one")
    );
    sql(&place, "UPDATE chain SET at = at + 1 WHERE sequence = 4");
    assert_eq!(check(&options).problems[0].sequence, Some(4));
}
