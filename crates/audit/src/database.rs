//! The log's database: the chain, where contents are, and what is derived from them.
//!
//! Everything that the chain's hashes cover is in `at`, `header`, `content_hash` and `sealed`; the
//! other columns say where things are, and `verify` holds them against the chain.

use std::path::{Path, PathBuf};
use std::time::Duration;

use disk::private;
use domain::Wall;
use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params,
};

use crate::AuditError;
use crate::chain::{Hash, Link, content_hash, genesis};
use crate::event::{Details, Event};
use crate::head::Head;
use crate::keys::{DataKey, Keyring};

const FILE: &str = "audit.sqlite";
/// Of a new one. What a page costs besides its bytes, four calls of the system among it, is paid for some
/// thirty entries; an older database keeps its own.
const PAGE_BYTES: i64 = 16_384;
const CHECKPOINT_BYTES: i64 = 16 * 1024 * 1024;
const VERSION: i64 = 5;
/// What sinks missed, and rotations that a kill could cut short.
const TO_THIRD: &str = "
    -- `generation` grows when somebody else moves a cursor. `missed`: records whose content went before
    -- a follower that wants `content` had taken it.
    ALTER TABLE cursors ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE cursors ADD COLUMN content INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE cursors ADD COLUMN missed INTEGER NOT NULL DEFAULT 0;
    -- Entries of rotations that are under way: on the chain once the key file has the same id.
    CREATE TABLE rotations (id INTEGER PRIMARY KEY, header BLOB NOT NULL, sealed BLOB);
";
/// Filters of earlier versions told words by other hashes or bits: they are built anew from the contents.
const TO_FIFTH: &str = "DELETE FROM filters; UPDATE state SET indexed = 0;";
const SCHEMA: &str = "
    -- `at` never goes back. `sealed`: the details of an event; a record's content is at its place in a
    -- segment, until the entry `gone_by` says that it is gone.
    CREATE TABLE chain (
        sequence INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        header BLOB NOT NULL,
        content_hash BLOB NOT NULL,
        hash BLOB NOT NULL,
        segment INTEGER,
        offset INTEGER,
        length INTEGER,
        gone_by INTEGER,
        sealed BLOB
    );
    -- What a purge looks at: `expires` is when the first content that is left may go.
    CREATE TABLE segments (
        number INTEGER PRIMARY KEY,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        expires INTEGER
    );
    -- Which words records hold, for searches: sealed under the records' own keys.
    CREATE TABLE filters (
        id INTEGER PRIMARY KEY,
        key INTEGER NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        sealed BLOB NOT NULL
    );
    CREATE INDEX filters_last ON filters (last);
    CREATE TABLE holds (
        sequence INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        hold BLOB NOT NULL,
        released_by INTEGER
    );
    -- Erasures on the chain whose keys may not all be overwritten yet.
    CREATE TABLE erasures (sequence INTEGER PRIMARY KEY);
    CREATE TABLE cursors (
        name TEXT PRIMARY KEY,
        sequence INTEGER NOT NULL,
        moved_at INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE state (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        segment INTEGER NOT NULL,
        offset INTEGER NOT NULL,
        indexed INTEGER NOT NULL,
        head INTEGER NOT NULL,
        head_at INTEGER NOT NULL
    );
    INSERT INTO state VALUES (1, 0, 0, 0, 0, 0);
";

#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) connection: Connection,
    dir: PathBuf,
}

/// How far the log's own work has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Frames before this are on the chain.
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    /// Entries up to this are in `filters`.
    pub(crate) indexed: u64,
    /// The newest head on the chain, and when it was signed.
    pub(crate) head: u64,
    pub(crate) head_at: Wall,
}

/// The chain's end. Read and moved within one transaction, so that processes take turns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tip {
    pub(crate) sequence: u64,
    pub(crate) hash: Hash,
    pub(crate) at: Wall,
}

/// What an entry that is no record has besides its header.
enum Body<'a> {
    Sealed(&'a [u8]),
    Nothing,
}

impl Database {
    /// Makes what is not there.
    pub(crate) fn open(dir: &Path) -> Result<Self, AuditError> {
        let path = dir.join(FILE);
        private::open(&path).map_err(|error| unusable(dir, &error))?;
        Self::set_up(dir, Connection::open(&path))
    }

    /// Refuses a directory without a log.
    pub(crate) fn open_existing(dir: &Path) -> Result<Self, AuditError> {
        let path = dir.join(FILE);
        if !path.exists() {
            return Err(AuditError::NotFound(format!(
                "there is no audit log in {}",
                dir.display()
            )));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self::set_up(dir, Connection::open_with_flags(&path, flags))
    }

    fn set_up(dir: &Path, connection: rusqlite::Result<Connection>) -> Result<Self, AuditError> {
        let set_up = |connection: &mut Connection| -> rusqlite::Result<i64> {
            connection.busy_timeout(Duration::from_secs(10))?;
            connection.pragma_update(None, "page_size", PAGE_BYTES)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            let page_bytes: i64 =
                connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
            let pages = CHECKPOINT_BYTES / page_bytes.max(1);
            connection.pragma_update(None, "wal_autocheckpoint", pages)?;
            // Filters and sealed details that were deleted are overwritten.
            connection.pragma_update(None, "secure_delete", "ON")?;
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let version: i64 =
                transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
            if version == 0 {
                transaction.execute_batch(SCHEMA)?;
            }
            if version < 3 {
                transaction.execute_batch(TO_THIRD)?;
            }
            if version < 5 {
                transaction.execute_batch(TO_FIFTH)?;
            }
            if version < VERSION {
                transaction.pragma_update(None, "user_version", VERSION)?;
            }
            transaction.commit()?;
            Ok(version.max(VERSION))
        };
        let mut connection = connection.map_err(|error| unusable(dir, &error))?;
        let version = set_up(&mut connection).map_err(|error| unusable(dir, &error))?;
        if version > VERSION {
            return Err(unusable(dir, &"it was written by a newer version"));
        }
        Ok(Self {
            connection,
            dir: dir.to_owned(),
        })
    }

    pub(crate) fn begin(&mut self) -> Result<Transaction<'_>, AuditError> {
        let dir = &self.dir;
        self.connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| unusable(dir, &error))
    }

    /// Whether a commit waits for the platter. Without, a power loss may undo the newest; records are
    /// then chained again from their segments.
    pub(crate) fn wait_for_platter(&self, waits: bool) -> rusqlite::Result<()> {
        let mode = if waits { "FULL" } else { "NORMAL" };
        self.connection.pragma_update(None, "synchronous", mode)
    }

    /// Nothing that was overwritten stays in the write-ahead log.
    pub(crate) fn empty_wal(&self) -> rusqlite::Result<()> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    pub(crate) fn faulty(&self, error: &rusqlite::Error) -> AuditError {
        unusable(&self.dir, error)
    }
}

/// For a look that must change nothing, not the layout of an earlier version either. `None` if there is no
/// log, or it cannot be read.
pub(crate) fn read_only(dir: &Path) -> Option<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(dir.join(FILE), flags).ok()?;
    connection.busy_timeout(Duration::from_secs(1)).ok()?;
    Some(connection)
}

pub(crate) fn unusable(dir: &Path, error: &dyn std::fmt::Display) -> AuditError {
    AuditError::Store(format!(
        "cannot use the audit log in {}: {error}",
        dir.display()
    ))
}

impl State {
    pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let select = "SELECT segment, offset, indexed, head, head_at FROM state";
        connection.prepare_cached(select)?.query_row([], |row| {
            let number = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
            Ok(Self {
                segment: number(0)?,
                offset: number(1)?,
                indexed: number(2)?,
                head: number(3)?,
                head_at: Wall(row.get(4)?),
            })
        })
    }

    pub(crate) fn write(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let Self {
            segment,
            offset,
            indexed,
            head,
            head_at,
        } = *self;
        transaction
            .prepare_cached(
                "UPDATE state SET segment = ?, offset = ?, indexed = ?, head = ?, head_at = ?",
            )?
            .execute(params![
                segment.cast_signed(),
                offset.cast_signed(),
                indexed.cast_signed(),
                head.cast_signed(),
                head_at.0
            ])?;
        Ok(())
    }
}

impl Tip {
    pub(crate) fn read(connection: &Connection, store: &[u8; 16]) -> rusqlite::Result<Self> {
        let select = "SELECT sequence, hash, at FROM chain ORDER BY sequence DESC LIMIT 1";
        let tip = connection
            .prepare_cached(select)?
            .query_row([], |row| {
                Ok(Self {
                    sequence: row.get::<_, i64>(0)?.cast_unsigned(),
                    hash: row.get(1)?,
                    at: Wall(row.get(2)?),
                })
            })
            .optional()?;
        Ok(tip.unwrap_or(Self {
            sequence: 0,
            hash: genesis(store),
            at: Wall(0),
        }))
    }

    fn append(
        &mut self,
        transaction: &Transaction<'_>,
        at: Wall,
        header: &[u8],
        body: &Body<'_>,
    ) -> rusqlite::Result<()> {
        let (content_hash, sealed) = match body {
            Body::Sealed(sealed) => (content_hash(sealed), Some(*sealed)),
            Body::Nothing => (content_hash(b""), None),
        };
        self.link(at, header, &content_hash);
        let insert = "INSERT INTO chain (sequence, at, header, content_hash, hash, sealed) VALUES (?, ?, ?, ?, ?, ?)";
        transaction.prepare_cached(insert)?.execute(params![
            self.sequence.cast_signed(),
            self.at.0,
            header,
            content_hash,
            self.hash,
            sealed,
        ])?;
        Ok(())
    }

    /// The chain's end after one entry more, which the caller writes.
    pub(crate) fn link(&mut self, at: Wall, header: &[u8], content_hash: &Hash) {
        self.at = self.at.max(at);
        self.sequence += 1;
        self.hash = Link {
            previous: &self.hash,
            sequence: self.sequence,
            at: self.at.0,
            header,
            content_hash,
        }
        .hash();
    }

    /// With who and why sealed under the log's key.
    pub(crate) fn append_event(
        &mut self,
        transaction: &Transaction<'_>,
        at: Wall,
        event: &Event,
        details: Option<(&DataKey, &Details)>,
    ) -> Result<(), Failed> {
        let header = event.to_header();
        let sealed = details
            .map(|(key, details)| details.sealed(key, &header))
            .transpose()?;
        self.append_sealed(transaction, at, &header, sealed.as_deref())?;
        Ok(())
    }

    /// As `append_event`, of what was put into bytes before.
    pub(crate) fn append_sealed(
        &mut self,
        transaction: &Transaction<'_>,
        at: Wall,
        header: &[u8],
        sealed: Option<&[u8]>,
    ) -> rusqlite::Result<()> {
        let body = sealed.map_or(Body::Nothing, Body::Sealed);
        self.append(transaction, at, header, &body)
    }

    /// Signs what the chain has come to. The caller tells the witnesses once it is committed.
    pub(crate) fn append_head(
        &mut self,
        transaction: &Transaction<'_>,
        keyring: &Keyring,
        at: Wall,
    ) -> Result<Head, Failed> {
        let store = keyring.store();
        let at = self.at.max(at);
        let message = Head::message(&store, self.sequence, &self.hash, at);
        let head = Head {
            store,
            sequence: self.sequence,
            hash: self.hash,
            at,
            signature: keyring.sign(message.as_bytes())?,
        };
        self.append_event(transaction, at, &Event::Head(head.clone()), None)?;
        let mut state = State::read(transaction)?;
        state.head = self.sequence;
        state.head_at = at;
        state.write(transaction)?;
        Ok(head)
    }
}

/// Either side of a transaction can fail.
#[derive(Debug)]
pub(crate) enum Failed {
    Database(rusqlite::Error),
    Other(AuditError),
}

impl Failed {
    pub(crate) fn in_dir(self, dir: &Path) -> AuditError {
        match self {
            Self::Database(error) => unusable(dir, &error),
            Self::Other(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<AuditError> for Failed {
    fn from(error: AuditError) -> Self {
        Self::Other(error)
    }
}
