//! Runs the gateway for minutes or hours under traffic of every kind, and says whether it held:
//! `make soak`.
//!
//! Real processes: `tollgate serve`, and `tollgate simulate` as its provider. Calls of every kind come
//! at a fixed rate while regions fail, configurations are reloaded, half of them broken, and the gateway
//! is killed if asked. Every answer that a client read to its end is looked up on the ledger; at the end
//! the ledger is compared with what the provider counted, and memory, handles, threads and disk with
//! what they were.

mod client;
mod disturb;
mod gate;
mod reconcile;
mod traffic;
mod verify;
mod watch;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::disturb::Disturbance;
use crate::gate::{Gate, Provider};
use crate::traffic::{BURST_EVERY, Traffic};
use crate::verify::Verifier;
use crate::watch::Watch;

/// Between two lines of progress, each of which looks half-way between two bursts: what is open follows
/// them.
const PROGRESS_EVERY: Duration = BURST_EVERY;

/// Runs the gateway under mixed traffic and faults, and checks that nothing grows and nothing is lost.
#[derive(Debug, Parser)]
pub struct Options {
    /// The gateway's binary; else the one beside this
    #[arg(long)]
    tollgate: Option<PathBuf>,
    /// For how long: 90s, 15m, 4h
    #[arg(long, default_value = "5m", value_parser = duration)]
    duration: Duration,
    /// Calls a second
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// Calls at once, at most; without it as many as are due in a second, and at least 256
    #[arg(long)]
    clients: Option<usize>,
    /// Between two reloads; every other one is of a broken file. 0s: never. Bursts come every ten seconds:
    /// with 3s a reload meets each part of one within half a minute
    #[arg(long, default_value = "3s", value_parser = duration)]
    reload_every: Duration,
    /// From the end of a region's failure to the next one, each a quarter as long. 0s: never. With 17s one
    /// meets each part of a burst within three minutes
    #[arg(long, default_value = "17s", value_parser = duration)]
    fault_every: Duration,
    /// Between two times that the gateway is killed (kill -9) and started anew. 0s: never
    #[arg(long, default_value = "0s", value_parser = duration)]
    kill_every: Duration,
    /// The same seed makes the same calls
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep configuration, data and log here, which must be empty; else in a folder that goes
    #[arg(long)]
    folder: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let temporary = std::env::temp_dir().join(format!("tollgate-soak-{}", std::process::id()));
    let folder = options.folder.clone().unwrap_or_else(|| temporary.clone());
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create `{}`", folder.display()))?;
    let faults = run(&options, folder).await?;
    if faults.is_empty() {
        if options.folder.is_none() {
            std::fs::remove_dir_all(&temporary)?;
        }
        say("PASSED");
        return Ok(ExitCode::SUCCESS);
    }
    for fault in &faults {
        say(&format!("FAILED: {fault}"));
    }
    Ok(ExitCode::FAILURE)
}

/// What did not hold.
async fn run(options: &Options, folder: PathBuf) -> Result<Vec<String>> {
    let tollgate = match &options.tollgate {
        Some(path) => std::path::absolute(path)?,
        None => std::env::current_exe()?.with_file_name("tollgate"),
    };
    let provider = Provider::start(&tollgate).await?;
    let mut gate = Gate::start(&tollgate, folder, &provider).await?;
    let traffic = Arc::new(Traffic::new(gate.address(), options));
    let mut watch = Watch::default();
    let mut verifier = Verifier::default();
    let mut disturbance = Disturbance::new(options);

    let began = now();
    let load = traffic.clone().run(options.duration);
    let mut load = std::pin::pin!(load);
    let mut progress = interval_at(began + PROGRESS_EVERY / 2, PROGRESS_EVERY);
    progress.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            done = &mut load => break done?,
            _ = progress.tick() => {
                verifier.take(traffic.finished());
                verifier.look(&gate.data()).await?;
                let sample = watch.sample(&gate, traffic.count()).await?;
                say(&format!("{:>6} s  {sample}  {}", began.elapsed().as_secs(), traffic.line()));
            }
            event = disturbance.next() => disturbance.act(event, &mut gate, &provider).await?,
        }
    }
    provider.heal().await?;
    verifier.take(traffic.finished());
    let took = began.elapsed();
    let mut faults = traffic.faults();
    faults.extend(watch.at_rest(&gate).await?);
    faults.extend(disturbance.faults(&gate).await?);
    // `tollgate usage` reads it once more.
    gate.rewrite(disturbance.reloads, false)?;
    let counts = provider.counts().await?;
    faults.extend(gate.stop().await?);
    faults.extend(verifier.finish(&gate.data()).await?);
    let report = reconcile::compare(&gate, &counts, &traffic, disturbance.kills)?;
    say(&format!(
        "{} calls in {} s, {} reloads, {} kills; {} answers found on the ledger as their clients read them",
        traffic.count(),
        took.as_secs(),
        disturbance.reloads,
        disturbance.kills,
        verifier.found,
    ));
    for line in &report.lines {
        say(line);
    }
    say(&watch.summary(traffic.count()));
    faults.extend(report.faults);
    faults.extend(watch.faults(disturbance.kills));
    Ok(faults)
}

pub fn say(line: &str) {
    // Nobody to tell when standard output is closed.
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "a load generator lives by the clock"
)]
pub fn now() -> Instant {
    Instant::now()
}

fn duration(text: &str) -> Result<Duration, String> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number: u64 = text[..text.len() - unit.len()]
        .parse()
        .map_err(|_| format!("`{text}` is no duration: write 90s, 15m or 4h"))?;
    let seconds = match unit {
        "s" => number,
        "m" => number * 60,
        "h" => number * 3600,
        _ => return Err(format!("`{text}` is no duration: write 90s, 15m or 4h")),
    };
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(duration("4h"), Ok(Duration::from_secs(14_400)));
        assert!(duration("15").is_err() && duration("m").is_err() && duration("1d").is_err());
    }
}
