//! Copies of records for other systems: Kafka, files, collectors, webhooks.
//!
//! Each sink follows the ledger with a cursor of its own, which moves when a batch was acknowledged.
//! So the ledger is the queue: a sink that is down costs a call nothing and loses nothing, across
//! restarts too, and an event may come twice, under the same id. Nothing here is on a call's way.

mod backoff;
mod batch;
mod destination;
mod event;
mod failing;
mod file;
mod health;
mod kafka;
mod otlp;
mod post;
mod refused;
mod run;
mod source;
mod trial;
mod webhook;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use config::snapshot::{RecordKind, Sink, SinkKind, Telemetry};
use config::{Problem, Snapshot};
use domain::SinkId;
use tokio::task::JoinHandle;
use tokio_util::sync::DropGuard;

use crate::audit::stores::Stores;
use crate::credentials::Credentials;
use crate::tls;
use destination::Destination;
use health::Health;
use run::Work;
use source::Origin;

pub use failing::read as failing_of;
pub use health::{Failing, SinkHealth};
pub use trial::try_out;

/// What a stopping gateway gives its sinks, all together, to take the last calls. What they do not
/// take in time they get after the next start.
const LAST_DELIVERY: Duration = Duration::from_secs(5);

pub struct Sinks {
    data_dir: PathBuf,
    running: Mutex<BTreeMap<SinkId, Running>>,
}

struct Running {
    definition: Arc<Sink>,
    telemetry: Telemetry,
    health: Arc<Health>,
    /// Comes back with the sink's state when the task is told to end.
    task: JoinHandle<Work>,
    _stop: DropGuard,
}

/// What is wrong with sinks' certificates: only their user can find out.
pub fn check(snapshot: &Snapshot) -> Vec<Problem> {
    let tls = snapshot.sinks.iter().filter_map(|sink| match &sink.kind {
        SinkKind::Kafka(kafka) => kafka.tls.as_ref(),
        SinkKind::File(_) | SinkKind::Otlp(_) | SinkKind::Webhook(_) => None,
    });
    tls::written_wrongly(tls)
}

impl Sinks {
    pub fn new(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            running: Mutex::default(),
        }
    }

    /// Has the snapshot's sinks run, and no other. One that did not change goes on as it is.
    pub fn sync(&self, snapshot: &Snapshot, stores: &Stores, credentials: &Credentials) {
        let mut running = self.running();
        let mut before = std::mem::take(&mut *running);
        // Who sends, as collectors are told.
        let telemetry = Telemetry {
            otlp: None,
            ..snapshot.settings.telemetry.clone()
        };
        for sink in &snapshot.sinks {
            let known = before.remove(&sink.id);
            let next = match known {
                Some(known)
                    if known.definition == *sink
                        && known.telemetry == telemetry
                        && !known.task.is_finished() =>
                {
                    known
                }
                known => {
                    let Some(origin) = self.origin(sink, stores) else {
                        continue;
                    };
                    self.start((sink, origin), &telemetry, known, credentials)
                }
            };
            running.insert(sink.id.clone(), next);
        }
    }

    fn origin(&self, sink: &Sink, stores: &Stores) -> Option<Origin> {
        match &sink.records {
            RecordKind::Usage => Some(Origin::Ledger(self.data_dir.as_path().into())),
            RecordKind::Audit(records) => {
                // Every store that a sink names is one of the snapshot's, which are there before it.
                let store = stores.get(&records.store)?;
                Some(Origin::audit(&store, records.clone()))
            }
        }
    }

    /// After the one before it has ended: they share a cursor, and perhaps a file.
    fn start(
        &self,
        (sink, origin): (&Arc<Sink>, Origin),
        telemetry: &Telemetry,
        before: Option<Running>,
        credentials: &Credentials,
    ) -> Running {
        let health = Arc::new(Health::new(sink));
        let stop = credentials.stop.child_token();
        let destination = Destination::new(sink, telemetry, credentials);
        let mut work = Work::new(
            sink.clone(),
            destination,
            (self.data_dir.clone(), origin),
            health.clone(),
            credentials,
        );
        if before.is_none() {
            // Here, before any call is taken: `from: now` is now. A few milliseconds.
            work.find_place();
        }
        let told = stop.clone();
        let task = credentials.tasks.spawn(async move {
            ended(before).await;
            work.run(told).await
        });
        Running {
            definition: sink.clone(),
            telemetry: telemetry.clone(),
            health,
            task,
            _stop: stop.drop_guard(),
        }
    }

    /// Of each sink, by id.
    pub fn health(&self) -> Vec<SinkHealth> {
        let running = self.running();
        running
            .values()
            .map(|running| running.health.read(&running.definition))
            .collect()
    }

    /// After the ledger was closed: what its last transactions brought.
    pub async fn finish(self) {
        let running = self.running.into_inner();
        let running = running.unwrap_or_else(PoisonError::into_inner);
        let last = running.into_values().map(|running| async {
            let Running { task, _stop, .. } = running;
            if let Ok(work) = task.await {
                work.deliver_the_rest().await;
            }
        });
        let mut tasks = tokio::task::JoinSet::new();
        for delivery in last {
            tasks.spawn(delivery);
        }
        if tokio::time::timeout(LAST_DELIVERY, tasks.join_all())
            .await
            .is_err()
        {
            tracing::warn!(
                "a sink did not take the last calls in time: it gets them after the next start"
            );
        }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<SinkId, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ended(before: Option<Running>) {
    if let Some(Running { task, _stop, .. }) = before {
        drop(_stop);
        // However it ended.
        drop(task.await);
    }
}
