//! One column of a row group: which rows have a value, then the values, plainly one after the other.

use std::io;

use super::thrift::{Struct, push_varint};
use crate::sheet::{Cell, Column, Kind};

pub const PLAIN: i32 = 0;
pub const RLE: i32 = 3;
/// The codec's number.
pub const ZSTD: i32 = 6;

/// A report is written once and read often, but its size hardly matters.
const COMPRESSION_LEVEL: i32 = 3;

#[derive(Debug)]
pub struct Page {
    scale: u32,
    /// Runs of rows that have a value, or have none, in turn; the first run has none.
    runs: Vec<u32>,
    values: Vec<u8>,
}

/// A page as it stands in the file.
#[derive(Debug)]
pub struct Written {
    pub header: Vec<u8>,
    pub body: Vec<u8>,
    pub uncompressed: usize,
}

impl Page {
    pub fn new(column: &Column) -> Self {
        let scale = match column.kind {
            Kind::Decimal { scale } => scale,
            Kind::Text | Kind::Count | Kind::Time => 0,
        };
        Self {
            scale,
            runs: Vec::new(),
            values: Vec::new(),
        }
    }

    pub fn bytes(&self) -> usize {
        self.values.len() + self.runs.len() * size_of::<u32>()
    }

    pub fn push(&mut self, cell: &Cell) -> io::Result<()> {
        match cell {
            Cell::Null => {}
            Cell::Text(text) => {
                let length = u32::try_from(text.len()).map_err(|_| too_large(cell))?;
                self.values.extend(length.to_le_bytes());
                self.values.extend(text.as_bytes());
            }
            Cell::Count(count) => {
                let count = i64::try_from(*count).map_err(|_| too_large(cell))?;
                self.values.extend(count.to_le_bytes());
            }
            Cell::Decimal(decimal) => {
                let units = decimal.units(self.scale).ok_or_else(|| too_large(cell))?;
                self.values.extend(units.to_be_bytes());
            }
            Cell::Time(at) => self.values.extend(at.0.to_le_bytes()),
        }
        self.count(*cell != Cell::Null);
        Ok(())
    }

    fn count(&mut self, present: bool) {
        // Runs at odd places have values.
        let fits = self.runs.len().is_multiple_of(2) == present && !self.runs.is_empty();
        if !fits {
            if self.runs.is_empty() && present {
                self.runs.push(0);
            }
            self.runs.push(0);
        }
        if let Some(run) = self.runs.last_mut() {
            *run += 1;
        }
    }

    /// The rows so far as a page; starts anew.
    pub fn take(&mut self) -> io::Result<Written> {
        let mut levels = Vec::new();
        let mut rows = 0_u32;
        for (index, run) in std::mem::take(&mut self.runs).into_iter().enumerate() {
            rows += run;
            if run > 0 {
                // A run of the hybrid encoding: its length, and the level in one byte.
                push_varint(&mut levels, u64::from(run) << 1);
                levels.push(u8::from(index % 2 == 1));
            }
        }
        let mut plain = (levels.len() as u32).to_le_bytes().to_vec();
        plain.append(&mut levels);
        plain.append(&mut self.values);
        let body = zstd::bulk::compress(&plain, COMPRESSION_LEVEL)?;
        let mut data = Struct::new();
        data.i32(1, rows.cast_signed());
        data.i32(2, PLAIN);
        data.i32(3, RLE);
        data.i32(4, RLE);
        let mut header = Struct::new();
        header.i32(1, 0);
        header.i32(2, plain.len() as i32);
        header.i32(3, body.len() as i32);
        header.struct_(5, data);
        Ok(Written {
            header: header.end(),
            body,
            uncompressed: plain.len(),
        })
    }
}

fn too_large(cell: &Cell) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("too large for a Parquet file: {cell:?}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_are_runs_and_take_no_room_among_the_values() {
        let mut page = Page::new(&Column::count("calls"));
        for cell in [Cell::Null, Cell::Count(7), Cell::Count(8), Cell::Null] {
            page.push(&cell).unwrap();
        }
        let written = page.take().unwrap();
        let plain = zstd::bulk::decompress(&written.body, written.uncompressed).unwrap();
        let levels = [2, 0, 4, 1, 2, 0];
        assert_eq!(plain[..4], [levels.len() as u8, 0, 0, 0]);
        assert_eq!(plain[4..10], levels);
        assert_eq!(plain[10..18], 7_i64.to_le_bytes());
        assert_eq!(plain.len(), 26);
        assert_eq!(page.bytes(), 0);
    }
}
