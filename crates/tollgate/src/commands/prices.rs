//! `tollgate prices`: which price applies and why, newer catalogues, and what a time costs by today's
//! prices.

mod diff;
mod provisioned;
mod rerate;
mod show;
mod update;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

/// Explain prices, and bring newer ones.
#[derive(Debug, Args)]
#[command(after_help = "\
List prices come from a catalogue: the one that ships with Tollgate, or the file that the
configuration names under `prices.catalogue`. Models, backends, products and subscriptions may have
prices of their own; the narrowest applies.

  tollgate prices show gpt-4o --config tollgate.yaml --subscription search
  tollgate prices show gpt-4o --config tollgate.yaml --at 2026-07-01
  tollgate prices diff new.json --config tollgate.yaml
  tollgate prices update new.json --config tollgate.yaml")]
pub struct Prices {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    Show(show::Show),
    Diff(diff::Diff),
    Update(update::Update),
    Rerate(rerate::Rerate),
    Provisioned(provisioned::Provisioned),
}

impl Prices {
    pub fn run(self) -> Result<ExitCode> {
        match self.task {
            Task::Show(show) => show.run(),
            Task::Diff(diff) => diff.run(),
            Task::Update(update) => update.run(),
            Task::Rerate(rerate) => rerate.run(),
            Task::Provisioned(provisioned) => provisioned.run(),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}
