//! The families of `/metrics` as an `ExportMetricsServiceRequest`, cumulative since the start.

use config::snapshot::Telemetry;
use domain::Wall;

use super::protobuf::{Attribute, Writer};
use super::resource::{resource, scope};
use crate::telemetry::catalogue::{Kind, otel_label};
use crate::telemetry::sample::{Family, Sample, Value};

/// The span of time that cumulative values stand for.
pub struct Since {
    pub started: Wall,
    pub now: Wall,
}

impl Since {
    fn write(&self, point: &mut Writer) {
        let ns = |wall: Wall| u64::try_from(wall.0).unwrap_or(0).saturating_mul(1_000_000);
        point.fixed64(2, ns(self.started));
        point.fixed64(3, ns(self.now));
    }
}

const CUMULATIVE: u64 = 2;

pub fn request(telemetry: &Telemetry, families: &[Family], since: &Since) -> Vec<u8> {
    let mut request = Writer::default();
    request.message(1, |of_resource| {
        resource(of_resource, telemetry);
        of_resource.message(2, |of_scope| {
            scope(of_scope);
            for family in families.iter().filter(|family| !family.samples.is_empty()) {
                of_scope.message(2, |metric| write(metric, family, since));
            }
        });
    });
    request.0
}

fn write(into: &mut Writer, family: &Family, since: &Since) {
    let metric = family.metric;
    into.text(1, metric.otel);
    into.text(2, metric.help);
    into.text(3, metric.unit);
    let (field, is_cumulative) = match metric.kind {
        Kind::Gauge => (5, false),
        Kind::Counter => (7, true),
        Kind::Histogram => (9, true),
    };
    into.message(field, |data| {
        for sample in &family.samples {
            data.message(1, |point| write_point(point, sample, since));
        }
        if is_cumulative {
            data.uint(2, CUMULATIVE);
        }
        if metric.kind == Kind::Counter {
            data.uint(3, 1); // Monotonic.
        }
    });
}

fn write_point(point: &mut Writer, sample: &Sample, since: &Since) {
    since.write(point);
    let attributes = match &sample.value {
        Value::Whole(value) => {
            point.fixed64(6, *value);
            7
        }
        Value::Real(value) => {
            point.double(4, *value);
            7
        }
        Value::Distribution(read) => {
            point.fixed64(4, read.count());
            point.double(5, read.sum);
            point.packed(6, read.counts.iter().copied());
            point.packed(7, read.bounds().map(f64::to_bits));
            9
        }
    };
    for label in &sample.labels {
        // Prometheus has no absent label; OpenTelemetry has.
        if !label.value.is_empty() {
            let key = otel_label(&label.name);
            point.attribute(attributes, key, Attribute::Text(&label.value));
        }
    }
}
