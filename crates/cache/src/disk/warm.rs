//! After a start: what finds entries comes back into memory, the newest first, a few at a time between writes.
//! Answers stay on disk until somebody asks for them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use foldhash::HashSet;

use super::database::Row;
use super::writer::Writer;
use super::{codec, head_aad};
use crate::{Entry, EntryId};

const AT_ONCE: usize = 256;
/// Names that many entries have; past it they are collected anew.
const SHARED_MAX: usize = 4_096;

#[derive(Debug)]
pub(super) struct Warm {
    /// What is left to read has smaller ids.
    before: u64,
    names: HashSet<Arc<str>>,
}

impl Default for Warm {
    fn default() -> Self {
        Self {
            before: u64::MAX,
            names: HashSet::default(),
        }
    }
}

impl Warm {
    fn share(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        if self.names.len() >= SHARED_MAX {
            self.names.clear();
        }
        let name: Arc<str> = name.into();
        self.names.insert(Arc::clone(&name));
        name
    }
}

impl Writer {
    /// The next few, if there are any left.
    pub(super) fn warm_some(&mut self) {
        let Some(mut warm) = self.warm.take() else {
            return;
        };
        match self.try_warm_some(&mut warm) {
            Ok(true) => self.warm = Some(warm),
            Ok(false) => self.shared.is_warming.store(false, Ordering::Release),
            Err(error) => {
                self.shared.is_warming.store(false, Ordering::Release);
                self.failed(&error);
            }
        }
    }

    /// False once there is nothing left, or no room for it.
    fn try_warm_some(&mut self, warm: &mut Warm) -> rusqlite::Result<bool> {
        let Some(database) = &self.database else {
            return Ok(false);
        };
        let rows = database.rows(warm.before, AT_ONCE)?;
        let Some(last) = rows.last() else {
            return Ok(false);
        };
        warm.before = last.id.0;
        let memory = Arc::clone(&self.shared.memory);
        let mut unusable = Vec::new();
        for row in rows {
            if memory.entries.bytes() >= memory.entries_bytes_max / 10 * 9 {
                tracing::warn!(
                    "the cache on disk has more entries than the memory has room for: older ones wait for a restart with more"
                );
                return Ok(false);
            }
            if row.expires_at <= memory.now() {
                continue;
            }
            match self.bring_back(row, warm) {
                Ok(Some(entry)) => {
                    self.by_id.insert(entry.id, entry);
                }
                Ok(None) => {}
                Err(id) => unusable.push(id),
            }
        }
        self.delete(&unusable)?;
        Ok(true)
    }

    /// An error is one that is of no use any more; `None` one that can only not be opened now.
    fn bring_back(&self, mut row: Row, warm: &mut Warm) -> Result<Option<Arc<Entry>>, EntryId> {
        let sealer = &self.shared.settings.sealer;
        let memory = &self.shared.memory;
        let plain = match sealer.open(row.sealed_by, &mut row.head, &head_aad(row.id)) {
            Ok(plain) => plain.ok_or(row.id)?,
            Err(error) => {
                self.shared.note_fault(error.to_string());
                return Ok(None);
            }
        };
        let head = codec::read_head(plain, |name| warm.share(name)).map_err(|_| row.id)?;
        if let Some(there) = memory.entries.peek(&head.key) {
            // It was put in since the start itself, or a newer one took its place before it could be deleted.
            return if there.id == row.id {
                Ok(None)
            } else {
                Err(row.id)
            };
        }
        let seen = row.observations.unwrap_or_default();
        let (entry, vector) = Entry::from_head(row.id, head);
        let entry = Arc::new(entry);
        entry.sealed_by.store(row.sealed_by.0, Ordering::Release);
        memory.insert(&entry, vector.as_ref());
        for observation in codec::read_observations(&seen) {
            memory.observe(&entry, observation);
        }
        Ok(Some(entry))
    }
}
