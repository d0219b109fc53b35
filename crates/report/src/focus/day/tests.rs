use domain::usage::ServiceTier;
use proptest::prelude::*;

use super::super::Documents;
use super::*;

const TEXT: &str = r#"{
    "charged_in": "EUR", "currency": "USD",
    "exchange_rate": { "from": "USD", "rate": "0.917", "since": null },
    "percentages": [{ "factor": "0.85", "scope": "subscription" }],
    "rates": {
        "batch": { "input_per_million": "1.25", "output_per_million": "5" },
        "standard": {
            "input_per_million": "2.5", "cached_input_per_million": "1.25",
            "output_per_million": "10", "reasoning_per_million": "12",
            "audio_input_per_million": "40", "audio_output_per_million": "80", "per_image": "0.04",
            "long_context": [{ "above_prompt_tokens": 1000, "input_per_million": "5" }]
        }
    },
    "scope": "catalogue", "source": "catalogue"
}"#;

fn euro() -> Currency {
    "EUR".parse().unwrap()
}

fn documents() -> Documents {
    Documents::new([("p1".to_owned(), TEXT.to_owned())])
}

fn call(usage: Usage, amount: i64) -> Call {
    Call {
        group: Group {
            subscription: "search".to_owned(),
            product: "standard".to_owned(),
            application: None,
            model: "gpt-4o".to_owned(),
            asked_model: None,
            backend: Some("eastus".to_owned()),
        },
        usage,
        is_estimated: false,
        cost: Some(Cost {
            amount: Nanos(amount),
            currency: euro(),
            price: "p1".to_owned(),
        }),
        saved: Nanos::ZERO,
        is_sum: false,
    }
}

fn usage(prompt: u64, completion: u64) -> Usage {
    Usage {
        prompt,
        completion,
        ..Usage::default()
    }
}

/// What the price makes of it, by hand: rates times 0.917 times 0.85, rounded half up once.
fn amount(usage: &Usage) -> i64 {
    let document = documents().get("p1").unwrap().unwrap().clone();
    let items = document.items(usage).unwrap();
    let exact: Decimal = items
        .iter()
        .map(|item| {
            meter(item.kind)
                .pricing_quantity(item.count)
                .times(item.prices.billing.contracted)
        })
        .sum();
    let half = Decimal::new(5, 10).unwrap();
    (exact + half).whole_nanos().0
}

fn charges(calls: &[Call]) -> Vec<Charge> {
    let mut documents = documents();
    let mut day = Day::new(euro());
    for call in calls {
        let price = call.cost.as_ref().map(|cost| cost.price.clone());
        let document = price.and_then(|price| documents.get(&price).unwrap());
        day.add(call, document).unwrap();
    }
    let span = Span {
        start: domain::Wall(0),
        end: domain::Wall(1),
    };
    day.into_charges(span, span, &Directory::default())
        .collect()
}

#[test]
fn kinds_are_rows_of_their_own_and_add_up_to_what_was_charged() {
    let usage = Usage {
        cached_prompt: 400,
        reasoning: 5,
        ..usage(1_000, 20)
    };
    let mut one = call(usage, amount(&usage));
    one.saved = Nanos(390);
    let charges = charges(&[one.clone(), one]);
    let rows: Vec<_> = charges
        .iter()
        .map(|charge| (charge.meter, charge.quantity, charge.saved.0))
        .collect();
    assert_eq!(
        rows,
        [
            (Meter::Input, 1_200, 0),
            (Meter::CachedInput, 800, 780),
            (Meter::Output, 30, 0),
            (Meter::Reasoning, 10, 0),
        ]
    );
    let billed: i64 = charges.iter().map(|charge| charge.billed.0).sum();
    assert_eq!(billed, 2 * amount(&usage));
    let input = charges[0].prices.unwrap().billing;
    assert_eq!(input.list.to_string(), "2.2925");
    assert_eq!(input.contracted.to_string(), "1.948625");
}

#[test]
fn long_prompts_and_tiers_are_rows_of_their_own() {
    let batch = Usage {
        tier: ServiceTier::Batch,
        ..usage(10, 0)
    };
    let calls = [usage(10, 0), usage(2_000, 0), batch].map(|usage| call(usage, amount(&usage)));
    let charges = charges(&calls);
    let ids: Vec<String> = charges.iter().map(Charge::sku_price_id).collect();
    assert_eq!(
        ids,
        [
            "gpt-4o/input/batch",
            "gpt-4o/input/standard",
            "gpt-4o/input/standard-above-1000"
        ]
    );
    assert!(
        charges
            .iter()
            .all(|charge| charge.sku_id() == "gpt-4o/input")
    );
}

#[test]
fn what_was_charged_by_other_rates_is_one_row_at_its_average_price() {
    let interrupted = call(usage(100, 20), 1_000_000);
    let mut sums = call(usage(5_000, 1_000), 3_000_000);
    sums.is_sum = true;
    let charges = charges(&[interrupted, sums]);
    assert_eq!(charges.len(), 1);
    let charge = &charges[0];
    assert_eq!((charge.meter, charge.quantity), (Meter::Tokens, 6_120));
    assert_eq!(charge.billed, Nanos(4_000_000));
    let price = charge.prices.unwrap().billing.contracted;
    let cost = price.times(charge.meter.pricing_quantity(charge.quantity));
    assert!((cost - charge.billed.into()).abs() < Decimal::new(1, 12).unwrap());
}

#[test]
fn calls_without_a_price_are_counted_and_their_tokens_shown() {
    let mut unpriced = call(usage(100, 20), 0);
    unpriced.cost = None;
    unpriced.is_estimated = true;
    let mut day = Day::new(euro());
    day.add(&unpriced, None).unwrap();
    assert_eq!(day.unpriced_calls(), 1);
    let charges = charges(&[unpriced]);
    let rows: Vec<_> = charges
        .iter()
        .map(|charge| {
            (
                charge.meter,
                charge.quantity,
                charge.estimated,
                charge.prices,
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            (Meter::Input, 100, 100, None),
            (Meter::Output, 20, 20, None)
        ]
    );
}

prop_compose! {
    fn any_usage()(
        prompt in 0_u64..3_000, completion in 0_u64..1_000, cached_prompt in 0_u64..3_000,
        reasoning in 0_u64..600, audio_prompt in 0_u64..600, audio_completion in 0_u64..600, images in 0_u64..3,
    ) -> Usage {
        Usage { prompt, completion, cached_prompt, reasoning, audio_prompt, audio_completion, images, ..Usage::default() }
    }
}

proptest! {
    #[test]
    fn the_rows_of_a_day_are_worth_what_its_calls_were_charged(
        calls in prop::collection::vec((any_usage(), 0_i64..10, any::<bool>()), 1..20)
    ) {
        let calls: Vec<Call> = calls
            .into_iter()
            .filter(|(usage, ..)| !usage.is_nothing())
            .map(|(usage, off, is_odd)| call(usage, amount(&usage) + if is_odd { off * 1_000 } else { 0 }))
            .collect();
        let charged: i64 = calls.iter().map(|call| call.cost.as_ref().unwrap().amount.0).sum();
        let used: u64 = calls.iter().map(|call| call.usage.total()).sum();
        let charges = charges(&calls);
        prop_assert_eq!(charges.iter().map(|charge| charge.billed.0).sum::<i64>(), charged);
        let tokens: u64 = charges.iter().filter(|charge| charge.meter != Meter::Image).map(|charge| charge.quantity).sum();
        prop_assert_eq!(tokens, used);
        for charge in charges.iter().filter(|charge| charge.meter != Meter::Tokens) {
            // Only rounding lies between what is charged and price times quantity.
            let cost = charge.prices.unwrap().billing.contracted.times(charge.meter.pricing_quantity(charge.quantity));
            let off = (cost - charge.billed.into()).abs();
            prop_assert!(off <= Decimal::new(1, 9).unwrap().times(Decimal::whole(5 * calls.len() as u64)), "{off}");
        }
    }
}
