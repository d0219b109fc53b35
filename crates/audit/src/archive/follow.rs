//! Records in the order of the chain, for those who send them elsewhere.
//!
//! A follower's cursor stands in the log's own file: whatever undoes the last commits undoes both. What
//! is gone by the time a follower comes to it has no content any more.

use domain::Wall;

use super::Archive;
use super::cursors::{self, Lag, Position};
use super::search::{Looked, ROW, Row, open};
use crate::AuditError;
use crate::database::Failed;
use crate::query::{Found, Scope, State};

/// One reader of the log, by name.
#[derive(Debug)]
pub struct Follower {
    archive: Archive,
    name: String,
    position: Position,
    /// Up to this entry there is no record that was not passed.
    looked_to: u64,
    was_moved: bool,
    /// By this process, or found so.
    moved_at: Wall,
    scope: Scope,
    /// Whether content is opened: metadata alone leaves otherwise.
    with_content: bool,
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
        let position = cursors::begin(connection, name, from_start, with_content, now)
            .map_err(|error| archive.database.faulty(&error))?;
        Ok(Self {
            name: name.to_owned(),
            looked_to: position.passed,
            position,
            was_moved: false,
            moved_at: now,
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
        self.notice_moves()?;
        let Archive {
            database,
            contents,
            keyring,
            ..
        } = &mut self.archive;
        let select = format!("SELECT {ROW} FROM chain WHERE sequence > ? ORDER BY sequence");
        let mut select = database.connection.prepare_cached(&select)?;
        let mut rows = select.query([self.looked_to.cast_signed()])?;
        let mut found = Vec::new();
        while found.len() < max {
            let Some(row) = rows.next()? else { break };
            let sequence = row.get::<_, i64>(0)?.cast_unsigned();
            let row = Row::read(row)?;
            let row = row.filter(|row| self.scope.holds(row.skeleton.subscription.as_str()));
            let Some(row) = row else {
                if found.is_empty() {
                    self.looked_to = sequence;
                }
                continue;
            };
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
        self.position.passed = self.position.passed.max(sequence);
        self.looked_to = self.looked_to.max(sequence);
        self.moved_at = now;
        let database = &self.archive.database;
        cursors::advance(&database.connection, &self.name, self.position, now)
            .map_err(|error| database.faulty(&error))
    }

    pub fn lag(&mut self) -> Result<Lag, AuditError> {
        let lag = |follower: &mut Self| {
            follower.notice_moves()?;
            let connection = &follower.archive.database.connection;
            cursors::lag(connection, &follower.name, follower.looked_to)
        };
        lag(self).map_err(|error| self.archive.database.faulty(&error))
    }

    /// Whether somebody had it read again what it had passed, and nobody has noted that yet.
    pub fn was_moved(&self) -> bool {
        self.was_moved
    }

    /// An entry of the log says so.
    pub fn move_is_noted(&mut self) {
        self.was_moved = false;
    }

    /// Somebody rewound it, or had it forgotten while it was in use.
    fn notice_moves(&mut self) -> rusqlite::Result<()> {
        let connection = &self.archive.database.connection;
        match cursors::position(connection, &self.name)? {
            Some(stored) if stored.generation != self.position.generation => {
                self.position = stored;
                self.looked_to = stored.passed;
                self.was_moved = true;
            }
            Some(_) => {}
            None => {
                self.position.generation = 0;
                let (passed, content) = (self.position.passed, self.with_content);
                cursors::insert(connection, &self.name, passed, content, self.moved_at)?;
            }
        }
        Ok(())
    }

    /// For entries of its own: that copies left.
    pub fn archive(&mut self) -> &mut Archive {
        &mut self.archive
    }
}
