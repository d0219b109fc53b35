//! `tollgate alerts`: what was told and whether it arrived, and a try of every channel.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use config::snapshot::{Channel, Settings};
use domain::Wall;
use gateway::alerts::{self, Message};
use gateway::fetch::Fetch;
use gateway::{Clock, clock::Chance};
use serde_json::json;
use store::alerts::{StoredAlert, StoredDelivery};

use crate::configuration;
use crate::print;
use crate::table::{Cell, Format, Table};

/// Try channels, and list alerts with their deliveries.
#[derive(Debug, Args)]
#[command(after_help = "\
  tollgate alerts test --config tollgate.yaml                  a test message through every channel
  tollgate alerts test --config tollgate.yaml --channel ops
  tollgate alerts list --config tollgate.yaml                  the latest alerts, and whether they arrived")]
pub struct Alerts {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Send a test message through each channel and say what became of it
    Test(Test),
    /// List the latest alerts and their deliveries
    List(List),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Sends at once, past the outbox of a running gateway. Needs the secrets of the configuration, as
`tollgate serve` does. Exit code 1 if a channel did not take the message.")]
struct Test {
    /// The gateway's configuration, which says where alerts are sent
    #[arg(long, value_name = "FILE|DIR", default_value = "tollgate.yaml")]
    config: PathBuf,

    /// Only these: ids under `notify`
    #[arg(long, value_name = "ID")]
    channel: Vec<String>,
}

#[derive(Debug, Args)]
struct List {
    /// The gateway's configuration, which says where its alerts are kept
    #[arg(long, value_name = "FILE|DIR", default_value = "tollgate.yaml")]
    config: PathBuf,

    /// How many alerts, the newest first
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    limit: usize,

    #[arg(long, value_enum, default_value = "table")]
    format: ListFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    /// A line for each delivery, for people
    Table,
    /// The same, RFC 4180
    Csv,
    /// An array of alerts with their whole message and their deliveries
    Json,
}

impl Alerts {
    pub async fn run(self) -> Result<ExitCode> {
        match self.task {
            Task::Test(test) => test.run().await,
            Task::List(list) => list.run(),
        }
    }
}

impl Test {
    async fn run(self) -> Result<ExitCode> {
        let loaded = configuration::load_files(std::slice::from_ref(&self.config));
        let snapshot = loaded
            .map_err(|failure| anyhow::anyhow!("{failure}"))?
            .snapshot;
        let channels = &snapshot.alerting.channels;
        let mut known: Vec<&str> = channels.keys().map(|id| id.as_str()).collect();
        known.sort_unstable();
        if known.is_empty() {
            bail!("the configuration has no channel: add one under `notify`");
        }
        let mut chosen: Vec<&Channel> = Vec::new();
        for id in &self.channel {
            let Some(channel) = channels.get(id.as_str()) else {
                bail!(
                    "--channel: the configuration has no `{id}`; it has: {}",
                    known.join(", ")
                );
            };
            chosen.push(channel);
        }
        if chosen.is_empty() {
            chosen.extend(known.iter().filter_map(|id| Some(&**channels.get(*id)?)));
        }
        let clock = Clock::system();
        let chance = Chance::from_system(clock.now());
        let fetch = Fetch::default();
        let mut all_arrived = true;
        for channel in chosen {
            let now = clock.now().wall;
            let id = format!("test_{}", chance.call_id(now));
            let message = Message::test(id, channel.id.as_str(), now, &snapshot.settings);
            let line = match alerts::send(channel, &message, &fetch, now).await {
                Ok(()) => format!("{}: taken\n", channel.id),
                Err(undelivered) => {
                    all_arrived = false;
                    format!("{}: not taken: {undelivered}\n", channel.id)
                }
            };
            print::out(&print::harmless_lines(&line))?;
        }
        Ok(if all_arrived {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

impl List {
    fn run(self) -> Result<ExitCode> {
        let settings = configuration::load_without_secrets(&self.config)?.settings;
        let listed = store::alerts::recent(&settings.data_dir, self.limit)?;
        print::out(&match self.format {
            ListFormat::Table if listed.is_empty() => "no alerts so far\n".to_owned(),
            ListFormat::Table => table(&listed, &settings, Format::Table).aligned(),
            ListFormat::Csv => table(&listed, &settings, Format::Csv).csv(),
            ListFormat::Json => json(&listed)?,
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A row for each delivery; an alert without any has one, too.
fn table(alerts: &[StoredAlert], settings: &Settings, format: Format) -> Table {
    let at = |at: Wall| match format {
        Format::Table => local(at, settings),
        Format::Csv | Format::Json => rfc3339(at),
    };
    let columns = ["raised", "type", "rule", "title", "channel", "state"];
    let table = columns.into_iter().fold(Table::default(), Table::column);
    let mut table = table.number("tries").column("fault");
    for alert in alerts {
        let row = |delivery: Option<&StoredDelivery>| {
            let text = |text: Option<&str>| Cell::text(text.unwrap_or_default());
            vec![
                Cell::Text(at(alert.raised_at)),
                Cell::text(&alert.kind),
                Cell::text(&alert.rule),
                Cell::text(&alert.title),
                text(delivery.map(|delivery| delivery.channel.as_str())),
                text(delivery.map(|delivery| delivery.state.as_str())),
                Cell::Number(delivery.map_or(0, |delivery| delivery.attempts.into())),
                text(delivery.and_then(|delivery| delivery.fault.as_deref())),
            ]
        };
        if alert.deliveries.is_empty() {
            table.row(row(None));
        }
        for delivery in &alert.deliveries {
            table.row(row(Some(delivery)));
        }
    }
    table
}

fn json(alerts: &[StoredAlert]) -> Result<String> {
    let mut listed = Vec::with_capacity(alerts.len());
    for alert in alerts {
        let deliveries: Vec<_> = alert
            .deliveries
            .iter()
            .map(|delivery| {
                json!({
                    "channel": delivery.channel.as_str(),
                    "state": delivery.state.as_str(),
                    "tries": delivery.attempts,
                    "next_try": (delivery.ended_at.is_none()).then(|| rfc3339(delivery.next_at)),
                    "ended": delivery.ended_at.map(rfc3339),
                    "fault": delivery.fault,
                })
            })
            .collect();
        let message: serde_json::Value = serde_json::from_str(&alert.body)?;
        listed.push(json!({ "message": message, "deliveries": deliveries }));
    }
    Ok(format!("{:#}\n", serde_json::Value::Array(listed)))
}

fn local(at: Wall, settings: &Settings) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(
        |_| at.0.to_string(),
        |at| {
            let at = at.to_zoned(settings.time_zone.clone());
            at.strftime("%Y-%m-%d %H:%M").to_string()
        },
    )
}

fn rfc3339(at: Wall) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map_or_else(|_| at.0.to_string(), |at| format!("{at:.0}"))
}
