//! Retention: contents that are past their days go, unless they are held. Their skeletons stay, so
//! that the chain verifies. A sink that lags keeps nothing: what it misses is counted, and said on the
//! chain.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use domain::Wall;
use foldhash::{HashSet, HashSetExt};
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::erase::{Gone, complete, mark};
use super::hold::{newest, placed_after};
use super::search::{ROW, Row};
use super::{Archive, cursors};
use crate::database::{Failed, State};
use crate::event::{Actor, Event};
use crate::keys::{KeyId, month};
use crate::witness::tell;
use crate::{AuditError, index};

/// What a purge did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Records whose content went.
    pub records: u64,
    /// Records past their days that a hold keeps.
    pub held: u64,
    /// Keys that sealed nothing any more.
    pub keys: u64,
    /// Files of contents that were deleted.
    pub files: u64,
    /// Of those records, how many a follower had yet to take with their content, by its name.
    pub missed: BTreeMap<String, u64>,
}

/// One file's records, as a purge sees them.
#[derive(Default)]
pub(crate) struct Sorted {
    /// Of the holds that it was sorted by.
    newest_hold: u64,
    gone: Gone,
    held: u64,
    /// When the first of those that stay may go.
    expires: Option<Wall>,
}

impl Archive {
    /// Once an hour, say. Costs nothing while nothing is past its days.
    pub fn purge(&mut self, actor: &Actor, now: Wall) -> Result<Purged, AuditError> {
        let mut purged = Purged::default();
        for (number, range) in self.due(now)? {
            let (sorted, missed) = loop {
                let sorted = self.sort(number, &range, now)?;
                if sorted.gone.is_empty() {
                    break (sorted, Vec::new());
                }
                if let Some(missed) = self.drop_contents(number, &range, &sorted, actor, now)? {
                    break (sorted, missed);
                }
            };
            purged.held += sorted.held;
            purged.records += sorted.gone.len() as u64;
            for (name, records) in missed {
                *purged.missed.entry(name).or_default() += records;
            }
            purged.files += u64::from(self.settle_segment(number, &range, &sorted)?);
        }
        if purged.records > 0 || self.may_drop_keys(now) {
            purged.keys = self.drop_keys(actor, now)?;
            self.keyring.note_swept(over_before(now));
        }
        Ok(purged)
    }

    /// Somebody came to purge, and there was nothing.
    pub fn note_empty_purge(&mut self, actor: &Actor, now: Wall) -> Result<(), AuditError> {
        let event = Event::Purged {
            ranges: Vec::new(),
            keys: Vec::new(),
        };
        self.record_event(&event, "", actor, now).map(|_| ())
    }

    /// Whether a key may have come out of use since this process last looked, which takes reading the chain.
    pub(crate) fn may_drop_keys(&self, now: Wall) -> bool {
        !self.keyring.is_swept(over_before(now))
    }

    /// Files that hold something past its days, and their entries.
    pub(crate) fn due(&self, now: Wall) -> Result<Vec<(u64, RangeInclusive<u64>)>, AuditError> {
        let read = || -> rusqlite::Result<Vec<_>> {
            let mut select = self.database.connection.prepare_cached(
                "SELECT number, first, last FROM segments WHERE expires <= ? ORDER BY number",
            )?;
            let number =
                |row: &rusqlite::Row<'_>, at| row.get::<_, i64>(at).map(i64::cast_unsigned);
            let rows = select.query_map([now.0], |row| {
                Ok((number(row, 0)?, number(row, 1)?..=number(row, 2)?))
            })?;
            rows.collect()
        };
        read().map_err(|error| self.database.faulty(&error))
    }

    pub(crate) fn sort(
        &self,
        number: u64,
        range: &RangeInclusive<u64>,
        now: Wall,
    ) -> Result<Sorted, AuditError> {
        let holds = self.holds()?;
        let read = || -> rusqlite::Result<Sorted> {
            let mut sorted = Sorted {
                newest_hold: newest(&holds),
                ..Sorted::default()
            };
            let select = format!(
                "SELECT {ROW} FROM chain WHERE sequence BETWEEN ? AND ? AND segment = ? AND gone_by IS NULL"
            );
            let mut select = self.database.connection.prepare_cached(&select)?;
            let mut rows = select.query([
                range.start().cast_signed(),
                range.end().cast_signed(),
                number.cast_signed(),
            ])?;
            while let Some(row) = rows.next()? {
                let Some(row) = Row::read(row)? else { continue };
                let expires = row.skeleton.expires_at();
                let is_over = expires <= now;
                let is_held = is_over && self.holder(&holds, &row.skeleton).is_some();
                sorted.held += u64::from(is_held);
                if is_over && !is_held {
                    sorted.gone.push((row.sequence, row.place));
                } else {
                    sorted.expires =
                        Some(sorted.expires.map_or(expires, |known| known.min(expires)));
                }
            }
            Ok(sorted)
        };
        read().map_err(|error| self.database.faulty(&error))
    }

    /// `None` if a hold was placed since they were sorted: nothing has gone.
    pub(crate) fn drop_contents(
        &mut self,
        number: u64,
        range: &RangeInclusive<u64>,
        sorted: &Sorted,
        actor: &Actor,
        now: Wall,
    ) -> Result<Option<Vec<(String, u64)>>, AuditError> {
        let event = Event::Purged {
            ranges: ranges(sorted.gone.iter().map(|(sequence, _)| *sequence)),
            keys: Vec::new(),
        };
        let is_gone: HashSet<u64> = sorted.gone.iter().map(|(sequence, _)| *sequence).collect();
        let keyring = std::sync::Arc::clone(&self.keyring);
        let mut missed = Vec::new();
        let about = |transaction: &Transaction<'_>| {
            missed = cursors::miss(transaction, &sorted.gone)?;
            let told = missed.iter();
            let told = told.map(|(name, records)| format!("missed by sink {name}: {records}"));
            Ok(told.collect::<Vec<_>>().join("; "))
        };
        let mut is_held = false;
        let act = |transaction: &Transaction<'_>, sequence| {
            is_held = placed_after(transaction, sorted.newest_hold)?.is_some();
            if is_held {
                return Err(Failed::Other(AuditError::Held(
                    "a hold was placed meanwhile; try again".to_owned(),
                )));
            }
            mark(transaction, sequence, &sorted.gone)?;
            index::forget(transaction, &keyring, range.clone(), |sequence| {
                is_gone.contains(&sequence)
            })
        };
        let committed = self.commit_about(&event, about, actor, now, act);
        if is_held {
            return Ok(None);
        }
        let sequence = committed?;
        self.keyring.note_unswept();
        tell(&self.database, &self.keyring)?;
        complete(
            &mut self.database,
            &mut self.contents,
            sequence,
            &sorted.gone,
        )
        .map_err(|failed| failed.in_dir(&self.settings.dir))?;
        tracing::info!(
            segment = number,
            records = sorted.gone.len(),
            "contents of the audit log are past their days and gone"
        );
        Ok(Some(missed))
    }

    /// True if the file could be deleted: nothing of it is left, and nothing comes.
    fn settle_segment(
        &mut self,
        number: u64,
        range: &RangeInclusive<u64>,
        sorted: &Sorted,
    ) -> Result<bool, AuditError> {
        let read = State::read(&self.database.connection);
        let state = read.map_err(|error| self.database.faulty(&error))?;
        // Records that the writer added since they were sorted are looked at by the next purge.
        if self.has_grown(number, range)? {
            return Ok(false);
        }
        let connection = &self.database.connection;
        if sorted.expires.is_none() && number < state.segment {
            self.contents.delete(number).map_err(|error| {
                AuditError::Store(format!("cannot delete a file of purged contents: {error}"))
            })?;
            connection
                .execute(
                    "DELETE FROM segments WHERE number = ?",
                    [number.cast_signed()],
                )
                .map_err(|error| self.database.faulty(&error))?;
            return Ok(true);
        }
        let update = "UPDATE segments SET expires = ?2 WHERE number = ?1 AND last <= ?3";
        let expires = sorted.expires.map(|expires| expires.0);
        let last = range.end().cast_signed();
        connection
            .execute(update, params![number.cast_signed(), expires, last])
            .map_err(|error| self.database.faulty(&error))?;
        Ok(false)
    }

    /// Or is gone.
    fn has_grown(&self, number: u64, range: &RangeInclusive<u64>) -> Result<bool, AuditError> {
        let select = "SELECT last > ? FROM segments WHERE number = ?";
        let last = range.end().cast_signed();
        let connection = &self.database.connection;
        connection
            .query_row(select, [last, number.cast_signed()], |row| row.get(0))
            .optional()
            .map(|has_grown| has_grown.unwrap_or(true))
            .map_err(|error| self.database.faulty(&error))
    }

    /// Keys of past months that seal nothing any more: what was copied elsewhere is unreadable too.
    fn drop_keys(&mut self, actor: &Actor, now: Wall) -> Result<u64, AuditError> {
        let over_before = over_before(now);
        let mut keys: Vec<KeyId> = self
            .keyring
            .live()
            .into_iter()
            .filter(|(_, month)| *month < over_before)
            .map(|(id, _)| id)
            .collect();
        if keys.is_empty() {
            return Ok(0);
        }
        let in_use = self.keys_in_use()?;
        keys.retain(|id| !in_use.contains(id));
        if keys.is_empty() {
            return Ok(0);
        }
        keys.sort_unstable();
        let event = Event::Purged {
            ranges: Vec::new(),
            keys: keys.clone(),
        };
        let forgotten: HashSet<KeyId> = keys.iter().copied().collect();
        let exclusive = self.keyring.exclusive()?;
        let sequence = self.commit_untold(&event, "", actor, now, |transaction, sequence| {
            index::forget_keys(transaction, &forgotten)?;
            mark(transaction, sequence, &Vec::new())
        })?;
        self.keyring.destroy(&exclusive, &keys, sequence)?;
        drop(exclusive);
        tell(&self.database, &self.keyring)?;
        complete(
            &mut self.database,
            &mut self.contents,
            sequence,
            &Vec::new(),
        )
        .map_err(|failed| failed.in_dir(&self.settings.dir))?;
        Ok(keys.len() as u64)
    }

    fn keys_in_use(&self) -> Result<HashSet<KeyId>, AuditError> {
        let read = || -> rusqlite::Result<HashSet<KeyId>> {
            let mut in_use = HashSet::new();
            let select = format!("SELECT {ROW} FROM chain WHERE gone_by IS NULL");
            let mut select = self.database.connection.prepare_cached(&select)?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                in_use.extend(Row::read(row)?.map(|row| row.skeleton.key));
            }
            Ok(in_use)
        };
        read().map_err(|error| self.database.faulty(&error))
    }
}

/// Keys of months before this one get no more records: calls that began last month may still end, and the
/// chain may lag a little.
fn over_before(now: Wall) -> u32 {
    month(Wall(now.0.saturating_sub(45 * 86_400_000)))
}

/// Neighbours together.
fn ranges(sequences: impl Iterator<Item = u64>) -> Vec<RangeInclusive<u64>> {
    let mut ranges: Vec<RangeInclusive<u64>> = Vec::new();
    for sequence in sequences {
        match ranges.last_mut() {
            Some(last) if *last.end() + 1 == sequence => *last = *last.start()..=sequence,
            _ => ranges.push(sequence..=sequence),
        }
    }
    ranges
}
