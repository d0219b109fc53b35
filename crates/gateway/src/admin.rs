//! What operators and orchestrators ask: probes on every listener, metrics on the admin one.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};

use crate::body::{self, Body};
use crate::gateway::Gateway;

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `/healthz`: the process answers. `/readyz`: it should get traffic: not draining, and its ledger
/// can take records.
pub fn probe<B>(
    request: &Request<B>,
    gateway: &Gateway,
    is_draining: impl FnOnce() -> bool,
) -> Option<Response<Body>> {
    match request.uri().path() {
        "/healthz" => Some(text(StatusCode::OK, TEXT, "ok\n".to_owned())),
        "/readyz" if is_draining() => Some(text(
            StatusCode::SERVICE_UNAVAILABLE,
            TEXT,
            "draining\n".to_owned(),
        )),
        "/readyz" => Some(readiness(gateway)),
        _ => None,
    }
}

/// A ledger or a sink in trouble is said but does not take the gateway out of service: calls go on, and
/// their records wait.
fn readiness(gateway: &Gateway) -> Response<Body> {
    let health = gateway.ledger.health();
    let mut lines = String::from("ready\n");
    for (part, fault) in [
        ("journal", health.journal_fault),
        ("database", health.database_fault),
        ("alerts", gateway.alerts.counts.fault()),
    ] {
        if let Some(fault) = fault {
            lines.push_str(&format!("warning: {part}: {fault}\n"));
        }
    }
    for store in gateway.audit.health() {
        for (part, fault) in store.faults() {
            if let Some(fault) = fault {
                lines.push_str(&format!(
                    "warning: audit store {} ({part}): {fault}\n",
                    store.id
                ));
            }
        }
    }
    for sink in gateway.sinks.health() {
        if let Some(failing) = sink.failing {
            let (id, records) = (sink.id, sink.lag.records);
            lines.push_str(&format!(
                "warning: sink {id}: {}; {records} calls wait\n",
                failing.error
            ));
        }
    }
    text(StatusCode::OK, TEXT, lines)
}

pub async fn answer<B>(gateway: &Arc<Gateway>, request: &Request<B>) -> Response<Body> {
    match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => metrics(gateway.clone()).await,
        (_, "/metrics") => text(
            StatusCode::METHOD_NOT_ALLOWED,
            TEXT,
            "only GET\n".to_owned(),
        ),
        _ => text(
            StatusCode::NOT_FOUND,
            TEXT,
            "here are /metrics, /healthz and /readyz\n".to_owned(),
        ),
    }
}

/// Off the threads that serve calls: tens of thousands of series take a tenth of a second.
async fn metrics(gateway: Arc<Gateway>) -> Response<Body> {
    let tasks = gateway.tasks.clone();
    let exposed = tasks.spawn_blocking(move || gateway.telemetry.expose(&gateway));
    match exposed.await {
        Ok(exposed) => text(StatusCode::OK, OPEN_METRICS, exposed),
        // Only a shutdown that waits no longer cancels it.
        Err(_cancelled) => text(
            StatusCode::SERVICE_UNAVAILABLE,
            TEXT,
            "stopping\n".to_owned(),
        ),
    }
}

fn text(status: StatusCode, kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(body::full(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
