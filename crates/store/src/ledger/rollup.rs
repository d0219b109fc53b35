//! Sums by day, made from hours that are over: reports over many days read days, not hours.
//!
//! A call never waits for them, and nothing depends on them: a report takes the hours where the days
//! are not there yet, or are those of another time zone. Calls that settle late, for hours that are in
//! their day already, are added to both.

use std::sync::LazyLock;

use domain::Wall;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::{Connection, Transaction};

use super::sums::{AMOUNTS, HOUR_MS, Sums};
use super::totals::{self, NAMES, NAMES_OF_USER};

/// An hour is added to its day when it has been over for so long. Most of its calls have ended then.
const SETTLED_MS: i64 = HOUR_MS;

static ADD_TO_DAY: LazyLock<String> =
    LazyLock::new(|| totals::upsert("usage_daily", &format!("day, {NAMES}")));
static ADD_TO_DAY_BY_USER: LazyLock<String> = LazyLock::new(|| {
    totals::upsert(
        "usage_daily_by_user",
        &format!("day, user, {NAMES_OF_USER}"),
    )
});
/// `NAMES_OF_USER` of a row of `calls`, whose absent names are NULL.
const NAMES_OF_CALL: &str =
    "subscription, product, ifnull(application, ''), model, ifnull(currency, '')";

/// How far days have come, and whose they are.
#[derive(Clone, Debug)]
pub(super) struct Rollup {
    time_zone: TimeZone,
    /// Hours before this are in their days.
    until: Wall,
}

/// From a midnight to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Day {
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Day {
    pub(super) fn of(at: i64, time_zone: &TimeZone) -> Self {
        let time = Timestamp::from_millisecond(at)
            .unwrap_or_default()
            .to_zoned(time_zone.clone());
        let ms = |time: jiff::Zoned| time.timestamp().as_millisecond();
        let from = time.start_of_day().map_or(at, ms);
        let next = time.tomorrow().and_then(|time| time.start_of_day());
        // Only at the end of the calendar is there no tomorrow.
        Self {
            from,
            to: next.map_or(i64::MAX, ms).max(at + 1),
        }
    }

    /// Whether hours of UTC add up to it.
    fn has_whole_hours(self) -> bool {
        self.from % HOUR_MS == 0 && self.to % HOUR_MS == 0
    }
}

impl Rollup {
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        connection.query_row("SELECT zone, until FROM rollup", [], |row| {
            let zone: String = row.get(0)?;
            Ok(Self {
                // A name that is no longer known matches no query, and its days are UTC's.
                time_zone: TimeZone::get(&zone).unwrap_or(TimeZone::UTC),
                until: Wall(row.get(1)?),
            })
        })
    }

    pub(super) fn until(&self) -> Wall {
        self.until
    }

    pub(super) fn time_zone(&self) -> &TimeZone {
        &self.time_zone
    }

    /// Days of another zone are made anew, hour by hour. A zone without a name has those of UTC.
    pub(super) fn in_zone(
        &self,
        transaction: &Transaction<'_>,
        time_zone: &TimeZone,
    ) -> rusqlite::Result<Self> {
        let name = time_zone.iana_name().unwrap_or("UTC");
        let known: String =
            transaction.query_row("SELECT zone FROM rollup", [], |row| row.get(0))?;
        if known == name {
            return Ok(self.clone());
        }
        transaction.execute_batch("DELETE FROM usage_daily; DELETE FROM usage_daily_by_user;")?;
        transaction.execute("UPDATE rollup SET zone = ?, until = 0", [name])?;
        Self::read(transaction)
    }

    /// Up to where the sums by day say all of a span: if it is a day, and some of it is there.
    pub(super) fn covers(&self, from: i64, to: i64) -> Option<i64> {
        if self.until.0 <= from {
            return None;
        }
        let day = Day::of(from, &self.time_zone);
        (day == Day { from, to } && day.has_whole_hours()).then(|| self.until.0.min(to))
    }

    pub(super) fn is_due(&self, connection: &Connection, latest: Wall) -> rusqlite::Result<bool> {
        let hour = self.next_hour(connection)?;
        Ok(hour.is_some_and(|hour| hour + HOUR_MS + SETTLED_MS <= latest.0))
    }

    fn next_hour(&self, connection: &Connection) -> rusqlite::Result<Option<i64>> {
        connection
            .prepare_cached("SELECT min(hour) FROM usage_hourly WHERE hour >= ?")?
            .query_row([self.until.0], |row| row.get(0))
    }

    /// With the next hour that has calls added to its day.
    pub(super) fn advanced(&self, transaction: &Transaction<'_>) -> rusqlite::Result<Self> {
        let Some(hour) = self.next_hour(transaction)? else {
            return Ok(self.clone());
        };
        let end = hour + HOUR_MS;
        let day = Day::of(hour, &self.time_zone);
        if day.has_whole_hours() {
            let (amounts, adding) = (totals::amounts(), totals::adding());
            let sums = AMOUNTS.map(|(name, _)| format!("sum({name})")).join(", ");
            let of_calls = AMOUNTS
                .map(|(_, of_call)| format!("sum({of_call})"))
                .join(", ");
            let insert = |sql: &str| {
                let mut insert = transaction.prepare_cached(sql)?;
                insert.execute([day.from, hour, end])
            };
            insert(&format!(
                "INSERT INTO usage_daily (day, {NAMES}, {amounts})
                 SELECT ?1, {NAMES}, {sums} FROM usage_hourly WHERE hour >= ?2 AND hour < ?3
                 GROUP BY {NAMES} {adding}"
            ))?;
            insert(&format!(
                "INSERT INTO usage_daily_by_user (day, user, {NAMES_OF_USER}, {amounts})
                 SELECT ?1, ifnull(user, ''), {NAMES_OF_CALL}, {of_calls} FROM calls
                 WHERE at >= ?2 AND at < ?3 GROUP BY ifnull(user, ''), {NAMES_OF_CALL} {adding}"
            ))?;
            // Nobody knows whose calls without detail were.
            insert(&format!(
                "INSERT INTO usage_daily_by_user (day, user, {NAMES_OF_USER}, {amounts})
                 SELECT ?1, '', {NAMES_OF_USER}, {sums} FROM usage_hourly
                 WHERE hour >= ?2 AND hour < ?3 AND folded GROUP BY {NAMES_OF_USER} {adding}"
            ))?;
        }
        transaction.execute("UPDATE rollup SET until = ?", [end])?;
        Ok(Self {
            time_zone: self.time_zone.clone(),
            until: Wall(end),
        })
    }

    /// Sums of hours that are in their days already.
    pub(super) fn add_late(
        &self,
        transaction: &Transaction<'_>,
        sums: &Sums,
    ) -> rusqlite::Result<()> {
        let mut day_of = DayOf::new(self);
        let mut daily = transaction.prepare_cached(&ADD_TO_DAY)?;
        for (key, sums) in &sums.usage {
            if let Some(day) = day_of.late(key.hour) {
                let values = [day.into()].into_iter().chain(totals::names(key));
                totals::execute(&mut daily, values, sums)?;
            }
        }
        let mut by_user = transaction.prepare_cached(&ADD_TO_DAY_BY_USER)?;
        for (user, sums) in &sums.by_user {
            for (key, sums) in sums {
                if let Some(day) = day_of.late(key.hour) {
                    let user = user.as_deref().unwrap_or("");
                    let values = [day.into(), user.into()]
                        .into_iter()
                        .chain(totals::names_of_user(key));
                    totals::execute(&mut by_user, values, sums)?;
                }
            }
        }
        Ok(())
    }

    /// The same of calls of which only the sums are known.
    pub(super) fn add_late_folded(
        &self,
        transaction: &Transaction<'_>,
        sums: &Sums,
    ) -> rusqlite::Result<()> {
        let mut day_of = DayOf::new(self);
        let mut daily = transaction.prepare_cached(&ADD_TO_DAY)?;
        let mut by_user = transaction.prepare_cached(&ADD_TO_DAY_BY_USER)?;
        for (key, sums) in &sums.usage {
            if let Some(day) = day_of.late(key.hour) {
                let values = [day.into()].into_iter().chain(totals::names(key));
                totals::execute(&mut daily, values, sums)?;
                let values = [day.into(), "".into()]
                    .into_iter()
                    .chain(totals::names_of_user(key));
                totals::execute(&mut by_user, values, sums)?;
            }
        }
        Ok(())
    }
}

/// Looks one day up for many hours of it.
struct DayOf<'a> {
    rollup: &'a Rollup,
    day: Day,
}

impl<'a> DayOf<'a> {
    fn new(rollup: &'a Rollup) -> Self {
        Self {
            rollup,
            day: Day { from: 0, to: 0 },
        }
    }

    /// The day that an hour was added to, if it was.
    fn late(&mut self, hour: Wall) -> Option<i64> {
        if hour >= self.rollup.until {
            return None;
        }
        if !(self.day.from..self.day.to).contains(&hour.0) {
            self.day = Day::of(hour.0, &self.rollup.time_zone);
        }
        self.day.has_whole_hours().then_some(self.day.from)
    }
}
