//! Records in the order of the chain, for those who send them elsewhere.
//!
//! A follower's cursor stands in the log's own file: whatever undoes the last commits undoes both. What
//! is gone by the time a follower comes to it has no content any more.

use domain::Wall;
use rusqlite::{OptionalExtension, params};

use super::Archive;
use super::search::{Looked, ROW, Row, open};
use crate::AuditError;
use crate::database::Failed;
use crate::query::{Found, Scope, State};

/// One reader of the log, by name.
#[derive(Debug)]
pub struct Follower {
    archive: Archive,
    name: String,
    /// Up to this entry, everything was passed.
    passed: u64,
    scope: Scope,
    /// Whether content is opened: metadata alone leaves otherwise.
    with_content: bool,
}

/// What a follower has yet to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Entries of the chain, of all kinds.
    pub entries: u64,
    /// When the oldest of them came.
    pub oldest: Option<Wall>,
}

impl Follower {
    /// Goes on where the follower of that name stopped; a new one begins with the next record, or with
    /// the oldest.
    pub fn open(
        archive: Archive,
        name: &str,
        from_start: bool,
        scope: Scope,
        with_content: bool,
        now: Wall,
    ) -> Result<Self, AuditError> {
        let connection = &archive.database.connection;
        let begin = || -> rusqlite::Result<i64> {
            let start = if from_start {
                "0"
            } else {
                "(SELECT coalesce(max(sequence), 0) FROM chain)"
            };
            connection.execute(
                &format!("INSERT INTO cursors (name, sequence, moved_at) VALUES (?, {start}, ?) ON CONFLICT DO NOTHING"),
                params![name, now.0],
            )?;
            connection.query_row(
                "SELECT sequence FROM cursors WHERE name = ?",
                [name],
                |row| row.get(0),
            )
        };
        let passed = begin()
            .map_err(|error| archive.database.faulty(&error))?
            .cast_unsigned();
        Ok(Self {
            name: name.to_owned(),
            passed,
            scope,
            with_content,
            archive,
        })
    }

    /// Up to `max` records, oldest first. The same ones until they are passed.
    pub fn next(&mut self, max: usize) -> Result<Vec<Found>, AuditError> {
        let dir = self.archive.settings.dir.clone();
        self.read(max).map_err(|failed| failed.in_dir(&dir))
    }

    fn read(&mut self, max: usize) -> Result<Vec<Found>, Failed> {
        let Archive {
            database,
            contents,
            keyring,
            ..
        } = &mut self.archive;
        let select = format!("SELECT {ROW} FROM chain WHERE sequence > ? ORDER BY sequence");
        let mut select = database.connection.prepare_cached(&select)?;
        let mut rows = select.query([self.passed.cast_signed()])?;
        let mut found = Vec::new();
        while found.len() < max {
            let Some(row) = rows.next()? else { break };
            let Some(row) = Row::read(row)? else { continue };
            if !self.scope.holds(row.skeleton.subscription.as_str()) {
                continue;
            }
            let content = if self.with_content {
                match open(keyring, contents, &row, |_| true)? {
                    Looked::Is(content) => State::Here(content),
                    Looked::Not(state) => state,
                    Looked::Other => State::Unreadable,
                }
            } else {
                State::Closed
            };
            let Row {
                sequence, skeleton, ..
            } = row;
            found.push(Found {
                sequence,
                skeleton,
                content,
            });
        }
        Ok(found)
    }

    /// After these and all before them were taken.
    pub fn pass(&mut self, sequence: u64, now: Wall) -> Result<(), AuditError> {
        self.passed = self.passed.max(sequence);
        let database = &self.archive.database;
        database
            .connection
            .execute(
                "UPDATE cursors SET sequence = ?, moved_at = ? WHERE name = ? AND sequence < ?1",
                params![sequence.cast_signed(), now.0, self.name],
            )
            .map(drop)
            .map_err(|error| database.faulty(&error))
    }

    pub fn lag(&self) -> Result<Lag, AuditError> {
        let database = &self.archive.database;
        let read = || -> rusqlite::Result<Lag> {
            let passed = self.passed.cast_signed();
            let last: i64 = database.connection.query_row(
                "SELECT coalesce(max(sequence), 0) FROM chain",
                [],
                |row| row.get(0),
            )?;
            let oldest = database
                .connection
                .query_row(
                    "SELECT at FROM chain WHERE sequence = ?",
                    [passed + 1],
                    |row| row.get(0),
                )
                .optional()?;
            Ok(Lag {
                entries: (last - passed).max(0).cast_unsigned(),
                oldest: oldest.map(Wall),
            })
        };
        read().map_err(|error| database.faulty(&error))
    }

    /// For entries of its own: that copies left.
    pub fn archive(&mut self) -> &mut Archive {
        &mut self.archive
    }
}
