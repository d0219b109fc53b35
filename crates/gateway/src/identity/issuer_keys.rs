//! Follows one issuer: its discovery document and its keys, as they change.
//!
//! One task for each issuer does all fetching, so that there is never more than one fetch at a
//! time. Calls that find a key missing ask the task and wait for its answer; they never fetch.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use config::snapshot::Algorithm;
use domain::Mono;
use serde::Deserialize;
use tokio::sync::{Notify, watch};
use url::Url;

use super::key_set::{Jwks, KeySet, Verdict};
use super::refusal::TokenFault;
use super::token::UnverifiedToken;
use crate::fetch::{FETCH_TIMEOUT, Fetch, FetchError, is_loopback, is_private};

/// How often issuers are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshRule {
    /// Between two fetches that succeed, give or take a tenth.
    pub every: Duration,
    /// Between two fetches that unknown key ids cause; the first is done at once.
    pub refetch_interval: Duration,
    /// After a fetch that failed; doubles with each, up to `retry_max`.
    pub retry_min: Duration,
    pub retry_max: Duration,
}

impl Default for RefreshRule {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(3600),
            refetch_interval: Duration::from_secs(300),
            retry_min: Duration::from_secs(1),
            retry_max: Duration::from_secs(60),
        }
    }
}

/// A call waits this long for a fetch: two documents, and a little for the task to be scheduled.
const WAIT_MAX: Duration = Duration::from_secs(2 * FETCH_TIMEOUT.as_secs() + 1);

pub(super) struct IssuerKeys {
    openid_config: Url,
    rule: RefreshRule,
    /// The last good set. Replaced only by another one, so that an issuer that is down, or
    /// publishes nothing, keeps its callers.
    current: ArcSwapOption<KeySet>,
    asked: Mutex<Asked>,
    wake: Notify,
    progress: watch::Sender<Progress>,
}

/// What calls have asked of the task.
#[derive(Clone, Copy, Default)]
struct Asked {
    times: u64,
    last: Option<Mono>,
}

/// How far the task has come.
#[derive(Clone, Copy, Default)]
struct Progress {
    fetches: u64,
    /// Fetches that began after the n-th ask have ended.
    answered: u64,
    pause: Duration,
    /// The latest fetches, all of which failed.
    failures: u32,
    /// The task has ended: nobody should wait for it.
    is_over: bool,
}

/// Says so when the task ends, however it ends.
struct Ending<'a>(&'a IssuerKeys);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0
            .progress
            .send_modify(|progress| progress.is_over = true);
    }
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// Why an issuer's keys could not be had. For logs.
#[derive(Debug, thiserror::Error)]
enum RefreshError {
    #[error("its discovery document cannot be had")]
    Discovery(#[source] FetchError),
    #[error(
        "its `jwks_uri` `{0}` is no https address, or is on this machine while the issuer is not"
    )]
    InsecureKeys(String),
    #[error("its keys cannot be had")]
    Keys(#[source] FetchError),
    #[error("it publishes no key that can be used")]
    NoKeys,
}

impl IssuerKeys {
    /// `roll`, from 0 to 1, spreads the refreshes of gateways that started together.
    pub fn new(openid_config: Url, rule: RefreshRule, roll: f64) -> Self {
        let every = rule.every.mul_f64(0.9 + 0.2 * roll.clamp(0.0, 1.0));
        Self {
            openid_config,
            rule: RefreshRule { every, ..rule },
            current: ArcSwapOption::empty(),
            asked: Mutex::default(),
            wake: Notify::new(),
            progress: watch::Sender::new(Progress::default()),
        }
    }

    pub fn current(&self) -> Option<Arc<KeySet>> {
        self.current.load_full()
    }

    /// Whether the latest fetch failed.
    pub fn is_failing(&self) -> bool {
        self.progress.borrow().failures > 0
    }

    pub fn is_current(&self, set: &Arc<KeySet>) -> bool {
        self.current
            .load()
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, set))
    }

    pub fn replace(&self, set: Arc<KeySet>) {
        self.current.store(Some(set));
    }

    /// The current set, if need be after the first fetch; else how long to wait before asking again.
    pub async fn first(&self) -> Result<Arc<KeySet>, Duration> {
        self.wait_until(|progress| progress.fetches > 0).await;
        self.current().ok_or_else(|| self.progress.borrow().pause)
    }

    /// The set that verified the token. Asks the issuer once more where the key may be new.
    pub async fn verify(
        &self,
        set: Arc<KeySet>,
        token: &UnverifiedToken<'_>,
        algorithm: Algorithm,
        now: Mono,
    ) -> Result<Arc<KeySet>, TokenFault> {
        let mut set = set;
        let mut verdict = set.verify(token, algorithm);
        // A token that names no key may be signed by a new one, which only trying can tell.
        if verdict == Verdict::NoSuchKey
            || (verdict == Verdict::BadSignature && token.key_id.is_none())
        {
            self.refetch(now).await;
            if let Some(fresh) = self.current().filter(|fresh| !Arc::ptr_eq(fresh, &set)) {
                verdict = fresh.verify(token, algorithm);
                set = fresh;
            }
        }
        match verdict {
            Verdict::Verified => Ok(set),
            Verdict::BadSignature => Err(TokenFault::BadSignature),
            Verdict::WrongAlgorithm => Err(TokenFault::AlgorithmNotAllowed),
            Verdict::NoSuchKey => Err(TokenFault::UnknownKeyId),
        }
    }

    /// Returns when a fetch that began after the last permitted ask has ended. Asks within
    /// `refetch_interval` of that one share its answer, so that made-up key ids cost the issuer
    /// nothing.
    async fn refetch(&self, now: Mono) {
        let ask = {
            let mut asked = self.asked();
            if asked
                .last
                .is_none_or(|last| now.since(last) >= self.rule.refetch_interval)
            {
                *asked = Asked {
                    times: asked.times + 1,
                    last: Some(now),
                };
                self.wake.notify_one();
            }
            asked.times
        };
        self.wait_until(|progress| progress.answered >= ask).await;
    }

    async fn wait_until(&self, is_reached: impl Fn(&Progress) -> bool) {
        let mut progress = self.progress.subscribe();
        // Whoever waited in vain looks at the current set all the same.
        let _in_time = tokio::time::timeout(
            WAIT_MAX,
            progress.wait_for(|at| at.is_over || is_reached(at)),
        )
        .await
        .is_ok();
    }

    fn asked(&self) -> std::sync::MutexGuard<'_, Asked> {
        // Two plain numbers: a panic elsewhere cannot leave them half changed.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches for as long as it is polled.
    pub async fn follow(&self, issuer: &str, fetch: &Fetch) {
        let _ending = Ending(self);
        let mut failures = 0;
        loop {
            let answering = self.asked().times;
            let pause = match self.refresh(fetch).await {
                Ok(()) => {
                    failures = 0;
                    self.rule.every
                }
                Err(error) => {
                    let pause = self.pause_after(failures);
                    failures += 1;
                    tracing::warn!(
                        issuer,
                        failures,
                        retry_s = pause.as_secs_f64(),
                        keeps_keys = self.current.load().is_some(),
                        error = &error as &dyn Error,
                        "an issuer's keys were not refreshed"
                    );
                    pause
                }
            };
            self.progress.send_modify(|progress| {
                progress.fetches += 1;
                progress.answered = answering;
                progress.pause = pause;
                progress.failures = failures;
            });
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.wake.notified() => {}
            }
        }
    }

    fn pause_after(&self, failures: u32) -> Duration {
        self.rule
            .retry_min
            .saturating_mul(2_u32.saturating_pow(failures))
            .min(self.rule.retry_max)
    }

    async fn refresh(&self, fetch: &Fetch) -> Result<(), RefreshError> {
        let Discovery { issuer, jwks_uri } = fetch
            .json(&self.openid_config)
            .await
            .map_err(RefreshError::Discovery)?;
        // A remote document must not point us at what listens on this machine.
        let is_proper =
            |url: &Url| is_private(url) && (!is_loopback(url) || is_loopback(&self.openid_config));
        let Some(jwks_url) = Url::parse(&jwks_uri).ok().filter(is_proper) else {
            return Err(RefreshError::InsecureKeys(jwks_uri));
        };
        let jwks: Jwks = fetch.json(&jwks_url).await.map_err(RefreshError::Keys)?;
        let fresh = KeySet::new(issuer, jwks);
        if fresh.is_empty() {
            return Err(RefreshError::NoKeys);
        }
        // An equal set stays the same value, and with it all that it verified.
        if !self
            .current
            .load()
            .as_ref()
            .is_some_and(|current| current.equals(&fresh))
        {
            tracing::info!(issuer = fresh.issuer, "an issuer's keys are new");
            self.replace(Arc::new(fresh));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(roll: f64) -> IssuerKeys {
        IssuerKeys::new(
            Url::parse("https://issuer/").unwrap(),
            RefreshRule::default(),
            roll,
        )
    }

    #[test]
    fn an_hour_is_spread_by_a_tenth_each_way() {
        assert_eq!(keys(0.0).rule.every, Duration::from_secs(3240));
        assert_eq!(keys(1.0).rule.every, Duration::from_secs(3960));
    }

    #[test]
    fn pauses_after_failures_double_up_to_a_minute() {
        let pauses: Vec<_> = (0..8)
            .map(|failures| keys(0.5).pause_after(failures).as_secs())
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(keys(0.5).pause_after(u32::MAX), Duration::from_secs(60));
    }
}
