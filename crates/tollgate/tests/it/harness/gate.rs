//! The gateway under test: the built binary, its configuration and its data in a folder of its own.

use std::fs::{File, OpenOptions};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use domain::record::CallRecord;
use serde_json::Value;
use tempfile::TempDir;

use super::{Answer, Call, Config, Door, Metrics, Opened, eventually, get};

/// Calls that a test may leave on the ledger.
const RECORDS_MAX: usize = 100_000;

/// Runs while it lives. Its log is printed if its test fails.
pub struct Gate {
    pub door: Door,
    admin: SocketAddr,
    folder: TempDir,
    config: Config,
    log_filter: &'static str,
    process: Option<Child>,
}

impl Gate {
    pub async fn start(config: Config) -> Self {
        Self::start_logging("info", config).await
    }

    /// With a log that holds back nothing.
    pub async fn start_verbose(config: Config) -> Self {
        Self::start_logging("trace", config).await
    }

    async fn start_logging(log_filter: &'static str, config: Config) -> Self {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let folder = tempfile::tempdir().unwrap();
        let mut gate = Self {
            door: Door::at(nowhere),
            admin: nowhere,
            folder,
            config,
            log_filter,
            process: None,
        };
        gate.launch().await;
        gate
    }

    pub async fn send(&self, call: Call) -> Answer {
        self.door.send(call).await
    }

    pub async fn open(&self, call: Call) -> Opened {
        self.door.open(call).await
    }

    pub async fn metrics(&self) -> Metrics {
        Metrics::read(&Door::at(self.admin).send(get("/metrics")).await.text())
    }

    /// The same data, a new process, other ports.
    pub async fn restart(&mut self) {
        assert!(self.process.is_none(), "the gateway still runs");
        self.launch().await;
    }

    /// As a power cut would, but for the disk's own cache.
    pub fn kill9(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// SIGTERM; gives the exit status once the gateway has drained.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.exited().await
    }

    pub async fn exited(&mut self) -> ExitStatus {
        let mut process = self.process.take().unwrap();
        eventually("the gateway's exit", async || process.try_wait().unwrap()).await
    }

    pub fn signal(&self, name: &str) {
        let id = self.process.as_ref().unwrap().id().to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &id])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Writes a new configuration file, which the gateway finds by itself.
    pub fn rewrite(&mut self, config: Config) {
        self.config = config;
        self.write_config();
    }

    /// Writes a file that is no configuration.
    pub fn rewrite_text(&self, text: &str) {
        std::fs::write(self.config_path(), text).unwrap();
    }

    /// Runs a command of the binary on this gateway's configuration.
    pub fn tollgate(&self, arguments: &[&str]) -> Output {
        let path = self.config_path();
        let with_config = [arguments, &["--config", path.to_str().unwrap()]].concat();
        tollgate(&with_config)
    }

    /// `tollgate usage`, as rows.
    pub fn usage(&self, by: &str) -> Vec<Value> {
        let output = self.tollgate(&["usage", "--by", by, "--format", "json"]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn calls_summed(&self) -> u64 {
        let all = store::ledger::UsageQuery {
            by: vec![],
            only: vec![],
            since: None,
            until: None,
            time_zone: jiff::tz::TimeZone::UTC,
        };
        let rows = store::ledger::usage(&self.data(), &all).unwrap();
        rows.iter().map(|row| row.calls).sum()
    }

    /// What is on the ledger now, newest first.
    pub fn records(&self) -> Vec<CallRecord> {
        store::ledger::recent(&self.data(), RECORDS_MAX).unwrap()
    }

    /// The record of one call, by the `x-request-id` of its answer.
    pub async fn record(&self, id: &str) -> CallRecord {
        eventually("the call's record", async || {
            self.records()
                .into_iter()
                .find(|record| record.opening.id.to_string() == id)
        })
        .await
    }

    /// A file that the system keeps about the process.
    pub fn proc(&self, name: &str) -> String {
        let id = self.process.as_ref().unwrap().id();
        std::fs::read_to_string(format!("/proc/{id}/{name}")).unwrap()
    }

    /// What the process holds of the machine's memory.
    pub fn resident_bytes(&self) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
        kibibytes.trim().parse::<u64>().unwrap() * 1024
    }

    /// Waits until that many calls are on the ledger and in its sums, which come behind the calls,
    /// and fails if there are more.
    pub async fn all_records(&self, count: usize) -> Vec<CallRecord> {
        let records = eventually("every call's record", async || {
            let records = self.records();
            (records.len() >= count && self.calls_summed() >= count as u64).then_some(records)
        })
        .await;
        assert_eq!(records.len(), count, "one record for each call");
        records
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn config_path(&self) -> PathBuf {
        self.folder.path().join("tollgate.yaml")
    }

    /// Everything that it wrote on standard output and standard error.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    async fn launch(&mut self) {
        // Someone else may take a port between the look and the use: then with others.
        for _ in 0..5 {
            let (public, admin) = free_addresses();
            self.door = Door::at(public);
            self.admin = admin;
            self.write_config();
            self.process = Some(self.spawn());
            if self.is_ready().await {
                return;
            }
            assert!(
                self.log().contains("in use"),
                "the gateway did not start:\n{}",
                self.log()
            );
        }
        panic!("no free port for the gateway");
    }

    fn spawn(&self) -> Child {
        let log_path = self.folder.path().join("log");
        let log: File = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log_path)
            .unwrap();
        Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .arg("serve")
            .arg("--config")
            .arg(self.config_path())
            .env("RUST_LOG", self.log_filter)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// False if it ended instead.
    async fn is_ready(&mut self) -> bool {
        let process = self.process.as_mut().unwrap();
        // The public listener may speak TLS.
        let door = Door::at(self.admin);
        eventually("the gateway's start", async || {
            if process.try_wait().unwrap().is_some() {
                return Some(false);
            }
            let answer = door.try_send(get("/readyz")).await.ok()?;
            (answer.status == 200).then_some(true)
        })
        .await
    }

    fn write_config(&self) {
        let whole = self
            .config
            .clone()
            .with("/listen/address", self.door.address.to_string().into())
            .with("/admin/listen", self.admin.to_string().into())
            .with("/data_dir", self.data().to_str().unwrap().into());
        // In one step: a file that is being written is a file that is read half.
        let fresh = self.folder.path().join("tollgate.yaml.new");
        std::fs::write(&fresh, whole.text()).unwrap();
        std::fs::rename(fresh, self.config_path()).unwrap();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            eprintln!("--- the gateway's log ---\n{}", self.log());
        }
    }
}

/// Runs the binary to its end.
pub fn tollgate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(arguments)
        .output()
        .unwrap()
}

/// Below those that a system gives to outgoing connections and to whoever asks for any port: between
/// this look and the gateway's, nobody else is given them.
const PORTS: std::ops::Range<u32> = 12_000..32_000;

fn free_addresses() -> (SocketAddr, SocketAddr) {
    (free_address(), free_address())
}

/// No two gateways of this process are given the same, and other processes begin elsewhere.
fn free_address() -> SocketAddr {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(997);
    for _ in PORTS {
        let number = begin.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + number % (PORTS.end - PORTS.start);
        let address = SocketAddr::from(([127, 0, 0, 1], port as u16));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no free port for the gateway");
}
