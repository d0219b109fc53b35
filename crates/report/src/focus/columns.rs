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
/// A price in billionths for a million, times a number of units.
const EXACT: u32 = 15;

/// FOCUS columns by name, then those of our own, which the specification wants to begin with `x_`.
const ALL: [Column; 56] = [
    Column::text("AvailabilityZone"),
    Column::decimal("BilledCost", MONEY),
    Column::text("BillingAccountId"),
    Column::text("BillingAccountName"),
    Column::text("BillingCurrency"),
    Column::time("BillingPeriodEnd"),
    Column::time("BillingPeriodStart"),
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
    Column::decimal("ConsumedQuantity", 0),
    Column::text("ConsumedUnit"),
    Column::decimal("ContractedCost", EXACT),
    Column::decimal("ContractedUnitPrice", MONEY),
    Column::decimal("EffectiveCost", MONEY),
    Column::text("HostProviderName"),
    Column::text("InvoiceId"),
    Column::text("InvoiceIssuerName"),
    Column::decimal("ListCost", EXACT),
    Column::decimal("ListUnitPrice", MONEY),
    Column::text("PricingCategory"),
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
    Column::decimal("x_EstimatedQuantity", 0),
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
    // Without a price there is nothing to multiply, and FOCUS has no way to say that a cost is unknown.
    let at =
        |price: Option<domain::money::Nanos>| price.map_or(billed, |price| charge.cost_at(price));
    let list = charge.prices.map(|prices| prices.list);
    let contracted = charge.prices.map(|prices| prices.contracted);
    let price = |price: Option<domain::money::Nanos>| Cell::from(price.map(Decimal::from));
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
        "ContractedUnitPrice" => price(contracted),
        // Who hosts the provider's service is not to be seen from here; FOCUS then takes its name.
        "HostProviderName" | "ProviderName" | "PublisherName" | "ServiceProviderName" => {
            Cell::text(&charge.provider.name)
        }
        "InvoiceIssuerName" => Cell::text(&issuer.name),
        "ListCost" => at(list).into(),
        "ListUnitPrice" => price(list),
        "PricingCategory" => Cell::text("Standard"),
        "PricingQuantity" => charge.pricing_quantity().into(),
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
mod tests {
    use std::collections::BTreeMap;

    use domain::Wall;
    use domain::money::{Currency, Nanos};
    use proptest::prelude::*;

    use super::*;
    use crate::focus::{Meter, Prices, Provider, Span};

    fn issuer() -> Issuer {
        Issuer {
            name: "Platform team".to_owned(),
            billing_account: "tollgate".to_owned(),
        }
    }

    fn charge(meter: Meter, quantity: u64, prices: Option<Prices>, backend: bool) -> Charge {
        let day = 1_793_491_200_000;
        Charge {
            billing_period: Span {
                start: Wall(day),
                end: Wall(day + 30 * 86_400_000),
            },
            charge_period: Span {
                start: Wall(day),
                end: Wall(day + 86_400_000),
            },
            subscription: "search".to_owned(),
            subscription_name: Some("Search team".to_owned()),
            product: "standard".to_owned(),
            application: Some("=cmd|'/c calc'!A0".to_owned()),
            user: None,
            model: "gpt-4o".to_owned(),
            backend: backend.then(|| "eastus".to_owned()),
            provider: Provider::of_backend("eastus", Some("eastus.openai.azure.com")),
            meter,
            tier: None,
            quantity,
            estimated: 0,
            currency: "EUR".parse::<Currency>().unwrap(),
            billed: Nanos(1_234_500_000),
            saved: Nanos(0),
            prices,
            price_id: Some("p1".to_owned()),
        }
    }

    fn prices(list: i64, contracted: i64) -> Option<Prices> {
        Some(Prices {
            list: Nanos(list),
            contracted: Nanos(contracted),
        })
    }

    fn cells(version: Version, charge: &Charge) -> BTreeMap<&'static str, Cell> {
        let names = columns(version).into_iter().map(|column| column.name);
        names.zip(row(version, &issuer(), charge)).collect()
    }

    /// What every version wants to be there, from the specification's tables of columns.
    const MANDATORY: [&str; 23] = [
        "BilledCost",
        "BillingAccountId",
        "BillingAccountName",
        "BillingCurrency",
        "BillingPeriodEnd",
        "BillingPeriodStart",
        "ChargeCategory",
        "ChargeClass",
        "ChargeDescription",
        "ChargePeriodEnd",
        "ChargePeriodStart",
        "ContractedCost",
        "EffectiveCost",
        "InvoiceIssuerName",
        "ListCost",
        "PricingQuantity",
        "PricingUnit",
        "ServiceCategory",
        "ServiceName",
        "SkuId",
        "SkuPriceId",
        "SubAccountId",
        "Tags",
    ];

    #[test]
    fn every_version_has_its_mandatory_columns_once_in_order_and_ours_last() {
        for version in Version::ALL {
            let names: Vec<&str> = columns(version).iter().map(|column| column.name).collect();
            let mut wanted = MANDATORY.to_vec();
            match version {
                Version::V1_2 => wanted.extend(["ProviderName", "PublisherName"]),
                Version::V1_3 => wanted.extend([
                    "ProviderName",
                    "PublisherName",
                    "ServiceProviderName",
                    "HostProviderName",
                ]),
                Version::V1_4 => wanted.extend(["ServiceProviderName", "HostProviderName"]),
            }
            for name in wanted {
                assert_eq!(
                    names.iter().filter(|had| **had == name).count(),
                    1,
                    "{name}"
                );
            }
            assert!(names.is_sorted(), "{names:?}");
            let ours = names.iter().filter(|name| name.starts_with("x_")).count();
            assert!(
                names[names.len() - ours..]
                    .iter()
                    .all(|name| name.starts_with("x_"))
            );
        }
        let gone = columns(Version::V1_4);
        assert!(!gone.iter().any(|column| column.name == "PublisherName"));
    }

    #[test]
    fn a_charge_reads_as_it_was_made() {
        let cells = cells(
            Version::V1_4,
            &charge(
                Meter::CachedInput,
                1_500_000,
                prices(1_250_000_000, 823_000_000),
                true,
            ),
        );
        let text = |name: &str| match &cells[name] {
            Cell::Text(text) => text.clone(),
            Cell::Decimal(decimal) => decimal.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(text("PricingQuantity"), "1.5");
        assert_eq!(text("PricingUnit"), "1000000 Tokens");
        assert_eq!(text("ConsumedQuantity"), "1500000");
        assert_eq!(text("ListCost"), "1.875");
        assert_eq!(text("ContractedCost"), "1.2345");
        assert_eq!(text("BilledCost"), "1.2345");
        assert_eq!(text("SkuId"), "gpt-4o/cached-input");
        assert_eq!(text("ServiceProviderName"), "Microsoft");
        assert_eq!(text("SubAccountName"), "Search team");
        assert_eq!(text("ResourceId"), "backends/eastus/models/gpt-4o");
        assert_eq!(
            text("Tags"),
            r#"{"tollgate:application":"=cmd|'/c calc'!A0","tollgate:product":"standard"}"#
        );
    }

    #[test]
    fn a_charge_without_a_price_says_so_wherever_one_looks() {
        let mut unpriced = charge(Meter::Tokens, 100, None, false);
        unpriced.billed = Nanos(0);
        let cells = cells(Version::V1_4, &unpriced);
        assert_eq!(cells["ListUnitPrice"], Cell::Null);
        assert_eq!(cells["x_Unpriced"], Cell::text("true"));
        assert!(unpriced.description().contains("UNPRICED"));
    }

    /// The rules of the columns' tables, as far as a row can be judged alone.
    fn judge(version: Version, cells: &BTreeMap<&'static str, Cell>) {
        let null = |name: &str| cells.get(name).is_none_or(|cell| *cell == Cell::Null);
        let decimal = |name: &str| match cells[name] {
            Cell::Decimal(decimal) => decimal,
            _ => panic!("{name} is no number"),
        };
        let time = |name: &str| match cells[name] {
            Cell::Time(at) => at,
            _ => panic!("{name} is no time"),
        };
        for name in [
            "BilledCost",
            "BillingAccountId",
            "BillingAccountName",
            "BillingCurrency",
            "BillingPeriodEnd",
            "BillingPeriodStart",
            "ChargeCategory",
            "ChargeFrequency",
            "ChargePeriodEnd",
            "ChargePeriodStart",
            "ConsumedQuantity",
            "ConsumedUnit",
            "ContractedCost",
            "ContractedUnitPrice",
            "EffectiveCost",
            "InvoiceIssuerName",
            "ListCost",
            "ListUnitPrice",
            "PricingCategory",
            "PricingQuantity",
            "PricingUnit",
            "ServiceCategory",
            "ServiceName",
            "ServiceSubcategory",
            "SkuId",
            "SkuPriceId",
            "SkuMeter",
            "SubAccountId",
            "SubAccountName",
        ] {
            assert!(!null(name), "{name} is null");
        }
        if version != Version::V1_4 {
            assert!(!null("ProviderName") && !null("PublisherName"));
        }
        if version != Version::V1_2 {
            assert!(!null("ServiceProviderName") && !null("HostProviderName"));
        }
        for name in ["ContractedUnitPrice", "ListUnitPrice"] {
            assert!(!decimal(name).is_negative());
        }
        let quantity = decimal("PricingQuantity");
        assert_eq!(
            decimal("ListCost"),
            decimal("ListUnitPrice").times(quantity)
        );
        assert_eq!(
            decimal("ContractedCost"),
            decimal("ContractedUnitPrice").times(quantity)
        );
        assert_eq!(cells["BilledCost"], cells["EffectiveCost"]);
        assert!(time("ChargePeriodStart") < time("ChargePeriodEnd"));
        assert!(time("BillingPeriodStart") <= time("ChargePeriodStart"));
        assert!(time("ChargePeriodEnd") <= time("BillingPeriodEnd"));
        assert_eq!(null("ResourceId"), null("ResourceType"));
        assert!(null("ResourceName") && null("ChargeClass") && null("InvoiceId"));
        assert_eq!(
            null("CommitmentDiscountId"),
            null("CommitmentDiscountStatus")
        );
        assert_eq!(null("RegionId"), null("RegionName"));
        for (name, cell) in cells {
            // Null is the only way to have no value.
            assert!(
                !matches!(cell, Cell::Text(text) if text.trim().is_empty()),
                "{name}"
            );
        }
        let Cell::Text(tags) = &cells["Tags"] else {
            panic!("no tags");
        };
        let tags: serde_json::Value = serde_json::from_str(tags).unwrap();
        assert!(
            tags.as_object()
                .unwrap()
                .values()
                .all(serde_json::Value::is_string)
        );
    }

    proptest! {
        #[test]
        fn every_row_keeps_the_rules_of_its_columns(
            meter in prop::sample::select(Meter::ALL.to_vec()),
            quantity in 0_u64..1_000_000_000_000,
            list in 0_i64..1_000_000_000_000,
            contracted in 0_i64..1_000_000_000_000,
            backend: bool,
            version in prop::sample::select(Version::ALL.to_vec()),
        ) {
            let charge = charge(meter, quantity, prices(list, contracted), backend);
            judge(version, &cells(version, &charge));
            for (column, cell) in columns(version).iter().zip(row(version, &issuer(), &charge)) {
                prop_assert!(column.takes(&cell), "{} {cell:?}", column.name);
            }
        }
    }
}
