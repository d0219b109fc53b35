//! How placeholders are written: by us, `<EMAIL_1>`, and by models, who change their case and escape
//! them as the text around them wants it.
//!
//! Without its brackets `EMAIL_1` may be anything, a column or a variable: that is none.

use std::ops::Range;

/// A placeholder as it stands in a text.
#[derive(Debug, PartialEq, Eq)]
pub struct Written {
    pub len: usize,
    /// As we would write it, without brackets: `EMAIL_1`.
    pub name: String,
    pub form: Form,
}

/// What its brackets say of the text around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `<EMAIL_1>`; in Markdown `\<EMAIL\_1\>`.
    Plain,
    /// `&lt;EMAIL_1&gt;`
    Html,
    /// `%3CEMAIL_1%3E`, in links.
    Percent,
    /// `\u003cEMAIL_1\u003e`, in JSON that is text.
    Json,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Reading {
    Placeholder(Written),
    /// The text ends before it can be told.
    Unfinished,
    Nothing,
}

/// What a placeholder may begin with.
pub const MARKS: [char; 4] = ['<', '&', '%', '\\'];

/// Longest placeholder in bytes, as we write it: `<CONNECTION_STRING_4294967295>`.
pub const PLACEHOLDER_BYTES_MAX: usize = 32;

/// With brackets of seven bytes, `\\u003c`, and every underscore escaped.
pub const WRITTEN_BYTES_MAX: usize = 64;

/// `\_` in Markdown, `\\_` where that is in JSON.
const SLASHES_MAX: usize = 2;

/// Every placeholder of `text`, whether it stands for something or not.
pub fn all(text: &str) -> impl Iterator<Item = (Range<usize>, Written)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        while let Some(at) = text[from..].find(MARKS) {
            let start = from + at;
            from = start + 1;
            if let Reading::Placeholder(written) = read(&text[start..]) {
                from = start + written.len;
                return Some((start..from, written));
            }
        }
        None
    })
}

/// What `text` begins with.
pub fn read(text: &str) -> Reading {
    let mut reader = Reader {
        text: text.as_bytes(),
        at: 0,
    };
    match reader.placeholder() {
        Ok(written) => Reading::Placeholder(written),
        Err(Miss::Unfinished) => Reading::Unfinished,
        Err(Miss::Nothing) => Reading::Nothing,
    }
}

enum Miss {
    Unfinished,
    Nothing,
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
}

impl Reader<'_> {
    fn placeholder(&mut self) -> Result<Written, Miss> {
        let slashes = self.slashes()?;
        let form = self.opening(slashes)?;
        let (name, is_escaped) = self.name()?;
        let closing_slashes = self.slashes_before();
        self.closing(form, closing_slashes)?;
        // Alone, it is no escape: `C:\Users\<NAME_1>`.
        let is_lone = slashes > 0 && closing_slashes == 0 && !is_escaped;
        if form == Form::Plain && is_lone || name.is_empty() {
            return Err(Miss::Nothing);
        }
        Ok(Written {
            len: self.at,
            name,
            form,
        })
    }

    fn opening(&mut self, slashes: usize) -> Result<Form, Miss> {
        let (form, bracket) = match (self.next()?, slashes) {
            (b'<', _) => (Form::Plain, "<"),
            (b'&', 0) => (Form::Html, "&lt;"),
            (b'%', 0) => (Form::Percent, "%3c"),
            (b'u', 1..) => (Form::Json, "u003c"),
            _ => return Err(Miss::Nothing),
        };
        self.expect(bracket)?;
        Ok(form)
    }

    /// Ends before the closing bracket. Also, whether one of its underscores is escaped.
    fn name(&mut self) -> Result<(String, bool), Miss> {
        let mut name = String::new();
        let mut is_escaped = false;
        loop {
            let slashes = self.slashes()?;
            match self.next()? {
                b'_' => is_escaped |= slashes > 0,
                byte if slashes == 0 && byte.is_ascii_alphanumeric() => {}
                _ => return Ok((name, is_escaped)),
            }
            name.push(char::from(self.next()?.to_ascii_uppercase()));
            self.at += 1;
            if name.len() > PLACEHOLDER_BYTES_MAX - "<>".len() {
                return Err(Miss::Nothing);
            }
        }
    }

    fn closing(&mut self, form: Form, slashes: usize) -> Result<(), Miss> {
        let bracket = match (form, slashes) {
            (Form::Plain, _) => ">",
            (Form::Html, 0) => "&gt;",
            (Form::Percent, 0) => "%3e",
            (Form::Json, 1..) => "u003e",
            (Form::Html | Form::Percent | Form::Json, _) => return Err(Miss::Nothing),
        };
        self.expect(bracket)
    }

    fn slashes(&mut self) -> Result<usize, Miss> {
        let mut count = 0;
        while count < SLASHES_MAX && self.next()? == b'\\' {
            self.at += 1;
            count += 1;
        }
        Ok(count)
    }

    fn slashes_before(&self) -> usize {
        let before = self.text[..self.at].iter().rev();
        before.take_while(|byte| **byte == b'\\').count()
    }

    fn expect(&mut self, bracket: &str) -> Result<(), Miss> {
        for byte in bracket.bytes() {
            if self.next()?.to_ascii_lowercase() != byte {
                return Err(Miss::Nothing);
            }
            self.at += 1;
        }
        Ok(())
    }

    fn next(&self) -> Result<u8, Miss> {
        if self.at >= WRITTEN_BYTES_MAX {
            return Err(Miss::Nothing);
        }
        self.text.get(self.at).copied().ok_or(Miss::Unfinished)
    }
}
