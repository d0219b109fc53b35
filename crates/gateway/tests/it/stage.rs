//! A gateway with a clock that only tests move, called without a socket of its own.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use config::{Environment, Snapshot, Source};
use dialect::{Encoding, Operation};
use domain::pool::MemberState;
use domain::record::CallRecord;
use domain::{BackendId, Metered, PriceId, Usage, Wall};
use gateway::body::Body;
use gateway::{Clock, Gateway};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use store::alerts::StoredAlert;
use store::ledger::Options;
use store::{Counters, Ledger};

use crate::scripted::Backend;

/// 2026-09-21 14:13:20 UTC, a Monday.
const START: Wall = Wall::from_secs(1_790_000_000);
pub const IP: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub const KEY: &str = "search-key-of-16-or-more";
const PROMPT: &str = r#""messages":[{"role":"user","content":"How far is the moon?"}]"#;

/// What a configuration says, as YAML where it is not a number.
#[derive(Clone, Debug)]
pub struct Rules {
    /// One for each backend.
    pub priorities: Vec<u32>,
    pub breaker: String,
    pub timeout: String,
    pub retry: String,
    /// Lists of limits of the product, a line each.
    pub limits: String,
    /// Channels and rules of alerts, and what they watch.
    pub alerts: String,
    /// Of the whole configuration, a line each: the currency and its rates.
    pub money: String,
    /// Of the backends by their id, such as their prices; empty for none.
    pub of_backends: Vec<(char, String)>,
}

impl Default for Rules {
    /// Limits of every kind, all wide enough; breakers that no test trips by accident.
    fn default() -> Self {
        Self {
            priorities: vec![1, 1, 2],
            breaker: "{ min_throughput: 100 }".into(),
            timeout: "{}".into(),
            retry: "{ attempts: 3 }".into(),
            limits: "
    token_limits: [ { name: tpm, tokens_per_minute: 1000000 } ]
    request_limits: [ { name: rpm, requests_per_minute: 10000 } ]
    concurrency_limits: [ { name: open, max_concurrent: 10 } ]
    quotas: [ { name: day, tokens: 1000000, period: day } ]"
                .into(),
            alerts: String::new(),
            money: String::new(),
            of_backends: Vec::new(),
        }
    }
}

impl Rules {
    fn snapshot(&self, addresses: &[String]) -> Snapshot {
        let Self {
            priorities,
            breaker,
            timeout,
            retry,
            limits,
            alerts,
            money,
            of_backends,
        } = self;
        let more = |id: char| {
            let more = of_backends.iter().find(|(of, _)| *of == id);
            more.map_or(String::new(), |(_, more)| format!(", {more}"))
        };
        let mut backends = String::new();
        let mut members = String::new();
        for ((id, address), priority) in ('a'..).zip(addresses).zip(priorities) {
            backends.push_str(&format!(
                "\n  - {{ id: {id}, dialect: openai, url: \"{address}\", auth: {{ bearer: the-gateway-s-own }}, timeout: {timeout}, breaker: {breaker}{} }}",
                more(id)
            ));
            members.push_str(&format!(
                "\n      - {{ backend: {id}, priority: {priority} }}"
            ));
        }
        let text = format!(
            "{money}
backends:{backends}
pools:
  - id: all
    retry: {retry}
    members:{members}
models:
  - {{ name: gpt-4o, pool: all, max_output_tokens: 1000, tokenizer: o200k }}
products:
  - id: standard
    models: [gpt-4o]{limits}
subscriptions:
  - {{ id: search, product: standard, keys: {{ primary: {KEY} }} }}
{alerts}
"
        );
        loaded(&text)
    }
}

/// What a configuration says.
pub fn loaded(text: &str) -> Snapshot {
    let source = Source {
        name: "stage.yaml".into(),
        text: text.to_owned(),
    };
    let environment = Environment {
        variables: &|_| None,
        files: &|path| Err(format!("{path} is not read")),
    };
    let (snapshot, _warnings) = config::load(&[source], &environment, &[], 1)
        .unwrap_or_else(|problems| panic!("{problems:?}"));
    snapshot
}

pub struct Stage {
    pub gateway: Arc<Gateway>,
    pub clock: Clock,
    directory: tempfile::TempDir,
}

impl Stage {
    pub fn new(rules: &Rules, backends: &[&Backend]) -> Self {
        let addresses: Vec<_> = backends
            .iter()
            .map(|backend| backend.address.clone())
            .collect();
        Self::at(rules, &addresses)
    }

    pub fn at(rules: &Rules, addresses: &[String]) -> Self {
        Self::of(rules.snapshot(addresses))
    }

    /// Of a configuration that is written out.
    pub fn reading(text: &str) -> Self {
        Self::of(loaded(text))
    }

    pub fn reload(&self, text: &str) {
        self.gateway.reload(loaded(text)).unwrap();
    }

    /// With its `data_dir`, where the ledger is too.
    pub fn reading_in(data_dir: tempfile::TempDir, text: &str) -> Self {
        Self::keeping(data_dir, loaded(text))
    }

    /// As the binary does, once the database has every call so far.
    pub async fn reload_counting(&self, text: &str, calls: usize) {
        while store::ledger::recent(self.directory.path(), calls)
            .unwrap()
            .len()
            < calls
        {
            tokio::task::yield_now().await;
        }
        let reloaded = self
            .gateway
            .reload_counting(loaded(text), self.directory.path());
        reloaded.await.unwrap();
    }

    fn of(snapshot: Snapshot) -> Self {
        Self::keeping(tempfile::tempdir().unwrap(), snapshot)
    }

    fn keeping(directory: tempfile::TempDir, snapshot: Snapshot) -> Self {
        let clock = Clock::manual(START);
        let options = Options {
            segment_bytes: 64 * 1024,
            ..Options::default()
        };
        let (ledger, _) = Ledger::open_with(directory.path(), clock.now(), &options).unwrap();
        let gateway = Gateway::new(snapshot, Counters::memory(), ledger, clock.clone()).unwrap();
        Self {
            gateway,
            clock,
            directory,
        }
    }

    /// Looks for alerts from now on; what it finds is kept beside the ledger.
    pub fn start_alerts(&self) {
        self.gateway.start_alerts(self.directory.path()).unwrap();
    }

    /// What was told so far, the latest first.
    pub fn alerts(&self) -> Vec<StoredAlert> {
        store::alerts::recent(self.directory.path(), 1_000).unwrap()
    }

    pub fn ledger_folder(&self) -> &Path {
        self.directory.path()
    }

    /// Why a configuration with these rules is not taken.
    pub fn try_renew(&self, rules: &Rules, backend: &Backend) -> Result<(), String> {
        let snapshot = rules.snapshot(std::slice::from_ref(&backend.address));
        self.gateway
            .reload(snapshot)
            .map_err(|error| error.to_string())
    }

    /// Other rules and addresses, and backends and pools of which nothing is remembered.
    pub fn renew(&self, rules: &Rules, addresses: &[String]) {
        let others = Rules {
            priorities: rules
                .priorities
                .iter()
                .map(|priority| priority + 1)
                .collect(),
            breaker: "{ interval: 1s }".into(),
            ..rules.clone()
        };
        for rules in [&others, rules] {
            self.gateway.reload(rules.snapshot(addresses)).unwrap();
        }
    }

    pub async fn begin(&self, request: Request<Full<Bytes>>) -> Response<Body> {
        self.gateway.handle(request, IP).await
    }

    /// The whole answer.
    pub async fn call(&self, request: Request<Full<Bytes>>) -> Told {
        Told::read(self.begin(request).await).await
    }

    pub fn advance_s(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// What the pool's rules see of a backend.
    pub fn state(&self, backend: &str) -> MemberState {
        let backend = self
            .gateway
            .router
            .backends()
            .get(&BackendId::from(backend));
        backend.unwrap().state(0, self.clock.now().mono)
    }

    /// For how long no call is let through; `None` if one is.
    pub fn open_s(&self, backend: &str) -> Option<u64> {
        match self.state(backend) {
            MemberState::Open { until } => Some(until.since(self.clock.now().mono).as_secs()),
            MemberState::Available | MemberState::Saturated { .. } | MemberState::Tried => None,
        }
    }

    pub fn metrics(&self) -> String {
        self.gateway.telemetry.expose(&self.gateway)
    }

    /// What the counter of a limit holds: used, reserved.
    pub fn level(&self, limit: &str) -> (u64, u64) {
        let levels = self.gateway.counters.levels(self.clock.now());
        let level = levels.iter().find(|level| &*level.limit.name == limit);
        level.map_or((0, 0), |level| (level.used, level.reserved))
    }

    /// Ends the gateway. What every call left on the ledger, oldest first; no call holds anything.
    pub async fn records(self) -> Vec<CallRecord> {
        for level in self.gateway.counters.levels(self.clock.now()) {
            assert_eq!(level.reserved, 0, "{} is still reserved", level.limit.name);
        }
        self.gateway.close().await;
        let mut records = store::ledger::recent(self.directory.path(), 1_000).unwrap();
        records.reverse();
        records
    }

    /// Ends the gateway. What it left on the disk.
    pub async fn into_folder(self) -> tempfile::TempDir {
        self.gateway.close().await;
        self.directory
    }

    /// Ends the gateway. The call that it left, and what the ids of prices stand for.
    pub async fn record_and_prices(self) -> (CallRecord, Vec<(PriceId, String)>) {
        let folder = self.directory.path().to_owned();
        self.gateway.close().await;
        let prices = store::ledger::prices(&folder).unwrap();
        let mut records = store::ledger::recent(&folder, 1_000).unwrap();
        assert_eq!(records.len(), 1, "{records:#?}");
        (records.remove(0), prices)
    }

    /// Of the only call.
    pub async fn record(self) -> CallRecord {
        let mut records = self.records().await;
        assert_eq!(records.len(), 1, "{records:#?}");
        records.remove(0)
    }
}

/// What a client got.
#[derive(Clone, Debug)]
pub struct Told {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The connection broke before the body's end.
    pub broke: bool,
}

impl Told {
    pub async fn read(response: Response<Body>) -> Self {
        let (head, mut body) = response.into_parts();
        let mut told = Self {
            status: head.status,
            headers: head.headers,
            body: Bytes::new(),
            broke: false,
        };
        let mut whole = Vec::new();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => whole.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Err(_) => told.broke = true,
            }
        }
        told.body = whole.into();
        told
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn retry_after_s(&self) -> Option<u64> {
        self.header("retry-after")?.parse().ok()
    }

    /// `code` of an error body.
    pub fn code(&self) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        Some(body["error"]["code"].as_str()?.to_owned())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// A call by the `search` subscription.
pub fn request(body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post("/v1/chat/completions")
        .header("authorization", format!("Bearer {KEY}"))
        .header("content-type", "application/json")
        .body(Full::new(body.into()))
        .unwrap()
}

pub fn chat() -> Request<Full<Bytes>> {
    request(format!(r#"{{"model":"gpt-4o",{PROMPT}}}"#))
}

pub fn streamed_chat() -> Request<Full<Bytes>> {
    request(format!(r#"{{"model":"gpt-4o","stream":true,{PROMPT}}}"#))
}

/// A streamed chat whose client asks for usage itself.
pub fn streamed_chat_with_usage() -> Request<Full<Bytes>> {
    request(format!(
        r#"{{"model":"gpt-4o","stream":true,"stream_options":{{"include_usage":true}},{PROMPT}}}"#
    ))
}

/// What the calls above ask, by the model's tokenizer.
pub fn prompt_tokens() -> u64 {
    let body = format!(r#"{{"model":"gpt-4o",{PROMPT}}}"#);
    let call = dialect::request::read(Operation::ChatCompletions, body.into(), None).unwrap();
    call.prompt_tokens(Encoding::O200k)
}

pub fn reported(prompt: u64, completion: u64) -> Metered {
    Metered::Reported(usage(prompt, completion))
}

pub fn estimated(prompt: u64, completion: u64) -> Metered {
    Metered::Estimated(usage(prompt, completion))
}

fn usage(prompt: u64, completion: u64) -> Usage {
    Usage {
        prompt,
        completion,
        ..Usage::default()
    }
}
