//! `tollgate usage`: tokens and money by team, application, model, backend and time, from the ledger.

mod compare;
mod output;
mod rows;
mod source;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use store::ledger::{self, UsageBy, UsageQuery};

use output::Output;
use source::{Period, Source};

/// Report usage from the ledger of a running or a stopped gateway.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Calls count where they began: --since included, --until not. A date is its midnight in the
configuration's time zone, which is also that of --by day and hour. `estimated` is the part of the
tokens that no provider reported, `unpriced` the part whose price nobody knows, and `saved` what
caches kept off the bill.

  tollgate usage --config tollgate.yaml
  tollgate usage --config tollgate.yaml --by subscription,model --since 7d
  tollgate usage --config tollgate.yaml --by day,subscription --since 2026-11-01 --until 2026-12-01 --format csv
  tollgate usage compare --config tollgate.yaml --invoice november.csv --tolerance 1%")]
pub struct Usage {
    #[command(subcommand)]
    task: Option<Task>,

    #[command(flatten)]
    source: Source,

    /// What to sum by, separated by commas; rows are sorted in this order
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "subscription"
    )]
    by: Vec<By>,

    #[command(flatten)]
    period: Period,

    #[arg(long, value_enum, default_value = "table")]
    format: Format,

    /// Write to a file, which is there whole or not at all
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Task {
    Compare(compare::Compare),
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Aligned columns, for people.
    Table,
    /// RFC 4180, with a header line.
    Csv,
    /// An array of objects.
    Json,
    /// Columns with types, for data frames and warehouses.
    Parquet,
}

impl Usage {
    pub fn run(self) -> Result<ExitCode> {
        if let Some(Task::Compare(compare)) = self.task {
            return compare.run();
        }
        if let Some(twice) =
            (1..self.by.len()).find(|index| self.by[..*index].contains(&self.by[*index]))
        {
            bail!(
                "--by: `{}` is named twice; name each once",
                self.by[twice].name()
            );
        }
        let opened = self.source.open()?;
        let time_zone = opened.time_zone();
        let (since, until) = self.period.resolve(&time_zone)?;
        let mut output = Output::new(self.output.as_deref())?;
        if self.format == Format::Parquet {
            output.refuse_terminal("parquet")?;
        }
        let query = UsageQuery {
            by: self.by.iter().map(|by| by.column()).collect(),
            since,
            until,
            time_zone,
        };
        let rows = ledger::usage(&opened.data_dir, &query)?;
        match self.format {
            Format::Table => output.write_all(rows::for_people(&self.by, &rows).as_bytes())?,
            Format::Csv => output = rows::write(output, report::Format::Csv, &self.by, &rows)?,
            Format::Json => output = rows::write(output, report::Format::Json, &self.by, &rows)?,
            Format::Parquet => {
                output = rows::write(output, report::Format::Parquet, &self.by, &rows)?;
            }
        }
        output.finish()?;
        Ok(ExitCode::SUCCESS)
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

    fn column(self) -> UsageBy {
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
