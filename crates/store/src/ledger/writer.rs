//! The thread that brings the journal into the database. Calls never wait for it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use disk::Stop;
use domain::record::CallRecord;
use domain::{CallId, Wall};
use foldhash::{HashMap, HashSet};

use super::Shared;
use super::database::{Database, SumUp};
use super::overflow::{Folded, Waiting, mark_folded};
use super::segment::Position;
use super::tail::{Event, Tail};

mod pace;

pub(super) use pace::{Backlog, Breath};

/// Records for one transaction, at most. A transaction ends with a tenth of a millisecond in which
/// nobody else has this processor, if there is no other; ten times as many would make it one.
const BATCH_RECORDS: usize = 256;
/// Between runs of transactions: what comes in meanwhile shares the next one. A transaction writes
/// every page that it touches anew, so that the fewer there are, the less a call costs.
const BATCH_PAUSE: Duration = Duration::from_millis(200);
const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// Closing gives a faulty database this many tries, 5 s in all. The journal keeps what it lacks.
const CLOSING_TRIES: u32 = 20;

pub(super) struct Writer {
    shared: Arc<Shared>,
    dir: PathBuf,
    /// `None` after a fault, until it can be opened again.
    database: Option<Database>,
    tail: Tail,
    open: OpenCalls,
    /// When the newest call began, or the ledger was opened.
    latest: Wall,
    /// Pauses since sums were written.
    pauses: u32,
}

enum Step {
    /// There may be more.
    Wrote,
    CaughtUp,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        dir: PathBuf,
        database: Database,
        tail: Tail,
        opened_at: Wall,
    ) -> Self {
        Self {
            shared,
            dir,
            database: Some(database),
            tail,
            open: OpenCalls::default(),
            latest: opened_at,
            pauses: 0,
        }
    }

    /// True if the database has everything and no call is open: the journal can go.
    pub(super) fn run(mut self) -> bool {
        let mut tries = 0;
        loop {
            let stop = self.shared.writer_signal.stop();
            if stop == Some(Stop::Abandon) {
                return false;
            }
            match self.step() {
                Ok(Step::Wrote) => {
                    tries = 0;
                    self.shared.note_database(None);
                }
                Ok(Step::CaughtUp) if stop.is_some() => return self.open.is_empty() && self.end(),
                Ok(Step::CaughtUp) => {
                    if let Err(fault) = self.rest() {
                        self.shared.note_database(Some(fault));
                        self.database = None;
                        self.shared.writer_signal.pause(RETRY_PAUSE);
                    }
                }
                Err(fault) => {
                    self.shared.note_database(Some(fault));
                    // Opened anew at the next try: the file itself may have been repaired.
                    self.database = None;
                    if stop.is_none() {
                        self.shared.writer_signal.pause(RETRY_PAUSE);
                        continue;
                    }
                    tries += 1;
                    if tries == CLOSING_TRIES {
                        return false;
                    }
                    std::thread::sleep(RETRY_PAUSE);
                }
            }
        }
    }

    /// Nothing is left to write but sums, by day and of what was written since the last ones.
    fn rest(&mut self) -> Result<(), String> {
        if self.roll_up()? {
            // Records come first, and there may be some by now.
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let has_work = || shared.has_records.load(Ordering::SeqCst) || !shared.overflow.is_empty();
        let has_unsummed = self.database.as_ref().is_some_and(Database::has_unsummed);
        let longest = has_unsummed.then_some(BATCH_PAUSE);
        shared.writer_signal.wait(longest, has_work);
        if has_work() {
            shared.writer_signal.pause(BATCH_PAUSE);
            self.pauses += 1;
            return Ok(());
        }
        if has_unsummed && shared.writer_signal.stop().is_none() {
            self.pauses = 0;
            self.write(Database::sum_up)?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Step, String> {
        // Before reading: a record that comes later sets it again.
        self.shared.has_records.store(false, Ordering::SeqCst);
        let mut breath = Breath::new(self.shared.journal.backlog());
        if let Some(batch) = self
            .tail
            .read(&self.shared.journal, BATCH_RECORDS, &mut breath)
            .map_err(|error| format!("cannot read the journal: {error}"))?
        {
            let position = batch.position();
            // The database's place may stay behind openings: those are read anew by a start.
            if !batch.has_nothing_to_write() {
                let sum_up = self.sum_up(batch.records.len());
                let records = batch.records.iter().inspect(|_| breath.take());
                self.write(|database| {
                    database.apply(records, &batch.prices, Some(position), sum_up)
                })?;
            }
            if batch.damaged > 0 {
                tracing::error!(
                    places = batch.damaged,
                    segment = position.segment,
                    "the journal was damaged while in use"
                );
            }
            self.shared
                .journal
                .note_applied(batch.bytes, position.segment);
            self.note_latest(batch.records.iter());
            for (id, event) in &batch.events {
                self.open.note(*id, *event);
            }
            self.tail.accept(batch);
            self.release()?;
            return Ok(Step::Wrote);
        }
        // Only now, so that a record's opening was seen before the record.
        if self.write_overflow()? || self.write_folded()? || self.write_prices()? {
            return Ok(Step::Wrote);
        }
        Ok(Step::CaughtUp)
    }

    /// Whether a batch of so many brings the sums up to date.
    fn sum_up(&mut self, records: usize) -> SumUp {
        let database = self.database.as_ref();
        let is_full = database.is_some_and(Database::is_full_of_unsummed);
        let waiting = database.map_or(0, Database::unsummed_calls);
        let sum_up = pace::sum_up(waiting + records as u64, self.pauses, is_full);
        if sum_up == SumUp::Now {
            self.pauses = 0;
        }
        sum_up
    }

    fn write(
        &mut self,
        write: impl FnOnce(&mut Database) -> rusqlite::Result<()>,
    ) -> Result<(), String> {
        let database = match &mut self.database {
            Some(database) => database,
            none => none.insert(Database::open(&self.dir).map_err(|error| error.0)?),
        };
        write(database).map_err(|error| database.describe(&error))
    }

    fn roll_up(&mut self) -> Result<bool, String> {
        let latest = self.latest;
        let mut more = false;
        self.write(|database| {
            more = database.roll_up(latest)?;
            Ok(())
        })?;
        Ok(more)
    }

    /// Records that the journal could not take, if the keeper has not brought them there yet.
    fn write_overflow(&mut self) -> Result<bool, String> {
        let taken = self.shared.overflow.take(BATCH_RECORDS);
        if taken.is_empty() {
            return Ok(false);
        }
        let records = || taken.iter().map(|waiting| &waiting.record);
        if let Err(fault) = self.write(|database| database.apply(records(), &[], None, SumUp::Now))
        {
            self.shared.overflow.put_back(taken);
            return Err(fault);
        }
        self.note_latest(records());
        let tail = self.tail.position();
        for Waiting { record, opening } in &taken {
            if let Some(place) = opening {
                self.open
                    .close_early(record.opening.id, place.position(), tail);
            }
        }
        Ok(true)
    }

    fn write_folded(&mut self) -> Result<bool, String> {
        let Some(Folded { sums, openings }) = self.shared.overflow.take_folded() else {
            return Ok(false);
        };
        if let Err(fault) = self.write(|database| database.apply_folded(&sums)) {
            self.shared
                .overflow
                .put_folded_back(Folded { sums, openings });
            return Err(fault);
        }
        let tail = self.tail.position();
        for (id, place) in openings {
            mark_folded(&place);
            self.open.close_early(id, place.position(), tail);
        }
        Ok(true)
    }

    fn write_prices(&mut self) -> Result<bool, String> {
        let prices = self.shared.overflow.take_prices();
        if prices.is_empty() {
            return Ok(false);
        }
        if let Err(fault) =
            self.write(|database| database.apply([].iter(), &prices, None, SumUp::Later))
        {
            self.shared.overflow.put_prices_back(prices);
            return Err(fault);
        }
        Ok(true)
    }

    /// Deletes segments that the database has and that hold no open call.
    fn release(&mut self) -> Result<(), String> {
        let reached = self.tail.position().segment;
        let open = &self.open;
        let is_done = |segment| segment < reached && !open.holds(segment);
        if !self.shared.journal.has(is_done) {
            return Ok(());
        }
        let latest = self.latest;
        self.write(|database| {
            database.prune_levels(latest)?;
            database.make_durable()
        })?;
        let open = &self.open;
        for segment in self
            .shared
            .journal
            .release(|segment| segment < reached && !open.holds(segment))
        {
            if let Err(error) = segment.delete() {
                tracing::warn!(%error, segment = segment.number, "cannot delete a journal segment");
            }
        }
        self.shared.keeper_signal.wake();
        Ok(())
    }

    fn note_latest<'a>(&mut self, records: impl Iterator<Item = &'a CallRecord>) {
        for record in records {
            self.latest = self.latest.max(record.opening.at);
        }
    }

    /// Makes the database complete and durable on its own.
    fn end(&mut self) -> bool {
        let ended = self.write(|database| {
            database.sum_up()?;
            database.make_durable()
        });
        if let Err(error) = &ended {
            tracing::warn!(%error, "the journal is left to the next start");
        }
        ended.is_ok()
    }
}

/// Calls that the journal has an opening of and no record yet. As many as are in flight.
#[derive(Debug, Default)]
struct OpenCalls {
    segment_of: HashMap<CallId, u64>,
    calls_in: BTreeMap<u64, usize>,
    /// Settled past the journal while their openings were still to be read.
    closed_early: HashSet<CallId>,
}

impl OpenCalls {
    fn note(&mut self, id: CallId, event: Event) {
        match event {
            Event::Opened { segment } => {
                if !self.closed_early.remove(&id) && self.segment_of.insert(id, segment).is_none() {
                    *self.calls_in.entry(segment).or_default() += 1;
                }
            }
            Event::Closed => self.close(id),
        }
    }

    fn close_early(&mut self, id: CallId, opening: Position, tail: Position) {
        if opening >= tail {
            self.closed_early.insert(id);
        } else {
            self.close(id);
        }
    }

    fn close(&mut self, id: CallId) {
        let Some(segment) = self.segment_of.remove(&id) else {
            return;
        };
        if let Some(calls) = self.calls_in.get_mut(&segment) {
            *calls -= 1;
            if *calls == 0 {
                self.calls_in.remove(&segment);
            }
        }
    }

    fn holds(&self, segment: u64) -> bool {
        self.calls_in.contains_key(&segment)
    }

    fn is_empty(&self) -> bool {
        self.segment_of.is_empty()
    }
}
