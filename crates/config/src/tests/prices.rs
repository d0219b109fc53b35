//! Prices: which one a call finds, and what is said of those that are missing or cannot be meant.

use std::sync::Arc;

use domain::price::Bill;
use domain::{PriceId, Usage, Wall};

use super::*;

const MONEY: &str = "
currency: EUR
time_zone: Europe/Berlin
exchange_rates:
  - { from: USD, to: EUR, rate: 0.90 }
  - { from: USD, to: EUR, rate: 0.80, since: 2026-11-16 }
backends:
  - { id: eastus, dialect: azure-openai, url: https://eastus.openai.azure.com/openai/v1 }
  - id: zone
    dialect: azure-openai
    url: https://zone.openai.azure.com/openai/v1
    catalogue: azure/eu
    prices: [ { discount_percent: 10 } ]
  - id: reserved
    dialect: azure-openai
    url: https://reserved.openai.azure.com/openai/v1
    provisioned: [ { models: [gpt-4o], amount_per_hour: 46.50, since: 2026-11-01 } ]
pools:
  - { id: azure, members: [ { backend: eastus }, { backend: zone }, { backend: reserved } ] }
models:
  - { name: gpt-4o, pool: azure }
  - { name: chat, pool: azure, deployment: { eastus: gpt-4o-mini, zone: gpt-4o, reserved: my-own }, catalogue: gpt-4o }
  - { name: own, backend: eastus, prices: [ { input_per_million: 1, output_per_million: 2, currency: USD }, { since: 2026-12-01T12:00:00Z, input_per_million: 3, output_per_million: 4 } ] }
products:
  - { id: standard, models: [gpt-4o, chat, own] }
  - { id: resold, models: [gpt-4o], prices: [ { mark_up_percent: 15 } ] }
subscriptions:
  - { id: search, product: standard }
  - { id: shop, product: resold }
  - { id: legal, product: resold, prices: [ { models: [gpt-4o], input_per_million: 2, output_per_million: 8 } ] }
";

fn instant(text: &str) -> Wall {
    let at: jiff::Timestamp = text.parse().expect("an instant");
    Wall(at.as_millisecond())
}

/// What a million prompt tokens cost, and by which price.
fn cost(snapshot: &Snapshot, who: &str, model: &str, backend: &str, at: &str) -> (String, PriceId) {
    let subscription = snapshot.subscriptions[who].clone();
    let plan = snapshot
        .plan(&subscription, None, model)
        .expect("it is granted");
    let price = plan.prices.price(&backend.into(), instant(at));
    let price = price.expect("a price");
    let usage = Usage {
        prompt: 1_000_000,
        ..Usage::default()
    };
    let Bill { amount, .. } = price.bill(&usage).expect("prompts have a rate");
    (amount.to_string(), price.id.clone())
}

fn amount(snapshot: &Snapshot, who: &str, model: &str, backend: &str, at: &str) -> String {
    cost(snapshot, who, model, backend, at).0
}

const EARLY: &str = "2026-11-15T22:59:59Z";
const LATE: &str = "2026-11-15T23:00:00Z";

#[test]
fn list_prices_are_of_the_backends_provider_in_the_configurations_currency() {
    let snapshot = loaded(MONEY);
    assert_eq!(problems(MONEY), Vec::<String>::new());
    let of = |backend, at| amount(&snapshot, "search", "gpt-4o", backend, at);
    assert_eq!(of("eastus", EARLY), "2.25");
    assert_eq!(
        of("eastus", LATE),
        "2",
        "the rate changes at Berlin's midnight"
    );
    // A data zone's own price, less what was agreed on: 2.75 x 0.9 x 0.9.
    assert_eq!(of("zone", EARLY), "2.2275");
    assert_eq!(of("reserved", EARLY), "0", "paid by the hour");
    assert_eq!(snapshot.prices.provisioned.len(), 1);
}

#[test]
fn the_catalogues_name_is_the_models_then_the_deployments_then_its_own() {
    let snapshot = loaded(MONEY);
    let of = |backend| amount(&snapshot, "search", "chat", backend, EARLY);
    assert_eq!(
        of("eastus"),
        "2.25",
        "as `catalogue` says, whatever the deployment's name"
    );
    let by_deployment = MONEY.replace(", catalogue: gpt-4o", "");
    let text = by_deployment.replace("reserved: my-own", "reserved: gpt-4o");
    let snapshot = loaded(&text);
    let of = |backend| amount(&snapshot, "search", "chat", backend, EARLY);
    assert_eq!(of("eastus"), "0.135", "gpt-4o-mini, 0.15 USD");
    assert_eq!(
        problems(&by_deployment),
        [
            "22:13: models[chat]: no price at reserved: its calls there will be unpriced; add `price`, or say with `catalogue` which of the catalogue's prices it is"
        ]
    );
}

#[test]
fn a_models_own_price_has_dates_and_a_currency() {
    let snapshot = loaded(MONEY);
    let of = |at| amount(&snapshot, "search", "own", "eastus", at);
    assert_eq!(of(EARLY), "0.9");
    assert_eq!(of(LATE), "0.8");
    assert_eq!(of("2026-12-01T11:59:59Z"), "0.8");
    assert_eq!(
        of("2026-12-01T12:00:00Z"),
        "3",
        "in EUR, as the configuration"
    );
}

#[test]
fn products_mark_up_and_subscriptions_negotiate() {
    let snapshot = loaded(MONEY);
    let of = |who, backend| amount(&snapshot, who, "gpt-4o", backend, EARLY);
    assert_eq!(of("shop", "eastus"), "2.5875");
    assert_eq!(of("shop", "zone"), "2.561625");
    assert_eq!(
        of("legal", "eastus"),
        "2",
        "neither exchanged nor marked up"
    );
    assert_eq!(of("legal", "reserved"), "2", "whatever it costs us");
}

#[test]
fn the_same_price_has_the_same_id_wherever_it_is_written() {
    let snapshot = loaded(MONEY);
    let moved = loaded(&format!("# moved by a line\n\n{MONEY}"));
    let dearer = loaded(&MONEY.replace("rate: 0.90", "rate: 0.91"));
    for (who, model) in [
        ("search", "gpt-4o"),
        ("shop", "gpt-4o"),
        ("legal", "gpt-4o"),
        ("search", "own"),
    ] {
        let id = |snapshot| cost(snapshot, who, model, "eastus", EARLY).1;
        assert_eq!(id(&snapshot), id(&moved), "{who} {model}");
        assert_eq!(
            id(&snapshot) == id(&dearer),
            who == "legal",
            "{who} {model}"
        );
    }
    let ids: std::collections::HashSet<PriceId> = [
        cost(&snapshot, "search", "gpt-4o", "eastus", EARLY).1,
        cost(&snapshot, "search", "gpt-4o", "eastus", LATE).1,
        cost(&snapshot, "search", "gpt-4o", "zone", EARLY).1,
        cost(&snapshot, "shop", "gpt-4o", "eastus", EARLY).1,
        cost(&snapshot, "legal", "gpt-4o", "eastus", EARLY).1,
    ]
    .into();
    assert_eq!(ids.len(), 5);
}

#[test]
fn what_a_price_is_made_of_is_written_in_full() {
    let snapshot = loaded(MONEY);
    let subscription = snapshot.subscriptions["shop"].clone();
    let list = snapshot.prices.list(&subscription, &"gpt-4o".into());
    let price = list.price(&"zone".into(), instant(LATE)).expect("a price");
    let text: serde_json::Value = serde_json::from_str(&price.text).expect("JSON");
    assert_eq!(text["charged_in"], "EUR");
    assert_eq!(text["currency"], "USD");
    assert_eq!(text["rates"]["standard"]["input_per_million"], "2.75");
    assert_eq!(text["exchange_rate"]["rate"], "0.8");
    assert_eq!(text["exchange_rate"]["since"], "2026-11-15T23:00:00Z");
    assert_eq!(text["percentages"][0]["factor"], "0.9");
    assert_eq!(text["percentages"][1]["scope"], "product");
    assert_eq!(text["scope"], "catalogue");
    let source = text["source"].as_str().expect("text");
    assert!(source.contains("azure/eu/gpt-4o"), "{source}");
}

#[test]
fn subscriptions_of_one_price_share_one_list() {
    let text = MONEY.replace(
        "  - { id: search, product: standard }\n",
        "  - { id: search, product: standard }
  - { id: a, product: standard, prices: [ { discount_percent: 5 } ] }
  - { id: b, product: standard, prices: [ { discount_percent: 5 } ] }\n",
    );
    let snapshot = loaded(&text);
    let list = |who: &str| {
        snapshot
            .prices
            .list(&snapshot.subscriptions[who], &"gpt-4o".into())
    };
    assert!(Arc::ptr_eq(list("a"), list("b")));
    assert!(!Arc::ptr_eq(list("a"), list("search")));
}

#[test]
fn a_currency_without_a_rate_is_one_warning() {
    let text = MONEY.replace("  - { from: USD, to: EUR, rate: 0.90 }\n", "");
    assert_eq!(
        problems(&text),
        Vec::<String>::new(),
        "there is one in the end"
    );
    let text = text.replace(
        "  - { from: USD, to: EUR, rate: 0.80, since: 2026-11-16 }\n",
        "  []\n",
    );
    let found = problems(&text);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].contains("exchange_rates: no rate from USD to EUR, in which these have their price: chat, gpt-4o;"),
        "{found:#?}"
    );
}

#[test]
fn answers_without_a_rate_are_a_warning_unless_there_are_none() {
    let with = |more: &str| {
        let model = format!(
            "models:\n  - {{ name: e, backend: a, price: {{ input_per_million: 0.1 }}{more} }}\n"
        );
        problems(&format!(
            "backends: [ {{ id: a, dialect: openai, url: https://a.example }} ]\n{model}"
        ))
    };
    assert!(with("")[0].contains("models[e].price: no price of answers"));
    assert_eq!(with(", max_output_tokens: 0"), Vec::<String>::new());
}

#[test]
fn what_cannot_be_meant_is_an_error() {
    let model = |price: &str| {
        let head = "backends: [ { id: a, dialect: openai, url: https://a.example } ]";
        let found = problems(&format!(
            "{head}\nmodels:\n  - {{ name: m, backend: a, {price} }}\n"
        ));
        assert_eq!(found.len(), 1, "{price}: {found:#?}");
        found[0].clone()
    };
    for (price, expected) in [
        ("price: {}", "models[m].price: it says no price"),
        (
            "price: { output_per_million: 1 }",
            "models[m].price: no price of prompts",
        ),
        (
            "price: { input_per_million: -1 }",
            "`-1` is not an amount of money",
        ),
        (
            "price: { input_per_million: 1e3 }",
            "`1e3` is not an amount of money",
        ),
        ("price: { input_per_million: \"1\" }", "found text"),
        (
            "price: { input_per_million: 0.0000000001 }",
            "is not an amount of money",
        ),
        (
            "price: { input_per_million: 1, discount_percent: 5 }",
            "rates and a percentage at once",
        ),
        (
            "price: { mark_up_percent: 1, discount_percent: 5 }",
            "a discount and a mark-up at once",
        ),
        (
            "price: { mark_up_percent: 1, currency: USD }",
            "a percentage has no currency",
        ),
        (
            "price: { discount_percent: 101 }",
            "`101` is not a discount",
        ),
        (
            "price: { input_per_million: 1, currency: dollars }",
            "`dollars` is no currency",
        ),
        (
            "price: { input_per_million: 1, since: soon }",
            "`soon` is no date",
        ),
        (
            "price: { input_per_million: 1, since: 2026-02-30 }",
            "`2026-02-30` is no date",
        ),
        (
            "price: { input_per_million: 1, since: 2026-02-01, until: 2026-02-01 }",
            "models[m].price.until: it ends before it begins",
        ),
        (
            "price: { input_per_million: 1, flex: { output_per_million: 1 } }",
            "models[m].price.flex: no price of prompts",
        ),
        (
            "price: { input_per_million: 1, long_context: [ { above_prompt_tokens: 5 }, { above_prompt_tokens: 5 } ] }",
            "5 prompt tokens are there twice",
        ),
        (
            "price: { input_per_million: 1 }, prices: [ { input_per_million: 2 } ]",
            "models[m].prices[0]: the price at t.yaml:3 has the same date and model",
        ),
    ] {
        let found = model(price);
        assert!(found.contains(expected), "{price}\n{found}");
    }
    let rates = |rates: &str| problems(&format!("currency: EUR\nexchange_rates: [ {rates} ]\n"));
    assert!(rates("{ from: EUR, to: EUR, rate: 1 }")[0].contains("from a currency to itself"));
    assert!(rates("{ from: USD, to: EUR, rate: 0 }")[0].contains("`0` is not an exchange rate"));
    let twice = rates("{ from: USD, to: EUR, rate: 1 }, { from: USD, to: EUR, rate: 2 }");
    assert!(
        twice[0]
            .contains("exchange_rates[1]: another rate between these currencies has the same date")
    );
    assert!(rates("{ from: USD, to: GBP, rate: 0.7 }")[0].contains("nothing is converted to GBP"));
}

#[test]
fn a_catalogue_of_ones_own_is_read_strictly() {
    let load = |catalogue: &str| {
        let text = "prices: { catalogue: /etc/prices.json }
backends: [ { id: a, dialect: openai, url: https://api.openai.com } ]
models: [ { name: m, backend: a } ]
";
        let source = Source {
            name: "t.yaml".to_owned(),
            text: text.to_owned(),
        };
        let files = |path: &str| match path {
            "/etc/prices.json" => Ok(catalogue.to_owned()),
            _ => Err("no such file".to_owned()),
        };
        let environment = Environment {
            variables: &|_| None,
            files: &files,
        };
        load(&[source], &environment, &[], 1)
    };
    let catalogue = |prices: &str| {
        format!(
            r#"{{"format": 1, "version": "mine", "currency": "USD", "source": {{}}, "prices": {prices}}}"#
        )
    };
    let (snapshot, warnings) = load(&catalogue(
        r#"{"openai": {"m": {"input": 1.5, "output": 2}}}"#,
    ))
    .expect("it loads");
    assert_eq!(warnings, []);
    let answer = snapshot
        .prices
        .explain(&"m".into(), &"a".into(), None, Wall(0));
    let (_, entry) = answer.chosen.expect("a price");
    assert_eq!(&*entry.origin, "catalogue mine: openai/m");
    assert_eq!(&*entry.written, "/etc/prices.json");
    let broken =
        load(&catalogue(r#"{"openai": {"m": {"input": "1.5"}}}"#)).expect_err("it does not load");
    let shown = shown(&broken);
    assert!(
        shown.contains("prices.catalogue: the catalogue has a fault at prices.openai.m.input: "),
        "{shown}"
    );
}
