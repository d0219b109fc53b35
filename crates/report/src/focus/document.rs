//! What the ledger keeps of a price: the JSON text that its id stands for.

use std::collections::HashMap;

use domain::Usage;
use domain::money::{Currency, Nanos};
use domain::price::{Kind, LongContext, RateCard, Rates, TierRates};
use domain::usage::ServiceTier;
use serde_json::{Map, Value};

use super::{Pair, Prices};
use crate::decimal::Decimal;

/// A price as it was when calls were charged by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Absent: it was paid for otherwise, and a call cost nothing more.
    card: Option<RateCard>,
    /// Of the rates.
    currency: Currency,
    /// From the rates' currency to the ledger's.
    exchange: Decimal,
    /// Discounts and mark-ups, multiplied.
    percentages: Decimal,
}

/// A quantity of one kind, and what one unit of it cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub kind: Kind,
    pub count: u64,
    pub prices: Prices,
    /// Which of the price's rates: of which tier, and for how long a prompt.
    pub tier: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ledger's text of the price {id} is not understood: {problem}")]
pub struct DocumentError {
    pub id: String,
    pub problem: String,
}

impl Document {
    pub fn parse(id: &str, text: &str) -> Result<Self, DocumentError> {
        Self::read(text).map_err(|problem| DocumentError {
            id: id.to_owned(),
            problem,
        })
    }

    fn read(text: &str) -> Result<Self, String> {
        let document: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        let exchange = match document.get("exchange_rate").filter(|rate| !rate.is_null()) {
            None => Decimal::whole(1),
            Some(rate) => decimal(rate.get("rate"), "exchange_rate.rate")?,
        };
        let mut percentages = Decimal::whole(1);
        for percentage in list(document.get("percentages"), "percentages")? {
            let factor = decimal(percentage.get("factor"), "percentages.factor")?;
            percentages = percentages.times(factor);
        }
        let code = match document.get("currency").filter(|code| !code.is_null()) {
            Some(code) => Some(code),
            None => document.get("charged_in"),
        };
        let currency = code
            .and_then(Value::as_str)
            .and_then(|code| code.parse().ok())
            .ok_or("it has no `currency`")?;
        let card = match document.get("rates") {
            Some(rates) => Some(card(rates)?),
            None if document.get("provisioned") == Some(&Value::Bool(true)) => None,
            None => return Err("it has no `rates`".to_owned()),
        };
        Ok(Self {
            card,
            currency,
            exchange,
            percentages,
        })
    }

    /// The usage's parts at this price; `None` if some of it has no rate.
    pub fn items(&self, usage: &Usage) -> Option<Vec<Item>> {
        let (rates, tier) = match &self.card {
            None => (None, "provisioned".to_owned()),
            Some(card) => {
                let tier = card.tier(usage.tier)?;
                (
                    Some(tier.rates(usage.prompt)),
                    tier_name(tier, usage.prompt),
                )
            }
        };
        let mut items: Vec<Item> = Vec::new();
        for (kind, count) in domain::price::kinds(usage) {
            if count == 0 {
                continue;
            }
            let kind = match kind {
                // Without a rate of its own it is output like any other.
                Kind::Reasoning if rates.is_none_or(|rates| rates.reasoning.is_none()) => {
                    Kind::Output
                }
                kind => kind,
            };
            let rate = match rates {
                None => Nanos::ZERO,
                Some(rates) => rates.of(kind)?,
            };
            if let Some(same) = items.iter_mut().find(|item| item.kind == kind) {
                same.count += count;
                continue;
            }
            let pair = |list: Decimal| Pair {
                list,
                contracted: list.times(self.percentages),
            };
            let rate = Decimal::from(rate);
            items.push(Item {
                kind,
                count,
                prices: Prices {
                    billing: pair(rate.times(self.exchange)),
                    pricing: pair(rate),
                    pricing_currency: self.currency,
                },
                tier: tier.clone(),
            });
        }
        Some(items)
    }
}

/// `batch`, `standard-above-200000`
fn tier_name(tier: &TierRates, prompt_tokens: u64) -> String {
    let passed = tier.steps.iter().map(|step| step.above_prompt_tokens);
    match passed.filter(|above| prompt_tokens > *above).max() {
        None => tier.tier.as_str().to_owned(),
        Some(above) => format!("{}-above-{above}", tier.tier.as_str()),
    }
}

fn card(value: &Value) -> Result<RateCard, String> {
    let members = value.as_object().ok_or("`rates` is no object")?;
    let mut tiers = Vec::with_capacity(members.len());
    for (name, fields) in members {
        let tier = ServiceTier::ALL
            .into_iter()
            .find(|tier| tier.as_str() == name)
            .ok_or_else(|| format!("`{name}` is no tier"))?;
        let mut steps = Vec::new();
        for step in list(fields.get("long_context"), "long_context")? {
            let above = step.get("above_prompt_tokens").and_then(Value::as_u64);
            steps.push(LongContext {
                above_prompt_tokens: above.ok_or("`above_prompt_tokens` is missing")?,
                rates: rates(step)?,
            });
        }
        steps.sort_by_key(|step| step.above_prompt_tokens);
        tiers.push(TierRates {
            tier,
            base: rates(fields)?,
            steps,
        });
    }
    Ok(RateCard { tiers })
}

fn rates(fields: &Value) -> Result<Rates, String> {
    let rate = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => nanos(value)
            .map(Some)
            .ok_or_else(|| format!("`{name}` is no amount")),
    };
    Ok(Rates {
        input: rate("input_per_million")?,
        cached_input: rate("cached_input_per_million")?,
        cache_write: rate("cache_write_per_million")?,
        cache_write_1h: rate("cache_write_1h_per_million")?,
        output: rate("output_per_million")?,
        reasoning: rate("reasoning_per_million")?,
        audio_input: rate("audio_input_per_million")?,
        audio_output: rate("audio_output_per_million")?,
        image: rate("per_image")?,
    })
}

fn nanos(value: &Value) -> Option<Nanos> {
    value.as_str()?.parse().ok()
}

fn decimal(value: Option<&Value>, name: &str) -> Result<Decimal, String> {
    value
        .and_then(Value::as_str)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| format!("`{name}` is no decimal number"))
}

fn list<'a>(value: Option<&'a Value>, name: &str) -> Result<&'a [Value], String> {
    match value {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(format!("`{name}` is no list")),
    }
}

/// Texts by id, understood as they are needed.
#[derive(Debug, Default)]
pub struct Documents {
    texts: HashMap<String, String>,
    read: HashMap<String, Document>,
}

impl Documents {
    pub fn new(texts: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            texts: texts.into_iter().collect(),
            read: HashMap::new(),
        }
    }

    /// `None`: the ledger has no text for it.
    pub fn get(&mut self, id: &str) -> Result<Option<&Document>, DocumentError> {
        if !self.read.contains_key(id) {
            let Some(text) = self.texts.get(id) else {
                return Ok(None);
            };
            let document = Document::parse(id, text)?;
            self.read.insert(id.to_owned(), document);
        }
        Ok(self.read.get(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{
        "charged_in": "EUR", "currency": "USD",
        "exchange_rate": { "from": "USD", "rate": "0.92", "since": null },
        "percentages": [{ "factor": "0.9", "scope": "product" }, { "factor": "1.05", "scope": "subscription" }],
        "rates": {
            "batch": { "input_per_million": "1.25", "output_per_million": "5" },
            "standard": {
                "input_per_million": "2.5", "cached_input_per_million": "1.25", "output_per_million": "10",
                "long_context": [{ "above_prompt_tokens": 200000, "input_per_million": "5" }]
            }
        },
        "scope": "catalogue", "source": "catalogue"
    }"#;

    fn items(usage: &Usage) -> Vec<(Kind, u64, String, String, String)> {
        let items = Document::parse("p1", TEXT).unwrap().items(usage).unwrap();
        let shown = |item: Item| {
            let Pair { list, contracted } = item.prices.billing;
            (
                item.kind,
                item.count,
                list.to_string(),
                contracted.to_string(),
                item.tier,
            )
        };
        items.into_iter().map(shown).collect()
    }

    fn usage(prompt: u64, completion: u64) -> Usage {
        Usage {
            prompt,
            completion,
            ..Usage::default()
        }
    }

    #[test]
    fn list_is_before_percentages_and_both_are_in_the_ledgers_currency() {
        let usage = Usage {
            cached_prompt: 40,
            reasoning: 5,
            ..usage(100, 20)
        };
        let standard = || "standard".to_owned();
        assert_eq!(
            items(&usage),
            [
                (Kind::Input, 60, "2.3".into(), "2.1735".into(), standard()),
                (
                    Kind::CachedInput,
                    40,
                    "1.15".into(),
                    "1.08675".into(),
                    standard()
                ),
                (Kind::Output, 20, "9.2".into(), "8.694".into(), standard()),
            ]
        );
    }

    #[test]
    fn the_price_lists_own_currency_is_kept_beside_the_ledgers() {
        let document = Document::parse("p1", TEXT).unwrap();
        let prices = document.items(&usage(100, 0)).unwrap()[0].prices;
        assert_eq!(prices.pricing_currency, Currency::USD);
        assert_eq!(prices.pricing.list.to_string(), "2.5");
        assert_eq!(prices.pricing.contracted.to_string(), "2.3625");
    }

    #[test]
    fn tiers_and_long_prompts_have_prices_of_their_own() {
        let long = items(&usage(200_001, 1));
        assert_eq!(
            (&long[0].2[..], &long[0].4[..]),
            ("4.6", "standard-above-200000")
        );
        assert_eq!(&long[1].2[..], "9.2");
        let batch = items(&Usage {
            tier: ServiceTier::Batch,
            ..usage(100, 0)
        });
        assert_eq!((&batch[0].2[..], &batch[0].4[..]), ("1.15", "batch"));
    }

    #[test]
    fn what_is_paid_by_the_hour_costs_nothing_more() {
        let document =
            Document::parse("p2", r#"{ "charged_in": "EUR", "provisioned": true }"#).unwrap();
        let items = document.items(&usage(100, 20)).unwrap();
        assert_eq!(items.len(), 2);
        assert_eq!(items[0].prices.billing.contracted, Decimal::ZERO);
        assert_eq!(items[0].tier, "provisioned");
    }

    #[test]
    fn what_has_no_rate_has_no_items_and_a_strange_text_is_an_error() {
        let document = Document::parse("p1", TEXT).unwrap();
        let flex = Usage {
            tier: ServiceTier::Flex,
            ..usage(1, 1)
        };
        assert_eq!(document.items(&flex), None);
        for text in [
            "",
            "[]",
            "{}",
            r#"{ "currency": "euro", "rates": {} }"#,
            r#"{ "currency": "EUR" }"#,
            r#"{ "currency": "EUR", "rates": 1 }"#,
            r#"{ "currency": "EUR", "rates": { "gold": {} } }"#,
            r#"{ "currency": "EUR", "rates": { "standard": { "input_per_million": 2.5 } } }"#,
            r#"{ "currency": "EUR", "rates": {}, "percentages": [{}] }"#,
            r#"{ "currency": "EUR", "rates": {}, "exchange_rate": { "rate": "?" } }"#,
        ] {
            let fault = Document::parse("p1", text).unwrap_err().to_string();
            assert!(
                fault.starts_with("the ledger's text of the price p1"),
                "{text}"
            );
        }
    }
}
