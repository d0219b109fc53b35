//! Alerts: what was told of each crossing, and what still waits for its channels.
//!
//! A small database of its own under the data directory. An alert, its crossings and its deliveries
//! are written in one transaction, to the platter: a crossing is told once, whatever ends the
//! process. Whether something is worth telling is `domain`'s, how it is sent the gateway's.

mod list;
mod outbox;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use disk::private;
use domain::alert::Episode;
use domain::{ChannelId, Wall};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

pub use list::{StoredAlert, StoredDelivery, recent};
pub use outbox::{DeliveryState, Due, Swept, Waiting};

const FILE: &str = "alerts.sqlite";
const VERSION: i64 = 1;

/// Crossings that are remembered at once. They are forgotten when their period is over; past this,
/// new ones are an error rather than told again and again.
const CROSSINGS_MAX: i64 = 200_000;

const LAYOUT: &str = "
    CREATE TABLE alerts (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        rule TEXT NOT NULL,
        subject TEXT NOT NULL,
        raised_at INTEGER NOT NULL,
        title TEXT NOT NULL,
        -- The whole message, as the gateway wrote it.
        body TEXT NOT NULL
    );
    -- What was told already, for as long as it could be told again.
    CREATE TABLE crossings (
        rule TEXT NOT NULL,
        subject TEXT NOT NULL,
        period INTEGER NOT NULL,
        mark TEXT NOT NULL,
        kept_until INTEGER NOT NULL,
        alert TEXT NOT NULL,
        PRIMARY KEY (rule, subject, period, mark)
    ) WITHOUT ROWID;
    -- One for each alert and channel.
    CREATE TABLE deliveries (
        alert INTEGER NOT NULL,
        channel TEXT NOT NULL,
        state TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        next_at INTEGER NOT NULL,
        ended_at INTEGER,
        fault TEXT,
        PRIMARY KEY (alert, channel)
    ) WITHOUT ROWID;
    CREATE INDEX deliveries_waiting ON deliveries (channel, alert) WHERE state = 'waiting';
    -- Conditions that hold, or did until a moment ago.
    CREATE TABLE episodes (
        rule TEXT NOT NULL,
        subject TEXT NOT NULL,
        began INTEGER NOT NULL,
        seen INTEGER NOT NULL,
        raised INTEGER NOT NULL,
        PRIMARY KEY (rule, subject)
    ) WITHOUT ROWID;
    -- One row: up to when budgets were looked at.
    CREATE TABLE looked (until INTEGER NOT NULL);
    INSERT INTO looked VALUES (0);
    PRAGMA user_version = 1;
";

#[derive(Debug)]
pub struct Alerts {
    connection: Mutex<Connection>,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct AlertsError(String);

impl AlertsError {
    /// Of a caller whose thread ended before it had an answer.
    pub fn interrupted() -> Self {
        Self("the database of alerts did not answer".to_owned())
    }
}

impl From<rusqlite::Error> for AlertsError {
    fn from(error: rusqlite::Error) -> Self {
        Self(format!("cannot use the database of alerts: {error}"))
    }
}

/// What is told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// The alert's or the budget's name.
    pub rule: String,
    /// A budget's key, a team, a backend.
    pub subject: String,
    /// The start of the period within which it is told once.
    pub period: Wall,
    /// Which of several: a threshold and its amount.
    pub mark: String,
    /// After this it cannot happen again.
    pub kept_until: Wall,
}

/// An alert to be written down and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAlert {
    /// Unique; receivers tell repetitions by it.
    pub id: String,
    pub kind: &'static str,
    pub rule: String,
    pub subject: String,
    pub title: String,
    pub body: String,
    pub channels: Vec<ChannelId>,
}

/// A row of what is going on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEpisode {
    pub rule: String,
    pub subject: String,
    pub episode: Episode,
}

impl Alerts {
    pub fn open(dir: &Path) -> Result<Self, AlertsError> {
        let path = dir.join(FILE);
        let failed = |error: &dyn fmt::Display| {
            AlertsError(format!("cannot open {}: {error}", path.display()))
        };
        private::create_directory(dir).map_err(|error| failed(&error))?;
        private::open(&path).map_err(|error| failed(&error))?;
        let mut connection = Connection::open(&path).map_err(|error| failed(&error))?;
        let version = set_up(&mut connection).map_err(|error| failed(&error))?;
        if version > VERSION {
            return Err(failed(&format!(
                "it has layout {version}, and this version of Tollgate knows layouts up to {VERSION}"
            )));
        }
        Ok(Self {
            connection: Mutex::new(connection),
        })
    }

    /// Tells what was not told before: `alert` gets those of `crossings` that are new, in their order,
    /// and makes one alert of them. Gives how many waiting deliveries had to go for it; `None` if
    /// nothing is new.
    pub fn raise(
        &self,
        crossings: &[Crossing],
        now: Wall,
        alert: impl FnOnce(&[&Crossing]) -> NewAlert,
    ) -> Result<Option<u64>, AlertsError> {
        let mut connection = self.connection();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut new = Vec::new();
        for crossing in crossings {
            if !is_known(&transaction, crossing)? {
                new.push(crossing);
            }
        }
        if new.is_empty() {
            return Ok(None);
        }
        let known: i64 =
            transaction.query_row("SELECT count(*) FROM crossings", [], |row| row.get(0))?;
        if known >= CROSSINGS_MAX {
            return Err(AlertsError(format!(
                "{CROSSINGS_MAX} crossings are remembered already: this one is not told"
            )));
        }
        let alert = alert(&new);
        for crossing in new {
            remember(&transaction, crossing, &alert.id)?;
        }
        let dropped = outbox::add(&transaction, &alert, now)?;
        transaction.commit()?;
        Ok(Some(dropped))
    }

    /// Tells without a crossing: that an episode is over.
    pub fn tell(&self, alert: &NewAlert, now: Wall) -> Result<u64, AlertsError> {
        let mut connection = self.connection();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let dropped = outbox::add(&transaction, alert, now)?;
        transaction.commit()?;
        Ok(dropped)
    }

    pub fn episodes(&self) -> Result<Vec<StoredEpisode>, AlertsError> {
        let connection = self.connection();
        let mut select =
            connection.prepare("SELECT rule, subject, began, seen, raised FROM episodes")?;
        let rows = select.query_map([], |row| {
            Ok(StoredEpisode {
                rule: row.get(0)?,
                subject: row.get(1)?,
                episode: Episode {
                    began: Wall(row.get(2)?),
                    seen: Wall(row.get(3)?),
                    is_raised: row.get(4)?,
                },
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub fn keep_episode(&self, stored: &StoredEpisode) -> Result<(), AlertsError> {
        let StoredEpisode {
            rule,
            subject,
            episode,
        } = stored;
        let Episode {
            began,
            seen,
            is_raised,
        } = episode;
        self.connection().execute(
            "INSERT OR REPLACE INTO episodes VALUES (?,?,?,?,?)",
            params![rule, subject, began.0, seen.0, is_raised],
        )?;
        Ok(())
    }

    pub fn end_episode(&self, rule: &str, subject: &str) -> Result<(), AlertsError> {
        self.connection().execute(
            "DELETE FROM episodes WHERE rule = ? AND subject = ?",
            [rule, subject],
        )?;
        Ok(())
    }

    /// Up to when budgets were looked at by this process or one before it; `None` by none.
    pub fn looked_until(&self) -> Result<Option<Wall>, AlertsError> {
        let until: i64 = self
            .connection()
            .query_row("SELECT until FROM looked", [], |row| row.get(0))?;
        Ok((until > 0).then_some(Wall(until)))
    }

    pub fn note_looked(&self, until: Wall) -> Result<(), AlertsError> {
        self.connection()
            .execute("UPDATE looked SET until = max(until, ?)", [until.0])?;
        Ok(())
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn set_up(connection: &mut Connection) -> rusqlite::Result<i64> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // What was told is not told again, even after the power failed.
    connection.pragma_update(None, "synchronous", "FULL")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 0 {
        transaction.execute_batch(LAYOUT)?;
    }
    transaction.commit()?;
    Ok(version)
}

fn is_known(transaction: &Transaction<'_>, crossing: &Crossing) -> rusqlite::Result<bool> {
    let Crossing {
        rule,
        subject,
        period,
        mark,
        kept_until: _,
    } = crossing;
    let found = transaction
        .prepare_cached(
            "SELECT 1 FROM crossings WHERE rule = ? AND subject = ? AND period = ? AND mark = ?",
        )?
        .query_row(params![rule, subject, period.0, mark], |_| Ok(()))
        .optional()?;
    Ok(found.is_some())
}

fn remember(
    transaction: &Transaction<'_>,
    crossing: &Crossing,
    alert: &str,
) -> rusqlite::Result<()> {
    let Crossing {
        rule,
        subject,
        period,
        mark,
        kept_until,
    } = crossing;
    transaction.execute(
        "INSERT INTO crossings VALUES (?,?,?,?,?,?)",
        params![rule, subject, period.0, mark, kept_until.0, alert],
    )?;
    Ok(())
}
