//! Adjustments: what is added to, or taken off, what calls cost after they were written down.
//!
//! Records are never edited. An adjustment stands beside them, in the hour and under the names of the
//! calls that it is about, and says when it was made and why.

use std::collections::BTreeMap;
use std::path::Path;

use domain::record::CallRecord;
use domain::{BackendId, Currency, ModelName, Nanos, ProductId, SubscriptionId, Wall};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::{Connection, TransactionBehavior, params};

use super::LedgerError;
use super::database::Database;
use super::query::{open_to_query, unreadable};
use super::rows::{self, currency};
use super::sums::hour_of;
use super::usage::{UsageBy, UsageQuery, UsageRow};

/// What `--by outcome` calls an adjustment: no call ends like this.
const OUTCOME: &str = "adjusted";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    pub made_at: Wall,
    pub reason: String,
    /// Of the calls that it is about, in UTC.
    pub hour: Wall,
    pub subscription: SubscriptionId,
    pub product: ProductId,
    /// Empty for calls without one.
    pub application: String,
    pub model: ModelName,
    pub backend: BackendId,
    /// How many calls it is about.
    pub calls: u64,
    pub currency: Currency,
    pub amount: Nanos,
}

/// All or none, beside a running gateway or without one.
pub fn adjust(dir: &Path, adjustments: &[Adjustment]) -> Result<(), LedgerError> {
    // Replays what a killed gateway left, and says so if there is no ledger.
    drop(open_to_query(dir)?);
    Database::open(dir)?
        .insert_adjustments(adjustments)
        .map_err(|error| unreadable(dir, &error))
}

/// Of calls of this time, oldest calls first.
pub fn adjustments(dir: &Path, since: Wall, until: Wall) -> Result<Vec<Adjustment>, LedgerError> {
    let connection = open_to_query(dir)?;
    select(&connection, since, until).map_err(|error| unreadable(dir, &error))
}

/// Every call that began in this time, oldest first, one at a time however many there are.
pub fn each_call(
    dir: &Path,
    since: Wall,
    until: Wall,
    each: &mut dyn FnMut(&CallRecord),
) -> Result<(), LedgerError> {
    let connection = open_to_query(dir)?;
    rows::each(&connection, since, until, each).map_err(|error| unreadable(dir, &error))
}

impl Database {
    fn insert_adjustments(&mut self, adjustments: &[Adjustment]) -> rusqlite::Result<()> {
        let transaction = self
            .connection()
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert =
                transaction.prepare("INSERT INTO adjustments VALUES (?,?,?,?,?,?,?,?,?,?,?)")?;
            for adjustment in adjustments {
                let Adjustment {
                    made_at,
                    reason,
                    hour,
                    subscription,
                    product,
                    application,
                    model,
                    backend,
                    calls,
                    currency,
                    amount,
                } = adjustment;
                insert.execute(params![
                    made_at.0,
                    reason,
                    hour_of(*hour).0,
                    subscription.as_str(),
                    product.as_str(),
                    application,
                    model.as_str(),
                    backend.as_str(),
                    rows::tokens(*calls),
                    currency.as_str(),
                    amount.0,
                ])?;
            }
        }
        transaction.commit()
    }
}

fn select(connection: &Connection, since: Wall, until: Wall) -> rusqlite::Result<Vec<Adjustment>> {
    let mut select = connection.prepare(
        "SELECT made_at, reason, hour, subscription, product, application, model, backend, calls,
            currency, nanos FROM adjustments WHERE hour >= ? AND hour < ? ORDER BY hour, rowid",
    )?;
    let adjustments = select.query_map([since.0, until.0], |row| {
        let text = |column: usize| row.get::<_, String>(column);
        Ok(Adjustment {
            made_at: Wall(row.get(0)?),
            reason: text(1)?,
            hour: Wall(row.get(2)?),
            subscription: text(3)?.as_str().into(),
            product: text(4)?.as_str().into(),
            application: text(5)?,
            model: text(6)?.as_str().into(),
            backend: text(7)?.as_str().into(),
            calls: u64::try_from(row.get::<_, i64>(8)?).unwrap_or(0),
            currency: currency(&text(9)?)?,
            amount: Nanos(row.get(10)?),
        })
    })?;
    adjustments.collect()
}

/// Lines of their own in a report: no calls, no tokens, an amount. They count in the hour of their
/// calls.
pub(super) fn usage_rows(
    connection: &Connection,
    query: &UsageQuery,
) -> rusqlite::Result<Vec<UsageRow>> {
    let since = query.since.unwrap_or(Wall(i64::MIN));
    let until = query.until.unwrap_or(Wall(i64::MAX));
    let mut sums: BTreeMap<(Vec<String>, Currency), Nanos> = BTreeMap::new();
    for adjustment in select(connection, since, until)? {
        let Some(by) = names(&adjustment, query) else {
            continue;
        };
        *sums.entry((by, adjustment.currency)).or_default() += adjustment.amount;
    }
    let rows = sums.into_iter().map(|((by, currency), cost)| UsageRow {
        by,
        cost,
        currency: Some(currency),
        ..UsageRow::default()
    });
    Ok(rows.collect())
}

/// What the query sums by; `None` where it selects something else.
fn names(adjustment: &Adjustment, query: &UsageQuery) -> Option<Vec<String>> {
    let name = |by: UsageBy| match by {
        UsageBy::Subscription => adjustment.subscription.to_string(),
        UsageBy::Application => adjustment.application.clone(),
        UsageBy::Product => adjustment.product.to_string(),
        // It is of calls that were asked for as several models: it stands with what answered.
        UsageBy::Model | UsageBy::AskedModel => adjustment.model.to_string(),
        UsageBy::Backend => adjustment.backend.to_string(),
        UsageBy::Day => local(adjustment.hour, &query.time_zone, "%Y-%m-%d"),
        UsageBy::Hour => local(adjustment.hour, &query.time_zone, "%Y-%m-%dT%H:00%:z"),
        UsageBy::Outcome => OUTCOME.to_owned(),
        // It is of calls of several users.
        UsageBy::Cache | UsageBy::User => String::new(),
    };
    if query.only.iter().any(|(by, wanted)| name(*by) != *wanted) {
        return None;
    }
    Some(query.by.iter().copied().map(name).collect())
}

fn local(at: Wall, zone: &TimeZone, format: &str) -> String {
    Timestamp::from_millisecond(at.0)
        .unwrap_or_default()
        .to_zoned(zone.clone())
        .strftime(format)
        .to_string()
}
