//! `audit verify` and `stats`: whether a store is as it was written, and what has happened there.

use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use audit::{Details, Entry, Event, Head, Hold, Options};
use clap::Args;
use gateway::audit::desk::Stats as State;
use serde_json::{Value, json};

use super::{At, shown};
use crate::print;
use crate::table::{Cell, Format, Table};

#[derive(Debug, Args)]
#[command(after_help = "\
Finds what was edited, removed, swapped or cut off, and says where. Heads that were exported earlier
(`tollgate audit stats --format json`, field `head`) and kept elsewhere also find a store that was
rolled back as a whole, keys and all. Exit code 1 if something is wrong.

  tollgate audit verify --as jane
  tollgate audit verify --as jane --head \"$(cat head-of-october.txt)\" --public-key 9f86…")]
pub(super) struct Verify {
    #[command(flatten)]
    at: At,
    /// A signed head that was kept elsewhere
    #[arg(long, value_name = "LINE")]
    head: Option<String>,
    /// The store's public key, kept elsewhere: 64 hex digits
    #[arg(long, value_name = "HEX", value_parser = public_key)]
    public_key: Option<PublicKey>,
    /// Open every record too, which takes longer
    #[arg(long)]
    open: bool,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Clone, Copy, Debug)]
struct PublicKey([u8; 32]);

#[derive(Debug, Args)]
pub(super) struct Stats {
    #[command(flatten)]
    at: At,
    /// How many entries of who did what, the newest first
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    events: usize,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl Verify {
    pub(super) fn run(self) -> Result<ExitCode> {
        let head = self
            .head
            .as_deref()
            .map(|line| {
                line.trim()
                    .parse::<Head>()
                    .map_err(|error| anyhow!("--head: {error}"))
            })
            .transpose()?;
        let options = Options {
            head,
            public_key: self.public_key.map(|key| key.0),
            open: self.open,
            ..Options::default()
        };
        let mut opened = self.at.open()?;
        let report = opened.desk.verify(&options)?;
        let is_sound = report.is_sound();
        let text = match self.format {
            Format::Json => {
                let problems: Vec<Value> = report
                    .problems
                    .iter()
                    .map(|problem| json!({ "entry": problem.sequence, "problem": problem.what }))
                    .collect();
                let told = json!({
                    "store": opened.store,
                    "sound": is_sound,
                    "entries": report.entries,
                    "records": report.records,
                    "heads": report.heads,
                    "gone": report.gone,
                    "unsigned": report.unsigned,
                    "hash": hex(&report.hash),
                    "problems": problems,
                    "more_problems": report.more_problems,
                });
                format!("{}\n", serde_json::to_string_pretty(&told)?)
            }
            Format::Table | Format::Csv => {
                let mut text = String::new();
                for problem in &report.problems {
                    text.push_str(&format!("{problem}\n"));
                }
                if report.more_problems > 0 {
                    text.push_str(&format!("and {} more\n", report.more_problems));
                }
                let verdict = if is_sound { "sound" } else { "NOT SOUND" };
                text.push_str(&format!(
                    "{}: {verdict}; {} entries, {} records ({} whose content is gone as the log says), {} signed heads, {} entries not signed yet\n",
                    opened.store, report.entries, report.records, report.gone, report.heads, report.unsigned
                ));
                text
            }
        };
        print::out(&text)?;
        Ok(if is_sound {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

impl Stats {
    pub(super) fn run(self) -> Result<ExitCode> {
        let mut opened = self.at.open()?;
        let stats = opened.desk.stats(self.events)?;
        let text = match self.format {
            Format::Table => {
                format!(
                    "{}\n{}",
                    lines(&opened.store, &stats),
                    table(&stats.events).aligned()
                )
            }
            Format::Csv => table(&stats.events).csv(),
            Format::Json => {
                let told = object(&opened.store, &stats);
                format!(
                    "{}\n",
                    serde_json::to_string_pretty(&told).context("stats")?
                )
            }
        };
        print::out(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn lines(store: &str, stats: &State) -> String {
    let mut lines = format!(
        "store       {store}\nregion      {}\nhead        {}\npublic_key  {}\noldest      {}\n",
        stats.region,
        stats.head,
        hex(&stats.public_key),
        stats.oldest.map_or_else(|| "no content".to_owned(), shown),
    );
    for placed in &stats.holds {
        lines.push_str(&format!(
            "hold {:<6} since {}: {}{}\n",
            placed.number,
            shown(placed.at),
            held(&placed.hold),
            placed
                .details
                .as_ref()
                .map_or_else(String::new, |of| format!(
                    ", by {}: {}",
                    of.actor.by, of.actor.reason
                ))
        ));
    }
    print::harmless_lines(&lines)
}

fn object(store: &str, stats: &State) -> Value {
    let holds: Vec<Value> = stats
        .holds
        .iter()
        .map(|placed| {
            let details = placed.details.as_ref();
            json!({
                "number": placed.number,
                "since": shown(placed.at),
                "what": held(&placed.hold),
                "by": details.map(|of| &of.actor.by),
                "reason": details.map(|of| &of.actor.reason),
            })
        })
        .collect();
    let events: Vec<Value> = stats
        .events
        .iter()
        .map(|entry| {
            let details = entry.details.as_ref();
            json!({
                "entry": entry.sequence,
                "time": shown(entry.at),
                "event": told(&entry.event),
                "by": details.map(|of| &of.actor.by),
                "role": details.map(|of| &of.actor.role),
                "reason": details.map(|of| &of.actor.reason),
                "about": details.map(|of| &of.about),
            })
        })
        .collect();
    json!({
        "store": store,
        "region": stats.region,
        "head": stats.head,
        "public_key": hex(&stats.public_key),
        "oldest": stats.oldest.map(shown),
        "holds": holds,
        "events": events,
    })
}

fn table(entries: &[Entry]) -> Table {
    let mut table = Table::default()
        .column("entry")
        .column("time")
        .column("event")
        .column("by")
        .column("role")
        .column("reason")
        .column("about");
    for entry in entries {
        let detail = |of: fn(&Details) -> &str| {
            let text = entry.details.as_ref().map(of);
            Cell::Text(text.unwrap_or_default().to_owned())
        };
        table.row(vec![
            // Without separators, as `release` takes it.
            Cell::Text(entry.sequence.to_string()),
            Cell::Text(shown(entry.at)),
            Cell::Text(told(&entry.event)),
            detail(|details| &details.actor.by),
            detail(|details| &details.actor.role),
            detail(|details| &details.actor.reason),
            detail(|details| &details.about),
        ]);
    }
    table
}

fn told(event: &Event) -> String {
    match event {
        Event::Record(_) => "record".to_owned(),
        Event::Opened { .. } => "opened".to_owned(),
        Event::Read(read) => format!("{read:?}").to_lowercase(),
        Event::Held(hold) => format!("held {}", held(hold)),
        Event::Released { hold } => format!("released {hold}"),
        Event::Erased { keys, records, .. } => {
            format!("erased {records} records, {} keys", keys.len())
        }
        Event::Purged { ranges, keys } => {
            let records: u64 = ranges
                .iter()
                .map(|range| range.end() - range.start() + 1)
                .sum();
            format!("purged {records} records, {} keys", keys.len())
        }
        Event::Head(_) => "head".to_owned(),
        Event::Rotated { from, to } => format!("rotated {from} to {to}"),
        Event::Damaged { segment, places } => format!("damaged: {places} in segment {segment}"),
        Event::RolledBack { known, .. } => {
            format!("rolled back: the key file knew {known} entries")
        }
    }
}

fn held(hold: &Hold) -> String {
    match hold {
        Hold::Subscription(id) => format!("subscription {id}"),
        Hold::Person(_) => "a person".to_owned(),
        Hold::Call(call) => format!("call {call}"),
        Hold::Time { since, until } => format!("{} to {}", shown(*since), shown(*until)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn public_key(text: &str) -> Result<PublicKey, String> {
    let fault = || "write 64 hex digits, as `stats` tells them".to_owned();
    let text = text.trim();
    if text.len() != 64 || !text.is_ascii() {
        return Err(fault());
    }
    let mut key = [0; 32];
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| fault())?;
    }
    Ok(PublicKey(key))
}
