//! The chain's rule: what one entry's hash covers. Pure.

use aws_lc_rs::digest::{Context, SHA256, digest};

pub(crate) type Hash = [u8; 32];

/// Of a record whose names are of ordinary length.
const LINK_BYTES_USUAL: usize = 512;

/// What the first entry follows.
pub(crate) fn genesis(store: &[u8; 16]) -> Hash {
    hash_of(&[b"tollgate audit chain v1", store])
}

/// Of what is sealed, as it stands on disk; of no bytes where an entry has nothing sealed.
pub(crate) fn content_hash(sealed: &[u8]) -> Hash {
    let mut hash = Hash::default();
    hash.copy_from_slice(digest(&SHA256, sealed).as_ref());
    hash
}

/// One entry, as its hash covers it.
pub(crate) struct Link<'a> {
    pub(crate) previous: &'a Hash,
    pub(crate) sequence: u64,
    pub(crate) at: i64,
    pub(crate) header: &'a [u8],
    pub(crate) content_hash: &'a Hash,
}

impl Link<'_> {
    pub(crate) fn hash(&self) -> Hash {
        // At once where it is short, as nearly all are: pieces take longer than what they hold.
        let mut bytes = [0; LINK_BYTES_USUAL];
        let mut room = &mut bytes[..];
        let len = (self.header.len() as u64).to_be_bytes();
        let (sequence, at) = (self.sequence.to_be_bytes(), self.at.to_be_bytes());
        let pieces: [&[u8]; 6] = [
            self.previous,
            &sequence,
            &at,
            &len,
            self.header,
            self.content_hash,
        ];
        for piece in pieces {
            let Some((filled, rest)) = std::mem::take(&mut room).split_at_mut_checked(piece.len())
            else {
                return hash_of(&pieces);
            };
            filled.copy_from_slice(piece);
            room = rest;
        }
        let left = room.len();
        content_hash(&bytes[..LINK_BYTES_USUAL - left])
    }
}

fn hash_of(pieces: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for piece in pieces {
        context.update(piece);
    }
    let mut hash = Hash::default();
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_hashes_its_parts_one_behind_the_other_however_long_they_are() {
        let (previous, content_hash) = ([7; 32], [9; 32]);
        for len in [0, 1, 150, 423, 424, 425, 10_000] {
            let header = vec![5; len];
            let link = Link {
                previous: &previous,
                sequence: 11,
                at: -13,
                header: &header,
                content_hash: &content_hash,
            };
            let whole = [
                &previous[..],
                &11_u64.to_be_bytes(),
                &(-13_i64).to_be_bytes(),
                &(len as u64).to_be_bytes(),
                &header,
                &content_hash,
            ]
            .concat();
            assert_eq!(link.hash(), super::content_hash(&whole), "{len}");
        }
    }
}
