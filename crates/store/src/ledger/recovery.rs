//! What a start does with the journal of the process before it: the database gets all of it.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::record::{CacheOutcome, CallRecord, Cost, Opening, Outcome, PriceId};
use domain::{CallId, Metered, Nanos, Usage};

use super::database::{Database, SumUp};
use super::segment::{Found, Kind, Passed, Position, Scan, number_of};
use super::{LedgerError, codec};

/// Records for one transaction.
const BATCH_RECORDS: usize = 2_000;
/// Several times what this version writes. A larger file is no segment, and is not read.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Replay {
    pub(super) interrupted: Vec<CallRecord>,
    pub(super) replayed: u64,
    /// Places in the journal that could not be read.
    pub(super) damaged: u64,
    /// The first segment number that was never used.
    pub(super) next_segment: u64,
}

/// Puts everything that the journal still holds into the database and deletes the journal. Can be
/// cut short anywhere and run again.
pub(super) fn replay(journal: &Path, database: &mut Database) -> Result<Replay, LedgerError> {
    let applied = database
        .applied()
        .map_err(|error| failed(journal, &error))?;
    let segments = segments(journal).map_err(|error| failed(journal, &error))?;
    let last = segments.last().map_or(0, |(number, _)| *number);
    let mut reading = Reading {
        database,
        applied,
        open: HashMap::new(),
        batch: Vec::new(),
        prices: Vec::new(),
        replay: Replay::default(),
    };
    let mut damaged = Vec::new();
    for (number, path) in &segments {
        let before = reading.replay.damaged;
        reading
            .segment(*number, path, *number == last)
            .map_err(|error| failed(path, &*error))?;
        if reading.replay.damaged > before {
            damaged.push(path);
        }
    }
    let next_segment = last.max(applied.segment) + 1;
    let mut replay = reading
        .finish(next_segment)
        .map_err(|error| failed(journal, &error))?;
    replay.next_segment = next_segment;
    for path in damaged {
        let aside = path.with_extension("tgj.damaged");
        tracing::error!(file = %aside.display(), "a journal segment is damaged; what could be read is on the ledger, the file is kept");
        fs::rename(path, aside).map_err(|error| failed(path, &error))?;
    }
    for (_, path) in &segments {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(path, &error));
            }
            _ => {}
        }
    }
    Ok(replay)
}

/// Segments on disk, by number.
pub(super) fn segments(journal: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut segments = Vec::new();
    for file in fs::read_dir(journal)? {
        let file = file?;
        if let Some(number) = file.file_name().to_str().and_then(number_of) {
            segments.push((number, file.path()));
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

struct Reading<'a> {
    database: &'a mut Database,
    /// Entries before this are in the database.
    applied: Position,
    /// Openings whose record has not been seen, and the completion tokens that had passed. As many
    /// as calls were in flight at once.
    open: HashMap<CallId, (Opening, u32)>,
    batch: Vec<CallRecord>,
    prices: Vec<(PriceId, String)>,
    replay: Replay,
}

impl Reading<'_> {
    fn segment(
        &mut self,
        number: u64,
        path: &Path,
        is_last: bool,
    ) -> Result<(), Box<dyn std::error::Error>> {
        if fs::metadata(path)?.len() > FILE_BYTES_MAX {
            self.replay.damaged += 1;
            return Ok(());
        }
        let bytes = fs::read(path)?;
        let mut scan = Scan::new(
            &bytes,
            Position {
                segment: number,
                offset: 0,
            },
            bytes.len() as u64,
        );
        while let Some(found) = scan.next() {
            self.entry(&found)?;
        }
        // The last write of a process that was killed may be half there: its call had not ended.
        self.replay.damaged += scan.damaged + u64::from(scan.torn && !is_last);
        if scan.torn && is_last {
            tracing::warn!(file = %path.display(), "the journal ends in an unfinished entry");
        }
        Ok(())
    }

    fn entry(&mut self, found: &Found<'_>) -> rusqlite::Result<()> {
        match found.kind {
            Kind::Opening => {
                let tokens = match found.passed {
                    Some(Passed::Folded) => return Ok(()),
                    Some(Passed::Tokens(tokens)) => tokens,
                    None => {
                        self.replay.damaged += 1;
                        0
                    }
                };
                match codec::opening(found.payload) {
                    Ok(opening) => {
                        self.open.insert(opening.id, (opening, tokens));
                    }
                    Err(codec::Malformed) => self.replay.damaged += 1,
                }
            }
            Kind::Record => {
                let Ok(record) = codec::record(found.payload) else {
                    self.replay.damaged += 1;
                    return Ok(());
                };
                self.open.remove(&record.opening.id);
                if found.position >= self.applied {
                    self.batch.push(record);
                }
                if self.batch.len() == BATCH_RECORDS {
                    self.apply(Some(Position {
                        segment: found.position.segment,
                        offset: found.end,
                    }))?;
                }
            }
            Kind::Price => match codec::price(found.payload) {
                Ok((id, text)) => self.prices.push((id, text.to_owned())),
                Err(codec::Malformed) => self.replay.damaged += 1,
            },
        }
        Ok(())
    }

    fn apply(&mut self, position: Option<Position>) -> rusqlite::Result<()> {
        self.database
            .apply(self.batch.iter(), &self.prices, position, SumUp::Now)?;
        self.replay.replayed += self.batch.len() as u64;
        self.batch.clear();
        self.prices.clear();
        Ok(())
    }

    /// What is still open was in flight when the process died.
    fn finish(mut self, next_segment: u64) -> rusqlite::Result<Replay> {
        let open = std::mem::take(&mut self.open);
        for (id, (opening, tokens)) in open {
            // Its record went to the database past the journal.
            if self.database.has_call(id)? {
                continue;
            }
            let record = interrupted(opening, tokens);
            self.replay.interrupted.push(record.clone());
            self.batch.push(record);
            if self.batch.len() >= BATCH_RECORDS {
                // The position stays: run again, this finds the calls in the database.
                self.apply(None)?;
            }
        }
        self.apply(Some(Position {
            segment: next_segment,
            offset: 0,
        }))?;
        self.replay.replayed -= self.replay.interrupted.len() as u64;
        self.database.make_durable()?;
        Ok(self.replay)
    }
}

/// What a crash left of a call. When it ended is unknown, so its latency is zero.
fn interrupted(mut opening: Opening, completion_tokens: u32) -> CallRecord {
    let usage = Usage {
        prompt: opening.prompt_tokens,
        completion: u64::from(completion_tokens),
        ..Usage::default()
    };
    let cost = match opening.price.take() {
        Some(price) if !usage.is_nothing() => price.cost(usage.prompt, usage.completion),
        Some(_) | None => Cost::without_price(&usage),
    };
    CallRecord {
        opening,
        outcome: Outcome::Interrupted,
        status: 0,
        rule: None,
        backend: None,
        cache: CacheOutcome::Off,
        metered: Metered::Estimated(usage),
        cost,
        saved: Nanos::ZERO,
        saved_tokens: 0,
        similarity: None,
        latency: Duration::ZERO,
        first_byte: None,
        verdicts: Vec::new(),
        attempts: Vec::new(),
    }
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> LedgerError {
    LedgerError(format!(
        "cannot replay the journal {}: {error}",
        path.display()
    ))
}
