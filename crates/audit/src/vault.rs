//! Where calls are written first and stay: sealed frames in segments, one positioned write for each.
//!
//! Knows nothing of the database except how far it has come, and never waits for it.

use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use disk::room;

use crate::Settings;
use crate::frame::{Frame, Sealed};
use crate::handover::{Handing, Handover};
use crate::segment::{self, Place, Segment};
use crate::whereabouts::Whereabouts;

#[derive(Debug)]
pub(crate) struct Vault {
    dir: PathBuf,
    segment_bytes: u64,
    behind_bytes_max: u64,
    content_bytes_max: u64,
    state: Mutex<State>,
    /// Bytes written by this process and those that an earlier one left, and what the chain has.
    appended: AtomicU64,
    applied: AtomicU64,
    /// Of all segments, as the writer last measured them.
    on_disk: AtomicU64,
    wants_spare: AtomicBool,
    /// Records were written alone since the last segment was made ready.
    has_single: AtomicBool,
}

#[derive(Debug)]
struct State {
    current: Arc<Segment>,
    spare: Option<Arc<Segment>>,
    next_number: u64,
    /// Those that the chain may lack something of, oldest first, `current` last.
    unapplied: VecDeque<Arc<Segment>>,
    /// Of what was written and the writer has not fetched.
    handover: Handover,
    /// Set by a failed append; appends fail at once until the writer has mended it.
    fault: Option<String>,
    current_failed: bool,
    /// Why there was no making a spare, as of the last try.
    spare_fault: Option<String>,
    /// For a record of so many bytes no room was found when it was last asked for.
    lacks_room_for: Option<u64>,
    /// The folder is not what was opened: nothing is appended to files that nobody will find.
    displaced: Option<String>,
}

/// At once, of several records: one that is written alone waits no longer than this takes.
const WRITE_BYTES: u64 = 128 * 1024;

/// One of several that are written together.
#[derive(Debug)]
pub(crate) struct Together<'a> {
    /// Where its frame stands among theirs.
    pub(crate) start: usize,
    pub(crate) sealed: Sealed,
    pub(crate) handing: Handing<'a>,
}

impl Together<'_> {
    fn end(&self) -> usize {
        self.start + self.sealed.len() as usize
    }

    fn of<'b>(&self, bytes: &'b mut [u8]) -> Frame<'b> {
        Frame::sealed_before(&mut bytes[self.start..self.end()], self.sealed)
    }
}

/// Why a frame was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotWritten {
    Unwritable,
    /// Keys were retired since it was sealed: it is to be sealed anew.
    Outdated,
}

impl From<Unwritable> for NotWritten {
    fn from(_: Unwritable) -> Self {
        Self::Unwritable
    }
}

/// The vault cannot take a record now. `AuditLog::levels` says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written")]
pub struct Unwritable;

impl Vault {
    /// Goes on behind what an earlier process left from segment `applied` on.
    pub(crate) fn open(dir: PathBuf, applied: u64, settings: &Settings) -> io::Result<Self> {
        let numbers = segment::numbers(&dir)?;
        let mut unapplied = VecDeque::new();
        let mut left = 0;
        for number in numbers.iter().copied().filter(|number| *number >= applied) {
            let segment = Segment::left(&dir, number)?;
            left += segment.end();
            unapplied.push_back(Arc::new(segment));
        }
        let number = numbers.last().copied().unwrap_or(0).max(applied) + 1;
        let current = Arc::new(Segment::create(&dir, number, settings.segment_bytes)?);
        let has_single = settings.gathering.is_zero();
        if has_single {
            current.warm()?;
        }
        unapplied.push_back(Arc::clone(&current));
        Ok(Self {
            segment_bytes: settings.segment_bytes,
            behind_bytes_max: settings.behind_bytes_max,
            content_bytes_max: settings.bytes_max,
            state: Mutex::new(State {
                current,
                spare: None,
                next_number: number + 1,
                unapplied,
                handover: Handover::default(),
                fault: None,
                current_failed: false,
                spare_fault: None,
                lacks_room_for: None,
                displaced: None,
            }),
            appended: AtomicU64::new(left),
            applied: AtomicU64::new(0),
            on_disk: AtomicU64::new(measure(&dir)?),
            wants_spare: AtomicBool::new(true),
            has_single: AtomicBool::new(has_single),
            dir,
        })
    }

    /// When this returns, the record is in the page cache: it survives the process. Without `handing`,
    /// the writer reads it back. `is_still` says, once it stands there, whether its key may have sealed it.
    pub(crate) fn append(
        &self,
        frame: &mut Frame<'_>,
        handing: Option<&Handing<'_>>,
        is_still: &dyn Fn() -> bool,
    ) -> Result<(), NotWritten> {
        let mut state = self.state();
        self.make_room(&mut state, frame.len())?;
        let (number, start) = (state.current.number, state.current.end());
        self.write(&mut state, frame.placed(number, start), is_still)?;
        if let Some(handing) = handing {
            state.handover.push(number, start, frame, handing);
        }
        self.has_single.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// As `append`, of several that stand one behind the other in `bytes`: zeros stand between them where
    /// one is missing. Returns how many were written, and why no more.
    pub(crate) fn append_all(
        &self,
        bytes: &mut [u8],
        frames: &[Together<'_>],
        is_still: &dyn Fn() -> bool,
    ) -> (usize, Option<NotWritten>) {
        let mut written = 0;
        while let Some(first) = frames.get(written) {
            let mut state = self.state();
            if let Err(error) = self.make_room(&mut state, first.sealed.len()) {
                return (written, Some(error.into()));
            }
            let (number, offset) = (state.current.number, state.current.end());
            let room = state
                .current
                .room()
                .min(WRITE_BYTES.max(first.sealed.len()));
            let fits = |frame: &&Together<'_>| (frame.end() - first.start) as u64 <= room;
            let fitting = frames[written..].iter().take_while(fits).count();
            let fitting = &frames[written..written + fitting];
            let end = fitting.last().map_or(first.end(), Together::end);
            for frame in fitting {
                let start = offset + (frame.start - first.start) as u64;
                frame.of(bytes).placed(number, start);
            }
            if let Err(error) = self.write(&mut state, &bytes[first.start..end], is_still) {
                return (written, Some(error));
            }
            for frame in fitting {
                let start = offset + (frame.start - first.start) as u64;
                let handing = &frame.handing;
                state
                    .handover
                    .push(number, start, &frame.of(bytes), handing);
            }
            written += fitting.len();
        }
        (written, None)
    }

    /// In the current segment, for a frame of so many bytes.
    fn make_room(&self, state: &mut State, bytes: u64) -> Result<(), Unwritable> {
        let is_faulty = state.fault.is_some() || state.displaced.is_some();
        if is_faulty || self.behind_bytes() > self.behind_bytes_max {
            return Err(Unwritable);
        }
        if state.current_failed || state.current.room() < bytes {
            self.roll(state, bytes)?;
        }
        Ok(())
    }

    /// At the current segment's end, for which it was placed.
    fn write(
        &self,
        state: &mut State,
        placed: &[u8],
        is_still: &dyn Fn() -> bool,
    ) -> Result<(), NotWritten> {
        let bytes = placed.len() as u64;
        let written = state.current.write(placed).and_then(|()| {
            if is_still() {
                state.current.reach(bytes);
                return Ok(true);
            }
            state.current.unwrite(bytes).map(|()| false)
        });
        match written {
            Ok(true) => {}
            Ok(false) => return Err(NotWritten::Outdated),
            Err(error) => {
                tracing::error!(%error, "the audit log cannot be written");
                state.fault = Some(format!("cannot write to {}: {error}", self.dir.display()));
                state.current_failed = true;
                return Err(NotWritten::Unwritable);
            }
        }
        self.appended.fetch_add(bytes, Ordering::SeqCst);
        if state.spare.is_none() && state.current.is_half_full() {
            self.wants_spare.store(true, Ordering::Release);
        }
        Ok(())
    }

    fn roll(&self, state: &mut State, bytes: u64) -> Result<(), Unwritable> {
        let spare = match state.spare.take() {
            Some(spare) if spare.room() >= bytes => spare,
            // The writer is behind, or the record is larger than a segment: it gets one of its own.
            spare => {
                state.spare = spare;
                match self.create(state, bytes.max(self.segment_bytes)) {
                    Ok(segment) => segment,
                    Err(fault) => {
                        tracing::error!(%fault, "the audit log cannot be written");
                        state.fault = Some(fault);
                        return Err(Unwritable);
                    }
                }
            }
        };
        // A spare that was made earlier has a lower number than one made now: order matters more.
        if state
            .spare
            .as_ref()
            .is_some_and(|kept| kept.number < spare.number)
            && let Some(unused) = state.spare.take()
            && let Err(error) = unused.delete()
        {
            tracing::warn!(%error, "cannot delete an unused segment of the audit log");
        }
        state.current = Arc::clone(&spare);
        state.unapplied.push_back(spare);
        state.current_failed = false;
        self.wants_spare.store(true, Ordering::Release);
        Ok(())
    }

    fn create(&self, state: &mut State, bytes: u64) -> Result<Arc<Segment>, String> {
        if self.on_disk.load(Ordering::Relaxed) + bytes > self.content_bytes_max {
            return Err(format!(
                "the store in {} has reached its bound of {} bytes; shorten the retention, or raise the bound",
                self.dir.display(),
                self.content_bytes_max
            ));
        }
        let segment = Segment::create(&self.dir, state.next_number, bytes)
            .map_err(|error| format!("cannot make a segment in {}: {error}", self.dir.display()))?;
        state.next_number += 1;
        self.on_disk.fetch_add(bytes, Ordering::Relaxed);
        Ok(Arc::new(segment))
    }

    /// Keeps a spare ready and, with it, ends a fault. Called by the writer.
    pub(crate) fn mend(&self) {
        let is_faulty = self.state().fault.is_some();
        if !self.wants_spare.swap(false, Ordering::AcqRel) && !is_faulty {
            return;
        }
        match measure(&self.dir) {
            Ok(bytes) => self.on_disk.store(bytes, Ordering::Relaxed),
            Err(error) => tracing::warn!(%error, "cannot measure the audit log"),
        }
        let has_spare = self.state().spare.is_some();
        if !has_spare && let Err(fault) = self.make_spare() {
            // Calls can still be written for as long as the current segment lasts.
            tracing::warn!(%fault, "no room for the audit log's next segment");
            self.state().spare_fault = Some(fault);
            self.wants_spare.store(true, Ordering::Release);
            return;
        }
        let mut state = self.state();
        state.spare_fault = None;
        if state.fault.take().is_some() {
            tracing::info!("the audit log can be written again");
        }
        drop(state);
        if let Err(error) = disk::sync_directory(&self.dir) {
            tracing::warn!(%error, "cannot sync the audit log's directory");
        }
    }

    fn make_spare(&self) -> Result<(), String> {
        let segment = self.create(&mut self.state(), self.segment_bytes)?;
        // Calls do not wait for it.
        if self.has_single.swap(false, Ordering::Relaxed)
            && let Err(error) = segment.warm()
        {
            let _ = segment.delete();
            return Err(format!("cannot write to {}: {error}", self.dir.display()));
        }
        let mut state = self.state();
        // One that had to go on without it made its own meanwhile: order matters more.
        if state.current.number > segment.number {
            drop(state);
            return segment
                .delete()
                .map_err(|error| format!("cannot delete an unused segment: {error}"));
        }
        state.spare = Some(segment);
        Ok(())
    }

    /// Several calls may ask at once and then all write: so there must be room for many. Where there is not,
    /// that is a fault until there is.
    pub(crate) fn has_room(&self, record_bytes: u64) -> bool {
        let mut state = self.state();
        let has_segment = self.has_segment(&state, record_bytes);
        if !has_segment && state.lacks_room_for.is_none() {
            let fault = state.lack_of_room();
            tracing::error!(%fault, "calls that the audit log must record are refused");
        }
        state.lacks_room_for = (!has_segment).then_some(record_bytes);
        let is_faulty = state.fault.is_some() || state.displaced.is_some();
        !is_faulty && self.behind_bytes() <= self.behind_bytes_max && has_segment
    }

    fn has_segment(&self, state: &State, record_bytes: u64) -> bool {
        const CALLS_AT_ONCE: u64 = 4;
        let wanted = (CALLS_AT_ONCE * record_bytes).min(self.segment_bytes / 4);
        state.spare.is_some() || !state.current_failed && state.current.room() >= wanted
    }

    /// What was handed over since, for what the writer has used up.
    pub(crate) fn fetch_handed(&self, used: &mut Handover) {
        used.clear();
        std::mem::swap(&mut self.state().handover, used);
    }

    /// Looks whether the current segment and what was noted are where they were opened. Called by the
    /// writer. False if they are not.
    pub(crate) fn find(&self, whereabouts: &Whereabouts) -> bool {
        let current = Arc::clone(&self.state().current);
        // One that cannot be asked has other faults.
        let has_current = current.is_in_place().unwrap_or(true);
        let lost = whereabouts
            .lost()
            .or((!has_current).then(|| current.path()));
        let displaced = lost.map(|path| {
            format!(
                "the audit log's folder was removed or replaced while the gateway ran ({} is not what was opened): put it back as it was, or restart the gateway",
                path.display()
            )
        });
        let mut state = self.state();
        match (&state.displaced, &displaced) {
            (None, Some(fault)) => tracing::error!(%fault, "the audit log cannot be written"),
            (Some(_), None) => tracing::info!("the audit log's folder is back"),
            (None, None) | (Some(_), Some(_)) => {}
        }
        state.displaced = displaced;
        state.displaced.is_none()
    }

    /// What became of the folder, if it is not what was opened.
    pub(crate) fn displaced(&self) -> Option<String> {
        self.state().displaced.clone()
    }

    pub(crate) fn fault(&self) -> Option<String> {
        let state = self.state();
        if state.displaced.is_some() {
            return state.displaced.clone();
        }
        if state.fault.is_none() && self.behind_bytes() > self.behind_bytes_max {
            return Some(format!(
                "the database lags by more than {} bytes",
                self.behind_bytes_max
            ));
        }
        let lacks_room = state
            .lacks_room_for
            .is_some_and(|bytes| !self.has_segment(&state, bytes));
        let lack = || lacks_room.then(|| state.lack_of_room());
        state.fault.clone().or_else(lack)
    }

    pub(crate) fn first_unapplied(&self) -> Option<Arc<Segment>> {
        self.state().unapplied.front().cloned()
    }

    /// Whoever finds one knows that `number`'s end will not move again.
    pub(crate) fn after(&self, number: u64) -> Option<Arc<Segment>> {
        let state = self.state();
        let at = state
            .unapplied
            .partition_point(|segment| segment.number <= number);
        state.unapplied.get(at).cloned()
    }

    /// The chain has all of the segments before `number`.
    pub(crate) fn leave(&self, number: u64) {
        self.state()
            .unapplied
            .retain(|segment| segment.number >= number);
    }

    pub(crate) fn note_applied(&self, bytes: u64) {
        self.applied.fetch_add(bytes, Ordering::SeqCst);
    }

    pub(crate) fn behind_bytes(&self) -> u64 {
        let applied = self.applied.load(Ordering::SeqCst);
        self.appended.load(Ordering::SeqCst).saturating_sub(applied)
    }

    pub(crate) fn bytes_on_disk(&self) -> u64 {
        self.on_disk.load(Ordering::Relaxed)
    }

    /// Gives back what was reserved ahead. Nothing is appended afterwards.
    pub(crate) fn close(&self) -> io::Result<()> {
        let mut state = self.state();
        state.fault = Some("the audit log is closed".to_owned());
        if state.displaced.is_some() {
            return Ok(());
        }
        if let Some(spare) = state.spare.take() {
            spare.delete()?;
        }
        state.current.trim(state.current.end())?;
        state.current.sync()
    }

    /// No invariant spans a panic: each critical section ends in a consistent state.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn lack_of_room(&self) -> String {
        let why = self.spare_fault.as_deref();
        let why = why.unwrap_or("the next file of contents is being made");
        format!("no room for the largest records, so calls that require one are refused: {why}")
    }
}

pub(crate) fn measure(dir: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for file in std::fs::read_dir(dir)? {
        match file?.metadata() {
            Ok(metadata) => bytes += metadata.len(),
            // A purge in another process was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

/// Contents by their places, for whoever reads and purges.
#[derive(Debug)]
pub(crate) struct Contents {
    dir: PathBuf,
    open: HashMap<u64, File>,
}

/// More are opened anew.
const OPEN_MAX: usize = 64;
/// Shorter contents are read without asking how long their file is.
const UNCHECKED_BYTES_MAX: u64 = 1024 * 1024;

impl Contents {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            open: HashMap::new(),
        }
    }

    pub(crate) fn read(&mut self, place: &Place) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_into(place, &mut bytes)?;
        Ok(bytes)
    }

    /// As `read`, into what is kept between records.
    pub(crate) fn read_into(&mut self, place: &Place, bytes: &mut Vec<u8>) -> io::Result<()> {
        let file = self.file(place.segment)?;
        // A place that was tampered with must not make us take more memory than the file is long.
        if place.length > UNCHECKED_BYTES_MAX
            && place.offset.saturating_add(place.length) > file.metadata()?.len()
        {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the content reaches past its file",
            ));
        }
        bytes.resize(usize::try_from(place.length).unwrap_or(0), 0);
        file.read_exact_at(bytes, place.offset)
    }

    pub(crate) fn zero(&mut self, place: &Place) -> io::Result<()> {
        let file = self.file(place.segment)?;
        room::zero(file, place.offset, place.length)
    }

    pub(crate) fn sync(&mut self, segment: u64) -> io::Result<()> {
        self.file(segment)?.sync_data()
    }

    pub(crate) fn delete(&mut self, segment: u64) -> io::Result<()> {
        self.open.remove(&segment);
        match std::fs::remove_file(segment::path_of(&self.dir, segment)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn file(&mut self, segment: u64) -> io::Result<&File> {
        if self.open.len() >= OPEN_MAX && !self.open.contains_key(&segment) {
            self.open.clear();
        }
        match self.open.entry(segment) {
            std::collections::hash_map::Entry::Occupied(open) => Ok(open.into_mut()),
            std::collections::hash_map::Entry::Vacant(vacant) => {
                let path = segment::path_of(&self.dir, segment);
                Ok(vacant.insert(OpenOptions::new().read(true).write(true).open(path)?))
            }
        }
    }
}
