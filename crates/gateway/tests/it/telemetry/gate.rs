//! A gateway in front of two backends, called without a socket of its own.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use config::{Environment, Snapshot, Source};
use domain::Wall;
use gateway::{Clock, Gateway};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use store::{Counters, Ledger};

use super::peer::Peer;

pub const KEY: &str = "planted-key-of-a-team";
pub const UPSTREAM_KEY: &str = "planted-key-of-the-gateway";
pub const PROMPT: &str = "planted-prompt";
pub const ANSWER: &str = "planted-answer";
const IP: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub const STREAM: &str = "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"planted-answer\"}}]}\n\ndata: {\"id\":\"1\",\"choices\":[],\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":7,\"total_tokens\":37,\"prompt_tokens_details\":{\"cached_tokens\":10},\"completion_tokens_details\":{\"reasoning_tokens\":3}}}\n\ndata: [DONE]\n\n";

pub struct Gate {
    pub gateway: Arc<Gateway>,
    _directory: tempfile::TempDir,
}

impl Gate {
    /// `broken` is tried first, `whole` when it fails.
    pub fn new(broken: &Peer, whole: &Peer, more: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Wall::from_secs(1_790_000_000));
        let (ledger, _) = Ledger::open(directory.path(), clock.now()).unwrap();
        let snapshot = snapshot(broken, whole, more);
        let gateway = Gateway::new(snapshot, Counters::memory(), ledger, clock).unwrap();
        Self {
            gateway,
            _directory: directory,
        }
    }

    pub async fn call(&self, model: &str, headers: &[(&str, &str)]) -> StatusCode {
        let body = format!(
            r#"{{"model":"{model}","stream":true,"messages":[{{"role":"user","content":"{PROMPT}"}}]}}"#
        );
        let mut request = Request::builder()
            .method("POST")
            .uri("/v1/chat/completions")
            .header("authorization", format!("Bearer {KEY}"))
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let answer = self.gateway.handle(request, IP).await;
        let status = answer.status();
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            frame.unwrap();
        }
        status
    }

    pub fn metrics(&self) -> String {
        self.gateway.telemetry.expose(&self.gateway)
    }

    /// Sends what waits for the collector.
    pub async fn close(self) {
        self.gateway.close().await;
    }
}

fn snapshot(broken: &Peer, whole: &Peer, more: &str) -> Snapshot {
    let (broken, whole) = (&broken.url, &whole.url);
    let text = format!(
        "backends:
  - {{ id: broken, dialect: azure-openai, url: '{broken}', api_version: '2024-10-21', auth: {{ api_key: {UPSTREAM_KEY} }} }}
  - {{ id: whole, dialect: openai, url: '{whole}', auth: {{ api_key: {UPSTREAM_KEY} }} }}
pools:
  - id: both
    members: [{{ backend: broken, priority: 1 }}, {{ backend: whole, priority: 2 }}]
models:
  - {{ name: gpt-4o, pool: both, max_output_tokens: 1000 }}
products:
  - id: standard
    models: [gpt-4o]
    application: {{ from_header: X-App-Name }}
    request_limits: [{{ name: rpm, requests_per_minute: 3 }}]
subscriptions:
  - {{ id: search, name: Search team, product: standard, keys: {{ primary: {KEY} }} }}
{more}"
    );
    let source = Source {
        name: "gate.yaml".into(),
        text,
    };
    let environment = Environment {
        variables: &|_| None,
        files: &|path| Err(format!("{path} is not read")),
    };
    match config::load(&[source], &environment, &[], 1) {
        Ok((snapshot, _)) => snapshot,
        Err(problems) => panic!("{problems:?}"),
    }
}
