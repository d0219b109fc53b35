use std::collections::BTreeMap;

use domain::Wall;
use domain::money::{Currency, Nanos};
use proptest::prelude::*;

use super::*;
use crate::focus::{Meter, Pair, Prices, Provider, Span};

fn issuer() -> Issuer {
    Issuer {
        name: None,
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
        model: "gpt-4o".to_owned(),
        asked_model: Some("o3".to_owned()),
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
    let pair = |factor: i64| Pair {
        list: Nanos(list * factor).into(),
        contracted: Nanos(contracted * factor).into(),
    };
    Some(Prices {
        billing: pair(1),
        pricing: pair(2),
        pricing_currency: Currency::USD,
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
    assert_eq!(text("PricingCurrency"), "USD");
    assert_eq!(text("PricingCurrencyEffectiveCost"), "2.469");
    assert_eq!(text("SubAccountName"), "Search team");
    assert_eq!(text("ResourceId"), "backends/eastus/models/gpt-4o");
    assert_eq!(
        text("Tags"),
        r#"{"tollgate:application":"=cmd|'/c calc'!A0","tollgate:asked_model":"o3","tollgate:product":"standard"}"#
    );
}

#[test]
fn one_who_charges_the_teams_sells_what_others_make() {
    let issuer = Issuer {
        name: Some("Platform team".to_owned()),
        ..issuer()
    };
    let charge = charge(Meter::Output, 1, prices(1, 1), true);
    let names: Vec<&str> = columns(Version::V1_3)
        .iter()
        .map(|column| column.name)
        .collect();
    let row = row(Version::V1_3, &issuer, &charge);
    let of = |name: &str| &row[names.iter().position(|had| *had == name).unwrap()];
    for name in ["InvoiceIssuerName", "ProviderName", "ServiceProviderName"] {
        assert_eq!(of(name), &Cell::text("Platform team"), "{name}");
    }
    for name in ["PublisherName", "HostProviderName"] {
        assert_eq!(of(name), &Cell::text("Microsoft"), "{name}");
    }
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
    let pricing = decimal("PricingCurrencyContractedUnitPrice");
    assert_eq!(
        decimal("PricingCurrencyEffectiveCost"),
        pricing.times(quantity)
    );
    assert!(!null("PricingCurrency") && !decimal("PricingCurrencyListUnitPrice").is_negative());
    assert_eq!(cells["BilledCost"], cells["EffectiveCost"]);
    // Else payments would be received by a third party, and BilledCost had to be 0.
    let seller = ["ProviderName", "ServiceProviderName"]
        .into_iter()
        .find_map(|name| cells.get(name));
    assert_eq!(seller, cells.get("InvoiceIssuerName"));
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
