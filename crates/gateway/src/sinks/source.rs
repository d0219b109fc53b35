//! What a sink follows, and how far: calls on the ledger, or records of an audit store.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use ::audit::{Actor, Archive, AuditError, Read, Scope};
use config::snapshot::{AuditRecords, RecordKind, Sink, SinkStart};
use domain::Wall;
use store::ledger::LedgerError;
use store::ledger::follow::{Entry, Follower, From, Lag};

use super::event::Event;
use crate::audit::stores::Store;

/// Where a sink's events come from. Opened anew after each fault.
#[derive(Clone)]
pub enum Origin {
    Ledger(Arc<Path>),
    Audit(OfStore),
}

#[derive(Clone)]
pub struct OfStore {
    /// Gone once the gateway closes its stores.
    store: Weak<Store>,
    records: AuditRecords,
    /// Copies leave anew, and no entry of the log says so yet: it is owed until it is written, however
    /// often the store is opened until then.
    owes_replay: Arc<AtomicBool>,
}

impl Origin {
    pub fn audit(store: &Arc<Store>, records: AuditRecords) -> Self {
        Self::Audit(OfStore {
            store: Arc::downgrade(store),
            records,
            owes_replay: Arc::default(),
        })
    }
}

pub enum Source {
    Ledger(Follower),
    Audit(Box<::audit::Follower>, OfStore),
}

/// An event's place.
pub enum Mark {
    Ledger(Box<Entry>),
    Audit(u64),
}

impl Source {
    /// Blocks, as all that follows.
    pub fn open(origin: &Origin, sink: &Sink, now: Wall) -> Result<Self, LedgerError> {
        let name = sink.id.as_str();
        match origin {
            Origin::Ledger(data_dir) => {
                let from = match sink.from {
                    SinkStart::Now => From::Now,
                    SinkStart::Start => From::Start,
                };
                Follower::open(data_dir, name, from, now).map(Self::Ledger)
            }
            Origin::Audit(of) => {
                let store = of.store.upgrade();
                let log = store.as_ref().and_then(|store| store.log());
                let log =
                    log.ok_or_else(|| LedgerError("the audit store is not open".to_owned()))?;
                let archive = Archive::of(log).map_err(|error| failed(&error))?;
                Self::of_archive(archive, sink, of, now)
            }
        }
    }

    fn of_archive(
        archive: Archive,
        sink: &Sink,
        of: &OfStore,
        now: Wall,
    ) -> Result<Self, LedgerError> {
        let from_start = sink.from == SinkStart::Start;
        let name = sink.id.as_str();
        let content = of.records.content;
        let follower = ::audit::Follower::open(archive, name, from_start, Scope::All, content, now);
        let mut follower = follower.map_err(|error| failed(&error))?;
        note_copies(&mut follower, sink, of, now)?;
        Ok(Self::Audit(Box::new(follower), of.clone()))
    }

    /// Up to `max` of the next, oldest first. The same ones until they are passed.
    pub fn next(
        &mut self,
        max: usize,
        sink: &Sink,
        now: Wall,
    ) -> Result<Vec<(Event, Mark)>, LedgerError> {
        match self {
            Self::Ledger(follower) => {
                let entries = follower.next(max)?.into_iter();
                let event = |entry: Entry| {
                    let event = Event::of_call(&entry.record, sink.envelope);
                    (event, Mark::Ledger(Box::new(entry)))
                };
                Ok(entries.map(event).collect())
            }
            Self::Audit(follower, of) => {
                let found = follower.next(max).map_err(|error| failed(&error))?;
                if follower.was_moved() {
                    of.owes_replay.store(true, Ordering::Relaxed);
                    note_copies(follower, sink, of, now)?;
                    follower.move_is_noted();
                }
                let event = |found: &::audit::Found| {
                    let event = Event::of_audit(found, sink.envelope);
                    (event, Mark::Audit(found.sequence))
                };
                Ok(found.iter().map(event).collect())
            }
        }
    }

    pub fn pass(&mut self, mark: &Mark, now: Wall) -> Result<(), LedgerError> {
        match (self, mark) {
            (Self::Ledger(follower), Mark::Ledger(entry)) => follower.pass(entry, now),
            (Self::Audit(follower, _), Mark::Audit(number)) => {
                follower.pass(*number, now).map_err(|error| failed(&error))
            }
            // A sink's source never changes its kind.
            (Self::Ledger(_), Mark::Audit(_)) | (Self::Audit(..), Mark::Ledger(_)) => Ok(()),
        }
    }

    pub fn behind(&mut self) -> Result<Behind, LedgerError> {
        match self {
            Self::Ledger(follower) => Ok(Behind {
                lag: follower.lag()?,
                missed: 0,
            }),
            Self::Audit(follower, _) => {
                let lag = follower.lag().map_err(|error| failed(&error))?;
                Ok(Behind {
                    lag: Lag {
                        records: lag.records,
                        oldest: lag.oldest,
                    },
                    missed: lag.missed,
                })
            }
        }
    }
}

/// What a sink has yet to take, and what it will never get.
#[derive(Clone, Copy, Debug, Default)]
pub struct Behind {
    pub lag: Lag,
    pub missed: u64,
}

/// That copies leave is an entry of the log, once for each time that they begin to.
fn note_copies(
    follower: &mut ::audit::Follower,
    sink: &Sink,
    of: &OfStore,
    now: Wall,
) -> Result<(), LedgerError> {
    let why = if of.owes_replay.load(Ordering::Relaxed) {
        "replayed"
    } else {
        "configured"
    };
    let actor = Actor {
        by: format!("sink {}", sink.id),
        role: "system".to_owned(),
        reason: why.to_owned(),
    };
    let has_content = matches!(&sink.records, RecordKind::Audit(records) if records.content);
    let about = if has_content {
        "with content"
    } else {
        "metadata"
    };
    let noted = follower.archive().note(Read::Forward, about, &actor, now);
    noted.map_err(|error| failed(&error))?;
    of.owes_replay.store(false, Ordering::Relaxed);
    Ok(())
}

fn failed(error: &AuditError) -> LedgerError {
    LedgerError(error.to_string())
}
