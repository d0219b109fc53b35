//! One file of sealed contents: written once at its end, read for years, zeroed where retention says.
//!
//! The ledger's segments look alike but live otherwise: theirs are a queue, deleted when the database
//! has them. These are where contents stay; the database has only their place and their hash.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use disk::{private, room};

use crate::whereabouts::{Identity, is_at};

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
        let file = private::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        if let Err(error) = room::take(&file, bytes) {
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
    /// page for what it writes takes longer than that. Many records at once bring their own.
    pub(crate) fn warm(&self) -> io::Result<()> {
        room::zero(&self.file, 0, self.bytes)
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

    /// Whether its path still names it.
    pub(crate) fn is_in_place(&self) -> io::Result<bool> {
        let identity = Identity::from(&self.file.metadata()?);
        Ok(is_at(&self.path, identity))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether its end is only known to be somewhere before its length.
    pub(crate) fn is_left(&self) -> bool {
        self.is_left
    }

    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    pub(crate) fn room(&self) -> u64 {
        self.bytes - self.end()
    }

    pub(crate) fn is_half_full(&self) -> bool {
        self.end() > self.bytes / 2
    }

    /// Writes frames that were placed at its end; they count once `reach` says so. One writer at a time:
    /// the vault's lock sees to it.
    pub(crate) fn write(&self, placed: &[u8]) -> io::Result<()> {
        self.file
            .write_all_at(placed, self.end.load(Ordering::Relaxed))
    }

    /// So many bytes behind its end are part of it.
    pub(crate) fn reach(&self, bytes: u64) {
        let end = self.end.load(Ordering::Relaxed);
        self.end.store(end + bytes, Ordering::Release);
    }

    /// Takes back what was written behind its end.
    pub(crate) fn unwrite(&self, bytes: u64) -> io::Result<()> {
        room::zero(&self.file, self.end.load(Ordering::Relaxed), bytes)
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
