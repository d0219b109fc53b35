//! What providers will bill for: every attempt by day, model and backend, those that failed after
//! tokens passed too. To be laid beside an invoice.

use std::collections::BTreeMap;
use std::path::Path;

use domain::{BackendId, Currency, ModelName, Nanos, Usage, Wall};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use rusqlite::{Connection, Row};

use super::LedgerError;
use super::query::{open_to_query, unreadable};
use super::rows::currency;

/// Whole days, the last one included.
#[derive(Clone, Debug)]
pub struct BilledQuery {
    pub first: Date,
    pub last: Date,
    /// Whose days: providers mostly bill those of UTC.
    pub time_zone: TimeZone,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BilledRow {
    pub day: Date,
    pub model: ModelName,
    pub backend: BackendId,
    /// Of `cost`; none where nothing has a price.
    pub currency: Option<Currency>,
    pub attempts: u64,
    pub usage: Usage,
    pub estimated_tokens: u64,
    pub unpriced_tokens: u64,
    pub cost: Nanos,
}

/// By day, model, backend and currency. Calls that only have sums stand where their hour starts, with
/// the attempt that answered.
pub fn billed(dir: &Path, query: &BilledQuery) -> Result<Vec<BilledRow>, LedgerError> {
    let connection = open_to_query(dir)?;
    rows(&connection, query).map_err(|error| unreadable(dir, &error))
}

type Sums = BTreeMap<(String, String, String), BilledRow>;

const ATTEMPT_ROWS: &str = "
    SELECT c.model, a.backend, ifnull(a.currency, ''), count(*), sum(a.prompt_tokens),
        sum(a.completion_tokens), sum(a.cached_prompt_tokens), sum(a.cache_write_tokens),
        sum(a.reasoning_tokens), sum(a.audio_prompt_tokens), sum(a.audio_completion_tokens),
        sum(a.images), sum(a.estimated * (a.prompt_tokens + a.completion_tokens)),
        sum((a.cost IS NULL) * (a.prompt_tokens + a.completion_tokens)), sum(ifnull(a.cost, 0))
    FROM calls c CROSS JOIN attempt_rows a ON a.call = c.id
    WHERE c.at >= ?1 AND c.at < ?2 AND c.attempt_us IS NULL GROUP BY 1, 2, 3";

/// Of calls whose only attempt has no row of its own.
const ONLY_ATTEMPTS: &str = "
    SELECT model, backend, ifnull(currency, ''), count(*), sum(prompt_tokens),
        sum(completion_tokens), sum(cached_prompt_tokens), sum(cache_write_tokens),
        sum(reasoning_tokens), sum(audio_prompt_tokens), sum(audio_completion_tokens),
        sum(images), sum(estimated * (prompt_tokens + completion_tokens)),
        sum((cost IS NULL) * (prompt_tokens + completion_tokens)), sum(ifnull(cost, 0))
    FROM calls WHERE at >= ?1 AND at < ?2 AND attempt_us IS NOT NULL GROUP BY 1, 2, 3";

const WITHOUT_DETAIL: &str = "
    SELECT model, backend, currency, sum(calls), sum(prompt_tokens), sum(completion_tokens),
        sum(cached_prompt_tokens), sum(cache_write_tokens), sum(reasoning_tokens),
        sum(audio_prompt_tokens), sum(audio_completion_tokens), sum(images), sum(estimated_tokens),
        sum(unpriced_tokens), sum(cost)
    FROM usage_hourly WHERE folded AND backend <> '' AND hour >= ?1 AND hour < ?2 GROUP BY 1, 2, 3";

/// What was worked out anew of calls: money alone.
const ADJUSTMENTS: &str = "
    SELECT model, backend, currency, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, sum(nanos)
    FROM adjustments WHERE hour >= ?1 AND hour < ?2 GROUP BY 1, 2, 3";

fn rows(connection: &Connection, query: &BilledQuery) -> rusqlite::Result<Vec<BilledRow>> {
    // One view of the database, though calls are being added.
    let transaction = connection.unchecked_transaction()?;
    let Some(known) = known_days(&transaction, &query.time_zone)? else {
        return Ok(Vec::new());
    };
    let mut rows = Vec::new();
    let mut day = query.first.max(known.0);
    let last = query.last.min(known.1);
    while day <= last {
        let Ok(next) = day.tomorrow() else {
            break;
        };
        if let Some((from, to)) = midnight(day, query).zip(midnight(next, query)) {
            let mut sums = Sums::new();
            for sql in [ATTEMPT_ROWS, ONLY_ATTEMPTS, WITHOUT_DETAIL, ADJUSTMENTS] {
                let mut select = transaction.prepare_cached(sql)?;
                let mut found = select.query([from, to])?;
                while let Some(row) = found.next()? {
                    add(&mut sums, day, row)?;
                }
            }
            rows.extend(sums.into_values());
        }
        day = next;
    }
    Ok(rows)
}

/// Of the first and the last call, and a day more to be safe from zones.
fn known_days(connection: &Connection, zone: &TimeZone) -> rusqlite::Result<Option<(Date, Date)>> {
    let sql = "SELECT min(hour), max(hour) FROM usage_hourly";
    connection.query_row(sql, [], |row| {
        let hours: (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
        let day = |hour: i64| {
            let at = Timestamp::from_millisecond(hour).unwrap_or_default();
            at.to_zoned(zone.clone()).date()
        };
        Ok(hours.0.zip(hours.1).map(|(first, last)| {
            let last = day(last);
            (day(first), last.checked_add(1.day()).unwrap_or(last))
        }))
    })
}

fn midnight(day: Date, query: &BilledQuery) -> Option<i64> {
    let start = day.to_zoned(query.time_zone.clone()).ok()?;
    Some(Wall(start.timestamp().as_millisecond()).0)
}

fn add(sums: &mut Sums, day: Date, row: &Row<'_>) -> rusqlite::Result<()> {
    let (model, backend, code): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let count = |column: usize| row.get::<_, i64>(column).map(i64::cast_unsigned);
    let usage = Usage {
        prompt: count(4)?,
        completion: count(5)?,
        cached_prompt: count(6)?,
        cache_write: count(7)?,
        reasoning: count(8)?,
        audio_prompt: count(9)?,
        audio_completion: count(10)?,
        images: count(11)?,
        ..Usage::default()
    };
    let currency = match code.as_str() {
        "" => None,
        code => Some(currency(code)?),
    };
    let sum = sums
        .entry((model.clone(), backend.clone(), code))
        .or_insert_with(|| BilledRow {
            day,
            model: model.as_str().into(),
            backend: backend.as_str().into(),
            currency,
            attempts: 0,
            usage: Usage::default(),
            estimated_tokens: 0,
            unpriced_tokens: 0,
            cost: Nanos::ZERO,
        });
    sum.attempts += count(3)?;
    sum.usage += usage;
    sum.estimated_tokens += count(12)?;
    sum.unpriced_tokens += count(13)?;
    sum.cost += Nanos(row.get(14)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use domain::Metered;
    use domain::record::{AttemptFailure, AttemptRecord, CallRecord, Cost};

    use super::super::database::{Database, SumUp};
    use super::super::samples::{NOON, call, euro};
    use super::*;

    /// Its first attempt broke off at another backend, after 7 tokens had passed.
    fn failed_over(number: u128, at: Wall) -> CallRecord {
        let mut record = call(number, at);
        let usage = Usage {
            prompt: 100,
            completion: 7,
            ..Usage::default()
        };
        record.attempts.insert(
            0,
            AttemptRecord {
                backend: "openai-westeurope".into(),
                status: 200,
                failure: Some(AttemptFailure::Cut),
                metered: Metered::Estimated(usage),
                cost: Cost::Unpriced,
                ..record.attempts[0].clone()
            },
        );
        record
    }

    fn billed_of(records: &[CallRecord], zone: &str, days: (&str, &str)) -> Vec<BilledRow> {
        let dir = tempfile::tempdir().unwrap();
        let mut database = Database::open(dir.path()).unwrap();
        database
            .apply(records.iter(), &[], None, SumUp::Now)
            .unwrap();
        billed(
            dir.path(),
            &BilledQuery {
                first: days.0.parse().unwrap(),
                last: days.1.parse().unwrap(),
                time_zone: TimeZone::get(zone).unwrap(),
            },
        )
        .unwrap()
    }

    #[test]
    fn every_attempt_is_billed_where_it_was_made() {
        let rows = billed_of(
            &[call(1, NOON), failed_over(2, NOON)],
            "UTC",
            ("2026-11-01", "2026-11-30"),
        );
        assert_eq!(rows.len(), 2);
        let [eastus, westeurope] = &rows[..] else {
            panic!("{rows:?}");
        };
        assert_eq!(eastus.backend.as_str(), "openai-eastus");
        assert_eq!((eastus.attempts, eastus.usage.prompt), (2, 200));
        assert_eq!((eastus.cost, eastus.currency), (Nanos(720), Some(euro())));
        assert_eq!(westeurope.usage.total(), 107);
        assert_eq!(westeurope.estimated_tokens, 107);
        assert_eq!(
            (westeurope.unpriced_tokens, westeurope.currency),
            (107, None)
        );
    }

    #[test]
    fn a_day_is_the_zones_and_days_without_the_invoice_are_left_out() {
        let late = Wall(NOON.0 + 11 * 3_600_000 + 1_800_000); // 23:30 UTC
        let day = |zone: &str, days| {
            let rows = billed_of(&[call(1, late)], zone, days);
            rows.first().map(|row| row.day.to_string())
        };
        assert_eq!(
            day("UTC", ("2026-11-22", "2026-11-23")).unwrap(),
            "2026-11-22"
        );
        assert_eq!(
            day("Europe/Berlin", ("2026-11-22", "2026-11-23")).unwrap(),
            "2026-11-23"
        );
        assert_eq!(day("Europe/Berlin", ("2026-11-22", "2026-11-22")), None);
        assert_eq!(day("UTC", ("2026-11-23", "2026-12-23")), None);
    }
}
