//! Crashes: a kill at any byte, damage of any byte, and what counters continue from.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::FileExt;

use domain::record::PriceId;
use domain::{Nanos, Wall};
use proptest::prelude::*;

use super::super::samples::any_record;
use super::*;
use crate::counters::RestoredBudget;

#[derive(Clone, Debug)]
enum Act {
    Begin(CallRecord),
    /// Of the n-th call in flight.
    Progress(prop::sample::Index, u32),
    Append(prop::sample::Index),
    /// A refused call: no opening.
    Refuse(CallRecord),
}

fn any_acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        3 => any_record().prop_map(Act::Begin),
        2 => (any::<prop::sample::Index>(), any::<u32>()).prop_map(|(at, tokens)| Act::Progress(at, tokens.min(u32::MAX - 1))),
        3 => any::<prop::sample::Index>().prop_map(Act::Append),
        1 => any_record().prop_map(Act::Refuse),
    ];
    proptest::collection::vec(act, 1..60)
}

/// One call's traces in the journal: where its entries stand, first byte and end.
struct Written {
    record: CallRecord,
    opening: Option<(Place, Extent)>,
    passed: u32,
    closing: Option<Extent>,
}

#[derive(Clone, Copy)]
struct Extent {
    segment: u64,
    from: u64,
    to: u64,
}

impl Extent {
    fn of(place: &Place, frame: &Frame) -> Self {
        let position = place.position();
        Self {
            segment: position.segment,
            from: position.offset,
            to: position.offset + frame.len(),
        }
    }

    /// Whether nothing of it is lost when zeros stand from `cut` on, where `bytes` stood.
    fn survives(self, (segment, offset): (u64, u64), bytes: &[u8]) -> bool {
        self.segment < segment
            || self.segment == segment
                && bytes[offset.min(self.to) as usize..self.to as usize]
                    .iter()
                    .all(|byte| *byte == 0)
    }

    fn holds(self, (segment, offset): (u64, u64)) -> bool {
        self.segment == segment && self.from <= offset && offset < self.to
    }
}

/// Acts on a journal that no database follows, in segments of 4 KiB.
fn write(dir: &Path, acts: Vec<Act>) -> (Vec<Written>, Vec<Extent>) {
    disk::private::create_directory(&journal_dir(dir)).unwrap();
    let journal = Journal::create(journal_dir(dir), 1, 4096, u64::MAX).unwrap();
    let mut calls: Vec<Written> = Vec::new();
    let mut extents = Vec::new();
    let mut append = |frame: &mut Frame| {
        let place = journal.append(frame).unwrap();
        let extent = Extent::of(&place, frame);
        extents.push(extent);
        (place, extent)
    };
    for (number, act) in acts.into_iter().enumerate() {
        let in_flight: Vec<usize> = (0..calls.len())
            .filter(|at| calls[*at].closing.is_none())
            .collect();
        match act {
            Act::Begin(mut record) => {
                record.opening.id = CallId::new(record.opening.at, number as u128);
                let opening = append(&mut framed(Kind::Opening, |out, bounds| {
                    codec::put_opening(out, &record.opening, bounds);
                }));
                calls.push(Written {
                    record,
                    opening: Some(opening),
                    passed: 0,
                    closing: None,
                });
            }
            Act::Refuse(mut record) => {
                record.opening.id = CallId::new(record.opening.at, number as u128);
                let (_, extent) = append(&mut framed(Kind::Record, |out, bounds| {
                    codec::put_record(out, &record, bounds);
                }));
                calls.push(Written {
                    record,
                    opening: None,
                    passed: 0,
                    closing: Some(extent),
                });
            }
            Act::Progress(at, tokens) if !in_flight.is_empty() => {
                let call = &mut calls[in_flight[at.index(in_flight.len())]];
                call.passed = tokens;
                call.opening
                    .as_ref()
                    .unwrap()
                    .0
                    .set_passed(Passed::Tokens(tokens))
                    .unwrap();
            }
            Act::Append(at) if !in_flight.is_empty() => {
                let call = &mut calls[in_flight[at.index(in_flight.len())]];
                let (_, extent) = append(&mut framed(Kind::Record, |out, bounds| {
                    codec::put_record(out, &call.record, bounds);
                }));
                call.closing = Some(extent);
            }
            Act::Progress(..) | Act::Append(_) => {}
        }
    }
    (calls, extents)
}

fn segment_path(dir: &Path, number: u64) -> PathBuf {
    journal_dir(dir).join(segment::file_name(number))
}

/// What a process that was killed there would have left: zeros from the cut on, no later segment.
fn cut(dir: &Path, (segment, offset): (u64, u64)) {
    for (number, path) in recovery::segments(&journal_dir(dir)).unwrap() {
        if number > segment {
            fs::remove_file(path).unwrap();
        } else if number == segment {
            let mut bytes = fs::read(&path).unwrap();
            bytes[offset as usize..].fill(0);
            fs::write(&path, bytes).unwrap();
        }
    }
}

fn by_id(dir: &Path) -> HashMap<CallId, CallRecord> {
    let records = recent(dir, usize::MAX).unwrap();
    let count = records.len();
    let by_id: HashMap<_, _> = records
        .into_iter()
        .map(|record| (record.opening.id, record))
        .collect();
    assert_eq!(by_id.len(), count, "a call is there twice");
    by_id
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_kill_at_any_byte_keeps_every_call_before_it_once(acts in any_acts(), at: prop::sample::Index, within: prop::sample::Index) {
        let dir = tempfile::tempdir().unwrap();
        let (calls, extents) = write(dir.path(), acts);
        prop_assume!(!extents.is_empty());
        let extent = extents[at.index(extents.len())];
        let place = (extent.segment, extent.from + within.index((extent.to - extent.from) as usize + 1) as u64);
        let bytes = fs::read(segment_path(dir.path(), place.0)).unwrap();
        cut(dir.path(), place);

        let (ledger, recovered) = open(dir.path());
        ledger.close();

        let mut expected = HashMap::new();
        let mut interrupted = 0;
        for call in &calls {
            let id = call.record.opening.id;
            if call.closing.is_some_and(|closing| closing.survives(place, &bytes)) {
                expected.insert(id, as_recorded(call.record.clone()));
            } else if call.opening.as_ref().is_some_and(|(_, opening)| opening.survives(place, &bytes)) {
                expected.insert(id, as_interrupted(&call.record, u64::from(call.passed)));
                interrupted += 1;
            }
        }
        prop_assert_eq!(recovered.interrupted.len(), interrupted);
        prop_assert_eq!(recovered.damaged, 0);
        prop_assert_eq!(by_id(dir.path()), expected);
        prop_assert_eq!(totals(dir.path()), totals_of_calls(dir.path()));

        let before = totals(dir.path());
        let (ledger, again) = open(dir.path());
        ledger.close();
        prop_assert_eq!((again.interrupted.len(), again.replayed), (0, 0));
        prop_assert_eq!(totals(dir.path()), before);
    }

    #[test]
    fn damage_of_any_byte_costs_at_most_the_entry_that_holds_it(acts in any_acts(), at: prop::sample::Index, within: prop::sample::Index, flip in 1..=255u8) {
        let dir = tempfile::tempdir().unwrap();
        let (calls, extents) = write(dir.path(), acts);
        prop_assume!(!extents.is_empty());
        let extent = extents[at.index(extents.len())];
        let place = (extent.segment, extent.from + within.index((extent.to - extent.from) as usize) as u64);
        let file = fs::OpenOptions::new().read(true).write(true).open(segment_path(dir.path(), place.0)).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, place.1).unwrap();
        file.write_all_at(&[byte[0] ^ flip], place.1).unwrap();

        let (ledger, _) = open(dir.path());
        ledger.close();

        let found = by_id(dir.path());
        for call in &calls {
            let id = call.record.opening.id;
            match call.closing {
                Some(closing) if !closing.holds(place) => prop_assert_eq!(found.get(&id), Some(&as_recorded(call.record.clone()))),
                // Its record is gone, but not that it began.
                Some(_) if call.opening.is_some() => prop_assert!(found.contains_key(&id)),
                Some(_) => {}
                None => {
                    let (_, opening) = call.opening.as_ref().unwrap();
                    if !opening.holds(place) {
                        prop_assert_eq!(found.get(&id), Some(&as_interrupted(&call.record, u64::from(call.passed))));
                    }
                }
            }
        }
        prop_assert_eq!(totals(dir.path()), totals_of_calls(dir.path()));
    }
}

#[test]
fn a_damaged_segment_is_counted_and_kept_aside() {
    let dir = tempfile::tempdir().unwrap();
    let acts = (0..3)
        .map(|number| Act::Refuse(call(number, NOON)))
        .collect();
    let (_, extents) = write(dir.path(), acts);
    let file = fs::OpenOptions::new()
        .write(true)
        .open(segment_path(dir.path(), 1))
        .unwrap();
    file.write_all_at(b"?", extents[1].from + 40).unwrap();

    let (ledger, recovered) = open(dir.path());
    ledger.close();

    assert_eq!((recovered.replayed, recovered.damaged), (2, 1));
    assert!(journal_dir(dir.path()).join("000001.tgj.damaged").exists());
}

#[test]
fn a_ledger_that_is_dropped_without_closing_applies_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut number = 0;
    for _ in 0..4 {
        let (ledger, _) = open(dir.path());
        for _ in 0..700 {
            number += 1;
            let record = call(number, NOON);
            let entry = ledger.begin(&record.opening);
            ledger.append(Some(entry), record);
        }
        drop(ledger);
    }
    let (ledger, recovered) = open(dir.path());
    ledger.close();
    assert_eq!(recovered.interrupted.len(), 0);
    assert_eq!(total(dir.path()).calls, 2800);
    assert_eq!(totals(dir.path()), totals_of_calls(dir.path()));
}

#[test]
fn counters_continue_where_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    let ms = |ms: i64| Wall(NOON.0 + ms);
    ledger.append(None, call(1, ms(-62_000)));
    ledger.append(None, call(2, ms(-30_000)));
    ledger.append(None, call(3, ms(-29_990)));
    let in_flight = ledger.begin(&call(4, ms(-1_000)).opening);
    ledger.progress(&in_flight, 9);
    drop(ledger);

    let (ledger, recovered) = open(dir.path());

    let counters = recovered.counters;
    let recent_of = |limit: &str| {
        let mut recent: Vec<_> = counters
            .recent
            .iter()
            .filter(|(charge, ..)| charge.limit.as_str() == limit)
            .map(|(_, at, amount)| (at.0 - NOON.0, *amount))
            .collect();
        recent.sort_unstable();
        recent
    };
    assert_eq!(
        recent_of("product/standard/team-tpm"),
        [(-29_990, 240), (-1_000, 110)]
    );
    assert_eq!(
        recent_of("product/standard/team-rpm"),
        [(-29_990, 2), (-1_000, 1)]
    );
    let month = (
        "product/standard/team-month".into(),
        "search".into(),
        Wall(1_793_491_200_000),
        470,
    );
    assert_eq!(counters.quotas, [month]);
    let budget = RestoredBudget {
        budget: "search-month".into(),
        key: "search".into(),
        period_start: Wall(1_793_491_200_000),
        currency: euro(),
        // Three calls of 120 tokens, and the 101 + 9 of the one that was cut short.
        spent: Nanos(1410),
    };
    assert_eq!(counters.budgets, [budget]);
    ledger.close();
    let hours: Vec<_> = budget_hours(dir.path(), Wall(NOON.0 - 1))
        .unwrap()
        .into_iter()
        .map(|hour| (hour.hour.0 - NOON.0, hour.spent))
        .collect();
    assert_eq!(hours, [(-3_600_000, Nanos(1410))]);
}

#[test]
fn what_a_price_stands_for_survives_a_kill_and_is_written_once() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    let (first, second) = (PriceId::from("p1"), PriceId::from("p2"));
    ledger.remember_price(&first, || "{\"input\":1}".to_owned());
    ledger.remember_price(&first, || unreachable!("it is known"));
    drop(ledger);
    let (ledger, recovered) = open(dir.path());
    assert_eq!((recovered.replayed, recovered.damaged), (0, 0));
    ledger.remember_price(&first, || "{\"input\":1}".to_owned());
    ledger.remember_price(&second, || "{\"input\":2}".to_owned());
    ledger.close();
    let known = [
        (first, "{\"input\":1}".to_owned()),
        (second, "{\"input\":2}".to_owned()),
    ];
    assert_eq!(prices(dir.path()).unwrap(), known);
}

#[test]
fn a_quota_continues_in_the_period_that_was_charged_last() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    let charged = |number, at, start| {
        let mut record = call(number, Wall(at));
        record
            .opening
            .charges
            .retain(|charge| matches!(charge.unit, domain::record::ChargeUnit::Quota { .. }));
        record.opening.charges[0].unit = domain::record::ChargeUnit::Quota {
            period_start: Wall(start),
        };
        record
    };
    let month = NOON.0 - 21 * 86_400_000;
    let year = NOON.0 - 300 * 86_400_000;
    // The quota was monthly until it was reconfigured.
    ledger.append(None, charged(1, NOON.0 - 5_000, month));
    ledger.append(None, charged(2, NOON.0 - 4_000, year));
    ledger.close();

    let (ledger, recovered) = open(dir.path());
    ledger.close();
    let levels: Vec<_> = recovered
        .counters
        .quotas
        .into_iter()
        .map(|(.., start, tokens)| (start.0, tokens))
        .collect();
    assert_eq!(levels, [(year, 120)]);
}
