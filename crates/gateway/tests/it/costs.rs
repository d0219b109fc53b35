//! What calls cost: on the answer, on the ledger and in the metrics.

use domain::record::{CacheOutcome, Outcome};
use domain::{Cost, Nanos};

use crate::scripted::{Answer, Backend, DELTA, DONE, Script};
use crate::stage::{Rules, Stage, chat, prompt_tokens, streamed_chat};

/// 12 prompt tokens, 8 of them cached; 5 of the answer.
const CACHED: &str = r#"{"id":"c1","object":"chat.completion","service_tier":"default","choices":[{"index":0,"message":{"role":"assistant","content":"About 384,400 km."},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":8}}}"#;

/// `a` at list price in euros, `b` at ten times that.
fn priced() -> Rules {
    let rates = |input, cached, output| {
        format!(
            "prices: [ {{ input_per_million: {input}, cached_input_per_million: {cached}, output_per_million: {output}, currency: USD }} ]"
        )
    };
    Rules {
        priorities: vec![1, 2],
        money: "currency: EUR\nexchange_rates: [ { from: USD, to: EUR, rate: 0.9 } ]".into(),
        of_backends: vec![
            ('a', rates("2.50", "1.25", "10")),
            ('b', rates("25", "12.5", "100")),
        ],
        ..Rules::default()
    }
}

fn amount(text: &str) -> Nanos {
    text.parse().unwrap()
}

#[tokio::test]
async fn an_answer_says_what_it_cost_and_the_ledger_by_which_price() {
    let (a, b) = (
        Backend::answering(Answer::json(200, CACHED)).await,
        Backend::answering(Answer::chat()).await,
    );
    let stage = Stage::new(&priced(), &[&a, &b]);
    let told = stage.call(chat()).await;
    // (4 x 2.50 + 8 x 1.25 + 5 x 10) x 0.9 = 63 millionths of a euro.
    assert_eq!(told.header("x-tollgate-cost"), Some("0.000063 EUR"));
    assert_eq!(told.header("x-tollgate-tokens"), Some("17"));
    let metrics = stage.metrics();
    for line in [
        r#"tollgate_cost_total{subscription="search",model="gpt-4o",currency="EUR"} 0.000063"#,
        r#"tollgate_saved_total{subscription="search",model="gpt-4o",currency="EUR"} 0.000009"#,
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    let (record, prices) = stage.record_and_prices().await;
    assert_eq!(record.cost.amount(), amount("0.000063"));
    assert_eq!(record.saved, amount("0.000009"));
    assert_eq!(record.attempts[0].cost, record.cost);
    let id = record.cost.price().unwrap();
    let (_, text) = prices.iter().find(|(known, _)| known == id).unwrap();
    let text: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(
        text["rates"]["standard"]["cached_input_per_million"],
        "1.25"
    );
    assert_eq!(text["exchange_rate"]["rate"], "0.9");
}

#[tokio::test]
async fn the_ledger_knows_the_price_by_which_a_hit_saved_though_its_backend_was_never_asked() {
    let (a, b) = (
        Backend::answering(Answer::chat()).await,
        Backend::answering(Answer::chat()).await,
    );
    let mut rules = priced();
    rules.priorities = vec![2, 1];
    rules.limits += "\n    cache: { exact: {} }";
    let stage = Stage::new(&rules, &[&a, &b]);
    for told in ["miss", "hit"] {
        let answer = stage.call(chat()).await;
        assert_eq!(answer.header("x-tollgate-cache"), Some(told));
    }
    assert_eq!((a.requests(), b.requests()), (0, 1));
    let folder = stage.into_folder().await;
    let records = store::ledger::recent(folder.path(), 10).unwrap();
    let prices = store::ledger::prices(folder.path()).unwrap();
    let mut hits = records
        .iter()
        .filter(|record| record.cache == CacheOutcome::Hit);
    let hit = hits.next().unwrap();
    // (12 x 2.50 + 5 x 10) x 0.9, at the backend that costs less.
    assert_eq!(hit.saved, amount("0.000072"));
    let id = hit.cost.price().unwrap();
    assert!(prices.iter().any(|(known, _)| known == id), "{prices:?}");
}

#[tokio::test]
async fn a_failover_costs_what_the_backend_that_answered_asks() {
    let (a, b) = (
        Backend::answering(Answer::error(500)).await,
        Backend::answering(Answer::chat()).await,
    );
    let stage = Stage::new(&priced(), &[&a, &b]);
    let told = stage.call(chat()).await;
    // (12 x 25 + 5 x 100) x 0.9
    assert_eq!(told.header("x-tollgate-cost"), Some("0.00072 EUR"));
    let record = stage.record().await;
    assert_eq!(record.cost.amount(), amount("0.00072"));
    assert_eq!(
        record.attempts[0].cost,
        Cost::Nothing,
        "a 500 is not billed"
    );
    assert_eq!(record.attempts[1].cost, record.cost);
}

#[tokio::test]
async fn a_stream_is_priced_at_the_tier_that_served_it() {
    let usage = "data: {\"id\":\"c1\",\"service_tier\":\"flex\",\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":5,\"total_tokens\":17}}\n\n";
    let events = || Answer::stream(&[DELTA, usage, DONE]);
    let a = Backend::answering(events()).await;
    let mut rules = Rules {
        priorities: vec![1],
        of_backends: vec![(
            'a',
            "prices: [ { input_per_million: 2, output_per_million: 8, flex: { input_per_million: 1, output_per_million: 4 } } ]".into(),
        )],
        ..Rules::default()
    };
    let stage = Stage::new(&rules, &[&a]);
    stage.call(streamed_chat()).await;
    assert_eq!(stage.record().await.cost.amount(), amount("0.000032"));

    rules.of_backends[0].1 = "prices: [ { input_per_million: 2, output_per_million: 8 } ]".into();
    let b = Backend::answering(events()).await;
    let stage = Stage::new(&rules, &[&b]);
    stage.call(streamed_chat()).await;
    assert_eq!(
        stage.record().await.cost,
        Cost::Unpriced,
        "nobody guesses what flex costs"
    );
}

#[tokio::test]
async fn a_call_without_a_price_is_unpriced_and_counted_and_never_free() {
    let a = Backend::answering(Answer::chat()).await;
    let rules = Rules {
        priorities: vec![1],
        ..Rules::default()
    };
    let stage = Stage::new(&rules, &[&a]);
    let told = stage.call(chat()).await;
    assert_eq!(told.header("x-tollgate-cost"), Some("unpriced"));
    let metrics = stage.metrics();
    let line = r#"tollgate_unpriced_calls_total{subscription="search",model="gpt-4o"} 1"#;
    assert!(metrics.contains(line), "{metrics}");
    assert!(!metrics.contains("tollgate_cost_total{"), "{metrics}");
    assert_eq!(stage.record().await.cost, Cost::Unpriced);
}

#[tokio::test]
async fn a_client_that_hangs_up_owes_for_its_prompt() {
    let (a, b) = (
        Backend::start(Script::Silence).await,
        Backend::answering(Answer::chat()).await,
    );
    let stage = Stage::new(&priced(), &[&a, &b]);
    tokio::select! {
        _ = stage.begin(chat()) => panic!("a is silent"),
        () = a.asked(1) => {}
    }
    a.left(1).await;
    let record = stage.record().await;
    assert_eq!(record.outcome, Outcome::HungUp);
    // 2.50 x 0.9 a million.
    let expected = i64::try_from(prompt_tokens()).unwrap() * 2250;
    assert_eq!(record.cost.amount(), Nanos(expected));
    assert_eq!(record.attempts[0].cost, record.cost);
}

#[tokio::test]
async fn a_call_that_reached_nobody_owes_nothing() {
    let a = Backend::answering(Answer::chat()).await;
    let mut rules = priced();
    rules.priorities = vec![1];
    rules.limits = "\n    token_limits: [ { name: tpm, tokens_per_minute: 1 } ]".into();
    let stage = Stage::new(&rules, &[&a]);
    let told = stage.call(chat()).await;
    assert_eq!(told.header("x-tollgate-cost"), None);
    let record = stage.record().await;
    assert_eq!(
        (record.outcome, record.cost),
        (Outcome::Refused, Cost::Nothing)
    );
}
