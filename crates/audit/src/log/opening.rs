//! Opening a store to write to it: its lock, its keys, and what an earlier process left half done.

use std::path::Path;
use std::time::Duration;

use disk::{Lock, private};
use domain::Wall;
use rusqlite::Connection;

use crate::database::{self, Database, Failed, Tip, unusable};
use crate::event::Event;
use crate::keys::{Keyring, Keys};
use crate::seal::random;
use crate::witness::{own_up, tell};
use crate::{AuditError, Settings, rotation};

/// The store for one who writes; `None` if another process has it. Ends what an earlier one left half
/// done.
pub(super) fn take(
    settings: &Settings,
    keys: Keys,
    now: Wall,
) -> Result<Option<(Lock, Database, Keyring)>, AuditError> {
    let failed = |error: &dyn std::fmt::Display| unusable(&settings.dir, error);
    private::create_directory(&settings.segments_dir()).map_err(|error| failed(&error))?;
    let mut lock = None;
    // A command that reads a stopped store holds it for a moment.
    for _ in 0..10 {
        lock = Lock::try_take(&settings.lock_path()).map_err(|error| failed(&error))?;
        if lock.is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let Some(lock) = lock else { return Ok(None) };
    let mut database = Database::open(&settings.dir)?;
    let keyring = keyring(settings, keys, &database)?;
    begin(settings, &mut database, &keyring, now).map_err(|failed| failed.in_dir(&settings.dir))?;
    Ok(Some((lock, database, keyring)))
}

/// Keys of this store; new ones for a new store only.
fn keyring(settings: &Settings, keys: Keys, database: &Database) -> Result<Keyring, AuditError> {
    let first = first_event(&database.connection).map_err(|error| database.faulty(&error))?;
    let key_dir = keys.dir.clone();
    match (Keyring::open(keys)?, first) {
        (Ok(keyring), Some(Event::Opened { store, region, .. })) => {
            if keyring.store() != store {
                return Err(AuditError::Keys(format!(
                    "the keys in {} are of another store than {}",
                    key_dir.display(),
                    settings.dir.display()
                )));
            }
            if region != settings.region {
                return Err(AuditError::Store(format!(
                    "the audit log in {} is in region `{region}`, not `{}`: records do not move; set the region back, or name another directory",
                    settings.dir.display(),
                    settings.region
                )));
            }
            Ok(keyring)
        }
        (Err(_), Some(_)) => Err(AuditError::Keys(format!(
            "there is no key file in {}, and the audit log in {} was sealed with one; restore it from its own backup",
            key_dir.display(),
            settings.dir.display()
        ))),
        (Err(keys), None) => Keyring::create(keys, random()?),
        // A start that died between making the keys and the log.
        (Ok(keyring), None) if keyring.witness()?.is_none() => Ok(keyring),
        (Ok(_), None | Some(_)) => Err(AuditError::Store(format!(
            "the audit log in {} does not begin as one does, and the keys in {} know an older one: it was deleted or replaced",
            settings.dir.display(),
            key_dir.display()
        ))),
    }
}

fn first_event(connection: &Connection) -> rusqlite::Result<Option<Event>> {
    use rusqlite::OptionalExtension as _;
    let header: Option<Vec<u8>> = connection
        .query_row(
            "SELECT header FROM chain ORDER BY sequence LIMIT 1",
            [],
            |row| row.get(0),
        )
        .optional()?;
    // What cannot be read is no beginning.
    Ok(header.map(|header| {
        Event::from_header(&header).unwrap_or(Event::Damaged {
            segment: 0,
            places: 1,
        })
    }))
}

/// The region that the store in this folder was made with; `None` if there is none, or it cannot be read. Needs
/// no key, and leaves the store as it is: whoever has it open may be of another version.
pub fn region_of(dir: &Path) -> Option<String> {
    match first_event(&database::read_only(dir)?).ok()?? {
        Event::Opened { region, .. } => Some(region),
        _ => None,
    }
}

/// The first entry of a new log, one that was rolled back, a rotation that is due, and erasures that were
/// cut short.
fn begin(
    settings: &Settings,
    database: &mut Database,
    keyring: &Keyring,
    now: Wall,
) -> Result<(), Failed> {
    // Made if there is none.
    keyring.of_log()?;
    own_up(database, keyring, now)?;
    crate::archive::erase::finish(database, keyring)?;
    rotation::finish(database, keyring, now)?;
    tell(database, keyring)?;
    let (from, to) = keyring.kek_ids();
    let rotates = from != to;
    keyring.sync()?;
    let tip = Tip::read(&database.connection, &keyring.store())?;
    if tip.sequence == 0 {
        open_chain(settings, database, keyring, now)?;
    }
    if rotates {
        rotation::rotate(database, keyring, None, now)?;
        tracing::info!(from, to, "the audit log's keys are wrapped anew");
    }
    Ok(())
}

fn open_chain(
    settings: &Settings,
    database: &mut Database,
    keyring: &Keyring,
    now: Wall,
) -> Result<(), Failed> {
    let transaction = database.begin()?;
    let mut tip = Tip::read(&transaction, &keyring.store())?;
    let opened = Event::Opened {
        store: keyring.store(),
        region: settings.region.clone(),
        public_key: keyring.public_key(),
    };
    tip.append_event(&transaction, now, &opened, None)?;
    tip.append_head(&transaction, keyring, now)?;
    transaction.commit()?;
    tell(database, keyring)?;
    Ok(())
}
