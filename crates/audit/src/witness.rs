//! Those outside the database who know what the chain had come to: `heads.log` and the key file.
//!
//! A head is told once it is on the platter: one that a power loss undid would look like tampering. A
//! process that dies in between leaves a head untold; the next one tells it.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use disk::private;
use domain::Wall;
use rusqlite::{Connection, params};

use crate::AuditError;
use crate::archive::erase::destroy_again;
use crate::chain::Hash;
use crate::database::{Database, Failed, Tip};
use crate::event::Event;
use crate::head::Head;
use crate::keys::{Keyring, Witness};

/// Longer than two lines.
const TAIL_BYTES: u64 = 1_024;

pub(crate) fn heads_path(dir: &Path) -> PathBuf {
    dir.join("heads.log")
}

/// What the key file knows of the chain.
enum Known {
    /// It is this chain, up to this entry.
    UpTo(u64),
    /// It is another one: this was rolled back or rewritten.
    Another(Witness),
}

/// Tells the heads that are on the chain and were not told. A key file that knows another chain is left as
/// it is, so that `verify` tells: only `own_up` gives it this one.
pub(crate) fn tell(database: &Database, keyring: &Keyring) -> Result<(), AuditError> {
    match known(database, keyring)? {
        Known::UpTo(known) => {
            tell_file(database, known)?;
            tell_keys(database, keyring, known)
        }
        Known::Another(Witness { sequence, .. }) => {
            tracing::error!(dir = %database.dir().display(), known = sequence, "the key file knows another chain than the audit log has: it was rolled back or rewritten");
            tell_file(database, 0)
        }
    }
}

/// Where the key file knows another chain, that becomes an entry of this one, once. Then the key file knows
/// this one.
pub(crate) fn own_up(database: &mut Database, keyring: &Keyring, now: Wall) -> Result<(), Failed> {
    let Known::Another(Witness { sequence, hash }) = known(database, keyring)? else {
        return Ok(());
    };
    let event = Event::RolledBack {
        known: sequence,
        hash,
    };
    if !has_entry(&database.connection, &event)? {
        database.wait_for_platter(true)?;
        let transaction = database.begin()?;
        let mut tip = Tip::read(&transaction, &keyring.store())?;
        tip.append_event(&transaction, now, &event, None)?;
        tip.append_head(&transaction, keyring, now)?;
        transaction.commit()?;
    }
    tracing::error!(dir = %database.dir().display(), known = sequence, "the audit log was rolled back or rewritten: the key file knew other entries; the log says so from now on");
    tell_file(database, 0)?;
    destroy_again(&database.connection, keyring, 0)?;
    if let Some(newest) = heads(&database.connection, 0)?.pop() {
        keyring.replace_witness(&Witness {
            sequence: newest.sequence,
            hash: newest.hash,
        })?;
    }
    Ok(())
}

fn known(database: &Database, keyring: &Keyring) -> Result<Known, AuditError> {
    // Before the chain is looked at: that has by then what anyone told.
    let Some(witness) = keyring.witness()? else {
        return Ok(Known::UpTo(0));
    };
    let is_here = has(&database.connection, witness.sequence, &witness.hash);
    Ok(match is_here.map_err(|error| database.faulty(&error))? {
        true => Known::UpTo(witness.sequence),
        false => Known::Another(witness),
    })
}

fn has(connection: &Connection, sequence: u64, hash: &Hash) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM chain WHERE sequence = ? AND hash = ?)")?
        .query_row(params![sequence.cast_signed(), hash], |row| row.get(0))
}

fn has_entry(connection: &Connection, event: &Event) -> rusqlite::Result<bool> {
    let select = "SELECT EXISTS (SELECT 1 FROM chain WHERE segment IS NULL AND header = ?)";
    connection.query_row(select, [event.to_header()], |row| row.get(0))
}

/// Into `heads.log`. `known` by the key file.
fn tell_file(database: &Database, known: u64) -> Result<(), AuditError> {
    let connection = &database.connection;
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
    let last_told = last_told(&file).map_err(failed)?;
    let untold = || -> rusqlite::Result<Vec<Head>> {
        // One that is of another chain tells nothing of what is missing.
        let told = match last_told {
            Some(head) if has(connection, head.sequence, &head.hash)? => head.sequence,
            Some(_) | None => 0,
        };
        // The key file is told last. Heads that it knows and `heads.log` has not were removed there: they
        // stay missing, so that `verify` tells.
        heads(connection, told.max(known))
    };
    let heads = untold().map_err(|error| database.faulty(&error))?;
    if heads.is_empty() {
        return Ok(());
    }
    let lines: String = heads.iter().map(|head| format!("{head}\n")).collect();
    file.write_all(lines.as_bytes()).map_err(failed)?;
    file.sync_data().map_err(failed)
}

/// A key file that knows a head has followed the chain up to it: keys that it lists as destroyed are.
fn tell_keys(database: &Database, keyring: &Keyring, known: u64) -> Result<(), AuditError> {
    let heads = heads(&database.connection, known).map_err(|error| database.faulty(&error))?;
    let Some(newest) = heads.last() else {
        return Ok(());
    };
    destroy_again(&database.connection, keyring, known)
        .map_err(|failed| failed.in_dir(database.dir()))?;
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
fn heads(connection: &Connection, behind: u64) -> rusqlite::Result<Vec<Head>> {
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
