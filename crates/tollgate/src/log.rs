//! The process's own log, on standard error. Calls' contents and credentials are never logged; see
//! the crates that log.

use std::fs::File;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

#[derive(Debug, Args)]
pub struct LogOptions {
    /// `text` for people, `json` for collectors [default: text on a terminal, else json]
    #[arg(long, value_enum)]
    log_format: Option<LogFormat>,

    /// What to log, as in `info,gateway=debug`
    #[arg(long, value_name = "FILTER", env = "RUST_LOG", default_value = "info")]
    log: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

impl LogOptions {
    pub fn start(&self) -> Result<()> {
        let terminal = std::io::stderr().is_terminal();
        let format = self.log_format.unwrap_or(if terminal {
            LogFormat::Text
        } else {
            LogFormat::Json
        });
        let builder = tracing_subscriber::fmt()
            .with_env_filter(self.filter()?)
            .with_writer(std::io::stderr);
        match format {
            LogFormat::Text => builder.with_ansi(terminal).init(),
            LogFormat::Json => builder.json().flatten_event(true).init(),
        }
        Ok(())
    }

    fn filter(&self) -> Result<EnvFilter> {
        EnvFilter::try_new(&self.log).with_context(|| {
            format!(
                "--log (or RUST_LOG): `{}` is no filter; write it as `info,gateway=debug`",
                self.log
            )
        })
    }
}

/// The demo's standard output is its story, so its log goes to a file.
pub fn start_in_file(path: &Path) -> Result<()> {
    let file =
        File::create(path).with_context(|| format!("cannot write the log `{}`", path.display()))?;
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(Mutex::new(file))
        .init();
    Ok(())
}
