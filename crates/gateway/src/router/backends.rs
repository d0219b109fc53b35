//! What is remembered of backends and pools between calls. Survives a reload.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use config::snapshot::{Backend, Snapshot};
use dialect::rate_limit_headers::RateLimits;
use domain::breaker::{Breaker, Ticket, Verdict};
use domain::pool::{self, Choice, Member, MemberState, Pool, Rotation, Turn};
use domain::retry::RetryBudget;
use domain::saturation::Saturation;
use domain::{BackendId, Mono, PoolId};
use foldhash::fast::RandomState;
use http::HeaderValue;

use crate::clock::Clock;
use crate::credentials::{Credential, Credentials, Followed, Identities};
use crate::gateway::StartError;
use crate::upstream::{self, Connections};

/// A backend with its breaker, what its headers last said, and its connections.
#[derive(Debug)]
pub struct BackendState {
    definition: Arc<Backend>,
    /// Its id, as answers name it; `None` if no header can.
    name: Option<HeaderValue>,
    connections: Connections,
    credential: Credential,
    /// Shared with the state that a reload replaced, so that a breaker stays open across it.
    health: Arc<Mutex<Health>>,
}

#[derive(Debug)]
struct Health {
    breaker: Breaker,
    saturation: Saturation,
}

impl BackendState {
    pub fn id(&self) -> &BackendId {
        &self.definition.id
    }

    pub fn name(&self) -> Option<&HeaderValue> {
        self.name.as_ref()
    }

    pub fn definition(&self) -> &Arc<Backend> {
        &self.definition
    }

    /// Whether connections made for this one serve `other` as well.
    fn reaches_as(&self, other: &Backend) -> bool {
        self.definition.url == other.url
            && self.definition.timeouts.connect == other.timeouts.connect
            && self.definition.tls == other.tls
    }

    pub fn connections(&self) -> &Connections {
        &self.connections
    }

    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// Open, or half-open and not yet closed by a probe.
    pub fn is_tripped(&self) -> bool {
        self.health().breaker.is_tripped()
    }

    /// Whether this backend can take a call that reserves `tokens`.
    pub fn state(&self, tokens: u64, now: Mono) -> MemberState {
        let health = self.health();
        if let Some(until) = health.breaker.open_until(now) {
            return MemberState::Open { until };
        }
        match health.saturation.until(tokens, now) {
            Some(until) => MemberState::Saturated { until },
            None => MemberState::Available,
        }
    }

    /// Lets a call through. `None`: another call took the half-open breaker's only probe meanwhile.
    pub fn begin(self: &Arc<Self>, tokens: u64, clock: &Clock) -> Option<Probe> {
        let mut health = self.health();
        let ticket = health.breaker.begin(clock.mono())?;
        health.saturation.spend(tokens);
        drop(health);
        Some(Probe {
            backend: self.clone(),
            ticket: Some(ticket),
            clock: clock.clone(),
        })
    }

    pub fn note_limits(&self, limits: &RateLimits, now: Mono) {
        let RateLimits {
            requests_remaining,
            requests_reset,
            tokens_remaining,
            tokens_reset,
        } = *limits;
        let saturation = &mut self.health().saturation;
        if let Some(remaining) = requests_remaining {
            saturation.observe_requests(remaining, requests_reset, now);
        }
        if let Some(remaining) = tokens_remaining {
            saturation.observe_tokens(remaining, tokens_reset, now);
        }
    }

    /// It answered 429: full until it says, whatever its breaker thinks.
    pub fn note_throttled(&self, retry_after: Option<Duration>, now: Mono) {
        self.health().saturation.observe_throttled(retry_after, now);
    }

    /// Until when its own 429 asked to be left alone.
    pub fn throttled_until(&self, now: Mono) -> Option<Mono> {
        self.health().saturation.throttled_until(now)
    }

    /// Until when it is open, or asked to be left alone: the later of the two.
    pub fn busy_until(&self, now: Mono) -> Option<Mono> {
        let health = self.health();
        let open = health.breaker.open_until(now);
        open.max(health.saturation.throttled_until(now))
    }

    /// An answer broke off after its first byte had been counted as a success.
    pub fn note_cut(&self, now: Mono) {
        let mut health = self.health();
        let was_tripped = health.breaker.is_tripped();
        health.breaker.cut(now);
        let until = health.breaker.open_until(now);
        drop(health);
        if let (false, Some(until)) = (was_tripped, until) {
            tracing::warn!(backend = %self.id(), open_s = until.since(now).as_secs(), "breaker opened");
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that a breaker let through. Dropped without a verdict (the client left), it counts for
/// nothing and frees a half-open breaker's place.
#[must_use]
pub struct Probe {
    backend: Arc<BackendState>,
    ticket: Option<Ticket>,
    clock: Clock,
}

impl Probe {
    pub fn finish(mut self, verdict: Verdict) {
        self.conclude(verdict);
    }

    fn conclude(&mut self, verdict: Verdict) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let now = self.clock.mono();
        let mut health = self.backend.health();
        let was_tripped = health.breaker.is_tripped();
        health.breaker.finish(ticket, verdict, now);
        let (is_tripped, until) = (health.breaker.is_tripped(), health.breaker.open_until(now));
        drop(health);
        let id = self.backend.id();
        match (was_tripped, is_tripped, until) {
            (false, true, Some(until)) => {
                tracing::warn!(backend = %id, open_s = until.since(now).as_secs(), "breaker opened");
            }
            (true, true, Some(until)) if verdict != Verdict::Neutral => {
                tracing::warn!(backend = %id, open_s = until.since(now).as_secs(), "probe failed: breaker stays open");
            }
            (true, false, _) => tracing::info!(backend = %id, "breaker closed"),
            (false | true, _, _) => {}
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.conclude(Verdict::Neutral);
    }
}

/// Turns and retries of one pool.
#[derive(Debug)]
pub struct PoolState {
    /// Of whom the rotation keeps turns: other members start a new one.
    members: Vec<Member>,
    rotation: Mutex<Rotation>,
    retries: Mutex<RetryBudget>,
}

impl PoolState {
    fn new(pool: &Pool) -> Self {
        Self {
            members: pool.members.clone(),
            rotation: Mutex::default(),
            retries: Mutex::default(),
        }
    }

    fn fits(&self, pool: &Pool) -> bool {
        self.members == pool.members
    }

    pub fn choose(&self, pool: &Pool, states: &[MemberState], favourite: Option<u64>) -> Choice {
        if let Some(key) = favourite {
            return pool::choose(pool, states, Turn::Stick { key });
        }
        let mut rotation = self.rotation.lock().unwrap_or_else(PoisonError::into_inner);
        pool::choose(pool, states, Turn::Rotate(&mut rotation))
    }

    pub fn note_call(&self, now: Mono) {
        self.retries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .note_call(now);
    }

    /// Takes one retry from the budget, if it has one.
    pub fn may_retry(&self, budget: f64, now: Mono) -> bool {
        self.retries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(budget, now)
    }
}

/// All of them, swapped whole at a reload: a call reads without a lock. Their names come from the
/// configuration, so they are hashed fast.
#[derive(Debug, Default)]
pub struct Backends {
    all: ArcSwap<Table>,
}

#[derive(Debug, Default)]
struct Table {
    backends: HashMap<BackendId, Arc<BackendState>, RandomState>,
    pools: HashMap<PoolId, Arc<PoolState>, RandomState>,
}

impl Backends {
    /// What is new gets its state, what is gone loses it, the rest keeps its own.
    pub fn sync(
        &self,
        snapshot: &Snapshot,
        credentials: &Credentials,
        clock: &Clock,
    ) -> Result<(), StartError> {
        let old = self.all.load_full();
        let mut identities = old.identities();
        let mut table = Table::default();
        for (id, definition) in &snapshot.backends {
            let known = old.backends.get(id);
            let connections = match known {
                Some(known) if known.reaches_as(definition) => known.connections.clone(),
                _ => {
                    let origin = upstream::origin(&definition.url)?;
                    let connect = definition.timeouts.connect;
                    Connections::new(origin, connect, &definition.tls, clock.clone())?
                }
            };
            let health = match known {
                Some(known) if known.definition.breaker == definition.breaker => {
                    known.health.clone()
                }
                _ => Arc::new(Mutex::new(Health {
                    breaker: Breaker::new(definition.breaker),
                    saturation: Saturation::default(),
                })),
            };
            let state = BackendState {
                definition: definition.clone(),
                name: HeaderValue::from_str(id.as_str()).ok(),
                connections,
                credential: credentials.of(definition, &mut identities),
                health,
            };
            table.backends.insert(id.clone(), Arc::new(state));
        }
        for model in snapshot.models.values() {
            let pool = &model.pool;
            if table.pools.contains_key(&pool.id) {
                continue;
            }
            let kept = old
                .pools
                .get(&pool.id)
                .filter(|kept| kept.fits(pool))
                .cloned();
            let state = kept.unwrap_or_else(|| Arc::new(PoolState::new(pool)));
            table.pools.insert(pool.id.clone(), state);
        }
        self.all.store(Arc::new(table));
        Ok(())
    }

    pub fn get(&self, id: &BackendId) -> Option<Arc<BackendState>> {
        self.all.load().backends.get(id).cloned()
    }

    /// A pool that the newest snapshot no longer has (this call began before it) gets a state of its own.
    pub fn pool(&self, pool: &Pool) -> Arc<PoolState> {
        match self
            .all
            .load()
            .pools
            .get(&pool.id)
            .filter(|state| state.fits(pool))
        {
            Some(state) => state.clone(),
            None => Arc::new(PoolState::new(pool)),
        }
    }

    /// Closes connections that have been idle for too long.
    pub fn sweep(&self) {
        for backend in self.all.load().backends.values() {
            backend.connections.sweep();
        }
    }

    pub fn all(&self) -> Vec<Arc<BackendState>> {
        self.all.load().backends.values().cloned().collect()
    }

    /// Those that backends get their tokens from, each once.
    pub fn identities(&self) -> Vec<Followed> {
        self.all.load().identities().into_values().collect()
    }
}

impl Table {
    fn identities(&self) -> Identities {
        let credentials = self.backends.values().map(|backend| &backend.credential);
        credentials
            .filter_map(|credential| match credential {
                Credential::Token(followed) => {
                    Some((followed.identity.source().clone(), followed.clone()))
                }
                Credential::None | Credential::Fixed(..) | Credential::Unsendable => None,
            })
            .collect()
    }
}
