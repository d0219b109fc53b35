//! `cache inspect`: which entries there are.

use std::process::ExitCode;

use anyhow::Result;
use cache::{Entry, Listed};
use clap::Args;
use domain::Wall;
use serde_json::{Value, json};

use super::entries::{Format, Which};
use crate::commands::audit::{At, shown};
use crate::print;
use crate::table::{Cell, Table};

/// In the place of a question that can be found by its hash only.
const NO_TEXT: &str = "(kept by `exact`, without its text)";

#[derive(Debug, Args)]
pub(super) struct Inspect {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    which: Which,
    /// Show the questions: for auditors, with a reason
    #[arg(long)]
    texts: bool,
    /// At most so many: the nearest with --like, else the newest
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    limit: usize,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// One line.
struct Row {
    entry: Entry,
    similarity: Option<f32>,
}

impl Inspect {
    pub(super) fn run(self) -> Result<ExitCode> {
        let cache = self.at.cache()?;
        let mut opened = self.at.open()?;
        let chosen = self.which.choose(&opened.snapshot, opened.now)?;
        let about = format!("inspect {}", self.which.told());
        // Whether something like a text is there tells of content, shown or not.
        let looks_into_content = self.texts || self.which.is_by_text();
        let (sealer, reach) = opened.desk.look_into_cache(looks_into_content, &about)?;
        let (mut rows, mut found, mut unreadable) = (Vec::new(), 0u64, 0u64);
        let limit = self.limit.min(10_000);
        cache.each(&sealer, |listed| {
            let one = match listed {
                Listed::Readable(one) => *one,
                Listed::Unreadable(_) => {
                    unreadable += 1;
                    return Ok(());
                }
            };
            let (entry, vector) = one;
            if !reach.holds(&entry.owner.subscription) || !chosen.holds(&entry, vector.as_ref()) {
                return Ok(());
            }
            found += 1;
            let similarity = chosen.similarity(&entry, vector.as_ref());
            rows.push(Row { entry, similarity });
            if self.which.is_by_text() {
                rows.sort_by(|one, other| {
                    let of = |row: &Row| row.similarity.unwrap_or(0.0);
                    of(other).total_cmp(&of(one))
                });
            }
            rows.truncate(limit);
            Ok(())
        })?;
        let text = match self.format {
            Format::Json => {
                let entries: Vec<Value> = rows.iter().map(|row| self.object(row)).collect();
                let told = json!({ "entries": entries, "found": found, "unreadable": unreadable });
                format!("{}\n", serde_json::to_string_pretty(&told)?)
            }
            Format::Table => {
                let shown = rows.len();
                let table = self.table(&rows, opened.now).aligned();
                format!("{table}{shown} of {found} entries; {unreadable} unreadable\n")
            }
        };
        print::out(&text)?;
        if found == 0 {
            self.which.hint(&opened.snapshot);
        }
        Ok(ExitCode::SUCCESS)
    }

    fn object(&self, row: &Row) -> Value {
        let entry = &row.entry;
        let mut object = json!({
            "id": id(entry),
            "subscription": entry.owner.subscription.as_str(),
            "model": entry.model.as_str(),
            "stored_at": shown(entry.stored_at),
            "expires_at": shown(entry.expires_at),
            "answer_bytes": entry.answer_bytes,
            "prompt_tokens": entry.usage.prompt,
            "completion_tokens": entry.usage.completion,
            "semantic": entry.text().is_some(),
        });
        if let Some(similarity) = row.similarity {
            object["similarity"] = json!(similarity);
        }
        if self.texts {
            object["question"] = json!(entry.text());
        }
        object
    }

    fn table(&self, rows: &[Row], now: Wall) -> Table {
        let mut table = Table::default()
            .column("id")
            .column("subscription")
            .column("model")
            .number("age_s")
            .number("left_s")
            .number("bytes")
            .number("tokens");
        if self.which.is_by_text() {
            table = table.number("similarity");
        }
        if self.texts {
            table = table.column("question");
        }
        for Row { entry, similarity } in rows {
            let mut cells = vec![
                Cell::text(&id(entry)),
                Cell::text(entry.owner.subscription.as_str()),
                Cell::text(entry.model.as_str()),
                Cell::Number(now.since(entry.stored_at).as_secs()),
                Cell::Number(entry.expires_at.since(now).as_secs()),
                Cell::Number(entry.answer_bytes as u64),
                Cell::Number(entry.usage.total()),
            ];
            if self.which.is_by_text() {
                cells.push(Cell::Decimal(
                    similarity.map_or_else(String::new, |of| format!("{of:.3}")),
                ));
            }
            if self.texts {
                cells.push(Cell::text(entry.text().map_or(NO_TEXT, |text| text)));
            }
            table.row(cells);
        }
        table
    }
}

/// Nothing of its key: who guesses a question could find it by that.
fn id(entry: &Entry) -> String {
    format!("{:016x}", entry.id.0)
}
