//! What counters continue from after a start: the last minute's charges, and what quotas and budgets
//! were charged in their current periods.

use std::sync::Arc;
use std::time::Duration;

use domain::record::{Charge, ChargeUnit};
use domain::{LimitId, Nanos, Now, Wall};
use rusqlite::Connection;

use super::{codec, rows};
use crate::counters::{BudgetLevel, Restored};

/// What a token window may still hold, and a second for clocks that disagree a little.
const RECENT: Duration = Duration::from_secs(61);
/// Restored charges are this exact in time, which bounds their number.
const RECENT_SLICE_MS: i64 = 100;

/// Past this a quota's or budget's period is over, whichever it is.
const LEVEL_AGE_MS: i64 = 400 * 86_400_000;
/// A level that a later period has followed is kept this long, for calls that still settle on it.
const SUPERSEDED_AGE_MS: i64 = 2 * 86_400_000;

/// As in `Restored::quotas`.
type QuotaLevel = (LimitId, Arc<str>, Wall, u64);

pub(super) fn restored(connection: &Connection, now: Now) -> rusqlite::Result<Restored> {
    Ok(Restored {
        recent: recent_charges(connection, now.wall)?,
        quotas: quota_levels(connection, now.wall)?,
        budgets: budget_levels(connection, now.wall)?,
    })
}

fn recent_charges(
    connection: &Connection,
    now: Wall,
) -> rusqlite::Result<Vec<(Charge, Wall, u64)>> {
    let since = now.0.saturating_sub(RECENT.as_millis() as i64);
    let mut select = connection
        .prepare("SELECT at / ?2, charges, max(at), sum(prompt_tokens + completion_tokens), count(*) FROM calls WHERE at > ?1 GROUP BY at / ?2, charges")?;
    let mut rows = select.query([since, RECENT_SLICE_MS])?;
    let mut recent = Vec::new();
    while let Some(row) = rows.next()? {
        let at = Wall(row.get(2)?);
        let tokens: i64 = row.get(3)?;
        let calls: i64 = row.get(4)?;
        let Ok(charges) = codec::charges(row.get_ref(1)?.as_blob()?) else {
            tracing::warn!("a call's charges cannot be read; counters start without them");
            continue;
        };
        for charge in charges {
            let amount = match charge.unit {
                ChargeUnit::TokensPerMinute => tokens,
                ChargeUnit::RequestsPerMinute => calls,
                ChargeUnit::Quota { .. } | ChargeUnit::Budget { .. } => continue,
            };
            if amount > 0 {
                recent.push((charge, at, amount.cast_unsigned()));
            }
        }
    }
    Ok(recent)
}

/// The period that was charged last, for each quota and key: a quota whose period was
/// reconfigured has levels of both kinds.
fn quota_levels(connection: &Connection, now: Wall) -> rusqlite::Result<Vec<QuotaLevel>> {
    let mut select = connection.prepare(
        "SELECT quota, key, period_start, tokens, max(updated_at) FROM quota_levels
         WHERE period_start > ? GROUP BY quota, key",
    )?;
    let rows = select.query_map([now.0.saturating_sub(LEVEL_AGE_MS)], |row| {
        let quota: String = row.get(0)?;
        let key: String = row.get(1)?;
        let tokens: i64 = row.get(3)?;
        Ok((
            LimitId::from(quota.as_str()),
            key.into(),
            Wall(row.get(2)?),
            tokens.cast_unsigned(),
        ))
    })?;
    rows.collect()
}

/// As `quota_levels`, and for each currency: a budget's currency may have been reconfigured too.
fn budget_levels(connection: &Connection, now: Wall) -> rusqlite::Result<Vec<BudgetLevel>> {
    let mut select = connection.prepare(
        "SELECT budget, key, currency, period_start, nanos, max(updated_at) FROM budget_levels
         WHERE period_start > ? GROUP BY budget, key, currency",
    )?;
    let rows = select.query_map([now.0.saturating_sub(LEVEL_AGE_MS)], |row| {
        let budget: String = row.get(0)?;
        let key: String = row.get(1)?;
        let currency: String = row.get(2)?;
        Ok(BudgetLevel {
            budget: LimitId::from(budget.as_str()),
            key: key.into(),
            period_start: Wall(row.get(3)?),
            currency: rows::currency(&currency)?,
            spent: Nanos(row.get(4)?),
        })
    })?;
    rows.collect()
}

/// Levels of periods that are over.
pub(super) fn prune(connection: &Connection, now: Wall) -> rusqlite::Result<()> {
    let over = [
        now.0.saturating_sub(LEVEL_AGE_MS),
        now.0.saturating_sub(SUPERSEDED_AGE_MS),
    ];
    connection.execute(
        "DELETE FROM quota_levels AS old WHERE updated_at < ?1 OR updated_at < ?2 AND EXISTS (
            SELECT 1 FROM quota_levels AS new
            WHERE new.quota = old.quota AND new.key = old.key AND new.updated_at > old.updated_at
        )",
        over,
    )?;
    connection.execute(
        "DELETE FROM budget_levels AS old WHERE updated_at < ?1 OR updated_at < ?2 AND EXISTS (
            SELECT 1 FROM budget_levels AS new
            WHERE new.budget = old.budget AND new.key = old.key AND new.currency = old.currency
                AND new.updated_at > old.updated_at
        )",
        over,
    )?;
    Ok(())
}
