//! Three teams that call the gateway: search steadily, support in streams, batch as fast as it can.

use std::net::SocketAddr;
use std::sync::Arc;
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

/// What a team learned from one call, by its answer's status, headers and body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    pub team: &'static str,
    /// 0: no answer.
    pub status: u16,
    pub backend: Option<String>,
    /// Of an answer that the gateway gave itself.
    pub refusal: Option<Refusal>,
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
    prompt: &'static str,
    /// Answers are asked to be so long.
    answer_words: u64,
    stream: bool,
    every: Duration,
}

const SEARCH: Team = Team {
    name: "search",
    key: Some("search-team-demo-key"),
    application: "site-search",
    model: "gpt-4o",
    prompt: "Rank these five passages by how well they answer the question, and say why in a sentence each.",
    answer_words: 45,
    stream: false,
    every: Duration::from_millis(250),
};

const SUPPORT: Team = Team {
    name: "support",
    key: None,
    application: "help-desk",
    model: "gpt-4o",
    prompt: "A customer writes that the parcel arrived damaged. Draft a friendly reply.",
    answer_words: 80,
    stream: true,
    every: Duration::from_millis(700),
};

const BATCH: Team = Team {
    name: "batch",
    key: Some("batch-team-demo-key"),
    application: "nightly-summaries",
    model: "gpt-4o-mini",
    prompt: "Summarise this report: revenue grew in all regions but one, where a supplier failed and two \
        launches moved to the next quarter; costs were flat; the team hired nine people and lost two; the plan for \
        next year keeps its targets, adds a second supplier, and asks for a review of every open contract by spring.",
    answer_words: 70,
    stream: false,
    every: Duration::from_millis(150),
};
const BATCH_WORKERS: usize = 2;

/// Calls of one team that are open at once; a tick that finds no place is skipped.
const OPEN_MAX: usize = 16;

#[derive(Clone)]
pub struct Traffic {
    pub gateway: SocketAddr,
    pub client: Client,
    pub issuer: Arc<Issuer>,
    /// When it is full the story leaves calls out; the ledger does not.
    pub calls: Sender<Call>,
    pub stop: CancellationToken,
}

impl Traffic {
    pub fn start(&self, tasks: &TaskTracker) {
        for team in [&SEARCH, &SUPPORT] {
            tasks.spawn(self.clone().steadily(team, tasks.clone()));
        }
        for _ in 0..BATCH_WORKERS {
            tasks.spawn(self.clone().greedily(&BATCH));
        }
    }

    /// A call at every tick, whatever became of the one before.
    async fn steadily(self, team: &'static Team, tasks: TaskTracker) {
        let open = Arc::new(Semaphore::new(OPEN_MAX));
        let mut ticks = tokio::time::interval(team.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while self.stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let Ok(place) = open.clone().try_acquire_owned() else {
                continue;
            };
            let traffic = self.clone();
            tasks.spawn(async move {
                traffic.call(team).await;
                drop(place);
            });
        }
    }

    /// The next call as soon as the last one is answered; when refused, it waits as it was told.
    async fn greedily(self, team: &'static Team) {
        loop {
            let told = self.call(team).await;
            let pause = tokio::time::sleep(told.max(team.every));
            if self.stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    /// How long the caller was told to wait.
    async fn call(&self, team: &'static Team) -> Duration {
        let call = match self.ask(team).await {
            Ok(answer) => read(team.name, &answer),
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
        let _ = self.calls.try_send(call);
        told
    }

    async fn ask(&self, team: &Team) -> Result<Answer> {
        let chat = Chat {
            application: team.application,
            model: team.model,
            prompt: format!("{} answer {} words", team.prompt, team.answer_words),
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

fn read(team: &'static str, answer: &Answer) -> Call {
    let refusal = if answer.status.is_success() {
        None
    } else {
        refusal(answer)
    };
    Call {
        team,
        status: answer.status.as_u16(),
        backend: answer.header("x-tollgate-backend").map(str::to_owned),
        refusal,
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
        let call = read("batch", &answer);
        assert_eq!((call.status, call.refusal), (429, Some(expected)));
    }
}
