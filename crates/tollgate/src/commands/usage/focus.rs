//! Charges as a FOCUS file, one day of calls at a time.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use config::Snapshot;
use domain::limit::{Calendar, Period};
use domain::{Currency, Wall};
use report::Writer;
use report::focus::{self, Call, Cost, Day, Directory, Documents, Group, Issuer, Provider, Span};
use store::ledger::{self, Charged, ChargedCall, ChargedQuery, PricedCharge, UsageQuery};

use super::source::Opened;
use crate::print;
use crate::table::thousands;

#[derive(Debug, Args)]
#[command(next_help_heading = "With --format focus and focus-parquet")]
pub struct Options {
    /// Version of the specification [default: 1.4]
    #[arg(long, value_enum, value_name = "VERSION")]
    focus_version: Option<Version>,

    /// BillingAccountId and BillingAccountName [default: tollgate]
    #[arg(long, value_name = "NAME")]
    billing_account: Option<String>,

    /// Who charges the teams: InvoiceIssuerName and ServiceProviderName [default: each model's provider]
    #[arg(long, value_name = "NAME")]
    invoice_issuer: Option<String>,

    /// Write calls without a price too, marked, at no cost; without this they are an error
    #[arg(long)]
    allow_unpriced: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Version {
    #[value(name = "1.2")]
    V1_2,
    #[value(name = "1.3")]
    V1_3,
    #[value(name = "1.4")]
    V1_4,
}

impl Options {
    /// Told to a format that has no use for them.
    pub fn refuse_any(&self) -> Result<()> {
        let told = [
            (self.focus_version.is_some(), "--focus-version"),
            (self.billing_account.is_some(), "--billing-account"),
            (self.invoice_issuer.is_some(), "--invoice-issuer"),
            (self.allow_unpriced, "--allow-unpriced"),
        ];
        match told.into_iter().find(|(is_told, _)| *is_told) {
            Some((_, name)) => bail!("{name} goes with --format focus or focus-parquet"),
            None => Ok(()),
        }
    }

    pub fn write<W: Write>(
        self,
        to: W,
        format: report::Format,
        opened: &Opened,
        query: &ChargedQuery,
        with_provisioned: bool,
    ) -> Result<W> {
        if !self.allow_unpriced {
            refuse_unpriced(opened, query)?;
        }
        let version = match self.focus_version {
            Some(Version::V1_2) => focus::Version::V1_2,
            Some(Version::V1_3) => focus::Version::V1_3,
            Some(Version::V1_4) | None => focus::Version::V1_4,
        };
        let issuer = Issuer {
            name: self.invoice_issuer,
            billing_account: self
                .billing_account
                .unwrap_or_else(|| "tollgate".to_owned()),
        };
        let directory = directory(opened.snapshot.as_ref());
        let home = home_currency(opened, query)?;
        let texts = ledger::prices(&opened.data_dir)?;
        let mut documents =
            Documents::new(texts.into_iter().map(|(id, text)| (id.0.to_string(), text)));
        let months = Calendar {
            period: Period::Month,
            time_zone: query.time_zone.clone(),
        };

        let mut writer = Writer::new(to, format, focus::columns(version))?;
        let mut day = Day::new(home);
        let mut unpriced = 0;
        ledger::charged::<anyhow::Error>(&opened.data_dir, query, |step| match step {
            Charged::Call(call) => {
                let call = into_call(call);
                let document = match &call.cost {
                    Some(cost) => documents.get(&cost.price)?,
                    None => None,
                };
                Ok(day.add(&call, document)?)
            }
            Charged::Day { start, end } => {
                let done = std::mem::replace(&mut day, Day::new(home));
                unpriced += done.unpriced_calls();
                let month = months.span_at(start);
                let billing = Span {
                    start: month.start,
                    end: month.end,
                };
                for charge in done.into_charges(Span { start, end }, billing, &directory) {
                    writer.row(&focus::row(version, &issuer, &charge))?;
                }
                Ok(())
            }
        })?;
        for adjustment in adjustments(opened, query, &directory)? {
            writer.row(&adjustment.row(version, &issuer))?;
        }
        if with_provisioned {
            let charges = super::provisioned::charges(opened.snapshot()?, query, &directory)?;
            for charge in charges {
                writer.row(&charge.row(version, &issuer))?;
            }
        }
        if unpriced > 0 {
            print::error(&format!(
                "tollgate: {} calls have no price: their rows say UNPRICED, and their cost is missing\n",
                thousands(unpriced)
            ));
        }
        Ok(writer.finish()?)
    }
}

/// What was worked out anew of this time's calls, as rows of their own: history is never edited.
fn adjustments(
    opened: &Opened,
    query: &ChargedQuery,
    directory: &Directory,
) -> Result<Vec<focus::Adjustment>> {
    let span_at = |period: Period, at: Wall| {
        let time_zone = query.time_zone.clone();
        let span = Calendar { period, time_zone }.span_at(at);
        Span {
            start: span.start,
            end: span.end,
        }
    };
    let since = query.since.unwrap_or(Wall(0));
    let until = query.until.unwrap_or(Wall(i64::MAX));
    let made = ledger::adjustments(&opened.data_dir, since, until)?;
    let rows = made.into_iter().map(|adjustment| {
        let billing_period = span_at(Period::Month, adjustment.hour);
        let named = |name: String| Some(name).filter(|name| !name.is_empty());
        let backend = named(adjustment.backend.to_string());
        focus::Adjustment {
            billing_period,
            charge_period: span_at(Period::Day, adjustment.hour),
            subscription_name: directory
                .subscriptions
                .get(adjustment.subscription.as_str())
                .cloned(),
            provider: directory.provider(backend.as_deref()),
            group: Group {
                subscription: adjustment.subscription.to_string(),
                product: adjustment.product.to_string(),
                application: named(adjustment.application),
                model: adjustment.model.to_string(),
                asked_model: None,
                backend,
            },
            currency: adjustment.currency,
            amount: adjustment.amount,
            reason: adjustment.reason,
            is_correction: adjustment.made_at >= billing_period.end,
        }
    });
    Ok(rows.collect())
}

/// FOCUS cannot say that a cost is unknown, and a zero in a bill is a promise.
fn refuse_unpriced(opened: &Opened, query: &ChargedQuery) -> Result<()> {
    let rows = ledger::usage(&opened.data_dir, &totals(query))?;
    let calls: u64 = rows.iter().map(|row| row.unpriced_calls).sum();
    if calls > 0 {
        let (has, them) = if calls == 1 {
            ("call of this time has", "it")
        } else {
            ("calls of this time have", "them")
        };
        bail!(
            "{} {has} no price, and FOCUS has no way to say so; see `tollgate usage --by model,backend`, \
             price the models, or add --allow-unpriced to write {them} marked, at no cost",
            thousands(calls)
        );
    }
    Ok(())
}

fn totals(query: &ChargedQuery) -> UsageQuery {
    UsageQuery {
        by: Vec::new(),
        only: Vec::new(),
        since: query.since,
        until: query.until,
        time_zone: query.time_zone.clone(),
    }
}

/// That of the calls whose price is known, for those whose price is not.
fn home_currency(opened: &Opened, query: &ChargedQuery) -> Result<Currency> {
    let rows = ledger::usage(&opened.data_dir, &totals(query))?;
    Ok(rows
        .iter()
        .find_map(|row| row.currency)
        .unwrap_or(Currency::USD))
}

fn directory(snapshot: Option<&Snapshot>) -> Directory {
    let Some(snapshot) = snapshot else {
        return Directory::default();
    };
    let subscriptions = snapshot
        .subscriptions
        .iter()
        .map(|(id, subscription)| (id.to_string(), subscription.name.clone()));
    let providers = snapshot.backends.iter().map(|(id, backend)| {
        let provider = Provider::of_backend(id.as_str(), backend.url.host_str());
        (id.to_string(), provider)
    });
    Directory {
        subscriptions: subscriptions.collect::<BTreeMap<_, _>>(),
        providers: providers.collect(),
    }
}

fn into_call(call: ChargedCall) -> Call {
    let ChargedCall {
        subscription,
        product,
        application,
        model,
        asked_model,
        backend,
        usage,
        is_estimated,
        charge,
        saved,
        is_sum,
    } = call;
    let cost = charge.map(|charge| {
        let PricedCharge {
            amount,
            currency,
            price,
        } = charge;
        Cost {
            amount,
            currency,
            price,
        }
    });
    Call {
        group: Group {
            subscription,
            product,
            application,
            model,
            asked_model,
            backend,
        },
        usage,
        is_estimated,
        cost,
        saved,
        is_sum,
    }
}
