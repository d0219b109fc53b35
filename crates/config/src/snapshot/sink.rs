//! Where records are sent.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain::{AuditStoreId, SinkId};
use url::Url;

use super::{ClientTls, Secret, TokenSource};

/// A sink that is equal to the one in force goes on as it is across a reload.
#[derive(Clone, Debug, PartialEq)]
pub struct Sink {
    pub id: SinkId,
    pub kind: SinkKind,
    pub records: RecordKind,
    pub from: SinkStart,
    pub envelope: Envelope,
    pub batch: SinkBatch,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordKind {
    Usage,
    Audit(AuditRecords),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecords {
    pub store: AuditStoreId,
    /// Prompts and answers leave too.
    pub content: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkStart {
    Now,
    Start,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    None,
    CloudEvents,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinkBatch {
    pub records_max: usize,
    /// An event that is larger alone is sent alone.
    pub bytes_max: usize,
    pub linger: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub enum SinkKind {
    Kafka(Box<KafkaSink>),
    File(FileSink),
    Otlp(OtlpSink),
    Webhook(WebhookSink),
}

impl SinkKind {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Kafka(_) => "kafka",
            Self::File(_) => "file",
            Self::Otlp(_) => "otlp",
            Self::Webhook(_) => "webhook",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct KafkaSink {
    /// `host:port`; never empty.
    pub brokers: Vec<String>,
    pub topic: String,
    pub tls: Option<ClientTls>,
    pub sasl: Option<KafkaSasl>,
    pub client_id: String,
    pub compression: KafkaCompression,
    pub timeout: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KafkaSasl {
    Plain(KafkaLogin),
    ScramSha256(KafkaLogin),
    ScramSha512(KafkaLogin),
    Oauth(Arc<TokenSource>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaLogin {
    pub username: String,
    pub password: Secret,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KafkaCompression {
    None,
    Gzip,
    Zstd,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSink {
    pub path: PathBuf,
    pub bytes_max: u64,
    pub every: Option<Duration>,
    /// Full files.
    pub files_max: usize,
    pub compression: FileCompression,
    pub sync: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileCompression {
    None,
    Gzip,
    Zstd,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpSink {
    /// Without a trailing slash; `/v1/logs` is added.
    pub endpoint: Url,
    pub headers: Vec<(http::HeaderName, Secret)>,
    pub gzip: bool,
    pub timeout: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSink {
    pub url: Secret,
    /// `https://host`, for logs.
    pub origin: String,
    pub headers: Vec<(http::HeaderName, Secret)>,
    /// As configured: bytes, or `whsec_` and base64.
    pub secret: Option<Secret>,
    pub gzip: bool,
    pub timeout: Duration,
}
