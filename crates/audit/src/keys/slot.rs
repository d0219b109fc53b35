//! One data key in the key file: wrapped, or overwritten.

use crate::keys::KeyId;
use crate::seal::{KEY_BYTES, SEAL_BYTES};

pub(super) const SLOT_BYTES: usize = 144;
const WRAPPED_BYTES: usize = KEY_BYTES + SEAL_BYTES;
const LIVE: u8 = 1;
const DESTROYED: u8 = 2;
/// Of one that is live, in the byte behind.
const RETIRED: u8 = 1;

/// Who a key is for, as only the holder of the key file can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tags {
    /// Subscription, month and person together.
    pub(super) scope: Tag,
    pub(super) subscription: Tag,
    pub(super) person: Tag,
}

pub(super) type Tag = [u8; 16];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) id: KeyId,
    pub(super) month: u32,
    pub(super) state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Live {
        tags: Tags,
        wrapped: [u8; WRAPPED_BYTES],
        /// Opens what it sealed and seals nothing more: another one takes its place.
        is_retired: bool,
    },
    /// Nothing of the key is left, nor whose it was. `by` is the entry of the chain that says why.
    Destroyed { by: u64 },
}

impl Slot {
    pub(super) fn to_bytes(&self) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        bytes[8..16].copy_from_slice(&self.id.0.to_be_bytes());
        bytes[16..20].copy_from_slice(&self.month.to_be_bytes());
        match &self.state {
            State::Live {
                tags,
                wrapped,
                is_retired,
            } => {
                bytes[0] = LIVE;
                bytes[1] = if *is_retired { RETIRED } else { 0 };
                bytes[20..36].copy_from_slice(&tags.scope);
                bytes[36..52].copy_from_slice(&tags.subscription);
                bytes[52..68].copy_from_slice(&tags.person);
                bytes[68..68 + WRAPPED_BYTES].copy_from_slice(wrapped);
            }
            State::Destroyed { by } => {
                bytes[0] = DESTROYED;
                bytes[128..136].copy_from_slice(&by.to_be_bytes());
            }
        }
        let sum = checksum(&bytes).to_be_bytes();
        bytes[4..8].copy_from_slice(&sum);
        bytes
    }

    /// `None` for what was not written whole.
    pub(super) fn from_bytes(bytes: &[u8; SLOT_BYTES]) -> Option<Self> {
        if bytes[4..8] != checksum(bytes).to_be_bytes() {
            return None;
        }
        let state = match bytes[0] {
            LIVE => State::Live {
                tags: Tags {
                    scope: piece(bytes, 20),
                    subscription: piece(bytes, 36),
                    person: piece(bytes, 52),
                },
                wrapped: piece(bytes, 68),
                is_retired: bytes[1] == RETIRED,
            },
            DESTROYED => State::Destroyed {
                by: u64::from_be_bytes(piece(bytes, 128)),
            },
            _ => return None,
        };
        Some(Self {
            id: KeyId(u64::from_be_bytes(piece(bytes, 8))),
            month: u32::from_be_bytes(piece(bytes, 16)),
            state,
        })
    }
}

fn piece<const N: usize>(bytes: &[u8; SLOT_BYTES], at: usize) -> [u8; N] {
    let mut piece = [0; N];
    piece.copy_from_slice(&bytes[at..at + N]);
    piece
}

fn checksum(bytes: &[u8; SLOT_BYTES]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..4]);
    hasher.update(&bytes[8..]);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_slot_reads_back_as_written_and_not_with_a_wrong_byte(
            id: u64, month: u32, scope: Tag, subscription: Tag, person: Tag, byte: u8,
            destroyed_by: Option<u64>, is_retired: bool, at in 0..SLOT_BYTES, flip in 1..=255_u8,
        ) {
            let state = match destroyed_by {
                Some(by) => State::Destroyed { by },
                None => State::Live { tags: Tags { scope, subscription, person }, wrapped: [byte; WRAPPED_BYTES], is_retired },
            };
            let slot = Slot { id: KeyId(id), month, state };
            let mut bytes = slot.to_bytes();
            prop_assert_eq!(Slot::from_bytes(&bytes), Some(slot));
            bytes[at] ^= flip;
            prop_assert_eq!(Slot::from_bytes(&bytes), None);
        }
    }
}
