//! `audit search`, `show` and `export`.

use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use audit::{Found, Hit, Query, State};
use clap::Args;
use domain::CallId;
use domain::access::Reach;
use domain::record::CacheOutcome;
use gateway::audit::desk::{DeskError, Seen, content_state, shows_verdicts};
use serde_json::{Value, json};

use super::query::{Filters, call_id};
use super::{At, shown};
use crate::print;
use crate::table::{Cell, Format, Table};

#[derive(Debug, Args)]
pub(super) struct Search {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    filters: Filters,
    /// How many, newest first; at most 1000
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1000))]
    limit: u64,
    /// Go on behind a page that said so
    #[arg(long, value_name = "NUMBER")]
    before: Option<u64>,
    /// Prompts and answers too: record by record instead of a table
    #[arg(long)]
    content: bool,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    at: At,
    /// As `x-request-id` of the answer, and as `search` lists it
    #[arg(value_name = "CALL", value_parser = call_id)]
    call: CallId,
    /// Without prompt and answer, as for those who may not read them
    #[arg(long)]
    metadata: bool,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    filters: Filters,
    /// Prompts and answers too
    #[arg(long)]
    content: bool,
    /// A new file, which only its owner can read
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

impl Search {
    pub(super) fn run(self) -> Result<ExitCode> {
        let mut opened = self.at.open()?;
        let query = Query {
            limit: usize::try_from(self.limit).unwrap_or(usize::MAX),
            before: self.before,
            with_content: self.content,
            ..self.filters.query(&opened)?
        };
        let Seen { page, verdicts } = opened.desk.search(&query)?;
        let text = match self.format {
            Format::Table if self.content => pages_of(&page.found, verdicts.as_ref()),
            Format::Table => table(&page.found, verdicts.as_ref(), false).aligned(),
            Format::Csv => table(&page.found, verdicts.as_ref(), self.content).csv(),
            Format::Json => {
                let rows: Vec<Value> = page
                    .found
                    .iter()
                    .map(|found| object(found, verdicts.as_ref()))
                    .collect();
                format!("{}\n", serde_json::to_string_pretty(&rows)?)
            }
        };
        print::out(&text)?;
        if let Some(next) = page.next {
            print::error(&format!("there may be more: --before {next}\n"));
        }
        out_of_reach(&query, opened.desk.reaches(&query));
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    pub(super) fn run(self) -> Result<ExitCode> {
        let mut opened = self.at.open()?;
        let Seen { page, verdicts } = opened.desk.show(self.call, !self.metadata)?;
        let Some(found) = page.found.first() else {
            return Ok(ExitCode::FAILURE);
        };
        let text = match self.format {
            Format::Json => {
                format!(
                    "{}\n",
                    serde_json::to_string_pretty(&object(found, verdicts.as_ref()))?
                )
            }
            Format::Csv => table(&page.found, verdicts.as_ref(), !self.metadata).csv(),
            Format::Table => page_of(found, verdicts.as_ref()),
        };
        print::out(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Export {
    pub(super) fn run(self) -> Result<ExitCode> {
        let mut opened = self.at.open()?;
        let query = Query {
            with_content: self.content,
            ..self.filters.query(&opened)?
        };
        let path = self.output.display().to_string();
        let cannot_make =
            |why: &dyn std::fmt::Display| format!("--output: cannot make `{path}`: {why}");
        if self.output.exists() {
            // Before it becomes an entry of the log.
            bail!(cannot_make(&"it exists"));
        }
        // Made once the export is permitted: a refusal leaves none.
        let mut file = None;
        let exported = opened.desk.export(&query, |found, verdicts| {
            let file = match &mut file {
                Some(file) => file,
                none => {
                    let mut options = disk::private::options();
                    let made = options.write(true).create_new(true).open(&self.output);
                    let made = made.map_err(|error| DeskError::NotFound(cannot_make(&error)))?;
                    none.insert(BufWriter::new(made))
                }
            };
            let written = found.iter().try_for_each(|found| {
                serde_json::to_writer(&mut *file, &object(found, verdicts))?;
                file.write_all(b"\n")
            });
            written.map_err(|error| DeskError::NotFound(format!("cannot write `{path}`: {error}")))
        })?;
        if let Some(mut file) = file {
            file.flush()
                .with_context(|| format!("cannot write `{path}`"))?;
        }
        out_of_reach(&query, opened.desk.reaches(&query));
        print::out(&format!("{exported} records are in {path}\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// An empty answer for want of a role is not to be taken for one for want of records.
fn out_of_reach(query: &Query, reaches: bool) {
    if let (Some(id), false) = (&query.subscription, reaches) {
        let id = print::harmless(id.as_str());
        print::error(&format!(
            "none of your roles reaches subscription {id}: whether it has records is not said\n"
        ));
    }
}

/// `with_said`: with who said what, where it is open.
fn table(found: &[Found], verdicts: Option<&Reach>, with_said: bool) -> Table {
    let mut table = Table::default()
        .column("time")
        .column("call")
        .column("subscription")
        .column("application")
        .column("model")
        .column("outcome")
        .number("status")
        .column("cache")
        .number("prompt_tokens")
        .number("completion_tokens")
        .column("cost")
        .column("rule")
        .column("verdicts")
        .column("content");
    if with_said {
        for name in ["user", "caller", "prompt", "answer"] {
            table = table.column(name);
        }
    }
    for found in found {
        let skeleton = &found.skeleton;
        let is_seen = shows_verdicts(found, verdicts);
        let seen = |text: &str| {
            if is_seen {
                text.to_owned()
            } else {
                String::new()
            }
        };
        let mut row = vec![
            Cell::Text(shown(skeleton.at)),
            Cell::Text(skeleton.call.to_string()),
            Cell::Text(skeleton.subscription.to_string()),
            Cell::Text(
                skeleton
                    .application
                    .as_deref()
                    .unwrap_or_default()
                    .to_owned(),
            ),
            Cell::Text(skeleton.model.to_string()),
            Cell::Text(skeleton.outcome.as_str().to_owned()),
            Cell::Number(u64::from(skeleton.status)),
            Cell::Text(
                skeleton
                    .hit
                    .map_or_else(String::new, |_| CacheOutcome::Hit.as_str().to_owned()),
            ),
            Cell::Number(skeleton.prompt_tokens),
            Cell::Number(skeleton.completion_tokens),
            Cell::Text(skeleton.cost.to_string()),
            Cell::Text(seen(skeleton.rule.as_deref().unwrap_or_default())),
            Cell::Text(seen(&skeleton.verdicts)),
            Cell::Text(content_state(found)),
        ];
        if with_said {
            row.extend(said(found).map(Cell::Text));
        }
        table.row(row);
    }
    table
}

/// Who asked, by which credential, what, and the answer. Empty where it is not open.
fn said(found: &Found) -> [String; 4] {
    let State::Here(content) = &found.content else {
        return Default::default();
    };
    let text = |bytes: &Option<Vec<u8>>| bytes.as_deref().map(lossy).unwrap_or_default();
    [
        content.user.as_deref().unwrap_or_default().to_owned(),
        content.caller.to_string(),
        text(&content.prompt),
        text(&content.answer),
    ]
}

fn object(found: &Found, verdicts: Option<&Reach>) -> Value {
    let skeleton = &found.skeleton;
    let mut object = json!({
        "number": found.sequence,
        "call": skeleton.call.to_string(),
        "time": shown(skeleton.at),
        "recorded_at": shown(skeleton.recorded_at),
        "subscription": skeleton.subscription.as_str(),
        "product": &*skeleton.product,
        "application": skeleton.application.as_deref(),
        "model": &*skeleton.model,
        "backend": skeleton.backend.as_deref(),
        "outcome": skeleton.outcome.as_str(),
        "status": skeleton.status,
        "cache": skeleton.hit.map(|_| CacheOutcome::Hit.as_str()),
        "hit": skeleton.hit.map(Hit::as_str),
        "prompt_tokens": skeleton.prompt_tokens,
        "completion_tokens": skeleton.completion_tokens,
        "cost": &*skeleton.cost,
        "retention_days": skeleton.retention_days,
        "required": skeleton.required,
        "prompt_bytes": skeleton.prompt_bytes,
        "answer_bytes": skeleton.answer_bytes,
        "prompt_cut": skeleton.prompt_cut,
        "answer_cut": skeleton.answer_cut,
        "content": content_state(found),
    });
    if shows_verdicts(found, verdicts) {
        object["rule"] = json!(skeleton.rule.as_deref());
        object["verdicts"] = json!(&*skeleton.verdicts);
    }
    if let State::Here(content) = &found.content {
        let text = |bytes: &Option<Vec<u8>>| bytes.as_deref().map(lossy);
        object["user"] = json!(content.user.as_deref());
        object["caller"] = json!(&*content.caller);
        object["prompt"] = json!(text(&content.prompt));
        object["answer"] = json!(text(&content.answer));
    }
    object
}

/// What a table has no room for.
fn pages_of(found: &[Found], verdicts: Option<&Reach>) -> String {
    let pages: Vec<String> = found.iter().map(|found| page_of(found, verdicts)).collect();
    pages.join("\n---\n\n")
}

/// One record for people: a line for each field, then what was said.
fn page_of(found: &Found, verdicts: Option<&Reach>) -> String {
    let mut page = String::new();
    let object = object(found, verdicts);
    for (name, value) in object.as_object().into_iter().flatten() {
        if matches!(name.as_str(), "prompt" | "answer") || value.is_null() {
            continue;
        }
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), ToOwned::to_owned);
        page.push_str(&format!("{name:<18} {}\n", print::harmless(&value)));
    }
    if let State::Here(content) = &found.content {
        for (name, said) in [("prompt", &content.prompt), ("answer", &content.answer)] {
            if let Some(said) = said {
                let said = print::harmless_lines(&lossy(said));
                page.push_str(&format!("\n{name}:\n{}\n", said.trim_end()));
            }
        }
    }
    page
}

fn lossy(bytes: impl AsRef<[u8]>) -> String {
    String::from_utf8_lossy(bytes.as_ref()).into_owned()
}
