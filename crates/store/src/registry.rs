//! Keys that `tollgate keys` made: hashed, in SQLite under the data directory.

use std::path::Path;

use domain::SubscriptionId;

#[derive(Debug)]
pub struct Registry {}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// Public part of `tg_<id>_<secret>`.
    pub id: String,
    pub subscription: SubscriptionId,
    pub slot: Slot,
    /// SHA-256 of the whole key text.
    pub hash: [u8; 32],
    pub application: Option<String>,
    pub created_at: domain::Wall,
    pub revoked_at: Option<domain::Wall>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    Primary,
    Secondary,
}

#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("{0}")]
    Database(String),
    /// The slot has a live key; rotate or revoke it first.
    #[error("subscription `{subscription}` already has a {slot:?} key `{id}`")]
    SlotTaken { subscription: SubscriptionId, slot: Slot, id: String },
    #[error("no live key `{0}`")]
    NoSuchKey(String),
}

impl Registry {
    pub fn open(dir: &Path) -> Result<Self, RegistryError> {
        let _ = dir;
        todo!()
    }

    /// All keys, revoked ones too.
    pub fn keys(&self) -> Result<Vec<StoredKey>, RegistryError> {
        todo!()
    }

    /// Grows with every change, in whichever process it was made: poll it to know when to reload.
    pub fn revision(&self) -> Result<u64, RegistryError> {
        todo!()
    }
}
