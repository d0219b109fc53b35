//! What all that keeps something on disk does alike: files that only their owner reads, room taken before
//! it is needed, locks between processes, and the signal that wakes the thread which writes behind.
//!
//! Knows nothing of what is kept. Everything here blocks, but for [`Signal::wake`].

mod lock;
pub mod private;
pub mod room;
mod signal;

use std::fs::File;
use std::io;
use std::path::Path;

pub use lock::Lock;
pub use signal::{Signal, Stop};

/// A file's name reaches the platter with its directory.
pub fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
