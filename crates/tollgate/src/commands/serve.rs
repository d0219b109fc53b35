//! `tollgate serve`: runs the gateway, reloads it, and stops it without losing a record.

mod service;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{SyncSender, sync_channel};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use gateway::Clock;
use tokio::sync::mpsc::{self, Receiver};

use crate::change::{self, Change, LoadNow};
use crate::configuration::{LoadFailure, Loader};
use crate::core_dump;
use crate::huge_pages;
use crate::log::LogOptions;
use crate::signals::{Asked, Signals};

pub use service::Service;

/// Run the gateway.
#[derive(Debug, Args)]
#[command(after_help = "\
Loads anew when the configuration, a secret's file or a key changes, or on SIGHUP: all of it or
nothing. SIGTERM and SIGINT let open calls finish (`limits.drain`); a second one ends at once.

  tollgate serve --config tollgate.yaml
  tollgate serve --config /etc/tollgate/         every *.yaml and *.yml in it, by name
  tollgate serve --config tollgate.yaml --log info,gateway=debug")]
pub struct Serve {
    /// The configuration: a file, or a folder of files
    #[arg(long, value_name = "FILE|DIR", default_value = "tollgate.yaml")]
    config: PathBuf,

    /// Let the system dump memory if the gateway crashes: it holds prompts, answers and keys
    #[arg(long)]
    core_dumps: bool,

    #[command(flatten)]
    log: LogOptions,
}

impl Serve {
    pub async fn run(self) -> Result<ExitCode> {
        self.log.start()?;
        if !self.core_dumps {
            core_dump::forbid().context("cannot forbid core dumps; allow them: --core-dumps")?;
        }
        huge_pages::decline().context("cannot decline huge pages")?;
        // Before anything is opened, so that no signal finds the process without an ear.
        let mut signals = Signals::listen()?;
        let mut loader = Loader::new(self.config);
        let loaded = loader.load().map_err(|failure| anyhow!("{failure}"))?;
        for problem in &loaded.warnings {
            tracing::warn!(%problem, "configuration");
        }
        let service = Service::start(loaded.snapshot, Clock::system()).await?;
        let (load_now, mut changes) = watch(loader)?;
        loop {
            tokio::select! {
                Some(change) = changes.recv() => apply(&service, change).await,
                asked = signals.next() => match asked {
                    // One request at a time is enough: it loads what is there when its turn comes.
                    Asked::Reload => drop(load_now.try_send(LoadNow)),
                    Asked::Stop(signal) => {
                        tracing::info!(signal, "stopping: open calls may finish; a second signal ends at once");
                        break;
                    }
                }
            }
        }
        tokio::select! {
            () = service.stop() => Ok(ExitCode::SUCCESS),
            signal = signals.stop() => {
                tracing::warn!(signal, "ended at once: calls cut off now are on the ledger after the next start");
                Ok(ExitCode::FAILURE)
            }
        }
    }
}

/// All or nothing: a configuration with problems leaves the one in force.
async fn apply(service: &Service, change: Change) {
    let cause = change.cause.as_str();
    match change.outcome {
        Ok(loaded) => {
            for problem in &loaded.warnings {
                tracing::warn!(%problem, "configuration");
            }
            service.reload(loaded.snapshot, cause).await;
        }
        Err(failure) => {
            match &failure {
                LoadFailure::Unreadable(error) => {
                    tracing::error!(error = format!("{error:#}"), "configuration");
                }
                LoadFailure::Problems(problems) => {
                    for problem in problems {
                        tracing::error!(%problem, "configuration");
                    }
                }
            }
            service.count_failed_reload();
            tracing::error!(
                cause,
                revision = service.revision(),
                "not loaded: the configuration in force stays"
            );
        }
    }
}

fn watch(loader: Loader) -> Result<(SyncSender<LoadNow>, Receiver<Change>)> {
    let (load_now, asks) = sync_channel(1);
    // The watcher waits when a load is not applied yet: nothing is lost, the next look sees more.
    let (changed, changes) = mpsc::channel(1);
    std::thread::Builder::new()
        .name("watch".to_owned())
        .spawn(move || change::watch(loader, &asks, &changed))
        .context("cannot start the thread that watches the configuration")?;
    Ok((load_now, changes))
}
