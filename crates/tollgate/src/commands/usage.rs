//! `tollgate usage`: tokens and money by team, application, model, backend and time, from the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use domain::{Currency, Nanos, Wall};
use gateway::Clock;
use serde::ser::{Error as _, Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use store::ledger::{self, UsageBy, UsageQuery, UsageRow};

use crate::configuration;
use crate::moment::Moment;
use crate::print;
use crate::table::{Cell, Format, Table};

/// Report usage from the ledger of a running or a stopped gateway.
#[derive(Debug, Args)]
#[command(after_help = "\
Calls count where they began: --since included, --until not. A date is its midnight in the
configuration's time zone, which is also that of --by day and hour. `estimated_tokens` is the part
of `total_tokens` that no provider reported. `cost` has what is owed for calls whose price is known,
`unpriced_calls` says how many others there are, and `saved` what caches kept off the bill.

  tollgate usage --config tollgate.yaml
  tollgate usage --config tollgate.yaml --by subscription,model --since 7d
  tollgate usage --config tollgate.yaml --by user,model --only team=search --since 30d
  tollgate usage --config tollgate.yaml --by day,subscription --since 2026-11-01 --until 2026-12-01 --format csv")]
pub struct Usage {
    /// The gateway's configuration, which says where its ledger is
    #[arg(long, value_name = "FILE|DIR", default_value = "tollgate.yaml")]
    config: PathBuf,

    /// What to sum by, separated by commas; rows are sorted in this order
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "subscription"
    )]
    by: Vec<By>,

    /// Only calls with this name, as NAME=VALUE: subscription=search; may be given more than once
    #[arg(long, value_name = "NAME=VALUE", value_parser = Only::parse)]
    only: Vec<Only>,

    /// Only calls since then: a date, an RFC 3339 time, or how long ago (24h, 7d)
    #[arg(long, value_name = "WHEN", value_parser = Moment::parse)]
    since: Option<Moment>,

    /// Only calls before then
    #[arg(long, value_name = "WHEN", value_parser = Moment::parse)]
    until: Option<Moment>,

    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    #[value(alias = "team")]
    Subscription,
    Application,
    Product,
    Model,
    Backend,
    Day,
    Hour,
    Outcome,
    Cache,
    User,
}

/// `subscription=search`
#[derive(Clone, Debug)]
struct Only {
    by: By,
    name: String,
}

impl Only {
    fn parse(text: &str) -> Result<Self, String> {
        let Some((by, name)) = text.split_once('=') else {
            return Err("a name and a value are needed, such as subscription=search".to_owned());
        };
        match By::from_str(by.trim(), true) {
            Ok(By::Day | By::Hour) => Err(format!("`{by}` is a time: use --since and --until")),
            Ok(by) => Ok(Self {
                by,
                name: name.trim().to_owned(),
            }),
            Err(_) => Err(format!(
                "`{by}` is none of subscription (or team), application, product, model, backend, outcome, cache, user"
            )),
        }
    }
}

impl Usage {
    pub fn run(self) -> Result<ExitCode> {
        if let Some(twice) =
            (1..self.by.len()).find(|index| self.by[..*index].contains(&self.by[*index]))
        {
            bail!(
                "--by: `{}` is named twice; name each once",
                self.by[twice].name()
            );
        }
        let settings = configuration::load_without_secrets(&self.config)?.settings;
        let now = Clock::system().now().wall;
        let resolve = |moment: Option<Moment>, flag: &str| -> Result<Option<Wall>> {
            let Some(moment) = moment else {
                return Ok(None);
            };
            let at = moment.resolve(now, &settings.time_zone);
            Ok(Some(at.with_context(|| {
                format!("{flag}: no such time in the time zone of the configuration")
            })?))
        };
        let query = UsageQuery {
            by: self.by.iter().map(|by| by.column()).collect(),
            since: resolve(self.since, "--since")?,
            until: resolve(self.until, "--until")?,
            only: self
                .only
                .iter()
                .map(|only| (only.by.column(), only.name.clone()))
                .collect(),
            time_zone: settings.time_zone.clone(),
        };
        let rows = ledger::usage(&settings.data_dir, &query)?;
        print::out(&match self.format {
            Format::Table => for_people(&self.by, &rows),
            Format::Csv => csv(&self.by, &rows),
            Format::Json => json(&self.by, &rows)?,
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Names of a row's columns after those asked for, in the order in which every format has them.
const COLUMNS: [&str; 14] = [
    "calls",
    "attempts",
    "prompt_tokens",
    "completion_tokens",
    "cached_prompt_tokens",
    "reasoning_tokens",
    "total_tokens",
    "estimated_tokens",
    "cost",
    "currency",
    "unpriced_calls",
    "saved",
    "estimated_share",
    "unpriced_share",
];

/// Decimals of money in a table for people.
const DECIMALS: usize = 6;

#[derive(Clone, Copy)]
enum Value {
    Number(u64),
    Money(Nanos),
    Currency(Option<Currency>),
    Share(Share),
}

/// Of tokens.
#[derive(Clone, Copy, Default)]
struct Share {
    part: u64,
    whole: u64,
}

impl Share {
    /// Rounded half up to a ten-thousandth.
    fn ten_thousandths(self) -> u128 {
        let whole = u128::from(self.whole).max(1);
        (u128::from(self.part) * 10_000 + whole / 2) / whole
    }

    /// `0.1234`
    fn exact(self) -> String {
        let share = self.ten_thousandths();
        format!("{}.{:04}", share / 10_000, share % 10_000)
    }

    /// `12.34%`
    fn percent(self) -> String {
        let share = self.ten_thousandths();
        format!("{}.{:02}%", share / 100, share % 100)
    }
}

impl Value {
    fn for_people(self) -> Cell {
        match self {
            Self::Number(number) => Cell::Number(number),
            Self::Money(amount) => Cell::text(&amount.fixed(DECIMALS)),
            Self::Currency(currency) => Cell::text(&code(currency)),
            Self::Share(share) => Cell::text(&share.percent()),
        }
    }

    fn exact(self) -> Cell {
        match self {
            Self::Number(number) => Cell::Number(number),
            Self::Money(amount) => Cell::text(&amount.to_string()),
            Self::Currency(currency) => Cell::text(&code(currency)),
            Self::Share(share) => Cell::text(&share.exact()),
        }
    }
}

fn values(row: &UsageRow) -> [Value; COLUMNS.len()] {
    let UsageRow {
        by: _,
        calls,
        attempts,
        prompt_tokens,
        completion_tokens,
        cached_prompt_tokens,
        reasoning_tokens,
        total_tokens,
        estimated_tokens,
        cost,
        currency,
        unpriced_calls,
        unpriced_tokens,
        saved,
        ..
    } = row;
    let share = |part| {
        Value::Share(Share {
            part,
            whole: *total_tokens,
        })
    };
    [
        Value::Number(*calls),
        Value::Number(*attempts),
        Value::Number(*prompt_tokens),
        Value::Number(*completion_tokens),
        Value::Number(*cached_prompt_tokens),
        Value::Number(*reasoning_tokens),
        Value::Number(*total_tokens),
        Value::Number(*estimated_tokens),
        Value::Money(*cost),
        Value::Currency(*currency),
        Value::Number(*unpriced_calls),
        Value::Money(*saved),
        share(*estimated_tokens),
        share(*unpriced_tokens),
    ]
}

/// With a line of sums below.
pub fn for_people(by: &[By], rows: &[UsageRow]) -> String {
    if rows.is_empty() {
        return "no calls in this time\n".to_owned();
    }
    let names = (0..by.len()).map(|index| Cell::text(if index == 0 { "total" } else { " " }));
    let sums = (0..COLUMNS.len()).map(|column| total(rows, column));
    let mut table = table(by, rows, Value::for_people);
    table.total(names.chain(sums).collect());
    table.aligned()
}

/// Of money, one sum for each currency.
fn total(rows: &[UsageRow], column: usize) -> Cell {
    let (mut number, mut share) = (None, None);
    let mut money = BTreeMap::<Currency, Nanos>::new();
    let mut currencies = BTreeSet::new();
    for row in rows {
        match values(row)[column] {
            Value::Number(amount) => {
                let sum = number.get_or_insert(0_u64);
                *sum = sum.saturating_add(amount);
            }
            Value::Money(amount) => {
                if let Some(currency) = row.currency {
                    *money.entry(currency).or_default() += amount;
                }
            }
            Value::Currency(currency) => currencies.extend(currency),
            Value::Share(Share { part, whole }) => {
                let sum = share.get_or_insert(Share::default());
                sum.part = sum.part.saturating_add(part);
                sum.whole = sum.whole.saturating_add(whole);
            }
        }
    }
    if let Some(sum) = number.map(Value::Number).or(share.map(Value::Share)) {
        return sum.for_people();
    }
    let money = money.values().map(|amount| amount.fixed(DECIMALS));
    let texts: Vec<String> = money
        .chain(currencies.iter().map(Currency::to_string))
        .collect();
    Cell::text(&texts.join(" + "))
}

fn code(currency: Option<Currency>) -> String {
    currency.map_or_else(String::new, |currency| currency.to_string())
}

fn csv(by: &[By], rows: &[UsageRow]) -> String {
    table(by, rows, Value::exact).csv()
}

fn table(by: &[By], rows: &[UsageRow], cell: fn(Value) -> Cell) -> Table {
    let mut table = by
        .iter()
        .fold(Table::default(), |table, by| table.column(by.name()));
    for column in COLUMNS {
        table = match column {
            "currency" => table.column(column),
            _ => table.number(column),
        };
    }
    for row in rows {
        table.row(
            row.by
                .iter()
                .map(|name| Cell::text(name))
                .chain(values(row).map(cell))
                .collect(),
        );
    }
    table
}

fn json(by: &[By], rows: &[UsageRow]) -> Result<String> {
    let rows: Vec<JsonRow<'_>> = rows.iter().map(|row| JsonRow { by, row }).collect();
    Ok(format!("{}\n", serde_json::to_string_pretty(&rows)?))
}

/// The names asked for, then every column. Money is a number of as many digits as it has.
struct JsonRow<'a> {
    by: &'a [By],
    row: &'a UsageRow,
}

impl Serialize for JsonRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        for (by, name) in self.by.iter().zip(&self.row.by) {
            object.serialize_entry(by.name(), name)?;
        }
        for (name, value) in COLUMNS.iter().zip(values(self.row)) {
            match value {
                Value::Number(number) => object.serialize_entry(name, &number)?,
                Value::Money(_) | Value::Share(_) => {
                    let Cell::Text(digits) = value.exact() else {
                        continue;
                    };
                    let digits = RawValue::from_string(digits).map_err(S::Error::custom)?;
                    object.serialize_entry(name, &digits)?;
                }
                Value::Currency(currency) => {
                    object.serialize_entry(name, &currency.map(|currency| currency.to_string()))?;
                }
            }
        }
        object.end()
    }
}

impl By {
    fn name(self) -> &'static str {
        match self {
            Self::Subscription => "subscription",
            Self::Application => "application",
            Self::Product => "product",
            Self::Model => "model",
            Self::Backend => "backend",
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Outcome => "outcome",
            Self::Cache => "cache",
            Self::User => "user",
        }
    }

    pub fn column(self) -> UsageBy {
        match self {
            Self::Subscription => UsageBy::Subscription,
            Self::Application => UsageBy::Application,
            Self::Product => UsageBy::Product,
            Self::Model => UsageBy::Model,
            Self::Backend => UsageBy::Backend,
            Self::Day => UsageBy::Day,
            Self::Hour => UsageBy::Hour,
            Self::Outcome => UsageBy::Outcome,
            Self::Cache => UsageBy::Cache,
            Self::User => UsageBy::User,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<UsageRow> {
        let row = |name: &str, total_tokens| UsageRow {
            by: vec![name.to_owned(), "gpt-4o".to_owned()],
            calls: 2,
            total_tokens,
            cost: Nanos(1_250_000),
            currency: Some(Currency::USD),
            unpriced_calls: 1,
            unpriced_tokens: total_tokens / 3,
            ..UsageRow::default()
        };
        vec![row("batch", 1_000), row("search", 234)]
    }

    #[test]
    fn the_table_ends_with_sums_of_every_amount() {
        let printed = for_people(&[By::Subscription, By::Model], &rows());
        let last: Vec<&str> = printed.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(
            last[..9],
            ["total", "4", "0", "0", "0", "0", "0", "1,234", "0"]
        );
        assert_eq!(
            last[9..],
            ["0.002500", "USD", "2", "0.000000", "0.00%", "33.31%"]
        );
    }

    #[test]
    fn sums_of_two_currencies_stand_side_by_side() {
        let mut rows = rows();
        rows[0].currency = Some("EUR".parse().unwrap());
        let printed = for_people(&[By::Subscription, By::Model], &rows);
        let last = printed.lines().last().unwrap();
        assert!(last.contains("0.001250 + 0.001250"), "{last}");
        assert!(last.contains("EUR + USD"), "{last}");
    }

    #[test]
    fn json_rows_have_the_names_asked_for_and_then_every_amount() {
        let printed = json(&[By::Subscription, By::Model], &rows()).unwrap();
        let names: Vec<&str> = printed
            .lines()
            .filter_map(|line| line.trim().split('"').nth(1))
            .collect();
        assert_eq!(names[..4], ["subscription", "model", "calls", "attempts"]);
        let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
        let row = printed[1].as_object().unwrap();
        assert_eq!(row["subscription"], "search");
        assert_eq!(row["total_tokens"], 234);
        assert_eq!(row["cost"], 0.00125);
        assert_eq!(row["currency"], "USD");
        assert_eq!(row["unpriced_share"], 0.3333);
        assert_eq!(row.len(), 2 + COLUMNS.len());
    }

    #[test]
    fn csv_has_a_header_and_no_sums() {
        let printed = csv(&[By::Subscription, By::Model], &rows());
        let lines: Vec<&str> = printed.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("subscription,model,calls,attempts,prompt_tokens"));
        assert!(lines[0].ends_with("unpriced_calls,saved,estimated_share,unpriced_share"));
        assert_eq!(
            lines[1],
            "batch,gpt-4o,2,0,0,0,0,0,1000,0,0.00125,USD,1,0,0.0000,0.3330"
        );
    }
}
