//! One writing of each JSON value, fed to a hash: values that mean the same are written the same, and
//! no two others are.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};
use smallvec::SmallVec;

use super::{Digest, part_text};
use crate::Operation;
use crate::json::Json;

/// Deeper documents are no requests: [`crate::request::read`] refuses them before.
const DEPTH_MAX: usize = 130;

pub(super) type Members<'a> = SmallVec<[(Cow<'a, str>, Json<'a>); 12]>;

/// An object's members by their keys, which are unique in a request.
pub(super) fn sorted(object: Json<'_>) -> Members<'_> {
    let mut members: Members<'_> = object.members().collect();
    members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    members
}

pub(super) struct Canon<'a> {
    hash: Sha256,
    /// What is not hashed yet: the hash likes larger pieces than a JSON value is.
    buffer: Vec<u8>,
    /// The message whose text is left open.
    open: Option<Json<'a>>,
}

const BUFFER_BYTES: usize = 1024;

impl<'a> Canon<'a> {
    pub fn new(operation: Operation) -> Self {
        let mut canon = Self {
            hash: Sha256::new(),
            buffer: Vec::with_capacity(BUFFER_BYTES),
            open: None,
        };
        canon.put(match operation {
            Operation::ChatCompletions => b"chat.1",
            Operation::Completions => b"text.1",
            Operation::Embeddings => b"vect.1",
        });
        canon
    }

    /// Leaves the text of this message open, so that any other in its place has the same digest.
    pub fn around(mut self, message: Json<'a>) -> Self {
        self.put(b"around");
        self.open = Some(message);
        self
    }

    pub fn digest(mut self) -> Digest {
        self.hash.update(&self.buffer);
        self.hash.finalize().into()
    }

    pub fn members(&mut self, members: &[(Cow<'a, str>, Json<'a>)]) {
        self.put(b"{");
        for (key, value) in members {
            self.text(b's', key.as_bytes());
            self.value(*value, 0);
        }
        self.put(b"}");
    }

    fn value(&mut self, value: Json<'a>, depth: usize) {
        if depth > DEPTH_MAX {
            return self.text(b'r', value.raw());
        }
        match value.raw().first() {
            Some(b'{') if self.is_open(value) => self.open_message(value, depth),
            Some(b'{') => {
                let members = sorted(value);
                self.put(b"{");
                for (key, value) in members {
                    self.text(b's', key.as_bytes());
                    self.value(value, depth + 1);
                }
                self.put(b"}");
            }
            Some(b'[') => {
                self.put(b"[");
                for element in value.elements() {
                    self.value(element, depth + 1);
                }
                self.put(b"]");
            }
            Some(b'"') => self.string(value),
            Some(b't' | b'f' | b'n') => self.put(&value.raw()[..1]),
            _ => self.number(value.raw()),
        }
    }

    fn is_open(&self, value: Json<'_>) -> bool {
        let is_it = |open: Json<'_>| std::ptr::eq(open.raw(), value.raw());
        self.open.is_some_and(is_it)
    }

    fn open_message(&mut self, message: Json<'a>, depth: usize) {
        self.put(b"{");
        for (key, value) in sorted(message) {
            self.text(b's', key.as_bytes());
            match &*key {
                "content" if value.is_string() => self.put(b"?"),
                "content" if value.is_array() => self.open_parts(value, depth + 1),
                _ => self.value(value, depth + 1),
            }
        }
        self.put(b"}");
    }

    fn open_parts(&mut self, parts: Json<'a>, depth: usize) {
        self.put(b"[");
        for part in parts.elements() {
            if part_text(part).is_none() {
                self.value(part, depth + 1);
                continue;
            }
            self.put(b"{");
            for (key, value) in sorted(part) {
                self.text(b's', key.as_bytes());
                match &*key {
                    "text" => self.put(b"?"),
                    _ => self.value(value, depth + 2),
                }
            }
            self.put(b"}");
        }
        self.put(b"]");
    }

    fn string(&mut self, value: Json<'_>) {
        match value.text() {
            // What no text can be, half of a surrogate pair, is read as U+FFFD: two of them differ.
            Some(Cow::Owned(text)) if text.contains('\u{FFFD}') && has_surrogate(value.raw()) => {
                self.text(b'r', value.raw());
            }
            Some(text) => self.text(b's', text.as_bytes()),
            None => self.text(b'r', value.raw()),
        }
    }

    /// The digits without zeros at either end, and the power of ten behind them.
    fn number(&mut self, raw: &[u8]) {
        match Decimal::read(raw) {
            Some(Decimal {
                is_negative,
                digits,
                exponent,
            }) => {
                self.put(if is_negative { b"-" } else { b"+" });
                self.put(&exponent.to_le_bytes());
                self.text(b'd', &digits);
            }
            None => self.text(b'r', raw),
        }
    }

    fn text(&mut self, kind: u8, bytes: &[u8]) {
        self.put(&[kind]);
        self.put(&(bytes.len() as u64).to_le_bytes());
        self.put(bytes);
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.hash.update(&self.buffer);
            self.buffer.clear();
            if bytes.len() > BUFFER_BYTES {
                return self.hash.update(bytes);
            }
        }
        self.buffer.extend_from_slice(bytes);
    }
}

/// Half of a surrogate pair, alone: strict readers refuse it.
fn has_surrogate(raw: &[u8]) -> bool {
    serde_json::from_slice::<String>(raw).is_err()
}

/// `digits` × 10^`exponent`, exactly. Zero has no digits and no sign.
struct Decimal {
    is_negative: bool,
    digits: SmallVec<[u8; 24]>,
    exponent: i64,
}

impl Decimal {
    /// `None` for what is no number, or one whose exponent is absurd.
    fn read(raw: &[u8]) -> Option<Self> {
        let (is_negative, raw) = match raw.strip_prefix(b"-") {
            Some(raw) => (true, raw),
            None => (false, raw),
        };
        let (mantissa, written) = match raw.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            Some(at) => (&raw[..at], std::str::from_utf8(&raw[at + 1..]).ok()?),
            None => (raw, "0"),
        };
        let mut exponent = i64::from(written.parse::<i32>().ok()?);
        let (whole, fraction) = match mantissa.iter().position(|byte| *byte == b'.') {
            Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
            None => (mantissa, &[][..]),
        };
        exponent -= i64::try_from(fraction.len()).ok()?;
        let all = whole.iter().chain(fraction).copied();
        let mut digits: SmallVec<[u8; 24]> = all.skip_while(|digit| *digit == b'0').collect();
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        while digits.last() == Some(&b'0') {
            digits.pop();
            exponent += 1;
        }
        Some(if digits.is_empty() {
            Self {
                is_negative: false,
                digits,
                exponent: 0,
            }
        } else {
            Self {
                is_negative,
                digits,
                exponent,
            }
        })
    }
}
