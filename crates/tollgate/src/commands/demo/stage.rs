//! What the demo plays on: a folder, three simulated regions, a token issuer, and the configuration
//! that ties them together, written down for the newcomer to read.

use std::fs::{self, DirBuilder};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use domain::Nanos;
use gateway::Clock;
use simulator::{Issuer, Running, Simulator};
use tokio::net::TcpListener;

use super::past;
use super::script::Condition;

pub const REGIONS: [&str; 3] = ["eastus", "westeurope", "swedencentral"];

const TEMPLATE: &str = include_str!("tollgate.yaml");
/// Any free one.
const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

pub struct Stage {
    pub config: PathBuf,
    pub log: PathBuf,
    pub listen: SocketAddr,
    pub admin: SocketAddr,
    /// In the order of [`REGIONS`].
    pub regions: Vec<Running>,
    pub issuer: Arc<Issuer>,
}

/// Where the demo may put its things.
#[derive(Clone, Debug)]
pub struct Place {
    pub dir: Option<PathBuf>,
    pub listen: SocketAddr,
    pub admin: SocketAddr,
}

impl Stage {
    pub async fn build(place: &Place) -> Result<Self> {
        let dir = match &place.dir {
            Some(dir) => own_dir(dir)?,
            None => temporary_dir()?,
        };
        let mut regions = Vec::new();
        for (region, seed) in REGIONS.into_iter().zip(1..) {
            let behaviour = Condition::Well.behaviour(region);
            regions.push(
                Simulator::start(ANYWHERE, behaviour, seed)
                    .await
                    .context("cannot start a simulated region")?,
            );
        }
        let issuer = Issuer::start(ANYWHERE)
            .await
            .context("cannot start the simulated issuer")?;
        let budget = past::write(&dir.join("data"), Clock::system().now())?;
        let stage = Self {
            config: dir.join("tollgate.yaml"),
            log: dir.join("tollgate.log"),
            listen: free(place.listen).await?,
            admin: free(place.admin).await?,
            regions,
            issuer: Arc::new(issuer),
        };
        let text = stage.configuration(&dir.join("data"), budget)?;
        fs::write(&stage.config, text)
            .with_context(|| format!("cannot write `{}`", stage.config.display()))?;
        Ok(stage)
    }

    fn configuration(&self, data_dir: &Path, budget: Nanos) -> Result<String> {
        let data_dir = data_dir
            .to_str()
            .ok_or_else(|| anyhow!("--data-dir: the path must be Unicode"))?;
        let mut text = TEMPLATE
            .replace("@LISTEN@", &self.listen.to_string())
            .replace("@ADMIN@", &self.admin.to_string())
            .replace("@ISSUER@", &self.issuer.openid_config())
            .replace("@BUDGET@", &budget.to_string())
            // A JSON string is a YAML string, whatever stands in it.
            .replace("@DATA_DIR@", &serde_json::to_string(data_dir)?);
        for (region, running) in REGIONS.into_iter().zip(&self.regions) {
            text = text.replace(
                &format!("@{}@", region.to_uppercase()),
                &format!("http://{}", running.address()),
            );
        }
        Ok(text)
    }

    /// From its next call on.
    pub fn set(&self, region: &str, condition: Condition) {
        if let Some(index) = REGIONS.iter().position(|name| *name == region) {
            self.regions[index].set(condition.behaviour(region));
        }
    }
}

/// The folder stays after the demo: its ledger can still be asked.
fn temporary_dir() -> Result<PathBuf> {
    let mut chance = [0; 4];
    getrandom::fill(&mut chance)
        .map_err(|error| anyhow!("no randomness for a folder's name: {error}"))?;
    let dir =
        std::env::temp_dir().join(format!("tollgate-demo-{:08x}", u32::from_ne_bytes(chance)));
    DirBuilder::new()
        .mode(0o700)
        .create(&dir)
        .with_context(|| format!("cannot create `{}`", dir.display()))?;
    Ok(dir)
}

/// Never overwrites a configuration that the demo did not write.
fn own_dir(dir: &Path) -> Result<PathBuf> {
    disk::private::create_directory(dir)
        .with_context(|| format!("--data-dir: cannot create `{}`", dir.display()))?;
    let dir = fs::canonicalize(dir)
        .with_context(|| format!("--data-dir: cannot use `{}`", dir.display()))?;
    let config = dir.join("tollgate.yaml");
    match fs::read_to_string(&config) {
        Ok(text) if text.lines().next() != TEMPLATE.lines().next() => {
            bail!(
                "--data-dir: `{}` is not the demo's; choose another folder",
                config.display()
            )
        }
        Ok(_) | Err(_) => Ok(dir),
    }
}

async fn free(wanted: SocketAddr) -> Result<SocketAddr> {
    if let Ok(listener) = TcpListener::bind(wanted).await {
        return listener
            .local_addr()
            .context("a listener without an address");
    }
    let listener = TcpListener::bind(SocketAddr::new(wanted.ip(), 0))
        .await
        .with_context(|| format!("neither {wanted} nor another port there can be had"))?;
    listener
        .local_addr()
        .context("a listener without an address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_written_configuration_loads_without_a_warning() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place {
            dir: Some(dir.path().join("a \"quoted\" name")),
            listen: ANYWHERE,
            admin: ANYWHERE,
        };
        let stage = Stage::build(&place).await.unwrap();
        let loaded = crate::configuration::load_files(std::slice::from_ref(&stage.config)).unwrap();
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        assert_eq!(loaded.snapshot.subscriptions.len(), 4);
        assert_eq!(loaded.snapshot.settings.listen, stage.listen);
        assert!(
            loaded
                .snapshot
                .settings
                .data_dir
                .ends_with("a \"quoted\" name/data")
        );
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_left_alone() {
        let taken = TcpListener::bind(ANYWHERE)
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let holder = TcpListener::bind(taken).await.unwrap();
        assert_ne!(free(taken).await.unwrap(), holder.local_addr().unwrap());
    }

    #[test]
    fn a_configuration_of_someone_else_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("tollgate.yaml"), "listen: 127.0.0.1:1\n").unwrap();
        assert!(own_dir(dir.path()).is_err());
        fs::write(dir.path().join("tollgate.yaml"), TEMPLATE).unwrap();
        assert!(own_dir(dir.path()).is_ok());
    }
}
