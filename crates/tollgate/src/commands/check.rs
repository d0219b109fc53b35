//! `tollgate check`: every problem of a configuration at once, before it is in force.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use config::{Problem, Severity, Snapshot};
use serde::Serialize;

use crate::configuration::{self, LoadFailure};
use crate::print;
use crate::table::counted;

/// Check a configuration and print every problem at once.
#[derive(Debug, Args)]
#[command(after_help = "\
Several files (or a folder) are checked as the one configuration that they are together.
Exit code 0: it loads, perhaps with warnings. 1: it does not.

  tollgate check tollgate.yaml
  tollgate check base.yaml teams.yaml --format json")]
pub struct Check {
    /// The configuration: files, or folders of files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// `text`: FILE:LINE:COL: field: problem; fix
    #[arg(long, value_enum, default_value = "text")]
    format: CheckFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CheckFormat {
    Text,
    Json,
}

impl Check {
    pub fn run(self) -> Result<ExitCode> {
        let (problems, snapshot) = match configuration::load_files(&self.files) {
            Ok(loaded) => (loaded.warnings, Some(loaded.snapshot)),
            Err(LoadFailure::Problems(problems)) => (problems, None),
            Err(LoadFailure::Unreadable(error)) => bail!(error),
        };
        print::out(&match self.format {
            CheckFormat::Text => text(&problems, snapshot.as_ref()),
            CheckFormat::Json => json(&problems, snapshot.is_some())?,
        })?;
        Ok(if snapshot.is_some() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn text(problems: &[Problem], snapshot: Option<&Snapshot>) -> String {
    let mut text = String::new();
    for problem in problems {
        let mark = if is_error(problem) { "" } else { " (warning)" };
        text.push_str(&format!("{problem}{mark}\n"));
    }
    let errors = problems.iter().filter(|problem| is_error(problem)).count();
    let warnings = counted(problems.len() - errors, "warning");
    text.push_str(&match snapshot {
        None => format!(
            "{}, {warnings}: this configuration does not load\n",
            counted(errors, "error")
        ),
        Some(snapshot) => format!(
            "ok: {}, {}, {}, {}; {warnings}\n",
            counted(snapshot.subscriptions.len(), "subscription"),
            counted(snapshot.products.len(), "product"),
            counted(snapshot.models.len(), "model"),
            counted(snapshot.backends.len(), "backend"),
        ),
    });
    text
}

fn json(problems: &[Problem], loads: bool) -> Result<String> {
    let problems = problems.iter().map(JsonProblem::of).collect();
    let report = JsonReport {
        ok: loads,
        problems,
    };
    Ok(format!("{}\n", serde_json::to_string_pretty(&report)?))
}

#[derive(Serialize)]
struct JsonReport<'a> {
    ok: bool,
    problems: Vec<JsonProblem<'a>>,
}

#[derive(Serialize)]
struct JsonProblem<'a> {
    severity: &'static str,
    file: &'a str,
    line: u32,
    column: u32,
    field: &'a str,
    problem: &'a str,
    fix: &'a str,
}

impl<'a> JsonProblem<'a> {
    fn of(found: &'a Problem) -> Self {
        let Problem {
            file,
            line,
            column,
            field,
            problem,
            fix,
            severity: _,
        } = found;
        let severity = if is_error(found) { "error" } else { "warning" };
        Self {
            severity,
            file,
            line: *line,
            column: *column,
            field,
            problem,
            fix,
        }
    }
}

fn is_error(problem: &Problem) -> bool {
    match problem.severity {
        Severity::Error => true,
        Severity::Warning => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(severity: Severity) -> Problem {
        Problem {
            file: "tollgate.yaml".to_owned(),
            line: 3,
            column: 5,
            field: "models[gpt-4o].pool".to_owned(),
            problem: "no pool `opneai`".to_owned(),
            fix: "write `openai`".to_owned(),
            severity,
        }
    }

    #[test]
    fn problems_stand_one_a_line_with_a_summary_below() {
        let printed = text(
            &[problem(Severity::Error), problem(Severity::Warning)],
            None,
        );
        let line = "tollgate.yaml:3:5: models[gpt-4o].pool: no pool `opneai`; write `openai`";
        assert_eq!(
            printed,
            format!(
                "{line}\n{line} (warning)\n1 error, 1 warning: this configuration does not load\n"
            )
        );
    }

    #[test]
    fn json_has_every_part_of_a_problem() {
        let printed: serde_json::Value =
            serde_json::from_str(&json(&[problem(Severity::Warning)], true).unwrap()).unwrap();
        assert_eq!(printed["ok"], true);
        let problem = &printed["problems"][0];
        assert_eq!(
            (&problem["severity"], &problem["line"]),
            (&"warning".into(), &3.into())
        );
        assert_eq!(problem["fix"], "write `openai`");
    }
}
