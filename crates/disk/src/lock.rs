use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use crate::private;

/// A lock between processes. Held until it is dropped, or the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for as long as somebody else holds it.
    pub fn wait(path: &Path) -> io::Result<Self> {
        let file = private::open(path)?;
        file.lock()?;
        Ok(Self { _file: file })
    }

    /// `None` if somebody else holds it.
    pub fn try_take(path: &Path) -> io::Result<Option<Self>> {
        let file = private::open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_holds_it_and_whoever_waits_has_it_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = Lock::wait(&path).unwrap();
        assert!(Lock::try_take(&path).unwrap().is_none());
        std::thread::scope(|threads| {
            let waits = threads.spawn(|| Lock::wait(&path).map(|_| ()));
            drop(held);
            waits.join().unwrap().unwrap();
        });
        assert!(Lock::try_take(&path).unwrap().is_some());
    }
}
