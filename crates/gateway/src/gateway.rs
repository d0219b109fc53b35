//! The parts that calls share, put together and swapped.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use config::Snapshot;
use store::alerts::AlertsError;
use store::{Counters, Ledger};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::alerts::Alerts;
use crate::audit::{self, stores::Stores};
use crate::backfill::Candidates;
use crate::cache::ResponseCache;
use crate::clock::{Chance, Clock};
use crate::credentials::Credentials;
use crate::estimates::Estimates;
use crate::fetch::Fetch;
use crate::guards::hash_key::{HashKeyError, KeptHashKey};
use crate::guards::service::Services;
use crate::identity::Authenticator;
use crate::overload::Overload;
use crate::router::Router;
use crate::sinks::{self, Sinks};
use crate::telemetry::Telemetry;
use crate::tls::{self, Certificates, ClientTlsError};
use crate::upstream;

pub struct Gateway {
    pub snapshot: ArcSwap<Snapshot>,
    pub authenticator: Authenticator,
    pub counters: Counters,
    pub estimates: Estimates,
    pub router: Router,
    /// That judge content.
    pub services: Arc<Services>,
    credentials: Credentials,
    pub ledger: Ledger,
    pub alerts: Alerts,
    /// For alerts: they go to hosts that calls do not.
    pub(crate) fetch: Fetch,
    /// Where calls that go on record leave what was said.
    pub audit: Stores,
    /// Answers that may be given again.
    pub cache: ResponseCache,
    /// Copies of records for other systems.
    pub sinks: Sinks,
    pub telemetry: Telemetry,
    /// Of hashes in the place of values, where the configuration has no key.
    pub hash_key: KeptHashKey,
    pub overload: Arc<Overload>,
    /// What the listeners show their clients.
    pub certificates: Certificates,
    pub clock: Clock,
    pub chance: Arc<Chance>,
    /// Everything that outlives a call's future; shutdown waits for it.
    pub tasks: TaskTracker,
    /// Ends what runs for as long as the gateway does.
    stop: CancellationToken,
}

/// Between two sweeps of idle counters and connections.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{}", tls::listed(.0))]
    Certificates(Vec<config::Problem>),
    #[error(transparent)]
    ClientTls(#[from] ClientTlsError),
    #[error("a backend's address cannot be used: {0}")]
    Address(#[from] http::Error),
    #[error(transparent)]
    HashKey(#[from] HashKeyError),
    #[error(transparent)]
    AuditStores(#[from] audit::stores::Moved),
    #[error("the cache could not be opened: {0}")]
    Cache(#[from] ::cache::CacheError),
}

impl Gateway {
    /// `counters` come restored, `ledger` open.
    pub fn new(
        snapshot: Snapshot,
        counters: Counters,
        ledger: Ledger,
        clock: Clock,
    ) -> Result<Arc<Self>, StartError> {
        let chance = Arc::new(Chance::from_system(clock.now()));
        let (fetch, tasks, stop) = (
            Fetch::default(),
            TaskTracker::new(),
            CancellationToken::new(),
        );
        let credentials = Credentials {
            fetch: fetch.clone(),
            clock: clock.clone(),
            chance: chance.clone(),
            tasks: tasks.clone(),
            stop: stop.clone(),
        };
        let gateway = Arc::new(Self {
            authenticator: Authenticator::new(fetch.clone()),
            fetch,
            alerts: Alerts::default(),
            credentials,
            counters,
            estimates: Estimates::default(),
            router: Router::new(clock.clone(), chance.clone()),
            services: Arc::default(),
            ledger,
            audit: Stores::default(),
            cache: ResponseCache::open(&snapshot.caching, clock.now().wall)?,
            sinks: Sinks::new(snapshot.settings.data_dir.clone()),
            telemetry: Telemetry::new(clock.now()),
            hash_key: KeptHashKey::default(),
            overload: Arc::default(),
            certificates: Certificates::default(),
            clock,
            chance,
            tasks,
            stop,
            snapshot: ArcSwap::from_pointee(snapshot),
        });
        gateway.prepare(&gateway.snapshot.load())?;
        gateway.use_disk();
        gateway.sweep_now_and_then();
        Telemetry::start(&gateway, gateway.stop.clone());
        gateway.watch_for_overload();
        audit::start(&gateway, &gateway.stop);
        Ok(gateway)
    }

    /// For answers that may be given again. Nothing if it is used, or cannot be yet.
    pub fn use_disk(&self) {
        let now = self.clock.now().wall;
        self.cache.use_disk(&self.snapshot.load(), &self.audit, now);
    }

    /// Ends what runs for as long as the gateway does.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Looks for what is worth telling and tells it, from now on. `dir` is where the ledger is.
    pub fn start_alerts(self: &Arc<Self>, dir: &Path) -> Result<(), AlertsError> {
        Alerts::start(self, dir, &self.stop)
    }

    /// Swaps the configuration, all or nothing. Calls under way keep the one that they began with.
    pub fn reload(&self, snapshot: Snapshot) -> Result<(), StartError> {
        if let Err(error) = self.prepare(&snapshot) {
            self.telemetry.count_failed_reload();
            return Err(error);
        }
        self.snapshot.store(Arc::new(snapshot));
        self.telemetry.count_reload(self.clock.now());
        Ok(())
    }

    /// As `reload`; budgets that are new are charged with what calls of their running period cost
    /// before. `dir` is where the ledger is. Calls under way meanwhile are not counted.
    pub async fn reload_counting(
        self: &Arc<Self>,
        snapshot: Snapshot,
        dir: &Path,
    ) -> Result<(), StartError> {
        let candidates = Candidates::of(&snapshot, dir, self.clock.now());
        let found = self.tasks.spawn_blocking(|| candidates.find()).await;
        self.reload(snapshot)?;
        let Ok(found) = found else {
            return Ok(());
        };
        let gateway = self.clone();
        let credited = self.tasks.spawn_blocking(move || {
            let snapshot = gateway.snapshot.load();
            found.credit(&gateway.counters, &snapshot, gateway.clock.now());
        });
        // A panic in it is logged by the runtime's hook; the configuration is in force.
        drop(credited.await);
        Ok(())
    }

    /// Gives what the snapshot names its state, before any call can see it.
    fn prepare(&self, snapshot: &Snapshot) -> Result<(), StartError> {
        let certificates = self
            .certificates
            .read(&snapshot.settings)
            .map_err(StartError::Certificates)?;
        let problems = upstream::check(snapshot);
        if !problems.is_empty() {
            return Err(StartError::Certificates(problems));
        }
        let problems = sinks::check(snapshot);
        if !problems.is_empty() {
            return Err(StartError::Certificates(problems));
        }
        let problems = audit::stores::check(snapshot);
        if !problems.is_empty() {
            return Err(StartError::Certificates(problems));
        }
        self.audit.check(snapshot)?;
        if snapshot.need_hash_key() {
            self.hash_key.prepare(&snapshot.settings.data_dir)?;
        }
        self.router.sync(snapshot, &self.credentials)?;
        self.services.sync(snapshot, &self.credentials)?;
        self.certificates.replace(certificates);
        self.overload.set_bounds(&snapshot.settings);
        let spread = self.chance.roll() as f64 / u64::MAX as f64;
        self.authenticator
            .sync(snapshot, &self.tasks, &self.stop, spread);
        self.telemetry.sync(snapshot);
        self.audit.sync(snapshot, &self.credentials);
        self.sinks.sync(snapshot, &self.audit, &self.credentials);
        Ok(())
    }

    /// Frees what idle counter keys and connections hold after a burst of them.
    fn sweep_now_and_then(self: &Arc<Self>) {
        let (gateway, stop) = (Arc::downgrade(self), self.stop.clone());
        let sweep = async move {
            loop {
                tokio::time::sleep(SWEEP_INTERVAL).await;
                let Some(gateway) = gateway.upgrade() else {
                    return;
                };
                gateway.counters.sweep(gateway.clock.now());
                gateway.router.backends().sweep();
                gateway.services.sweep();
                gateway.cache.entries().tick(gateway.clock.now().wall);
                gateway.cache.vectors.sweep(gateway.clock.mono());
                if gateway.cache.wants_disk(&gateway.snapshot.load()) {
                    let late = gateway.clone();
                    gateway.tasks.spawn_blocking(move || late.use_disk());
                }
            }
        };
        self.tasks
            .spawn(async move { stop.run_until_cancelled(sweep).await });
    }

    /// Measures how long work waits for a processor.
    fn watch_for_overload(self: &Arc<Self>) {
        let (gateway, overload) = (Arc::downgrade(self), self.overload.clone());
        let stop = self.stop.clone();
        let watch = async move {
            let target = || {
                gateway.upgrade().map_or(Duration::MAX, |gateway| {
                    gateway.snapshot.load().settings.queue_delay
                })
            };
            overload.watch(target).await;
        };
        self.tasks
            .spawn(async move { stop.run_until_cancelled(watch).await });
    }

    /// After the listeners stopped: waits for what still runs, then for the ledger's database.
    pub async fn close(self: Arc<Self>) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let Some(gateway) = Arc::into_inner(self) else {
            // Nothing is lost: the journal keeps what the database lacks.
            tracing::warn!("something still uses the gateway: the next start completes its ledger");
            return;
        };
        let now = gateway.clock.now().wall;
        let Self {
            ledger,
            sinks,
            audit,
            cache,
            ..
        } = gateway;
        let closed = tokio::task::spawn_blocking(move || {
            // Writes what waits, under the store's keys.
            drop(cache);
            audit.close(now);
            ledger.close();
        });
        let closed = closed.await;
        if closed.is_err() {
            tracing::error!("closing the ledger failed: the next start completes it");
        }
        sinks.finish().await;
    }
}
