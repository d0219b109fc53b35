//! `tollgate prices show MODEL`: the price at each backend, what made it, and what did not apply.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use config::Snapshot;
use config::snapshot::{Model, Subscription};
use domain::price::book::{Answer, Entry, Exchange, Level, Term};
use domain::price::{Factor, RateCard};
use domain::{BackendId, Nanos, Price, ProductId, Wall};
use gateway::Clock;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::configuration;
use crate::moment::Moment;
use crate::print;
use crate::table::{Cell, Table};

/// Say what a model costs, which price that is, and why
#[derive(Debug, Args)]
pub struct Show {
    /// A name under `models`
    #[arg(value_name = "MODEL")]
    model: String,

    /// The gateway's configuration
    #[arg(long, value_name = "FILE|DIR", default_value = "tollgate.yaml")]
    config: PathBuf,

    /// Only at this backend
    #[arg(long, value_name = "ID")]
    backend: Option<String>,

    /// What it costs this subscription, with its product's prices and its own
    #[arg(long, value_name = "ID")]
    subscription: Option<String>,

    /// What it costs subscriptions of this product that have no prices of their own
    #[arg(long, value_name = "ID", conflicts_with = "subscription")]
    product: Option<String>,

    /// When: a date, an RFC 3339 time, or how long ago (24h, 7d) [default: now]
    #[arg(long, value_name = "WHEN", value_parser = Moment::parse)]
    at: Option<Moment>,

    #[arg(long, value_enum, default_value = "text")]
    format: ShowFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ShowFormat {
    Text,
    Json,
}

/// Whose price is asked for.
struct Asked<'s> {
    snapshot: &'s Snapshot,
    model: &'s Model,
    subscription: Option<&'s Subscription>,
    product: Option<&'s ProductId>,
    at: Wall,
}

impl Show {
    pub fn run(self) -> Result<()> {
        let snapshot = configuration::load_without_secrets(&self.config)?;
        let now = Clock::system().now().wall;
        let at = match self.at {
            None => now,
            Some(moment) => moment
                .resolve(now, &snapshot.settings.time_zone)
                .context("--at: no such time in the time zone of the configuration")?,
        };
        let asked = Asked {
            model: declared("model", "models", &self.model, &snapshot.models)?,
            subscription: match &self.subscription {
                None => None,
                Some(id) => Some(declared(
                    "subscription",
                    "subscriptions",
                    id,
                    &snapshot.subscriptions,
                )?),
            },
            product: match &self.product {
                None => None,
                Some(id) => Some(&declared("product", "products", id, &snapshot.products)?.id),
            },
            snapshot: &snapshot,
            at,
        };
        let members = asked.model.pool.members.iter();
        let mut backends: Vec<&BackendId> = members.map(|member| &member.backend).collect();
        if let Some(only) = &self.backend {
            backends.retain(|backend| backend.as_str() == only);
            if backends.is_empty() {
                bail!("--backend: `{only}` does not answer `{}`", self.model);
            }
        }
        let text = match self.format {
            ShowFormat::Text => asked.text(&backends)?,
            ShowFormat::Json => asked.json(&backends)?,
        };
        print::out(&text)?;
        Ok(())
    }
}

/// One of the configuration, or which there are.
fn declared<'s, K: std::borrow::Borrow<str> + std::hash::Hash + Eq, V>(
    what: &str,
    section: &str,
    name: &str,
    of: &'s std::collections::HashMap<K, std::sync::Arc<V>>,
) -> Result<&'s V> {
    if let Some(found) = of.get(name) {
        return Ok(found);
    }
    let mut known: Vec<&str> = of.keys().map(std::borrow::Borrow::borrow).collect();
    known.sort_unstable();
    Err(anyhow!(
        "no {what} is called `{name}`; `{section}` has: {}",
        known.join(", ")
    ))
}

impl Asked<'_> {
    fn answer(&self, backend: &BackendId) -> Answer<'_> {
        let prices = &self.snapshot.prices;
        match self.product {
            Some(product) => {
                prices.explain_for_product(&self.model.name, backend, product, self.at)
            }
            None => prices.explain(&self.model.name, backend, self.subscription, self.at),
        }
    }

    fn text(&self, backends: &[&BackendId]) -> Result<String> {
        let mut text = String::new();
        let whose = match (self.subscription, self.product) {
            (Some(subscription), _) => {
                format!(
                    " for {} (product {})",
                    subscription.id, subscription.product.id
                )
            }
            (None, Some(product)) => format!(" for product {product}"),
            (None, None) => String::new(),
        };
        writeln!(text, "{}{whose}, {}", self.model.name, instant(self.at))?;
        for backend in backends {
            let answer = self.answer(backend);
            text.push('\n');
            let price = config::priced(&answer);
            match &price {
                None => writeln!(text, "{backend}: unpriced")?,
                Some(price) => {
                    writeln!(
                        text,
                        "{backend}: price {} in {}",
                        price.id.as_str(),
                        price.currency
                    )?;
                    text.push_str(&rates(&price.card, price, &answer).aligned());
                }
            }
            text.push_str(&reasons(&answer, price.as_ref())?);
        }
        writeln!(text, "\ncatalogue: {}", self.snapshot.prices.catalogue)?;
        Ok(text)
    }

    fn json(&self, backends: &[&BackendId]) -> Result<String> {
        let rows: Vec<Value> = backends
            .iter()
            .map(|backend| {
                let answer = self.answer(backend);
                let price = config::priced(&answer);
                let text = price.as_ref().map(|price| &*price.text);
                let made_of = text.and_then(|text| serde_json::from_str::<Value>(text).ok());
                let not_used: Vec<Value> = answer
                    .passed_over
                    .iter()
                    .map(|(level, entry, why)| {
                        json!({ "scope": level.as_str(), "source": &*entry.origin,
                            "written": &*entry.written, "why": why.as_str() })
                    })
                    .collect();
                json!({
                    "model": self.model.name.as_str(),
                    "backend": backend.as_str(),
                    "at": instant(self.at),
                    "price": price.as_ref().map(|price| price.id.as_str()),
                    "factor": price.as_ref().map(|price| price.factor.to_string()),
                    "made_of": made_of,
                    "not_used": not_used,
                })
            })
            .collect();
        Ok(format!("{}\n", serde_json::to_string_pretty(&rows)?))
    }
}

/// As listed, and as it is charged after everything that multiplies it.
fn rates(card: &RateCard, price: &Price, answer: &Answer<'_>) -> Table {
    let listed = match answer.chosen.map(|(_, entry)| &entry.term) {
        Some(Term::Rates { currency, .. }) => currency.to_string(),
        _ => price.currency.to_string(),
    };
    let is_changed = price.factor != Factor::ONE;
    let mut table = Table::default().column("  a million tokens");
    if is_changed {
        table = table.number(&format!("listed {listed}"));
    }
    table = table.number(&format!("charged {}", price.currency));
    let mut row = |name: String, rate: Nanos| {
        let mut cells = vec![Cell::Text(format!("  {name}"))];
        if is_changed {
            cells.push(Cell::Decimal(rate.to_string()));
        }
        cells.push(Cell::Decimal(price.factor.rate(rate).to_string()));
        table.row(cells);
    };
    for tier in &card.tiers {
        let name = match tier.tier {
            domain::ServiceTier::Standard => String::new(),
            other => format!("{}: ", other.as_str()),
        };
        for (kind, rate) in tier.base.kinds() {
            row(format!("{name}{kind}"), rate);
        }
        for step in &tier.steps {
            for (kind, rate) in step.rates.kinds() {
                let above = step.above_prompt_tokens;
                row(format!("{name}{kind}, prompt above {above}"), rate);
            }
        }
    }
    table
}

fn reasons(answer: &Answer<'_>, price: Option<&Price>) -> Result<String> {
    let mut text = String::from("  why\n");
    let line = |level: Level, entry: &Entry| {
        let of = level.as_str();
        format!(
            "{} ({}; of the {of}{})",
            entry.origin,
            entry.written,
            since(entry.since)
        )
    };
    match answer.chosen {
        None => writeln!(text, "    nothing says what it costs")?,
        Some((level, entry)) if entry.term == Term::Provisioned => {
            writeln!(text, "    paid by the hour: {}", line(level, entry))?;
        }
        Some((level, entry)) => writeln!(text, "    {}", line(level, entry))?,
    }
    for (level, entry) in &answer.adjustments {
        if let Term::Percent(factor) = entry.term {
            writeln!(text, "    x {factor}: {}", line(*level, entry))?;
        }
    }
    match answer.exchange {
        Exchange::Same => {}
        Exchange::By(rate) => writeln!(
            text,
            "    x {}: {} to {} ({}{})",
            rate.rate,
            rate.from,
            rate.to,
            rate.written,
            since(rate.since)
        )?,
        Exchange::Missing { from, to } => {
            writeln!(
                text,
                "    no rate from {from} to {to} is in effect: add one under `exchange_rates`"
            )?;
        }
    }
    if let Some(price) = price.filter(|price| price.factor != Factor::ONE) {
        writeln!(text, "    together x {}", price.factor)?;
    }
    if !answer.passed_over.is_empty() {
        text.push_str("  not used\n");
    }
    for (level, entry, why) in &answer.passed_over {
        writeln!(text, "    {}: {}", line(*level, entry), why.as_str())?;
    }
    Ok(text)
}

fn since(at: Option<Wall>) -> String {
    at.map_or(String::new(), |at| format!(", since {}", instant(at)))
}

fn instant(at: Wall) -> String {
    Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |at| at.to_string())
}
