//! The keys of one store, as a process has them loaded.
//!
//! Other processes destroy and rotate keys too: the first use of a key for sealing in each millisecond
//! looks at the file's generation, one read of eight bytes, so that a destroyed key is not used on.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use disk::{Lock, private};
use domain::Wall;
use foldhash::HashSet;

use super::file::{Body, KeyFile, lock_path, path};
use super::loaded::{Loaded, faulty, key_aad, open_secrets, sealed_body, unwrap_root, wrap};
use super::slot::{Slot, State as SlotState};
use super::{Kek, KeyId, Keys, month};
use crate::AuditError;
use crate::seal::{KEY_BYTES, SealingKey, random};

/// Of the log's own key. Records have a real month.
const LOG_MONTH: u32 = 0;

#[derive(Debug)]
pub(crate) struct Keyring {
    dir: PathBuf,
    current: Kek,
    previous: Vec<Kek>,
    loaded: RwLock<Loaded>,
    /// Keys were added that are not on the platter yet.
    unsynced: AtomicBool,
    /// When the key file was last seen as it is loaded, in ms.
    fresh_at: AtomicI64,
    /// Of the destructions and rotations that this process knows of.
    epoch: AtomicU64,
    /// Of the months before it, keys that seal nothing are destroyed, unless content went since; 0: not known.
    swept: AtomicU32,
}

/// What to do about a key file whose key-encryption key is not known.
const AT_A_START: &str = "add it as a previous key";
const WHILE_IT_RUNS: &str = "another process rotated them: restart the gateway with the new key";

/// No call is made then.
const NEVER: i64 = i64::MIN;

/// What seals the records of one subscription, month and person.
#[derive(Debug)]
pub(crate) struct DataKey {
    pub(crate) id: KeyId,
    pub(crate) key: SealingKey,
    pub(super) month: u32,
}

/// A key to seal with now, and the key file's generation then: `Keyring::is_still` says whether what it
/// sealed may be kept.
#[derive(Clone, Debug)]
pub(crate) struct Lent {
    pub(crate) key: Arc<DataKey>,
    pub(crate) generation: u64,
}

/// The newest head that was signed: the key file knows it too, so that rolling back the whole
/// directory of a store shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Witness {
    pub(crate) sequence: u64,
    pub(crate) hash: [u8; 32],
}

/// What has become of a key.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    Key(Arc<DataKey>),
    Destroyed {
        by: u64,
    },
    /// No such key was ever here, or its slot is damaged.
    Unknown,
}

/// While it is held, no process makes, destroys or rotates keys of this store.
#[derive(Debug)]
pub(crate) struct Exclusive {
    _lock: Lock,
}

impl Keyring {
    /// `None` if there is no key file yet.
    pub(crate) fn open(keys: Keys) -> Result<Result<Self, Keys>, AuditError> {
        let failed = |error| faulty(&keys.dir, "read", &error);
        let Some(file) = KeyFile::open(&keys.dir).map_err(failed)? else {
            return Ok(Err(keys));
        };
        let body = file.body().map_err(failed)?;
        let root = unwrap_root(&body, &keys.current, &keys.previous, AT_A_START)?;
        let loaded = Loaded::new(file, body, &root).map_err(|error| error.in_file(&keys.dir))?;
        let Keys {
            dir,
            current,
            previous,
        } = keys;
        Ok(Ok(Self {
            dir,
            current,
            previous,
            loaded: RwLock::new(loaded),
            unsynced: AtomicBool::new(false),
            fresh_at: AtomicI64::new(NEVER),
            epoch: AtomicU64::new(0),
            swept: AtomicU32::new(0),
        }))
    }

    /// For a store that has none yet.
    pub(crate) fn create(keys: Keys, store: [u8; 16]) -> Result<Self, AuditError> {
        let failed = |error| faulty(&keys.dir, "make", &error);
        private::create_directory(&keys.dir).map_err(failed)?;
        let root: [u8; KEY_BYTES] = random()?;
        let secrets: [u8; 64] = random()?;
        let body = sealed_body(store, &root, &secrets, &keys.current)?;
        let file = KeyFile::replace(&keys.dir, &body, None, &[], 0).map_err(failed)?;
        let loaded = Loaded::new(file, body, &root).map_err(|error| error.in_file(&keys.dir))?;
        let Keys {
            dir,
            current,
            previous,
        } = keys;
        Ok(Self {
            dir,
            current,
            previous,
            loaded: RwLock::new(loaded),
            unsynced: AtomicBool::new(false),
            fresh_at: AtomicI64::new(NEVER),
            epoch: AtomicU64::new(0),
            swept: AtomicU32::new(0),
        })
    }

    pub(crate) fn exclusive(&self) -> Result<Exclusive, AuditError> {
        let lock =
            Lock::wait(&lock_path(&self.dir)).map_err(|error| faulty(&self.dir, "lock", &error))?;
        KeyFile::overwrite_left(&self.dir)
            .map_err(|error| faulty(&self.dir, "overwrite", &error))?;
        self.refresh()?;
        Ok(Exclusive { _lock: lock })
    }

    pub(crate) fn store(&self) -> [u8; 16] {
        self.read().body.store
    }

    pub(crate) fn public_key(&self) -> [u8; 32] {
        self.read().body.public_key
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<[u8; 64], AuditError> {
        let signature = self
            .read()
            .signing
            .try_sign(message)
            .map_err(|_| AuditError::Crypto)?;
        <[u8; 64]>::try_from(signature.as_ref()).map_err(|_| AuditError::Crypto)
    }

    /// The key file's id of its key-encryption key, and the configured one's.
    pub(crate) fn kek_ids(&self) -> (String, String) {
        (self.read().body.kek.clone(), self.current.id().to_owned())
    }

    /// Which one the keys were rotated by last; zero if they never were, or by a version that told none.
    pub(crate) fn rotation(&self) -> u64 {
        self.read().body.rotation
    }

    /// What seals events: it is never destroyed.
    pub(crate) fn of_log(&self) -> Result<Arc<DataKey>, AuditError> {
        Ok(self.key_for("", "", LOG_MONTH, None)?.key)
    }

    /// Made if there is none. `at` is when the call began, which says the month. Without `now`, the key
    /// file is looked at whatever was seen before.
    pub(crate) fn of_draft(
        &self,
        subscription: &str,
        person: &str,
        at: Wall,
        now: Option<Wall>,
    ) -> Result<Lent, AuditError> {
        self.key_for(subscription, person, month(at), now)
    }

    fn key_for(
        &self,
        subscription: &str,
        person: &str,
        month: u32,
        now: Option<Wall>,
    ) -> Result<Lent, AuditError> {
        {
            let loaded = self.read();
            let is_fresh = self
                .is_fresh(&loaded, now)
                .map_err(|error| faulty(&self.dir, "read", &error))?;
            let in_use = loaded
                .in_use
                .get(subscription)
                .and_then(|of| of.get(person));
            if let Some(key) = in_use
                && is_fresh
                && key.month == month
            {
                return Ok(Lent {
                    key: Arc::clone(key),
                    generation: loaded.generation,
                });
            }
        }
        let _exclusive = self.exclusive()?;
        let mut loaded = self.write();
        let tags = loaded.tags(subscription, person, month);
        let key = match loaded.by_scope.get(&tags.scope).copied() {
            Some(index) => loaded.unwrap(index)?,
            None => {
                let key = loaded
                    .add(tags, month)
                    .map_err(|error| error.in_file(&self.dir))?;
                self.unsynced.store(true, Ordering::Release);
                key
            }
        };
        loaded.use_for(subscription, person, &key);
        Ok(Lent {
            key,
            generation: loaded.generation,
        })
    }

    /// Looked at once in a millisecond: a look is a tenth of what writing a record costs.
    fn is_fresh(&self, loaded: &Loaded, now: Option<Wall>) -> std::io::Result<bool> {
        if now.is_some_and(|now| self.fresh_at.load(Ordering::Acquire) == now.0) {
            return Ok(true);
        }
        let is_fresh = loaded.is_fresh()?;
        if let (true, Some(now)) = (is_fresh, now) {
            self.fresh_at.store(now.0, Ordering::Release);
        }
        Ok(is_fresh)
    }

    pub(crate) fn find(&self, id: KeyId) -> Result<Found, AuditError> {
        if let Some(key) = self.read().unwrapped.get(&id) {
            return Ok(Found::Key(Arc::clone(key)));
        }
        if !self.read().by_id.contains_key(&id) {
            self.refresh()?;
        }
        let mut loaded = self.write();
        let Some(index) = loaded.by_id.get(&id).copied() else {
            return Ok(Found::Unknown);
        };
        match loaded.slots.get(index) {
            Some(Some(Slot {
                state: SlotState::Destroyed { by },
                ..
            })) => Ok(Found::Destroyed { by: *by }),
            Some(Some(Slot {
                state: SlotState::Live { .. },
                ..
            })) => loaded.unwrap(index).map(Found::Key),
            Some(None) | None => Ok(Found::Unknown),
        }
    }

    /// A person's, of all subscriptions or one; or all of a subscription's.
    pub(crate) fn ids_of(
        &self,
        subscription: Option<&str>,
        person: Option<&str>,
    ) -> HashSet<KeyId> {
        let loaded = self.read();
        let subscription = subscription.map(|name| loaded.subscription_tag(name));
        let person = person.map(|name| loaded.person_tag(name));
        loaded
            .live()
            .filter(|(_, month, tags)| {
                *month != LOG_MONTH
                    && subscription.is_none_or(|tag| tag == tags.subscription)
                    && person.is_none_or(|tag| tag == tags.person)
            })
            .map(|(id, _, _)| id)
            .collect()
    }

    /// Of records, with their months; not the log's own.
    pub(crate) fn live(&self) -> Vec<(KeyId, u32)> {
        let loaded = self.read();
        loaded
            .live()
            .filter(|(_, month, _)| *month != LOG_MONTH)
            .map(|(id, month, _)| (id, month))
            .collect()
    }

    /// Stands for a person where the name must not: the same for the same person and store.
    pub(crate) fn pseudonym(&self, person: &str) -> [u8; 16] {
        self.read().person_tag(person)
    }

    /// `None` once the key is destroyed.
    pub(crate) fn pseudonym_of(&self, id: KeyId) -> Option<[u8; 16]> {
        let loaded = self.read();
        let slot = loaded.slots.get(*loaded.by_id.get(&id)?)?.as_ref()?;
        match &slot.state {
            SlotState::Live { tags, .. } => Some(tags.person),
            SlotState::Destroyed { .. } => None,
        }
    }

    /// The entry that says so, of a key that is known to be destroyed.
    pub(crate) fn destroyed_by(&self, id: KeyId) -> Option<u64> {
        let loaded = self.read();
        let slot = loaded.slots.get(*loaded.by_id.get(&id)?)?.as_ref()?;
        match slot.state {
            SlotState::Destroyed { by } => Some(by),
            SlotState::Live { .. } => None,
        }
    }

    pub(crate) fn is_swept(&self, month: u32) -> bool {
        self.swept.load(Ordering::Acquire) >= month
    }

    /// Of the months before `month`, no key is left that seals nothing.
    pub(crate) fn note_swept(&self, month: u32) {
        self.swept.store(month, Ordering::Release);
    }

    /// Content went, and keys may seal nothing any more.
    pub(crate) fn note_unswept(&self) {
        self.swept.store(0, Ordering::Release);
    }

    /// They seal nothing more once this returns, in no process, except what is found out of date before it
    /// counts as written; what they sealed opens as before.
    pub(crate) fn retire(
        &self,
        _exclusive: &Exclusive,
        ids: &HashSet<KeyId>,
    ) -> Result<(), AuditError> {
        let failed = |error| faulty(&self.dir, "write", &error);
        let mut loaded = self.write();
        for id in ids {
            let Some((index, slot)) = loaded.slot(id) else {
                continue;
            };
            if let SlotState::Live {
                tags, is_retired, ..
            } = &mut slot.state
            {
                let scope = tags.scope;
                *is_retired = true;
                let slot = slot.clone();
                loaded.file.write(index, &slot).map_err(failed)?;
                if loaded.by_scope.get(&scope) == Some(&index) {
                    loaded.by_scope.remove(&scope);
                }
            }
        }
        loaded.in_use.clear();
        loaded.in_use_count = 0;
        self.epoch.fetch_add(1, Ordering::AcqRel);
        loaded.file.sync().map_err(failed)?;
        loaded.file.next_generation().map_err(failed)?;
        fence(Ordering::SeqCst);
        loaded.generation = loaded.file.generation().map_err(failed)?.unwrap_or(0);
        Ok(())
    }

    /// Whether no key was retired, destroyed or wrapped anew since one was lent under that generation.
    /// Asked once a frame is written and before it counts as written: whoever retires keys changes the
    /// generation first and looks into the segments then, so that one of the two sees the other.
    pub(crate) fn is_still(&self, generation: u64) -> bool {
        fence(Ordering::SeqCst);
        let found = self.read().file.generation();
        found.is_ok_and(|found| found == Some(generation))
    }

    /// Overwrites them, for good. What already was destroyed stays as it is.
    pub(crate) fn destroy(
        &self,
        _exclusive: &Exclusive,
        ids: &[KeyId],
        by: u64,
    ) -> Result<(), AuditError> {
        let failed = |error| faulty(&self.dir, "overwrite", &error);
        let mut loaded = self.write();
        for id in ids {
            let Some((index, slot)) = loaded.slot(id) else {
                continue;
            };
            if let SlotState::Live { tags, .. } = slot.state {
                slot.state = SlotState::Destroyed { by };
                let slot = slot.clone();
                loaded.file.write(index, &slot).map_err(failed)?;
                // One that was retired has another in its place.
                if loaded.by_scope.get(&tags.scope) == Some(&index) {
                    loaded.by_scope.remove(&tags.scope);
                }
            }
            loaded.unwrapped.remove(id);
        }
        loaded.in_use.clear();
        loaded.in_use_count = 0;
        self.epoch.fetch_add(1, Ordering::AcqRel);
        loaded.file.sync().map_err(failed)?;
        loaded.file.next_generation().map_err(failed)?;
        loaded.file.sync().map_err(failed)?;
        loaded.generation = loaded.file.generation().map_err(failed)?.unwrap_or(0);
        Ok(())
    }

    /// A new root, wrapped by the current key-encryption key; data keys are wrapped anew, records
    /// stay as they are. The old file is overwritten. `id` tells this rotation from all others.
    pub(crate) fn rotate(&self, _exclusive: &Exclusive, id: u64) -> Result<(), AuditError> {
        let root: [u8; KEY_BYTES] = random()?;
        let mut loaded = self.write();
        let secrets = open_secrets(&loaded.body, &loaded.root)?;
        let body = Body {
            rotation: id,
            ..sealed_body(loaded.body.store, &root, &secrets, &self.current)?
        };
        let new_root = SealingKey::new(&root)?;
        let mut slots = Vec::with_capacity(loaded.slots.len());
        for slot in loaded.slots.iter().flatten() {
            let mut slot = slot.clone();
            if let SlotState::Live { tags, wrapped, .. } = &mut slot.state {
                let mut opened = *wrapped;
                let aad = key_aad(&body.store, slot.id, tags);
                let Some(key) = loaded.root.open(&mut opened, &aad) else {
                    return Err(AuditError::Keys(format!(
                        "the data key {} cannot be unwrapped",
                        slot.id
                    )));
                };
                *wrapped = wrap(&new_root, key, &aad)?;
            }
            slots.push(slot);
        }
        let failed = |error| faulty(&self.dir, "replace", &error);
        let witness = loaded.file.witness().map_err(failed)?;
        // Another one than any that keys were lent under.
        let generation = loaded.generation + 1;
        let replaced = KeyFile::replace(&self.dir, &body, witness.as_ref(), &slots, generation);
        let file = replaced.map_err(failed)?;
        *loaded = Loaded::new(file, body, &root).map_err(|error| error.in_file(&self.dir))?;
        Ok(())
    }

    /// Another number whenever keys were destroyed or wrapped anew, here or by another process: one read of
    /// eight bytes.
    pub(crate) fn epoch(&self) -> Result<u64, AuditError> {
        let is_fresh = self.read().is_fresh();
        if !is_fresh.map_err(|error| faulty(&self.dir, "read", &error))? {
            self.refresh()?;
        }
        Ok(self.epoch.load(Ordering::Acquire))
    }

    /// New keys to the platter, before what they sealed.
    pub(crate) fn sync(&self) -> Result<(), AuditError> {
        if self.unsynced.swap(false, Ordering::AcqRel)
            && let Err(error) = self.read().file.sync()
        {
            self.unsynced.store(true, Ordering::Release);
            return Err(faulty(&self.dir, "sync", &error));
        }
        Ok(())
    }

    pub(crate) fn witness(&self) -> Result<Option<Witness>, AuditError> {
        self.read()
            .file
            .witness()
            .map_err(|error| faulty(&self.dir, "read", &error))
    }

    /// Only ever forward.
    pub(crate) fn tell_witness(&self, witness: &Witness) -> Result<(), AuditError> {
        let _exclusive = self.exclusive()?;
        let failed = |error| faulty(&self.dir, "write", &error);
        let loaded = self.read();
        let known = loaded.file.witness().map_err(failed)?;
        if known.is_none_or(|known| known.sequence < witness.sequence) {
            loaded.file.set_witness(witness).map_err(failed)?;
            loaded.file.sync().map_err(failed)?;
        }
        Ok(())
    }

    /// Of another chain than it knew.
    pub(crate) fn replace_witness(&self, witness: &Witness) -> Result<(), AuditError> {
        let _exclusive = self.exclusive()?;
        let failed = |error| faulty(&self.dir, "write", &error);
        let loaded = self.read();
        loaded.file.set_witness(witness).map_err(failed)?;
        loaded.file.sync().map_err(failed)
    }

    /// What other processes added, destroyed or rotated.
    fn refresh(&self) -> Result<(), AuditError> {
        let failed = |error| faulty(&self.dir, "read", &error);
        let mut loaded = self.write();
        match loaded.file.generation().map_err(failed)? {
            None => {
                let file = KeyFile::open(&self.dir).map_err(failed)?;
                let file = file.ok_or_else(|| {
                    AuditError::Keys(format!(
                        "the key file {} is gone; restore it from its own backup",
                        path(&self.dir).display()
                    ))
                })?;
                let body = file.body().map_err(failed)?;
                let root = unwrap_root(&body, &self.current, &self.previous, WHILE_IT_RUNS)?;
                *loaded =
                    Loaded::new(file, body, &root).map_err(|error| error.in_file(&self.dir))?;
                self.epoch.fetch_add(1, Ordering::AcqRel);
            }
            Some(generation) if generation != loaded.generation => {
                let slots = loaded.file.slots(0).map_err(failed)?;
                loaded.index(slots);
                loaded.generation = generation;
                self.epoch.fetch_add(1, Ordering::AcqRel);
            }
            Some(_) => {
                let more = loaded.file.slots(loaded.slots.len()).map_err(failed)?;
                for slot in more {
                    loaded.push(slot);
                }
            }
        }
        Ok(())
    }

    /// No invariant spans a panic: a slot is written before it is indexed.
    fn read(&self) -> RwLockReadGuard<'_, Loaded> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Loaded> {
        self.loaded.write().unwrap_or_else(PoisonError::into_inner)
    }
}
