//! The key of hashes that stand in the place of values, where the configuration has none: made once
//! and kept in `data_dir`, so that the same value has the same hash after a restart.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::OnceLock;

use content::redact::HashKey;
use disk::private;

const FILE: &str = "guard-hash-key";

/// Read, or made, before the first snapshot that needs it comes into force.
#[derive(Debug, Default)]
pub struct KeptHashKey(OnceLock<HashKey>);

/// The key can be neither read nor made.
#[derive(Debug, thiserror::Error)]
#[error("the key of hashes, {path}, can be neither read nor made: {problem}; set `hash_key`")]
pub struct HashKeyError {
    path: String,
    problem: String,
}

impl KeptHashKey {
    pub fn prepare(&self, dir: &Path) -> Result<(), HashKeyError> {
        if self.0.get().is_some() {
            return Ok(());
        }
        let path = dir.join(FILE);
        let key = read_or_make(&path).map_err(|error| HashKeyError {
            path: path.display().to_string(),
            problem: error.to_string(),
        })?;
        // Another load may have been quicker; the file is the same.
        let _ = self.0.set(key);
        Ok(())
    }

    pub fn get(&self) -> Option<HashKey> {
        self.0.get().cloned()
    }
}

fn read_or_make(path: &Path) -> io::Result<HashKey> {
    match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => return read,
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| io::Error::other(error.to_string()))?;
    private::make_once(path, &key)?;
    read(path)
}

fn read(path: &Path) -> io::Result<HashKey> {
    let bytes = fs::read(path)?;
    let key =
        <[u8; 32]>::try_from(bytes).map_err(|_| io::Error::other("it does not hold 32 bytes"))?;
    Ok(HashKey(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_ever_after() {
        let dir = tempfile::tempdir().unwrap();
        let key = || {
            let kept = KeptHashKey::default();
            kept.prepare(dir.path()).unwrap();
            kept.get().unwrap()
        };
        assert_eq!(KeptHashKey::default().get(), None);
        let first = key();
        assert_eq!(key(), first);
        fs::write(dir.path().join(FILE), "short").unwrap();
        let error = KeptHashKey::default().prepare(dir.path()).unwrap_err();
        assert!(error.to_string().contains("32 bytes"), "{error}");
    }
}
