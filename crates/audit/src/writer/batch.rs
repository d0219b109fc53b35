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
use crate::frame::Scan;
use crate::handover::Handover;
use crate::index::{Building, Chaining};
use crate::record::Numbers;
use crate::segment::Segment;
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
        reading: &mut Reading,
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
            let reached = pieces.reached;
            if self.fetch(reading, shared, reached) {
                self.append_handed(&transaction, &mut tip, reading, &mut pieces, building)?;
            }
            if pieces.reached == reached {
                let limit = self.fill(reading, reached)?;
                let mut scan = Scan::new(&reading.buffer, self.segment.number, reached, limit);
                self.append(&transaction, &mut tip, &mut scan, &mut pieces, |link| {
                    building.add(&shared.keyring, &link);
                })?;
            }
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

    /// True if calls handed over records that stand at `offset` or behind.
    fn fetch(&self, reading: &mut Reading, shared: &Shared, offset: u64) -> bool {
        let number = self.segment.number;
        if reading.handed.forget_before(number, offset) {
            shared.vault.fetch_handed(&mut reading.handed);
            return !reading.handed.forget_before(number, offset);
        }
        true
    }

    /// As far as records were handed over without a gap.
    fn append_handed(
        &self,
        transaction: &Transaction<'_>,
        tip: &mut Tip,
        reading: &Reading,
        pieces: &mut Pieces,
        building: &mut Building,
    ) -> Result<(), Failed> {
        let segment = self.segment.number;
        let until = self.end.min(self.offset + BATCH_BYTES);
        let mut rows = Rows::new(transaction, segment);
        for handed in reading.handed.run(segment, pieces.reached) {
            let Some(record) = numbers(handed.header).filter(|_| handed.end <= self.end) else {
                break;
            };
            pieces.note(&record);
            tip.link(record.recorded_at, handed.header, &handed.content_hash);
            rows.insert(Entry {
                sequence: tip.sequence,
                at: tip.at,
                header: handed.header,
                content_hash: handed.content_hash,
                hash: tip.hash,
                place: handed.place,
            })?;
            building.add_made(record.key, tip.sequence, handed.filter);
            pieces.reached = handed.end;
            if pieces.reached >= until {
                break;
            }
        }
        Ok(rows.finish()?)
    }

    /// Reads at least one whole frame, if there is one, and nothing that was handed over. Returns where
    /// such frames end.
    fn fill(&self, reading: &mut Reading, offset: u64) -> Result<u64, AuditError> {
        let buffer = &mut reading.buffer;
        let handed = reading.handed.starts_at(self.segment.number);
        let handed = handed.filter(|start| *start > offset);
        let end = handed.map_or(self.end, |start| self.end.min(start));
        let mut wanted = PIECE_BYTES;
        loop {
            let len = (end - offset).min(wanted as u64);
            buffer.resize(usize::try_from(len).unwrap_or(wanted), 0);
            self.segment
                .read(offset, buffer)
                .map_err(|error| unreadable(&error))?;
            let mut scan = Scan::new(buffer, self.segment.number, offset, end);
            match (scan.next(), scan.wanted) {
                (None, Some(more)) if scan.offset() == offset => wanted = more,
                _ => return Ok(end),
            }
        }
    }

    fn append(
        &self,
        transaction: &Transaction<'_>,
        tip: &mut Tip,
        scan: &mut Scan<'_>,
        pieces: &mut Pieces,
        mut chained: impl FnMut(Chaining<'_>),
    ) -> Result<(), Failed> {
        let segment = self.segment.number;
        let mut rows = Rows::new(transaction, segment);
        while let Some(found) = scan.next() {
            let Some(record) = numbers(found.header) else {
                pieces.places += 1;
                continue;
            };
            pieces.note(&record);
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

impl Pieces {
    fn note(&mut self, record: &Numbers) {
        let expiry = record.expires_at().0;
        self.expires = Some(self.expires.map_or(expiry, |known| known.min(expiry)));
    }
}

/// What batches take records from. Kept between them.
#[derive(Debug, Default)]
pub(super) struct Reading {
    handed: Handover,
    /// Of the segment, where nothing was handed over.
    buffer: Vec<u8>,
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
