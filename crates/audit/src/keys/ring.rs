//! The keys of one store, as a process has them loaded.
//!
//! Other processes destroy and rotate keys too: each use of a key for sealing first looks at the
//! file's generation, one read of eight bytes, so that a destroyed key is not used on.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use aws_lc_rs::{hmac, rand};
use domain::Wall;
use foldhash::{HashMap, HashMapExt, HashSet};

use super::file::{Body, KeyFile, lock_path, path};
use super::slot::{Slot, State as SlotState, Tag, Tags};
use super::{Kek, KeyId, Keys, month};
use crate::AuditError;
use crate::files::{Lock, create_private_directory};
use crate::seal::{KEY_BYTES, SealingKey};

/// Past this they are looked up in the key file's index once more.
const IN_USE_MAX: usize = 65_536;
/// Of the log's own key. Records have a real month.
const LOG_MONTH: u32 = 0;
const SECRETS_AAD: &[u8] = b"tollgate audit secrets v1";

#[derive(Debug)]
pub(crate) struct Keyring {
    dir: PathBuf,
    current: Kek,
    previous: Vec<Kek>,
    loaded: RwLock<Loaded>,
    /// Keys were added that are not on the platter yet.
    unsynced: AtomicBool,
}

/// What seals the records of one subscription, month and person.
#[derive(Debug)]
pub(crate) struct DataKey {
    pub(crate) id: KeyId,
    pub(crate) key: SealingKey,
    month: u32,
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

#[derive(Debug)]
struct Loaded {
    file: KeyFile,
    generation: u64,
    body: Body,
    root: SealingKey,
    signing: Ed25519KeyPair,
    tag_key: hmac::Key,
    slots: Vec<Option<Slot>>,
    by_id: HashMap<KeyId, usize>,
    by_scope: HashMap<Tag, usize>,
    unwrapped: HashMap<KeyId, Arc<DataKey>>,
    /// By subscription, then person: the current month's.
    in_use: HashMap<Box<str>, HashMap<Box<str>, Arc<DataKey>>>,
    in_use_count: usize,
}

impl Keyring {
    /// `None` if there is no key file yet.
    pub(crate) fn open(keys: Keys) -> Result<Result<Self, Keys>, AuditError> {
        let failed = |error| faulty(&keys.dir, "read", &error);
        let Some(file) = KeyFile::open(&keys.dir).map_err(failed)? else {
            return Ok(Err(keys));
        };
        let body = file.body().map_err(failed)?;
        let root = unwrap_root(&body, &keys.current, &keys.previous)?;
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
        }))
    }

    /// For a store that has none yet.
    pub(crate) fn create(keys: Keys, store: [u8; 16]) -> Result<Self, AuditError> {
        let failed = |error| faulty(&keys.dir, "make", &error);
        create_private_directory(&keys.dir).map_err(failed)?;
        let root: [u8; KEY_BYTES] = random()?;
        let secrets: [u8; 64] = random()?;
        let body = sealed_body(store, &root, &secrets, &keys.current)?;
        let file = KeyFile::replace(&keys.dir, &body, None, &[]).map_err(failed)?;
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
        })
    }

    pub(crate) fn exclusive(&self) -> Result<Exclusive, AuditError> {
        let lock =
            Lock::wait(&lock_path(&self.dir)).map_err(|error| faulty(&self.dir, "lock", &error))?;
        KeyFile::overwrite_old(&self.dir)
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

    /// What seals events: it is never destroyed.
    pub(crate) fn of_log(&self) -> Result<Arc<DataKey>, AuditError> {
        self.key_for("", "", LOG_MONTH)
    }

    /// Made if there is none.
    pub(crate) fn of_draft(
        &self,
        subscription: &str,
        person: &str,
        at: Wall,
    ) -> Result<Arc<DataKey>, AuditError> {
        self.key_for(subscription, person, month(at))
    }

    fn key_for(
        &self,
        subscription: &str,
        person: &str,
        month: u32,
    ) -> Result<Arc<DataKey>, AuditError> {
        {
            let loaded = self.read();
            let is_fresh = loaded
                .is_fresh()
                .map_err(|error| faulty(&self.dir, "read", &error))?;
            let in_use = loaded
                .in_use
                .get(subscription)
                .and_then(|of| of.get(person));
            if let Some(key) = in_use
                && is_fresh
                && key.month == month
            {
                return Ok(Arc::clone(key));
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
        Ok(key)
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
            let Some(index) = loaded.by_id.get(id).copied() else {
                continue;
            };
            let Some(Some(slot)) = loaded.slots.get_mut(index) else {
                continue;
            };
            if let SlotState::Live { tags, .. } = slot.state {
                slot.state = SlotState::Destroyed { by };
                let slot = slot.clone();
                loaded.file.write(index, &slot).map_err(failed)?;
                loaded.by_scope.remove(&tags.scope);
            }
            loaded.unwrapped.remove(id);
        }
        loaded.in_use.clear();
        loaded.in_use_count = 0;
        loaded.file.sync().map_err(failed)?;
        loaded.file.next_generation().map_err(failed)?;
        loaded.file.sync().map_err(failed)?;
        loaded.generation = loaded.file.generation().map_err(failed)?.unwrap_or(0);
        Ok(())
    }

    /// A new root, wrapped by the current key-encryption key; data keys are wrapped anew, records
    /// stay as they are. The old file is overwritten.
    pub(crate) fn rotate(&self) -> Result<(), AuditError> {
        let _exclusive = self.exclusive()?;
        let root: [u8; KEY_BYTES] = random()?;
        let mut loaded = self.write();
        let secrets = open_secrets(&loaded.body, &loaded.root)?;
        let body = sealed_body(loaded.body.store, &root, &secrets, &self.current)?;
        let new_root = SealingKey::new(&root)?;
        let mut slots = Vec::with_capacity(loaded.slots.len());
        for slot in loaded.slots.iter().flatten() {
            let mut slot = slot.clone();
            if let SlotState::Live { tags, wrapped } = &mut slot.state {
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
        let file = KeyFile::replace(&self.dir, &body, witness.as_ref(), &slots).map_err(failed)?;
        *loaded = Loaded::new(file, body, &root).map_err(|error| error.in_file(&self.dir))?;
        Ok(())
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
                let root = unwrap_root(&body, &self.current, &self.previous)?;
                *loaded =
                    Loaded::new(file, body, &root).map_err(|error| error.in_file(&self.dir))?;
            }
            Some(generation) if generation != loaded.generation => {
                let slots = loaded.file.slots(0).map_err(failed)?;
                loaded.index(slots);
                loaded.generation = generation;
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

enum LoadError {
    Io(std::io::Error),
    Audit(AuditError),
}

impl LoadError {
    fn in_file(self, dir: &Path) -> AuditError {
        match self {
            Self::Io(error) => faulty(dir, "use", &error),
            Self::Audit(error) => error,
        }
    }
}

impl From<std::io::Error> for LoadError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<AuditError> for LoadError {
    fn from(error: AuditError) -> Self {
        Self::Audit(error)
    }
}

impl Loaded {
    fn new(file: KeyFile, body: Body, root: &[u8; KEY_BYTES]) -> Result<Self, LoadError> {
        let root = SealingKey::new(root)?;
        let secrets = open_secrets(&body, &root)?;
        let (seed, tags) = secrets.split_at(32);
        let signing =
            Ed25519KeyPair::from_seed_and_public_key(seed, &body.public_key).map_err(|_| {
                AuditError::Keys(
                    "the key file's signing key does not fit its public key".to_owned(),
                )
            })?;
        let generation = file.generation()?.unwrap_or(0);
        let slots = file.slots(0)?;
        let mut loaded = Self {
            file,
            generation,
            body,
            root,
            signing,
            tag_key: hmac::Key::new(hmac::HMAC_SHA256, tags),
            slots: Vec::new(),
            by_id: HashMap::new(),
            by_scope: HashMap::new(),
            unwrapped: HashMap::new(),
            in_use: HashMap::new(),
            in_use_count: 0,
        };
        loaded.index(slots);
        Ok(loaded)
    }

    fn is_fresh(&self) -> std::io::Result<bool> {
        Ok(self.file.generation()? == Some(self.generation))
    }

    fn index(&mut self, slots: Vec<Option<Slot>>) {
        self.slots = Vec::with_capacity(slots.len());
        self.by_id.clear();
        self.by_scope.clear();
        self.unwrapped.clear();
        self.in_use.clear();
        self.in_use_count = 0;
        for slot in slots {
            self.push(slot);
        }
    }

    fn push(&mut self, slot: Option<Slot>) {
        let index = self.slots.len();
        if let Some(slot) = &slot {
            self.by_id.insert(slot.id, index);
            if let SlotState::Live { tags, .. } = &slot.state {
                self.by_scope.insert(tags.scope, index);
            }
        }
        self.slots.push(slot);
    }

    fn live(&self) -> impl Iterator<Item = (KeyId, u32, &Tags)> {
        self.slots
            .iter()
            .flatten()
            .filter_map(|slot| match &slot.state {
                SlotState::Live { tags, .. } => Some((slot.id, slot.month, tags)),
                SlotState::Destroyed { .. } => None,
            })
    }

    fn add(&mut self, tags: Tags, month: u32) -> Result<Arc<DataKey>, LoadError> {
        let id = KeyId(u64::from_be_bytes(random()?));
        let key: [u8; KEY_BYTES] = random()?;
        let wrapped = wrap(&self.root, &key, &key_aad(&self.body.store, id, &tags))?;
        let slot = Slot {
            id,
            month,
            state: SlotState::Live { tags, wrapped },
        };
        self.file.write(self.slots.len(), &slot)?;
        self.push(Some(slot));
        let key = Arc::new(DataKey {
            id,
            key: SealingKey::new(&key)?,
            month,
        });
        self.unwrapped.insert(id, Arc::clone(&key));
        Ok(key)
    }

    fn unwrap(&mut self, index: usize) -> Result<Arc<DataKey>, AuditError> {
        let Some(Some(Slot {
            id,
            month,
            state: SlotState::Live { tags, wrapped },
        })) = self.slots.get(index)
        else {
            return Err(AuditError::Keys(
                "a data key was destroyed meanwhile".to_owned(),
            ));
        };
        if let Some(key) = self.unwrapped.get(id) {
            return Ok(Arc::clone(key));
        }
        let mut opened = *wrapped;
        let key = self
            .root
            .open(&mut opened, &key_aad(&self.body.store, *id, tags))
            .and_then(|key| <[u8; KEY_BYTES]>::try_from(key).ok())
            .ok_or_else(|| {
                AuditError::Keys(format!(
                    "the data key {id} cannot be unwrapped: its slot was changed"
                ))
            })?;
        let key = Arc::new(DataKey {
            id: *id,
            key: SealingKey::new(&key)?,
            month: *month,
        });
        if self.unwrapped.len() >= IN_USE_MAX {
            self.unwrapped.clear();
        }
        self.unwrapped.insert(key.id, Arc::clone(&key));
        Ok(key)
    }

    fn use_for(&mut self, subscription: &str, person: &str, key: &Arc<DataKey>) {
        if self.in_use_count >= IN_USE_MAX {
            self.in_use.clear();
            self.in_use_count = 0;
        }
        self.in_use_count += 1;
        self.in_use
            .entry(subscription.into())
            .or_default()
            .insert(person.into(), Arc::clone(key));
    }

    fn tags(&self, subscription: &str, person: &str, month: u32) -> Tags {
        Tags {
            scope: self.tag(
                b"scope",
                &[
                    subscription.as_bytes(),
                    person.as_bytes(),
                    &month.to_be_bytes(),
                ],
            ),
            subscription: self.subscription_tag(subscription),
            person: self.person_tag(person),
        }
    }

    fn subscription_tag(&self, subscription: &str) -> Tag {
        self.tag(b"subscription", &[subscription.as_bytes()])
    }

    fn person_tag(&self, person: &str) -> Tag {
        self.tag(b"person", &[person.as_bytes()])
    }

    fn tag(&self, kind: &[u8], parts: &[&[u8]]) -> Tag {
        let mut context = hmac::Context::with_key(&self.tag_key);
        context.update(kind);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut tag = Tag::default();
        tag.copy_from_slice(&context.sign().as_ref()[..16]);
        tag
    }
}

fn unwrap_root(
    body: &Body,
    current: &Kek,
    previous: &[Kek],
) -> Result<[u8; KEY_BYTES], AuditError> {
    let kek = std::iter::once(current)
        .chain(previous)
        .find(|kek| kek.id() == body.kek);
    let Some(kek) = kek else {
        let known: Vec<&str> = std::iter::once(current)
            .chain(previous)
            .map(Kek::id)
            .collect();
        return Err(AuditError::Keys(format!(
            "the audit log's keys are wrapped with `{}`, and the configured key-encryption keys are {}; add it as a previous key",
            body.kek,
            known.join(", ")
        )));
    };
    kek.unwrap(&body.wrapped_root)
}

fn sealed_body(
    store: [u8; 16],
    root: &[u8; KEY_BYTES],
    secrets: &[u8],
    kek: &Kek,
) -> Result<Body, AuditError> {
    let signing =
        Ed25519KeyPair::from_seed_unchecked(&secrets[..32]).map_err(|_| AuditError::Crypto)?;
    let mut public_key = [0; 32];
    public_key.copy_from_slice(signing.public_key().as_ref());
    let mut sealed = secrets.to_vec();
    SealingKey::new(root)?.seal(&mut sealed, 0, &secrets_aad(&store))?;
    Ok(Body {
        store,
        kek: kek.id().to_owned(),
        wrapped_root: kek.wrap(root)?,
        secrets: sealed,
        public_key,
    })
}

fn open_secrets(body: &Body, root: &SealingKey) -> Result<Vec<u8>, AuditError> {
    let mut sealed = body.secrets.clone();
    match root.open(&mut sealed, &secrets_aad(&body.store)) {
        Some(secrets) if secrets.len() == 64 => Ok(secrets.to_vec()),
        _ => Err(AuditError::Keys(
            "the key file's secrets cannot be opened: its first page was changed".to_owned(),
        )),
    }
}

fn secrets_aad(store: &[u8; 16]) -> Vec<u8> {
    [SECRETS_AAD, store].concat()
}

fn key_aad(store: &[u8; 16], id: KeyId, tags: &Tags) -> Vec<u8> {
    [
        &b"tollgate audit key v1"[..],
        store,
        &id.0.to_be_bytes(),
        &tags.scope,
        &tags.subscription,
        &tags.person,
    ]
    .concat()
}

fn wrap<const N: usize>(root: &SealingKey, key: &[u8], aad: &[u8]) -> Result<[u8; N], AuditError> {
    let mut wrapped = key.to_vec();
    root.seal(&mut wrapped, 0, aad)?;
    <[u8; N]>::try_from(wrapped.as_slice()).map_err(|_| AuditError::Crypto)
}

fn random<const N: usize>() -> Result<[u8; N], AuditError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| AuditError::Crypto)?;
    Ok(bytes)
}

fn faulty(dir: &Path, what: &str, error: &std::io::Error) -> AuditError {
    AuditError::Keys(format!(
        "cannot {what} the key file {}: {error}",
        path(dir).display()
    ))
}
