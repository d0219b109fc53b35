//! A sink's trouble as a small file in the data directory: `tollgate sinks list`, another process, shows it.

use std::io;
use std::path::{Path, PathBuf};

use disk::private;
use domain::Wall;
use serde::{Deserialize, Serialize};

use super::health::Failing;

/// Longer errors are cut.
const ERROR_BYTES_MAX: usize = 1024;

#[derive(Serialize, Deserialize)]
struct Written {
    since_ms: i64,
    failures: u64,
    error: String,
}

/// `data_dir/sinks/ID.failing.json`
fn path(data_dir: &Path, sink: &str) -> PathBuf {
    data_dir.join("sinks").join(format!("{sink}.failing.json"))
}

/// What the sink of that name was failing with when its gateway last looked; `None`: it was not, or what
/// is there cannot be read.
pub fn read(data_dir: &Path, sink: &str) -> Option<Failing> {
    let bytes = std::fs::read(path(data_dir, sink)).ok()?;
    let written: Written = serde_json::from_slice(&bytes).ok()?;
    Some(Failing {
        since: Wall(written.since_ms),
        failures: written.failures,
        error: written.error,
    })
}

/// Blocks. All of it or nothing: it takes its place under another name.
pub fn write(data_dir: &Path, sink: &str, failing: &Failing) -> io::Result<()> {
    let Failing {
        since,
        failures,
        error,
    } = failing;
    let written = Written {
        since_ms: since.0,
        failures: *failures,
        error: error[..error.floor_char_boundary(ERROR_BYTES_MAX)].to_owned(),
    };
    let path = path(data_dir, sink);
    if let Some(folder) = path.parent() {
        private::create_directory(folder)?;
    }
    let part = path.with_extension("part");
    let file = private::options()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&part)?;
    serde_json::to_writer(file, &written).map_err(io::Error::other)?;
    std::fs::rename(part, path)
}

/// Blocks. It works, or begins anew.
pub fn remove(data_dir: &Path, sink: &str) -> io::Result<()> {
    match std::fs::remove_file(path(data_dir, sink)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let failing = Failing {
            since: Wall::from_secs(40),
            failures: 3,
            error: "no such folder".to_owned(),
        };
        assert_eq!(read(folder.path(), "siem"), None);
        write(folder.path(), "siem", &failing).unwrap();
        assert_eq!(read(folder.path(), "siem"), Some(failing));
        remove(folder.path(), "siem").unwrap();
        remove(folder.path(), "siem").unwrap();
        assert_eq!(read(folder.path(), "siem"), None);
    }
}
