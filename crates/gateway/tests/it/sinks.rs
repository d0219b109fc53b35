//! Sinks beside a running gateway: what arrives, in which order, and what happens when nothing does.

pub mod receiver;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use config::{Environment, Snapshot, Source};
use domain::record::{
    AttemptRecord, CacheOutcome, CallRecord, Cost, Opening, Outcome, PriceId, Who,
};
use domain::{CallId, Currency, Metered, Nanos, Usage, Wall};
use gateway::{Clock, Gateway};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use prost::Message as _;
use serde_json::Value;
use store::{Counters, Ledger};

use receiver::Receiver;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// 2026-11-22 12:00 UTC.
const NOON: Wall = Wall(1_795_348_800_000);

fn snapshot(dir: &Path, sinks: &str) -> Snapshot {
    let text = format!("data_dir: '{}'\nsinks:\n{sinks}\n", dir.display());
    let source = Source {
        name: "gate.yaml".into(),
        text,
    };
    let environment = Environment {
        variables: &|_| None,
        files: &|path| Err(format!("{path} is not read")),
    };
    match config::load(&[source], &environment, &[], 1) {
        Ok((snapshot, _)) => snapshot,
        Err(problems) => panic!("{problems:?}"),
    }
}

fn gateway(dir: &Path, sinks: &str) -> Arc<Gateway> {
    let clock = Clock::manual(NOON);
    let (ledger, _) = Ledger::open(dir, clock.now()).unwrap();
    Gateway::new(snapshot(dir, sinks), Counters::memory(), ledger, clock).unwrap()
}

fn webhook(receiver: &Receiver, more: &str) -> String {
    let url = &receiver.url;
    format!(
        "  - {{ id: hook, webhook: {{ url: '{url}/in', secret: {SECRET} }}, batch: {{ linger: 1ms, records: 8 }}{more} }}"
    )
}

/// A second after the one before it.
fn record(number: u16) -> CallRecord {
    let at = NOON + Duration::from_secs(u64::from(number));
    let usage = Usage {
        prompt: 100,
        completion: 20,
        ..Usage::default()
    };
    let cost = Cost::Priced {
        amount: Nanos(450_000),
        currency: "EUR".parse::<Currency>().unwrap(),
        price: PriceId("p1".into()),
    };
    CallRecord {
        opening: Opening {
            id: CallId::new(at, u128::from(number)),
            at,
            who: Who {
                subscription: "search".into(),
                product: "standard".into(),
                application: None,
                caller: "search/primary".into(),
                user: None,
            },
            model: "gpt-4o".into(),
            asked_model: None,
            stream: false,
            revision: 1,
            prompt_tokens: 100,
            charges: Vec::new(),
            price: None,
        },
        outcome: Outcome::Ok,
        status: 200,
        rule: None,
        backend: Some("east".into()),
        cache: CacheOutcome::Off,
        metered: Metered::Reported(usage),
        cost: cost.clone(),
        saved: Nanos::ZERO,
        latency: Duration::from_millis(840),
        first_byte: None,
        verdicts: Vec::new(),
        saved_tokens: 0,
        similarity: None,
        attempts: vec![AttemptRecord {
            backend: "east".into(),
            status: 200,
            failure: None,
            metered: Metered::Reported(usage),
            cost,
            latency: Duration::from_millis(838),
        }],
    }
}

fn append(gateway: &Gateway, numbers: std::ops::Range<u16>) {
    for number in numbers {
        gateway.ledger.append(None, record(number));
    }
}

fn ids(numbers: std::ops::Range<u16>) -> Vec<String> {
    numbers
        .map(|number| record(number).opening.id.to_string())
        .collect()
}

pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    // Two minutes at least: a busy machine is no fault.
    for _ in 0..12_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

pub fn metric(gateway: &Gateway, series: &str) -> f64 {
    let exposed = gateway.telemetry.expose(gateway);
    let line = exposed.lines().find(|line| line.starts_with(series));
    let line = line.unwrap_or_else(|| panic!("{series} is not among\n{exposed}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn every_record_arrives_once_in_order_and_signed() {
    let dir = tempfile::tempdir().unwrap();
    let receiver = Receiver::new(|_| 204).await;
    let gateway = gateway(dir.path(), &webhook(&receiver, ""));
    append(&gateway, 0..50);
    eventually("all of them", || receiver.ids().len() >= 50).await;
    assert_eq!(receiver.ids(), ids(0..50));
    let delivered = "tollgate_sink_events_total{sink=\"hook\",result=\"delivered\"}";
    eventually("counted", || metric(&gateway, delivered) > 49.0).await;
    gateway.close().await;

    let seen = receiver.seen();
    assert!(seen.len() >= 7, "at most eight go together");
    let key = STANDARD
        .decode(SECRET.trim_start_matches("whsec_"))
        .unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    for request in seen {
        let header = |name: &str| request.headers[name].to_str().unwrap();
        assert_eq!(
            (&*request.path, header("content-type")),
            ("/in", "application/json")
        );
        let body = String::from_utf8(request.body.to_vec()).unwrap();
        let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
        let signature = header("webhook-signature").strip_prefix("v1,").unwrap();
        let signature = STANDARD.decode(signature).unwrap();
        let signed = format!("{id}.{timestamp}.{body}");
        hmac::verify(&key, signed.as_bytes(), &signature).unwrap();
    }
}

#[tokio::test]
async fn a_receiver_that_was_down_gets_everything_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let is_up = Arc::new(AtomicBool::new(false));
    let up = is_up.clone();
    let receiver = Receiver::new(move |_| if up.load(Ordering::SeqCst) { 200 } else { 503 }).await;
    let gateway = gateway(dir.path(), &webhook(&receiver, ""));
    append(&gateway, 0..20);
    eventually("a failure", || receiver.requests() > 0).await;
    eventually("it is seen", || gateway.sinks.health()[0].failing.is_some()).await;
    let health = gateway.sinks.health().remove(0);
    let failing = health.failing.unwrap();
    assert!(
        failing
            .error
            .ends_with("/in: the receiver answered 503 Service Unavailable")
            || failing.error.contains("answered 503"),
        "{}",
        failing.error
    );
    assert_eq!((health.delivered, health.lag.records), (0, 20));
    let oldest = record(0);
    assert_eq!(health.lag.oldest, Some(oldest.opening.at + oldest.latency));
    assert!(metric(&gateway, "tollgate_sink_failing{sink=\"hook\"") > 0.5);

    is_up.store(true, Ordering::SeqCst);
    eventually("all of them", || receiver.ids().len() >= 20).await;
    assert_eq!(receiver.ids(), ids(0..20));
    eventually("it works again", || {
        gateway.sinks.health()[0].failing.is_none()
    })
    .await;
    eventually("nothing waits", || {
        gateway.sinks.health()[0].lag.records == 0
    })
    .await;
    gateway.close().await;
}

#[tokio::test]
async fn a_restart_goes_on_where_the_last_run_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("usage.jsonl");
    let sinks = format!(
        "  - {{ id: archive, file: {{ path: '{}' }}, batch: {{ linger: 1ms }} }}",
        path.display()
    );
    for run in 0..3 {
        let gateway = gateway(dir.path(), &sinks);
        append(&gateway, run * 10..run * 10 + 10);
        gateway.close().await;
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let written: Vec<&str> = lines
        .iter()
        .map(|line| line["id"].as_str().unwrap())
        .collect();
    assert_eq!(written, ids(0..30));
    assert_eq!(lines[0]["cost"]["amount"], "0.00045");
}

#[tokio::test]
async fn a_stopping_gateway_delivers_what_it_recorded_last() {
    let dir = tempfile::tempdir().unwrap();
    let receiver = Receiver::new(|_| 200).await;
    let lingering = webhook(&receiver, "").replace("linger: 1ms", "linger: 60s");
    let gateway = gateway(dir.path(), &lingering);
    append(&gateway, 0..20);
    gateway.close().await;
    assert_eq!(receiver.ids(), ids(0..20));
}

#[tokio::test]
async fn an_event_that_is_refused_alone_is_set_aside_and_the_others_arrive() {
    let dir = tempfile::tempdir().unwrap();
    let poison = record(11).opening.id.to_string();
    let refused = poison.clone();
    let receiver = Receiver::new(move |body| if body.contains(&refused) { 422 } else { 200 }).await;
    let gateway = gateway(dir.path(), &webhook(&receiver, ""));
    append(&gateway, 0..20);
    eventually("the others", || receiver.ids().len() >= 19).await;
    eventually("it is counted", || gateway.sinks.health()[0].refused == 1).await;
    gateway.close().await;
    let mut expected = ids(0..20);
    expected.retain(|id| *id != poison);
    assert_eq!(receiver.ids(), expected);
    let aside = std::fs::read_to_string(dir.path().join("sinks/hook.refused.jsonl")).unwrap();
    let line: Value = serde_json::from_str(aside.trim_end()).unwrap();
    assert_eq!(line["event"]["id"], *poison);
    assert!(line["reason"].as_str().unwrap().contains("422"), "{line}");
}

#[tokio::test]
async fn a_receiver_that_refuses_everything_takes_nothing_away() {
    let dir = tempfile::tempdir().unwrap();
    let is_sane = Arc::new(AtomicBool::new(false));
    let sane = is_sane.clone();
    let receiver = Receiver::new(move |_| {
        if sane.load(Ordering::SeqCst) {
            200
        } else {
            400
        }
    })
    .await;
    let gateway = gateway(dir.path(), &webhook(&receiver, ""));
    append(&gateway, 0..100);
    eventually("it is seen", || {
        let failing = gateway.sinks.health().remove(0).failing;
        failing.is_some_and(|failing| failing.error.starts_with("the receiver refuses everything"))
    })
    .await;
    let aside = gateway.sinks.health()[0].refused;
    assert!(
        aside <= 10,
        "{aside} are set aside before it is not believed"
    );
    is_sane.store(true, Ordering::SeqCst);
    let rest = 100 - usize::try_from(aside).unwrap();
    eventually("the others", || receiver.ids().len() >= rest).await;
    assert_eq!(receiver.ids(), ids(0..100)[100 - rest..]);
    gateway.close().await;
}

#[tokio::test]
async fn a_sink_keeps_its_place_while_it_is_not_configured_and_when_it_changes() {
    let dir = tempfile::tempdir().unwrap();
    let first = Receiver::new(|_| 200).await;
    let second = Receiver::new(|_| 200).await;
    let gateway = gateway(dir.path(), &webhook(&first, ""));
    append(&gateway, 0..10);
    eventually("the first ten", || first.ids().len() >= 10).await;
    eventually("they are passed", || {
        gateway.sinks.health()[0].lag.records == 0
    })
    .await;
    gateway.reload(snapshot(dir.path(), "  []")).unwrap();
    assert!(gateway.sinks.health().is_empty());
    append(&gateway, 10..20);
    gateway
        .reload(snapshot(dir.path(), &webhook(&second, "")))
        .unwrap();
    append(&gateway, 20..30);
    eventually("the rest", || second.ids().len() >= 20).await;
    gateway.close().await;
    assert_eq!(second.ids(), ids(10..30));
    assert_eq!(first.ids(), ids(0..10));
}

/// An acknowledgement that gets lost: the receiver has the events, the gateway does not know.
#[tokio::test]
async fn events_that_come_twice_have_the_same_id_and_batch_id() {
    let dir = tempfile::tempdir().unwrap();
    let requests = AtomicUsize::new(0);
    let receiver = Receiver::new(move |_| {
        if requests.fetch_add(1, Ordering::SeqCst) == 0 {
            502
        } else {
            200
        }
    })
    .await;
    let gateway = gateway(dir.path(), &webhook(&receiver, ""));
    append(&gateway, 0..1);
    eventually("the second time", || receiver.requests() >= 2).await;
    gateway.close().await;
    let seen = receiver.seen();
    assert_eq!(receiver::ids(&seen[0].body), receiver::ids(&seen[1].body));
    assert_eq!(seen[0].headers["webhook-id"], seen[1].headers["webhook-id"]);
}

#[tokio::test]
async fn cloud_events_come_in_the_batch_format_of_the_specification() {
    let dir = tempfile::tempdir().unwrap();
    let receiver = Receiver::new(|_| 200).await;
    let gateway = gateway(dir.path(), &webhook(&receiver, ", envelope: cloudevents"));
    append(&gateway, 0..1);
    gateway.close().await;
    let seen = receiver.seen().remove(0);
    assert_eq!(
        seen.headers["content-type"],
        "application/cloudevents-batch+json"
    );
    let events: Vec<Value> = serde_json::from_slice(&seen.body).unwrap();
    let event = &events[0];
    for (attribute, value) in [
        ("specversion", "1.0"),
        ("id", &*ids(0..1)[0]),
        ("source", "tollgate"),
        ("type", "tollgate.usage/1"),
        ("time", "2026-11-22T12:00:00.000Z"),
        ("subject", "search"),
        ("datacontenttype", "application/json"),
    ] {
        assert_eq!(event[attribute], value, "{attribute}");
    }
    assert_eq!(event["data"]["usage"]["total_tokens"], 120);
}

#[tokio::test]
async fn a_collector_gets_log_records_that_its_own_library_can_read() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Receiver::new(|_| 200).await;
    let url = &collector.url;
    let sinks = format!(
        "  - {{ id: logs, otlp: {{ endpoint: '{url}', gzip: true, headers: {{ authorization: 'Bearer planted' }} }}, batch: {{ linger: 1ms }} }}\ntelemetry: {{ service_name: gate }}"
    );
    let gateway = gateway(dir.path(), &sinks);
    append(&gateway, 0..3);
    gateway.close().await;
    let seen = collector.seen();
    let mut logs = Vec::new();
    for request in &seen {
        assert_eq!(request.path, "/v1/logs");
        assert_eq!(request.headers["authorization"], "Bearer planted");
        let export = ExportLogsServiceRequest::decode(request.body.clone()).unwrap();
        for resource in export.resource_logs {
            let about = resource.resource.unwrap();
            assert_eq!(about.attributes[0].key, "service.name");
            logs.extend(
                resource
                    .scope_logs
                    .into_iter()
                    .flat_map(|scope| scope.log_records),
            );
        }
    }
    assert_eq!(logs.len(), 3);
    let log = &logs[0];
    assert_eq!(log.time_unix_nano, 1_795_348_800_000_000_000);
    assert_eq!(
        (&*log.event_name, log.severity_number),
        ("tollgate.usage", 9)
    );
    let attribute = |key: &str| {
        let found = log.attributes.iter().find(|pair| pair.key == key);
        found.and_then(|pair| pair.value.clone()?.value)
    };
    assert_eq!(
        attribute("tollgate.subscription"),
        Some(Any::StringValue("search".into()))
    );
    assert_eq!(
        attribute("gen_ai.usage.input_tokens"),
        Some(Any::IntValue(100))
    );
    let Some(Any::KvlistValue(body)) = log.body.clone().unwrap().value else {
        panic!("{:?}", log.body);
    };
    let id = body.values.iter().find(|pair| pair.key == "id").unwrap();
    let id = id.value.clone().unwrap().value;
    assert_eq!(id, Some(Any::StringValue(ids(0..1).remove(0))));
}

#[tokio::test]
async fn two_sinks_do_not_wait_for_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let (dead, alive) = (Receiver::new(|_| 500).await, Receiver::new(|_| 200).await);
    let sinks = format!(
        "{}\n{}",
        webhook(&dead, ""),
        webhook(&alive, "").replace("id: hook", "id: other")
    );
    let gateway = gateway(dir.path(), &sinks);
    append(&gateway, 0..100);
    eventually("all of them", || alive.ids().len() >= 100).await;
    let health = gateway.sinks.health();
    assert_eq!((health[0].id.as_str(), health[0].delivered), ("hook", 0));
    gateway.close().await;
}
