//! Calls of every kind at a fixed rate, and what their clients saw.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use http::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::Options;
use crate::client::{Answer, Client, text};
use crate::gate::{self, AZURE_KEY, CAPPED_KEY, OPEN_KEY, SPENT_KEY};
use crate::verify::Finished;

const TICK: Duration = Duration::from_millis(10);
/// So often every client calls at once. The gateway's memory follows the connections that it holds, some
/// 60 KB for each call in flight and a third of that for each connection: with as many of them at any
/// time, a moment in which the machine was busy with something else is no growth. Sooner than clients,
/// and the gateway towards its backends, let idle connections go.
const BURST_EVERY: Duration = Duration::from_secs(40);
/// Numbers from here on are those of bursts.
const BURST: u64 = 1 << 60;
/// Of all calls, at most: past it the machine does not hold the rate, and growth says nothing.
const LATE_PERCENT_MAX: u64 = 5;
/// Faults that are told; more are counted.
const FAULTS_MAX: usize = 20;
/// Some calls are answered for seconds on purpose.
const CLIENTS_MIN: usize = 256;

/// What a call is meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Answered, its usage reported; perhaps after attempts that failed.
    Plain,
    Streamed,
    /// Answered by a provider that never says what it cost.
    Unsaid,
    UnsaidStream,
    /// A stream that takes a second, so that many are open at once.
    Lasting,
    /// The provider breaks off in the middle.
    Cut,
    /// The client leaves in the middle of a stream.
    Leaves,
    /// The client leaves before the first byte.
    LeavesEarly,
    /// Nothing that the gateway could forward.
    Bad,
    /// Of a team with low limits.
    Capped,
    /// Of a team whose quota runs out.
    Spent,
}

pub struct Traffic {
    client: Client,
    rate: u32,
    clients: usize,
    seed: u64,
    made: AtomicU64,
    ok: AtomicU64,
    refused: AtomicU64,
    unavailable: AtomicU64,
    broken: AtomicU64,
    late: AtomicU64,
    /// Words of answers that clients read before they left.
    pub words_before_leaving: AtomicU64,
    may_break: bool,
    finished: Mutex<Vec<Finished>>,
    faults: Mutex<(Vec<String>, u64)>,
}

impl Traffic {
    pub fn new(address: SocketAddr, options: &Options) -> Self {
        Self {
            client: Client::of(address),
            rate: options.rate.max(1),
            clients: clients(options.clients, options.rate),
            seed: options.seed,
            made: AtomicU64::new(0),
            ok: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            unavailable: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            late: AtomicU64::new(0),
            words_before_leaving: AtomicU64::new(0),
            may_break: !options.kill_every.is_zero(),
            finished: Mutex::default(),
            faults: Mutex::default(),
        }
    }

    /// Calls made.
    pub fn count(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// Answers that clients read to their end since this was last asked.
    pub fn finished(&self) -> Vec<Finished> {
        std::mem::take(&mut lock(&self.finished))
    }

    pub fn line(&self) -> String {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        format!(
            "ok {}, refused {}, unavailable {}, broken {}, late {}",
            read(&self.ok),
            read(&self.refused),
            read(&self.unavailable),
            read(&self.broken),
            read(&self.late)
        )
    }

    pub fn faults(&self) -> Vec<String> {
        let (told, more) = &*lock(&self.faults);
        let mut faults = told.clone();
        if *more > 0 {
            faults.push(format!("{more} more calls went wrong"));
        }
        let late = self.late.load(Ordering::Relaxed);
        if late * 100 > self.count() * LATE_PERCENT_MAX {
            faults.push(format!(
                "{late} calls were due and none of {} clients was free: {} calls a second were not held, so its growth says nothing; lower --rate, or raise --clients if the machine had room",
                self.clients, self.rate
            ));
        }
        if self.ok.load(Ordering::Relaxed) == 0 {
            faults.push("no call was answered".to_owned());
        }
        if self.refused.load(Ordering::Relaxed) == 0 {
            faults.push("no limit refused a call".to_owned());
        }
        faults
    }

    /// Makes calls for so long, and waits for the last of them.
    pub async fn run(self: Arc<Self>, duration: Duration) -> Result<()> {
        // Calls wait here for a client that is free, behind a burst too; past it they are late, and
        // not made.
        let (asks, asked) = mpsc::channel::<u64>(2 * self.clients);
        let asked = Arc::new(tokio::sync::Mutex::new(asked));
        let mut clients = JoinSet::new();
        for _ in 0..self.clients {
            let (traffic, asked) = (self.clone(), asked.clone());
            clients.spawn(async move {
                loop {
                    let number = asked.lock().await.recv().await;
                    let Some(number) = number else { return };
                    traffic.call(number).await;
                }
            });
        }
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let total = duration.as_millis() / TICK.as_millis();
        let per_second = 1000 / TICK.as_millis();
        let per_burst = BURST_EVERY.as_millis() / TICK.as_millis();
        let (mut number, mut in_bursts) = (0, 0);
        for tick in 1..=total {
            ticks.tick().await;
            if tick % per_burst == 1 {
                for _ in 0..self.clients {
                    in_bursts += 1;
                    // No client is free: there are as many connections as there should be.
                    let _ = asks.try_send(BURST + in_bursts);
                }
            }
            let due = u64::try_from(tick * u128::from(self.rate) / per_second)?;
            while number < due {
                number += 1;
                if asks.try_send(number).is_err() {
                    self.late.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        drop(asks);
        while let Some(ended) = clients.join_next().await {
            ended?;
        }
        Ok(())
    }

    async fn call(&self, number: u64) {
        let mut dice = Dice::new(self.seed.wrapping_mul(1_000_003).wrapping_add(number));
        let kind = if number >= BURST {
            Kind::Lasting
        } else {
            kind(&mut dice)
        };
        self.made.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = self.play(kind, &mut dice).await {
            // A gateway that is killed breaks its connections, and is not there for a moment.
            if self.may_break && error.downcast_ref::<Wrong>().is_none() {
                self.broken.fetch_add(1, Ordering::Relaxed);
                gate::pause().await;
                return;
            }
            let (told, more) = &mut *lock(&self.faults);
            if told.len() < FAULTS_MAX {
                told.push(format!("call {number}, {kind:?}: {error:#}"));
            } else {
                *more += 1;
            }
        }
    }

    async fn play(&self, kind: Kind, dice: &mut Dice) -> Result<()> {
        let words = 1 + dice.below(40);
        let prompt = format!(
            "{}answer {words} words",
            "water ".repeat(usize::try_from(dice.below(60))?)
        );
        match kind {
            Kind::Bad => self.bad(&prompt, dice).await,
            Kind::Leaves | Kind::LeavesEarly => self.leave(kind, &prompt, words, dice).await,
            Kind::Plain
            | Kind::Streamed
            | Kind::Lasting
            | Kind::Unsaid
            | Kind::UnsaidStream
            | Kind::Cut
            | Kind::Capped
            | Kind::Spent => self.read(kind, &prompt, words, dice).await,
        }
    }

    /// A call whose answer is read to its end.
    async fn read(&self, kind: Kind, prompt: &str, words: u64, dice: &mut Dice) -> Result<()> {
        let (mut body, is_embedding) = match kind {
            Kind::Plain if dice.below(8) == 0 => (
                json!({ "model": "text-embedding-3-small", "input": prompt, "dimensions": 8 }),
                true,
            ),
            Kind::Unsaid | Kind::UnsaidStream => (chat("gpt-4o-unsaid", prompt), false),
            Kind::Cut => (chat("gpt-4o-cut", prompt), false),
            _ => (chat("gpt-4o-exact", prompt), false),
        };
        let is_stream = match kind {
            Kind::Streamed | Kind::Lasting | Kind::UnsaidStream | Kind::Cut => true,
            Kind::Capped | Kind::Spent => dice.below(2) == 0,
            _ => false,
        };
        let asks_usage = is_stream && dice.below(2) == 0;
        if is_stream {
            body["stream"] = true.into();
        }
        if asks_usage {
            body["stream_options"] = json!({ "include_usage": true });
        }
        match kind {
            Kind::Unsaid | Kind::UnsaidStream => body["simulate"] = json!({ "usage": "missing" }),
            Kind::Lasting => body["simulate"] = json!({ "hang": "1s" }),
            Kind::Cut => {
                body["simulate"] = json!({ "close_after_chunks": 1 + dice.below(words) });
            }
            _ if dice.below(40) == 0 => {
                body["simulate"] =
                    json!({ "fail_first": 1, "fail_status": 503, "retry_after": "0ms" });
            }
            _ => {}
        }
        let key = match kind {
            Kind::Capped => CAPPED_KEY,
            Kind::Spent => SPENT_KEY,
            _ if dice.below(3) == 0 => AZURE_KEY,
            _ => OPEN_KEY,
        };
        let is_azure = key == AZURE_KEY && !is_embedding;
        let answer = self.send(&body, key, is_azure, dice).await?.rest().await?;
        self.judge(kind, &answer, is_stream, asks_usage)
    }

    async fn send(
        &self,
        body: &Value,
        key: &str,
        is_azure: bool,
        dice: &mut Dice,
    ) -> Result<crate::client::Opened> {
        let model = body["model"].as_str().unwrap_or_default();
        let operation = if model.starts_with("text-embedding") {
            "embeddings"
        } else {
            "chat/completions"
        };
        let path = if is_azure {
            format!("/openai/deployments/{model}/{operation}?api-version=2024-10-21")
        } else {
            format!("/v1/{operation}")
        };
        let application = format!("app-{}", dice.below(20));
        let bearer = format!("Bearer {key}");
        let credential = if is_azure {
            ("api-key", key)
        } else {
            ("authorization", bearer.as_str())
        };
        let headers = [
            credential,
            ("content-type", "application/json"),
            ("x-app-name", application.as_str()),
        ];
        self.client
            .open(Method::POST, &path, &headers, gate::json(body))
            .await
    }

    fn judge(&self, kind: Kind, answer: &Answer, is_stream: bool, asks_usage: bool) -> Result<()> {
        let code = || {
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            body["error"]["code"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let limited = matches!(
            (kind, answer.status),
            (Kind::Capped, 429) | (Kind::Spent, 403)
        );
        if limited && answer.headers.contains_key("retry-after") {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        // Both regions at once may fail or be left alone for a moment.
        if [429, 502, 503].contains(&answer.status)
            && [
                "no_healthy_backend",
                "upstream_failed",
                "upstream_rate_limited",
            ]
            .contains(&code().as_str())
        {
            self.unavailable.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        if answer.status != 200 {
            return wrong(format!("{} {}", answer.status, short(&answer.body)));
        }
        let body = String::from_utf8_lossy(&answer.body);
        let told = if is_stream { None } else { total_tokens(&body) };
        if is_stream {
            let is_broken = body.contains("upstream_failed");
            if is_broken != (kind == Kind::Cut) || !is_broken && !body.contains("[DONE]") {
                return wrong(format!("a stream ended {:?}", short(&answer.body)));
            }
        }
        let tokens = if is_stream && asks_usage && kind != Kind::Cut && kind != Kind::UnsaidStream {
            let last = body.lines().filter_map(|line| line.strip_prefix("data: "));
            last.filter_map(total_tokens).next_back()
        } else {
            told
        };
        let in_header: Option<u64> = text(&answer.headers, "x-tollgate-tokens").parse().ok();
        if let (Some(body), Some(header)) = (told, in_header)
            && body != header
        {
            return wrong(format!("{body} tokens in the body, {header} in the header"));
        }
        self.ok.fetch_add(1, Ordering::Relaxed);
        lock(&self.finished).push(Finished {
            id: text(&answer.headers, "x-request-id").to_owned(),
            tokens: tokens.or(in_header),
            is_whole: kind != Kind::Cut,
        });
        Ok(())
    }

    /// Leaves a stream after some words, or before its head.
    async fn leave(&self, kind: Kind, prompt: &str, words: u64, dice: &mut Dice) -> Result<()> {
        let mut body = chat("gpt-4o-left", prompt);
        body["stream"] = true.into();
        if kind == Kind::LeavesEarly {
            body["simulate"] = json!({ "stall_after_chunks": 0 });
            let patience = Duration::from_millis(100 + dice.below(200));
            // Its answer is late, or is a refusal that needs no provider.
            let _left =
                tokio::time::timeout(patience, self.send(&body, OPEN_KEY, false, dice)).await;
            return Ok(());
        }
        body["simulate"] = json!({ "tokens_per_second": 200 });
        let mut opened = self.send(&body, OPEN_KEY, false, dice).await?;
        if opened.status != 200 {
            self.unavailable.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let (wanted, mut seen, mut unread) = (dice.below(words), 0, Vec::new());
        while seen < wanted
            && let Some(piece) = opened.piece().await?
        {
            unread.extend_from_slice(&piece);
            // The first event names the role, with no word yet.
            let empty = occurrences(&unread, b"\"content\":\"\"");
            let events = occurrences(&unread, b"\"content\":\"");
            seen = u64::try_from(events - empty)?;
        }
        self.words_before_leaving.fetch_add(seen, Ordering::Relaxed);
        Ok(())
    }

    /// What must be refused, and how.
    async fn bad(&self, prompt: &str, dice: &mut Dice) -> Result<()> {
        let good = chat("gpt-4o-exact", prompt).to_string();
        let (body, key, status) = match dice.below(5) {
            0 => ("{\"model\":".to_owned(), OPEN_KEY, 400),
            1 => (
                good.replacen('{', "{\"model\":\"gpt-4o-cut\",", 1),
                OPEN_KEY,
                400,
            ),
            2 => (chat("gpt-nobody-has", prompt).to_string(), OPEN_KEY, 404),
            3 => (good, "soak-nobody-0123456789", 401),
            _ => ("[]".to_owned(), OPEN_KEY, 400),
        };
        let headers = [("api-key", key), ("content-type", "application/json")];
        let path = "/v1/chat/completions";
        let opened = self
            .client
            .open(Method::POST, path, &headers, body.into())
            .await?;
        let answer = opened.rest().await?;
        if answer.status != status {
            return wrong(format!(
                "{} instead of {status}: {}",
                answer.status,
                short(&answer.body)
            ));
        }
        Ok(())
    }
}

/// An answer that should not have been; a connection that breaks is something else.
#[derive(Debug)]
struct Wrong(String);

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

fn wrong(what: String) -> Result<()> {
    bail!(Wrong(what))
}

fn clients(asked: Option<usize>, rate: u32) -> usize {
    let a_second_of_calls = usize::try_from(rate).unwrap_or(usize::MAX);
    asked.unwrap_or(a_second_of_calls.max(CLIENTS_MIN)).max(1)
}

fn kind(dice: &mut Dice) -> Kind {
    match dice.below(100) {
        0..44 => Kind::Plain,
        44..69 => Kind::Streamed,
        69..73 => Kind::Unsaid,
        73..78 => Kind::UnsaidStream,
        78..81 => Kind::Cut,
        81..86 => Kind::Leaves,
        86..88 => Kind::LeavesEarly,
        88..91 => Kind::Bad,
        91..96 => Kind::Capped,
        _ => Kind::Spent,
    }
}

fn chat(model: &str, prompt: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": prompt }] })
}

fn total_tokens(body: &str) -> Option<u64> {
    let body: Value = serde_json::from_str(body).ok()?;
    body["usage"]["total_tokens"].as_u64()
}

fn short(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned()
}

fn occurrences(text: &[u8], of: &[u8]) -> usize {
    text.windows(of.len()).filter(|part| *part == of).count()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A small source of chance with a known start: xorshift64* (Vigna 2016).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Evenly spread below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound.max(1)
    }
}
