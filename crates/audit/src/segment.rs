//! One file of sealed contents: written once at its end, read for years, zeroed where retention says.
//!
//! The ledger's segments look alike but live otherwise: theirs are a queue, deleted when the database
//! has them. These are where contents stay; the database has only their place and their hash.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::AuditError;
use crate::seal::{GAP_BYTES, SealingKey};

const MAGIC: [u8; 4] = [0xC0, 0xFF, 0xC1, 0xFA];
pub(crate) const FRAME_BYTES: usize = 16;
const ALIGN: usize = 8;

#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    bytes: u64,
    file: File,
    path: PathBuf,
    /// Frames end here. Stored after a frame was written, so whoever loads it can read up to it. Of a
    /// file that another process left, its length: zeros follow the last frame.
    end: AtomicU64,
    is_left: bool,
}

/// Where a sealed content stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

pub(crate) fn path_of(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:08}.tga"))
}

/// On disk, by number.
pub(crate) fn numbers(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    let files = match std::fs::read_dir(dir) {
        // Somebody deleted all contents: `verify` says so.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(numbers),
        files => files?,
    };
    for file in files {
        let name = file?.file_name();
        let number: Option<u64> = name
            .to_str()
            .and_then(|name| name.strip_suffix(".tga")?.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

impl Segment {
    /// Takes the room on disk now, so that a full disk shows here and not in the middle of a call.
    pub(crate) fn create(dir: &Path, number: u64, bytes: u64) -> io::Result<Self> {
        let path = path_of(dir, number);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        if let Err(error) = allocate(&file, bytes) {
            // Best effort: an empty file left behind is no harm.
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        Ok(Self {
            number,
            bytes,
            file,
            path,
            end: AtomicU64::new(0),
            is_left: false,
        })
    }

    /// Takes its room in memory too, before anything is appended: a call then only copies. Finding a
    /// page for what it writes takes longer than that.
    pub(crate) fn warm(&self) -> io::Result<()> {
        zero(&self.file, 0, self.bytes)
    }

    /// One that an earlier process wrote.
    pub(crate) fn left(dir: &Path, number: u64) -> io::Result<Self> {
        let path = path_of(dir, number);
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Self {
            number,
            bytes,
            file,
            path,
            end: AtomicU64::new(bytes),
            is_left: true,
        })
    }

    /// Whether its end is only known to be somewhere before its length.
    pub(crate) fn is_left(&self) -> bool {
        self.is_left
    }

    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    pub(crate) fn has_room_for(&self, frame: &Frame) -> bool {
        self.room() >= frame.bytes.len() as u64
    }

    pub(crate) fn room(&self) -> u64 {
        self.bytes - self.end()
    }

    pub(crate) fn is_half_full(&self) -> bool {
        self.end() > self.bytes / 2
    }

    /// Writes at the end, and says where that was. One writer at a time: the vault's lock sees to it.
    pub(crate) fn append(&self, frame: &mut Frame) -> io::Result<u64> {
        let offset = self.end.load(Ordering::Relaxed);
        let sum = checksum(self.number, offset, &frame.bytes, frame.payload_sum);
        frame.bytes[8..12].copy_from_slice(&sum.to_be_bytes());
        self.file.write_all_at(&frame.bytes, offset)?;
        self.end
            .store(offset + frame.bytes.len() as u64, Ordering::Release);
        Ok(offset)
    }

    pub(crate) fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(bytes, offset)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Gives back the room that no frame took. Nothing is appended afterwards.
    pub(crate) fn trim(&self, end: u64) -> io::Result<()> {
        self.file.set_len(end)
    }

    /// Gives back its memory once all of it is on the platter: the next segment takes it, so that a busy
    /// log goes round in as little as two segments take.
    pub(crate) fn cool(&self) {
        // Where that cannot be said, the system takes it when it wants the room.
        #[cfg(target_os = "linux")]
        let _ = rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::DontNeed);
    }

    pub(crate) fn delete(&self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }
}

fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    match fs4::FileExt::allocate(file, bytes) {
        // A file system that cannot reserve room: zeros take it as well.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => zero(file, 0, bytes),
        allocated => allocated,
    }
}

/// In pieces that a file system keeps together in memory: of one page each, every page costs; of a
/// megabyte, every later write into it does.
pub(crate) fn zero(file: &File, from: u64, length: u64) -> io::Result<()> {
    static ZEROS: [u8; 65_536] = [0; 65_536];
    let mut done = 0;
    while done < length {
        let piece = (length - done).min(ZEROS.len() as u64);
        file.write_all_at(&ZEROS[..piece as usize], from + done)?;
        done += piece;
    }
    Ok(())
}

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
    /// Seals what `put_content` writes under `key`, bound to what `put_header` writes.
    pub(crate) fn seal(
        key: &SealingKey,
        content_bytes: usize,
        put_header: impl FnOnce(&mut Vec<u8>),
        put_content: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Self, AuditError> {
        let mut bytes = Vec::with_capacity(content_bytes + 512);
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
