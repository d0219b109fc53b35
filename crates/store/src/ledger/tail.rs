//! Reads the journal from where the database stands, while calls append to it.

use std::io;
use std::sync::Arc;

use domain::CallId;
use domain::record::{CallRecord, PriceId};

use super::codec;
use super::journal::Journal;
use super::segment::{Found, Kind, Position, Scan, Segment};
use super::writer::Breath;

/// Read at once, unless one entry alone is longer: as much as a batch needs.
const CHUNK_BYTES: usize = 128 * 1024;

#[derive(Debug)]
pub(super) struct Tail {
    segment: Arc<Segment>,
    offset: u64,
}

/// Entries up to `end`, for one transaction.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) records: Vec<CallRecord>,
    pub(super) prices: Vec<(PriceId, String)>,
    /// Calls that began, and calls whose record is here, in the journal's order.
    pub(super) events: Vec<(CallId, Event)>,
    /// Bytes of the journal that this covers.
    pub(super) bytes: u64,
    pub(super) damaged: u64,
    end: Tail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Opened { segment: u64 },
    Closed,
}

impl Tail {
    pub(super) fn new(segment: Arc<Segment>) -> Self {
        Self { segment, offset: 0 }
    }

    pub(super) fn position(&self) -> Position {
        Position {
            segment: self.segment.number,
            offset: self.offset,
        }
    }

    /// Some entries after this place; `None` if there are none yet. Reading does not advance:
    /// `accept` does, once the database has the batch.
    pub(super) fn read(
        &self,
        journal: &Journal,
        records_max: usize,
        breath: &mut Breath,
    ) -> io::Result<Option<Batch>> {
        let mut tail = Self {
            segment: Arc::clone(&self.segment),
            offset: self.offset,
        };
        loop {
            // Asked for first: if there is a later segment, this one's end is final.
            let next = journal.after(tail.segment.number);
            let end = tail.segment.end();
            if tail.offset < end {
                return tail.read_segment(end, records_max, breath).map(Some);
            }
            let Some(next) = next else { return Ok(None) };
            tail = Self::new(next);
        }
    }

    pub(super) fn accept(&mut self, batch: Batch) {
        *self = batch.end;
    }

    fn read_segment(self, end: u64, records_max: usize, breath: &mut Breath) -> io::Result<Batch> {
        let mut batch = Batch {
            records: Vec::new(),
            prices: Vec::new(),
            events: Vec::new(),
            bytes: 0,
            damaged: 0,
            end: self,
        };
        let start = batch.end.offset;
        let mut chunk = CHUNK_BYTES;
        while batch.end.offset < end && batch.records.len() < records_max {
            let len = usize::try_from(end - batch.end.offset)
                .unwrap_or(chunk)
                .min(chunk);
            let bytes = batch.end.segment.read(batch.end.offset, len)?;
            let mut scan = Scan::new(&bytes, batch.end.position(), end);
            while batch.records.len() < records_max {
                let Some(found) = scan.next() else { break };
                breath.take();
                batch.take(&found);
            }
            batch.damaged += scan.damaged + u64::from(scan.torn);
            batch.end.offset = scan.offset();
            chunk = scan.wanted.unwrap_or(0).max(CHUNK_BYTES);
        }
        batch.bytes = batch.end.offset - start;
        Ok(batch)
    }
}

impl Batch {
    pub(super) fn position(&self) -> Position {
        self.end.position()
    }

    /// Only that calls began.
    pub(super) fn has_nothing_to_write(&self) -> bool {
        self.records.is_empty() && self.prices.is_empty()
    }

    fn take(&mut self, found: &Found<'_>) {
        match found.kind {
            Kind::Opening => match codec::opening_id(found.payload) {
                Ok(id) => self.events.push((
                    id,
                    Event::Opened {
                        segment: found.position.segment,
                    },
                )),
                Err(codec::Malformed) => self.damaged += 1,
            },
            Kind::Record => match codec::record(found.payload) {
                Ok(record) => {
                    self.events.push((record.opening.id, Event::Closed));
                    self.records.push(record);
                }
                Err(codec::Malformed) => self.damaged += 1,
            },
            Kind::Price => match codec::price(found.payload) {
                Ok((id, text)) => self.prices.push((id, text.to_owned())),
                Err(codec::Malformed) => self.damaged += 1,
            },
        }
    }
}
