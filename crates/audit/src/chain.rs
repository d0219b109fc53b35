//! The chain's rule: what one entry's hash covers. Pure.

use aws_lc_rs::digest::{Context, SHA256, digest};

pub(crate) type Hash = [u8; 32];

/// What the first entry follows.
pub(crate) fn genesis(store: &[u8; 16]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(b"tollgate audit chain v1");
    context.update(store);
    finish(context)
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
        let mut context = Context::new(&SHA256);
        context.update(self.previous);
        context.update(&self.sequence.to_be_bytes());
        context.update(&self.at.to_be_bytes());
        context.update(&(self.header.len() as u64).to_be_bytes());
        context.update(self.header);
        context.update(self.content_hash);
        finish(context)
    }
}

fn finish(context: Context) -> Hash {
    let mut hash = Hash::default();
    hash.copy_from_slice(context.finish().as_ref());
    hash
}
