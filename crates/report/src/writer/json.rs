//! An array of objects, one a line. Decimals are numbers as they stand: exact in every reader that
//! does not make floats of them.

use std::io::{self, Write};

use super::rfc3339;
use crate::sheet::{Cell, Column};

#[derive(Debug)]
pub struct Writer<W: Write> {
    to: W,
    rows: u64,
    line: String,
}

impl<W: Write> Writer<W> {
    pub fn new(mut to: W) -> io::Result<Self> {
        to.write_all(b"[")?;
        Ok(Self {
            to,
            rows: 0,
            line: String::new(),
        })
    }

    pub fn row(&mut self, columns: &[Column], cells: &[Cell]) -> io::Result<()> {
        self.line.clear();
        self.line
            .push_str(if self.rows == 0 { "\n  {" } else { ",\n  {" });
        for (index, (column, cell)) in columns.iter().zip(cells).enumerate() {
            if index > 0 {
                self.line.push_str(", ");
            }
            push_string(&mut self.line, column.name);
            self.line.push_str(": ");
            match cell {
                Cell::Null => self.line.push_str("null"),
                Cell::Text(text) => push_string(&mut self.line, text),
                Cell::Count(count) => self.line.push_str(&count.to_string()),
                Cell::Decimal(decimal) => self.line.push_str(&decimal.to_string()),
                Cell::Time(at) => push_string(&mut self.line, &rfc3339::text(*at)),
            }
        }
        self.line.push('}');
        self.rows += 1;
        self.to.write_all(self.line.as_bytes())
    }

    pub fn finish(mut self) -> io::Result<W> {
        let end: &[u8] = if self.rows == 0 { b"]\n" } else { b"\n]\n" };
        self.to.write_all(end)?;
        Ok(self.to)
    }
}

fn push_string(line: &mut String, text: &str) {
    line.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use domain::Wall;
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_are_objects_of_an_array_and_none_is_an_empty_one() {
        let columns = [
            Column::text("team"),
            Column::count("calls"),
            Column::time("at"),
        ];
        let mut writer = Writer::new(Vec::new()).unwrap();
        for row in [
            [Cell::text("a \"b\"\n"), Cell::Count(3), Cell::Null],
            [Cell::Null, Cell::Count(0), Cell::Time(Wall(0))],
        ] {
            writer.row(&columns, &row).unwrap();
        }
        let read: serde_json::Value = serde_json::from_slice(&writer.finish().unwrap()).unwrap();
        assert_eq!(
            read,
            json!([
                { "team": "a \"b\"\n", "calls": 3, "at": null },
                { "team": null, "calls": 0, "at": "1970-01-01T00:00:00Z" },
            ])
        );
        let empty = Writer::new(Vec::new()).unwrap().finish().unwrap();
        assert_eq!(empty, b"[]\n");
    }
}
