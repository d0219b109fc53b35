//! What is kept of calls, where, and who may read it.

use std::path::PathBuf;
use std::sync::Arc;

use domain::access::Grant;
use domain::audit::{Level, Sample};
use domain::{AccessId, AuditStoreId};
use url::Url;

use super::{KeyHash, Secret, TokenSource};
use crate::expression::Expression;
use crate::problem::Written;

/// Everything about audit records but whose calls are recorded, which stands with the subscriptions
/// and applications.
#[derive(Debug, Default)]
pub struct Auditing {
    /// In the order of the file. One that no call uses is kept: its records are to be read.
    pub stores: Vec<Arc<AuditStore>>,
    pub access: Vec<Access>,
}

/// What is kept of calls of one scope.
#[derive(Clone, Debug)]
pub struct Audit {
    /// As a rule is named in refusals and records: `product/standard/audit`.
    pub rule: Arc<str>,
    pub level: Level,
    pub retention_days: u32,
    pub store: AuditStoreId,
    pub required: bool,
    pub sample: Sample,
    pub when: Option<Arc<Expression>>,
}

/// A store that is equal to the one in force goes on as it is across a reload.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditStore {
    pub id: AuditStoreId,
    pub dir: PathBuf,
    /// Its folder keeps the one that it was made with, which only its user can look up.
    pub region: String,
    pub region_written: Written,
    /// Of the key file.
    pub keys_dir: PathBuf,
    pub kek: Kek,
    pub previous: Vec<Kek>,
    pub content_bytes_max: usize,
    pub bytes_max: u64,
}

/// A key-encryption key. Debug prints no secret.
#[derive(Clone, Debug, PartialEq)]
pub enum Kek {
    /// Made at the first start, and kept beside the key file.
    Generated,
    /// 32 bytes in base64, which only its user checks.
    Given {
        id: String,
        key: Secret,
        written: Written,
    },
    Vault(VaultKey),
    AzureKeyVault(AzureKey),
}

impl Kek {
    /// A generated one has none of the file's.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Generated => None,
            Self::Given { id, .. } => Some(id),
            Self::Vault(key) => Some(&key.id),
            Self::AzureKeyVault(key) => Some(&key.id),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct VaultKey {
    pub id: String,
    pub url: Url,
    pub mount: String,
    pub key: String,
    pub token: Secret,
    pub namespace: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AzureKey {
    pub id: String,
    pub url: Url,
    pub key: String,
    pub version: Option<String>,
    pub source: Arc<TokenSource>,
}

/// Somebody who may read or govern audit records.
#[derive(Clone, Debug)]
pub struct Access {
    pub id: AccessId,
    pub token: KeyHash,
    pub grants: Vec<Grant>,
}

impl Auditing {
    pub fn store(&self, id: &AuditStoreId) -> Option<&Arc<AuditStore>> {
        self.stores.iter().find(|store| store.id == *id)
    }
}
