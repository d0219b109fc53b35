//! The stores of audit records that this gateway writes to, for as long as it runs.
//!
//! One that cannot be opened is tried again: calls that require it are refused meanwhile, others go
//! on and are counted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use ::audit::{Archive, AuditError, AuditLog, Draft, Settings, Whose};
use arc_swap::ArcSwap;
use config::snapshot::{AuditStore, Kek};
use config::{Problem, Snapshot};
use domain::{AuditStoreId, CallId, Wall};
use foldhash::HashSet;
use tokio::task::JoinHandle;

use super::keys;
use crate::credentials::Credentials;

#[derive(Default)]
pub struct Stores {
    open: ArcSwap<BTreeMap<AuditStoreId, Arc<Store>>>,
    /// First tries that ask a key service and so go on beside.
    opening: Mutex<Vec<JoinHandle<()>>>,
}

pub struct Store {
    definition: Arc<AuditStore>,
    log: OnceLock<AuditLog>,
    /// Why it is not open.
    fault: Mutex<Option<String>>,
    counts: Counts,
}

/// Of this process.
#[derive(Default)]
struct Counts {
    /// Records that could not be written, and calls that were refused for it.
    failed: AtomicU64,
    refused_calls: AtomicU64,
    purged: AtomicU64,
    /// When the oldest call began whose content is here; 0 if there is none.
    oldest_ms: AtomicI64,
}

/// For metrics, readiness and alerts.
#[derive(Clone, Debug)]
pub struct StoreHealth {
    pub id: AuditStoreId,
    pub written: u64,
    pub failed: u64,
    pub refused_calls: u64,
    pub purged: u64,
    pub entries: u64,
    pub unsigned: u64,
    pub bytes: u64,
    pub behind_bytes: u64,
    pub oldest: Option<Wall>,
    /// Why records cannot be written, or why they wait to be chained.
    pub append_fault: Option<String>,
    pub chain_fault: Option<String>,
}

impl StoreHealth {
    /// By part, as metrics and alerts name it.
    pub fn faults(&self) -> [(&'static str, Option<&String>); 2] {
        [
            ("records", self.append_fault.as_ref()),
            ("chain", self.chain_fault.as_ref()),
        ]
    }
}

/// A store cannot become another one while calls write to it.
#[derive(Debug, thiserror::Error)]
#[error("audit_stores[{0}]: its folder stays as long as the gateway runs; restart it")]
pub struct Moved(AuditStoreId);

/// What only their user can find out of stores: keys that are none, and regions that are not what their
/// folders were made with.
pub fn check(snapshot: &Snapshot) -> Vec<Problem> {
    let stores = &snapshot.auditing.stores;
    let mut problems: Vec<Problem> = stores.iter().filter_map(|store| moved(store)).collect();
    let keks = stores
        .iter()
        .flat_map(|store| std::iter::once(&store.kek).chain(&store.previous));
    problems.extend(keks.filter_map(faulty));
    problems
}

/// Records do not move with a word: those under a new one would stand beside those under the old.
fn moved(store: &AuditStore) -> Option<Problem> {
    let made = ::audit::region_of(&store.dir).filter(|made| *made != store.region)?;
    let dir = store.dir.display();
    Some(store.region_written.error(
        format!("the store in {dir} was made in region `{made}`"),
        format!("write `region: {made}`, or name another `dir`"),
    ))
}

fn faulty(kek: &Kek) -> Option<Problem> {
    match kek {
        Kek::Given { id, key, written } => {
            let fault = ::audit::Kek::from_base64(id, key.reveal()).err();
            let fix = "make one with `openssl rand -base64 32`";
            fault.map(|_| written.error("the key is not 32 bytes in base64", fix))
        }
        Kek::Generated | Kek::Vault(_) | Kek::AzureKeyVault(_) => None,
    }
}

/// How a store of the configuration is one of the crate's.
pub fn settings(store: &AuditStore) -> Settings {
    let mut settings = Settings::new(&store.dir, &store.region);
    settings.content_bytes_max = store.content_bytes_max;
    settings.bytes_max = store.bytes_max;
    // A segment must hold several records of the largest kind.
    let largest = 4 * store.content_bytes_max as u64;
    settings.segment_bytes = settings.segment_bytes.max(largest);
    settings
}

/// For commands and jobs beside the one that writes.
pub fn archive(
    store: &AuditStore,
    credentials: &Credentials,
    now: Wall,
) -> Result<Archive, AuditError> {
    let keys = keys::keys(store, credentials, false).map_err(AuditError::Keys)?;
    Archive::open(settings(store), keys, now)
}

impl Stores {
    pub fn get(&self, id: &AuditStoreId) -> Option<Arc<Store>> {
        self.open.load().get(id).cloned()
    }

    pub fn all(&self) -> Vec<Arc<Store>> {
        self.open.load().values().cloned().collect()
    }

    pub fn health(&self) -> Vec<StoreHealth> {
        self.open
            .load()
            .values()
            .map(|store| store.health())
            .collect()
    }

    /// Whether the snapshot's stores can be had beside those that are open.
    pub fn check(&self, snapshot: &Snapshot) -> Result<(), Moved> {
        let open = self.open.load();
        for store in &snapshot.auditing.stores {
            let known = open.get(&store.id).map(|known| &known.definition);
            if known.is_some_and(|known| known.dir != store.dir) {
                return Err(Moved(store.id.clone()));
            }
        }
        Ok(())
    }

    /// Opens what is new. One that is no longer named stays open until the gateway ends: calls under
    /// way write to it.
    pub fn sync(&self, snapshot: &Snapshot, credentials: &Credentials) {
        let mut open = BTreeMap::clone(&self.open.load());
        for definition in &snapshot.auditing.stores {
            if let Some(known) = open.get(&definition.id) {
                if known.definition != *definition {
                    let store = &definition.id;
                    tracing::warn!(%store, "a restart is needed for this audit store: the running values stay");
                }
                continue;
            }
            let store = Arc::new(Store::new(definition.clone()));
            if keys::asks_a_service(definition) {
                let (opened, credentials) = (store.clone(), credentials.clone());
                let tasks = credentials.tasks.clone();
                let opening = tasks.spawn_blocking(move || opened.open(&credentials));
                self.opening().push(opening);
            } else {
                // Here, so that the first call finds it: a few milliseconds.
                store.open(credentials);
            }
            open.insert(definition.id.clone(), store);
        }
        self.open.store(Arc::new(open));
    }

    /// Waits until each store was tried once, for so long at most. At a start: calls that come before a
    /// store is open leave no record, unless they require one.
    pub async fn opened(&self, patience: Duration) {
        let opening = std::mem::take(&mut *self.opening());
        let tried = async {
            for one in opening {
                // What it found is in the store's health.
                let _ = one.await;
            }
        };
        if tokio::time::timeout(patience, tried).await.is_err() {
            tracing::warn!("audit stores are still being opened: their key service is slow");
        }
    }

    fn opening(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.opening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Chains and signs everything. Blocks; nobody writes any more.
    pub fn close(self, now: Wall) {
        let open = self.open.into_inner();
        let Some(open) = Arc::into_inner(open) else {
            tracing::warn!(
                "something still uses the audit stores: the next start chains their records"
            );
            return;
        };
        for store in open.into_values() {
            let log = Arc::into_inner(store).and_then(|store| store.log.into_inner());
            if let Some(log) = log {
                log.close(now);
            }
        }
    }
}

impl Store {
    fn new(definition: Arc<AuditStore>) -> Self {
        Self {
            definition,
            log: OnceLock::new(),
            fault: Mutex::new(Some("it is being opened".to_owned())),
            counts: Counts::default(),
        }
    }

    pub fn id(&self) -> &AuditStoreId {
        &self.definition.id
    }

    /// Tries, unless it is open. Blocks, for seconds where a key service is asked.
    pub(super) fn open(&self, credentials: &Credentials) {
        // Held while opening: two threads must not both take the folder's lock.
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if self.log.get().is_some() {
            return;
        }
        let now = credentials.clock.now().wall;
        let opened = keys::keys(&self.definition, credentials, true).and_then(|keys| {
            let log = AuditLog::open(settings(&self.definition), keys, now);
            log.map_err(|error| error.to_string())
        });
        match opened {
            Ok(log) => {
                *fault = None;
                // Nobody else sets it: the lock is held.
                let _ = self.log.set(log);
                let (store, region) = (self.id(), &self.definition.region);
                tracing::info!(%store, region, "audit store open");
            }
            Err(error) => {
                if fault.as_ref() != Some(&error) {
                    let store = self.id();
                    tracing::error!(%store, error, "an audit store cannot be opened: calls that require it are refused");
                }
                *fault = Some(error);
            }
        }
    }

    pub(crate) fn log(&self) -> Option<&AuditLog> {
        self.log.get()
    }

    /// Whether a record would be taken now: there is room, and it can be sealed.
    pub fn can_take(&self, whose: Whose<'_>) -> bool {
        let can = |log: &AuditLog| log.has_room() && log.can_seal(whose);
        self.log.get().is_some_and(can)
    }

    pub fn content_bytes_max(&self) -> usize {
        self.definition.content_bytes_max
    }

    pub fn append(&self, draft: &Draft<'_>, now: Wall) {
        let taken = self
            .log
            .get()
            .is_some_and(|log| log.append(draft, now).is_ok());
        if !taken {
            self.counts.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Those of these calls that have a record. Blocks.
    pub(super) fn recorded(&self, calls: &[CallId]) -> Result<HashSet<CallId>, AuditError> {
        match self.log.get() {
            Some(log) => Archive::of(log)?.recorded(calls),
            // It is being opened, or cannot be: they are counted as not written.
            None => Ok(HashSet::default()),
        }
    }

    pub fn count_refused_call(&self) {
        self.counts.refused_calls.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_retention(&self, purged: u64, oldest: Option<Wall>) {
        self.counts.purged.fetch_add(purged, Ordering::Relaxed);
        let oldest = oldest.map_or(0, |at| at.0);
        self.counts.oldest_ms.store(oldest, Ordering::Relaxed);
    }

    pub fn health(&self) -> StoreHealth {
        let levels = self.log.get().map(AuditLog::levels).unwrap_or_default();
        let fault = || self.fault.try_lock().map_or(None, |fault| fault.clone());
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let oldest_ms = self.counts.oldest_ms.load(Ordering::Relaxed);
        StoreHealth {
            id: self.id().clone(),
            written: levels.appended,
            failed: count(&self.counts.failed) + levels.lost,
            refused_calls: count(&self.counts.refused_calls),
            purged: count(&self.counts.purged),
            entries: levels.entries,
            unsigned: levels.unsigned,
            bytes: levels.bytes_on_disk,
            behind_bytes: levels.behind_bytes,
            oldest: (oldest_ms != 0).then_some(Wall(oldest_ms)),
            append_fault: match self.log.get() {
                Some(_) => levels.append_fault,
                None => fault().or_else(|| Some("it is being opened".to_owned())),
            },
            chain_fault: levels.chain_fault,
        }
    }
}
