//! `cache purge`, and which entries are meant.

use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use cache::{Beside, Entry, EntryId, Listed, Purged, Selection, Vector};
use clap::{Args, ValueEnum};
use config::Snapshot;
use config::snapshot::Embedder;
use domain::{ModelName, SubscriptionId, Wall};
use serde_json::json;

use crate::commands::audit::At;
use crate::configuration;
use crate::moment;
use crate::print;

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum Format {
    #[default]
    Table,
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Without --yes nothing is removed: it says what would go. A gateway that runs meanwhile forgets what was
removed within two seconds.")]
pub(super) struct Purge {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    which: Which,
    /// Everything
    #[arg(long)]
    all: bool,
    /// Remove it
    #[arg(long)]
    yes: bool,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Entries for which all that is given holds.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Bought by calls of this subscription
    #[arg(long, value_name = "ID")]
    subscription: Option<String>,
    /// Answered by this model
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Stored longer ago than this: 30m, 24h, 7d
    #[arg(long, value_name = "TIME", value_parser = moment::duration)]
    older_than: Option<std::time::Duration>,
    /// This one, as `inspect` names it; may be given again
    #[arg(long, value_name = "ID", value_parser = entry_id)]
    id: Vec<EntryId>,
    /// Whose question is like this one, by the local model: of those that `semantic` keeps
    #[arg(long, value_name = "TEXT")]
    like: Option<String>,
    /// How like, from 0 to 1: 1 is the same
    #[arg(long, value_name = "SHARE", default_value_t = 0.8, requires = "like", value_parser = share)]
    min_similarity: f32,
}

impl Purge {
    pub(super) fn run(self) -> Result<ExitCode> {
        if !self.all && self.which.is_everything() {
            bail!(
                "say what to purge: --id, --subscription, --model, --older-than or --like, or --all for everything"
            );
        }
        let mut cache = self.at.cache()?;
        let mut opened = self.at.open()?;
        let chosen = self.which.choose(&opened.snapshot, opened.now)?;
        let deed = if self.yes {
            "purge"
        } else {
            "what a purge would remove"
        };
        let about = format!("{deed} {}", self.which.told());
        let subscription = self.which.subscription.as_deref().map(SubscriptionId::from);
        let sealer = opened.desk.purge_cache(subscription.as_ref(), &about)?;
        let mut purged = Purged::default();
        let mut keys = Vec::new();
        cache.each(&sealer, |listed| {
            if let Listed::Readable(one) = listed
                && chosen.holds(&one.0, one.1.as_ref())
            {
                purged.add(&one.0);
                keys.push(one.0.key);
            }
            Ok(())
        })?;
        if self.yes {
            let what = Selection {
                // What is like a text only its vector tells, and that is not in memory's reach of a command.
                // Ids are the database's.
                keys: chosen.is_by_entry().then_some(keys),
                ..chosen.selection
            };
            purged = cache.purge(&sealer, &what, opened.now)?;
        }
        print::out(&self.says(purged)?)?;
        if purged.entries == 0 {
            self.which.hint(&opened.snapshot);
        }
        Ok(ExitCode::SUCCESS)
    }

    fn says(&self, purged: Purged) -> Result<String> {
        let Purged {
            entries,
            answer_bytes,
        } = purged;
        Ok(match self.format {
            Format::Json => {
                let told =
                    json!({ "purged": self.yes, "entries": entries, "answer_bytes": answer_bytes });
                format!("{}\n", serde_json::to_string_pretty(&told)?)
            }
            Format::Table if self.yes => {
                format!(
                    "{} with {answer_bytes} bytes of answers purged\n",
                    counted(entries)
                )
            }
            Format::Table => format!(
                "{} with {answer_bytes} bytes of answers would be purged; add --yes to do it\n",
                counted(entries)
            ),
        })
    }
}

/// `Which`, resolved.
pub(super) struct Chosen {
    pub(super) selection: Selection,
    ids: Vec<EntryId>,
    like: Option<(Vector, f32)>,
}

impl Chosen {
    pub(super) fn holds(&self, entry: &Entry, vector: Option<&Vector>) -> bool {
        let is_like = match &self.like {
            None => true,
            Some((_, min)) => self
                .similarity(entry, vector)
                .is_some_and(|like| like >= *min),
        };
        let is_named = self.ids.is_empty() || self.ids.contains(&entry.id);
        is_like && is_named && self.selection.holds(entry)
    }

    /// To the text that was given. Vectors that something else made than the local model are like none of it.
    pub(super) fn similarity(&self, entry: &Entry, vector: Option<&Vector>) -> Option<f32> {
        let (like, _) = self.like.as_ref()?;
        let vector = vector.filter(|_| entry.embedder() == Some(embed::NAME));
        like.similarity(vector?)
    }

    fn is_by_entry(&self) -> bool {
        self.like.is_some() || !self.ids.is_empty()
    }
}

impl Which {
    pub(super) fn is_everything(&self) -> bool {
        self.subscription.is_none()
            && self.model.is_none()
            && self.older_than.is_none()
            && self.id.is_empty()
            && self.like.is_none()
    }

    /// Where nothing was found, what may be mistyped, and what was not looked at.
    pub(super) fn hint(&self, snapshot: &Snapshot) {
        if self.like.is_some() {
            print::error(
                "note: --like finds what `semantic` keeps; answers that `exact` alone keeps have no text to compare: \
                 choose them by --subscription, --model, --older-than or --id\n",
            );
        }
        let subscription = self.subscription.as_deref().map(SubscriptionId::from);
        if let Some(id) = subscription.filter(|id| !snapshot.subscriptions.contains_key(id)) {
            print::error(&format!(
                "note: the configuration has no subscription `{id}`\n"
            ));
        }
        let model = self.model.as_deref().map(ModelName::from);
        if let Some(name) = model.filter(|name| !snapshot.models.contains_key(name)) {
            print::error(&format!("note: the configuration has no model `{name}`\n"));
        }
    }

    pub(super) fn is_by_text(&self) -> bool {
        self.like.is_some()
    }

    pub(super) fn choose(&self, snapshot: &Snapshot, now: Wall) -> Result<Chosen> {
        let like = match &self.like {
            Some(text) => Some((vector_of(text, snapshot)?, self.min_similarity)),
            None => None,
        };
        let older = |age: std::time::Duration| {
            Wall(
                now.0
                    .saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)),
            )
        };
        Ok(Chosen {
            selection: Selection {
                subscription: self.subscription.as_deref().map(Into::into),
                model: self.model.as_deref().map(Into::into),
                stored_before: self.older_than.map(older),
                ..Selection::default()
            },
            ids: self.id.clone(),
            like,
        })
    }

    /// For the audit log. What was looked for by likeness is content, and does not stand there.
    pub(super) fn told(&self) -> String {
        let mut told = Vec::new();
        if let Some(id) = &self.subscription {
            told.push(format!("subscription={id}"));
        }
        if let Some(model) = &self.model {
            told.push(format!("model={model}"));
        }
        if let Some(age) = self.older_than {
            told.push(format!("older_than_s={}", age.as_secs()));
        }
        for id in &self.id {
            told.push(format!("id={:016x}", id.0));
        }
        if self.like.is_some() {
            told.push("like a text".to_owned());
        }
        if told.is_empty() {
            told.push("everything".to_owned());
        }
        told.join(" ")
    }
}

pub(super) fn open(snapshot: &Snapshot) -> Result<Beside> {
    let dir = &snapshot.settings.data_dir;
    if let Some(cache) = Beside::open(dir)? {
        return Ok(cache);
    }
    if snapshot.caching.disk.is_none() {
        bail!(
            "there is no cache in {}: without `caching.disk` answers are in the gateway's memory alone",
            dir.display()
        );
    }
    bail!(
        "there is no cache in {}: no gateway has kept one on disk there yet",
        dir.display()
    )
}

impl At {
    /// What is to be looked into. Before anyone is admitted: without it there is nothing to be admitted to.
    pub(super) fn cache(&self) -> Result<Beside> {
        open(&configuration::load_without_secrets(self.config())?)
    }
}

fn counted(entries: u64) -> String {
    format!(
        "{entries} {}",
        if entries == 1 { "entry" } else { "entries" }
    )
}

fn entry_id(text: &str) -> Result<EntryId, String> {
    let number = (text.len() == 16).then(|| u64::from_str_radix(text, 16));
    match number {
        Some(Ok(number)) => Ok(EntryId(number)),
        _ => Err("write the 16 digits that `tollgate cache inspect` shows".to_owned()),
    }
}

fn share(text: &str) -> Result<f32, String> {
    let share = text
        .parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "write a number from 0 to 1, such as 0.8".to_owned())
}

fn vector_of(text: &str, snapshot: &Snapshot) -> Result<Vector> {
    let local = match &snapshot.caching.embedder {
        Embedder::Local(local) => local,
        Embedder::Backend(backend) => bail!(
            "--like compares by the local model, and these questions have vectors of `{}`, which only a running \
             gateway asks, on a subscription's bill: choose by --subscription, --model, --older-than or --id; \
             `inspect --texts` shows the questions",
            backend.model
        ),
    };
    let folders = gateway::cache::model_folders(local, &snapshot.settings.data_dir);
    let files = embed::find(&folders).context("--like needs the local model")?;
    let model = embed::Model::open(&files)?;
    let embedded = model.embed(&[text], &embed::Lane::default())?;
    embedded
        .first()
        .and_then(|embedding| Vector::of(embedding))
        .ok_or_else(|| anyhow!("--like: write a question"))
}
