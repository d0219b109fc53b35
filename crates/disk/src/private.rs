//! Directories and files that only their owner can read.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// And those that it stands in. One that is there stays as it is.
pub fn create_directory(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// To be completed. A file that is there keeps its mode.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Opens or makes a file, to read and write. SQLite gives the files that it puts beside a database the
/// database's own mode.
pub fn open(path: &Path) -> io::Result<File> {
    options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

/// Makes a file whole or not at all, whenever the process ends. One that is there, also one that another
/// process made meanwhile, stays as it is.
pub fn make_once(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = options().write(true).create_new(true).open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    match std::fs::hard_link(&new, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    std::fs::remove_file(&new)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_the_owner_reads_what_is_made_here() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a/b");
        create_directory(&dir).unwrap();
        create_directory(&dir).unwrap();
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(mode(&folder.path().join("a")), 0o700);
        let path = dir.join("file");
        open(&path).unwrap().write_all(b"kept").unwrap();
        open(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(std::fs::read(&path).unwrap(), b"kept");
    }

    #[test]
    fn what_is_made_once_is_never_overwritten_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        // A process was killed here.
        std::fs::write(folder.path().join("key.new"), b"ha").unwrap();
        make_once(&path, b"first").unwrap();
        make_once(&path, b"second").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
