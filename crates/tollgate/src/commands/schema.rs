//! `tollgate schema`: the configuration's JSON schema, for editors.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::print;

/// Print the JSON schema of the configuration, for editors.
#[derive(Debug, Args)]
#[command(after_help = "\
  tollgate schema > tollgate.schema.json

and as the first line of tollgate.yaml, for editors with the YAML language server:

  # yaml-language-server: $schema=tollgate.schema.json")]
pub struct Schema {}

impl Schema {
    pub fn run(self) -> Result<ExitCode> {
        print::out(&format!("{:#}\n", config::schema()))?;
        Ok(ExitCode::SUCCESS)
    }
}
