//! A worked month: what a recorded mix of calls costs, against a calculation of its own.
//!
//! November 2026 in Berlin, in euros. `search` calls gpt-4o at a backend with a negotiated discount,
//! through a product that marks it up; at midnight of the 16th, Berlin's, the list price falls and
//! the exchange rate changes. `legal` pays a negotiated price. Long prompts go to gemini-2.5-pro, and
//! embeddings have a price of their own; Anthropic's model writes its cache for minutes and an hour.

use super::fraction::Fraction;
use super::*;

const ZONE: &str = "Europe/Berlin";

/// One call of the month, as a record has it, and what it must cost by hand.
struct Call {
    at: Wall,
    model: &'static str,
    subscription: &'static str,
    usage: Usage,
    expected: Fraction,
}

fn entry(origin: &str, since: Option<Wall>, currency: &str, card: RateCard) -> Entry {
    Entry {
        origin: origin.into(),
        written: "tollgate.yaml:1".into(),
        models: None,
        since,
        until: None,
        term: Term::Rates {
            card: Arc::new(card),
            currency: currency.parse().unwrap(),
        },
    }
}

fn november() -> Book {
    let change = midnight(2026, 11, 16, ZONE);
    let backend = BackendId::from("eastus");
    let of = |model: &str| (ModelName::from(model), backend.clone());
    let cheaper = Rates {
        input: per_million("2"),
        cached_input: per_million("0.5"),
        output: per_million("8"),
        ..Rates::default()
    };
    let gemini = RateCard {
        tiers: vec![
            TierRates {
                tier: ServiceTier::Standard,
                base: Rates {
                    input: per_million("1.25"),
                    cached_input: per_million("0.125"),
                    output: per_million("10"),
                    ..Rates::default()
                },
                steps: vec![LongContext {
                    above_prompt_tokens: 200_000,
                    rates: Rates {
                        input: per_million("2.5"),
                        cached_input: per_million("0.25"),
                        output: per_million("15"),
                        ..Rates::default()
                    },
                }],
            },
            TierRates {
                tier: ServiceTier::Flex,
                base: Rates {
                    input: per_million("0.625"),
                    output: per_million("5"),
                    ..Rates::default()
                },
                steps: Vec::new(),
            },
        ],
    };
    let claude = Rates {
        input: per_million("3"),
        cached_input: per_million("0.3"),
        cache_write: per_million("3.75"),
        cache_write_1h: per_million("6"),
        output: per_million("15"),
        ..Rates::default()
    };
    let embedding = Rates {
        input: per_million("0.0375"),
        ..Rates::default()
    };
    let reasoning = Rates {
        input: per_million("1.1"),
        output: per_million("4.4"),
        reasoning: per_million("6.6"),
        ..Rates::default()
    };
    let catalogue = HashMap::from([
        (
            of("gpt-4o"),
            vec![
                entry("catalogue", None, "USD", RateCard::standard(gpt_4o())),
                entry(
                    "catalogue, new",
                    Some(change),
                    "USD",
                    RateCard::standard(cheaper),
                ),
            ],
        ),
        (
            of("gemini-2.5-pro"),
            vec![entry("catalogue", None, "USD", gemini)],
        ),
        (
            of("claude"),
            vec![entry("catalogue", None, "USD", RateCard::standard(claude))],
        ),
        (
            of("embed"),
            vec![entry(
                "catalogue",
                None,
                "USD",
                RateCard::standard(embedding),
            )],
        ),
        (
            of("thinker"),
            vec![entry(
                "catalogue",
                None,
                "USD",
                RateCard::standard(reasoning),
            )],
        ),
    ]);
    let negotiated = Rates {
        input: per_million("1.90"),
        cached_input: per_million("0.95"),
        output: per_million("7.777777777"),
        ..Rates::default()
    };
    let negotiated = Entry {
        models: Some(vec!["gpt-4o".into()]),
        ..entry("legal's", None, "EUR", RateCard::standard(negotiated))
    };
    let rate = |rate: &str, since| ExchangeRate {
        written: "tollgate.yaml:1".into(),
        from: Currency::USD,
        to: "EUR".parse().unwrap(),
        rate: Factor::exchange_rate(rate).unwrap(),
        since: Some(since),
    };
    Book {
        exchange_rates: vec![
            rate("0.9213", midnight(2026, 1, 1, ZONE)),
            rate("0.8971", change),
        ],
        catalogue,
        backends: HashMap::from([(
            backend,
            vec![percent("agreement", Factor::discount("12").unwrap())],
        )]),
        products: HashMap::from([(
            "standard".into(),
            vec![percent("platform's share", Factor::mark_up("7.5").unwrap())],
        )]),
        subscriptions: HashMap::from([("legal".into(), vec![negotiated])]),
        ..Book::default()
    }
}

/// 500 calls over the month. The amounts come from a generator, so that each kind has many sizes;
/// what each costs is written out once more, with fractions.
fn calls() -> Vec<Call> {
    let start = midnight(2026, 11, 1, ZONE);
    let change = midnight(2026, 11, 16, ZONE);
    let end = midnight(2026, 12, 1, ZONE);
    let mut state = 7_u64;
    let mut up_to = move |bound: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let exact = Fraction::decimal;
    let tokens = Fraction::whole;
    let millionth = Fraction::of(1, 1_000_000);
    (0..500)
        .map(|index| {
            let at = match index {
                // The last and the first instant of either price.
                0 => Wall(change.0 - 1),
                1 => change,
                _ => Wall(start.0 + up_to((end.0 - start.0) as u64) as i64),
            };
            let new = at >= change;
            let to_eur = if new {
                exact("0.8971")
            } else {
                exact("0.9213")
            };
            let list = exact("0.88") * exact("1.075") * to_eur * millionth;
            let (model, subscription, usage, expected) = match index % 7 {
                // Cached prompts; 0 and 1 are among them.
                0 | 1 => {
                    let (prompt, completion) = (1 + up_to(100_000), up_to(8_000));
                    let cached_prompt = up_to(prompt + 1);
                    let [input, cached, output] = if new {
                        ["2", "0.5", "8"].map(exact)
                    } else {
                        ["2.5", "1.25", "10"].map(exact)
                    };
                    let sum = tokens(prompt - cached_prompt) * input
                        + tokens(cached_prompt) * cached
                        + tokens(completion) * output;
                    let usage = Usage {
                        cached_prompt,
                        ..super::tokens(prompt, completion)
                    };
                    ("gpt-4o", "search", usage, sum * list)
                }
                // A negotiated price in euros: no list price, no percentage, no exchange rate.
                2 => {
                    let (prompt, completion) = (up_to(100_000), 1 + up_to(8_000));
                    let sum =
                        tokens(prompt) * exact("1.9") + tokens(completion) * exact("7.777777777");
                    let usage = super::tokens(prompt, completion);
                    ("gpt-4o", "legal", usage, sum * millionth)
                }
                // Long context on both sides of the threshold.
                3 => {
                    let (prompt, completion) = (199_000 + up_to(2_001), up_to(20_000));
                    let [input, output] = if prompt > 200_000 {
                        ["2.5", "15"].map(exact)
                    } else {
                        ["1.25", "10"].map(exact)
                    };
                    let sum = tokens(prompt) * input + tokens(completion) * output;
                    let usage = super::tokens(prompt, completion);
                    ("gemini-2.5-pro", "search", usage, sum * list)
                }
                // The flex tier has no step.
                4 => {
                    let (prompt, completion) = (199_000 + up_to(2_001), up_to(20_000));
                    let sum = tokens(prompt) * exact("0.625") + tokens(completion) * exact("5");
                    let usage = Usage {
                        tier: ServiceTier::Flex,
                        ..super::tokens(prompt, completion)
                    };
                    ("gemini-2.5-pro", "search", usage, sum * list)
                }
                // Cache writes for five minutes and for an hour; reasoning at a rate of its own.
                5 if index % 2 == 0 => {
                    let (text, cached, short, hour) =
                        (up_to(5_000), up_to(5_000), up_to(5_000), up_to(5_000));
                    let completion = up_to(4_000);
                    let sum = tokens(text) * exact("3")
                        + tokens(cached) * exact("0.3")
                        + tokens(short) * exact("3.75")
                        + tokens(hour) * exact("6")
                        + tokens(completion) * exact("15");
                    let usage = Usage {
                        cached_prompt: cached,
                        cache_write: short + hour,
                        cache_write_1h: hour,
                        ..super::tokens(text + cached + short + hour, completion)
                    };
                    ("claude", "search", usage, sum * list)
                }
                5 => {
                    let (prompt, said, reasoning) = (up_to(9_000), up_to(900), up_to(30_000));
                    let sum = tokens(prompt) * exact("1.1")
                        + tokens(said) * exact("4.4")
                        + tokens(reasoning) * exact("6.6");
                    let usage = Usage {
                        reasoning,
                        ..super::tokens(prompt, said + reasoning)
                    };
                    ("thinker", "search", usage, sum * list)
                }
                // Embeddings of a few tokens: where a rounding that is not stated would show.
                _ => {
                    let prompt = 1 + up_to(12);
                    let sum = tokens(prompt) * exact("0.0375");
                    ("embed", "search", super::tokens(prompt, 0), sum * list)
                }
            };
            Call {
                at,
                model,
                subscription,
                usage,
                expected,
            }
        })
        .collect()
}

#[test]
fn a_worked_month_costs_what_exact_fractions_say_to_the_nano() {
    let book = november();
    let mut schedules: HashMap<(&str, &str), Schedule> = HashMap::new();
    let (mut billed, mut expected) = (0_i128, 0_i128);
    for call in calls() {
        let schedule = schedules
            .entry((call.model, call.subscription))
            .or_insert_with(|| {
                let question = Question {
                    model: &call.model.into(),
                    backend: &"eastus".into(),
                    product: Some(&"standard".into()),
                    subscription: Some(&call.subscription.into()),
                    currency: "EUR".parse().unwrap(),
                };
                book.schedule(&question, &mut named)
            });
        let price = schedule.at(call.at).expect("a price");
        let bill = price.bill(&call.usage).expect("every kind has a rate");
        let by_hand = call.expected.nanos();
        assert_eq!(
            i128::from(bill.amount.0),
            by_hand,
            "{} {:?}",
            call.model,
            call.usage
        );
        billed += i128::from(bill.amount.0);
        expected += by_hand;
    }
    assert_eq!(billed, expected);
    assert!(
        billed > 50 * 1_000_000_000,
        "a month worth the name: {billed}"
    );
}

#[test]
fn the_price_changes_at_the_zones_midnight_and_not_at_utcs() {
    let book = november();
    let asked = asked();
    let question = asked.of("EUR");
    let schedule = book.schedule(&question, &mut named);
    let million = super::tokens(1_000_000, 0);
    let amount = |at: &str| {
        let at: jiff::Timestamp = at.parse().unwrap();
        let price = schedule.at(Wall(at.as_millisecond())).unwrap();
        price.bill(&million).unwrap().amount.to_string()
    };
    // 2.5 x 0.88 x 1.075 x 0.9213, then 2 x 0.88 x 1.075 x 0.8971.
    assert_eq!(amount("2026-11-15T22:59:59.999Z"), "2.1788745");
    assert_eq!(amount("2026-11-15T23:00:00Z"), "1.6973132");
}
