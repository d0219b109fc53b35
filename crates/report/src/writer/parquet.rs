//! Apache Parquet, as little of it as reports need: flat nullable columns, one plain page for each
//! column of a row group, zstd. Written by hand: the `parquet` crate brings 28 others, among them the
//! second calendar that `deny.toml` bans, for what are three hundred lines.
//!
//! <https://parquet.apache.org/docs/file-format/>

mod page;
mod thrift;

use std::io::{self, Write};

use page::Page;
use thrift::Struct;

use crate::sheet::{Cell, Column, Kind};

const MAGIC: &[u8; 4] = b"PAR1";

/// A row group is held in memory until it is written; readers like them large.
const ROWS_MAX: usize = 64 * 1024;
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// Bytes of a decimal: 38 digits.
const DECIMAL_BYTES: i32 = 16;
const DECIMAL_DIGITS: i32 = 38;

#[derive(Debug)]
pub struct Writer<W: Write> {
    to: W,
    written: i64,
    columns: Vec<Column>,
    pages: Vec<Page>,
    rows: usize,
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    rows: i64,
    chunks: Vec<Chunk>,
}

/// Where a column of a row group lies.
#[derive(Debug)]
struct Chunk {
    offset: i64,
    rows: i64,
    compressed: i64,
    uncompressed: i64,
}

impl<W: Write> Writer<W> {
    pub fn new(mut to: W, columns: &[Column]) -> io::Result<Self> {
        to.write_all(MAGIC)?;
        Ok(Self {
            to,
            written: MAGIC.len() as i64,
            columns: columns.to_vec(),
            pages: columns.iter().map(Page::new).collect(),
            rows: 0,
            groups: Vec::new(),
        })
    }

    pub fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        for (page, cell) in self.pages.iter_mut().zip(cells) {
            page.push(cell)?;
        }
        self.rows += 1;
        let bytes: usize = self.pages.iter().map(Page::bytes).sum();
        if self.rows >= ROWS_MAX || bytes >= BYTES_MAX {
            self.end_group()?;
        }
        Ok(())
    }

    pub fn finish(mut self) -> io::Result<W> {
        if self.rows > 0 {
            self.end_group()?;
        }
        let footer = self.footer();
        self.to.write_all(&footer)?;
        self.to.write_all(&(footer.len() as u32).to_le_bytes())?;
        self.to.write_all(MAGIC)?;
        Ok(self.to)
    }

    fn end_group(&mut self) -> io::Result<()> {
        let rows = std::mem::take(&mut self.rows) as i64;
        let mut chunks = Vec::with_capacity(self.pages.len());
        for page in &mut self.pages {
            let written = page.take()?;
            self.to.write_all(&written.header)?;
            self.to.write_all(&written.body)?;
            let compressed = (written.header.len() + written.body.len()) as i64;
            chunks.push(Chunk {
                offset: self.written,
                rows,
                compressed,
                uncompressed: (written.header.len() + written.uncompressed) as i64,
            });
            self.written += compressed;
        }
        self.groups.push(Group { rows, chunks });
        Ok(())
    }

    /// `FileMetaData`. The numbers are field ids of parquet.thrift.
    fn footer(&self) -> Vec<u8> {
        let mut file = Struct::new();
        file.i32(1, 1);
        let mut schema = vec![root(&self.columns)];
        schema.extend(self.columns.iter().map(element));
        file.structs(2, schema);
        file.i64(3, self.groups.iter().map(|group| group.rows).sum());
        let groups = self.groups.iter().map(|group| self.group(group)).collect();
        file.structs(4, groups);
        file.string(6, concat!("tollgate version ", env!("CARGO_PKG_VERSION")));
        file.end()
    }

    fn group(&self, group: &Group) -> Struct {
        let mut columns = Vec::with_capacity(self.columns.len());
        for (column, chunk) in self.columns.iter().zip(&group.chunks) {
            let mut meta = Struct::new();
            meta.i32(1, physical(column.kind));
            meta.i32s(2, &[page::PLAIN, page::RLE]);
            meta.strings(3, &[column.name]);
            meta.i32(4, page::ZSTD);
            meta.i64(5, chunk.rows);
            meta.i64(6, chunk.uncompressed);
            meta.i64(7, chunk.compressed);
            meta.i64(9, chunk.offset);
            let mut whole = Struct::new();
            whole.i64(2, chunk.offset);
            whole.struct_(3, meta);
            columns.push(whole);
        }
        let mut written = Struct::new();
        written.structs(1, columns);
        let bytes = group.chunks.iter().map(|chunk| chunk.uncompressed).sum();
        written.i64(2, bytes);
        written.i64(3, group.rows);
        written
    }
}

fn root(columns: &[Column]) -> Struct {
    let mut root = Struct::new();
    root.string(4, "schema");
    root.i32(5, columns.len() as i32);
    root
}

/// INT64, `BYTE_ARRAY` or `FIXED_LEN_BYTE_ARRAY`.
fn physical(kind: Kind) -> i32 {
    match kind {
        Kind::Count | Kind::Time => 2,
        Kind::Text => 6,
        Kind::Decimal { .. } => 7,
    }
}

/// `SchemaElement`, with the type in its old form (6 to 8) and its new one (10).
fn element(column: &Column) -> Struct {
    const OPTIONAL: i32 = 1;
    const UTF8: i32 = 0;
    const DECIMAL: i32 = 5;
    const TIMESTAMP_MILLIS: i32 = 9;
    let mut element = Struct::new();
    element.i32(1, physical(column.kind));
    if let Kind::Decimal { .. } = column.kind {
        element.i32(2, DECIMAL_BYTES);
    }
    element.i32(3, OPTIONAL);
    element.string(4, column.name);
    let mut logical = Struct::new();
    match column.kind {
        Kind::Count => return element,
        Kind::Text => {
            element.i32(6, UTF8);
            logical.struct_(1, Struct::new());
        }
        Kind::Decimal { scale } => {
            element.i32(6, DECIMAL);
            element.i32(7, scale as i32);
            element.i32(8, DECIMAL_DIGITS);
            let mut decimal = Struct::new();
            decimal.i32(1, scale as i32);
            decimal.i32(2, DECIMAL_DIGITS);
            logical.struct_(5, decimal);
        }
        Kind::Time => {
            element.i32(6, TIMESTAMP_MILLIS);
            let mut millis = Struct::new();
            millis.struct_(1, Struct::new());
            let mut timestamp = Struct::new();
            timestamp.bool(1, true);
            timestamp.struct_(2, millis);
            logical.struct_(8, timestamp);
        }
    }
    element.struct_(10, logical);
    element
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decimal::Decimal;

    #[test]
    fn a_file_opens_and_closes_with_the_magic_and_says_how_long_its_footer_is() {
        let columns = [Column::text("team"), Column::decimal("cost", 9)];
        let mut writer = Writer::new(Vec::new(), &columns).unwrap();
        writer
            .row(&[Cell::text("search"), Cell::Decimal(Decimal::whole(1))])
            .unwrap();
        let file = writer.finish().unwrap();
        assert_eq!(
            (&file[..4], &file[file.len() - 4..]),
            (&MAGIC[..], &MAGIC[..])
        );
        let length: [u8; 4] = file[file.len() - 8..file.len() - 4].try_into().unwrap();
        let footer = file.len() - 8 - u32::from_le_bytes(length) as usize;
        // Field 1, an i32, zigzag of 1.
        assert_eq!(file[footer..footer + 2], [0x15, 2]);
    }

    #[test]
    fn rows_past_a_group_go_into_the_next() {
        let columns = [Column::count("calls")];
        let mut writer = Writer::new(Vec::new(), &columns).unwrap();
        for number in 0..ROWS_MAX as u64 + 1 {
            writer.row(&[Cell::Count(number)]).unwrap();
        }
        assert_eq!((writer.groups.len(), writer.rows), (1, 1));
    }
}
