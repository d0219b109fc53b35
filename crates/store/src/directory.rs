//! The data directory: only one gateway writes to it.

use std::io;
use std::path::Path;
use std::time::Duration;

use disk::Lock;

/// Held for as long as a gateway (or a tool that repairs its files) writes to the directory. `None` if
/// someone else holds it.
pub(crate) fn try_lock(dir: &Path) -> io::Result<Option<Lock>> {
    Lock::try_take(&dir.join("lock"))
}

/// Waits half a second for a tool that is reading a stopped gateway's usage; another gateway would hold
/// the lock for good.
pub(crate) fn lock(dir: &Path) -> io::Result<Option<Lock>> {
    for _ in 0..10 {
        if let Some(lock) = try_lock(dir)? {
            return Ok(Some(lock));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(None)
}
