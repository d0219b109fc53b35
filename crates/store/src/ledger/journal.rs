//! Where calls are written first: append-only segments, one positioned write for each entry.
//!
//! Knows nothing of the database except how far it has come, and never waits for it.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::segment::{Frame, Passed, Position, Segment};
use super::writer::Backlog;

#[derive(Debug)]
pub(super) struct Journal {
    dir: PathBuf,
    segment_bytes: u64,
    bytes_max: u64,
    state: Mutex<State>,
    /// Bytes of entries written, and of those that the database has.
    appended: AtomicU64,
    applied: AtomicU64,
    /// The segment that the database's writer reads.
    applied_segment: AtomicU64,
    wants_keeper: AtomicBool,
}

#[derive(Debug)]
struct State {
    current: Arc<Segment>,
    /// Made ahead, so that a call does not wait for room and a full disk is known early.
    spare: Option<Arc<Segment>>,
    next_number: u64,
    /// All that are on disk and in use, oldest first, `current` last.
    segments: VecDeque<Arc<Segment>>,
    /// Not on the disk's platter yet.
    unsynced: Vec<Arc<Segment>>,
    synced: Synced,
    /// Set by a failed append; appends fail at once until the keeper has cleared it.
    fault: Option<String>,
    /// Why there is no spare; calls can still be written.
    spare_fault: Option<String>,
    /// A write to it failed: the next append goes to the spare.
    current_failed: bool,
}

impl State {
    /// The next append tries again, and rolls on if the current segment failed.
    fn end_fault(&mut self) {
        if self.fault.take().is_some() {
            tracing::info!("the journal can be written again");
        }
    }
}

/// How much of the current segment is on the platter.
#[derive(Clone, Copy, Debug, Default)]
struct Synced {
    segment: u64,
    end: u64,
}

/// An entry's place, through which an opening's passed tokens are written.
#[derive(Clone, Debug)]
pub(super) struct Place {
    segment: Arc<Segment>,
    offset: u64,
}

impl Place {
    pub(super) fn position(&self) -> Position {
        Position {
            segment: self.segment.number,
            offset: self.offset,
        }
    }

    pub(super) fn set_passed(&self, passed: Passed) -> io::Result<()> {
        self.segment.set_passed(self.offset, passed)
    }
}

/// The journal cannot take an entry now. Why stands in `Journal::fault`.
#[derive(Debug)]
pub(super) struct Unwritable;

impl Journal {
    /// Starts with a fresh segment. What older ones held is the database's by now.
    pub(super) fn create(
        dir: PathBuf,
        first: u64,
        segment_bytes: u64,
        bytes_max: u64,
    ) -> io::Result<Self> {
        let current = Arc::new(Segment::create(&dir, first, segment_bytes)?);
        let state = State {
            current: Arc::clone(&current),
            spare: None,
            next_number: first + 1,
            segments: VecDeque::from([current]),
            unsynced: Vec::new(),
            synced: Synced::default(),
            fault: None,
            spare_fault: None,
            current_failed: false,
        };
        Ok(Self {
            dir,
            segment_bytes,
            bytes_max,
            state: Mutex::new(state),
            appended: AtomicU64::new(0),
            applied: AtomicU64::new(0),
            applied_segment: AtomicU64::new(first),
            wants_keeper: AtomicBool::new(true),
        })
    }

    /// When this returns, the entry is in the page cache: it survives the process.
    pub(super) fn append(&self, frame: &mut Frame) -> Result<Place, Unwritable> {
        let mut state = self.state();
        if state.fault.is_some() {
            return Err(Unwritable);
        }
        if state.current_failed || !state.current.has_room_for(frame) {
            if frame.len() > self.segment_bytes {
                return Err(Unwritable);
            }
            self.roll(&mut state)?;
        }
        let current = Arc::clone(&state.current);
        match current.append(frame) {
            Ok(offset) => {
                self.appended.fetch_add(frame.len(), Ordering::SeqCst);
                Ok(Place {
                    segment: current,
                    offset,
                })
            }
            Err(error) => {
                tracing::error!(%error, "journal fault");
                self.wants_keeper.store(true, Ordering::Release);
                state.fault = Some(format!("cannot write to the journal: {error}"));
                state.current_failed = true;
                Err(Unwritable)
            }
        }
    }

    fn roll(&self, state: &mut State) -> Result<(), Unwritable> {
        self.wants_keeper.store(true, Ordering::Release);
        let spare = match state.spare.take() {
            Some(spare) => spare,
            // The keeper is behind. Making a segment takes a fraction of a millisecond.
            None => match self
                .reserve_number(state)
                .and_then(|number| self.create_segment(number))
            {
                Ok(segment) => segment,
                Err(fault) => {
                    tracing::error!(%fault, "journal fault");
                    state.fault = Some(fault);
                    return Err(Unwritable);
                }
            },
        };
        let full = std::mem::replace(&mut state.current, Arc::clone(&spare));
        state.unsynced.push(full);
        state.segments.push_back(spare);
        state.current_failed = false;
        Ok(())
    }

    /// Refuses when the database lags by the journal's bound.
    fn reserve_number(&self, state: &mut State) -> Result<u64, String> {
        let applied = self.applied_segment.load(Ordering::Acquire);
        let unapplied = state
            .segments
            .iter()
            .filter(|segment| segment.number >= applied)
            .count() as u64;
        if (unapplied + 1) * self.segment_bytes > self.bytes_max {
            return Err(format!(
                "the database lags by {unapplied} journal segments, and the journal's bound is {} bytes",
                self.bytes_max
            ));
        }
        state.next_number += 1;
        Ok(state.next_number - 1)
    }

    fn create_segment(&self, number: u64) -> Result<Arc<Segment>, String> {
        match Segment::create(&self.dir, number, self.segment_bytes) {
            Ok(segment) => Ok(Arc::new(segment)),
            Err(error) => Err(format!(
                "cannot make a journal segment in {}: {error}",
                self.dir.display()
            )),
        }
    }

    /// Keeps a spare segment ready and, with it, ends a fault. Called by the keeper.
    pub(super) fn mend(&self) {
        self.wants_keeper.store(false, Ordering::Release);
        let reserved = {
            let mut state = self.state();
            if state.spare.is_some() {
                state.end_fault();
                return;
            }
            self.reserve_number(&mut state)
        };
        // Without the lock: calls go on in the current segment.
        let created = reserved.and_then(|number| self.create_segment(number));
        let mut state = self.state();
        match created {
            // A call was faster and has rolled on to a later segment; order matters.
            Ok(segment) if segment.number < state.current.number => {
                drop(state);
                if let Err(error) = segment.delete() {
                    tracing::warn!(%error, "cannot delete an unused journal segment");
                }
                self.wants_keeper.store(true, Ordering::Release);
            }
            Ok(segment) => {
                state.spare = Some(segment);
                state.spare_fault = None;
                state.end_fault();
                drop(state);
                self.sync_directory();
            }
            Err(fault) => {
                if state.spare_fault.is_none() {
                    tracing::error!(%fault, "no room for the journal's next segment");
                }
                state.spare_fault = Some(fault);
            }
        }
    }

    /// A new file's name has to reach the platter too.
    fn sync_directory(&self) {
        if let Err(error) = File::open(&self.dir).and_then(|dir| dir.sync_all()) {
            tracing::warn!(%error, "cannot sync the journal's directory");
        }
    }

    /// Brings what was written to the platter. Called by the keeper, without the lock.
    pub(super) fn sync(&self) {
        let (full, current, synced) = {
            let mut state = self.state();
            (
                std::mem::take(&mut state.unsynced),
                Arc::clone(&state.current),
                state.synced,
            )
        };
        let end = current.end();
        let moved = synced.segment != current.number || synced.end != end;
        for segment in full.iter().chain(moved.then_some(&current)) {
            if let Err(error) = segment.sync() {
                self.note_fault(format!("cannot sync the journal: {error}"));
                return;
            }
        }
        self.state().synced = Synced {
            segment: current.number,
            end,
        };
    }

    /// The next append goes to a fresh segment, once the keeper has one.
    pub(super) fn note_fault(&self, fault: String) {
        let mut state = self.state();
        if state.fault.is_none() {
            tracing::error!(%fault, "journal fault");
        }
        state.fault = Some(fault);
        state.current_failed = true;
    }

    pub(super) fn fault(&self) -> Option<String> {
        let state = self.state();
        state.fault.clone().or_else(|| state.spare_fault.clone())
    }

    /// Appends fail; a missing spare alone does not make it so.
    pub(super) fn is_unwritable(&self) -> bool {
        self.state().fault.is_some()
    }

    pub(super) fn wants_keeper(&self) -> bool {
        self.wants_keeper.load(Ordering::Acquire)
    }

    /// The segment in use. At a start, the first of all.
    pub(super) fn current(&self) -> Arc<Segment> {
        Arc::clone(&self.state().current)
    }

    /// Whoever finds one knows that `number`'s end will not move again.
    pub(super) fn after(&self, number: u64) -> Option<Arc<Segment>> {
        let state = self.state();
        let at = state
            .segments
            .partition_point(|segment| segment.number <= number);
        state.segments.get(at).cloned()
    }

    pub(super) fn note_applied(&self, bytes: u64, segment: u64) {
        self.applied.fetch_add(bytes, Ordering::SeqCst);
        self.applied_segment.store(segment, Ordering::Release);
    }

    pub(super) fn backlog(&self) -> Backlog {
        Backlog {
            bytes: self.behind_bytes(),
            bytes_max: self.bytes_max,
        }
    }

    pub(super) fn behind_bytes(&self) -> u64 {
        let applied = self.applied.load(Ordering::SeqCst);
        self.appended.load(Ordering::SeqCst).saturating_sub(applied)
    }

    /// Whether `release` would return some.
    pub(super) fn has(&self, is_done: impl Fn(u64) -> bool) -> bool {
        let state = self.state();
        let current = state.current.number;
        state
            .segments
            .iter()
            .any(|segment| segment.number != current && is_done(segment.number))
    }

    /// Takes segments out of use and returns them, to be deleted.
    pub(super) fn release(&self, is_done: impl Fn(u64) -> bool) -> Vec<Arc<Segment>> {
        let mut state = self.state();
        let current = state.current.number;
        let mut released = Vec::new();
        state.segments.retain(|segment| {
            let done = segment.number != current && is_done(segment.number);
            if done {
                released.push(Arc::clone(segment));
            }
            !done
        });
        state.unsynced.retain(|segment| !is_done(segment.number));
        released
    }

    /// Deletes every segment, the current and the spare one too: the database has all of it.
    pub(super) fn delete_all(&self) -> io::Result<()> {
        let mut state = self.state();
        if let Some(spare) = state.spare.take() {
            spare.delete()?;
        }
        while let Some(segment) = state.segments.pop_front() {
            segment.delete()?;
        }
        Ok(())
    }

    /// No invariant spans a panic: each critical section ends in a consistent state.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
