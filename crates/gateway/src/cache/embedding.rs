//! Vectors of texts: from the model within the gateway, or from a deployment. One within its time, or none.
//!
//! Never the reason why a call fails: whoever gets no vector goes on as if nothing were like its question.

pub mod local;

mod asking;
pub mod backend;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use config::Snapshot;
use config::snapshot::Embedder;
use http::HeaderMap;
use likeness::comparer::Reading;

use crate::gateway::Gateway;
use crate::identity::Caller;
use crate::router::Errand;

/// A longer text has more pieces than are read, unless it is mostly blank: nobody is even asked.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// Why there is no vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unembedded {
    TooLong,
    /// As many as may wait do, or are being asked for.
    Busy,
    Late,
    Failed,
    /// The deployment has no room for it.
    Throttled,
    /// A budget has none.
    Refused,
    /// The deployment answered something else than a vector.
    Unreadable,
    /// One that cannot be compared with those before it. Those after it may be like it.
    OtherLength,
}

impl Unembedded {
    pub const ALL: [Self; 8] = [
        Self::TooLong,
        Self::Busy,
        Self::Late,
        Self::Failed,
        Self::Throttled,
        Self::Refused,
        Self::Unreadable,
        Self::OtherLength,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Busy => "busy",
            Self::Late => "late",
            Self::Failed => "failed",
            Self::Throttled => "throttled",
            Self::Refused => "refused",
            Self::Unreadable => "unreadable",
            Self::OtherLength => "other_length",
        }
    }
}

/// Of unit length.
#[derive(Clone)]
pub struct Embedded {
    pub vector: Arc<[f32]>,
    /// What made it: vectors of different makers are not compared.
    pub by: Arc<str>,
    /// What the comparer needs of the text: only the local model has it, and not of a long one.
    pub reading: Option<Reading>,
}

/// How the texts of one call become vectors: as the configuration says that it sees, at its caller's cost.
#[derive(Clone)]
pub struct Embedding {
    pub snapshot: Arc<Snapshot>,
    payer: Option<Arc<Payer>>,
}

/// On whose behalf a deployment is asked, with what budgets tell calls apart by.
pub struct Payer {
    pub caller: Caller,
    pub headers: HeaderMap,
    pub ip: Option<IpAddr>,
}

impl Embedding {
    pub fn of(snapshot: &Arc<Snapshot>, caller: &Caller, errand: &Errand<'_>) -> Self {
        let payer = match &snapshot.caching.embedder {
            Embedder::Local(_) => None,
            Embedder::Backend(_) => Some(Arc::new(Payer {
                caller: caller.clone(),
                headers: errand.headers.clone(),
                ip: errand.context.ip,
            })),
        };
        Self {
            snapshot: snapshot.clone(),
            payer,
        }
    }

    /// Dropping the future takes the question back from the local model; a deployment that was asked is paid
    /// for, and its answer kept for a moment.
    pub async fn embed(
        &self,
        gateway: &Arc<Gateway>,
        text: &Arc<str>,
        timeout: Duration,
    ) -> Result<Embedded, Unembedded> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(Unembedded::TooLong);
        }
        match (&self.snapshot.caching.embedder, &self.payer) {
            (Embedder::Backend(rule), Some(payer)) => {
                let asked = backend::Asked {
                    snapshot: &self.snapshot,
                    payer,
                    text,
                };
                let vectors = &gateway.cache.vectors;
                vectors.ask(gateway, rule, &asked, timeout).await
            }
            (Embedder::Backend(_), None) => Err(Unembedded::Failed),
            (Embedder::Local(rule), _) => {
                let data_dir = &self.snapshot.settings.data_dir;
                let local = gateway.cache.local(rule, data_dir, &gateway.clock);
                let embedding = local
                    .ok_or(Unembedded::Failed)?
                    .embed(text.clone(), timeout)
                    .await?;
                Ok(Embedded {
                    reading: Reading::of(&embedding.pieces, &embedding.states),
                    vector: embedding.vector.into(),
                    by: embed::NAME.into(),
                })
            }
        }
    }
}
