//! How each sink is doing: for metrics, `/readyz`, alerts, and one line in the log for each change.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use config::snapshot::Sink;
use domain::{SinkId, Wall};
use store::ledger::follow::Lag;

use super::source::Behind;

/// What one sink is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkHealth {
    pub id: SinkId,
    /// `kafka`, `file`, `otlp` or `webhook`.
    pub kind: &'static str,
    /// Calls on the ledger, or records of its audit store, that it has not taken yet.
    pub lag: Lag,
    /// Audit records whose content went by their retention before it had taken them. Of all time.
    pub missed: u64,
    /// Events that it took, since the sink was configured or the gateway started.
    pub delivered: u64,
    /// Events that it will never take, set aside in a file.
    pub refused: u64,
    /// Deliveries that failed, each tried again.
    pub failures: u64,
    /// `None` while it works.
    pub failing: Option<Failing>,
    pub last_success: Option<Wall>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    pub since: Wall,
    /// Since then.
    pub failures: u64,
    /// The latest failure. Holds no secret.
    pub error: String,
}

impl SinkHealth {
    /// How long its oldest call has been waiting.
    pub fn lag_time(&self, now: Wall) -> Duration {
        self.lag
            .oldest
            .map_or(Duration::ZERO, |oldest| now.since(oldest))
    }
}

/// A sink that goes on failing says so again, this long after it last did.
const TELL_INTERVAL: Duration = Duration::from_secs(60);

/// What of a sink's trouble is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// It fails, since now or still.
    Fails(Failing),
    WorksAgain,
}

/// Written by the sink's task.
pub struct Health {
    state: Mutex<State>,
    id: SinkId,
    kind: &'static str,
}

#[derive(Default)]
struct State {
    behind: Behind,
    delivered: u64,
    refused: u64,
    failures: u64,
    failing: Option<Failing>,
    /// When it was last told that it fails.
    told_at: Option<Wall>,
    last_success: Option<Wall>,
}

impl Health {
    pub fn new(sink: &Sink) -> Self {
        Self {
            state: Mutex::default(),
            id: sink.id.clone(),
            kind: sink.kind.as_str(),
        }
    }

    pub fn read(&self, sink: &Sink) -> SinkHealth {
        let state = self.state();
        SinkHealth {
            id: sink.id.clone(),
            kind: sink.kind.as_str(),
            lag: state.behind.lag,
            missed: state.behind.missed,
            delivered: state.delivered,
            refused: state.refused,
            failures: state.failures,
            failing: state.failing.clone(),
            last_success: state.last_success,
        }
    }

    pub fn note_behind(&self, behind: Behind) {
        self.state().behind = behind;
    }

    pub fn note_delivered(&self, events: u64, now: Wall) -> Option<News> {
        let mut state = self.state();
        state.delivered += events;
        state.last_success = Some(now);
        drop(state);
        self.note_works(now)
    }

    /// It could do what there was to do, if only to look.
    pub fn note_works(&self, now: Wall) -> Option<News> {
        let mut state = self.state();
        let Failing {
            since, failures, ..
        } = state.failing.take()?;
        state.told_at = None;
        let failed_s = now.since(since).as_secs();
        tracing::info!(sink = %self.id, kind = self.kind, failed_s, failures, "sink works again");
        Some(News::WorksAgain)
    }

    /// Told at once, then at most once in [`TELL_INTERVAL`].
    pub fn note_failure(&self, error: &str, now: Wall) -> Option<News> {
        let mut state = self.state();
        state.failures += 1;
        let (since, failures) = match &state.failing {
            Some(failing) => (failing.since, failing.failures + 1),
            None => (now, 1),
        };
        let failing = Failing {
            since,
            failures,
            error: error.to_owned(),
        };
        state.failing = Some(failing.clone());
        match state.told_at {
            Some(told_at) if now.since(told_at) < TELL_INTERVAL => return None,
            Some(_) => {
                let failing_s = now.since(since).as_secs();
                tracing::warn!(sink = %self.id, kind = self.kind, error, failures, failing_s, "sink still fails: events wait on the ledger");
            }
            None => {
                tracing::warn!(sink = %self.id, kind = self.kind, error, "sink fails: events wait on the ledger");
            }
        }
        state.told_at = Some(now);
        Some(News::Fails(failing))
    }

    pub fn note_refused(&self) {
        self.state().refused += 1;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use config::snapshot::{
        Envelope, FileCompression, FileSink, RecordKind, SinkBatch, SinkKind, SinkStart,
    };

    use super::*;

    fn health() -> Health {
        Health::new(&Sink {
            id: "archive".into(),
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
    fn a_failing_sink_is_told_at_once_then_once_a_minute_with_the_count_and_when_it_is_back() {
        let health = health();
        let at = Wall::from_secs;
        let told: Vec<(i64, u64)> = (0..=150)
            .step_by(10)
            .filter_map(
                |second| match health.note_failure("no such folder", at(second))? {
                    News::Fails(failing) => {
                        assert_eq!(failing.since, at(0));
                        Some((second, failing.failures))
                    }
                    News::WorksAgain => panic!("it does not"),
                },
            )
            .collect();
        assert_eq!(told, [(0, 1), (60, 7), (120, 13)]);
        assert_eq!(health.note_delivered(1, at(160)), Some(News::WorksAgain));
        assert_eq!(health.note_delivered(1, at(161)), None);
        assert!(health.note_failure("no such folder", at(162)).is_some());
        assert_eq!(health.note_works(at(163)), Some(News::WorksAgain));
    }
}
