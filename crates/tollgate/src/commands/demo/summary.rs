//! Who used what, and what the cache saved: read from the ledger, but for what only the team itself knows.

use std::path::Path;
use std::sync::atomic::Ordering;

use anyhow::Result;
use domain::{Nanos, Wall};
use jiff::tz::TimeZone;
use store::ledger::{self, UsageBy, UsageQuery};

use super::traffic::Tally;
use crate::table::{Cell, Table, thousands};

/// Fewer columns than `tollgate usage` has, so that it fits between the lines of a story.
pub fn usage_table(data_dir: &Path, since: Wall) -> Result<String> {
    let query = UsageQuery {
        by: vec![UsageBy::Subscription, UsageBy::Backend, UsageBy::Outcome],
        only: vec![],
        since: Some(since),
        until: None,
        time_zone: TimeZone::UTC,
    };
    let names = ["  team", "backend", "outcome"];
    let amounts = ["calls", "attempts", "prompt", "completion", "tokens"];
    let table = names.into_iter().fold(Table::default(), Table::column);
    let mut table = amounts
        .into_iter()
        .fold(table, Table::number)
        .number("cost")
        .number("saved");
    for row in ledger::usage(data_dir, &query)? {
        let mut cells: Vec<Cell> = row.by.iter().map(|name| Cell::text(name)).collect();
        if let Some(Cell::Text(team)) = cells.first_mut() {
            team.insert_str(0, "  ");
        }
        let numbers = [
            row.calls,
            row.attempts,
            row.prompt_tokens,
            row.completion_tokens,
            row.total_tokens,
        ];
        cells.extend(numbers.map(Cell::Number));
        for money in [row.cost, row.saved] {
            let shown = row.currency.filter(|_| money != Nanos::ZERO);
            cells.push(Cell::Text(shown.map_or(String::new(), |currency| {
                format!("{} {currency}", money.fixed(4))
            })));
        }
        table.row(cells);
    }
    Ok(table.aligned())
}

/// How many of the faq team's questions the cache answered, and what that kept off its bill.
pub fn cache_sentence(data_dir: &Path, since: Wall, tally: &Tally) -> Result<String> {
    let query = UsageQuery {
        by: vec![],
        only: vec![(UsageBy::Subscription, "faq".to_owned())],
        since: Some(since),
        until: None,
        time_zone: TimeZone::UTC,
    };
    let mut saved = String::new();
    for row in ledger::usage(data_dir, &query)? {
        if let Some(currency) = row.currency {
            saved = format!(", {} {currency} saved", row.saved.fixed(4));
        }
    }
    let [answered, same, alike] =
        [&tally.answered, &tally.same, &tally.alike].map(|count| count.load(Ordering::Relaxed));
    Ok(format!(
        "  faq: {} questions, {}% answered from the cache ({} asked before, {} before in other words){saved}\n",
        thousands(answered),
        (same + alike) * 100 / answered.max(1),
        thousands(same),
        thousands(alike),
    ))
}
