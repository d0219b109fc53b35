//! Rotating keys: the entry is on the chain exactly when the key file was replaced.
//!
//! What the entry says is written down first, under an id that the new key file then has. That the file
//! takes its name is the one moment at which keys are rotated. Whoever looks next puts the entry on the
//! chain, if the process that rotated could not.

use domain::Wall;
use rusqlite::{OptionalExtension as _, params};

use crate::AuditError;
use crate::database::{Database, Failed, Tip};
use crate::event::{Details, Event};
use crate::keys::{DataKey, Exclusive, Keyring};
use crate::killing::kill_point;
use crate::seal::random;
use crate::witness::tell;

/// A new root, wrapped by the current key-encryption key, and its entry, signed.
pub(crate) fn rotate(
    database: &mut Database,
    keyring: &Keyring,
    details: Option<(&DataKey, &Details)>,
    now: Wall,
) -> Result<(), Failed> {
    let exclusive = keyring.exclusive()?;
    enter(database, keyring, &exclusive, now)?;
    let (from, to) = keyring.kek_ids();
    let header = Event::Rotated { from, to }.to_header();
    let sealed = details
        .map(|(key, details)| details.sealed(key, &header))
        .transpose()?;
    // Zero is of a key file that no rotation made.
    let id = u64::from_be_bytes(random()?).max(1);
    database.wait_for_platter(true)?;
    database.connection.execute(
        "INSERT INTO rotations (id, header, sealed) VALUES (?, ?, ?)",
        params![id.cast_signed(), header, sealed],
    )?;
    survive()?;
    keyring.rotate(&exclusive, id)?;
    survive()?;
    enter(database, keyring, &exclusive, now)?;
    drop(exclusive);
    tell(database, keyring)?;
    Ok(())
}

/// Ends a rotation that was cut short: its entry, if it came to be. Waits for one that is under way.
pub(crate) fn finish(database: &mut Database, keyring: &Keyring, now: Wall) -> Result<(), Failed> {
    let pending: bool =
        database
            .connection
            .query_row("SELECT EXISTS (SELECT 1 FROM rotations)", [], |row| {
                row.get(0)
            })?;
    if !pending {
        return Ok(());
    }
    let exclusive = keyring.exclusive()?;
    enter(database, keyring, &exclusive, now)?;
    drop(exclusive);
    tell(database, keyring)?;
    Ok(())
}

/// What the key file came to goes on the chain; what it did not come to is forgotten.
fn enter(
    database: &mut Database,
    keyring: &Keyring,
    _exclusive: &Exclusive,
    now: Wall,
) -> Result<(), Failed> {
    let rotation = keyring.rotation();
    database.wait_for_platter(true)?;
    let transaction = database.begin()?;
    let entry: Option<(Vec<u8>, Option<Vec<u8>>)> = transaction
        .query_row(
            "SELECT header, sealed FROM rotations WHERE id = ?",
            [rotation.cast_signed()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    if let Some((header, sealed)) = entry {
        let mut tip = Tip::read(&transaction, &keyring.store())?;
        tip.append_sealed(&transaction, now, &header, sealed.as_deref())?;
        tip.append_head(&transaction, keyring, now)?;
    }
    transaction.execute("DELETE FROM rotations", [])?;
    survive()?;
    transaction.commit()?;
    survive()
}

fn survive() -> Result<(), Failed> {
    kill_point().map_err(|error| AuditError::Store(error.to_string()).into())
}
