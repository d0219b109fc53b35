//! Standard output and standard error. A reader that left early (`| head`) is no failure.

use std::io::{self, Write};

pub fn out(text: &str) -> io::Result<()> {
    quiet_when_nobody_reads(write(io::stdout().lock(), text))
}

/// There is nowhere left to report that standard error is gone.
pub fn error(text: &str) {
    let _ = write(io::stderr().lock(), text);
}

fn write(mut to: impl Write, text: &str) -> io::Result<()> {
    to.write_all(text.as_bytes())?;
    to.flush()
}

pub fn quiet_when_nobody_reads(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Without control characters: a name that a client chose must not steer the reader's terminal.
pub fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_no_failure_and_a_full_disk_is() {
        let closed = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(quiet_when_nobody_reads(Err(closed)).is_ok());
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert!(quiet_when_nobody_reads(Err(full)).is_err());
    }

    #[test]
    fn a_name_cannot_clear_the_screen() {
        assert_eq!(harmless("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
    }
}
