//! What calls that are on the ledger already cost a budget that is new: configured while its period
//! runs.
//!
//! Only what records say can be matched: subscription, product, application, model and user.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use domain::budget::CallMatch;
use domain::quota::Span;
use domain::record::ChargeUnit;
use domain::{
    ApplicationName, Currency, LimitId, ModelName, Nanos, ProductId, SubscriptionId, Wall,
};
use rusqlite::{Connection, Row, TransactionBehavior, params};

use super::database::{Database, exists};
use super::query::{open_to_query, unreadable};
use super::rows::currency;
use super::sums::{HOUR_MS, hour_of};
use super::{LedgerError, codec, totals};
use crate::counters::RestoredBudget;

/// A budget for each of many users has a sum for each of them and each hour. Past this, none of that
/// budget is counted, which is better than some of it.
pub const SUMS_MAX: usize = 1_000_000;

/// A budget that counts from now on, and its running period.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub budget: LimitId,
    pub currency: Currency,
    pub span: Span,
    pub matching: CallMatch,
    pub key: KeyOf,
}

/// Counter keys that a record tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyOf {
    /// One counter for all.
    One(Arc<str>),
    Subscription,
    Product,
    Application,
    Model,
    User,
}

/// What new budgets have to be charged, by the hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backfill {
    pub budgets: Vec<Counted>,
    /// Budgets with more sums than there may be.
    pub too_many: Vec<LimitId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    pub budget: LimitId,
    pub currency: Currency,
    pub period_start: Wall,
    hours: BTreeMap<(Arc<str>, Wall), Nanos>,
}

/// Of those candidates that nothing was charged to in their period: what calls of it cost that they
/// match. Reads only.
pub fn uncounted(dir: &Path, candidates: &[Candidate]) -> Result<Backfill, LedgerError> {
    if candidates.is_empty() || !exists(dir) {
        return Ok(Backfill::default());
    }
    let connection = open_to_query(dir)?;
    let read = || {
        // One view of the database, though calls are being added.
        let transaction = connection.unchecked_transaction()?;
        let unsummed = charged_unsummed(&transaction)?;
        let mut found = Backfill::default();
        for candidate in candidates {
            if was_charged(&transaction, candidate)? || unsummed.contains(&charged_as(candidate)) {
                continue;
            }
            match counted(&transaction, candidate, SUMS_MAX)? {
                Some(counted) if counted.hours.is_empty() => {}
                Some(counted) => found.budgets.push(counted),
                None => found.too_many.push(candidate.budget.clone()),
            }
        }
        Ok(found)
    };
    read().map_err(|error| unreadable(dir, &error))
}

/// Adds it to what the ledger has of these budgets, all or nothing: it is there after a restart, and
/// forecasts know of it. Once for each `uncounted`.
pub fn credit(dir: &Path, found: &Backfill, now: Wall) -> Result<(), LedgerError> {
    if found.budgets.is_empty() {
        return Ok(());
    }
    let mut database = Database::open(dir)?;
    let write = |connection: &mut Connection| {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut level = transaction.prepare(totals::ADD_TO_BUDGET_LEVEL)?;
            let mut hourly = transaction.prepare(totals::ADD_TO_BUDGET_HOUR)?;
            for counted in &found.budgets {
                let (budget, currency) = (counted.budget.as_str(), counted.currency.as_str());
                let start = counted.period_start.0;
                for (key, spent) in counted.levels() {
                    level.execute(params![budget, &*key, start, currency, spent.0, now.0])?;
                }
                for ((key, hour), spent) in &counted.hours {
                    hourly.execute(params![budget, &**key, start, hour.0, currency, spent.0])?;
                }
            }
        }
        transaction.commit()
    };
    write(database.connection()).map_err(|error| unreadable(dir, &error))
}

impl Backfill {
    /// For the counters.
    pub fn levels(&self) -> Vec<RestoredBudget> {
        let of_budget = |counted: &Counted| {
            let levels = counted.levels().into_iter();
            let levels = levels.map(|(key, spent)| RestoredBudget {
                budget: counted.budget.clone(),
                key,
                period_start: counted.period_start,
                currency: counted.currency,
                spent,
            });
            levels.collect::<Vec<_>>()
        };
        self.budgets.iter().flat_map(of_budget).collect()
    }
}

impl Counted {
    /// Of all keys.
    pub fn spent(&self) -> Nanos {
        self.hours.values().copied().sum()
    }

    fn levels(&self) -> BTreeMap<Arc<str>, Nanos> {
        let mut levels = BTreeMap::new();
        for ((key, _), spent) in &self.hours {
            *levels.entry(key.clone()).or_default() += *spent;
        }
        levels
    }
}

fn was_charged(connection: &Connection, candidate: &Candidate) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT 1 FROM budget_levels WHERE budget = ? AND currency = ? AND period_start = ?",
        )?
        .exists(params![
            candidate.budget.as_str(),
            candidate.currency.as_str(),
            candidate.span.start.0
        ])
}

/// A budget's charges of one period.
type Charged = (LimitId, Wall, Currency);

fn charged_as(candidate: &Candidate) -> Charged {
    let Candidate {
        budget,
        currency,
        span,
        ..
    } = candidate;
    (budget.clone(), span.start, *currency)
}

/// What calls were charged to that levels do not know of yet.
fn charged_unsummed(connection: &Connection) -> rusqlite::Result<HashSet<Charged>> {
    let mut select = connection.prepare(
        "SELECT currency, charges FROM calls
         WHERE rowid > (SELECT row FROM summed) AND currency IS NOT NULL",
    )?;
    let mut rows = select.query([])?;
    let mut charged = HashSet::new();
    while let Some(row) = rows.next()? {
        let currency = currency(row.get_ref(0)?.as_str()?)?;
        for charge in codec::charges(row.get_ref(1)?.as_blob()?).unwrap_or_default() {
            if let ChargeUnit::Budget { period_start } = charge.unit {
                charged.insert((charge.limit, period_start, currency));
            }
        }
    }
    Ok(charged)
}

const OF_CALLS: &str = "
    SELECT at / 3600000, subscription, product, ifnull(application, ''), model, ifnull(user, ''), sum(cost)
    FROM calls WHERE at >= ?1 AND at < ?2 AND currency = ?3 GROUP BY 1, 2, 3, 4, 5, 6";

/// Calls without detail among them. They know no user.
const OF_HOURS: &str = "
    SELECT hour / 3600000, subscription, product, application, model, '', sum(cost)
    FROM usage_hourly WHERE hour >= ?1 AND hour < ?2 AND currency = ?3 GROUP BY 1, 2, 3, 4, 5";

/// Calls that sums of hours do not know of yet.
const OF_UNSUMMED: &str = "
    SELECT at / 3600000, subscription, product, ifnull(application, ''), model, '', sum(cost)
    FROM calls WHERE rowid > (SELECT row FROM summed) AND at >= ?1 AND at < ?2 AND currency = ?3
    GROUP BY 1, 2, 3, 4, 5";

/// `None`: more than `max` sums.
fn counted(
    connection: &Connection,
    candidate: &Candidate,
    max: usize,
) -> rusqlite::Result<Option<Counted>> {
    let Span { start, end } = candidate.span;
    let by_user = candidate.key == KeyOf::User || candidate.matching.user.is_some();
    // Zones that are not whole hours off UTC begin their periods within one.
    let whole_from = hour_of(Wall(start.0.saturating_add(HOUR_MS - 1)));
    let parts = if by_user {
        vec![(OF_CALLS, start, end)]
    } else {
        vec![
            (OF_CALLS, start, whole_from),
            (OF_HOURS, whole_from, end),
            (OF_UNSUMMED, whole_from, end),
        ]
    };
    let mut hours: BTreeMap<(Arc<str>, Wall), Nanos> = BTreeMap::new();
    for (sql, from, to) in parts {
        if from >= to {
            continue;
        }
        let mut select = connection.prepare_cached(sql)?;
        let mut rows = select.query(params![from.0, to.0, candidate.currency.as_str()])?;
        while let Some(row) = rows.next()? {
            let (hour, spent) = (Wall(row.get::<_, i64>(0)? * HOUR_MS), Nanos(row.get(6)?));
            let Some(key) = key(row, candidate)?.filter(|_| spent != Nanos::ZERO) else {
                continue;
            };
            *hours.entry((key, hour)).or_default() += spent;
            if hours.len() > max {
                return Ok(None);
            }
        }
    }
    Ok(Some(Counted {
        budget: candidate.budget.clone(),
        currency: candidate.currency,
        period_start: start,
        hours,
    }))
}

/// Whose counter these calls are charged to; `None` if the budget does not count them.
fn key(row: &Row<'_>, candidate: &Candidate) -> rusqlite::Result<Option<Arc<str>>> {
    let text = |column: usize| row.get::<_, String>(column);
    let (subscription, product, model) = (text(1)?, text(2)?, text(4)?);
    let named = |name: String| Some(name).filter(|name| !name.is_empty());
    let (application, user) = (named(text(3)?), named(text(5)?));
    let matching = &candidate.matching;
    let fits = matching.fits_tenant(
        &SubscriptionId::from(subscription.as_str()),
        &ProductId::from(product.as_str()),
    ) && matching.fits_call(
        &ModelName::from(model.as_str()),
        application.as_deref().map(ApplicationName::from).as_ref(),
        user.as_deref(),
    );
    if !fits {
        return Ok(None);
    }
    Ok(match &candidate.key {
        KeyOf::One(key) => Some(key.clone()),
        KeyOf::Subscription => Some(subscription.into()),
        KeyOf::Product => Some(product.into()),
        KeyOf::Model => Some(model.into()),
        KeyOf::Application => application.map(Into::into),
        KeyOf::User => user.map(Into::into),
    })
}

#[cfg(test)]
mod tests;
