//! What the gateway tells of its calls, as those read it who are told.

mod documents;
mod gate;
mod peer;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use gate::{ANSWER, Gate, KEY, PROMPT, STREAM, UPSTREAM_KEY};
use peer::{Peer, Seen};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const COLLECTOR_KEY: &str = "Basic planted-key-of-the-collector";

async fn peers() -> (Peer, Peer, Peer) {
    (
        Peer::answering(503, "application/json", "{}").await,
        Peer::answering(200, "text/event-stream", STREAM).await,
        Peer::answering(200, "application/x-protobuf", "").await,
    )
}

fn exporting(collector: &Peer, ratio: f64) -> String {
    let endpoint = &collector.url;
    format!(
        "telemetry: {{ service_name: gate, resource: {{ deployment.environment.name: test }}, otlp: {{ endpoint: '{endpoint}', headers: {{ authorization: '{COLLECTOR_KEY}' }}, sample_ratio: {ratio} }} }}\n"
    )
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<&str, String> {
    let shown = |value: &Option<AnyValue>| match value.as_ref().and_then(|any| any.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(whole)) => whole.to_string(),
        Some(Value::DoubleValue(real)) => real.to_string(),
        Some(Value::BoolValue(value)) => value.to_string(),
        other => panic!("{other:?}"),
    };
    let pairs = pairs.iter().map(|pair| (&*pair.key, shown(&pair.value)));
    pairs.collect()
}

fn spans(seen: &[Seen]) -> Vec<Span> {
    let exports = seen.iter().filter(|seen| seen.path == "/v1/traces");
    exports
        .flat_map(|seen| {
            let request = ExportTraceServiceRequest::decode(seen.body.clone()).unwrap();
            let resources = request.resource_spans.into_iter();
            resources.flat_map(|resource| resource.scope_spans.into_iter())
        })
        .flat_map(|scope| scope.spans)
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whatever was planted: prompts, answers, keys.
fn assert_nothing_planted(told: &[u8]) {
    for secret in [PROMPT, ANSWER, KEY, UPSTREAM_KEY, COLLECTOR_KEY] {
        let found = told
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        assert!(!found, "{secret} is in {}", String::from_utf8_lossy(told));
    }
}

#[tokio::test]
async fn a_call_and_its_attempts_reach_the_collector_as_spans_with_conventional_names() {
    let (broken, whole, collector) = peers().await;
    let gate = Gate::new(&broken, &whole, &exporting(&collector, 0.0));
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let headers = [
        ("traceparent", &*parent),
        ("tracestate", "vendor=7"),
        ("x-app-name", "chat-ui"),
    ];
    assert_eq!(gate.call("gpt-4o", &headers).await, 200);
    gate.close().await;

    let seen = collector.seen();
    for export in &seen {
        assert_eq!(export.headers["authorization"], COLLECTOR_KEY);
        assert_eq!(export.headers["content-type"], "application/x-protobuf");
        assert_nothing_planted(&export.body);
    }
    let spans = spans(&seen);
    assert_eq!(spans.len(), 3);
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE));
    let call = &spans[0];
    assert_eq!((&*call.name, call.kind), ("chat gpt-4o", 2));
    assert_eq!(hex(&call.parent_span_id), "00f067aa0ba902b7");
    let told = attributes(&call.attributes);
    for (key, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "gpt-4o"),
        ("gen_ai.request.stream", "true"),
        ("gen_ai.usage.input_tokens", "30"),
        ("gen_ai.usage.output_tokens", "7"),
        ("gen_ai.usage.cache_read.input_tokens", "10"),
        ("gen_ai.usage.reasoning.output_tokens", "3"),
        ("http.response.status_code", "200"),
        ("tollgate.subscription", "search"),
        ("tollgate.application", "chat-ui"),
        ("tollgate.backend", "whole"),
        ("tollgate.attempts", "2"),
        ("tollgate.outcome", "ok"),
    ] {
        assert_eq!(
            told.get(key).map(String::as_str),
            Some(value),
            "{key}: {told:?}"
        );
    }
    assert!(told.contains_key("gen_ai.response.time_to_first_chunk"));
    assert!(!told.contains_key("error.type"));

    let failed = attributes(&spans[1].attributes);
    assert_eq!((&*spans[1].name, spans[1].kind), ("attempt broken", 3));
    assert_eq!(failed["error.type"], "503");
    assert_eq!(failed["gen_ai.provider.name"], "azure.ai.openai");
    assert_eq!(failed["server.address"], "127.0.0.1");
    assert_eq!(spans[1].status.as_ref().unwrap().code, 2);
    assert!(
        spans[1..]
            .iter()
            .all(|span| span.parent_span_id == call.span_id)
    );

    // Each backend was told of its own attempt, and of the caller's state.
    for (peer, span) in [(&broken, &spans[1]), (&whole, &spans[2])] {
        let headers = &peer.seen()[0].headers;
        let sent = format!("00-{TRACE}-{}-01", hex(&span.span_id));
        assert_eq!(headers["traceparent"], *sent);
        assert_eq!(headers["tracestate"], "vendor=7");
    }
}

#[tokio::test]
async fn metrics_reach_the_collector_under_their_opentelemetry_names() {
    let (broken, whole, collector) = peers().await;
    let more = format!(
        "{}metrics: {{ dimensions: {{ Team: subscription.name }} }}\n",
        exporting(&collector, 0.0)
    );
    let gate = Gate::new(&broken, &whole, &more);
    assert_eq!(gate.call("gpt-4o", &[]).await, 200);
    gate.close().await;

    let seen = collector.seen();
    assert!(spans(&seen).is_empty(), "nothing is sampled");
    let export = seen.iter().find(|seen| seen.path == "/v1/metrics").unwrap();
    assert_nothing_planted(&export.body);
    let request = ExportMetricsServiceRequest::decode(export.body.clone()).unwrap();
    let resource = &request.resource_metrics[0];
    let of_resource = attributes(&resource.resource.as_ref().unwrap().attributes);
    assert_eq!(of_resource["service.name"], "gate");
    assert_eq!(of_resource["deployment.environment.name"], "test");
    let metrics: BTreeMap<&str, _> = resource.scope_metrics[0]
        .metrics
        .iter()
        .map(|metric| (&*metric.name, metric))
        .collect();

    let usage = metrics["gen_ai.client.token.usage"];
    assert_eq!(usage.unit, "{token}");
    let Some(Data::Histogram(histogram)) = &usage.data else {
        panic!("{usage:?}")
    };
    assert_eq!(histogram.aggregation_temporality, 2);
    let input = histogram
        .data_points
        .iter()
        .find(|point| attributes(&point.attributes)["gen_ai.token.type"] == "input")
        .unwrap();
    assert_eq!((input.count, input.sum), (1, Some(30.0)));
    assert_eq!(input.bucket_counts.len(), input.explicit_bounds.len() + 1);
    let labels = attributes(&input.attributes);
    assert_eq!(labels["gen_ai.operation.name"], "chat");
    assert_eq!(labels["gen_ai.provider.name"], "openai");
    assert_eq!(labels["gen_ai.request.model"], "gpt-4o");

    let duration = metrics["gen_ai.client.operation.duration"];
    assert_eq!(duration.unit, "s");
    assert!(metrics.contains_key("gen_ai.client.operation.time_to_first_chunk"));
    let Some(Data::Sum(tokens)) = &metrics["tollgate.usage.tokens"].data else {
        panic!("{metrics:?}")
    };
    assert!(tokens.is_monotonic);
    let teams: Vec<_> = tokens
        .data_points
        .iter()
        .map(|point| attributes(&point.attributes)["Team"].clone())
        .collect();
    assert!(
        teams.iter().all(|team| team == "Search team") && teams.len() == 4,
        "{teams:?}"
    );
}

#[tokio::test]
async fn without_a_collector_trace_headers_pass_as_they_came() {
    let (broken, whole, _) = peers().await;
    let gate = Gate::new(&broken, &whole, "");
    gate.call(
        "gpt-4o",
        &[("traceparent", "anything"), ("tracestate", "vendor=7")],
    )
    .await;
    let headers = &whole.seen()[0].headers;
    assert_eq!(headers["traceparent"], "anything");
    assert_eq!(headers["tracestate"], "vendor=7");
    gate.call("gpt-4o", &[]).await;
    assert!(!whole.seen()[0].headers.contains_key("traceparent"));
}

#[tokio::test]
async fn every_call_is_in_the_metrics_by_how_it_ended() {
    let (broken, whole, _) = peers().await;
    let more = "metrics: { dimensions: { Team: subscription.name, App: application.name } }\n";
    let gate = Gate::new(&broken, &whole, more);
    for _ in 0..3 {
        assert_eq!(gate.call("gpt-4o", &[("x-app-name", "chat-ui")]).await, 200);
    }
    assert_eq!(gate.call("gpt-4o", &[]).await, 429);
    assert_eq!(gate.call("no-such-model", &[]).await, 404);
    let metrics = gate.metrics();
    for line in [
        "tollgate_calls_total{subscription=\"search\",model=\"gpt-4o\",outcome=\"ok\"} 3",
        "tollgate_calls_total{subscription=\"search\",model=\"gpt-4o\",outcome=\"refused\"} 1",
        "tollgate_calls_total{subscription=\"search\",model=\"\",outcome=\"refused\"} 1",
        "tollgate_calls_open 0",
        "tollgate_tokens_total{subscription=\"search\",model=\"gpt-4o\",kind=\"prompt\"} 90",
        "tollgate_tokens_total{subscription=\"search\",model=\"gpt-4o\",kind=\"reasoning\"} 9",
        "tollgate_refusals_total{rule=\"product/standard/rpm\"} 1",
        "tollgate_refusals_total{rule=\"model_not_found\"} 1",
        "tollgate_attempts_total{backend=\"broken\",failure=\"status\"} 3",
        "tollgate_attempts_total{backend=\"whole\",failure=\"none\"} 3",
        "tollgate_retries_total{subscription=\"search\",model=\"gpt-4o\"} 3",
        "tollgate_breaker_open{backend=\"broken\"} 0",
        "tollgate_time_to_first_byte_seconds_count{backend=\"whole\"} 3",
        "tollgate_overhead_seconds_count 3",
        "tollgate_reserved_tokens 0",
        "tollgate_counters 1",
        "tollgate_usage_calls_total{Team=\"Search team\",App=\"chat-ui\"} 3",
        "tollgate_usage_tokens_total{Team=\"Search team\",App=\"chat-ui\",kind=\"completion\"} 21",
        "tollgate_config_revision 1",
        "gen_ai_client_token_usage_sum{gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"openai\",gen_ai_request_model=\"gpt-4o\",gen_ai_token_type=\"output\"} 21",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}\n{metrics}"
        );
    }
    assert!(!metrics.contains("no-such-model"));
    assert_nothing_planted(metrics.as_bytes());
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_access_line_tells_of_a_call_but_not_what_it_said() {
    let (broken, whole, _) = peers().await;
    let gate = Gate::new(&broken, &whole, "");
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // With one subscriber alone, `tracing` lets whichever thread comes first decide for all of them.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let listening = tracing::subscriber::set_default(subscriber);
    gate.call("gpt-4o", &[]).await;
    drop(listening);

    let log = log.0.lock().unwrap();
    assert_nothing_planted(&log);
    let text = String::from_utf8_lossy(&log);
    let line = text
        .lines()
        .find(|line| line.contains("\"target\":\"access\""))
        .unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["gen_ai.request.model"], "gpt-4o");
    assert_eq!(line["gen_ai.usage.input_tokens"], 30);
    assert_eq!(line["tollgate.subscription"], "search");
    assert_eq!(line["tollgate.caller"], "search/primary");
    assert_eq!(line["http.response.status_code"], 200);
}
