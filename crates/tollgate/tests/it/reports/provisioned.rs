//! What is paid by the hour, beside what is paid by the call.

use domain::record::Cost;
use domain::{CallId, Metered, Mono, Nanos, Now, PriceId, Usage, Wall};
use gateway::Clock;
use jiff::Timestamp;
use report::Decimal;
use serde_json::Value;
use store::Ledger;

use super::{field, priced, rows, text};
use crate::harness::tollgate;

const HOUR: i64 = 3_600_000;
const HOURS: i64 = 20;

const CONFIG: &str = "
listen: 127.0.0.1:0
admin: { listen: 127.0.0.1:0 }
data_dir: DATA
currency: EUR
backends:
  - id: eastus
    dialect: openai
    url: 'http://127.0.0.1:9'
    auth: none
    provisioned: [ { amount_per_hour: 36, since: 2020-01-01 } ]
models: [ { name: gpt-4o, backend: eastus } ]
products: [ { id: standard, models: [gpt-4o] } ]
subscriptions:
  - { id: search, name: Search team, product: standard, keys: { primary: search-key-of-16-or-more } }
";

/// Every hour search takes five parts of the tokens, support three, and legal two, which it pays by
/// the token.
fn write(dir: &std::path::Path, from: Wall) {
    let now = Now {
        mono: Mono::from_secs(86_400),
        wall: Wall(from.0 + (HOURS + 1) * HOUR),
    };
    let (ledger, _) = Ledger::open(dir, now).unwrap();
    let mut number = 0;
    for hour in 0..HOURS {
        for (subscription, tokens, cost) in
            [("search", 500, 0), ("support", 300, 0), ("legal", 200, 7)]
        {
            number += 1;
            let mut record = priced::call(number, &PriceId::from("p"));
            let at = Wall(from.0 + hour * HOUR);
            record.opening.at = at;
            record.opening.id = CallId::new(at, number.unsigned_abs().into());
            record.opening.who.subscription = subscription.into();
            record.metered = Metered::Reported(Usage {
                prompt: tokens,
                ..Usage::default()
            });
            record.cost = Cost::Priced {
                amount: Nanos(cost * 1_000_000_000),
                currency: "EUR".parse().unwrap(),
                price: "p".into(),
            };
            record.attempts.clear();
            ledger.append(None, record);
        }
    }
    ledger.close();
}

#[test]
fn hours_are_shared_by_the_tokens_and_no_call_is_paid_for_twice() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let now = Clock::system().now().wall;
    let from = Wall((now.0.div_euclid(HOUR) - HOURS - 1) * HOUR);
    write(&data, from);
    let config = folder.path().join("tollgate.yaml");
    std::fs::write(&config, CONFIG.replace("DATA", data.to_str().unwrap())).unwrap();
    let time = |at: i64| Timestamp::from_millisecond(at).unwrap().to_string();
    let (since, until) = (time(from.0), time(from.0 + HOURS * HOUR));
    let run = |more: &[&str]| {
        let all = ["usage", "--config", config.to_str().unwrap()];
        let period = ["--since", &since, "--until", &until];
        let output = tollgate(&[&all[..], &period, more].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let json = |more: &[&str]| -> Vec<Value> {
        let by = ["--by", "outcome,subscription,backend", "--format", "json"];
        serde_json::from_str(&run(&[&by[..], more].concat())).unwrap()
    };

    let plain = json(&[]);
    let with = json(&["--provisioned"]);
    let (hours, calls): (Vec<_>, Vec<_>) = with
        .into_iter()
        .partition(|row| row["outcome"] == "provisioned");
    assert_eq!(calls, plain, "calls are what they were");
    let costs: Vec<_> = hours
        .iter()
        .map(|row| {
            (
                row["subscription"].as_str().unwrap(),
                row["cost"].to_string(),
            )
        })
        .collect();
    // 20 hours at 36: legal's fifth stays with nobody.
    let wanted = [("", 144), ("search", 360), ("support", 216)];
    for ((subscription, cost), (wanted, amount)) in costs.iter().zip(wanted) {
        let cost: Decimal = cost.parse().unwrap();
        assert_eq!((*subscription, cost), (wanted, Decimal::whole(amount)));
    }
    assert_eq!(costs.len(), 3);
    assert!(
        hours
            .iter()
            .all(|row| row["calls"] == 0 && row["backend"] == "eastus")
    );
    let only = json(&["--provisioned", "--only", "subscription=search"]);
    assert_eq!(only.len(), 2, "{only:?}");

    let by_hour = run(&[
        "--provisioned",
        "--by",
        "outcome,hour,day",
        "--format",
        "json",
    ]);
    let by_hour: Vec<Value> = serde_json::from_str(&by_hour).unwrap();
    let paid = by_hour.iter().filter(|row| row["outcome"] == "provisioned");
    let paid: Vec<_> = paid.collect();
    assert_eq!(paid.len(), HOURS as usize);
    for row in paid {
        let cost: Decimal = row["cost"].to_string().parse().unwrap();
        assert_eq!(cost, Decimal::whole(36), "the same every hour: {row}");
        assert!(
            row["hour"]
                .as_str()
                .unwrap()
                .starts_with(row["day"].as_str().unwrap())
        );
    }

    let billed = |focus: &str| -> Decimal {
        let of_row =
            |row: &Vec<(String, String)>| -> Decimal { field(row, "BilledCost").parse().unwrap() };
        rows(focus).iter().map(of_row).sum()
    };
    let without = run(&["--format", "focus"]);
    let with = run(&["--format", "focus", "--provisioned"]);
    assert_eq!(billed(&without), Decimal::whole(7 * 20));
    assert_eq!(billed(&with), Decimal::whole(7 * 20 + 720));
    let of_status = |status: &str| -> Decimal {
        let all = rows(&with);
        let of_status = all
            .iter()
            .filter(|row| field(row, "CapacityReservationStatus") == status);
        of_status
            .map(|row| field(row, "BilledCost").parse::<Decimal>().unwrap())
            .sum()
    };
    assert_eq!(of_status("Used"), Decimal::whole(576));
    assert_eq!(of_status("Unused"), Decimal::whole(144));
    assert!(with.contains("Search team"));

    let nowhere = [
        "usage",
        "--provisioned",
        "--data-dir",
        data.to_str().unwrap(),
    ];
    let output = tollgate(&nowhere);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("name it with --config"));
}
