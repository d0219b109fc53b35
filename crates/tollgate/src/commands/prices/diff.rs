//! `tollgate prices diff FILE`: what another catalogue changes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use config::catalogue::{Catalogue, Listed};
use domain::Nanos;
use domain::price::RateCard;
use serde_json::{Value, json};

use crate::configuration;
use crate::print;
use crate::table::{Cell, Format, Table, counted};

/// Say what a newer catalogue would change
#[derive(Debug, Args)]
#[command(after_help = "\
Compares with the catalogue that the configuration names, else with the one that ships with
Tollgate. Prices are per million tokens, in the catalogue's currency.")]
pub struct Diff {
    /// The newer catalogue
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The gateway's configuration, which says which catalogue is in use
    #[arg(long, value_name = "FILE|DIR")]
    config: Option<PathBuf>,

    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// One rate that is not in both catalogues as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    provider: String,
    model: String,
    /// `flex.input`, `output above 200000`; with a date where prices have one.
    rate: String,
    old: Option<Nanos>,
    new: Option<Nanos>,
}

impl Diff {
    pub fn run(self) -> Result<()> {
        let new = read(&self.file)?;
        let old = match &self.config {
            None => Catalogue::shipped(),
            Some(config) => in_use(config)?.1,
        };
        let changes = changes(&old, &new);
        print::out(&match self.format {
            Format::Table => for_people(&old, &new, &changes),
            Format::Csv => table(&changes).csv(),
            Format::Json => json_text(&changes)?,
        })?;
        Ok(())
    }
}

pub fn read(path: &Path) -> Result<Catalogue> {
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{name}`"))?;
    Catalogue::parse(&text).map_err(|error| anyhow!("`{name}` is no catalogue: {error}"))
}

/// The catalogue of a configuration, and the file that it is in, if it is not the shipped one.
pub fn in_use(config: &Path) -> Result<(Option<PathBuf>, Catalogue)> {
    let snapshot = configuration::load_without_secrets(config)?;
    match snapshot.prices.catalogue_file {
        Some(path) => {
            let catalogue = read(&path)?;
            Ok((Some(path), catalogue))
        }
        None => Ok((None, Catalogue::shipped())),
    }
}

pub fn changes(old: &Catalogue, new: &Catalogue) -> Vec<Change> {
    let mut changes = Vec::new();
    let providers: BTreeSet<&String> = old.prices.keys().chain(new.prices.keys()).collect();
    for provider in providers {
        let of =
            |catalogue: &'_ Catalogue| catalogue.prices.get(provider).cloned().unwrap_or_default();
        let (olds, news) = (of(old), of(new));
        let models: BTreeSet<&String> = olds.keys().chain(news.keys()).collect();
        for model in models {
            let rates =
                |listed: Option<&Vec<Listed>>| rates_of(listed.map_or(&[][..], Vec::as_slice));
            let (olds, news) = (rates(olds.get(model)), rates(news.get(model)));
            let names: BTreeSet<&String> = olds.iter().chain(&news).map(|(name, _)| name).collect();
            for name in names {
                let get = |rates: &[(String, Nanos)]| {
                    rates
                        .iter()
                        .find(|(known, _)| known == name)
                        .map(|(_, rate)| *rate)
                };
                let (old, new) = (get(&olds), get(&news));
                if old != new {
                    changes.push(Change {
                        provider: provider.clone(),
                        model: model.clone(),
                        rate: name.clone(),
                        old,
                        new,
                    });
                }
            }
        }
    }
    changes
}

/// Every rate under a name that says all of when it applies.
fn rates_of(listed: &[Listed]) -> Vec<(String, Nanos)> {
    let mut all = Vec::new();
    for Listed { since, card } in listed {
        let since = since.map_or(String::new(), |since| {
            let day = jiff::Timestamp::from_millisecond(since.0).map(|at| at.to_string());
            format!(" since {}", day.unwrap_or_default())
        });
        of_card(card, &since, &mut all);
    }
    all
}

fn of_card(card: &RateCard, since: &str, all: &mut Vec<(String, Nanos)>) {
    for tier in &card.tiers {
        let prefix = match tier.tier {
            domain::ServiceTier::Standard => String::new(),
            other => format!("{}.", other.as_str()),
        };
        for (kind, rate) in tier.base.kinds() {
            all.push((format!("{prefix}{kind}{since}"), rate));
        }
        for step in &tier.steps {
            for (kind, rate) in step.rates.kinds() {
                let above = step.above_prompt_tokens;
                all.push((format!("{prefix}{kind} above {above}{since}"), rate));
            }
        }
    }
}

/// `from 2026-11-22 (1800 models) to …: 3 rates changed, 1 added, 2 removed`
pub fn summary(old: &Catalogue, new: &Catalogue, changes: &[Change]) -> String {
    let count =
        |wanted: fn(&Change) -> bool| changes.iter().filter(|change| wanted(change)).count();
    let changed = count(|change| change.old.is_some() && change.new.is_some());
    let added = count(|change| change.old.is_none());
    let removed = count(|change| change.new.is_none());
    format!(
        "from {} ({}) to {} ({}): {} changed, {added} added, {removed} removed\n",
        old.version,
        counted(old.models(), "model"),
        new.version,
        counted(new.models(), "model"),
        counted(changed, "rate"),
    )
}

fn for_people(old: &Catalogue, new: &Catalogue, changes: &[Change]) -> String {
    let summary = summary(old, new, changes);
    if changes.is_empty() {
        return summary;
    }
    format!("{}{summary}", table(changes).aligned())
}

fn table(changes: &[Change]) -> Table {
    let mut table = Table::default()
        .column("provider")
        .column("model")
        .column("rate")
        .number("old")
        .number("new")
        .number("change_percent");
    for change in changes {
        let shown = |rate: Option<Nanos>| {
            Cell::Decimal(rate.map_or(String::new(), |rate| rate.to_string()))
        };
        table.row(vec![
            Cell::text(&change.provider),
            Cell::text(&change.model),
            Cell::text(&change.rate),
            shown(change.old),
            shown(change.new),
            Cell::Decimal(change.percent().unwrap_or_default()),
        ]);
    }
    table
}

impl Change {
    /// To a tenth of a per cent.
    fn percent(&self) -> Option<String> {
        let (old, new) = (self.old?, self.new?);
        if old == Nanos::ZERO {
            return None;
        }
        let thousandths = i128::from((new - old).0) * 1000 / i128::from(old.0);
        let sign = if thousandths < 0 { "-" } else { "" };
        let size = thousandths.unsigned_abs();
        Some(format!("{sign}{}.{}", size / 10, size % 10))
    }
}

fn json_text(changes: &[Change]) -> Result<String> {
    let rows: Vec<Value> = changes
        .iter()
        .map(|change| {
            let shown = |rate: Option<Nanos>| rate.map(|rate| rate.to_string());
            json!({
                "provider": change.provider, "model": change.model, "rate": change.rate,
                "old": shown(change.old), "new": shown(change.new),
            })
        })
        .collect();
    Ok(format!("{}\n", serde_json::to_string_pretty(&rows)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue(version: &str, prices: &str) -> Catalogue {
        let text = format!(
            r#"{{"format": 1, "version": "{version}", "currency": "USD", "source": {{}}, "prices": {prices}}}"#
        );
        Catalogue::parse(&text).unwrap()
    }

    #[test]
    fn every_rate_that_differs_is_named_with_its_change() {
        let old = catalogue(
            "1",
            r#"{"openai": {"a": {"input": 2, "output": 8, "flex": {"input": 1}}, "gone": {"input": 1}}}"#,
        );
        let new = catalogue(
            "2",
            r#"{"openai": {"a": {"input": 2, "output": 6, "above": {"1000": {"input": 4}}, "flex": {"input": 1.5}}},
                "xai": {"b": {"input": 3}}}"#,
        );
        let changes = changes(&old, &new);
        assert_eq!(
            table(&changes).csv().replace("\r\n", "\n"),
            "provider,model,rate,old,new,change_percent
openai,a,flex.input,1,1.5,50.0
openai,a,input above 1000,,4,
openai,a,output,8,6,-25.0
openai,gone,input,1,,
xai,b,input,,3,
"
        );
        assert_eq!(
            summary(&old, &new, &changes),
            "from 1 (2 models) to 2 (2 models): 2 rates changed, 2 added, 1 removed\n"
        );
    }

    #[test]
    fn a_catalogue_differs_in_nothing_from_itself() {
        let shipped = Catalogue::shipped();
        assert_eq!(changes(&shipped, &shipped), []);
    }
}
