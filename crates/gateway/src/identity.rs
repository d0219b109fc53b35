//! Who calls: from a request's headers to a [`Caller`], or an [`AuthError`] that says why not.
//!
//! Reads no body, and decides nothing about models, routes or limits.

mod application;
mod credential;
mod issuer_keys;
mod jwk;
mod key_set;
mod proof;
mod refusal;
mod required_claims;
mod token;
mod verified;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use config::Snapshot;
use config::snapshot::{Issuer, Subscription, SubscriptionState};
use domain::{ApplicationName, Now};
use http::HeaderMap;
use serde_json::{Map, Value};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::fetch::Fetch;
use credential::{Credentials, Secret};
use issuer_keys::IssuerKeys;
use key_set::KeySet;
use proof::{Proof, find_grant};
use token::{UnverifiedToken, Validity};
use verified::{VerifiedToken, VerifiedTokens};

pub use issuer_keys::RefreshRule;
pub use refusal::{AuthError, TokenFault};

/// What authentication proved.
#[derive(Clone, Debug)]
pub struct Caller {
    pub subscription: Arc<Subscription>,
    pub key_id: Option<Arc<str>>,
    /// The issuer's name in the configuration.
    pub issuer: Option<Arc<str>>,
    pub subject: Option<Arc<str>>,
    pub claims: Option<Arc<Map<String, Value>>>,
    pub application: Option<ApplicationName>,
    /// The person behind the token, as its issuer's `user` says.
    pub user: Option<Arc<str>>,
}

impl Caller {
    /// Authenticated is not permitted: a suspended subscription's calls are refused, and recorded.
    pub fn may_call(&self) -> Result<(), AuthError> {
        match self.subscription.state {
            SubscriptionState::Active => Ok(()),
            SubscriptionState::Suspended => Err(AuthError::Suspended),
        }
    }

    /// For records and logs: the key's id, else `issuer:subject`. Bounded, and never a secret.
    pub fn label(&self) -> Arc<str> {
        if let Some(key_id) = &self.key_id {
            return key_id.clone();
        }
        let issuer = self.issuer.as_deref().unwrap_or_default();
        let subject = self.subject.as_deref().unwrap_or_default();
        application::bounded(&format!("{issuer}:{subject}")).into()
    }
}

/// Holds the keys of token issuers, and what they verified lately; outlives any one snapshot.
pub struct Authenticator {
    fetch: Fetch,
    refresh: RefreshRule,
    /// By the address of the discovery document.
    issuers: ArcSwap<HashMap<String, Followed>>,
    /// Two reloads at once must not follow one issuer twice.
    syncing: Mutex<()>,
    verified: VerifiedTokens,
}

/// Its task ends when the last clone is dropped.
#[derive(Clone)]
struct Followed {
    keys: Arc<IssuerKeys>,
    _task: Arc<DropGuard>,
}

/// What a call whose issuer is not followed yet is told; a reload takes less.
const NOT_FOLLOWED_RETRY: Duration = Duration::from_secs(1);

impl Authenticator {
    pub fn new(fetch: Fetch) -> Self {
        Self::with_refresh(fetch, RefreshRule::default())
    }

    pub fn with_refresh(fetch: Fetch, refresh: RefreshRule) -> Self {
        Self {
            fetch,
            refresh,
            issuers: ArcSwap::default(),
            syncing: Mutex::default(),
            verified: VerifiedTokens::default(),
        }
    }

    /// Begins to follow the issuers that are new in `snapshot` and forgets those that are gone.
    /// Call it before `snapshot` is used. The tasks end with `stop`, or with their issuer.
    /// `roll`, from 0 to 1, spreads the hourly refreshes of many gateways.
    pub fn sync(
        &self,
        snapshot: &Snapshot,
        tasks: &TaskTracker,
        stop: &CancellationToken,
        roll: f64,
    ) {
        let _one_at_a_time = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.issuers.load();
        let mut issuers = HashMap::new();
        for issuer in &snapshot.issuers {
            let address = issuer.openid_config.as_str();
            let followed = match known.get(address).or_else(|| issuers.get(address)) {
                Some(followed) => followed.clone(),
                None => self.follow(issuer, tasks, stop, roll),
            };
            issuers.insert(address.to_owned(), followed);
        }
        self.issuers.store(Arc::new(issuers));
    }

    /// Configured issuers whose keys could not be fetched the last time.
    pub fn failing_issuers(&self, snapshot: &Snapshot) -> Vec<Arc<str>> {
        let followed = self.issuers.load();
        let is_failing = |issuer: &&Arc<Issuer>| {
            let found = followed.get(issuer.openid_config.as_str());
            found.is_some_and(|followed| followed.keys.is_failing())
        };
        let failing = snapshot.issuers.iter().filter(is_failing);
        failing.map(|issuer| issuer.name.clone()).collect()
    }

    fn follow(
        &self,
        issuer: &Issuer,
        tasks: &TaskTracker,
        stop: &CancellationToken,
        roll: f64,
    ) -> Followed {
        let keys = Arc::new(IssuerKeys::new(
            issuer.openid_config.clone(),
            self.refresh,
            roll,
        ));
        let stop = stop.child_token();
        let task = Arc::new(stop.clone().drop_guard());
        let (fetch, name, followed) = (self.fetch.clone(), issuer.name.clone(), keys.clone());
        tasks.spawn(async move {
            stop.run_until_cancelled(followed.follow(&name, &fetch))
                .await
        });
        Followed { keys, _task: task }
    }

    pub async fn authenticate(
        &self,
        snapshot: &Snapshot,
        headers: &HeaderMap,
        ip: Option<IpAddr>,
        now: Now,
    ) -> Result<Caller, AuthError> {
        let credentials = Credentials::read(headers, |hash| snapshot.keys.contains_key(hash))?;
        let grant = match &credentials.key {
            Some(key) => Some(find_grant(snapshot, key)?),
            None => None,
        };
        let token = match &credentials.token {
            Some(token) => Some(self.verify(snapshot, token, now).await?),
            None => None,
        };
        let proof = Proof {
            grant,
            token: token.as_deref(),
            headers,
            ip,
        };
        let subscription = proof.subscription(snapshot)?;
        proof.satisfies(subscription)?;
        Ok(Caller {
            subscription: subscription.clone(),
            key_id: grant.map(|grant| grant.key_id.clone()),
            issuer: token.as_ref().map(|token| token.issuer.name.clone()),
            subject: token.as_ref().and_then(|token| token.subject.clone()),
            claims: token.as_ref().map(|token| token.claims.clone()),
            application: proof.application(subscription)?,
            user: proof.user(subscription)?,
        })
    }

    async fn verify(
        &self,
        snapshot: &Snapshot,
        secret: &Secret<'_>,
        now: Now,
    ) -> Result<Arc<VerifiedToken>, AuthError> {
        if let Some(token) = self
            .verified
            .lookup(&secret.digest, snapshot.revision, now.wall)
        {
            return Ok(token);
        }
        let token = UnverifiedToken::parse(secret.text)?;
        // Before anything is waited for: what can never be allowed needs no issuer to say so.
        let algorithm = token.algorithm.ok_or(TokenFault::AlgorithmNotAllowed)?;
        let (issuer, keys, set) = self.issuer_of(snapshot, &token).await?;
        if !issuer.algorithms.contains(&algorithm) {
            return Err(TokenFault::AlgorithmNotAllowed.into());
        }
        let set = keys.verify(set, &token, algorithm, now.mono).await?;
        // Keys fetched meanwhile may come with another issuer name.
        if !token::is_from(expected(&issuer, &set), &token.claims) {
            return Err(TokenFault::WrongIssuer.into());
        }
        let validity = Validity::of(&token.claims)?;
        validity.check(now.wall)?;
        if !token::is_meant_for(&issuer.audiences, &token.claims) {
            return Err(TokenFault::WrongAudience.into());
        }
        if let Some(missing) =
            required_claims::first_missing(&issuer.required_claims, &token.claims)
        {
            return Err(AuthError::ClaimMissing {
                claim: missing.name.clone(),
            });
        }
        let subject = token
            .claims
            .get("sub")
            .and_then(Value::as_str)
            .map(Into::into);
        let revision = snapshot.revision;
        let token = Arc::new(VerifiedToken {
            issuer,
            subject,
            claims: Arc::new(token.claims),
            validity,
            keys,
            set,
            revision,
        });
        self.verified
            .store(secret.digest, secret.text.len(), token.clone());
        Ok(token)
    }

    /// The configured issuer that the token says it is from, with its current keys. Of several
    /// entries for one issuer, the one whose audience the token is meant for.
    async fn issuer_of(
        &self,
        snapshot: &Snapshot,
        token: &UnverifiedToken<'_>,
    ) -> Result<(Arc<Issuer>, Arc<IssuerKeys>, Arc<KeySet>), AuthError> {
        let followed = self.issuers.load_full();
        let mut unavailable = None;
        // Those whose keys are here go first: an issuer that is down holds up nobody else's callers.
        for wait in [false, true] {
            let mut fallback = None;
            for issuer in &snapshot.issuers {
                let named = issuer.issuer.as_deref();
                if named.is_some_and(|named| !token::is_from(named, &token.claims)) {
                    continue;
                }
                let Some(Followed { keys, .. }) = followed.get(issuer.openid_config.as_str())
                else {
                    unavailable.get_or_insert((issuer, NOT_FOLLOWED_RETRY));
                    continue;
                };
                let set = match keys.current() {
                    Some(set) => set,
                    None if !wait => continue,
                    None => match keys.first().await {
                        Ok(set) => set,
                        Err(retry_after) => {
                            unavailable = Some((issuer, retry_after));
                            continue;
                        }
                    },
                };
                if !token::is_from(expected(issuer, &set), &token.claims) {
                    continue;
                }
                let found = (issuer.clone(), keys.clone(), set);
                if token::is_meant_for(&issuer.audiences, &token.claims) {
                    return Ok(found);
                }
                fallback = fallback.or(Some(found));
            }
            if let Some(found) = fallback {
                return Ok(found);
            }
        }
        Err(match unavailable {
            Some((issuer, retry_after)) => AuthError::IssuerUnavailable {
                issuer: issuer.name.clone(),
                retry_after,
            },
            None => TokenFault::WrongIssuer.into(),
        })
    }
}

/// What `iss` must be: what the configuration says, else what the issuer's own document does.
fn expected<'a>(issuer: &'a Issuer, set: &'a KeySet) -> &'a str {
    issuer.issuer.as_deref().unwrap_or(&set.issuer)
}
