//! How far each follower has come, by name. Needs no keys: a command may look and move them beside a
//! gateway that runs.

use std::path::Path;

use domain::Wall;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::erase::Gone;
use crate::AuditError;
use crate::database::Database;

/// Up to so many, what a follower has yet to read is counted; past it, entries that are no records
/// count too.
const COUNTED_MAX: i64 = 1_000;

/// What a follower has yet to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    pub records: u64,
    /// When the oldest of them came.
    pub oldest: Option<Wall>,
    /// Records whose content went by their retention before it was taken. Of all time.
    pub missed: u64,
}

/// A cursor, as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub name: String,
    pub lag: Lag,
    /// When it last moved.
    pub moved_at: Wall,
}

/// Where one stands. `generation` grows when somebody else moves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// Up to this entry, everything was passed.
    pub(super) passed: u64,
    pub(super) generation: i64,
}

/// All cursors of a store, by name; those of followers that are no more, too.
pub fn cursors(dir: &Path) -> Result<Vec<Cursor>, AuditError> {
    let database = Database::open_existing(dir)?;
    let connection = &database.connection;
    let read = || -> rusqlite::Result<Vec<Cursor>> {
        let mut select =
            connection.prepare("SELECT name, sequence, moved_at FROM cursors ORDER BY name")?;
        let mut rows = select.query([])?;
        let mut cursors = Vec::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            let passed = row.get::<_, i64>(1)?.cast_unsigned();
            cursors.push(Cursor {
                lag: lag(connection, &name, passed)?,
                moved_at: Wall(row.get(2)?),
                name,
            });
        }
        Ok(cursors)
    };
    read().map_err(|error| database.faulty(&error))
}

/// Has a follower read again what ended at `since` or later, running or not. Says how many records that
/// is, roughly past a thousand; `None`: there is no follower of that name.
pub fn rewind(dir: &Path, name: &str, since: Wall, now: Wall) -> Result<Option<u64>, AuditError> {
    let mut database = Database::open_existing(dir)?;
    let rewound = |database: &mut Database| -> rusqlite::Result<Option<u64>> {
        let passed = first_at(&database.connection, since)? - 1;
        let moved = database.connection.execute(
            "UPDATE cursors SET sequence = ?, moved_at = ?, generation = generation + 1 WHERE name = ?",
            params![passed, now.0, name],
        )?;
        if moved == 0 {
            return Ok(None);
        }
        lag(&database.connection, name, passed.cast_unsigned()).map(|lag| Some(lag.records))
    };
    rewound(&mut database).map_err(|error| database.faulty(&error))
}

/// Removes a cursor, so that a follower of that name begins anew. False if there is none.
pub fn forget(dir: &Path, name: &str) -> Result<bool, AuditError> {
    let database = Database::open_existing(dir)?;
    database
        .connection
        .execute("DELETE FROM cursors WHERE name = ?", [name])
        .map(|removed| removed > 0)
        .map_err(|error| database.faulty(&error))
}

/// Begins with the next entry, or with the oldest, if there is none of that name.
pub(super) fn begin(
    connection: &Connection,
    name: &str,
    from_start: bool,
    with_content: bool,
    now: Wall,
) -> rusqlite::Result<Position> {
    let passed = if from_start { 0 } else { last(connection)? };
    insert(connection, name, passed.cast_unsigned(), with_content, now)?;
    connection.execute(
        "UPDATE cursors SET content = ? WHERE name = ? AND content != ?1",
        params![with_content, name],
    )?;
    position(connection, name).map(|found| {
        found.unwrap_or(Position {
            passed: passed.cast_unsigned(),
            generation: 0,
        })
    })
}

pub(super) fn insert(
    connection: &Connection,
    name: &str,
    passed: u64,
    with_content: bool,
    now: Wall,
) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO cursors (name, sequence, moved_at, content) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        params![name, passed.cast_signed(), now.0, with_content],
    )?;
    Ok(())
}

pub(super) fn position(connection: &Connection, name: &str) -> rusqlite::Result<Option<Position>> {
    let mut select =
        connection.prepare_cached("SELECT sequence, generation FROM cursors WHERE name = ?")?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Position {
            passed: row.get::<_, i64>(0)?.cast_unsigned(),
            generation: row.get(1)?,
        })
    };
    select.query_row([name], read).optional()
}

/// Unless somebody moved it meanwhile.
pub(super) fn advance(
    connection: &Connection,
    name: &str,
    to: Position,
    now: Wall,
) -> rusqlite::Result<()> {
    let mut update = connection.prepare_cached(
        "UPDATE cursors SET sequence = ?, moved_at = ? WHERE name = ? AND generation = ?",
    )?;
    update.execute(params![to.passed.cast_signed(), now.0, name, to.generation])?;
    Ok(())
}

pub(super) fn lag(connection: &Connection, name: &str, passed: u64) -> rusqlite::Result<Lag> {
    let passed = passed.cast_signed();
    let mut count = connection.prepare_cached(
        "SELECT count(*) FROM (SELECT 1 FROM chain WHERE sequence > ? AND segment IS NOT NULL ORDER BY sequence LIMIT ?)",
    )?;
    let mut records: i64 = count.query_row([passed, COUNTED_MAX], |row| row.get(0))?;
    if records == COUNTED_MAX {
        records = records.max(last(connection)? - passed);
    }
    let mut oldest = connection.prepare_cached(
        "SELECT at FROM chain WHERE sequence > ? AND segment IS NOT NULL ORDER BY sequence LIMIT 1",
    )?;
    let oldest = oldest.query_row([passed], |row| row.get(0)).optional()?;
    let mut missed = connection.prepare_cached("SELECT missed FROM cursors WHERE name = ?")?;
    let missed: Option<i64> = missed.query_row([name], |row| row.get(0)).optional()?;
    Ok(Lag {
        records: records.cast_unsigned(),
        oldest: oldest.map(Wall),
        missed: missed.unwrap_or(0).cast_unsigned(),
    })
}

/// What goes now, and followers have yet to take: noted on their cursors.
pub(super) fn miss(
    transaction: &Transaction<'_>,
    gone: &Gone,
) -> rusqlite::Result<Vec<(String, u64)>> {
    let mut select = transaction
        .prepare_cached("SELECT name, sequence FROM cursors WHERE content = 1 ORDER BY name")?;
    let cursors = select.query_map([], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, i64>(1)?.cast_unsigned(),
        ))
    })?;
    let mut all = Vec::new();
    for cursor in cursors {
        let (name, passed) = cursor?;
        let records = gone
            .iter()
            .filter(|(sequence, _)| *sequence > passed)
            .count();
        if records > 0 {
            all.push((name, records as u64));
        }
    }
    let mut update =
        transaction.prepare_cached("UPDATE cursors SET missed = missed + ? WHERE name = ?")?;
    for (name, records) in &all {
        update.execute(params![records.cast_signed(), name])?;
    }
    Ok(all)
}

fn last(connection: &Connection) -> rusqlite::Result<i64> {
    let mut select = connection.prepare_cached("SELECT coalesce(max(sequence), 0) FROM chain")?;
    select.query_row([], |row| row.get(0))
}

/// The first entry that came at `since` or later, or the next one: times never go back on the chain.
fn first_at(connection: &Connection, since: Wall) -> rusqlite::Result<i64> {
    let mut at = connection.prepare_cached(
        "SELECT sequence, at FROM chain WHERE sequence >= ? ORDER BY sequence LIMIT 1",
    )?;
    let (mut low, mut high) = (1, last(connection)? + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let (found, came): (i64, i64) =
            at.query_row([middle], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if came < since.0 {
            low = found + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
