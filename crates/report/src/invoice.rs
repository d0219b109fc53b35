//! What a provider says that it delivered and what it wants for that: lines of an invoice, a cost
//! export or a usage export, in the layouts that providers have. Strict: a line that is not understood
//! is an error with its number, and what is passed over is counted.

pub mod csv;
mod date;
mod layout;
mod mapping;
mod meter;

use std::io::BufRead;

use jiff::civil::Date;

pub use csv::CsvError;
use layout::Layout;
pub use layout::LayoutKind;
pub use mapping::{Mapping, MappingError, Target, target_and_column};
pub use meter::{Names, Rule, RuleError, TokenKind};

use crate::decimal::Decimal;

/// A row of the invoice, or one kind of token of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub day: Date,
    /// As the provider calls it: a model, or a meter that may name one.
    pub item: String,
    pub kind: TokenKind,
    pub tokens: Option<i64>,
    pub cost: Option<Decimal>,
}

#[derive(Debug, thiserror::Error)]
pub enum InvoiceError {
    #[error(transparent)]
    Csv(#[from] CsvError),
    #[error("the header fits no known layout (azure, openai, focus): {0}")]
    UnknownLayout(String),
    #[error("{0}")]
    Mapping(#[from] MappingError),
    #[error("line {line}: {column}: `{value}` {problem}")]
    Field {
        line: u64,
        column: String,
        value: String,
        problem: String,
    },
    #[error(
        "line {line}: costs in {second} where there were costs in {first}; compare one currency at a time"
    )]
    Currencies {
        line: u64,
        first: String,
        second: String,
    },
}

#[derive(Debug)]
pub struct Reader<R> {
    rows: csv::Reader<R>,
    layout: Layout,
    /// Of the costs so far, in capitals.
    currency: Option<String>,
    read: u64,
    skipped: u64,
}

impl<R: BufRead> Reader<R> {
    /// `kind`: `None` to tell it by the header.
    pub fn new(from: R, kind: Option<LayoutKind>, mapping: &Mapping) -> Result<Self, InvoiceError> {
        let rows = csv::Reader::new(from)?;
        let layout = Layout::of(rows.header(), kind, mapping)?;
        Ok(Self {
            rows,
            layout,
            currency: None,
            read: 0,
            skipped: 0,
        })
    }

    pub fn layout(&self) -> LayoutKind {
        self.layout.kind()
    }

    pub fn currency(&self) -> Option<&str> {
        self.currency.as_deref()
    }

    /// Rows that were read, and how many of them are of other services.
    pub fn counts(&self) -> (u64, u64) {
        (self.read, self.skipped)
    }

    /// The next row's lines go to the end of `lines`; `false` at the end of the file.
    pub fn lines(&mut self, lines: &mut Vec<Line>) -> Result<bool, InvoiceError> {
        let Some(row) = self.rows.row()? else {
            return Ok(false);
        };
        self.read += 1;
        let before = lines.len();
        let currency = self.layout.read(row, lines)?;
        if lines.len() == before {
            self.skipped += 1;
            return Ok(true);
        }
        let Some(second) = currency else {
            return Ok(true);
        };
        match &self.currency {
            Some(first) if *first != second => Err(InvoiceError::Currencies {
                line: row.line,
                first: first.clone(),
                second,
            }),
            Some(_) => Ok(true),
            None => {
                self.currency = Some(second);
                Ok(true)
            }
        }
    }
}

#[cfg(test)]
mod tests;
