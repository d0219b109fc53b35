//! Those outside the database who know what the chain had come to: `heads.log` and the key file.
//!
//! A head is told once it is on the platter: one that a power loss undid would look like tampering. A
//! process that dies in between leaves a head untold; the next one tells it.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use disk::private;
use rusqlite::Connection;

use crate::AuditError;
use crate::database::Database;
use crate::event::Event;
use crate::head::Head;
use crate::keys::{Keyring, Witness};

/// Longer than two lines.
const TAIL_BYTES: u64 = 1_024;

pub(crate) fn heads_path(dir: &Path) -> PathBuf {
    dir.join("heads.log")
}

/// Tells the heads that are on the chain and were not told.
pub(crate) fn tell(database: &Database, keyring: &Keyring) -> Result<(), AuditError> {
    let path = heads_path(database.dir());
    let failed =
        |error: io::Error| AuditError::Store(format!("cannot write {}: {error}", path.display()));
    let mut file = private::options()
        .read(true)
        .append(true)
        .create(true)
        .open(&path)
        .map_err(failed)?;
    // Let go of when the file is closed.
    file.lock().map_err(failed)?;
    let told = last_told(&file).map_err(failed)?;
    // The key file is told last. Heads that it knows and `heads.log` has not were removed there: they
    // stay missing, so that `verify` tells.
    let known = keyring.witness()?.map_or(0, |witness| witness.sequence);
    let behind = told.map_or(0, |head| head.sequence).max(known);
    let heads = newest(&database.connection, behind).map_err(|error| database.faulty(&error))?;
    let Some(newest) = heads.last() else {
        return Ok(());
    };
    let lines: String = heads.iter().map(|head| format!("{head}\n")).collect();
    file.write_all(lines.as_bytes()).map_err(failed)?;
    file.sync_data().map_err(failed)?;
    drop(file);
    keyring.tell_witness(&Witness {
        sequence: newest.sequence,
        hash: newest.hash,
    })
}

/// Cuts off a line that was not written whole, which the next one would run into.
fn last_told(file: &File) -> io::Result<Option<Head>> {
    let len = file.metadata()?.len();
    let start = len.saturating_sub(TAIL_BYTES);
    let mut tail = vec![0; usize::try_from(len - start).unwrap_or(0)];
    file.read_exact_at(&mut tail, start)?;
    let whole = tail
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    if whole < tail.len() {
        file.set_len(start + whole as u64)?;
    }
    let text = String::from_utf8_lossy(&tail[..whole]);
    Ok(text.lines().last().and_then(|line| line.parse().ok()))
}

/// Heads of the chain that are of entries behind `behind`.
fn newest(connection: &Connection, behind: u64) -> rusqlite::Result<Vec<Head>> {
    let mut select = connection
        .prepare_cached("SELECT header FROM chain WHERE sequence > ? + 1 AND substr(header, 1, 1) = x'08' ORDER BY sequence")?;
    let mut rows = select.query([behind.cast_signed()])?;
    let mut heads = Vec::new();
    while let Some(row) = rows.next()? {
        let header = row.get_ref(0)?.as_blob().unwrap_or_default();
        if let Ok(Event::Head(head)) = Event::from_header(header) {
            heads.push(head);
        }
    }
    Ok(heads)
}
