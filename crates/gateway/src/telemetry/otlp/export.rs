//! Sends what was gathered to the collector. Calls put spans into a queue that never makes them
//! wait: a full one drops, and what was dropped is counted.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use config::snapshot::{Otlp, Telemetry};
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::metrics::{self, Since};
use super::protobuf::Writer;
use super::resource::{resource, scope};
use super::span::{self, Told};
use crate::fetch;
use crate::gateway::Gateway;
use crate::router::Backends;
use crate::telemetry::catalogue;
use crate::telemetry::sample::{Family, Value};
use crate::telemetry::trace::TraceContext;

/// Calls whose spans wait to be sent, of about a kilobyte each. Past it, spans are dropped.
const QUEUE_CALLS_MAX: usize = 4096;
/// Calls in one request.
const BATCH_CALLS_MAX: usize = 512;
/// How long a span waits for others.
const FLUSH_INTERVAL: Duration = Duration::from_secs(5);
/// One request, from connecting to the answer's head.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Pauses before a request is sent again. While they last the queue fills, and then drops.
const RETRY_PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
/// What a stopping gateway gives the collector to take the rest.
const LAST_EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// The calls' side.
pub struct Exporter {
    queue: Sender<Finished>,
    /// Until the task that empties it takes it.
    waiting: Mutex<Option<Receiver<Finished>>>,
    /// Bits of the ratio; `OFF` while nothing is exported.
    sample_ratio: AtomicU64,
    sent: AtomicU64,
    queue_full: AtomicU64,
    failed: AtomicU64,
    traces_failed: AtomicU64,
    metrics_failed: AtomicU64,
    /// So that a collector that is down is one line in the log, not one for each export.
    is_failing: AtomicBool,
}

/// The spans of one call, as they are sent.
pub struct Finished {
    spans: Vec<u8>,
    count: u64,
}

const OFF: u64 = u64::MAX;

impl Default for Exporter {
    fn default() -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE_CALLS_MAX);
        Self {
            queue,
            waiting: Mutex::new(Some(waiting)),
            sample_ratio: AtomicU64::new(OFF),
            sent: AtomicU64::new(0),
            queue_full: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            traces_failed: AtomicU64::new(0),
            metrics_failed: AtomicU64::new(0),
            is_failing: AtomicBool::new(false),
        }
    }
}

impl Exporter {
    pub fn sync(&self, telemetry: &Telemetry) {
        let ratio = telemetry.otlp.as_ref();
        let bits = ratio.map_or(OFF, |otlp| otlp.sample_ratio.to_bits());
        self.sample_ratio.store(bits, Ordering::Relaxed);
    }

    /// The share of calls that are traced; `None`: tracing is off.
    pub fn sample_ratio(&self) -> Option<f64> {
        match self.sample_ratio.load(Ordering::Relaxed) {
            OFF => None,
            bits => Some(f64::from_bits(bits)),
        }
    }

    pub fn push(&self, told: &Told<'_>, trace: &TraceContext, backends: &Backends) {
        let count = span::count(told);
        let Ok(place) = self.queue.try_reserve() else {
            self.queue_full.fetch_add(count, Ordering::Relaxed);
            return;
        };
        let spans = span::encode(told, trace, backends);
        place.send(Finished { spans, count });
    }

    pub fn families(&self, into: &mut Vec<Family>) {
        let whole = |count: &AtomicU64| Value::Whole(count.load(Ordering::Relaxed));
        into.push(
            Family::new(&catalogue::SPANS)
                .with(&["sent"], whole(&self.sent))
                .with(&["queue_full"], whole(&self.queue_full))
                .with(&["failed"], whole(&self.failed)),
        );
        into.push(
            Family::new(&catalogue::EXPORT_FAILURES)
                .with(&["traces"], whole(&self.traces_failed))
                .with(&["metrics"], whole(&self.metrics_failed)),
        );
    }

    pub fn take_queue(&self) -> Option<Receiver<Finished>> {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// Exports for as long as the gateway runs, by the configuration in force.
pub async fn export(
    gateway: Weak<Gateway>,
    mut queue: Receiver<Finished>,
    stop: CancellationToken,
) {
    let mut collector = Collector::default();
    let mut batch: Vec<Finished> = Vec::new();
    let mut flush = tokio::time::interval(FLUSH_INTERVAL);
    flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut metrics_due = Box::pin(tokio::time::sleep(interval(&gateway)));
    loop {
        let room = BATCH_CALLS_MAX - batch.len();
        let with_metrics = tokio::select! {
            () = stop.cancelled() => break,
            _ = queue.recv_many(&mut batch, room) => {
                if batch.len() < BATCH_CALLS_MAX {
                    continue;
                }
                false
            }
            _ = flush.tick() => false,
            () = &mut metrics_due => true,
        };
        let Some(gateway) = gateway.upgrade() else {
            return;
        };
        let sending = async {
            collector.send_spans(&gateway, &mut batch).await;
            if with_metrics {
                collector.send_metrics(&gateway).await;
            }
        };
        if stop.run_until_cancelled(sending).await.is_none() {
            break;
        }
        if with_metrics {
            let again = tokio::time::sleep(interval(&Arc::downgrade(&gateway)));
            metrics_due.set(again);
        }
    }
    let Some(gateway) = gateway.upgrade() else {
        return;
    };
    let last = async {
        loop {
            while batch.len() < BATCH_CALLS_MAX
                && let Ok(finished) = queue.try_recv()
            {
                batch.push(finished);
            }
            if batch.is_empty() {
                break;
            }
            collector.send_spans(&gateway, &mut batch).await;
        }
        collector.send_metrics(&gateway).await;
    };
    if tokio::time::timeout(LAST_EXPORT_TIMEOUT, last)
        .await
        .is_err()
    {
        tracing::warn!("the collector did not take the last traces and metrics in time");
    }
}

/// Of metrics. Where nothing is exported, how soon a reload that starts it is noticed.
fn interval(gateway: &Weak<Gateway>) -> Duration {
    let otlp = gateway
        .upgrade()
        .and_then(|gateway| gateway.snapshot.load().settings.telemetry.otlp.clone());
    otlp.map_or(FLUSH_INTERVAL, |otlp| otlp.interval)
}

type Http = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// The way to the collector.
#[derive(Default)]
struct Collector {
    http: Option<Http>,
}

/// Why an export was not taken. Names no header: they may be credentials.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the address or a header cannot be sent: {0}")]
    Request(#[from] http::Error),
    #[error("the collector cannot be reached: {0}")]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    #[error("the collector did not answer in time")]
    TimedOut,
    #[error("the collector answered {0}")]
    Status(StatusCode),
}

impl ExportError {
    /// As the protocol has it: these may be taken later.
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::TimedOut => true,
            Self::Status(status) => matches!(status.as_u16(), 429 | 502..=504),
            Self::Tls(_) | Self::Request(_) => false,
        }
    }
}

impl Collector {
    /// Empties the batch, taken or not.
    async fn send_spans(&mut self, gateway: &Gateway, batch: &mut Vec<Finished>) {
        if batch.is_empty() {
            return;
        }
        let exporter = &gateway.telemetry.exporter;
        let count: u64 = batch.iter().map(|finished| finished.count).sum();
        let telemetry = gateway.snapshot.load().settings.telemetry.clone();
        let sent = match &telemetry.otlp {
            Some(otlp) => {
                let body = spans_request(&telemetry, batch);
                let sent = self.send(otlp, "v1/traces", body).await;
                exporter.note("traces", &sent, &exporter.traces_failed);
                sent.is_ok()
            }
            // Turned off while they waited.
            None => false,
        };
        batch.clear();
        let counted = if sent {
            &exporter.sent
        } else {
            &exporter.failed
        };
        counted.fetch_add(count, Ordering::Relaxed);
    }

    async fn send_metrics(&mut self, gateway: &Arc<Gateway>) {
        let telemetry = gateway.snapshot.load().settings.telemetry.clone();
        let Some(otlp) = &telemetry.otlp else { return };
        let since = Since {
            started: gateway.telemetry.started(),
            now: gateway.clock.now().wall,
        };
        // Off the threads that serve calls: tens of thousands of series take a tenth of a second.
        let body = gateway.tasks.spawn_blocking({
            let (gateway, telemetry) = (gateway.clone(), telemetry.clone());
            move || metrics::request(&telemetry, &gateway.telemetry.families(&gateway), &since)
        });
        let Ok(body) = body.await else { return };
        let sent = self.send(otlp, "v1/metrics", body).await;
        let exporter = &gateway.telemetry.exporter;
        exporter.note("metrics", &sent, &exporter.metrics_failed);
    }

    async fn send(&mut self, otlp: &Otlp, path: &str, body: Vec<u8>) -> Result<(), ExportError> {
        let body = Bytes::from(body);
        let mut pauses = RETRY_PAUSES.into_iter();
        loop {
            let sent = self.send_once(otlp, path, body.clone()).await;
            match (&sent, pauses.next()) {
                (Err(error), Some(pause)) if error.may_pass() => tokio::time::sleep(pause).await,
                _ => return sent,
            }
        }
    }

    async fn send_once(&mut self, otlp: &Otlp, path: &str, body: Bytes) -> Result<(), ExportError> {
        let base = otlp.endpoint.as_str().trim_end_matches('/');
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("{base}/{path}"))
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(USER_AGENT, concat!("tollgate/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(body))?;
        for (name, value) in &otlp.headers {
            let mut value = HeaderValue::from_str(value.reveal()).map_err(http::Error::from)?;
            value.set_sensitive(true);
            request.headers_mut().insert(name.clone(), value);
        }
        let http = match &self.http {
            Some(http) => http,
            None => self.http.insert(fetch::new_client()?),
        };
        let answer = tokio::time::timeout(REQUEST_TIMEOUT, http.request(request))
            .await
            .map_err(|_elapsed| ExportError::TimedOut)??;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(ExportError::Status(status)),
        }
    }
}

impl Exporter {
    fn note(&self, signal: &'static str, sent: &Result<(), ExportError>, failures: &AtomicU64) {
        let was_failing = self.is_failing.swap(sent.is_err(), Ordering::Relaxed);
        match sent {
            Err(error) => {
                failures.fetch_add(1, Ordering::Relaxed);
                if !was_failing {
                    tracing::warn!(signal, %error, "export failed: what it held is lost");
                }
            }
            Ok(()) if was_failing => tracing::info!(signal, "export works again"),
            Ok(()) => {}
        }
    }
}

fn spans_request(telemetry: &Telemetry, batch: &[Finished]) -> Vec<u8> {
    let mut request = Writer::default();
    request.message(1, |of_resource| {
        resource(of_resource, telemetry);
        of_resource.message(2, |of_scope| {
            scope(of_scope);
            for finished in batch {
                of_scope.0.extend_from_slice(&finished.spans);
            }
        });
    });
    request.0
}

#[cfg(test)]
mod tests {
    use dialect::Dialect;
    use domain::record::{CacheOutcome, CallRecord, Cost, Opening, Outcome, Who};
    use domain::{CallId, Metered, Mono, Nanos, Now, Wall};

    use super::*;
    use crate::clock::Chance;
    use crate::trail::Origin;

    #[test]
    fn a_full_queue_drops_spans_counts_them_and_holds_nobody_up() {
        let record = CallRecord {
            opening: Opening {
                id: CallId(1),
                at: Wall(0),
                who: Who {
                    subscription: "search".into(),
                    product: "standard".into(),
                    application: None,
                    caller: "search/primary".into(),
                    user: None,
                },
                model: "gpt-4o".into(),
                asked_model: None,
                stream: false,
                revision: 1,
                prompt_tokens: 0,
                charges: Vec::new(),
                price: None,
            },
            outcome: Outcome::Refused,
            status: 429,
            rule: None,
            backend: None,
            cache: CacheOutcome::Off,
            metered: Metered::NOTHING,
            cost: Cost::Nothing,
            saved: Nanos::ZERO,
            saved_tokens: 0,
            similarity: None,
            latency: Duration::from_millis(1),
            first_byte: None,
            verdicts: Vec::new(),
            attempts: Vec::new(),
        };
        let trace = TraceContext::of(&http::HeaderMap::new(), 1.0, &Chance::seeded(1));
        let origin = Origin {
            id: CallId(1),
            started: Now {
                mono: Mono(0),
                wall: Wall(0),
            },
            dialect: Dialect::OpenAi,
            revision: 1,
            trace: Some(trace),
        };
        let told = Told {
            record: &record,
            origin: &origin,
            operation: None,
            asked: None,
            series: None,
            sent_at: &[],
        };
        let exporter = Exporter::default();
        for _ in 0..QUEUE_CALLS_MAX + 7 {
            exporter.push(&told, &trace, &Backends::default());
        }
        assert_eq!(exporter.queue_full.load(Ordering::Relaxed), 7);
    }

    #[test]
    fn a_ratio_of_zero_is_not_off() {
        let exporter = Exporter::default();
        assert_eq!(exporter.sample_ratio(), None);
        let mut telemetry = Telemetry {
            otlp: Some(Otlp {
                endpoint: url::Url::parse("http://127.0.0.1:4318").expect("a URL"),
                headers: Vec::new(),
                sample_ratio: 0.0,
                interval: Duration::from_secs(60),
            }),
            ..Telemetry::default()
        };
        exporter.sync(&telemetry);
        assert_eq!(exporter.sample_ratio(), Some(0.0));
        telemetry.otlp = None;
        exporter.sync(&telemetry);
        assert_eq!(exporter.sample_ratio(), None);
    }
}
