//! The ledger's database: SQLite, written by one thread, in batches that say how far they got.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use domain::record::{CallRecord, Charge, ChargeUnit};
use domain::{CallId, Currency, LimitId, Nanos, Now, PriceId, Wall};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};

use super::LedgerError;
use super::migrations::{self, MigrationError, migrate};
use super::segment::Position;
use super::sums::Sums;
use super::{codec, rows};
use crate::counters::{BudgetLevel, Restored};
use crate::directory::open_private;

const FILE: &str = "ledger.sqlite";

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

#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
    path: PathBuf,
}

impl Database {
    pub(super) fn open(dir: &Path) -> Result<Self, LedgerError> {
        let path = dir.join(FILE);
        let context = |error: &dyn std::fmt::Display| {
            LedgerError(format!(
                "cannot open the ledger {}: {error}",
                path.display()
            ))
        };
        open_private(&path).map_err(|error| context(&error))?;
        let mut connection = Connection::open(&path).map_err(|error| context(&error))?;
        set_up(&mut connection).map_err(|error| context(&error))?;
        Ok(Self { connection, path })
    }

    /// One transaction. Calls that are there already are left alone, and add to no sum; so are
    /// prices.
    pub(super) fn apply<'a>(
        &mut self,
        records: impl Iterator<Item = &'a CallRecord>,
        prices: &[(PriceId, String)],
        position: Option<Position>,
    ) -> rusqlite::Result<()> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut sums = Sums::default();
        for record in records {
            if rows::insert(&transaction, record)? {
                sums.add(record);
            }
        }
        add_sums(&transaction, &sums, false)?;
        add_prices(&transaction, prices)?;
        if let Some(position) = position {
            set_applied(&transaction, position)?;
        }
        transaction.commit()
    }

    /// Calls of which only the sums are known.
    pub(super) fn apply_folded(&mut self, sums: &Sums) -> rusqlite::Result<()> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        add_sums(&transaction, sums, true)?;
        transaction.commit()
    }

    pub(super) fn applied(&self) -> rusqlite::Result<Position> {
        self.connection
            .query_row("SELECT segment, offset FROM applied", [], |row| {
                Ok(Position {
                    segment: row.get::<_, i64>(0)?.cast_unsigned(),
                    offset: row.get::<_, i64>(1)?.cast_unsigned(),
                })
            })
    }

    /// Brings everything committed so far to the platter. Before this, a power loss could undo the
    /// last commits, and the journal must still have what they held.
    pub(super) fn make_durable(&mut self) -> rusqlite::Result<()> {
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        let committed = self
            .connection
            .execute("UPDATE applied SET offset = offset", []);
        self.connection
            .pragma_update(None, "synchronous", "NORMAL")?;
        committed.map(|_| ())
    }

    pub(super) fn has_call(&self, id: CallId) -> rusqlite::Result<bool> {
        rows::has(&self.connection, id)
    }

    /// What counters continue from.
    pub(super) fn restored(&self, now: Now) -> rusqlite::Result<Restored> {
        Ok(Restored {
            recent: self.recent_charges(now.wall)?,
            quotas: self.quota_levels(now.wall)?,
            budgets: self.budget_levels(now.wall)?,
        })
    }

    fn recent_charges(&self, now: Wall) -> rusqlite::Result<Vec<(Charge, Wall, u64)>> {
        let since = now.0.saturating_sub(RECENT.as_millis() as i64);
        let mut select = self
            .connection
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
    fn quota_levels(&self, now: Wall) -> rusqlite::Result<Vec<QuotaLevel>> {
        let mut select = self.connection.prepare(
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
    fn budget_levels(&self, now: Wall) -> rusqlite::Result<Vec<BudgetLevel>> {
        let mut select = self.connection.prepare(
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
    pub(super) fn prune_levels(&self, now: Wall) -> rusqlite::Result<()> {
        let over = [
            now.0.saturating_sub(LEVEL_AGE_MS),
            now.0.saturating_sub(SUPERSEDED_AGE_MS),
        ];
        self.connection.execute(
            "DELETE FROM quota_levels AS old WHERE updated_at < ?1 OR updated_at < ?2 AND EXISTS (
                SELECT 1 FROM quota_levels AS new
                WHERE new.quota = old.quota AND new.key = old.key AND new.updated_at > old.updated_at
            )",
            over,
        )?;
        self.connection.execute(
            "DELETE FROM budget_levels AS old WHERE updated_at < ?1 OR updated_at < ?2 AND EXISTS (
                SELECT 1 FROM budget_levels AS new
                WHERE new.budget = old.budget AND new.key = old.key AND new.currency = old.currency
                    AND new.updated_at > old.updated_at
            )",
            over,
        )?;
        Ok(())
    }

    pub(super) fn describe(&self, error: &rusqlite::Error) -> String {
        format!(
            "cannot write to the ledger {}: {error}",
            self.path.display()
        )
    }
}

/// For queries, beside a running gateway or without one.
pub(super) fn open_to_read(dir: &Path) -> Result<Connection, LedgerError> {
    let path = dir.join(FILE);
    if !path.exists() {
        return Err(LedgerError(format!(
            "there is no ledger in {}: no gateway has run with this data directory",
            dir.display()
        )));
    }
    let context = |error: &dyn std::fmt::Display| {
        LedgerError(format!(
            "cannot read the ledger {}: {error}",
            path.display()
        ))
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags).map_err(|error| context(&error))?;
    connection
        .busy_timeout(Duration::from_secs(5))
        .map_err(|error| context(&error))?;
    let found = migrations::version(&connection).map_err(|error| context(&error))?;
    if found == migrations::VERSION {
        return Ok(connection);
    }
    if found > migrations::VERSION {
        return Err(context(&MigrationError::Newer { found }));
    }
    Err(context(
        &"an older version wrote it; start this version's gateway once to bring it up to date",
    ))
}

fn set_up(connection: &mut Connection) -> Result<(), MigrationError> {
    // Short: the writer comes back to its other duties and tries again.
    connection.busy_timeout(Duration::from_secs(1))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.set_prepared_statement_cache_capacity(32);
    migrate(connection)
}

fn set_applied(transaction: &Transaction<'_>, position: Position) -> rusqlite::Result<()> {
    let mut update = transaction.prepare_cached("UPDATE applied SET segment = ?, offset = ?")?;
    update.execute([
        position.segment.cast_signed(),
        position.offset.cast_signed(),
    ])?;
    Ok(())
}

fn add_sums(transaction: &Transaction<'_>, sums: &Sums, folded: bool) -> rusqlite::Result<()> {
    let mut upsert = transaction.prepare_cached(
        "INSERT INTO usage_hourly VALUES (
            ?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?
        ) ON CONFLICT DO UPDATE SET
            calls = calls + excluded.calls,
            attempts = attempts + excluded.attempts,
            prompt_tokens = prompt_tokens + excluded.prompt_tokens,
            completion_tokens = completion_tokens + excluded.completion_tokens,
            cached_prompt_tokens = cached_prompt_tokens + excluded.cached_prompt_tokens,
            cache_write_tokens = cache_write_tokens + excluded.cache_write_tokens,
            reasoning_tokens = reasoning_tokens + excluded.reasoning_tokens,
            audio_prompt_tokens = audio_prompt_tokens + excluded.audio_prompt_tokens,
            audio_completion_tokens = audio_completion_tokens + excluded.audio_completion_tokens,
            images = images + excluded.images,
            total_tokens = total_tokens + excluded.total_tokens,
            estimated_tokens = estimated_tokens + excluded.estimated_tokens,
            unpriced_calls = unpriced_calls + excluded.unpriced_calls,
            unpriced_tokens = unpriced_tokens + excluded.unpriced_tokens,
            cost = cost + excluded.cost,
            estimated_cost = estimated_cost + excluded.estimated_cost,
            saved = saved + excluded.saved",
    )?;
    for (key, sums) in &sums.usage {
        upsert.execute(params![
            key.hour.0,
            key.subscription.as_str(),
            key.product.as_str(),
            key.application.as_ref().map_or("", |name| name.as_str()),
            key.model.as_str(),
            key.backend.as_ref().map_or("", |backend| backend.as_str()),
            key.outcome.as_str(),
            key.cache.as_str(),
            key.currency.as_ref().map_or("", Currency::as_str),
            key.price.as_ref().map_or("", PriceId::as_str),
            folded,
            sums.calls.cast_signed(),
            sums.attempts.cast_signed(),
            sums.prompt.cast_signed(),
            sums.completion.cast_signed(),
            sums.cached_prompt.cast_signed(),
            sums.cache_write.cast_signed(),
            sums.reasoning.cast_signed(),
            sums.audio_prompt.cast_signed(),
            sums.audio_completion.cast_signed(),
            sums.images.cast_signed(),
            sums.total.cast_signed(),
            sums.estimated.cast_signed(),
            sums.unpriced_calls.cast_signed(),
            sums.unpriced.cast_signed(),
            sums.cost.0,
            sums.estimated_cost.0,
            sums.saved.0,
        ])?;
    }
    let mut charge = transaction.prepare_cached(
        "INSERT INTO quota_levels VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE SET
            tokens = tokens + excluded.tokens,
            updated_at = max(updated_at, excluded.updated_at)",
    )?;
    for (key, sum) in &sums.quotas {
        charge.execute(params![
            key.limit.as_str(),
            &*key.key,
            key.period_start.0,
            sum.tokens.cast_signed(),
            sum.updated_at.0
        ])?;
    }
    add_budgets(transaction, sums)
}

fn add_budgets(transaction: &Transaction<'_>, sums: &Sums) -> rusqlite::Result<()> {
    let mut level = transaction.prepare_cached(
        "INSERT INTO budget_levels VALUES (?,?,?,?,?,?) ON CONFLICT DO UPDATE SET
            nanos = nanos + excluded.nanos,
            updated_at = max(updated_at, excluded.updated_at)",
    )?;
    let mut hour = transaction.prepare_cached(
        "INSERT INTO budget_hourly VALUES (?,?,?,?,?,?) ON CONFLICT DO UPDATE SET
            nanos = nanos + excluded.nanos",
    )?;
    for (key, sum) in &sums.budgets {
        let (budget, currency) = (key.limit.as_str(), key.currency.as_str());
        level.execute(params![
            budget,
            &*key.key,
            key.period_start.0,
            currency,
            sum.spent.0,
            sum.updated_at.0
        ])?;
        hour.execute(params![
            budget,
            &*key.key,
            key.period_start.0,
            key.hour.0,
            currency,
            sum.spent.0
        ])?;
    }
    Ok(())
}

fn add_prices(transaction: &Transaction<'_>, prices: &[(PriceId, String)]) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached("INSERT OR IGNORE INTO prices VALUES (?,?)")?;
    for (id, text) in prices {
        insert.execute([id.as_str(), text])?;
    }
    Ok(())
}
