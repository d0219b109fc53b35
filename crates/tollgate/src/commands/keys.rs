//! `tollgate keys`: subscription keys outside the configuration file. A running gateway takes
//! changes up within a second or two.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand, ValueEnum};
use config::Snapshot;
use domain::{SubscriptionId, Wall};
use gateway::Clock;
use serde_json::json;
use store::Registry;
use store::registry::{self, NewKey, Slot, StoredKey};

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
        let snapshot = configuration::load_without_secrets(&self.registry.config)?;
        let subscription = declared(&snapshot, &self.subscription)?;
        refuse_slot_of_file(&snapshot, &subscription, self.slot)?;
        let key = open(&snapshot)?
            .create(
                &subscription,
                self.slot.slot(),
                self.application.as_deref(),
                now(),
                entropy()?,
            )
            .context("no key was made; `tollgate keys rotate` replaces one that is there")?;
        print_once(&key)
    }
}

impl Rotate {
    fn run(self) -> Result<()> {
        let snapshot = configuration::load_without_secrets(&self.registry.config)?;
        let subscription = declared(&snapshot, &self.subscription)?;
        refuse_slot_of_file(&snapshot, &subscription, self.slot)?;
        let key = open(&snapshot)?
            .rotate(&subscription, self.slot.slot(), now(), entropy()?)
            .context("no key was rotated")?;
        print_once(&key)
    }
}

impl Revoke {
    fn run(self) -> Result<()> {
        let snapshot = configuration::load_without_secrets(&self.registry.config)?;
        let key = open(&snapshot)?
            .revoke(stored_id(&self.id), now())
            .context("no key was revoked; `tollgate keys list` shows the ids")?;
        print::out(&format!(
            "{} of `{}` is revoked\n",
            key_id(&key),
            key.subscription
        ))?;
        Ok(())
    }
}

impl List {
    fn run(self) -> Result<()> {
        let snapshot = configuration::load_without_secrets(&self.registry.config)?;
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
    let id = format!("{subscription}/{}", slot.slot());
    if snapshot.keys.values().any(|grant| *grant.key_id == *id) {
        bail!(
            "--slot: the {slot} key of `{subscription}` stands in the configuration file; \
             change it there, or take it out first",
            slot = slot.slot()
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

/// What makes a key unguessable.
fn entropy() -> Result<[u8; 40]> {
    let mut entropy = [0; 40];
    getrandom::fill(&mut entropy)
        .map_err(|error| anyhow!("the system has no randomness for a key: {error}"))?;
    Ok(entropy)
}

/// As records and lists show it.
fn key_id(key: &StoredKey) -> String {
    format!("tg_{}", key.id)
}

/// A key's id as it is shown, as it is stored, or out of a whole key.
fn stored_id(text: &str) -> &str {
    registry::id_of(text).unwrap_or(text.strip_prefix("tg_").unwrap_or(text))
}

fn now() -> Wall {
    Clock::system().now().wall
}

/// The key alone on standard output, so that it can be piped; the note beside it.
fn print_once(key: &NewKey) -> Result<()> {
    let NewKey { stored, secret } = key;
    print::error(&format!(
        "{} key `{}` of `{}`; shown only now, so keep it:\n",
        stored.slot,
        key_id(stored),
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
            Cell::Text(key_id(key)),
            Cell::text(key.subscription.as_str()),
            Cell::text(key.slot.as_str()),
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
                "key_id": key_id(key),
                "subscription": key.subscription.as_str(),
                "slot": key.slot.as_str(),
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

impl SlotName {
    fn slot(self) -> Slot {
        match self {
            Self::Primary => Slot::Primary,
            Self::Secondary => Slot::Secondary,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_its_id_in_any_form() {
        for text in ["ab12cd34", "tg_ab12cd34"] {
            assert_eq!(stored_id(text), "ab12cd34");
        }
    }

    #[test]
    fn a_list_has_no_secret_and_no_hash() {
        let key = StoredKey {
            id: "ab12cd34".to_owned(),
            subscription: SubscriptionId::from("search"),
            slot: Slot::Primary,
            hash: [0xab; 32],
            application: None,
            created_at: Wall::from_secs(1_793_534_400),
            revoked_at: None,
        };
        let line = "tg_ab12cd34,search,primary,,2026-11-01T12:00:00Z,";
        assert_eq!(
            table(std::slice::from_ref(&key)).csv().lines().nth(1),
            Some(line)
        );
        assert!(!json(&[key]).contains("abab"));
    }
}
