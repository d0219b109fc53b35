//! Calls for tests.

use std::time::Duration;

use domain::record::{
    AttemptFailure, AttemptRecord, CacheOutcome, CallRecord, Charge, ChargeUnit, Content, Cost,
    Opening, OpeningPrice, Outcome, PriceId, Ruling, Verdict, Who,
};
use domain::{
    BackendId, CallId, Currency, LimitId, Metered, Mono, Nanos, Now, ServiceTier, Usage, Wall,
};
use proptest::prelude::*;

/// 2026-11-22 12:00 UTC.
pub(super) const NOON: Wall = Wall(1_795_348_800_000);

pub(super) fn now(wall: Wall) -> Now {
    Now {
        mono: Mono::from_secs(86_400),
        wall,
    }
}

pub(super) fn euro() -> Currency {
    "EUR".parse().unwrap()
}

/// As the ledger gives it back: the price of its opening is of use only until there is a cost.
pub(super) fn as_recorded(mut record: CallRecord) -> CallRecord {
    record.opening.price = None;
    record
}

/// A call of team `search` that took 100 + 20 tokens and cost 3 billionths of a euro for each,
/// charged to a rate, a monthly quota and a monthly budget.
pub(super) fn call(number: u128, at: Wall) -> CallRecord {
    let usage = Usage {
        prompt: 100,
        completion: 20,
        cached_prompt: 40,
        reasoning: 5,
        ..Usage::default()
    };
    let cost = Cost::Priced {
        amount: Nanos(360),
        currency: euro(),
        price: "p1".into(),
    };
    let month = Wall(1_793_491_200_000);
    let charge = |limit: &str, unit| Charge {
        limit: LimitId::from(limit),
        key: "search".into(),
        unit,
    };
    CallRecord {
        opening: Opening {
            id: CallId::new(at, number),
            at,
            who: Who {
                subscription: "search".into(),
                product: "standard".into(),
                application: Some("chat-ui".into()),
                caller: "abcdefghijkl".into(),
                user: Some("ada@example.com".into()),
            },
            model: "gpt-4o".into(),
            asked_model: None,
            stream: true,
            revision: 7,
            prompt_tokens: 101,
            charges: vec![
                charge("product/standard/team-tpm", ChargeUnit::TokensPerMinute),
                charge("product/standard/team-rpm", ChargeUnit::RequestsPerMinute),
                charge(
                    "product/standard/team-month",
                    ChargeUnit::Quota {
                        period_start: month,
                    },
                ),
                charge(
                    "search-month",
                    ChargeUnit::Budget {
                        period_start: month,
                    },
                ),
            ],
            price: Some(OpeningPrice {
                id: "p1".into(),
                currency: euro(),
                prompt_per_million: Nanos(3_000_000),
                completion_per_million: Nanos(3_000_000),
            }),
        },
        outcome: Outcome::Ok,
        status: 200,
        rule: None,
        backend: Some("openai-eastus".into()),
        cache: CacheOutcome::Off,
        metered: Metered::Reported(usage),
        cost: cost.clone(),
        saved: Nanos(40),
        saved_tokens: 0,
        similarity: None,
        latency: Duration::from_millis(840),
        first_byte: Some(Duration::from_millis(210)),
        attempts: vec![AttemptRecord {
            backend: "openai-eastus".into(),
            status: 200,
            failure: None,
            metered: Metered::Reported(usage),
            cost,
            latency: Duration::from_millis(838),
        }],
        verdicts: Vec::new(),
    }
}

pub(super) fn any_record() -> impl Strategy<Value = CallRecord> {
    let ends = (
        any_outcome(),
        any::<u16>(),
        any_name(),
        any_name(),
        0..CacheOutcome::ALL.len(),
        (
            any_metered(),
            any_cost(),
            0..1_000_000_000i64,
            (0..1_000_000_000u64, proptest::option::of(0..=1_000u16)),
        ),
    );
    let times = (any::<u32>(), proptest::option::of(any::<u32>()));
    // Or one that was as the call was.
    let attempts = (
        proptest::collection::vec(any_attempt(), 0..3),
        any::<bool>(),
    );
    let verdicts = proptest::collection::vec(any_verdict(), 0..3);
    (any_opening(), ends, times, attempts, verdicts).prop_map(
        |(opening, ends, (latency, first_byte), attempts, verdicts)| {
            let (outcome, status, rule, backend, cache, (metered, cost, saved, reused)) = ends;
            let (mut attempts, is_like_call) = attempts;
            if let ([attempt], Some(backend), true) = (&mut attempts[..], &backend, is_like_call) {
                *attempt = AttemptRecord {
                    backend: backend.as_str().into(),
                    status,
                    failure: None,
                    metered,
                    cost: cost.clone(),
                    latency: attempt.latency,
                };
            }
            CallRecord {
                opening,
                outcome,
                status,
                rule: rule.map(Into::into),
                backend: backend.map(|name| name.as_str().into()),
                cache: CacheOutcome::ALL[cache],
                metered,
                cost,
                saved: Nanos(saved),
                saved_tokens: reused.0,
                similarity: reused.1,
                latency: micros(latency),
                first_byte: first_byte.map(micros),
                attempts,
                verdicts,
            }
        },
    )
}

fn any_verdict() -> impl Strategy<Value = Verdict> {
    let findings = proptest::collection::vec(("[a-z_/ ]{0,12}", any::<u32>()), 0..3);
    (".{0,20}", 0..2usize, 0..3usize, findings, any_name()).prop_map(
        |(guard, on, verdict, findings, failure)| Verdict {
            guard: guard.into(),
            on: Content::ALL[on],
            verdict: Ruling::ALL[verdict],
            findings: findings
                .into_iter()
                .map(|(kind, amount)| (kind.into(), amount))
                .collect(),
            failure: failure.map(Into::into),
        },
    )
}

fn any_opening() -> impl Strategy<Value = Opening> {
    // Three days, so that hours, days and quota periods differ and meet.
    let at = (0..3 * 86_400_000i64).prop_map(|ms| Wall(NOON.0 + ms));
    let who = (0..3u8, 0..2u8, any_name(), ".{0,12}", any_name());
    let model = (0..3u8, any_name());
    let rest = (model, any::<bool>(), any::<u64>(), 0..100_000u64);
    (
        any::<u128>(),
        at,
        who,
        rest,
        proptest::collection::vec(any_charge(), 0..4),
        proptest::option::of(any_opening_price()),
    )
        .prop_map(
            |(
                id,
                at,
                (subscription, product, application, caller, user),
                ((model, asked_model), stream, revision, prompt_tokens),
                charges,
                price,
            )| Opening {
                id: CallId::new(at, id),
                at,
                who: Who {
                    subscription: format!("team-{subscription}").as_str().into(),
                    product: format!("product-{product}").as_str().into(),
                    application: application.map(|name| name.as_str().into()),
                    caller: caller.into(),
                    user: user.map(Into::into),
                },
                model: format!("model-{model}").as_str().into(),
                asked_model: asked_model.map(|name| name.as_str().into()),
                stream,
                revision,
                prompt_tokens,
                charges,
                price,
            },
        )
}

fn any_opening_price() -> impl Strategy<Value = OpeningPrice> {
    (0..3u8, any_currency(), any::<u32>(), any::<u32>()).prop_map(
        |(id, currency, prompt, completion)| OpeningPrice {
            id: price_id(id),
            currency,
            prompt_per_million: Nanos(prompt.into()),
            completion_per_million: Nanos(completion.into()),
        },
    )
}

fn any_cost() -> impl Strategy<Value = Cost> {
    let priced =
        (0..10_000_000_000i64, any_currency(), 0..3u8).prop_map(|(amount, currency, price)| {
            Cost::Priced {
                amount: Nanos(amount),
                currency,
                price: price_id(price),
            }
        });
    prop_oneof![1 => Just(Cost::Nothing), 1 => Just(Cost::Unpriced), 2 => priced]
}

fn any_currency() -> impl Strategy<Value = Currency> {
    prop_oneof![Just(euro()), Just(Currency::USD)]
}

fn price_id(number: u8) -> PriceId {
    format!("price-{number}").as_str().into()
}

fn any_charge() -> impl Strategy<Value = Charge> {
    let unit = prop_oneof![
        Just(ChargeUnit::TokensPerMinute),
        Just(ChargeUnit::RequestsPerMinute),
        (0..3i64).prop_map(|day| ChargeUnit::Quota {
            period_start: Wall(NOON.0 + day * 86_400_000)
        }),
        (0..3i64).prop_map(|day| ChargeUnit::Budget {
            period_start: Wall(NOON.0 + day * 86_400_000)
        }),
    ];
    (0..3u8, 0..3u8, unit).prop_map(|(limit, key, unit)| Charge {
        limit: LimitId::from(format!("global/limit-{limit}").as_str()),
        key: format!("key-{key}").into(),
        unit,
    })
}

fn any_attempt() -> impl Strategy<Value = AttemptRecord> {
    (
        0..3u8,
        any::<u16>(),
        0..AttemptFailure::ALL.len() + 1,
        any_metered(),
        any_cost(),
        any::<u32>(),
    )
        .prop_map(
            |(backend, status, failure, metered, cost, latency)| AttemptRecord {
                backend: BackendId::from(format!("backend-{backend}").as_str()),
                status,
                failure: AttemptFailure::ALL.get(failure).copied(),
                metered,
                cost,
                latency: micros(latency),
            },
        )
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    (0..Outcome::ALL.len()).prop_map(|at| Outcome::ALL[at])
}

fn any_metered() -> impl Strategy<Value = Metered> {
    let tier = (0..ServiceTier::ALL.len()).prop_map(|at| ServiceTier::ALL[at]);
    let amounts = proptest::array::uniform9(0..1_000_000u64);
    (any::<bool>(), tier, amounts).prop_map(|(estimated, tier, amounts)| {
        let [
            prompt,
            completion,
            cached_prompt,
            cache_write,
            reasoning,
            audio_prompt,
            audio_completion,
            images,
            cache_write_1h,
        ] = amounts;
        let usage = Usage {
            tier,
            cache_write_1h,
            prompt,
            completion,
            cached_prompt,
            cache_write,
            reasoning,
            audio_prompt,
            audio_completion,
            images,
        };
        if estimated {
            Metered::Estimated(usage)
        } else {
            Metered::Reported(usage)
        }
    })
}

fn any_name() -> impl Strategy<Value = Option<String>> {
    proptest::option::of((0..3u8).prop_map(|number| format!("name-{number}")))
}

fn micros(micros: u32) -> Duration {
    Duration::from_micros(u64::from(micros))
}
