//! Budgets that are used up, or will be: each threshold once, none passed over.

use domain::record::{Charge, ChargeUnit, Cost};
use domain::{Currency, LimitId, Nanos, Wall};
use serde_json::Value;
use store::counters::{Restored, RestoredBudget};

use crate::alerts::{look, on_the_ledger, receiver, record, rules, titles, told};
use crate::scripted::{Answer, Backend};
use crate::stage::Stage;

const UNIT: i64 = 1_000_000_000;
const HOUR_MS: i64 = 3_600_000;
/// The month of the stage's clock: September 2026.
const SEPTEMBER: Wall = Wall::from_secs(1_788_220_800);
const OCTOBER: Wall = Wall::from_secs(1_790_812_800);

const BUDGET: &str = "
budgets:
  - { name: search-month, match: { subscription: search }, amount: 500, period: month, alert_at: [0.5, 0.8, 1], on_exceeded: refuse, notify: [ops] }";

/// A stage with the budget, and `rules` beside it.
async fn stage(receiver: &Backend, alerts: &str) -> (Stage, Backend) {
    let backend = Backend::answering(Answer::chat()).await;
    let mut rules = rules(receiver, alerts);
    rules.alerts.push_str(BUDGET);
    let stage = Stage::new(&rules, &[&backend]);
    stage.start_alerts();
    (stage, backend)
}

/// The budget's counter has so much more.
fn spend(stage: &Stage, amount: i64) {
    let limits = stage.gateway.snapshot.load().every_limit();
    let restored = Restored {
        budgets: vec![RestoredBudget {
            budget: LimitId::from("budget/search-month"),
            key: "all".into(),
            period_start: SEPTEMBER,
            currency: Currency::USD,
            spent: Nanos(amount * UNIT),
        }],
        ..Restored::default()
    };
    let now = stage.clock.now();
    stage.gateway.counters.restore(&restored, &limits, now);
}

/// A call on the ledger that cost so much, charged to September.
fn charge(stage: &Stage, at: Wall, number: u128, amount: i64) {
    let cost = Cost::Priced {
        amount: Nanos(amount),
        currency: Currency::USD,
        price: "p".into(),
    };
    let mut record = record(at, number, 100, cost);
    record.opening.charges.push(Charge {
        limit: LimitId::from("budget/search-month"),
        key: "all".into(),
        unit: ChargeUnit::Budget {
            period_start: SEPTEMBER,
        },
    });
    stage.gateway.ledger.append(None, record);
}

fn text(message: &Value) -> &str {
    message["data"]["text"].as_str().unwrap()
}

#[tokio::test]
async fn each_threshold_is_told_once_and_a_jump_over_several_in_one_message() {
    let receiver = receiver().await;
    let (stage, _backend) = stage(&receiver, "").await;
    spend(&stage, 249);
    look(&stage).await;
    assert_eq!(receiver.requests(), 0);
    spend(&stage, 1);
    for _ in 0..3 {
        look(&stage).await;
    }
    spend(&stage, 255);
    for _ in 0..3 {
        look(&stage).await;
    }
    assert_eq!(
        titles(&receiver),
        [
            "Budget search-month: 50% used",
            "Budget search-month: 100% used"
        ]
    );
    let messages = told(&receiver);
    assert!(
        text(&messages[0]).starts_with(
            "subscription/search has spent 250.00 USD of 500.00 USD for September 2026 (50.0%). \
             The period ends on 1 October 2026, 00:00, in 9 days."
        ),
        "{}",
        text(&messages[0])
    );
    let details = &messages[1]["data"]["details"];
    assert_eq!(details["thresholds_crossed"], serde_json::json!([0.8, 1.0]));
    assert_eq!(
        (&details["spent"], &details["amount"]),
        (&"505".into(), &"500".into())
    );
    assert!(text(&messages[1]).contains("It passed 80% on the way."));
    assert!(
        text(&messages[1])
            .contains("Now calls are refused (403 budget_exceeded) until 1 October 2026, 00:00.")
    );
    assert_eq!(messages[1]["data"]["severity"], "critical");
}

#[tokio::test]
async fn what_was_spent_in_the_last_moments_of_a_period_is_told_in_the_next() {
    let receiver = receiver().await;
    let (stage, _backend) = stage(&receiver, "").await;
    // A look in September, and a call in its last second that nobody looked at.
    look(&stage).await;
    let last_second = Wall(OCTOBER.0 - 1_000);
    charge(&stage, last_second, 1, 450 * UNIT);
    on_the_ledger(stage.ledger_folder(), 1).await;
    let until_october_s = (OCTOBER.0 - stage.clock.now().wall.0) as u64 / 1000;
    // Long after: the gateway may have been down.
    stage.advance_s(until_october_s + 5 * 86_400);
    look(&stage).await;
    stage.advance_s(60);
    look(&stage).await;
    assert_eq!(titles(&receiver), ["Budget search-month: 80% used"]);
    let message = &told(&receiver)[0];
    assert!(
        text(message).contains("That period is over."),
        "{}",
        text(message)
    );
    assert_eq!(
        message["data"]["details"]["period_start"],
        "2026-09-01T00:00:00Z"
    );
}

#[tokio::test]
async fn a_month_that_will_not_hold_is_told_once_with_the_day_and_its_interval() {
    let receiver = receiver().await;
    let forecast = "{ name: month-end, notify: [ops], forecast: {} }";
    let (stage, _backend) = stage(&receiver, forecast).await;
    let now = stage.clock.now().wall;
    // Three weeks at 20 a day: 600 for the month.
    let first = now.0.div_euclid(HOUR_MS) * HOUR_MS - 21 * 24 * HOUR_MS;
    let hours = 21 * 24;
    for hour in 0..hours {
        let wobble = 1.0 + f64::from(hour * 37 % 21 - 10) / 100.0;
        let amount = (20.0 / 24.0 * wobble * UNIT as f64) as i64;
        charge(
            &stage,
            Wall(first + i64::from(hour) * HOUR_MS),
            hour as u128,
            amount,
        );
    }
    on_the_ledger(stage.ledger_folder(), hours as usize).await;
    spend(&stage, 411);
    look(&stage).await;
    stage.advance_s(600);
    look(&stage).await;
    let messages = told(&receiver);
    let titles = titles(&receiver);
    assert_eq!(
        titles,
        [
            "Budget search-month: 80% used",
            "Budget search-month will be used up on 26 September"
        ]
    );
    let message = &messages[1];
    assert_eq!(message["type"], "budget.forecast");
    // 411 and nine days and a half of 20.
    let details = &message["data"]["details"];
    let expected: f64 = details["expected"].as_str().unwrap().parse().unwrap();
    assert!((580.0..620.0).contains(&expected), "{details}");
    let (low, high): (f64, f64) = (
        details["low"].as_str().unwrap().parse().unwrap(),
        details["high"].as_str().unwrap().parse().unwrap(),
    );
    assert!(low < expected && expected < high, "{details}");
    assert_eq!(details["days_known"], 20);
    // Told with the threshold, too.
    assert!(
        text(&messages[0]).contains("At this pace it is used up on 26 September"),
        "{}",
        text(&messages[0])
    );
}

#[tokio::test]
async fn a_month_that_holds_is_not_told() {
    let receiver = receiver().await;
    let forecast = "{ name: month-end, notify: [ops], forecast: {} }";
    let (stage, _backend) = stage(&receiver, forecast).await;
    let now = stage.clock.now().wall;
    let first = now.0.div_euclid(HOUR_MS) * HOUR_MS - 21 * 24 * HOUR_MS;
    for hour in 0..21 * 24 {
        let at = Wall(first + i64::from(hour) * HOUR_MS);
        charge(&stage, at, hour as u128, UNIT / 3);
    }
    on_the_ledger(stage.ledger_folder(), 21 * 24).await;
    spend(&stage, 170);
    look(&stage).await;
    assert_eq!(receiver.requests(), 0, "{:?}", titles(&receiver));
}
