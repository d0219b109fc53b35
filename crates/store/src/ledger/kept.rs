//! A statement whose values stay bound from row to row: most columns of a call hold what the call
//! before it held, and binding a value costs as much as storing it.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection};

/// What a batch inserts with.
pub(super) struct Kept<'c> {
    statement: CachedStatement<'c>,
    /// By place, what is bound.
    bound: Vec<Bound>,
}

/// A text and bytes keep their room when another value takes their place.
#[derive(Debug, Default)]
struct Bound {
    kind: Kind,
    integer: i64,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    /// As a statement comes.
    #[default]
    Null,
    Integer,
    Text,
    Blob,
}

/// The rows of one execution, whose columns are given in their order.
pub(super) struct Rows<'k, 'c> {
    kept: &'k mut Kept<'c>,
    column: usize,
}

impl<'c> Kept<'c> {
    pub(super) fn new(connection: &'c Connection, sql: &str) -> rusqlite::Result<Self> {
        let statement = connection.prepare_cached(sql)?;
        let columns = statement.parameter_count();
        Ok(Self {
            statement,
            bound: std::iter::repeat_with(Bound::default)
                .take(columns)
                .collect(),
        })
    }

    pub(super) fn rows(&mut self) -> Rows<'_, 'c> {
        Rows {
            kept: self,
            column: 0,
        }
    }
}

impl Bound {
    /// Whether it held something else before.
    fn replace(&mut self, value: ValueRef<'_>) -> bool {
        let (kind, bytes): (_, &[u8]) = match value {
            ValueRef::Integer(integer) => {
                let is_new = self.kind != Kind::Integer || self.integer != integer;
                (self.kind, self.integer) = (Kind::Integer, integer);
                return is_new;
            }
            ValueRef::Text(text) => (Kind::Text, text),
            ValueRef::Blob(blob) => (Kind::Blob, blob),
            ValueRef::Null | ValueRef::Real(_) => (Kind::Null, &[]),
        };
        if self.kind == kind && self.bytes == bytes {
            return false;
        }
        self.kind = kind;
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        true
    }
}

impl Rows<'_, '_> {
    pub(super) fn integer(&mut self, integer: i64) -> rusqlite::Result<()> {
        self.value(ValueRef::Integer(integer))
    }

    pub(super) fn optional_integer(&mut self, integer: Option<i64>) -> rusqlite::Result<()> {
        self.value(integer.map_or(ValueRef::Null, ValueRef::Integer))
    }

    pub(super) fn text(&mut self, text: &str) -> rusqlite::Result<()> {
        self.value(ValueRef::Text(text.as_bytes()))
    }

    pub(super) fn optional_text(&mut self, text: Option<&str>) -> rusqlite::Result<()> {
        self.value(text.map_or(ValueRef::Null, |text| ValueRef::Text(text.as_bytes())))
    }

    pub(super) fn blob(&mut self, blob: &[u8]) -> rusqlite::Result<()> {
        self.value(ValueRef::Blob(blob))
    }

    /// How many rows came of it: none if the conflict clause says so.
    pub(super) fn insert(self) -> rusqlite::Result<usize> {
        let given = self.column;
        debug_assert_eq!(given, self.kept.bound.len(), "a column has no value");
        self.kept.statement.raw_execute()
    }

    fn value(&mut self, value: ValueRef<'_>) -> rusqlite::Result<()> {
        let column = self.column;
        self.column += 1;
        let is_new = match self.kept.bound.get_mut(column) {
            Some(bound) => bound.replace(value),
            // One too many: the statement says so.
            None => true,
        };
        if is_new {
            let statement = &mut self.kept.statement;
            statement.raw_bind_parameter(column + 1, ToSqlOutput::Borrowed(value))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Values = (i64, Option<i64>, String, Option<String>, Vec<u8>);

    fn any_values() -> impl Strategy<Value = Values> {
        // Few of each kind, so that many rows have what the row before them had.
        (
            0..2i64,
            prop_oneof![Just(None), (0..2i64).prop_map(Some)],
            "[ab]{0,2}",
            prop_oneof![Just(None), "[ab]{0,2}".prop_map(Some)],
            proptest::collection::vec(97..99u8, 0..3),
        )
    }

    proptest! {
        #[test]
        fn every_row_has_its_own_values(rows in proptest::collection::vec(any_values(), 0..30)) {
            let connection = Connection::open_in_memory().unwrap();
            connection.execute_batch("CREATE TABLE t (a, b, c, d, e)").unwrap();
            // Twice: a statement comes from the cache as if it were new.
            for half in rows.chunks(rows.len() / 2 + 1) {
                let mut kept = Kept::new(&connection, "INSERT INTO t VALUES (?,?,?,?,?)").unwrap();
                for (a, b, c, d, e) in half {
                    let mut row = kept.rows();
                    row.integer(*a).unwrap();
                    row.optional_integer(*b).unwrap();
                    row.text(c).unwrap();
                    row.optional_text(d.as_deref()).unwrap();
                    row.blob(e).unwrap();
                    prop_assert_eq!(row.insert().unwrap(), 1);
                }
            }
            let mut select = connection.prepare("SELECT a, b, c, d, e FROM t ORDER BY rowid").unwrap();
            let read: Vec<Values> = select
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            prop_assert_eq!(read, rows);
        }
    }
}
