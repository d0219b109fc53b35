//! Whether budgets last: what each will have cost when its period ends, as alerts forecast it.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, bail};
use clap::Args;
use domain::forecast::{self, History, Outlook, Question, TooEarly};
use domain::limit::Period;
use domain::{Nanos, Wall};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use store::ledger;
use store::ledger::spend::Spend;

use super::rows::{self, Row, rfc3339};
use super::{Known, Source, declared};
use crate::print;
use crate::table::{Cell, Format, Table};

/// Whole hours that the pace is told of: a week, so that weekends are in it.
const PACE_HOURS: usize = 7 * 24;

#[derive(Debug, Args)]
pub struct Forecast {
    #[command(flatten)]
    source: Source,
    /// Only these budgets [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl Forecast {
    pub fn run(self) -> Result<()> {
        let known = Known::read(&self.source)?;
        let budgets = if self.names.is_empty() {
            known.snapshot.budgets.iter().collect()
        } else {
            let named = self.names.iter();
            named
                .map(|name| declared(&known.snapshot, name))
                .collect::<Result<Vec<_>>>()?
        };
        if budgets.is_empty() {
            bail!("the configuration has no budget: write one under `budgets`");
        }
        let spend = spend(&known.snapshot.settings.data_dir)?;
        let mut told = Vec::new();
        for row in rows::rows(&budgets, &known.levels, known.now) {
            told.push(Told::of(row, spend.as_ref(), known.now)?);
        }
        print::out(&match self.format {
            Format::Table => for_people(&told),
            Format::Csv => table(&told).csv(),
            Format::Json => json(&told),
        })?;
        Ok(())
    }
}

/// `None` of a gateway that never ran.
fn spend(data_dir: &Path) -> Result<Option<Spend>> {
    if !ledger::exists(data_dir) {
        return Ok(None);
    }
    Ok(Some(Spend::open(data_dir)?))
}

/// One counter, and what is to be expected of it.
struct Told<'b> {
    row: Row<'b>,
    /// A day's mean of the last week, or of as many whole hours as are known.
    pace_per_day: Option<Nanos>,
    outlook: Result<Outlook, &'static str>,
}

impl<'b> Told<'b> {
    fn of(row: Row<'b>, spend: Option<&Spend>, now: Wall) -> Result<Self> {
        let history = match (spend, row.key) {
            (Some(spend), Some(key)) => {
                let (limit, currency) = (&row.budget.keyed.limit.id, row.budget.budget.currency);
                spend.budget_history(limit, key, currency, now)?
            }
            _ => History::default(),
        };
        Ok(Self {
            pace_per_day: pace(&history),
            outlook: outlook(&row, &history, now),
            row,
        })
    }
}

fn outlook(row: &Row<'_>, history: &History, now: Wall) -> Result<Outlook, &'static str> {
    let calendar = &row.budget.budget.calendar;
    if calendar.period == Period::Hour {
        return Err("an hour is over before it could be forecast");
    }
    let forecast = forecast::forecast(&Question {
        history,
        spent: row.used,
        amount: row.amount,
        period: row.span,
        now,
        time_zone: &calendar.time_zone,
    });
    match forecast {
        forecast::Forecast::Known(outlook) => Ok(outlook),
        forecast::Forecast::TooEarly(TooEarly::NoSpend) => {
            Err("nothing was spent in a whole hour yet")
        }
        forecast::Forecast::TooEarly(TooEarly::Days { .. }) => {
            Err("no whole calendar day is known yet")
        }
    }
}

fn pace(history: &History) -> Option<Nanos> {
    let from = history.hours.len().saturating_sub(PACE_HOURS);
    let recent = &history.hours[from..];
    if recent.is_empty() {
        return None;
    }
    let spent: i128 = recent.iter().map(|hour| i128::from(hour.0)).sum();
    Some(Nanos::saturated(spent * 24 / recent.len() as i128))
}

fn table(told: &[Told<'_>]) -> Table {
    let texts = ["budget", "key"]
        .into_iter()
        .fold(Table::default(), Table::column);
    let numbers = [
        "spent",
        "amount",
        "pace_per_day",
        "expected",
        "low",
        "high",
        "chance",
    ]
    .into_iter()
    .fold(texts, Table::number);
    let columns = [
        "currency",
        "period_end",
        "used_up",
        "earliest",
        "latest",
        "note",
    ];
    let mut table = columns.into_iter().fold(numbers, Table::column);
    for told in told {
        let money = |amount: Option<Nanos>| Cell::Text(amount.map_or(String::new(), two_decimals));
        let outlook = told.outlook.as_ref().ok();
        let row = &told.row;
        let calendar = &row.budget.budget.calendar;
        let day = |at: Option<Wall>| {
            let day = at.map(|at| local_day(at, &calendar.time_zone));
            Cell::Text(day.unwrap_or_default())
        };
        table.row(vec![
            Cell::text(&row.budget.name),
            Cell::text(row.key.unwrap_or("")),
            money(Some(row.used)),
            money(Some(row.amount)),
            money(told.pace_per_day),
            money(outlook.map(|outlook| outlook.expected)),
            money(outlook.map(|outlook| outlook.low)),
            money(outlook.map(|outlook| outlook.high)),
            Cell::Text(outlook.map_or(String::new(), percent)),
            Cell::Text(row.budget.budget.currency.to_string()),
            Cell::Text(rfc3339(row.span.end)),
            day(outlook.and_then(|outlook| outlook.used_up)),
            day(outlook.and_then(|outlook| outlook.earliest)),
            day(outlook.and_then(|outlook| outlook.latest)),
            Cell::text(told.outlook.as_ref().err().copied().unwrap_or("")),
        ]);
    }
    table
}

/// What the columns mean stands below, for who reads it first.
fn for_people(told: &[Told<'_>]) -> String {
    let mut text = table(told).aligned();
    if told.iter().any(|told| told.outlook.is_ok()) {
        let _ = write!(
            text,
            "\nlow and high hold four of five such periods; chance is that of passing the amount\n\
             used_up, earliest and latest are days in the budget's time zone: as expected, and by high and low\n"
        );
    }
    text
}

fn json(told: &[Told<'_>]) -> String {
    let listed: Vec<Value> = told.iter().map(json_row).collect();
    format!("{:#}\n", Value::Array(listed))
}

fn json_row(told: &Told<'_>) -> Value {
    let row = &told.row;
    let outlook = told.outlook.as_ref().ok();
    let money =
        |of: fn(&Outlook) -> Nanos| outlook.map(|outlook| Value::from(of(outlook).to_string()));
    let at = |of: fn(&Outlook) -> Option<Wall>| outlook.and_then(of).map(rfc3339);
    json!({
        "budget": &*row.budget.name,
        "key": row.key,
        "spent": row.used.to_string(),
        "amount": row.amount.to_string(),
        "currency": row.budget.budget.currency.as_str(),
        "period_start": rfc3339(row.span.start),
        "period_end": rfc3339(row.span.end),
        "pace_per_day": told.pace_per_day.map(|pace| pace.to_string()),
        "expected": money(|outlook| outlook.expected),
        "low": money(|outlook| outlook.low),
        "high": money(|outlook| outlook.high),
        "chance_of_passing": outlook.map(|outlook| (outlook.chance_of_passing * 1000.0).round() / 1000.0),
        "used_up": at(|outlook| outlook.used_up),
        "earliest": at(|outlook| outlook.earliest),
        "latest": at(|outlook| outlook.latest),
        "days_known": outlook.map(|outlook| outlook.basis.days),
        "has_trend": outlook.map(|outlook| outlook.basis.has_trend),
        "note": told.outlook.as_ref().err(),
    })
}

fn two_decimals(amount: Nanos) -> String {
    amount.fixed(2)
}

fn percent(outlook: &Outlook) -> String {
    format!("{:.0}%", outlook.chance_of_passing * 100.0)
}

/// The day within which an hour ends: midnight is still the day before's.
fn local_day(at: Wall, zone: &TimeZone) -> String {
    Timestamp::from_millisecond(at.0.saturating_sub(1))
        .unwrap_or_default()
        .to_zoned(zone.clone())
        .strftime("%Y-%m-%d")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_a_days_mean_of_the_last_week() {
        let history = |hours: Vec<i64>| History {
            start: Wall(0),
            hours: hours.into_iter().map(Nanos).collect(),
        };
        assert_eq!(pace(&history(vec![])), None);
        assert_eq!(pace(&history(vec![10; 12])), Some(Nanos(240)));
        let mut hours = vec![1_000_000; 500];
        hours.extend([7; PACE_HOURS]);
        assert_eq!(pace(&history(hours)), Some(Nanos(168)));
    }

    #[test]
    fn what_is_used_up_at_midnight_is_used_up_the_day_before() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        // 2026-11-22 23:00 UTC.
        let midnight = Wall(1_795_388_400_000);
        assert_eq!(local_day(midnight, &berlin), "2026-11-22");
        assert_eq!(local_day(Wall(midnight.0 + 1), &berlin), "2026-11-23");
        assert_eq!(local_day(midnight, &TimeZone::UTC), "2026-11-22");
    }
}
