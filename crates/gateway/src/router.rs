//! Finds a backend for a call, and another when that one fails. Rules are `domain`'s.
//!
//! Nothing is retried once a byte of an answer is on its way to the client: `forward` returns with
//! the first one in hand.

mod attempt;
mod backends;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use config::snapshot::Snapshot;
use config::{CallContext, Plan};
use dialect::Request;
use domain::Now;
use domain::breaker::Verdict;
use domain::pool::{self, Choice, MemberState};
use domain::record::AttemptRecord;
use http::{HeaderMap, HeaderValue, StatusCode};
use smallvec::SmallVec;

use crate::clock::{Chance, Clock};
use crate::gateway::StartError;
use crate::headers;
use crate::refusal::Refusal;
use crate::trail::{Held, Origin};
use crate::upstream::AnswerBody;

pub use attempt::Failure;
pub use backends::{BackendState, Backends};
use backends::{PoolState, Probe};

/// Waits for one retry and no longer: past this the client is told when to come back.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(2);

/// One choice among a pool's members.
struct Pick<'a> {
    errand: &'a Errand<'a>,
    pool: &'a PoolState,
    members: &'a [Option<Arc<BackendState>>],
    favourite: Option<u64>,
    /// What the chosen backend must have room for.
    tokens: u64,
}

/// Members that this call was sent to, by their place in the pool.
#[derive(Default)]
struct Tried(SmallVec<[usize; 8]>);

impl Tried {
    fn insert(&mut self, index: usize) {
        self.0.push(index);
    }

    fn contains(&self, index: usize) -> bool {
        self.0.contains(&index)
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

/// What a call wants carried.
#[derive(Clone, Copy)]
pub struct Errand<'a> {
    pub plan: &'a Plan<'a>,
    pub context: &'a CallContext<'a>,
    pub call: &'a Request,
    pub headers: &'a HeaderMap,
}

/// An answer that has begun.
pub struct Answered {
    pub serving: Serving,
    pub headers: HeaderMap,
    pub content: Content,
}

pub enum Content {
    /// All of it, held so that its usage is known before its headers leave.
    Whole(Bytes),
    /// An SSE stream, with its first piece.
    Stream { first: Bytes, body: AnswerBody },
    /// More than the gateway holds: what was read, and the rest.
    Large { head: Bytes, body: AnswerBody },
}

/// The backend that is answering; tells its breaker how that ended.
pub struct Serving {
    pub backend: Arc<BackendState>,
    pub status: StatusCode,
    pub sent_at: Now,
    clock: Clock,
}

impl Serving {
    /// The answer broke off after its first byte.
    pub fn failed(&self) {
        self.backend.note_cut(self.clock.now().mono);
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
    pub fn sync(&self, snapshot: &Snapshot) -> Result<(), StartError> {
        self.backends.sync(snapshot, &self.clock)
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
        let pool = self.backends.pool(&model.pool);
        let members: Vec<_> = model
            .pool
            .members
            .iter()
            .map(|member| self.backends.get(&member.backend))
            .collect();
        let favourite = Self::favourite(errand);
        pool.note_call(self.clock.now().mono);

        let mut tried = Tried::default();
        let mut last: Option<Failure> = None;
        for attempt in 0..model.pool.retry.attempts {
            if attempt > 0 && !pool.may_retry(model.pool.retry.budget, self.clock.now().mono) {
                break;
            }
            let pick = Pick {
                errand,
                pool: &pool,
                members: &members,
                favourite,
                tokens: held.reserved_tokens,
            };
            let Some((backend, probe)) = self
                .pick_or_wait(&pick, &mut tried, attempt, last.as_ref())
                .await?
            else {
                break;
            };
            match self.attempt(errand, backend.clone(), held, origin).await {
                Ok(answered) => {
                    probe.finish(Verdict::Success);
                    return Ok(answered);
                }
                Err(failure) => {
                    probe.finish(Verdict::Failure {
                        retry_after: failure.retry_after,
                    });
                    tracing::warn!(
                        backend = %backend.id(),
                        failure = failure.kind.as_str(),
                        status = failure.status.map(|status| status.as_u16()),
                        attempt = attempt + 1,
                        call = %origin.id,
                        "attempt failed"
                    );
                    last = Some(failure);
                }
            }
        }
        Err(last.map_or(
            Refusal::NoHealthyBackend { retry_after: None },
            Failure::into_refusal,
        ))
    }

    /// The next member, after a pause if the only ones left were tried already. `None`: give up.
    async fn pick_or_wait(
        &self,
        pick: &Pick<'_>,
        tried: &mut Tried,
        attempt: u32,
        last: Option<&Failure>,
    ) -> Result<Option<(Arc<BackendState>, Probe)>, Refusal> {
        match self.pick(pick, tried) {
            Choice::Member(index) => return Ok(self.take(pick, tried, index)),
            Choice::None { soonest } if last.is_none() => {
                let now = self.clock.now().mono;
                return Err(Refusal::NoHealthyBackend {
                    retry_after: soonest.map(|at| at.since(now)),
                });
            }
            Choice::None { .. } => {}
        }
        // Everyone was tried: once more, after a pause.
        let asked = last
            .and_then(|failure| failure.retry_after)
            .unwrap_or_default();
        let pause = domain::retry::backoff(attempt, self.chance.roll()).max(asked);
        if pause > RETRY_WAIT_MAX {
            return Ok(None);
        }
        tokio::time::sleep(pause).await;
        tried.clear();
        match self.pick(pick, tried) {
            Choice::Member(index) => Ok(self.take(pick, tried, index)),
            Choice::None { .. } => Ok(None),
        }
    }

    fn pick(&self, pick: &Pick<'_>, tried: &Tried) -> Choice {
        let now = self.clock.now().mono;
        let states: SmallVec<[MemberState; 8]> = pick
            .members
            .iter()
            .enumerate()
            .map(|(index, backend)| match backend {
                _ if tried.contains(index) => MemberState::Tried,
                Some(backend) => backend.state(pick.tokens, now),
                None => MemberState::Open { until: now },
            })
            .collect();
        pick.pool
            .choose(&pick.errand.plan.model.pool, &states, pick.favourite)
    }

    fn take(
        &self,
        pick: &Pick<'_>,
        tried: &mut Tried,
        index: usize,
    ) -> Option<(Arc<BackendState>, Probe)> {
        tried.insert(index);
        let backend = pick.members.get(index)?.clone()?;
        let probe = backend.begin(pick.tokens, &self.clock)?;
        Some((backend, probe))
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
        let sent_at = self.clock.now();
        held.at_upstream = Some((backend.id().clone(), sent_at));
        let request_id =
            HeaderValue::from_str(&origin.id.to_string()).unwrap_or(HeaderValue::from_static(""));
        let headers = headers::to_upstream(errand.headers, &request_id);
        let begun = attempt::send(&backend, errand, headers, &self.clock).await;
        held.at_upstream = None;
        let now = self.clock.now();
        match begun {
            Ok(begun) => {
                held.answered = Some(backend.id().clone());
                held.first_byte = Some(now.mono.since(origin.started.mono));
                let serving = Serving {
                    backend,
                    status: begun.status,
                    sent_at,
                    clock: self.clock.clone(),
                };
                Ok(Answered {
                    serving,
                    headers: begun.headers,
                    content: begun.content,
                })
            }
            Err(failure) => {
                held.attempts.push(AttemptRecord {
                    backend: backend.id().clone(),
                    status: failure.status.map_or(0, |status| status.as_u16()),
                    failure: Some(failure.kind),
                    metered: failure.metered(held),
                    latency: now.mono.since(sent_at.mono),
                });
                Err(failure)
            }
        }
    }
}
