//! `tollgate prices` as operators use it, and prices that survive a crash.

use std::process::Output;

use domain::record::Outcome;
use domain::{Cost, Nanos};
use jiff::{Timestamp, ToSpan, Unit};
use serde_json::{Value, json};
use simulator::Behaviour;

use crate::harness::{Config, Gate, chat, config, eventually, provider, tollgate};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// One model at one backend, with a price of its own.
fn priced(address: std::net::SocketAddr, input: u32) -> Config {
    let price = json!({ "input_per_million": input, "output_per_million": 8 });
    config()
        .backend("east", address)
        .with("/currency", "EUR".into())
        .with("/models/0/price", price)
}

fn amount(value: &Value) -> Nanos {
    value.as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_time_is_rerated_beside_its_records_and_only_once() {
    let provider = provider(Behaviour::default()).await;
    let mut gate = Gate::start(priced(provider.address(), 2)).await;
    for _ in 0..3 {
        gate.send(chat("answer 5 words")).await;
    }
    let records = gate.all_records(3).await;
    let tokens: u64 = records
        .iter()
        .map(|record| record.metered.usage().prompt)
        .sum();
    gate.stop().await;
    gate.rewrite(priced(provider.address(), 5));

    let at = Timestamp::from_millisecond(records[0].opening.at.0).unwrap();
    let hour = at.round(Unit::Hour).unwrap();
    let (since, until) = (hour - 2.hours(), hour + 2.hours());
    let period = [since.to_string(), until.to_string()];
    let rerate = |more: &[&str]| {
        let mut arguments = vec![
            "prices", "rerate", "--since", &period[0], "--until", &period[1],
        ];
        arguments.extend(["--format", "json"]);
        arguments.extend(more);
        let rows: Value = serde_json::from_str(&stdout(&gate.tollgate(&arguments))).unwrap();
        rows[0].clone()
    };
    // Three more on each of a million prompt tokens.
    let expected = Nanos(i64::try_from(tokens).unwrap() * 3_000);
    for dry_run in 0..2 {
        let row = rerate(&[]);
        assert_eq!(amount(&row["difference"]), expected, "run {dry_run}");
        assert_eq!((&row["calls"], &row["changed"]), (&json!(3), &json!(3)));
    }
    let before = gate.usage("subscription,outcome");
    let applied = rerate(&["--apply", "--reason", "a new agreement"]);
    assert_eq!(amount(&applied["difference"]), expected);
    assert_eq!(
        amount(&rerate(&[])["difference"]),
        Nanos::ZERO,
        "it is written"
    );

    assert_eq!(
        gate.all_records(3).await,
        records,
        "history is never edited"
    );
    let after = gate.usage("subscription,outcome");
    let adjusted = after
        .iter()
        .find(|row| row["outcome"] == "adjusted")
        .unwrap();
    assert_eq!(
        (&adjusted["calls"], &adjusted["currency"]),
        (&json!(0), &json!("EUR"))
    );
    let others: Vec<_> = after
        .iter()
        .filter(|row| row["outcome"] != "adjusted")
        .collect();
    assert_eq!(others, before.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn show_says_which_price_applies_and_why_not_another() {
    let provider = provider(Behaviour::default()).await;
    let config = priced(provider.address(), 2)
        .with("/backends/0/catalogue", "openai".into())
        .add("/exchange_rates", json!({ "from": "USD", "to": "EUR", "rate": 0.9 }))
        .add("/products/0/prices", json!({ "mark_up_percent": 10 }))
        .add(
            "/subscriptions/1/prices",
            json!({ "models": ["gpt-4o"], "input_per_million": 1, "output_per_million": 4, "since": "2020-01-01" }),
        );
    let gate = Gate::start(config).await;
    let show = |more: &[&str]| {
        let mut arguments = vec!["prices", "show", "gpt-4o"];
        arguments.extend(more);
        stdout(&gate.tollgate(&arguments))
    };
    let search = show(&["--subscription", "search"]);
    for line in [
        "gpt-4o for search (product standard), ",
        "models[gpt-4o].price (",
        "x 1.1: products[standard].prices[0] (",
        "not used",
        "catalogue 2026-11-22: openai/gpt-4o (shipped with Tollgate; of the catalogue): a narrower scope has a price",
    ] {
        assert!(search.contains(line), "{line}\n{search}");
    }
    let input = search
        .lines()
        .find(|line| line.starts_with("  input "))
        .unwrap();
    assert_eq!(
        input.split_whitespace().collect::<Vec<_>>(),
        ["input", "2", "2.2"]
    );
    let chat = show(&["--subscription", "chat", "--format", "json"]);
    let rows: Value = serde_json::from_str(&chat).unwrap();
    assert_eq!(
        rows[0]["made_of"]["rates"]["standard"]["input_per_million"],
        "1"
    );
    assert_eq!(rows[0]["factor"], "1");
    let long_ago = show(&["--subscription", "chat", "--at", "2019-12-31"]);
    assert!(
        long_ago.contains("subscriptions[chat].prices[0]"),
        "{long_ago}"
    );
    assert!(long_ago.contains("not in effect yet"), "{long_ago}");
    let o3 = gate.tollgate(&["prices", "show", "o4"]);
    assert!(
        text(&o3.stderr)
            .contains("no model is called `o4`; `models` has: gpt-3.5-turbo-instruct, gpt-4o, ")
    );
}

#[tokio::test]
async fn a_newer_catalogue_is_checked_compared_and_taken_up_by_a_running_gateway() {
    let provider = provider(Behaviour::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let catalogue = |version: &str, input: &str| {
        format!(
            r#"{{"format": 1, "version": "{version}", "currency": "USD", "source": {{"name": "us"}}, "prices": {{"openai": {{"gpt-4o": {{"input": {input}, "output": 8}}}}}}}}"#
        )
    };
    let (used, newer, broken) = (at("used.json"), at("newer.json"), at("broken.json"));
    std::fs::write(&newer, catalogue("1", "2")).unwrap();
    // Before there is any, it is made.
    let made = stdout(&tollgate(&[
        "prices",
        "update",
        &newer,
        "--catalogue",
        &used,
    ]));
    assert!(made.contains("to 1 (1 model): "), "{made}");

    let config = config()
        .backend("east", provider.address())
        .with("/backends/0/catalogue", "openai".into())
        .with("/prices/catalogue", used.as_str().into());
    let gate = Gate::start(config).await;
    let first = gate.send(chat("answer 5 words")).await;
    let record = gate.record(first.id()).await;
    let usage = *record.metered.usage();
    let cost = |input: u64| {
        Nanos(i64::try_from(usage.prompt * input * 1_000 + usage.completion * 8_000).unwrap())
    };
    assert_eq!(record.cost.amount(), cost(2));

    std::fs::write(&broken, catalogue("2", "\"3\"")).unwrap();
    let refused = gate.tollgate(&["prices", "update", &broken]);
    assert!(!refused.status.success());
    assert!(
        text(&refused.stderr).contains("prices.openai.gpt-4o.input: "),
        "{}",
        text(&refused.stderr)
    );
    assert_eq!(std::fs::read_to_string(&used).unwrap(), catalogue("1", "2"));

    std::fs::write(&newer, catalogue("2", "3")).unwrap();
    let diff = stdout(&gate.tollgate(&["prices", "diff", &newer, "--format", "csv"]));
    assert_eq!(
        diff,
        "provider,model,rate,old,new,change_percent\r\nopenai,gpt-4o,input,2,3,50.0\r\n"
    );
    let updated = stdout(&gate.tollgate(&["prices", "update", &newer]));
    assert!(
        updated.contains("from 1 (1 model) to 2 (1 model): 1 rate changed, 0 added, 0 removed"),
        "{updated}"
    );
    eventually("the newer price", async || {
        let answer = gate.send(chat("answer 5 words")).await;
        (gate.record(answer.id()).await.cost.amount() == cost(3)).then_some(())
    })
    .await;
    assert_eq!(
        gate.record(first.id()).await,
        record,
        "a record keeps its price"
    );
}

#[tokio::test]
async fn a_call_that_a_crash_interrupts_is_charged_by_the_rates_that_it_began_with() {
    let behaviour = Behaviour {
        stall_after_chunks: Some(5),
        ..Behaviour::default()
    };
    let provider = provider(behaviour).await;
    let mut gate = Gate::start(priced(provider.address(), 2)).await;
    let mut opened = gate.open(chat("answer 400 words").stream()).await;
    for _ in 0..3 {
        opened.event().await.unwrap();
    }
    let id = opened.id();
    gate.kill9();
    gate.rewrite(priced(provider.address(), 1_000));
    gate.restart().await;
    let record = gate.record(&id).await;
    assert_eq!(record.outcome, Outcome::Interrupted);
    let usage = record.metered.usage();
    assert!(usage.completion > 0);
    let expected = i64::try_from(usage.prompt * 2_000 + usage.completion * 8_000).unwrap();
    assert!(matches!(record.cost, Cost::Priced { .. }));
    assert_eq!(record.cost.amount(), Nanos(expected));
}
