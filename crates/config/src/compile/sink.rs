//! Sinks: what one field alone cannot say.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::AuditStoreId;

use super::telemetry::headers;
use crate::file::kafka;
use crate::file::sink::{self, FileRotation, FileSink, OtlpSink, Sent, SinkOfOneKind, WebhookSink};
use crate::problem::{Place, Problems};
use crate::read::{List, Placed, Reference};
use crate::snapshot::{
    self, AuditRecords, AuditStore, Expected, KafkaSasl, OnDisk, RecordKind, Secret, Sink,
    SinkBatch, SinkKind,
};

/// Each has a task, a batch in memory and a reader of the ledger.
const SINKS_MAX: usize = 16;
/// What brokers take unless they are told otherwise.
const KAFKA_BATCH_BYTES: u64 = 1_000_000;

pub(super) fn sinks(
    written: Vec<SinkOfOneKind>,
    stores: &[Arc<AuditStore>],
    problems: &mut Problems,
) -> Vec<Arc<Sink>> {
    let mut sinks = Vec::with_capacity(written.len());
    let mut paths: HashMap<PathBuf, Place> = HashMap::new();
    for SinkOfOneKind(section) in written {
        let place = section.id.place;
        let field = format!("sinks[{}]", section.id.id);
        if sinks.len() == SINKS_MAX {
            let problem = format!("more than {SINKS_MAX} sinks");
            problems.error(
                place,
                &field,
                problem,
                "send to a topic, and copy from there",
            );
            break;
        }
        if let Some(file) = &section.file
            && let Some(first) = paths.insert(file.value.path.0.clone(), file.place)
        {
            let problem = format!(
                "two sinks write to one file, the first at {}",
                problems.at(first)
            );
            let field = format!("{field}.file.path");
            problems.error(file.place, &field, problem, "give each its own path");
        }
        sinks.extend(sink(section, stores, &field, problems).map(Arc::new));
    }
    sinks
}

/// The folders of files: no sink makes one.
pub(super) fn folders(written: &[SinkOfOneKind], problems: &Problems) -> Vec<Expected> {
    let files = written.iter().filter_map(|SinkOfOneKind(section)| {
        let file = section.file.as_ref()?;
        let field = format!("sinks[{}].file.path", section.id.id);
        Some(Expected {
            written: problems.written(file.place, field),
            what: OnDisk::FolderOf(file.value.path.0.clone()),
        })
    });
    files.collect()
}

/// What is sent: the kinds that are written, `content`, and `store`.
type Written = (
    Option<Placed<List<Sent>>>,
    Option<Placed<bool>>,
    Option<Reference<AuditStoreId>>,
);

fn record_kind(
    (records, content, store): Written,
    stores: &[Arc<AuditStore>],
    field: &str,
    problems: &mut Problems,
) -> Option<RecordKind> {
    let is_audit = match &records {
        None => false,
        Some(Placed { value, place }) => match value.items.as_slice() {
            [only] => *only == Sent::Audit,
            // What was meant is reported already.
            [] if !value.is_whole => return None,
            several => {
                let field = format!("{field}.records");
                let (problem, fix) = if several.is_empty() {
                    ("nothing to send", "write `[usage]` or `[audit]`")
                } else {
                    (
                        "several kinds of records, which have readers of their own",
                        "write one sink for each",
                    )
                };
                problems.error(*place, &field, problem, fix);
                return None;
            }
        },
    };
    if !is_audit {
        let content = content.map(|content| (content.place, "content"));
        let store = store.map(|store| (store.place, "store"));
        for (place, name) in content.into_iter().chain(store) {
            let fix = "add `records: [audit]`, or leave it out";
            problems.error(
                place,
                &format!("{field}.{name}"),
                "usage records have none",
                fix,
            );
        }
        return Some(RecordKind::Usage);
    }
    let place = records.map(|records| records.place)?;
    let store = match (store, stores) {
        // One that does not exist is reported where it is named.
        (Some(store), _) => store.id,
        (None, [only]) => only.id.clone(),
        (None, _) => {
            let field = format!("{field}.store");
            let problem = "there is not exactly one audit store, and this names none";
            problems.error(place, &field, problem, "name one of `audit_stores`");
            return None;
        }
    };
    Some(RecordKind::Audit(AuditRecords {
        store,
        content: content.is_some_and(|content| content.value),
    }))
}

fn sink(
    section: sink::Sink,
    stores: &[Arc<AuditStore>],
    field: &str,
    problems: &mut Problems,
) -> Option<Sink> {
    let sink::Sink {
        id,
        kafka,
        file,
        otlp,
        webhook,
        records,
        content,
        store,
        from,
        envelope,
        batch,
    } = section;
    let batch_bytes = batch.bytes.0;
    let kind = match (kafka, file, otlp, webhook) {
        (Some(kafka), None, None, None) => {
            let kafka = kafka_sink(kafka.value, batch_bytes, field, problems)?;
            SinkKind::Kafka(Box::new(kafka))
        }
        (None, Some(file), None, None) => SinkKind::File(file_sink(file.value)),
        (None, None, Some(otlp), None) => SinkKind::Otlp(otlp_sink(otlp.value, field, problems)),
        (None, None, None, Some(webhook)) => {
            SinkKind::Webhook(webhook_sink(webhook.value, field, problems))
        }
        // Reported where it was read.
        _ => return None,
    };
    let records = record_kind((records, content, store), stores, field, problems)?;
    let as_usize = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Some(Sink {
        id: id.id,
        kind,
        records,
        from,
        envelope,
        batch: SinkBatch {
            records_max: as_usize(batch.records.0),
            bytes_max: as_usize(batch_bytes),
            linger: batch.linger.0,
        },
    })
}

fn kafka_sink(
    section: kafka::Kafka,
    batch_bytes: u64,
    field: &str,
    problems: &mut Problems,
) -> Option<snapshot::KafkaSink> {
    let kafka::Kafka { section, sasl } = section;
    let kafka::KafkaSink {
        brokers,
        topic,
        tls,
        sasl: _,
        client_id,
        compression,
        timeout,
    } = section;
    let Placed {
        value: brokers,
        place,
    } = brokers;
    if brokers.items.is_empty() {
        if brokers.is_whole {
            let field = format!("{field}.kafka.brokers");
            problems.error(place, &field, "no broker", "write `[host:9092]`");
        }
        return None;
    }
    if batch_bytes > KAFKA_BATCH_BYTES {
        let field = format!("{field}.batch.bytes");
        let problem = "more than brokers take by default: such batches are sent again in halves";
        problems.warning(place, &field, problem, "keep it below 1000000B");
    }
    let tls = tls.0;
    if let Some(Placed { value, place }) = &sasl {
        let is_readable = matches!(value, KafkaSasl::Plain(_) | KafkaSasl::Oauth(_));
        let is_private = tls.is_some() || brokers.items.iter().all(kafka::is_loopback);
        if is_readable && !is_private {
            let field = format!("{field}.kafka.sasl");
            let problem = "without `tls`, this login could be read on the way";
            problems.error(*place, &field, problem, "write `tls: true`");
        }
    }
    Some(snapshot::KafkaSink {
        brokers: brokers.items.into_iter().map(|broker| broker.0).collect(),
        topic: topic.0,
        tls,
        sasl: sasl.map(|sasl| sasl.value),
        client_id: client_id.text,
        compression,
        timeout: timeout.0,
    })
}

fn file_sink(section: FileSink) -> snapshot::FileSink {
    let FileSink { path, rotate, sync } = section;
    let FileRotation {
        size,
        every,
        keep,
        compression,
    } = rotate;
    snapshot::FileSink {
        path: path.0,
        bytes_max: size.0,
        every: every.map(|every| every.0),
        files_max: usize::try_from(keep.0).unwrap_or(usize::MAX),
        compression,
        sync,
    }
}

fn otlp_sink(section: OtlpSink, field: &str, problems: &mut Problems) -> snapshot::OtlpSink {
    let OtlpSink {
        endpoint,
        headers: written,
        gzip,
        timeout,
    } = section;
    snapshot::OtlpSink {
        endpoint: endpoint.0,
        headers: headers(&format!("{field}.otlp.headers"), written, problems),
        gzip,
        timeout: timeout.0,
    }
}

fn webhook_sink(
    section: WebhookSink,
    field: &str,
    problems: &mut Problems,
) -> snapshot::WebhookSink {
    let WebhookSink {
        url,
        headers: written,
        secret,
        gzip,
        timeout,
    } = section;
    if let Some(Placed { value, place }) = &secret
        && !is_signing_secret(&value.0)
    {
        let field = format!("{field}.webhook.secret");
        let problem = "shorter than 16 characters, or `whsec_` without base64 behind it";
        let fix = "make one: `echo whsec_$(openssl rand -base64 32)`";
        problems.error(*place, &field, problem, fix);
    }
    snapshot::WebhookSink {
        url: url.url,
        origin: url.origin,
        headers: headers(&format!("{field}.webhook.headers"), written, problems),
        secret: secret.map(|secret| secret.value.0),
        gzip,
        timeout: timeout.0,
    }
}

fn is_signing_secret(secret: &Secret) -> bool {
    const BYTES_MIN: usize = 16;
    match secret.reveal().strip_prefix("whsec_") {
        Some(encoded) => STANDARD
            .decode(encoded)
            .is_ok_and(|key| key.len() >= BYTES_MIN),
        None => secret.reveal().len() >= BYTES_MIN,
    }
}
