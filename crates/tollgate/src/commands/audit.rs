//! `tollgate audit`: search, show, export, verify and govern audit records, of a running gateway or a
//! stopped one. Who may do what is `gateway::audit::desk`'s to say.

mod govern;
mod query;
mod records;
mod state;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand};
use config::Snapshot;
use config::snapshot::{AuditStore, Kek};
use domain::Wall;
use gateway::Clock;
use gateway::audit::desk::{Desk, Visitor};
use gateway::clock::Chance;
use gateway::credentials::Credentials;
use gateway::fetch::Fetch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::block_on;
use crate::configuration;

/// Search, verify and govern audit records.
#[derive(Debug, Args)]
#[command(after_help = "\
Say who you are with --as and an id under `access`; its token is read from TOLLGATE_ACCESS_TOKEN.
Whatever is looked at, changed or refused is an entry of the audit log itself.

  export TOLLGATE_ACCESS_TOKEN=…
  tollgate audit search --as jane --since 7d --subscription hr
  tollgate audit search --as jane --text '\"termination letter\"' --reason 'complaint 17'
  tollgate audit show   --as jane --reason 'complaint 17' CALL
  tollgate audit verify --as jane
  tollgate audit hold   --as jane --reason 'case 2026-4' --subscription hr
  tollgate audit erase  --as root --reason 'request 88' --person anna@example.com
  tollgate audit stats  --as jane")]
pub struct Audit {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Find records by what is known of them, and by words in them
    Search(records::Search),
    /// Show one call: its metadata, or with a reason its prompt and answer
    Show(records::Show),
    /// Write what a search finds to a file, one JSON object a line
    Export(records::Export),
    /// Check every entry, hash and signature; exit code 1 if something is wrong
    Verify(state::Verify),
    /// Keep records from being purged and erased
    Hold(govern::Hold),
    /// End a hold
    Release(govern::Release),
    /// Destroy the keys of a person's or a subscription's records
    Erase(govern::Erase),
    /// Remove content past its retention now, instead of within the hour
    Purge(govern::Purge),
    /// Keys of a store
    Keys(govern::Keys),
    /// Show a store's state, its holds, and who did what
    Stats(state::Stats),
}

/// Who comes, and to which store.
#[derive(Debug, Args)]
pub(super) struct At {
    /// The gateway's configuration
    #[arg(long, value_name = "FILE|DIR", default_value = "tollgate.yaml")]
    config: PathBuf,
    /// A store's id under `audit_stores`. Without it, the only one
    #[arg(long, value_name = "ID")]
    store: Option<String>,
    /// Who you are: an id under `access`
    #[arg(long = "as", value_name = "ID")]
    visitor: String,
    /// Why: needed wherever content is looked into and wherever something is changed
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

const TOKEN: &str = "TOLLGATE_ACCESS_TOKEN";

impl Audit {
    pub fn run(self) -> Result<ExitCode> {
        beside(move || match self.task {
            Task::Search(search) => search.run(),
            Task::Show(show) => show.run(),
            Task::Export(export) => export.run(),
            Task::Verify(verify) => verify.run(),
            Task::Hold(hold) => hold.run(),
            Task::Release(release) => release.run(),
            Task::Erase(erase) => erase.run(),
            Task::Purge(purge) => purge.run(),
            Task::Keys(keys) => keys.run(),
            Task::Stats(stats) => stats.run(),
        })
    }
}

/// A key service is asked over HTTPS, by a thread that may block.
pub(super) fn beside(work: impl FnOnce() -> Result<ExitCode> + Send + 'static) -> Result<ExitCode> {
    block_on(async move {
        let worked = tokio::task::spawn_blocking(work);
        worked.await.context("the command broke off")?
    })
}

/// A store with one who may do something there.
pub(super) struct Opened {
    pub(super) desk: Desk,
    pub(super) snapshot: Snapshot,
    pub(super) store: String,
    pub(super) now: Wall,
}

impl At {
    pub(super) fn of(
        config: PathBuf,
        visitor: String,
        store: Option<String>,
        reason: Option<String>,
    ) -> Self {
        Self {
            config,
            store,
            visitor,
            reason,
        }
    }

    pub(super) fn config(&self) -> &Path {
        &self.config
    }

    pub(super) fn open(&self) -> Result<Opened> {
        let token = std::env::var(TOKEN)
            .ok()
            .filter(|token| !token.is_empty())
            .ok_or_else(|| anyhow!("set {TOKEN} to the token of `{}`", self.visitor))?;
        // Stands in for secrets that this shell lacks, so it must prove nothing.
        if token.contains(configuration::MISSING) {
            bail!("{TOKEN} is not a token");
        }
        let snapshot = configuration::load_without_secrets(&self.config)?;
        let store = self.store(&snapshot)?;
        if let Kek::Given { id, key, .. } = &store.kek
            && key.reveal().contains(configuration::MISSING)
        {
            bail!(
                "audit_stores[{}].keys.kek.key: the variable or file of the key `{id}` is not there for this shell; \
                 set it as the gateway has it",
                store.id
            );
        }
        let clock = Clock::system();
        let credentials = Credentials {
            fetch: Fetch::default(),
            chance: Arc::new(Chance::from_system(clock.now())),
            clock,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        let now = credentials.clock.now().wall;
        let visitor = Visitor {
            id: &self.visitor,
            token: &token,
            reason: self.reason.as_deref(),
        };
        let desk = Desk::admit(&snapshot, &store, visitor, &credentials, now)?;
        Ok(Opened {
            desk,
            store: store.id.to_string(),
            snapshot,
            now,
        })
    }

    fn store(&self, snapshot: &Snapshot) -> Result<Arc<AuditStore>> {
        let stores = &snapshot.auditing.stores;
        let known = || {
            let ids: Vec<&str> = stores.iter().map(|store| store.id.as_str()).collect();
            ids.join(", ")
        };
        match (&self.store, stores.as_slice()) {
            (_, []) => bail!("the configuration has no audit store: nothing is recorded"),
            (None, [only]) => Ok(only.clone()),
            (None, _) => bail!(
                "there are several audit stores: add --store, one of {}",
                known()
            ),
            (Some(id), _) => {
                let found = stores.iter().find(|store| store.id.as_str() == id);
                found.cloned().ok_or_else(|| {
                    anyhow!(
                        "--store: there is no audit store of this id; there are: {}",
                        known()
                    )
                })
            }
        }
    }
}

pub(super) fn shown(at: Wall) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| String::new(), |at| at.to_string())
}
