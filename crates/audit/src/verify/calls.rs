//! Calls that are on record twice: two gateways wrote one store, or one wrote what another had.

use domain::CallId;
use foldhash::{HashMap, HashSet};
use rusqlite::Connection;

use super::{PROBLEMS_MAX, Report};
use crate::bytes::Reader;
use crate::event::is_record;
use crate::record::Numbers;

/// Eight bytes each. Past it, calls are told apart from those of the same so many alone.
const AT_ONCE: usize = 16 * 1024 * 1024;

#[derive(Default)]
pub(super) struct Calls {
    folded: Vec<u64>,
    /// What came twice, and may be of two calls.
    suspects: HashSet<u64>,
}

impl Calls {
    pub(super) fn add(&mut self, call: CallId) {
        if self.folded.len() == AT_ONCE {
            self.settle();
        }
        self.folded.push(fold(call));
    }

    fn settle(&mut self) {
        self.folded.sort_unstable();
        let same = self.folded.windows(2).filter(|pair| pair[0] == pair[1]);
        let room = PROBLEMS_MAX.saturating_sub(self.suspects.len());
        self.suspects.extend(same.map(|pair| pair[0]).take(room));
        self.folded.clear();
    }

    /// Looks at the chain once more if there is something to tell.
    pub(super) fn tell_twice(
        mut self,
        connection: &Connection,
        report: &mut Report,
    ) -> rusqlite::Result<()> {
        self.settle();
        if self.suspects.is_empty() {
            return Ok(());
        }
        let mut first = HashMap::<u128, u64>::default();
        let mut select =
            connection.prepare("SELECT sequence, header FROM chain ORDER BY sequence")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let sequence = row.get::<_, i64>(0)?.cast_unsigned();
            let header = row.get_ref(1)?.as_blob().unwrap_or_default();
            let Some(call) = call_of(header).filter(|call| self.suspects.contains(&fold(*call)))
            else {
                continue;
            };
            let first = *first.entry(call.0).or_insert(sequence);
            if first != sequence {
                report.tell(sequence, format!("its call is on record already, as entry {first}: two gateways wrote to the store"));
            }
        }
        Ok(())
    }
}

fn fold(call: CallId) -> u64 {
    (call.0 >> 64) as u64 ^ call.0 as u64
}

fn call_of(header: &[u8]) -> Option<CallId> {
    if !is_record(header) {
        return None;
    }
    let record = Numbers::read(&mut Reader::new(header.get(2..)?)).ok()?;
    Some(record.call)
}
