//! The whole compiled configuration at one revision. A call sees one from start to end.

mod alerting;
mod audit;
mod cache;
mod guard;
pub(crate) mod prices;
mod semantic;
mod service;
mod sink;
mod token_source;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain::breaker::BreakerRule;
use domain::budget::{CallMatch, Raise};
use domain::pool::Pool;
use domain::{
    ApplicationName, BackendId, Budget, ChannelId, Currency, Limit, ModelName, ProductId,
    SubscriptionId,
};

use crate::expression::Expression;
use crate::problem::Written;

pub use alerting::{
    AlertCondition, AlertRule, Alerting, Channel, ChannelTarget, Direction, MailTls, PaceMeasure,
    PaceSubject, PrivateUrl, SigningKey, Smtp,
};
pub use audit::{Access, Audit, AuditStore, Auditing, AzureKey, Kek, VaultKey};
pub use cache::{CacheRule, Caching, CachingDisk, ExactRule};
pub use guard::{Guard, GuardKind, Guarded, Guards, OnError, Pii};
pub use prices::{Prices, Provisioned};
pub use semantic::{BackendEmbedder, Embedder, LocalEmbedder, SemanticRule};
pub use service::{
    AnswerWindows, ContentSafety, GuardWebhook, KeyHeader, Moderation, Presidio, PresidioAction,
    Service, Windows,
};
pub use sink::{
    AuditRecords, Envelope, FileCompression, FileSink, KafkaCompression, KafkaLogin, KafkaSasl,
    KafkaSink, OtlpSink, RecordKind, Sink, SinkBatch, SinkKind, SinkStart, WebhookSink,
};
pub use token_source::{
    Assigned, ClientCredentials, IdentityService, ManagedIdentity, SecretMethod, TokenSource,
    WorkloadIdentity,
};

#[derive(Debug)]
pub struct Snapshot {
    pub revision: u64,
    pub settings: Settings,
    pub issuers: Vec<Arc<Issuer>>,
    pub subscriptions: HashMap<SubscriptionId, Arc<Subscription>>,
    /// By the SHA-256 of the secret that a client presents.
    pub keys: HashMap<KeyHash, KeyGrant>,
    pub products: HashMap<ProductId, Arc<Product>>,
    pub models: HashMap<ModelName, Arc<Model>>,
    pub backends: HashMap<BackendId, Arc<Backend>>,
    /// Limits of scope global: they apply to every call.
    pub limits: Vec<KeyedLimit>,
    /// In the order of the file.
    pub budgets: Vec<KeyedBudget>,
    /// Limits of scope application, by name.
    pub application_limits: HashMap<ApplicationName, Vec<KeyedLimit>>,
    /// Of applications that have a rule of their own, which may be not to record.
    pub application_audits: HashMap<ApplicationName, Arc<Audit>>,
    /// Of applications that have a rule of their own, which may be that nothing is cached.
    pub application_caches: HashMap<ApplicationName, Arc<CacheRule>>,
    pub caching: Caching,
    pub auditing: Auditing,
    pub alerting: Alerting,
    pub prices: Prices,
    pub sinks: Vec<Arc<Sink>>,
    pub expected: Vec<Expected>,
}

/// Something on disk that is counted on: whether it is there, only who runs the gateway can see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    pub written: Written,
    pub what: OnDisk,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnDisk {
    /// The folder that this file is in.
    FolderOf(PathBuf),
    /// What compares questions by meaning.
    LocalModel(LocalEmbedder),
}

/// Of the process rather than of any call. Those marked need a restart to change.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Restart.
    pub listen: SocketAddr,
    /// What `listen` shows its clients; plain HTTP when absent.
    pub tls: Option<Arc<TlsText>>,
    /// Restart. Admin API, `/metrics`; off when absent.
    pub admin_listen: Option<SocketAddr>,
    pub admin_tls: Option<Arc<TlsText>>,
    /// Restart.
    pub data_dir: PathBuf,
    pub body_bytes_max: u64,
    pub headers_bytes_max: u64,
    pub header_timeout: Duration,
    pub body_timeout: Duration,
    pub write_timeout: Duration,
    pub idle_timeout: Duration,
    /// Restart. On each listener.
    pub connections_max: u64,
    pub calls_max: u64,
    pub bodies_in_memory_bytes_max: u64,
    pub queue_delay: Duration,
    pub drain: Duration,
    pub time_zone: jiff::tz::TimeZone,
    /// Combinations of values that a metric with configured dimensions may have.
    pub metric_series_max: usize,
    pub telemetry: Telemetry,
}

/// OpenTelemetry. Nothing is exported without `otlp`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Telemetry {
    pub service_name: String,
    pub resource: Vec<(String, String)>,
    pub otlp: Option<Otlp>,
}

/// A collector. Debug prints no secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Otlp {
    /// Without a trailing slash; `/v1/traces` and `/v1/metrics` are added.
    pub endpoint: url::Url,
    pub headers: Vec<(http::HeaderName, Secret)>,
    /// From 0 to 1.
    pub sample_ratio: f64,
    /// Between two exports of metrics.
    pub interval: Duration,
}

/// Labels of the token metrics, in the order in which they are written.
#[derive(Debug)]
pub struct Dimensions {
    pub list: Vec<Dimension>,
}

#[derive(Clone, Debug)]
pub struct Dimension {
    pub name: Arc<str>,
    pub value: Arc<Expression>,
}

/// A listener's certificate and key. Only that they are texts is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsText {
    pub cert: PemText,
    pub key: PemText,
    /// Clients must show a certificate that one of these signed.
    pub client_ca: Option<PemText>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PemText {
    pub text: Secret,
    pub written: Written,
}

/// Of connections that the gateway makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// Who alone is trusted there, instead of those whom everybody or this machine trusts.
    pub ca: Option<PemText>,
    /// The gateway's own certificate and key.
    pub identity: Option<(PemText, PemText)>,
}

/// SHA-256 of a key's secret text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash(pub [u8; 32]);

impl std::fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyHash({:02x}{:02x}..)", self.0[0], self.0[1])
    }
}

#[derive(Clone, Debug)]
pub struct KeyGrant {
    pub subscription: Arc<Subscription>,
    /// Shown in records and lists: `tg_ab12cd` of a generated key, `search/primary` of one in the file.
    pub key_id: Arc<str>,
    /// Set for a key that was made for one application.
    pub application: Option<ApplicationName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeySlot {
    Primary,
    Secondary,
}

impl std::fmt::Display for KeySlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
        })
    }
}

#[derive(Debug)]
pub struct Subscription {
    pub id: SubscriptionId,
    pub name: String,
    pub owner: Option<String>,
    pub state: SubscriptionState,
    pub product: Arc<Product>,
    pub limits: Vec<KeyedLimit>,
    /// Those of the snapshot's budgets that may count its calls, by index: which do is each call's.
    pub budgets: Vec<usize>,
    /// Its own, else its product's, else the configuration's; absent where nothing is recorded.
    pub audit: Option<Arc<Audit>>,
    /// Its own, else its product's.
    pub cache: Option<Arc<CacheRule>>,
    /// Its own, else its product's, else the configuration's.
    pub guards: Option<Arc<Guards>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubscriptionState {
    #[default]
    Active,
    /// Its calls are refused 403.
    Suspended,
}

#[derive(Debug)]
pub struct Product {
    pub id: ProductId,
    pub name: String,
    /// In alphabetical order.
    pub models: Vec<ModelName>,
    pub require: Require,
    /// Header that names the application, where the key or token does not. Its value is cut to 128 bytes.
    pub application_header: Option<http::HeaderName>,
    /// Its own, else the configuration's; absent when neither has any.
    pub dimensions: Option<Arc<Dimensions>>,
    pub limits: Vec<KeyedLimit>,
    /// Its own, else the configuration's: those of its subscriptions that have none.
    pub guards: Option<Arc<Guards>>,
}

impl Product {
    /// A few comparisons, of however many models.
    pub fn grants(&self, model: &ModelName) -> bool {
        self.models.binary_search(model).is_ok()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Require {
    SubscriptionKey,
    Jwt,
    Both,
    /// Neither is demanded above the other: one of them must be there.
    Either,
}

/// A limit and the expression whose value picks its counter.
#[derive(Clone, Debug)]
pub struct KeyedLimit {
    pub limit: Arc<Limit>,
    pub counter_key: Arc<Expression>,
}

/// A budget, whose calls it counts, and what slows them down past it.
#[derive(Clone, Debug)]
pub struct KeyedBudget {
    pub name: Arc<str>,
    /// The limit's rule.
    pub budget: Arc<Budget>,
    pub keyed: KeyedLimit,
    pub matching: CallMatch,
    /// Of `on_exceeded: { throttle: … }`; counts by the same key.
    pub throttle: Option<Arc<Limit>>,
    /// Who is told of its thresholds.
    pub notify: Vec<ChannelId>,
}

/// More money for a budget, as the registry has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetRaise {
    pub budget: String,
    pub currency: Currency,
    pub raise: Raise,
}

#[derive(Debug)]
pub struct Model {
    pub name: ModelName,
    pub pool: Arc<Pool>,
    /// Same key, same member while it is healthy.
    pub affinity: Option<Arc<Expression>>,
    pub deployment: DeploymentNames,
    /// Bound of an answer when the request sets none, in tokens.
    pub max_output_tokens: Option<u64>,
    pub tokenizer: TokenizerName,
    /// Its name in the price catalogue, if that is neither the deployment's nor its own.
    pub catalogue: Option<Arc<str>>,
}

impl Model {
    /// The provider's name for this model at `backend`.
    pub fn deployment_at(&self, backend: &BackendId) -> &str {
        match &self.deployment {
            DeploymentNames::Everywhere(name) => name,
            DeploymentNames::By(names) => names.get(backend).unwrap_or(&self.name.0),
        }
    }
}

#[derive(Debug)]
pub enum DeploymentNames {
    Everywhere(Arc<str>),
    By(HashMap<BackendId, Arc<str>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenizerName {
    O200k,
    Cl100k,
}

#[derive(Debug)]
pub struct Backend {
    pub id: BackendId,
    pub dialect: dialect::Dialect,
    /// Without a trailing slash; with or without `/v1`.
    pub url: url::Url,
    /// Azure only.
    pub api_version: Option<String>,
    pub auth: BackendAuth,
    pub tls: ClientTls,
    pub timeouts: Timeouts,
    pub breaker: BreakerRule,
    /// Whose prices in the catalogue are paid here.
    pub catalogue: Option<Arc<str>>,
}

/// Debug prints no secret.
#[derive(Clone, Debug)]
pub enum BackendAuth {
    None,
    /// `api-key` on Azure, `Authorization: Bearer` on OpenAI.
    ApiKey(Secret),
    Bearer(Secret),
    /// `Authorization: Bearer` with a token that an issuer gives for a while.
    Token(Arc<TokenSource>),
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(Arc<str>);

impl Secret {
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    pub first_byte: Duration,
    /// Longest silence between two reads of an answer.
    pub idle: Duration,
    /// First byte sent to last byte read.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(120),
            idle: Duration::from_secs(60),
            total: Duration::from_secs(600),
        }
    }
}

/// One trusted token issuer.
#[derive(Debug)]
pub struct Issuer {
    pub name: Arc<str>,
    pub openid_config: url::Url,
    /// What `iss` must be, if not what the discovery document says.
    pub issuer: Option<String>,
    /// Any of these must be in `aud`.
    pub audiences: Vec<String>,
    pub required_claims: Vec<RequiredClaim>,
    /// Names the subscription of a token.
    pub subscription: Expression,
    pub application: Option<Expression>,
    /// Names the person behind a token.
    pub user: Option<Expression>,
    /// The allow-list; never `none`, never HMAC.
    pub algorithms: Vec<Algorithm>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequiredClaim {
    pub name: String,
    pub matching: Match,
    /// Compared with whole values; never with parts of a joined list.
    pub values: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Match {
    #[default]
    All,
    Any,
}
