//! What a process has loaded of a key file: slots by what they are asked for, unwrapped where they were.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use foldhash::{HashMap, HashMapExt};

use super::file::{Body, KeyFile, path};
use super::ring::DataKey;
use super::slot::{Slot, State as SlotState, Tag, Tags};
use super::{Kek, KeyId};
use crate::AuditError;
use crate::seal::{KEY_BYTES, SealingKey, random};

/// Past this they are looked up in the key file's index once more.
const IN_USE_MAX: usize = 65_536;
const SECRETS_AAD: &[u8] = b"tollgate audit secrets v1";

#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) file: KeyFile,
    pub(super) generation: u64,
    pub(super) body: Body,
    pub(super) root: SealingKey,
    pub(super) signing: Ed25519KeyPair,
    pub(super) tag_key: hmac::Key,
    pub(super) slots: Vec<Option<Slot>>,
    pub(super) by_id: HashMap<KeyId, usize>,
    pub(super) by_scope: HashMap<Tag, usize>,
    pub(super) unwrapped: HashMap<KeyId, Arc<DataKey>>,
    /// By subscription, then person: the current month's.
    pub(super) in_use: HashMap<Box<str>, HashMap<Box<str>, Arc<DataKey>>>,
    pub(super) in_use_count: usize,
}

pub(super) enum LoadError {
    Io(std::io::Error),
    Audit(AuditError),
}

impl LoadError {
    pub(super) fn in_file(self, dir: &Path) -> AuditError {
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
    /// A key's, and where it stands.
    pub(super) fn slot(&mut self, id: &KeyId) -> Option<(usize, &mut Slot)> {
        let index = *self.by_id.get(id)?;
        Some((index, self.slots.get_mut(index)?.as_mut()?))
    }

    pub(super) fn new(
        file: KeyFile,
        body: Body,
        root: &[u8; KEY_BYTES],
    ) -> Result<Self, LoadError> {
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

    pub(super) fn is_fresh(&self) -> std::io::Result<bool> {
        Ok(self.file.generation()? == Some(self.generation))
    }

    pub(super) fn index(&mut self, slots: Vec<Option<Slot>>) {
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

    pub(super) fn push(&mut self, slot: Option<Slot>) {
        let index = self.slots.len();
        if let Some(slot) = &slot {
            self.by_id.insert(slot.id, index);
            if let SlotState::Live {
                tags,
                is_retired: false,
                ..
            } = &slot.state
            {
                self.by_scope.insert(tags.scope, index);
            }
        }
        self.slots.push(slot);
    }

    pub(super) fn live(&self) -> impl Iterator<Item = (KeyId, u32, &Tags)> {
        self.slots
            .iter()
            .flatten()
            .filter_map(|slot| match &slot.state {
                SlotState::Live { tags, .. } => Some((slot.id, slot.month, tags)),
                SlotState::Destroyed { .. } => None,
            })
    }

    pub(super) fn add(&mut self, tags: Tags, month: u32) -> Result<Arc<DataKey>, LoadError> {
        let id = KeyId(u64::from_be_bytes(random()?));
        let key: [u8; KEY_BYTES] = random()?;
        let wrapped = wrap(&self.root, &key, &key_aad(&self.body.store, id, &tags))?;
        let slot = Slot {
            id,
            month,
            state: SlotState::Live {
                tags,
                wrapped,
                is_retired: false,
            },
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

    pub(super) fn unwrap(&mut self, index: usize) -> Result<Arc<DataKey>, AuditError> {
        let Some(Some(Slot {
            id,
            month,
            state: SlotState::Live { tags, wrapped, .. },
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

    pub(super) fn use_for(&mut self, subscription: &str, person: &str, key: &Arc<DataKey>) {
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

    pub(super) fn tags(&self, subscription: &str, person: &str, month: u32) -> Tags {
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

    pub(super) fn subscription_tag(&self, subscription: &str) -> Tag {
        self.tag(b"subscription", &[subscription.as_bytes()])
    }

    pub(super) fn person_tag(&self, person: &str) -> Tag {
        self.tag(b"person", &[person.as_bytes()])
    }

    pub(super) fn tag(&self, kind: &[u8], parts: &[&[u8]]) -> Tag {
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

pub(super) fn unwrap_root(
    body: &Body,
    current: &Kek,
    previous: &[Kek],
    remedy: &str,
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
            "the audit log's keys are wrapped with `{}`, and the configured key-encryption keys are {}; {remedy}",
            body.kek,
            known.join(", ")
        )));
    };
    kek.unwrap(&body.wrapped_root)
}

pub(super) fn sealed_body(
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
        rotation: 0,
    })
}

pub(super) fn open_secrets(body: &Body, root: &SealingKey) -> Result<Vec<u8>, AuditError> {
    let mut sealed = body.secrets.clone();
    match root.open(&mut sealed, &secrets_aad(&body.store)) {
        Some(secrets) if secrets.len() == 64 => Ok(secrets.to_vec()),
        _ => Err(AuditError::Keys(
            "the key file's secrets cannot be opened: its first page was changed".to_owned(),
        )),
    }
}

pub(super) fn secrets_aad(store: &[u8; 16]) -> Vec<u8> {
    [SECRETS_AAD, store].concat()
}

pub(super) fn key_aad(store: &[u8; 16], id: KeyId, tags: &Tags) -> Vec<u8> {
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

pub(super) fn wrap<const N: usize>(
    root: &SealingKey,
    key: &[u8],
    aad: &[u8],
) -> Result<[u8; N], AuditError> {
    let mut wrapped = key.to_vec();
    root.seal(&mut wrapped, 0, aad)?;
    <[u8; N]>::try_from(wrapped.as_slice()).map_err(|_| AuditError::Crypto)
}

pub(super) fn faulty(dir: &Path, what: &str, error: &std::io::Error) -> AuditError {
    AuditError::Keys(format!(
        "cannot {what} the key file {}: {error}",
        path(dir).display()
    ))
}
