//! Looking at alerts from outside: beside a running gateway, or after it stopped.

use std::path::Path;

use domain::{ChannelId, Wall};
use rusqlite::{Connection, OpenFlags, Row};

use super::outbox::DeliveryState;
use super::{AlertsError, FILE};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAlert {
    pub number: i64,
    pub id: String,
    pub kind: String,
    pub rule: String,
    pub subject: String,
    pub raised_at: Wall,
    pub title: String,
    pub body: String,
    pub deliveries: Vec<StoredDelivery>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDelivery {
    pub channel: ChannelId,
    pub state: DeliveryState,
    pub attempts: u32,
    pub next_at: Wall,
    pub ended_at: Option<Wall>,
    /// Of the last try that failed.
    pub fault: Option<String>,
}

/// The latest alerts, newest first. None where no gateway ever had any to tell.
pub fn recent(dir: &Path, limit: usize) -> Result<Vec<StoredAlert>, AlertsError> {
    let path = dir.join(FILE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    let mut select = connection.prepare(
        "SELECT number, id, kind, rule, subject, raised_at, title, body FROM alerts
         ORDER BY number DESC LIMIT ?",
    )?;
    let mut alerts = select
        .query_map([i64::try_from(limit).unwrap_or(i64::MAX)], alert)?
        .collect::<Result<Vec<_>, _>>()?;
    let mut select = connection.prepare(
        "SELECT channel, state, attempts, next_at, ended_at, fault FROM deliveries
         WHERE alert = ? ORDER BY channel",
    )?;
    for alert in &mut alerts {
        let rows = select.query_map([alert.number], delivery)?;
        alert.deliveries = rows.collect::<Result<_, _>>()?;
    }
    Ok(alerts)
}

fn alert(row: &Row<'_>) -> rusqlite::Result<StoredAlert> {
    Ok(StoredAlert {
        number: row.get(0)?,
        id: row.get(1)?,
        kind: row.get(2)?,
        rule: row.get(3)?,
        subject: row.get(4)?,
        raised_at: Wall(row.get(5)?),
        title: row.get(6)?,
        body: row.get(7)?,
        deliveries: Vec::new(),
    })
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<StoredDelivery> {
    let (channel, state): (String, String) = (row.get(0)?, row.get(1)?);
    let known = DeliveryState::ALL
        .into_iter()
        .find(|known| known.as_str() == state);
    Ok(StoredDelivery {
        channel: ChannelId::from(channel.as_str()),
        state: known.unwrap_or(DeliveryState::Waiting),
        attempts: row.get(2)?,
        next_at: Wall(row.get(3)?),
        ended_at: row.get::<_, Option<i64>>(4)?.map(Wall),
        fault: row.get(5)?,
    })
}
