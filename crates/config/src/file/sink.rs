//! `sinks`: where records are sent, and in which form.

use domain::{AuditStoreId, SinkId};
use schemars::{Schema, SchemaGenerator, json_schema};

use super::backend::WebUrl;
use super::kafka::Kafka;
use super::telemetry::HeaderText;
use crate::read::{
    Declared, Field, List, Map, Path, Placed, Reader, Reference, SecretText, Size, Span, Whole,
    quoted, section, words,
};
use crate::snapshot::{Envelope, FileCompression, Secret, SinkStart};
use crate::tree::Node;

section! {
    /// A place that gets a copy of every record, at least once. What it has not acknowledged waits on
    /// the ledger, and never holds up a call. Exactly one of `kafka`, `file`, `otlp` and `webhook`.
    pub struct Sink {
        /// Names it in metrics, logs and `tollgate sinks`, and holds its place in the ledger: a sink
        /// with another id begins anew.
        pub id: Declared<SinkId>,
        /// A topic of Kafka, or of Azure Event Hubs, which speaks Kafka.
        pub kafka: Option<Placed<Kafka>>,
        /// Lines of JSON in a file that is rotated.
        pub file: Option<Placed<FileSink>>,
        /// Log records to an OpenTelemetry collector.
        pub otlp: Option<Placed<OtlpSink>>,
        /// Batches as JSON by HTTP POST.
        pub webhook: Option<Placed<WebhookSink>>,
        /// What is sent, one kind for each sink. Without it: `[usage]`.
        pub records: Option<Placed<List<Sent>>>,
        /// For `records: [audit]`: send prompts and answers too, as guards let them through. Whoever
        /// reads the receiver reads them.
        pub content: Option<Placed<bool>>,
        /// For `records: [audit]`: of this store. Without it, of the only one there is.
        pub store: Option<Reference<AuditStoreId>>,
        /// Where a sink begins that has no place in the ledger yet.
        pub from: SinkStart = "now",
        /// The form of each event.
        pub envelope: Envelope = "none",
        /// How many events go together.
        pub batch: SinkBatch = "{}",
    }
}

/// A sink with exactly one place to send to.
#[derive(Debug)]
pub(crate) struct SinkOfOneKind(pub Sink);

impl Field for SinkOfOneKind {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let before = reader.problems.count();
        let sink = Sink::read(node, reader)?;
        let kinds = [
            sink.kafka.is_some(),
            sink.file.is_some(),
            sink.otlp.is_some(),
            sink.webhook.is_some(),
        ];
        match kinds.iter().filter(|is_written| **is_written).count() {
            1 => Some(Self(sink)),
            // What was meant is reported already.
            0 if reader.problems.count() > before => None,
            _ => {
                let fix = "write one of: kafka, file, otlp, webhook";
                reader.error(node.place, "not exactly one place to send to", fix);
                None
            }
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        Sink::schema(generator)
    }
}

/// What a sink can send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Usage,
    Audit,
}

words! { Sent, "kind of records":
    /// One event for each call of an authenticated caller.
    "usage" => Sent::Usage,
    /// One event for each audit record; metadata, unless `content` says otherwise.
    "audit" => Sent::Audit,
}

words! { SinkStart, "beginning":
    /// With the next call.
    "now" => SinkStart::Now,
    /// With the oldest call on the ledger.
    "start" => SinkStart::Start,
}

words! { Envelope, "envelope":
    /// The event alone.
    "none" => Envelope::None,
    /// The event as `data` of a CloudEvent 1.0, in JSON.
    "cloudevents" => Envelope::CloudEvents,
}

section! {
    /// Bounds of what is sent together, and of what a sink holds in memory.
    pub struct SinkBatch {
        /// Events in one batch.
        pub records: Whole<1, 10_000> = "500",
        /// Bytes of events in one batch, before compression. Brokers and Event Hubs take 1 MiB unless
        /// told otherwise.
        pub bytes: Size<4_096, 8_388_608> = "512KiB",
        /// How long an event waits for others.
        pub linger: Span = "1s",
    }
}

section! {
    /// A file to which lines of JSON are added. Its folder must exist.
    pub struct FileSink {
        /// The file. Full ones stand beside it, as `usage-20261122T153000.000Z.jsonl`.
        pub path: Path,
        /// When a file is full.
        pub rotate: FileRotation = "{}",
        /// Bring each batch to the disk before it counts as written. Without it, a power loss may take
        /// the last seconds; a kill of the process takes nothing either way.
        pub sync: bool = "true",
    }
}

section! {
    /// When a file is full, and what becomes of it.
    pub struct FileRotation {
        /// Past this size.
        pub size: Size<4_096, 1_099_511_627_776> = "64MiB",
        /// After this time, where it holds anything. Without it, by size alone.
        pub every: Option<Span>,
        /// Full files that are kept. The oldest are removed; the ledger still has what was in them.
        pub keep: Whole<1, 1_000_000> = "100",
        /// What is done to full ones.
        pub compression: FileCompression = "none",
    }
}

words! { FileCompression, "compression":
    /// As they are.
    "none" => FileCompression::None,
    /// `.gz`
    "gzip" => FileCompression::Gzip,
    /// `.zst`
    "zstd" => FileCompression::Zstd,
}

section! {
    /// Log records as `http/protobuf`: one for each event, its fields as the body.
    pub struct OtlpSink {
        /// The collector's base URL: `/v1/logs` is added.
        pub endpoint: WebUrl,
        /// Sent with every request, as in `{ authorization: "${env:OTLP_AUTHORIZATION}" }`.
        pub headers: Map<HeaderText> = "{}",
        /// Compress requests with gzip.
        pub gzip: bool = "true",
        /// For one request, from connecting to the answer's end.
        pub timeout: Span = "10s",
    }
}

section! {
    /// A POST with a JSON array of events for each batch; any 2xx takes it.
    pub struct WebhookSink {
        /// Where to. It may hold a secret, and is never logged but for its host.
        pub url: SecretUrl,
        /// Sent with every request, as in `{ authorization: "Bearer ${env:TOKEN}" }`.
        pub headers: Map<HeaderText> = "{}",
        /// Signs every request as Standard Webhooks do: 16 characters or more, or `whsec_` and base64.
        pub secret: Option<Placed<SecretText>>,
        /// Compress requests with gzip. The receiver must know `content-encoding`.
        pub gzip: bool = "false",
        /// For one request, from connecting to the answer's end.
        pub timeout: Span = "10s",
    }
}

/// An `http` or `https` URL whose path or query may be what proves the sender.
pub(crate) struct SecretUrl {
    pub url: Secret,
    /// `https://host:port`, for logs.
    pub origin: String,
}

impl std::fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretUrl({}, ..)", self.origin)
    }
}

impl Field for SecretUrl {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let fix = "write it as `https://host/path`";
        let (_, filled) = reader.scalar(node, "a URL", fix)?;
        let Ok(url) = url::Url::parse(&filled.text) else {
            reader.error(node.place, "not a URL", fix);
            return None;
        };
        let problem = if !matches!(url.scheme(), "http" | "https") {
            "neither `http` nor `https`"
        } else if !url.username().is_empty() || url.password().is_some() {
            "a URL with a user: send an `authorization` header instead"
        } else if url.fragment().is_some() {
            "a URL with a fragment, which no server sees"
        } else {
            if url.scheme() == "http" && !super::backend::is_near(&url) {
                reader.warning(
                    node.place,
                    "plain `http` to a public host: records can be read on the way",
                    "use `https`",
                );
            }
            return Some(Self {
                origin: url.origin().ascii_serialization(),
                url: Secret::new(url.as_str()),
            });
        };
        reader.error(node.place, problem, fix);
        None
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^https?://|\\$\\{", "writeOnly": true })
    }
}

/// `host:port`
#[derive(Clone, Debug)]
pub(crate) struct HostPort(pub String);

impl HostPort {
    /// Without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        let host = self.0.rsplit_once(':').map_or(&*self.0, |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }
}

impl Field for HostPort {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let fix =
            "write a host and a port: `localhost:9092`, `NAMESPACE.servicebus.windows.net:9093`";
        let (_, filled) = reader.scalar(node, "a host and a port", fix)?;
        // As a URL's host, so that what is no host is found out here.
        let url = url::Url::parse(&format!("kafka://{}", filled.text)).ok();
        let is_plain = url.is_some_and(|url| {
            url.host_str().is_some_and(|host| !host.is_empty())
                && url.port().is_some_and(|port| port > 0)
                && matches!(url.path(), "" | "/")
                && !filled.text.contains(['/', '@', '?', '#'])
        });
        if !is_plain {
            reader.error(
                node.place,
                format!("{} is not a host with a port", quoted(&filled)),
                fix,
            );
            return None;
        }
        Some(Self(filled.text.into_owned()))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["localhost:9092", "NAMESPACE.servicebus.windows.net:9093"] })
    }
}
