//! `tollgate keys`: subscription keys outside the configuration file. A running gateway takes
//! changes up within a second or two.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use config::Snapshot;
use domain::{SubscriptionId, Wall};
use gateway::Clock;
use serde_json::json;
use store::Registry;
use store::registry::{NewKey, Slot, StoredKey};

use crate::configuration;
use crate::print;
use crate::table::{Cell, Format, Table};

/// Create, rotate, revoke and list subscription keys.
#[derive(Debug, Args)]
#[command(after_help = "\
Every subscription has two slots. To change a key without a pause: create or rotate the secondary,
move the clients over, then rotate the primary. Only a key's hash is kept: it is shown once.

  tollgate keys create --config tollgate.yaml --subscription search
  tollgate keys rotate --config tollgate.yaml --subscription search --slot secondary
  tollgate keys list   --config tollgate.yaml")]
pub struct Keys {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Make a key for an empty slot and print it once
    Create(Create),
    /// Replace a slot's key at once; the other slot's key keeps working
    Rotate(Rotate),
    /// Make a key useless
    Revoke(Revoke),
    /// List keys without their secrets
    List(List),
}

#[derive(Debug, Args)]
struct Create {
    #[command(flatten)]
    registry: RegistryOptions,
    /// Whose key: an id under `subscriptions`
    #[arg(long, value_name = "ID")]
    subscription: String,
    #[arg(long, value_enum, default_value = "primary")]
    slot: SlotName,
    /// Calls with this key are of this application, whatever their headers say
    #[arg(long, value_name = "NAME")]
    application: Option<String>,
}

#[derive(Debug, Args)]
struct Rotate {
    #[command(flatten)]
    registry: RegistryOptions,
    /// Whose key: an id under `subscriptions`
    #[arg(long, value_name = "ID")]
    subscription: String,
    #[arg(long, value_enum)]
    slot: SlotName,
}

#[derive(Debug, Args)]
struct Revoke {
    #[command(flatten)]
    registry: RegistryOptions,
    /// The key's id, as `tollgate keys list` shows it
    #[arg(value_name = "KEY_ID")]
    id: String,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    registry: RegistryOptions,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Debug, Args)]
struct RegistryOptions {
    /// The gateway's configuration, which says where its keys are kept
    #[arg(long, value_name = "FILE|DIR", default_value = "tollgate.yaml")]
    config: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SlotName {
    Primary,
    Secondary,
}

impl Keys {
    pub fn run(self) -> Result<ExitCode> {
        match self.task {
            Task::Create(create) => create.run(),
            Task::Rotate(rotate) => rotate.run(),
            Task::Revoke(revoke) => revoke.run(),
            Task::List(list) => list.run(),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Create {
    fn run(self) -> Result<()> {
        let snapshot = configuration::load_or_explain(&self.registry.config)?;
        let subscription = declared(&snapshot, &self.subscription)?;
        refuse_slot_of_file(&snapshot, &subscription, self.slot)?;
        let key = open(&snapshot)?
            .create(
                &subscription,
                self.slot.slot(),
                self.application.as_deref(),
                now(),
            )
            .context("no key was made; `tollgate keys rotate` replaces one that is there")?;
        print_once(&key)
    }
}

impl Rotate {
    fn run(self) -> Result<()> {
        let snapshot = configuration::load_or_explain(&self.registry.config)?;
        let subscription = declared(&snapshot, &self.subscription)?;
        refuse_slot_of_file(&snapshot, &subscription, self.slot)?;
        let key = open(&snapshot)?
            .rotate(&subscription, self.slot.slot(), now())
            .context("no key was rotated")?;
        print_once(&key)
    }
}

impl Revoke {
    fn run(self) -> Result<()> {
        let snapshot = configuration::load_or_explain(&self.registry.config)?;
        open(&snapshot)?
            .revoke(&self.id, now())
            .context("no key was revoked; `tollgate keys list` shows the ids")?;
        print::out(&format!("{} is revoked\n", self.id))?;
        Ok(())
    }
}

impl List {
    fn run(self) -> Result<()> {
        let snapshot = configuration::load_or_explain(&self.registry.config)?;
        let keys = open(&snapshot)?.keys()?;
        print::out(&match self.format {
            Format::Table => table(&keys).aligned(),
            Format::Csv => table(&keys).csv(),
            Format::Json => json(&keys),
        })?;
        Ok(())
    }
}

fn declared(snapshot: &Snapshot, id: &str) -> Result<SubscriptionId> {
    if let Some(subscription) = snapshot.subscriptions.get(id) {
        return Ok(subscription.id.clone());
    }
    let mut ids: Vec<&str> = snapshot
        .subscriptions
        .keys()
        .map(SubscriptionId::as_str)
        .collect();
    ids.sort_unstable();
    bail!(
        "--subscription: the configuration has no `{id}`; it has: {}",
        ids.join(", ")
    )
}

/// A key declared in the file is the file's: the same slot in the registry would not load.
fn refuse_slot_of_file(
    snapshot: &Snapshot,
    subscription: &SubscriptionId,
    slot: SlotName,
) -> Result<()> {
    let id = format!("{subscription}/{}", slot.name());
    if snapshot.keys.values().any(|grant| *grant.key_id == *id) {
        bail!(
            "--slot: the {slot} key of `{subscription}` stands in the configuration file; \
             change it there, or take it out first",
            slot = slot.name()
        );
    }
    Ok(())
}

fn open(snapshot: &Snapshot) -> Result<Registry> {
    let dir = &snapshot.settings.data_dir;
    Registry::open(dir).with_context(|| {
        format!(
            "the key registry in `{}` (data_dir) cannot be used",
            dir.display()
        )
    })
}

fn now() -> Wall {
    Clock::system().now().wall
}

/// The key alone on standard output, so that it can be piped; the note beside it.
fn print_once(key: &NewKey) -> Result<()> {
    let NewKey { stored, secret } = key;
    print::error(&format!(
        "{} key `{}` of `{}`; shown only now, so keep it:\n",
        slot_name(stored.slot),
        stored.id,
        stored.subscription
    ));
    print::out(&format!("{secret}\n"))?;
    Ok(())
}

fn table(keys: &[StoredKey]) -> Table {
    let columns = [
        "key_id",
        "subscription",
        "slot",
        "application",
        "created",
        "revoked",
    ];
    let mut table = columns.into_iter().fold(Table::default(), Table::column);
    for key in keys {
        table.row(vec![
            Cell::text(&key.id),
            Cell::text(key.subscription.as_str()),
            Cell::text(slot_name(key.slot)),
            Cell::text(key.application.as_deref().unwrap_or("")),
            Cell::Text(rfc3339(key.created_at)),
            Cell::Text(key.revoked_at.map(rfc3339).unwrap_or_default()),
        ]);
    }
    table
}

fn json(keys: &[StoredKey]) -> String {
    let listed: Vec<_> = keys
        .iter()
        .map(|key| {
            json!({
                "key_id": key.id,
                "subscription": key.subscription.as_str(),
                "slot": slot_name(key.slot),
                "application": key.application,
                "created": rfc3339(key.created_at),
                "revoked": key.revoked_at.map(rfc3339),
            })
        })
        .collect();
    format!("{:#}\n", serde_json::Value::Array(listed))
}

fn rfc3339(at: Wall) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map_or_else(|_| at.0.to_string(), |at| format!("{at:.0}"))
}

fn slot_name(slot: Slot) -> &'static str {
    match slot {
        Slot::Primary => "primary",
        Slot::Secondary => "secondary",
    }
}

impl SlotName {
    fn name(self) -> &'static str {
        slot_name(self.slot())
    }

    fn slot(self) -> Slot {
        match self {
            Self::Primary => Slot::Primary,
            Self::Secondary => Slot::Secondary,
        }
    }
}
