//! The database as a command sees it, beside a gateway or without one.

use std::path::Path;

use ::audit::{KeyId, Sealer};
use domain::Wall;
use rusqlite::params;

use super::database::{Database, Row, number};
use super::{PURGE_AAD, codec, head_aad};
use crate::{CacheError, Entry, EntryId, Purged, Selection, Vector};

const AT_ONCE: usize = 256;

/// A cache on disk. Blocks.
#[derive(Debug)]
pub struct Beside {
    database: Database,
}

/// What can be said without a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub entries: u64,
    pub answer_bytes: u64,
    /// Of the pages in use.
    pub file_bytes: u64,
    pub oldest: Option<Wall>,
    pub newest: Option<Wall>,
    /// Of `entries`: over, and yet to be removed.
    pub expired: u64,
    /// Asked for, and not applied by a gateway yet.
    pub purges_waiting: u64,
}

/// An entry on disk.
#[derive(Debug)]
pub enum Listed {
    /// All but its answer, and its vector. Boxed, because it is large.
    Readable(Box<(Entry, Option<Vector>)>),
    /// Its key is destroyed, or a byte of it was changed.
    Unreadable(EntryId),
}

impl Beside {
    /// `None` if there is no cache in this directory.
    pub fn open(dir: &Path) -> Result<Option<Self>, CacheError> {
        let database = Database::open_existing(dir).map_err(CacheError::Disk)?;
        Ok(database.map(|database| Self { database }))
    }

    pub fn stats(&self, now: Wall) -> Result<Stats, CacheError> {
        let read = || -> rusqlite::Result<Stats> {
            let connection = &self.database.connection;
            let select = "SELECT count(*), coalesce(sum(answer_bytes), 0), min(stored_at), max(stored_at), count(*) FILTER (WHERE expires_at <= ?) FROM entries";
            let stats = connection.query_row(select, [now.0], |row| {
                Ok(Stats {
                    entries: number(row, 0)?,
                    answer_bytes: number(row, 1)?,
                    oldest: row.get::<_, Option<i64>>(2)?.map(Wall),
                    newest: row.get::<_, Option<i64>>(3)?.map(Wall),
                    expired: number(row, 4)?,
                    ..Stats::default()
                })
            })?;
            Ok(Stats {
                file_bytes: self.database.bytes()?,
                purges_waiting: connection
                    .query_row("SELECT count(*) FROM purges", [], |row| number(row, 0))?,
                ..stats
            })
        };
        read().map_err(|error| self.faulty(&error))
    }

    /// Every entry, the newest first, some at a time: a gateway beside is not held up.
    pub fn each(
        &self,
        sealer: &Sealer,
        mut each: impl FnMut(Listed) -> Result<(), CacheError>,
    ) -> Result<(), CacheError> {
        let mut before = u64::MAX;
        loop {
            let rows = self
                .database
                .rows(before, AT_ONCE)
                .map_err(|error| self.faulty(&error))?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            before = last.id.0;
            for row in rows {
                each(listed(row, sealer)?)?;
            }
        }
    }

    /// Removes what is selected, and what nobody can read any more. A gateway that is running forgets it
    /// within a second or two, whatever of it is not written yet too. Stored later than `now` stays.
    pub fn purge(
        &mut self,
        sealer: &Sealer,
        what: &Selection,
        now: Wall,
    ) -> Result<Purged, CacheError> {
        let until = Wall(now.0.saturating_add(1));
        let what = Selection {
            stored_before: Some(what.stored_before.map_or(until, |before| before.min(until))),
            ..what.clone()
        };
        let mut purged = Purged::default();
        let mut ids = Vec::new();
        self.each(sealer, |listed| {
            match listed {
                Listed::Readable(readable) => {
                    let (entry, _) = &*readable;
                    if what.holds(entry) {
                        purged.add(entry);
                        ids.push(entry.id);
                    }
                }
                Listed::Unreadable(id) => ids.push(id),
            }
            Ok(())
        })?;
        for some in ids.chunks(AT_ONCE) {
            self.delete(some).map_err(|error| self.faulty(&error))?;
        }
        // Last: a gateway that is still reading what is on disk must not bring back what it has just forgotten.
        let mut sealed = codec::put_selection(&what);
        let key = sealer.seal_own(&mut sealed, PURGE_AAD)?;
        self.ask(key, &sealed, now)
            .map_err(|error| self.faulty(&error))?;
        Ok(purged)
    }

    fn delete(&self, ids: &[EntryId]) -> rusqlite::Result<()> {
        let transaction = self.database.begin()?;
        for id in ids {
            self.database.delete(*id)?;
        }
        transaction.commit()
    }

    fn ask(&self, key: KeyId, sealed: &[u8], now: Wall) -> rusqlite::Result<()> {
        let insert = "INSERT INTO purges (at, sealed_by, selection) VALUES (?, ?, ?)";
        let values = params![now.0, key.0.cast_signed(), sealed];
        self.database.connection.execute(insert, values)?;
        Ok(())
    }

    fn faulty(&self, error: &rusqlite::Error) -> CacheError {
        CacheError::Disk(format!(
            "cannot use the cache's database {}: {error}",
            self.database.path().display()
        ))
    }
}

fn listed(mut row: Row, sealer: &Sealer) -> Result<Listed, CacheError> {
    let id = row.id;
    let plain = sealer.open(row.sealed_by, &mut row.head, &head_aad(id))?;
    let head = plain.and_then(|plain| codec::read_head(plain, |name| name.into()).ok());
    Ok(match head {
        Some(head) => Listed::Readable(Box::new(Entry::from_head(id, head))),
        None => Listed::Unreadable(id),
    })
}
