//! The file that is written to: whole lines only, whatever happened to it before.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::SystemTime;

use config::snapshot::FileSink;
use domain::Wall;

use super::rotation;

/// A last line without its end is looked for in so much of the file. No event is longer.
const LINE_BYTES_MAX: u64 = 8 * 1024 * 1024;

pub struct Writer {
    definition: FileSink,
    open: Option<Open>,
    /// So that what cannot be tidied up is one line in the log.
    is_untidy: bool,
}

struct Open {
    file: File,
    bytes: u64,
    /// When its first line was written.
    began_at: Option<Wall>,
}

impl Writer {
    pub fn new(definition: FileSink) -> Self {
        Self {
            definition,
            open: None,
            is_untidy: false,
        }
    }

    /// Whole lines: all of them or none.
    pub fn add(&mut self, lines: &[u8], now: Wall) -> io::Result<()> {
        self.rotate_if_due(now)?;
        let bytes_max = self.definition.bytes_max;
        let is_full = |open: &Open| open.bytes > 0 && open.bytes + lines.len() as u64 > bytes_max;
        if is_full(self.opened()?) {
            self.rotate(now)?;
        }
        let sync = self.definition.sync;
        let open = self.opened()?;
        let written = open.file.write_all(lines).and_then(|()| match sync {
            true => open.file.sync_data(),
            false => Ok(()),
        });
        if let Err(error) = written {
            // What is there of them comes again, so it goes.
            let cut = open.file.set_len(open.bytes);
            self.open = None;
            return Err(cut.err().unwrap_or(error));
        }
        open.bytes += lines.len() as u64;
        open.began_at.get_or_insert(now);
        Ok(())
    }

    pub fn rotate_if_due(&mut self, now: Wall) -> io::Result<()> {
        let Some(every) = self.definition.every else {
            return Ok(());
        };
        let is_due = |began_at: Wall| now.since(began_at) >= every;
        if self.opened()?.began_at.is_some_and(is_due) {
            self.rotate(now)?;
        }
        Ok(())
    }

    fn rotate(&mut self, now: Wall) -> io::Result<()> {
        if let Some(Open { file, .. }) = self.open.take() {
            file.sync_all()?;
        }
        rotation::put_away(&self.definition.path, now)?;
        self.tidy_up();
        Ok(())
    }

    /// Full files are compressed and counted. They are whole as they are, so a fault here does not
    /// hold up what comes next.
    fn tidy_up(&mut self) {
        let FileSink {
            path,
            files_max,
            compression,
            ..
        } = &self.definition;
        let tidied = rotation::compress(path, *compression)
            .and_then(|()| rotation::remove_oldest(path, *files_max));
        let was_untidy = std::mem::replace(&mut self.is_untidy, tidied.is_err());
        if let Err(error) = tidied
            && !was_untidy
        {
            tracing::warn!(path = %path.display(), %error, "full files of a sink cannot be tidied up");
        }
    }

    /// The file as it stands, opened anew where somebody moved it away.
    fn opened(&mut self) -> io::Result<&mut Open> {
        let is_there = self
            .open
            .as_ref()
            .is_some_and(|open| self.is_in_place(open));
        if !is_there {
            self.open = Some(self.reopen()?);
        }
        self.open
            .as_mut()
            .ok_or_else(|| io::Error::other("the file is not open"))
    }

    fn is_in_place(&self, open: &Open) -> bool {
        let ours = open.file.metadata();
        let there = std::fs::metadata(&self.definition.path);
        match (ours, there) {
            (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
            _ => false,
        }
    }

    fn reopen(&mut self) -> io::Result<Open> {
        let mut file = open(&self.definition.path)?;
        // What a crash left half-way.
        self.tidy_up();
        let bytes = end_of_last_line(&mut file)?;
        file.set_len(bytes)?;
        let began_at = if bytes > 0 { Some(began(&file)?) } else { None };
        Ok(Open {
            file,
            bytes,
            began_at,
        })
    }
}

/// Adds one line, whoever else writes to the file.
pub fn append(path: &Path, line: &[u8]) -> io::Result<()> {
    let mut file = open(path)?;
    file.write_all(line)?;
    file.sync_data()
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
}

/// A kill may have cut the last line. Its event comes again.
fn end_of_last_line(file: &mut File) -> io::Result<u64> {
    let bytes = file.metadata()?.len();
    let from = bytes.saturating_sub(LINE_BYTES_MAX);
    file.seek(SeekFrom::Start(from))?;
    let mut end = Vec::new();
    file.take(LINE_BYTES_MAX).read_to_end(&mut end)?;
    let last = end.iter().rposition(|byte| *byte == b'\n');
    match last {
        Some(last) => Ok(from + last as u64 + 1),
        None if from == 0 => Ok(0),
        None => Err(io::Error::other("the file is not one of lines")),
    }
}

/// As the file system has it, for a file that an earlier process began.
fn began(file: &File) -> io::Result<Wall> {
    let metadata = file.metadata()?;
    let began = metadata.created().or_else(|_| metadata.modified())?;
    let since = began
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Ok(Wall(0) + since)
}

#[cfg(test)]
mod tests;
