//! `sinks list`: each sink's place, and what it has yet to take.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use config::snapshot::Sink;
use domain::Wall;
use gateway::Clock;
use gateway::sinks::{Failing, failing_of};
use serde_json::json;

use super::places::{self, Origin, Place};
use super::{List, shown};
use crate::configuration;
use crate::print;
use crate::table::{Cell, Format, Table};

/// One line of the list.
struct Row {
    id: String,
    kind: &'static str,
    origin: Origin,
    state: &'static str,
    waiting: u64,
    waiting_s: u64,
    missed: u64,
    moved_at: Option<Wall>,
    /// As its gateway last said.
    failing: Option<Failing>,
}

impl Row {
    fn failing_since(&self) -> Option<Wall> {
        self.failing.as_ref().map(|failing| failing.since)
    }

    fn error(&self) -> Option<&str> {
        self.failing.as_ref().map(|failing| &*failing.error)
    }
}

impl List {
    pub(super) fn run(self) -> Result<ExitCode> {
        let snapshot = configuration::load_without_secrets(&self.configuration.config)?;
        let places = places::all(&snapshot)?;
        let failing = |sink: &str| failing_of(&snapshot.settings.data_dir, sink);
        let now = Clock::system().now().wall;
        let rows = rows(&snapshot.sinks, places, failing, now);
        let text = match self.format {
            Format::Table => table(&rows).aligned(),
            Format::Csv => table(&rows).csv(),
            Format::Json => json(&rows)?,
        };
        print::out(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn rows(
    sinks: &[Arc<Sink>],
    places: Vec<Place>,
    failing: impl Fn(&str) -> Option<Failing>,
    now: Wall,
) -> Vec<Row> {
    let is_at = |sink: &Sink, place: &Place| {
        sink.id.as_str() == place.sink && Origin::of(sink) == place.origin
    };
    let never_ran = sinks
        .iter()
        .filter(|sink| !places.iter().any(|place| is_at(sink, place)))
        .map(|sink| Row {
            id: sink.id.to_string(),
            kind: sink.kind.as_str(),
            origin: Origin::of(sink),
            state: "never ran",
            waiting: 0,
            waiting_s: 0,
            missed: 0,
            moved_at: None,
            failing: failing(sink.id.as_str()),
        });
    let never_ran: Vec<Row> = never_ran.collect();
    let row = |place: Place| {
        let sink = sinks.iter().find(|sink| is_at(sink, &place));
        let waiting_s = place.oldest.map_or(0, |oldest| now.since(oldest).as_secs());
        let failing = sink.and_then(|sink| failing(sink.id.as_str()));
        let state = match (sink, &failing) {
            (None, _) => "not configured",
            (Some(_), Some(_)) => "failing",
            (Some(_), None) => "configured",
        };
        Row {
            id: place.sink,
            kind: sink.map_or("", |sink| sink.kind.as_str()),
            origin: place.origin,
            state,
            waiting: place.waiting,
            waiting_s,
            missed: place.missed,
            moved_at: Some(place.moved_at),
            failing,
        }
    };
    places.into_iter().map(row).chain(never_ran).collect()
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::default()
        .column("sink")
        .column("kind")
        .column("records")
        .column("store")
        .column("state")
        .number("waiting")
        .number("waiting_s")
        .number("missed")
        .column("moved_at")
        .column("failing_since")
        .column("error");
    for row in rows {
        table.row(vec![
            Cell::Text(row.id.clone()),
            Cell::text(row.kind),
            Cell::text(row.origin.kind()),
            Cell::text(row.origin.store().unwrap_or_default()),
            Cell::text(row.state),
            Cell::Number(row.waiting),
            Cell::Number(row.waiting_s),
            Cell::Number(row.missed),
            Cell::Text(row.moved_at.map(shown).unwrap_or_default()),
            Cell::Text(row.failing_since().map(shown).unwrap_or_default()),
            Cell::text(row.error().unwrap_or_default()),
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
                "records": row.origin.kind(),
                "store": row.origin.store(),
                "state": row.state,
                "waiting": row.waiting,
                "waiting_s": row.waiting_s,
                "missed": row.missed,
                "moved_at": row.moved_at.map(shown),
                "failing_since": row.failing_since().map(shown),
                "error": row.error(),
            })
        })
        .collect();
    Ok(format!("{}\n", serde_json::to_string_pretty(&rows)?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use config::snapshot::{
        AuditRecords, Envelope, FileCompression, FileSink, RecordKind, SinkBatch, SinkKind,
        SinkStart,
    };

    use super::*;

    fn sink(id: &str, records: RecordKind) -> Arc<Sink> {
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
            records,
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
    fn sinks_that_run_that_are_gone_and_that_never_ran_are_told_apart_by_what_they_follow() {
        let place = |sink: &str, origin: Origin, waiting, missed| Place {
            sink: sink.to_owned(),
            origin,
            waiting,
            oldest: (waiting > 0).then_some(Wall::from_secs(40)),
            missed,
            moved_at: Wall::from_secs(50),
        };
        let eu = || Origin::Store("eu".into());
        let audit = RecordKind::Audit(AuditRecords {
            store: "eu".into(),
            content: true,
        });
        let sinks = [
            sink("archive", RecordKind::Usage),
            sink("new", RecordKind::Usage),
            sink("siem", audit),
        ];
        let places = vec![
            place("archive", Origin::Ledger, 3, 0),
            place("old", Origin::Ledger, 0, 0),
            // What it followed before its records were audit records.
            place("siem", Origin::Ledger, 0, 0),
            place("siem", eu(), 2, 9),
        ];
        let failing = |sink: &str| {
            (sink == "siem").then(|| Failing {
                since: Wall::from_secs(60),
                failures: 4,
                error: "no such folder".to_owned(),
            })
        };
        let rows = rows(&sinks, places, failing, Wall::from_secs(100));
        let told: Vec<_> = rows
            .iter()
            .map(|row| (&*row.id, row.kind, row.origin.kind(), row.state))
            .collect();
        assert_eq!(
            told,
            [
                ("archive", "file", "usage", "configured"),
                ("old", "", "usage", "not configured"),
                ("siem", "", "usage", "not configured"),
                ("siem", "file", "audit", "failing"),
                ("new", "file", "usage", "never ran"),
            ]
        );
        assert_eq!(
            (rows[3].error(), rows[3].failing_since()),
            (Some("no such folder"), Some(Wall::from_secs(60)))
        );
        assert_eq!(rows[2].error(), None, "it is of the one that is configured");
        let figures = |row: &Row| (row.waiting, row.waiting_s, row.missed);
        assert_eq!(
            (figures(&rows[0]), figures(&rows[3])),
            ((3, 60, 0), (2, 60, 9))
        );
    }
}
