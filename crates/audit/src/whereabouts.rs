//! Whether a store's paths still name what this process has open. What goes into files that have lost their
//! names is gone with the process.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Which file or directory it is, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

/// The folder, its contents' and the database, as they were opened.
#[derive(Debug)]
pub(crate) struct Whereabouts {
    noted: Vec<(PathBuf, Identity)>,
}

impl From<&Metadata> for Identity {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

impl Whereabouts {
    pub(crate) fn note(paths: Vec<PathBuf>) -> io::Result<Self> {
        let mut noted = Vec::with_capacity(paths.len());
        for path in paths {
            let identity = Identity::from(&fs::metadata(&path)?);
            noted.push((path, identity));
        }
        Ok(Self { noted })
    }

    /// One that is no longer what it was.
    pub(crate) fn lost(&self) -> Option<&Path> {
        let lost = |(path, identity): &&(PathBuf, Identity)| !is_at(path, *identity);
        self.noted.iter().find(lost).map(|(path, _)| path.as_path())
    }
}

/// Also if there is no saying: a disk that cannot be asked has not lost it.
pub(crate) fn is_at(path: &Path, identity: Identity) -> bool {
    match fs::metadata(path) {
        Ok(metadata) => Identity::from(&metadata) == identity,
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}
