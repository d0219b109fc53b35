//! Records' rows, several with one statement: what a statement costs besides its rows is paid once.

use std::sync::LazyLock;

use domain::Wall;
use rusqlite::{Statement, Transaction};

use crate::chain::Hash;
use crate::segment::Place;

/// With one statement. More make it no faster.
const AT_ONCE: usize = 16;
const COLUMNS: usize = 7;
static SEVERAL: LazyLock<String> = LazyLock::new(|| insert(AT_ONCE));
static ONE: LazyLock<String> = LazyLock::new(|| insert(1));

/// A record on the chain.
pub(super) struct Entry<'a> {
    pub(super) sequence: u64,
    pub(super) at: Wall,
    pub(super) header: &'a [u8],
    pub(super) content_hash: Hash,
    pub(super) hash: Hash,
    pub(super) place: Place,
}

/// What is left at the end is written by `finish`.
#[must_use]
pub(super) struct Rows<'t, 'a> {
    transaction: &'t Transaction<'t>,
    segment: u64,
    waiting: Vec<Entry<'a>>,
}

impl<'t, 'a> Rows<'t, 'a> {
    /// Of records that stand in this segment.
    pub(super) fn new(transaction: &'t Transaction<'t>, segment: u64) -> Self {
        Self {
            transaction,
            segment,
            waiting: Vec::with_capacity(AT_ONCE),
        }
    }

    pub(super) fn insert(&mut self, entry: Entry<'a>) -> rusqlite::Result<()> {
        self.waiting.push(entry);
        if self.waiting.len() == AT_ONCE {
            self.write(&SEVERAL, AT_ONCE)?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> rusqlite::Result<()> {
        while !self.waiting.is_empty() {
            self.write(&ONE, 1)?;
        }
        Ok(())
    }

    /// The first of those that wait.
    fn write(&mut self, insert: &str, count: usize) -> rusqlite::Result<()> {
        let mut statement = self.transaction.prepare_cached(insert)?;
        statement.raw_bind_parameter(1, self.segment.cast_signed())?;
        for (number, entry) in self.waiting.drain(..count).enumerate() {
            bind(&mut statement, 2 + number * COLUMNS, &entry)?;
        }
        statement.raw_execute()?;
        Ok(())
    }
}

fn bind(statement: &mut Statement<'_>, first: usize, entry: &Entry<'_>) -> rusqlite::Result<()> {
    let Entry {
        sequence,
        at,
        header,
        content_hash,
        hash,
        place,
    } = entry;
    statement.raw_bind_parameter(first, sequence.cast_signed())?;
    statement.raw_bind_parameter(first + 1, at.0)?;
    statement.raw_bind_parameter(first + 2, header)?;
    statement.raw_bind_parameter(first + 3, content_hash)?;
    statement.raw_bind_parameter(first + 4, hash)?;
    statement.raw_bind_parameter(first + 5, place.offset.cast_signed())?;
    statement.raw_bind_parameter(first + 6, place.length.cast_signed())
}

fn insert(count: usize) -> String {
    let rows: Vec<String> = (0..count)
        .map(|number| {
            let places: Vec<String> = (0..COLUMNS)
                .map(|column| format!("?{}", 2 + number * COLUMNS + column))
                .collect();
            format!("(?1,{})", places.join(","))
        })
        .collect();
    format!(
        "INSERT INTO chain (segment, sequence, at, header, content_hash, hash, offset, length) VALUES {}",
        rows.join(",")
    )
}
