//! The ledger's side: what attempts used and cost, under the names that the provider knows.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use config::Snapshot;
use domain::price::{self, Kind};
use domain::{BackendId, Currency, Usage};
use jiff::tz::TimeZone;
use report::Decimal;
use report::compare::{Amounts, Comparison, Key};
use report::invoice::{Names, TokenKind};
use store::ledger::{self, BilledQuery, BilledRow};

use super::super::source::Opened;
use super::Days;

/// Those whose attempts count.
pub struct Backends(Vec<String>);

impl Backends {
    /// None named: all. A name that the configuration does not have is likely misspelt.
    pub fn new(named: Vec<String>, snapshot: Option<&Snapshot>) -> Result<Self> {
        for name in &named {
            let known = |snapshot: &Snapshot| {
                snapshot
                    .backends
                    .contains_key(&BackendId::from(name.as_str()))
            };
            if snapshot.is_some_and(|snapshot| !known(snapshot)) {
                bail!(
                    "--backend: the configuration has no backend `{name}`; read a removed one's with --data-dir"
                );
            }
        }
        Ok(Self(named))
    }

    fn have(&self, id: &BackendId) -> bool {
        self.0.is_empty() || self.0.iter().any(|name| name == id.as_str())
    }
}

pub struct Ours {
    rows: Vec<(String, BilledRow)>,
}

pub fn read(opened: &Opened, days: Days, time_zone: TimeZone, backends: &Backends) -> Result<Ours> {
    let query = BilledQuery {
        first: days.first,
        last: days.last,
        time_zone,
    };
    let mut rows = ledger::billed(&opened.data_dir, &query)?;
    rows.retain(|row| backends.have(&row.backend));
    let named = rows.into_iter().map(|row| (deployment(opened, &row), row));
    Ok(Ours {
        rows: named.collect(),
    })
}

/// The provider's name for the model, as the configuration has it now; else the clients'.
fn deployment(opened: &Opened, row: &BilledRow) -> String {
    let model = opened
        .snapshot
        .as_ref()
        .and_then(|snapshot| snapshot.models.get(&row.model));
    match model {
        Some(model) => model.deployment_at(&row.backend).to_owned(),
        None => row.model.to_string(),
    }
}

impl Ours {
    /// Whose costs can be laid beside the invoice's. With a rate the invoice is converted, so any one
    /// will do.
    pub fn currency_for(
        &self,
        invoice: Option<&str>,
        rate: Option<Decimal>,
    ) -> Result<Option<Currency>> {
        let ours: BTreeSet<Currency> = self
            .rows
            .iter()
            .filter_map(|(_, row)| row.currency)
            .collect();
        let Some(invoice) = invoice else {
            if ours.len() > 1 {
                bail!(
                    "the ledger has costs in {} in this time; take a time in which it has one",
                    listed(&ours)
                );
            }
            return Ok(ours.first().copied());
        };
        let wanted: Option<Currency> = invoice.parse().ok();
        match wanted.filter(|wanted| ours.contains(wanted)) {
            Some(wanted) if rate.is_none() => Ok(Some(wanted)),
            None if rate.is_none() && !ours.is_empty() => bail!(
                "the invoice has costs in {invoice}, the ledger in {}; add --rate with what one {invoice} is in {}",
                listed(&ours),
                listed(&ours),
            ),
            _ if ours.len() > 1 => {
                bail!(
                    "the ledger has costs in {} in this time; take a time in which it has one",
                    listed(&ours)
                )
            }
            _ => Ok(ours.first().copied()),
        }
    }

    pub fn add_to(
        &self,
        comparison: &mut Comparison,
        names: &mut Names,
        currency: Option<Currency>,
    ) -> Result<()> {
        for (model, row) in &self.rows {
            names.add(model);
            let key = |kind| Key {
                day: Some(row.day),
                model: Some(model.clone()),
                kind: Some(kind),
            };
            let mut first = true;
            for (kind, tokens) in kinds(&row.usage) {
                let counted = Amounts {
                    tokens: Some(i64::try_from(tokens).unwrap_or(i64::MAX)),
                    cost: None,
                };
                let unpriced = if first { row.unpriced_tokens } else { 0 };
                first = false;
                comparison.add_ours(&key(kind), counted, unpriced.cast_signed())?;
            }
            // A row's money is of all kinds together.
            let has_cost = row.currency.is_some() && row.currency == currency;
            if has_cost && !comparison.by().kind {
                let cost = Amounts {
                    tokens: None,
                    cost: Some(row.cost.into()),
                };
                comparison.add_ours(&key(TokenKind::Tokens), cost, 0)?;
            }
        }
        Ok(())
    }
}

/// As providers bill them: every token once. What is zero has no line.
fn kinds(usage: &Usage) -> BTreeMap<TokenKind, u64> {
    let mut kinds = BTreeMap::new();
    for (kind, count) in price::kinds(usage) {
        let kind = match kind {
            Kind::Input => TokenKind::Input,
            Kind::CachedInput => TokenKind::CachedInput,
            Kind::CacheWrite | Kind::CacheWriteHour => TokenKind::CacheWrite,
            Kind::AudioInput => TokenKind::AudioInput,
            // On invoices, reasoning is output.
            Kind::Output | Kind::Reasoning => TokenKind::Output,
            Kind::AudioOutput => TokenKind::AudioOutput,
            Kind::Image => continue,
        };
        if count > 0 {
            *kinds.entry(kind).or_default() += count;
        }
    }
    kinds
}

fn listed(currencies: &BTreeSet<Currency>) -> String {
    let codes: Vec<String> = currencies.iter().map(Currency::to_string).collect();
    codes.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_is_of_one_kind_and_reasoning_is_output() {
        let usage = Usage {
            prompt: 100,
            completion: 50,
            cached_prompt: 40,
            cache_write: 10,
            cache_write_1h: 4,
            audio_prompt: 5,
            audio_completion: 20,
            reasoning: 30,
            ..Usage::default()
        };
        let of_usage: Vec<_> = kinds(&usage).into_iter().collect();
        assert_eq!(
            of_usage,
            [
                (TokenKind::Input, 45),
                (TokenKind::CachedInput, 40),
                (TokenKind::CacheWrite, 10),
                (TokenKind::AudioInput, 5),
                (TokenKind::Output, 30),
                (TokenKind::AudioOutput, 20),
            ]
        );
        assert!(kinds(&Usage::default()).is_empty());
    }
}
