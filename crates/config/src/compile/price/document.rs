//! What a price's id stands for: all that made it, as JSON. The same price has the same text, so
//! the same id.

use std::fmt::Write as _;
use std::sync::Arc;

use domain::price::book::{Answer, Exchange, Term};
use domain::price::{RateCard, Rates, TierRates};
use domain::{Nanos, PriceId, Wall};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Half of the digest's first 16 bytes' collisions would take four thousand million prices.
const ID_BYTES: usize = 8;

pub(super) fn named(answer: &Answer<'_>) -> (PriceId, Arc<str>) {
    let text = document(answer).to_string();
    let digest = Sha256::digest(text.as_bytes());
    let mut id = String::with_capacity(2 * ID_BYTES);
    for byte in &digest[..ID_BYTES] {
        // Written to a `String`, which cannot fail.
        let _ = write!(id, "{byte:02x}");
    }
    (PriceId(id.into()), text.into())
}

/// Fields in a fixed order, so that it does not depend on how maps are kept.
fn document(answer: &Answer<'_>) -> Value {
    let mut fields = Map::new();
    fields.insert("charged_in".to_owned(), json!(answer.currency.as_str()));
    if let Exchange::By(rate) = answer.exchange {
        let rate = json!({
            "from": rate.from.as_str(),
            "rate": rate.rate.to_string(),
            "since": rate.since.map(instant),
        });
        fields.insert("exchange_rate".to_owned(), rate);
    }
    let percentages: Vec<Value> = answer
        .adjustments
        .iter()
        .filter_map(|(level, entry)| match entry.term {
            Term::Percent(factor) => {
                Some(json!({ "factor": factor.to_string(), "scope": level.as_str() }))
            }
            Term::Rates { .. } | Term::Provisioned => None,
        })
        .collect();
    if !percentages.is_empty() {
        fields.insert("percentages".to_owned(), percentages.into());
    }
    if let Some((level, entry)) = answer.chosen {
        fields.insert("scope".to_owned(), json!(level.as_str()));
        fields.insert("source".to_owned(), json!(&*entry.origin));
        if let Some(since) = entry.since {
            fields.insert("since".to_owned(), json!(instant(since)));
        }
        match &entry.term {
            Term::Rates { card, currency } => {
                fields.insert("currency".to_owned(), json!(currency.as_str()));
                fields.insert("rates".to_owned(), card_of(card));
            }
            Term::Provisioned => {
                fields.insert("provisioned".to_owned(), json!(true));
            }
            Term::Percent(_) => {}
        }
    }
    fields.sort_keys();
    Value::Object(fields)
}

fn card_of(card: &RateCard) -> Value {
    let tiers = card.tiers.iter();
    let mut fields: Map<String, Value> = tiers
        .map(|tier| (tier.tier.as_str().to_owned(), tier_of(tier)))
        .collect();
    fields.sort_keys();
    Value::Object(fields)
}

fn tier_of(tier: &TierRates) -> Value {
    let mut fields = rates_of(&tier.base);
    let steps: Vec<Value> = tier
        .steps
        .iter()
        .map(|step| {
            let mut fields = rates_of(&step.rates);
            let above = json!(step.above_prompt_tokens);
            fields.insert("above_prompt_tokens".to_owned(), above);
            fields.sort_keys();
            Value::Object(fields)
        })
        .collect();
    if !steps.is_empty() {
        fields.insert("long_context".to_owned(), steps.into());
    }
    fields.sort_keys();
    Value::Object(fields)
}

/// As the configuration names them; decimals as text, which no reader rounds.
fn rates_of(rates: &Rates) -> Map<String, Value> {
    let named = |(kind, rate): (&str, Nanos)| {
        let name = match kind {
            "image" => "per_image".to_owned(),
            tokens => format!("{tokens}_per_million"),
        };
        (name, json!(rate.to_string()))
    };
    rates.kinds().map(named).collect()
}

fn instant(at: Wall) -> String {
    Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |at| at.to_string())
}
