use super::*;

fn with_prices(prices: &str) -> String {
    format!(
        r#"{{"format": 1, "version": "7", "currency": "USD", "source": {{"name": "us"}}, "prices": {prices}}}"#
    )
}

fn problem(text: &str) -> String {
    Catalogue::parse(text).unwrap_err().to_string()
}

#[test]
fn the_shipped_catalogue_reads_and_knows_the_providers() {
    let catalogue = Catalogue::shipped();
    assert_eq!(catalogue.currency, Currency::USD);
    assert_eq!(
        (
            &*catalogue.source.name,
            catalogue.source.licence.starts_with("MIT")
        ),
        ("litellm", true)
    );
    assert!(catalogue.models() > 1000);
    for provider in [
        "openai",
        "azure",
        "azure/eu",
        "azure/us",
        "anthropic",
        "gemini",
        "vertex",
        "bedrock",
        "mistral",
        "cohere",
        "deepseek",
        "xai",
        "groq",
    ] {
        assert!(!catalogue.prices[provider].is_empty(), "{provider}");
    }
}

/// As its provider publishes it; checked by hand against the list that it is made from.
#[test]
fn rates_of_the_shipped_catalogue_are_exact() {
    let catalogue = Catalogue::shipped();
    let amount = |text: &str| Some(text.parse::<Nanos>().unwrap());
    let [gpt_4o] = catalogue.get("openai", "gpt-4o").unwrap() else {
        panic!("one price");
    };
    let standard = gpt_4o.card.tier(ServiceTier::Standard).unwrap();
    assert_eq!(standard.base.input, amount("2.5"));
    assert_eq!(standard.base.cached_input, amount("1.25"));
    assert_eq!(standard.base.output, amount("10"));
    let priority = gpt_4o.card.tier(ServiceTier::Priority).unwrap();
    assert_eq!(priority.base.input, amount("4.25"));
    assert_eq!(gpt_4o.card.tier(ServiceTier::Flex), None);

    let [pro] = catalogue.get("gemini", "gemini-2.5-pro").unwrap() else {
        panic!("one price");
    };
    let standard = pro.card.tier(ServiceTier::Standard).unwrap();
    assert_eq!(standard.rates(200_000).input, amount("1.25"));
    assert_eq!(standard.rates(200_001).input, amount("2.5"));

    let [claude] = catalogue.get("anthropic", "claude-sonnet-4-5").unwrap() else {
        panic!("one price");
    };
    let base = claude.card.tier(ServiceTier::Standard).unwrap().base;
    assert_eq!(
        (base.cached_input, base.cache_write, base.cache_write_1h),
        (amount("0.3"), amount("3.75"), amount("6"))
    );
}

#[test]
fn no_listed_cache_is_dearer_to_read_than_a_fresh_prompt_and_nothing_is_free() {
    let catalogue = Catalogue::shipped();
    for (provider, models) in &catalogue.prices {
        for (model, prices) in models {
            for tier in prices.iter().flat_map(|price| &price.card.tiers) {
                let input = tier.base.input.unwrap();
                assert!(
                    tier.base.cached_input.is_none_or(|cached| cached <= input),
                    "{provider} {model}"
                );
                assert!(input > Nanos::ZERO, "{provider} {model}");
                assert!(
                    input < "1000".parse().unwrap(),
                    "{provider} {model}: per million, not per token?"
                );
            }
        }
    }
}

#[test]
fn prices_may_have_dates() {
    let dated = with_prices(
        r#"{"openai": {"m": [{"input": 2.5, "output": 10}, {"since": "2026-11-16", "input": 2, "output": 8}]}}"#,
    );
    let catalogue = Catalogue::parse(&dated).unwrap();
    let since: Vec<_> = catalogue
        .get("openai", "m")
        .unwrap()
        .iter()
        .map(|price| price.since)
        .collect();
    assert_eq!(since, [None, Some(Wall(1_794_787_200_000))]);
}

#[test]
fn what_is_not_understood_refuses_the_file_and_names_the_field() {
    let of = |prices: &str| problem(&with_prices(prices));
    assert_eq!(
        of(r#"{"openai": {"gpt-4o": {"input": 2.5, "outptu": 10}}}"#),
        "prices.openai.gpt-4o: unknown field `outptu`"
    );
    assert_eq!(
        of(r#"{"openai": {"gpt-4o": {"input": 2.5e0}}}"#),
        "prices.openai.gpt-4o.input: is no decimal number, such as `12.50`"
    );
    assert_eq!(
        of(r#"{"openai": {"gpt-4o": {"input": 0.0000000001}}}"#),
        "prices.openai.gpt-4o.input: has more than 9 decimals"
    );
    assert_eq!(
        of(r#"{"openai": {"gpt-4o": {"input": -1}}}"#),
        "prices.openai.gpt-4o.input: below zero"
    );
    assert_eq!(
        of(r#"{"openai": {"gpt-4o": {"output": 1}}}"#),
        "prices.openai.gpt-4o: no `input` rate"
    );
    assert!(
        of(r#"{"openai": {"m": {"input": 1}, "m": {"input": 2}}}"#).contains("`m` is there twice")
    );
    assert!(
        of(r#"{"openai": {"m": {"input": 1, "input": 2}}}"#).contains("`input` is there twice")
    );
    assert_eq!(
        of(r#"{"openai": {"m": {"input": 1, "above": {"many": {"input": 2}}}}}"#),
        "prices.openai.m.above.many: not a number of prompt tokens"
    );
    assert!(
        of(r#"{"openai": {"m": [{"input": 1}, {"input": 2}]}}"#)
            .contains("two prices of the same date")
    );
    assert!(
        of(r#"{"openai": {"m": [{"input": 1, "since": "yesterday"}]}}"#)
            .starts_with("prices.openai.m[0].since: ")
    );
    assert!(problem("nothing").starts_with("the file: not JSON"));
    assert!(problem("[]").starts_with("the file: "));
    assert_eq!(problem("{}"), "the file: `format` is missing");
    assert!(problem(r#"{"format": 2}"#).contains("does not know"));
}
