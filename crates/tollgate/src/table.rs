//! Rows for people as an aligned table, for spreadsheets as CSV. JSON is each command's own.

use clap::ValueEnum;
use report::writer::push_csv_text;

use crate::print::harmless;

/// How a command prints its rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns, for people.
    #[default]
    Table,
    /// RFC 4180, with a header line.
    Csv,
    /// An array of objects.
    Json,
}

#[derive(Debug, Default)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    /// Below a line; in no CSV.
    total: Option<Vec<Cell>>,
}

#[derive(Clone, Debug)]
struct Column {
    name: String,
    numeric: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Text(String),
    Number(u64),
    /// Any other number, as it is to be written.
    Decimal(String),
}

impl Table {
    pub fn column(mut self, name: &str) -> Self {
        self.columns.push(Column {
            name: name.to_owned(),
            numeric: false,
        });
        self
    }

    pub fn number(mut self, name: &str) -> Self {
        self.columns.push(Column {
            name: name.to_owned(),
            numeric: true,
        });
        self
    }

    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    pub fn total(&mut self, cells: Vec<Cell>) {
        self.total = Some(cells);
    }

    /// Text to the left, numbers to the right, two spaces between.
    pub fn aligned(&self) -> String {
        let lines: Vec<Vec<String>> = self
            .rows
            .iter()
            .chain(&self.total)
            .map(|row| row.iter().map(Cell::for_people).collect())
            .collect();
        let width = |index: usize| {
            let cells = lines
                .iter()
                .filter_map(|line| line.get(index))
                .map(|cell| cell.chars().count());
            cells
                .max()
                .unwrap_or(0)
                .max(self.columns[index].name.chars().count())
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut text = String::new();
        let heads: Vec<String> = self
            .columns
            .iter()
            .map(|column| column.name.clone())
            .collect();
        self.line(&mut text, &heads, &widths);
        for (index, line) in lines.iter().enumerate() {
            if index == self.rows.len() {
                let dashes: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
                self.line(&mut text, &dashes, &widths);
            }
            self.line(&mut text, line, &widths);
        }
        text
    }

    fn line(&self, text: &mut String, cells: &[String], widths: &[usize]) {
        let mut line = String::new();
        for ((cell, width), column) in cells.iter().zip(widths).zip(&self.columns) {
            let room = " ".repeat(width.saturating_sub(cell.chars().count()));
            let (before, after) = if column.numeric {
                (room.as_str(), "")
            } else {
                ("", room.as_str())
            };
            line.push_str(before);
            line.push_str(cell);
            line.push_str(after);
            line.push_str("  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }

    pub fn csv(&self) -> String {
        let mut text = String::new();
        let heads = self.columns.iter().map(|column| Cell::text(&column.name));
        push_csv_row(&mut text, &heads.collect::<Vec<_>>());
        for row in &self.rows {
            push_csv_row(&mut text, row);
        }
        text
    }
}

fn push_csv_row(text: &mut String, row: &[Cell]) {
    for (index, cell) in row.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        match cell {
            Cell::Text(words) => push_csv_text(text, words),
            Cell::Number(number) => text.push_str(&number.to_string()),
            // A minus sign makes no formula of a number.
            Cell::Decimal(number) => text.push_str(number),
        }
    }
    text.push_str("\r\n");
}

impl Cell {
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    fn for_people(&self) -> String {
        match self {
            Self::Text(text) if text.is_empty() => "-".to_owned(),
            Self::Text(text) => harmless(text),
            Self::Number(number) => thousands(*number),
            Self::Decimal(number) if number.is_empty() => "-".to_owned(),
            Self::Decimal(number) => number.clone(),
        }
    }
}

/// `1,234,567`
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 error`, `3 errors`
pub fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::default().column("team").number("tokens");
        table.row(vec![Cell::text("search, EU"), Cell::Number(1_234_567)]);
        table.row(vec![Cell::text(""), Cell::Number(8)]);
        table
    }

    #[test]
    fn numbers_stand_to_the_right_with_separators_and_a_total_below_a_line() {
        let mut table = table();
        table.total(vec![Cell::text("total"), Cell::Number(1_234_575)]);
        let lines = [
            "team           tokens",
            "search, EU  1,234,567",
            "-                   8",
            "----------  ---------",
            "total       1,234,575",
        ];
        assert_eq!(table.aligned(), lines.join("\n") + "\n");
    }

    #[test]
    fn csv_quotes_what_needs_it_and_numbers_have_no_separators() {
        assert_eq!(
            table().csv(),
            "team,tokens\r\n\"search, EU\",1234567\r\n,8\r\n"
        );
    }

    #[test]
    fn separators_stand_between_every_three_digits() {
        let written = [0, 999, 1_000, 123_456, 1_000_000].map(thousands);
        assert_eq!(written, ["0", "999", "1,000", "123,456", "1,000,000"]);
    }
}
