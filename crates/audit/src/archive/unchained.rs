//! What stands in segments and is not on the chain yet: whoever decides about all that a key sealed waits
//! for it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use domain::{CallId, Wall};
use foldhash::HashSet;

use super::Archive;
use crate::AuditError;
use crate::bytes::Reader;
use crate::database::State;
use crate::event::is_record;
use crate::frame::Scan;
use crate::keys::KeyId;
use crate::query::Scope;
use crate::record::Numbers;
use crate::segment;

/// Between two looks: a gateway chains what it wrote after some 200 ms.
const PAUSE: Duration = Duration::from_millis(20);
/// Thirty seconds' worth.
const LOOKS_MAX: u32 = 1_500;
/// Read at once.
const PIECE_BYTES: u64 = 1024 * 1024;

impl Archive {
    /// From here on these keys seal nothing, and all that they sealed is on the chain.
    pub(super) fn settle_keys(
        &mut self,
        keys: &HashSet<KeyId>,
        now: Wall,
    ) -> Result<(), AuditError> {
        let exclusive = self.keyring.exclusive()?;
        self.keyring.retire(&exclusive, keys)?;
        // Whoever chains may need it.
        drop(exclusive);
        for _ in 0..LOOKS_MAX {
            if !self.any_unchained(&mut |record| keys.contains(&record.key))? {
                return Ok(());
            }
            // If the gateway that wrote them runs no more.
            self.catch_up(now)?;
            std::thread::sleep(PAUSE);
        }
        Err(AuditError::Store(format!(
            "records in {} wait to be chained, and it is not known yet what they are; nothing was erased, try again once the chain lags no more",
            self.settings.dir.display()
        )))
    }

    /// Those of these calls that have a record, on the chain or on its way there.
    pub fn recorded(&mut self, calls: &[CallId]) -> Result<HashSet<CallId>, AuditError> {
        let mut recorded = HashSet::default();
        // First: what is chained meanwhile is found there.
        self.any_unchained(&mut |record| {
            if calls.contains(&record.call) {
                recorded.insert(record.call);
            }
            false
        })?;
        for call in calls {
            if !recorded.contains(call) && self.has(*call, &Scope::All)? {
                recorded.insert(*call);
            }
        }
        Ok(recorded)
    }

    fn any_unchained(&self, is_it: &mut dyn FnMut(&Numbers) -> bool) -> Result<bool, AuditError> {
        // Before looking: what is chained meanwhile is found all the same, and looked for again.
        let state =
            State::read(&self.database.connection).map_err(|error| self.database.faulty(&error))?;
        let failed = |error: &io::Error| crate::database::unusable(&self.settings.dir, error);
        let dir = self.settings.segments_dir();
        let numbers = segment::numbers(&dir).map_err(|error| failed(&error))?;
        for number in numbers
            .into_iter()
            .filter(|number| *number >= state.segment)
        {
            let file = match File::open(segment::path_of(&dir, number)) {
                // A spare one that was not needed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => file.map_err(|error| failed(&error))?,
            };
            let start = if number == state.segment {
                state.offset
            } else {
                0
            };
            if has_any(&file, number, start, is_it).map_err(|error| failed(&error))? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Such a record from `start` on.
fn has_any(
    file: &File,
    number: u64,
    start: u64,
    is_it: &mut dyn FnMut(&Numbers) -> bool,
) -> io::Result<bool> {
    let end = file.metadata()?.len();
    let (mut offset, mut wanted) = (start, PIECE_BYTES);
    let mut buffer = Vec::new();
    while offset < end {
        buffer.resize(usize::try_from(wanted.min(end - offset)).unwrap_or(0), 0);
        match file.read_exact_at(&mut buffer, offset) {
            // Given back meanwhile: only room that no frame took is.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return has_any(file, number, start, is_it);
            }
            read => read?,
        }
        let mut scan = Scan::new(&buffer, number, offset, end);
        while let Some(found) = scan.next() {
            if numbers(found.header).is_some_and(|record| is_it(&record)) {
                return Ok(true);
            }
        }
        wanted = match scan.wanted {
            Some(more) if scan.offset() == offset => more as u64,
            _ => PIECE_BYTES,
        };
        offset = scan.offset();
    }
    Ok(false)
}

fn numbers(header: &[u8]) -> Option<Numbers> {
    if !is_record(header) {
        return None;
    }
    Numbers::read(&mut Reader::new(header.get(2..)?)).ok()
}
