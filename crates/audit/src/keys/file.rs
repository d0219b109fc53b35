//! The key file: a page of what opens it, then one slot for each data key, overwritten in place.
//!
//! No database: a destroyed key must not live on in free pages or a write-ahead log.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use disk::{private, sync_directory};

use super::Witness;
use super::slot::{SLOT_BYTES, Slot};
use crate::bytes::{self, Malformed, Reader};
use crate::killing::kill_point;

const NAME: &str = "keys.tgk";
const MAGIC: [u8; 8] = *b"TGKEYS01";
const GENERATION_AT: u64 = 8;
const WITNESS_AT: u64 = 16;
const WITNESS_BYTES: usize = 44;
const BODY_AT: usize = 64;
const HEADER_BYTES: usize = 4_096;
/// Of a file that a rotation has replaced.
const SUPERSEDED: u64 = u64::MAX;
/// 14 million keys. A larger file is none of ours.
const FILE_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct KeyFile {
    file: File,
}

/// What opens the slots.
#[derive(Clone, Debug)]
pub(super) struct Body {
    /// Which store these keys are of.
    pub(super) store: [u8; 16],
    pub(super) kek: String,
    pub(super) wrapped_root: Vec<u8>,
    /// Sealed under the root: what signs heads and tells whose a key is.
    pub(super) secrets: Vec<u8>,
    pub(super) public_key: [u8; 32],
    /// Which rotation made it; zero if none did.
    pub(super) rotation: u64,
}

pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

pub(super) fn lock_path(dir: &Path) -> PathBuf {
    dir.join("keys.lock")
}

fn new_path(dir: &Path) -> PathBuf {
    dir.join("keys.tgk.new")
}

fn old_path(dir: &Path) -> PathBuf {
    dir.join("keys.tgk.old")
}

impl KeyFile {
    pub(super) fn open(dir: &Path) -> io::Result<Option<Self>> {
        let file = match fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(path(dir))
        {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let file = Self { file };
        let mut magic = [0; 8];
        file.file.read_exact_at(&mut magic, 0)?;
        if magic != MAGIC {
            return Err(damaged("it does not begin as a key file does"));
        }
        Ok(Some(file))
    }

    /// Whole or not at all. One that stood there is overwritten once the new one has its name.
    pub(super) fn replace(
        dir: &Path,
        body: &Body,
        witness: Option<&Witness>,
        slots: &[Slot],
        generation: u64,
    ) -> io::Result<Self> {
        let new = new_path(dir);
        overwrite(&new)?;
        let file = Self {
            file: private::open(&new)?,
        };
        kill_point()?;
        let mut page = vec![0; HEADER_BYTES];
        page[..8].copy_from_slice(&MAGIC);
        page[8..16].copy_from_slice(&generation.to_be_bytes());
        let encoded = encode(body);
        page[BODY_AT..BODY_AT + encoded.len()].copy_from_slice(&encoded);
        for slot in slots {
            page.extend_from_slice(&slot.to_bytes());
        }
        file.file.write_all_at(&page, 0)?;
        if let Some(witness) = witness {
            file.set_witness(witness)?;
        }
        kill_point()?;
        file.file.sync_all()?;
        kill_point()?;
        let had_one = match fs::hard_link(path(dir), old_path(dir)) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        kill_point()?;
        fs::rename(&new, path(dir))?;
        kill_point()?;
        sync_directory(dir)?;
        if had_one {
            Self::overwrite_left(dir)?;
        }
        Ok(file)
    }

    /// Ends what a process that died within a rotation left. Under the lock of the key file.
    pub(super) fn overwrite_left(dir: &Path) -> io::Result<()> {
        // One that did not come to its name holds every key too: it would outlive their destruction.
        overwrite(&new_path(dir))?;
        let old = old_path(dir);
        if old.exists() && same_file(&old, &path(dir))? {
            // The rotation did not come to the new name: this is the only copy there is.
            return fs::remove_file(&old);
        }
        overwrite(&old)
    }

    /// Changes whenever a key is retired or destroyed. `None` once a rotation has replaced the file.
    pub(super) fn generation(&self) -> io::Result<Option<u64>> {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, GENERATION_AT)?;
        let generation = u64::from_be_bytes(bytes);
        Ok((generation != SUPERSEDED).then_some(generation))
    }

    pub(super) fn next_generation(&self) -> io::Result<()> {
        let generation = self.generation()?.unwrap_or(0) + 1;
        self.file
            .write_all_at(&generation.to_be_bytes(), GENERATION_AT)
    }

    pub(super) fn body(&self) -> io::Result<Body> {
        let mut page = [0; HEADER_BYTES];
        self.file.read_exact_at(&mut page, 0)?;
        decode(&page[BODY_AT..]).map_err(|Malformed| damaged("its first page is damaged"))
    }

    pub(super) fn witness(&self) -> io::Result<Option<Witness>> {
        let mut bytes = [0; WITNESS_BYTES];
        self.file.read_exact_at(&mut bytes, WITNESS_AT)?;
        let (told, sum) = bytes.split_at(WITNESS_BYTES - 4);
        if crc32fast::hash(told).to_be_bytes() != sum {
            return Ok(None);
        }
        let mut witness = Witness::default();
        witness.hash.copy_from_slice(&told[8..]);
        let mut sequence = [0; 8];
        sequence.copy_from_slice(&told[..8]);
        witness.sequence = u64::from_be_bytes(sequence);
        Ok(Some(witness))
    }

    pub(super) fn set_witness(&self, witness: &Witness) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(WITNESS_BYTES);
        bytes.extend_from_slice(&witness.sequence.to_be_bytes());
        bytes.extend_from_slice(&witness.hash);
        let sum = crc32fast::hash(&bytes);
        bytes::put_u32(&mut bytes, sum);
        self.file.write_all_at(&bytes, WITNESS_AT)
    }

    /// From slot `first` on, whole ones. `None` stands for a damaged one.
    pub(super) fn slots(&self, first: usize) -> io::Result<Vec<Option<Slot>>> {
        let len = self.file.metadata()?.len();
        if len > FILE_BYTES_MAX {
            return Err(damaged("it is longer than 2 GiB"));
        }
        let start = slot_at(first);
        let mut bytes = vec![0; usize::try_from(len.saturating_sub(start)).unwrap_or(0)];
        self.file.read_exact_at(&mut bytes, start)?;
        let (slots, _) = bytes.as_chunks::<SLOT_BYTES>();
        Ok(slots.iter().map(Slot::from_bytes).collect())
    }

    pub(super) fn write(&self, index: usize, slot: &Slot) -> io::Result<()> {
        self.file.write_all_at(&slot.to_bytes(), slot_at(index))
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// With zeros, and away with it. Nothing where there is none.
fn overwrite(path: &Path) -> io::Result<()> {
    let file = match fs::OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let len = file.metadata()?.len();
    // Its other readers look here first and open the new file.
    file.write_all_at(&SUPERSEDED.to_be_bytes(), GENERATION_AT)?;
    kill_point()?;
    let zeros = vec![0; 65_536];
    let mut at = BODY_AT as u64;
    while at < len {
        let piece = (len - at).min(zeros.len() as u64);
        file.write_all_at(&zeros[..piece as usize], at)?;
        at += piece;
    }
    file.sync_all()?;
    kill_point()?;
    fs::remove_file(path)
}

fn slot_at(index: usize) -> u64 {
    (HEADER_BYTES + index * SLOT_BYTES) as u64
}

fn same_file(one: &Path, other: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (one, other) = (fs::metadata(one)?, fs::metadata(other)?);
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}

fn damaged(how: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{how}; restore it from its own backup"),
    )
}

fn encode(body: &Body) -> Vec<u8> {
    let Body {
        store,
        kek,
        wrapped_root,
        secrets,
        public_key,
        rotation,
    } = body;
    let mut told = Vec::new();
    told.extend_from_slice(store);
    bytes::put_text(&mut told, &kek[..kek.floor_char_boundary(512)]);
    bytes::put_bytes(&mut told, wrapped_root);
    bytes::put_bytes(&mut told, secrets);
    told.extend_from_slice(public_key);
    bytes::put_u64(&mut told, *rotation);
    let mut encoded = Vec::with_capacity(told.len() + 8);
    bytes::put_u32(&mut encoded, crc32fast::hash(&told));
    bytes::put_bytes(&mut encoded, &told);
    encoded
}

fn decode(page: &[u8]) -> Result<Body, Malformed> {
    let mut reader = Reader::new(page);
    let sum = reader.u32()?;
    let told = reader.bytes()?;
    if crc32fast::hash(told) != sum {
        return Err(Malformed);
    }
    let mut reader = Reader::new(told);
    let body = Body {
        store: reader.array()?,
        kek: reader.text()?.to_owned(),
        wrapped_root: reader.bytes()?.to_vec(),
        secrets: reader.bytes()?.to_vec(),
        public_key: reader.array()?,
        // Files of older versions end before it.
        rotation: reader.u64().unwrap_or(0),
    };
    Ok(body)
}
