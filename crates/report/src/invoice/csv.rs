//! Reads RFC 4180 row by row, strictly: what is malformed is an error with its line, never a guess.
//! Memory is bounded by one row.

use std::io::{self, BufRead};

/// Azure's rows carry tags and details of some kilobytes.
const ROW_BYTES_MAX: usize = 1024 * 1024;
const FIELDS_MAX: usize = 1024;

#[derive(Debug)]
pub struct Reader<R> {
    from: R,
    header: Vec<String>,
    /// Of the next row's start, counted from 1.
    line: u64,
    row: Row,
}

#[derive(Debug, Default)]
pub struct Row {
    pub line: u64,
    text: String,
    /// Where fields end in `text`.
    ends: Vec<usize>,
}

#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    #[error("line {line}: {problem}")]
    Malformed { line: u64, problem: String },
    #[error("the file is empty: it needs a header line that names its columns")]
    Empty,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl<R: BufRead> Reader<R> {
    /// Reads the header.
    pub fn new(from: R) -> Result<Self, CsvError> {
        let mut reader = Self {
            from,
            header: Vec::new(),
            line: 1,
            row: Row::default(),
        };
        if !reader.read()? {
            return Err(CsvError::Empty);
        }
        let mut header: Vec<String> = reader
            .row
            .fields()
            .map(|name| name.trim().to_owned())
            .collect();
        // What spreadsheets and Azure put in front of UTF-8.
        if let Some(first) = header.first_mut()
            && let Some(rest) = first.strip_prefix('\u{feff}')
        {
            *first = rest.trim_matches('"').to_owned();
        }
        if header.len() == 1 && header[0].contains([';', '\t']) {
            return Err(malformed(
                1,
                "the header has no commas; export the file with commas between columns".to_owned(),
            ));
        }
        reader.header = header;
        Ok(reader)
    }

    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// `None` at the end. Empty lines are passed over.
    pub fn row(&mut self) -> Result<Option<&Row>, CsvError> {
        loop {
            if !self.read()? {
                return Ok(None);
            }
            if self.row.text.is_empty() && self.row.ends.len() == 1 && self.header.len() > 1 {
                continue;
            }
            if self.row.ends.len() != self.header.len() {
                let problem = format!(
                    "{} fields where the header has {}",
                    self.row.ends.len(),
                    self.header.len()
                );
                return Err(malformed(self.row.line, problem));
            }
            return Ok(Some(&self.row));
        }
    }

    /// The next row into `self.row`; `false` at the end of the file.
    fn read(&mut self) -> Result<bool, CsvError> {
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        let start = self.line;
        let mut state = State::FieldStart;
        let mut any = false;
        loop {
            let available = self.from.fill_buf()?;
            if available.is_empty() {
                if !any {
                    return Ok(false);
                }
                if state == State::Quoted {
                    return Err(malformed(
                        start,
                        "a quote is opened and never closed".to_owned(),
                    ));
                }
                ends.push(bytes.len());
                break;
            }
            any = true;
            let mut taken = 0;
            let mut ended = false;
            for &byte in available {
                taken += 1;
                if byte == b'\n' {
                    self.line += 1;
                }
                state = match step(state, byte) {
                    Step::Keep(next) => {
                        bytes.push(byte);
                        next
                    }
                    Step::Skip(next) => next,
                    Step::EndField => {
                        ends.push(bytes.len());
                        State::FieldStart
                    }
                    Step::EndRow => {
                        ends.push(bytes.len());
                        ended = true;
                        break;
                    }
                    Step::Fault(problem) => return Err(malformed(start, problem.to_owned())),
                };
            }
            self.from.consume(taken);
            if bytes.len() > ROW_BYTES_MAX || ends.len() > FIELDS_MAX {
                let problem = format!(
                    "a row of more than {ROW_BYTES_MAX} bytes or {FIELDS_MAX} fields; is a quote not closed?"
                );
                return Err(malformed(start, problem));
            }
            if ended {
                break;
            }
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| malformed(start, "not UTF-8; export the file as UTF-8".to_owned()))?;
        self.row = Row {
            line: start,
            text,
            ends,
        };
        Ok(true)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    FieldStart,
    Plain,
    Quoted,
    /// Behind a quote within quotes: either the first of two, or the end.
    QuoteInQuoted,
    /// Behind a carriage return.
    Return,
}

enum Step {
    Keep(State),
    Skip(State),
    EndField,
    EndRow,
    Fault(&'static str),
}

fn step(state: State, byte: u8) -> Step {
    match (state, byte) {
        (State::Quoted, b'"') => Step::Skip(State::QuoteInQuoted),
        (State::Quoted, _) => Step::Keep(State::Quoted),
        (State::QuoteInQuoted, b'"') => Step::Keep(State::Quoted),
        (State::Return, b'\n')
        | (State::FieldStart | State::Plain | State::QuoteInQuoted, b'\n') => Step::EndRow,
        (State::Return, _) => Step::Fault("a carriage return within a field that is not quoted"),
        (_, b'\r') => Step::Skip(State::Return),
        (_, b',') => Step::EndField,
        (State::FieldStart, b'"') => Step::Skip(State::Quoted),
        (State::Plain, b'"') => Step::Fault("a quote within a field that does not begin with one"),
        (State::QuoteInQuoted, _) => Step::Fault("text behind a field's closing quote"),
        (State::FieldStart | State::Plain, _) => Step::Keep(State::Plain),
    }
}

impl Row {
    pub fn field(&self, index: usize) -> &str {
        let start = match index.checked_sub(1) {
            None => 0,
            Some(before) => self.ends.get(before).copied().unwrap_or(self.text.len()),
        };
        let end = self.ends.get(index).copied().unwrap_or(self.text.len());
        self.text.get(start..end).unwrap_or_default()
    }

    pub fn fields(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|index| self.field(index))
    }
}

fn malformed(line: u64, problem: String) -> CsvError {
    CsvError::Malformed { line, problem }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(text: &[u8]) -> Result<Vec<(u64, Vec<String>)>, CsvError> {
        // A tiny buffer, so that every field is split somewhere.
        let mut reader = Reader::new(io::BufReader::with_capacity(3, text))?;
        let mut rows = vec![(1, reader.header().to_vec())];
        while let Some(row) = reader.row()? {
            rows.push((row.line, row.fields().map(str::to_owned).collect()));
        }
        Ok(rows)
    }

    fn fault(text: &[u8]) -> String {
        rows(text).unwrap_err().to_string()
    }

    #[test]
    fn rows_are_read_with_the_line_where_they_start() {
        let text = b"\xef\xbb\xbfdate,meter,cost\r\n2026-11-01,\"a \"\"b\"\",\nc\",1.5\r\n\r\n2026-11-02,,2";
        let read = rows(text).unwrap();
        assert_eq!(read[0].1, ["date", "meter", "cost"]);
        assert_eq!(
            read[1],
            (
                2,
                vec!["2026-11-01".into(), "a \"b\",\nc".into(), "1.5".into()]
            )
        );
        assert_eq!(
            read[2],
            (5, vec!["2026-11-02".into(), String::new(), "2".into()])
        );
    }

    #[test]
    fn what_is_malformed_is_named_with_its_line() {
        assert!(fault(b"").contains("empty"));
        assert!(fault(b"a;b\n1;2\n").contains("no commas"));
        assert_eq!(
            fault(b"a,b\n1,2\n3\n"),
            "line 3: 1 fields where the header has 2"
        );
        assert!(fault(b"a,b\n\"1,2\n3,4\n").starts_with("line 2: a quote is opened"));
        assert!(fault(b"a,b\n1\"2,3\n").starts_with("line 2: a quote within"));
        assert!(fault(b"a,b\n\"1\"x,3\n").starts_with("line 2: text behind"));
        assert!(fault(b"a,b\n1\r2,3\n").starts_with("line 2: a carriage return"));
        assert!(fault(b"a,b\n\xff,3\n").starts_with("line 2: not UTF-8"));
        let endless = [b"a,b\n\"".as_slice(), &[b'x'; ROW_BYTES_MAX + 10]].concat();
        assert!(fault(&endless).contains("bytes"));
        let wide = [b"a,b\n".as_slice(), &[b','; FIELDS_MAX + 10]].concat();
        assert!(fault(&wide).contains("fields"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(text in prop::collection::vec(prop::sample::select(b"a,\"\n\r\xff".to_vec()), 0..40)) {
            let _ = rows(&text);
        }
    }
}
