//! `tollgate prices provisioned`: what is paid by the hour, and each team's share of it.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use config::Snapshot;
use config::snapshot::Provisioned as Deployment;
use domain::{Currency, ModelName, Nanos, Wall};
use gateway::Clock;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use store::ledger::{self, UsageBy, UsageQuery};

use crate::configuration;
use crate::moment::Moment;
use crate::print;
use crate::table::{Cell, Format, Table};

/// Say what deployments that are paid by the hour cost, and who used them
#[derive(Debug, Args)]
#[command(after_help = "\
Calls on such a deployment cost nothing by themselves. What it costs by the hour is shared here in
proportion to the tokens that it served to each subscription; hours in which nobody used it are shared
with the rest. The part of a time that lies in the future is left out.

  tollgate prices provisioned --config tollgate.yaml --since 2026-11-01 --until 2026-12-01")]
pub struct Provisioned {
    /// The gateway's configuration: its deployments, and where its ledger is
    #[arg(long, value_name = "FILE|DIR", default_value = "tollgate.yaml")]
    config: PathBuf,

    /// From then on: a date, an RFC 3339 time, or how long ago
    #[arg(long, value_name = "WHEN", value_parser = Moment::parse)]
    since: Moment,

    /// Until then [default: now]
    #[arg(long, value_name = "WHEN", value_parser = Moment::parse)]
    until: Option<Moment>,

    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// One subscription's share of one deployment; the first line of each is that of nobody, where it
/// was not used at all.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Share {
    backend: String,
    models: String,
    subscription: String,
    tokens: u64,
    currency: Currency,
    amount: Nanos,
}

impl Provisioned {
    pub fn run(self) -> Result<()> {
        let snapshot = configuration::load_without_secrets(&self.config)?;
        let now = Clock::system().now().wall;
        let resolve = |moment: Moment, flag: &str| {
            moment
                .resolve(now, &snapshot.settings.time_zone)
                .with_context(|| format!("{flag}: no such time in the time zone"))
        };
        let since = resolve(self.since, "--since")?;
        let until = match self.until {
            None => now,
            Some(until) => Wall(resolve(until, "--until")?.0.min(now.0)),
        };
        if until <= since {
            bail!("--until: not later than --since, or that lies in the future");
        }
        let shares = shares(&snapshot, since, until)?;
        print::out(&match self.format {
            Format::Table if shares.is_empty() => {
                "no deployment was paid by the hour in this time\n".to_owned()
            }
            Format::Table => table(&shares).aligned(),
            Format::Csv => table(&shares).csv(),
            Format::Json => json_text(&shares)?,
        })?;
        Ok(())
    }
}

fn shares(snapshot: &Snapshot, since: Wall, until: Wall) -> Result<Vec<Share>> {
    let mut shares = Vec::new();
    for deployment in &snapshot.prices.provisioned {
        let from = since.max(deployment.since);
        let to = deployment.until.map_or(until, |end| until.min(end));
        if to <= from {
            continue;
        }
        let amount = amount_of(deployment, from, to);
        let used = tokens(snapshot, deployment, from, to)?;
        let models = deployment.models.as_ref().map_or_else(
            || "all".to_owned(),
            |models| {
                models
                    .iter()
                    .map(ModelName::as_str)
                    .collect::<Vec<_>>()
                    .join(" ")
            },
        );
        let share = |subscription: String, tokens, amount| Share {
            backend: deployment.backend.to_string(),
            models: models.clone(),
            subscription,
            tokens,
            currency: deployment.currency,
            amount,
        };
        if used.is_empty() {
            shares.push(share(String::new(), 0, amount));
        }
        let split = in_proportion(
            amount,
            &used.iter().map(|(_, tokens)| *tokens).collect::<Vec<_>>(),
        );
        for ((subscription, tokens), amount) in used.into_iter().zip(split) {
            shares.push(share(subscription, tokens, amount));
        }
    }
    Ok(shares)
}

/// By the millisecond, rounded half up to a billionth.
fn amount_of(deployment: &Deployment, from: Wall, to: Wall) -> Nanos {
    const HOUR_MS: i128 = 3_600_000;
    let span_ms = i128::from(to.0) - i128::from(from.0);
    let owed = i128::from(deployment.amount_per_hour.0).saturating_mul(span_ms);
    Nanos::saturated(owed.saturating_add(HOUR_MS / 2).div_euclid(HOUR_MS))
}

/// Tokens that the deployment served, by subscription.
fn tokens(
    snapshot: &Snapshot,
    deployment: &Deployment,
    from: Wall,
    to: Wall,
) -> Result<Vec<(String, u64)>> {
    let query = UsageQuery {
        by: vec![UsageBy::Subscription, UsageBy::Model, UsageBy::Backend],
        only: Vec::new(),
        since: Some(from),
        until: Some(to),
        time_zone: TimeZone::UTC,
    };
    let mut used: Vec<(String, u64)> = Vec::new();
    for row in ledger::usage(&snapshot.settings.data_dir, &query)? {
        let [subscription, model, backend] = &row.by[..] else {
            continue;
        };
        let models = deployment.models.as_ref();
        let is_served = models.is_none_or(|models| models.iter().any(|of| of.as_str() == model));
        if backend != deployment.backend.as_str() || !is_served || row.total_tokens == 0 {
            continue;
        }
        match used.iter_mut().find(|(known, _)| known == subscription) {
            Some((_, tokens)) => *tokens = tokens.saturating_add(row.total_tokens),
            None => used.push((subscription.clone(), row.total_tokens)),
        }
    }
    Ok(used)
}

/// Adds up to the amount: what rounding down leaves goes to the largest remainders, one billionth each.
fn in_proportion(amount: Nanos, weights: &[u64]) -> Vec<Nanos> {
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

fn table(shares: &[Share]) -> Table {
    let mut table = Table::default()
        .column("backend")
        .column("models")
        .column("subscription")
        .number("tokens")
        .column("currency")
        .number("amount");
    for share in shares {
        table.row(vec![
            Cell::text(&share.backend),
            Cell::text(&share.models),
            Cell::text(&share.subscription),
            Cell::Number(share.tokens),
            Cell::Text(share.currency.to_string()),
            Cell::Decimal(share.amount.to_string()),
        ]);
    }
    table
}

fn json_text(shares: &[Share]) -> Result<String> {
    let rows: Vec<Value> = shares
        .iter()
        .map(|share| {
            json!({
                "backend": share.backend, "models": share.models,
                "subscription": share.subscription, "tokens": share.tokens,
                "currency": share.currency.as_str(), "amount": share.amount.to_string(),
            })
        })
        .collect();
    Ok(format!("{}\n", serde_json::to_string_pretty(&rows)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_hour_and_a_half_costs_one_and_a_half_hours() {
        let deployment = Deployment {
            backend: "reserved".into(),
            models: None,
            amount_per_hour: "46.50".parse().unwrap(),
            currency: Currency::USD,
            since: Wall(0),
            until: None,
        };
        let amount = amount_of(&deployment, Wall(1_000), Wall(1_000 + 5_400_000));
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
