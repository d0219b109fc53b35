//! `tollgate demo`: the whole product against simulated providers. The gateway runs as `serve` runs
//! it, and all that is told of it comes through its own doors: answers, `/metrics`, the ledger.

mod client;
mod faq;
mod metrics;
mod past;
mod script;
mod stage;
mod story;
mod summary;
mod traffic;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::Args;
use domain::{Mono, Wall};
use gateway::Clock;
use tokio::sync::mpsc::{self, Receiver};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::client::Client;
use self::metrics::Metrics;
use self::stage::{Place, Stage};
use self::story::Story;
use self::summary::{cache_sentence, usage_table};
use self::traffic::{Call, Tally, Traffic};
use super::serve::Service;
use crate::configuration::Loader;
use crate::signals::Signals;
use crate::{log, moment, print};

/// Run the gateway with simulated providers and four teams' traffic; no account needed.
#[derive(Debug, Args)]
#[command(after_help = "\
Three regions of Azure OpenAI are simulated: eastus and westeurope share the calls, swedencentral
helps out. Within a minute one runs short, two go down, and all come back. One team's questions are mostly
answered from the cache. Ctrl-C ends it; the folder stays, so its usage can still be reported.

  tollgate demo
  tollgate demo --duration 60s --data-dir ./demo")]
pub struct Demo {
    /// Where to put configuration, ledger and log [default: a new folder among the temporary files]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Where the gateway listens; another port if this one is taken
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// Where its metrics are; another port if this one is taken
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    admin: SocketAddr,

    /// End by itself after this time: 60s
    #[arg(long, value_name = "TIME", value_parser = moment::duration)]
    duration: Option<Duration>,
}

/// A table of usage every so often.
const TABLE_EVERY_S: u64 = 15;
/// Alerts that a demo tells, at most.
const ALERTS_MAX: usize = 100;
/// Calls that wait for the story; more than the teams make in a second.
const CALLS_WAITING_MAX: usize = 256;

impl Demo {
    pub async fn run(self) -> Result<ExitCode> {
        let mut signals = Signals::listen()?;
        let place = Place {
            dir: self.data_dir.clone(),
            listen: self.listen,
            admin: self.admin,
        };
        let stage = Stage::build(&place).await?;
        log::start_in_file(&stage.log)?;
        let loaded = Loader::new(stage.config.clone())
            .load()
            .map_err(|failure| anyhow!("{failure}"))?;
        let data_dir = loaded.snapshot.settings.data_dir.clone();
        let has_model = has_model(&data_dir);
        let clock = Clock::system();
        let service = Service::start(loaded.snapshot, clock.clone()).await?;
        print::out(&self.introduction(&stage, has_model))?;

        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let (sender, calls) = mpsc::channel(CALLS_WAITING_MAX);
        let client = Client::default();
        let issuer = stage.issuer.clone();
        let tally = Arc::new(Tally::default());
        let traffic = Traffic {
            gateway: stage.listen,
            client: client.clone(),
            issuer,
            faq: Arc::default(),
            tally: tally.clone(),
            calls: sender,
            stop: stop.clone(),
        };
        traffic.start(&tasks);
        let started = clock.now().mono;
        let since = clock.now().wall;
        let mut show = Show {
            stage: &stage,
            client,
            clock,
            started,
            since,
            told: 0,
            calls,
            data_dir: &data_dir,
            tally: &tally,
            story: Story::default(),
        };
        tokio::select! {
            played = show.play(self.duration) => played?,
            _ = signals.stop() => {}
        }

        stop.cancel();
        tasks.close();
        tokio::select! {
            () = tasks.wait() => {}
            _ = signals.stop() => return Ok(ExitCode::FAILURE),
        }
        service.stop().await;
        print::out(&format!(
            "\n{}\n{}\n{}",
            usage_table(&data_dir, since)?,
            cache_sentence(&data_dir, since, &tally)?,
            farewell(&stage)
        ))?;
        Ok(ExitCode::SUCCESS)
    }

    fn introduction(&self, stage: &Stage, has_model: bool) -> String {
        let Stage {
            config,
            log,
            listen,
            admin,
            ..
        } = stage;
        let mut text =
            String::from("Tollgate demo: three simulated regions, four teams, no account.\n\n");
        for (wanted, got) in [(self.listen, *listen), (self.admin, *admin)] {
            if wanted != got && wanted.port() != 0 {
                text.push_str(&format!("  {wanted} is taken: using {got}\n"));
            }
        }
        let no_model = if has_model {
            String::new()
        } else {
            format!(
                "The faq team's questions are found in just the same words only; in other words too, after:\n\n\
                 \x20 {}\n\n",
                command("cache install-model")
            )
        };
        text.push_str(&format!(
            "  gateway        http://{listen}/v1\n\
             \x20 metrics        http://{admin}/metrics\n\
             \x20 configuration  {}\n\
             \x20 log            {}\n\n\
             Try it in another terminal:\n\n\
             \x20 curl http://{listen}/v1/chat/completions \\\n\
             \x20   -H 'Authorization: Bearer search-team-demo-key' \\\n\
             \x20   -H 'Content-Type: application/json' \\\n\
             \x20   -d '{{\"model\":\"gpt-4o\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'\n\n\
             \x20 {}\n\n\
             The search team's last four weeks are made up, so that its budget has a past to forecast from.\n\n\
             {no_model}\
             What happens, by seconds since the start (Ctrl-C ends it):\n\n",
            config.display(),
            log.display(),
            usage_command(config, "subscription,model")
        ));
        text
    }
}

struct Show<'a> {
    stage: &'a Stage,
    client: Client,
    clock: Clock,
    started: Mono,
    /// Before it lies what the demo made up.
    since: Wall,
    /// Alerts that were told.
    told: usize,
    calls: Receiver<Call>,
    data_dir: &'a Path,
    tally: &'a Tally,
    story: Story,
}

impl Show<'_> {
    /// A second at a time: change the scene, look, tell one thing, sometimes show the usage.
    async fn play(&mut self, duration: Option<Duration>) -> Result<()> {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut last_second = None;
        loop {
            ticks.tick().await;
            let elapsed = self.clock.now().mono.since(self.started);
            if duration.is_some_and(|duration| elapsed >= duration) {
                return Ok(());
            }
            let second = elapsed.as_secs();
            // A machine that is busy may skip a second, but no scene.
            for second in last_second.map_or(0, |last: u64| last + 1)..=second {
                self.change_scene(second)?;
            }
            last_second = Some(second);
            self.look(second).await;
            if let Some((about, sentence)) = self.story.tell() {
                print::out(&format!("{about:>4} s  {sentence}\n"))?;
            }
            if second > 0 && second.is_multiple_of(TABLE_EVERY_S) {
                print::out(&format!(
                    "\n{}\n{}\n",
                    usage_table(self.data_dir, self.since)?,
                    cache_sentence(self.data_dir, self.since, self.tally)?
                ))?;
            }
        }
    }

    fn change_scene(&mut self, second: u64) -> Result<()> {
        let Some(scene) = script::scene_at(second) else {
            return Ok(());
        };
        self.stage.set("eastus", scene.eastus);
        self.stage.set("westeurope", scene.westeurope);
        print::out(&format!("{second:>4} s  -- {}\n", scene.says))?;
        Ok(())
    }

    async fn look(&mut self, second: u64) {
        let mut calls = Vec::new();
        while let Ok(call) = self.calls.try_recv() {
            calls.push(call);
        }
        match self.client.get(self.stage.admin, "/metrics").await {
            Ok(answer) => {
                let metrics = Metrics::read(&String::from_utf8_lossy(&answer.body));
                self.story.observe(second, &calls, metrics);
            }
            Err(error) => tracing::warn!(error = format!("{error:#}"), "no metrics"),
        }
        match store::alerts::recent(self.data_dir, ALERTS_MAX) {
            Ok(alerts) => {
                let new = alerts.len().saturating_sub(self.told);
                for alert in alerts.iter().take(new).rev() {
                    self.story.alert(second, &alert.title, &alert.body);
                }
                self.told = alerts.len();
            }
            Err(error) => tracing::warn!(%error, "no alerts"),
        }
    }
}

/// Whether questions can be compared by meaning: the gateway looks in these folders too.
fn has_model(data_dir: &Path) -> bool {
    let cache = embed::user_cache(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"));
    let folders: Vec<PathBuf> = std::iter::once(data_dir.join("models"))
        .chain(cache)
        .collect();
    embed::find(&folders).is_ok()
}

/// As it can be pasted: this very program, and what follows its name.
fn command(arguments: &str) -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("tollgate"));
    format!("'{}' {arguments}", program.display())
}

fn usage_command(config: &Path, by: &str) -> String {
    command(&format!("usage --config '{}' --by {by}", config.display()))
}

fn farewell(stage: &Stage) -> String {
    format!(
        "The ledger stays; ask it more, and delete the folder when you are done:\n\n  {}\n  {}\n",
        usage_command(&stage.config, "subscription,model"),
        usage_command(&stage.config, "subscription,cache")
    )
}
