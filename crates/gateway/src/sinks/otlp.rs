//! Events as log records to an OpenTelemetry collector.

use config::snapshot::{OtlpSink, Telemetry};
use domain::Wall;
use serde_json::Value;

use super::batch::{Batch, Failure};
use super::event::Event;
use super::post::{Outgoing, Post};
use super::webhook::refuse;
use crate::telemetry::otlp::protobuf::{Attribute, Writer};
use crate::telemetry::otlp::resource::{resource, scope};

const SEVERITY_INFO: u64 = 9;

pub struct OtlpLogs {
    definition: OtlpSink,
    /// Who sends.
    telemetry: Telemetry,
    url: String,
    post: Post,
}

impl OtlpLogs {
    pub fn new(definition: OtlpSink, telemetry: Telemetry) -> Self {
        let base = definition.endpoint.as_str().trim_end_matches('/');
        Self {
            url: format!("{base}/v1/logs"),
            definition,
            telemetry,
            post: Post::default(),
        }
    }

    pub async fn deliver(&mut self, batch: &mut Batch, now: Wall) -> Result<(), Failure> {
        while !batch.is_taken() {
            let piece = batch.piece();
            let OtlpSink {
                endpoint: _,
                headers,
                gzip,
                timeout,
            } = &self.definition;
            let outgoing = Outgoing {
                url: &self.url,
                headers,
                more: Vec::new(),
                content_type: "application/x-protobuf",
                body: self.logs(&piece, batch, now).into(),
                gzip: *gzip,
                timeout: *timeout,
            };
            let answer = match self.post.send(outgoing).await {
                Ok(answer) => answer,
                Err(failure) => {
                    let text = format!("{}: {}", self.url, failure.text);
                    return refuse(batch, Failure { text, ..failure });
                }
            };
            batch.take(&piece);
            if let Some(dropped) = dropped(&answer) {
                // It does not say which, and asks not to be sent them again.
                tracing::error!(
                    dropped,
                    collector = self.url,
                    "the collector dropped events"
                );
            }
        }
        Ok(())
    }

    /// `ExportLogsServiceRequest`
    fn logs(&self, piece: &[usize], batch: &Batch, now: Wall) -> Vec<u8> {
        let mut request = Writer::default();
        request.message(1, |of_resource| {
            resource(of_resource, &self.telemetry);
            of_resource.message(2, |of_scope| {
                scope(of_scope);
                for index in piece {
                    of_scope.message(2, |log| write_log(log, &batch.events[*index], now));
                }
            });
        });
        request.0
    }
}

/// `LogRecord`: the event as a structured body, and the attributes that one filters by.
fn write_log(log: &mut Writer, event: &Event, now: Wall) {
    let body: Value = serde_json::from_slice(&event.json).unwrap_or_default();
    log.fixed64(1, nanoseconds(event.at));
    log.uint(2, SEVERITY_INFO);
    log.text(3, "INFO");
    log.message(5, |any| write_any(any, &body));
    // In an envelope, the event is its data.
    let fields = body.get("data").unwrap_or(&body);
    let texts = [
        ("tollgate.call.id", "/id"),
        ("tollgate.subscription", "/subscription"),
        ("tollgate.product", "/product"),
        ("tollgate.application", "/application"),
        ("tollgate.backend", "/backend"),
        ("tollgate.outcome", "/outcome"),
        ("gen_ai.request.model", "/model"),
    ];
    for (name, field) in texts {
        if let Some(text) = fields.pointer(field).and_then(Value::as_str) {
            log.attribute(6, name, Attribute::Text(text));
        }
    }
    let numbers = [
        ("gen_ai.usage.input_tokens", "/usage/prompt_tokens"),
        ("gen_ai.usage.output_tokens", "/usage/completion_tokens"),
    ];
    for (name, field) in numbers {
        if let Some(number) = fields.pointer(field).and_then(Value::as_u64) {
            log.attribute(6, name, Attribute::Whole(number));
        }
    }
    log.fixed64(11, nanoseconds(now));
    let schema = fields.get("schema").and_then(Value::as_str);
    let name = schema.and_then(|schema| schema.split('/').next());
    log.text(12, name.unwrap_or_default());
}

/// `AnyValue`. What is `null` has no value.
fn write_any(any: &mut Writer, value: &Value) {
    match value {
        Value::Null => {}
        Value::Bool(value) => any.uint(2, u64::from(*value)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => any.uint(3, whole.cast_unsigned()),
            (None, Some(real)) => any.double(4, real),
            (None, None) => {}
        },
        Value::String(text) => any.text(1, text),
        Value::Array(values) => any.message(5, |array| {
            for value in values {
                array.message(1, |any| write_any(any, value));
            }
        }),
        Value::Object(fields) => any.message(6, |list| {
            for (name, value) in fields {
                list.message(1, |pair| {
                    pair.text(1, name);
                    pair.message(2, |any| write_any(any, value));
                });
            }
        }),
    }
}

fn nanoseconds(at: Wall) -> u64 {
    u64::try_from(at.0).unwrap_or(0).saturating_mul(1_000_000)
}

/// `partial_success.rejected_log_records`, where it is not zero.
fn dropped(answer: &[u8]) -> Option<u64> {
    let partial = field(answer, 1)?;
    let (tag, rest) = varint(partial)?;
    let (count, _) = varint(rest)?;
    (tag == 1 << 3 && count > 0).then_some(count)
}

/// The bytes of a message's first field, if that has this number.
fn field(message: &[u8], number: u64) -> Option<&[u8]> {
    const DELIMITED: u64 = 2;
    let (tag, rest) = varint(message)?;
    let (length, rest) = varint(rest)?;
    let bytes = rest.get(..usize::try_from(length).ok()?)?;
    (tag == number << 3 | DELIMITED).then_some(bytes)
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests;
