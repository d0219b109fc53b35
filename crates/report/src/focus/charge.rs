//! One charge: a quantity of one meter, used by one subscription on one day, and what it cost.

use domain::Wall;
use domain::money::{Currency, Nanos};

use super::Provider;
use crate::decimal::Decimal;

/// What has a price of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Meter {
    Input,
    CachedInput,
    CacheWrite,
    CacheWriteHour,
    AudioInput,
    CachedAudioInput,
    Output,
    Reasoning,
    AudioOutput,
    Image,
    /// All of a call's tokens together, where the ledger has no more than their sum.
    Tokens,
}

/// From the start on, before the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub start: Wall,
    pub end: Wall,
}

/// Whose bill it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Who charges the teams, if not the models' providers themselves.
    pub name: Option<String>,
    pub billing_account: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    pub billing_period: Span,
    pub charge_period: Span,
    pub subscription: String,
    /// As the configuration has it now; else the id.
    pub subscription_name: Option<String>,
    pub product: String,
    pub application: Option<String>,
    pub model: String,
    /// What the clients asked for, if a budget had `model` answer instead.
    pub asked_model: Option<String>,
    pub backend: Option<String>,
    pub provider: Provider,
    pub meter: Meter,
    /// Priced apart, such as `batch` or `long-context`; part of the SKU price's id.
    pub tier: Option<String>,
    pub quantity: u64,
    /// Those of `quantity` that no provider reported.
    pub estimated: u64,
    pub currency: Currency,
    /// What the ledger has for them.
    pub billed: Nanos,
    /// What caches kept off the bill.
    pub saved: Nanos,
    /// Absent: no price is known.
    pub prices: Option<Prices>,
    /// What names the price on the ledger.
    pub price_id: Option<String>,
}

/// For a million of the meter's units, or for one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prices {
    /// In the charge's currency.
    pub billing: Pair,
    /// In that of the price list.
    pub pricing: Pair,
    pub pricing_currency: Currency,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    pub list: Decimal,
    /// After discounts and mark-ups.
    pub contracted: Decimal,
}

impl Meter {
    pub const ALL: [Self; 11] = [
        Self::Input,
        Self::CachedInput,
        Self::CacheWrite,
        Self::CacheWriteHour,
        Self::AudioInput,
        Self::CachedAudioInput,
        Self::Output,
        Self::Reasoning,
        Self::AudioOutput,
        Self::Image,
        Self::Tokens,
    ];

    /// Part of a SKU's id, so it never changes.
    pub fn id(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CachedInput => "cached-input",
            Self::CacheWrite => "cache-write",
            Self::CacheWriteHour => "cache-write-1h",
            Self::AudioInput => "audio-input",
            Self::CachedAudioInput => "cached-audio-input",
            Self::Output => "output",
            Self::Reasoning => "reasoning",
            Self::AudioOutput => "audio-output",
            Self::Image => "image",
            Self::Tokens => "tokens",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "Input Tokens",
            Self::CachedInput => "Cached Input Tokens",
            Self::CacheWrite => "Cache Write Tokens",
            Self::CacheWriteHour => "Cache Write Tokens (1 Hour)",
            Self::AudioInput => "Audio Input Tokens",
            Self::CachedAudioInput => "Cached Audio Input Tokens",
            Self::Output => "Output Tokens",
            Self::Reasoning => "Reasoning Tokens",
            Self::AudioOutput => "Audio Output Tokens",
            Self::Image => "Images",
            Self::Tokens => "Tokens",
        }
    }

    pub fn consumed_unit(self) -> &'static str {
        match self {
            Self::Image => "Images",
            Self::Input
            | Self::CachedInput
            | Self::CacheWrite
            | Self::CacheWriteHour
            | Self::AudioInput
            | Self::CachedAudioInput
            | Self::Output
            | Self::Reasoning
            | Self::AudioOutput
            | Self::Tokens => "Tokens",
        }
    }

    pub fn pricing_unit(self) -> &'static str {
        match self.units_priced() {
            1 => "Images",
            _ => "1000000 Tokens",
        }
    }

    /// In the pricing unit: exact, as a millionth has six decimals.
    pub fn pricing_quantity(self, units: u64) -> Decimal {
        let scale = if self.units_priced() == 1 { 0 } else { 6 };
        Decimal::new(i128::from(units), scale).unwrap_or_default()
    }

    /// How many units a unit price is for.
    pub fn units_priced(self) -> u64 {
        if self.consumed_unit() == "Images" {
            1
        } else {
            1_000_000
        }
    }
}

impl Charge {
    pub fn sku_id(&self) -> String {
        format!("{}/{}", self.model, self.meter.id())
    }

    /// Never the amount, a date or a contract: the id of a price outlives its changes.
    pub fn sku_price_id(&self) -> String {
        let tier = self.tier.as_deref().unwrap_or("standard");
        format!("{}/{tier}", self.sku_id())
    }

    pub fn description(&self) -> String {
        let unpriced = if self.prices.is_none() {
            " (UNPRICED: no price is known, so the cost is missing, not zero)"
        } else {
            ""
        };
        format!(
            "{} of {} by {}{unpriced}",
            self.meter.name(),
            self.model,
            self.subscription_name
                .as_ref()
                .unwrap_or(&self.subscription)
        )
    }

    pub fn tags(&self) -> String {
        tags(
            &self.product,
            self.application.as_deref(),
            self.asked_model.as_deref(),
        )
    }
}

/// Keys with the prefix are the gateway's; FOCUS wants a provider's own tags to have one.
pub(super) fn tags(product: &str, application: Option<&str>, asked_model: Option<&str>) -> String {
    // By name, whether or not maps are kept so.
    let mut tags = serde_json::Map::new();
    if let Some(application) = application {
        tags.insert("tollgate:application".to_owned(), application.into());
    }
    if let Some(model) = asked_model {
        tags.insert("tollgate:asked_model".to_owned(), model.into());
    }
    tags.insert("tollgate:product".to_owned(), product.into());
    serde_json::Value::Object(tags).to_string()
}
