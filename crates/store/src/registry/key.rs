//! The text of a key, `tg_<id>_<secret>`, and its hash.

use domain::{SubscriptionId, Wall};
use sha2::{Digest, Sha256};

use super::{NewKey, Slot, StoredKey};

/// What `StoredKey::hash` holds for this key text.
pub fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// The id in `tg_<id>_<secret>`; `None` for keys of another form.
pub fn id_of(key: &str) -> Option<&str> {
    let (id, secret) = key.strip_prefix("tg_")?.split_once('_')?;
    let is_ours = |text: &str, len: usize| {
        text.len() == len && text.bytes().all(|byte| ALPHABET.contains(&byte))
    };
    (is_ours(id, ID_CHARS) && is_ours(secret, SECRET_CHARS)).then_some(id)
}

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const ID_CHARS: usize = 12;
/// 256 bits.
const SECRET_CHARS: usize = 52;

/// Base 32: a double click selects the whole key, and the parts cannot hold the `_` between them.
pub(super) fn new_key(
    subscription: &SubscriptionId,
    slot: Slot,
    application: Option<&str>,
    now: Wall,
    entropy: [u8; 40],
) -> NewKey {
    let (for_id, for_secret) = entropy.split_at(8);
    let id = base32(for_id, ID_CHARS);
    let secret = format!("tg_{id}_{}", base32(for_secret, SECRET_CHARS));
    let stored = StoredKey {
        id,
        subscription: subscription.clone(),
        slot,
        hash: hash(&secret),
        application: application.map(str::to_owned),
        created_at: now,
        revoked_at: None,
    };
    NewKey { stored, secret }
}

/// The first `chars` characters, five bits each, past the end zeros.
fn base32(bytes: &[u8], chars: usize) -> String {
    let bit = |at: usize| {
        bytes
            .get(at / 8)
            .is_some_and(|byte| byte >> (7 - at % 8) & 1 == 1)
    };
    let digit = |number: usize| {
        (number * 5..number * 5 + 5).fold(0, |digit, at| digit << 1 | usize::from(bit(at)))
    };
    (0..chars)
        .map(|number| char::from(ALPHABET[digit(number)]))
        .collect()
}
