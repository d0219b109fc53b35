//! Records that no call requires, on their way to a segment: what ten milliseconds bring is sealed and
//! written together.
//!
//! One after the other they take half of what each takes amid all else that a call does. Until they are
//! written they are only in memory: a kill loses them. Bounded; a record that finds no room here is
//! written alone.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use disk::{Signal, Stop};
use domain::{SubscriptionId, Wall};

use crate::chain::{Hash, content_hash};
use crate::event::put_record_mark;
use crate::filter::put_filter;
use crate::frame::{Frame, Layout, Sealed};
use crate::handover::Handing;
use crate::keys::{KeyId, Lent};
use crate::log::Sealing;
use crate::record::{Draft, Opened, put_content, put_skeleton, set_key};
use crate::vault::{NotWritten, Together};
use crate::words::Hashing;
use crate::writer::Shared;

/// Of records that wait. There are as many again that are being written.
const BYTES_MAX: usize = 2 * 1024 * 1024;
/// Past it they wait no longer: more would not stay in the processor's cache, and calls find room
/// meanwhile.
const BYTES_ENOUGH: usize = 512 * 1024;
/// Of one record's prompt and answer. A longer one would keep others waiting.
const RECORD_BYTES_MAX: usize = 512 * 1024;

/// What calls and the thread that seals share.
#[derive(Debug)]
pub(crate) struct Gathering {
    /// How long the first of them waits for others.
    length: Duration,
    waiting: Mutex<Waiting>,
    has_records: AtomicBool,
    has_enough: AtomicBool,
    signal: Signal,
    /// Something could not be written: records are written alone, so that their calls are told.
    declines: AtomicBool,
    /// Of those that are in no segment yet.
    bytes: AtomicU64,
    written: AtomicU64,
    lost: AtomicU64,
}

/// Frames that are still to be sealed, one behind the other.
#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    records: Vec<Record>,
}

#[derive(Debug)]
struct Record {
    subscription: SubscriptionId,
    at: Wall,
    start: usize,
    layout: Layout,
}

impl Gathering {
    pub(crate) fn new(length: Duration) -> Self {
        Self {
            length,
            waiting: Mutex::default(),
            has_records: AtomicBool::new(false),
            has_enough: AtomicBool::new(false),
            signal: Signal::default(),
            declines: AtomicBool::new(length.is_zero()),
            bytes: AtomicU64::new(0),
            written: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }
    }

    /// False if it is to be written alone.
    pub(crate) fn take(&self, draft: &Draft<'_>, content_bytes_max: usize, now: Wall) -> bool {
        if draft.required || !draft.tells_person() || self.declines.load(Ordering::Acquire) {
            return false;
        }
        let texts = draft.texts(content_bytes_max);
        let contents: usize = texts.iter().map(|text| text.len()).sum();
        if contents > RECORD_BYTES_MAX {
            return false;
        }
        let mut waiting = self.waiting();
        let Waiting { bytes, records } = &mut *waiting;
        let start = bytes.len();
        if start > BYTES_MAX {
            return false;
        }
        let layout = Layout::put(
            bytes,
            contents,
            |header| {
                put_record_mark(header);
                // Which key it is is known once it is sealed.
                put_skeleton(header, draft, KeyId(0), content_bytes_max, now);
            },
            |content| put_content(content, draft, content_bytes_max),
        );
        self.bytes.fetch_add(layout.len() as u64, Ordering::Relaxed);
        records.push(Record {
            subscription: draft.subscription.clone(),
            at: draft.at,
            start,
            layout,
        });
        let is_first = records.len() == 1;
        let is_enough = start <= BYTES_ENOUGH && bytes.len() > BYTES_ENOUGH;
        drop(waiting);
        if is_first {
            self.has_records.store(true, Ordering::SeqCst);
            self.signal.wake();
        }
        if is_enough {
            self.has_enough.store(true, Ordering::SeqCst);
            self.signal.hurry();
        }
        true
    }

    /// One that was written alone was written: others may wait for each other again.
    pub(crate) fn resume(&self) {
        if self.declines.load(Ordering::Relaxed) && !self.length.is_zero() {
            self.declines.store(false, Ordering::Release);
        }
    }

    pub(crate) fn behind_bytes(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst)
    }

    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Records that were taken, and then could not be written.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Those that wait are written first.
    pub(crate) fn ask_to_stop(&self) {
        self.signal.ask_to_stop(Stop::Finish);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that seals and writes what was gathered. Waits for no database.
pub(crate) struct Gatherer {
    gathering: Arc<Gathering>,
    sealing: Arc<Sealing>,
    shared: Arc<Shared>,
    // Kept between batches.
    taken: Waiting,
    done: Vec<Done>,
    filters: Vec<u64>,
    hashing: Hashing,
}

/// One that is sealed.
struct Done {
    start: usize,
    /// Of what was gathered.
    record: usize,
    lent: Lent,
    sealed: Sealed,
    content_hash: Hash,
    filter: std::ops::Range<usize>,
}

/// A thread that has ended takes nothing more, whatever ended it.
struct Ends<'g>(&'g Gathering);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.declines.store(true, Ordering::Release);
    }
}

impl Gatherer {
    pub(crate) fn new(
        gathering: Arc<Gathering>,
        sealing: Arc<Sealing>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            gathering,
            sealing,
            shared,
            taken: Waiting::default(),
            done: Vec::new(),
            filters: Vec::new(),
            hashing: Hashing::default(),
        }
    }

    pub(crate) fn run(mut self) {
        let gathering = Arc::clone(&self.gathering);
        let _ends = Ends(&gathering);
        loop {
            // Before looking: nothing comes after it.
            let stop = gathering.signal.stop();
            if stop.is_none() {
                let has_records = || gathering.has_records.load(Ordering::SeqCst);
                gathering.signal.wait(None, has_records);
                let is_enough = || gathering.has_enough.load(Ordering::SeqCst);
                gathering.signal.pause_until(gathering.length, is_enough);
            }
            gathering.has_records.store(false, Ordering::SeqCst);
            gathering.has_enough.store(false, Ordering::SeqCst);
            std::mem::swap(&mut *gathering.waiting(), &mut self.taken);
            if !self.taken.records.is_empty() {
                self.write();
            } else if stop.is_some() {
                return;
            }
        }
    }

    fn write(&mut self) {
        self.done.clear();
        self.filters.clear();
        let taken = std::mem::take(&mut self.taken);
        let Waiting { mut bytes, records } = taken;
        for (number, record) in records.iter().enumerate() {
            let frame = &mut bytes[record.start..record.start + record.layout.len()];
            if self.seal(number, record, frame).is_none() {
                // Nothing in the clear is written, and no frame that is none.
                frame.fill(0);
            }
        }
        let mut written = 0;
        loop {
            let (more, why_no_more) = self.append(&mut bytes);
            written += more;
            if why_no_more != Some(NotWritten::Outdated) {
                break;
            }
            self.done.drain(..more);
            self.seal_anew(&records, &mut bytes);
        }
        let lost = records.len() - written;
        let gathering = &self.gathering;
        gathering
            .written
            .fetch_add(written as u64, Ordering::Relaxed);
        if lost > 0 {
            gathering.lost.fetch_add(lost as u64, Ordering::Relaxed);
            gathering.declines.store(true, Ordering::Release);
        }
        self.shared.wake();
        // Behind what the vault counts: whoever asks what is behind misses nothing.
        gathering
            .bytes
            .fetch_sub(bytes.len() as u64, Ordering::SeqCst);
        self.keep(bytes, records);
    }

    /// What is sealed; see `Vault::append_all`.
    fn append(&self, bytes: &mut [u8]) -> (usize, Option<NotWritten>) {
        // A key file's generation only grows: if the lowest is still its own, so are all.
        let generation = self.done.iter().map(|done| done.lent.generation).min();
        let is_still =
            || generation.is_none_or(|generation| self.shared.keyring.is_still(generation));
        let frames: Vec<Together<'_>> = self
            .done
            .iter()
            .map(|done| Together {
                start: done.start,
                sealed: done.sealed,
                handing: Handing {
                    content_hash: done.content_hash,
                    filter: &self.filters[done.filter.clone()],
                },
            })
            .collect();
        self.shared.vault.append_all(bytes, &frames, &is_still)
    }

    /// Keys were retired since they were sealed: those that are still to be written. What cannot be is
    /// lost.
    fn seal_anew(&mut self, records: &[Record], bytes: &mut [u8]) {
        let done = std::mem::take(&mut self.done);
        for mut done in done {
            let record = &records[done.record];
            let frame = &mut bytes[record.start..record.start + record.layout.len()];
            match self.sealed_anew(&done, record, frame) {
                Some((lent, sealed, content_hash)) => {
                    (done.lent, done.sealed, done.content_hash) = (lent, sealed, content_hash);
                    self.done.push(done);
                }
                None => frame.fill(0),
            }
        }
    }

    fn sealed_anew(
        &self,
        done: &Done,
        record: &Record,
        frame: &mut [u8],
    ) -> Option<(Lent, Sealed, Hash)> {
        Frame::unseal(frame, done.sealed, &done.lent.key.key)?;
        let opened = Opened::read(record.layout.content(frame)).ok()?;
        let subscription = record.subscription.as_str();
        let keyring = &self.shared.keyring;
        let lent = keyring.of_draft(subscription, opened.person(), record.at, None);
        let lent = self.sealing.note(lent)?;
        set_key(record.layout.header(frame), lent.key.id);
        let sealed = self
            .sealing
            .note(Frame::seal(frame, record.layout, &lent.key.key))?;
        let content_hash = content_hash(sealed.sealed());
        Some((lent, sealed.into_sealed(), content_hash))
    }

    /// Its memory, for the next ones.
    fn keep(&mut self, mut bytes: Vec<u8>, mut records: Vec<Record>) {
        bytes.clear();
        records.clear();
        self.taken = Waiting { bytes, records };
    }

    /// `None` if it cannot be.
    fn seal(&mut self, number: usize, record: &Record, frame: &mut [u8]) -> Option<()> {
        let now = Wall(self.shared.now.load(Ordering::SeqCst));
        let opened = Opened::read(record.layout.content(frame)).ok()?;
        let lent = self.shared.keyring.of_draft(
            record.subscription.as_str(),
            opened.person(),
            record.at,
            Some(now),
        );
        let lent = self.sealing.note(lent)?;
        let texts = opened.texts();
        let start = self.filters.len();
        if texts.iter().any(|text| !text.is_empty()) {
            put_filter(&mut self.filters, &texts, &mut self.hashing);
        }
        set_key(record.layout.header(frame), lent.key.id);
        let sealed = self
            .sealing
            .note(Frame::seal(frame, record.layout, &lent.key.key))?;
        self.done.push(Done {
            start: record.start,
            record: number,
            content_hash: content_hash(sealed.sealed()),
            sealed: sealed.into_sealed(),
            filter: start..self.filters.len(),
            lent,
        });
        Some(())
    }
}
