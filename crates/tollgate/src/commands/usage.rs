//! `tollgate usage`: tokens and money by team, application, model, backend and time, from the ledger.

mod compare;
mod focus;
mod output;
mod provisioned;
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
  tollgate usage --config tollgate.yaml --by user,model --only team=search --since 30d
  tollgate usage --config tollgate.yaml --by day,subscription --since 2026-11-01 --until 2026-12-01 --format csv
  tollgate usage --config tollgate.yaml --format focus-parquet --since 2026-11-01 --until 2026-12-01 --output november.parquet
  tollgate usage --config tollgate.yaml --provisioned --since 2026-11-01 --until 2026-12-01
  tollgate usage compare --config tollgate.yaml --invoice november.csv --tolerance 1%")]
pub struct Usage {
    #[command(subcommand)]
    task: Option<Task>,

    #[command(flatten)]
    source: Source,

    /// What to sum by, separated by commas; rows are sorted in this order [default: subscription]
    #[arg(long, value_enum, value_delimiter = ',')]
    by: Vec<By>,

    /// Only calls with this name, as NAME=VALUE: subscription=search; may be given more than once
    #[arg(long, value_name = "NAME=VALUE", value_parser = Only::parse)]
    only: Vec<Only>,

    #[command(flatten)]
    period: Period,

    #[arg(long, value_enum, default_value = "table")]
    format: Format,

    /// Write to a file, which is there whole or not at all
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Add what deployments that are paid by the hour cost, by the tokens that they served
    #[arg(long)]
    provisioned: bool,

    #[command(flatten)]
    focus: focus::Options,
}

#[derive(Debug, Subcommand)]
enum Task {
    Compare(Box<compare::Compare>),
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
    /// The person behind the call, where a claim says who it is
    User,
    /// The model that the client asked for: another than `model` where a budget downgraded the call
    #[value(name = "asked_model", alias = "asked-model")]
    AskedModel,
}

/// `subscription=search`
#[derive(Clone, Debug)]
struct Only {
    by: By,
    name: String,
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
    /// Charges in the FinOps Open Cost and Usage Specification, as CSV.
    Focus,
    /// The same as Parquet.
    FocusParquet,
}

impl Usage {
    pub fn run(mut self) -> Result<ExitCode> {
        if let Some(Task::Compare(compare)) = self.task {
            return compare.run();
        }
        let form = match self.format {
            Format::Focus => return self.focus(report::Format::Csv),
            Format::FocusParquet => return self.focus(report::Format::Parquet),
            Format::Table => None,
            Format::Csv => Some(report::Format::Csv),
            Format::Json => Some(report::Format::Json),
            Format::Parquet => Some(report::Format::Parquet),
        };
        self.focus.refuse_any()?;
        if self.by.is_empty() {
            self.by.push(By::Subscription);
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
        output.refuse_terminal_for(form)?;
        let query = UsageQuery {
            by: self.by.iter().map(|by| by.column()).collect(),
            only: self
                .only
                .iter()
                .map(|only| (only.by.column(), only.name.clone()))
                .collect(),
            since,
            until,
            time_zone,
        };
        let mut rows = ledger::usage(&opened.data_dir, &query)?;
        if self.provisioned {
            rows.extend(provisioned::rows(opened.snapshot()?, &query)?);
            rows.sort_by(|one, other| one.by.cmp(&other.by));
        }
        match form {
            None => output.write_all(rows::for_people(&self.by, &rows).as_bytes())?,
            Some(form) => output = rows::write(output, form, &self.by, &rows)?,
        }
        output.finish()?;
        Ok(ExitCode::SUCCESS)
    }

    fn focus(self, form: report::Format) -> Result<ExitCode> {
        if !self.by.is_empty() {
            bail!("--by: FOCUS has its own rows; leave --by out");
        }
        let opened = self.source.open()?;
        let (since, until) = self.period.resolve(&opened.time_zone())?;
        let output = Output::new(self.output.as_deref())?;
        output.refuse_terminal_for(Some(form))?;
        let query = ledger::ChargedQuery {
            since,
            until,
            time_zone: opened.time_zone(),
        };
        let with_provisioned = self.provisioned;
        self.focus
            .write(output, form, &opened, &query, with_provisioned)?
            .finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Only {
    fn parse(text: &str) -> Result<Self, String> {
        let Some((by, name)) = text.split_once('=') else {
            return Err("a name and a value are needed, such as subscription=search".to_owned());
        };
        match By::from_str(by, true) {
            Ok(By::Day | By::Hour) => Err(format!("`{by}` is a time: use --since and --until")),
            Ok(by) => Ok(Self {
                by,
                name: name.to_owned(),
            }),
            Err(_) => Err(format!(
                "`{by}` is none of subscription (or team), application, product, model, backend, outcome, cache, user, asked_model"
            )),
        }
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
            Self::AskedModel => "asked_model",
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
            Self::User => UsageBy::User,
            Self::AskedModel => UsageBy::AskedModel,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_takes_a_name_and_its_value_and_a_team_is_a_subscription() {
        let only = Only::parse("team=search=eu").unwrap();
        assert_eq!(
            (only.by, only.name.as_str()),
            (By::Subscription, "search=eu")
        );
        let nobody = Only::parse("user=").unwrap();
        assert_eq!((nobody.by, nobody.name.as_str()), (By::User, ""));
        let refused = |text: &str| Only::parse(text).unwrap_err();
        assert!(refused("search").contains("such as"));
        assert!(refused("day=2026-11-22").contains("--since"));
        assert!(refused("tem=search").contains("none of subscription"));
    }
}
