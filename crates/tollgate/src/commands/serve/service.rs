//! A gateway with its sockets and files: opened in order, closed in the reverse one.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use config::Snapshot;
use config::snapshot::Settings;
use gateway::backfill::Candidates;
use gateway::server::{self, Face};
use gateway::{Clock, Gateway};
use store::ledger::Options;
use store::{Counters, Ledger};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A key service that takes longer at a start costs audit records, and no more of the start.
const KEY_SERVICE_PATIENCE: Duration = Duration::from_secs(10);

pub struct Service {
    gateway: Arc<Gateway>,
    /// Accept loops; each ends when `shutdown` is told and its calls are over.
    listeners: TaskTracker,
    shutdown: CancellationToken,
    /// Of these, some take a restart to change.
    running: Settings,
}

impl Service {
    pub async fn start(snapshot: Snapshot, clock: Clock) -> Result<Self> {
        let settings = snapshot.settings.clone();
        // Ports first: a second gateway by mistake ends here, before it touches any file.
        let public = bind(settings.listen, "listen").await?;
        let admin = match settings.admin_listen {
            Some(address) => Some(bind(address, "admin.listen").await?),
            None => None,
        };
        create_data_dir(&settings.data_dir)?;
        let now = clock.now();
        let options = Options {
            time_zone: settings.time_zone.clone(),
            ..Options::default()
        };
        let opened = Ledger::open_with(&settings.data_dir, now, &options);
        let (ledger, recovered) = opened.with_context(|| {
            format!(
                "cannot open the ledger in `{}` (data_dir)",
                settings.data_dir.display()
            )
        })?;
        let counters = Counters::memory();
        counters.restore(&recovered.counters, &snapshot.every_limit(), now);
        Candidates::of(&snapshot, &settings.data_dir, now)
            .find()
            .credit(&counters, &snapshot, now);
        let interrupted = recovered.interrupted;
        if !interrupted.is_empty() || recovered.replayed > 0 {
            tracing::warn!(
                interrupted = interrupted.len(),
                replayed = recovered.replayed,
                "the last run ended without closing its ledger: nothing is lost"
            );
        }
        let started = Started {
            listen: public.local_addr().context("the listener has no address")?,
            admin: admin
                .as_ref()
                .and_then(|listener| listener.local_addr().ok()),
        };
        started.log(&snapshot);

        let gateway = Gateway::new(snapshot, counters, ledger, clock).context("cannot start")?;
        gateway
            .start_alerts(&settings.data_dir)
            .context("cannot look for alerts")?;
        gateway.audit.opened(KEY_SERVICE_PATIENCE).await;
        gateway::audit::record_interrupted(&gateway, &interrupted);
        gateway.use_disk();
        let (listeners, shutdown) = (TaskTracker::new(), CancellationToken::new());
        listeners.spawn(server::serve(
            gateway.clone(),
            public,
            Face::Public,
            shutdown.clone(),
        ));
        if let Some(admin) = admin {
            listeners.spawn(server::serve(
                gateway.clone(),
                admin,
                Face::Admin,
                shutdown.clone(),
            ));
        }
        listeners.close();
        Ok(Self {
            gateway,
            listeners,
            shutdown,
            running: settings,
        })
    }

    pub fn revision(&self) -> u64 {
        self.gateway.snapshot.load().revision
    }

    /// For the metrics: what was read did not make a configuration.
    pub fn count_failed_reload(&self) {
        self.gateway.telemetry.count_failed_reload();
    }

    /// Puts a configuration in force. Calls in flight end under the one that they began with.
    pub async fn reload(&self, snapshot: Snapshot, cause: &str) {
        for field in needing_restart(&self.running, &snapshot.settings) {
            tracing::warn!(
                field,
                "a restart is needed for this field: the running value stays"
            );
        }
        let counts = Counts::of(&snapshot);
        let counted = self
            .gateway
            .reload_counting(snapshot, &self.running.data_dir);
        match counted.await {
            Ok(()) => tracing::info!(
                cause,
                revision = self.revision(),
                subscriptions = counts.subscriptions,
                models = counts.models,
                backends = counts.backends,
                "configuration in force"
            ),
            Err(error) => {
                tracing::error!(cause, %error, revision = self.revision(), "not loaded: the configuration in force stays");
            }
        }
    }

    /// Lets open calls finish, then puts everything that they recorded into the database.
    pub async fn stop(self) {
        let Self {
            gateway,
            listeners,
            shutdown,
            running: _,
        } = self;
        shutdown.cancel();
        listeners.wait().await;
        gateway.close().await;
        tracing::info!("stopped");
    }
}

async fn bind(address: SocketAddr, field: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("{field}: cannot listen on {address}; stop what has the port, or choose another")
    })
}

/// Usage is nobody else's business on this machine.
fn create_data_dir(dir: &Path) -> Result<()> {
    disk::private::create_directory(dir).with_context(|| {
        format!(
            "data_dir: cannot create `{}`; choose a folder that the gateway may write to",
            dir.display()
        )
    })
}

fn needing_restart(running: &Settings, wanted: &Settings) -> Vec<&'static str> {
    let changed = [
        ("listen", running.listen != wanted.listen),
        ("admin.listen", running.admin_listen != wanted.admin_listen),
        (
            "limits.connections",
            running.connections_max != wanted.connections_max,
        ),
        ("data_dir", running.data_dir != wanted.data_dir),
    ];
    changed
        .into_iter()
        .filter_map(|(field, changed)| changed.then_some(field))
        .collect()
}

struct Counts {
    subscriptions: usize,
    models: usize,
    backends: usize,
}

impl Counts {
    fn of(snapshot: &Snapshot) -> Self {
        Self {
            subscriptions: snapshot.subscriptions.len(),
            models: snapshot.models.len(),
            backends: snapshot.backends.len(),
        }
    }
}

struct Started {
    listen: SocketAddr,
    admin: Option<SocketAddr>,
}

impl Started {
    fn log(&self, snapshot: &Snapshot) {
        let Counts {
            subscriptions,
            models,
            backends,
        } = Counts::of(snapshot);
        tracing::info!(
            listen = %self.listen,
            admin = self.admin.map(tracing::field::display),
            revision = snapshot.revision,
            subscriptions,
            models,
            backends,
            version = env!("CARGO_PKG_VERSION"),
            "tollgate started"
        );
    }
}
