//! Budgets: what is refused, passed, slowed down or answered by another model, and what it is told.

use bytes::Bytes;
use domain::Nanos;
use domain::record::{CallRecord, Outcome};
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::scripted::{Answer, Backend, Script};
use crate::stage::{Stage, Told, prompt_tokens, request};

/// A token costs a thousandth, and two thousandths at `b`, which is the standby of `a`; a tenth of
/// that for `small`. `free` has no price.
fn text(addresses: &[String], budgets: &str) -> String {
    let [a, b] = addresses else {
        panic!("two backends")
    };
    format!(
        "
backends:
  - {{ id: a, dialect: openai, url: \"{a}\", auth: {{ bearer: x }}, breaker: {{ min_throughput: 100 }} }}
  - id: b
    dialect: openai
    url: \"{b}\"
    auth: {{ bearer: x }}
    prices:
      - {{ models: [gpt-4o], input_per_million: 2000, output_per_million: 2000 }}
      - {{ models: [small], input_per_million: 200, output_per_million: 200 }}
pools:
  - id: all
    retry: {{ attempts: 2 }}
    members: [ {{ backend: a, priority: 1 }}, {{ backend: b, priority: 2 }} ]
models:
  - {{ name: gpt-4o, pool: all, tokenizer: o200k, price: {{ input_per_million: 1000, output_per_million: 1000 }} }}
  - {{ name: small, pool: all, tokenizer: o200k, price: {{ input_per_million: 100, output_per_million: 100 }} }}
  - {{ name: free, backend: a, tokenizer: o200k }}
  - {{ name: other, pool: all, tokenizer: o200k, price: {{ input_per_million: 1, output_per_million: 1 }} }}
products:
  - {{ id: standard, models: [gpt-4o, small, free], application: {{ from_header: x-app }} }}
subscriptions:
  - {{ id: search, product: standard, keys: {{ primary: {} }} }}
budgets:{budgets}
",
        crate::stage::KEY
    )
}

async fn stage(budgets: &str) -> (Stage, Backend, Backend) {
    let (a, b) = (
        Backend::answering(Answer::chat()).await,
        Backend::answering(Answer::chat()).await,
    );
    let stage = Stage::reading(&text(&[a.address.clone(), b.address.clone()], budgets));
    (stage, a, b)
}

/// At most five tokens of an answer, which is what comes.
fn chat(model: &str) -> Request<Full<Bytes>> {
    request(format!(
        r#"{{"model":"{model}","max_tokens":5,"messages":[{{"role":"user","content":"How far is the moon?"}}]}}"#
    ))
}

/// What a call for gpt-4o reserves: its tokens at `b`.
fn reserved() -> i64 {
    (prompt_tokens() as i64 + 5) * 2_000_000
}

/// What one costs at `a`, by the 12 and 5 tokens that it reports.
const COST: i64 = 17_000_000;

fn why(told: &Told, field: &str) -> Value {
    let body: Value = serde_json::from_slice(&told.body).unwrap();
    body["error"]["tollgate"][field].clone()
}

fn money(nanos: i64) -> Value {
    serde_json::from_str(&Nanos(nanos).to_string()).unwrap()
}

#[tokio::test]
async fn a_budget_that_is_used_up_refuses_until_its_period_ends() {
    // Room for one call that is settled and one that is reserved, not for another.
    let amount = Nanos(COST + reserved() - 1);
    let (stage, _a, _b) = stage(&format!(
        "\n  - {{ name: day, match: {{ subscription: search }}, amount: {amount}, period: day, on_exceeded: refuse }}"
    ))
    .await;
    let first = stage.call(chat("gpt-4o")).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.header("x-tollgate-budget"), Some("day"));
    let left = format!("{} USD", Nanos(amount.0 - reserved()));
    assert_eq!(first.header("x-tollgate-budget-remaining"), Some(&*left));
    assert_eq!(first.header("x-tollgate-budget-exceeded"), None);

    let refused = stage.call(chat("gpt-4o")).await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.code().as_deref(), Some("budget_exceeded"));
    // From 14:13:20 to midnight.
    assert_eq!(refused.retry_after_s(), Some(9 * 3600 + 46 * 60 + 40));
    assert_eq!(why(&refused, "rule"), "day");
    assert_eq!(why(&refused, "scope"), "subscription/search");
    assert_eq!(why(&refused, "limit"), money(amount.0));
    assert_eq!(why(&refused, "used"), money(COST));
    assert_eq!(why(&refused, "reserved"), 0);
    assert_eq!(why(&refused, "currency"), "USD");
    assert_eq!(why(&refused, "resets_at"), "2026-09-22T00:00:00Z");
    assert!(
        refused.text().contains("this call needs"),
        "{}",
        refused.text()
    );

    // A tenth of the price still fits.
    assert_eq!(stage.call(chat("small")).await.status, 200);
    stage.advance_s(9 * 3600 + 46 * 60 + 40);
    assert_eq!(stage.call(chat("gpt-4o")).await.status, 200);
    let metrics = stage.metrics();
    for line in [
        r#"tollgate_budget_used{budget="day",currency="USD"} 0.017"#,
        r#"tollgate_budget_reserved{budget="day",currency="USD"} 0"#,
        r#"tollgate_refusals_total{rule="budget/day"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    // Calls of one instant are in no order.
    let records = stage.records().await;
    let mut costs: Vec<i64> = records
        .iter()
        .map(|record| record.cost.amount().0)
        .collect();
    costs.sort_unstable();
    assert_eq!(costs, [0, COST / 10, COST, COST]);
    let refused = records
        .iter()
        .find(|record| record.outcome == Outcome::Refused);
    let rule = refused.and_then(|record| record.rule.as_deref());
    assert_eq!(rule, Some("budget/day"));
}

#[tokio::test]
async fn an_alert_lets_calls_through_and_says_so() {
    let (stage, _a, _b) = stage("\n  - { name: soft, amount: 0.034, period: day }").await;
    assert_eq!(stage.call(chat("gpt-4o")).await.status, 200);
    let past = stage.call(chat("gpt-4o")).await;
    assert_eq!(past.status, 200);
    assert_eq!(past.header("x-tollgate-budget-exceeded"), Some("soft"));
    assert_eq!(past.header("x-tollgate-budget-remaining"), Some("0 USD"));
    let metrics = stage.metrics();
    for line in [
        "tollgate_budget_exceeded_calls_total{budget=\"soft\",action=\"passed\"} 1\n",
        "tollgate_budget_used_ratio{budget=\"soft\"} 1\n",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    assert_eq!(stage.level("soft"), (2 * COST as u64, 0));
}

#[tokio::test]
async fn a_downgraded_call_is_answered_by_the_other_model_and_says_so() {
    // The model that answers instead is held to its own budgets: two of its calls fit.
    let amount = Nanos((2 * COST + reserved()) / 10 - 1);
    let (stage, a, _b) = stage(&format!(
        "
  - {{ name: dear, match: {{ model: gpt-4o }}, amount: 0.001, period: day, on_exceeded: {{ downgrade: small }} }}
  - {{ name: all, amount: {amount}, period: day, on_exceeded: refuse }}"
    ))
    .await;
    let told = stage.call(chat("gpt-4o")).await;
    assert_eq!(told.status, 200, "{}", told.text());
    assert_eq!(told.header("x-tollgate-downgraded-from"), Some("gpt-4o"));
    assert_eq!(told.header("x-tollgate-budget-exceeded"), Some("dear"));
    let sent = a.bodies();
    let sent = String::from_utf8_lossy(&sent[0]);
    assert!(sent.contains(r#""model":"small""#), "{sent}");
    assert!(sent.contains("How far is the moon?"), "{sent}");
    assert_eq!(stage.call(chat("small")).await.status, 200);
    let refused = stage.call(chat("gpt-4o")).await;
    assert_eq!(
        (refused.status.as_u16(), why(&refused, "rule")),
        (403, "all".into())
    );
    assert!(
        stage.metrics().contains(
            r#"tollgate_budget_exceeded_calls_total{budget="dear",action="downgraded"} 1"#
        )
    );
    let records = stage.records().await;
    let downgraded = records
        .iter()
        .find(|record| record.rule.as_deref() == Some("budget/dear/downgrade"))
        .unwrap();
    assert_eq!(downgraded.opening.model.as_str(), "small");
    let asked = &downgraded.opening.asked_model;
    assert_eq!(asked.as_ref().map(|model| model.as_str()), Some("gpt-4o"));
    assert_eq!(downgraded.outcome, Outcome::Ok);
    assert_eq!(downgraded.cost.amount().0, COST / 10);
    let plain = |record: &&CallRecord| record.outcome == Outcome::Ok && record.rule.is_none();
    assert_eq!(records.iter().filter(plain).count(), 1);
    let others = |record: &&CallRecord| record.opening.asked_model.is_none();
    assert_eq!(records.iter().filter(others).count(), records.len() - 1);
}

#[tokio::test]
async fn a_downgrade_to_what_the_caller_may_not_use_or_of_embeddings_is_a_refusal() {
    let (stage, _a, _b) = stage(
        "
  - { name: dear, match: { model: gpt-4o }, amount: 0.001, period: day, on_exceeded: { downgrade: other } }
  - { name: vectors, match: { model: small }, amount: 0.0001, period: day, on_exceeded: { downgrade: gpt-4o } }",
    )
    .await;
    let refused = stage.call(chat("gpt-4o")).await;
    assert_eq!(refused.status, 400, "it never fits: {}", refused.text());
    assert_eq!(why(&refused, "rule"), "dear");
    let embeddings = Request::post("/v1/embeddings")
        .header("authorization", format!("Bearer {}", crate::stage::KEY))
        .body(Full::new(Bytes::from(
            json!({ "model": "small", "input": "How far is the moon, and how far is the sun?" })
                .to_string(),
        )))
        .unwrap();
    let refused = stage.call(embeddings).await;
    assert_eq!(why(&refused, "rule"), "vectors");
}

#[tokio::test]
async fn a_throttled_call_has_its_tokens_a_minute() {
    let (stage, _a, _b) =
        stage("\n  - { name: slow, amount: 0.0001, period: day, on_exceeded: { throttle: 40 } }")
            .await;
    let first = stage.call(chat("gpt-4o")).await;
    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!(first.header("x-tollgate-budget-exceeded"), Some("slow"));
    let second = stage.call(chat("gpt-4o")).await;
    assert_eq!(second.status, 200);
    let third = stage.call(chat("gpt-4o")).await;
    assert_eq!(third.status, 429);
    assert_eq!(third.code().as_deref(), Some("token_limit"));
    assert_eq!(why(&third, "rule"), "slow/throttle");
    assert_eq!(third.retry_after_s(), Some(61));
    stage.advance_s(61);
    assert_eq!(stage.call(chat("gpt-4o")).await.status, 200);
    assert!(
        stage.metrics().contains(
            r#"tollgate_budget_exceeded_calls_total{budget="slow",action="throttled"} 3"#
        )
    );
}

#[tokio::test]
async fn a_model_without_a_price_is_refused_where_a_budget_needs_it() {
    let budget = |unpriced: &str| {
        format!("\n  - {{ name: hard, amount: 1, period: day, on_exceeded: refuse{unpriced} }}")
    };
    let (stage, a, b) = stage(&budget("")).await;
    let refused = stage.call(chat("free")).await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.code().as_deref(), Some("unpriced_model"));
    assert_eq!(why(&refused, "rule"), "hard");
    assert!(refused.text().contains("`free`"), "{}", refused.text());
    assert_eq!(refused.retry_after_s(), None);

    let addresses = [a.address.clone(), b.address.clone()];
    stage.reload(&text(&addresses, &budget(", unpriced: allow")));
    assert_eq!(stage.call(chat("free")).await.status, 200);
    stage.reload(&text(
        &addresses,
        "\n  - { name: hard, amount: 1, period: day }",
    ));
    assert_eq!(
        stage.call(chat("free")).await.status,
        200,
        "an alert needs no price"
    );
    assert_eq!(stage.level("hard"), (0, 0));
}

#[tokio::test]
async fn each_value_of_the_counter_key_has_the_whole_amount() {
    let (stage, _a, _b) = stage(
        "\n  - { name: app, match: { application: 'chat-*' }, counter_key: application.name, amount: 0.05, period: day, on_exceeded: refuse }",
    )
    .await;
    let of = |application: &str| {
        let mut call = chat("gpt-4o");
        let value = application.parse().unwrap();
        call.headers_mut().insert("x-app", value);
        call
    };
    for application in ["chat-a", "chat-b", "batch", "chat-a", "chat-b"] {
        let told = stage.call(of(application)).await;
        let is_full = told.status == 403;
        let seen = stage
            .gateway
            .counters
            .budget_levels(stage.clock.now())
            .into_iter()
            .filter(|level| &*level.key == application)
            .map(|level| level.used.0)
            .sum::<i64>();
        assert!(!is_full || seen + reserved() > 50_000_000, "{application}");
    }
    let mut levels = stage.gateway.counters.budget_levels(stage.clock.now());
    levels.sort_by(|a, b| a.key.cmp(&b.key));
    let keys: Vec<&str> = levels.iter().map(|level| &*level.key).collect();
    assert_eq!(
        keys,
        ["chat-a", "chat-b"],
        "a call that does not match takes nothing"
    );
    assert!(
        levels
            .iter()
            .all(|level| level.used.0 >= COST && level.reserved.0 == 0)
    );
    assert_eq!(levels[0].amount, Nanos(50_000_000));
}

#[tokio::test]
async fn a_failover_and_a_hang_up_are_charged_what_they_cost() {
    let (stage, a, b) =
        stage("\n  - { name: all, amount: 1, period: day, on_exceeded: refuse }").await;
    a.always(Answer::error(500));
    assert_eq!(stage.call(chat("gpt-4o")).await.status, 200);
    assert_eq!(
        stage.level("all"),
        (2 * COST as u64, 0),
        "b is twice as dear"
    );

    b.then(Script::Silence);
    let meanwhile = async {
        b.asked(2).await;
        assert_eq!(stage.level("all").1, reserved() as u64);
    };
    tokio::select! {
        _ = stage.begin(chat("gpt-4o")) => panic!("b is silent"),
        () = meanwhile => {}
    }
    let prompt = prompt_tokens() * 2_000_000;
    assert_eq!(stage.level("all"), (2 * COST as u64 + prompt, 0));
}

#[tokio::test]
async fn a_reload_keeps_what_was_spent_and_applies_the_new_amount() {
    let budget = |amount: &str| {
        format!("\n  - {{ name: all, amount: {amount}, period: day, on_exceeded: refuse }}")
    };
    let (stage, a, b) = stage(&budget("1")).await;
    assert_eq!(stage.call(chat("gpt-4o")).await.status, 200);
    let addresses = [a.address.clone(), b.address.clone()];
    stage.reload(&text(&addresses, &budget("0.04")));
    let refused = stage.call(chat("gpt-4o")).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert_eq!(why(&refused, "used"), money(COST));
    stage.reload(&text(&addresses, &budget("0.9")));
    assert_eq!(stage.call(chat("gpt-4o")).await.status, 200);
}

#[tokio::test]
async fn a_budget_that_is_new_has_spent_what_its_period_cost_before() {
    let (stage, a, b) = stage(" []").await;
    for _ in 0..3 {
        assert_eq!(stage.call(chat("gpt-4o")).await.status, 200);
    }
    assert_eq!(stage.call(chat("small")).await.status, 200);
    let month = Nanos(3 * COST + reserved() - 1);
    let with_budgets = format!(
        "
  - {{ name: month, match: {{ model: gpt-4o }}, amount: {month}, period: month, on_exceeded: refuse }}
  - {{ name: teams, counter_key: subscription.id, amount: 1, period: week }}
  - {{ name: addresses, counter_key: request.ip, amount: 1, period: week }}
  - {{ name: others, match: {{ application: 'nightly-*' }}, amount: 1, period: month }}"
    );
    let addresses = [a.address.clone(), b.address.clone()];
    stage
        .reload_counting(&text(&addresses, &with_budgets), 4)
        .await;

    assert_eq!(stage.level("month"), (3 * COST as u64, 0));
    assert_eq!(stage.level("teams"), ((3 * COST + COST / 10) as u64, 0));
    // Records do not have the address: from zero.
    assert_eq!(stage.level("addresses"), (0, 0));
    assert_eq!(stage.level("others"), (0, 0));
    let refused = stage.call(chat("gpt-4o")).await;
    assert_eq!(
        (refused.status.as_u16(), why(&refused, "used")),
        (403, json!(0.051))
    );
    // Another reload counts nothing twice.
    stage
        .reload_counting(&text(&addresses, &with_budgets), 5)
        .await;
    assert_eq!(stage.level("month"), (3 * COST as u64, 0));
    let dir = stage.ledger_folder().to_owned();
    let levels = store::ledger::budget_levels(&dir, domain::Wall(0)).unwrap();
    let spent: Vec<_> = levels
        .iter()
        .map(|level| (level.budget.to_string(), level.spent.0))
        .collect();
    assert_eq!(
        spent,
        [
            ("budget/month".to_owned(), 3 * COST),
            ("budget/teams".to_owned(), 3 * COST + COST / 10)
        ],
        "a restart knows of it"
    );
}

#[tokio::test]
async fn a_budget_whose_period_changes_counts_its_new_period_from_the_ledger() {
    let day = "\n  - { name: all, amount: 1, period: day }";
    let (stage, a, b) = stage(day).await;
    assert_eq!(stage.call(chat("gpt-4o")).await.status, 200);
    stage.advance_s(86_400);
    assert_eq!(stage.call(chat("gpt-4o")).await.status, 200);
    assert_eq!(stage.level("all"), (COST as u64, 0));
    let month = "\n  - { name: all, amount: 1, period: month }";
    let addresses = [a.address.clone(), b.address.clone()];
    stage.reload_counting(&text(&addresses, month), 2).await;
    assert_eq!(stage.level("all"), (2 * COST as u64, 0));
    assert_eq!(stage.call(chat("gpt-4o")).await.status, 200);
    assert_eq!(stage.level("all"), (3 * COST as u64, 0));
}
