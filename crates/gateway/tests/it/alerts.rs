//! Alerts end to end, but for the process: what is seen, told once, signed and delivered.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use domain::Wall;
use domain::record::{CacheOutcome, CallRecord, Cost, Opening, Outcome, Who};
use domain::{CallId, Metered, Usage};
use jiff::tz::TimeZone;
use serde_json::Value;
use store::alerts::DeliveryState;

use crate::scripted::{Answer, Backend, DeadBackend, Script};
use crate::stage::{Rules, Stage, chat};

/// The Base64 of what webhooks are signed with.
const SECRET: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const HOUR_MS: i64 = 3_600_000;

pub async fn receiver() -> Backend {
    Backend::answering(Answer::json(200, "")).await
}

/// `rules` are told to a signed webhook at `receiver`.
pub fn rules(receiver: &Backend, rules: &str) -> Rules {
    Rules {
        breaker: "{ min_throughput: 1, trip_duration: 30s }".into(),
        retry: "{ attempts: 1 }".into(),
        alerts: format!(
            "
notify: [{{ id: ops, webhook: {{ url: '{}/hook', secret: whsec_{SECRET} }} }}]
alerts: [{rules}]",
            receiver.address
        ),
        ..Rules::default()
    }
}

const BREAKER: &str = "{ name: breakers, notify: [ops], breaker_open: { for: 2m } }";

/// A look, and the deliveries that follow from it.
pub async fn look(stage: &Stage) {
    stage.gateway.alerts.look(&stage.gateway).await;
    while stage
        .gateway
        .alerts
        .deliver_due(&stage.gateway)
        .await
        .is_some_and(|next| next <= stage.clock.now().wall)
    {}
}

pub fn told(receiver: &Backend) -> Vec<Value> {
    let read = |body: &bytes::Bytes| serde_json::from_slice(body).unwrap();
    receiver.bodies().iter().map(read).collect()
}

pub fn titles(receiver: &Backend) -> Vec<String> {
    told(receiver)
        .iter()
        .map(|body| body["data"]["title"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_breaker_that_stays_open_is_told_once_and_once_more_when_it_is_over() {
    let (failing, receiver) = (
        Backend::answering(Answer::error(500)).await,
        receiver().await,
    );
    let stage = Stage::new(&rules(&receiver, BREAKER), &[&failing]);
    stage.start_alerts();
    stage.call(chat()).await;
    look(&stage).await;
    stage.advance_s(100);
    look(&stage).await;
    assert_eq!(receiver.requests(), 0, "it has not lasted for long enough");
    stage.advance_s(20);
    look(&stage).await;
    stage.advance_s(300);
    look(&stage).await;
    assert_eq!(
        titles(&receiver),
        ["Backend a has an open breaker for 2 minutes"]
    );

    failing.always(Answer::chat());
    stage.call(chat()).await;
    look(&stage).await;
    assert_eq!(receiver.requests(), 1, "it may come back");
    stage.advance_s(120);
    look(&stage).await;
    stage.advance_s(600);
    look(&stage).await;
    let bodies = told(&receiver);
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[1]["data"]["resolved"], true);
    assert_eq!(
        bodies[1]["data"]["title"],
        "Backend a is back after 7 minutes"
    );
    assert!(
        stage
            .metrics()
            .contains("tollgate_alerts_total{type=\"breaker.open\"} 2\n")
    );
}

#[tokio::test]
async fn a_webhook_is_signed_so_that_its_receiver_can_check_it() {
    let (failing, receiver) = (
        Backend::answering(Answer::error(500)).await,
        receiver().await,
    );
    let stage = Stage::new(&rules(&receiver, BREAKER), &[&failing]);
    stage.start_alerts();
    stage.call(chat()).await;
    look(&stage).await;
    stage.advance_s(120);
    look(&stage).await;
    let header = |name: &str| receiver.headers(name)[0].clone().unwrap();
    let body = receiver.bodies()[0].clone();
    let signed = gateway::alerts::signature(
        &BASE64.decode(SECRET).unwrap(),
        &header("webhook-id"),
        &header("webhook-timestamp"),
        std::str::from_utf8(&body).unwrap(),
    );
    assert_eq!(header("webhook-signature"), signed);
    let now_s = stage.clock.now().wall.0 / 1000;
    assert_eq!(header("webhook-timestamp"), now_s.to_string());
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(told(&receiver)[0]["data"]["id"], header("webhook-id"));
}

/// Two alerts in a row: two backends whose breakers open.
async fn two_alerts(receiver: &Backend) -> (Stage, [Backend; 2]) {
    let failing = [
        Backend::answering(Answer::error(500)).await,
        Backend::answering(Answer::error(500)).await,
    ];
    let rules = Rules {
        priorities: vec![1, 2],
        retry: "{ attempts: 2 }".into(),
        ..rules(receiver, BREAKER)
    };
    let stage = Stage::new(&rules, &[&failing[0], &failing[1]]);
    stage.start_alerts();
    stage.call(chat()).await;
    look(&stage).await;
    stage.advance_s(120);
    (stage, failing)
}

#[tokio::test]
async fn a_receiver_that_is_down_gets_everything_later_in_order_and_under_the_same_ids() {
    let receiver = receiver().await;
    receiver.then(Script::Reset);
    receiver.then(Script::Answer(Answer::json(503, "busy")));
    receiver.then(Script::Answer(
        Answer::json(429, "").with("retry-after", "90"),
    ));
    let (stage, _failing) = two_alerts(&receiver).await;
    look(&stage).await;
    assert_eq!(receiver.requests(), 1, "the second waits for the first");
    let delivery = |number: usize| stage.alerts()[number].deliveries[0].clone();
    assert_eq!(delivery(1).attempts, 1);
    let pause_ms = delivery(1).next_at.0 - stage.clock.now().wall.0;
    assert!((1_000..=2_000).contains(&pause_ms), "{pause_ms}");
    stage.advance_s(2);
    look(&stage).await;
    stage.advance_s(4);
    look(&stage).await;
    assert_eq!(receiver.requests(), 3);
    let fault = delivery(1).fault.unwrap();
    assert!(fault.contains("answered 429"), "{fault}");
    assert!(!fault.contains("/hook"), "a path may be a secret: {fault}");
    stage.advance_s(89);
    look(&stage).await;
    assert_eq!(receiver.requests(), 3, "it asked for 90 s");
    stage.advance_s(1);
    look(&stage).await;
    let ids: Vec<Option<String>> = receiver.headers("webhook-id");
    assert_eq!(ids.len(), 5);
    assert!(ids[..4].iter().all(|id| *id == ids[0]) && ids[4] != ids[0]);
    assert_eq!(delivery(0).state, DeliveryState::Delivered);
    assert_eq!(delivery(1).attempts, 4);
    let metrics = stage.metrics();
    for line in [
        "tollgate_alert_deliveries_total{channel=\"ops\",result=\"delivered\"} 2\n",
        "tollgate_alert_deliveries_total{channel=\"ops\",result=\"failed\"} 3\n",
        "tollgate_alert_deliveries_waiting{channel=\"ops\"} 0\n",
        "tollgate_alerts_fault 0\n",
    ] {
        assert!(metrics.contains(line), "{line}");
    }
}

#[tokio::test]
async fn a_message_that_is_not_taken_is_given_up_and_the_next_one_goes() {
    let receiver = receiver().await;
    for _ in 0..3 {
        receiver.then(Script::Answer(Answer::json(400, "invalid_blocks")));
    }
    let (stage, _failing) = two_alerts(&receiver).await;
    for _ in 0..3 {
        look(&stage).await;
        stage.advance_s(10);
    }
    look(&stage).await;
    let states: Vec<DeliveryState> = stage
        .alerts()
        .iter()
        .map(|alert| alert.deliveries[0].state)
        .collect();
    assert_eq!(states, [DeliveryState::Delivered, DeliveryState::Refused]);
}

#[tokio::test]
async fn a_channel_that_is_gone_for_a_while_gets_its_messages_when_it_is_back() {
    let receiver = receiver().await;
    receiver.then(Script::Reset);
    let (stage, failing) = two_alerts(&receiver).await;
    look(&stage).await;
    let addresses = failing.each_ref().map(|backend| backend.address.clone());
    let rules = Rules {
        priorities: vec![1, 2],
        ..rules(&receiver, BREAKER)
    };
    let without = Rules {
        alerts: String::new(),
        ..rules.clone()
    };
    stage.renew(&without, &addresses);
    stage.advance_s(10);
    look(&stage).await;
    assert_eq!(receiver.requests(), 1);
    let fault = stage.alerts()[1].deliveries[0].fault.clone().unwrap();
    assert!(fault.contains("no channel of this name"), "{fault}");
    stage.renew(&rules, &addresses);
    stage.advance_s(60);
    look(&stage).await;
    assert_eq!(receiver.requests(), 3);
}

#[tokio::test]
async fn slack_and_teams_get_their_own_forms() {
    let (failing, slack, teams) = (
        Backend::answering(Answer::error(500)).await,
        receiver().await,
        Backend::answering(Answer::json(202, "")).await,
    );
    let alerts = format!(
        "
notify:
  - {{ id: slack, slack: {{ url: '{}/services/T/B/x' }} }}
  - {{ id: teams, teams: {{ url: '{}/workflows/x?sig=y' }} }}
alerts: [{{ name: breakers, notify: [slack, teams], breaker_open: {{ for: 2m }} }}]",
        slack.address, teams.address
    );
    let rules = Rules {
        alerts,
        ..rules(&slack, BREAKER)
    };
    let stage = Stage::new(&rules, &[&failing]);
    stage.start_alerts();
    stage.call(chat()).await;
    look(&stage).await;
    stage.advance_s(120);
    look(&stage).await;
    assert_eq!(told(&slack)[0]["blocks"][0]["type"], "header");
    let card = &told(&teams)[0]["attachments"][0]["content"];
    assert_eq!(card["type"], "AdaptiveCard");
    let states: Vec<DeliveryState> = stage.alerts()[0]
        .deliveries
        .iter()
        .map(|delivery| delivery.state)
        .collect();
    assert_eq!(states, [DeliveryState::Delivered; 2]);
}

/// A call of so many tokens, as the ledger has it.
pub fn record(at: Wall, number: u128, tokens: u64, cost: Cost) -> CallRecord {
    CallRecord {
        opening: Opening {
            id: CallId::new(at, number),
            at,
            who: Who {
                subscription: "search".into(),
                product: "standard".into(),
                application: Some("chat-ui".into()),
                caller: "search/primary".into(),
                user: None,
            },
            model: "gpt-4o".into(),
            asked_model: None,
            stream: false,
            revision: 1,
            prompt_tokens: tokens,
            charges: Vec::new(),
            price: None,
        },
        outcome: Outcome::Ok,
        status: 200,
        rule: None,
        backend: Some("a".into()),
        cache: CacheOutcome::Off,
        metered: Metered::Reported(Usage {
            prompt: tokens,
            ..Usage::default()
        }),
        cost,
        saved: domain::Nanos(0),
        latency: Duration::from_millis(100),
        first_byte: None,
        verdicts: Vec::new(),
        saved_tokens: 0,
        similarity: None,
        attempts: Vec::new(),
    }
}

/// Until the database has so many calls.
pub async fn on_the_ledger(folder: &Path, calls: usize) {
    let all = store::ledger::UsageQuery {
        by: vec![],
        only: vec![],
        since: None,
        until: None,
        time_zone: TimeZone::UTC,
    };
    // Sums come behind the calls.
    loop {
        let known = store::ledger::usage(folder, &all).unwrap();
        if known.iter().map(|row| row.calls).sum::<u64>() >= calls as u64 {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_team_that_suddenly_uses_ten_times_as_much_is_told_once_a_day() {
    let (backend, receiver) = (Backend::answering(Answer::chat()).await, receiver().await);
    let pace = "{ name: bursts, notify: [ops], pace: { min_tokens_per_hour: 1000 } }";
    let stage = Stage::new(&rules(&receiver, pace), &[&backend]);
    let now = stage.clock.now().wall;
    let mut calls = 0;
    let mut call = |at: i64, tokens: u64| {
        calls += 1;
        let record = record(Wall(at), calls, tokens, Cost::Nothing);
        stage.gateway.ledger.append(None, record);
        calls as usize
    };
    // Three weeks of a thousand tokens an hour, some more, some less.
    for hour in 1..=21 * 24 {
        call(now.0 - hour * HOUR_MS, 900 + (hour as u64 * 37) % 200);
    }
    let known = call(now.0 - 60_000, 1_500);
    stage.start_alerts();
    on_the_ledger(stage.ledger_folder(), known).await;
    look(&stage).await;
    assert_eq!(receiver.requests(), 0, "half as much again is no change");
    let known = call(now.0, 10_000);
    on_the_ledger(stage.ledger_folder(), known).await;
    stage.advance_s(60);
    look(&stage).await;
    stage.advance_s(60);
    look(&stage).await;
    let bodies = told(&receiver);
    assert_eq!(bodies.len(), 1, "{:?}", titles(&receiver));
    let details = &bodies[0]["data"]["details"];
    assert_eq!(bodies[0]["type"], "pace.faster");
    assert_eq!(details["subscription"], "search");
    assert_eq!(details["unit"], "tokens");
    assert!(details["usual"].as_u64().unwrap().abs_diff(1_000) < 100);
}

#[tokio::test]
async fn a_model_without_a_price_is_told_once_a_period_by_its_name() {
    let (backend, receiver) = (Backend::answering(Answer::chat()).await, receiver().await);
    let unpriced = "{ name: prices, notify: [ops], unpriced: { every: day } }";
    let stage = Stage::new(&rules(&receiver, unpriced), &[&backend]);
    stage.start_alerts();
    let mut calls = 0;
    let mut call = |cost: Cost| {
        calls += 1;
        let record = record(stage.clock.now().wall, calls, 500, cost);
        stage.gateway.ledger.append(None, record);
        calls as usize
    };
    on_the_ledger(stage.ledger_folder(), call(Cost::Nothing)).await;
    look(&stage).await;
    assert_eq!(receiver.requests(), 0);
    on_the_ledger(stage.ledger_folder(), call(Cost::Unpriced)).await;
    for _ in 0..3 {
        stage.advance_s(60);
        look(&stage).await;
    }
    assert_eq!(titles(&receiver), ["Model gpt-4o is used without a price"]);
    assert_eq!(told(&receiver)[0]["data"]["details"]["tokens"], 500);
    stage.advance_s(86_400);
    on_the_ledger(stage.ledger_folder(), call(Cost::Unpriced)).await;
    look(&stage).await;
    assert_eq!(receiver.requests(), 2, "the next day it is told again");
}

/// Polls what other tasks find out.
async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_sink_that_fails_and_an_issuer_that_is_gone_are_told_with_what_to_do() {
    let (receiver, broken) = (
        receiver().await,
        Backend::answering(Answer::json(503, "")).await,
    );
    let dead = DeadBackend::new();
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "
data_dir: '{}'
identity:
  jwt:
    - {{ name: corp, openid_config: '{}/config', audiences: [a], subscription: claims.azp }}
sinks: [{{ id: copy, webhook: {{ url: '{}' }} }}]
notify: [{{ id: ops, webhook: {{ url: '{}' }} }}]
alerts:
  - {{ name: sinks, notify: [ops], sink_trouble: {{ for: 10m }} }}
  - {{ name: logins, notify: [ops], credential_failure: {{ for: 10m }} }}
",
        folder.path().display(),
        dead.address,
        broken.address,
        receiver.address,
    );
    let source = config::Source {
        name: "alerts.yaml".into(),
        text,
    };
    let environment = config::Environment {
        variables: &|_| None,
        files: &|path| Err(format!("{path} is not read")),
    };
    let (snapshot, _) = config::load(&[source], &environment, &[], 1).unwrap();
    let clock = gateway::Clock::manual(Wall::from_secs(1_790_000_000));
    let (ledger, _) = store::Ledger::open(folder.path(), clock.now()).unwrap();
    let counters = store::Counters::memory();
    let gateway = gateway::Gateway::new(snapshot, counters, ledger, clock.clone()).unwrap();
    gateway.start_alerts(folder.path()).unwrap();
    let call = record(clock.now().wall, 1, 10, Cost::Nothing);
    gateway.ledger.append(None, call);
    let is_failing = || {
        let sinks = gateway.sinks.health();
        let snapshot = gateway.snapshot.load();
        sinks[0].failing.is_some() && !gateway.authenticator.failing_issuers(&snapshot).is_empty()
    };
    until(is_failing).await;
    gateway.alerts.look(&gateway).await;
    clock.advance(Duration::from_secs(600));
    gateway.alerts.look(&gateway).await;
    while receiver.requests() < 2 {
        gateway.alerts.deliver_due(&gateway).await;
    }
    assert_eq!(
        titles(&receiver),
        [
            "Sink copy does not take what it is sent for 10 minutes",
            "Issuer corp cannot be fetched from for 10 minutes"
        ]
    );
    let sink = told(&receiver)[0]["data"]["text"].to_string();
    for part in ["Nothing is lost", "tollgate sinks list", "answered 503"] {
        assert!(sink.contains(part), "{sink}");
    }
}
