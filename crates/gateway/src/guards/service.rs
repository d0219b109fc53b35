//! Services that judge content, as guards ask them: one question, one answer, within its time.
//!
//! Each has a breaker, so that a service that is down costs calls nothing but its word. What an
//! answer means is the guard's to say.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::{Bytes, BytesMut};
use config::Snapshot;
use config::snapshot::{GuardKind, Guards, Service};
use domain::Mono;
use domain::breaker::{Breaker, Ticket, Verdict};
use domain::record::AttemptFailure;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};

use crate::clock::Clock;
use crate::credentials::{Credential, Credentials, Identities};
use crate::gateway::StartError;
use crate::upstream::{self, Connections};

/// Answers are some hundred bytes, but for a webhook that returns the texts it edited.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why a service gave no judgement: as records have it, so without a host or content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    Timeout,
    Unreachable,
    /// It failed too often, and is not asked for a while.
    Open {
        for_next: Duration,
    },
    Credential,
    Status {
        status: u16,
        retry_after: Option<Duration>,
    },
    Cut,
    TooLarge,
    Unreadable,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Open { .. } => "breaker open",
            Self::Credential => "no credential",
            Self::Status { status, .. } => return write!(f, "status {status}"),
            Self::Cut => "answer cut",
            Self::TooLarge => "answer too large",
            Self::Unreadable => "unreadable answer",
        })
    }
}

impl Failure {
    /// When another try may do better.
    pub fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Open { for_next } => Some(for_next),
            Self::Status { retry_after, .. } => retry_after,
            Self::Timeout
            | Self::Unreachable
            | Self::Credential
            | Self::Cut
            | Self::TooLarge
            | Self::Unreadable => None,
        }
    }

    /// What it says of the service: a question that it does not take is ours.
    fn verdict(self) -> Verdict {
        match self {
            Self::Status { status, .. }
                if (400..500).contains(&status) && !matches!(status, 401 | 403 | 408 | 429) =>
            {
                Verdict::Neutral
            }
            Self::Credential | Self::Open { .. } => Verdict::Neutral,
            Self::Status { .. }
            | Self::Timeout
            | Self::Unreachable
            | Self::Cut
            | Self::TooLarge
            | Self::Unreadable => Verdict::Failure {
                retry_after: self.retry_after(),
            },
        }
    }
}

/// One question.
pub struct Question {
    /// Path and query, behind the service's own address.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub timeout: Duration,
}

/// All services that guards name. Swapped whole at a reload.
#[derive(Default)]
pub struct Services {
    all: ArcSwap<States>,
    /// Those before the last reload: calls that began before it may ask what it removed.
    before: ArcSwap<States>,
}

type States = HashMap<Arc<str>, Arc<ServiceState>>;

/// One, with its connections and its breaker.
pub struct ServiceState {
    definition: Arc<Service>,
    connections: Connections,
    credential: Credential,
    breaker: Arc<Mutex<Breaker>>,
    clock: Clock,
}

impl Services {
    /// What is new gets its state, the rest keeps its own.
    pub fn sync(&self, snapshot: &Snapshot, credentials: &Credentials) -> Result<(), StartError> {
        let old = self.all.load_full();
        let mut identities = identities(&old);
        let mut all = States::new();
        for service in services(snapshot) {
            let known = old.get(&service.name);
            let state = ServiceState::new(service, known, credentials, &mut identities)?;
            all.insert(service.name.clone(), Arc::new(state));
        }
        self.before.store(old);
        self.all.store(Arc::new(all));
        Ok(())
    }

    /// Asks, and has the answer read. Within the question's time, whatever happens.
    pub async fn ask<T>(
        &self,
        service: &Service,
        question: Question,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, Failure> {
        let state = self.all.load().get(&service.name).cloned();
        let state = state.or_else(|| self.before.load().get(&service.name).cloned());
        state.ok_or(Failure::Unreachable)?.ask(question, read).await
    }

    /// What each service's breaker is at, by name.
    pub fn breakers(&self, now: Mono) -> Vec<ServiceBreaker> {
        let all = self.all.load();
        let mut breakers: Vec<ServiceBreaker> =
            all.values().map(|state| state.read_breaker(now)).collect();
        breakers.sort_by(|one, other| one.service.cmp(&other.service));
        breakers
    }

    /// Closes connections that have been idle for too long.
    pub fn sweep(&self) {
        for state in self.all.load().values() {
            state.connections.sweep();
        }
    }
}

/// For metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceBreaker {
    pub service: Arc<str>,
    /// It lets no ordinary question through: open, or half-open.
    pub is_tripped: bool,
    /// Its time is over, and one question may try.
    pub is_half_open: bool,
}

/// Each service of every scope's guards, once.
pub(crate) fn services(snapshot: &Snapshot) -> Vec<&Arc<Service>> {
    let mut all: Vec<&Arc<Service>> = Vec::new();
    let of_products = snapshot.products.values().map(|product| &product.guards);
    let of_subscriptions = snapshot.subscriptions.values().map(|of| &of.guards);
    for guards in of_products.chain(of_subscriptions).flatten() {
        for service in services_of(guards) {
            if !all.iter().any(|known| known.name == service.name) {
                all.push(service);
            }
        }
    }
    all
}

fn services_of(guards: &Guards) -> impl Iterator<Item = &Arc<Service>> {
    guards.list.iter().filter_map(|guard| match &guard.kind {
        GuardKind::Pii(_) | GuardKind::Lists(_) => None,
        GuardKind::ContentSafety(safety) => Some(&safety.service),
        GuardKind::Moderation(moderation) => Some(&moderation.service),
        GuardKind::Webhook(webhook) => Some(&webhook.service),
        GuardKind::Presidio(presidio) => Some(&presidio.service),
    })
}

fn identities(states: &States) -> Identities {
    let credentials = states.values().map(|state| &state.credential);
    credentials
        .filter_map(|credential| match credential {
            Credential::Token(followed) => {
                Some((followed.identity.source().clone(), followed.clone()))
            }
            Credential::None | Credential::Fixed(..) | Credential::Unsendable => None,
        })
        .collect()
}

impl ServiceState {
    fn new(
        definition: &Arc<Service>,
        known: Option<&Arc<Self>>,
        credentials: &Credentials,
        identities: &mut Identities,
    ) -> Result<Self, StartError> {
        let clock = credentials.clock.clone();
        let connections = match known {
            Some(known)
                if known.definition.url == definition.url
                    && known.definition.connect_timeout == definition.connect_timeout
                    && known.definition.tls == definition.tls =>
            {
                known.connections.clone()
            }
            _ => Connections::new(
                upstream::origin(&definition.url.0)?,
                definition.connect_timeout,
                &definition.tls,
                clock.clone(),
            )?,
        };
        let breaker = match known {
            Some(known) if known.definition.breaker == definition.breaker => known.breaker.clone(),
            _ => Arc::new(Mutex::new(Breaker::new(definition.breaker))),
        };
        Ok(Self {
            definition: definition.clone(),
            connections,
            credential: credentials.of_service(definition, identities),
            breaker,
            clock,
        })
    }

    async fn ask<T>(
        self: Arc<Self>,
        question: Question,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, Failure> {
        let asked = self.begin()?;
        let timeout = question.timeout;
        let exchange = tokio::time::timeout(timeout, self.exchange(question));
        let answered = match exchange.await {
            Ok(answered) => answered,
            Err(_elapsed) => Err(Failure::Timeout),
        };
        let judged = answered.and_then(|answer| read(&answer).ok_or(Failure::Unreadable));
        asked.finish(match &judged {
            Ok(_) => Verdict::Success,
            Err(failure) => failure.verdict(),
        });
        judged
    }

    /// Tries once more if no connection could be made.
    async fn exchange(&self, question: Question) -> Result<Bytes, Failure> {
        let Question {
            path,
            mut headers,
            body,
            timeout: _,
        } = question;
        let uri = self.uri(&path)?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("tollgate/", env!("CARGO_PKG_VERSION"))),
        );
        let authorisation = self.credential.authorise(&self.clock).await;
        let authorisation = authorisation.map_err(|_| Failure::Credential)?;
        authorisation.add_to(&mut headers);
        let mut may_retry = true;
        let answer = loop {
            let request = upstream::request(uri.clone(), headers.clone(), body.clone())
                .map_err(|_| Failure::Unreachable)?;
            match upstream::send(&self.connections, request).await {
                Ok(answer) => break answer,
                Err(AttemptFailure::Connect) if std::mem::take(&mut may_retry) => {}
                Err(AttemptFailure::Connect | AttemptFailure::Tls) => {
                    return Err(Failure::Unreachable);
                }
                Err(_) => return Err(Failure::Cut),
            }
        };
        if answer.status == StatusCode::UNAUTHORIZED {
            self.credential.turned_down(&authorisation, &self.clock);
        }
        let upstream::Answer {
            status,
            headers,
            mut body,
        } = answer;
        let mut whole = BytesMut::new();
        while let Some(piece) = std::future::poll_fn(|cx| body.poll_data(cx)).await {
            let piece = piece.map_err(|_| Failure::Cut)?;
            if whole.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(Failure::TooLarge);
            }
            whole.extend_from_slice(&piece);
        }
        if !status.is_success() {
            return Err(Failure::Status {
                status: status.as_u16(),
                retry_after: retry_after(&headers),
            });
        }
        Ok(whole.freeze())
    }

    fn uri(&self, path: &str) -> Result<Uri, Failure> {
        let base = self.definition.url.0.path().trim_end_matches('/');
        let query = self.definition.url.0.query();
        let path = match query {
            Some(query) => format!("{base}{path}?{query}"),
            None => format!("{base}{path}"),
        };
        let path = if path.is_empty() {
            "/".to_owned()
        } else {
            path
        };
        PathAndQuery::try_from(path)
            .map(Uri::from)
            .map_err(|_| Failure::Unreachable)
    }

    fn begin(self: &Arc<Self>) -> Result<Asked, Failure> {
        let now = self.clock.mono();
        let mut breaker = self.breaker();
        let ticket = breaker.begin(now).ok_or_else(|| Failure::Open {
            for_next: breaker
                .open_until(now)
                .map_or(Duration::ZERO, |until| until.since(now)),
        })?;
        drop(breaker);
        Ok(Asked {
            state: self.clone(),
            ticket: Some(ticket),
        })
    }

    fn read_breaker(&self, now: Mono) -> ServiceBreaker {
        let breaker = self.breaker();
        let is_tripped = breaker.is_tripped();
        ServiceBreaker {
            service: self.definition.name.clone(),
            is_tripped,
            is_half_open: is_tripped && breaker.open_until(now).is_none(),
        }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question that the breaker let through. Dropped without a verdict (the client left), it counts
/// for nothing.
struct Asked {
    state: Arc<ServiceState>,
    ticket: Option<Ticket>,
}

impl Asked {
    fn finish(mut self, verdict: Verdict) {
        self.conclude(verdict);
    }

    fn conclude(&mut self, verdict: Verdict) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let now = self.state.clock.mono();
        let mut breaker = self.state.breaker();
        let was_tripped = breaker.is_tripped();
        breaker.finish(ticket, verdict, now);
        let is_tripped = breaker.is_tripped();
        drop(breaker);
        let service = &self.state.definition.name;
        match (was_tripped, is_tripped) {
            (false, true) => tracing::warn!(%service, "a guard's breaker opened"),
            (true, false) => tracing::info!(%service, "a guard's breaker closed"),
            (false, false) | (true, true) => {}
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.conclude(Verdict::Neutral);
    }
}

/// In seconds; a date is left to our own pauses.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}
