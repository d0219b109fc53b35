//! What was added to, or taken off, charges after calls were written down.

use domain::money::{Currency, Nanos};

use super::columns::{Version, columns};
use super::{Group, Issuer, Provider, Span};
use crate::decimal::Decimal;
use crate::sheet::Cell;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    pub billing_period: Span,
    /// Of the calls that it is about.
    pub charge_period: Span,
    pub group: Group,
    /// As the configuration has it now; else the id.
    pub subscription_name: Option<String>,
    pub provider: Provider,
    pub currency: Currency,
    /// Below zero: a refund.
    pub amount: Nanos,
    pub reason: String,
    /// Made when its billing period was over, so that its bill may have been written.
    pub is_correction: bool,
}

impl Adjustment {
    /// In the order of [`columns`]. It has no quantity and no price.
    pub fn row(&self, version: Version, issuer: &Issuer) -> Vec<Cell> {
        columns(version)
            .iter()
            .map(|column| self.cell(column.name, issuer))
            .collect()
    }

    fn cell(&self, column: &str, issuer: &Issuer) -> Cell {
        let Group {
            subscription,
            product,
            application,
            model,
            asked_model,
            backend,
        } = &self.group;
        let provider = &self.provider.name;
        match column {
            "BilledCost"
            | "ContractedCost"
            | "EffectiveCost"
            | "ListCost"
            | "PricingCurrencyEffectiveCost" => Decimal::from(self.amount).into(),
            "BillingAccountId" | "BillingAccountName" => Cell::text(&issuer.billing_account),
            "BillingCurrency" | "PricingCurrency" => Cell::text(self.currency.as_str()),
            "BillingPeriodEnd" => Cell::Time(self.billing_period.end),
            "BillingPeriodStart" => Cell::Time(self.billing_period.start),
            "ChargeCategory" => Cell::text("Adjustment"),
            "ChargeClass" if self.is_correction => Cell::text("Correction"),
            "ChargeDescription" => Cell::Text(format!("Adjustment of {model}: {}", self.reason)),
            "ChargeFrequency" => Cell::text("One-Time"),
            "ChargePeriodEnd" => Cell::Time(self.charge_period.end),
            "ChargePeriodStart" => Cell::Time(self.charge_period.start),
            "HostProviderName" | "PublisherName" => Cell::text(provider),
            "InvoiceIssuerName" | "ProviderName" | "ServiceProviderName" => {
                Cell::text(issuer.name.as_ref().unwrap_or(provider))
            }
            "ServiceCategory" => Cell::text("AI and Machine Learning"),
            "ServiceName" => Cell::text(&self.provider.service),
            "ServiceSubcategory" => Cell::text("Generative AI"),
            "SubAccountId" => Cell::text(subscription),
            "SubAccountName" => Cell::text(self.subscription_name.as_ref().unwrap_or(subscription)),
            "Tags" => Cell::Text(super::charge::tags(
                product,
                application.as_deref(),
                asked_model.as_deref(),
            )),
            "x_Backend" => Cell::or_null(backend.as_deref()),
            "x_EstimatedQuantity" | "x_SavedCost" => Decimal::ZERO.into(),
            "x_Model" => Cell::text(model),
            "x_Unpriced" => Cell::text("false"),
            // It is of no SKU, no resource and no quantity.
            _ => Cell::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use domain::Wall;

    use super::*;

    fn cells(is_correction: bool) -> BTreeMap<&'static str, Cell> {
        let span = Span {
            start: Wall(0),
            end: Wall(1),
        };
        let adjustment = Adjustment {
            billing_period: span,
            charge_period: span,
            group: Group {
                subscription: "search".to_owned(),
                product: "standard".to_owned(),
                application: None,
                model: "gpt-4o".to_owned(),
                asked_model: None,
                backend: Some("eastus".to_owned()),
            },
            subscription_name: None,
            provider: Provider::of_backend("eastus", None),
            currency: Currency::USD,
            amount: Nanos(-1_500_000_000),
            reason: "the contract's price".to_owned(),
            is_correction,
        };
        let issuer = Issuer {
            name: None,
            billing_account: "tollgate".to_owned(),
        };
        let names = columns(Version::V1_3).into_iter().map(|column| column.name);
        names.zip(adjustment.row(Version::V1_3, &issuer)).collect()
    }

    #[test]
    fn an_adjustment_is_money_alone_and_a_correction_if_the_period_is_over() {
        let cells = cells(true);
        assert_eq!(cells["BilledCost"], Cell::Decimal("-1.5".parse().unwrap()));
        assert_eq!(cells["ContractedCost"], cells["BilledCost"]);
        assert_eq!(cells["ListCost"], cells["BilledCost"]);
        assert_eq!(cells["ChargeCategory"], Cell::text("Adjustment"));
        assert_eq!(cells["ChargeClass"], Cell::text("Correction"));
        for null in [
            "ConsumedQuantity",
            "ConsumedUnit",
            "PricingQuantity",
            "PricingUnit",
            "SkuId",
            "SkuMeter",
        ] {
            assert_eq!(cells[null], Cell::Null, "{null}");
        }
        assert_eq!(self::cells(false)["ChargeClass"], Cell::Null);
    }

    #[test]
    fn what_may_not_be_null_is_not() {
        let cells = cells(false);
        for name in [
            "BillingAccountId",
            "BillingAccountName",
            "BillingCurrency",
            "BillingPeriodEnd",
            "BillingPeriodStart",
            "ChargeFrequency",
            "ChargePeriodEnd",
            "ChargePeriodStart",
            "EffectiveCost",
            "InvoiceIssuerName",
            "ProviderName",
            "PublisherName",
            "ServiceProviderName",
            "HostProviderName",
            "ServiceCategory",
            "ServiceName",
            "ServiceSubcategory",
            "SubAccountId",
            "SubAccountName",
            "PricingCurrency",
            "PricingCurrencyEffectiveCost",
        ] {
            assert_ne!(cells[name], Cell::Null, "{name}");
        }
    }
}
