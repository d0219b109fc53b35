//! Erasure: the keys of a subscription's or a person's records are overwritten, so that every copy of
//! the database, backups too, is unreadable where it speaks of them.

use aws_lc_rs::hmac;
use domain::{SubscriptionId, Wall};
use foldhash::HashSet;
use rusqlite::{Connection, Transaction, params};

use super::Archive;
use super::hold::{Placed, newest, placed_after};
use super::search::{ROW, Row};
use crate::database::{Database, Failed};
use crate::event::{Actor, Event, Hold, Read, Subject};
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

/// Why nothing was erased.
enum Refused {
    /// By the hold of this number.
    Held(u64),
    /// There are no records, or none any more.
    Nothing,
    Failed(AuditError),
}

impl From<AuditError> for Refused {
    fn from(error: AuditError) -> Self {
        Self::Failed(error)
    }
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

    /// One that is refused is an entry too: whom somebody has records of, and who is on hold, is not to be
    /// found out untold. Whose they are stands on none, as for one that is done.
    fn erase(
        &mut self,
        subject: Subject,
        name: &str,
        actor: &Actor,
        now: Wall,
    ) -> Result<Erased, AuditError> {
        let erased = self.erase_unheld(subject, name, actor, now);
        let why_not = match &erased {
            Err(Refused::Held(number)) => format!("on legal hold {number}"),
            Err(Refused::Nothing) => "there are none".to_owned(),
            Err(Refused::Failed(_)) | Ok(_) => String::new(),
        };
        let what = match subject {
            Subject::Person => "person",
            Subject::Subscription => "subscription",
        };
        if !why_not.is_empty() {
            let about = match subject {
                Subject::Person => format!("erase a person's records: {why_not}"),
                Subject::Subscription => format!("erase subscription {name}: {why_not}"),
            };
            self.record_event(&Event::Read(Read::Refused), &about, actor, now)?;
        }
        erased.map_err(|refused| match refused {
            Refused::Held(number) => AuditError::Held(format!(
                "records of this {what}, or all of them, are on legal hold {number}: release the hold first, or wait until it is released; nothing was erased"
            )),
            Refused::Nothing => AuditError::NotFound(format!(
                "the audit log has no records of this {what}, or they are erased already"
            )),
            Refused::Failed(error) => error,
        })
    }

    fn erase_unheld(
        &mut self,
        subject: Subject,
        name: &str,
        actor: &Actor,
        now: Wall,
    ) -> Result<Erased, Refused> {
        // Other processes add keys too.
        drop(self.keyring.exclusive()?);
        let mut keys = match subject {
            Subject::Person => self.keyring.ids_of(None, Some(name)),
            Subject::Subscription => self.keyring.ids_of(Some(name), None),
        };
        let holds = self.unheld(subject, name)?;
        if keys.is_empty() {
            return Err(Refused::Nothing);
        }
        if !holds.is_empty() {
            // Most that are refused are so before calls have to make new keys.
            self.collect(&keys, &holds)?;
        }
        self.settle_keys(&keys, now)?;
        let holds = self.unheld(subject, name)?;
        let newest_hold = newest(&holds);
        let gone = self.collect(&keys, &holds)?;
        let exclusive = self.keyring.exclusive()?;
        // Unless another erasure was faster.
        let live = self.keyring.live();
        let live: HashSet<KeyId> = live.into_iter().map(|(id, _)| id).collect();
        keys.retain(|id| live.contains(id));
        if keys.is_empty() {
            return Err(Refused::Nothing);
        }
        let mut ids: Vec<KeyId> = keys.iter().copied().collect();
        ids.sort_unstable();
        let what = match subject {
            Subject::Person => "person",
            Subject::Subscription => "subscription",
        };
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
        let mut is_held_by = None;
        let committed = self.commit_untold(&event, "", actor, now, |transaction, sequence| {
            is_held_by = placed_after(transaction, newest_hold)?;
            if is_held_by.is_some() {
                return Err(Failed::Other(AuditError::Held(
                    "a hold was placed meanwhile; try again".to_owned(),
                )));
            }
            index::forget_keys(transaction, &keys)?;
            mark(transaction, sequence, &gone)
        });
        if let Some(number) = is_held_by {
            return Err(Refused::Held(number));
        }
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

    /// The holds in force, none of which is on this very person or subscription: such a one covers what is
    /// still to come, too.
    fn unheld(&self, subject: Subject, name: &str) -> Result<Vec<Placed>, Refused> {
        let holds = self.holds()?;
        let person = self.keyring.pseudonym(name);
        let holder = holds.iter().find(|placed| match (&placed.hold, subject) {
            (Hold::Person(held), Subject::Person) => *held == person,
            (Hold::Subscription(held), Subject::Subscription) => held.as_str() == name,
            (
                Hold::Person(_) | Hold::Subscription(_) | Hold::Call(_) | Hold::Time { .. },
                Subject::Person | Subject::Subscription,
            ) => false,
        });
        match holder {
            Some(placed) => Err(Refused::Held(placed.number)),
            None => Ok(holds),
        }
    }

    /// Records of these keys, none of which is held.
    fn collect(&self, keys: &HashSet<KeyId>, holds: &[Placed]) -> Result<Gone, Refused> {
        let mut held = None;
        let mut gone = Gone::new();
        let mut read = || -> rusqlite::Result<()> {
            let select = format!("SELECT {ROW} FROM chain ORDER BY sequence");
            let mut select = self.database.connection.prepare_cached(&select)?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                let Some(row) = Row::read(row)? else { continue };
                if row.gone_by.is_some() || !keys.contains(&row.skeleton.key) {
                    continue;
                }
                if let Some(holder) = self.holder(holds, &row.skeleton) {
                    held = Some(holder.number);
                    return Ok(());
                }
                gone.push((row.sequence, row.place));
            }
            Ok(())
        };
        read().map_err(|error| self.database.faulty(&error))?;
        match held {
            Some(number) => Err(Refused::Held(number)),
            None => Ok(gone),
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

/// Destroys what entries behind `after` say is destroyed, and is live: an older key file, put back, has it.
pub(crate) fn destroy_again(
    connection: &Connection,
    keyring: &Keyring,
    after: u64,
) -> Result<(), Failed> {
    let destructions = destructions(connection, after)?;
    if destructions.is_empty() {
        return Ok(());
    }
    // Whoever destroys them now is waited for.
    let exclusive = keyring.exclusive()?;
    let live: HashSet<KeyId> = keyring.live().into_iter().map(|(id, _)| id).collect();
    for (sequence, mut keys) in destructions {
        keys.retain(|id| live.contains(id));
        if !keys.is_empty() {
            let keys_again = keys.len();
            tracing::warn!(
                sequence,
                keys_again,
                "keys that the audit log says are destroyed were live, and are destroyed again: an older key file was put back, or an erasure was cut short"
            );
            keyring.destroy(&exclusive, &keys, sequence)?;
        }
    }
    Ok(())
}

/// Entries behind `after` that say which keys are destroyed.
fn destructions(connection: &Connection, after: u64) -> rusqlite::Result<Vec<(u64, Vec<KeyId>)>> {
    let select = "SELECT sequence, header FROM chain WHERE sequence > ? AND substr(header, 1, 1) IN (x'06', x'07') ORDER BY sequence";
    let mut select = connection.prepare_cached(select)?;
    let mut rows = select.query([after.cast_signed()])?;
    let mut destructions = Vec::new();
    while let Some(row) = rows.next()? {
        let keys = listed(row.get_ref(1)?.as_blob().unwrap_or_default());
        if !keys.is_empty() {
            destructions.push((row.get::<_, i64>(0)?.cast_unsigned(), keys));
        }
    }
    Ok(destructions)
}

fn keys_of(connection: &Connection, sequence: i64) -> rusqlite::Result<Vec<KeyId>> {
    let header: Vec<u8> = connection.query_row(
        "SELECT header FROM chain WHERE sequence = ?",
        params![sequence],
        |row| row.get(0),
    )?;
    Ok(listed(&header))
}

/// Keys that the entry with that header destroyed.
fn listed(header: &[u8]) -> Vec<KeyId> {
    match Event::from_header(header) {
        Ok(Event::Erased { keys, .. } | Event::Purged { keys, .. }) => keys,
        _ => Vec::new(),
    }
}
