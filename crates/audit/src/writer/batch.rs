//! One transaction: frames of a segment become entries of the chain.

use domain::Wall;
use rusqlite::{Transaction, params};
use std::sync::atomic::Ordering;

use super::Shared;
use super::rows::{Entry, Rows};
use crate::bytes::Reader;
use crate::chain::content_hash;
use crate::database::{Database, Failed, State, Tip};
use crate::event::{Event, is_record};
use crate::index::{Building, Chaining};
use crate::record::Numbers;
use crate::segment::{Scan, Segment};
use crate::{AuditError, Settings};

/// No frame is shorter.
const FRAME_BYTES_MIN: u64 = 256;

/// Of a segment, for one transaction.
const BATCH_BYTES: u64 = 8 * 1024 * 1024;
/// Read at once: about as much as a processor's own cache holds, because each byte is looked at three
/// times.
const PIECE_BYTES: usize = 256 * 1024;

/// One transaction's worth of a segment.
pub(super) struct Batch<'a> {
    pub(super) segment: &'a Segment,
    pub(super) offset: u64,
    /// Up to it everything is written, and on the platter.
    pub(super) end: u64,
}

pub(super) struct Chained {
    /// Where the next batch begins.
    pub(super) reached: u64,
    pub(super) entries: u64,
    pub(super) unsigned: u64,
    /// By a head that its witnesses are still to be told of.
    pub(super) is_signed: bool,
}

impl Batch<'_> {
    pub(super) fn chain(
        &self,
        database: &mut Database,
        shared: &Shared,
        settings: &Settings,
        building: &mut Building,
        buffer: &mut Vec<u8>,
    ) -> Result<Chained, Failed> {
        let now = Wall(shared.now.load(Ordering::SeqCst));
        let state = State::read(&database.connection)?;
        // Decided before the transaction begins, by what it holds at most: a head is told to its
        // witnesses, so it must be on the platter.
        let bytes = (self.end - self.offset).min(BATCH_BYTES + PIECE_BYTES as u64);
        let at_most = bytes / FRAME_BYTES_MIN + 1;
        let unsigned = shared.unsigned.load(Ordering::Relaxed) + at_most;
        let may_sign = settings.head_due(&state, now, unsigned);
        database.wait_for_platter(may_sign)?;
        let transaction = database.begin()?;
        let mut tip = Tip::read(&transaction, &shared.keyring.store())?;
        building.begin(tip.sequence);
        let mut pieces = Pieces {
            reached: self.offset,
            places: 0,
            expires: None,
        };
        let first = tip.sequence + 1;
        while pieces.reached < self.end.min(self.offset + BATCH_BYTES) {
            self.fill(buffer, pieces.reached)?;
            self.append(&transaction, &mut tip, buffer, &mut pieces, |link| {
                building.add(&shared.keyring, &link);
            })?;
        }
        let segment = self.segment.number;
        if tip.sequence >= first {
            note_segment(&transaction, segment, (first, tip.sequence), pieces.expires)?;
        }
        if pieces.places > 0 {
            let places = pieces.places;
            tracing::error!(segment, places, "a segment of the audit log is damaged");
            tip.append_event(&transaction, now, &Event::Damaged { segment, places }, None)?;
        }
        let mut state = State::read(&transaction)?;
        state.segment = segment;
        state.offset = pieces.reached;
        state.write(&transaction)?;
        let unsigned = tip.sequence - state.head.min(tip.sequence);
        let is_signed = may_sign && settings.head_due(&state, now, unsigned);
        if is_signed {
            tip.append_head(&transaction, &shared.keyring, now)?;
        }
        transaction.commit()?;
        building.reach(tip.sequence);
        Ok(Chained {
            reached: pieces.reached,
            entries: tip.sequence,
            unsigned: if is_signed { 0 } else { unsigned },
            is_signed,
        })
    }

    /// Reads at least one whole frame, if there is one.
    fn fill(&self, buffer: &mut Vec<u8>, offset: u64) -> Result<(), AuditError> {
        let mut wanted = PIECE_BYTES;
        loop {
            let len = (self.end - offset).min(wanted as u64);
            buffer.resize(usize::try_from(len).unwrap_or(wanted), 0);
            self.segment
                .read(offset, buffer)
                .map_err(|error| unreadable(&error))?;
            let mut scan = Scan::new(buffer, self.segment.number, offset, self.end);
            match (scan.next(), scan.wanted) {
                (None, Some(more)) if scan.offset() == offset => wanted = more,
                _ => return Ok(()),
            }
        }
    }

    fn append(
        &self,
        transaction: &Transaction<'_>,
        tip: &mut Tip,
        bytes: &[u8],
        pieces: &mut Pieces,
        mut chained: impl FnMut(Chaining<'_>),
    ) -> Result<(), Failed> {
        let segment = self.segment.number;
        let mut scan = Scan::new(bytes, segment, pieces.reached, self.end);
        let mut rows = Rows::new(transaction, segment);
        while let Some(found) = scan.next() {
            let Some(record) = numbers(found.header) else {
                pieces.places += 1;
                continue;
            };
            let expiry = record.expires_at().0;
            pieces.expires = Some(pieces.expires.map_or(expiry, |known| known.min(expiry)));
            let content_hash = content_hash(found.sealed);
            tip.link(record.recorded_at, found.header, &content_hash);
            rows.insert(Entry {
                sequence: tip.sequence,
                at: tip.at,
                header: found.header,
                content_hash,
                hash: tip.hash,
                place: found.place,
            })?;
            chained(Chaining {
                sequence: tip.sequence,
                record,
                header: found.header,
                sealed: found.sealed,
            });
        }
        rows.finish()?;
        // A torn frame at the end of what a dead process left was never acknowledged.
        let is_damaged = scan.torn && !self.segment.is_left();
        pieces.places += scan.damaged + u64::from(is_damaged);
        pieces.reached = scan.offset();
        Ok(())
    }
}

/// What a batch has come to.
struct Pieces {
    reached: u64,
    /// Where something stands that is no record.
    places: u64,
    /// When the first content may go.
    expires: Option<i64>,
}

pub(super) fn unreadable(error: &std::io::Error) -> AuditError {
    AuditError::Store(format!("cannot read a segment of the audit log: {error}"))
}

fn numbers(header: &[u8]) -> Option<Numbers> {
    if !is_record(header) {
        return None;
    }
    Numbers::read(&mut Reader::new(header.get(2..)?)).ok()
}

fn note_segment(
    transaction: &Transaction<'_>,
    number: u64,
    (first, last): (u64, u64),
    expires: Option<i64>,
) -> rusqlite::Result<()> {
    let upsert = "INSERT INTO segments (number, first, last, expires) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT DO UPDATE SET last = ?3, expires = min(coalesce(expires, ?4), ?4)";
    transaction.prepare_cached(upsert)?.execute(params![
        number.cast_signed(),
        first.cast_signed(),
        last.cast_signed(),
        expires
    ])?;
    Ok(())
}
