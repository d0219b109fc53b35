//! Batches of calls on their way into the database: each call once, and sums that say what rows say.

use std::collections::BTreeMap;

use domain::Wall;
use proptest::prelude::*;
use rusqlite::Connection;

use super::super::database::{Database, SumUp};
use super::super::samples::any_record;
use super::super::sums::{BudgetKey, QuotaKey, Sums};
use super::*;

#[derive(Clone, Debug)]
enum Act {
    /// New calls, and some that came before.
    Batch(Vec<CallRecord>, Vec<prop::sample::Index>, SumUp),
    /// A batch that cannot be written to its end.
    Fault(Vec<CallRecord>, SumUp),
    SumUp,
    /// The process ends; the next one opens the file.
    Kill,
    /// Somebody else, who has the file alone, brings the sums up to date.
    Other,
    RollUp,
}

fn any_acts() -> impl Strategy<Value = Vec<Act>> {
    let batch = || proptest::collection::vec(any_record(), 0..40);
    let again = proptest::collection::vec(any::<prop::sample::Index>(), 0..4);
    let sum_up = || prop::sample::select(vec![SumUp::Now, SumUp::Later]);
    let act = prop_oneof![
        5 => (batch(), again, sum_up()).prop_map(|(new, again, sum_up)| Act::Batch(new, again, sum_up)),
        1 => (batch(), sum_up()).prop_map(|(calls, sum_up)| Act::Fault(calls, sum_up)),
        1 => Just(Act::SumUp),
        1 => Just(Act::Kill),
        1 => Just(Act::Other),
        1 => Just(Act::RollUp),
    ];
    proptest::collection::vec(act, 1..12)
}

fn numbered(mut calls: Vec<CallRecord>, number: &mut u128) -> Vec<CallRecord> {
    for call in &mut calls {
        *number += 1;
        call.opening.id = CallId::new(call.opening.at, *number);
    }
    calls
}

/// A start with nothing in the journal.
fn started(dir: &Path) -> Database {
    let mut database = Database::open(dir).unwrap();
    recovery::replay(&journal_dir(dir), &mut database).unwrap();
    database
}

/// Whatever moves the place up to which the journal is applied fails while this is there.
fn break_applied(dir: &Path, is_broken: bool) {
    let sql = if is_broken {
        "CREATE TRIGGER fault BEFORE UPDATE ON applied BEGIN SELECT RAISE(ABORT, 'fault'); END"
    } else {
        "DROP TRIGGER fault"
    };
    let connection = Connection::open(dir.join("ledger.sqlite")).unwrap();
    connection.execute_batch(sql).unwrap();
}

fn quotas(dir: &Path) -> BTreeMap<String, i64> {
    read(
        dir,
        "SELECT quota || '|' || key || '|' || period_start, tokens FROM quota_levels",
    )
}

fn budgets(dir: &Path) -> BTreeMap<String, i64> {
    read(
        dir,
        "SELECT budget || '|' || key || '|' || period_start || '|' || hour || '|' || currency, nanos
         FROM budget_hourly",
    )
}

fn read(dir: &Path, sql: &str) -> BTreeMap<String, i64> {
    let connection = Connection::open(dir.join("ledger.sqlite")).unwrap();
    let mut select = connection.prepare(sql).unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_call_is_there_once_and_sums_are_those_of_the_rows(acts in any_acts()) {
        let dir = tempfile::tempdir().unwrap();
        disk::private::create_directory(&journal_dir(dir.path())).unwrap();
        let mut database = started(dir.path());
        let mut known: BTreeMap<CallId, CallRecord> = BTreeMap::new();
        let mut number = 0;
        let position = Some(segment::Position { segment: 0, offset: 0 });
        for act in acts {
            match act {
                Act::Batch(new, again, sum_up) => {
                    let mut batch = numbered(new, &mut number);
                    let all: Vec<_> = known.values().chain(&batch).cloned().collect();
                    if !all.is_empty() {
                        batch.extend(again.iter().map(|at| at.get(&all).clone()));
                    }
                    database.apply(batch.iter(), &[], position, sum_up).unwrap();
                    known.extend(batch.into_iter().map(|call| (call.opening.id, call)));
                }
                Act::Fault(calls, sum_up) => {
                    break_applied(dir.path(), true);
                    let batch = numbered(calls, &mut number);
                    database.apply(batch.iter(), &[], position, sum_up).unwrap_err();
                    break_applied(dir.path(), false);
                }
                Act::SumUp => database.sum_up().unwrap(),
                Act::Kill => database = started(dir.path()),
                Act::Other => Database::open(dir.path()).unwrap().sum_up().unwrap(),
                Act::RollUp => {
                    database.roll_up(Wall(NOON.0 + 30 * 86_400_000)).unwrap();
                }
            }
        }
        database.sum_up().unwrap();
        prop_assert!(!database.has_unsummed());
        drop(database);

        let mut read = recent(dir.path(), usize::MAX).unwrap();
        read.sort_by_key(|call| call.opening.id);
        let known: Vec<_> = known.into_values().map(as_recorded).collect();
        prop_assert_eq!(&read, &known);
        prop_assert_eq!(totals(dir.path()), totals_of_calls(dir.path()));
        let mut sums = Sums::default();
        known.iter().for_each(|call| sums.add(call));
        let of_quota = |(key, sum): (&QuotaKey, &sums::QuotaSum)| {
            let QuotaKey { limit, key, period_start } = key;
            (format!("{}|{key}|{}", limit.as_str(), period_start.0), sum.tokens.cast_signed())
        };
        prop_assert_eq!(quotas(dir.path()), sums.quotas.iter().map(of_quota).collect());
        let of_budget = |(key, sum): (&BudgetKey, &sums::BudgetSum)| {
            let BudgetKey { limit, key, period_start, hour, currency } = key;
            let name = format!("{}|{key}|{}|{}|{}", limit.as_str(), period_start.0, hour.0, currency.as_str());
            (name, sum.spent.0)
        };
        prop_assert_eq!(budgets(dir.path()), sums.budgets.iter().map(of_budget).collect());
    }
}

#[test]
fn sums_that_waited_when_a_gateway_was_killed_are_made_by_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut database = Database::open(dir.path()).unwrap();
    let calls: Vec<_> = (0..100).map(|number| call(number, NOON)).collect();
    database
        .apply(calls.iter(), &[], None, SumUp::Later)
        .unwrap();
    assert!(database.has_unsummed());
    drop(database);
    assert_eq!(total(dir.path()).calls, 0, "the sums were to be late");

    let (ledger, recovered) = open(dir.path());
    assert_eq!(recovered.counters.quotas[0].3, 12_000);
    assert_eq!(recovered.counters.budgets[0].spent, Nanos(36_000));
    assert_eq!(totals(dir.path()), totals_of_calls(dir.path()));
    ledger.close();
}

#[test]
fn a_busy_ledger_sums_up_while_it_runs_and_an_idle_one_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    for number in 0..2_000 {
        ledger.append(None, call(number, NOON));
    }
    let connection = Connection::open(dir.path().join("ledger.sqlite")).unwrap();
    let summed = || {
        connection
            .query_row("SELECT sum(calls) FROM usage_hourly", [], |row| {
                row.get::<_, Option<i64>>(0)
            })
            .unwrap()
            .unwrap_or(0)
    };
    while summed() < 2_000 {
        std::thread::yield_now();
    }
    ledger.close();
    assert_eq!(totals(dir.path()), totals_of_calls(dir.path()));
}
