//! What deployments that are paid by the hour cost, laid on the tokens that they served.
//!
//! Each calendar month by itself, so that a month's shares stay what they are however many months a
//! report asks for. No call is paid for twice: where a product's or a subscription's own rates charge
//! a team by the token, its share stays with nobody.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use config::Snapshot;
use config::snapshot::Provisioned as Deployment;
use domain::limit::{Calendar, Period};
use domain::{Nanos, Wall};
use jiff::tz::TimeZone;
use store::ledger::{self, UsageBy, UsageQuery};

const HOUR_MS: i128 = 3_600_000;

/// Of which time.
#[derive(Clone, Debug)]
pub struct Asked<'s> {
    pub snapshot: &'s Snapshot,
    pub since: Option<Wall>,
    /// What lies after `now` is not owed yet.
    pub until: Option<Wall>,
    pub now: Wall,
    /// Whose days and months.
    pub time_zone: TimeZone,
    /// Sums by this time too: `Day` or `Hour`.
    pub by: Option<UsageBy>,
}

/// One deployment in one month, or the part of it that was asked for.
#[derive(Clone, Debug)]
pub struct Month {
    pub deployment: Deployment,
    pub from: Wall,
    pub to: Wall,
    pub shares: Vec<Share>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// `None`: nobody used it, or who did is charged by the token.
    pub user: Option<Who>,
    /// The day or hour that was asked for; of unused time the first.
    pub time: String,
    pub amount: Nanos,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Who {
    pub subscription: String,
    pub product: String,
    pub application: String,
    pub model: String,
}

/// Tokens of one group.
struct Use {
    who: Who,
    time: String,
    tokens: u64,
    is_charged: bool,
}

/// In the configuration's currency.
pub fn months(asked: &Asked<'_>) -> Result<Vec<Month>> {
    let calendar = Calendar {
        period: Period::Month,
        time_zone: asked.time_zone.clone(),
    };
    let end = asked.until.map_or(asked.now, |until| until.min(asked.now));
    let mut months = Vec::new();
    for deployment in &asked.snapshot.prices.provisioned {
        let mut from = asked
            .since
            .map_or(deployment.since, |since| since.max(deployment.since));
        let end = deployment.until.map_or(end, |until| until.min(end));
        while from < end {
            let to = calendar.span_at(from).end.min(end);
            months.push(month(asked, deployment, from, to)?);
            from = to;
        }
    }
    Ok(months)
}

fn month(asked: &Asked<'_>, deployment: &Deployment, from: Wall, to: Wall) -> Result<Month> {
    let amount = owed(asked.snapshot, deployment, from, to)?;
    let used = used(asked, deployment, from, to)?;
    let weights: Vec<u64> = used.iter().map(|one| one.tokens).collect();
    let mut sums: BTreeMap<(Option<Who>, String), Nanos> = BTreeMap::new();
    if used.is_empty() {
        sums.insert((None, label(from, asked)), amount);
    }
    for (one, amount) in used.into_iter().zip(in_proportion(amount, &weights)) {
        let user = (!one.is_charged).then_some(one.who);
        *sums.entry((user, one.time)).or_default() += amount;
    }
    let shares = sums
        .into_iter()
        .map(|((user, time), amount)| Share { user, time, amount })
        .collect();
    Ok(Month {
        deployment: deployment.clone(),
        from,
        to,
        shares,
    })
}

/// By the millisecond, converted by the exchange rate of its time, rounded half up to a billionth.
fn owed(snapshot: &Snapshot, deployment: &Deployment, from: Wall, to: Wall) -> Result<Nanos> {
    let home = snapshot.prices.currency;
    if deployment.currency == home {
        return Ok(amount_of(deployment.amount_per_hour, from, to));
    }
    let rates = &snapshot.prices.book.exchange_rates;
    let begins = rates.iter().filter_map(|rate| rate.since);
    let mut times: Vec<Wall> = begins
        .filter(|since| from < *since && *since < to)
        .collect();
    times.extend([from, to]);
    times.sort_unstable();
    let mut owed = Nanos::ZERO;
    for piece in times.windows(2) {
        let (from, to) = (piece[0], piece[1]);
        let in_effect = rates.iter().filter(|rate| {
            rate.from == deployment.currency
                && rate.to == home
                && rate.since.is_none_or(|since| since <= from)
        });
        let rate = in_effect.max_by_key(|rate| rate.since).with_context(|| {
            format!(
                "no exchange rate from {} to {home} is in effect for the deployment of `{}`; add it under `exchange_rates`",
                deployment.currency, deployment.backend
            )
        })?;
        owed += rate
            .rate
            .rate(amount_of(deployment.amount_per_hour, from, to));
    }
    Ok(owed)
}

pub fn amount_of(per_hour: Nanos, from: Wall, to: Wall) -> Nanos {
    let span_ms = i128::from(to.0) - i128::from(from.0);
    let owed = i128::from(per_hour.0).saturating_mul(span_ms);
    Nanos::saturated(owed.saturating_add(HOUR_MS / 2).div_euclid(HOUR_MS))
}

fn used(asked: &Asked<'_>, deployment: &Deployment, from: Wall, to: Wall) -> Result<Vec<Use>> {
    let mut by = vec![
        UsageBy::Subscription,
        UsageBy::Product,
        UsageBy::Application,
        UsageBy::Model,
    ];
    by.extend(asked.by);
    let query = UsageQuery {
        by,
        only: vec![(UsageBy::Backend, deployment.backend.to_string())],
        since: Some(from),
        until: Some(to),
        time_zone: asked.time_zone.clone(),
    };
    let rows = ledger::usage(&asked.snapshot.settings.data_dir, &query)?;
    let used = rows.into_iter().filter_map(|row| {
        let [subscription, product, application, model, time @ ..] = &row.by[..] else {
            return None;
        };
        let models = deployment.models.as_ref();
        let is_served = models.is_none_or(|models| models.iter().any(|of| of.as_str() == model));
        (is_served && row.total_tokens > 0).then(|| Use {
            who: Who {
                subscription: subscription.clone(),
                product: product.clone(),
                application: application.clone(),
                model: model.clone(),
            },
            time: time.first().cloned().unwrap_or_default(),
            tokens: row.total_tokens,
            is_charged: row.cost != Nanos::ZERO,
        })
    });
    Ok(used.collect())
}

fn label(at: Wall, asked: &Asked<'_>) -> String {
    let format = match asked.by {
        Some(UsageBy::Hour) => "%Y-%m-%dT%H:00%:z",
        Some(UsageBy::Day) => "%Y-%m-%d",
        _ => return String::new(),
    };
    jiff::Timestamp::from_millisecond(at.0)
        .unwrap_or_default()
        .to_zoned(asked.time_zone.clone())
        .strftime(format)
        .to_string()
}

/// Adds up to the amount: what rounding down leaves goes to the largest remainders, one billionth each.
pub fn in_proportion(amount: Nanos, weights: &[u64]) -> Vec<Nanos> {
    let total: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    if total == 0 {
        return Vec::new();
    }
    let parts = weights
        .iter()
        .map(|weight| i128::from(amount.0) * i128::from(*weight));
    let mut shares: Vec<(usize, i128, i128)> = parts
        .enumerate()
        .map(|(index, part)| (index, part.div_euclid(total), part.rem_euclid(total)))
        .collect();
    let left = i128::from(amount.0) - shares.iter().map(|(_, share, _)| share).sum::<i128>();
    shares.sort_by_key(|(index, _, remainder)| (-remainder, *index));
    for (_, share, _) in shares.iter_mut().take(usize::try_from(left).unwrap_or(0)) {
        *share += 1;
    }
    shares.sort_by_key(|(index, ..)| *index);
    shares
        .into_iter()
        .map(|(_, share, _)| Nanos::saturated(share))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_hour_and_a_half_costs_one_and_a_half_hours() {
        let per_hour = "46.50".parse().unwrap();
        let amount = amount_of(per_hour, Wall(1_000), Wall(1_000 + 5_400_000));
        assert_eq!(amount, "69.75".parse().unwrap());
    }

    #[test]
    fn shares_follow_the_tokens() {
        let shares = in_proportion(Nanos(100), &[1, 1, 1]);
        assert_eq!(shares, [Nanos(34), Nanos(33), Nanos(33)]);
        assert_eq!(
            in_proportion(Nanos(100), &[300, 100]),
            [Nanos(75), Nanos(25)]
        );
        assert_eq!(in_proportion(Nanos(5), &[]), []);
    }

    proptest! {
        #[test]
        fn shares_add_up_and_differ_from_exact_by_less_than_a_billionth(
            amount in 0_i64..1_000_000_000_000_000, weights in prop::collection::vec(0_u64..1_000_000_000, 1..20)
        ) {
            let total: u64 = weights.iter().sum();
            prop_assume!(total > 0);
            let shares = in_proportion(Nanos(amount), &weights);
            prop_assert_eq!(shares.iter().copied().sum::<Nanos>(), Nanos(amount));
            for (share, weight) in shares.iter().zip(&weights) {
                let exact = i128::from(amount) * i128::from(*weight);
                let off = (i128::from(share.0) * i128::from(total) - exact).abs();
                prop_assert!(off < i128::from(total));
            }
        }
    }
}
