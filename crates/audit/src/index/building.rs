//! Filters on their way into the database: told while records are chained, when their contents are at
//! hand anyway, and written some thousand records at once.
//!
//! Nothing is lost with them: what the database's `indexed` does not cover is read from the contents.

use super::{BUILD_BYTES_MAX, forget_gone, insert};
use crate::AuditError;
use crate::database::{Database, Failed, State};
use crate::filter::put_filter;
use crate::keys::{Found, KeyId, Keyring};
use crate::record::{Numbers, Opened};
use crate::words::Hashing;

/// Filters of one key in one row, in words of 64 bits. A longer row would take memory of its own each
/// time, and whoever forgets one record writes all of it.
const ROW_WORDS_MAX: usize = 8 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Building {
    /// Those of all records in it are here. `None`: something failed, and nothing is.
    covered: Option<Covered>,
    built: Vec<Built>,
    /// Of all records, one behind the other.
    words: Vec<u64>,
    is_in_batch: bool,
    /// Kept between records, and between rows.
    hashing: Hashing,
    content: Vec<u8>,
    row: Vec<u8>,
}

/// A record as it becomes an entry, read back.
#[derive(Clone, Copy)]
pub(crate) struct Chaining<'a> {
    pub(crate) sequence: u64,
    pub(crate) record: Numbers,
    pub(crate) header: &'a [u8],
    pub(crate) sealed: &'a [u8],
}

/// Entries behind `after`, up to `to`.
#[derive(Clone, Copy, Debug)]
struct Covered {
    after: u64,
    to: u64,
}

/// One record's filter: so many of the words, from `start` on.
#[derive(Clone, Copy, Debug)]
struct Built {
    key: KeyId,
    sequence: u64,
    start: usize,
    len: u32,
}

impl Building {
    /// Before records are added behind the chain's entry `tip`. Those of a batch that was not committed
    /// are forgotten, with all others.
    pub(crate) fn begin(&mut self, tip: u64) {
        if std::mem::replace(&mut self.is_in_batch, true) || self.covered.is_none() {
            self.start_over(tip);
        }
    }

    /// Records up to this entry of the chain were added, and committed.
    pub(crate) fn reach(&mut self, tip: u64) {
        self.is_in_batch = false;
        if let Some(covered) = &mut self.covered {
            covered.to = tip;
        }
    }

    /// Between batches, when all that stands behind the last one are entries that are no records.
    pub(super) fn settle(&mut self, tip: u64) {
        if self.is_in_batch {
            self.give_up();
        }
        self.reach(tip);
    }

    /// Their memory is kept: it is bounded, and finding new one takes longer than filling it.
    fn give_up(&mut self) {
        self.covered = None;
        self.built.clear();
        self.words.clear();
    }

    fn start_over(&mut self, tip: u64) {
        self.give_up();
        self.covered = Some(Covered {
            after: tip,
            to: tip,
        });
    }

    /// What stands before is not here.
    pub(super) fn after(&self) -> Option<u64> {
        self.covered.map(|covered| covered.after)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.words.len() * size_of::<u64>() + self.built.len() * size_of::<Built>()
            > BUILD_BYTES_MAX
    }

    /// A record whose filter the call made; an empty one if it has no texts.
    pub(crate) fn add_made(&mut self, key: KeyId, sequence: u64, filter: &[u64]) {
        if self.covered.is_none() || filter.is_empty() {
            return;
        }
        let start = self.words.len();
        self.words.extend_from_slice(filter);
        self.built.push(Built {
            key,
            sequence,
            start,
            len: filter.len() as u32,
        });
    }

    /// A fault leaves the rest of the tail to be read from the contents.
    pub(crate) fn add(&mut self, keyring: &Keyring, chaining: &Chaining<'_>) {
        if self.covered.is_none() || !chaining.record.has_texts() {
            return;
        }
        if let Err(error) = self.try_add(keyring, chaining) {
            tracing::warn!(%error, "a record of the audit log will be indexed later");
            self.give_up();
        }
    }

    /// One whose content cannot be opened has no words: `verify` tells of it.
    pub(super) fn try_add(
        &mut self,
        keyring: &Keyring,
        chaining: &Chaining<'_>,
    ) -> Result<(), AuditError> {
        let Chaining {
            sequence,
            record,
            header,
            sealed,
        } = *chaining;
        let Found::Key(key) = keyring.find(record.key)? else {
            return Ok(());
        };
        self.content.clear();
        self.content.extend_from_slice(sealed);
        let opened = key.key.open(&mut self.content, header);
        let Some(Ok(opened)) = opened.map(Opened::read) else {
            return Ok(());
        };
        let start = self.words.len();
        let len = put_filter(&mut self.words, &opened.texts(), &mut self.hashing);
        self.built.push(Built {
            key: record.key,
            sequence,
            start,
            len,
        });
        Ok(())
    }

    /// Into the database, unless it has come to stand elsewhere meanwhile: then the next try sees.
    pub(super) fn write(
        &mut self,
        database: &mut Database,
        keyring: &Keyring,
    ) -> Result<(), Failed> {
        let Some(Covered { after, to }) = self.covered else {
            return Ok(());
        };
        database.wait_for_platter(false)?;
        let transaction = database.begin()?;
        let mut state = State::read(&transaction)?;
        if state.indexed < after {
            return Ok(());
        }
        // Somebody else may have indexed some of them meanwhile.
        self.built.retain(|built| built.sequence > state.indexed);
        self.built
            .sort_unstable_by_key(|built| (built.key, built.sequence));
        for of_key in self.built.chunk_by(|one, other| one.key == other.key) {
            let Found::Key(key) = keyring.find(of_key[0].key)? else {
                continue;
            };
            for of_row in rows(of_key) {
                let filters: Vec<(u64, &[u64])> = of_row
                    .iter()
                    .map(|built| {
                        let end = built.start + built.len as usize;
                        (built.sequence, &self.words[built.start..end])
                    })
                    .collect();
                insert(&transaction, &key, &filters, &mut self.row)?;
            }
        }
        if state.indexed < to {
            // Purged or erased between reading and now: that did not see these filters.
            forget_gone(&transaction, keyring, state.indexed + 1..=to)?;
            state.indexed = to;
            state.write(&transaction)?;
        }
        transaction.commit()?;
        self.start_over(to);
        Ok(())
    }
}

/// Each as many as a row holds.
fn rows(built: &[Built]) -> impl Iterator<Item = &[Built]> {
    let mut words = 0;
    built.chunk_by(move |_, next| {
        words += next.len as usize;
        let fits = words <= ROW_WORDS_MAX;
        if !fits {
            words = 0;
        }
        fits
    })
}
