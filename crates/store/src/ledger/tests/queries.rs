//! Usage and single calls, beside a running gateway and without one.

use domain::Wall;
use jiff::Timestamp;
use proptest::prelude::*;
use rusqlite::Connection;

use super::super::database::{Database, SumUp};
use super::super::samples::any_record;
use super::super::sums::{Sums, UsageSums, hour_of};
use super::*;

const ALL: [UsageBy; 11] = [
    UsageBy::Subscription,
    UsageBy::Application,
    UsageBy::Product,
    UsageBy::Model,
    UsageBy::Backend,
    UsageBy::Day,
    UsageBy::Hour,
    UsageBy::Outcome,
    UsageBy::Cache,
    UsageBy::User,
    UsageBy::AskedModel,
];
/// Off UTC by nothing, an hour, half an hour, a quarter, and by half an hour in summer only.
const ZONES: [&str; 5] = [
    "UTC",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
];

/// Names that samples have.
const NAMED: [(UsageBy, &str); 8] = [
    (UsageBy::Subscription, "team-1"),
    (UsageBy::Application, "name-0"),
    (UsageBy::Model, "model-2"),
    (UsageBy::Backend, ""),
    (UsageBy::Cache, "off"),
    (UsageBy::User, "name-1"),
    (UsageBy::AskedModel, "name-2"),
    (UsageBy::AskedModel, "model-0"),
];

fn any_query() -> impl Strategy<Value = UsageQuery> {
    let bound =
        || proptest::option::of((-3_600_000..4 * 86_400_000i64).prop_map(|ms| Wall(NOON.0 + ms)));
    let by = proptest::sample::subsequence(ALL.to_vec(), 0..4).prop_shuffle();
    let only = proptest::sample::subsequence(NAMED.to_vec(), 0..3);
    (by, only, bound(), bound(), 0..ZONES.len()).prop_map(|(by, only, since, until, zone)| {
        let only = only.into_iter().map(|(by, name)| (by, name.to_owned()));
        UsageQuery {
            by,
            only: only.collect(),
            since,
            until,
            time_zone: TimeZone::get(ZONES[zone]).unwrap(),
        }
    })
}

fn name(record: &CallRecord, by: UsageBy, query: &UsageQuery) -> String {
    let opening = &record.opening;
    let time = Timestamp::from_millisecond(opening.at.0)
        .unwrap()
        .to_zoned(query.time_zone.clone());
    match by {
        UsageBy::Subscription => opening.who.subscription.to_string(),
        UsageBy::Application => opening
            .who
            .application
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        UsageBy::Product => opening.who.product.to_string(),
        UsageBy::Model => opening.model.to_string(),
        UsageBy::Backend => record
            .backend
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        UsageBy::Day => time.strftime("%F").to_string(),
        UsageBy::Hour => time.strftime("%FT%H:00%:z").to_string(),
        UsageBy::Outcome => record.outcome.as_str().to_owned(),
        UsageBy::Cache => record.cache.as_str().to_owned(),
        UsageBy::User => opening.who.user.as_deref().unwrap_or_default().to_owned(),
        UsageBy::AskedModel => opening
            .asked_model
            .as_ref()
            .unwrap_or(&opening.model)
            .to_string(),
    }
}

/// The query, answered call by call.
fn by_hand(records: &[CallRecord], query: &UsageQuery) -> Vec<UsageRow> {
    let mut groups = usage::Groups::new();
    if query.by.is_empty() {
        groups.insert(vec![], Default::default());
    }
    for record in records {
        let opening = &record.opening;
        if query.since.is_some_and(|since| opening.at < since)
            || query.until.is_some_and(|until| opening.at >= until)
        {
            continue;
        }
        let is_other = |(by, wanted): &(UsageBy, String)| name(record, *by, query) != *wanted;
        if query.only.iter().any(is_other) {
            continue;
        }
        let names = query.by.iter().map(|by| name(record, *by, query));
        let currencies = groups.entry(names.collect()).or_default();
        *currencies.entry(record.cost.currency()).or_default() += UsageSums::of(record);
    }
    usage::usage_rows(groups)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn any_window_zone_and_filter_is_exact_however_far_days_have_come(
        records in proptest::collection::vec(any_record(), 0..60),
        late in proptest::collection::vec(any_record(), 0..40),
        folded in proptest::collection::vec(any_record(), 0..5),
        rolled in (0..3usize, 0..80usize),
        sum_up in proptest::sample::select(vec![SumUp::Now, SumUp::Later]),
        queries in proptest::collection::vec(any_query(), 12),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut database = Database::open(dir.path()).unwrap();
        database.set_time_zone(&TimeZone::get(ZONES[rolled.0]).unwrap()).unwrap();
        database.apply(records.iter(), &[], None, sum_up).unwrap();
        let forever = Wall(NOON.0 + 30 * 86_400_000);
        for _ in 0..rolled.1 {
            database.roll_up(forever).unwrap();
        }
        database.apply(late.iter(), &[], None, sum_up).unwrap();
        database.sum_up().unwrap();
        // Without detail, they count where their hour starts, and nobody knows whose they were
        // or what they had asked for.
        let mut sums = Sums::default();
        let folded: Vec<_> = folded.into_iter().map(|mut record| {
            record.opening.at = hour_of(record.opening.at);
            record.opening.who.user = None;
            record.opening.asked_model = None;
            sums.add(&record);
            record
        }).collect();
        database.apply_folded(&sums).unwrap();
        drop(database);
        let all: Vec<_> = records.into_iter().chain(late).chain(folded).collect();
        for query in queries {
            prop_assert_eq!(usage(dir.path(), &query).unwrap(), by_hand(&all, &query), "{:?}", query);
        }
    }

    #[test]
    fn a_call_reads_back_from_the_database_as_it_was(record in any_record()) {
        let dir = tempfile::tempdir().unwrap();
        Database::open(dir.path()).unwrap().apply([&record].into_iter(), &[], None, SumUp::Now).unwrap();
        prop_assert_eq!(find(dir.path(), record.opening.id).unwrap(), Some(as_recorded(record)));
    }
}

#[test]
fn a_killed_gateways_usage_is_complete() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    for number in 0..100 {
        ledger.append(None, call(number, NOON));
    }
    let entry = ledger.begin(&call(100, NOON).opening);
    drop(ledger);
    drop(entry);

    let rows = usage(dir.path(), &by(&[UsageBy::Outcome])).unwrap();

    let calls: Vec<_> = rows
        .iter()
        .map(|row| (row.by[0].as_str(), row.calls, row.estimated_tokens))
        .collect();
    assert_eq!(calls, [("interrupted", 1, 101), ("ok", 100, 0)]);
}

#[test]
fn a_running_gateways_usage_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    for number in 0..100 {
        ledger.append(None, call(number, NOON));
        assert!(total(dir.path()).calls <= 100);
    }
    ledger.close();
    assert_eq!(total(dir.path()).total_tokens, 12_000);
}

#[test]
fn an_hour_is_added_to_its_day_once_it_has_been_over_for_an_hour() {
    let dir = tempfile::tempdir().unwrap();
    let mut database = Database::open(dir.path()).unwrap();
    let calls = [call(1, NOON), call(2, Wall(NOON.0 + 3_599_999))];
    database.apply(calls.iter(), &[], None, SumUp::Now).unwrap();
    let hours = |hours: i64| Wall(NOON.0 + hours * 3_600_000);
    assert!(!database.roll_up(Wall(hours(2).0 - 1)).unwrap());
    assert!(database.roll_up(hours(2)).unwrap());
    assert!(!database.roll_up(hours(50)).unwrap(), "there is no other");
    let days = |table: &str| {
        let connection = Connection::open(dir.path().join("ledger.sqlite")).unwrap();
        connection
            .query_row(
                &format!("SELECT count(*), sum(calls), sum(cost) FROM {table}"),
                [],
                |row| Ok([row.get(0)?, row.get::<_, Option<i64>>(1)?, row.get(2)?]),
            )
            .unwrap()
    };
    let summed = [Some(1), Some(2), Some(720)];
    assert_eq!(days("usage_daily"), summed);
    assert_eq!(days("usage_daily_by_user"), summed);

    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    database.set_time_zone(&berlin).unwrap();
    assert_eq!(days("usage_daily"), [Some(0), None, None]);
    assert!(database.roll_up(hours(2)).unwrap());
    assert_eq!(days("usage_daily"), summed);
}

#[test]
fn an_idle_ledger_sums_up_the_days_that_are_over() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    for number in 0..10 {
        ledger.append(None, call(number, Wall(NOON.0 - 5 * 3_600_000)));
    }
    let connection = Connection::open(dir.path().join("ledger.sqlite")).unwrap();
    let in_days = || {
        connection
            .query_row("SELECT sum(calls) FROM usage_daily", [], |row| {
                row.get::<_, Option<i64>>(0)
            })
            .unwrap()
    };
    while in_days() != Some(10) {
        std::thread::yield_now();
    }
    ledger.append(None, call(10, Wall(NOON.0 - 5 * 3_600_000)));
    ledger.close();
    assert_eq!(in_days(), Some(11), "a late call is added at once");
    assert_eq!(totals(dir.path()), totals_of_calls(dir.path()));
}

#[test]
fn currencies_are_never_added_up() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    let costing = |number, subscription: &str, cost| {
        let mut record = call(number, NOON);
        record.opening.who.subscription = subscription.into();
        record.cost = cost;
        ledger.append(None, record);
    };
    let priced = |amount, currency: &str| Cost::Priced {
        amount: Nanos(amount),
        currency: currency.parse().unwrap(),
        price: "p1".into(),
    };
    costing(1, "moved", priced(5, "EUR"));
    costing(2, "moved", priced(7, "USD"));
    costing(3, "moved", Cost::Unpriced);
    costing(4, "stayed", priced(11, "EUR"));
    costing(5, "stayed", Cost::Unpriced);
    costing(6, "stayed", Cost::Nothing);
    costing(7, "unpriced", Cost::Unpriced);
    ledger.close();

    let rows = usage(dir.path(), &by(&[UsageBy::Subscription])).unwrap();
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let currency = row.currency.map(|currency| currency.to_string());
            let cost = (row.cost.0, currency.unwrap_or_default());
            (row.by[0].as_str(), row.calls, cost, row.unpriced_tokens)
        })
        .collect();
    let money = |amount, currency: &str| (amount, currency.to_owned());
    assert_eq!(
        rows,
        [
            ("moved", 1, money(0, ""), 120),
            ("moved", 1, money(5, "EUR"), 0),
            ("moved", 1, money(7, "USD"), 0),
            ("stayed", 3, money(11, "EUR"), 120),
            ("unpriced", 1, money(0, ""), 120),
        ]
    );
}

#[test]
fn recent_calls_come_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    for number in 0..5 {
        ledger.append(None, call(number, Wall(NOON.0 + number as i64)));
    }
    ledger.close();
    let newest: Vec<_> = recent(dir.path(), 2)
        .unwrap()
        .into_iter()
        .map(|record| record.opening.at.0 - NOON.0)
        .collect();
    assert_eq!(newest, [4, 3]);
}

#[test]
fn a_directory_without_a_ledger_is_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let error = usage(dir.path(), &by(&[])).unwrap_err();
    assert!(error.0.contains("no ledger in"), "{error}");
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
}

#[test]
fn a_provider_that_reports_absurd_tokens_does_not_break_the_sums() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    let mut absurd = call(1, NOON);
    absurd.metered = Metered::Reported(domain::Usage {
        prompt: u64::MAX,
        completion: u64::MAX,
        ..Default::default()
    });
    for number in 0..10 {
        absurd.opening.id = CallId::new(NOON, number);
        ledger.append(None, absurd.clone());
    }
    ledger.append(None, call(11, NOON));
    ledger.close();
    assert_eq!(total(dir.path()).total_tokens, 10 * 2 * (1 << 40) + 120);
}

fn by(by: &[UsageBy]) -> UsageQuery {
    UsageQuery {
        by: by.to_vec(),
        only: vec![],
        since: None,
        until: None,
        time_zone: TimeZone::UTC,
    }
}
