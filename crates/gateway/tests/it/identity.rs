//! Authentication against an issuer on this machine, with real signatures.

mod issuer;
mod keys;
mod rotation;
mod tokens;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use config::snapshot::{
    Alerting, Algorithm, Issuer, KeyGrant, KeyHash, Match, Prices, Product, Require, RequiredClaim,
    Settings, Subscription, SubscriptionState,
};
use config::{Expression, Snapshot};
use domain::{ApplicationName, Mono, Now, SubscriptionId, Wall};
use gateway::fetch::Fetch;
use gateway::identity::{AuthError, Authenticator, Caller, RefreshRule};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use issuer::TestIssuer;

const NOW_S: i64 = 1_790_000_000;

fn at(s: i64) -> Now {
    let since_start = u64::try_from(s - NOW_S + 1_000_000).unwrap();
    Now {
        mono: Mono::from_secs(since_start),
        wall: Wall::from_secs(s),
    }
}

/// Claims that every rule of [`Gate::new`] accepts.
fn good_claims(issuer: &TestIssuer) -> Value {
    json!({
        "iss": issuer.address, "aud": "api://gateway", "sub": "user-7", "azp": "search",
        "roles": ["AI.Consumer"], "exp": NOW_S + 600, "nbf": NOW_S - 600,
    })
}

fn with(mut claims: Value, members: &Value) -> Value {
    claims
        .as_object_mut()
        .unwrap()
        .extend(members.as_object().unwrap().clone());
    claims
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

/// An authenticator and the snapshot that it serves. Dropping it ends its tasks.
struct Gate {
    authenticator: Arc<Authenticator>,
    snapshot: Snapshot,
    tasks: TaskTracker,
    stop: CancellationToken,
    _stop: tokio_util::sync::DropGuard,
}

impl Gate {
    /// Subscription `search` with the key `search-key-of-16`, `chat` with `chat-key-of-16-x`, `paused`
    /// with `paused-key-of-16`.
    fn new(require: Require) -> Self {
        let stop = CancellationToken::new();
        let rule = RefreshRule {
            retry_min: Duration::from_secs(60),
            ..RefreshRule::default()
        };
        let mut gate = Self {
            authenticator: Arc::new(Authenticator::with_refresh(Fetch::default(), rule)),
            snapshot: snapshot(),
            tasks: TaskTracker::new(),
            _stop: stop.clone().drop_guard(),
            stop,
        };
        gate.add_product(require);
        gate
    }

    fn trusting(require: Require, issuers: &[&TestIssuer]) -> Self {
        let mut gate = Self::new(require);
        for issuer in issuers {
            gate.snapshot.issuers.push(Arc::new(trusted(issuer)));
        }
        gate.sync();
        gate
    }

    fn add_product(&mut self, require: Require) {
        let product = Arc::new(Product {
            id: "standard".into(),
            name: "Standard".into(),
            models: Vec::new(),
            require,
            application_header: Some(HeaderName::from_static("x-app-name")),
            dimensions: None,
            limits: Vec::new(),
            guards: None,
        });
        for (id, key, state) in [
            ("search", "search-key-of-16", SubscriptionState::Active),
            ("chat", "chat-key-of-16-x", SubscriptionState::Active),
            ("paused", "paused-key-of-16", SubscriptionState::Suspended),
        ] {
            let subscription = Arc::new(Subscription {
                id: id.into(),
                name: id.to_uppercase(),
                owner: None,
                state,
                product: product.clone(),
                limits: Vec::new(),
                guards: None,
                budgets: Vec::new(),
                audit: None,
                cache: None,
            });
            self.add_key(key, &format!("{id}/primary"), &subscription, None);
            self.snapshot
                .subscriptions
                .insert(SubscriptionId::from(id), subscription);
        }
    }

    fn add_key(
        &mut self,
        key: &str,
        key_id: &str,
        subscription: &Arc<Subscription>,
        application: Option<&str>,
    ) {
        let grant = KeyGrant {
            subscription: subscription.clone(),
            key_id: key_id.into(),
            application: application.map(ApplicationName::from),
        };
        self.snapshot
            .keys
            .insert(KeyHash(Sha256::digest(key).into()), grant);
    }

    /// Changes the issuer and makes it a new revision, as a reload does.
    fn reload_issuer(&mut self, change: impl FnOnce(&mut Issuer), issuer: &TestIssuer) {
        let mut trusted = trusted(issuer);
        change(&mut trusted);
        self.snapshot.issuers = vec![Arc::new(trusted)];
        self.snapshot.revision += 1;
        self.sync();
    }

    fn sync(&self) {
        self.authenticator
            .sync(&self.snapshot, &self.tasks, &self.stop, 0.5);
    }

    async fn call(&self, lines: &[(&'static str, &str)], now: Now) -> Result<Caller, AuthError> {
        let lines = headers(lines);
        let caller = self
            .authenticator
            .authenticate(&self.snapshot, &lines, None, now);
        let caller = caller.await?;
        caller.may_call()?;
        Ok(caller)
    }

    async fn bearer(&self, token: &str, now: Now) -> Result<Caller, AuthError> {
        self.call(&[("authorization", &format!("Bearer {token}"))], now)
            .await
    }
}

fn trusted(issuer: &TestIssuer) -> Issuer {
    Issuer {
        name: "entra".into(),
        openid_config: issuer.discovery(),
        issuer: None,
        audiences: vec!["api://gateway".into()],
        required_claims: vec![RequiredClaim {
            name: "roles".into(),
            matching: Match::Any,
            values: vec!["AI.Consumer".into()],
        }],
        subscription: Expression::compile("claims.azp").unwrap(),
        application: None,
        user: None,
        algorithms: vec![Algorithm::Es256, Algorithm::Rs256],
    }
}

fn snapshot() -> Snapshot {
    Snapshot {
        revision: 1,
        settings: Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            tls: None,
            admin_listen: None,
            admin_tls: None,
            data_dir: "unused".into(),
            body_bytes_max: 1 << 20,
            headers_bytes_max: 1 << 16,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(75),
            connections_max: 100,
            calls_max: 100,
            bodies_in_memory_bytes_max: 1 << 29,
            queue_delay: Duration::from_millis(200),
            drain: Duration::from_secs(30),
            time_zone: jiff::tz::TimeZone::UTC,
            metric_series_max: 1000,
            telemetry: config::snapshot::Telemetry::default(),
        },
        issuers: Vec::new(),
        subscriptions: HashMap::new(),
        keys: HashMap::new(),
        products: HashMap::new(),
        application_audits: HashMap::new(),
        application_caches: HashMap::new(),
        expected: Vec::new(),
        caching: config::snapshot::Caching {
            memory_bytes: 1 << 20,
            disk: None,
            entry_bytes_max: 1 << 20,
            embedder: config::snapshot::Embedder::Local(config::snapshot::LocalEmbedder {
                threads: 1,
                models: None,
                timeout: Duration::ZERO,
            }),
        },
        auditing: config::snapshot::Auditing::default(),
        models: HashMap::new(),
        backends: HashMap::new(),
        limits: Vec::new(),
        budgets: Vec::new(),
        application_limits: HashMap::new(),
        alerting: Alerting::default(),
        prices: Prices::none(domain::Currency::USD),
        sinks: Vec::new(),
    }
}
