//! Finds a backend for a call, and another when that one fails. Rules are `domain`'s.
//!
//! Nothing is retried once a byte of an answer is on its way to the client: `forward` returns with
//! the first one in hand.

mod attempt;
mod backends;
mod hold;
mod search;

use std::sync::Arc;

use bytes::Bytes;
use config::snapshot::Snapshot;
use config::{CallContext, Plan};
use dialect::Request;
use domain::Mono;
use domain::breaker::Verdict;
use domain::pool;
use domain::record::{AttemptFailure, AttemptRecord};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::clock::{Chance, Clock};
use crate::credentials::{Credentials, Missing};
use crate::gateway::StartError;
use crate::headers;
use crate::refusal::Refusal;
use crate::trail::{Held, Origin};
use crate::upstream::AnswerBody;

pub use attempt::Failure;
pub use backends::{BackendState, Backends};
use search::{Found, Search};

/// What a call wants carried.
#[derive(Clone, Copy)]
pub struct Errand<'a> {
    pub plan: &'a Plan<'a>,
    pub context: &'a CallContext<'a>,
    pub call: &'a Request,
    pub headers: &'a HeaderMap,
    pub request_id: &'a HeaderValue,
}

/// An answer that has begun.
pub struct Answered {
    pub source: Source,
    pub headers: HeaderMap,
    pub content: Content,
}

/// Whose answer it is.
pub enum Source {
    Backend(Serving),
    Cache,
}

impl Answered {
    pub fn status(&self) -> StatusCode {
        match &self.source {
            Source::Backend(serving) => serving.status,
            Source::Cache => StatusCode::OK,
        }
    }
}

pub enum Content {
    /// All of it, held so that its usage is known before its headers leave.
    Whole {
        bytes: Bytes,
        answer: dialect::answer::Answer,
    },
    /// An SSE stream, with its first piece.
    Stream { first: Bytes, body: AnswerBody },
    /// More than the gateway holds: what was read, and the rest.
    Large { head: Bytes, body: AnswerBody },
}

/// The backend that is answering; tells its breaker how that ended.
pub struct Serving {
    pub backend: Arc<BackendState>,
    pub status: StatusCode,
    pub sent_at: Mono,
    clock: Clock,
}

impl Serving {
    /// The answer broke off after its first byte.
    pub fn failed(&self) {
        self.backend.note_cut(self.clock.mono());
    }
}

pub struct Router {
    backends: Backends,
    clock: Clock,
    chance: Arc<Chance>,
}

impl Router {
    pub fn new(clock: Clock, chance: Arc<Chance>) -> Self {
        Self {
            backends: Backends::default(),
            clock,
            chance,
        }
    }

    /// After a load: what is new gets its state, what is gone loses it, the rest keeps its own.
    pub fn sync(&self, snapshot: &Snapshot, credentials: &Credentials) -> Result<(), StartError> {
        self.backends.sync(snapshot, credentials, &self.clock)
    }

    pub fn backends(&self) -> &Backends {
        &self.backends
    }

    /// Tries members until one begins to answer, attempts run out, or waiting would take too long.
    pub async fn forward(
        &self,
        errand: &Errand<'_>,
        held: &mut Held,
        origin: &Origin,
    ) -> Result<Answered, Refusal> {
        let model = errand.plan.model;
        let mut search = Search::new(
            &self.backends,
            model,
            Self::favourite(errand),
            held.reserved_tokens,
            self.clock.mono(),
        );
        let mut last: Option<Failure> = None;
        for attempt in 1..=model.pool.retry.attempts {
            let found = match search.next(&self.clock, &self.chance).await {
                Ok(found) => found,
                Err(soonest) if last.is_none() => {
                    let now = self.clock.mono();
                    let retry_after = soonest.map(|at| at.since(now));
                    return Err(Refusal::NoHealthyBackend { retry_after });
                }
                Err(_) => break,
            };
            let Found {
                backend,
                probe,
                index,
            } = found;
            match self.attempt(errand, backend.clone(), held, origin).await {
                Ok(answered) => {
                    probe.finish(Verdict::Success);
                    return Ok(answered);
                }
                Err(failure) => {
                    let retry_after = failure.retry_after;
                    probe.finish(Verdict::Failure { retry_after });
                    search.note_failed(index, retry_after, self.clock.mono());
                    tracing::warn!(
                        backend = %backend.id(),
                        failure = failure.kind.as_str(),
                        status = failure.status.map(|status| status.as_u16()),
                        attempt,
                        call = %origin.id,
                        "attempt failed"
                    );
                    last = Some(failure);
                }
            }
        }
        let soonest = search.soonest(self.clock.mono());
        Err(last.map_or(
            Refusal::NoHealthyBackend {
                retry_after: soonest,
            },
            |failure| failure.into_refusal(soonest),
        ))
    }

    /// The hash of the call's affinity key. A key that cannot be had (a client that sends no session)
    /// is no fault of the call: it goes wherever the weights say.
    fn favourite(errand: &Errand<'_>) -> Option<u64> {
        let key = errand
            .plan
            .model
            .affinity
            .as_ref()?
            .text(errand.context)
            .ok()?;
        Some(pool::affinity_hash(key.as_bytes()))
    }

    async fn attempt(
        &self,
        errand: &Errand<'_>,
        backend: Arc<BackendState>,
        held: &mut Held,
        origin: &Origin,
    ) -> Result<Answered, Failure> {
        let sent_at = self.clock.mono();
        held.sent_at.push(sent_at);
        held.asked = Some(backend.definition().dialect);
        let begun = match backend.credential().authorise(&self.clock).await {
            Ok(authorisation) => {
                held.at_upstream = Some((backend.id().clone(), sent_at));
                let mut headers = headers::to_upstream(errand.headers, errand.request_id);
                if let Some(trace) = &origin.trace {
                    trace.propagate(held.sent_at.len() - 1, &mut headers);
                }
                attempt::send(&backend, errand, headers, &authorisation, &self.clock).await
            }
            // The backend has seen nothing of the call.
            Err(Missing) => Err(Failure::of(AttemptFailure::Credential)),
        };
        held.at_upstream = None;
        let now = self.clock.mono();
        match begun {
            Ok(begun) => {
                held.answered = Some(backend.id().clone());
                held.first_byte = Some(now.since(origin.started.mono));
                let serving = Serving {
                    backend,
                    status: begun.status,
                    sent_at,
                    clock: self.clock.clone(),
                };
                Ok(Answered {
                    source: Source::Backend(serving),
                    headers: begun.headers,
                    content: begun.content,
                })
            }
            Err(failure) => {
                let metered = failure.metered(held, errand.call);
                held.attempts.push(AttemptRecord {
                    backend: backend.id().clone(),
                    status: failure.status.map_or(0, |status| status.as_u16()),
                    failure: Some(failure.kind),
                    metered,
                    cost: held.cost(backend.id(), &metered),
                    latency: now.since(sent_at),
                });
                Err(failure)
            }
        }
    }
}
