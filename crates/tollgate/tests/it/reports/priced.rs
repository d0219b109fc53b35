//! A ledger of calls that were charged by prices of every kind, as a gateway leaves it.

use std::path::Path;
use std::time::Duration;

use domain::record::{
    AttemptRecord, CacheOutcome, CallRecord, Cost, Opening, Outcome, PriceId, Who,
};
use domain::usage::ServiceTier;
use domain::{CallId, Currency, Metered, Mono, Nanos, Now, Usage, Wall};
use store::Ledger;

/// 2026-11-01 00:00 UTC.
pub const NOVEMBER: i64 = 1_793_491_200_000;
const HOUR: i64 = 3_600_000;

/// Rates in USD, charged in EUR, with a discount; a factor of 0.92 * 0.9 = 0.828 in all.
pub const PRICE: &str = r#"{
    "charged_in": "EUR", "currency": "USD",
    "exchange_rate": { "from": "USD", "rate": "0.92", "since": null },
    "percentages": [{ "factor": "0.9", "scope": "product" }],
    "rates": {
        "batch": { "input_per_million": "1.25", "output_per_million": "5" },
        "standard": { "input_per_million": "2.5", "cached_input_per_million": "1.25", "output_per_million": "10" }
    },
    "scope": "catalogue", "source": "catalogue"
}"#;

/// Three days' calls of two teams. Gives what they were charged in all.
pub fn write(dir: &Path) -> Nanos {
    let now = Now {
        mono: Mono::from_secs(86_400),
        wall: Wall(NOVEMBER + 72 * HOUR),
    };
    let (ledger, _) = Ledger::open(dir, now).unwrap();
    let price = PriceId::from("0123456789abcdef");
    ledger.remember_price(&price, || PRICE.to_owned());
    let mut total = Nanos::ZERO;
    for number in 0..60_i64 {
        let record = call(number, &price);
        total += record.cost.amount();
        let entry = ledger.begin(&record.opening);
        ledger.append(Some(entry), record);
    }
    ledger.close();
    total
}

/// Like the others, but of a model that has no price.
pub fn add_unpriced(dir: &Path) {
    let now = Now {
        mono: Mono::from_secs(86_400),
        wall: Wall(NOVEMBER + 72 * HOUR),
    };
    let (ledger, _) = Ledger::open(dir, now).unwrap();
    let mut record = call(1_000, &PriceId::from("none"));
    record.opening.model = "o3".into();
    record.cost = Cost::Unpriced;
    let entry = ledger.begin(&record.opening);
    ledger.append(Some(entry), record);
    ledger.close();
}

pub fn call(number: i64, price: &PriceId) -> CallRecord {
    let at = Wall(NOVEMBER + number % 3 * 24 * HOUR + number * HOUR / 4);
    let prompt = 1_000 + 7 * number.unsigned_abs();
    let is_batch = number % 5 == 0;
    let usage = Usage {
        tier: if is_batch {
            ServiceTier::Batch
        } else {
            ServiceTier::Standard
        },
        prompt,
        completion: 300,
        cached_prompt: if is_batch { 0 } else { prompt / 3 },
        ..Usage::default()
    };
    let (input, cached, output) = if is_batch {
        (1_250, 0, 5_000)
    } else {
        (2_500, 1_250, 10_000)
    };
    let uncached = (usage.prompt - usage.cached_prompt).cast_signed();
    let millionths = uncached * input + usage.cached_prompt.cast_signed() * cached + 300 * output;
    // Times 0.828, half up.
    let amount = Nanos((millionths * 828 + 500) / 1_000);
    let cost = Cost::Priced {
        amount,
        currency: "EUR".parse::<Currency>().unwrap(),
        price: price.clone(),
    };
    let subscription = ["search", "support"][(number % 2).unsigned_abs() as usize];
    let attempt = AttemptRecord {
        backend: "eastus".into(),
        status: 200,
        failure: None,
        metered: Metered::Reported(usage),
        cost: cost.clone(),
        latency: Duration::from_millis(800),
    };
    CallRecord {
        opening: Opening {
            id: CallId::new(at, number.unsigned_abs().into()),
            at,
            who: Who {
                subscription: subscription.into(),
                product: "standard".into(),
                application: Some("=HYPERLINK(\"http://x\")".into()),
                caller: "key".into(),
                user: None,
            },
            model: "gpt-4o".into(),
            asked_model: None,
            stream: false,
            revision: 1,
            prompt_tokens: prompt,
            charges: vec![],
            price: None,
        },
        outcome: Outcome::Ok,
        status: 200,
        rule: None,
        backend: Some("eastus".into()),
        cache: CacheOutcome::Off,
        metered: Metered::Reported(usage),
        cost,
        saved: Nanos::ZERO,
        latency: Duration::from_millis(800),
        first_byte: None,
        verdicts: Vec::new(),
        saved_tokens: 0,
        similarity: None,
        attempts: vec![attempt],
    }
}
