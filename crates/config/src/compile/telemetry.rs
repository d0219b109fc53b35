//! Dimensions and the exporter.

use std::collections::HashSet;
use std::sync::Arc;

use crate::file::telemetry::{self, HeaderText};
use crate::problem::Problems;
use crate::read::{Cel, Map, Named};
use crate::snapshot::{Dimension, Dimensions, Otlp, Secret, Telemetry};

/// More would make series that nobody can read, and each call pays for every one.
const DIMENSIONS_MAX: usize = 16;

/// Labels that the metrics themselves or Prometheus use.
const RESERVED: [&str; 6] = ["kind", "currency", "le", "quantile", "job", "instance"];

/// `None` where none are written: the wider scope's apply.
pub(super) fn dimensions(
    field: &str,
    written: &Map<Cel>,
    problems: &mut Problems,
) -> Option<Arc<Dimensions>> {
    let mut list: Vec<Dimension> = Vec::with_capacity(written.entries.len());
    for Named { name, place, value } in &written.entries {
        let field = format!("{field}[{}]", name.escape_debug());
        if let Some((problem, fix)) = name_problem(name) {
            problems.error(*place, &field, problem, fix);
        } else if list.len() == DIMENSIONS_MAX {
            let problem = format!("more than {DIMENSIONS_MAX} dimensions");
            problems.error(*place, &field, problem, "leave out what nobody asks for");
        } else {
            list.push(Dimension {
                name: name.as_str().into(),
                value: value.expression.clone(),
            });
        }
    }
    (!list.is_empty()).then(|| Arc::new(Dimensions { list }))
}

fn name_problem(name: &str) -> Option<(&'static str, &'static str)> {
    let starts_well = name
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let is_label = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !starts_well || !is_label || name.len() > 64 {
        let fix = "use 1 to 64 letters, digits and `_`, not a digit first";
        return Some(("this cannot be the name of a label", fix));
    }
    if name.starts_with("__") || RESERVED.contains(&name) {
        return Some(("this label has a meaning of its own", "choose another name"));
    }
    None
}

pub(super) fn telemetry(section: telemetry::Telemetry, problems: &mut Problems) -> Telemetry {
    let telemetry::Telemetry {
        service_name,
        resource,
        otlp,
    } = section;
    let resource = resource
        .entries
        .into_iter()
        .map(|Named { name, value, .. }| (name, value.text))
        .collect();
    Telemetry {
        service_name: service_name.text,
        resource,
        otlp: otlp.map(|otlp| Otlp {
            endpoint: otlp.endpoint.0,
            headers: headers("telemetry.otlp.headers", otlp.headers, problems),
            sample_ratio: otlp.sample_ratio.0,
            interval: otlp.interval.0,
        }),
    }
}

pub(super) fn headers(
    field: &str,
    written: Map<HeaderText>,
    problems: &mut Problems,
) -> Vec<(http::HeaderName, Secret)> {
    let mut headers = Vec::with_capacity(written.entries.len());
    let mut seen = HashSet::new();
    for Named { name, place, value } in written.entries {
        match name.parse::<http::HeaderName>() {
            Ok(parsed) if seen.insert(parsed.clone()) => headers.push((parsed, value.0)),
            Ok(_) => problems.error(place, field, "a header is written twice", "write it once"),
            // Not quoted: it may be a value that lost its name.
            Err(_) => problems.error(
                place,
                field,
                "not a header's name",
                "write it as `authorization`",
            ),
        }
    }
    headers
}
