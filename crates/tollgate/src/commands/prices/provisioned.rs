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
use crate::provisioned::{amount_of, in_proportion};
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
        let amount = amount_of(deployment.amount_per_hour, from, to);
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
