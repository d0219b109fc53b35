//! The columns of a FOCUS Cost and Usage dataset and what a charge puts into them.

use super::charge::{Charge, Issuer};
use crate::decimal::Decimal;
use crate::sheet::{Cell, Column};

/// A published version of the specification. They differ in who is named: 1.3 brought
/// `ServiceProviderName` and `HostProviderName`, and 1.4 took away what they replace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    V1_2,
    V1_3,
    #[default]
    V1_4,
}

const MONEY: u32 = 9;
/// Converted prices have more decimals than money, and so has what they make of a few tokens.
const EXACT: u32 = 18;

/// FOCUS columns by name, then those of our own, which the specification wants to begin with `x_`.
const ALL: [Column; 62] = [
    Column::text("AvailabilityZone"),
    Column::decimal("BilledCost", MONEY),
    Column::text("BillingAccountId"),
    Column::text("BillingAccountName"),
    Column::text("BillingCurrency"),
    Column::time("BillingPeriodEnd"),
    Column::time("BillingPeriodStart"),
    Column::text("CapacityReservationId"),
    Column::text("CapacityReservationStatus"),
    Column::text("ChargeCategory"),
    Column::text("ChargeClass"),
    Column::text("ChargeDescription"),
    Column::text("ChargeFrequency"),
    Column::time("ChargePeriodEnd"),
    Column::time("ChargePeriodStart"),
    Column::text("CommitmentDiscountCategory"),
    Column::text("CommitmentDiscountId"),
    Column::text("CommitmentDiscountName"),
    Column::text("CommitmentDiscountStatus"),
    Column::text("CommitmentDiscountType"),
    Column::decimal("ConsumedQuantity", 6),
    Column::text("ConsumedUnit"),
    Column::decimal("ContractedCost", EXACT),
    Column::decimal("ContractedUnitPrice", EXACT),
    Column::decimal("EffectiveCost", MONEY),
    Column::text("HostProviderName"),
    Column::text("InvoiceId"),
    Column::text("InvoiceIssuerName"),
    Column::decimal("ListCost", EXACT),
    Column::decimal("ListUnitPrice", EXACT),
    Column::text("PricingCategory"),
    Column::text("PricingCurrency"),
    Column::decimal("PricingCurrencyContractedUnitPrice", EXACT),
    Column::decimal("PricingCurrencyEffectiveCost", EXACT),
    Column::decimal("PricingCurrencyListUnitPrice", EXACT),
    Column::decimal("PricingQuantity", 6),
    Column::text("PricingUnit"),
    Column::text("ProviderName"),
    Column::text("PublisherName"),
    Column::text("RegionId"),
    Column::text("RegionName"),
    Column::text("ResourceId"),
    Column::text("ResourceName"),
    Column::text("ResourceType"),
    Column::text("ServiceCategory"),
    Column::text("ServiceName"),
    Column::text("ServiceProviderName"),
    Column::text("ServiceSubcategory"),
    Column::text("SkuId"),
    Column::text("SkuMeter"),
    Column::text("SkuPriceDetails"),
    Column::text("SkuPriceId"),
    Column::text("SubAccountId"),
    Column::text("SubAccountName"),
    Column::text("Tags"),
    Column::text("x_Backend"),
    Column::decimal("x_EstimatedQuantity", 1),
    Column::text("x_Model"),
    Column::text("x_PriceId"),
    Column::decimal("x_SavedCost", MONEY),
    Column::text("x_Tier"),
    Column::text("x_Unpriced"),
];

impl Version {
    pub const ALL: [Self; 3] = [Self::V1_2, Self::V1_3, Self::V1_4];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1_2 => "1.2",
            Self::V1_3 => "1.3",
            Self::V1_4 => "1.4",
        }
    }

    fn has(self, column: &Column) -> bool {
        match column.name {
            "ServiceProviderName" | "HostProviderName" => self != Self::V1_2,
            "ProviderName" | "PublisherName" => self != Self::V1_4,
            _ => true,
        }
    }
}

pub fn columns(version: Version) -> Vec<Column> {
    ALL.into_iter()
        .filter(|column| version.has(column))
        .collect()
}

/// In the order of [`columns`].
pub fn row(version: Version, issuer: &Issuer, charge: &Charge) -> Vec<Cell> {
    columns(version)
        .iter()
        .map(|column| cell(column.name, issuer, charge))
        .collect()
}

fn cell(column: &str, issuer: &Issuer, charge: &Charge) -> Cell {
    let billed = Decimal::from(charge.billed);
    let list = charge.prices.map(|prices| prices.billing.list);
    let contracted = charge.prices.map(|prices| prices.billing.contracted);
    let pricing = charge.prices.map(|prices| prices.pricing);
    let provider = &charge.provider.name;
    let quantity = charge.meter.pricing_quantity(charge.quantity);
    // Without a price there is nothing to multiply, and FOCUS has no way to say that a cost is unknown.
    let at = |price: Option<Decimal>| price.map_or(billed, |price| price.times(quantity));
    match column {
        "BilledCost" | "EffectiveCost" => billed.into(),
        "BillingAccountId" | "BillingAccountName" => Cell::text(&issuer.billing_account),
        "BillingCurrency" => Cell::text(charge.currency.as_str()),
        "BillingPeriodEnd" => Cell::Time(charge.billing_period.end),
        "BillingPeriodStart" => Cell::Time(charge.billing_period.start),
        "ChargeCategory" => Cell::text("Usage"),
        "ChargeDescription" => Cell::Text(charge.description()),
        "ChargeFrequency" => Cell::text("Usage-Based"),
        "ChargePeriodEnd" => Cell::Time(charge.charge_period.end),
        "ChargePeriodStart" => Cell::Time(charge.charge_period.start),
        "ConsumedQuantity" => Decimal::whole(charge.quantity).into(),
        "ConsumedUnit" => Cell::text(charge.meter.consumed_unit()),
        "ContractedCost" => at(contracted).into(),
        "ContractedUnitPrice" => contracted.into(),
        // Who hosts a provider's service is not to be seen from here; FOCUS then takes its name.
        "HostProviderName" | "PublisherName" => Cell::text(provider),
        // One who charges for others' services sells them as his own.
        "InvoiceIssuerName" | "ProviderName" | "ServiceProviderName" => {
            Cell::text(issuer.name.as_ref().unwrap_or(provider))
        }
        "ListCost" => at(list).into(),
        "ListUnitPrice" => list.into(),
        "PricingCategory" => Cell::text("Standard"),
        "PricingCurrency" => Cell::text(match &charge.prices {
            Some(prices) => prices.pricing_currency.as_str(),
            None => charge.currency.as_str(),
        }),
        "PricingCurrencyContractedUnitPrice" => pricing.map(|pair| pair.contracted).into(),
        "PricingCurrencyEffectiveCost" => at(pricing.map(|pair| pair.contracted)).into(),
        "PricingCurrencyListUnitPrice" => pricing.map(|pair| pair.list).into(),
        "PricingQuantity" => quantity.into(),
        "PricingUnit" => Cell::text(charge.meter.pricing_unit()),
        "ResourceId" => Cell::or_null(resource(charge).as_deref()),
        "ResourceType" => Cell::or_null(charge.backend.as_ref().map(|_| "Model Deployment")),
        "ServiceCategory" => Cell::text("AI and Machine Learning"),
        "ServiceName" => Cell::text(&charge.provider.service),
        "ServiceSubcategory" => Cell::text("Generative AI"),
        "SkuId" => Cell::Text(charge.sku_id()),
        "SkuMeter" => Cell::text(charge.meter.name()),
        "SkuPriceId" => Cell::Text(charge.sku_price_id()),
        "SubAccountId" => Cell::text(&charge.subscription),
        "SubAccountName" => Cell::text(
            charge
                .subscription_name
                .as_ref()
                .unwrap_or(&charge.subscription),
        ),
        "Tags" => Cell::Text(charge.tags()),
        "x_Backend" => Cell::or_null(charge.backend.as_deref()),
        "x_EstimatedQuantity" => Decimal::whole(charge.estimated).into(),
        "x_Model" => Cell::text(&charge.model),
        "x_PriceId" => Cell::or_null(charge.price_id.as_deref()),
        "x_SavedCost" => Decimal::from(charge.saved).into(),
        "x_Tier" => Cell::or_null(charge.tier.as_deref()),
        "x_Unpriced" => Cell::text(if charge.prices.is_none() {
            "true"
        } else {
            "false"
        }),
        // What a gateway has not: zones, regions, commitments, corrections, invoices, display names.
        _ => Cell::Null,
    }
}

fn resource(charge: &Charge) -> Option<String> {
    let backend = charge.backend.as_ref()?;
    Some(format!("backends/{backend}/models/{}", charge.model))
}

#[cfg(test)]
mod tests;
