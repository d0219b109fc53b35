//! One call as spans, by the semantic conventions for generative AI: the call, and each attempt
//! within it. Made from the record, which holds no content and no credential.

use std::time::Duration;

use dialect::Operation;
use domain::Mono;
use domain::record::{AttemptFailure, AttemptRecord, CallRecord, Outcome};

use super::protobuf::{Attribute, Writer};
use crate::router::Backends;
use crate::telemetry::series::{Asked, operation_name, provider_name};
use crate::telemetry::trace::TraceContext;
use crate::telemetry::usage::UsageSeries;
use crate::trail::Origin;

/// A call that ended, and what its record does not hold.
pub struct Told<'a> {
    pub record: &'a CallRecord,
    pub origin: &'a Origin,
    pub operation: Option<Operation>,
    /// By which dialect the last backend that was tried was asked.
    pub asked: Option<Asked>,
    pub series: Option<&'a UsageSeries>,
    /// When each attempt was sent.
    pub sent_at: &'a [Mono],
}

const SERVER: u64 = 2;
const CLIENT: u64 = 3;
const ERROR: u64 = 2;
const ATTRIBUTES: u32 = 9;

/// All spans of one call, as fields `spans` of a `ScopeSpans`.
pub fn encode(told: &Told<'_>, trace: &TraceContext, backends: &Backends) -> Vec<u8> {
    let mut spans = Writer(Vec::with_capacity(1024));
    let times = Times::of(told.origin);
    spans.message(2, |span| call(span, told, trace, &times));
    let attempts = told.record.attempts.iter().zip(told.sent_at).enumerate();
    for (number, (record, sent_at)) in attempts {
        spans.message(2, |span| {
            let place = Place {
                trace_id: trace.trace_id,
                span_id: trace.attempt(number),
                parent: Some(trace.span_id),
            };
            attempt(span, record, &place, times.at(*sent_at), backends);
        });
    }
    spans.0
}

/// The number of spans that a call makes.
pub fn count(told: &Told<'_>) -> u64 {
    1 + told.record.attempts.len().min(told.sent_at.len()) as u64
}

/// Nanoseconds since 1970, by the clock that never steps.
struct Times {
    wall_ns: u64,
    mono: Mono,
}

impl Times {
    fn of(origin: &Origin) -> Self {
        Self {
            wall_ns: u64::try_from(origin.started.wall.0)
                .unwrap_or(0)
                .saturating_mul(1_000_000),
            mono: origin.started.mono,
        }
    }

    fn at(&self, mono: Mono) -> u64 {
        later(self.wall_ns, mono.since(self.mono))
    }
}

fn later(ns: u64, by: Duration) -> u64 {
    ns.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX))
}

struct Place {
    trace_id: u128,
    span_id: u64,
    parent: Option<u64>,
}

impl Place {
    fn write(&self, span: &mut Writer) {
        span.bytes(1, &self.trace_id.to_be_bytes());
        span.bytes(2, &self.span_id.to_be_bytes());
        if let Some(parent) = self.parent {
            span.bytes(4, &parent.to_be_bytes());
        }
    }
}

fn call(span: &mut Writer, told: &Told<'_>, trace: &TraceContext, times: &Times) {
    let record = told.record;
    let place = Place {
        trace_id: trace.trace_id,
        span_id: trace.span_id,
        parent: trace.parent,
    };
    place.write(span);
    let (operation, model) = (
        told.operation.map(operation_name),
        record.opening.model.as_str(),
    );
    let name = match (operation, model) {
        (None, _) => "call".to_owned(),
        (Some(operation), "") => operation.to_owned(),
        (Some(operation), model) => format!("{operation} {model}"),
    };
    span.text(5, &name);
    span.uint(6, SERVER);
    span.fixed64(7, times.wall_ns);
    span.fixed64(8, later(times.wall_ns, record.latency));

    let mut text = |key: &str, value: &str| {
        if !value.is_empty() {
            span.attribute(ATTRIBUTES, key, Attribute::Text(value));
        }
    };
    let who = &record.opening.who;
    text("gen_ai.operation.name", operation.unwrap_or_default());
    if let Some(asked) = told.asked {
        text("gen_ai.provider.name", provider_name(asked.provider));
    }
    text("gen_ai.request.model", model);
    text("tollgate.call.id", &record.opening.id.to_string());
    text("tollgate.subscription", who.subscription.as_str());
    text("tollgate.product", who.product.as_str());
    let application = who.application.as_ref().map(|name| name.as_str());
    text("tollgate.application", application.unwrap_or_default());
    let backend = record.backend.as_ref().map(|id| id.as_str());
    text("tollgate.backend", backend.unwrap_or_default());
    text("tollgate.outcome", record.outcome.as_str());
    text("tollgate.rule", record.rule.as_deref().unwrap_or_default());
    if record.outcome != Outcome::Ok {
        text("error.type", record.outcome.as_str());
    }

    let usage = record.metered.usage();
    let reached = !record.attempts.is_empty();
    for (key, amount, is_told) in [
        (
            "http.response.status_code",
            u64::from(record.status),
            record.status != 0,
        ),
        ("gen_ai.usage.input_tokens", usage.prompt, reached),
        ("gen_ai.usage.output_tokens", usage.completion, reached),
        (
            "gen_ai.usage.cache_read.input_tokens",
            usage.cached_prompt,
            usage.cached_prompt > 0,
        ),
        (
            "gen_ai.usage.cache_creation.input_tokens",
            usage.cache_write,
            usage.cache_write > 0,
        ),
        (
            "gen_ai.usage.reasoning.output_tokens",
            usage.reasoning,
            usage.reasoning > 0,
        ),
        ("tollgate.attempts", record.attempts.len() as u64, true),
    ] {
        if is_told {
            span.attribute(ATTRIBUTES, key, Attribute::Whole(amount));
        }
    }
    if reached {
        let is_estimated = Attribute::Bool(record.metered.is_estimated());
        span.attribute(ATTRIBUTES, "tollgate.usage.estimated", is_estimated);
    }
    if operation.is_some() {
        let is_stream = Attribute::Bool(record.opening.stream);
        span.attribute(ATTRIBUTES, "gen_ai.request.stream", is_stream);
    }
    if let (true, Some(time)) = (record.opening.stream, record.first_byte) {
        let seconds = Attribute::Real(time.as_secs_f64());
        span.attribute(ATTRIBUTES, "gen_ai.response.time_to_first_chunk", seconds);
    }
    if is_our_failure(record.outcome) {
        span.message(15, |status| status.uint(3, ERROR));
    }
    span.fixed32(16, u32::from(trace.is_sampled));
}

/// What a client did or was told is no error of the gateway's.
fn is_our_failure(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Ok | Outcome::ClientError | Outcome::Refused | Outcome::HungUp => false,
        Outcome::UpstreamFailed | Outcome::Cut | Outcome::Interrupted | Outcome::GatewayError => {
            true
        }
    }
}

/// Tokens stand on the call alone, so that nobody adds them up twice.
fn attempt(
    span: &mut Writer,
    record: &AttemptRecord,
    place: &Place,
    started_ns: u64,
    backends: &Backends,
) {
    place.write(span);
    span.text(5, &format!("attempt {}", record.backend));
    span.uint(6, CLIENT);
    span.fixed64(7, started_ns);
    span.fixed64(8, later(started_ns, record.latency));
    let backend = Attribute::Text(record.backend.as_str());
    span.attribute(ATTRIBUTES, "tollgate.backend", backend);
    if let Some(backend) = backends.get(&record.backend) {
        let definition = backend.definition();
        let provider = Attribute::Text(provider_name(definition.dialect));
        span.attribute(ATTRIBUTES, "gen_ai.provider.name", provider);
        if let Some(host) = definition.url.host_str() {
            span.attribute(ATTRIBUTES, "server.address", Attribute::Text(host));
        }
        if let Some(port) = definition.url.port_or_known_default() {
            let port = Attribute::Whole(u64::from(port));
            span.attribute(ATTRIBUTES, "server.port", port);
        }
    }
    if record.status != 0 {
        let status = Attribute::Whole(u64::from(record.status));
        span.attribute(ATTRIBUTES, "http.response.status_code", status);
    }
    if let Some(failure) = record.failure {
        let status = record.status.to_string();
        let kind = match failure {
            AttemptFailure::Status => &status,
            other => other.as_str(),
        };
        span.attribute(ATTRIBUTES, "error.type", Attribute::Text(kind));
        if failure != AttemptFailure::HungUp {
            span.message(15, |status| status.uint(3, ERROR));
        }
    }
}
