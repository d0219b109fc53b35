//! Records on their way from calls to the writer: what chaining one takes, so that it is not read back.
//!
//! Stands beside the segments, never instead of them: what is not here is read from there. So it may be
//! forgotten at any time, and it is bounded.

use std::ops::Range;

use crate::chain::Hash;
use crate::frame::Frame;
use crate::segment::Place;

/// Of headers and filters. Past it, records are read back from their segment.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// In the order in which they were written.
#[derive(Debug, Default)]
pub(crate) struct Handover {
    records: Vec<Kept>,
    /// Before it, all were taken.
    next: usize,
    headers: Vec<u8>,
    filters: Vec<u64>,
}

#[derive(Debug)]
struct Kept {
    start: u64,
    end: u64,
    place: Place,
    content_hash: Hash,
    header: Range<usize>,
    filter: Range<usize>,
}

/// What a call knows of its record besides the frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handing<'a> {
    pub(crate) content_hash: Hash,
    /// Empty if the record has no texts.
    pub(crate) filter: &'a [u64],
}

/// One record, as if it had been read back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handed<'a> {
    pub(crate) header: &'a [u8],
    pub(crate) content_hash: Hash,
    pub(crate) filter: &'a [u64],
    pub(crate) place: Place,
    /// Where its frame ends.
    pub(crate) end: u64,
}

impl Handover {
    /// The frame that was just written at `start`.
    pub(crate) fn push(
        &mut self,
        segment: u64,
        start: u64,
        frame: &Frame<'_>,
        handing: &Handing<'_>,
    ) {
        if self.headers.len() + self.filters.len() * size_of::<u64>() > BYTES_MAX {
            return;
        }
        let (header, filter) = (self.headers.len(), self.filters.len());
        self.headers.extend_from_slice(frame.header());
        self.filters.extend_from_slice(handing.filter);
        self.records.push(Kept {
            start,
            end: start + frame.len(),
            place: frame.place(segment, start),
            content_hash: handing.content_hash,
            header: header..self.headers.len(),
            filter: filter..self.filters.len(),
        });
    }

    /// Forgets those that stand before. True if none is left.
    pub(crate) fn forget_before(&mut self, segment: u64, offset: u64) -> bool {
        let is_before = |kept: &Kept| (kept.place.segment, kept.start) < (segment, offset);
        while self.records.get(self.next).is_some_and(is_before) {
            self.next += 1;
        }
        self.next == self.records.len()
    }

    /// Keeps its memory for the next ones.
    pub(crate) fn clear(&mut self) {
        self.records.clear();
        self.next = 0;
        self.headers.clear();
        self.filters.clear();
    }

    /// Where the first one stands, if it is in this segment.
    pub(crate) fn starts_at(&self, segment: u64) -> Option<u64> {
        let first = self.records.get(self.next)?;
        (first.place.segment == segment).then_some(first.start)
    }

    /// Those that stand in the segment from `offset` on, without a gap.
    pub(crate) fn run(&self, segment: u64, offset: u64) -> impl Iterator<Item = Handed<'_>> {
        let mut reached = offset;
        let rest = self.records.get(self.next..).unwrap_or_default();
        rest.iter()
            .take_while(move |kept| {
                let is_next = kept.place.segment == segment && kept.start == reached;
                reached = kept.end;
                is_next
            })
            .map(|kept| Handed {
                header: &self.headers[kept.header.clone()],
                content_hash: kept.content_hash,
                filter: &self.filters[kept.filter.clone()],
                place: kept.place,
                end: kept.end,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::SealingKey;

    fn frame<'b>(memory: &'b mut Vec<u8>, header: &[u8]) -> Frame<'b> {
        let key = SealingKey::new(&[7; 32]).unwrap();
        Frame::of(
            memory,
            &key,
            8,
            |bytes| bytes.extend_from_slice(header),
            |_| {},
        )
        .unwrap()
    }

    /// Pushes one for each that is to be, and returns where they stand.
    fn handed(handover: &mut Handover, filter: &[u64], is_handed: &[bool]) -> Vec<u64> {
        let mut memory = Vec::new();
        let frame = frame(&mut memory, b"header");
        let mut starts = Vec::new();
        for (number, is_handed) in is_handed.iter().enumerate() {
            starts.push(number as u64 * frame.len());
            let handing = Handing {
                content_hash: [number as u8; 32],
                filter,
            };
            if *is_handed {
                handover.push(3, starts[number], &frame, &handing);
            }
        }
        starts
    }

    #[test]
    fn what_was_not_handed_over_ends_a_run_and_begins_no_other() {
        let mut handover = Handover::default();
        let starts = handed(&mut handover, &[1, 2], &[true, true, false, true]);
        let run = |handover: &Handover, segment, offset| -> Vec<u8> {
            let run = handover.run(segment, offset);
            run.map(|handed| {
                assert_eq!(
                    (handed.header, handed.filter),
                    (&b"header"[..], &[1, 2][..])
                );
                handed.content_hash[0]
            })
            .collect()
        };
        assert_eq!(run(&handover, 3, 0), [0, 1]);
        assert_eq!(run(&handover, 2, 0), [0; 0]);
        assert!(!handover.forget_before(3, starts[2]));
        assert_eq!(run(&handover, 3, starts[2]), [0; 0]);
        assert_eq!(handover.starts_at(3), Some(starts[3]));
        assert_eq!(handover.starts_at(2), None);
        assert!(!handover.forget_before(3, starts[3]));
        assert_eq!(run(&handover, 3, starts[3]), [3]);
        assert!(handover.forget_before(4, 0));
    }

    #[test]
    fn no_more_is_kept_than_the_bound_and_one_record() {
        let mut handover = Handover::default();
        let filter = vec![1; BYTES_MAX / 8 / 10 + 1];
        handed(&mut handover, &filter, &[true; 40]);
        assert_eq!(handover.run(3, 0).count(), 10);
        handover.clear();
        handed(&mut handover, &filter, &[true; 3]);
        assert_eq!(handover.run(3, 0).count(), 3);
    }
}
