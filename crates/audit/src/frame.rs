//! One record in a segment: its length and checksum, its header in the clear, its content sealed.
//!
//! Pure. A checksum covers the place too, so that what an older file left behind is no frame.

use crate::AuditError;
use crate::seal::{GAP_BYTES, SealingKey, TAG_BYTES};
use crate::segment::Place;

const MAGIC: [u8; 4] = [0xC0, 0xFF, 0xC1, 0xFA];
const FRAME_BYTES: usize = 16;
const ALIGN: usize = 8;

/// Where the parts of a frame are, from its start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    header_end: usize,
    /// The tag follows, and zeros up to a multiple of `ALIGN`.
    content_end: usize,
}

impl Layout {
    /// Puts a frame that is still to be sealed behind others.
    pub(crate) fn put(
        bytes: &mut Vec<u8>,
        content_bytes: usize,
        put_header: impl FnOnce(&mut Vec<u8>),
        put_content: impl FnOnce(&mut Vec<u8>),
    ) -> Self {
        let start = bytes.len();
        bytes.reserve(content_bytes + 512);
        bytes.extend_from_slice(&MAGIC);
        bytes.resize(start + FRAME_BYTES, 0);
        put_header(bytes);
        let header_end = bytes.len() - start;
        bytes.resize(start + header_end + GAP_BYTES, 0);
        put_content(bytes);
        let layout = Self {
            header_end,
            content_end: bytes.len() - start,
        };
        bytes.resize(start + layout.len(), 0);
        layout
    }

    pub(crate) fn len(&self) -> usize {
        self.sealed_end().next_multiple_of(ALIGN)
    }

    pub(crate) fn header<'f>(&self, frame: &'f mut [u8]) -> &'f mut [u8] {
        &mut frame[FRAME_BYTES..self.header_end]
    }

    /// As long as it is not sealed.
    pub(crate) fn content<'f>(&self, frame: &'f [u8]) -> &'f [u8] {
        &frame[self.header_end + GAP_BYTES..self.content_end]
    }

    fn sealed_end(&self) -> usize {
        self.content_end + TAG_BYTES
    }
}

/// A record on its way to the vault: header in the clear, content sealed.
#[derive(Debug)]
pub(crate) struct Frame<'b> {
    bytes: &'b mut [u8],
    sealed: Sealed,
}

/// What is known of a frame besides its bytes once it is sealed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealed {
    layout: Layout,
    payload_sum: u32,
}

impl<'b> Frame<'b> {
    /// Seals what `put_content` writes under `key`, bound to what `put_header` writes. `memory` is what
    /// it stands in.
    pub(crate) fn of(
        memory: &'b mut Vec<u8>,
        key: &SealingKey,
        content_bytes: usize,
        put_header: impl FnOnce(&mut Vec<u8>),
        put_content: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Self, AuditError> {
        memory.clear();
        let layout = Layout::put(memory, content_bytes, put_header, put_content);
        Self::seal(memory, layout, key)
    }

    /// In place.
    pub(crate) fn seal(
        bytes: &'b mut [u8],
        layout: Layout,
        key: &SealingKey,
    ) -> Result<Self, AuditError> {
        let (header, rest) = bytes.split_at_mut(layout.header_end);
        let (content, rest) = rest.split_at_mut(layout.content_end - layout.header_end);
        let tag = key.seal_in_gap(content, &header[FRAME_BYTES..])?;
        rest[..TAG_BYTES].copy_from_slice(&tag);
        let len = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
        bytes[4..8].copy_from_slice(&len(layout.sealed_end() - FRAME_BYTES));
        bytes[12..16].copy_from_slice(&len(layout.header_end - FRAME_BYTES));
        let payload_sum = crc32fast::hash(&bytes[FRAME_BYTES..layout.sealed_end()]);
        let sealed = Sealed {
            layout,
            payload_sum,
        };
        Ok(Self { bytes, sealed })
    }

    /// Undoes `seal`, under the same key. `None` if it is none that this key sealed.
    pub(crate) fn unseal(bytes: &mut [u8], sealed: Sealed, key: &SealingKey) -> Option<()> {
        let Layout { header_end, .. } = sealed.layout;
        let (header, rest) = bytes.split_at_mut(header_end);
        let sealed = &mut rest[..sealed.layout.sealed_end() - header_end];
        key.open(sealed, &header[FRAME_BYTES..]).map(|_| ())
    }

    /// One of several that were sealed.
    pub(crate) fn sealed_before(bytes: &'b mut [u8], sealed: Sealed) -> Self {
        Self { bytes, sealed }
    }

    pub(crate) fn into_sealed(self) -> Sealed {
        self.sealed
    }

    pub(crate) fn header(&self) -> &[u8] {
        &self.bytes[FRAME_BYTES..self.sealed.layout.header_end]
    }

    pub(crate) fn sealed(&self) -> &[u8] {
        let Layout { header_end, .. } = self.sealed.layout;
        &self.bytes[header_end..self.sealed.layout.sealed_end()]
    }

    /// Of its content, if the frame stands at `start`.
    pub(crate) fn place(&self, segment: u64, start: u64) -> Place {
        Place {
            segment,
            offset: start + self.sealed.layout.header_end as u64,
            length: self.sealed().len() as u64,
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.sealed.len()
    }

    /// As it stands there.
    pub(crate) fn placed(&mut self, segment: u64, offset: u64) -> &[u8] {
        let sum = checksum(segment, offset, self.bytes, self.sealed.payload_sum);
        self.bytes[8..12].copy_from_slice(&sum.to_be_bytes());
        self.bytes
    }
}

impl Sealed {
    pub(crate) fn len(&self) -> u64 {
        self.layout.len() as u64
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
