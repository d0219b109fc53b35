//! A worked month against exact fractions, and the rules by which a price is chosen.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::civil::date;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::book::{Book, Entry, ExchangeRate, Level, PassedOver, Question, Term};
use super::*;
use crate::ids::{BackendId, ModelName, ProductId, SubscriptionId};
use crate::time::Wall;

mod fraction;
mod month;

/// `2.50` units per million tokens.
fn per_million(text: &str) -> Option<Nanos> {
    Some(text.parse().expect("a rate"))
}

fn gpt_4o() -> Rates {
    Rates {
        input: per_million("2.50"),
        cached_input: per_million("1.25"),
        output: per_million("10"),
        ..Rates::default()
    }
}

fn price(card: RateCard) -> Price {
    Price {
        id: PriceId::from("p"),
        text: "{}".into(),
        card: Arc::new(card),
        factor: Factor::ONE,
        currency: Currency::USD,
    }
}

fn tokens(prompt: u64, completion: u64) -> Usage {
    Usage {
        prompt,
        completion,
        ..Usage::default()
    }
}

#[test]
fn cached_tokens_cost_their_own_rate_and_say_what_they_saved() {
    let usage = Usage {
        cached_prompt: 600,
        ..tokens(1000, 100)
    };
    let bill = price(RateCard::standard(gpt_4o())).bill(&usage).unwrap();
    // 400 x 2.50 + 600 x 1.25 + 100 x 10 = 2750 millionths of a dollar.
    assert_eq!(bill.amount, Nanos(2_750_000));
    assert_eq!(bill.saved, Nanos(750_000));
}

#[test]
fn a_rate_of_a_fraction_of_a_cent_is_exact() {
    let rates = Rates {
        input: per_million("0.0375"),
        output: per_million("0.15"),
        ..Rates::default()
    };
    let price = price(RateCard::standard(rates));
    assert_eq!(
        price.bill(&tokens(1, 0)).unwrap().amount,
        Nanos(38),
        "37.5, half up"
    );
    assert_eq!(price.bill(&tokens(2, 0)).unwrap().amount, Nanos(75));
    let million = tokens(1_000_000, 1_000_000);
    assert_eq!(
        price.bill(&million).unwrap().amount,
        "0.1875".parse().unwrap()
    );
}

#[test]
fn what_has_no_rate_of_its_own_costs_the_full_rate_and_audio_is_never_guessed() {
    let rates = Rates {
        input: per_million("2"),
        output: per_million("8"),
        ..Rates::default()
    };
    let price = price(RateCard::standard(rates));
    let usage = Usage {
        cached_prompt: 300,
        cache_write: 200,
        cache_write_1h: 50,
        reasoning: 60,
        ..tokens(1000, 100)
    };
    let bill = price.bill(&usage).unwrap();
    assert_eq!(bill.amount, price.bill(&tokens(1000, 100)).unwrap().amount);
    assert_eq!(bill.saved, Nanos::ZERO);
    let spoken = Usage {
        audio_prompt: 1,
        ..tokens(1000, 100)
    };
    assert_eq!(price.bill(&spoken), None);
    assert_eq!(price.cost(&spoken), (Cost::Unpriced, Nanos::ZERO));
    let drawn = Usage {
        images: 1,
        ..tokens(10, 0)
    };
    assert_eq!(price.bill(&drawn), None);
}

#[test]
fn nothing_used_is_nothing_owed_whatever_the_tier() {
    let usage = Usage {
        tier: ServiceTier::Flex,
        ..Usage::default()
    };
    let (cost, _) = price(RateCard::standard(gpt_4o())).cost(&usage);
    assert_eq!(cost, Cost::Nothing);
}

#[test]
fn a_tier_without_rates_is_unpriced_not_cheap() {
    let card = RateCard {
        tiers: vec![
            TierRates {
                tier: ServiceTier::Standard,
                base: gpt_4o(),
                steps: Vec::new(),
            },
            TierRates {
                tier: ServiceTier::Flex,
                base: Rates {
                    input: per_million("1.25"),
                    output: per_million("5"),
                    ..Rates::default()
                },
                steps: Vec::new(),
            },
        ],
    };
    let price = price(card);
    let at = |tier| {
        price.bill(&Usage {
            tier,
            ..tokens(1000, 100)
        })
    };
    assert_eq!(at(ServiceTier::Standard).unwrap().amount, Nanos(3_500_000));
    assert_eq!(at(ServiceTier::Flex).unwrap().amount, Nanos(1_750_000));
    assert_eq!(at(ServiceTier::Priority), None);
}

#[test]
fn a_prompt_past_the_threshold_makes_the_whole_call_dearer() {
    let long = LongContext {
        above_prompt_tokens: 200_000,
        rates: Rates {
            input: per_million("2.50"),
            output: per_million("15"),
            ..Rates::default()
        },
    };
    let base = Rates {
        input: per_million("1.25"),
        cached_input: per_million("0.125"),
        output: per_million("10"),
        ..Rates::default()
    };
    let tier = ServiceTier::Standard;
    let steps = vec![long];
    let price = price(RateCard {
        tiers: vec![TierRates { tier, base, steps }],
    });
    let amount = |usage| price.bill(&usage).unwrap().amount.to_string();
    assert_eq!(amount(tokens(200_000, 1000)), "0.26");
    assert_eq!(amount(tokens(200_001, 1000)), "0.5150025");
    let cached = Usage {
        cached_prompt: 200_000,
        ..tokens(300_000, 0)
    };
    assert_eq!(
        amount(cached),
        "0.275",
        "the cached rate is that of shorter prompts"
    );
}

#[test]
fn overlapping_details_never_pay_for_a_token_twice() {
    let rates = Rates {
        cache_write: per_million("3"),
        audio_input: per_million("40"),
        audio_output: per_million("80"),
        reasoning: per_million("10"),
        ..gpt_4o()
    };
    let usage = Usage {
        cached_prompt: 900,
        cache_write: 900,
        audio_prompt: 900,
        audio_completion: 90,
        reasoning: 90,
        ..tokens(1000, 100)
    };
    let bill = price(RateCard::standard(rates)).bill(&usage).unwrap();
    // 900 cached, 100 written; 90 spoken, 10 reasoned.
    assert_eq!(
        bill.amount,
        Nanos(900 * 1250 + 100 * 3000 + 90 * 80_000 + 10 * 10_000)
    );
}

#[test]
fn absurd_usage_saturates_instead_of_wrapping() {
    let rates = Rates {
        image: Some(Nanos(i64::MAX)),
        ..gpt_4o()
    };
    let usage = Usage {
        images: u64::MAX,
        ..tokens(u64::MAX, u64::MAX)
    };
    let bill = price(RateCard::standard(rates)).bill(&usage).unwrap();
    assert_eq!(bill.amount, Nanos(i64::MAX));
}

// Which price applies.

const MODEL: &str = "gpt-4o";
const EUR: &str = "EUR";

fn rates_entry(origin: &str, models: Option<&[&str]>, input: &str) -> Entry {
    let rates = Rates {
        input: per_million(input),
        output: per_million("10"),
        ..Rates::default()
    };
    Entry {
        origin: origin.into(),
        written: "tollgate.yaml:1".into(),
        models: models.map(|models| models.iter().map(|model| ModelName::from(*model)).collect()),
        since: None,
        until: None,
        term: Term::Rates {
            card: Arc::new(RateCard::standard(rates)),
            currency: Currency::USD,
        },
    }
}

fn percent(origin: &str, factor: Factor) -> Entry {
    Entry {
        term: Term::Percent(factor),
        ..rates_entry(origin, None, "1")
    }
}

struct Asked {
    model: ModelName,
    backend: BackendId,
    product: ProductId,
    subscription: SubscriptionId,
}

fn asked() -> Asked {
    Asked {
        model: MODEL.into(),
        backend: "eastus".into(),
        product: "standard".into(),
        subscription: "search".into(),
    }
}

impl Asked {
    fn of(&self, currency: &str) -> Question<'_> {
        Question {
            model: &self.model,
            backend: &self.backend,
            product: Some(&self.product),
            subscription: Some(&self.subscription),
            currency: currency.parse().expect("a currency"),
        }
    }
}

/// By what was chosen and what it is multiplied by.
fn named(answer: &book::Answer<'_>) -> Option<Arc<Price>> {
    let name = |answer: &book::Answer<'_>| {
        let id = format!("{:?} x {}", answer.chosen, answer.factor());
        (PriceId(id.into()), "{}".into())
    };
    answer.price(name).map(Arc::new)
}

/// A catalogue's price, and nothing else.
fn book() -> Book {
    Book {
        catalogue: HashMap::from([(
            (MODEL.into(), "eastus".into()),
            vec![rates_entry("catalogue", None, "2.5")],
        )]),
        ..Book::default()
    }
}

fn chosen(book: &Book, at: Wall) -> (&str, String) {
    let answer = book.answer(&asked().of("USD"), at);
    let (_, entry) = answer.chosen.expect("a price");
    (&*entry.origin, answer.factor().to_string())
}

#[test]
fn the_narrowest_price_wins_and_only_percentages_not_wider_than_it_apply() {
    let mut book = book();
    book.backends.insert(
        "eastus".into(),
        vec![percent("backend", Factor::discount("12").unwrap())],
    );
    book.products.insert(
        "standard".into(),
        vec![percent("product", Factor::mark_up("15").unwrap())],
    );
    assert_eq!(chosen(&book, Wall(0)), ("catalogue", "1.012".to_owned()));

    book.products
        .entry("standard".into())
        .or_default()
        .push(rates_entry("negotiated", Some(&[MODEL]), "2"));
    assert_eq!(
        chosen(&book, Wall(0)),
        ("negotiated", "1.15".to_owned()),
        "the backend's discount is on what the backend costs"
    );
    let asked = asked();
    let answer = book.answer(&asked.of("USD"), Wall(0));
    let why: Vec<_> = answer
        .passed_over
        .iter()
        .map(|(level, entry, why)| (*level, &*entry.origin, *why))
        .collect();
    assert_eq!(
        why,
        [
            (Level::Catalogue, "catalogue", PassedOver::Narrower),
            (Level::Backend, "backend", PassedOver::PriceIsNarrower)
        ]
    );

    book.subscriptions
        .insert("search".into(), vec![rates_entry("team", None, "1")]);
    assert_eq!(chosen(&book, Wall(0)), ("team", "1".to_owned()));
}

#[test]
fn within_a_scope_the_entry_that_names_the_model_wins_then_the_latest() {
    let mut book = book();
    let dated = |origin, models, since| Entry {
        since: Some(Wall(since)),
        ..rates_entry(origin, models, "2")
    };
    book.models.insert(
        MODEL.into(),
        vec![
            dated("all since 300", None, 300),
            dated("named since 100", Some(&[MODEL][..]), 100),
            dated("named since 200", Some(&[MODEL][..]), 200),
            Entry {
                until: Some(Wall(160)),
                ..dated("an offer", Some(&[MODEL][..]), 150)
            },
        ],
    );
    let origin = |at| chosen(&book, Wall(at)).0;
    assert_eq!(origin(99), "catalogue");
    assert_eq!(origin(100), "named since 100");
    assert_eq!(origin(150), "an offer");
    assert_eq!(origin(160), "named since 100");
    assert_eq!(origin(200), "named since 200");
    assert_eq!(origin(301), "named since 200");
    let asked = asked();
    let answer = book.answer(&asked.of("USD"), Wall(301));
    let of = |origin: &str| {
        let found = answer
            .passed_over
            .iter()
            .find(|(_, entry, _)| &*entry.origin == origin);
        found.map(|(.., why)| *why)
    };
    assert_eq!(of("all since 300"), Some(PassedOver::LessSpecific));
    assert_eq!(of("an offer"), Some(PassedOver::NoLonger));
}

#[test]
fn without_an_exchange_rate_in_effect_there_is_no_price() {
    let mut book = book();
    let rate = |rate: &str, since| ExchangeRate {
        written: "tollgate.yaml:1".into(),
        from: Currency::USD,
        to: EUR.parse().unwrap(),
        rate: Factor::exchange_rate(rate).unwrap(),
        since: Some(Wall(since)),
    };
    book.exchange_rates = vec![rate("0.92", 100), rate("0.95", 200)];
    let asked = asked();
    let question = asked.of(EUR);
    let schedule = book.schedule(&question, &mut named);
    assert_eq!(schedule.at(Wall(99)), None);
    let factor = |at| schedule.at(Wall(at)).unwrap().factor.to_string();
    assert_eq!(
        (factor(100), factor(199)),
        ("0.92".to_owned(), "0.92".to_owned())
    );
    assert_eq!(factor(200), "0.95");
    assert_eq!(schedule.gap_from(Wall(0)), Some(Wall(0)));
    assert_eq!(schedule.gap_from(Wall(100)), None);
    assert_eq!(schedule.prices().count(), 2);
}

#[test]
fn a_provisioned_deployment_costs_nothing_by_the_call() {
    let mut book = book();
    let provisioned = Entry {
        term: Term::Provisioned,
        ..rates_entry("provisioned", None, "1")
    };
    book.backends.insert("eastus".into(), vec![provisioned]);
    let asked = asked();
    let answer = book.answer(&asked.of(EUR), Wall(0));
    let price = named(&answer).expect("no rate is needed for nothing");
    let usage = Usage {
        tier: ServiceTier::Priority,
        audio_prompt: 5,
        images: 1,
        ..tokens(1000, 100)
    };
    assert_eq!(price.bill(&usage), Some(Bill::default()));
}

// What is reserved.

fn list(prices: Vec<(&str, Price)>) -> PriceList {
    let members = prices
        .into_iter()
        .map(|(backend, price)| (backend.into(), Schedule::always(price)))
        .collect();
    PriceList { members }
}

#[test]
fn a_ceiling_is_that_of_the_dearest_member_and_a_member_without_price_is_named() {
    let cheap = price(RateCard::standard(gpt_4o()));
    let dear = Price {
        id: PriceId::from("dear"),
        factor: Factor::mark_up("900").unwrap(),
        ..cheap.clone()
    };
    let mut list = list(vec![("a", cheap), ("b", dear)]);
    let ceiling = list.ceiling(Wall(0), &Ask::default()).unwrap();
    assert_eq!(ceiling.prompt_per_million, "25".parse().unwrap());
    assert_eq!(ceiling.completion_per_million, "100".parse().unwrap());
    assert_eq!(ceiling.price.id, PriceId::from("dear"));
    list.members.push(("c".into(), Schedule::default()));
    assert_eq!(list.ceiling(Wall(0), &Ask::default()), Err("c".into()));
}

fn any_rate() -> impl Strategy<Value = Option<Nanos>> {
    prop::option::weighted(0.7, (0_i64..50_000_000_000).prop_map(Nanos))
}

prop_compose! {
    fn any_rates()(
        input in 0_i64..50_000_000_000, output in 0_i64..50_000_000_000,
        cached_input in any_rate(), cache_write in any_rate(), cache_write_1h in any_rate(),
        reasoning in any_rate(), audio_input in any_rate(), audio_output in any_rate(),
    ) -> Rates {
        Rates { input: Some(Nanos(input)), cached_input, cache_write, cache_write_1h, output: Some(Nanos(output)),
            reasoning, audio_input, audio_output, image: None }
    }
}

prop_compose! {
    fn any_usage()(
        prompt in 0_u64..400_000, completion in 0_u64..100_000,
        cached_prompt in 0_u64..400_000, cache_write in 0_u64..400_000, cache_write_1h in 0_u64..400_000,
        reasoning in 0_u64..100_000, audio_prompt in 0_u64..1_000, audio_completion in 0_u64..1_000,
    ) -> Usage {
        Usage { tier: ServiceTier::Standard, prompt, completion, cached_prompt, cache_write, cache_write_1h, reasoning,
            audio_prompt, audio_completion, images: 0 }
    }
}

proptest! {
    #[test]
    fn no_call_costs_more_than_its_ceiling(base in any_rates(), long in any_rates(), usage in any_usage(), cents in 1_u32..500) {
        let steps = vec![LongContext { above_prompt_tokens: 200_000, rates: long }];
        let price = Price {
            factor: Factor::exchange_rate(&format!("{}.{:02}", cents / 100, cents % 100)).unwrap(),
            ..price(RateCard { tiers: vec![TierRates { tier: ServiceTier::Standard, base, steps }] })
        };
        let ask = Ask { prompt_tokens: usage.prompt, writes_cache: true, has_audio: true, ..Ask::default() };
        let price = Arc::new(price);
            let ceiling = price.ceiling(&ask).unwrap();
        if let Some(bill) = price.bill(&usage) {
            let bound = ceiling.opening().cost(usage.prompt, usage.completion).amount();
            prop_assert!(bill.amount <= bound, "{:?} > {:?}", bill.amount, bound);
            prop_assert!(bill.saved >= Nanos::ZERO);
        }
    }

    #[test]
    fn a_schedule_says_at_every_time_what_the_book_says(
        entries in prop::collection::vec((0_i64..50, prop::option::of(0_i64..50), any::<bool>(), 1_u32..99), 0..8),
        at in -5_i64..60,
    ) {
        let mut book = book();
        let entries = entries.into_iter().map(|(since, until, named, input)| Entry {
            since: Some(Wall(since)),
            until: until.map(Wall),
            ..rates_entry("x", named.then_some(&[MODEL][..]), &input.to_string())
        });
        book.models.insert(MODEL.into(), entries.collect());
        let asked = asked();
        let question = asked.of("USD");
        let schedule = book.schedule(&question, &mut named);
        let answer = named(&book.answer(&question, Wall(at)));
        prop_assert_eq!(schedule.at(Wall(at)), answer.as_ref());
    }
}

fn midnight(year: i16, month: i8, day: i8, zone: &str) -> Wall {
    let zone = TimeZone::get(zone).expect("a zone");
    let start = date(year, month, day).to_zoned(zone).expect("a midnight");
    Wall(start.timestamp().as_millisecond())
}

#[test]
fn a_call_that_was_spared_saved_what_it_costs_where_it_costs_least() {
    let at = |price: Option<Price>| {
        let from_the_start = [(Wall(i64::MIN), price.map(Arc::new))];
        super::list::Schedule::new(from_the_start)
    };
    let dear = Price {
        id: PriceId::from("dear"),
        factor: Factor::ONE,
        ..price(RateCard::standard(Rates {
            output: per_million("20"),
            ..gpt_4o()
        }))
    };
    let cheap = price(RateCard::standard(gpt_4o()));
    let prices = list::PriceList {
        members: [Some(dear), None, Some(cheap)]
            .into_iter()
            .zip(["a", "b", "c"])
            .map(|(price, backend)| (BackendId::from(backend), at(price)))
            .collect(),
    };
    let (cost, saved) = prices.spared(Wall(0), &tokens(1000, 100));
    assert_eq!(saved, Nanos(3_500_000));
    let free = Cost::Priced {
        amount: Nanos::ZERO,
        currency: Currency::USD,
        price: PriceId::from("p"),
    };
    assert_eq!(cost, free);
    let unpriced = list::PriceList::default();
    let nothing = (Cost::Nothing, Nanos::ZERO);
    assert_eq!(unpriced.spared(Wall(0), &tokens(1000, 100)), nothing);
}
