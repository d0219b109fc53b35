//! The data directory: only its owner can read it, and only one gateway writes to it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

/// Held for as long as a gateway (or a tool that repairs its files) writes to the directory. The
/// system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// `None` if someone else holds it.
    pub(crate) fn try_take(dir: &Path) -> io::Result<Option<Self>> {
        let file = open_private(&dir.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Waits half a second for a tool that is reading a stopped gateway's usage; another gateway
    /// would hold the lock for good.
    pub(crate) fn take(dir: &Path) -> io::Result<Option<Self>> {
        for _ in 0..10 {
            if let Some(lock) = Self::try_take(dir)? {
                return Ok(Some(lock));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(None)
    }
}

pub(crate) fn create_private_directory(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Opens or makes a file that only its owner can read. SQLite gives the files that it puts beside
/// a database the database's own mode.
pub(crate) fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}
