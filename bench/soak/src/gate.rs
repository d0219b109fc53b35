//! The processes: the gateway with its configuration and data, and the provider.

use std::fs::OpenOptions;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use http::Method;
use serde_json::Value;

use crate::client::Client;
use crate::now;

/// Starting and draining take no longer unless something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

pub const OPEN_KEY: &str = "soak-open-5d1c83b7e2f4a690";
pub const AZURE_KEY: &str = "soak-azure-8e4f2a9c6b1d7035";
pub const CAPPED_KEY: &str = "soak-capped-2b7e9d4c1f8a6053";
pub const SPENT_KEY: &str = "soak-spent-9a3c5e7f1b2d4860";
pub const QUOTA: u64 = 300_000;

/// A region fails by itself: each has a listener of its own.
pub struct Provider {
    process: Child,
    pub regions: Vec<Client>,
}

impl Provider {
    pub async fn start(tollgate: &Path) -> Result<Self> {
        let addresses = [free_address()?, free_address()?];
        let mut command = Command::new(tollgate);
        command.args(["simulate", "--set", "latency=1ms", "--set", "jitter=4ms"]);
        for address in addresses {
            command.args(["--listen", &address.to_string()]);
        }
        let process = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot run `{}`", tollgate.display()))?;
        let regions: Vec<_> = addresses.into_iter().map(Client::of).collect();
        for region in &regions {
            until_it_answers(region, "/__simulator/behaviour").await?;
        }
        Ok(Self { process, regions })
    }

    /// Every call to this region is answered 503, or none again.
    pub async fn set_failing(&self, region: usize, fails: bool) -> Result<()> {
        let behaviour = if fails {
            r#"{"status":503,"retry_after":"1s"}"#
        } else {
            r#"{"status":null,"retry_after":null}"#
        };
        let path = "/__simulator/behaviour";
        let region = &self.regions[region];
        let set = region
            .open(Method::PATCH, path, &[], behaviour.into())
            .await?;
        if set.status != 200 {
            bail!("the provider does not take its behaviour: {}", set.status);
        }
        Ok(())
    }

    pub async fn heal(&self) -> Result<()> {
        for region in 0..self.regions.len() {
            self.set_failing(region, false).await?;
        }
        Ok(())
    }

    /// What each region counted, once every call has ended there.
    pub async fn counts(&self) -> Result<Vec<Value>> {
        let mut counts = Vec::new();
        for region in &self.regions {
            let began = now();
            loop {
                let answer = region.get("/__simulator/counts").await?;
                let count: Value = serde_json::from_slice(&answer.body)?;
                if count["begun"] == count["total"]["calls"] {
                    counts.push(count);
                    break;
                }
                if began.elapsed() > PATIENCE {
                    bail!("calls at the provider do not end: {}", count["begun"]);
                }
                pause().await;
            }
        }
        Ok(counts)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub struct Gate {
    tollgate: PathBuf,
    folder: PathBuf,
    listen: SocketAddr,
    pub admin: Client,
    regions: Vec<SocketAddr>,
    process: Child,
}

impl Gate {
    pub async fn start(tollgate: &Path, folder: PathBuf, provider: &Provider) -> Result<Self> {
        let (listen, admin) = (free_address()?, free_address()?);
        let regions: Vec<_> = provider
            .regions
            .iter()
            .map(|region| region.address)
            .collect();
        std::fs::write(
            folder.join("tollgate.yaml"),
            configuration(listen, admin, &regions, 0),
        )?;
        let process = launch(tollgate, &folder)?;
        let gate = Self {
            tollgate: tollgate.to_owned(),
            folder,
            listen,
            admin: Client::of(admin),
            regions,
            process,
        };
        until_it_answers(&gate.admin, "/readyz").await?;
        Ok(gate)
    }

    pub fn address(&self) -> SocketAddr {
        self.listen
    }

    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// A good configuration, or one whose last line is no field.
    pub fn rewrite(&self, version: u64, is_broken: bool) -> Result<()> {
        let mut text = configuration(self.listen, self.admin.address, &self.regions, version);
        if is_broken {
            text.push_str("no_such_field: 1\n");
        }
        // Whole or not at all, as an operator's tool would.
        let next = self.folder.join("next");
        std::fs::write(&next, text)?;
        std::fs::rename(next, self.folder.join("tollgate.yaml"))?;
        self.signal("HUP")
    }

    /// kill -9, and the same data under a new process.
    pub async fn kill_and_restart(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        self.process = launch(&self.tollgate, &self.folder)?;
        until_it_answers(&self.admin, "/readyz").await
    }

    /// SIGTERM. Anything but a clean end is a fault.
    pub async fn stop(&mut self) -> Result<Option<String>> {
        self.signal("TERM")?;
        let began = now();
        loop {
            if let Some(status) = self.process.try_wait()? {
                return Ok((!status.success()).then(|| format!("the gateway ended with {status}")));
            }
            if began.elapsed() > PATIENCE {
                self.process.kill()?;
                self.process.wait()?;
                return Ok(Some("the gateway did not end in a minute".to_owned()));
            }
            pause().await;
        }
    }

    /// `tollgate usage` on the stopped gateway's data.
    pub fn usage(&self, by: &str) -> Result<Vec<Value>> {
        let output = Command::new(&self.tollgate)
            .args(["usage", "--by", by, "--format", "json", "--config"])
            .arg(self.folder.join("tollgate.yaml"))
            .current_dir(&self.folder)
            .output()?;
        if !output.status.success() {
            bail!(
                "tollgate usage: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    fn signal(&self, name: &str) -> Result<()> {
        let sent = Command::new("kill")
            .args(["-s", name, &self.pid().to_string()])
            .status()?;
        sent.success().then_some(()).context("kill failed")
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn launch(tollgate: &Path, folder: &Path) -> Result<Child> {
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("log"))?;
    Command::new(tollgate)
        .args([
            "serve",
            "--config",
            "tollgate.yaml",
            "--log",
            "warn,tollgate=info",
        ])
        .current_dir(folder)
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("cannot run `{}`", tollgate.display()))
}

async fn until_it_answers(client: &Client, path: &str) -> Result<()> {
    let began = now();
    loop {
        if let Ok(answer) = client.get(path).await
            && answer.status == 200
        {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(anyhow!("nothing answers at {}", client.address));
        }
        pause().await;
    }
}

pub async fn pause() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

fn free_address() -> Result<SocketAddr> {
    let probe = TcpListener::bind("127.0.0.1:0")?;
    Ok(probe.local_addr()?)
}

/// Models that tell traffic apart: the provider counts by model.
pub const MODELS: [&str; 5] = [
    "gpt-4o-exact",
    "gpt-4o-unsaid",
    "gpt-4o-cut",
    "gpt-4o-left",
    "text-embedding-3-small",
];

fn configuration(
    listen: SocketAddr,
    admin: SocketAddr,
    regions: &[SocketAddr],
    version: u64,
) -> String {
    let [east, west] = regions else {
        return String::new();
    };
    let models: String = MODELS
        .map(|name| {
            format!(
                "  - {{ name: {name}, pool: all, max_output_tokens: 4096, tokenizer: o200k }}\n"
            )
        })
        .concat();
    let granted = MODELS.join(", ");
    let wide = 1_000_000_000 + version;
    format!(
        r#"listen: {listen}
admin: {{ listen: {admin} }}
data_dir: ./data
# A machine that runs its own load is always late.
limits: {{ queue_delay: 1h, drain: 20s }}
metrics: {{ dimensions: {{ Team: subscription.id, Application: application.name, Model: model.name }} }}
backends:
  - {{ id: east, dialect: openai, url: "http://{east}/v1", auth: {{ api_key: east-key }}, breaker: {{ interval: 5s, trip_duration: 2s }} }}
  - {{ id: west, dialect: azure-openai, api_version: "2024-10-21", url: "http://{west}", auth: {{ api_key: west-key }}, breaker: {{ interval: 5s, trip_duration: 2s }} }}
pools:
  - id: all
    members: [{{ backend: east }}, {{ backend: west }}]
    retry: {{ attempts: 3 }}
models:
{models}products:
  - id: open
    models: [{granted}]
    application: {{ from_header: X-App-Name }}
    token_limits: [{{ name: tpm, tokens_per_minute: {wide} }}]
    request_limits: [{{ name: rpm, requests_per_minute: 100000000 }}]
    concurrency_limits: [{{ name: open, max_concurrent: 100000 }}]
    quotas: [{{ name: year, tokens: 100000000000000, period: year }}]
  - id: capped
    models: [{granted}]
    token_limits: [{{ name: tpm, tokens_per_minute: 20000 }}]
    request_limits: [{{ name: rpm, requests_per_minute: 600 }}]
    concurrency_limits: [{{ name: open, max_concurrent: 4 }}]
  - id: spent
    models: [{granted}]
    quotas: [{{ name: year, tokens: {QUOTA}, period: year, reserve: max }}]
subscriptions:
  - {{ id: open, product: open, keys: {{ primary: {OPEN_KEY} }} }}
  - {{ id: azure, product: open, keys: {{ primary: {AZURE_KEY} }} }}
  - {{ id: capped, product: capped, keys: {{ primary: {CAPPED_KEY} }} }}
  - {{ id: spent, product: spent, keys: {{ primary: {SPENT_KEY} }} }}
"#
    )
}

/// A body's bytes, for the client.
pub fn json(value: &Value) -> Bytes {
    value.to_string().into()
}
