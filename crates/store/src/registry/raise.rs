//! Temporary raises of budgets: who granted how much, until when, and why.

use domain::{Currency, Nanos, Wall};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Registry, RegistryError};

/// More money for a budget, until it ends or is cancelled. Never deleted: it says why a budget was
/// spent beyond its amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRaise {
    /// Counts from 1.
    pub id: i64,
    pub budget: String,
    /// Of one counter only, by the value of its counter key.
    pub key: Option<String>,
    pub by: Nanos,
    pub currency: Currency,
    /// Not included.
    pub until: Wall,
    pub reason: String,
    pub granted_by: String,
    pub granted_at: Wall,
    pub cancelled_at: Option<Wall>,
    pub cancelled_by: Option<String>,
}

/// A raise that is to be granted.
#[derive(Clone, Copy, Debug)]
pub struct NewRaise<'a> {
    pub budget: &'a str,
    pub key: Option<&'a str>,
    pub by: Nanos,
    pub currency: Currency,
    pub until: Wall,
    pub reason: &'a str,
    pub granted_by: &'a str,
}

impl StoredRaise {
    pub fn is_in_force(&self, now: Wall) -> bool {
        self.cancelled_at.is_none() && now < self.until
    }
}

impl Registry {
    /// All raises, those that ended or were cancelled too; the oldest first.
    pub fn raises(&self) -> Result<Vec<StoredRaise>, RegistryError> {
        let connection = self.connection();
        let mut select = connection.prepare("SELECT * FROM raises ORDER BY id")?;
        let raises = select.query_map([], stored)?.collect::<Result<_, _>>()?;
        Ok(raises)
    }

    pub fn raise(&self, new: NewRaise<'_>, now: Wall) -> Result<StoredRaise, RegistryError> {
        self.change(|connection| {
            connection.execute(
                "INSERT INTO raises (budget, key, nanos, currency, until, reason, granted_by, granted_at)
                 VALUES (?,?,?,?,?,?,?,?)",
                params![
                    new.budget,
                    new.key,
                    new.by.0,
                    new.currency.as_str(),
                    new.until.0,
                    new.reason,
                    new.granted_by,
                    now.0,
                ],
            )?;
            let id = connection.last_insert_rowid();
            find(connection, id)?.ok_or(RegistryError::NoSuchRaise(id))
        })
    }

    /// Ends a raise that is in force before its time.
    pub fn cancel_raise(
        &self,
        id: i64,
        cancelled_by: &str,
        now: Wall,
    ) -> Result<StoredRaise, RegistryError> {
        self.change(|connection| {
            let raise = find(connection, id)?.filter(|raise| raise.is_in_force(now));
            if raise.is_none() {
                return Err(RegistryError::NoSuchRaise(id));
            }
            connection.execute(
                "UPDATE raises SET cancelled_at = ?, cancelled_by = ? WHERE id = ?",
                params![now.0, cancelled_by, id],
            )?;
            find(connection, id)?.ok_or(RegistryError::NoSuchRaise(id))
        })
    }
}

fn find(connection: &Connection, id: i64) -> rusqlite::Result<Option<StoredRaise>> {
    connection
        .prepare("SELECT * FROM raises WHERE id = ?")?
        .query_row([id], stored)
        .optional()
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredRaise> {
    let currency: String = row.get("currency")?;
    Ok(StoredRaise {
        id: row.get("id")?,
        budget: row.get("budget")?,
        key: row.get("key")?,
        by: Nanos(row.get("nanos")?),
        currency: currency.parse().map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(
                0,
                rusqlite::types::Type::Text,
                Box::new(error),
            )
        })?,
        until: Wall(row.get("until")?),
        reason: row.get("reason")?,
        granted_by: row.get("granted_by")?,
        granted_at: Wall(row.get("granted_at")?),
        cancelled_at: row.get::<_, Option<i64>>("cancelled_at")?.map(Wall),
        cancelled_by: row.get("cancelled_by")?,
    })
}
