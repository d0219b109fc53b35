//! `tollgate cache`: what an operator does about the cache.

mod entries;
mod inspect;
mod install_model;
mod stats;
mod wheel;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

use install_model::InstallModel;

/// Look into the cache, purge it, and install the model that it compares questions with.
#[derive(Debug, Args)]
#[command(after_help = "\
All work beside a running gateway and on a stopped one. What is in the cache is sealed with the keys of an
audit store, so whoever looks or purges says who they are, as for `tollgate audit`.

  tollgate cache stats
  tollgate cache stats   --as jane --subscription hr
  tollgate cache inspect --as jane --subscription hr
  tollgate cache inspect --as jane --reason 'complaint 17' --like 'notice period' --texts
  tollgate cache purge   --as root --reason 'new tariff' --model gpt-4o --older-than 1d
  tollgate cache purge   --as root --reason 'new tariff' --model gpt-4o --older-than 1d --yes")]
pub struct Cache {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Show how much there is, and how old; with --as by subscription and model
    Stats(stats::Stats),
    /// List entries: whose, how old and how large; with a reason their questions too
    Inspect(inspect::Inspect),
    /// Remove entries. Without --yes, say what would go
    Purge(entries::Purge),
    InstallModel(InstallModel),
}

impl Cache {
    pub fn run(self) -> Result<ExitCode> {
        match self.task {
            Task::Stats(stats) => super::audit::beside(move || stats.run()),
            Task::Inspect(inspect) => super::audit::beside(move || inspect.run()),
            Task::Purge(purge) => super::audit::beside(move || purge.run()),
            Task::InstallModel(install) => install.run(),
        }
    }
}
