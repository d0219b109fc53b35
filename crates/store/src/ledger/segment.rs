//! One file of the journal: preallocated, filled with checksummed entries, readable when damaged.
//!
//! An entry is a header of 24 bytes and a payload, padded to 8 bytes:
//! `magic 4 · payload length 4 · checksum 4 · kind 1 · zero 3 · passed 8`. The checksum covers
//! everything but `passed`, which changes while a call runs, and the entry's place, so that bytes
//! copied elsewhere are no entry.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use disk::{private, room};

/// Two of these bytes occur in no UTF-8 text, so no name that a client chooses can look like the
/// start of an entry to a reader that resynchronises.
const MAGIC: [u8; 4] = [0xC0, 0xFF, 0xC1, 0xFE];
pub(super) const HEADER_BYTES: usize = 24;
const PASSED_AT: u64 = 16;
const ALIGN: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Opening,
    Record,
    /// What a price's id stands for.
    Price,
}

/// Where an entry stands in the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) segment: u64,
    pub(super) offset: u64,
}

/// An opening's changing part: completion tokens that had passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    Tokens(u32),
    /// The call's record was folded into sums that the database has: it is not interrupted.
    Folded,
}

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) bytes: u64,
    path: PathBuf,
    file: File,
    /// Entries end here. Stored after an entry was written, so whoever loads it can read up to it.
    end: AtomicU64,
}

impl Segment {
    /// Takes the room on disk now, so that a full disk shows here and not in the middle of a call.
    pub(super) fn create(journal: &Path, number: u64, bytes: u64) -> io::Result<Self> {
        let path = journal.join(file_name(number));
        let file = private::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        if let Err(error) = room::take(&file, bytes) {
            // Best effort: an empty file left behind is deleted by the next start.
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        Ok(Self {
            number,
            bytes,
            path,
            file,
            end: AtomicU64::new(0),
        })
    }

    pub(super) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    pub(super) fn has_room_for(&self, frame: &Frame) -> bool {
        self.bytes - self.end() >= frame.bytes.len() as u64
    }

    /// Writes at the end. One writer at a time: the journal's lock sees to it.
    pub(super) fn append(&self, frame: &mut Frame) -> io::Result<u64> {
        let offset = self.end.load(Ordering::Relaxed);
        let bytes = frame.sealed_at(Position {
            segment: self.number,
            offset,
        });
        self.file.write_all_at(bytes, offset)?;
        self.end
            .store(offset + bytes.len() as u64, Ordering::Release);
        Ok(offset)
    }

    pub(super) fn set_passed(&self, offset: u64, passed: Passed) -> io::Result<()> {
        self.file
            .write_all_at(&passed_bytes(passed), offset + PASSED_AT)
    }

    pub(super) fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    pub(super) fn delete(&self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }
}

pub(super) fn file_name(number: u64) -> String {
    format!("{number:06}.tgj")
}

/// `None` for other files.
pub(super) fn number_of(file_name: &str) -> Option<u64> {
    file_name.strip_suffix(".tgj")?.parse().ok()
}

/// An entry on its way to the journal. What does not depend on its place is done before the
/// journal's lock is taken.
pub(super) struct Frame {
    bytes: Vec<u8>,
    payload_checksum: u32,
}

impl Frame {
    pub(super) fn new(kind: Kind, put_payload: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(&MAGIC);
        bytes.resize(HEADER_BYTES, 0);
        bytes[12] = kind_code(kind);
        bytes[16..24].copy_from_slice(&passed_bytes(Passed::Tokens(0)));
        put_payload(&mut bytes);
        let payload_len = bytes.len() - HEADER_BYTES;
        let payload_checksum = crc32fast::hash(&bytes[HEADER_BYTES..]);
        // Longer than 4 GiB is longer than any segment: such a frame is refused there.
        let len = u32::try_from(payload_len).unwrap_or(u32::MAX);
        bytes[4..8].copy_from_slice(&len.to_le_bytes());
        bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
        Self {
            bytes,
            payload_checksum,
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn sealed_at(&mut self, position: Position) -> &[u8] {
        let sum = checksum(position, &self.bytes, self.payload_checksum);
        self.bytes[8..12].copy_from_slice(&sum.to_le_bytes());
        &self.bytes
    }
}

fn checksum(position: Position, header: &[u8], payload_checksum: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&position.segment.to_le_bytes());
    hasher.update(&position.offset.to_le_bytes());
    hasher.update(&header[4..8]);
    hasher.update(&header[12..16]);
    hasher.update(&payload_checksum.to_le_bytes());
    hasher.finalize()
}

fn kind_code(kind: Kind) -> u8 {
    match kind {
        Kind::Opening => 1,
        Kind::Record => 2,
        Kind::Price => 3,
    }
}

/// The number and its complement: a damaged pair is told from a count.
fn passed_bytes(passed: Passed) -> [u8; 8] {
    let number = match passed {
        Passed::Tokens(tokens) => tokens.min(u32::MAX - 1),
        Passed::Folded => u32::MAX,
    };
    ((u64::from(!number) << 32) | u64::from(number)).to_le_bytes()
}

fn passed(bytes: [u8; 8]) -> Option<Passed> {
    let pair = u64::from_le_bytes(bytes);
    let number = pair as u32;
    if (pair >> 32) as u32 != !number {
        return None;
    }
    Some(match number {
        u32::MAX => Passed::Folded,
        tokens => Passed::Tokens(tokens),
    })
}

/// An entry as found, its checksum verified.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) kind: Kind,
    pub(super) position: Position,
    /// Where the next entry starts.
    pub(super) end: u64,
    /// `None` if its bytes are damaged.
    pub(super) passed: Option<Passed>,
    pub(super) payload: &'a [u8],
}

/// Walks over the entries of a segment, or of a piece of one, and over what is none.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    bytes: &'a [u8],
    /// The place of `bytes[0]`.
    start: Position,
    /// No entry reaches past this offset.
    limit: u64,
    at: usize,
    /// Places where something else stood before an entry.
    pub(super) damaged: u64,
    /// After the last entry stands something that is none: a write that the process did not live
    /// to finish, or damage.
    pub(super) torn: bool,
    /// The next entry has this many bytes, more than are at hand.
    pub(super) wanted: Option<usize>,
}

enum At<'a> {
    Entry(Found<'a>),
    Unfinished(usize),
    None,
}

impl<'a> Scan<'a> {
    pub(super) fn new(bytes: &'a [u8], start: Position, limit: u64) -> Self {
        Self {
            bytes,
            start,
            limit,
            at: 0,
            damaged: 0,
            torn: false,
            wanted: None,
        }
    }

    /// Where the scan has come to.
    pub(super) fn offset(&self) -> u64 {
        self.start.offset + self.at as u64
    }

    pub(super) fn next(&mut self) -> Option<Found<'a>> {
        let mut skipped = false;
        while self.at + ALIGN <= self.bytes.len() {
            match self.entry() {
                At::Entry(found) => {
                    self.damaged += u64::from(skipped);
                    self.at = (found.end - self.start.offset) as usize;
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

    fn entry(&self) -> At<'a> {
        let rest = &self.bytes[self.at..];
        if rest[..4] != MAGIC {
            return At::None;
        }
        let offset = self.offset();
        let Some(header) = rest.first_chunk::<HEADER_BYTES>() else {
            return if offset + HEADER_BYTES as u64 <= self.limit {
                At::Unfinished(HEADER_BYTES)
            } else {
                At::None
            };
        };
        let payload_len = le_u32(header, 4) as usize;
        let len = (HEADER_BYTES + payload_len).next_multiple_of(ALIGN);
        if offset + len as u64 > self.limit {
            return At::None;
        }
        if len > rest.len() {
            return At::Unfinished(len);
        }
        let payload = &rest[HEADER_BYTES..HEADER_BYTES + payload_len];
        let position = Position {
            segment: self.start.segment,
            offset,
        };
        if le_u32(header, 8) != checksum(position, header, crc32fast::hash(payload)) {
            return At::None;
        }
        let kind = match header[12] {
            1 => Kind::Opening,
            2 => Kind::Record,
            3 => Kind::Price,
            _ => return At::None,
        };
        let mut pair = [0; 8];
        pair.copy_from_slice(&header[16..24]);
        At::Entry(Found {
            kind,
            position,
            end: offset + len as u64,
            passed: passed(pair),
            payload,
        })
    }
}

fn le_u32(header: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}
