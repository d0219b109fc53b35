//! Legal holds: what is held is neither purged nor erased, until the hold is released.

use domain::Wall;
use rusqlite::Transaction;

use super::Archive;
use super::search::{ROW, Row};
use crate::AuditError;
use crate::bytes::Reader;
use crate::event::{Actor, Details, Event, Hold, Read};
use crate::keys::Keyring;
use crate::record::Skeleton;

/// A hold, and the number by which it is released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    pub number: u64,
    pub at: Wall,
    pub hold: Hold,
    /// Who placed it, and why.
    pub details: Option<Details>,
}

impl Archive {
    /// Also for records that are still to come. Returns the hold's number.
    pub fn hold(&mut self, hold: &Hold, actor: &Actor, now: Wall) -> Result<u64, AuditError> {
        if let Hold::Time { since, until } = hold
            && since >= until
        {
            return Err(AuditError::Invalid(
                "a hold's `since` must be before its `until`".to_owned(),
            ));
        }
        let mut bytes = Vec::new();
        hold.put(&mut bytes);
        let event = Event::Held(hold.clone());
        self.commit(&event, "", actor, now, |transaction, sequence| {
            let insert = "INSERT INTO holds (sequence, at, hold) VALUES (?, ?, ?)";
            transaction.execute(
                insert,
                rusqlite::params![sequence.cast_signed(), now.0, bytes],
            )?;
            Ok(())
        })
    }

    /// By name, which is not kept: the hold has a pseudonym.
    pub fn hold_person(
        &mut self,
        person: &str,
        actor: &Actor,
        now: Wall,
    ) -> Result<u64, AuditError> {
        let hold = Hold::Person(self.keyring.pseudonym(person));
        self.hold(&hold, actor, now)
    }

    pub fn release(&mut self, number: u64, actor: &Actor, now: Wall) -> Result<(), AuditError> {
        if !self.holds()?.iter().any(|placed| placed.number == number) {
            let about = format!("release hold {number}: there is none");
            self.note(Read::Refused, &about, actor, now)?;
            return Err(AuditError::NotFound(format!(
                "there is no hold {number}, or it was released"
            )));
        }
        self.commit(
            &Event::Released { hold: number },
            "",
            actor,
            now,
            |transaction, sequence| {
                let update = "UPDATE holds SET released_by = ? WHERE sequence = ?";
                transaction.execute(update, [sequence.cast_signed(), number.cast_signed()])?;
                Ok(())
            },
        )?;
        Ok(())
    }

    /// How many records with content the hold covers so far.
    pub fn covered(&self, number: u64) -> Result<u64, AuditError> {
        let mut holds = self.holds()?;
        holds.retain(|placed| placed.number == number);
        let read = || -> rusqlite::Result<u64> {
            let select = format!("SELECT {ROW} FROM chain WHERE gone_by IS NULL");
            let mut select = self.database.connection.prepare_cached(&select)?;
            let mut rows = select.query([])?;
            let mut covered = 0;
            while let Some(row) = rows.next()? {
                let row = Row::read(row)?;
                let is_held = row.is_some_and(|row| self.holder(&holds, &row.skeleton).is_some());
                covered += u64::from(is_held);
            }
            Ok(covered)
        };
        read().map_err(|error| self.database.faulty(&error))
    }

    /// Those that are not released, oldest first.
    pub fn holds(&self) -> Result<Vec<Placed>, AuditError> {
        let read = || -> rusqlite::Result<Vec<Placed>> {
            let mut select = self.database.connection.prepare_cached(
                "SELECT holds.sequence, holds.at, holds.hold, chain.header, chain.sealed
                FROM holds LEFT JOIN chain USING (sequence)
                WHERE holds.released_by IS NULL ORDER BY holds.sequence",
            )?;
            let mut rows = select.query([])?;
            let mut holds = Vec::new();
            while let Some(row) = rows.next()? {
                let bytes = row.get_ref(2)?.as_blob().unwrap_or_default();
                // Rather a hold too many than one too few: what cannot be read holds everything.
                let hold = Hold::read(&mut Reader::new(bytes)).unwrap_or(Hold::Time {
                    since: Wall(i64::MIN),
                    until: Wall(i64::MAX),
                });
                let header = row.get::<_, Option<Vec<u8>>>(3)?.unwrap_or_default();
                holds.push(Placed {
                    number: row.get::<_, i64>(0)?.cast_unsigned(),
                    at: Wall(row.get(1)?),
                    hold,
                    details: self.details(&header, row.get(4)?),
                });
            }
            Ok(holds)
        };
        read().map_err(|error| self.database.faulty(&error))
    }

    /// The first hold that covers a record.
    pub(crate) fn holder<'a>(&self, holds: &'a [Placed], record: &Skeleton) -> Option<&'a Placed> {
        holder(&self.keyring, holds, record)
    }
}

/// The first hold that covers a record.
pub(crate) fn holder<'a>(
    keyring: &Keyring,
    holds: &'a [Placed],
    record: &Skeleton,
) -> Option<&'a Placed> {
    if holds.is_empty() {
        return None;
    }
    let person = keyring.pseudonym_of(record.key);
    holds
        .iter()
        .find(|placed| placed.hold.covers(record, person))
}

/// The number of the newest hold among these, 0 without any.
pub(super) fn newest(holds: &[Placed]) -> u64 {
    holds.last().map_or(0, |placed| placed.number)
}

/// One that was placed after that and is in force: whoever decided without it decides again. Nobody can
/// place another until the transaction ends.
pub(super) fn placed_after(
    transaction: &Transaction<'_>,
    newest: u64,
) -> rusqlite::Result<Option<u64>> {
    let select = "SELECT min(sequence) FROM holds WHERE released_by IS NULL AND sequence > ?";
    let newer = transaction.query_row(select, [newest.cast_signed()], |row| {
        row.get::<_, Option<i64>>(0)
    })?;
    Ok(newer.map(i64::cast_unsigned))
}
