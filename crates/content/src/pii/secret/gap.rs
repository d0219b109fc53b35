//! What stands between a secret's name and its value: ` = "`, `:** `, `</b> `, ` is: `, `: &str = "`.

use super::name::Name;
use super::quote::{Quote, typographic};

/// A value's start is looked for this far behind its name.
const GAP_BYTES_MAX: usize = 48;
/// Before a name: what it is part of is looked for no farther away.
const BEFORE_BYTES_MAX: usize = 40;

/// How a value is given to its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// `=`, `:=` or `=>`.
    Assign { is_spaced: bool },
    /// `:`, a verb, or an XML element's tag.
    Say,
    /// `Password:` and the value below it.
    SayBelow,
    /// `define('PASSWORD', '…')`, `PASSWORD '…'`.
    Argument,
    /// `--password …`.
    Option,
}

/// Where a value stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) start: usize,
    pub(super) sign: Sign,
    pub(super) quote: Option<Quote>,
    /// `**…**`: what emphasizes it is none of it.
    pub(super) is_emphasized: bool,
}

/// What is behind a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    pub(super) place: Option<Place>,
    /// What is still to come may say otherwise.
    pub(super) is_open: bool,
}

/// Why there is no value.
enum Stop {
    NoValue,
    /// The text ends.
    Open,
}

pub(super) fn read(bytes: &[u8], name: &Name) -> Gap {
    let mut cursor = Cursor {
        bytes,
        at: name.end,
        limit: name.end + GAP_BYTES_MAX,
        is_open: false,
    };
    let place = cursor.place(name);
    Gap {
        is_open: cursor.is_open || matches!(place, Err(Stop::Open)),
        place: place.ok(),
    }
}

const VERBS: [&str; 6] = ["ist ", "is ", "est ", "es ", "lautet ", "è "];

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    limit: usize,
    is_open: bool,
}

impl Cursor<'_> {
    fn place(&mut self, name: &Name) -> Result<Place, Stop> {
        self.skip_closing()?;
        self.skip_label();
        let mut sign = self.sign(name)?;
        if sign == Sign::Say {
            self.skip_closing_emphasis()?;
            if self.bytes[self.at - 1] == b':' && self.skip_type() {
                sign = Sign::Assign { is_spaced: true };
            }
        }
        self.skip_spaces()?;
        if sign == Sign::Say && self.skip_line_end()? {
            sign = Sign::SayBelow;
        }
        if name.has_scheme {
            self.skip_scheme()?;
        }
        let is_emphasized = !matches!(sign, Sign::Assign { .. }) && self.skip_emphasis()?;
        let quote = self.skip_quote()?;
        // Its like does not say where the value ends: everybody has them in another order.
        self.at += typographic(&self.bytes[self.at..]).unwrap_or(0);
        self.peek()?;
        Ok(Place {
            start: self.at,
            sign,
            quote,
            is_emphasized,
        })
    }

    fn peek(&self) -> Result<u8, Stop> {
        if self.at >= self.limit {
            return Err(Stop::NoValue);
        }
        self.bytes.get(self.at).copied().ok_or(Stop::Open)
    }

    fn skip_while(&mut self, is_part: impl Fn(u8) -> bool) -> Result<usize, Stop> {
        let from = self.at;
        while is_part(self.peek()?) {
            self.at += 1;
        }
        Ok(self.at - from)
    }

    fn skip_spaces(&mut self) -> Result<usize, Stop> {
        self.skip_while(|byte| matches!(byte, b' ' | b'\t'))
    }

    /// What closes around a name: quotes, brackets, emphasis.
    fn skip_closing(&mut self) -> Result<(), Stop> {
        self.skip_while(|byte| b"\\\"'`]*_".contains(&byte))?;
        self.skip_tag_end()
    }

    /// `"name": "PASSWORD", "value": …`: behind `value`. Stays where that is not.
    fn skip_label(&mut self) {
        let from = self.at;
        match self.read_label() {
            Ok(()) => return,
            Err(Stop::Open) => self.is_open = true,
            Err(Stop::NoValue) => {}
        }
        self.at = from;
    }

    fn read_label(&mut self) -> Result<(), Stop> {
        let is_between = |byte: u8| byte == b',' || byte.is_ascii_whitespace();
        if self.skip_while(is_between)? == 0 {
            return Err(Stop::NoValue);
        }
        self.skip_while(|byte| b"\\\"'".contains(&byte))?;
        for expected in b"value" {
            if !self.peek()?.eq_ignore_ascii_case(expected) {
                return Err(Stop::NoValue);
            }
            self.at += 1;
        }
        self.skip_while(|byte| b"\\\"'".contains(&byte))?;
        let after = self.peek()?;
        matches!(after, b':' | b'=')
            .then_some(())
            .ok_or(Stop::NoValue)
    }

    /// `:**`, `:</b>`.
    fn skip_closing_emphasis(&mut self) -> Result<(), Stop> {
        let from = self.at;
        self.skip_while(|byte| matches!(byte, b'*' | b'_'))?;
        // What follows at once is what they open.
        if !self.peek()?.is_ascii_whitespace() {
            self.at = from;
        }
        self.skip_tag_end()
    }

    /// `</b>`.
    fn skip_tag_end(&mut self) -> Result<(), Stop> {
        let from = self.at;
        if self.peek()? != b'<' {
            return Ok(());
        }
        self.at += 1;
        if self.peek()? == b'/' {
            self.at += 1;
            self.skip_while(|byte| byte.is_ascii_alphanumeric())?;
            if self.peek()? == b'>' {
                self.at += 1;
                return Ok(());
            }
        }
        self.at = from;
        Ok(())
    }

    fn sign(&mut self, name: &Name) -> Result<Sign, Stop> {
        let is_quoted = self.at > name.end && matches!(self.bytes[self.at - 1], b'"' | b'\'');
        let spaces = self.skip_spaces()?;
        let is_spaced = spaces > 0;
        let byte = self.peek()?;
        match byte {
            b':' | b'=' => {
                self.at += 1;
                return self.rest_of_sign(byte, is_spaced);
            }
            b'>' if !is_spaced && is_element(self.bytes, name.start) => {
                self.at += 1;
                return Ok(Sign::Say);
            }
            b',' if is_quoted && is_argument(self.bytes, name.start) => {
                self.at += 1;
                self.skip_spaces()?;
                let begins_quote = matches!(self.peek()?, b'"' | b'\'');
                return begins_quote.then_some(Sign::Argument).ok_or(Stop::NoValue);
            }
            b'"' | b'\'' if is_spaced && !is_quoted => return Ok(Sign::Argument),
            _ if !is_spaced => return Err(Stop::NoValue),
            _ => {}
        }
        if is_option(self.bytes, name.start) {
            return Ok(Sign::Option);
        }
        self.skip_verb()
    }

    /// Behind the first letter of `=`, `=>`, `:` or `:=`; `==` and `::` give no value.
    fn rest_of_sign(&mut self, first: u8, is_spaced: bool) -> Result<Sign, Stop> {
        match (first, self.peek()?) {
            (b':', b':') | (b'=', b'=' | b'~') => Err(Stop::NoValue),
            (b':', b'=') | (b'=', b'>') => {
                self.at += 1;
                Ok(Sign::Assign { is_spaced: true })
            }
            (b':', _) => Ok(Sign::Say),
            _ => Ok(Sign::Assign { is_spaced }),
        }
    }

    /// ` is `, ` is: `. A verb stands before those that begin it.
    fn skip_verb(&mut self) -> Result<Sign, Stop> {
        let rest = &self.bytes[self.at..];
        let begins = |verb: &&&str| {
            let verb = verb.as_bytes();
            rest.starts_with(verb) || rest.starts_with(verb.trim_ascii_end())
        };
        let Some(verb) = VERBS.iter().find(begins) else {
            let is_begun = VERBS.iter().any(|verb| verb.as_bytes().starts_with(rest));
            return Err(if is_begun { Stop::Open } else { Stop::NoValue });
        };
        self.at += verb.trim_ascii_end().len();
        if self.peek()? == b':' {
            self.at += 1;
        } else if self.peek()? != b' ' {
            return Err(Stop::NoValue);
        }
        Ok(Sign::Say)
    }

    /// `: &str = `, `: Optional[str] = `: behind the type and its sign. Stays where there is none.
    fn skip_type(&mut self) -> bool {
        let from = self.at;
        let is_type = self.read_type();
        match is_type {
            Ok(()) => return true,
            Err(Stop::Open) => self.is_open = true,
            Err(Stop::NoValue) => {}
        }
        self.at = from;
        false
    }

    fn read_type(&mut self) -> Result<(), Stop> {
        let is_of_type = |byte: u8| byte.is_ascii_alphanumeric() || b"&_<>[].:?*'".contains(&byte);
        self.skip_spaces()?;
        loop {
            let from = self.at;
            if self.skip_while(is_of_type)? == 0 {
                return Err(Stop::NoValue);
            }
            let is_lifetime = self.bytes[from..self.at].starts_with(b"&'");
            let is_spaced = self.skip_spaces()? > 0;
            match self.peek()? {
                b'=' => {
                    self.at += 1;
                    let after = self.peek()?;
                    let begins_value = is_spaced && after == b' ' || matches!(after, b'"' | b'\'');
                    return begins_value.then_some(()).ok_or(Stop::NoValue);
                }
                b'|' if is_spaced => {
                    self.at += 1;
                    self.skip_spaces()?;
                }
                _ if is_lifetime && is_spaced => {}
                _ => return Err(Stop::NoValue),
            }
        }
    }

    /// The end of a line, and the sign of a block of YAML before it.
    fn skip_line_end(&mut self) -> Result<bool, Stop> {
        let from = self.at;
        if matches!(self.peek()?, b'|' | b'>') {
            self.at += 1;
            self.skip_while(|byte| matches!(byte, b'-' | b'+'))?;
        }
        if self.peek()? == b'\r' {
            self.at += 1;
        }
        if self.peek()? != b'\n' {
            self.at = from;
            return Ok(false);
        }
        self.at += 1;
        self.skip_spaces()?;
        Ok(true)
    }

    /// `Authorization: token …`; Bearer and Basic speak for themselves.
    fn skip_scheme(&mut self) -> Result<(), Stop> {
        let from = self.at;
        self.skip_quote()?;
        let word = self.at;
        self.skip_while(|byte| byte.is_ascii_alphabetic())?;
        let scheme = &self.bytes[word..self.at];
        let speaks =
            scheme.eq_ignore_ascii_case(b"bearer") || scheme.eq_ignore_ascii_case(b"basic");
        if speaks || self.peek()? != b' ' || scheme.is_empty() {
            self.at = from;
            return Ok(());
        }
        self.skip_spaces()?;
        Ok(())
    }

    fn skip_emphasis(&mut self) -> Result<bool, Stop> {
        let from = self.at;
        let is_emphasized = self.skip_while(|byte| byte == b'*')? > 0;
        if is_emphasized && self.peek()?.is_ascii_whitespace() {
            self.at = from;
        }
        Ok(is_emphasized)
    }

    fn skip_quote(&mut self) -> Result<Option<Quote>, Stop> {
        let from = self.at;
        // Of a string of bytes, raw, or with values in it.
        let is_kind = matches!(self.peek()?, b'b' | b'f' | b'r');
        self.at += usize::from(is_kind);
        let marks = self.at;
        self.skip_while(|byte| byte == b'\\')?;
        self.peek()?;
        match Quote::opening(&self.bytes[marks..]) {
            Some((quote, width)) => {
                self.at = marks + width;
                Ok(Some(quote))
            }
            None => {
                self.at = from;
                Ok(None)
            }
        }
    }
}

/// What stands before `at` of letters, digits and `also`.
fn before<'a>(bytes: &'a [u8], at: usize, also: &[u8]) -> &'a [u8] {
    let near = &bytes[at.saturating_sub(BEFORE_BYTES_MAX)..at];
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || also.contains(byte);
    let len = near.iter().rev().take_while(is_part).count();
    &bytes[at - len - usize::from(len < at)..at]
}

/// `<wsse:Password>`.
fn is_element(bytes: &[u8], name: usize) -> bool {
    before(bytes, name, b"_-.:").starts_with(b"<")
}

/// `define('DB_PASSWORD'`.
fn is_argument(bytes: &[u8], name: usize) -> bool {
    let quoted = before(bytes, name, b"_-");
    let quote = name - quoted.len();
    matches!(quoted.first(), Some(b'"' | b'\'')) && bytes[..quote].ends_with(b"(")
}

/// `--db-password`.
fn is_option(bytes: &[u8], name: usize) -> bool {
    let near = before(bytes, name, b"_-");
    near.trim_ascii_start().starts_with(b"--")
}
