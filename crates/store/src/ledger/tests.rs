//! The ledger as a gateway uses it: crashes, faults, queries.

use std::path::Path;

use domain::record::{CallRecord, Outcome};
use domain::{CallId, Metered};
use jiff::tz::TimeZone;

use super::samples::{NOON, call, now};
use super::*;

mod crashes;
mod faults;
mod followers;
mod queries;

/// 64 KiB segments: a few hundred entries each.
fn small() -> Options {
    Options {
        segment_bytes: 64 * 1024,
        ..Options::default()
    }
}

fn open(dir: &Path) -> (Ledger, Recovered) {
    Ledger::open_with(dir, now(NOON), &small()).unwrap()
}

/// Everything on the ledger, as one row; checked against the single calls.
fn total(dir: &Path) -> UsageRow {
    let query = UsageQuery {
        by: vec![],
        since: None,
        until: None,
        time_zone: TimeZone::UTC,
    };
    let rows = usage(dir, &query).unwrap();
    assert_eq!(rows.len(), 1);
    rows.into_iter().next().unwrap()
}

/// The same from `calls`, for ledgers without folded calls.
fn total_of_calls(dir: &Path) -> UsageRow {
    let mut sums = sums::UsageSums::default();
    for record in recent(dir, usize::MAX).unwrap() {
        sums += sums::UsageSums::of(&record);
    }
    usage::row(vec![], sums)
}

fn segment_files(dir: &Path) -> usize {
    recovery::segments(&journal_dir(dir)).unwrap().len()
}

/// Its record as a crash leaves it.
fn as_interrupted(record: &CallRecord, completion: u64) -> CallRecord {
    CallRecord {
        opening: record.opening.clone(),
        outcome: Outcome::Interrupted,
        status: 0,
        rule: None,
        backend: None,
        cache: Default::default(),
        metered: Metered::Estimated(domain::Usage {
            prompt: record.opening.prompt_tokens,
            completion,
            ..Default::default()
        }),
        latency: Duration::ZERO,
        first_byte: None,
        attempts: vec![],
    }
}
