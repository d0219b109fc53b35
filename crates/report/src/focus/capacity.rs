//! Capacity that is paid by the hour, used or not: one row for each share of a deployment.
//!
//! FOCUS calls it a capacity reservation. It is no commitment discount: nothing is taken off a price.

use domain::money::{Currency, Nanos};

use super::columns::{Version, columns};
use super::{Group, Issuer, Pair, Provider, Span};
use crate::decimal::Decimal;
use crate::sheet::Cell;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capacity {
    pub billing_period: Span,
    pub charge_period: Span,
    /// The deployment: its backend, and the models that it serves.
    pub backend: String,
    pub models: Option<Vec<String>>,
    pub provider: Provider,
    /// Whose share it is; absent: nobody's, it is the capacity that was not used.
    pub group: Option<Group>,
    pub subscription_name: Option<String>,
    pub currency: Currency,
    pub amount: Nanos,
    /// Hours of it, as a share of the period's.
    pub hours: Decimal,
    /// Of an hour: in the charge's currency, and in that of the price.
    pub billing: Decimal,
    pub pricing: Decimal,
    pub pricing_currency: Currency,
}

impl Capacity {
    /// In the order of [`columns`].
    pub fn row(&self, version: Version, issuer: &Issuer) -> Vec<Cell> {
        columns(version)
            .iter()
            .map(|column| self.cell(column.name, issuer))
            .collect()
    }

    fn cell(&self, column: &str, issuer: &Issuer) -> Cell {
        let provider = &self.provider.name;
        let group = self.group.as_ref();
        let prices = Pair {
            list: self.billing,
            contracted: self.billing,
        };
        match column {
            "BilledCost" | "EffectiveCost" => Decimal::from(self.amount).into(),
            "BillingAccountId" | "BillingAccountName" => Cell::text(&issuer.billing_account),
            "BillingCurrency" => Cell::text(self.currency.as_str()),
            "BillingPeriodEnd" => Cell::Time(self.billing_period.end),
            "BillingPeriodStart" => Cell::Time(self.billing_period.start),
            "CapacityReservationId" => Cell::Text(self.id()),
            "CapacityReservationStatus" => {
                Cell::text(if group.is_some() { "Used" } else { "Unused" })
            }
            "ChargeCategory" => Cell::text("Usage"),
            "ChargeDescription" => Cell::Text(self.description()),
            "ChargeFrequency" => Cell::text("Usage-Based"),
            "ChargePeriodEnd" => Cell::Time(self.charge_period.end),
            "ChargePeriodStart" => Cell::Time(self.charge_period.start),
            // What was not used was not consumed.
            "ConsumedQuantity" => group.map(|_| self.hours).into(),
            "ConsumedUnit" => Cell::or_null(group.map(|_| "Hours")),
            "ContractedCost" => prices.contracted.times(self.hours).into(),
            "ContractedUnitPrice" => prices.contracted.into(),
            "HostProviderName" | "PublisherName" => Cell::text(provider),
            "InvoiceIssuerName" | "ProviderName" | "ServiceProviderName" => {
                Cell::text(issuer.name.as_ref().unwrap_or(provider))
            }
            "ListCost" => prices.list.times(self.hours).into(),
            "ListUnitPrice" => prices.list.into(),
            "PricingCategory" => Cell::text("Standard"),
            "PricingCurrency" => Cell::text(self.pricing_currency.as_str()),
            "PricingCurrencyContractedUnitPrice" | "PricingCurrencyListUnitPrice" => {
                self.pricing.into()
            }
            "PricingCurrencyEffectiveCost" => self.pricing.times(self.hours).into(),
            "PricingQuantity" => self.hours.into(),
            "PricingUnit" => Cell::text("Hours"),
            "ResourceId" => Cell::Text(self.id()),
            "ResourceType" => Cell::text("Provisioned Deployment"),
            "ServiceCategory" => Cell::text("AI and Machine Learning"),
            "ServiceName" => Cell::text(&self.provider.service),
            "ServiceSubcategory" => Cell::text("Generative AI"),
            "SkuId" => Cell::Text(format!("{}/provisioned", self.backend)),
            "SkuMeter" => Cell::text("Provisioned Hours"),
            "SkuPriceId" => Cell::Text(format!("{}/provisioned/hour", self.backend)),
            "SubAccountId" => Cell::or_null(group.map(|group| group.subscription.as_str())),
            "SubAccountName" => Cell::or_null(group.map(|group| {
                self.subscription_name
                    .as_deref()
                    .unwrap_or(&group.subscription)
            })),
            "Tags" => Cell::or_null(self.tags().as_deref()),
            "x_Backend" => Cell::text(&self.backend),
            "x_EstimatedQuantity" | "x_SavedCost" => Decimal::ZERO.into(),
            "x_Model" => Cell::or_null(group.map(|group| group.model.as_str())),
            "x_Unpriced" => Cell::text("false"),
            _ => Cell::Null,
        }
    }

    fn id(&self) -> String {
        match self.models.as_deref() {
            Some([model]) => format!("backends/{}/models/{model}", self.backend),
            Some(models) => format!("backends/{}/models/{}", self.backend, models.join("+")),
            None => format!("backends/{}", self.backend),
        }
    }

    fn description(&self) -> String {
        match &self.group {
            Some(group) => format!(
                "Provisioned hours of {}: the share of {} by {}",
                self.backend,
                group.model,
                self.subscription_name
                    .as_ref()
                    .unwrap_or(&group.subscription)
            ),
            None => format!("Provisioned hours of {} that are no team's", self.backend),
        }
    }

    fn tags(&self) -> Option<String> {
        let group = self.group.as_ref()?;
        Some(super::charge::tags(
            &group.product,
            group.application.as_deref(),
            None,
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use domain::Wall;

    use super::*;
    use crate::{Format, Writer};

    fn capacity(group: Option<Group>, hours: i128) -> Capacity {
        let span = Span {
            start: Wall(0),
            end: Wall(36_000_000),
        };
        Capacity {
            billing_period: span,
            charge_period: span,
            backend: "reserved".to_owned(),
            models: Some(vec!["gpt-4o".to_owned()]),
            provider: Provider::of_backend("reserved", Some("east.openai.azure.com")),
            group,
            subscription_name: Some("Search team".to_owned()),
            currency: "EUR".parse().unwrap(),
            amount: Nanos(90_000_000_000),
            hours: Decimal::new(hours, 6).unwrap(),
            billing: Decimal::whole(36),
            pricing: Decimal::whole(40),
            pricing_currency: Currency::USD,
        }
    }

    fn issuer() -> Issuer {
        Issuer {
            name: None,
            billing_account: "tollgate".to_owned(),
        }
    }

    fn cells(version: Version, group: Option<Group>) -> BTreeMap<&'static str, Cell> {
        let capacity = capacity(group, 2_500_000);
        let names = columns(version).into_iter().map(|column| column.name);
        names.zip(capacity.row(version, &issuer())).collect()
    }

    fn search() -> Group {
        Group {
            subscription: "search".to_owned(),
            product: "standard".to_owned(),
            application: None,
            model: "gpt-4o".to_owned(),
            asked_model: None,
            backend: Some("reserved".to_owned()),
        }
    }

    #[test]
    fn a_share_is_hours_of_a_used_reservation_at_the_hours_price() {
        for version in Version::ALL {
            let used = cells(version, Some(search()));
            let text = |name: &str| match &used[name] {
                Cell::Text(text) => text.clone(),
                other => panic!("{name}: {other:?}"),
            };
            assert_eq!(text("CapacityReservationStatus"), "Used");
            assert_eq!(text("CapacityReservationId"), text("ResourceId"));
            assert_eq!(text("ChargeCategory"), "Usage");
            assert_eq!(text("PricingCategory"), "Standard");
            assert_eq!(
                (text("PricingUnit"), text("ConsumedUnit")),
                ("Hours".into(), "Hours".into())
            );
            assert_eq!(text("SubAccountName"), "Search team");
            assert_eq!(used["BilledCost"], Decimal::whole(90).into());
            assert_eq!(used["ContractedCost"], Decimal::whole(90).into());
            assert_eq!(
                used["PricingCurrencyEffectiveCost"],
                Decimal::whole(100).into()
            );
            // No price is lower for it, and no commitment's.
            assert_eq!(used["CommitmentDiscountId"], Cell::Null);
        }
    }

    /// Any part of an hour: every column has room for its decimals.
    #[test]
    fn a_seventh_of_an_hour_can_be_written() {
        for version in Version::ALL {
            for format in [Format::Csv, Format::Parquet] {
                let mut writer = Writer::new(Vec::new(), format, columns(version)).unwrap();
                let row = capacity(Some(search()), 142_857).row(version, &issuer());
                writer.row(&row).unwrap();
                assert!(!writer.finish().unwrap().is_empty());
            }
        }
    }

    #[test]
    fn what_nobody_used_is_no_accounts_and_consumed_nothing() {
        let unused = cells(Version::V1_4, None);
        assert_eq!(unused["CapacityReservationStatus"], Cell::text("Unused"));
        for name in [
            "SubAccountId",
            "SubAccountName",
            "ConsumedQuantity",
            "ConsumedUnit",
            "Tags",
            "x_Model",
        ] {
            assert_eq!(unused[name], Cell::Null, "{name}");
        }
        assert_eq!(unused["BilledCost"], Decimal::whole(90).into());
    }
}
