//! Alerts: looks at budgets, spend and health now and then, off the path of calls, and tells channels.
//!
//! What is worth telling is decided by `domain::alert`, `domain::forecast` and `domain::pace`. What
//! was told, and what waits, is in the outbox, `store::Alerts`: written before it is sent.

pub mod channel;
pub mod message;

mod budget_text;
mod budgets;
mod conditions;
mod counts;
mod deliver;
mod facts;
mod pace;
mod unpriced;
mod watch;
mod words;

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use store::alerts::AlertsError;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;

pub use channel::{Undelivered, send, signature};
pub use counts::Kind;
pub use message::{Message, Severity};

pub(crate) use counts::{Counts, Ending};

use facts::Facts;
use watch::Watch;

/// Between two looks. A threshold is told within this time and a delivery's.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Of one gateway. Does nothing until it is started.
#[derive(Default)]
pub struct Alerts {
    running: OnceLock<Running>,
    /// There is something new to deliver, or channels have changed.
    wake: Notify,
    pub(crate) counts: Arc<Counts>,
}

struct Running {
    outbox: Arc<store::Alerts>,
    /// Locked by one look at a time, on a thread that may block.
    watch: Arc<Mutex<Watch>>,
    /// Held by one pass at a time: two would send the same message twice.
    delivering: tokio::sync::Mutex<()>,
}

impl Alerts {
    /// Opens the outbox in `dir`, next to the ledger; then looks and delivers until `stop`.
    pub fn start(
        gateway: &Arc<Gateway>,
        dir: &Path,
        stop: &CancellationToken,
    ) -> Result<(), AlertsError> {
        let outbox = Arc::new(store::Alerts::open(dir)?);
        let alerts = &gateway.alerts;
        let watch = Watch::new(
            outbox.clone(),
            dir.to_owned(),
            gateway.chance.clone(),
            alerts.counts.clone(),
        );
        let running = Running {
            outbox,
            watch: Arc::new(Mutex::new(watch)),
            delivering: tokio::sync::Mutex::default(),
        };
        if alerts.running.set(running).is_err() {
            return Ok(());
        }
        let weak = Arc::downgrade(gateway);
        let looking = async move {
            loop {
                tokio::time::sleep(LOOK_INTERVAL).await;
                let Some(gateway) = weak.upgrade() else {
                    return;
                };
                gateway.alerts.look(&gateway).await;
            }
        };
        let stopped = stop.clone();
        gateway
            .tasks
            .spawn(async move { stopped.run_until_cancelled(looking).await });
        let (weak, stopped) = (Arc::downgrade(gateway), stop.clone());
        gateway
            .tasks
            .spawn(async move { stopped.run_until_cancelled(deliver::deliver(weak)).await });
        Ok(())
    }

    /// Looks once at everything, and writes down what is to be told.
    pub async fn look(&self, gateway: &Gateway) {
        let Some(Running { watch, .. }) = self.running.get() else {
            return;
        };
        let facts = Facts::of(gateway);
        let watch = watch.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let mut watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
            watch.look(&facts)
        });
        // A panic in there has been reported; the next look begins anew.
        if looked.await.unwrap_or(false) {
            self.wake.notify_one();
        }
    }

    /// Sends what is due now, once. Gives when the next is.
    pub async fn deliver_due(&self, gateway: &Gateway) -> Option<domain::Wall> {
        let running = self.running.get()?;
        let _one_at_a_time = running.delivering.lock().await;
        deliver::pass(&running.outbox, gateway).await
    }
}
