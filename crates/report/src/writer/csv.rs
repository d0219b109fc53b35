//! RFC 4180, and safe to open in a spreadsheet: a text that a spreadsheet would take for a formula
//! gets an apostrophe in front. Clients choose some of these names.

use std::io::{self, Write};

use super::rfc3339;
use crate::decimal::Decimal;
use crate::sheet::{Cell, Column, Kind};

#[derive(Debug)]
pub struct Writer<W: Write> {
    to: W,
    kinds: Vec<Kind>,
    line: String,
}

impl<W: Write> Writer<W> {
    pub fn new(to: W, columns: &[Column]) -> io::Result<Self> {
        let mut writer = Self {
            to,
            kinds: columns.iter().map(|column| column.kind).collect(),
            line: String::new(),
        };
        let names: Vec<Cell> = columns
            .iter()
            .map(|column| Cell::text(column.name))
            .collect();
        writer.row(&names)?;
        Ok(writer)
    }

    pub fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        self.line.clear();
        for (index, (cell, kind)) in cells.iter().zip(&self.kinds).enumerate() {
            if index > 0 {
                self.line.push(',');
            }
            match cell {
                Cell::Null => {}
                Cell::Text(text) => push_text(&mut self.line, text),
                Cell::Count(count) => self.line.push_str(&count.to_string()),
                Cell::Decimal(decimal) => push_decimal(&mut self.line, *decimal, *kind),
                Cell::Time(at) => self.line.push_str(&rfc3339::text(*at)),
            }
        }
        self.line.push_str("\r\n");
        self.to.write_all(self.line.as_bytes())
    }

    pub fn finish(self) -> W {
        self.to
    }
}

/// Readers tell a column's type by what stands in it: amounts have a point even when they are whole.
fn push_decimal(line: &mut String, decimal: Decimal, kind: Kind) {
    let text = decimal.to_string();
    line.push_str(&text);
    if kind != (Kind::Decimal { scale: 0 }) && !text.contains('.') {
        line.push_str(".0");
    }
}

/// Quoted if it must be, harmless in a spreadsheet.
pub fn push_text(line: &mut String, text: &str) {
    let guard = if is_formula(text) { "'" } else { "" };
    if !text.contains([',', '"', '\n', '\r']) {
        line.push_str(guard);
        line.push_str(text);
        return;
    }
    line.push('"');
    line.push_str(guard);
    line.push_str(&text.replace('"', "\"\""));
    line.push('"');
}

/// What Excel, LibreOffice and Google Sheets would run or look up. Spaces in front do not stop them.
fn is_formula(text: &str) -> bool {
    text.starts_with(['\t', '\r', '\n'])
        || text.trim_start().starts_with([
            '=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
        ])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::invoice::csv::Reader;

    fn written(rows: &[Vec<Cell>]) -> String {
        let columns = [Column::text("application"), Column::decimal("cost", 9)];
        let mut writer = Writer::new(Vec::new(), &columns).unwrap();
        for row in rows {
            writer.row(row).unwrap();
        }
        String::from_utf8(writer.finish()).unwrap()
    }

    #[test]
    fn names_that_would_be_formulas_are_texts_and_numbers_stay_numbers() {
        let row =
            |name: &str, cost: &str| vec![Cell::text(name), Cell::Decimal(cost.parse().unwrap())];
        let text = written(&[
            row("=HYPERLINK(\"http://evil\",\"x\")", "-1.5"),
            row("@SUM(A1)", "0"),
            row(" +1", "2"),
            row("night-batch", "3"),
        ]);
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(
            lines,
            [
                "application,cost",
                "\"'=HYPERLINK(\"\"http://evil\"\",\"\"x\"\")\",-1.5",
                "'@SUM(A1),0.0",
                "' +1,2.0",
                "night-batch,3.0",
                ""
            ]
        );
    }

    proptest! {
        #[test]
        fn every_text_reads_back_but_for_its_guard(text in "\\PC{0,12}|[=+@\",\r\n -]{0,6}") {
            let whole = written(&[vec![Cell::text(&text), Cell::Null]]);
            let mut reader = Reader::new(whole.as_bytes()).unwrap();
            let row = reader.row().unwrap().unwrap();
            let guarded = if is_formula(&text) { format!("'{text}") } else { text };
            prop_assert_eq!(row.field(0), guarded);
        }
    }
}
