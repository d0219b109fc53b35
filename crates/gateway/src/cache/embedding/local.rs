//! The local model as calls use it.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use config::snapshot::LocalEmbedder;
use embed::pool::{Load, PoolError, Settings};
use embed::{Embedding, Model, Pool};
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::Unembedded;
use crate::clock::Clock;

/// Questions that may wait for each thread: at 30 pieces each, longer than any would wait.
const WAITING_MAX: usize = 64;

pub struct Local {
    pool: Pool,
}

impl Local {
    /// Starts its threads, which wait; the model is loaded by the first question.
    pub fn start(local: &LocalEmbedder, data_dir: &Path, clock: Clock) -> std::io::Result<Self> {
        let threads = usize::try_from(local.threads)
            .ok()
            .and_then(NonZero::new)
            .unwrap_or(NonZero::<usize>::MIN);
        let settings = Settings {
            threads,
            waiting_max: WAITING_MAX * threads.get(),
        };
        let folders = folders(local, data_dir);
        let time = Box::new(move || Duration::from_nanos(clock.mono().0));
        let pool = Pool::start(&settings, loading(folders), time)?;
        Ok(Self { pool })
    }

    /// Dropping the future takes the question back.
    pub async fn embed(&self, text: Arc<str>, timeout: Duration) -> Result<Embedding, Unembedded> {
        let (tell, told) = oneshot::channel();
        let answered = Box::new(move |answer| {
            // Nobody waits any more.
            let _ = tell.send(answer);
        });
        let _ticket = self.pool.ask(text, answered).map_err(unembedded)?;
        match tokio::time::timeout(timeout, told).await {
            Err(_elapsed) => Err(Unembedded::Late),
            Ok(Err(_dropped)) => Err(Unembedded::Failed),
            Ok(Ok(answer)) => answer.map_err(unembedded),
        }
    }
}

fn unembedded(error: PoolError) -> Unembedded {
    match error {
        PoolError::TooLong => Unembedded::TooLong,
        PoolError::Busy => Unembedded::Busy,
        // What went wrong with loading was logged where it happened.
        PoolError::Unloaded(_) | PoolError::Closed => Unembedded::Failed,
        PoolError::Failed(why) => {
            warn!(%why, "a question could not be embedded");
            Unembedded::Failed
        }
    }
}

/// Where the model's file may be, in this order.
pub fn folders(local: &LocalEmbedder, data_dir: &Path) -> Vec<PathBuf> {
    if let Some(models) = &local.models {
        return vec![models.clone()];
    }
    let cache = embed::user_cache(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"));
    std::iter::once(data_dir.join("models"))
        .chain(cache)
        .collect()
}

/// Tried again by the pool after a while, so this logs now and then at most.
fn loading(folders: Vec<PathBuf>) -> Load {
    Box::new(move || {
        let opened = embed::find(&folders)
            .map_err(|missing| missing.to_string())
            .and_then(|files| Model::open(&files).map_err(|error| error.to_string()));
        match opened {
            Ok(model) => {
                info!("local model loaded");
                Ok(Arc::new(model))
            }
            Err(why) => {
                warn!(%why, "the local model cannot be used: no question is compared by meaning");
                Err(why)
            }
        }
    })
}
