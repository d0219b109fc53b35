//! The ledger as a gateway uses it: crashes, faults, queries.

use std::path::Path;

use domain::record::{CallRecord, Cost, Outcome};
use domain::{CallId, Metered, Nanos};
use jiff::tz::TimeZone;

use super::samples::{NOON, as_recorded, call, euro, now};
use super::*;

mod adjustments;
mod attempts;
mod batches;
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

/// Everything on the ledger, as one row; for ledgers of one currency.
fn total(dir: &Path) -> UsageRow {
    let rows = totals(dir);
    assert_eq!(rows.len(), 1);
    rows.into_iter().next().unwrap()
}

/// Everything on the ledger, a row for each currency.
fn totals(dir: &Path) -> Vec<UsageRow> {
    let query = UsageQuery {
        by: vec![],
        only: vec![],
        since: None,
        until: None,
        time_zone: TimeZone::UTC,
    };
    usage(dir, &query).unwrap()
}

/// The same from `calls`, for ledgers without folded calls.
fn totals_of_calls(dir: &Path) -> Vec<UsageRow> {
    let mut groups = usage::Groups::from([(vec![], Default::default())]);
    for record in recent(dir, usize::MAX).unwrap() {
        let currencies = groups.entry(vec![]).or_default();
        *currencies.entry(record.cost.currency()).or_default() += sums::UsageSums::of(&record);
    }
    usage::usage_rows(groups)
}

fn segment_files(dir: &Path) -> usize {
    recovery::segments(&journal_dir(dir)).unwrap().len()
}

/// Its record as a crash leaves it.
fn as_interrupted(record: &CallRecord, completion: u64) -> CallRecord {
    let usage = domain::Usage {
        prompt: record.opening.prompt_tokens,
        completion,
        ..Default::default()
    };
    let cost = match &record.opening.price {
        _ if usage.total() == 0 => Cost::Nothing,
        None => Cost::Unpriced,
        Some(price) => price.cost(usage.prompt, completion),
    };
    CallRecord {
        opening: as_recorded(record.clone()).opening,
        outcome: Outcome::Interrupted,
        status: 0,
        rule: None,
        backend: None,
        cache: Default::default(),
        metered: Metered::Estimated(usage),
        cost,
        saved: Nanos::ZERO,
        latency: Duration::ZERO,
        first_byte: None,
        verdicts: Vec::new(),
        saved_tokens: 0,
        similarity: None,
        attempts: vec![],
    }
}
