//! Usage by name and time: hourly sums where they are exact, single calls where they are not.
//!
//! Zones that are not whole hours off UTC have hours of UTC that belong to two of their days.

use std::collections::BTreeMap;
use std::path::Path;

use domain::{Currency, Nanos, Wall};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use rusqlite::{Connection, Row, params_from_iter};

use super::LedgerError;
use super::query::{open_to_query, unreadable};
use super::rows::currency;
use super::sums::{HOUR_MS, UsageSums, hour_of};

#[derive(Clone, Debug)]
pub struct UsageQuery {
    /// In the order in which rows are sorted. Empty: one row for all.
    pub by: Vec<UsageBy>,
    /// Calls that began at this time or later.
    pub since: Option<Wall>,
    /// Calls that began before this time.
    pub until: Option<Wall>,
    /// Whose days and hours.
    pub time_zone: TimeZone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageBy {
    Subscription,
    Application,
    Product,
    Model,
    Backend,
    /// `2026-11-22`
    Day,
    /// `2026-11-22T13:00+01:00`
    Hour,
    Outcome,
    Cache,
}

/// Where calls of one group cost different currencies, each currency has a row, and so have the
/// calls without one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageRow {
    /// In the query's order. Empty texts for calls without an application or a backend.
    pub by: Vec<String>,
    pub calls: u64,
    pub attempts: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub cached_prompt_tokens: u64,
    pub cache_write_tokens: u64,
    pub reasoning_tokens: u64,
    pub audio_prompt_tokens: u64,
    pub audio_completion_tokens: u64,
    pub images: u64,
    pub total_tokens: u64,
    /// Those of `total_tokens` that the gateway counted and no provider reported.
    pub estimated_tokens: u64,
    /// Of calls that answered; what failed attempts before them cost stands on the attempts.
    pub cost: Nanos,
    /// None if no call has a price.
    pub currency: Option<Currency>,
    /// The part of `cost` whose tokens are estimated.
    pub estimated_cost: Nanos,
    /// What caches kept off the bill.
    pub saved: Nanos,
    /// Calls that no price is known for, and their tokens.
    pub unpriced_calls: u64,
    pub unpriced_tokens: u64,
}

/// Of a running or a stopped gateway's data directory.
pub fn usage(dir: &Path, query: &UsageQuery) -> Result<Vec<UsageRow>, LedgerError> {
    let connection = open_to_query(dir)?;
    rows(&connection, query).map_err(|error| unreadable(dir, &error))
}

/// Times of calls, `from` and later, before `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: i64,
    to: i64,
}

/// Further from the epoch than any clock, and still far from overflow.
const FOREVER: Span = Span {
    from: -HOUR_MS * (1 << 40),
    to: HOUR_MS * (1 << 40),
};

impl Span {
    fn of(query: &UsageQuery) -> Self {
        let within = |at: Wall| at.0.clamp(FOREVER.from, FOREVER.to);
        Self {
            from: query.since.map_or(FOREVER.from, within),
            to: query.until.map_or(FOREVER.to, within),
        }
    }

    /// The hours that lie in it as a whole; empty if none does.
    fn whole_hours(self) -> Self {
        let from = hour_of(Wall(self.from + HOUR_MS - 1)).0;
        Self {
            from,
            to: hour_of(Wall(self.to)).0.max(from),
        }
    }

    /// What lies before and after `inner`, which may reach past this.
    fn around(self, inner: Self) -> [Self; 2] {
        let before = Self {
            from: self.from,
            to: inner.from.min(self.to),
        };
        [
            before,
            Self {
                from: inner.to.max(before.to),
                to: self.to,
            },
        ]
    }

    fn is_empty(self) -> bool {
        self.from >= self.to
    }
}

fn rows(connection: &Connection, query: &UsageQuery) -> rusqlite::Result<Vec<UsageRow>> {
    // One view of the database, though calls are being added.
    let transaction = connection.unchecked_transaction()?;
    let mut tally = Tally {
        connection: &transaction,
        query,
        groups: Groups::new(),
    };
    let asked = Span::of(query);
    if !tally.is_timed() {
        tally.add(asked, &Label::default())?;
    } else if let Some(known) = known_hours(&transaction)? {
        let mut from = asked.from.max(known.from);
        let end = asked.to.min(known.to);
        while from < end {
            let (label, label_end) = label(from, query);
            let to = label_end.min(end);
            tally.add(Span { from, to }, &label)?;
            from = to;
        }
    }
    let mut groups = tally.groups;
    if query.by.is_empty() {
        groups.entry(Vec::new()).or_default();
    }
    Ok(usage_rows(groups))
}

/// From the first to the last hour that has calls.
fn known_hours(connection: &Connection) -> rusqlite::Result<Option<Span>> {
    let sql = "SELECT min(hour), max(hour) FROM usage_hourly";
    connection.query_row(sql, [], |row| {
        let first: Option<i64> = row.get(0)?;
        let last: Option<i64> = row.get(1)?;
        Ok(first.zip(last).map(|(from, last)| Span {
            from,
            to: last + HOUR_MS,
        }))
    })
}

/// What the query calls the day and hour of a time.
#[derive(Default)]
struct Label {
    day: String,
    hour: String,
}

/// The label of a time, and when the next one starts.
fn label(at: i64, query: &UsageQuery) -> (Label, i64) {
    let time = Timestamp::from_millisecond(at)
        .unwrap_or_default()
        .to_zoned(query.time_zone.clone());
    let day = time.strftime("%Y-%m-%d").to_string();
    if query.by.contains(&UsageBy::Hour) {
        let hour = time.strftime("%Y-%m-%dT%H:00%:z").to_string();
        return (Label { day, hour }, hour_end(at, &time));
    }
    let tomorrow = time.tomorrow().and_then(|time| time.start_of_day());
    // Only at the end of the calendar is there no tomorrow.
    let end = tomorrow.map_or(FOREVER.to, |start| start.timestamp().as_millisecond());
    let hour = String::new();
    (Label { day, hour }, end.max(at + 1))
}

/// Where the clock on the wall shows the next full hour, or is moved.
fn hour_end(at: i64, time: &Zoned) -> i64 {
    let offset = i64::from(time.offset().seconds()) * 1000;
    let end = hour_of(Wall(at + offset)).0 + HOUR_MS - offset;
    let moved = time.time_zone().following(time.timestamp()).next();
    moved.map_or(end, |moved| end.min(moved.timestamp().as_millisecond()))
}

/// Sums by the names asked for, and by the currency that the calls cost.
pub(super) type Groups = BTreeMap<Vec<String>, BTreeMap<Option<Currency>, UsageSums>>;

struct Tally<'a> {
    connection: &'a Connection,
    query: &'a UsageQuery,
    groups: Groups,
}

/// As `sums` reads them.
const SUMS: &str = "ifnull(currency, ''), sum(calls), sum(attempts), sum(prompt_tokens), sum(completion_tokens), \
    sum(cached_prompt_tokens), sum(cache_write_tokens), sum(reasoning_tokens), sum(audio_prompt_tokens), \
    sum(audio_completion_tokens), sum(images), sum(total_tokens), sum(estimated_tokens), sum(unpriced_calls), \
    sum(unpriced_tokens), sum(cost), sum(estimated_cost), sum(saved)";
const CALL_SUMS: &str = "ifnull(currency, ''), count(*), sum(attempts), sum(prompt_tokens), sum(completion_tokens), \
    sum(cached_prompt_tokens), sum(cache_write_tokens), sum(reasoning_tokens), sum(audio_prompt_tokens), \
    sum(audio_completion_tokens), sum(images), sum(prompt_tokens + completion_tokens), \
    sum(estimated * (prompt_tokens + completion_tokens)), sum(cost IS NULL), \
    sum((cost IS NULL) * (prompt_tokens + completion_tokens)), sum(ifnull(cost, 0)), \
    sum(estimated * ifnull(cost, 0)), sum(saved)";
const SUM_COLUMNS: usize = 18;

impl Tally<'_> {
    /// Hours that lie in the span as a whole by their sums, the rest call by call. Of folded calls
    /// only the hour is known: they count where it starts.
    fn add(&mut self, span: Span, label: &Label) -> rusqlite::Result<()> {
        let whole = span.whole_hours();
        let (names, group) = (self.names(), self.group());
        let hours = format!(
            "SELECT {SUMS}{names} FROM usage_hourly
             WHERE hour >= ?1 AND hour < ?2 AND (folded OR hour >= ?3 AND hour < ?4) {group}"
        );
        self.add_rows(&hours, &[span.from, span.to, whole.from, whole.to], label)?;
        let calls =
            format!("SELECT {CALL_SUMS}{names} FROM calls WHERE at >= ?1 AND at < ?2 {group}");
        for edge in span.around(whole) {
            if !edge.is_empty() {
                self.add_rows(&calls, &[edge.from, edge.to], label)?;
            }
        }
        Ok(())
    }

    fn add_rows(&mut self, sql: &str, bounds: &[i64], label: &Label) -> rusqlite::Result<()> {
        let mut select = self.connection.prepare_cached(sql)?;
        let mut rows = select.query(params_from_iter(bounds))?;
        while let Some(row) = rows.next()? {
            let group = self.groups.entry(self.by(row, label)?).or_default();
            let code: String = row.get(0)?;
            let currency = match code.as_str() {
                "" => None,
                code => Some(currency(code)?),
            };
            *group.entry(currency).or_default() += sums(row)?;
        }
        Ok(())
    }

    fn by(&self, row: &Row<'_>, label: &Label) -> rusqlite::Result<Vec<String>> {
        let mut column = SUM_COLUMNS;
        let mut by = Vec::with_capacity(self.query.by.len());
        for one in &self.query.by {
            by.push(match one {
                UsageBy::Day => label.day.clone(),
                UsageBy::Hour => label.hour.clone(),
                UsageBy::Subscription
                | UsageBy::Application
                | UsageBy::Product
                | UsageBy::Model
                | UsageBy::Backend
                | UsageBy::Outcome
                | UsageBy::Cache => {
                    column += 1;
                    row.get(column - 1)?
                }
            });
        }
        Ok(by)
    }

    /// `, subscription, ifnull(application, '')`: constants, never a caller's text.
    fn names(&self) -> String {
        let mut names = String::new();
        for by in &self.query.by {
            names.push_str(match by {
                UsageBy::Subscription => ", subscription",
                UsageBy::Application => ", ifnull(application, '')",
                UsageBy::Product => ", product",
                UsageBy::Model => ", model",
                UsageBy::Backend => ", ifnull(backend, '')",
                UsageBy::Outcome => ", outcome",
                UsageBy::Cache => ", cache",
                UsageBy::Day | UsageBy::Hour => "",
            });
        }
        names
    }

    fn group(&self) -> String {
        format!("GROUP BY ifnull(currency, ''){}", self.names())
    }

    fn is_timed(&self) -> bool {
        let is_time = |by: &UsageBy| matches!(by, UsageBy::Day | UsageBy::Hour);
        self.query.by.iter().any(is_time)
    }
}

fn sums(row: &Row<'_>) -> rusqlite::Result<UsageSums> {
    let sum = |column: usize| row.get::<_, i64>(column).map(i64::cast_unsigned);
    let money = |column: usize| row.get::<_, i64>(column).map(Nanos);
    Ok(UsageSums {
        calls: sum(1)?,
        attempts: sum(2)?,
        prompt: sum(3)?,
        completion: sum(4)?,
        cached_prompt: sum(5)?,
        cache_write: sum(6)?,
        reasoning: sum(7)?,
        audio_prompt: sum(8)?,
        audio_completion: sum(9)?,
        images: sum(10)?,
        total: sum(11)?,
        estimated: sum(12)?,
        unpriced_calls: sum(13)?,
        unpriced: sum(14)?,
        cost: money(15)?,
        estimated_cost: money(16)?,
        saved: money(17)?,
    })
}

/// Calls without a currency stand with those of the only one that their group has.
pub(super) fn usage_rows(groups: Groups) -> Vec<UsageRow> {
    let mut rows = Vec::new();
    for (by, mut currencies) in groups {
        if let Some(rest) = currencies.remove(&None) {
            let home = match currencies.len() {
                1 => currencies.keys().next().copied().flatten(),
                _ => None,
            };
            *currencies.entry(home).or_default() += rest;
        }
        if currencies.is_empty() {
            currencies.insert(None, UsageSums::default());
        }
        for (currency, sums) in currencies {
            rows.push(row(by.clone(), currency, sums));
        }
    }
    rows
}

fn row(by: Vec<String>, currency: Option<Currency>, sums: UsageSums) -> UsageRow {
    let UsageSums {
        calls,
        attempts,
        prompt,
        completion,
        cached_prompt,
        cache_write,
        reasoning,
        audio_prompt,
        audio_completion,
        images,
        total,
        estimated,
        unpriced_calls,
        unpriced,
        cost,
        estimated_cost,
        saved,
    } = sums;
    UsageRow {
        by,
        calls,
        attempts,
        prompt_tokens: prompt,
        completion_tokens: completion,
        cached_prompt_tokens: cached_prompt,
        cache_write_tokens: cache_write,
        reasoning_tokens: reasoning,
        audio_prompt_tokens: audio_prompt,
        audio_completion_tokens: audio_completion,
        images,
        total_tokens: total,
        estimated_tokens: estimated,
        cost,
        currency,
        estimated_cost,
        saved,
        unpriced_calls,
        unpriced_tokens: unpriced,
    }
}
