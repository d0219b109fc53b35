//! What the writer does in a turn: write what waits, and look at what changed outside.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ::audit::{AuditError, KeyId, Whose};
use foldhash::{HashMap, HashMapExt, HashSet};

use super::database::{Database, NewRow};
use super::writer::Writer;
use super::{Message, PURGE_AAD, Put, answer_aad, codec, head_aad};
use crate::entry::Written;
use crate::memory::{Left, Why};
use crate::{Entry, EntryId, Selection};

/// Rows that go in one transaction.
const DELETED_AT_ONCE: usize = 256;
/// Looks between two times of writing which entries were used.
const LOOKS_BETWEEN_USES: u32 = 30;

enum Sealed {
    Row {
        key: KeyId,
        head: Vec<u8>,
        answer: Vec<u8>,
    },
    /// Keys were destroyed since it was put in: whose, nobody can tell.
    TooLate,
}

impl Writer {
    /// What left memory and what came, in one transaction.
    pub(super) fn write(&mut self, messages: Vec<Message>) {
        let left = self.shared.memory.take_left();
        if messages.is_empty() && left.ids.is_empty() && !left.more {
            return;
        }
        for id in &left.ids {
            self.by_id.remove(id);
        }
        let mut bytes = 0;
        let (mut puts, mut seen) = (Vec::new(), Vec::new());
        for message in messages {
            match message {
                Message::Put(put) => {
                    bytes += put.bytes;
                    puts.push(put);
                }
                Message::Seen(entry) => seen.push(entry),
                Message::CatchUp(_) => {}
            }
        }
        let written = self.try_write(&left, &puts, &seen);
        self.shared.queued_bytes.fetch_sub(bytes, Ordering::AcqRel);
        match written {
            Ok(keys) => {
                for (put, key) in puts.iter().zip(keys) {
                    self.note_written(&put.entry, key);
                }
                self.shared.note_recovery();
            }
            Err(error) => {
                self.shared.memory.put_back_left(left);
                self.give_up(&puts);
                if let Some(error) = error {
                    self.failed(&error);
                }
            }
        }
    }

    fn note_written(&mut self, entry: &Arc<Entry>, key: Option<KeyId>) {
        let Some(key) = key else {
            return self.give_up_one(entry);
        };
        entry.sealed_by.store(key.0, Ordering::Release);
        entry.set_written(Written::Done);
        self.shared.written.fetch_add(1, Ordering::Relaxed);
        // One that left meanwhile is in the next turn's list.
        self.by_id.insert(entry.id, Arc::clone(entry));
    }

    fn give_up(&self, puts: &[Box<Put>]) {
        for put in puts {
            self.give_up_one(&put.entry);
        }
    }

    fn give_up_one(&self, entry: &Arc<Entry>) {
        entry.set_written(Written::Never);
        self.shared.unwritten.fetch_add(1, Ordering::Relaxed);
    }

    /// The key of each that was written. An error is `None` if there is no database.
    fn try_write(
        &self,
        left: &Left,
        puts: &[Box<Put>],
        seen: &[Arc<Entry>],
    ) -> Result<Vec<Option<KeyId>>, Option<rusqlite::Error>> {
        let database = self.database.as_ref().ok_or(None)?;
        let transaction = database.begin().map_err(Some)?;
        for id in &left.ids {
            database.delete(*id).map_err(Some)?;
        }
        let mut keys = Vec::with_capacity(puts.len());
        for put in puts {
            keys.push(match self.seal(put) {
                Ok(Sealed::Row { key, head, answer }) => {
                    let row = NewRow {
                        id: put.entry.id,
                        sealed_by: key,
                        stored_at: put.entry.stored_at,
                        expires_at: put.entry.expires_at,
                        answer_bytes: put.entry.answer_bytes as u64,
                        head: &head,
                        answer: &answer,
                    };
                    database.insert(&row).map_err(Some)?;
                    Some(key)
                }
                Ok(Sealed::TooLate) => {
                    self.shared.memory.forget(&put.entry, Why::Erased);
                    None
                }
                Err(error) => {
                    self.shared.note_fault(error.to_string());
                    None
                }
            });
        }
        for entry in seen {
            let observations = codec::put_observations(&entry.observations());
            database.set_seen(entry.id, &observations).map_err(Some)?;
        }
        transaction.commit().map_err(Some)?;
        Ok(keys)
    }

    fn seal(&self, put: &Put) -> Result<Sealed, AuditError> {
        let sealer = &self.shared.settings.sealer;
        let entry = &put.entry;
        let whose = Whose {
            subscription: &entry.owner.subscription,
            person: entry.person(),
            at: entry.stored_at,
        };
        let mut head = codec::put_head(entry, put.codes.as_deref());
        let mut answer = put.answer.to_vec();
        let key = sealer.seal(whose, &mut head, &head_aad(entry.id))?;
        let other = sealer.seal(whose, &mut answer, &answer_aad(entry.id))?;
        // Looked at last: an erasure after this finds the key and destroys it.
        if entry.is_gone() || key != other || sealer.epoch()? != put.epoch {
            return Ok(Sealed::TooLate);
        }
        Ok(Sealed::Row { key, head, answer })
    }

    /// What commands, erasures and time have changed.
    pub(super) fn look(&mut self) {
        if self.shared.is_suspect.load(Ordering::Acquire) {
            self.replace();
        }
        if self.database.is_none() {
            self.open();
        }
        self.apply_erasures();
        if let Err(error) = self.try_look() {
            self.failed(&error);
        }
    }

    fn try_look(&mut self) -> rusqlite::Result<()> {
        let Some(database) = &self.database else {
            return Ok(());
        };
        let version = database.version()?;
        if version != self.version {
            self.apply_purges()?;
            self.version = version;
        }
        self.delete_expired()?;
        self.compare()?;
        self.looks += 1;
        if self.looks >= LOOKS_BETWEEN_USES {
            self.note_uses();
        }
        self.keep_bound()
    }

    /// Forgets what a command has removed.
    fn apply_purges(&self) -> rusqlite::Result<()> {
        let Some(database) = &self.database else {
            return Ok(());
        };
        let rows: Vec<(i64, i64, Vec<u8>)> = {
            let select = "SELECT number, sealed_by, selection FROM purges ORDER BY number";
            let mut select = database.connection.prepare_cached(select)?;
            let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            rows.collect::<rusqlite::Result<_>>()?
        };
        for (number, key, mut sealed) in rows {
            let key = KeyId(key.cast_unsigned());
            let sealer = &self.shared.settings.sealer;
            let selection = sealer
                .open(key, &mut sealed, PURGE_AAD)
                .ok()
                .flatten()
                .and_then(|plain| codec::read_selection(plain).ok());
            match selection {
                Some(what) => {
                    let purged = self.shared.memory.purge(&what, Why::Purged);
                    tracing::info!(
                        entries = purged.entries,
                        "the cache was purged by a command"
                    );
                }
                // Better too much than too little.
                None => {
                    self.shared.memory.purge(&Selection::default(), Why::Purged);
                    tracing::error!("a purge of the cache cannot be read: everything was purged");
                }
            }
            database
                .connection
                .execute("DELETE FROM purges WHERE number = ?", [number])?;
        }
        Ok(())
    }

    /// Forgets what nobody can open any more, and what might be of somebody who was erased.
    fn apply_erasures(&mut self) {
        let shared = Arc::clone(&self.shared);
        let sealer = &shared.settings.sealer;
        let epoch = match sealer.epoch() {
            Ok(epoch) => epoch,
            Err(error) => return shared.note_fault(error.to_string()),
        };
        if epoch == shared.epoch.load(Ordering::Acquire) {
            return;
        }
        let mut known: HashMap<u64, bool> = HashMap::new();
        // A key file that cannot be read says nothing: the next look asks again.
        let mut is_gone = |key: u64| match known.get(&key) {
            Some(is_gone) => Ok(*is_gone),
            None => {
                let is_gone = sealer.is_gone(KeyId(key))?;
                known.insert(key, is_gone);
                Ok::<_, AuditError>(is_gone)
            }
        };
        let (mut fault, mut gone) = (None, Vec::new());
        shared.memory.each(&Selection::default(), |entry| {
            let key = entry.sealed_by.load(Ordering::Acquire);
            let erased = match (key, entry.written()) {
                // Its own turn will tell.
                (0, Written::Waiting) => Ok(false),
                (0, _) => Ok(true),
                (key, _) => is_gone(key),
            };
            match erased {
                Ok(true) => {
                    shared.memory.forget(entry, Why::Erased);
                }
                Ok(false) => {}
                Err(error) => fault = Some(error),
            }
        });
        if let Some(error) = fault {
            return shared.note_fault(error.to_string());
        }
        match self.keys_on_disk() {
            Ok(keys) => {
                for key in keys {
                    match is_gone(key.0) {
                        Ok(true) => gone.push(key),
                        Ok(false) => {}
                        Err(error) => return shared.note_fault(error.to_string()),
                    }
                }
            }
            Err(error) => return self.failed(&error),
        }
        if let Err(error) = self.delete_sealed_by(&gone) {
            return self.failed(&error);
        }
        shared.epoch.store(epoch, Ordering::Release);
    }

    fn keys_on_disk(&self) -> rusqlite::Result<Vec<KeyId>> {
        self.database
            .as_ref()
            .map_or(Ok(Vec::new()), Database::keys)
    }

    /// Rows that are not in memory too.
    fn delete_sealed_by(&self, keys: &[KeyId]) -> rusqlite::Result<()> {
        let Some(database) = &self.database else {
            return Ok(());
        };
        let select = "SELECT id FROM entries WHERE sealed_by = ? LIMIT 256";
        for key in keys {
            loop {
                let ids = database.ids(select, [key.0.cast_signed()])?;
                if ids.is_empty() {
                    break;
                }
                self.delete(&ids)?;
            }
        }
        Ok(())
    }

    fn delete_expired(&mut self) -> rusqlite::Result<()> {
        let Some(database) = &self.database else {
            return Ok(());
        };
        let select = "SELECT id FROM entries WHERE expires_at <= ? LIMIT 256";
        let ids = database.ids(select, [self.shared.memory.now().0])?;
        self.delete(&ids)?;
        for id in &ids {
            if let Some(entry) = self.by_id.remove(id) {
                self.shared.memory.forget(&entry, Why::Expired);
            }
        }
        Ok(())
    }

    /// After more have left memory than were noted: what is on disk and not in memory goes.
    fn compare(&mut self) -> rusqlite::Result<()> {
        let left = self.shared.memory.take_left();
        if !left.more || self.warm.is_some() {
            self.shared.memory.put_back_left(left);
            return Ok(());
        }
        let mut here: HashSet<EntryId> = HashSet::default();
        self.shared.memory.each(&Selection::default(), |entry| {
            here.insert(entry.id);
        });
        self.by_id.retain(|id, _| here.contains(id));
        let Some(database) = &self.database else {
            return Ok(());
        };
        let ids = database.ids("SELECT id FROM entries", [])?;
        let gone: Vec<EntryId> = ids.into_iter().filter(|id| !here.contains(id)).collect();
        for some in gone.chunks(DELETED_AT_ONCE) {
            self.delete(some)?;
        }
        Ok(())
    }

    /// What was used for longest ago goes, until the rest fits.
    fn keep_bound(&mut self) -> rusqlite::Result<()> {
        loop {
            let Some(database) = &self.database else {
                return Ok(());
            };
            let bytes = database.bytes()?;
            self.shared.bytes.store(bytes, Ordering::Relaxed);
            if bytes <= self.shared.settings.bytes_max {
                return database.give_back_pages();
            }
            self.note_uses();
            let Some(database) = &self.database else {
                return Ok(());
            };
            let select = "SELECT id FROM entries ORDER BY used_at LIMIT 64";
            let ids = database.ids(select, [])?;
            if ids.is_empty() {
                return Ok(());
            }
            self.delete(&ids)?;
            for id in &ids {
                if let Some(entry) = self.by_id.remove(id) {
                    self.shared.memory.forget(&entry, Why::Evicted);
                }
            }
        }
    }

    /// In one transaction.
    pub(super) fn delete(&self, ids: &[EntryId]) -> rusqlite::Result<()> {
        let Some(database) = self.database.as_ref().filter(|_| !ids.is_empty()) else {
            return Ok(());
        };
        let transaction = database.begin()?;
        for id in ids {
            database.delete(*id)?;
        }
        transaction.commit()
    }

    /// Which entries were used: what goes first when the disk is full.
    pub(super) fn note_uses(&mut self) {
        self.looks = 0;
        let used: Vec<EntryId> = self
            .by_id
            .values()
            .filter(|entry| entry.take_use())
            .map(|entry| entry.id)
            .collect();
        let now = self.shared.memory.now();
        let write = |some: &[EntryId]| -> rusqlite::Result<()> {
            let Some(database) = &self.database else {
                return Ok(());
            };
            let transaction = database.begin()?;
            for id in some {
                database.set_used(*id, now)?;
            }
            transaction.commit()
        };
        let written = used.chunks(DELETED_AT_ONCE).try_for_each(write);
        if let Err(error) = written {
            self.failed(&error);
        }
    }
}
