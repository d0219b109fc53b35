//! What `tollgate` can be told to do.

mod alerts;
mod audit;
mod budgets;
mod cache;
mod check;
mod demo;
mod keys;
mod prices;
mod schema;
mod serve;
mod simulate;
mod sinks;
mod usage;

use std::future::Future;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

/// Tollgate: an AI gateway. One binary between your applications and your model deployments.
#[derive(Debug, Parser)]
#[command(
    name = "tollgate",
    version,
    arg_required_else_help = true,
    max_term_width = 100
)]
#[command(after_help = "\
New here? `tollgate demo` runs everything with simulated providers and prints a curl to try.

  tollgate check tollgate.yaml            is the configuration right?
  tollgate serve --config tollgate.yaml   run the gateway")]
pub enum Command {
    Serve(serve::Serve),
    Demo(demo::Demo),
    Check(check::Check),
    Schema(schema::Schema),
    Keys(keys::Keys),
    Prices(prices::Prices),
    Budgets(budgets::Budgets),
    Usage(usage::Usage),
    Alerts(alerts::Alerts),
    Audit(audit::Audit),
    Cache(cache::Cache),
    Sinks(sinks::Sinks),
    Simulate(simulate::Simulate),
}

impl Command {
    pub fn run(self) -> Result<ExitCode> {
        match self {
            Self::Serve(serve) => block_on(serve.run()),
            Self::Demo(demo) => block_on(demo.run()),
            Self::Check(check) => check.run(),
            Self::Schema(schema) => schema.run(),
            Self::Keys(keys) => keys.run(),
            Self::Prices(prices) => prices.run(),
            Self::Budgets(budgets) => budgets.run(),
            Self::Usage(usage) => usage.run(),
            Self::Alerts(alerts) => block_on(alerts.run()),
            Self::Audit(audit) => audit.run(),
            Self::Cache(cache) => cache.run(),
            Self::Sinks(sinks) => sinks.run(),
            Self::Simulate(simulate) => block_on(simulate.run()),
        }
    }
}

/// Runs a command that serves. Whatever it leaves running is dropped, not waited for: a command
/// that must wait for its tasks has done so before it returns.
fn block_on(command: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the worker threads")?;
    let ended = runtime.block_on(command);
    runtime.shutdown_background();
    ended
}
