//! One transaction: frames of a segment become entries of the chain.

use domain::Wall;
use rusqlite::{Transaction, params};
use std::sync::atomic::Ordering;

use super::Shared;
use crate::Settings;
use crate::bytes::Reader;
use crate::chain::content_hash;
use crate::database::{Body, Database, Failed, State, Tip};
use crate::event::{Event, is_record};
use crate::record::Numbers;
use crate::segment::Scan;

/// No frame is shorter.
const FRAME_BYTES_MIN: u64 = 256;

/// What was read of a segment.
pub(super) struct Batch<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) segment: u64,
    pub(super) offset: u64,
    /// Nothing that is written reaches past it.
    pub(super) end: u64,
    /// By a process that died, maybe within a write.
    pub(super) is_left: bool,
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
    ) -> Result<Chained, Failed> {
        let now = Wall(shared.now.load(Ordering::SeqCst));
        let state = State::read(&database.connection)?;
        // Decided before the transaction begins, by what it holds at most: a head is told to its
        // witnesses, so it must be on the platter.
        let at_most = self.bytes.len() as u64 / FRAME_BYTES_MIN + 1;
        let unsigned = shared.unsigned.load(Ordering::Relaxed) + at_most;
        let may_sign = settings.head_due(&state, now, unsigned);
        database.wait_for_platter(may_sign)?;
        let transaction = database.begin()?;
        let mut tip = Tip::read(&transaction, &shared.keyring.store())?;
        let reached = self.append(&transaction, &mut tip, now)?;
        let mut state = State::read(&transaction)?;
        state.segment = self.segment;
        state.offset = reached;
        state.write(&transaction)?;
        let unsigned = tip.sequence - state.head.min(tip.sequence);
        let is_signed = may_sign && settings.head_due(&state, now, unsigned);
        if is_signed {
            tip.append_head(&transaction, &shared.keyring, now)?;
        }
        transaction.commit()?;
        Ok(Chained {
            reached,
            entries: tip.sequence,
            unsigned: if is_signed { 0 } else { unsigned },
            is_signed,
        })
    }

    /// Returns where it has come to.
    fn append(
        &self,
        transaction: &Transaction<'_>,
        tip: &mut Tip,
        now: Wall,
    ) -> Result<u64, Failed> {
        let mut scan = Scan::new(self.bytes, self.segment, self.offset, self.end);
        let first = tip.sequence + 1;
        let mut expires: Option<i64> = None;
        let mut malformed = 0;
        while let Some(found) = scan.next() {
            let Some(record) = numbers(found.header) else {
                malformed += 1;
                continue;
            };
            let expiry = record.expires_at().0;
            expires = Some(expires.map_or(expiry, |known| known.min(expiry)));
            let body = Body::Placed {
                place: found.place,
                content_hash: content_hash(found.sealed),
            };
            tip.append(transaction, record.recorded_at, found.header, &body)?;
        }
        if tip.sequence >= first {
            note_segment(transaction, self.segment, (first, tip.sequence), expires)?;
        }
        // A torn frame at the end of what a dead process left was never acknowledged.
        let places = scan.damaged + malformed + u64::from(scan.torn && !self.is_left);
        if places > 0 {
            let segment = self.segment;
            tracing::error!(segment, places, "a segment of the audit log is damaged");
            tip.append_event(transaction, now, &Event::Damaged { segment, places }, None)?;
        }
        Ok(scan.offset())
    }
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
