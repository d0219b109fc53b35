//! One record in a segment: its length and checksum, its header in the clear, its content sealed.
//!
//! Pure. A checksum covers the place too, so that what an older file left behind is no frame.

use crate::AuditError;
use crate::seal::{GAP_BYTES, SealingKey};
use crate::segment::Place;

const MAGIC: [u8; 4] = [0xC0, 0xFF, 0xC1, 0xFA];
const FRAME_BYTES: usize = 16;
const ALIGN: usize = 8;

/// A record on its way to the vault: header in the clear, content sealed.
#[derive(Debug)]
pub(crate) struct Frame {
    bytes: Vec<u8>,
    header_end: usize,
    /// Zeros follow, up to a multiple of `ALIGN`.
    sealed_end: usize,
    payload_sum: u32,
}

impl Frame {
    /// Seals what `put_content` writes under `key`, bound to what `put_header` writes. `bytes` lends
    /// its memory.
    pub(crate) fn seal(
        mut bytes: Vec<u8>,
        key: &SealingKey,
        content_bytes: usize,
        put_header: impl FnOnce(&mut Vec<u8>),
        put_content: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Self, AuditError> {
        bytes.clear();
        bytes.reserve(content_bytes + 512);
        bytes.extend_from_slice(&MAGIC);
        bytes.resize(FRAME_BYTES, 0);
        put_header(&mut bytes);
        let header_end = bytes.len();
        bytes.resize(header_end + GAP_BYTES, 0);
        put_content(&mut bytes);
        let (header, sealed) = bytes.split_at_mut(header_end);
        let tag = key.seal_in_gap(sealed, &header[FRAME_BYTES..])?;
        bytes.extend_from_slice(&tag);
        let len = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
        let (header_len, payload_len) = (
            len(header_end - FRAME_BYTES),
            len(bytes.len() - FRAME_BYTES),
        );
        bytes[4..8].copy_from_slice(&payload_len);
        bytes[12..16].copy_from_slice(&header_len);
        let payload_sum = crc32fast::hash(&bytes[FRAME_BYTES..]);
        let sealed_end = bytes.len();
        bytes.resize(sealed_end.next_multiple_of(ALIGN), 0);
        Ok(Self {
            bytes,
            header_end,
            sealed_end,
            payload_sum,
        })
    }

    pub(crate) fn header(&self) -> &[u8] {
        &self.bytes[FRAME_BYTES..self.header_end]
    }

    pub(crate) fn sealed(&self) -> &[u8] {
        &self.bytes[self.header_end..self.sealed_end]
    }

    /// Of its content, if the frame stands at `start`.
    pub(crate) fn place(&self, segment: u64, start: u64) -> Place {
        Place {
            segment,
            offset: start + self.header_end as u64,
            length: (self.sealed_end - self.header_end) as u64,
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// As it stands there.
    pub(crate) fn placed(&mut self, segment: u64, offset: u64) -> &[u8] {
        let sum = checksum(segment, offset, &self.bytes, self.payload_sum);
        self.bytes[8..12].copy_from_slice(&sum.to_be_bytes());
        &self.bytes
    }

    /// For the next one.
    pub(crate) fn into_memory(self) -> Vec<u8> {
        self.bytes
    }
}

fn checksum(segment: u64, offset: u64, frame: &[u8], payload_sum: u32) -> u32 {
    // At once: short pieces take longer than what they hold.
    let mut bytes = [0; 28];
    bytes[..8].copy_from_slice(&segment.to_be_bytes());
    bytes[8..16].copy_from_slice(&offset.to_be_bytes());
    bytes[16..20].copy_from_slice(&frame[4..8]);
    bytes[20..24].copy_from_slice(&frame[12..16]);
    bytes[24..].copy_from_slice(&payload_sum.to_be_bytes());
    crc32fast::hash(&bytes)
}

/// A frame as found, its checksum verified.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    pub(crate) header: &'a [u8],
    pub(crate) sealed: &'a [u8],
    pub(crate) place: Place,
}

/// Walks over the frames of a piece of a segment, and over what is none.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    bytes: &'a [u8],
    segment: u64,
    start: u64,
    /// No frame reaches past this offset.
    limit: u64,
    at: usize,
    /// Places where something else stood before a frame.
    pub(crate) damaged: u64,
    /// After the last frame stands something that is none.
    pub(crate) torn: bool,
    /// The next frame has this many bytes, more than are at hand.
    pub(crate) wanted: Option<usize>,
}

enum At<'a> {
    Frame(Found<'a>, usize),
    Unfinished(usize),
    None,
}

impl<'a> Scan<'a> {
    /// `bytes` stand from `start` on in `segment`.
    pub(crate) fn new(bytes: &'a [u8], segment: u64, start: u64, limit: u64) -> Self {
        Self {
            bytes,
            segment,
            start,
            limit,
            at: 0,
            damaged: 0,
            torn: false,
            wanted: None,
        }
    }

    pub(crate) fn offset(&self) -> u64 {
        self.start + self.at as u64
    }

    pub(crate) fn next(&mut self) -> Option<Found<'a>> {
        let mut skipped = false;
        while self.at + ALIGN <= self.bytes.len() {
            match self.frame() {
                At::Frame(found, len) => {
                    self.damaged += u64::from(skipped);
                    self.at += len;
                    return Some(found);
                }
                At::Unfinished(wanted) => {
                    self.damaged += u64::from(skipped);
                    self.wanted = Some(wanted);
                    return None;
                }
                At::None => {
                    skipped |= self.bytes[self.at..self.at + ALIGN] != [0; ALIGN];
                    self.at += ALIGN;
                }
            }
        }
        self.at = self.bytes.len();
        self.torn |= skipped;
        None
    }

    fn frame(&self) -> At<'a> {
        let rest = &self.bytes[self.at..];
        if rest[..4] != MAGIC {
            return At::None;
        }
        let offset = self.offset();
        if rest.len() < FRAME_BYTES {
            let fits = offset + FRAME_BYTES as u64 <= self.limit;
            return if fits {
                At::Unfinished(FRAME_BYTES)
            } else {
                At::None
            };
        }
        let number =
            |at: usize| u32::from_be_bytes([rest[at], rest[at + 1], rest[at + 2], rest[at + 3]]);
        let (payload_len, header_len) = (number(4) as usize, number(12) as usize);
        let len = (FRAME_BYTES + payload_len).next_multiple_of(ALIGN);
        if offset + len as u64 > self.limit || header_len > payload_len {
            return At::None;
        }
        if len > rest.len() {
            return At::Unfinished(len);
        }
        let payload = &rest[FRAME_BYTES..FRAME_BYTES + payload_len];
        if number(8) != checksum(self.segment, offset, rest, crc32fast::hash(payload)) {
            return At::None;
        }
        let (header, sealed) = payload.split_at(header_len);
        let place = Place {
            segment: self.segment,
            offset: offset + (FRAME_BYTES + header_len) as u64,
            length: sealed.len() as u64,
        };
        At::Frame(
            Found {
                header,
                sealed,
                place,
            },
            len,
        )
    }
}
