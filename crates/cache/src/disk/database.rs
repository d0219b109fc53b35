//! The cache's database: heads and answers apart, so that a start reads the one without the other. Everything
//! but ids, times, lengths and what was observed is sealed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ::audit::KeyId;
use ::disk::private;
use domain::Wall;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};

use crate::EntryId;

pub const FILE: &str = "cache.db";
const DAMAGED: &str = "cache.db.damaged";
const VERSION: i64 = 1;
/// What the file may have beside its pages in use: those that are free, and a transaction's worth.
const SLACK_PAGES: u64 = 4_096;
const CHECKPOINT_PAGES: i64 = 1_000;
/// A command beside a gateway, and the gateway beside it.
const BUSY: Duration = Duration::from_secs(5);

const SCHEMA: &str = "
    CREATE TABLE entries (
        id INTEGER PRIMARY KEY,
        -- The key that sealed it: once that is destroyed nobody can read it.
        sealed_by INTEGER NOT NULL,
        stored_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        used_at INTEGER NOT NULL,
        answer_bytes INTEGER NOT NULL,
        head BLOB NOT NULL
    );
    CREATE INDEX entries_expires ON entries (expires_at);
    CREATE INDEX entries_used ON entries (used_at);
    CREATE INDEX entries_key ON entries (sealed_by);
    CREATE TABLE answers (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
    CREATE TABLE seen (id INTEGER PRIMARY KEY, observations BLOB NOT NULL);
    -- Asked for by a command, until a gateway has applied them to its memory.
    CREATE TABLE purges (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        sealed_by INTEGER NOT NULL,
        selection BLOB NOT NULL
    );
    PRAGMA user_version = 1;
";

#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) connection: Connection,
    path: PathBuf,
}

/// Of an entry on disk, without its answer.
pub(crate) struct Row {
    pub(crate) id: EntryId,
    pub(crate) sealed_by: KeyId,
    pub(crate) expires_at: Wall,
    pub(crate) head: Vec<u8>,
    pub(crate) observations: Option<Vec<u8>>,
}

/// To be written.
pub(crate) struct NewRow<'r> {
    pub(crate) id: EntryId,
    pub(crate) sealed_by: KeyId,
    pub(crate) stored_at: Wall,
    pub(crate) expires_at: Wall,
    pub(crate) answer_bytes: u64,
    pub(crate) head: &'r [u8],
    pub(crate) answer: &'r [u8],
}

impl Database {
    /// Makes it if there is none; one that cannot be read is set aside, and the next one begins empty.
    pub(crate) fn open(dir: &Path, bytes_max: u64) -> Result<Self, String> {
        let path = dir.join(FILE);
        let failed = |error: &dyn std::fmt::Display| {
            format!(
                "cannot use the cache's database {}: {error}",
                path.display()
            )
        };
        private::create_directory(dir).map_err(|error| failed(&error))?;
        private::open(&path).map_err(|error| failed(&error))?;
        match Self::try_open(&path, bytes_max) {
            Ok(connection) => Ok(Self { connection, path }),
            Err(error) if is_damaged(&error) => {
                set_aside(dir).map_err(|error| failed(&error))?;
                private::open(&path).map_err(|error| failed(&error))?;
                let connection =
                    Self::try_open(&path, bytes_max).map_err(|error| failed(&error))?;
                Ok(Self { connection, path })
            }
            Err(error) => Err(failed(&error)),
        }
    }

    /// For a command. `None` if there is no database yet.
    pub(crate) fn open_existing(dir: &Path) -> Result<Option<Self>, String> {
        let path = dir.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            connection.busy_timeout(BUSY)?;
            check_version(&connection)?;
            Ok(connection)
        };
        match open() {
            Ok(connection) => Ok(Some(Self { connection, path })),
            Err(error) => Err(format!(
                "cannot use the cache's database {}: {error}",
                path.display()
            )),
        }
    }

    fn try_open(path: &Path, bytes_max: u64) -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.busy_timeout(BUSY)?;
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version == 0 {
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        }
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // Written over and over, and of no worth beyond what it holds: a power loss may lose the last entries.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        connection.pragma_update(None, "journal_size_limit", CHECKPOINT_PAGES * 4_096)?;
        if version == 0 {
            let transaction = connection.unchecked_transaction()?;
            transaction.execute_batch(SCHEMA)?;
            transaction.commit()?;
        }
        check_version(&connection)?;
        let page: u64 = connection.query_row("PRAGMA page_size", [], |row| number(row, 0))?;
        let pages = bytes_max / page.max(1) + SLACK_PAGES;
        let pages = i64::try_from(pages)
            .unwrap_or(i64::MAX)
            .min(i64::from(u32::MAX) - 2);
        connection.pragma_update(None, "max_page_count", pages)?;
        // What reads every page there is would take minutes; this reads the roots.
        connection.query_row(
            "SELECT count(*) FROM (SELECT id FROM entries LIMIT 1)",
            [],
            |_| Ok(()),
        )?;
        Ok(connection)
    }

    /// The file, its pages in use.
    pub(crate) fn bytes(&self) -> rusqlite::Result<u64> {
        let pragma = |name: &str| -> rusqlite::Result<u64> {
            self.connection
                .query_row(&format!("PRAGMA {name}"), [], |row| number(row, 0))
        };
        let used = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
        Ok(used * pragma("page_size")?)
    }

    /// Another number once another connection has written.
    pub(crate) fn version(&self) -> rusqlite::Result<i64> {
        self.connection
            .query_row("PRAGMA data_version", [], |row| row.get(0))
    }

    pub(crate) fn max_id(&self) -> rusqlite::Result<u64> {
        let max: Option<i64> =
            self.connection
                .query_row("SELECT max(id) FROM entries", [], |row| row.get(0))?;
        Ok(max.unwrap_or(0).cast_unsigned())
    }

    pub(crate) fn insert(&self, row: &NewRow<'_>) -> rusqlite::Result<()> {
        let insert = "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)";
        self.connection.prepare_cached(insert)?.execute(params![
            row.id.0.cast_signed(),
            row.sealed_by.0.cast_signed(),
            row.stored_at.0,
            row.expires_at.0,
            row.stored_at.0,
            row.answer_bytes.cast_signed(),
            row.head,
        ])?;
        let insert = "INSERT OR REPLACE INTO answers VALUES (?, ?)";
        self.connection
            .prepare_cached(insert)?
            .execute(params![row.id.0.cast_signed(), row.answer])?;
        Ok(())
    }

    pub(crate) fn delete(&self, id: EntryId) -> rusqlite::Result<()> {
        for delete in [
            "DELETE FROM entries WHERE id = ?",
            "DELETE FROM answers WHERE id = ?",
            "DELETE FROM seen WHERE id = ?",
        ] {
            self.connection
                .prepare_cached(delete)?
                .execute([id.0.cast_signed()])?;
        }
        Ok(())
    }

    pub(crate) fn set_seen(&self, id: EntryId, observations: &[u8]) -> rusqlite::Result<()> {
        let insert = "INSERT OR REPLACE INTO seen SELECT id, ?2 FROM entries WHERE id = ?1";
        self.connection
            .prepare_cached(insert)?
            .execute(params![id.0.cast_signed(), observations])?;
        Ok(())
    }

    pub(crate) fn set_used(&self, id: EntryId, at: Wall) -> rusqlite::Result<()> {
        let update = "UPDATE entries SET used_at = ? WHERE id = ?";
        self.connection
            .prepare_cached(update)?
            .execute(params![at.0, id.0.cast_signed()])?;
        Ok(())
    }

    /// The newest below `before`.
    pub(crate) fn rows(&self, before: u64, at_most: usize) -> rusqlite::Result<Vec<Row>> {
        let select = "
            SELECT entries.id, sealed_by, expires_at, head, observations
            FROM entries LEFT JOIN seen ON seen.id = entries.id
            WHERE entries.id < ? ORDER BY entries.id DESC LIMIT ?";
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        let mut select = self.connection.prepare_cached(select)?;
        let rows = select.query_map(params![before, at_most as i64], |row| {
            Ok(Row {
                id: EntryId(number(row, 0)?),
                sealed_by: KeyId(number(row, 1)?),
                expires_at: Wall(row.get(2)?),
                head: row.get(3)?,
                observations: row.get(4)?,
            })
        })?;
        rows.collect()
    }

    pub(crate) fn ids(
        &self,
        select: &str,
        values: impl rusqlite::Params,
    ) -> rusqlite::Result<Vec<EntryId>> {
        let mut select = self.connection.prepare_cached(select)?;
        let rows = select.query_map(values, |row| {
            Ok(EntryId(row.get::<_, i64>(0)?.cast_unsigned()))
        })?;
        rows.collect()
    }

    pub(crate) fn keys(&self) -> rusqlite::Result<Vec<KeyId>> {
        let mut select = self
            .connection
            .prepare_cached("SELECT DISTINCT sealed_by FROM entries")?;
        let rows = select.query_map([], |row| Ok(KeyId(row.get::<_, i64>(0)?.cast_unsigned())))?;
        rows.collect()
    }

    /// The key that sealed it, and its bytes.
    pub(crate) fn answer(
        connection: &Connection,
        id: EntryId,
    ) -> rusqlite::Result<Option<(KeyId, Vec<u8>)>> {
        let select = "SELECT sealed_by, sealed FROM answers JOIN entries USING (id) WHERE id = ?";
        connection
            .prepare_cached(select)?
            .query_row([id.0.cast_signed()], |row| {
                Ok((KeyId(row.get::<_, i64>(0)?.cast_unsigned()), row.get(1)?))
            })
            .optional()
    }

    /// Pages that are free go back to the file system, some at a time.
    pub(crate) fn give_back_pages(&self) -> rusqlite::Result<()> {
        let mut vacuum = self
            .connection
            .prepare_cached("PRAGMA incremental_vacuum(256)")?;
        let mut rows = vacuum.query([])?;
        while rows.next()?.is_some() {}
        Ok(())
    }

    pub(crate) fn begin(&self) -> rusqlite::Result<rusqlite::Transaction<'_>> {
        rusqlite::Transaction::new_unchecked(
            &self.connection,
            rusqlite::TransactionBehavior::Immediate,
        )
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// One that another version of this program made is as unreadable as a damaged one.
fn check_version(connection: &Connection) -> rusqlite::Result<()> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == VERSION {
        return Ok(());
    }
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_NOTADB);
    let text = format!("it is of version {version}, and this program knows version {VERSION}");
    Err(rusqlite::Error::SqliteFailure(code, Some(text)))
}

/// As opposed to a disk that is full or slow.
pub(crate) fn is_damaged(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// Under another name, in place of what was set aside before: one at most.
pub(crate) fn set_aside(dir: &Path) -> std::io::Result<()> {
    tracing::error!(
        file = %dir.join(FILE).display(),
        "the cache's database cannot be read: it is set aside, and the cache begins anew"
    );
    for beside in ["cache.db-wal", "cache.db-shm"] {
        match std::fs::remove_file(dir.join(beside)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    std::fs::rename(dir.join(FILE), dir.join(DAMAGED))
}

/// SQLite's numbers have a sign; ours never use it.
pub(crate) fn number(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(at).map(i64::cast_unsigned)
}
