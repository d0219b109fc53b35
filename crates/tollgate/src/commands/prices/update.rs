//! `tollgate prices update FILE`: brings a newer catalogue to where the gateway reads it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use config::catalogue::Catalogue;

use super::diff;
use crate::print;

/// Put a newer catalogue where the gateway reads it
#[derive(Debug, Args)]
#[command(after_help = "\
The file is read strictly first: a fault in it changes nothing. It takes the place of the old one at
once, and a running gateway reloads by itself; calls in flight keep the price that they began with.

  tollgate prices update new.json --config tollgate.yaml
  tollgate prices update new.json --catalogue prices.json   # before the configuration names it")]
pub struct Update {
    /// The newer catalogue
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The gateway's configuration, whose `prices.catalogue` names the file to replace
    #[arg(long, value_name = "FILE|DIR", conflicts_with = "catalogue")]
    config: Option<PathBuf>,

    /// The file to replace, or to make
    #[arg(long, value_name = "FILE")]
    catalogue: Option<PathBuf>,
}

impl Update {
    pub fn run(self) -> Result<()> {
        let text = fs::read_to_string(&self.file)
            .with_context(|| format!("cannot read `{}`", self.file.display()))?;
        let new = Catalogue::parse(&text)
            .map_err(|error| anyhow!("`{}` is no catalogue: {error}", self.file.display()))?;
        let (target, old) = match (self.config, self.catalogue) {
            (_, Some(target)) => {
                let old = if target.exists() {
                    diff::read(&target)?
                } else {
                    Catalogue::shipped()
                };
                (target, old)
            }
            (config, None) => {
                let config = config.unwrap_or_else(|| "tollgate.yaml".into());
                let (target, old) = diff::in_use(&config)?;
                let Some(target) = target else {
                    bail!(
                        "`{}` uses the catalogue that ships with Tollgate; name a file with --catalogue FILE, and in the configuration as `prices: {{ catalogue: FILE }}`",
                        config.display()
                    );
                };
                (target, old)
            }
        };
        let changes = diff::changes(&old, &new);
        replace(&target, &text).with_context(|| format!("cannot write `{}`", target.display()))?;
        print::out(&format!(
            "{}wrote {}\n",
            diff::summary(&old, &new, &changes),
            target.display()
        ))?;
        Ok(())
    }
}

/// Whole or not at all.
fn replace(target: &Path, text: &str) -> Result<()> {
    let name = target.file_name().context("it names no file")?;
    let mut draft = std::ffi::OsString::from(".");
    draft.push(name);
    draft.push(format!(".{}.tmp", std::process::id()));
    let draft = target.with_file_name(draft);
    let written = File::create(&draft).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let replaced = written.and_then(|()| fs::rename(&draft, target));
    if replaced.is_err() {
        // Nothing to report beyond why it could not be written.
        let _ = fs::remove_file(&draft);
    }
    Ok(replaced?)
}
