//! Whether the search index has every record that it says it has.

use rusqlite::Connection;

use super::Report;
use crate::database::{Failed, State};
use crate::index;
use crate::keys::Keyring;

#[derive(Default)]
pub(super) struct Indexed {
    up_to: u64,
    /// A bit for each entry.
    covered: Vec<u64>,
    lacks: u64,
    first_lacking: Option<u64>,
    is_wrong: bool,
}

impl Indexed {
    /// Before records are looked at: the keys of what is found live then were live here.
    pub(super) fn read(
        connection: &Connection,
        keyring: &Keyring,
        report: &mut Report,
    ) -> rusqlite::Result<Self> {
        let mut indexed = Self {
            up_to: State::read(connection)?.indexed,
            ..Self::default()
        };
        let mut covered = Vec::new();
        // As long as the holders of the keys say, and not as somebody wrote into the database.
        let found = |sequence: u64| {
            let at = (sequence / 64) as usize;
            if covered.len() <= at {
                covered.resize(at + 1, 0);
            }
            covered[at] |= 1 << (sequence % 64);
        };
        let all = 1..=i64::MAX.cast_unsigned();
        match index::search(connection, keyring, &[], all, |_| true, found) {
            Ok(()) => {}
            Err(Failed::Database(error)) => return Err(error),
            Err(Failed::Other(error)) => {
                report.tell(None, error.to_string());
                indexed.is_wrong = true;
                // What else it lacks is made anew with it.
                indexed.up_to = 0;
            }
        }
        indexed.covered = covered;
        Ok(indexed)
    }

    /// A record that has words, and whose content opens.
    pub(super) fn expect(&mut self, sequence: u64) {
        let bits = self.covered.get((sequence / 64) as usize);
        let is_covered = bits.is_some_and(|bits| bits >> (sequence % 64) & 1 == 1);
        if sequence <= self.up_to && !is_covered {
            self.lacks += 1;
            self.first_lacking.get_or_insert(sequence);
            self.is_wrong = true;
        }
    }

    /// True if it is to be made anew.
    pub(super) fn tell(&self, report: &mut Report) -> bool {
        if let Some(first) = self.first_lacking {
            let lacks = self.lacks;
            report.tell(first, format!("the search index lacks it, as of {lacks} in all: searches for its words may have found nothing; the index is made anew"));
        }
        self.is_wrong
    }
}
