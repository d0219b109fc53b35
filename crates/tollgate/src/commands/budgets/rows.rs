//! Budgets and raises as people and machines read them.

use config::snapshot::KeyedBudget;
use domain::budget::{OnExceeded, Unpriced};
use domain::limit::{Period, Reserve};
use domain::quota::Span;
use domain::{Nanos, Wall};
use serde_json::json;
use store::counters::RestoredBudget;
use store::registry::StoredRaise;

use crate::table::{Cell, Table};

/// One counter of a budget; one without calls has its row too.
pub struct Row<'b> {
    pub budget: &'b KeyedBudget,
    /// `None`: nobody called in this period, and there is no telling who will.
    pub key: Option<&'b str>,
    /// With the raises in force.
    pub amount: Nanos,
    pub used: Nanos,
    pub span: Span,
}

pub fn rows<'b>(
    budgets: &[&'b KeyedBudget],
    levels: &'b [RestoredBudget],
    now: Wall,
) -> Vec<Row<'b>> {
    let mut rows = Vec::new();
    for budget in budgets {
        let span = budget.budget.calendar.span_at(now);
        let is_current = |level: &&RestoredBudget| {
            level.budget == budget.keyed.limit.id
                && level.currency == budget.budget.currency
                && level.period_start == span.start
        };
        let row = |key: Option<&'b str>, used| Row {
            budget,
            key,
            amount: budget.budget.amount_at(key.unwrap_or_default(), now),
            used,
            span,
        };
        let before = rows.len();
        let current = levels.iter().filter(is_current);
        rows.extend(current.map(|level| row(Some(&level.key), level.spent)));
        if rows.len() == before {
            let is_one = budget.keyed.counter_key.source() == "\"all\"";
            rows.push(row(is_one.then_some("all"), Nanos::ZERO));
        }
    }
    rows
}

impl Row<'_> {
    /// In thousandths, rounded down.
    fn used_per_mille(&self) -> i128 {
        i128::from(self.used.0) * 1000 / i128::from(self.amount.0.max(1))
    }

    fn percent(&self) -> String {
        let per_mille = self.used_per_mille();
        format!("{}.{}%", per_mille / 10, per_mille % 10)
    }
}

pub fn table(rows: &[Row<'_>]) -> Table {
    let texts = ["budget", "key"]
        .into_iter()
        .fold(Table::default(), Table::column);
    let numbers = ["used", "amount", "share"]
        .into_iter()
        .fold(texts, Table::number);
    let mut table = ["currency", "until", "on_exceeded"]
        .into_iter()
        .fold(numbers, Table::column);
    for row in rows {
        table.row(vec![
            Cell::text(&row.budget.name),
            Cell::text(row.key.unwrap_or("")),
            Cell::Text(row.used.fixed(2)),
            Cell::Text(row.amount.fixed(2)),
            Cell::Text(row.percent()),
            Cell::Text(row.budget.budget.currency.to_string()),
            Cell::Text(rfc3339(row.span.end)),
            Cell::Text(on_exceeded(row.budget)),
        ]);
    }
    table
}

pub fn json(rows: &[Row<'_>]) -> String {
    let listed: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "budget": &*row.budget.name,
                "scope": row.budget.keyed.limit.scope.to_string(),
                "key": row.key,
                "used": row.used.to_string(),
                "amount": row.amount.to_string(),
                "configured_amount": row.budget.budget.amount.to_string(),
                "used_per_mille": i64::try_from(row.used_per_mille()).unwrap_or(i64::MAX),
                "currency": row.budget.budget.currency.to_string(),
                "period_start": rfc3339(row.span.start),
                "period_end": rfc3339(row.span.end),
                "on_exceeded": on_exceeded(row.budget),
            })
        })
        .collect();
    format!("{:#}\n", serde_json::Value::Array(listed))
}

/// The rule in a few lines.
pub fn described(keyed: &KeyedBudget) -> String {
    let budget = &keyed.budget;
    let period = match budget.calendar.period {
        Period::Hour => "hour",
        Period::Day => "day",
        Period::Week => "week",
        Period::Month => "month",
        Period::Quarter => "quarter",
        Period::Year => "year",
    };
    let zone = budget.calendar.time_zone.iana_name().unwrap_or("UTC");
    let reserve = match budget.reserve {
        Reserve::Learned => "learned",
        Reserve::Max => "max",
    };
    let unpriced = match budget.unpriced {
        Unpriced::Refuse => "refuse",
        Unpriced::Allow => "allow",
    };
    let alerts: Vec<String> = budget
        .alert_at
        .iter()
        .map(|share| format!("{}%", Nanos(i64::from(share.0) * 100_000_000)))
        .collect();
    [
        ("budget", keyed.name.to_string()),
        ("counts", keyed.keyed.limit.scope.to_string()),
        ("by", keyed.keyed.counter_key.source().to_owned()),
        (
            "amount",
            format!(
                "{} {} each {period} ({zone})",
                budget.amount, budget.currency
            ),
        ),
        ("on_exceeded", on_exceeded(keyed)),
        ("unpriced", unpriced.to_owned()),
        ("reserve", reserve.to_owned()),
        ("alert_at", alerts.join(", ")),
    ]
    .into_iter()
    .map(|(name, text)| format!("{name:<12} {text}\n"))
    .collect()
}

fn on_exceeded(budget: &KeyedBudget) -> String {
    match &budget.budget.on_exceeded {
        OnExceeded::Alert => "alert".to_owned(),
        OnExceeded::Refuse => "refuse".to_owned(),
        OnExceeded::Downgrade(model) => format!("downgrade: {model}"),
        OnExceeded::Throttle { tokens_per_minute } => format!("throttle: {tokens_per_minute}"),
    }
}

pub fn raises(raises: &[&StoredRaise], now: Wall) -> Table {
    let first = Table::default().column("raise").column("key").number("by");
    let columns = ["until", "state", "granted_by", "granted", "reason"];
    let mut table = columns.into_iter().fold(first, Table::column);
    for raise in raises {
        let state = match (&raise.cancelled_by, raise.cancelled_at) {
            (Some(by), Some(at)) => format!("cancelled by {by} {}", rfc3339(at)),
            _ if raise.is_in_force(now) => "in force".to_owned(),
            _ => "ended".to_owned(),
        };
        table.row(vec![
            Cell::Text(raise.id.to_string()),
            Cell::text(raise.key.as_deref().unwrap_or("")),
            Cell::Text(format!("{} {}", raise.by, raise.currency)),
            Cell::Text(rfc3339(raise.until)),
            Cell::Text(state),
            Cell::text(&raise.granted_by),
            Cell::Text(rfc3339(raise.granted_at)),
            Cell::text(&raise.reason),
        ]);
    }
    table
}

pub fn rfc3339(at: Wall) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map_or_else(|_| at.0.to_string(), |at| format!("{at:.0}"))
}
