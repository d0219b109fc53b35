//! A catalogue of list prices: by provider and model, with its version and source.
//!
//! Read strictly: an unknown field, a number that is not a decimal or a name that is there twice
//! refuses the whole file, because a price that is read wrongly is paid wrongly.

mod json;

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::price::{LongContext, RateCard, Rates, TierRates};
use domain::{Currency, Nanos, ServiceTier, Wall};
use jiff::tz::TimeZone;
use serde_json::value::RawValue;

use crate::read::When;
use json::Pairs;

/// What comes with this version of Tollgate. Facts from a public price list: see its head.
const SHIPPED: &str = include_str!("../catalogue/prices.json");

/// The only layout there is so far.
const FORMAT: &str = "1";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalogue {
    /// Of the catalogue itself, such as the day on which it was made.
    pub version: String,
    pub currency: Currency,
    /// Where its facts are from.
    pub source: Source,
    /// By provider, then by model; the dated prices of each.
    pub prices: BTreeMap<String, BTreeMap<String, Vec<Listed>>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub version: String,
    pub taken: String,
    pub url: String,
    pub file: String,
    pub licence: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub since: Option<Wall>,
    pub card: Arc<RateCard>,
}

/// What is wrong, and with which field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct CatalogueError {
    pub field: String,
    pub problem: String,
}

impl Catalogue {
    pub fn parse(text: &str) -> Result<Self, CatalogueError> {
        Self::parse_some(text, &|_, _| true)
    }

    /// Only of the providers and models that are wanted. The rest is passed over without a look at
    /// its numbers: a load needs a few prices of thousands.
    fn parse_some(
        text: &str,
        wants: &dyn Fn(&str, Option<&str>) -> bool,
    ) -> Result<Self, CatalogueError> {
        let root = Field::root(text)?;
        let mut members = root.members()?;
        let format = members.required("format")?;
        if format.raw != FORMAT {
            return Err(format.fault("a format that this version of Tollgate does not know"));
        }
        let version = members.required("version")?.text()?;
        let currency = members.required("currency")?;
        let currency = (currency.text()?.parse())
            .map_err(|error: domain::money::CurrencyError| currency.fault(error))?;
        let source = Source::read(&members.required("source")?)?;
        let listed = members.required("prices")?;
        members.end()?;
        let mut prices = BTreeMap::new();
        for provider in listed.members()?.rest() {
            if !wants(&provider.name, None) {
                continue;
            }
            let mut models = BTreeMap::new();
            for model in provider.members()?.rest() {
                if !wants(&provider.name, Some(&model.name)) {
                    continue;
                }
                models.insert(model.name.clone(), dated(&model)?);
            }
            prices.insert(provider.name.clone(), models);
        }
        Ok(Self {
            version,
            currency,
            source,
            prices,
        })
    }

    /// The one that comes with this version.
    pub fn shipped() -> Self {
        Self::shipped_some(&|_, _| true)
    }

    /// Of that one, only what is wanted.
    pub(crate) fn shipped_some(wants: &dyn Fn(&str, Option<&str>) -> bool) -> Self {
        Self::parse_some(SHIPPED, wants).expect("a test reads it")
    }

    pub fn get(&self, provider: &str, model: &str) -> Option<&[Listed]> {
        Some(self.prices.get(provider)?.get(model)?)
    }

    pub fn models(&self) -> usize {
        self.prices.values().map(BTreeMap::len).sum()
    }
}

impl Source {
    fn read(field: &Field<'_>) -> Result<Self, CatalogueError> {
        let mut members = field.members()?;
        let mut text = |name| -> Result<String, CatalogueError> {
            members
                .optional(name)
                .map_or(Ok(String::new()), |field| field.text())
        };
        let source = Self {
            name: text("name")?,
            version: text("version")?,
            taken: text("taken")?,
            url: text("url")?,
            file: text("file")?,
            licence: text("licence")?,
        };
        members.end()?;
        Ok(source)
    }
}

/// One price, or a list of dated ones.
fn dated(field: &Field<'_>) -> Result<Vec<Listed>, CatalogueError> {
    if !field.raw.starts_with('[') {
        return Ok(vec![listed(field)?]);
    }
    let mut prices: Vec<Listed> = Vec::new();
    for item in field.items()? {
        let price = listed(&item)?;
        if prices.iter().any(|other| other.since == price.since) {
            return Err(item.fault("two prices of the same date"));
        }
        prices.push(price);
    }
    Ok(prices)
}

fn listed(field: &Field<'_>) -> Result<Listed, CatalogueError> {
    let mut members = field.members()?;
    let since = match members.optional("since") {
        None => None,
        Some(since) => {
            let when = since.text()?.parse::<When>();
            Some(when.map_err(|error| since.fault(error))?.at(&TimeZone::UTC))
        }
    };
    let mut tiers = Vec::new();
    for tier in [ServiceTier::Batch, ServiceTier::Priority, ServiceTier::Flex] {
        if let Some(field) = members.optional(tier.as_str()) {
            let mut members = field.members()?;
            tiers.push(tier_rates(tier, &mut members)?);
            members.end()?;
        }
    }
    tiers.insert(0, tier_rates(ServiceTier::Standard, &mut members)?);
    members.end()?;
    Ok(Listed {
        since,
        card: Arc::new(RateCard { tiers }),
    })
}

fn tier_rates(tier: ServiceTier, members: &mut Members<'_>) -> Result<TierRates, CatalogueError> {
    let mut steps = Vec::new();
    if let Some(above) = members.optional("above") {
        for step in above.members()?.rest() {
            let threshold = step.name.parse::<u64>().ok().filter(|tokens| *tokens > 0);
            let above_prompt_tokens =
                threshold.ok_or_else(|| step.fault("not a number of prompt tokens"))?;
            let mut members = step.members()?;
            let rates = rates(&mut members)?;
            members.end()?;
            steps.push(LongContext {
                above_prompt_tokens,
                rates,
            });
        }
    }
    steps.sort_by_key(|step| step.above_prompt_tokens);
    let base = rates(members)?;
    if base.input.is_none() {
        return Err(members.fault("no `input` rate"));
    }
    Ok(TierRates { tier, base, steps })
}

fn rates(members: &mut Members<'_>) -> Result<Rates, CatalogueError> {
    let mut rate = |name| {
        members
            .optional(name)
            .map(|field| field.amount())
            .transpose()
    };
    Ok(Rates {
        input: rate("input")?,
        cached_input: rate("cached_input")?,
        cache_write: rate("cache_write")?,
        cache_write_1h: rate("cache_write_1h")?,
        output: rate("output")?,
        reasoning: rate("reasoning")?,
        audio_input: rate("audio_input")?,
        audio_output: rate("audio_output")?,
        image: rate("image")?,
    })
}

/// A value and the way to it.
struct Field<'a> {
    path: String,
    name: String,
    raw: &'a str,
}

/// Members that were not asked for yet.
struct Members<'a> {
    path: String,
    left: Vec<(String, &'a str)>,
}

impl<'a> Field<'a> {
    fn root(text: &'a str) -> Result<Self, CatalogueError> {
        let raw: &RawValue = serde_json::from_str(text).map_err(|error| CatalogueError {
            field: "the file".to_owned(),
            problem: format!("not JSON: {error}"),
        })?;
        Ok(Self {
            path: String::new(),
            name: String::new(),
            raw: raw.get(),
        })
    }

    fn fault(&self, problem: impl std::fmt::Display) -> CatalogueError {
        CatalogueError {
            field: shown(&self.path),
            problem: problem.to_string(),
        }
    }

    fn members(&self) -> Result<Members<'a>, CatalogueError> {
        let Pairs(pairs) = serde_json::from_str(self.raw).map_err(|error| self.fault(error))?;
        Ok(Members {
            path: self.path.clone(),
            left: pairs,
        })
    }

    fn items(&self) -> Result<Vec<Self>, CatalogueError> {
        let items: Vec<&'a RawValue> =
            serde_json::from_str(self.raw).map_err(|error| self.fault(error))?;
        let numbered = items.into_iter().enumerate();
        Ok(numbered
            .map(|(index, raw)| Self {
                path: format!("{}[{index}]", self.path),
                name: String::new(),
                raw: raw.get(),
            })
            .collect())
    }

    fn text(&self) -> Result<String, CatalogueError> {
        serde_json::from_str(self.raw).map_err(|_| self.fault("not text"))
    }

    fn amount(&self) -> Result<Nanos, CatalogueError> {
        let amount: Nanos = self.raw.parse().map_err(|error| self.fault(error))?;
        if amount < Nanos::ZERO {
            return Err(self.fault("below zero"));
        }
        Ok(amount)
    }
}

impl<'a> Members<'a> {
    fn optional(&mut self, name: &str) -> Option<Field<'a>> {
        let at = self.left.iter().position(|(found, _)| found == name)?;
        let (name, raw) = self.left.swap_remove(at);
        Some(self.field(name, raw))
    }

    fn required(&mut self, name: &str) -> Result<Field<'a>, CatalogueError> {
        self.optional(name)
            .ok_or_else(|| self.fault(format!("`{name}` is missing")))
    }

    /// Whatever is called whatever.
    fn rest(self) -> Vec<Field<'a>> {
        let named = |(name, raw): &(String, &'a str)| self.field(name.clone(), raw);
        self.left.iter().map(named).collect()
    }

    fn end(&self) -> Result<(), CatalogueError> {
        match self.left.first() {
            None => Ok(()),
            Some((name, _)) => Err(self.fault(format!("unknown field `{}`", name.escape_debug()))),
        }
    }

    fn field(&self, name: String, raw: &'a str) -> Field<'a> {
        let path = if self.path.is_empty() {
            name.clone()
        } else {
            format!("{}.{name}", self.path)
        };
        Field { path, name, raw }
    }

    fn fault(&self, problem: impl std::fmt::Display) -> CatalogueError {
        CatalogueError {
            field: shown(&self.path),
            problem: problem.to_string(),
        }
    }
}

fn shown(path: &str) -> String {
    let path = if path.is_empty() { "the file" } else { path };
    path.escape_debug().to_string()
}

#[cfg(test)]
mod tests;
