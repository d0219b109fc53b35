//! The thread that writes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use domain::Wall;
use foldhash::{HashMap, HashMapExt};

use super::database::{Database, is_damaged, set_aside};
use super::warm::Warm;
use super::{Message, Shared};
use crate::{Entry, EntryId};

/// Written in one transaction.
const BATCH: usize = 256;
/// How often it looks at what commands and erasures changed, and at what is over.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    /// None while it cannot be opened.
    pub(super) database: Option<Database>,
    queued: Receiver<Message>,
    /// What is on disk and in memory.
    pub(super) by_id: HashMap<EntryId, Arc<Entry>>,
    pub(super) warm: Option<Warm>,
    /// Of the database, as other connections change it.
    pub(super) version: i64,
    /// Looks since it was last written which entries were used.
    pub(super) looks: u32,
    looked_at: Wall,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        database: Option<Database>,
        queued: Receiver<Message>,
    ) -> Self {
        let mut writer = Self {
            looked_at: shared.memory.now(),
            shared,
            warm: None,
            database: None,
            queued,
            by_id: HashMap::new(),
            version: 0,
            looks: 0,
        };
        if let Some(database) = database {
            writer.begin_with(database);
        }
        writer
    }

    /// Purges that no gateway has applied yet are of no use any more: their rows are gone, and nothing is in
    /// memory yet. They are looked at all the same, as one that came this moment would be.
    fn begin_with(&mut self, database: Database) {
        self.version = 0;
        self.warm = Some(Warm::default());
        self.shared.is_warming.store(true, Ordering::Release);
        self.database = Some(database);
    }

    pub(super) fn run(mut self) {
        self.look();
        loop {
            let patience = match self.warm {
                Some(_) => Duration::ZERO,
                None => LOOK_EVERY,
            };
            let mut batch = Vec::new();
            let mut is_quiet = false;
            match self.queued.recv_timeout(patience) {
                Ok(first) => {
                    batch.push(first);
                    batch.extend(self.queued.try_iter().take(BATCH - 1));
                }
                Err(RecvTimeoutError::Timeout) => is_quiet = self.warm.is_none(),
                Err(RecvTimeoutError::Disconnected) => {
                    self.write(Vec::new());
                    self.note_uses();
                    return;
                }
            }
            self.turn(batch, is_quiet);
        }
    }

    fn turn(&mut self, batch: Vec<Message>, is_quiet: bool) {
        let mut waiting = Vec::new();
        let mut writes = Vec::with_capacity(batch.len());
        for message in batch {
            match message {
                Message::CatchUp(done) => waiting.push(done),
                message => writes.push(message),
            }
        }
        self.write(writes);
        let now = self.shared.memory.now();
        if is_quiet || !waiting.is_empty() || now.since(self.looked_at) >= LOOK_EVERY {
            self.looked_at = now;
            self.look();
        }
        // A look may take nothing back to the queue's senders, so a start goes on between any two batches.
        self.warm_some();
        while !waiting.is_empty() && self.warm.is_some() {
            self.warm_some();
        }
        if !waiting.is_empty() {
            // What was found to be over while starting.
            self.write(Vec::new());
        }
        for done in waiting {
            // Who asked may have gone.
            let _ = done.send(());
        }
    }

    /// A damaged file is set aside, and the next one begins empty; anything else is tried again.
    pub(super) fn failed(&mut self, error: &rusqlite::Error) {
        let path = match &self.database {
            Some(database) => database.path().display().to_string(),
            None => "of the cache".to_owned(),
        };
        self.shared.note_fault(format!("{path}: {error}"));
        if is_damaged(error) {
            self.replace();
        }
    }

    pub(super) fn replace(&mut self) {
        // Before the file is: nothing may be written to one that has another name.
        self.database = None;
        self.warm = None;
        self.by_id = HashMap::new();
        self.shared.is_warming.store(false, Ordering::Release);
        self.shared.is_suspect.store(false, Ordering::Release);
        self.shared.file.fetch_add(1, Ordering::AcqRel);
        match set_aside(self.dir()) {
            Ok(()) => self.open(),
            Err(error) => self
                .shared
                .note_fault(format!("cannot set the cache's database aside: {error}")),
        }
    }

    pub(super) fn open(&mut self) {
        let settings = &self.shared.settings;
        match Database::open(&settings.dir, settings.bytes_max) {
            Ok(database) => self.begin_with(database),
            Err(fault) => self.shared.note_fault(fault),
        }
    }

    fn dir(&self) -> &Path {
        &self.shared.settings.dir
    }
}
