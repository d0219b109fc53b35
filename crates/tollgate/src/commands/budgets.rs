//! `tollgate budgets`: how full budgets are, and temporary raises. A running gateway takes raises up
//! within a second or two.

mod forecast;
mod rows;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use config::Snapshot;
use config::snapshot::KeyedBudget;
use domain::{Nanos, Wall};
use gateway::Clock;
use store::Registry;
use store::counters::RestoredBudget;
use store::ledger;
use store::registry::{NewRaise, StoredRaise};

use crate::configuration;
use crate::moment::Moment;
use crate::print;
use crate::table::Format;

/// Show budgets, and raise them for a while.
#[derive(Debug, Args)]
#[command(after_help = "\
A raise adds to a budget's amount until it ends, in every period that it reaches into. It is kept
with who granted it and why. The file's amount stays what it is.

  tollgate budgets list     --config tollgate.yaml
  tollgate budgets show     --config tollgate.yaml search-month
  tollgate budgets forecast --config tollgate.yaml
  tollgate budgets raise    --config tollgate.yaml search-month --by 100 --until 2026-12-01 --reason \"launch week\"
  tollgate budgets cancel   --config tollgate.yaml 7")]
pub struct Budgets {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// List every budget with what was spent of it in its current period
    List(List),
    /// Show one budget: its rule, its counters, and all of its raises
    Show(Show),
    /// Say what each budget will have cost when its period ends, and when it is used up
    Forecast(forecast::Forecast),
    /// Grant more money until a date
    Raise(Raise),
    /// End a raise before its time
    #[command(alias = "lower")]
    Cancel(Cancel),
}

#[derive(Debug, Args)]
struct Source {
    /// The gateway's configuration, which says where its ledger and raises are kept
    #[arg(long, value_name = "FILE|DIR", default_value = "tollgate.yaml")]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    source: Source,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Debug, Args)]
struct Show {
    #[command(flatten)]
    source: Source,
    /// The budget's name
    #[arg(value_name = "NAME")]
    name: String,
}

#[derive(Debug, Args)]
struct Raise {
    #[command(flatten)]
    source: Source,
    /// The budget's name
    #[arg(value_name = "NAME")]
    name: String,
    /// How much more, in the configuration's currency
    #[arg(long, value_name = "AMOUNT", value_parser = amount)]
    by: Nanos,
    /// Until then: a date, or an RFC 3339 time
    #[arg(long, value_name = "WHEN", value_parser = Moment::parse)]
    until: Moment,
    /// Why, for whoever asks later
    #[arg(long, value_name = "TEXT", value_parser = line)]
    reason: String,
    /// Only for the counter of this key, such as one user; without it, for each
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Who grants it
    #[arg(long, value_name = "NAME", env = "USER", value_parser = line)]
    granted_by: String,
}

#[derive(Debug, Args)]
struct Cancel {
    #[command(flatten)]
    source: Source,
    /// The raise's id, as `tollgate budgets show` has it
    #[arg(value_name = "ID")]
    id: i64,
    /// Who ends it
    #[arg(long, value_name = "NAME", env = "USER", value_parser = line)]
    cancelled_by: String,
}

impl Budgets {
    pub fn run(self) -> Result<ExitCode> {
        match self.task {
            Task::List(list) => list.run(),
            Task::Show(show) => show.run(),
            Task::Forecast(forecast) => forecast.run(),
            Task::Raise(raise) => raise.run(),
            Task::Cancel(cancel) => cancel.run(),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Budgets as the gateway counts them now.
struct Known {
    snapshot: Snapshot,
    raises: Vec<StoredRaise>,
    levels: Vec<RestoredBudget>,
    now: Wall,
}

impl Known {
    fn read(source: &Source) -> Result<Self> {
        let mut snapshot = configuration::load_without_secrets(&source.config)?;
        let data_dir = snapshot.settings.data_dir.clone();
        let now = Clock::system().now().wall;
        let raises = open(&data_dir)?.raises()?;
        snapshot.raise_budgets(&configuration::budget_raises(&raises));
        // A gateway that never ran has spent nothing.
        let levels = if ledger::exists(&data_dir) {
            ledger::budget_levels(&data_dir, now)?
        } else {
            Vec::new()
        };
        Ok(Self {
            snapshot,
            raises,
            levels,
            now,
        })
    }
}

impl List {
    fn run(self) -> Result<()> {
        let known = Known::read(&self.source)?;
        let counted: Vec<_> = known.snapshot.budgets.iter().collect();
        let rows = rows::rows(&counted, &known.levels, known.now);
        print::out(&match self.format {
            Format::Table => rows::table(&rows).aligned(),
            Format::Csv => rows::table(&rows).csv(),
            Format::Json => rows::json(&rows),
        })?;
        Ok(())
    }
}

impl Show {
    fn run(self) -> Result<()> {
        let known = Known::read(&self.source)?;
        let budget = declared(&known.snapshot, &self.name)?;
        let of_budget = known
            .raises
            .iter()
            .filter(|raise| raise.budget == self.name);
        print::out(&rows::described(budget))?;
        let rows = rows::rows(&[budget], &known.levels, known.now);
        print::out(&format!("\n{}", rows::table(&rows).aligned()))?;
        let raises: Vec<_> = of_budget.collect();
        if !raises.is_empty() {
            print::out(&format!("\n{}", rows::raises(&raises, known.now).aligned()))?;
        }
        Ok(())
    }
}

impl Raise {
    fn run(self) -> Result<()> {
        let snapshot = configuration::load_without_secrets(&self.source.config)?;
        let budget = declared(&snapshot, &self.name)?;
        let now = Clock::system().now().wall;
        if matches!(self.until, Moment::Ago(_)) {
            bail!("--until: write a date (2026-12-01) or an RFC 3339 time (2026-12-01T12:00:00Z)");
        }
        let until = self
            .until
            .resolve(now, &budget.budget.calendar.time_zone)
            .context("--until: no such day in the budget's time zone")?;
        if until <= now {
            bail!("--until: this is in the past; a raise ends later than it begins");
        }
        let new = NewRaise {
            budget: &self.name,
            key: self.key.as_deref(),
            by: self.by,
            currency: budget.budget.currency,
            until,
            reason: &self.reason,
            granted_by: &self.granted_by,
        };
        let raise = open(&snapshot.settings.data_dir)?.raise(new, now)?;
        print::out(&format!(
            "raise {}: `{}` has {} {} more until {}\n",
            raise.id,
            raise.budget,
            raise.by,
            raise.currency,
            rows::rfc3339(raise.until)
        ))?;
        Ok(())
    }
}

impl Cancel {
    fn run(self) -> Result<()> {
        let snapshot = configuration::load_without_secrets(&self.source.config)?;
        let now = Clock::system().now().wall;
        let raise = open(&snapshot.settings.data_dir)?
            .cancel_raise(self.id, &self.cancelled_by, now)
            .context("nothing was cancelled (`tollgate budgets show NAME` has the ids)")?;
        print::out(&format!(
            "raise {} of `{}` by {} {} is cancelled\n",
            raise.id, raise.budget, raise.by, raise.currency
        ))?;
        Ok(())
    }
}

fn declared<'s>(snapshot: &'s Snapshot, name: &str) -> Result<&'s KeyedBudget> {
    let found = snapshot.budgets.iter().find(|budget| *budget.name == *name);
    let Some(budget) = found else {
        let names: Vec<&str> = snapshot
            .budgets
            .iter()
            .map(|budget| &*budget.name)
            .collect();
        bail!(
            "the configuration has no budget `{name}`; it has: {}",
            names.join(", ")
        );
    };
    Ok(budget)
}

fn open(data_dir: &Path) -> Result<Registry> {
    Registry::open(data_dir).with_context(|| {
        format!(
            "the registry in `{}` (data_dir) cannot be used",
            data_dir.display()
        )
    })
}

fn amount(text: &str) -> Result<Nanos, String> {
    let amount: Nanos = text.parse().map_err(|error| format!("it {error}"))?;
    if amount <= Nanos::ZERO {
        return Err("write an amount above 0; `tollgate budgets cancel` ends a raise".to_owned());
    }
    Ok(amount)
}

/// One line, short enough for a table.
fn line(text: &str) -> Result<String, String> {
    const BYTES_MAX: usize = 500;
    let text = text.trim();
    if text.is_empty() || text.len() > BYTES_MAX || text.chars().any(char::is_control) {
        return Err(format!("write 1 to {BYTES_MAX} bytes on one line"));
    }
    Ok(text.to_owned())
}
