//! Usage by name and time: hourly sums where they are exact, single calls where they are not.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use domain::Wall;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::{Connection, Row};

use super::sums::{HOUR_MS, UsageSums, hour_of};
use super::{LedgerError, open_to_query, unreadable};

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

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageRow {
    /// In the query's order. Empty texts for calls without an application or a backend.
    pub by: Vec<String>,
    pub calls: u64,
    pub attempts: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub cached_prompt_tokens: u64,
    pub reasoning_tokens: u64,
    pub total_tokens: u64,
    /// Those of `total_tokens` that the gateway counted and no provider reported.
    pub estimated_tokens: u64,
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
        labels: HashMap::new(),
        sums: BTreeMap::new(),
    };
    let asked = Span::of(query);
    let whole = asked.whole_hours();
    let split = tally.add_hours(asked, whole)?;
    for span in asked.around(whole).into_iter().chain(split) {
        if !span.is_empty() {
            tally.add_calls(span)?;
        }
    }
    if query.by.is_empty() {
        tally.sums.entry(Vec::new()).or_default();
    }
    Ok(tally
        .sums
        .into_iter()
        .map(|(by, sums)| row(by, sums))
        .collect())
}

struct Tally<'a> {
    connection: &'a Connection,
    query: &'a UsageQuery,
    labels: HashMap<i64, Label>,
    sums: BTreeMap<Vec<String>, UsageSums>,
}

/// What the query calls the day and hour of a time.
#[derive(Clone, PartialEq, Eq)]
struct Label {
    day: String,
    hour: String,
}

const SUMS: &str = "sum(calls), sum(attempts), sum(prompt_tokens), sum(completion_tokens), sum(cached_prompt_tokens), \
    sum(reasoning_tokens), sum(total_tokens), sum(estimated_tokens)";
const CALL_SUMS: &str = "count(*), sum(attempts), sum(prompt_tokens), sum(completion_tokens), sum(cached_prompt_tokens), \
    sum(reasoning_tokens), sum(prompt_tokens + completion_tokens), sum(estimated * (prompt_tokens + completion_tokens))";

impl Tally<'_> {
    /// Adds the sums of whole hours, and returns hours that belong to two of the query's days or
    /// hours: zones that are not whole hours off UTC have them. Folded calls are known by their
    /// hour alone and count where it starts.
    fn add_hours(&mut self, asked: Span, whole: Span) -> rusqlite::Result<Vec<Span>> {
        let (hour, folded) = if self.is_timed() {
            ("hour", "folded")
        } else {
            ("0", "0")
        };
        let (names, group) = (self.names(), self.group("hour, folded"));
        let sql = format!(
            "SELECT {hour}, {folded}, {SUMS}{names} FROM usage_hourly
             WHERE hour >= ?1 AND hour < ?2 AND (folded OR hour >= ?3 AND hour < ?4) {group}"
        );
        let mut select = self.connection.prepare(&sql)?;
        let mut rows = select.query([asked.from, asked.to, whole.from, whole.to])?;
        let mut split: Vec<Span> = Vec::new();
        while let Some(row) = rows.next()? {
            let hour: i64 = row.get(0)?;
            let folded: bool = row.get(1)?;
            if folded || !self.is_timed() || self.label(hour) == self.label(hour + HOUR_MS - 1) {
                self.add(hour, row, 2)?;
                continue;
            }
            // Rows come by hour.
            match split.last_mut() {
                Some(last) if last.to > hour => {}
                Some(last) if last.to == hour => last.to += HOUR_MS,
                _ => split.push(Span {
                    from: hour,
                    to: hour + HOUR_MS,
                }),
            }
        }
        Ok(split)
    }

    /// Zones change their offset on whole minutes.
    fn add_calls(&mut self, span: Span) -> rusqlite::Result<()> {
        let minute = if self.is_timed() {
            "at / 60000 * 60000"
        } else {
            "0"
        };
        let (names, group) = (self.names(), self.group("at / 60000"));
        let sql = format!(
            "SELECT {minute}, {CALL_SUMS}{names} FROM calls WHERE at >= ?1 AND at < ?2 {group}"
        );
        let mut select = self.connection.prepare(&sql)?;
        let mut rows = select.query([span.from, span.to])?;
        while let Some(row) = rows.next()? {
            self.add(row.get(0)?, row, 1)?;
        }
        Ok(())
    }

    /// `first` is the first column of the sums; the names follow them.
    fn add(&mut self, at: i64, row: &Row<'_>, first: usize) -> rusqlite::Result<()> {
        let sum = |number: usize| row.get::<_, i64>(first + number).map(i64::cast_unsigned);
        let sums = UsageSums {
            calls: sum(0)?,
            attempts: sum(1)?,
            prompt: sum(2)?,
            completion: sum(3)?,
            cached_prompt: sum(4)?,
            reasoning: sum(5)?,
            total: sum(6)?,
            estimated: sum(7)?,
        };
        let mut name = first + 8;
        let mut by = Vec::with_capacity(self.query.by.len());
        for one in &self.query.by {
            by.push(match one {
                UsageBy::Day => self.label(at).day,
                UsageBy::Hour => self.label(at).hour,
                UsageBy::Subscription
                | UsageBy::Application
                | UsageBy::Product
                | UsageBy::Model
                | UsageBy::Backend
                | UsageBy::Outcome
                | UsageBy::Cache => {
                    name += 1;
                    row.get(name - 1)?
                }
            });
        }
        *self.sums.entry(by).or_default() += sums;
        Ok(())
    }

    /// `, subscription, ifnull(application, '')`: constants, never a caller's text.
    fn names(&self) -> String {
        let mut columns = String::new();
        for by in &self.query.by {
            columns.push_str(match by {
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
        columns
    }

    fn group(&self, time: &str) -> String {
        let names = self.names();
        match (self.is_timed(), names.strip_prefix(", ")) {
            (true, _) => format!("GROUP BY {time}{names}"),
            (false, Some(names)) => format!("GROUP BY {names}"),
            // One row, and none if there are no calls.
            (false, None) => "HAVING count(*) > 0".to_owned(),
        }
    }

    fn is_timed(&self) -> bool {
        self.query
            .by
            .iter()
            .any(|by| matches!(by, UsageBy::Day | UsageBy::Hour))
    }

    /// Compared and shown to the hour that was asked for, or to the day alone.
    fn label(&mut self, at: i64) -> Label {
        if let Some(label) = self.labels.get(&at) {
            return label.clone();
        }
        let time = Timestamp::from_millisecond(at)
            .unwrap_or_default()
            .to_zoned(self.query.time_zone.clone());
        let hour = if self.query.by.contains(&UsageBy::Hour) {
            time.strftime("%Y-%m-%dT%H:00%:z").to_string()
        } else {
            String::new()
        };
        let label = Label {
            day: time.strftime("%Y-%m-%d").to_string(),
            hour,
        };
        self.labels.insert(at, label.clone());
        label
    }
}

pub(super) fn row(by: Vec<String>, sums: UsageSums) -> UsageRow {
    let UsageSums {
        calls,
        attempts,
        prompt,
        completion,
        cached_prompt,
        reasoning,
        total,
        estimated,
    } = sums;
    UsageRow {
        by,
        calls,
        attempts,
        prompt_tokens: prompt,
        completion_tokens: completion,
        cached_prompt_tokens: cached_prompt,
        reasoning_tokens: reasoning,
        total_tokens: total,
        estimated_tokens: estimated,
    }
}
