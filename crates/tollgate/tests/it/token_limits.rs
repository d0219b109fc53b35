//! 500 calls at once against a token limit that fits 50: what is admitted, what is refused, and
//! what is left behind, with well-behaved clients and others.

use std::time::Duration;

use domain::record::{CallRecord, Outcome};
use serde_json::json;
use simulator::{Behaviour, words};
use tokio::task::JoinSet;

use crate::harness::{Answer, Call, Config, Dice, Door, Gate, chat, config, in_time, provider};

const CALLS: u64 = 500;
const ANSWER_TOKENS: u64 = 40;
const SHORT_PROMPT: &str = "answer 40 words";
/// Fits 25 short calls and 25 long ones.
const TOKENS_PER_MINUTE: u64 = 25 * (SHORT_CALL + LONG_CALL);
const SHORT_CALL: u64 = 11 + ANSWER_TOKENS;
const LONG_CALL: u64 = 1011 + ANSWER_TOKENS;

fn short() -> Call {
    chat(SHORT_PROMPT).max_tokens(ANSWER_TOKENS)
}

fn long() -> Call {
    chat(&format!("{}{SHORT_PROMPT}", "water ".repeat(1000))).max_tokens(ANSWER_TOKENS)
}

/// Slow enough that all calls are in flight together.
fn slow() -> Behaviour {
    Behaviour {
        latency: Duration::from_millis(1500),
        jitter: Duration::from_millis(300),
        ..Behaviour::default()
    }
}

fn limited(config: Config) -> Config {
    config.token_limit("team-tpm", TOKENS_PER_MINUTE)
}

/// How the clients of a crowd behave.
#[derive(Clone, Copy)]
struct Manners {
    /// Of a hundred, how many hang up at a random moment.
    hang_up: u64,
}

/// Sends all calls at once, every other one long; gives the answers of those who stayed.
async fn crowd(door: &Door, manners: Manners) -> Vec<(u64, Answer)> {
    let mut calls = JoinSet::new();
    for number in 0..CALLS {
        let door = door.clone();
        let (need, call) = if number % 2 == 0 {
            (SHORT_CALL, short())
        } else {
            (LONG_CALL, long())
        };
        let mut dice = Dice::new(number + 1);
        let call = if dice.chance(50) { call.stream() } else { call };
        let patience = dice
            .chance(manners.hang_up)
            .then(|| Duration::from_millis(dice.below(2500)));
        calls.spawn(async move {
            let answer = door.send(call);
            match patience {
                None => Some((need, answer.await)),
                Some(patience) => Some((need, tokio::time::timeout(patience, answer).await.ok()?)),
            }
        });
    }
    in_time("500 calls", calls.join_all())
        .await
        .into_iter()
        .flatten()
        .collect()
}

/// Nobody is refused while there is room: each refusal says so itself, and is checked.
fn had_no_room(need: u64, refusal: &Answer) {
    assert_eq!(
        (refusal.status, refusal.code()),
        (429, "token_limit".to_owned()),
        "{:?}",
        refusal.body
    );
    let [used, reserved] = ["used", "reserved"].map(|field| refusal.why(field).as_u64().unwrap());
    assert!(
        used + reserved + need > TOKENS_PER_MINUTE,
        "{need} refused with {used} used and {reserved} reserved"
    );
    assert_eq!(refusal.why("rule"), "team-tpm");
    assert_eq!(refusal.why("limit"), TOKENS_PER_MINUTE);
    assert!(refusal.number("retry-after") <= 61);
}

/// Sends short calls, one after the other, until one is refused; gives that one.
async fn fill(door: &Door) -> Answer {
    loop {
        let answer = door.send(short()).await;
        if answer.status == 429 {
            return answer;
        }
        assert_eq!(answer.status, 200, "{:?}", answer.body);
    }
}

fn charged(records: &[CallRecord]) -> u64 {
    records
        .iter()
        .map(|record| record.metered.usage().total())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_fits_fifty_of_five_hundred_calls_is_filled_and_never_passed() {
    assert_eq!(
        words::tokens(SHORT_PROMPT) + 7,
        11,
        "three words, a number in two tokens, and the chat overhead"
    );
    let region = provider(slow()).await;
    let gate = Gate::start(limited(config().backend("east", region.address()))).await;
    let answers = crowd(&gate.door, Manners { hang_up: 0 }).await;
    let refused: Vec<_> = answers
        .iter()
        .filter(|(_, answer)| answer.status != 200)
        .collect();
    for (need, refusal) in &refused {
        had_no_room(*need, refusal);
    }
    region.set(Behaviour::default());
    let records = gate.all_records(500).await;
    let admitted = charged(&records);
    assert!(
        admitted <= TOKENS_PER_MINUTE,
        "{admitted} of {TOKENS_PER_MINUTE}"
    );
    assert!(
        admitted * 100 >= TOKENS_PER_MINUTE * 95,
        "{admitted} of {TOKENS_PER_MINUTE}"
    );
    let count = region.counts().total;
    assert_eq!(
        admitted,
        count.complete_prompt_tokens + count.complete_completion_tokens
    );
    assert_eq!(refused.len() as u64 + count.complete, CALLS);
    let on_ledger = records.iter().filter(|record| {
        record.outcome == Outcome::Refused
            && record.rule.as_deref() == Some("product/standard/team-tpm")
    });
    assert_eq!(on_ledger.count(), refused.len());
    nothing_is_reserved(&gate).await;
}

/// After all calls ended, what counts is what the ledger says, to the token, and all of the rest
/// can be had.
async fn nothing_is_reserved(gate: &Gate) {
    let refusal = fill(&gate.door).await;
    had_no_room(SHORT_CALL, &refusal);
    assert_eq!(refusal.why("reserved"), 0);
    let record = gate.record(refusal.id()).await;
    assert_eq!(record.outcome, Outcome::Refused);
    assert_eq!(refusal.why("used"), charged(&gate.records()));
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_hang_up_at_random_leave_nothing_reserved() {
    let region = provider(slow()).await;
    let gate = Gate::start(limited(config().backend("east", region.address()))).await;
    let answers = crowd(&gate.door, Manners { hang_up: 60 }).await;
    for (need, refusal) in answers.iter().filter(|(_, answer)| answer.status != 200) {
        had_no_room(*need, refusal);
    }
    region.set(Behaviour::default());
    nothing_is_reserved(&gate).await;
    assert!(charged(&gate.records()) <= TOKENS_PER_MINUTE);
}

#[tokio::test(flavor = "multi_thread")]
async fn upstreams_that_fail_at_random_leave_nothing_reserved() {
    let failing = Behaviour {
        error_rates: [(500, 0.2), (503, 0.2)].into(),
        ..slow()
    };
    fails_and_hangs_up(failing, Manners { hang_up: 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_and_upstreams_that_fail_together_leave_nothing_reserved() {
    let failing = Behaviour {
        error_rates: [(500, 0.2), (503, 0.2)].into(),
        ..slow()
    };
    fails_and_hangs_up(failing, Manners { hang_up: 60 }).await;
}

async fn fails_and_hangs_up(failing: Behaviour, manners: Manners) {
    let east = provider(failing.clone()).await;
    let west = provider(failing).await;
    let never_trips = json!({ "failure_threshold": 1.0, "min_throughput": 1_000_000 });
    let config = limited(
        config()
            .backend("east", east.address())
            .backend("west", west.address()),
    )
    .with("/backends/0/breaker", never_trips.clone())
    .with("/backends/1/breaker", never_trips);
    let gate = Gate::start(config).await;
    for (need, answer) in crowd(&gate.door, manners).await {
        match answer.status {
            200 | 502 => {}
            _ => had_no_room(need, &answer),
        }
    }
    east.set(Behaviour::default());
    west.set(Behaviour::default());
    nothing_is_reserved(&gate).await;
    assert!(charged(&gate.records()) <= TOKENS_PER_MINUTE);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_answers_use_above_their_reservation_is_a_debt_that_later_calls_wait_for() {
    // Far more than anybody would expect of an application that never answered before.
    let region = provider(Behaviour {
        reasoning_tokens: 5_000,
        ..Behaviour::default()
    })
    .await;
    let gate = Gate::start(
        config()
            .backend("east", region.address())
            .token_limit("team-tpm", 2_000),
    )
    .await;
    let first = gate.send(chat("answer 10 words")).await;
    assert_eq!(first.status, 200);
    let refusal = gate.send(short()).await;
    assert_eq!(
        (refusal.status, refusal.code()),
        (429, "token_limit".to_owned())
    );
    assert_eq!(
        refusal.why("used"),
        first.total_tokens(),
        "never clamped at the limit"
    );
    let wait_s = refusal.number("retry-after");
    assert!(
        (62..=183).contains(&wait_s),
        "debt is paid from the next minutes' room: {wait_s} s"
    );
}
