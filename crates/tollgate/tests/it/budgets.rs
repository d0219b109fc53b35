//! Budgets under a crowd: prices that differ tenfold, hang-ups, failovers, kill -9 in the middle.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::Nanos;
use serde_json::{Value, json};
use simulator::{Behaviour, Running};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::harness::{Call, Config, Dice, Door, Gate, chat, config, eventually, provider};

const CROWD: usize = 200;
const ANSWER_TOKENS: u64 = 100;
/// What a call for the dear model can cost at the dearer backend: 100 tokens of an answer at 8,000 a
/// million, and the prompt.
const DEAR: Nanos = Nanos(850_000_000);
/// Twenty of them.
const AMOUNT: Nanos = Nanos(17_000_000_000);

/// `gpt-4o` costs ten times `gpt-4o-mini`, and both twice as much at the standby.
fn priced(east: &Running, west: &Running) -> Config {
    let price = |input: u64| json!({ "input_per_million": input, "output_per_million": input * 4 });
    let of = |model: &str, input: u64| {
        let mut price = price(input);
        price["models"] = json!([model]);
        price
    };
    config()
        .backend("east", east.address())
        .standby("west", west.address())
        .add(
            "/models",
            json!({ "name": "gpt-4o-mini", "pool": "main", "max_output_tokens": 1000, "price": price(100) }),
        )
        .add("/products/0/models", "gpt-4o-mini".into())
        .longest_answer(1000)
        .with("/models/0/price", price(1000))
        .with(
            "/backends/1/prices",
            json!([of("gpt-4o", 2000), of("gpt-4o-mini", 200)]),
        )
        .retry(3, 1.0)
}

fn budget(amount: Nanos, reserve: &str) -> Value {
    json!({
        "name": "search",
        "match": { "subscription": "search", "model": "gpt-4o*" },
        "period": "year",
        "on_exceeded": "refuse",
        "reserve": reserve,
        "amount": serde_json::from_str::<Value>(&amount.to_string()).unwrap(),
    })
}

/// Slow enough for a crowd to be in flight at once; a third of the calls fail.
fn failing() -> Behaviour {
    Behaviour {
        latency: Duration::from_millis(200),
        jitter: Duration::from_millis(200),
        tokens_per_second: 500,
        error_rates: BTreeMap::from([(503, 0.3)]),
        ..Behaviour::default()
    }
}

fn well() -> Behaviour {
    Behaviour {
        error_rates: BTreeMap::new(),
        ..failing()
    }
}

#[derive(Debug, Default)]
struct Seen {
    answered: usize,
    hung_up: usize,
    /// What each refused call was told: amount, used, reserved, wanted.
    refusals: Vec<[Nanos; 4]>,
}

fn amount(value: &Value) -> Nanos {
    value.to_string().parse().unwrap()
}

/// What a refused call needed, as its message says.
fn wanted(message: &str) -> Nanos {
    let (_, rest) = message.split_once("this call needs ").unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

fn call(index: usize) -> Call {
    let words = 20 + index % 80;
    let model = if index.is_multiple_of(2) {
        "gpt-4o"
    } else {
        "gpt-4o-mini"
    };
    chat(&format!("answer {words} words"))
        .model(model)
        .max_tokens(ANSWER_TOKENS)
}

/// One call of the crowd: unary or streamed, read to its end or left early. `None`: the gateway died.
async fn one(door: Door, index: usize, seed: u64) -> Option<Seen> {
    let mut dice = Dice::new(seed * 1000 + index as u64);
    let mut seen = Seen::default();
    let call = call(index);
    if dice.chance(20) {
        let patience = Duration::from_millis(100 + dice.below(400));
        let left = tokio::time::timeout(patience, async {
            let mut stream = door.try_open(call.stream()).await.ok()?;
            for _ in 0..dice.below(30) {
                stream.event().await?;
            }
            Some(())
        });
        // Whatever came of it, the client is gone.
        let _ = left.await;
        seen.hung_up = 1;
        return Some(seen);
    }
    let call = if dice.chance(50) { call.stream() } else { call };
    let answer = door.try_send(call).await.ok()?;
    match answer.status {
        200 => seen.answered = 1,
        403 => {
            assert_eq!(answer.code(), "budget_exceeded");
            let why = |field| amount(&answer.why(field));
            let figures = [
                why("limit"),
                why("used"),
                why("reserved"),
                wanted(&answer.message()),
            ];
            seen.refusals.push(figures);
        }
        // Every attempt failed, or the gateway was killed before the answer's end.
        status => assert!(status >= 500, "{status}: {:?}", answer.body),
    }
    Some(seen)
}

/// All at once.
async fn crowd(gate: &Gate, seed: u64) -> JoinSet<Option<Seen>> {
    let barrier = Arc::new(Barrier::new(CROWD));
    let mut calls = JoinSet::new();
    for index in 0..CROWD {
        let (door, barrier) = (gate.door.clone(), barrier.clone());
        calls.spawn(async move {
            barrier.wait().await;
            one(door, index, seed).await
        });
    }
    calls
}

async fn seen(calls: JoinSet<Option<Seen>>) -> Seen {
    let mut all = Seen::default();
    for one in calls.join_all().await.into_iter().flatten() {
        all.answered += one.answered;
        all.hung_up += one.hung_up;
        all.refusals.extend(one.refusals);
    }
    all
}

/// A refused call is told figures under which it truly had no room.
fn no_phantoms(seen: &Seen) {
    for [limit, used, reserved, wanted] in &seen.refusals {
        assert!(
            *used + *reserved + *wanted > *limit,
            "refused while there was room: {used} + {reserved} + {wanted} of {limit}"
        );
    }
}

/// What is spent and held once no call is in flight, by the gateway's own counters.
async fn settled(gate: &Gate, name: &str) -> Nanos {
    let label = format!("budget=\"{name}\"");
    eventually("nothing left reserved", async || {
        let metrics = gate.metrics().await;
        let is_quiet = metrics.sum("tollgate_calls_open", &[]) == 0
            && metrics.real("tollgate_budget_reserved", &[&label]) == 0.0;
        is_quiet.then(|| {
            let used = metrics.real("tollgate_budget_used", &[&label]);
            Nanos((used * 1e9).round() as i64)
        })
    })
    .await
}

/// Crowds until the budget is full, the first of them cut by a kill.
async fn spend_it_all(gate: &mut Gate, name: &str) {
    let first = crowd(gate, 1).await;
    eventually("some answers", async || {
        (gate
            .metrics()
            .await
            .sum("tollgate_calls_total", &["outcome=\"ok\""])
            >= 5)
            .then_some(())
    })
    .await;
    gate.kill9();
    let cut = seen(first).await;
    no_phantoms(&cut);
    gate.restart().await;
    let before = settled(gate, name).await;
    let on_ledger: Nanos = gate
        .records()
        .iter()
        .map(|record| record.cost.amount())
        .sum();
    assert_eq!(before, on_ledger, "the counter continues from the ledger");
    for round in 2..30 {
        let crowd = seen(crowd(gate, round).await).await;
        no_phantoms(&crowd);
        settled(gate, name).await;
        let alone = gate.send(call(1)).await;
        if alone.status == 403 {
            assert_eq!(alone.why("reserved"), 0, "no reservation outlives its call");
            return;
        }
    }
    panic!("the budget never filled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_never_spends_more_than_the_budget_across_hang_ups_failovers_and_a_kill() {
    let (east, west) = (provider(failing()).await, provider(well()).await);
    let rules = priced(&east, &west).add("/budgets", budget(AMOUNT, "max"));
    let mut gate = Gate::start(rules).await;
    spend_it_all(&mut gate, "search").await;

    let used = settled(&gate, "search").await;
    assert!(used <= AMOUNT, "{used} of {AMOUNT}");
    // What is left is less than the cheapest call of the crowd can cost at the dearer backend.
    assert!(
        used + Nanos(DEAR.0 / 10) > AMOUNT,
        "{used} of {AMOUNT} was usable"
    );
    // The database follows the journal within a fraction of a second.
    let records = eventually("records whose sum is the counter", async || {
        let records = gate.records();
        let spent: Nanos = records.iter().map(|record| record.cost.amount()).sum();
        (spent == used).then_some(records)
    })
    .await;
    for model in ["gpt-4o", "gpt-4o-mini"] {
        let of_model = |name: &str| {
            records.iter().any(|record| {
                record.opening.model.as_str() == model
                    && record
                        .backend
                        .as_ref()
                        .is_some_and(|backend| backend.as_str() == name)
            })
        };
        assert!(
            of_model("east") && of_model("west"),
            "{model} was answered by both"
        );
    }
    // Sums follow the rows within two seconds.
    eventually("the list says the same", async || {
        let listed = gate.tollgate(&["budgets", "list", "--format", "json"]);
        let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
        (listed[0]["used"] == used.to_string()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_reserves_what_is_likely_is_passed_by_what_answers_turn_out_longer() {
    let (east, west) = (provider(failing()).await, provider(well()).await);
    let rules = priced(&east, &west).add("/budgets", budget(AMOUNT, "learned"));
    let mut gate = Gate::start(rules).await;
    spend_it_all(&mut gate, "search").await;

    let used = settled(&gate, "search").await;
    // In flight at once were at most as many as fit by the least that a call reserves: its prompt.
    // The longest answer of the dear model at the dearer backend is what one of them can add.
    let bound = AMOUNT + Nanos(CROWD as i64 * DEAR.0);
    assert!(used <= bound, "{used}, bound {bound}");
    assert!(
        used + Nanos(DEAR.0 / 10) > AMOUNT,
        "{used} of {AMOUNT} was usable"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_is_new_at_a_start_or_a_reload_has_spent_what_the_ledger_says() {
    let east = provider(Behaviour::default()).await;
    let named = |name: &str| {
        let mut budget = budget(AMOUNT, "max");
        budget["name"] = name.into();
        budget
    };
    let mut gate = Gate::start(priced(&east, &east)).await;
    for _ in 0..2 {
        let call = chat("answer 10 words").max_tokens(ANSWER_TOKENS);
        assert_eq!(gate.send(call).await.status, 200);
    }
    let records = gate.all_records(2).await;
    let spent: Nanos = records.iter().map(|record| record.cost.amount()).sum();
    assert!(spent > Nanos::ZERO);

    gate.stop().await;
    let at_start = priced(&east, &east).add("/budgets", named("at-start"));
    gate.rewrite(at_start);
    gate.restart().await;
    assert_eq!(settled(&gate, "at-start").await, spent);
    let at_reload = priced(&east, &east)
        .add("/budgets", named("at-start"))
        .add("/budgets", named("at-reload"));
    gate.rewrite(at_reload);
    eventually("the new budget is counted", async || {
        let used = gate
            .metrics()
            .await
            .real("tollgate_budget_used", &["budget=\"at-reload\""]);
        (used > 0.0).then_some(())
    })
    .await;
    assert_eq!(settled(&gate, "at-reload").await, spent);
    gate.stop().await;
    gate.restart().await;
    let listed = gate.tollgate(&["budgets", "list", "--format", "json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    for row in listed.as_array().unwrap() {
        assert_eq!(row["used"], spent.to_string(), "{row}");
    }
    for name in ["at-start", "at-reload"] {
        assert_eq!(settled(&gate, name).await, spent, "{name} after a restart");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raise_takes_effect_while_the_gateway_runs_and_can_be_cancelled() {
    let east = provider(Behaviour::default()).await;
    let rules = priced(&east, &east).add("/budgets", budget(Nanos(1_000_000_000), "max"));
    let gate = Gate::start(rules).await;
    let dear = || chat("answer 100 words").max_tokens(ANSWER_TOKENS);
    assert_eq!(gate.send(dear()).await.status, 200);
    let refused = gate.send(dear()).await;
    assert_eq!(
        (refused.status, refused.code()),
        (403, "budget_exceeded".to_owned())
    );
    assert_eq!(refused.why("rule"), "search");
    assert_eq!(refused.why("scope"), "subscription/search,model/gpt-4o*");
    assert_eq!(refused.why("currency"), "USD");
    assert!(refused.number("retry-after") > 0);

    let raise = [
        "budgets",
        "raise",
        "search",
        "--by",
        "5",
        "--until",
        "2099-01-01",
        "--reason",
        "launch",
        "--granted-by",
        "ops",
    ];
    let raised = gate.tollgate(&raise);
    assert!(
        raised.status.success(),
        "{}",
        String::from_utf8_lossy(&raised.stderr)
    );
    let answer = eventually("the raise to be in force", async || {
        let answer = gate.send(dear()).await;
        (answer.status == 200).then_some(answer)
    })
    .await;
    assert_eq!(answer.header("x-tollgate-budget"), "search");
    let shown = gate.tollgate(&["budgets", "show", "search"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    for part in ["launch", "ops", "in force", "6.00", "5 USD"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }

    let cancelled = gate.tollgate(&["budgets", "cancel", "1", "--cancelled-by", "boss"]);
    assert!(
        cancelled.status.success(),
        "{}",
        String::from_utf8_lossy(&cancelled.stderr)
    );
    eventually("the raise to be over", async || {
        let answer = gate.send(dear()).await;
        (answer.status == 403).then_some(())
    })
    .await;
    let again = gate.tollgate(&["budgets", "cancel", "1", "--cancelled-by", "boss"]);
    assert!(!again.status.success());
    let unknown = gate.tollgate(&[
        "budgets",
        "raise",
        "serch",
        "--by",
        "5",
        "--until",
        "2099-01-01",
        "--reason",
        "x",
        "--granted-by",
        "ops",
    ]);
    let problem = String::from_utf8(unknown.stderr).unwrap();
    assert!(
        problem.contains("no budget `serch`; it has: search"),
        "{problem}"
    );
}
