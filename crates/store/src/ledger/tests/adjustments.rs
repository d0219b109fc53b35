//! Adjustments stand beside calls: in reports a line of their own, on records nothing.

use domain::Wall;

use super::*;
use crate::ledger::sums::{HOUR_MS, hour_of};

fn adjustment(hour: Wall, model: &str, amount: i64) -> Adjustment {
    Adjustment {
        made_at: Wall(NOON.0 + HOUR_MS),
        reason: "the invoice says otherwise".to_owned(),
        hour,
        subscription: "search".into(),
        product: "standard".into(),
        application: String::new(),
        model: model.into(),
        backend: "east".into(),
        calls: 3,
        currency: euro(),
        amount: Nanos(amount),
    }
}

#[test]
fn an_adjustment_is_a_line_of_its_own_and_changes_no_record() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    for id in 1..=3 {
        ledger.append(None, call(id, NOON));
    }
    ledger.close();
    let (before, records) = (totals(dir.path()), recent(dir.path(), 10).unwrap());

    let hour = hour_of(NOON);
    let made = [
        adjustment(hour, "gpt-4o", 2_500),
        adjustment(hour, "gpt-5", -300),
        adjustment(Wall(hour.0 + HOUR_MS), "gpt-4o", 70),
    ];
    adjust(dir.path(), &made).unwrap();

    assert_eq!(adjustments(dir.path(), hour, Wall(i64::MAX)).unwrap(), made);
    assert_eq!(recent(dir.path(), 10).unwrap(), records);
    let after = totals(dir.path());
    assert_eq!(after[..before.len()], before, "what calls cost stays");
    let [line] = &after[before.len()..] else {
        panic!("{after:#?}")
    };
    assert_eq!((line.calls, line.total_tokens), (0, 0));
    assert_eq!((line.cost, line.currency), (Nanos(2_270), Some(euro())));
}

#[test]
fn adjustments_are_summed_by_the_names_and_hours_of_their_calls() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).0.close();
    let hour = hour_of(NOON);
    let made = [
        adjustment(hour, "gpt-4o", 2_500),
        adjustment(hour, "gpt-5", -300),
        adjustment(Wall(hour.0 + HOUR_MS), "gpt-4o", 70),
    ];
    adjust(dir.path(), &made).unwrap();
    let query = |by: &[UsageBy], until| UsageQuery {
        by: by.to_vec(),
        only: vec![],
        since: None,
        until,
        time_zone: TimeZone::UTC,
    };
    let lines = |by: &[UsageBy], until| -> Vec<(Vec<String>, i64)> {
        let rows = usage(dir.path(), &query(by, until)).unwrap();
        rows.into_iter().map(|row| (row.by, row.cost.0)).collect()
    };
    let named = |names: &[&str], amount| {
        (
            names.iter().map(|name| (*name).to_owned()).collect(),
            amount,
        )
    };
    assert_eq!(
        lines(&[UsageBy::Model, UsageBy::Outcome], None),
        [
            named(&["gpt-4o", "adjusted"], 2_570),
            named(&["gpt-5", "adjusted"], -300)
        ]
    );
    let first_hour = Some(Wall(hour.0 + HOUR_MS));
    assert_eq!(
        lines(&[UsageBy::Model], first_hour),
        [named(&["gpt-4o"], 2_500), named(&["gpt-5"], -300)]
    );
    let only = UsageQuery {
        only: vec![(UsageBy::Model, "gpt-5".to_owned())],
        ..query(&[UsageBy::User], None)
    };
    let rows = usage(dir.path(), &only).unwrap();
    let lines: Vec<_> = rows.into_iter().map(|row| (row.by, row.cost.0)).collect();
    assert_eq!(lines, [named(&[""], -300)], "of nobody in particular");
}

#[test]
fn every_call_of_a_time_is_seen_once_oldest_first() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    for id in [3, 1, 2, 4] {
        ledger.append(None, call(id, Wall(NOON.0 + id as i64)));
    }
    ledger.close();
    let mut seen = Vec::new();
    let (since, until) = (Wall(NOON.0 + 2), Wall(NOON.0 + 4));
    each_call(dir.path(), since, until, &mut |call| {
        seen.push(call.opening.at.0 - NOON.0);
    })
    .unwrap();
    assert_eq!(seen, [2, 3]);
}
