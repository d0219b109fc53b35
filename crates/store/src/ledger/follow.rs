//! Calls in the order in which they reached the database, for those who send them elsewhere.
//!
//! Each follower has a cursor beside the calls, in the same file: whatever undoes the last commits
//! (a power loss, a restored backup) undoes both, so that a cursor never stands behind a call that
//! comes again under the same number. The ledger itself is the queue: a follower that is down costs
//! nothing but time.

use std::path::Path;
use std::time::Duration;

use domain::record::CallRecord;
use domain::{CallId, Wall};
use rusqlite::{Connection, OptionalExtension, params};

use super::{LedgerError, database, query, rows};

/// Where a follower without a cursor begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum From {
    /// With the next call.
    #[default]
    Now,
    /// With the oldest call on the ledger.
    Start,
}

/// One reader of the ledger, by name. Blocks: use it on a thread that may.
#[derive(Debug)]
pub struct Follower {
    connection: Connection,
    name: String,
    cursor: Cursor,
}

/// A call, and where it stands.
#[derive(Clone, Debug)]
pub struct Entry {
    pub record: CallRecord,
    row: i64,
}

/// What a follower has yet to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Calls. Those that were removed from the ledger meanwhile are counted too.
    pub records: u64,
    /// When the oldest of them ended.
    pub oldest: Option<Wall>,
}

/// A cursor, as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorState {
    pub name: String,
    pub lag: Lag,
    /// When it last moved.
    pub moved_at: Wall,
}

/// Behind the last call that was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    row: i64,
    /// That call. Row numbers change when somebody vacuums the file; ids do not.
    call: Option<CallId>,
    at: Wall,
    /// Grows when somebody else moves the cursor.
    generation: i64,
}

/// A call that ends late stands behind younger ones: where only times are left to go by, this much
/// is read again. Longer than calls last.
const LONGEST_CALL: Duration = Duration::from_secs(86_400);

impl Follower {
    /// Goes on where the follower of that name stopped, or begins at `from`.
    pub fn open(dir: &Path, name: &str, from: From, now: Wall) -> Result<Self, LedgerError> {
        let connection = database::open_to_change(dir)?;
        let cursor = begin(&connection, name, from, now).map_err(|error| faulty(dir, &error))?;
        Ok(Self {
            connection,
            name: name.to_owned(),
            cursor,
        })
    }

    /// Up to `max` calls, oldest first. The same ones until they are passed.
    pub fn next(&mut self, max: usize) -> Result<Vec<Entry>, LedgerError> {
        let read = |follower: &mut Self| {
            follower.notice_moves()?;
            let behind = resolve(&follower.connection, &follower.cursor)?;
            read(&follower.connection, behind, max)
        };
        read(self).map_err(|error| self.unreadable(&error))
    }

    /// After these and all before them were taken. Where the database cannot be written, this
    /// follower goes on all the same: only a restart would read them again.
    pub fn pass(&mut self, entry: &Entry, now: Wall) -> Result<(), LedgerError> {
        let opening = &entry.record.opening;
        let Cursor { generation, .. } = self.cursor;
        self.cursor = Cursor {
            row: entry.row,
            call: Some(opening.id),
            at: opening.at,
            generation,
        };
        let saved = self.connection.prepare_cached(
            "UPDATE sink_cursors SET row = ?, call = ?, at = ?, moved_at = ? WHERE sink = ? AND generation = ?",
        );
        let saved = saved.and_then(|mut update| {
            update.execute(params![
                entry.row,
                opening.id.0.to_be_bytes(),
                opening.at.0,
                now.0,
                self.name,
                generation,
            ])
        });
        saved.map(drop).map_err(|error| self.unreadable(&error))
    }

    pub fn lag(&mut self) -> Result<Lag, LedgerError> {
        let read = |follower: &mut Self| {
            follower.notice_moves()?;
            lag(&follower.connection, &follower.cursor)
        };
        read(self).map_err(|error| self.unreadable(&error))
    }

    /// Somebody rewound it, or had it forgotten while it was in use.
    fn notice_moves(&mut self) -> rusqlite::Result<()> {
        match cursor(&self.connection, &self.name)? {
            Some(stored) if stored.generation != self.cursor.generation => self.cursor = stored,
            Some(_) => {}
            None => insert(&self.connection, &self.name, &self.cursor, self.cursor.at)?,
        }
        Ok(())
    }

    fn unreadable(&self, error: &rusqlite::Error) -> LedgerError {
        LedgerError(format!(
            "the ledger cannot be followed by `{}`: {error}",
            self.name
        ))
    }
}

/// All cursors, by name; those of followers that are no more, too.
pub fn cursors(dir: &Path) -> Result<Vec<CursorState>, LedgerError> {
    let connection = query::open_to_query(dir)?;
    let read = || -> rusqlite::Result<Vec<CursorState>> {
        let mut select =
            connection.prepare("SELECT sink, moved_at, * FROM sink_cursors ORDER BY sink")?;
        let mut rows = select.query([])?;
        let mut states = Vec::new();
        while let Some(row) = rows.next()? {
            states.push(CursorState {
                name: row.get("sink")?,
                lag: lag(&connection, &from_row(row)?)?,
                moved_at: Wall(row.get("moved_at")?),
            });
        }
        Ok(states)
    };
    read().map_err(|error| query::unreadable(dir, &error))
}

/// Has a follower read again what began at `since` or later, running or not. Says how many calls
/// that is; `None`: there is no follower of that name.
pub fn rewind(dir: &Path, name: &str, since: Wall, now: Wall) -> Result<Option<u64>, LedgerError> {
    let connection = database::open_to_change(dir)?;
    let rewound = || -> rusqlite::Result<Option<u64>> {
        let behind = behind(&connection, since)?;
        let moved = connection.execute(
            "UPDATE sink_cursors SET row = ?, call = NULL, at = ?, moved_at = ?, generation = generation + 1 WHERE sink = ?",
            params![behind, since.0, now.0, name],
        )?;
        if moved == 0 {
            return Ok(None);
        }
        let again = cursor(&connection, name)?;
        let again = again.map(|cursor| lag(&connection, &cursor)).transpose()?;
        Ok(again.map(|lag| lag.records))
    };
    rewound().map_err(|error| faulty(dir, &error))
}

/// Removes a cursor, so that a follower of that name begins anew. False if there is none.
pub fn forget(dir: &Path, name: &str) -> Result<bool, LedgerError> {
    let connection = database::open_to_change(dir)?;
    connection
        .execute("DELETE FROM sink_cursors WHERE sink = ?", [name])
        .map(|removed| removed > 0)
        .map_err(|error| faulty(dir, &error))
}

fn begin(connection: &Connection, name: &str, from: From, now: Wall) -> rusqlite::Result<Cursor> {
    if let Some(stored) = cursor(connection, name)? {
        return Ok(stored);
    }
    let newest = || {
        let mut select = connection
            .prepare("SELECT rowid AS row, id AS call, at, 0 AS generation FROM calls ORDER BY rowid DESC LIMIT 1")?;
        select.query_row([], from_row).optional()
    };
    let found = match from {
        From::Now => newest()?,
        From::Start => None,
    };
    let begun = found.unwrap_or(Cursor {
        row: 0,
        call: None,
        at: Wall(0),
        generation: 0,
    });
    insert(connection, name, &begun, now)?;
    Ok(begun)
}

fn insert(
    connection: &Connection,
    name: &str,
    cursor: &Cursor,
    moved_at: Wall,
) -> rusqlite::Result<()> {
    let Cursor {
        row,
        call,
        at,
        generation,
    } = cursor;
    connection.execute(
        "INSERT INTO sink_cursors VALUES (?,?,?,?,?,?) ON CONFLICT DO NOTHING",
        params![
            name,
            row,
            call.map(|id| id.0.to_be_bytes()),
            at.0,
            generation,
            moved_at.0
        ],
    )?;
    Ok(())
}

fn cursor(connection: &Connection, name: &str) -> rusqlite::Result<Option<Cursor>> {
    let mut select = connection.prepare_cached("SELECT * FROM sink_cursors WHERE sink = ?")?;
    select.query_row([name], from_row).optional()
}

fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Cursor> {
    let call: Option<[u8; 16]> = row.get("call")?;
    Ok(Cursor {
        row: row.get("row")?,
        call: call.map(|id| CallId(u128::from_be_bytes(id))),
        at: Wall(row.get("at")?),
        generation: row.get("generation")?,
    })
}

/// The row that the cursor's call has now.
fn resolve(connection: &Connection, cursor: &Cursor) -> rusqlite::Result<i64> {
    let Some(call) = cursor.call else {
        return Ok(cursor.row);
    };
    let mut select = connection.prepare_cached("SELECT rowid FROM calls WHERE id = ?")?;
    let found = select.query_row([call.0.to_be_bytes()], |row| row.get(0));
    if let Some(row) = found.optional()? {
        return Ok(row);
    }
    // Its call was removed. Numbers that end before it were given out anew.
    let newest = newest(connection)?;
    if newest >= cursor.row {
        return Ok(cursor.row);
    }
    let longest_ms = i64::try_from(LONGEST_CALL.as_millis()).unwrap_or(i64::MAX);
    behind(connection, Wall(cursor.at.0.saturating_sub(longest_ms)))
}

/// The row behind which every call that began at `since` or later stands.
fn behind(connection: &Connection, since: Wall) -> rusqlite::Result<i64> {
    let mut select = connection.prepare_cached("SELECT min(rowid) FROM calls WHERE at >= ?")?;
    let first: Option<i64> = select.query_row([since.0], |row| row.get(0))?;
    match first {
        Some(row) => Ok(row - 1),
        None => newest(connection),
    }
}

fn newest(connection: &Connection) -> rusqlite::Result<i64> {
    let mut select = connection.prepare_cached("SELECT ifnull(max(rowid), 0) FROM calls")?;
    select.query_row([], |row| row.get(0))
}

fn read(connection: &Connection, behind: i64, max: usize) -> rusqlite::Result<Vec<Entry>> {
    let mut select = connection.prepare_cached(
        "SELECT rowid AS row, * FROM calls WHERE rowid > ? ORDER BY rowid LIMIT ?",
    )?;
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    let mut found = select.query([behind, max])?;
    let mut entries = Vec::new();
    while let Some(row) = found.next()? {
        let number: i64 = row.get("row")?;
        match rows::whole(connection, row) {
            Ok(record) => entries.push(Entry {
                record,
                row: number,
            }),
            // Somebody edited it. It must not keep all later ones.
            Err(error) => {
                tracing::error!(row = number, %error, "a call on the ledger cannot be read, and is passed over");
            }
        }
    }
    Ok(entries)
}

fn lag(connection: &Connection, cursor: &Cursor) -> rusqlite::Result<Lag> {
    let behind = resolve(connection, cursor)?;
    let records = u64::try_from(newest(connection)? - behind).unwrap_or(0);
    let mut select = connection.prepare_cached(
        "SELECT at + latency_us / 1000 FROM calls WHERE rowid > ? ORDER BY rowid LIMIT 1",
    )?;
    let oldest = select.query_row([behind], |row| row.get(0)).optional()?;
    Ok(Lag {
        records,
        oldest: oldest.map(Wall),
    })
}

fn faulty(dir: &Path, error: &rusqlite::Error) -> LedgerError {
    LedgerError(format!(
        "cannot use the cursors of sinks in {}: {error}",
        dir.display()
    ))
}
