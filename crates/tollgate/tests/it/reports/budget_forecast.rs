//! `tollgate budgets forecast` of a stopped gateway.

use domain::limit::{Calendar, Period};
use domain::record::{Charge, ChargeUnit, Cost};
use domain::{CallId, LimitId, Mono, Nanos, Now, PriceId, Wall};
use gateway::Clock;
use jiff::tz::TimeZone;
use serde_json::Value;
use store::Ledger;

use super::{priced, text};
use crate::harness::tollgate;

const HOUR: i64 = 3_600_000;
/// Every hour, for four weeks: 24 a day.
const HOURLY: Nanos = Nanos(1_000_000_000);

const CONFIG: &str = "
listen: 127.0.0.1:0
admin: { listen: 127.0.0.1:0 }
data_dir: DATA
currency: EUR
time_zone: Europe/Berlin
backends: [ { id: eastus, dialect: openai, url: 'http://127.0.0.1:9', auth: none } ]
models: [ { name: gpt-4o, backend: eastus } ]
products: [ { id: standard, models: [gpt-4o] } ]
budgets:
  - { name: spent, amount: 1, period: year }
  - { name: ample, amount: 1000000, period: year }
  - { name: fresh, amount: 10, period: month }
  - { name: hourly, amount: 10, period: hour }
";

/// Ends in the running hour, so that what a year's budget has is what is spent of it.
fn write_past(dir: &std::path::Path, now: Wall) {
    let year = Calendar {
        period: Period::Year,
        time_zone: TimeZone::get("Europe/Berlin").unwrap(),
    };
    let opened = Now {
        mono: Mono::from_secs(86_400),
        wall: now,
    };
    let (ledger, _) = Ledger::open(dir, opened).unwrap();
    let begun = now.0.div_euclid(HOUR) * HOUR;
    for hour in 1..=28 * 24 {
        let at = Wall(begun - hour * HOUR);
        let mut record = priced::call(hour, &PriceId::from("p"));
        record.opening.at = at;
        record.opening.id = CallId::new(at, hour.unsigned_abs().into());
        record.cost = Cost::Priced {
            amount: HOURLY,
            currency: "EUR".parse().unwrap(),
            price: "p".into(),
        };
        let charge = |name: &str| Charge {
            limit: LimitId::from(format!("budget/{name}").as_str()),
            key: "all".into(),
            unit: ChargeUnit::Budget {
                period_start: year.span_at(at).start,
            },
        };
        record.opening.charges = vec![charge("spent"), charge("ample")];
        ledger.append(None, record);
    }
    ledger.close();
}

#[test]
fn a_budgets_forecast_has_what_is_spent_the_pace_the_interval_and_the_day() {
    let folder = tempfile::tempdir().unwrap();
    let now = Clock::system().now().wall;
    write_past(&folder.path().join("data"), now);
    let config = folder.path().join("tollgate.yaml");
    let data = folder.path().join("data");
    std::fs::write(&config, CONFIG.replace("DATA", data.to_str().unwrap())).unwrap();
    let run = |more: &[&str]| {
        let config = ["--config", config.to_str().unwrap()];
        let output = tollgate(&[&["budgets", "forecast"], more, &config].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };

    let rows: Value = serde_json::from_str(&run(&["--format", "json"])).unwrap();
    let [spent, ample, fresh, hourly] = &rows.as_array().unwrap()[..] else {
        panic!("{rows:#}");
    };
    let money = |row: &Value, name: &str| row[name].as_str().unwrap().parse::<f64>().unwrap();
    for row in [spent, ample] {
        assert_eq!(row["pace_per_day"], "24");
        let end: jiff::Timestamp = row["period_end"].as_str().unwrap().parse().unwrap();
        let days_left = (end.as_millisecond() - now.0) as f64 / (24 * HOUR) as f64;
        let (low, expected, high) = (
            money(row, "low"),
            money(row, "expected"),
            money(row, "high"),
        );
        let wanted = money(row, "spent") + 24.0 * days_left;
        assert!(
            (expected - wanted).abs() <= 0.02 * wanted + 1.0,
            "{wanted} in {row:#}"
        );
        assert!(low <= expected && expected <= high);
        assert!(row["days_known"].as_u64().unwrap() >= 27, "{row:#}");
    }
    assert_eq!(ample["chance_of_passing"], 0.0);
    assert_eq!(ample["used_up"], Value::Null);
    assert_eq!(spent["chance_of_passing"], 1.0);
    assert!(spent["used_up"].is_string());
    assert_eq!(fresh["expected"], Value::Null);
    assert_eq!(fresh["note"], "nothing was spent in a whole hour yet");
    assert_eq!(
        hourly["note"],
        "an hour is over before it could be forecast"
    );

    let csv = run(&["--format", "csv", "ample"]);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 2, "{csv}");
    assert!(lines[0].starts_with("budget,key,spent,amount,pace_per_day,expected,low,high,chance,"));
    assert!(lines[1].starts_with("ample,all,"), "{csv}");
    let table = run(&[]);
    assert!(table.contains("four of five such periods"), "{table}");

    let unknown = ["budgets", "forecast", "nightly", "--config"];
    let output = tollgate(&[&unknown[..], &[config.to_str().unwrap()]].concat());
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("has no budget `nightly`"));
}
