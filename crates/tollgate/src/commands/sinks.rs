//! `tollgate sinks`: how far each sink has come, and what an operator does about it. Of a running
//! gateway or a stopped one, but `test`, which needs neither.

mod list;
mod places;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use clap::{Args, Subcommand};
use config::Snapshot;
use config::snapshot::{RecordKind, Sink};
use domain::Wall;
use gateway::clock::Chance;
use gateway::credentials::Credentials;
use gateway::fetch::Fetch;
use gateway::{Clock, sinks};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::audit::{At, beside};
use super::block_on;
use crate::configuration::{self, LoadFailure};
use crate::moment::Moment;
use crate::print;
use crate::table::Format;

/// List, test and replay what gets copies of usage and audit records.
#[derive(Debug, Args)]
#[command(after_help = "\
  tollgate sinks list   --config tollgate.yaml
  tollgate sinks test   --config tollgate.yaml                 one marked event to each
  tollgate sinks replay --config tollgate.yaml event-hub --since 2026-11-20")]
pub struct Sinks {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Show each sink's place on the ledger or in its audit store, and what it has yet to take
    List(List),
    /// Send one marked event to each sink, and say what came of it
    Test(Test),
    /// Have a sink send again what began at a time or later (of audit records: what ended)
    Replay(Replay),
    /// Remove a sink's place: one of that name begins anew
    Forget(Forget),
}

#[derive(Debug, Args)]
struct Configuration {
    /// The gateway's configuration
    #[arg(long, value_name = "FILE|DIR", default_value = "tollgate.yaml")]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    configuration: Configuration,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Debug, Args)]
struct Test {
    #[command(flatten)]
    configuration: Configuration,
    /// Only this one: an id under `sinks`
    #[arg(value_name = "ID")]
    id: Option<String>,
}

#[derive(Debug, Args)]
struct Replay {
    #[command(flatten)]
    configuration: Configuration,
    /// An id under `sinks`
    #[arg(value_name = "ID")]
    id: String,
    /// A date, an RFC 3339 time, or how long ago (30m, 24h, 7d)
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    since: Moment,
    /// Who you are: an id under `access`. Needed for audit records, with its token in TOLLGATE_ACCESS_TOKEN
    #[arg(long = "as", value_name = "ID")]
    visitor: Option<String>,
    /// Why: needed where prompts and answers leave again
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, Args)]
struct Forget {
    #[command(flatten)]
    configuration: Configuration,
    /// As `tollgate sinks list` shows it
    #[arg(value_name = "ID")]
    id: String,
}

impl Sinks {
    pub fn run(self) -> Result<ExitCode> {
        match self.task {
            Task::List(list) => list.run(),
            Task::Test(test) => block_on(test.run()),
            Task::Replay(replay) => beside(move || replay.run()),
            Task::Forget(forget) => forget.run(),
        }
    }
}

fn shown(at: Wall) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| String::new(), |at| at.to_string())
}

impl Test {
    async fn run(self) -> Result<ExitCode> {
        let loaded = configuration::load_files(&[self.configuration.config]);
        let snapshot = loaded
            .map_err(|failure: LoadFailure| anyhow!("{failure}"))?
            .snapshot;
        let tested: Vec<_> = match &self.id {
            None => snapshot.sinks.iter().collect(),
            Some(id) => vec![declared(&snapshot, id)?],
        };
        if tested.is_empty() {
            bail!("there are no sinks under `sinks`");
        }
        let clock = Clock::system();
        let stop = CancellationToken::new();
        let credentials = Credentials {
            fetch: Fetch::default(),
            chance: Arc::new(Chance::from_system(clock.now())),
            clock,
            tasks: TaskTracker::new(),
            stop: stop.clone(),
        };
        let mut all_took_it = true;
        for sink in tested {
            let telemetry = &snapshot.settings.telemetry;
            let (id, kind) = (&sink.id, sink.kind.as_str());
            match sinks::try_out(sink, telemetry, &credentials).await {
                Ok(()) => print::out(&format!("{id} ({kind}): took a test event\n"))?,
                Err(error) => {
                    all_took_it = false;
                    print::out(&format!("{id} ({kind}): {}\n", print::harmless(&error)))?;
                }
            }
        }
        stop.cancel();
        Ok(if all_took_it {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

impl Replay {
    fn run(self) -> Result<ExitCode> {
        let snapshot = configuration::load_without_secrets(&self.configuration.config)?;
        let now = Clock::system().now().wall;
        let since = self.since.resolve(now, &snapshot.settings.time_zone);
        let Some(since) = since else {
            bail!("--since: the calendar of `time_zone` has no such day");
        };
        let id = &self.id;
        let mut is_known = false;
        for origin in places::of_name(&snapshot, id)? {
            if let Some(store) = origin.store() {
                self.answer_for(&snapshot, store)?;
            }
            let Some(records) = origin.rewind(&snapshot, id, since, now)? else {
                continue;
            };
            is_known = true;
            let (what, since) = (origin.records(), shown(since));
            print::out(&format!(
                "{id}: {records} {what} are sent again, since {since}\n"
            ))?;
        }
        if is_known {
            return Ok(ExitCode::SUCCESS);
        }
        Err(unknown(&snapshot, id))
    }

    /// Audit records leave once more: that somebody decided, and is on their log.
    fn answer_for(&self, snapshot: &Snapshot, store: &str) -> Result<()> {
        let Some(visitor) = self.visitor.clone() else {
            bail!("these are audit records: say who you are with --as, and why with --reason");
        };
        let declared = snapshot
            .sinks
            .iter()
            .find(|sink| sink.id.as_str() == self.id);
        // Of one that is no more, nobody knows.
        let with_content = declared.is_none_or(|sink| match &sink.records {
            RecordKind::Usage => false,
            RecordKind::Audit(records) => records.content,
        });
        let config = self.configuration.config.clone();
        let at = At::of(config, visitor, Some(store.to_owned()), self.reason.clone());
        Ok(at.open()?.desk.replay(&self.id, with_content)?)
    }
}

impl Forget {
    fn run(self) -> Result<ExitCode> {
        let snapshot = configuration::load_without_secrets(&self.configuration.config)?;
        let id = &self.id;
        let mut was_there = false;
        // One that was moved from one origin to another has left a place behind.
        for place in places::all(&snapshot)? {
            was_there |= place.sink == *id && place.origin.forget(&snapshot, id)?;
        }
        if !was_there {
            return Err(unknown(&snapshot, id));
        }
        print::out(&format!("{id}: its place is forgotten\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn declared<'s>(snapshot: &'s Snapshot, id: &str) -> Result<&'s Arc<Sink>> {
    let found = snapshot.sinks.iter().find(|sink| sink.id.as_str() == id);
    found.ok_or_else(|| unknown(snapshot, id))
}

fn unknown(snapshot: &Snapshot, id: &str) -> anyhow::Error {
    let known: Vec<&str> = snapshot.sinks.iter().map(|sink| sink.id.as_str()).collect();
    anyhow!(
        "no sink `{}` has run with this data directory; configured are: {}",
        print::harmless(id),
        known.join(", ")
    )
}
