//! `tollgate sinks`: how far each sink has come, and what an operator does about it. Of a running
//! gateway or a stopped one, but `test`, which needs neither.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use clap::{Args, Subcommand};
use config::Snapshot;
use config::snapshot::Sink;
use domain::Wall;
use gateway::clock::Chance;
use gateway::credentials::Credentials;
use gateway::fetch::Fetch;
use gateway::{Clock, sinks};
use serde_json::json;
use store::ledger::follow::{self, CursorState};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::block_on;
use crate::configuration::{self, LoadFailure};
use crate::moment::Moment;
use crate::print;
use crate::table::{Cell, Format, Table};

/// List, test and replay what gets copies of usage records.
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
    /// Show each sink's place on the ledger, and what it has yet to take
    List(List),
    /// Send one marked event to each sink, and say what came of it
    Test(Test),
    /// Have a sink send again what began at a time or later
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
            Task::Replay(replay) => replay.run(),
            Task::Forget(forget) => forget.run(),
        }
    }
}

/// One line of the list.
struct Row {
    id: String,
    kind: &'static str,
    state: &'static str,
    waiting: u64,
    waiting_s: u64,
    moved_at: Option<Wall>,
}

impl List {
    fn run(self) -> Result<ExitCode> {
        let snapshot = configuration::load_without_secrets(&self.configuration.config)?;
        let cursors = follow::cursors(&snapshot.settings.data_dir)?;
        let rows = rows(&snapshot.sinks, &cursors, Clock::system().now().wall);
        let text = match self.format {
            Format::Table => table(&rows).aligned(),
            Format::Csv => table(&rows).csv(),
            Format::Json => json(&rows)?,
        };
        print::out(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn rows(sinks: &[Arc<Sink>], cursors: &[CursorState], now: Wall) -> Vec<Row> {
    let mut rows: Vec<Row> = cursors
        .iter()
        .map(|cursor| {
            let sink = sinks.iter().find(|sink| sink.id.as_str() == cursor.name);
            Row {
                id: cursor.name.clone(),
                kind: sink.map_or("", |sink| sink.kind.as_str()),
                state: sink.map_or("not configured", |_| "configured"),
                waiting: cursor.lag.records,
                waiting_s: cursor
                    .lag
                    .oldest
                    .map_or(0, |oldest| now.since(oldest).as_secs()),
                moved_at: Some(cursor.moved_at),
            }
        })
        .collect();
    for sink in sinks {
        if cursors.iter().all(|cursor| cursor.name != sink.id.as_str()) {
            rows.push(Row {
                id: sink.id.to_string(),
                kind: sink.kind.as_str(),
                state: "never ran",
                waiting: 0,
                waiting_s: 0,
                moved_at: None,
            });
        }
    }
    rows
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::default()
        .column("sink")
        .column("kind")
        .column("state")
        .number("waiting")
        .number("waiting_s")
        .column("moved_at");
    for row in rows {
        table.row(vec![
            Cell::Text(row.id.clone()),
            Cell::Text(row.kind.to_owned()),
            Cell::Text(row.state.to_owned()),
            Cell::Number(row.waiting),
            Cell::Number(row.waiting_s),
            Cell::Text(row.moved_at.map(shown).unwrap_or_default()),
        ]);
    }
    table
}

fn json(rows: &[Row]) -> Result<String> {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "sink": row.id,
                "kind": row.kind,
                "state": row.state,
                "waiting": row.waiting,
                "waiting_s": row.waiting_s,
                "moved_at": row.moved_at.map(shown),
            })
        })
        .collect();
    Ok(format!("{}\n", serde_json::to_string_pretty(&rows)?))
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
        let data_dir = &snapshot.settings.data_dir;
        match follow::rewind(data_dir, id, since, now)? {
            Some(records) => {
                let text = format!(
                    "{id}: {records} calls are sent again, since {}\n",
                    shown(since)
                );
                print::out(&text)?;
                Ok(ExitCode::SUCCESS)
            }
            None => Err(unknown(&snapshot, id)),
        }
    }
}

impl Forget {
    fn run(self) -> Result<ExitCode> {
        let snapshot = configuration::load_without_secrets(&self.configuration.config)?;
        let id = &self.id;
        if !follow::forget(&snapshot.settings.data_dir, id)? {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use config::snapshot::{
        Envelope, FileCompression, FileSink, RecordKind, SinkBatch, SinkKind, SinkStart,
    };
    use store::ledger::follow::Lag;

    use super::*;

    fn sink(id: &str) -> Arc<Sink> {
        Arc::new(Sink {
            id: id.into(),
            kind: SinkKind::File(FileSink {
                path: "usage.jsonl".into(),
                bytes_max: 1,
                every: None,
                files_max: 1,
                compression: FileCompression::None,
                sync: true,
            }),
            records: RecordKind::Usage,
            from: SinkStart::Now,
            envelope: Envelope::None,
            batch: SinkBatch {
                records_max: 1,
                bytes_max: 1,
                linger: Duration::ZERO,
            },
        })
    }

    #[test]
    fn sinks_that_run_that_are_gone_and_that_never_ran_are_told_apart() {
        let cursor = |name: &str, records| CursorState {
            name: name.to_owned(),
            lag: Lag {
                records,
                oldest: (records > 0).then_some(Wall::from_secs(40)),
            },
            moved_at: Wall::from_secs(50),
        };
        let sinks = [sink("archive"), sink("new")];
        let cursors = [cursor("archive", 3), cursor("old", 0)];
        let rows = rows(&sinks, &cursors, Wall::from_secs(100));
        let told: Vec<_> = rows
            .iter()
            .map(|row| (&*row.id, row.kind, row.state, row.waiting, row.waiting_s))
            .collect();
        assert_eq!(
            told,
            [
                ("archive", "file", "configured", 3, 60),
                ("old", "", "not configured", 0, 0),
                ("new", "file", "never ran", 0, 0),
            ]
        );
    }
}
