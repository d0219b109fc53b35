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
/// old one held is verified again when it next comes. At most 10,240 tokens of 8 MiB of text in all.
#[derive(Default)]
pub(super) struct VerifiedTokens {
    shards: [Mutex<Shard>; SHARDS],
}

const SHARDS: usize = 16;
const GENERATION_TOKENS_MAX: usize = 320;
const GENERATION_BYTES_MAX: usize = 256 * 1024;

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use config::Expression;
    use sha2::{Digest, Sha256};
    use url::Url;

    use super::*;
    use crate::identity::RefreshRule;
    use crate::identity::key_set::Jwks;

    const NOW: Wall = Wall::from_secs(1_790_000_000);

    fn digest(n: usize) -> KeyHash {
        KeyHash(Sha256::digest(n.to_be_bytes()).into())
    }

    /// One token for all: only its digest is looked at.
    fn verified() -> Arc<VerifiedToken> {
        let url = Url::parse("https://issuer/").unwrap();
        let set = Arc::new(KeySet::new("issuer".into(), Jwks::default()));
        let keys = IssuerKeys::new(url.clone(), RefreshRule::default(), 0.5);
        keys.replace(set.clone());
        Arc::new(VerifiedToken {
            issuer: Arc::new(Issuer {
                name: "entra".into(),
                openid_config: url,
                issuer: None,
                audiences: Vec::new(),
                required_claims: Vec::new(),
                subscription: Expression::compile("claims.azp").unwrap(),
                application: None,
                user: None,
                algorithms: Vec::new(),
            }),
            subject: None,
            claims: Arc::new(Map::new()),
            validity: Validity {
                not_before: None,
                expires: NOW,
            },
            keys: Arc::new(keys),
            set,
            revision: 1,
        })
    }

    fn kept(tokens: &VerifiedTokens, of: usize) -> usize {
        (0..of)
            .filter(|&n| tokens.lookup(&digest(n), 1, NOW).is_some())
            .count()
    }

    #[test]
    fn many_tokens_push_out_the_oldest_and_never_the_newest() {
        let (tokens, token) = (VerifiedTokens::default(), verified());
        for n in 0..30_000 {
            tokens.store(digest(n), 100, token.clone());
            assert!(tokens.lookup(&digest(n), 1, NOW).is_some());
        }
        let kept = kept(&tokens, 30_000);
        assert!(
            (SHARDS * GENERATION_TOKENS_MAX..=2 * SHARDS * GENERATION_TOKENS_MAX).contains(&kept),
            "{kept}"
        );
    }

    #[test]
    fn few_but_long_tokens_are_bounded_too() {
        let (tokens, token) = (VerifiedTokens::default(), verified());
        for n in 0..2_000 {
            tokens.store(digest(n), 16 * 1024, token.clone());
        }
        assert!(kept(&tokens, 2_000) <= 2 * SHARDS * GENERATION_BYTES_MAX / (16 * 1024));
    }

    #[test]
    fn a_token_holds_for_its_snapshot_its_keys_and_its_time_only() {
        let (tokens, token) = (VerifiedTokens::default(), verified());
        tokens.store(digest(1), 100, token.clone());
        assert!(
            tokens
                .lookup(&digest(1), 1, NOW + Duration::from_secs(59))
                .is_some()
        );
        assert!(
            tokens
                .lookup(&digest(1), 1, NOW + Duration::from_secs(60))
                .is_none()
        );
        assert!(tokens.lookup(&digest(1), 2, NOW).is_none());
        assert!(tokens.lookup(&digest(2), 1, NOW).is_none());
        token
            .keys
            .replace(Arc::new(KeySet::new("issuer".into(), Jwks::default())));
        assert!(tokens.lookup(&digest(1), 1, NOW).is_none());
    }
}
