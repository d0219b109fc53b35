//! Attempts, wherever their row is: most have none of their own.

use domain::record::AttemptRecord;
use proptest::prelude::*;
use rusqlite::Connection;

use super::super::database::{Database, SumUp};
use super::super::samples::any_record;
use super::*;

type Attempt = (Vec<u8>, i64, String, i64, i64, Option<i64>, String);

fn rows(dir: &Path, table: &str) -> Vec<Attempt> {
    let sql = format!(
        "SELECT call, number, backend, status, prompt_tokens + completion_tokens, cost, tier
         FROM {table} ORDER BY call, number"
    );
    let connection = Connection::open(dir.join("ledger.sqlite")).unwrap();
    let mut select = connection.prepare(&sql).unwrap();
    let rows = select.query_map([], |row| {
        let (tokens, cost, tier) = (row.get(4)?, row.get(5)?, row.get(6)?);
        let (call, number, backend) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok((call, number, backend, row.get(3)?, tokens, cost, tier))
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

fn attempt_of(record: &CallRecord, (attempt, number): (&AttemptRecord, i64)) -> Attempt {
    let usage = attempt.metered.usage();
    let cost = (!attempt.cost.is_unpriced()).then(|| attempt.cost.amount().0);
    (
        record.opening.id.0.to_be_bytes().to_vec(),
        number,
        attempt.backend.as_str().to_owned(),
        i64::from(attempt.status),
        usage.total().cast_signed(),
        cost,
        usage.tier.as_str().to_owned(),
    )
}

proptest! {
    #[test]
    fn whoever_reads_the_database_finds_every_attempt_of_every_call(
        mut records in proptest::collection::vec(any_record(), 0..40),
    ) {
        let dir = tempfile::tempdir().unwrap();
        for (record, number) in records.iter_mut().zip(1..) {
            record.opening.id = CallId::new(record.opening.at, number);
        }
        records.sort_by_key(|record| record.opening.id);
        let mut database = Database::open(dir.path()).unwrap();
        database.apply(records.iter(), &[], None, SumUp::Now).unwrap();
        let made = records.iter().flat_map(|record| {
            let numbered = record.attempts.iter().zip(1..);
            numbered.map(move |attempt| attempt_of(record, attempt))
        });
        prop_assert_eq!(rows(dir.path(), "attempts"), made.collect::<Vec<_>>());
    }
}

#[test]
fn a_call_that_was_answered_at_once_has_one_row() {
    let dir = tempfile::tempdir().unwrap();
    let mut database = Database::open(dir.path()).unwrap();
    let answered = call(1, NOON);
    let mut retried = call(2, NOON);
    retried.attempts.insert(0, retried.attempts[0].clone());
    let mut hung_up = call(3, NOON);
    hung_up.status = 499;
    let records = [answered, retried, hung_up];
    database
        .apply(records.iter(), &[], None, SumUp::Now)
        .unwrap();

    assert_eq!(rows(dir.path(), "attempts").len(), 4);
    assert_eq!(rows(dir.path(), "attempt_rows").len(), 3);
}

#[test]
fn a_call_of_a_version_that_gave_every_attempt_a_row_keeps_its_attempt() {
    let dir = tempfile::tempdir().unwrap();
    let mut database = Database::open(dir.path()).unwrap();
    let record = call(1, NOON);
    database
        .apply([&record].into_iter(), &[], None, SumUp::Now)
        .unwrap();
    // As that version left it.
    let connection = database.connection();
    connection
        .execute_batch(
            "INSERT INTO attempt_rows SELECT * FROM attempts;
             UPDATE calls SET attempt_us = NULL;",
        )
        .unwrap();
    drop(database);

    assert_eq!(
        find(dir.path(), record.opening.id).unwrap(),
        Some(as_recorded(record))
    );
    assert_eq!(rows(dir.path(), "attempts").len(), 1);
}
