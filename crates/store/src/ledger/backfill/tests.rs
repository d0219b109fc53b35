use domain::budget::{Pattern, Patterns};
use domain::record::{CallRecord, Cost};

use super::*;
use crate::ledger::database::SumUp;
use crate::ledger::query::budget_hours;
use crate::ledger::samples::{NOON, call, euro};
use crate::ledger::sums::Sums;

fn patterns(text: &str) -> Option<Patterns> {
    Some(Patterns(vec![Pattern::new(text)]))
}

fn candidate(matching: CallMatch, key: KeyOf) -> Candidate {
    Candidate {
        budget: LimitId::from("budget/new"),
        currency: euro(),
        span: Span {
            start: Wall(NOON.0 - 12 * HOUR_MS),
            end: Wall(NOON.0 + 12 * HOUR_MS),
        },
        matching,
        key,
    }
}

/// Costs its number; the sample's budget stands on it too.
fn costing(number: u128, at: Wall) -> CallRecord {
    let mut record = call(number, at);
    record.cost = Cost::Priced {
        amount: Nanos(i64::try_from(number).unwrap()),
        currency: euro(),
        price: "p".into(),
    };
    record
}

fn with(records: &[CallRecord]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut database = Database::open(dir.path()).unwrap();
    // Some of their sums wait still.
    let (summed, unsummed) = records.split_at(records.len() / 2);
    for (records, sum_up) in [(summed, SumUp::Now), (unsummed, SumUp::Later)] {
        database.apply(records.iter(), &[], None, sum_up).unwrap();
    }
    dir
}

fn levels(dir: &Path, candidate: Candidate) -> Vec<(String, i64)> {
    let found = uncounted(dir, &[candidate]).unwrap();
    let levels = found.levels().into_iter();
    levels
        .map(|level| (level.key.to_string(), level.spent.0))
        .collect()
}

/// Three models, two users, one call of yesterday, one in dollars, one without a price.
fn records() -> Vec<CallRecord> {
    let mut records: Vec<CallRecord> = (0..6).map(|n| costing(1 << n, NOON)).collect();
    records[1].opening.model = "o3".into();
    records[2].opening.who.user = Some("bo@example.com".into());
    records[3].opening.at = Wall(NOON.0 - 13 * HOUR_MS);
    if let Cost::Priced { currency, .. } = &mut records[4].cost {
        *currency = Currency::USD;
    }
    records[5].cost = Cost::Unpriced;
    records
}

#[test]
fn only_calls_of_the_period_the_match_and_the_currency_count() {
    let dir = with(&records());
    let dir = dir.path();
    let one = || KeyOf::One("all".into());
    let all = candidate(CallMatch::default(), one());
    assert_eq!(levels(dir, all), [("all".to_owned(), 7)]);
    let of_model = CallMatch {
        model: patterns("gpt-*"),
        ..CallMatch::default()
    };
    assert_eq!(
        levels(dir, candidate(of_model, one())),
        [("all".to_owned(), 5)]
    );
    let of_user = CallMatch {
        user: patterns("bo@*"),
        ..CallMatch::default()
    };
    assert_eq!(
        levels(dir, candidate(of_user, one())),
        [("all".to_owned(), 4)]
    );
    let of_nobody = CallMatch {
        application: patterns("nightly-*"),
        ..CallMatch::default()
    };
    assert_eq!(levels(dir, candidate(of_nobody, one())), []);
}

#[test]
fn each_key_has_its_own_sum() {
    let dir = with(&records());
    let keyed = |key| levels(dir.path(), candidate(CallMatch::default(), key));
    let named = |name: &str, sum| (name.to_owned(), sum);
    assert_eq!(keyed(KeyOf::Subscription), [named("search", 7)]);
    assert_eq!(keyed(KeyOf::Product), [named("standard", 7)]);
    assert_eq!(keyed(KeyOf::Application), [named("chat-ui", 7)]);
    assert_eq!(keyed(KeyOf::Model), [named("gpt-4o", 5), named("o3", 2)]);
    assert_eq!(
        keyed(KeyOf::User),
        [named("ada@example.com", 3), named("bo@example.com", 4)]
    );
}

#[test]
fn a_period_that_begins_within_an_hour_begins_there() {
    let half_past = Wall(NOON.0 + HOUR_MS / 2);
    let records = [
        costing(1, Wall(half_past.0 - 1)),
        costing(2, half_past),
        costing(4, Wall(NOON.0 + HOUR_MS)),
    ];
    let dir = with(&records);
    let mut candidate = candidate(CallMatch::default(), KeyOf::One("all".into()));
    candidate.span.start = half_past;
    assert_eq!(levels(dir.path(), candidate), [("all".to_owned(), 6)]);
}

#[test]
fn calls_without_detail_count_too() {
    let dir = with(&[]);
    let mut sums = Sums::default();
    sums.add(&costing(5, NOON));
    let mut database = Database::open(dir.path()).unwrap();
    database.apply_folded(&sums).unwrap();
    let candidate = candidate(CallMatch::default(), KeyOf::Subscription);
    assert_eq!(levels(dir.path(), candidate), [("search".to_owned(), 5)]);
}

#[test]
fn what_is_credited_is_there_for_good_and_is_never_found_again() {
    let later = Wall(NOON.0 + HOUR_MS);
    let dir = with(&[costing(1, NOON), costing(2, later)]);
    let dir = dir.path();
    let candidate = candidate(CallMatch::default(), KeyOf::One("all".into()));
    let found = uncounted(dir, std::slice::from_ref(&candidate)).unwrap();
    credit(dir, &found, later).unwrap();

    let again = uncounted(dir, &[candidate]).unwrap();
    assert_eq!(again, Backfill::default());
    let hours: Vec<_> = budget_hours(dir, Wall(0))
        .unwrap()
        .into_iter()
        .filter(|hour| hour.budget.as_str() == "budget/new")
        .map(|hour| (hour.hour, hour.spent.0))
        .collect();
    assert_eq!(hours, [(NOON, 1), (later, 2)]);
    let restored = crate::ledger::query::budget_levels(dir, later).unwrap();
    let level = restored
        .iter()
        .find(|level| level.budget.as_str() == "budget/new");
    assert_eq!(level.map(|level| level.spent), Some(Nanos(3)));
}

#[test]
fn a_budget_of_too_many_counters_is_left_out_whole() {
    let mut records = vec![costing(1, NOON), costing(2, NOON)];
    records[1].opening.who.user = Some("bo@example.com".into());
    let dir = with(&records);
    let connection = open_to_query(dir.path()).unwrap();
    let by_user = candidate(CallMatch::default(), KeyOf::User);
    assert_eq!(counted(&connection, &by_user, 1).unwrap(), None);
    assert!(counted(&connection, &by_user, 2).unwrap().is_some());
}

#[test]
fn a_gateway_that_never_ran_has_nothing_to_count() {
    let dir = tempfile::tempdir().unwrap();
    let candidate = candidate(CallMatch::default(), KeyOf::Subscription);
    assert_eq!(
        uncounted(dir.path(), &[candidate]).unwrap(),
        Backfill::default()
    );
}

#[test]
fn a_budget_whose_first_charges_wait_to_be_summed_up_is_not_new() {
    let call = call(1, NOON);
    let charge = call.opening.charges.iter().find_map(|charge| {
        let ChargeUnit::Budget { period_start } = charge.unit else {
            return None;
        };
        Some((charge.limit.clone(), period_start))
    });
    let (budget, start) = charge.unwrap();
    let candidate = Candidate {
        budget,
        span: Span {
            start,
            end: Wall(NOON.0 + HOUR_MS),
        },
        ..candidate(CallMatch::default(), KeyOf::Subscription)
    };
    let other = Candidate {
        budget: LimitId::from("budget/new"),
        ..candidate.clone()
    };
    for sum_up in [SumUp::Later, SumUp::Now] {
        let dir = tempfile::tempdir().unwrap();
        let mut database = Database::open(dir.path()).unwrap();
        database
            .apply([&call].into_iter(), &[], None, sum_up)
            .unwrap();
        let found = uncounted(dir.path(), &[candidate.clone(), other.clone()]).unwrap();
        let found: Vec<_> = found.budgets.iter().map(|found| &found.budget).collect();
        assert_eq!(found, [&other.budget], "{sum_up:?}");
    }
}
