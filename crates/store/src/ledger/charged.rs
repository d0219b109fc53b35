//! What each call was charged, day by day: for reports that lay prices beside tokens.
//!
//! Calls are handed out one at a time, so that memory does not grow with them.

use std::path::Path;

use domain::usage::ServiceTier;
use domain::{Currency, Nanos, Usage, Wall};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::{Connection, Row};

use super::LedgerError;
use super::query::{open_to_query, unreadable};
use super::rows::currency;

#[derive(Clone, Debug)]
pub struct ChargedQuery {
    /// Calls that began at this time or later.
    pub since: Option<Wall>,
    /// Calls that began before this time.
    pub until: Option<Wall>,
    /// Whose days.
    pub time_zone: TimeZone,
}

#[expect(
    clippy::large_enum_variant,
    reason = "handed out one at a time, never kept"
)]
#[derive(Clone, Debug, PartialEq)]
pub enum Charged {
    Call(ChargedCall),
    /// Every call from the start on, before the end, has been handed out.
    Day {
        start: Wall,
        end: Wall,
    },
}

/// One call that something is owed for, or several that only have sums. What a cache answered for nothing is
/// none.
#[derive(Clone, Debug, PartialEq)]
pub struct ChargedCall {
    pub subscription: String,
    pub product: String,
    pub application: Option<String>,
    pub model: String,
    /// If a budget had `model` answer instead.
    pub asked_model: Option<String>,
    pub backend: Option<String>,
    pub usage: Usage,
    pub is_estimated: bool,
    pub charge: Option<PricedCharge>,
    pub saved: Nanos,
    pub is_sum: bool,
}

/// Absent on a call: tokens passed for which no price is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PricedCharge {
    pub amount: Nanos,
    pub currency: Currency,
    pub price: String,
}

const CALLS: &str = "
    SELECT subscription, product, ifnull(application, ''), model, ifnull(backend, ''), prompt_tokens,
        completion_tokens, cached_prompt_tokens, cache_write_tokens, reasoning_tokens,
        audio_prompt_tokens, audio_completion_tokens, images, cache_write_1h_tokens, tier, estimated,
        ifnull(cost, 0), ifnull(currency, ''), ifnull(price, ''), saved, 0, asked_model
    FROM calls WHERE at >= ?1 AND at < ?2 AND (cost IS NULL OR price IS NOT NULL)
        AND NOT (cache = 'hit' AND cost = 0)";

const WITHOUT_DETAIL: &str = "
    SELECT subscription, product, application, model, backend, prompt_tokens, completion_tokens,
        cached_prompt_tokens, cache_write_tokens, reasoning_tokens, audio_prompt_tokens,
        audio_completion_tokens, images, 0, 'standard', estimated_tokens * 2 > total_tokens, cost,
        currency, price, saved, 1, NULL
    FROM usage_hourly
    WHERE folded AND hour >= ?1 AND hour < ?2 AND (price <> '' OR unpriced_calls > 0)
        AND NOT (cache = 'hit' AND cost = 0)";

/// Days without calls are left out. Calls without detail stand where their hour starts, and are
/// estimated if most of their tokens are.
pub fn charged<E: From<LedgerError>>(
    dir: &Path,
    query: &ChargedQuery,
    mut each: impl FnMut(Charged) -> Result<(), E>,
) -> Result<(), E> {
    let connection = open_to_query(dir)?;
    let fault = |error: rusqlite::Error| E::from(unreadable(dir, &error));
    // One view of the database, though calls are being added.
    let transaction = connection.unchecked_transaction().map_err(fault)?;
    let Some((mut start, end)) = bounds(&transaction, query).map_err(fault)? else {
        return Ok(());
    };
    while start < end {
        let day_end = midnight_after(start, &query.time_zone).min(end);
        let mut any = false;
        for sql in [CALLS, WITHOUT_DETAIL] {
            let mut select = transaction.prepare_cached(sql).map_err(fault)?;
            let mut rows = select.query([start.0, day_end.0]).map_err(fault)?;
            while let Some(row) = rows.next().map_err(fault)? {
                any = true;
                each(Charged::Call(call(row).map_err(fault)?))?;
            }
        }
        if any {
            each(Charged::Day {
                start,
                end: day_end,
            })?;
        }
        start = day_end;
    }
    Ok(())
}

/// What was asked for, as far as there are calls: whole days, where nothing else was asked for.
fn bounds(connection: &Connection, query: &ChargedQuery) -> rusqlite::Result<Option<(Wall, Wall)>> {
    let sql = "SELECT min(hour), max(hour) FROM usage_hourly";
    let hours: (Option<i64>, Option<i64>) =
        connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some((first, last)) = hours.0.zip(hours.1) else {
        return Ok(None);
    };
    let first = day_start(Wall(first), &query.time_zone);
    // An hour of UTC may reach into the zone's next day.
    let end = midnight_after(
        midnight_after(Wall(last), &query.time_zone),
        &query.time_zone,
    );
    Ok(Some((
        query.since.map_or(first, |since| since.max(first)),
        query.until.map_or(end, |until| until.min(end)),
    )))
}

fn day_start(at: Wall, zone: &TimeZone) -> Wall {
    let day = Timestamp::from_millisecond(at.0).map(|at| at.to_zoned(zone.clone()));
    let start = day.and_then(|day| day.start_of_day());
    start.map_or(at, |start| Wall(start.timestamp().as_millisecond()))
}

/// Only at the end of the calendar is there none.
fn midnight_after(at: Wall, zone: &TimeZone) -> Wall {
    let next = Timestamp::from_millisecond(at.0)
        .and_then(|at| at.to_zoned(zone.clone()).tomorrow())
        .and_then(|tomorrow| tomorrow.start_of_day());
    next.map_or(Wall(i64::MAX), |next| {
        Wall(next.timestamp().as_millisecond())
    })
}

fn call(row: &Row<'_>) -> rusqlite::Result<ChargedCall> {
    let count = |column: usize| row.get::<_, i64>(column).map(i64::cast_unsigned);
    let tier: String = row.get(14)?;
    let tier = ServiceTier::ALL
        .into_iter()
        .find(|known| known.as_str() == tier);
    let usage = Usage {
        // One that a newer version knows has no price here either.
        tier: tier.unwrap_or_default(),
        prompt: count(5)?,
        completion: count(6)?,
        cached_prompt: count(7)?,
        cache_write: count(8)?,
        reasoning: count(9)?,
        audio_prompt: count(10)?,
        audio_completion: count(11)?,
        images: count(12)?,
        cache_write_1h: count(13)?,
    };
    let (code, price): (String, String) = (row.get(17)?, row.get(18)?);
    let charge = match code.as_str() {
        "" => None,
        code => Some(PricedCharge {
            amount: Nanos(row.get(16)?),
            currency: currency(code)?,
            price,
        }),
    };
    let named = |name: String| Some(name).filter(|name| !name.is_empty());
    Ok(ChargedCall {
        subscription: row.get(0)?,
        product: row.get(1)?,
        application: named(row.get(2)?),
        model: row.get(3)?,
        asked_model: row.get(21)?,
        backend: named(row.get(4)?),
        usage,
        is_estimated: row.get(15)?,
        charge,
        saved: Nanos(row.get(19)?),
        is_sum: row.get(20)?,
    })
}

#[cfg(test)]
mod tests {
    use domain::record::{CacheOutcome, CallRecord, Cost, Outcome};
    use domain::{CallId, Metered};

    use super::super::database::{Database, SumUp};
    use super::super::samples::{NOON, call, euro};
    use super::super::sums::Sums;
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn charged_of(
        records: &[CallRecord],
        folded: &[CallRecord],
        query: &ChargedQuery,
    ) -> Vec<Charged> {
        let dir = tempfile::tempdir().unwrap();
        let mut database = Database::open(dir.path()).unwrap();
        database
            .apply(records.iter(), &[], None, SumUp::Now)
            .unwrap();
        let mut sums = Sums::default();
        for record in folded {
            sums.add_within(record, 10);
        }
        database.apply_folded(&sums).unwrap();
        let mut steps = Vec::new();
        let read = charged::<LedgerError>(dir.path(), query, |step| {
            steps.push(step);
            Ok(())
        });
        read.unwrap();
        steps
    }

    fn all(zone: &str) -> ChargedQuery {
        ChargedQuery {
            since: None,
            until: None,
            time_zone: TimeZone::get(zone).unwrap(),
        }
    }

    fn days(steps: &[Charged]) -> Vec<(usize, i64, i64)> {
        let mut calls = 0;
        let mut days = Vec::new();
        for step in steps {
            match step {
                Charged::Call(_) => calls += 1,
                Charged::Day { start, end } => {
                    days.push((std::mem::take(&mut calls), start.0, end.0));
                }
            }
        }
        days
    }

    #[test]
    fn calls_come_by_days_of_the_zone_and_empty_days_do_not_come() {
        let late = Wall(NOON.0 + 11 * HOUR + HOUR / 2); // 23:30 UTC
        let records = [
            call(1, NOON),
            call(2, late),
            call(3, Wall(NOON.0 + 72 * HOUR)),
        ];
        let midnight = NOON.0 - 12 * HOUR;
        let day = |number: i64, shift: i64| midnight + (24 * number + shift) * HOUR;
        assert_eq!(
            days(&charged_of(&records, &[], &all("UTC"))),
            [(2, day(0, 0), day(1, 0)), (1, day(3, 0), day(4, 0))]
        );
        assert_eq!(
            days(&charged_of(&records, &[], &all("Europe/Berlin"))),
            [
                (1, day(0, -1), day(1, -1)),
                (1, day(1, -1), day(2, -1)),
                (1, day(3, -1), day(4, -1))
            ]
        );
    }

    #[test]
    fn a_time_that_is_asked_for_cuts_its_days() {
        let query = ChargedQuery {
            since: Some(NOON),
            until: Some(Wall(NOON.0 + HOUR)),
            ..all("UTC")
        };
        let records = [
            call(1, NOON),
            call(2, Wall(NOON.0 - 1)),
            call(3, Wall(NOON.0 + HOUR)),
        ];
        assert_eq!(
            days(&charged_of(&records, &[], &query)),
            [(1, NOON.0, NOON.0 + HOUR)]
        );
    }

    #[test]
    fn what_is_owed_for_is_handed_out_with_its_price_and_what_is_free_is_not() {
        let mut refused = call(2, NOON);
        refused.outcome = Outcome::Refused;
        refused.metered = Metered::NOTHING;
        refused.cost = Cost::Nothing;
        let mut cached = call(4, NOON);
        cached.cache = CacheOutcome::Hit;
        cached.metered = Metered::NOTHING;
        cached.cost = Cost::Priced {
            amount: Nanos::ZERO,
            currency: euro(),
            price: "p1".into(),
        };
        cached.saved = Nanos(360);
        let mut unpriced = call(3, NOON);
        unpriced.opening.id = CallId::new(NOON, 3);
        unpriced.cost = Cost::Unpriced;
        let steps = charged_of(
            &[call(1, NOON), refused, unpriced, cached],
            &[],
            &all("UTC"),
        );
        let calls: Vec<&ChargedCall> = steps
            .iter()
            .filter_map(|step| match step {
                Charged::Call(call) => Some(call),
                Charged::Day { .. } => None,
            })
            .collect();
        let charges: Vec<_> = calls.iter().map(|call| call.charge.clone()).collect();
        let priced = PricedCharge {
            amount: Nanos(360),
            currency: euro(),
            price: "p1".to_owned(),
        };
        assert_eq!(charges, [Some(priced), None]);
        assert_eq!(calls[0].usage.cached_prompt, 40);
        assert_eq!(calls[0].application.as_deref(), Some("chat-ui"));
    }

    #[test]
    fn what_the_cache_answered_is_free_in_sums_too() {
        let mut cached = call(1, NOON);
        cached.cache = CacheOutcome::Hit;
        cached.cost = Cost::Priced {
            amount: Nanos::ZERO,
            currency: euro(),
            price: "p1".into(),
        };
        assert_eq!(charged_of(&[], &[cached], &all("UTC")), []);
    }

    #[test]
    fn calls_without_detail_come_as_sums() {
        let steps = charged_of(&[], &[call(1, NOON), call(2, NOON)], &all("UTC"));
        let Charged::Call(sums) = &steps[0] else {
            panic!("{steps:?}");
        };
        assert!(sums.is_sum);
        assert_eq!(sums.usage.total(), 240);
        assert_eq!(sums.charge.as_ref().unwrap().amount, Nanos(720));
    }
}
