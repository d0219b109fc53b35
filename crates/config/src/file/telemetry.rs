//! `metrics` and `telemetry`: what the gateway tells of its calls.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::backend::WebUrl;
use crate::read::{Cel, Field, Map, Reader, Share, Span, Text, Whole, section};
use crate::snapshot::Secret;
use crate::tree::Node;

section! {
    /// Token metrics by dimensions of your own.
    pub struct Metrics {
        /// Labels of `tollgate_usage_tokens_total` and `tollgate_usage_calls_total`, each with the CEL
        /// that gives its value, as in `{ Team: subscription.name, Model: model.name }`. Products
        /// that set their own use those instead. An expression that cannot be evaluated gives
        /// `unknown`, and refuses nothing.
        pub dimensions: Map<Cel> = "{}",
        /// Combinations of values that one such metric may have. Past it, the dimension with the most
        /// values becomes `other`.
        pub series_max: Whole<10, 1_000_000> = "1000",
    }
}

section! {
    /// Token metrics of one product.
    pub struct ProductMetrics {
        /// Labels and the CEL of their values; instead of those under `metrics`.
        pub dimensions: Map<Cel> = "{}",
    }
}

section! {
    /// OpenTelemetry.
    pub struct Telemetry {
        /// `service.name` of everything that is exported.
        pub service_name: Text = "tollgate",
        /// More attributes of the resource, as in `{ deployment.environment.name: production }`.
        pub resource: Map<Text> = "{}",
        /// Where traces and metrics are sent. Nothing is sent without it.
        pub otlp: Option<Otlp>,
    }
}

section! {
    /// An OpenTelemetry collector, spoken to as `http/protobuf`.
    pub struct Otlp {
        /// Its base URL: `/v1/traces` and `/v1/metrics` are added.
        pub endpoint: WebUrl,
        /// Sent with every export, as in `{ authorization: "${env:OTLP_AUTHORIZATION}" }`.
        pub headers: Map<HeaderText> = "{}",
        /// The share of calls that are traced, where the caller brings no `traceparent` that decides.
        pub sample_ratio: Share<true> = "1",
        /// How often metrics are sent; spans wait at most five seconds.
        pub interval: Span = "60s",
    }
}

/// A header's value, which may be a credential.
#[derive(Debug)]
pub(crate) struct HeaderText(pub Secret);

impl Field for HeaderText {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let fix = "write `${env:NAME}` or `${file:/path}`";
        let (_, filled) = reader.scalar(node, "a header's value", fix)?;
        let fits = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        if filled.text.is_empty() || !filled.text.bytes().all(fits) {
            let problem = "the value is empty or has characters that no header can carry";
            reader.error(node.place, problem, fix);
            return None;
        }
        Some(Self(Secret::new(&filled.text)))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "writeOnly": true })
    }
}
