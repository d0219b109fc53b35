//! How the thread that follows the calls shares a processor with them. It is never in a hurry until
//! it lags: then it takes what it needs, because a journal that is full loses the detail of calls.

use std::thread;

use super::super::database::SumUp;

/// The sums of so few calls cost less than their being late.
const CALLS_SUMMED_AT_ONCE: u64 = 16;
/// Sums are late by so many pauses of a fifth of a second.
const PAUSES_MAX: u32 = 10;

/// Records between two breaths while the database keeps up: some 0.1 ms of work.
const RECORDS: usize = 16;
/// Each such part of its bound that the journal fills doubles them.
const PARTS: u64 = 256;
/// From here on the thread takes no breath, and has as much of a processor as any other.
const PARTS_BEHIND_MAX: u64 = 8;

/// What the journal holds that the database lacks, and may hold at most.
#[derive(Clone, Copy, Debug)]
pub(in crate::ledger) struct Backlog {
    pub(in crate::ledger) bytes: u64,
    pub(in crate::ledger) bytes_max: u64,
}

impl Backlog {
    /// How many records are read or written between two moments in which others may run first.
    fn records_between_breaths(self) -> Option<usize> {
        let parts = u128::from(self.bytes) * u128::from(PARTS) / u128::from(self.bytes_max.max(1));
        let parts = u64::try_from(parts).unwrap_or(u64::MAX);
        (parts < PARTS_BEHIND_MAX).then(|| RECORDS << parts)
    }
}

/// Whether sums are written with a batch, so that they know of so many calls more, after so many pauses
/// without them.
pub(in crate::ledger) fn sum_up(calls: u64, pauses: u32, is_full: bool) -> SumUp {
    if calls <= CALLS_SUMMED_AT_ONCE || pauses >= PAUSES_MAX || is_full {
        SumUp::Now
    } else {
        SumUp::Later
    }
}

/// Lets whoever waits for this processor run first, every so many records. Without it a call that
/// comes while a batch is written waits for the rest of the thread's time slice, which is longer than
/// the call takes; and a thread that gave up its turn by itself is not lowered for good, as one of a
/// lower priority is.
#[derive(Debug)]
pub(in crate::ledger) struct Breath {
    every: Option<usize>,
    records: usize,
}

impl Breath {
    pub(in crate::ledger) fn new(backlog: Backlog) -> Self {
        Self {
            every: backlog.records_between_breaths(),
            records: 0,
        }
    }

    /// Before each record.
    pub(in crate::ledger) fn take(&mut self) {
        if self.is_due() {
            thread::yield_now();
        }
    }

    fn is_due(&mut self) -> bool {
        let Some(every) = self.every else {
            return false;
        };
        self.records += 1;
        let is_due = self.records >= every;
        if is_due {
            self.records = 0;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GIB: u64 = 1024 * 1024 * 1024;
    const MIB: u64 = 1024 * 1024;

    fn records(bytes: u64) -> Option<usize> {
        let bytes_max = GIB;
        Backlog { bytes, bytes_max }.records_between_breaths()
    }

    #[test]
    fn a_database_that_keeps_up_lets_calls_run_first_and_one_that_lags_does_not() {
        assert_eq!(records(0), Some(16));
        assert_eq!(records(4 * MIB - 1), Some(16));
        assert_eq!(records(4 * MIB), Some(32));
        assert_eq!(records(31 * MIB), Some(2048));
        assert_eq!(records(32 * MIB), None);
        assert_eq!(records(2 * GIB), None);
    }

    proptest! {
        #[test]
        fn the_further_behind_the_fewer_breaths(bytes: u64, more: u64, bytes_max: u64) {
            let every = |bytes| {
                let backlog = Backlog { bytes, bytes_max };
                backlog.records_between_breaths().unwrap_or(usize::MAX)
            };
            prop_assert!(every(bytes) <= every(bytes.saturating_add(more)));
            if bytes > bytes_max / 32 {
                prop_assert_eq!(every(bytes), usize::MAX);
            }
        }
    }

    #[test]
    fn breaths_come_evenly() {
        let bytes_max = GIB;
        let mut breath = Breath::new(Backlog {
            bytes: 0,
            bytes_max,
        });
        let due: Vec<bool> = (0..48).map(|_| breath.is_due()).collect();
        let at: Vec<_> = (0..48).filter(|at| due[*at]).collect();
        assert_eq!(at, [15, 31, 47]);
        let mut breath = Breath::new(Backlog {
            bytes: GIB,
            bytes_max,
        });
        assert!((0..10_000).all(|_| !breath.is_due()));
    }

    #[test]
    fn sums_of_few_calls_are_written_with_them_and_those_of_many_every_other_second() {
        assert_eq!(sum_up(1, 0, false), SumUp::Now);
        assert_eq!(sum_up(17, 0, false), SumUp::Later);
        assert_eq!(sum_up(17, 9, false), SumUp::Later);
        assert_eq!(sum_up(17, 10, false), SumUp::Now);
        assert_eq!(sum_up(17, 0, true), SumUp::Now);
    }
}
