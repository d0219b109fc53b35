//! Columns of a table, whose head says once what the values of all its rows are.

use std::ops::Range;

use super::context::REACH_BYTES;

/// Where a value of a table stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Column {
    place: Place,
    end: usize,
}

impl Column {
    /// `None` if the value stands in no table.
    pub(super) fn of(bytes: &[u8], value: Range<usize>) -> Option<Self> {
        let place = Place::of(bytes, value.start)?;
        let end = value.end;
        Some(Self { place, end })
    }

    /// Whether what begins at `at` stands below the value, in the next row.
    pub(super) fn goes_on_at(self, bytes: &[u8], at: usize) -> bool {
        let is_near = at.saturating_sub(self.end) <= REACH_BYTES;
        is_near && is_next_row(&bytes[self.end..at]) && Place::of(bytes, at) == Some(self.place)
    }

    /// The first `bytes` of the text are gone.
    pub(super) fn shifted(self, bytes: usize) -> Option<Self> {
        let end = self.end.checked_sub(bytes)?;
        Some(Self { end, ..self })
    }
}

fn is_next_row(between: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', between).count() == 1
}

/// Behind so many delimiters of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    delimiter: u8,
    index: usize,
}

impl Place {
    fn of(bytes: &[u8], start: usize) -> Option<Self> {
        let near = &bytes[start.saturating_sub(REACH_BYTES)..start];
        let line = match memchr::memrchr(b'\n', near) {
            Some(end) => &near[end + 1..],
            None if near.len() == start => near,
            None => return None,
        };
        let before = line.strip_suffix(b"\"").unwrap_or(line);
        let delimiter = match before.last() {
            None => b'\n',
            Some(byte @ (b',' | b';' | b'\t')) => *byte,
            // Others are followed by a space in a sentence too.
            _ if before.trim_ascii_end().ends_with(b"|") => b'|',
            _ => return None,
        };
        let index = memchr::memchr_iter(delimiter, before).count();
        Some(Self { delimiter, index })
    }
}
