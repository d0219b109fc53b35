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

    pub fn note_delivered(&self, events: u64, now: Wall) {
        let mut state = self.state();
        state.delivered += events;
        state.last_success = Some(now);
        if let Some(Failing { since, .. }) = state.failing.take() {
            let failed_s = now.since(since).as_secs();
            tracing::info!(sink = %self.id, kind = self.kind, failed_s, "sink works again");
        }
    }

    pub fn note_failure(&self, error: &str, now: Wall) {
        let mut state = self.state();
        state.failures += 1;
        let since = match &state.failing {
            Some(failing) => failing.since,
            None => {
                tracing::warn!(sink = %self.id, kind = self.kind, error, "sink fails: events wait on the ledger");
                now
            }
        };
        state.failing = Some(Failing {
            since,
            error: error.to_owned(),
        });
    }

    pub fn note_refused(&self) {
        self.state().refused += 1;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
