//! `tollgate usage`: tokens by team, application, model, backend and time, from the ledger.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use domain::Wall;
use gateway::Clock;
use serde::ser::{Serialize, SerializeMap, Serializer};
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
of `total_tokens` that no provider reported.

  tollgate usage --config tollgate.yaml
  tollgate usage --config tollgate.yaml --by subscription,model --since 7d
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
    Subscription,
    Application,
    Product,
    Model,
    Backend,
    Day,
    Hour,
    Outcome,
    Cache,
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
            time_zone: settings.time_zone.clone(),
        };
        let rows = ledger::usage(&settings.data_dir, &query)?;
        print::out(&match self.format {
            Format::Table => for_people(&self.by, &rows),
            Format::Csv => table(&self.by, &rows).csv(),
            Format::Json => json(&self.by, &rows)?,
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Names and amounts of a row, in the order in which every format has them.
const AMOUNTS: [&str; 8] = [
    "calls",
    "attempts",
    "prompt_tokens",
    "completion_tokens",
    "cached_prompt_tokens",
    "reasoning_tokens",
    "total_tokens",
    "estimated_tokens",
];

fn amounts(row: &UsageRow) -> [u64; AMOUNTS.len()] {
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
    } = row;
    [
        *calls,
        *attempts,
        *prompt_tokens,
        *completion_tokens,
        *cached_prompt_tokens,
        *reasoning_tokens,
        *total_tokens,
        *estimated_tokens,
    ]
}

/// With a line of sums below.
pub fn for_people(by: &[By], rows: &[UsageRow]) -> String {
    if rows.is_empty() {
        return "no calls in this time\n".to_owned();
    }
    let mut sums = [0_u64; AMOUNTS.len()];
    for row in rows {
        for (sum, amount) in sums.iter_mut().zip(amounts(row)) {
            *sum = sum.saturating_add(amount);
        }
    }
    let names = (0..by.len()).map(|index| Cell::text(if index == 0 { "total" } else { " " }));
    let mut table = table(by, rows);
    table.total(names.chain(sums.map(Cell::Number)).collect());
    table.aligned()
}

fn table(by: &[By], rows: &[UsageRow]) -> Table {
    let mut table = by
        .iter()
        .fold(Table::default(), |table, by| table.column(by.name()));
    table = AMOUNTS.into_iter().fold(table, Table::number);
    for row in rows {
        table.row(
            row.by
                .iter()
                .map(|name| Cell::text(name))
                .chain(amounts(row).map(Cell::Number))
                .collect(),
        );
    }
    table
}

fn json(by: &[By], rows: &[UsageRow]) -> Result<String> {
    let rows: Vec<JsonRow<'_>> = rows.iter().map(|row| JsonRow { by, row }).collect();
    Ok(format!("{}\n", serde_json::to_string_pretty(&rows)?))
}

/// The names asked for, then every amount, in this order.
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
        for (name, amount) in AMOUNTS.iter().zip(amounts(self.row)) {
            object.serialize_entry(name, &amount)?;
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
            ..UsageRow::default()
        };
        vec![row("batch", 1_000), row("search", 234)]
    }

    #[test]
    fn the_table_ends_with_sums_of_every_amount() {
        let printed = for_people(&[By::Subscription, By::Model], &rows());
        let last: Vec<&str> = printed.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(last, ["total", "4", "0", "0", "0", "0", "0", "1,234", "0"]);
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
        assert_eq!(row.len(), 2 + AMOUNTS.len());
    }

    #[test]
    fn csv_has_a_header_and_no_sums() {
        let printed = table(&[By::Subscription, By::Model], &rows()).csv();
        let lines: Vec<&str> = printed.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("subscription,model,calls,attempts,prompt_tokens"));
        assert_eq!(lines[1], "batch,gpt-4o,2,0,0,0,0,0,1000,0");
    }
}
