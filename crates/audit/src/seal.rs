//! AES-256-GCM under one key, with nonces that cannot meet.
//!
//! A nonce is 8 bytes drawn at random whenever a process loads the key, and a counter of 4 bytes that
//! this load never repeats. Two loads collide only if they draw the same 64 bits for the same key: for
//! a key loaded ten thousand times (it serves one month) that is one chance in 10^11. A load that has
//! used up its counter draws again.

use std::sync::{Mutex, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand;

use crate::AuditError;

pub(crate) const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
/// What `seal_in_gap` wants free before, and what it returns for behind.
pub(crate) const GAP_BYTES: usize = NONCE_BYTES;
pub(crate) const TAG_BYTES: usize = 16;
/// What sealing adds.
pub(crate) const SEAL_BYTES: usize = NONCE_BYTES + TAG_BYTES;

#[derive(Debug)]
pub(crate) struct SealingKey {
    key: LessSafeKey,
    nonces: Mutex<Nonces>,
}

#[derive(Debug)]
struct Nonces {
    prefix: [u8; 8],
    next: u32,
    /// Draws of the prefix: the counter starts anew after each.
    drawn: bool,
}

impl SealingKey {
    pub(crate) fn new(bytes: &[u8; KEY_BYTES]) -> Result<Self, AuditError> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| AuditError::Crypto)?;
        Ok(Self {
            key: LessSafeKey::new(key),
            nonces: Mutex::new(Nonces {
                prefix: [0; 8],
                next: 0,
                drawn: false,
            }),
        })
    }

    /// `bytes` from `start` on becomes nonce, ciphertext and tag: `SEAL_BYTES` more.
    pub(crate) fn seal(
        &self,
        bytes: &mut Vec<u8>,
        start: usize,
        aad: &[u8],
    ) -> Result<(), AuditError> {
        bytes.splice(start..start, [0; GAP_BYTES]);
        let tag = self.seal_in_gap(&mut bytes[start..], aad)?;
        bytes.extend_from_slice(&tag);
        Ok(())
    }

    /// As `seal`, for a slice whose first `GAP_BYTES` were left free. Returns the tag, to be put
    /// behind it.
    pub(crate) fn seal_in_gap(
        &self,
        bytes: &mut [u8],
        aad: &[u8],
    ) -> Result<[u8; TAG_BYTES], AuditError> {
        let nonce = self.next_nonce()?;
        let Some((gap, plain)) = bytes.split_first_chunk_mut::<NONCE_BYTES>() else {
            return Err(AuditError::Crypto);
        };
        *gap = nonce;
        let sealed = self
            .key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), plain)
            .map_err(|_| AuditError::Crypto)?;
        <[u8; TAG_BYTES]>::try_from(sealed.as_ref()).map_err(|_| AuditError::Crypto)
    }

    /// In place. `None` if a byte of it or of `aad` is not as it was sealed, or the key is another.
    pub(crate) fn open<'a>(&self, sealed: &'a mut [u8], aad: &[u8]) -> Option<&'a [u8]> {
        let (nonce, rest) = sealed.split_first_chunk_mut::<NONCE_BYTES>()?;
        let plain = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), rest)
            .ok()?;
        Some(plain)
    }

    fn next_nonce(&self) -> Result<[u8; NONCE_BYTES], AuditError> {
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        if !nonces.drawn {
            nonces.prefix = random()?;
            nonces.next = 0;
            nonces.drawn = true;
        }
        let mut nonce = [0; NONCE_BYTES];
        nonce[..8].copy_from_slice(&nonces.prefix);
        nonce[8..].copy_from_slice(&nonces.next.to_be_bytes());
        match nonces.next.checked_add(1) {
            Some(next) => nonces.next = next,
            None => nonces.drawn = false,
        }
        Ok(nonce)
    }
}

/// From the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], AuditError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| AuditError::Crypto)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn key() -> SealingKey {
        SealingKey::new(&[7; KEY_BYTES]).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_header_only() {
        let key = key();
        let mut sealed = b"..a prompt".to_vec();
        key.seal(&mut sealed, 2, b"header").unwrap();
        assert_eq!(sealed.len(), 2 + 8 + SEAL_BYTES);
        assert_eq!(
            key.open(&mut sealed[2..].to_vec(), b"header"),
            Some(&b"a prompt"[..])
        );
        assert_eq!(key.open(&mut sealed[2..].to_vec(), b"Header"), None);
        assert_eq!(key.open(&mut [0; 3], b"header"), None);
    }

    #[test]
    fn no_nonce_is_used_twice_by_several_loads_and_threads() {
        let loads: Vec<_> = (0..4).map(|_| key()).collect();
        let seen = Mutex::new(HashSet::new());
        std::thread::scope(|scope| {
            for load in &loads {
                for _ in 0..2 {
                    scope.spawn(|| {
                        for _ in 0..5_000 {
                            let nonce = load.next_nonce().unwrap();
                            assert!(seen.lock().unwrap().insert(nonce));
                        }
                    });
                }
            }
        });
        assert_eq!(seen.lock().unwrap().len(), 40_000);
    }

    #[test]
    fn a_counter_that_is_used_up_draws_a_new_prefix() {
        let key = key();
        let first = key.next_nonce().unwrap();
        key.nonces.lock().unwrap().next = u32::MAX;
        let last = key.next_nonce().unwrap();
        let after = key.next_nonce().unwrap();
        assert_eq!(last[..8], first[..8]);
        assert_ne!(after[..8], first[..8]);
        assert_eq!(after[8..], [0; 4]);
    }
}
