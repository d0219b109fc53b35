//! Directories and files that only their owner can read, and locks between processes.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

pub(crate) fn create_private_directory(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Opens or makes a file. SQLite gives the files that it puts beside a database its mode.
pub(crate) fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// A file's name reaches the platter with its directory.
pub(crate) fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Held until it is dropped, or the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    pub(crate) fn wait(path: &Path) -> io::Result<Self> {
        let file = open_private(path)?;
        file.lock()?;
        Ok(Self { _file: file })
    }

    /// `None` if someone else holds it.
    pub(crate) fn try_take(path: &Path) -> io::Result<Option<Self>> {
        let file = open_private(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Where a process may be killed with half its work done. Tests end it there; elsewhere it is nothing.
#[cfg(not(test))]
#[inline]
#[expect(clippy::unnecessary_wraps, reason = "tests have it fail")]
pub(crate) fn kill_point() -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(crate) use killing::{kill_at, kill_point};

#[cfg(test)]
mod killing {
    use std::cell::Cell;
    use std::io;

    thread_local! {
        /// Points that are passed before one is not.
        static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    }

    /// Has this thread's work end at a point after so many; `None`: nowhere.
    pub(crate) fn kill_at(points: Option<usize>) {
        LEFT.set(points);
    }

    pub(crate) fn kill_point() -> io::Result<()> {
        match LEFT.get() {
            Some(0) => Err(io::Error::other("killed")),
            left => {
                LEFT.set(left.map(|left| left - 1));
                Ok(())
            }
        }
    }
}
