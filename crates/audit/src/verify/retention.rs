//! Whether contents go on their day: what purges look at, as the headers have it, and what is overdue.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::Wall;
use rusqlite::{Connection, OptionalExtension};

use super::Report;

/// A purge comes each hour, and a gateway may have been stopped for a while.
pub(super) const GRACE: Duration = Duration::from_secs(6 * 3_600);

#[derive(Default)]
pub(super) struct Retention {
    files: BTreeMap<u64, File>,
    overdue: u64,
    first_overdue: Option<u64>,
}

/// Of the contents that are left in one.
struct File {
    first: u64,
    last: u64,
    /// When the first of them may go.
    expires: Wall,
}

impl Retention {
    pub(super) fn add(&mut self, segment: u64, sequence: u64, expires: Wall) {
        let file = self.files.entry(segment).or_insert(File {
            first: sequence,
            last: sequence,
            expires,
        });
        file.last = sequence;
        file.expires = file.expires.min(expires);
    }

    pub(super) fn add_overdue(&mut self, sequence: u64) {
        self.overdue += 1;
        self.first_overdue.get_or_insert(sequence);
    }

    pub(super) fn tell(
        &self,
        connection: &Connection,
        report: &mut Report,
    ) -> rusqlite::Result<()> {
        let mut select =
            connection.prepare("SELECT first, last, expires FROM segments WHERE number = ?")?;
        for (number, file) in &self.files {
            let noted = select
                .query_row([number.cast_signed()], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .optional()?;
            if !noted.is_some_and(|noted| file.is_purged_by(noted)) {
                report.tell(file.first, format!("its file of contents {number} is noted to be purged later than its records say, or not at all: retention was switched off for it"));
            }
        }
        if let Some(first) = self.first_overdue {
            let overdue = self.overdue;
            report.tell(first, format!("its content is past its days by hours and on no hold, as of {overdue} in all: run `tollgate audit purge`"));
        }
        Ok(())
    }
}

impl File {
    /// Whether a purge sees all of it, and no later than the first of it is due. One that comes earlier
    /// sets it right.
    fn is_purged_by(&self, (first, last, expires): (i64, i64, Option<i64>)) -> bool {
        let covers = first <= self.first.cast_signed() && self.last.cast_signed() <= last;
        covers && expires.is_some_and(|expires| expires <= self.expires.0)
    }
}
