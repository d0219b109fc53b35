//! Erasure: the keys of a subscription's or a person's records are overwritten, so that every copy of
//! the database, backups too, is unreadable where it speaks of them.

use aws_lc_rs::hmac;
use domain::{SubscriptionId, Wall};
use foldhash::HashSet;
use rusqlite::{Connection, Transaction, params};

use super::Archive;
use super::search::{ROW, Row};
use crate::database::{Database, Failed};
use crate::event::{Actor, Event, Subject};
use crate::head::hex;
use crate::keys::{KeyId, Keyring};
use crate::seal::random;
use crate::segment::Place;
use crate::vault::Contents;
use crate::witness::tell;
use crate::{AuditError, index};

/// The proof of an erasure. The salt is nowhere else: with it and the name, the entry's commitment can
/// be made again; without it, nothing on the chain leads to the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erased {
    /// The entry that says so.
    pub sequence: u64,
    pub keys: Vec<KeyId>,
    pub records: u64,
    /// In hex: HMAC-SHA256 under `salt` of `subscription:NAME` or `person:NAME`.
    pub commitment: String,
    pub salt: String,
}

/// Records to erase or to purge: numbers and places.
pub(super) type Gone = Vec<(u64, Option<Place>)>;

impl Archive {
    /// All of the person's records, under all subscriptions: those of this user, or of this caller
    /// where no user was known. Names that are left on other people's content are not found by it.
    pub fn erase_person(
        &mut self,
        person: &str,
        actor: &Actor,
        now: Wall,
    ) -> Result<Erased, AuditError> {
        self.erase(Subject::Person, person, actor, now)
    }

    pub fn erase_subscription(
        &mut self,
        id: &SubscriptionId,
        actor: &Actor,
        now: Wall,
    ) -> Result<Erased, AuditError> {
        self.erase(Subject::Subscription, id.as_str(), actor, now)
    }

    fn erase(
        &mut self,
        subject: Subject,
        name: &str,
        actor: &Actor,
        now: Wall,
    ) -> Result<Erased, AuditError> {
        let (what, ids_of): (_, fn(&Keyring, &str) -> HashSet<KeyId>) = match subject {
            Subject::Person => ("person", |keyring, name| keyring.ids_of(None, Some(name))),
            Subject::Subscription => ("subscription", |keyring, name| {
                keyring.ids_of(Some(name), None)
            }),
        };
        // Most is read before other processes have to wait for their keys.
        let keys = ids_of(&self.keyring, name);
        let (mut gone, mut read_to) = (Vec::new(), 0);
        self.collect(&keys, &mut read_to, &mut gone)?;
        let exclusive = self.keyring.exclusive()?;
        let keys = ids_of(&self.keyring, name);
        if keys.is_empty() {
            return Err(AuditError::NotFound(format!(
                "the audit log has no records of this {what}, or they are erased already"
            )));
        }
        self.collect(&keys, &mut read_to, &mut gone)?;
        let newest_hold = self.holds()?.last().map_or(0, |placed| placed.number);
        let mut ids: Vec<KeyId> = keys.iter().copied().collect();
        ids.sort_unstable();
        let salt: [u8; 32] = random()?;
        let told = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, &salt),
            format!("{what}:{name}").as_bytes(),
        );
        let mut commitment = [0; 32];
        commitment.copy_from_slice(told.as_ref());
        let event = Event::Erased {
            subject,
            commitment,
            keys: ids.clone(),
            records: gone.len() as u64,
        };
        let committed = self.commit_untold(&event, "", actor, now, |transaction, sequence| {
            let holds = "SELECT count(*) FROM holds WHERE released_by IS NULL AND sequence > ?";
            let new_holds: i64 =
                transaction.query_row(holds, [newest_hold.cast_signed()], |row| row.get(0))?;
            if new_holds > 0 {
                return Err(Failed::Other(AuditError::Held(
                    "a hold was placed meanwhile; try again".to_owned(),
                )));
            }
            index::forget_keys(transaction, &keys)?;
            mark(transaction, sequence, &gone)
        });
        let sequence = committed?;
        self.keyring.destroy(&exclusive, &ids, sequence)?;
        // From here on calls can make keys again; overwriting contents may take seconds.
        drop(exclusive);
        complete(&mut self.database, &mut self.contents, sequence, &gone)
            .map_err(|failed| failed.in_dir(&self.settings.dir))?;
        tell(&self.database, &self.keyring)?;
        Ok(Erased {
            sequence,
            keys: ids,
            records: gone.len() as u64,
            commitment: hex(&commitment),
            salt: hex(&salt),
        })
    }

    /// Records of these keys behind `read_to`, which moves; an error if one is held.
    fn collect(
        &self,
        keys: &HashSet<KeyId>,
        read_to: &mut u64,
        gone: &mut Gone,
    ) -> Result<(), AuditError> {
        let holds = self.holds()?;
        let mut held = None;
        let read = || -> rusqlite::Result<()> {
            let select = format!("SELECT {ROW} FROM chain WHERE sequence > ? ORDER BY sequence");
            let mut select = self.database.connection.prepare_cached(&select)?;
            let mut rows = select.query([read_to.cast_signed()])?;
            while let Some(row) = rows.next()? {
                *read_to = row.get::<_, i64>(0)?.cast_unsigned();
                let Some(row) = Row::read(row)? else { continue };
                if row.gone_by.is_some() || !keys.contains(&row.skeleton.key) {
                    continue;
                }
                if let Some(holder) = self.holder(&holds, &row.skeleton) {
                    held = Some((holder.number, row.skeleton.call));
                    return Ok(());
                }
                gone.push((row.sequence, row.place));
            }
            Ok(())
        };
        let mut read = read;
        read().map_err(|error| self.database.faulty(&error))?;
        match held {
            Some((number, call)) => Err(AuditError::Held(format!(
                "call {call} is on legal hold {number}: release the hold first, or wait until it is released; nothing was erased"
            ))),
            None => Ok(()),
        }
    }
}

/// Says on each record that it is gone, and notes that the bytes are still to be overwritten.
pub(super) fn mark(
    transaction: &Transaction<'_>,
    sequence: u64,
    gone: &Gone,
) -> Result<(), Failed> {
    let mut update =
        transaction.prepare_cached("UPDATE chain SET gone_by = ? WHERE sequence = ?")?;
    for (record, _) in gone {
        update.execute([sequence.cast_signed(), record.cast_signed()])?;
    }
    transaction.execute(
        "INSERT INTO erasures (sequence) VALUES (?)",
        [sequence.cast_signed()],
    )?;
    Ok(())
}

/// Overwrites the contents of what the chain says is gone, its keys being destroyed by now. Can be cut
/// short and run again.
pub(super) fn complete(
    database: &mut Database,
    contents: &mut Contents,
    sequence: u64,
    gone: &Gone,
) -> Result<(), Failed> {
    let failed = |error: std::io::Error| {
        Failed::Other(AuditError::Store(format!(
            "cannot overwrite erased contents: {error}"
        )))
    };
    let mut segments = HashSet::default();
    for place in gone.iter().filter_map(|(_, place)| place.as_ref()) {
        match contents.zero(place) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            zeroed => zeroed.map_err(failed)?,
        }
        segments.insert(place.segment);
    }
    for segment in segments {
        contents.sync(segment).map_err(failed)?;
    }
    database.connection.execute(
        "DELETE FROM erasures WHERE sequence = ?",
        [sequence.cast_signed()],
    )?;
    // Old pages of the log's own write-ahead log hold filters. While somebody reads, some stay there
    // until the next checkpoint: they are sealed under keys that are gone.
    database.empty_wal()?;
    Ok(())
}

/// Ends erasures and purges that a killed process left half done.
pub(crate) fn finish(database: &mut Database, keyring: &Keyring) -> Result<(), Failed> {
    let pending: Vec<i64> = {
        let mut select = database
            .connection
            .prepare("SELECT sequence FROM erasures ORDER BY sequence")?;
        select
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?
    };
    for sequence in pending {
        let keys = keys_of(&database.connection, sequence)?;
        let gone: Gone = {
            let select = format!("SELECT {ROW} FROM chain WHERE gone_by = ?");
            let mut select = database.connection.prepare(&select)?;
            let rows = select.query_map([sequence], Row::read)?;
            let mut gone = Vec::new();
            for row in rows {
                gone.extend(row?.map(|row| (row.sequence, row.place)));
            }
            gone
        };
        let sequence = sequence.cast_unsigned();
        if !keys.is_empty() {
            keyring.destroy(&keyring.exclusive()?, &keys, sequence)?;
        }
        let mut contents = Contents::new(database.dir().join("content"));
        complete(database, &mut contents, sequence, &gone)?;
    }
    Ok(())
}

fn keys_of(connection: &Connection, sequence: i64) -> rusqlite::Result<Vec<KeyId>> {
    let header: Vec<u8> = connection.query_row(
        "SELECT header FROM chain WHERE sequence = ?",
        params![sequence],
        |row| row.get(0),
    )?;
    Ok(match Event::from_header(&header) {
        Ok(Event::Erased { keys, .. } | Event::Purged { keys, .. }) => keys,
        _ => Vec::new(),
    })
}
