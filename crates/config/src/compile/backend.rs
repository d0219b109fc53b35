//! Backends: those that host models, and those that judge content.

use std::collections::HashMap;
use std::sync::Arc;

use content::safety::azure;
use dialect::Dialect;
use domain::BackendId;
use domain::breaker::BreakerRule;

use super::price::provider_of;
use crate::file::backend::{self, Breaker, Timeout};
use crate::file::model::Model;
use crate::file::pool::Pool;
use crate::file::tls;
use crate::problem::{Place, Problems};
use crate::snapshot::{Backend, KeyHeader, PrivateUrl, Service, Timeouts};

pub(super) struct Backends {
    pub models: HashMap<BackendId, Arc<Backend>>,
    pub judges: HashMap<BackendId, Judge>,
}

/// Azure AI Content Safety.
pub(super) struct Judge {
    pub service: Arc<Service>,
    pub api_version: Arc<str>,
}

pub(super) fn backends(sections: Vec<backend::Backend>, problems: &mut Problems) -> Backends {
    let mut backends = Backends {
        models: HashMap::new(),
        judges: HashMap::new(),
    };
    for section in sections {
        check_api_version(&section, problems);
        let dialect = match section.dialect {
            backend::Dialect::Model(dialect) => dialect,
            backend::Dialect::ContentSafety => {
                check_hosts_nothing(&section, problems);
                let id = section.id.id.clone();
                backends.judges.insert(id, judge(section, problems));
                continue;
            }
        };
        let backend::Backend {
            id,
            dialect: _,
            url,
            api_version,
            auth,
            tls,
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
        let field = format!("backends[{}]", id.id);
        let backend = Backend {
            id: id.id.clone(),
            tls: tls::of(&url.0, tls, &field, problems),
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
            breaker: rule(&breaker),
        };
        backends.models.insert(id.id, Arc::new(backend));
    }
    backends
}

fn rule(breaker: &Breaker) -> BreakerRule {
    let Breaker {
        failure_threshold,
        min_throughput,
        interval,
        trip_duration,
        accept_retry_after,
    } = breaker;
    BreakerRule {
        failure_threshold: failure_threshold.0,
        min_throughput: min_throughput.as_u32(),
        interval: interval.0,
        trip_duration: trip_duration.0,
        accept_retry_after: *accept_retry_after,
    }
}

fn judge(section: backend::Backend, problems: &mut Problems) -> Judge {
    let field = format!("backends[{}]", section.id.id);
    let service = Service {
        name: format!("backend/{}", section.id.id).into(),
        tls: tls::of(&section.url.0, section.tls, &field, problems),
        url: PrivateUrl(section.url.0),
        auth: section.auth.0,
        key_header: KeyHeader::OcpApimSubscription,
        connect_timeout: section.timeout.connect.0,
        breaker: rule(&section.breaker),
    };
    let api_version = section.api_version.map(|version| version.text);
    Judge {
        service: Arc::new(service),
        api_version: api_version.as_deref().unwrap_or(azure::API_VERSION).into(),
    }
}

/// Pools and models name what hosts models.
pub(super) fn check_members(
    pools: &[Pool],
    models: &[Model],
    backends: &Backends,
    problems: &mut Problems,
) {
    let mut check = |id: &BackendId, place: Place, field: String| {
        if backends.judges.contains_key(id) {
            let problem = format!("`{id}` judges content and hosts no models");
            let fix = "name a backend of another dialect; guards name this one";
            problems.error(place, &field, problem, fix);
        }
    };
    for pool in pools {
        for member in &pool.members.value {
            let field = format!("pools[{}].members", pool.id.id);
            check(&member.backend.id, member.backend.place, field);
        }
    }
    for model in models {
        if let Some(backend) = &model.backend {
            let field = format!("models[{}].backend", model.name.id);
            check(&backend.id, backend.place, field);
        }
    }
}

/// Fields that mean something for models alone.
fn check_hosts_nothing(section: &backend::Backend, problems: &mut Problems) {
    let written = [
        (
            "catalogue",
            section.catalogue.as_ref().map(|text| text.place),
        ),
        (
            "prices",
            section.prices.items.first().map(|price| price.place),
        ),
        (
            "provisioned",
            section
                .provisioned
                .items
                .first()
                .map(|throughput| throughput.place),
        ),
    ];
    for (name, place) in written {
        let Some(place) = place else { continue };
        let field = format!("backends[{}].{name}", section.id.id);
        let problem = "it hosts no models, so nothing there has a price";
        problems.error(place, &field, problem, "remove it");
    }
}

fn check_api_version(section: &backend::Backend, problems: &mut Problems) {
    let id = &section.id.id;
    match (section.dialect, &section.api_version) {
        (backend::Dialect::Model(Dialect::OpenAi), Some(version)) => {
            let field = format!("backends[{id}].api_version");
            problems.error(
                version.place,
                &field,
                "only `azure-openai` and `azure-content-safety` have API versions",
                "remove it, or change the dialect",
            );
        }
        (
            backend::Dialect::Model(Dialect::AzureOpenAi) | backend::Dialect::ContentSafety,
            Some(version),
        ) => {
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
        (backend::Dialect::Model(Dialect::AzureOpenAi), None)
            if !section.url.0.path().ends_with("/v1") =>
        {
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
        (
            backend::Dialect::Model(Dialect::AzureOpenAi | Dialect::OpenAi)
            | backend::Dialect::ContentSafety,
            None,
        ) => {}
    }
}
