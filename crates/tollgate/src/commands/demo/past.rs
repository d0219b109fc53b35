//! Four weeks before the demo, of which its ledger knows: without a past nothing can be forecast, and no
//! budget of a month is about to be used up.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use domain::limit::{Calendar, Period};
use domain::record::{CacheOutcome, CallRecord, Charge, ChargeUnit, Cost, Opening, Outcome, Who};
use domain::{CallId, Currency, LimitId, Metered, Nanos, Now, Usage, Wall};
use jiff::tz::TimeZone;
use store::Ledger;
use store::ledger::spend::Spend;

const HOUR_MS: i64 = 3_600_000;
const HOURS: i64 = 28 * 24;
/// As the demo's configuration calls it.
const BUDGET: &str = "budget/search-month";
const CENT: i64 = 10_000_000;

/// Writes the past, unless the folder has one. Gives what the month's budget should be: 80% of it is
/// two cents away.
pub fn write(data_dir: &Path, now: Now) -> Result<Nanos> {
    let currency: Currency = "EUR".parse().context("a currency's code")?;
    let month = Calendar {
        period: Period::Month,
        time_zone: TimeZone::UTC,
    };
    if !data_dir.join("ledger.sqlite").exists() {
        let (ledger, _) = Ledger::open(data_dir, now).context("cannot write the demo's past")?;
        let this_hour = now.wall.0.div_euclid(HOUR_MS) * HOUR_MS;
        for hour in 1..=HOURS {
            let at = Wall(this_hour - hour * HOUR_MS);
            append(&ledger, at, hour, spent_in(at, hour), currency, &month);
        }
        // The first of a month needs a past, too.
        let just_now = Wall(now.wall.0 - 1);
        append(&ledger, just_now, HOURS + 1, 500 * CENT, currency, &month);
        ledger.close();
    }
    let spend = Spend::open(data_dir)?;
    let start = month.span_at(now.wall).start;
    let spent = spend.budget_spent(&LimitId::from(BUDGET), currency, start)?;
    let spent: Nanos = spent.into_iter().map(|(_, spent)| spent).sum();
    Ok(Nanos((spent.0 + 2 * CENT) / 8 * 10))
}

/// Some 20 euros a working day, most of it in working hours, and a third of that at weekends.
fn spent_in(at: Wall, hour: i64) -> i64 {
    let local =
        TimeZone::UTC.to_datetime(jiff::Timestamp::from_millisecond(at.0).unwrap_or_default());
    let is_weekend = local.weekday().to_monday_zero_offset() >= 5;
    let of_hour = if (8..18).contains(&local.hour()) {
        160
    } else {
        30
    };
    let wobble = 85 + hour * 37 % 31;
    let cents = of_hour * wobble / 100;
    CENT * if is_weekend { cents / 3 } else { cents }
}

fn append(
    ledger: &Ledger,
    at: Wall,
    number: i64,
    nanos: i64,
    currency: Currency,
    month: &Calendar,
) {
    let tokens = nanos.unsigned_abs() / 4_000;
    let charge = Charge {
        limit: LimitId::from(BUDGET),
        key: "all".into(),
        unit: ChargeUnit::Budget {
            period_start: month.span_at(at).start,
        },
    };
    let record = CallRecord {
        opening: Opening {
            id: CallId::new(at, u128::from(number.unsigned_abs())),
            at,
            who: Who {
                subscription: "search".into(),
                product: "interactive".into(),
                application: Some("made-up-past".into()),
                caller: "search/primary".into(),
                user: None,
            },
            model: "gpt-4o".into(),
            asked_model: None,
            stream: false,
            revision: 0,
            prompt_tokens: tokens,
            charges: vec![charge],
            price: None,
        },
        outcome: Outcome::Ok,
        status: 200,
        rule: None,
        backend: None,
        cache: CacheOutcome::Off,
        metered: Metered::Estimated(Usage {
            prompt: tokens,
            ..Usage::default()
        }),
        cost: Cost::Priced {
            amount: Nanos(nanos),
            currency,
            price: "made-up".into(),
        },
        saved: Nanos(0),
        saved_tokens: 0,
        similarity: None,
        latency: Duration::from_millis(800),
        first_byte: None,
        verdicts: Vec::new(),
        attempts: Vec::new(),
    };
    ledger.append(None, record);
}

#[cfg(test)]
mod tests {
    use domain::Mono;

    use super::*;

    #[test]
    fn on_any_day_of_a_month_eighty_percent_is_two_cents_away() {
        // The first of November at 00:30, and the 22nd at noon.
        for at in [1_793_493_000, 1_795_348_800] {
            let folder = tempfile::tempdir().unwrap();
            let now = Now {
                mono: Mono::from_secs(200_000),
                wall: Wall::from_secs(at),
            };
            let amount = write(folder.path(), now).unwrap();
            let start = Wall::from_secs(1_793_491_200);
            let spend = Spend::open(folder.path()).unwrap();
            let spent = spend.budget_spent(&LimitId::from(BUDGET), "EUR".parse().unwrap(), start);
            let spent = spent.unwrap()[0].1;
            let away = amount.0 / 10 * 8 - spent.0;
            assert!((2 * CENT - 10..=2 * CENT).contains(&away), "{away}");
            assert_eq!(
                write(folder.path(), now).unwrap(),
                amount,
                "it is written once"
            );
        }
    }
}
