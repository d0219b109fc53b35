//! Where sinks stand: on the ledger, and in each audit store. Neither needs a key.

use anyhow::Result;
use audit::AuditError;
use config::Snapshot;
use config::snapshot::{AuditStore, RecordKind, Sink};
use domain::{AuditStoreId, Wall};
use store::ledger::follow;

/// What a sink follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Ledger,
    Store(AuditStoreId),
}

/// One sink's place there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) sink: String,
    pub(super) origin: Origin,
    pub(super) waiting: u64,
    pub(super) oldest: Option<Wall>,
    pub(super) missed: u64,
    pub(super) moved_at: Wall,
}

impl Origin {
    pub(super) fn of(sink: &Sink) -> Self {
        match &sink.records {
            RecordKind::Usage => Self::Ledger,
            RecordKind::Audit(records) => Self::Store(records.store.clone()),
        }
    }

    /// What comes from there, in a message.
    pub(super) fn records(&self) -> &'static str {
        match self {
            Self::Ledger => "calls",
            Self::Store(_) => "audit records",
        }
    }

    /// As the configuration says it: `usage`, `audit`.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Ledger => "usage",
            Self::Store(_) => "audit",
        }
    }

    pub(super) fn store(&self) -> Option<&str> {
        match self {
            Self::Ledger => None,
            Self::Store(id) => Some(id.as_str()),
        }
    }

    fn places(&self, snapshot: &Snapshot) -> Result<Vec<Place>> {
        let Self::Store(id) = self else {
            let cursors = follow::cursors(&snapshot.settings.data_dir)?.into_iter();
            let place = |cursor: follow::CursorState| Place {
                sink: cursor.name,
                origin: self.clone(),
                waiting: cursor.lag.records,
                oldest: cursor.lag.oldest,
                missed: 0,
                moved_at: cursor.moved_at,
            };
            return Ok(cursors.map(place).collect());
        };
        let Some(store) = snapshot.auditing.store(id) else {
            return Ok(Vec::new());
        };
        let cursors = there(store, audit::cursors(&store.dir))?.unwrap_or_default();
        let place = |cursor: audit::Cursor| Place {
            sink: cursor.name,
            origin: self.clone(),
            waiting: cursor.lag.records,
            oldest: cursor.lag.oldest,
            missed: cursor.lag.missed,
            moved_at: cursor.moved_at,
        };
        Ok(cursors.into_iter().map(place).collect())
    }

    /// How many records come again; `None`: no sink of that name has a place there.
    pub(super) fn rewind(
        &self,
        snapshot: &Snapshot,
        sink: &str,
        since: Wall,
        now: Wall,
    ) -> Result<Option<u64>> {
        let Self::Store(id) = self else {
            let data_dir = &snapshot.settings.data_dir;
            return Ok(follow::rewind(data_dir, sink, since, now)?);
        };
        let Some(store) = snapshot.auditing.store(id) else {
            return Ok(None);
        };
        let rewound = audit::rewind(&store.dir, sink, since, now);
        there(store, rewound).map(Option::flatten)
    }

    /// False: no sink of that name has a place there.
    pub(super) fn forget(&self, snapshot: &Snapshot, sink: &str) -> Result<bool> {
        let Self::Store(id) = self else {
            return Ok(follow::forget(&snapshot.settings.data_dir, sink)?);
        };
        let Some(store) = snapshot.auditing.store(id) else {
            return Ok(false);
        };
        let forgotten = there(store, audit::forget(&store.dir, sink))?;
        Ok(forgotten.unwrap_or(false))
    }
}

/// Every place, of sinks that are no more too: of the ledger first, then of each store.
pub(super) fn all(snapshot: &Snapshot) -> Result<Vec<Place>> {
    let mut all = Origin::Ledger.places(snapshot)?;
    for store in &snapshot.auditing.stores {
        all.extend(Origin::Store(store.id.clone()).places(snapshot)?);
    }
    Ok(all)
}

/// What a sink that is configured follows; of one that is not, wherever it has a place.
pub(super) fn of_name(snapshot: &Snapshot, sink: &str) -> Result<Vec<Origin>> {
    let declared = snapshot
        .sinks
        .iter()
        .find(|known| known.id.as_str() == sink);
    if let Some(declared) = declared {
        return Ok(vec![Origin::of(declared)]);
    }
    let places = all(snapshot)?.into_iter();
    let theirs = places.filter(|place| place.sink == sink);
    Ok(theirs.map(|place| place.origin).collect())
}

/// `None`: nothing was ever recorded there.
fn there<T>(store: &AuditStore, read: Result<T, AuditError>) -> Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(AuditError::NotFound(_)) => Ok(None),
        Err(error) => Err(anyhow::anyhow!("audit store `{}`: {error}", store.id)),
    }
}
