//! What stores need from time to time: heads signed, content past its days removed, and another try
//! for one that could not be opened.

use std::sync::Arc;
use std::time::Duration;

use ::audit::{Actor, Archive, AuditError, Purged};
use domain::Wall;
use tokio_util::sync::CancellationToken;

use super::stores::Store;
use crate::gateway::Gateway;

/// Between two looks. A signed head is due after a minute.
const TICK: Duration = Duration::from_secs(10);
/// Between two looks for content past its days.
const PURGE_INTERVAL: Duration = Duration::from_secs(3_600);

/// For as long as the gateway runs.
pub fn start(gateway: &Arc<Gateway>, stop: &CancellationToken) {
    let (weak, told) = (Arc::downgrade(gateway), stop.clone());
    let job = async move {
        let mut purged_at: Option<Wall> = None;
        loop {
            tokio::time::sleep(TICK).await;
            let Some(gateway) = weak.upgrade() else {
                return;
            };
            let stores = gateway.audit.all();
            if stores.is_empty() {
                continue;
            }
            let now = gateway.clock.now().wall;
            let purge_is_due = purged_at.is_none_or(|at| now.since(at) >= PURGE_INTERVAL);
            if purge_is_due {
                purged_at = Some(now);
            }
            let credentials = gateway.credentials().clone();
            let looked = gateway.tasks.spawn_blocking(move || {
                for store in stores {
                    let Some(log) = store.log() else {
                        store.open(&credentials);
                        continue;
                    };
                    log.tick(now);
                    if purge_is_due {
                        retain(&store, now);
                    }
                }
            });
            drop(gateway);
            if looked.await.is_err() {
                tracing::error!("looking after the audit stores broke off");
            }
        }
    };
    gateway
        .tasks
        .spawn(async move { told.run_until_cancelled(job).await });
}

/// Removes content that is past its days and on no hold. Blocks.
pub fn retain(store: &Store, now: Wall) {
    match purge(store, now) {
        Ok(Purged {
            records: 0,
            keys: 0,
            ..
        }) => {}
        Ok(Purged {
            records,
            held,
            keys,
            files,
            missed,
        }) => {
            let store = store.id();
            tracing::info!(%store, records, held, keys, files, "content past its retention, or keys that seal nothing any more, were removed");
            for (sink, records) in missed {
                tracing::error!(%store, sink, records, "a sink lags: content went that it had yet to take, because retention waits for no sink");
            }
        }
        Err(error) => {
            let store = store.id();
            tracing::error!(%store, %error, "content past its retention could not be removed");
        }
    }
}

fn purge(store: &Store, now: Wall) -> Result<Purged, AuditError> {
    let Some(log) = store.log() else {
        return Ok(Purged::default());
    };
    let mut archive = Archive::of(log)?;
    let actor = Actor {
        by: "gateway".to_owned(),
        role: "system".to_owned(),
        reason: "retention".to_owned(),
    };
    let purged = archive.purge(&actor, now)?;
    store.note_retention(purged.records, archive.oldest()?);
    Ok(purged)
}
