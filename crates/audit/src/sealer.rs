//! Sealing what others keep, under the keys of the log: what an erasure makes unreadable here is unreadable
//! there too. Keeps nothing itself.

use std::sync::Arc;

use domain::{SubscriptionId, Wall};

use crate::AuditError;
use crate::archive::Archive;
use crate::keys::{Found, KeyId, Keyring};
use crate::log::AuditLog;

/// The keys of one store, for use beside its log. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sealer {
    keyring: Arc<Keyring>,
}

/// Whose bytes they are, and of when: an erasure destroys a key for each subscription, person and month.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'w> {
    pub subscription: &'w SubscriptionId,
    /// The user, or the caller where no user is known: as an audit record has it.
    pub person: &'w str,
    pub at: Wall,
}

impl AuditLog {
    pub fn sealer(&self) -> Sealer {
        Sealer {
            keyring: self.keyring(),
        }
    }
}

impl Archive {
    pub fn sealer(&self) -> Sealer {
        Sealer {
            keyring: Arc::clone(&self.keyring),
        }
    }
}

impl Sealer {
    /// `bytes` become their sealed form, which opens only with the same `aad`. The first use of a key in a
    /// month writes it to the key file; every use reads eight bytes there.
    pub fn seal(
        &self,
        whose: Whose<'_>,
        bytes: &mut Vec<u8>,
        aad: &[u8],
    ) -> Result<KeyId, AuditError> {
        let lent =
            self.keyring
                .of_draft(whose.subscription.as_str(), whose.person, whose.at, None)?;
        let key = lent.key;
        key.key.seal(bytes, 0, aad)?;
        Ok(key.id)
    }

    /// Under a key that is nobody's, and never destroyed.
    pub fn seal_own(&self, bytes: &mut Vec<u8>, aad: &[u8]) -> Result<KeyId, AuditError> {
        let key = self.keyring.of_log()?;
        key.key.seal(bytes, 0, aad)?;
        Ok(key.id)
    }

    /// In place. `None` for what nobody can open any more: its key is destroyed or was never here, or a byte
    /// of it is not as it was sealed. Looks at the key file first: a key that another process destroyed a
    /// moment ago opens nothing.
    pub fn open<'s>(
        &self,
        key: KeyId,
        sealed: &'s mut [u8],
        aad: &[u8],
    ) -> Result<Option<&'s [u8]>, AuditError> {
        self.keyring.epoch()?;
        match self.keyring.find(key)? {
            Found::Key(key) => Ok(key.key.open(sealed, aad)),
            Found::Destroyed { .. } | Found::Unknown => Ok(None),
        }
    }

    /// Whether what this key sealed is gone for good.
    pub fn is_gone(&self, key: KeyId) -> Result<bool, AuditError> {
        self.keyring.epoch()?;
        Ok(!matches!(self.keyring.find(key)?, Found::Key(_)))
    }

    /// Changes whenever keys were destroyed, by whatever process. Within this process only ever upwards.
    pub fn epoch(&self) -> Result<u64, AuditError> {
        self.keyring.epoch()
    }
}
