//! Events that a receiver will never take: set aside, so that they do not keep the others.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use disk::private;
use domain::SinkId;
use serde::Serialize;
use serde_json::value::RawValue;

use super::event::Event;

/// A receiver that refuses so many in a row, and takes none between them, refuses everything: that
/// is no event's fault, and they wait.
const IN_A_ROW_MAX: usize = 10;
/// Of one sink's file. Past it, what is refused is only counted and logged; the ledger still has it.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Decides whether a refusal is believed.
#[derive(Debug, Default)]
pub struct Trust {
    in_a_row: usize,
}

impl Trust {
    /// `taken` and `refused` are those of one delivery. False: the receiver refuses too much.
    pub fn believes(&mut self, taken: usize, refused: usize) -> bool {
        if taken > 0 {
            self.in_a_row = 0;
            return true;
        }
        if self.in_a_row + refused > IN_A_ROW_MAX {
            return false;
        }
        self.in_a_row += refused;
        true
    }
}

#[derive(Serialize)]
struct Line<'e> {
    id: String,
    reason: &'e str,
    event: Option<&'e RawValue>,
}

/// `data_dir/sinks/ID.refused.jsonl`
pub fn path(data_dir: &Path, sink: &SinkId) -> PathBuf {
    // An id may hold `:`, which is no trouble where a gateway runs.
    data_dir.join("sinks").join(format!("{sink}.refused.jsonl"))
}

/// Adds the event to the file.
pub fn set_aside(path: &Path, event: &Event, reason: &str) -> io::Result<()> {
    let id = event.id.to_string();
    // What was said stays where it is sealed.
    let event = (!event.has_content)
        .then(|| serde_json::from_slice(&event.json).ok())
        .flatten();
    let mut line = serde_json::to_vec(&Line { id, reason, event }).map_err(io::Error::other)?;
    line.push(b'\n');
    let mut file = open(path)?;
    if file.metadata()?.len() + line.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!(
            "the file would pass {FILE_BYTES_MAX} bytes: look at it and remove it"
        )));
    }
    file.write_all(&line)?;
    file.sync_data()
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        private::create_directory(folder)?;
    }
    private::options().append(true).create(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_refusals_are_believed_while_others_are_taken() {
        let mut trust = Trust::default();
        for _ in 0..100 {
            assert!(trust.believes(0, 1));
            assert!(trust.believes(499, 1));
        }
    }

    #[test]
    fn a_receiver_that_refuses_everything_is_not_believed() {
        let mut trust = Trust::default();
        assert!(!trust.believes(0, 500), "all of a batch at once");
        for _ in 0..10 {
            assert!(trust.believes(0, 1));
        }
        assert!(!trust.believes(0, 1), "or one by one");
        assert!(trust.believes(1, 0));
        assert!(trust.believes(0, 1), "until it takes one again");
    }
}
