//! Usage by name and time: sums of days where they are there, sums of hours where they are exact,
//! single calls where they are not.
//!
//! Sums know the model that answered. What a budget downgraded is moved to the model that was asked for
//! when a report asks by that: those calls have an index of their own.
//!
//! Zones that are not whole hours off UTC have hours of UTC that belong to two of their days.

mod source;
mod span;

use std::collections::BTreeMap;
use std::path::Path;

use domain::{Currency, Nanos, Wall};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use self::source::Source;
use self::span::Span;
use super::LedgerError;
use super::adjustments;
use super::query::{open_to_query, unreadable};
use super::rollup::{Day, Rollup};
use super::rows::currency;
use super::sums::{AMOUNTS, HOUR_MS, UsageSums, hour_of};

#[derive(Clone, Debug)]
pub struct UsageQuery {
    /// In the order in which rows are sorted. Empty: one row for all.
    pub by: Vec<UsageBy>,
    /// Only calls of which these have these names, `''` for calls without one. Not for times.
    pub only: Vec<(UsageBy, String)>,
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
    /// The person behind the call, where a claim says who it is.
    User,
    /// The model that the client asked for, where a budget may have had another one answer.
    AskedModel,
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
    /// What the gateway's own cache answered without asking anybody: no part of `total_tokens`.
    pub saved_tokens: u64,
    /// Cached answers that would have been given and were held against the provider's, and those of them
    /// that were wrong.
    pub compared: u64,
    pub compared_wrong: u64,
    /// Calls that no price is known for, and their tokens.
    pub unpriced_calls: u64,
    pub unpriced_tokens: u64,
}

/// Of a running or a stopped gateway's data directory. Adjustments have rows of their own, without
/// calls, after those of the calls under the same names.
pub fn usage(dir: &Path, query: &UsageQuery) -> Result<Vec<UsageRow>, LedgerError> {
    let connection = open_to_query(dir)?;
    let read = || {
        let mut rows = rows(&connection, query)?;
        rows.extend(adjustments::usage_rows(&connection, query)?);
        rows.sort_by(|one, other| one.by.cmp(&other.by));
        Ok(rows)
    };
    read().map_err(|error| unreadable(dir, &error))
}

fn rows(connection: &Connection, query: &UsageQuery) -> rusqlite::Result<Vec<UsageRow>> {
    // One view of the database, though calls are being added.
    let transaction = connection.unchecked_transaction()?;
    let rollup = Rollup::read(&transaction)?;
    let mut tally = Tally {
        connection: &transaction,
        query,
        // Only days of its zone are days of the query, unless it asks for none.
        zone: if query.is_timed() {
            query.time_zone.clone()
        } else {
            rollup.time_zone().clone()
        },
        rollup,
        groups: Groups::new(),
    };
    let asked = Span::of(query);
    if let Some(known) = known_hours(&transaction)? {
        // Whole days, so that what is summed by day can be taken.
        let known = Span {
            from: Day::of(known.from, &tally.zone).from,
            to: Day::of(known.to - 1, &tally.zone).to,
        };
        let mut from = asked.from.max(known.from);
        let end = asked.to.min(known.to);
        while from < end {
            let (label, label_end) = tally.label(from);
            let to = label_end.min(end);
            tally.add(Span { from, to }, &label)?;
            from = to;
        }
    }
    let mut groups = tally.groups;
    if query.names_asked_models() {
        // A model of which every call was asked for as another has nothing left.
        for currencies in groups.values_mut() {
            currencies.retain(|_, sums| *sums != UsageSums::default());
        }
        groups.retain(|_, currencies| !currencies.is_empty());
    }
    if query.by.is_empty() {
        groups.entry(Vec::new()).or_default();
    }
    Ok(usage_rows(groups))
}

/// From the first to the last hour that has calls.
fn known_hours(connection: &Connection) -> rusqlite::Result<Option<Span>> {
    // Two look-ups: asked for together, SQLite reads every row.
    let sql = "SELECT (SELECT min(hour) FROM usage_hourly), (SELECT max(hour) FROM usage_hourly)";
    connection.query_row(sql, [], |row| {
        let first: Option<i64> = row.get(0)?;
        let last: Option<i64> = row.get(1)?;
        Ok(first.zip(last).map(|(from, last)| Span {
            from,
            to: last + HOUR_MS,
        }))
    })
}

impl UsageQuery {
    fn is_timed(&self) -> bool {
        let is_time = |by: &UsageBy| matches!(by, UsageBy::Day | UsageBy::Hour);
        self.by.iter().any(is_time)
    }

    fn names_users(&self) -> bool {
        !self.every(|by| by != UsageBy::User)
    }

    fn names_asked_models(&self) -> bool {
        !self.every(|by| by != UsageBy::AskedModel)
    }

    /// Of what it sums by or selects.
    fn every(&self, is: impl Fn(UsageBy) -> bool) -> bool {
        let only = self.only.iter().map(|(by, _)| *by);
        self.by.iter().copied().chain(only).all(is)
    }
}

/// What the query calls the day and hour of a time.
struct Label {
    day: String,
    hour: String,
}

/// Sums by the names asked for, and by the currency that the calls cost.
pub(super) type Groups = BTreeMap<Vec<String>, BTreeMap<Option<Currency>, UsageSums>>;

struct Tally<'a> {
    connection: &'a Connection,
    query: &'a UsageQuery,
    /// Whose days the query is worked through.
    zone: TimeZone,
    rollup: Rollup,
    groups: Groups,
}

impl Tally<'_> {
    /// The label of a time, and when the next one starts.
    fn label(&self, at: i64) -> (Label, i64) {
        let time = Timestamp::from_millisecond(at)
            .unwrap_or_default()
            .to_zoned(self.zone.clone());
        let day = time.strftime("%Y-%m-%d").to_string();
        if self.query.by.contains(&UsageBy::Hour) {
            let hour = time.strftime("%Y-%m-%dT%H:00%:z").to_string();
            return (Label { day, hour }, hour_end(at, &time));
        }
        let hour = String::new();
        (Label { day, hour }, Day::of(at, &self.zone).to)
    }

    fn add(&mut self, span: Span, label: &Label) -> rusqlite::Result<()> {
        self.add_answered(span, label)?;
        if self.query.names_asked_models() {
            let downgraded = "asked_model IS NOT NULL AND at >= ?1 AND at < ?2";
            for source in [Source::Answered, Source::Asked] {
                self.add_rows(source, downgraded, &[span.from, span.to], label)?;
            }
        }
        Ok(())
    }

    /// Every call under the model that answered.
    fn add_answered(&mut self, span: Span, label: &Label) -> rusqlite::Result<()> {
        let by_user = self.query.names_users();
        let mut rest = span;
        let daily = if by_user {
            Source::DailyByUser
        } else {
            Source::Daily
        };
        if self.query.every(|by| daily.tells(by))
            && self.zone.iana_name() == self.rollup.time_zone().iana_name()
            && let Some(covered) = self.rollup.covers(span.from, span.to)
        {
            self.add_rows(daily, "day = ?1", &[span.from], label)?;
            rest.from = covered;
        }
        if rest.is_empty() {
            return Ok(());
        }
        if by_user {
            self.add_calls(rest, label)?;
            let folded = "folded AND hour >= ?1 AND hour < ?2";
            return self.add_rows(Source::Hourly, folded, &[rest.from, rest.to], label);
        }
        self.add_hours(rest, label)
    }

    /// Hours that lie in the span as a whole by their sums, the rest call by call. Of folded calls
    /// only the hour is known: they count where it starts.
    fn add_hours(&mut self, span: Span, label: &Label) -> rusqlite::Result<()> {
        let whole = span.whole_hours();
        let hours = "hour >= ?1 AND hour < ?2 AND (folded OR hour >= ?3 AND hour < ?4)";
        let bounds = [span.from, span.to, whole.from, whole.to];
        self.add_rows(Source::Hourly, hours, &bounds, label)?;
        for edge in span.around(whole) {
            if !edge.is_empty() {
                self.add_calls(edge, label)?;
            }
        }
        Ok(())
    }

    fn add_calls(&mut self, span: Span, label: &Label) -> rusqlite::Result<()> {
        let within = "at >= ?1 AND at < ?2";
        self.add_rows(Source::Calls, within, &[span.from, span.to], label)
    }

    fn add_rows(
        &mut self,
        source: Source,
        within: &str,
        bounds: &[i64],
        label: &Label,
    ) -> rusqlite::Result<()> {
        let names: String = self
            .query
            .by
            .iter()
            .filter_map(|by| source.column(*by))
            .map(|column| format!(", {column}"))
            .collect();
        let mut only = String::new();
        let mut values: Vec<Value> = bounds.iter().map(|bound| Value::Integer(*bound)).collect();
        for (by, name) in &self.query.only {
            if let Some(column) = source.column(*by) {
                values.push(Value::Text(name.clone()));
                only.push_str(&format!(" AND {column} = ?{}", values.len()));
            }
        }
        let sql = format!(
            "SELECT ifnull(currency, ''){sums}{names} FROM {table} WHERE {within}{only}
             GROUP BY ifnull(currency, ''){names}",
            sums = source.sums(),
            table = source.table(),
        );
        let mut select = self.connection.prepare_cached(&sql)?;
        let mut rows = select.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            let group = self.groups.entry(self.by(row, label)?).or_default();
            let code: String = row.get(0)?;
            let currency = match code.as_str() {
                "" => None,
                code => Some(currency(code)?),
            };
            let group = group.entry(currency).or_default();
            match source {
                Source::Answered => *group = without(*group, sums(row)?),
                Source::Daily
                | Source::DailyByUser
                | Source::Hourly
                | Source::Calls
                | Source::Asked => *group += sums(row)?,
            }
        }
        Ok(())
    }

    fn by(&self, row: &Row<'_>, label: &Label) -> rusqlite::Result<Vec<String>> {
        // After the currency and the sums.
        let mut column = 1 + AMOUNTS.len();
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
                | UsageBy::Cache
                | UsageBy::User
                | UsageBy::AskedModel => {
                    column += 1;
                    row.get(column - 1)?
                }
            });
        }
        Ok(by)
    }
}

/// Where the clock on the wall shows the next full hour, or is moved.
fn hour_end(at: i64, time: &Zoned) -> i64 {
    let offset = i64::from(time.offset().seconds()) * 1000;
    let end = hour_of(Wall(at + offset)).0 + HOUR_MS - offset;
    let moved = time.time_zone().following(time.timestamp()).next();
    moved.map_or(end, |moved| end.min(moved.timestamp().as_millisecond()))
}

fn sums(row: &Row<'_>) -> rusqlite::Result<UsageSums> {
    let mut amounts = [0; AMOUNTS.len()];
    for (amount, column) in amounts.iter_mut().zip(1..) {
        *amount = row.get(column)?;
    }
    Ok(UsageSums::from_amounts(amounts))
}

/// What is taken off was added before: it is of calls that the sums count.
fn without(all: UsageSums, part: UsageSums) -> UsageSums {
    let mut amounts = all.amounts();
    for (amount, part) in amounts.iter_mut().zip(part.amounts()) {
        *amount = amount.saturating_sub(part);
    }
    UsageSums::from_amounts(amounts)
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
        saved_tokens,
        compared,
        compared_wrong,
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
        saved_tokens,
        compared,
        compared_wrong,
        unpriced_calls,
        unpriced_tokens: unpriced,
    }
}
