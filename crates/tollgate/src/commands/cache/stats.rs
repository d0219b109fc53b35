//! `cache stats`: how much there is, and of those who say who they are, whose it is.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use cache::{Entry, Listed};
use clap::Args;
use domain::Wall;
use gateway::Clock;
use serde_json::{Value, json};

use super::entries::{Format, Which, open};
use crate::commands::audit::{At, shown};
use crate::configuration;
use crate::print;
use crate::table::{Cell, Table};

#[derive(Debug, Args)]
#[command(after_help = "\
Without --as it shows what can be said without a key. With it, entries by subscription and model: those that
you may see, and for which all holds that is given.")]
pub(super) struct Stats {
    /// The gateway's configuration
    #[arg(long, value_name = "FILE|DIR", default_value = "tollgate.yaml")]
    config: PathBuf,
    /// Who you are: an id under `access`
    #[arg(long = "as", value_name = "ID")]
    visitor: Option<String>,
    /// The store whose keys seal the cache: an id under `audit_stores`. Without it, the only one
    #[arg(long, value_name = "ID", requires = "visitor")]
    store: Option<String>,
    /// Why: needed with --like
    #[arg(long, value_name = "TEXT", requires = "visitor")]
    reason: Option<String>,
    #[command(flatten)]
    which: Which,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Entries of one subscription and model.
#[derive(Default)]
struct Group {
    entries: u64,
    /// Of these, those that are found by meaning too.
    semantic: u64,
    answer_bytes: u64,
    oldest: Option<Wall>,
    newest: Option<Wall>,
}

impl Group {
    fn add(&mut self, entry: &Entry) {
        let at = entry.stored_at;
        self.entries += 1;
        self.semantic += u64::from(entry.text().is_some());
        self.answer_bytes += entry.answer_bytes as u64;
        self.oldest = Some(self.oldest.map_or(at, |oldest| oldest.min(at)));
        self.newest = Some(self.newest.map_or(at, |newest| newest.max(at)));
    }
}

impl Stats {
    pub(super) fn run(self) -> Result<ExitCode> {
        let text = match &self.visitor {
            Some(visitor) => {
                let (config, visitor) = (self.config.clone(), visitor.clone());
                self.by_owner(&At::of(
                    config,
                    visitor,
                    self.store.clone(),
                    self.reason.clone(),
                ))?
            }
            None if self.which.is_everything() => self.in_all()?,
            None => bail!("whose entries they are is sealed: say who you are with --as"),
        };
        print::out(&text)?;
        Ok(ExitCode::SUCCESS)
    }

    /// What needs no key.
    fn in_all(&self) -> Result<String> {
        let snapshot = configuration::load_without_secrets(&self.config)?;
        let now = Clock::system().now().wall;
        let stats = open(&snapshot)?.stats(now)?;
        let at = |at: Option<Wall>| at.map(shown);
        Ok(match self.format {
            Format::Json => {
                let told = json!({
                    "entries": stats.entries,
                    "answer_bytes": stats.answer_bytes,
                    "file_bytes": stats.file_bytes,
                    "oldest": at(stats.oldest),
                    "newest": at(stats.newest),
                    "expired": stats.expired,
                    "purges_waiting": stats.purges_waiting,
                });
                format!("{}\n", serde_json::to_string_pretty(&told)?)
            }
            Format::Table => format!(
                "entries         {}\nanswer_bytes    {}\nfile_bytes      {}\noldest          {}\nnewest          {}\nexpired         {}\npurges_waiting  {}\n",
                stats.entries,
                stats.answer_bytes,
                stats.file_bytes,
                at(stats.oldest).unwrap_or_default(),
                at(stats.newest).unwrap_or_default(),
                stats.expired,
                stats.purges_waiting,
            ),
        })
    }

    fn by_owner(&self, at: &At) -> Result<String> {
        let cache = at.cache()?;
        let mut opened = at.open()?;
        let chosen = self.which.choose(&opened.snapshot, opened.now)?;
        let about = format!("stats {}", self.which.told());
        let (sealer, reach) = opened
            .desk
            .look_into_cache(self.which.is_by_text(), &about)?;
        let mut groups: BTreeMap<(String, String), Group> = BTreeMap::new();
        let (mut all, mut unreadable) = (Group::default(), 0_u64);
        cache.each(&sealer, |listed| {
            let Listed::Readable(one) = listed else {
                unreadable += 1;
                return Ok(());
            };
            let (entry, vector) = *one;
            if reach.holds(&entry.owner.subscription) && chosen.holds(&entry, vector.as_ref()) {
                let of = (
                    entry.owner.subscription.as_str().to_owned(),
                    entry.model.as_str().to_owned(),
                );
                groups.entry(of).or_default().add(&entry);
                all.add(&entry);
            }
            Ok(())
        })?;
        if groups.is_empty() {
            self.which.hint(&opened.snapshot);
        }
        let at = |at: Option<Wall>| at.map(shown);
        Ok(match self.format {
            Format::Json => {
                let groups: Vec<Value> = groups
                    .iter()
                    .map(|((subscription, model), group)| {
                        json!({
                            "subscription": subscription,
                            "model": model,
                            "entries": group.entries,
                            "semantic": group.semantic,
                            "answer_bytes": group.answer_bytes,
                            "oldest": at(group.oldest),
                            "newest": at(group.newest),
                        })
                    })
                    .collect();
                let told = json!({
                    "groups": groups,
                    "entries": all.entries,
                    "answer_bytes": all.answer_bytes,
                    "unreadable": unreadable,
                });
                format!("{}\n", serde_json::to_string_pretty(&told)?)
            }
            Format::Table => {
                let mut table = Table::default()
                    .column("subscription")
                    .column("model")
                    .number("entries")
                    .number("semantic")
                    .number("bytes")
                    .column("oldest")
                    .column("newest");
                for ((subscription, model), group) in &groups {
                    table.row(vec![
                        Cell::text(subscription),
                        Cell::text(model),
                        Cell::Number(group.entries),
                        Cell::Number(group.semantic),
                        Cell::Number(group.answer_bytes),
                        Cell::text(&at(group.oldest).unwrap_or_default()),
                        Cell::text(&at(group.newest).unwrap_or_default()),
                    ]);
                }
                format!(
                    "{}{} entries with {} bytes of answers; {unreadable} unreadable\n",
                    table.aligned(),
                    all.entries,
                    all.answer_bytes
                )
            }
        })
    }
}
