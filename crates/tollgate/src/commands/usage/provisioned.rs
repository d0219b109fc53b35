//! What is paid by the hour as rows of usage and as charges: lines of their own, without calls.

use std::collections::BTreeMap;

use anyhow::Result;
use config::Snapshot;
use domain::limit::{Calendar, Period};
use domain::{Nanos, Wall};
use gateway::Clock;
use report::Decimal;
use report::focus::{self, Directory, Group, Span};
use store::ledger::{ChargedQuery, UsageBy, UsageQuery, UsageRow};

use crate::provisioned::{Asked, Month, Share, months};

/// What `--by outcome` calls them: no call ends like this.
const OUTCOME: &str = "provisioned";
const HOUR_MS: i128 = 3_600_000;
const MILLION: i128 = 1_000_000;

pub fn rows(snapshot: &Snapshot, query: &UsageQuery) -> Result<Vec<UsageRow>> {
    let times = [UsageBy::Hour, UsageBy::Day];
    let months = months(&Asked {
        snapshot,
        since: query.since,
        until: query.until,
        now: Clock::system().now().wall,
        time_zone: query.time_zone.clone(),
        by: times.into_iter().find(|by| query.by.contains(by)),
    })?;
    let mut sums: BTreeMap<Vec<String>, Nanos> = BTreeMap::new();
    for month in &months {
        for share in &month.shares {
            let is_other = |(by, wanted): &(UsageBy, String)| name(month, share, *by) != *wanted;
            if query.only.iter().any(is_other) {
                continue;
            }
            let names = query.by.iter().map(|by| name(month, share, *by));
            *sums.entry(names.collect()).or_default() += share.amount;
        }
    }
    let rows = sums.into_iter().map(|(by, cost)| UsageRow {
        by,
        cost,
        currency: Some(snapshot.prices.currency),
        ..UsageRow::default()
    });
    Ok(rows.collect())
}

fn name(month: &Month, share: &Share, by: UsageBy) -> String {
    let user = share.user.as_ref();
    let named = |name: Option<&String>| name.cloned().unwrap_or_default();
    match by {
        UsageBy::Subscription => named(user.map(|user| &user.subscription)),
        UsageBy::Product => named(user.map(|user| &user.product)),
        UsageBy::Application => named(user.map(|user| &user.application)),
        UsageBy::Model | UsageBy::AskedModel => match (user, month.deployment.models.as_deref()) {
            (Some(user), _) => user.model.clone(),
            (None, Some([model])) => model.to_string(),
            (None, _) => String::new(),
        },
        UsageBy::Backend => month.deployment.backend.to_string(),
        // An hour begins with its day.
        UsageBy::Day => share.time.chars().take("2026-11-22".len()).collect(),
        UsageBy::Hour => share.time.clone(),
        UsageBy::Outcome => OUTCOME.to_owned(),
        UsageBy::Cache | UsageBy::User => String::new(),
    }
}

pub fn charges(
    snapshot: &Snapshot,
    query: &ChargedQuery,
    directory: &Directory,
) -> Result<Vec<focus::Capacity>> {
    let months = months(&Asked {
        snapshot,
        since: query.since,
        until: query.until,
        now: Clock::system().now().wall,
        time_zone: query.time_zone.clone(),
        by: None,
    })?;
    let calendar = Calendar {
        period: Period::Month,
        time_zone: query.time_zone.clone(),
    };
    let mut charges = Vec::new();
    for month in &months {
        let billing = calendar.span_at(month.from);
        let billing_period = Span {
            start: billing.start,
            end: billing.end,
        };
        for share in &month.shares {
            charges.push(charge(snapshot, month, share, billing_period, directory));
        }
    }
    Ok(charges)
}

fn charge(
    snapshot: &Snapshot,
    month: &Month,
    share: &Share,
    billing_period: Span,
    directory: &Directory,
) -> focus::Capacity {
    let deployment = &month.deployment;
    let backend = deployment.backend.to_string();
    let total: Nanos = month.shares.iter().map(|share| share.amount).sum();
    let pricing = Decimal::from(deployment.amount_per_hour);
    let billing = if deployment.currency == snapshot.prices.currency {
        pricing
    } else {
        // The mean of the month, whose exchange rate may have changed.
        let hours = hours(month.from, month.to, total, total);
        Decimal::from(total).share_of(hours).unwrap_or_default()
    };
    let group = share.user.as_ref().map(|user| Group {
        subscription: user.subscription.clone(),
        product: user.product.clone(),
        application: Some(user.application.clone()).filter(|name| !name.is_empty()),
        model: user.model.clone(),
        asked_model: None,
        backend: Some(backend.clone()),
    });
    focus::Capacity {
        billing_period,
        charge_period: Span {
            start: month.from,
            end: month.to,
        },
        provider: directory.provider(Some(&backend)),
        backend,
        models: deployment
            .models
            .as_ref()
            .map(|models| models.iter().map(ToString::to_string).collect()),
        subscription_name: group
            .as_ref()
            .and_then(|group| directory.subscriptions.get(&group.subscription).cloned()),
        group,
        currency: snapshot.prices.currency,
        amount: share.amount,
        hours: hours(month.from, month.to, share.amount, total),
        billing,
        pricing,
        pricing_currency: deployment.currency,
    }
}

/// The share's part of the time, in millionths of an hour; all of it where it costs nothing.
fn hours(from: Wall, to: Wall, amount: Nanos, total: Nanos) -> Decimal {
    let millionths = (i128::from(to.0) - i128::from(from.0)) * MILLION / HOUR_MS;
    let part = match i128::from(total.0) {
        0 => millionths,
        total => millionths * i128::from(amount.0) / total,
    };
    Decimal::new(part, 6).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_shared_as_the_amount_is() {
        let day =
            |amount, total| hours(Wall(0), Wall(86_400_000), Nanos(amount), Nanos(total)).fixed(6);
        assert_eq!(day(1, 4), "6.000000");
        assert_eq!(day(1, 7), "3.428571");
        assert_eq!(day(0, 0), "24.000000");
    }
}
