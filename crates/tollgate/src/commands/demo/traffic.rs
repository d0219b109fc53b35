//! Four teams that call the gateway: search steadily, support in streams, batch as fast as it can, faq with
//! questions that come again and again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use serde_json::{Map, Value, json};
use simulator::Issuer;
use simulator::issuer::Mint;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::{Answer, Chat, Client};
use super::faq::Faq;

/// What a team learned from one call, by its answer's status, headers and body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    pub team: &'static str,
    /// 0: no answer.
    pub status: u16,
    pub backend: Option<String>,
    /// Of an answer that the gateway gave itself.
    pub refusal: Option<Refusal>,
    pub from_cache: Option<FromCache>,
}

/// An answer that was bought for an earlier call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FromCache {
    pub asked: &'static str,
    /// As the answer says it, where the earlier question had other words.
    pub similarity: Option<String>,
}

/// What became of the faq team's calls.
#[derive(Debug, Default)]
pub struct Tally {
    pub answered: AtomicU64,
    /// Of those, from the cache: to just the same question, and to one in other words.
    pub same: AtomicU64,
    pub alike: AtomicU64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    pub code: String,
    /// `product/batch/tpm`; empty where no rule refused.
    pub rule: String,
    pub used: u64,
    pub reserved: u64,
    pub limit: u64,
    pub retry_after: Duration,
}

struct Team {
    name: &'static str,
    /// `None`: it proves itself by a token.
    key: Option<&'static str>,
    application: &'static str,
    model: &'static str,
    asks: Asks,
    stream: bool,
    every: Duration,
}

#[derive(Clone, Copy)]
enum Asks {
    /// The same prompt each time, and an answer of so many words.
    Always(&'static str, u64),
    /// One of the faq's questions, behind this system prompt.
    Faq(&'static str),
}

const SEARCH: Team = Team {
    name: "search",
    key: Some("search-team-demo-key"),
    application: "site-search",
    model: "gpt-4o",
    asks: Asks::Always(
        "Rank these five passages by how well they answer the question, and say why in a sentence each.",
        45,
    ),
    stream: false,
    every: Duration::from_millis(250),
};

const SUPPORT: Team = Team {
    name: "support",
    key: None,
    application: "help-desk",
    model: "gpt-4o",
    asks: Asks::Always(
        "A customer writes that the parcel arrived damaged. Draft a friendly reply.",
        80,
    ),
    stream: true,
    every: Duration::from_millis(700),
};

const BATCH: Team = Team {
    name: "batch",
    key: Some("batch-team-demo-key"),
    application: "nightly-summaries",
    model: "gpt-4o-mini",
    asks: Asks::Always(
        "Summarise this report: revenue grew in all regions but one, where a supplier failed and two \
        launches moved to the next quarter; costs were flat; the team hired nine people and lost two; the plan for \
        next year keeps its targets, adds a second supplier, and asks for a review of every open contract by spring.",
        70,
    ),
    stream: false,
    every: Duration::from_millis(150),
};
const BATCH_WORKERS: usize = 2;

const FAQ: Team = Team {
    name: "faq",
    key: Some("faq-team-demo-key"),
    application: "shop-assistant",
    model: "gpt-4o",
    asks: Asks::Faq(
        "You help customers of a shop that sells shoes and clothes. Be friendly and brief: answer 60 words",
    ),
    stream: false,
    every: Duration::from_millis(200),
};

/// Calls of one team that are open at once; a tick that finds no place is skipped.
const OPEN_MAX: usize = 16;

#[derive(Clone)]
pub struct Traffic {
    pub gateway: SocketAddr,
    pub client: Client,
    pub issuer: Arc<Issuer>,
    pub faq: Arc<Faq>,
    pub tally: Arc<Tally>,
    /// When it is full the story leaves calls out; the ledger does not.
    pub calls: Sender<Call>,
    pub stop: CancellationToken,
}

impl Traffic {
    pub fn start(&self, tasks: &TaskTracker) {
        for team in [&SEARCH, &SUPPORT, &FAQ] {
            tasks.spawn(self.clone().steadily(team, tasks.clone()));
        }
        for _ in 0..BATCH_WORKERS {
            tasks.spawn(self.clone().greedily(&BATCH));
        }
    }

    /// A call at every tick, whatever became of the one before.
    async fn steadily(self, team: &'static Team, tasks: TaskTracker) {
        let open = Arc::new(Semaphore::new(OPEN_MAX));
        let mut number = 0;
        let mut ticks = tokio::time::interval(team.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while self.stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let Ok(place) = open.clone().try_acquire_owned() else {
                continue;
            };
            let traffic = self.clone();
            number += 1;
            tasks.spawn(async move {
                traffic.call(team, number).await;
                drop(place);
            });
        }
    }

    /// The next call as soon as the last one is answered; when refused, it waits as it was told.
    async fn greedily(self, team: &'static Team) {
        loop {
            let told = self.call(team, 0).await;
            let pause = tokio::time::sleep(told.max(team.every));
            if self.stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    /// How long the caller was told to wait.
    async fn call(&self, team: &'static Team, number: u64) -> Duration {
        let asked = match team.asks {
            Asks::Always(prompt, _) => prompt,
            Asks::Faq(_) => self.faq.asked(number),
        };
        let call = match self.ask(team, asked).await {
            Ok(answer) => read(team.name, asked, &answer),
            Err(error) => {
                tracing::debug!(team = team.name, error = format!("{error:#}"), "no answer");
                Call {
                    team: team.name,
                    ..Call::default()
                }
            }
        };
        let told = call
            .refusal
            .as_ref()
            .map_or(Duration::ZERO, |refusal| refusal.retry_after);
        if let (Asks::Faq(_), 200) = (team.asks, call.status) {
            self.tally.count(&call);
        }
        let _ = self.calls.try_send(call);
        told
    }

    async fn ask(&self, team: &Team, asked: &str) -> Result<Answer> {
        let (system, prompt) = match team.asks {
            Asks::Always(_, words) => (None, format!("{asked} answer {words} words")),
            Asks::Faq(system) => (Some(system), asked.to_owned()),
        };
        let chat = Chat {
            application: team.application,
            model: team.model,
            system,
            prompt,
            stream: team.stream,
        };
        match team.key {
            Some(key) => self.client.post(self.gateway, key, &chat).await,
            None => {
                self.client
                    .post(self.gateway, &self.token(team)?, &chat)
                    .await
            }
        }
    }

    fn token(&self, team: &Team) -> Result<String> {
        let claims = [
            ("aud", json!("tollgate-demo")),
            ("sub", json!(format!("{}-service", team.name))),
            ("team", json!(team.name)),
            ("app", json!(team.application)),
            ("roles", json!(["AI.Consumer"])),
        ];
        let claims: Map<String, Value> = claims
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        Ok(self.issuer.mint(&Mint {
            claims,
            ..Mint::default()
        })?)
    }
}

impl Tally {
    fn count(&self, call: &Call) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        let hits = match &call.from_cache {
            None => return,
            Some(FromCache {
                similarity: None, ..
            }) => &self.same,
            Some(FromCache {
                similarity: Some(_),
                ..
            }) => &self.alike,
        };
        hits.fetch_add(1, Ordering::Relaxed);
    }
}

fn read(team: &'static str, asked: &'static str, answer: &Answer) -> Call {
    let refusal = if answer.status.is_success() {
        None
    } else {
        refusal(answer)
    };
    let from_cache = (answer.header("x-tollgate-cache") == Some("hit")).then(|| FromCache {
        asked,
        similarity: answer.header("x-tollgate-similarity").map(str::to_owned),
    });
    Call {
        team,
        status: answer.status.as_u16(),
        backend: answer.header("x-tollgate-backend").map(str::to_owned),
        refusal,
        from_cache,
    }
}

fn refusal(answer: &Answer) -> Option<Refusal> {
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    let error = &body["error"];
    let why = &error["tollgate"];
    let rule = match (why["scope"].as_str(), why["rule"].as_str()) {
        (Some(scope), Some(rule)) => format!("{scope}/{rule}"),
        (_, rule) => rule.unwrap_or_default().to_owned(),
    };
    let seconds = answer
        .header("retry-after")
        .and_then(|value| value.parse().ok())
        .unwrap_or(0);
    Some(Refusal {
        code: error["code"].as_str()?.to_owned(),
        rule,
        used: why["used"].as_u64().unwrap_or(0),
        reserved: why["reserved"].as_u64().unwrap_or(0),
        limit: why["limit"].as_u64().unwrap_or(0),
        retry_after: Duration::from_secs(seconds),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_as_the_wire_contract_writes_it() {
        let body = json!({ "error": { "message": "…", "code": "token_limit", "tollgate": {
            "rule": "tpm", "scope": "product/batch", "limit": 6000, "used": 5800, "reserved": 150,
        }}});
        let mut answer = Answer {
            status: http::StatusCode::TOO_MANY_REQUESTS,
            headers: http::HeaderMap::new(),
            body: body.to_string().into_bytes(),
        };
        answer
            .headers
            .insert("retry-after", http::HeaderValue::from_static("12"));
        let expected = Refusal {
            code: "token_limit".to_owned(),
            rule: "product/batch/tpm".to_owned(),
            used: 5800,
            reserved: 150,
            limit: 6000,
            retry_after: Duration::from_secs(12),
        };
        let call = read("batch", "…", &answer);
        assert_eq!((call.status, call.refusal), (429, Some(expected)));
    }

    #[test]
    fn answers_from_the_cache_are_told_apart_by_their_headers() {
        let tally = Tally::default();
        for headers in [
            &[("x-tollgate-cache", "miss")][..],
            &[("x-tollgate-cache", "hit")],
            &[
                ("x-tollgate-cache", "hit"),
                ("x-tollgate-similarity", "0.971"),
            ],
        ] {
            let mut answer = Answer {
                status: http::StatusCode::OK,
                headers: http::HeaderMap::new(),
                body: Vec::new(),
            };
            for (name, value) in headers {
                let value = http::HeaderValue::from_static(value);
                answer.headers.insert(*name, value);
            }
            tally.count(&read("faq", "Where is my order?", &answer));
        }
        let counted = [&tally.answered, &tally.same, &tally.alike];
        assert_eq!(
            counted.map(|count| count.load(Ordering::Relaxed)),
            [3, 1, 1]
        );
    }
}
