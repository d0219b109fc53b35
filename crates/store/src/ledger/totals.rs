//! Sums as rows of the database: what a batch of calls adds to hours, quotas and budgets.

use std::sync::LazyLock;

use domain::{Currency, PriceId};
use rusqlite::types::ToSqlOutput;
use rusqlite::{Statement, Transaction, params, params_from_iter};

use super::sums::{AMOUNTS, Sums, UsageKey, UsageSums};

/// Columns that tell sums of usage apart, besides time and what else a table has.
pub(super) const NAMES: &str =
    "subscription, product, application, model, backend, outcome, cache, currency, price";

/// Of sums by user: fewer, or there would be as many rows as calls.
pub(super) const NAMES_OF_USER: &str = "subscription, product, application, model, currency";

static ADD_TO_HOUR: LazyLock<String> =
    LazyLock::new(|| upsert("usage_hourly", &format!("hour, {NAMES}, folded")));

/// Adds to a row, or makes it. `key` are the columns before the amounts.
pub(super) fn upsert(table: &str, key: &str) -> String {
    let places = vec!["?"; key.split(',').count() + AMOUNTS.len()].join(",");
    let (amounts, adding) = (amounts(), adding());
    format!("INSERT INTO {table} ({key}, {amounts}) VALUES ({places}) {adding}")
}

/// `calls, attempts, ..`
pub(super) fn amounts() -> String {
    AMOUNTS.map(|(name, _)| name).join(", ")
}

pub(super) fn adding() -> String {
    let sets = AMOUNTS.map(|(name, _)| format!("{name} = {name} + excluded.{name}"));
    format!("ON CONFLICT DO UPDATE SET {}", sets.join(", "))
}

/// A row's values, bound in the order of an upsert.
pub(super) fn execute<'v>(
    statement: &mut Statement<'_>,
    key: impl IntoIterator<Item = ToSqlOutput<'v>>,
    sums: &UsageSums,
) -> rusqlite::Result<()> {
    let amounts = sums.amounts().map(ToSqlOutput::from);
    let values = key.into_iter().chain(amounts);
    statement.execute(params_from_iter(values)).map(|_| ())
}

/// Values of `NAMES`. Absent names are empty texts.
pub(super) fn names(key: &UsageKey) -> [ToSqlOutput<'_>; 9] {
    [
        key.subscription.as_str(),
        key.product.as_str(),
        key.application.as_ref().map_or("", |name| name.as_str()),
        key.model.as_str(),
        key.backend.as_ref().map_or("", |backend| backend.as_str()),
        key.outcome.as_str(),
        key.cache.as_str(),
        key.currency.as_ref().map_or("", Currency::as_str),
        key.price.as_ref().map_or("", PriceId::as_str),
    ]
    .map(ToSqlOutput::from)
}

/// Values of `NAMES_OF_USER`.
pub(super) fn names_of_user(key: &UsageKey) -> [ToSqlOutput<'_>; 5] {
    let [subscription, product, application, model, .., currency, _] = names(key);
    [subscription, product, application, model, currency]
}

/// `folded`: of calls that have no row of their own.
pub(super) fn add(
    transaction: &Transaction<'_>,
    sums: &Sums,
    folded: bool,
) -> rusqlite::Result<()> {
    let mut hour = transaction.prepare_cached(&ADD_TO_HOUR)?;
    for (key, sums) in sums.usage_in_order() {
        let values = [key.hour.0.into()]
            .into_iter()
            .chain(names(key))
            .chain([folded.into()]);
        execute(&mut hour, values, sums)?;
    }
    add_quotas(transaction, sums)?;
    add_budgets(transaction, sums)
}

fn add_quotas(transaction: &Transaction<'_>, sums: &Sums) -> rusqlite::Result<()> {
    let mut level = transaction.prepare_cached(
        "INSERT INTO quota_levels VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE SET
            tokens = tokens + excluded.tokens,
            updated_at = max(updated_at, excluded.updated_at)",
    )?;
    for (key, sum) in sums.quotas_in_order() {
        level.execute(params![
            key.limit.as_str(),
            &*key.key,
            key.period_start.0,
            sum.tokens.cast_signed(),
            sum.updated_at.0
        ])?;
    }
    Ok(())
}

pub(super) const ADD_TO_BUDGET_LEVEL: &str =
    "INSERT INTO budget_levels VALUES (?,?,?,?,?,?) ON CONFLICT DO UPDATE SET
        nanos = nanos + excluded.nanos,
        updated_at = max(updated_at, excluded.updated_at)";

pub(super) const ADD_TO_BUDGET_HOUR: &str =
    "INSERT INTO budget_hourly VALUES (?,?,?,?,?,?) ON CONFLICT DO UPDATE SET
        nanos = nanos + excluded.nanos";

fn add_budgets(transaction: &Transaction<'_>, sums: &Sums) -> rusqlite::Result<()> {
    let mut level = transaction.prepare_cached(ADD_TO_BUDGET_LEVEL)?;
    let mut hour = transaction.prepare_cached(ADD_TO_BUDGET_HOUR)?;
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
