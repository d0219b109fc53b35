//! What people do with a log: look into it, hold, erase, purge, verify. Each leaves its entry.
//!
//! Blocks: use it on a thread that may. Several may be open at once, in the gateway and in commands
//! beside it: entries take turns by the database's lock.

use std::sync::Arc;

use disk::Lock;
use domain::Wall;
use rusqlite::Transaction;

use crate::database::{Database, Failed, State, Tip};
use crate::event::{Actor, Details, Entry, Event, Read};
use crate::head::Head;
use crate::keys::{DataKey, Keyring, Keys};
use crate::log::{AuditLog, Settings};
use crate::vault::Contents;
use crate::witness::{heads_path, tell};
use crate::{AuditError, index, rotation, segment};

pub(crate) mod cursors;
pub(crate) mod erase;
pub(crate) mod follow;
pub(crate) mod hold;
mod purge;
mod search;
mod unchained;

pub use erase::Erased;
pub use hold::Placed;
pub use purge::Purged;

#[derive(Debug)]
pub struct Archive {
    pub(crate) settings: Settings,
    pub(crate) database: Database,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) contents: Contents,
    /// Asked for once: making it takes a lock that some steps hold.
    log_key: Arc<DataKey>,
}

impl Archive {
    /// For a command beside a gateway, or without one: what a gateway that died left is then chained
    /// first. Does not rotate keys.
    pub fn open(settings: Settings, keys: Keys, now: Wall) -> Result<Self, AuditError> {
        let database = Database::open_existing(&settings.dir)?;
        let dir = keys.dir.clone();
        let Ok(keyring) = Keyring::open(keys)? else {
            return Err(AuditError::Keys(format!(
                "there is no key file in {}; restore it from its own backup",
                dir.display()
            )));
        };
        let mut archive = Self::with(settings, database, Arc::new(keyring))?;
        archive.finish_rotation(now)?;
        archive.catch_up(now)?;
        Ok(archive)
    }

    /// Of a log that this process writes to.
    pub fn of(log: &AuditLog) -> Result<Self, AuditError> {
        if let Some(fault) = log.displaced() {
            return Err(AuditError::Store(fault));
        }
        let settings = log.settings().clone();
        let database = Database::open_existing(&settings.dir)?;
        let mut archive = Self::with(settings, database, log.keyring())?;
        archive.finish_rotation(log.now())?;
        Ok(archive)
    }

    fn with(
        settings: Settings,
        database: Database,
        keyring: Arc<Keyring>,
    ) -> Result<Self, AuditError> {
        Ok(Self {
            contents: Contents::new(settings.segments_dir()),
            log_key: keyring.of_log()?,
            settings,
            database,
            keyring,
        })
    }

    fn finish_rotation(&mut self, now: Wall) -> Result<(), AuditError> {
        rotation::finish(&mut self.database, &self.keyring, now)
            .map_err(|failed| failed.in_dir(&self.settings.dir))
    }

    /// Chains what a gateway that was killed left, unless one is running.
    fn catch_up(&mut self, now: Wall) -> Result<(), AuditError> {
        let failed =
            |error: &dyn std::fmt::Display| crate::database::unusable(&self.settings.dir, error);
        let lock = Lock::try_take(&self.settings.lock_path()).map_err(|error| failed(&error))?;
        let Some(lock) = lock else { return Ok(()) };
        erase::finish(&mut self.database, &self.keyring)
            .map_err(|failed| failed.in_dir(&self.settings.dir))?;
        tell(&self.database, &self.keyring)?;
        let state = State::read(&self.database.connection).map_err(|error| failed(&error))?;
        let dir = self.settings.segments_dir();
        let mut is_behind = false;
        for number in segment::numbers(&dir).map_err(|error| failed(&error))? {
            let metadata = std::fs::metadata(segment::path_of(&dir, number))
                .map_err(|error| failed(&error))?;
            is_behind |= number > state.segment && metadata.len() > 0
                || number == state.segment && metadata.len() > state.offset;
        }
        if is_behind {
            let database = Database::open_existing(&self.settings.dir)?;
            let keyring = Arc::clone(&self.keyring);
            AuditLog::start(self.settings.clone(), lock, database, keyring, now)?.close(now);
        }
        Ok(())
    }

    /// Some access that is none of this type's own: an export to a file, say.
    pub fn note(
        &mut self,
        read: Read,
        about: &str,
        actor: &Actor,
        now: Wall,
    ) -> Result<u64, AuditError> {
        self.record_event(&Event::Read(read), about, actor, now)
    }

    /// The newest head, signed now if entries have come since. Keep it elsewhere: `verify` holds the
    /// log against it.
    pub fn head(&mut self, now: Wall) -> Result<Head, AuditError> {
        let state =
            State::read(&self.database.connection).map_err(|error| self.database.faulty(&error))?;
        let (store, keyring) = (self.keyring.store(), Arc::clone(&self.keyring));
        let tip = Tip::read(&self.database.connection, &store)
            .map_err(|error| self.database.faulty(&error))?;
        if tip.sequence == state.head {
            let header: Vec<u8> = self
                .database
                .connection
                .query_row(
                    "SELECT header FROM chain WHERE sequence = ?",
                    [tip.sequence.cast_signed()],
                    |row| row.get(0),
                )
                .map_err(|error| self.database.faulty(&error))?;
            if let Ok(Event::Head(head)) = Event::from_header(&header) {
                return Ok(head);
            }
        }
        let signed = (|| -> Result<Head, Failed> {
            self.database.wait_for_platter(true)?;
            let transaction = self.database.begin()?;
            let mut tip = Tip::read(&transaction, &store)?;
            let head = tip.append_head(&transaction, &keyring, now)?;
            transaction.commit()?;
            Ok(head)
        })();
        let head = signed.map_err(|failed| failed.in_dir(&self.settings.dir))?;
        tell(&self.database, &self.keyring)?;
        Ok(head)
    }

    /// When the oldest call began whose content is here.
    pub fn oldest(&self) -> Result<Option<Wall>, AuditError> {
        use rusqlite::OptionalExtension as _;
        let select = "SELECT header FROM chain WHERE segment IS NOT NULL AND gone_by IS NULL ORDER BY sequence LIMIT 1";
        let header: Option<Vec<u8>> = self
            .database
            .connection
            .query_row(select, [], |row| row.get(0))
            .optional()
            .map_err(|error| self.database.faulty(&error))?;
        let event = header.and_then(|header| Event::from_header(&header).ok());
        Ok(match event {
            Some(Event::Record(skeleton)) => Some(skeleton.at),
            _ => None,
        })
    }

    /// What heads are checked with, by those who have nothing else of the log.
    pub fn public_key(&self) -> [u8; 32] {
        self.keyring.public_key()
    }

    /// Of the store, as it was made.
    pub fn region(&self) -> &str {
        &self.settings.region
    }

    /// Wraps the data keys anew, under a new root that the current key-encryption key wraps. Records
    /// stay as they are. A gateway that runs meanwhile must know that key too: until it
    /// is restarted with it, it can seal nothing.
    pub fn rotate(&mut self, actor: &Actor, now: Wall) -> Result<(), AuditError> {
        let details = Details {
            actor: actor.clone(),
            about: String::new(),
        };
        let sealed_by = Some((&*self.log_key, &details));
        rotation::rotate(&mut self.database, &self.keyring, sealed_by, now)
            .map_err(|failed| failed.in_dir(&self.settings.dir))
    }

    /// Builds the search index anew. The gateway does it piece by piece; without one, searches read
    /// everything until it runs.
    pub fn reindex(&mut self) -> Result<(), AuditError> {
        index::reset(&self.database.connection).map_err(|error| self.database.faulty(&error))?;
        let tail = self.settings.index_tail;
        while index::build(&mut self.database, &mut self.contents, &self.keyring, tail)
            .map_err(|failed| failed.in_dir(&self.settings.dir))?
        {}
        Ok(())
    }

    /// Entries that are no records, newest first: who read, held, erased, purged, and why.
    pub fn events(&mut self, before: Option<u64>, limit: usize) -> Result<Vec<Entry>, AuditError> {
        let read = || -> rusqlite::Result<Vec<Entry>> {
            let before = before.map_or(i64::MAX, u64::cast_signed);
            let mut select = self.database.connection.prepare_cached(
                "SELECT sequence, at, header, sealed FROM chain WHERE sequence < ? AND segment IS NULL ORDER BY sequence DESC LIMIT ?",
            )?;
            let mut rows = select.query(rusqlite::params![before, limit.min(10_000) as i64])?;
            let mut entries = Vec::new();
            while let Some(row) = rows.next()? {
                let header = row.get_ref(2)?.as_blob().unwrap_or_default();
                // `verify` tells of what cannot be read.
                let Ok(event) = Event::from_header(header) else {
                    continue;
                };
                let details = self.details(header, row.get(3)?);
                entries.push(Entry {
                    sequence: row.get::<_, i64>(0)?.cast_unsigned(),
                    at: Wall(row.get(1)?),
                    event,
                    details,
                });
            }
            Ok(entries)
        };
        read().map_err(|error| self.database.faulty(&error))
    }

    /// Of the entry with that header.
    fn details(&self, header: &[u8], sealed: Option<Vec<u8>>) -> Option<Details> {
        let mut sealed = sealed?;
        let plain = self.log_key.key.open(&mut sealed, header)?;
        Details::read(plain).ok()
    }

    fn record_event(
        &mut self,
        event: &Event,
        about: &str,
        actor: &Actor,
        now: Wall,
    ) -> Result<u64, AuditError> {
        self.commit(event, about, actor, now, |_, _| Ok(()))
    }

    /// One event with what belongs to it, signed, told to the witnesses. `act` gets the event's number.
    pub(crate) fn commit(
        &mut self,
        event: &Event,
        about: &str,
        actor: &Actor,
        now: Wall,
        act: impl FnOnce(&Transaction<'_>, u64) -> Result<(), Failed>,
    ) -> Result<u64, AuditError> {
        let sequence = self.commit_untold(event, about, actor, now, act)?;
        tell(&self.database, &self.keyring)?;
        Ok(sequence)
    }

    /// As `commit`, for one who holds the key file's lock: the caller tells the witnesses.
    pub(crate) fn commit_untold(
        &mut self,
        event: &Event,
        about: &str,
        actor: &Actor,
        now: Wall,
        act: impl FnOnce(&Transaction<'_>, u64) -> Result<(), Failed>,
    ) -> Result<u64, AuditError> {
        let about = |_: &Transaction<'_>| Ok(about.to_owned());
        self.commit_about(event, about, actor, now, act)
    }

    /// As `commit_untold`; what the entry is about is found out once no other process can write.
    fn commit_about(
        &mut self,
        event: &Event,
        about: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<String>,
        actor: &Actor,
        now: Wall,
        act: impl FnOnce(&Transaction<'_>, u64) -> Result<(), Failed>,
    ) -> Result<u64, AuditError> {
        let committed = (|| -> Result<_, Failed> {
            self.database.wait_for_platter(true)?;
            let transaction = self.database.begin()?;
            let mut tip = Tip::read(&transaction, &self.keyring.store())?;
            let details = Details {
                actor: actor.clone(),
                about: about(&transaction)?,
            };
            tip.append_event(&transaction, now, event, Some((&self.log_key, &details)))?;
            let sequence = tip.sequence;
            act(&transaction, sequence)?;
            tip.append_head(&transaction, &self.keyring, now)?;
            transaction.commit()?;
            Ok(sequence)
        })();
        committed.map_err(|failed| failed.in_dir(&self.settings.dir))
    }

    /// Where the signed heads stand as text.
    pub fn heads_path(&self) -> std::path::PathBuf {
        heads_path(&self.settings.dir)
    }
}
