//! What waits for its channels: in order for each, tried again until it is there or too old.

use std::time::Duration;

use domain::{ChannelId, Wall};
use rusqlite::{Transaction, TransactionBehavior, params};

use super::{Alerts, AlertsError, NewAlert};

/// Deliveries that wait for one channel. Past it the oldest go: what is told now matters more.
const WAITING_MAX: i64 = 1_000;
/// A message that nobody got for so long is no news.
const WAITING_AGE: Duration = Duration::from_secs(3 * 86_400);
/// Alerts that are kept for `tollgate alerts list`.
const ALERTS_MAX: i64 = 10_000;
const ALERTS_AGE: Duration = Duration::from_secs(90 * 86_400);

/// A fault's text is for people; servers may answer with pages.
const FAULT_BYTES_MAX: usize = 300;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    Waiting,
    Delivered,
    /// The channel will not take this message, however often it is tried.
    Refused,
    /// Too old, or too many waited.
    Dropped,
}

impl DeliveryState {
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Delivered, Self::Refused, Self::Dropped];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::Dropped => "dropped",
        }
    }
}

/// The next message of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub alert: i64,
    pub channel: ChannelId,
    pub id: String,
    pub body: String,
    /// Tries that failed.
    pub attempts: u32,
    pub next_at: Wall,
    pub raised_at: Wall,
}

/// Of one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub channel: ChannelId,
    pub deliveries: u64,
    /// When the oldest of them was raised.
    pub since: Wall,
}

/// What a sweep let go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub dropped: u64,
    pub forgotten: u64,
}

impl Alerts {
    /// The oldest waiting message of each channel: later ones wait for it, so that they arrive in
    /// order.
    pub fn heads(&self) -> Result<Vec<Due>, AlertsError> {
        let connection = self.connection();
        // SQLite takes the other columns from the row that has the minimum.
        let mut select = connection.prepare_cached(
            "SELECT min(d.alert), d.channel, a.id, a.body, d.attempts, d.next_at, a.raised_at
             FROM deliveries d JOIN alerts a ON a.number = d.alert
             WHERE d.state = 'waiting' GROUP BY d.channel",
        )?;
        let rows = select.query_map([], |row| {
            let channel: String = row.get(1)?;
            Ok(Due {
                alert: row.get(0)?,
                channel: ChannelId::from(channel.as_str()),
                id: row.get(2)?,
                body: row.get(3)?,
                attempts: row.get(4)?,
                next_at: Wall(row.get(5)?),
                raised_at: Wall(row.get(6)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub fn waiting(&self) -> Result<Vec<Waiting>, AlertsError> {
        let connection = self.connection();
        let mut select = connection.prepare_cached(
            "SELECT d.channel, count(*), min(a.raised_at)
             FROM deliveries d JOIN alerts a ON a.number = d.alert
             WHERE d.state = 'waiting' GROUP BY d.channel",
        )?;
        let rows = select.query_map([], |row| {
            let channel: String = row.get(0)?;
            Ok(Waiting {
                channel: ChannelId::from(channel.as_str()),
                deliveries: row.get::<_, i64>(1)?.cast_unsigned(),
                since: Wall(row.get(2)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub fn note_delivered(&self, due: &Due, now: Wall) -> Result<(), AlertsError> {
        self.connection().execute(
            "UPDATE deliveries SET state = 'delivered', attempts = attempts + 1, ended_at = ?3, fault = NULL
             WHERE alert = ?1 AND channel = ?2",
            params![due.alert, due.channel.as_str(), now.0],
        )?;
        Ok(())
    }

    pub fn note_failed(&self, due: &Due, fault: &str, next_at: Wall) -> Result<(), AlertsError> {
        self.connection().execute(
            "UPDATE deliveries SET attempts = attempts + 1, next_at = ?3, fault = ?4
             WHERE alert = ?1 AND channel = ?2 AND state = 'waiting'",
            params![due.alert, due.channel.as_str(), next_at.0, cut(fault)],
        )?;
        Ok(())
    }

    pub fn note_refused(&self, due: &Due, fault: &str, now: Wall) -> Result<(), AlertsError> {
        self.connection().execute(
            "UPDATE deliveries SET state = 'refused', attempts = attempts + 1, ended_at = ?3, fault = ?4
             WHERE alert = ?1 AND channel = ?2 AND state = 'waiting'",
            params![due.alert, due.channel.as_str(), now.0, cut(fault)],
        )?;
        Ok(())
    }

    /// Lets go of what is too old to be news, and of alerts and crossings that are over.
    pub fn sweep(&self, now: Wall) -> Result<Swept, AlertsError> {
        let before = |age: Duration| now.0.saturating_sub(age.as_millis() as i64);
        let mut connection = self.connection();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let dropped = transaction.execute(
            "UPDATE deliveries SET state = 'dropped', ended_at = ?1
             WHERE state = 'waiting' AND alert IN (SELECT number FROM alerts WHERE raised_at < ?2)",
            [now.0, before(WAITING_AGE)],
        )?;
        transaction.execute("DELETE FROM crossings WHERE kept_until < ?", [now.0])?;
        let forgotten = transaction.execute(
            "DELETE FROM alerts WHERE
                (raised_at < ?1 OR number <= (SELECT max(number) FROM alerts) - ?2)
                AND NOT EXISTS (SELECT 1 FROM deliveries WHERE alert = number AND state = 'waiting')",
            params![before(ALERTS_AGE), ALERTS_MAX],
        )?;
        if forgotten > 0 {
            transaction.execute(
                "DELETE FROM deliveries WHERE alert NOT IN (SELECT number FROM alerts)",
                [],
            )?;
        }
        transaction.commit()?;
        Ok(Swept {
            dropped: dropped as u64,
            forgotten: forgotten as u64,
        })
    }
}

/// The alert and its deliveries. Gives how many older ones had to go.
pub(super) fn add(
    transaction: &Transaction<'_>,
    alert: &NewAlert,
    now: Wall,
) -> rusqlite::Result<u64> {
    let NewAlert {
        id,
        kind,
        rule,
        subject,
        title,
        body,
        channels,
    } = alert;
    transaction.execute(
        "INSERT INTO alerts (id, kind, rule, subject, raised_at, title, body) VALUES (?,?,?,?,?,?,?)",
        params![id, kind, rule, subject, now.0, title, body],
    )?;
    let number = transaction.last_insert_rowid();
    let mut dropped = 0;
    for channel in channels {
        let waiting: i64 = transaction.query_row(
            "SELECT count(*) FROM deliveries WHERE channel = ? AND state = 'waiting'",
            [channel.as_str()],
            |row| row.get(0),
        )?;
        if waiting >= WAITING_MAX {
            dropped += transaction.execute(
                "UPDATE deliveries SET state = 'dropped', ended_at = ?2
                 WHERE channel = ?1 AND state = 'waiting' AND alert IN (
                    SELECT alert FROM deliveries WHERE channel = ?1 AND state = 'waiting'
                    ORDER BY alert LIMIT ?3)",
                params![channel.as_str(), now.0, waiting - WAITING_MAX + 1],
            )? as u64;
        }
        transaction.execute(
            "INSERT OR IGNORE INTO deliveries VALUES (?,?,'waiting',0,?,NULL,NULL)",
            params![number, channel.as_str(), now.0],
        )?;
    }
    Ok(dropped)
}

fn cut(fault: &str) -> &str {
    let mut end = fault.len().min(FAULT_BYTES_MAX);
    while !fault.is_char_boundary(end) {
        end -= 1;
    }
    &fault[..end]
}
