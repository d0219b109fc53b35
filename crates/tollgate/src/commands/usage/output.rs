//! Where a report goes: standard output, or a file that is there whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::print::quiet_when_nobody_reads;

#[derive(Debug)]
pub enum Output {
    Standard(BufWriter<io::Stdout>),
    File(Draft),
}

/// Beside the file that it becomes; gone if it does not.
#[derive(Debug)]
pub struct Draft {
    to: BufWriter<File>,
    draft: PathBuf,
    path: PathBuf,
    is_done: bool,
}

impl Output {
    pub fn new(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else {
            return Ok(Self::Standard(BufWriter::new(io::stdout())));
        };
        let Some(name) = path.file_name() else {
            bail!("--output: `{}` names no file", path.display());
        };
        if path.is_dir() {
            bail!(
                "--output: `{}` is a folder; name a file in it",
                path.display()
            );
        }
        let mut draft = std::ffi::OsString::from(".");
        draft.push(name);
        draft.push(format!(".{}.tmp", std::process::id()));
        let draft = path.with_file_name(draft);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&draft)
            .with_context(|| {
                format!(
                    "--output: cannot write in the folder of `{}`",
                    path.display()
                )
            })?;
        Ok(Self::File(Draft {
            to: BufWriter::new(file),
            draft,
            path: path.to_owned(),
            is_done: false,
        }))
    }

    /// Bytes would wreck a terminal.
    pub fn refuse_terminal_for(&self, format: Option<report::Format>) -> Result<()> {
        match self {
            Self::Standard(to)
                if format == Some(report::Format::Parquet) && to.get_ref().is_terminal() =>
            {
                bail!("Parquet is not for a terminal; add --output FILE, or pipe it on")
            }
            Self::Standard(_) | Self::File(_) => Ok(()),
        }
    }

    /// A file takes its name now, in place of one that had it.
    pub fn finish(mut self) -> Result<()> {
        match &mut self {
            Self::Standard(to) => Ok(quiet_when_nobody_reads(to.flush())?),
            Self::File(draft) => draft
                .keep()
                .with_context(|| format!("cannot write `{}`", draft.path.display())),
        }
    }
}

impl Draft {
    fn keep(&mut self) -> io::Result<()> {
        self.to.flush()?;
        self.to.get_ref().sync_all()?;
        std::fs::rename(&self.draft, &self.path)?;
        self.is_done = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_done {
            // What cannot be removed is in the way of nothing.
            let _ = std::fs::remove_file(&self.draft);
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Standard(to) => match to.write(bytes) {
                // A reader that left early, such as `head`, is no failure.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(bytes.len()),
                other => other,
            },
            Self::File(draft) => draft.to.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Standard(to) => quiet_when_nobody_reads(to.flush()),
            Self::File(draft) => draft.to.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_file_is_there_whole_or_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("usage.csv");
        std::fs::write(&path, "old").unwrap();

        let mut given_up = Output::new(Some(&path)).unwrap();
        given_up.write_all(b"half of").unwrap();
        given_up.flush().unwrap();
        drop(given_up);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["usage.csv"]);

        let mut output = Output::new(Some(&path)).unwrap();
        output.write_all(b"new").unwrap();
        output.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["usage.csv"]);
    }

    #[test]
    fn what_is_no_place_for_a_file_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let fault = |path: &Path| format!("{:#}", Output::new(Some(path)).unwrap_err());
        assert!(fault(dir.path()).contains("is a folder"));
        assert!(fault(&dir.path().join("no/such/file.csv")).contains("no/such/file.csv"));
    }
}
