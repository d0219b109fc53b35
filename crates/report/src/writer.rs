//! Writes rows as they come, in one of the formats that machines read. What is held back is bounded:
//! nothing, or one row group of Parquet.

mod csv;
mod json;
mod parquet;
mod rfc3339;

use std::io::{self, Write};

pub use csv::push_text as push_csv_text;

use crate::sheet::{Cell, Column};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, with a header line.
    Csv,
    /// An array of objects.
    Json,
    Parquet,
}

#[derive(Debug)]
pub struct Writer<W: Write> {
    columns: Vec<Column>,
    form: Form<W>,
}

#[derive(Debug)]
enum Form<W: Write> {
    Csv(csv::Writer<W>),
    Json(json::Writer<W>),
    Parquet(parquet::Writer<W>),
}

impl<W: Write> Writer<W> {
    pub fn new(to: W, format: Format, columns: Vec<Column>) -> io::Result<Self> {
        let form = match format {
            Format::Csv => Form::Csv(csv::Writer::new(to, &columns)?),
            Format::Json => Form::Json(json::Writer::new(to)?),
            Format::Parquet => Form::Parquet(parquet::Writer::new(to, &columns)?),
        };
        Ok(Self { columns, form })
    }

    /// A row that does not fit the columns is an error, so that no file has it.
    pub fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        self.check(cells)?;
        match &mut self.form {
            Form::Csv(writer) => writer.row(cells),
            Form::Json(writer) => writer.row(&self.columns, cells),
            Form::Parquet(writer) => writer.row(cells),
        }
    }

    /// Without this the file is not whole.
    pub fn finish(self) -> io::Result<W> {
        let mut to = match self.form {
            Form::Csv(writer) => writer.finish(),
            Form::Json(writer) => writer.finish()?,
            Form::Parquet(writer) => writer.finish()?,
        };
        to.flush()?;
        Ok(to)
    }

    fn check(&self, cells: &[Cell]) -> io::Result<()> {
        if cells.len() != self.columns.len() {
            let fault = format!(
                "a row of {} for {} columns",
                cells.len(),
                self.columns.len()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, fault));
        }
        match self
            .columns
            .iter()
            .zip(cells)
            .find(|(column, cell)| !column.takes(cell))
        {
            None => Ok(()),
            Some((column, cell)) => {
                let fault = format!("the column {} cannot hold {cell:?}", column.name);
                Err(io::Error::new(io::ErrorKind::InvalidInput, fault))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decimal::Decimal;

    #[test]
    fn a_row_that_does_not_fit_its_columns_is_in_no_file() {
        let columns = vec![Column::text("team"), Column::decimal("cost", 9)];
        for format in [Format::Csv, Format::Json, Format::Parquet] {
            let mut writer = Writer::new(Vec::new(), format, columns.clone()).unwrap();
            let fine = "0.0000000001".parse::<Decimal>().unwrap();
            for row in [
                vec![Cell::text("search")],
                vec![Cell::Count(1), Cell::Null],
                vec![Cell::Null, Cell::Decimal(fine)],
            ] {
                assert!(writer.row(&row).is_err(), "{row:?}");
            }
        }
    }
}
