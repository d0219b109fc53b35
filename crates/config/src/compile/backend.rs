//! Backends.

use std::collections::HashMap;
use std::sync::Arc;

use dialect::Dialect;
use domain::BackendId;
use domain::breaker::BreakerRule;

use super::price::provider_of;
use crate::file::backend::{self, Breaker, Timeout};
use crate::problem::Problems;
use crate::snapshot::{Backend, Timeouts};

pub(super) fn backends(
    sections: Vec<backend::Backend>,
    problems: &mut Problems,
) -> HashMap<BackendId, Arc<Backend>> {
    let mut backends = HashMap::new();
    for section in sections {
        check_api_version(&section, problems);
        let backend::Backend {
            id,
            dialect,
            url,
            api_version,
            auth,
            timeout,
            breaker,
            catalogue,
            // `price::written` has read these.
            prices: _,
            provisioned: _,
        } = section;
        let catalogue = catalogue.as_ref().map(|provider| provider.text.as_str());
        let Timeout {
            connect,
            first_byte,
            idle,
            total,
        } = timeout;
        let Breaker {
            failure_threshold,
            min_throughput,
            interval,
            trip_duration,
            accept_retry_after,
        } = breaker;
        let backend = Backend {
            id: id.id.clone(),
            catalogue: provider_of(catalogue, dialect, &url.0),
            dialect,
            url: url.0,
            api_version: api_version.map(|version| version.text),
            auth: auth.0,
            timeouts: Timeouts {
                connect: connect.0,
                first_byte: first_byte.0,
                idle: idle.0,
                total: total.0,
            },
            breaker: BreakerRule {
                failure_threshold: failure_threshold.0,
                min_throughput: min_throughput.as_u32(),
                interval: interval.0,
                trip_duration: trip_duration.0,
                accept_retry_after,
            },
        };
        backends.insert(id.id, Arc::new(backend));
    }
    backends
}

fn check_api_version(section: &backend::Backend, problems: &mut Problems) {
    let id = &section.id.id;
    match (section.dialect, &section.api_version) {
        (Dialect::OpenAi, Some(version)) => {
            let field = format!("backends[{id}].api_version");
            problems.error(
                version.place,
                &field,
                "only `azure-openai` has API versions",
                "remove it, or change the dialect",
            );
        }
        (Dialect::AzureOpenAi, Some(version)) => {
            // It becomes part of a query string.
            if !version
                .text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
            {
                let field = format!("backends[{id}].api_version");
                problems.error(
                    version.place,
                    &field,
                    "not an API version",
                    "write it as `2024-10-21`",
                );
            }
        }
        (Dialect::AzureOpenAi, None) if !section.url.0.path().ends_with("/v1") => {
            let field = format!("backends[{id}]");
            let problem =
                "no `api_version`: calls that bring none of their own will be refused by Azure";
            problems.warning(
                section.id.place,
                &field,
                problem,
                "add `api_version`, such as \"2024-10-21\"",
            );
        }
        (Dialect::AzureOpenAi | Dialect::OpenAi, None) => {}
    }
}
