//! Who sends: the part that exports of traces and of metrics begin with.

use config::snapshot::Telemetry;

use super::protobuf::{Attribute, Writer};

/// `Resource` as field 1 of the message that is being written.
pub fn resource(into: &mut Writer, telemetry: &Telemetry) {
    into.message(1, |resource| {
        let own = [
            ("service.name", telemetry.service_name.as_str()),
            ("service.version", env!("CARGO_PKG_VERSION")),
        ];
        let written = telemetry
            .resource
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        // What is written stands instead of what is ours.
        for (key, value) in own {
            if !telemetry.resource.iter().any(|(written, _)| written == key) {
                resource.attribute(1, key, Attribute::Text(value));
            }
        }
        for (key, value) in written {
            resource.attribute(1, key, Attribute::Text(value));
        }
    });
}

/// `InstrumentationScope` as field 1.
pub fn scope(into: &mut Writer) {
    into.message(1, |scope| {
        scope.text(1, "tollgate");
        scope.text(2, env!("CARGO_PKG_VERSION"));
    });
}
