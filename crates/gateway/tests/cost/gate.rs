//! A gateway on one thread, and the calls that are counted.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use allocation_counter::AllocationInfo;
use bytes::Bytes;
use config::{Environment, Snapshot, Source};
use gateway::{Clock, Gateway};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use store::{Counters, Ledger};
use tokio::runtime::Runtime;

use crate::provider::Provider;

const IP: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Everything that governs a call, in the product that a configuration here calls `standard`.
pub const LIMITS: &str = "
    application: { from_header: X-App-Name }
    token_limits: [{ name: tpm, counter_key: subscription.id, tokens_per_minute: 100000000 }]
    quotas: [{ name: month, counter_key: subscription.id, tokens: 100000000000, period: month }]
    request_limits: [{ name: rpm, counter_key: subscription.id, requests_per_minute: 10000000 }]
    concurrency_limits: [{ name: open, counter_key: application.name, max_concurrent: 1000 }]";

pub fn key_of(subscription: usize) -> String {
    format!("cost-key-of-subscription-{subscription:05}")
}

/// So many of each, every model granted to everybody.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub subscriptions: usize,
    pub models: usize,
    pub backends: usize,
}

impl Size {
    pub const ONE: Self = Self {
        subscriptions: 1,
        models: 1,
        backends: 1,
    };

    /// The configuration of a gateway whose backends are all `provider`.
    pub fn configuration(self, provider: &str) -> String {
        let Self {
            subscriptions,
            models,
            backends,
        } = self;
        let mut text = String::from("backends:\n");
        for backend in 0..backends {
            text.push_str(&format!("  - {{ id: b{backend}, dialect: openai, url: \"{provider}/v1\", auth: {{ api_key: provider-key }} }}\n"));
        }
        text.push_str("models:\n");
        for model in 0..models {
            let backend = model % backends;
            text.push_str(&format!(
                "  - {{ name: model-{model:04}, backend: b{backend}, max_output_tokens: 4096 }}\n"
            ));
        }
        let granted: Vec<_> = (0..models)
            .map(|model| format!("model-{model:04}"))
            .collect();
        let granted = granted.join(", ");
        text.push_str(&format!(
            "products:\n  - id: standard\n    models: [{granted}]{LIMITS}\nsubscriptions:\n"
        ));
        for subscription in 0..subscriptions {
            let key = key_of(subscription);
            text.push_str(&format!(
                "  - {{ id: team-{subscription:05}, product: standard, keys: {{ primary: {key} }} }}\n"
            ));
        }
        text
    }
}

pub fn load(text: &str) -> Snapshot {
    let source = Source {
        name: "cost.yaml".into(),
        text: text.to_owned(),
    };
    let environment = Environment {
        variables: &|_| None,
        files: &|path| Err(format!("{path} is not read")),
    };
    let loaded = config::load(&[source], &environment, &[], 1);
    loaded.unwrap_or_else(|problems| panic!("{problems:?}")).0
}

/// Dropped first to last: the gateway before the runtime on which it lived.
pub struct Gate {
    pub gateway: Arc<Gateway>,
    pub runtime: Runtime,
    pub provider: Provider,
    _directory: tempfile::TempDir,
}

impl Gate {
    pub fn of(size: Size) -> Self {
        Self::with(size, "")
    }

    /// Whose prompts and answers are looked at for personal data.
    pub fn guarded() -> Self {
        Self::with(Size::ONE, "\nguards: [ { pii: { action: mask } } ]\n")
    }

    fn with(size: Size, more: &str) -> Self {
        let provider = Provider::start();
        let text = size.configuration(&format!("http://{}", provider.address)) + more;
        let snapshot = load(&text);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let (ledger, _) = Ledger::open(directory.path(), clock.now()).unwrap();
        let gateway = {
            let _entered = runtime.enter();
            Gateway::new(snapshot, Counters::memory(), ledger, clock).unwrap()
        };
        Self {
            gateway,
            runtime,
            provider,
            _directory: directory,
        }
    }

    /// What the thread allocates while it serves `requests`, one after another. Each must succeed.
    pub fn cost_of(&self, requests: Vec<Request<Full<Bytes>>>) -> AllocationInfo {
        allocation_counter::measure(|| {
            self.runtime.block_on(async {
                for request in requests {
                    let answer = self.gateway.handle(request, IP).await;
                    assert_eq!(answer.status(), StatusCode::OK);
                    let mut body = answer.into_body();
                    while let Some(frame) = body.frame().await {
                        frame.unwrap();
                    }
                }
            });
        })
    }

    /// The same for one stream of so many events, each of which comes by itself.
    pub fn cost_of_stream(&self, events: usize) -> AllocationInfo {
        let request = chat(0, 0, &format!(r#","stream":true,"user":"events {events}""#));
        allocation_counter::measure(|| {
            self.runtime.block_on(async {
                let answer = self.gateway.handle(request, IP).await;
                assert_eq!(answer.status(), StatusCode::OK);
                let mut body = answer.into_body();
                for event in 0..events {
                    assert!(body.frame().await.is_some(), "event {event}");
                    self.provider.go_on();
                }
                while let Some(frame) = body.frame().await {
                    frame.unwrap();
                }
            });
        })
    }
}

/// A question of about 1 KB.
pub fn chat(subscription: usize, model: usize, more: &str) -> Request<Full<Bytes>> {
    let text = "one two three four ".repeat(45);
    let body = format!(
        r#"{{"model":"model-{model:04}","max_tokens":256,"messages":[{{"role":"system","content":"You are terse."}},{{"role":"user","content":"{text}"}}]{more}}}"#
    );
    Request::post("/v1/chat/completions")
        .header("host", "gateway")
        .header("authorization", format!("Bearer {}", key_of(subscription)))
        .header("content-type", "application/json")
        .header("content-length", body.len())
        .header("user-agent", "cost")
        .header("x-app-name", "cost")
        .body(Full::new(body.into()))
        .unwrap()
}
