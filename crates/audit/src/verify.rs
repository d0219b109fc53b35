//! Whether the log is what it was: the chain, its contents and its heads, and where it is not.
//!
//! Streams: memory does not grow with the log, but for eight bytes a record, by which one that is there
//! twice is found. Works without the keys too, with a public key that was
//! kept elsewhere.

use std::fmt;

use domain::Wall;
use rusqlite::{Connection, OptionalExtension};

use crate::archive::Archive;
use crate::archive::hold::{Placed, holder};
use crate::chain::{Hash, Link, content_hash, genesis};
use crate::database::Database;
use crate::event::{Event, is_record};
use crate::head::Head;
use crate::keys::{Found, KeyId, Keyring};
use crate::record::{Opened, Skeleton};
use crate::segment::Place;
use crate::vault::Contents;
use crate::{AuditError, Settings, index};

mod calls;
mod indexed;
mod retention;
mod tables;
mod witnesses;

use calls::Calls;
use indexed::Indexed;
use retention::Retention;

/// What else to hold the log against.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A head that was exported earlier and kept elsewhere.
    pub head: Option<Head>,
    /// The public key, kept elsewhere: else the key file's, or the log's own, is believed.
    pub public_key: Option<[u8; 32]>,
    /// Opens every content too. Finds nothing that the hashes do not, except headers that were changed
    /// behind the newest head.
    pub open: bool,
    /// Contents that are overdue then are told; without it, and without the keys, none is.
    pub now: Option<Wall>,
}

#[derive(Clone, Debug, Default)]
pub struct Report {
    pub entries: u64,
    pub records: u64,
    pub heads: u64,
    /// Records whose content a purge or an erasure took, and says so.
    pub gone: u64,
    /// The chain's end.
    pub hash: Hash,
    /// Entries behind the newest head: nobody has signed them yet.
    pub unsigned: u64,
    /// In the order in which they were found.
    pub problems: Vec<Problem>,
    /// Found, and not kept.
    pub more_problems: u64,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The entry where it shows; `None` for the log as a whole.
    pub sequence: Option<u64>,
    pub what: String,
}

const PROBLEMS_MAX: usize = 1_000;

impl Report {
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    fn tell(&mut self, sequence: impl Into<Option<u64>>, what: impl Into<String>) {
        if self.problems.len() == PROBLEMS_MAX {
            self.more_problems += 1;
            return;
        }
        self.problems.push(Problem {
            sequence: sequence.into(),
            what: what.into(),
        });
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sequence {
            Some(sequence) => write!(f, "entry {sequence}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl Archive {
    pub fn verify(&mut self, options: &Options) -> Result<Report, AuditError> {
        let keyring = std::sync::Arc::clone(&self.keyring);
        let holds = self.holds()?;
        let mut verifier = Verifier {
            settings: &self.settings,
            connection: &self.database.connection,
            contents: &mut self.contents,
            keyring: Some(&keyring),
            options,
            store: keyring.store(),
            public_key: options.public_key.unwrap_or_else(|| keyring.public_key()),
            holds,
            report: Report::default(),
            covering: None,
            calls: Calls::default(),
            indexed: Indexed::default(),
            retention: Retention::default(),
        };
        let verified = verifier.run();
        let (report, index_is_wrong) = verified.map_err(|error| self.database.faulty(&error))?;
        // What was found is told all the same.
        if index_is_wrong && let Err(error) = index::reset(&self.database.connection) {
            tracing::error!(%error, "the search index cannot be made anew");
        }
        Ok(report)
    }
}

/// Without the keys: everything but the key file's own witness, and `Options::open`. Heads are checked
/// with `Options::public_key`, or the key that the log itself begins with.
pub fn verify(settings: &Settings, options: &Options) -> Result<Report, AuditError> {
    let database = Database::open_existing(&settings.dir)?;
    let first = || -> rusqlite::Result<Option<Vec<u8>>> {
        let select = "SELECT header FROM chain WHERE sequence = 1";
        let connection = &database.connection;
        connection
            .query_row(select, [], |row| row.get(0))
            .optional()
    };
    let first = first().map_err(|error| database.faulty(&error))?;
    let first = first.and_then(|header| Event::from_header(&header).ok());
    let (store, own_key) = match first {
        Some(Event::Opened {
            store, public_key, ..
        }) => (store, public_key),
        // It is told where the chain is walked over.
        _ => Default::default(),
    };
    let mut verifier = Verifier {
        settings,
        connection: &database.connection,
        contents: &mut Contents::new(settings.segments_dir()),
        keyring: None,
        options,
        store,
        public_key: options.public_key.unwrap_or(own_key),
        holds: Vec::new(),
        report: Report::default(),
        covering: None,
        calls: Calls::default(),
        indexed: Indexed::default(),
        retention: Retention::default(),
    };
    let verified = verifier.run().map_err(|error| database.faulty(&error));
    verified.map(|(report, _)| report)
}

struct Verifier<'a> {
    settings: &'a Settings,
    connection: &'a Connection,
    contents: &'a mut Contents,
    /// Without it, contents are not opened and the key file's witness is not heard.
    keyring: Option<&'a Keyring>,
    options: &'a Options,
    store: [u8; 16],
    public_key: [u8; 32],
    /// In force.
    holds: Vec<Placed>,
    report: Report,
    calls: Calls,
    indexed: Indexed,
    retention: Retention,
    /// The purge or erasure that was looked at last: neighbours mostly share it.
    covering: Option<(u64, Option<Event>)>,
}

/// One row of the chain.
struct Row {
    sequence: u64,
    at: i64,
    header: Vec<u8>,
    content_hash: Vec<u8>,
    hash: Vec<u8>,
    place: Option<Place>,
    gone_by: Option<u64>,
    sealed: Option<Vec<u8>>,
}

impl Verifier<'_> {
    /// The report, and whether the search index is to be made anew.
    fn run(&mut self) -> rusqlite::Result<(Report, bool)> {
        let transaction = self.connection.unchecked_transaction()?;
        if let Some(keyring) = self.keyring {
            self.indexed = Indexed::read(&transaction, keyring, &mut self.report)?;
        }
        let mut previous = genesis(&self.store);
        let mut last = 0;
        let mut last_at = i64::MIN;
        let mut newest_head = 0;
        {
            let mut select = transaction.prepare(
                "SELECT sequence, at, header, content_hash, hash, segment, offset, length, gone_by, sealed FROM chain ORDER BY sequence",
            )?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                let row = match Row::read(row) {
                    Ok(row) => row,
                    Err(error) => {
                        self.report
                            .tell(last + 1, format!("it cannot be read: {error}"));
                        last += 1;
                        continue;
                    }
                };
                if row.sequence != last + 1 {
                    let what = match (last + 1, row.sequence - 1) {
                        (first, end) if first == end => "it is missing: it was deleted".to_owned(),
                        (_, end) => {
                            format!("it and all up to {end} are missing: they were deleted")
                        }
                    };
                    self.report.tell(last + 1, what);
                }
                if row.at < last_at {
                    self.report.tell(
                        row.sequence,
                        "its time is before that of the entry before it",
                    );
                }
                let is_next = row.sequence == last + 1;
                self.entry(&transaction, &row, &previous, is_next)?;
                if let Ok(Event::Head(head)) = Event::from_header(&row.header) {
                    self.head_entry(&row, &head, last, &previous);
                    newest_head = row.sequence;
                }
                previous = Hash::try_from(row.hash.as_slice()).unwrap_or_default();
                last_at = row.at;
                last = row.sequence;
            }
        }
        self.report.hash = previous;
        self.report.unsigned = last - newest_head;
        if last == 0 {
            self.report.tell(None, "the chain is empty");
        }
        self.witnesses(&transaction, last)?;
        self.tables(&transaction)?;
        self.retention.tell(&transaction, &mut self.report)?;
        std::mem::take(&mut self.calls).tell_twice(&transaction, &mut self.report)?;
        let index_is_wrong = self.indexed.tell(&mut self.report);
        Ok((std::mem::take(&mut self.report), index_is_wrong))
    }

    fn entry(
        &mut self,
        connection: &Connection,
        row: &Row,
        previous: &Hash,
        is_next: bool,
    ) -> rusqlite::Result<()> {
        self.report.entries += 1;
        let content = Hash::try_from(row.content_hash.as_slice()).unwrap_or_default();
        let expected = Link {
            previous,
            sequence: row.sequence,
            at: row.at,
            header: &row.header,
            content_hash: &content,
        }
        .hash();
        // Behind a gap the previous hash is unknown: the gap was told.
        if is_next && expected[..] != row.hash[..] {
            self.report.tell(row.sequence, "its hash does not fit the entry and the one before it: one of the two was changed, swapped or put in");
        }
        let Ok(event) = Event::from_header(&row.header) else {
            self.report.tell(row.sequence, "its header cannot be read");
            return Ok(());
        };
        if row.sequence == 1 {
            self.opening(&event);
        }
        let Event::Record(skeleton) = &event else {
            let sealed = row.sealed.as_deref().unwrap_or_default();
            if content_hash(sealed) != content {
                self.report
                    .tell(row.sequence, "its sealed details were changed");
            }
            self.event(row.sequence, &event);
            return Ok(());
        };
        self.report.records += 1;
        self.calls.add(skeleton.call);
        if let Some(by) = row.gone_by {
            return self.gone(connection, row.sequence, skeleton.key, by);
        }
        let Some(place) = &row.place else {
            self.report.tell(
                row.sequence,
                "its content has no place, and no purge or erasure says why",
            );
            return Ok(());
        };
        self.retention
            .add(place.segment, row.sequence, skeleton.expires_at());
        if self.is_overdue(skeleton) {
            self.retention.add_overdue(row.sequence);
        }
        let mut sealed = match self.contents.read(place) {
            Ok(sealed) => sealed,
            Err(error) => {
                if !self.is_gone_by_now(row.sequence) {
                    self.report.tell(
                        row.sequence,
                        format!(
                            "its content cannot be read, and no purge or erasure says why: {error}"
                        ),
                    );
                }
                return Ok(());
            }
        };
        if content_hash(&sealed) != content {
            if !self.is_gone_by_now(row.sequence) {
                let what = if sealed.iter().all(|byte| *byte == 0) {
                    "its content was overwritten, and no purge or erasure says why"
                } else {
                    "its sealed content was changed"
                };
                self.report.tell(row.sequence, what);
            }
            return Ok(());
        }
        self.key(connection, row, skeleton, &mut sealed)
    }

    /// Whether the key is there, or rightly gone.
    fn key(
        &mut self,
        connection: &Connection,
        row: &Row,
        skeleton: &Skeleton,
        sealed: &mut [u8],
    ) -> rusqlite::Result<()> {
        let Some(keyring) = self.keyring else {
            return Ok(());
        };
        let key = skeleton.key;
        match keyring.find(key) {
            Ok(Found::Key(key)) => {
                if skeleton.has_text() {
                    self.indexed.expect(row.sequence);
                }
                if !self.options.open {
                    return Ok(());
                }
                let opened = key.key.open(sealed, &row.header);
                if opened.is_none_or(|plain| Opened::read(plain).is_err()) {
                    self.report.tell(
                        row.sequence,
                        "its content does not open with its header: the header was changed",
                    );
                }
            }
            Ok(Found::Destroyed { by }) => self.gone(connection, row.sequence, key, by)?,
            Ok(Found::Unknown) => self.report.tell(
                row.sequence,
                format!("its key {key} is not in the key file, and no erasure says why"),
            ),
            Err(error) => self.report.tell(
                row.sequence,
                format!("its key {key} cannot be loaded: {error}"),
            ),
        }
        Ok(())
    }

    fn is_overdue(&self, skeleton: &Skeleton) -> bool {
        let (Some(now), Some(keyring)) = (self.options.now, self.keyring) else {
            return false;
        };
        let is_past = now.since(skeleton.expires_at()) > retention::GRACE;
        is_past && holder(keyring, &self.holds, skeleton).is_none()
    }

    /// Holds what is gone against the entry that is said to have taken it.
    fn gone(
        &mut self,
        connection: &Connection,
        sequence: u64,
        key: KeyId,
        by: u64,
    ) -> rusqlite::Result<()> {
        self.report.gone += 1;
        if self.covering.as_ref().is_none_or(|(known, _)| *known != by) {
            let header: Option<Vec<u8>> = connection
                .prepare_cached("SELECT header FROM chain WHERE sequence = ?")?
                .query_row([by.cast_signed()], |row| row.get(0))
                .optional()?;
            let event = header.and_then(|header| Event::from_header(&header).ok());
            self.covering = Some((by, event));
        }
        let covers = match self.covering.as_ref().and_then(|(_, event)| event.as_ref()) {
            Some(Event::Purged { ranges, keys }) => {
                // In order, so that many records of one purge are not many times many.
                let at = ranges.partition_point(|range| *range.end() < sequence);
                ranges
                    .get(at)
                    .is_some_and(|range| range.contains(&sequence))
                    || keys.binary_search(&key).is_ok()
            }
            Some(Event::Erased { keys, .. }) => keys.binary_search(&key).is_ok(),
            _ => false,
        };
        if !covers {
            self.report.tell(sequence, format!("its content is gone, and entry {by}, which is said to have taken it, does not cover it"));
        }
        Ok(())
    }

    /// A purge in another process since this began.
    fn is_gone_by_now(&self, sequence: u64) -> bool {
        let path = self.settings.dir.join("audit.sqlite");
        let read = || -> rusqlite::Result<Option<i64>> {
            Connection::open(path)?.query_row(
                "SELECT gone_by FROM chain WHERE sequence = ?",
                [sequence.cast_signed()],
                |row| row.get(0),
            )
        };
        matches!(read(), Ok(Some(_)))
    }

    /// What an entry itself says is wrong.
    fn event(&mut self, sequence: u64, event: &Event) {
        match event {
            Event::Damaged { segment, places } => self.report.tell(sequence, format!("{places} places of content file {segment} could not be read when they were to be chained")),
            Event::RolledBack { known, .. } => self.report.tell(sequence, format!("the log was rolled back or rewritten before it: the key file knew {known} entries, and another chain of {} was here", sequence - 1)),
            Event::Record(_)
            | Event::Opened { .. }
            | Event::Read(_)
            | Event::Held(_)
            | Event::Released { .. }
            | Event::Erased { .. }
            | Event::Purged { .. }
            | Event::Head(_)
            | Event::Rotated { .. } => {}
        }
    }

    fn opening(&mut self, event: &Event) {
        match event {
            Event::Opened {
                store,
                region,
                public_key,
            } => {
                if *store != self.store {
                    self.report
                        .tell(1, "it begins another store than the keys are of");
                }
                if *region != self.settings.region {
                    self.report.tell(
                        1,
                        format!(
                            "it says region `{region}`, and the configuration `{}`",
                            self.settings.region
                        ),
                    );
                }
                if *public_key != self.public_key {
                    self.report.tell(
                        1,
                        "its public key is not the one that heads are checked with",
                    );
                }
            }
            _ => self.report.tell(1, "the chain does not begin as one does"),
        }
    }

    fn head_entry(&mut self, row: &Row, head: &Head, last: u64, previous: &Hash) {
        self.report.heads += 1;
        if !head.is_signed_by(&self.public_key) {
            self.report.tell(
                row.sequence,
                "the head's signature is false: it was forged or changed",
            );
        }
        if head.store != self.store || head.sequence != last || head.hash != *previous {
            self.report
                .tell(row.sequence, "the head is not of the entry before it");
        }
    }
}

impl Row {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let number = |at| {
            row.get::<_, Option<i64>>(at)
                .map(|number| number.map(i64::cast_unsigned))
        };
        let header: Vec<u8> = row.get(2)?;
        let place = match (number(5)?, number(6)?, number(7)?) {
            (Some(segment), Some(offset), Some(length)) if is_record(&header) => Some(Place {
                segment,
                offset,
                length,
            }),
            _ => None,
        };
        Ok(Self {
            sequence: row.get::<_, i64>(0)?.cast_unsigned(),
            at: row.get(1)?,
            header,
            content_hash: row.get(3)?,
            hash: row.get(4)?,
            place,
            gone_by: number(8)?,
            sealed: row.get(9)?,
        })
    }
}
