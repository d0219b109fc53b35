//! The binary: reads the command line, wires the crates together, and nothing else.
//!
//! One file per command under `commands`. What a call goes through stands in `gateway::pipeline`.

mod commands;

mod change;
mod configuration;
mod core_dump;
mod huge_pages;
mod log;
mod moment;
mod on_disk;
mod print;
mod provisioned;
mod signals;
mod table;

use std::process::ExitCode;

use clap::Parser;

use crate::commands::Command;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit codes: 0 done, 1 failed, 2 the command line was wrong (clap's own).
fn main() -> ExitCode {
    match Command::parse().run() {
        Ok(code) => code,
        Err(error) => {
            print::error(&format!("tollgate: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}
