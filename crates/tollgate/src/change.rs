//! Notices that the configuration, a secret's file or the key registry changed, and loads it anew.
//!
//! Looks every half second, instead of asking the system to be told: a look is a few `stat` calls,
//! and it sees what notifications miss, such as network mounts and the symbolic links that
//! Kubernetes swaps.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc::Sender;

use crate::configuration::{LoadFailure, Loaded, Loader};

/// A change is loaded when it has stood for one more look, so that no half-written file is.
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub struct Change {
    pub cause: Cause,
    pub outcome: Result<Loaded, LoadFailure>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Signal,
    Files,
    /// Keys or raises of budgets.
    Registry,
}

impl Cause {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signal => "SIGHUP",
            Self::Files => "files changed",
            Self::Registry => "keys or raises changed",
        }
    }
}

/// Asks for a load now, changed or not.
#[derive(Debug)]
pub struct LoadNow;

/// Runs until the other end of `asks` is gone, on a thread of its own: files may be slow.
pub fn watch(mut loader: Loader, asks: &Receiver<LoadNow>, changes: &Sender<Change>) {
    let mut before = loader.seen().clone();
    loop {
        let cause = match asks.recv_timeout(LOOK_EVERY) {
            Ok(LoadNow) => Some(Cause::Signal),
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                let now = loader.look();
                let settled = now == before;
                before = now;
                if settled {
                    loader.seen().cause_of(&before)
                } else {
                    None
                }
            }
        };
        let Some(cause) = cause else { continue };
        let outcome = loader.load();
        before = loader.seen().clone();
        if changes.blocking_send(Change { cause, outcome }).is_err() {
            return;
        }
    }
}

/// What a load was made from, as far as a change of it can be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    files: Vec<(PathBuf, Option<Stamp>)>,
    secrets: Vec<(PathBuf, Option<Stamp>)>,
    /// The registry's revision.
    pub registry: u64,
}

/// `None` in its place: there is no such file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    /// Tells a file that was replaced from one that was left alone, whatever its time says.
    inode: u64,
}

impl Stamp {
    /// Of what a symbolic link leads to.
    pub fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            modified: metadata.modified().ok(),
            bytes: metadata.len(),
            inode: metadata.ino(),
        })
    }
}

impl Seen {
    /// Which files stand for secrets is known when they are read.
    pub fn before_a_load(paths: Vec<PathBuf>, registry: u64) -> Self {
        Self {
            files: stamped(paths),
            secrets: Vec::new(),
            registry,
        }
    }

    /// Files behind `${file:…}`, stamped before they were read.
    pub fn add_secrets(&mut self, mut secrets: Vec<(PathBuf, Option<Stamp>)>) {
        // A file that was read twice counts as it was the first time.
        secrets.sort_by(|a, b| a.0.cmp(&b.0));
        secrets.dedup_by(|later, first| later.0 == first.0);
        self.secrets = secrets;
    }

    /// The same, as it is now; `paths` because a folder may have got more files.
    pub fn again(&self, paths: Vec<PathBuf>) -> Self {
        let secrets = self.secrets.iter().map(|(path, _)| path.clone()).collect();
        Self {
            files: stamped(paths),
            secrets: stamped(secrets),
            registry: self.registry,
        }
    }

    fn cause_of(&self, now: &Self) -> Option<Cause> {
        if self.files != now.files || self.secrets != now.secrets {
            return Some(Cause::Files);
        }
        (self.registry != now.registry).then_some(Cause::Registry)
    }
}

fn stamped(paths: Vec<PathBuf>) -> Vec<(PathBuf, Option<Stamp>)> {
    paths
        .into_iter()
        .map(|path| {
            let stamp = Stamp::of(&path);
            (path, stamp)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swapped_symbolic_link_is_a_change_though_time_and_size_are_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for version in ["one", "two"] {
            fs::write(at(version), "same").unwrap();
            let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
            fs::File::options()
                .write(true)
                .open(at(version))
                .unwrap()
                .set_modified(modified)
                .unwrap();
        }
        std::os::unix::fs::symlink(at("one"), at("tollgate.yaml")).unwrap();
        let paths = vec![at("tollgate.yaml")];
        let seen = Seen::before_a_load(paths.clone(), 0);
        assert_eq!(seen.cause_of(&seen.again(paths.clone())), None);
        std::os::unix::fs::symlink(at("two"), at("next")).unwrap();
        fs::rename(at("next"), at("tollgate.yaml")).unwrap();
        assert_eq!(seen.cause_of(&seen.again(paths)), Some(Cause::Files));
    }

    #[test]
    fn a_secret_that_changes_or_goes_away_is_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("key");
        fs::write(&secret, "first").unwrap();
        let mut seen = Seen::before_a_load(Vec::new(), 0);
        seen.add_secrets(vec![(secret.clone(), Stamp::of(&secret))]);
        fs::write(&secret, "second one").unwrap();
        assert_eq!(seen.cause_of(&seen.again(Vec::new())), Some(Cause::Files));
        fs::remove_file(&secret).unwrap();
        assert_eq!(seen.cause_of(&seen.again(Vec::new())), Some(Cause::Files));
    }

    #[test]
    fn a_new_key_is_a_change_and_says_so() {
        let seen = Seen {
            registry: 4,
            ..Seen::default()
        };
        assert_eq!(
            seen.cause_of(&Seen {
                registry: 5,
                ..Seen::default()
            }),
            Some(Cause::Registry)
        );
    }
}
