//! Sinks: what they mean, and what is wrong with them.

use std::time::Duration;

use domain::SinkId;

use super::*;
use crate::snapshot::{
    Assigned, AuditRecords, ClientTls, Envelope, KafkaCompression, KafkaSasl, RecordKind, Sink,
    SinkKind, SinkStart, TokenSource,
};

fn sink(text: &str) -> Sink {
    let snapshot = loaded(&format!("{SMALL}sinks:\n  - {text}\n"));
    assert_eq!(snapshot.sinks.len(), 1);
    Sink::clone(&snapshot.sinks[0])
}

/// Problems of one sink, without the place.
fn wrong(text: &str) -> Vec<String> {
    let found = problems(&format!("{SMALL}sinks:\n  - {text}\n"));
    let after_place = |problem: &String| match problem.split_once(": ") {
        Some((_, rest)) => rest.to_owned(),
        None => problem.clone(),
    };
    found.iter().map(after_place).collect()
}

#[test]
fn a_sink_has_defaults_for_all_but_where_to() {
    let sink = sink("{ id: usage, kafka: { brokers: [localhost:9092], topic: ai-usage } }");
    assert_eq!(sink.id, SinkId::from("usage"));
    assert_eq!((sink.from, sink.envelope), (SinkStart::Now, Envelope::None));
    let batch = sink.batch;
    assert_eq!((batch.records_max, batch.bytes_max), (500, 512 * 1024));
    assert_eq!(batch.linger, Duration::from_secs(1));
    let SinkKind::Kafka(kafka) = sink.kind else {
        panic!("{sink:?}");
    };
    assert_eq!(kafka.brokers, ["localhost:9092"]);
    assert_eq!((kafka.tls, kafka.sasl), (None, None));
    assert_eq!(kafka.compression, KafkaCompression::None);
}

#[test]
fn event_hubs_get_a_token_for_their_own_namespace() {
    let sink = sink(
        "{ id: hub, kafka: { brokers: ['contoso.servicebus.windows.net:9093'], topic: usage, tls: true, sasl: { oauth: { managed_identity: { client_id: abc } } } } }",
    );
    let SinkKind::Kafka(kafka) = sink.kind else {
        panic!("{sink:?}");
    };
    assert_eq!(kafka.tls, Some(ClientTls::default()));
    let Some(KafkaSasl::Oauth(source)) = kafka.sasl else {
        panic!("{:?}", kafka.sasl);
    };
    let TokenSource::ManagedIdentity(identity) = &*source else {
        panic!("{source:?}");
    };
    assert_eq!(identity.resource, "https://contoso.servicebus.windows.net");
    assert_eq!(identity.assigned, Assigned::ClientId("abc".to_owned()));
}

#[test]
fn a_connection_string_is_a_plain_login_whose_password_is_never_shown() {
    let sink = sink(
        "{ id: hub, kafka: { brokers: ['contoso.servicebus.windows.net:9093'], topic: usage, tls: true, sasl: { plain: { username: $ConnectionString, password: 'Endpoint=sb://contoso/;SharedAccessKey=abc=' } } } }",
    );
    let shown = format!("{sink:?}");
    assert!(!shown.contains("SharedAccessKey"), "{shown}");
    let SinkKind::Kafka(kafka) = sink.kind else {
        panic!("{sink:?}");
    };
    let Some(KafkaSasl::Plain(login)) = kafka.sasl else {
        panic!("{:?}", kafka.sasl);
    };
    assert_eq!(login.username, "$ConnectionString");
    assert_eq!(
        login.password.reveal(),
        "Endpoint=sb://contoso/;SharedAccessKey=abc="
    );
}

#[test]
fn a_webhooks_url_is_a_secret_but_for_its_host() {
    let sink = sink("{ id: hook, webhook: { url: 'https://example.com/flow?sig=hidden' } }");
    let shown = format!("{sink:?}");
    assert!(!shown.contains("hidden"), "{shown}");
    assert!(shown.contains("https://example.com"), "{shown}");
}

#[test]
fn what_is_wrong_with_a_sink_is_said_with_its_fix() {
    let kafka = "kafka: { brokers: [localhost:9092], topic: t }";
    for (text, expected) in [
        (
            "{ id: a }".to_owned(),
            "sinks[a]: not exactly one place to send to; write one of: kafka, file, otlp, webhook",
        ),
        (
            format!("{{ id: a, {kafka}, file: {{ path: u.jsonl }} }}"),
            "sinks[a]: not exactly one place to send to",
        ),
        (
            format!("{{ id: a, {kafka}, records: [] }}"),
            "sinks[a].records: nothing to send; write `[usage]`",
        ),
        (
            format!("{{ id: a, {kafka}, records: [traces] }}"),
            "sinks[a].records[0]: `traces` is no kind of records that is available; write one of: usage, audit",
        ),
        (
            format!("{{ id: a, {kafka}, from: then }}"),
            "sinks[a].from: `then` is no beginning that is available; write one of: now, start",
        ),
        (
            "{ id: a, kafka: { brokers: [], topic: t } }".to_owned(),
            "sinks[a].kafka.brokers: no broker; write `[host:9092]`",
        ),
        (
            "{ id: a, kafka: { brokers: [localhost], topic: t } }".to_owned(),
            "sinks[a].kafka.brokers[0]: `localhost` is not a host with a port",
        ),
        (
            "{ id: a, kafka: { brokers: ['kafka://h:9092'], topic: t } }".to_owned(),
            "sinks[a].kafka.brokers[0]: `kafka://h:9092` is not a host with a port",
        ),
        (
            "{ id: a, kafka: { brokers: [h:9092], topic: 'two words' } }".to_owned(),
            "sinks[a].kafka.topic: `two words` is not a topic's name",
        ),
        (
            "{ id: a, kafka: { brokers: [h:9092], topic: t, sasl: { plain: { username: u, password: p } } } }".to_owned(),
            "sinks[a].kafka.sasl: without `tls`, this login could be read on the way; write `tls: true`",
        ),
        (
            "{ id: a, kafka: { brokers: [h:9092], topic: t, tls: true, sasl: {} } }".to_owned(),
            "sinks[a].kafka.sasl: not exactly one login; write one of: plain, scram_sha_256, scram_sha_512, oauth",
        ),
        (
            "{ id: a, kafka: { brokers: [h:9092], topic: t, tls: true, sasl: { oauth: {} } } }".to_owned(),
            "sinks[a].kafka.sasl.oauth: not exactly one source of tokens",
        ),
        (
            "{ id: a, webhook: { url: 'ftp://example.com' } }".to_owned(),
            "sinks[a].webhook.url: neither `http` nor `https`",
        ),
        (
            "{ id: a, webhook: { url: 'http://example.com/x' } }".to_owned(),
            "sinks[a].webhook.url: plain `http` to a public host",
        ),
        (
            "{ id: a, webhook: { url: 'https://example.com', secret: short } }".to_owned(),
            "sinks[a].webhook.secret: shorter than 16 characters",
        ),
        (
            format!("{{ id: a, {kafka}, batch: {{ bytes: 2MiB }} }}"),
            "sinks[a].batch.bytes: more than brokers take by default",
        ),
    ] {
        let found = wrong(&text);
        assert_eq!(found.len(), 1, "{text}: {found:#?}");
        assert!(found[0].starts_with(expected), "\n{}\n{expected}", found[0]);
    }
}

#[test]
fn two_sinks_share_neither_an_id_nor_a_file() {
    let found = problems(&format!(
        "{SMALL}sinks:
  - {{ id: a, file: {{ path: usage.jsonl }} }}
  - {{ id: a, file: {{ path: usage.jsonl }} }}
"
    ));
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(
        found[0].contains("the sink `a` is declared twice"),
        "{found:#?}"
    );
    assert!(
        found[1].contains("two sinks write to one file"),
        "{found:#?}"
    );
}

#[test]
fn there_are_at_most_sixteen_sinks() {
    let sinks: String = (0..17)
        .map(|n| format!("  - {{ id: s{n}, file: {{ path: {n}.jsonl }} }}\n"))
        .collect();
    let found = problems(&format!("{SMALL}sinks:\n{sinks}"));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].contains("sinks[s16]: more than 16 sinks"),
        "{found:#?}"
    );
}

const STORE: &str =
    "audit_stores: [{ id: eu, dir: /srv/eu, region: eu, keys: { dir: /keys/eu } }]\n";

#[test]
fn audit_records_leave_without_content_unless_it_is_written() {
    let records = |more: &str| {
        let file =
            format!("sinks: [{{ id: siem, file: {{ path: /tmp/a }}, records: [audit]{more} }}]\n");
        loaded(&format!("{SMALL}{STORE}{file}")).sinks[0]
            .records
            .clone()
    };
    let of = |content| {
        RecordKind::Audit(AuditRecords {
            store: "eu".into(),
            content,
        })
    };
    assert_eq!(records(""), of(false));
    assert_eq!(records(", store: eu, content: true"), of(true));
    assert_eq!(
        sink("{ id: a, file: { path: /tmp/a } }").records,
        RecordKind::Usage
    );
}

#[test]
fn what_a_sink_sends_is_one_kind_and_is_there() {
    let problem = |sink: &str, stores: &str| {
        let found = problems(&format!(
            "{SMALL}{stores}sinks: [{{ id: s, file: {{ path: /tmp/a }}, {sink} }}]\n"
        ));
        assert_eq!(found.len(), 1, "{sink}: {found:#?}");
        found[0].clone()
    };
    for (sink, stores, wanted) in [
        (
            "records: [usage, audit]",
            STORE,
            "sinks[s].records: several kinds of records, which have readers of their own; write one sink for each",
        ),
        ("records: []", STORE, "sinks[s].records: nothing to send"),
        (
            "records: [audit]",
            "",
            "sinks[s].store: there is not exactly one audit store, and this names none",
        ),
        (
            "content: true",
            STORE,
            "sinks[s].content: usage records have none; add `records: [audit]`",
        ),
        (
            "records: [audit], store: us",
            STORE,
            "sinks[s].store: no audit store is called `us`; add it under `audit_stores`",
        ),
    ] {
        let found = problem(sink, stores);
        assert!(found.contains(wanted), "{wanted}: {found}");
    }
}
