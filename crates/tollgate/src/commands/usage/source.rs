//! Whose ledger a report reads, and of which time.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use config::Snapshot;
use domain::Wall;
use gateway::Clock;
use jiff::tz::TimeZone;

use crate::configuration;
use crate::moment::Moment;

#[derive(Debug, Args)]
pub struct Source {
    /// The gateway's configuration, which says where its ledger is
    #[arg(
        long,
        value_name = "FILE|DIR",
        default_value = "tollgate.yaml",
        conflicts_with = "data_dir"
    )]
    config: PathBuf,

    /// The ledger's folder, where there is no configuration
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Whose days and hours, such as Europe/Berlin [default: the configuration's, else UTC]
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
}

#[derive(Debug, Args)]
pub struct Period {
    /// Only calls since then: a date, an RFC 3339 time, or how long ago (24h, 7d)
    #[arg(long, value_name = "WHEN", value_parser = Moment::parse)]
    pub since: Option<Moment>,

    /// Only calls before then
    #[arg(long, value_name = "WHEN", value_parser = Moment::parse)]
    pub until: Option<Moment>,
}

pub struct Opened {
    pub data_dir: PathBuf,
    /// The one that was named.
    named_zone: Option<TimeZone>,
    /// For the names and addresses of what the ledger knows by id.
    pub snapshot: Option<Snapshot>,
}

impl Source {
    pub fn open(self) -> Result<Opened> {
        let named_zone = match &self.time_zone {
            None => None,
            Some(name) => Some(TimeZone::get(name).map_err(|_| {
                anyhow!(
                    "--time-zone: `{name}` is no time zone; write one such as Europe/Berlin or UTC"
                )
            })?),
        };
        if let Some(data_dir) = self.data_dir {
            return Ok(Opened {
                data_dir,
                named_zone,
                snapshot: None,
            });
        }
        let snapshot = configuration::load_without_secrets(&self.config)?;
        Ok(Opened {
            data_dir: snapshot.settings.data_dir.clone(),
            named_zone,
            snapshot: Some(snapshot),
        })
    }
}

impl Opened {
    /// What is paid by the hour stands in no ledger.
    pub fn snapshot(&self) -> Result<&Snapshot> {
        self.snapshot
            .as_ref()
            .context("--provisioned: what is paid by the hour stands in the configuration; name it with --config in place of --data-dir")
    }

    pub fn time_zone(&self) -> TimeZone {
        let configured = self.snapshot.as_ref().map(|snapshot| &snapshot.settings);
        self.named_zone
            .clone()
            .or_else(|| configured.map(|settings| settings.time_zone.clone()))
            .unwrap_or(TimeZone::UTC)
    }

    /// Providers bill days of UTC, whatever ours are.
    pub fn invoice_time_zone(&self) -> TimeZone {
        self.named_zone.clone().unwrap_or(TimeZone::UTC)
    }
}

impl Period {
    /// From the first on, before the second.
    pub fn resolve(&self, time_zone: &TimeZone) -> Result<(Option<Wall>, Option<Wall>)> {
        let now = Clock::system().now().wall;
        let resolve = |moment: Option<Moment>, flag: &str| -> Result<Option<Wall>> {
            let Some(moment) = moment else {
                return Ok(None);
            };
            let at = moment.resolve(now, time_zone);
            Ok(Some(at.with_context(|| {
                format!("{flag}: no such time in the time zone {}", name(time_zone))
            })?))
        };
        let since = resolve(self.since, "--since")?;
        let until = resolve(self.until, "--until")?;
        Ok((since, until))
    }
}

fn name(zone: &TimeZone) -> String {
    zone.iana_name()
        .unwrap_or("of the configuration")
        .to_owned()
}
