//! `audit hold`, `release`, `erase`, `purge` and `keys rotate`: what changes a store.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use domain::{CallId, SubscriptionId};
use serde_json::json;

use super::At;
use super::query::call_id;
use crate::moment::Moment;
use crate::print;
use crate::table::counted;

#[derive(Debug, Args)]
pub(super) struct Hold {
    #[command(flatten)]
    at: At,
    /// All records of this subscription, those to come too
    #[arg(long, value_name = "ID")]
    subscription: Option<String>,
    /// All records of this user, or where none was known of this caller
    #[arg(long, value_name = "NAME")]
    person: Option<String>,
    /// One call
    #[arg(long, value_name = "CALL", value_parser = call_id)]
    call: Option<CallId>,
    /// Calls of all subscriptions that began at it or later, together with --until
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    since: Option<Moment>,
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    until: Option<Moment>,
}

#[derive(Debug, Args)]
pub(super) struct Release {
    #[command(flatten)]
    at: At,
    /// The hold's number, as `hold` and `stats` tell it
    #[arg(value_name = "NUMBER")]
    number: u64,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Cannot be undone: the keys are overwritten, and every copy of the store is unreadable where it speaks
of the person or the subscription. Prints a receipt. Keep it: its salt, which is nowhere else, proves
what the entry of the log destroyed.")]
pub(super) struct Erase {
    #[command(flatten)]
    at: At,
    /// All records of this user, or where none was known of this caller
    #[arg(long, value_name = "NAME")]
    person: Option<String>,
    /// All records of this subscription
    #[arg(long, value_name = "ID")]
    subscription: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Purge {
    #[command(flatten)]
    at: At,
}

#[derive(Debug, Args)]
pub(super) struct Keys {
    #[command(subcommand)]
    task: KeysTask,
}

#[derive(Debug, Subcommand)]
enum KeysTask {
    /// Wrap the data keys anew, under the store's `keys.kek`; records stay as they are
    Rotate(Rotate),
}

#[derive(Debug, Args)]
struct Rotate {
    #[command(flatten)]
    at: At,
}

impl Hold {
    pub(super) fn run(self) -> Result<ExitCode> {
        let mut opened = self.at.open()?;
        let zone = opened.snapshot.settings.time_zone.clone();
        let at = |moment: Moment, name: &str| match moment.resolve(opened.now, &zone) {
            Some(at) => Ok(at),
            None => bail!("--{name}: the calendar of `time_zone` has no such day"),
        };
        let number = match (
            self.subscription,
            self.person,
            self.call,
            self.since,
            self.until,
        ) {
            (Some(id), None, None, None, None) => {
                let hold = audit::Hold::Subscription(SubscriptionId::from(&*id));
                opened.desk.hold(&hold)?
            }
            (None, Some(person), None, None, None) => opened.desk.hold_person(&person)?,
            (None, None, Some(call), None, None) => opened.desk.hold(&audit::Hold::Call(call))?,
            (None, None, None, Some(since), Some(until)) => {
                let hold = audit::Hold::Time {
                    since: at(since, "since")?,
                    until: at(until, "until")?,
                };
                opened.desk.hold(&hold)?
            }
            _ => bail!(
                "say what to hold: one of --subscription, --person, --call, or --since with --until"
            ),
        };
        let covered = counted(usize::try_from(opened.desk.covered(number)?)?, "record");
        let store = opened.store;
        print::out(&format!(
            "hold {number} is placed and covers {covered} so far; end it with `tollgate audit release --store {store} {number}`\n"
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Release {
    pub(super) fn run(self) -> Result<ExitCode> {
        self.at.open()?.desk.release(self.number)?;
        print::out(&format!("hold {} is released\n", self.number))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Erase {
    pub(super) fn run(self) -> Result<ExitCode> {
        let mut opened = self.at.open()?;
        let (what, erased) = match (self.person, self.subscription) {
            (Some(person), None) => ("person", opened.desk.erase_person(&person)?),
            (None, Some(id)) => {
                let id = SubscriptionId::from(&*id);
                ("subscription", opened.desk.erase_subscription(&id)?)
            }
            _ => bail!("say whose records to erase: one of --person and --subscription"),
        };
        let keys: Vec<String> = erased.keys.iter().map(ToString::to_string).collect();
        let receipt = json!({
            "erased": what,
            "store": opened.store,
            "entry": erased.sequence,
            "records": erased.records,
            "keys": keys,
            "commitment": erased.commitment,
            "salt": erased.salt,
        });
        print::out(&format!("{}\n", serde_json::to_string_pretty(&receipt)?))?;
        print::error("keep this receipt: its salt is nowhere else\n");
        Ok(ExitCode::SUCCESS)
    }
}

impl Purge {
    pub(super) fn run(self) -> Result<ExitCode> {
        let purged = self.at.open()?.desk.purge()?;
        print::out(&format!(
            "content of {} records was removed, {} are on hold; {} keys and {} files are gone\n",
            purged.records, purged.held, purged.keys, purged.files
        ))?;
        for (sink, records) in &purged.missed {
            print::error(&format!(
                "sink {}: {records} of them it had yet to take\n",
                print::harmless(sink)
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Keys {
    pub(super) fn run(self) -> Result<ExitCode> {
        let KeysTask::Rotate(Rotate { at }) = self.task;
        at.open()?.desk.rotate_keys()?;
        print::out("the data keys are wrapped anew\n")?;
        Ok(ExitCode::SUCCESS)
    }
}
