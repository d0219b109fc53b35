//! Budgets that are new when a configuration loads: charged with what the calls of their running period
//! cost before.
//!
//! Where a counter's key is no field of a record, or the ledger cannot be read, the budget starts at
//! zero and the log says so: a gateway that would not start for it helps nobody.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::Snapshot;
use config::snapshot::KeyedBudget;
use domain::Now;
use store::Counters;
use store::counters::Restored;
use store::ledger::backfill::{Backfill, Candidate, KeyOf, SUMS_MAX, credit, uncounted};

/// Budgets of a configuration that may be new, and where the ledger is.
#[derive(Debug)]
pub struct Candidates {
    dir: PathBuf,
    candidates: Vec<Candidate>,
}

/// What they have to be charged.
#[derive(Debug)]
pub struct Found {
    dir: PathBuf,
    backfill: Backfill,
}

impl Candidates {
    pub fn of(snapshot: &Snapshot, dir: &Path, now: Now) -> Self {
        let candidates = snapshot
            .budgets
            .iter()
            .filter_map(|budget| {
                Some(Candidate {
                    budget: budget.keyed.limit.id.clone(),
                    currency: budget.budget.currency,
                    span: budget.budget.calendar.span_at(now.wall),
                    matching: budget.matching.clone(),
                    key: key_of(budget)?,
                })
            })
            .collect();
        Self {
            dir: dir.to_owned(),
            candidates,
        }
    }

    /// Reads the ledger: on a thread that may block.
    pub fn find(self) -> Found {
        let Self { dir, candidates } = self;
        let backfill = uncounted(&dir, &candidates).unwrap_or_else(|error| {
            tracing::warn!(%error, "budgets that are new start at zero");
            Backfill::default()
        });
        for budget in &backfill.too_many {
            tracing::warn!(
                %budget,
                sums_max = SUMS_MAX,
                "too many counters to count earlier calls for: this budget starts at zero"
            );
        }
        Found { dir, backfill }
    }
}

impl Found {
    /// Once, and with the configuration in force that it was found for: the counters add it to what
    /// calls were charged since. Writes to the ledger: on a thread that may block.
    pub fn credit(self, counters: &Counters, snapshot: &Snapshot, now: Now) {
        let Self { dir, backfill } = self;
        if backfill.budgets.is_empty() {
            return;
        }
        let budgets = backfill.levels();
        for budget in &backfill.budgets {
            tracing::info!(
                budget = %budget.budget,
                spent = %budget.spent(),
                currency = %budget.currency,
                "a new budget starts with what its period has cost already"
            );
        }
        let restored = Restored {
            budgets,
            ..Restored::default()
        };
        counters.restore(&restored, &snapshot.every_limit(), now);
        if let Err(error) = credit(&dir, &backfill, now.wall) {
            tracing::warn!(%error, "new budgets forget at the next start what calls cost before they were configured");
        }
    }
}

/// `None`: records do not tell it.
fn key_of(budget: &KeyedBudget) -> Option<KeyOf> {
    let key = match budget.keyed.counter_key.source().trim() {
        "\"all\"" => KeyOf::One(Arc::from("all")),
        "subscription.id" => KeyOf::Subscription,
        "product.id" => KeyOf::Product,
        "application.name" => KeyOf::Application,
        "model.name" => KeyOf::Model,
        "caller.user" => KeyOf::User,
        other => {
            tracing::debug!(
                budget = %budget.name,
                counter_key = other,
                "records do not tell this key: if the budget is new, it starts at zero"
            );
            return None;
        }
    };
    Some(key)
}
