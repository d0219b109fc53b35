//! What commands decide beside the file: keys, hashed, and raises of budgets. In SQLite under the
//! data directory.
//!
//! The commands and a running gateway open it side by side; SQLite orders them.

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use disk::private;
use domain::{SubscriptionId, Wall};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

mod key;
mod raise;
#[cfg(test)]
mod tests;

use key::new_key;
pub use key::{hash, id_of};
pub use raise::{NewRaise, StoredRaise};

/// One step for each version, forward only: a step that was released is never edited.
const STEPS: [&str; 2] = [
    "
    CREATE TABLE keys (
        id TEXT PRIMARY KEY,
        subscription TEXT NOT NULL,
        slot TEXT NOT NULL,
        hash BLOB NOT NULL,
        application TEXT,
        created_at INTEGER NOT NULL,
        revoked_at INTEGER
    );
    CREATE UNIQUE INDEX keys_live ON keys (subscription, slot) WHERE revoked_at IS NULL;
    -- One row.
    CREATE TABLE revision (number INTEGER NOT NULL);
    INSERT INTO revision VALUES (0);
",
    "
    CREATE TABLE raises (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        budget TEXT NOT NULL,
        key TEXT,
        nanos INTEGER NOT NULL,
        currency TEXT NOT NULL,
        until INTEGER NOT NULL,
        reason TEXT NOT NULL,
        granted_by TEXT NOT NULL,
        granted_at INTEGER NOT NULL,
        cancelled_at INTEGER,
        cancelled_by TEXT
    );
",
];
const VERSION: usize = STEPS.len();

#[derive(Debug)]
pub struct Registry {
    connection: Mutex<Connection>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// Public part of `tg_<id>_<secret>`.
    pub id: String,
    pub subscription: SubscriptionId,
    pub slot: Slot,
    /// SHA-256 of the whole key text.
    pub hash: [u8; 32],
    pub application: Option<String>,
    pub created_at: Wall,
    pub revoked_at: Option<Wall>,
}

/// A key that was just made. Its secret is stored nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct NewKey {
    pub stored: StoredKey,
    /// The whole key text, shown once.
    pub secret: String,
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stored, secret: _ } = self;
        f.debug_struct("NewKey")
            .field("stored", stored)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    Primary,
    Secondary,
}

impl Slot {
    pub const ALL: [Self; 2] = [Self::Primary, Self::Secondary];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("{0}")]
    Database(String),
    /// The slot has a live key; rotate or revoke it first.
    #[error("subscription `{subscription}` already has a {slot} key `{id}`")]
    SlotTaken {
        subscription: SubscriptionId,
        slot: Slot,
        id: String,
    },
    #[error("no live key `{0}`")]
    NoSuchKey(String),
    #[error("no raise {0} that is in force")]
    NoSuchRaise(i64),
    #[error("subscription `{subscription}` has no {slot} key to rotate")]
    NoKeyInSlot {
        subscription: SubscriptionId,
        slot: Slot,
    },
}

impl From<rusqlite::Error> for RegistryError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(format!("cannot use the key registry: {error}"))
    }
}

impl Registry {
    pub fn open(dir: &Path) -> Result<Self, RegistryError> {
        let path = dir.join("registry.sqlite");
        let failed = |error: &dyn fmt::Display| {
            RegistryError::Database(format!("cannot open {}: {error}", path.display()))
        };
        private::create_directory(dir).map_err(|error| failed(&error))?;
        private::open(&path).map_err(|error| failed(&error))?;
        let mut connection = Connection::open(&path).map_err(|error| failed(&error))?;
        let version = set_up(&mut connection).map_err(|error| failed(&error))?;
        if version > VERSION {
            return Err(failed(&format!(
                "it has layout {version}, and this version of Tollgate knows layouts up to {VERSION}"
            )));
        }
        Ok(Self {
            connection: Mutex::new(connection),
        })
    }

    /// All keys, revoked ones too.
    pub fn keys(&self) -> Result<Vec<StoredKey>, RegistryError> {
        let connection = self.connection();
        let mut select = connection.prepare("SELECT * FROM keys ORDER BY created_at, id")?;
        let keys = select.query_map([], stored)?.collect::<Result<_, _>>()?;
        Ok(keys)
    }

    /// Grows with every change, in whichever process it was made: poll it to know when to reload.
    pub fn revision(&self) -> Result<u64, RegistryError> {
        let number: i64 =
            self.connection()
                .query_row("SELECT number FROM revision", [], |row| row.get(0))?;
        Ok(number.cast_unsigned())
    }

    /// Fills an empty slot. `entropy` is the key's: fresh from the system's generator.
    pub fn create(
        &self,
        subscription: &SubscriptionId,
        slot: Slot,
        application: Option<&str>,
        now: Wall,
        entropy: [u8; 40],
    ) -> Result<NewKey, RegistryError> {
        let new = new_key(subscription, slot, application, now, entropy);
        self.change(|connection| {
            if let Some(live) = live_in(connection, subscription, slot)? {
                return Err(RegistryError::SlotTaken {
                    subscription: subscription.clone(),
                    slot,
                    id: live.id,
                });
            }
            insert(connection, &new.stored)?;
            Ok(())
        })?;
        Ok(new)
    }

    /// Replaces the slot's key by one for the same application. The other slot's key goes on
    /// working, so that clients can move over one by one.
    pub fn rotate(
        &self,
        subscription: &SubscriptionId,
        slot: Slot,
        now: Wall,
        entropy: [u8; 40],
    ) -> Result<NewKey, RegistryError> {
        self.change(|connection| {
            let Some(old) = live_in(connection, subscription, slot)? else {
                return Err(RegistryError::NoKeyInSlot {
                    subscription: subscription.clone(),
                    slot,
                });
            };
            let new = new_key(subscription, slot, old.application.as_deref(), now, entropy);
            set_revoked(connection, &old.id, now)?;
            insert(connection, &new.stored)?;
            Ok(new)
        })
    }

    pub fn revoke(&self, key_id: &str, now: Wall) -> Result<StoredKey, RegistryError> {
        self.change(|connection| {
            let mut select =
                connection.prepare("SELECT * FROM keys WHERE id = ? AND revoked_at IS NULL")?;
            let Some(mut key) = select.query_row([key_id], stored).optional()? else {
                return Err(RegistryError::NoSuchKey(key_id.to_owned()));
            };
            set_revoked(connection, key_id, now)?;
            key.revoked_at = Some(now);
            Ok(key)
        })
    }

    /// All of it or nothing, and a new revision.
    fn change<T>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let mut connection = self.connection();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let changed = change(&transaction)?;
        transaction.execute("UPDATE revision SET number = number + 1", [])?;
        transaction.commit()?;
        Ok(changed)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The layout's version once it is up to date; one that is newer is left alone.
fn set_up(connection: &mut Connection) -> rusqlite::Result<usize> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A key that was shown must not vanish with the power.
    connection.pragma_update(None, "synchronous", "FULL")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    if version < VERSION {
        for step in &STEPS[version..] {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "user_version", VERSION.cast_signed() as i64)?;
    }
    transaction.commit()?;
    Ok(version.max(VERSION))
}

fn live_in(
    connection: &Connection,
    subscription: &SubscriptionId,
    slot: Slot,
) -> rusqlite::Result<Option<StoredKey>> {
    let mut select = connection
        .prepare("SELECT * FROM keys WHERE subscription = ? AND slot = ? AND revoked_at IS NULL")?;
    select
        .query_row([subscription.as_str(), slot.as_str()], stored)
        .optional()
}

fn set_revoked(connection: &Connection, id: &str, now: Wall) -> rusqlite::Result<()> {
    connection.execute(
        "UPDATE keys SET revoked_at = ? WHERE id = ?",
        params![now.0, id],
    )?;
    Ok(())
}

fn insert(connection: &Connection, key: &StoredKey) -> rusqlite::Result<()> {
    let StoredKey {
        id,
        subscription,
        slot,
        hash,
        application,
        created_at,
        revoked_at,
    } = key;
    connection.execute(
        "INSERT INTO keys VALUES (?,?,?,?,?,?,?)",
        params![
            id,
            subscription.as_str(),
            slot.as_str(),
            hash,
            application,
            created_at.0,
            revoked_at.map(|at| at.0)
        ],
    )?;
    Ok(())
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredKey> {
    let subscription: String = row.get("subscription")?;
    let slot: String = row.get("slot")?;
    Ok(StoredKey {
        id: row.get("id")?,
        subscription: subscription.as_str().into(),
        slot: if slot == Slot::Primary.as_str() {
            Slot::Primary
        } else {
            Slot::Secondary
        },
        hash: row.get("hash")?,
        application: row.get("application")?,
        created_at: Wall(row.get("created_at")?),
        revoked_at: row.get::<_, Option<i64>>("revoked_at")?.map(Wall),
    })
}
