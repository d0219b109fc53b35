//! One identity and its token. One task does all fetching, so that there is never more than one
//! fetch at a time; calls take what is there, and wait only while nothing is.

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use config::snapshot::TokenSource;
use domain::Mono;
use http::HeaderValue;
use tokio::sync::{Notify, watch};

use super::life::{Life, Next, Terms, Validity};
use super::reply::{FetchFailure, Granted};
use super::{Credentials, Missing, reply, request};
use crate::clock::Clock;
use crate::fetch::{FETCH_TIMEOUT, Fetch};

/// A call waits this long for a token: one fetch, and a little for the task to be scheduled.
const WAIT_MAX: Duration = Duration::from_secs(FETCH_TIMEOUT.as_secs() + 1);

/// A token as it is sent. Its header is shared by all calls that send it.
pub struct Token {
    /// `Bearer …`
    header: HeaderValue,
    validity: Validity,
}

impl Token {
    pub fn header(&self) -> &HeaderValue {
        &self.header
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(.., {:?})", self.validity)
    }
}

pub struct Identity {
    source: Arc<TokenSource>,
    name: String,
    current: ArcSwapOption<Token>,
    kept: Mutex<Kept>,
    wake: Notify,
    fetches: watch::Sender<Fetches>,
    failures: AtomicU64,
}

#[derive(Default)]
struct Kept {
    life: Life,
    /// What a backend turned down. It comes back if the issuer has no other.
    set_aside: Option<Arc<Token>>,
}

#[derive(Clone, Copy, Default)]
struct Fetches {
    ended: u64,
    /// The task has ended: nobody should wait for it.
    are_over: bool,
}

/// Says so when the task ends, however it ends.
struct Ending<'a>(&'a Identity);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0
            .fetches
            .send_modify(|fetches| fetches.are_over = true);
    }
}

impl Identity {
    pub fn new(source: Arc<TokenSource>) -> Self {
        Self {
            name: source.to_string(),
            source,
            current: ArcSwapOption::empty(),
            kept: Mutex::default(),
            wake: Notify::new(),
            fetches: watch::Sender::default(),
            failures: AtomicU64::new(0),
        }
    }

    pub fn source(&self) -> &Arc<TokenSource> {
        &self.source
    }

    /// For logs and metrics.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Nothing while there is no token; zero for one that has ended.
    pub fn expires_in(&self, now: Mono) -> Option<Duration> {
        let token = self.current.load();
        token
            .as_ref()
            .map(|token| token.validity.expires_at.since(now))
    }

    /// Fetches that failed, since the identity was configured.
    pub fn failed_fetches(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Whether the latest fetch failed.
    pub fn is_failing(&self) -> bool {
        self.kept().life.failures() > 0
    }

    /// At once while a token is good; else after the fetch that is under way or due. While fetches
    /// fail, calls in between fail at once.
    pub async fn token(&self, clock: &Clock) -> Result<Arc<Token>, Missing> {
        match self.good(clock.now().mono) {
            Some(token) => Ok(token),
            None => self.after_fetch(clock).await,
        }
    }

    fn good(&self, now: Mono) -> Option<Arc<Token>> {
        let token = self.current.load_full()?;
        (now < token.validity.expires_at).then_some(token)
    }

    async fn after_fetch(&self, clock: &Clock) -> Result<Arc<Token>, Missing> {
        let mut fetches = self.fetches.subscribe();
        let ended = fetches.borrow_and_update().ended;
        let next = self.kept().life.next(clock.now().mono);
        if next == Next::Fetch {
            self.look();
            // Whoever waited in vain looks at what is there all the same.
            let _in_time = tokio::time::timeout(
                WAIT_MAX,
                fetches.wait_for(|fetches| fetches.are_over || fetches.ended > ended),
            )
            .await
            .is_ok();
        }
        self.good(clock.now().mono).ok_or(Missing)
    }

    /// A backend answered 401 to `token`. It is set aside, and calls wait for the next one; not more
    /// than once a minute, because most such answers are about a missing role.
    pub fn turned_down(&self, token: &Arc<Token>, now: Mono) {
        let mut kept = self.kept();
        let is_current = self
            .current
            .load()
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, token));
        if !is_current || !kept.life.turned_down(now) {
            return;
        }
        kept.set_aside = self.current.swap(None);
        drop(kept);
        tracing::warn!(
            identity = self.name,
            "a backend turned the token down: asking for another"
        );
        self.look();
    }

    /// Has the task look at what is due, rather than when it planned to.
    fn look(&self) {
        self.wake.notify_one();
    }

    /// Keeps the token fresh for as long as it is polled.
    pub async fn follow(&self, credentials: &Credentials) {
        let _ending = Ending(self);
        loop {
            let now = credentials.clock.now().mono;
            let next = self.kept().life.next(now);
            match next {
                Next::Fetch => self.refresh(credentials).await,
                Next::Wait { until } => tokio::select! {
                    () = tokio::time::sleep(until.since(now)) => {}
                    () = self.wake.notified() => {}
                },
            }
        }
    }

    async fn refresh(&self, credentials: &Credentials) {
        let Credentials {
            fetch,
            clock,
            chance,
            ..
        } = credentials;
        let asked_at = clock.now();
        let fetched = match fetched(&self.source, fetch).await {
            Ok(answer) => reply::read(&answer, asked_at.wall),
            Err(failure) => Err(failure),
        };
        let roll = chance.roll() as f64 / u64::MAX as f64;
        match fetched {
            Ok(granted) => self.keep(granted, asked_at.mono, roll),
            Err(failure) => self.go_without(&failure, clock.now().mono, roll),
        }
        self.fetches.send_modify(|fetches| fetches.ended += 1);
    }

    fn keep(&self, granted: Granted, asked_at: Mono, roll: f64) {
        let Granted { header, terms } = granted;
        let Terms { lifetime, .. } = terms;
        let validity = Validity::new(asked_at, terms, roll);
        let mut kept = self.kept();
        kept.life.fetched(validity);
        kept.set_aside = None;
        self.current
            .store(Some(Arc::new(Token { header, validity })));
        drop(kept);
        tracing::debug!(
            identity = self.name,
            lifetime_s = lifetime.as_secs(),
            "a token for backends was fetched"
        );
    }

    fn go_without(&self, failure: &FetchFailure, now: Mono, roll: f64) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let mut kept = self.kept();
        let pause = kept.life.failed(failure.setback(), now, roll);
        let failures = kept.life.failures();
        if let Some(token) = kept.set_aside.take() {
            self.current.store(Some(token));
        }
        drop(kept);
        tracing::warn!(
            identity = self.name,
            failures,
            retry_s = pause.as_secs_f64(),
            token_ends_in_s = self.expires_in(now).map(|left| left.as_secs()),
            error = failure as &dyn Error,
            "a token for backends was not refreshed"
        );
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn fetched(
    source: &TokenSource,
    fetch: &Fetch,
) -> Result<http::Response<bytes::Bytes>, FetchFailure> {
    let request = match source {
        TokenSource::ManagedIdentity(identity) => request::managed_identity(identity)?,
        TokenSource::WorkloadIdentity(identity) => {
            let assertion = request::platform_token(&identity.token_file).await?;
            request::workload_identity(identity, &assertion)?
        }
        TokenSource::ClientCredentials(client) => request::client_credentials(client)?,
    };
    Ok(fetch.exchange(request).await?)
}

#[cfg(test)]
mod tests;
