//! Tokens that were verified lately, so that a busy one costs no signature check. Bounded.
//!
//! An entry is good for one snapshot and one key set; whoever looks it up says which are current.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use config::snapshot::{Issuer, KeyHash};
use domain::Wall;
use serde_json::{Map, Value};

use super::issuer_keys::IssuerKeys;
use super::key_set::KeySet;
use super::token::Validity;

/// A token whose signature, times, audience, issuer and required claims were found good.
pub(super) struct VerifiedToken {
    pub issuer: Arc<Issuer>,
    pub subject: Option<Arc<str>>,
    pub claims: Arc<Map<String, Value>>,
    pub validity: Validity,
    /// What verified it.
    pub keys: Arc<IssuerKeys>,
    pub set: Arc<KeySet>,
    pub revision: u64,
}

impl VerifiedToken {
    /// Whether all that it was verified against still stands.
    fn holds(&self, revision: u64, now: Wall) -> bool {
        self.revision == revision
            && self.validity.check(now).is_ok()
            && self.keys.is_current(&self.set)
    }
}

/// Two generations for each shard: when the young one is full it becomes the old one, and what the
/// old one held is verified again when it next comes. At most 16 × 2 × 320 tokens of 16 × 2 × 1 MiB.
#[derive(Default)]
pub(super) struct VerifiedTokens {
    shards: [Mutex<Shard>; SHARDS],
}

const SHARDS: usize = 16;
const GENERATION_TOKENS_MAX: usize = 320;
const GENERATION_BYTES_MAX: usize = 1024 * 1024;

#[derive(Default)]
struct Shard {
    young: HashMap<KeyHash, Arc<VerifiedToken>>,
    young_bytes: usize,
    old: HashMap<KeyHash, Arc<VerifiedToken>>,
}

impl VerifiedTokens {
    pub fn lookup(&self, digest: &KeyHash, revision: u64, now: Wall) -> Option<Arc<VerifiedToken>> {
        let token = {
            let shard = self.shard(digest);
            shard
                .young
                .get(digest)
                .or_else(|| shard.old.get(digest))
                .cloned()
        }?;
        token.holds(revision, now).then_some(token)
    }

    /// `bytes`: length of the token's text, which bounds what its claims take.
    pub fn store(&self, digest: KeyHash, bytes: usize, token: Arc<VerifiedToken>) {
        let mut shard = self.shard(&digest);
        if shard.young.len() >= GENERATION_TOKENS_MAX
            || shard.young_bytes + bytes > GENERATION_BYTES_MAX
        {
            shard.old = std::mem::take(&mut shard.young);
            shard.young_bytes = 0;
        }
        if shard.young.insert(digest, token).is_none() {
            shard.young_bytes += bytes;
        }
    }

    fn shard(&self, digest: &KeyHash) -> std::sync::MutexGuard<'_, Shard> {
        // A cache: at worst an entry is missing after a panic.
        self.shards[usize::from(digest.0[0]) % SHARDS]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
