//! The same pass over a text that comes in pieces. Only the end of what has come is held back, from
//! where a value could still begin or go on; all before it is given out at once.

use super::context::{Context, REACH_BYTES};
use super::date::is_month;
use super::scan::{Memory, Scan, Step};
use super::text::humps;
use super::{Detector, Kind, lead};

/// Values of several words are shorter.
const PHRASE_BYTES_MAX: usize = 112;
/// Past this, a value that goes on is given out as one that has begun, and the rest of it dropped.
const HELD_BYTES_MAX: usize = 512;
/// How much of what was given out is kept, for the words before a value.
const MARGIN_BYTES: usize = 2 * REACH_BYTES;
/// Longer than the last line of a private key.
const LAST_LINE_BYTES_MAX: usize = 80;

/// Part of a text, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    Text(&'a str),
    /// Personal data. Of values longer than half a kilobyte, only how they begin.
    Value {
        kind: Kind,
        text: &'a str,
    },
}

/// A text that is still being written.
#[derive(Clone, Debug)]
pub struct Stream {
    detector: Detector,
    buffer: String,
    /// What stands before was given out.
    at: usize,
    memory: Memory,
    /// A value that was given out goes on.
    within: Option<Kind>,
    /// What the buffer begins with that is none of the text, and still to be given out.
    lead_bytes: usize,
}

impl Stream {
    pub fn new(detector: Detector) -> Self {
        Self {
            detector,
            buffer: String::new(),
            at: 0,
            memory: Memory::new(),
            within: None,
            lead_bytes: 0,
        }
    }

    /// Of a text that is the value of what is called so; see [`Detector::find_called`].
    pub fn called(detector: Detector, name: &str) -> Self {
        let lead = lead::of(name, '"').unwrap_or_default();
        Self {
            lead_bytes: lead.len(),
            buffer: lead,
            ..Self::new(detector)
        }
    }

    /// Bytes that have come and were not given out.
    pub fn held_bytes(&self) -> usize {
        self.buffer.len() - self.at - self.lead_bytes
    }

    pub fn push(&mut self, chunk: &str, give: impl FnMut(Piece<'_>)) {
        self.buffer.push_str(chunk);
        self.go_on_behind_lead(false, give);
        self.forget();
    }

    /// No more will come: gives out all that is left.
    pub fn finish(mut self, give: impl FnMut(Piece<'_>)) {
        self.go_on_behind_lead(true, give);
    }

    fn go_on_behind_lead(&mut self, is_whole: bool, mut give: impl FnMut(Piece<'_>)) {
        let mut lead = self.lead_bytes;
        self.go_on(is_whole, |piece| {
            let (Piece::Text(text) | Piece::Value { text, .. }) = piece;
            let dropped = lead.min(text.len());
            lead -= dropped;
            match piece {
                Piece::Text(_) if dropped < text.len() => give(Piece::Text(&text[dropped..])),
                Piece::Value { .. } if dropped == 0 => give(piece),
                _ => {}
            }
        });
        self.lead_bytes = lead;
    }

    fn go_on(&mut self, is_whole: bool, mut give: impl FnMut(Piece<'_>)) {
        if !self.leave_value(is_whole) {
            return;
        }
        let text = self.buffer.as_str();
        let open = if is_whole {
            text.len()
        } else {
            open_from(text, self.at)
        };
        let mut scan = Scan::new(text, self.at, self.detector, &mut self.memory);
        let mut given = self.at;
        let mut at = self.at;
        while at < open {
            let is_held = !is_whole && text.len() - at <= HELD_BYTES_MAX;
            if is_held && scan.is_in_open_secret(at) {
                break;
            }
            let found = match scan.step(at) {
                Step::To(next) => {
                    at = next;
                    continue;
                }
                Step::Found(found) => found,
            };
            let goes_on = found.end == text.len() && !is_whole;
            if goes_on && is_held {
                // Looked at again when more has come.
                break;
            }
            if given < at {
                give(Piece::Text(&text[given..at]));
            }
            give(Piece::Value {
                kind: found.kind,
                text: &text[at..found.end],
            });
            scan.pass(found.kind);
            (given, at) = (found.end, found.end);
            if goes_on {
                self.within = Some(found.kind);
            }
        }
        if given < at {
            give(Piece::Text(&text[given..at]));
        }
        self.at = at;
    }

    /// Drops the rest of a value that was given out. False while it may go on.
    fn leave_value(&mut self, is_whole: bool) -> bool {
        let Some(kind) = self.within else { return true };
        let rest = &self.buffer.as_bytes()[self.at..];
        let end = match kind {
            Kind::PrivateKey => memchr::memmem::find(rest, b"-----END ").and_then(|end| {
                let label = end + 9;
                memchr::memmem::find(&rest[label..], b"-----").map(|at| label + at + 5)
            }),
            _ => rest.iter().position(|byte| !continues(*byte)),
        };
        if let Some(end) = end {
            self.at += end;
            self.within = None;
            return true;
        }
        let kept = if kind == Kind::PrivateKey {
            LAST_LINE_BYTES_MAX
        } else {
            0
        };
        let mut at = self.buffer.len().saturating_sub(kept).max(self.at);
        while !self.buffer.is_char_boundary(at) {
            at += 1;
        }
        self.at = if is_whole { self.buffer.len() } else { at };
        false
    }

    fn forget(&mut self) {
        let mut keep_from = self.at.saturating_sub(MARGIN_BYTES);
        while !self.buffer.is_char_boundary(keep_from) {
            keep_from -= 1;
        }
        // Moving the rest for each few bytes would cost more than keeping them.
        if keep_from < MARGIN_BYTES {
            return;
        }
        self.buffer.drain(..keep_from);
        self.memory.shift(keep_from);
        self.at -= keep_from;
    }
}

/// Of keys, tokens and passwords.
fn continues(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || b"-_.~+/=%:@!".contains(&byte)
}

/// From where on, at `from` or behind it, what begins may depend on what is still to come: the last
/// word, and the words before it that one value may have in common with it.
fn open_from(text: &str, from: usize) -> usize {
    let bytes = text.as_bytes();
    let first = run_start(bytes, from, bytes.len());
    if bytes.len() - first > HELD_BYTES_MAX {
        return bytes.len();
    }
    let mut open = begin_of_key(bytes, from).unwrap_or(first).min(first);
    let farthest = bytes.len().saturating_sub(PHRASE_BYTES_MAX).max(from);
    while open > farthest {
        let space = bytes[from..open]
            .iter()
            .rev()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        let end = open - space;
        let start = run_start(bytes, from, end);
        if start == end || !may_go_on(&bytes[start..end]) {
            break;
        }
        open = start;
    }
    open
}

fn run_start(bytes: &[u8], from: usize, end: usize) -> usize {
    let len = bytes[from..end]
        .iter()
        .rev()
        .take_while(|byte| !byte.is_ascii_whitespace())
        .count();
    end - len
}

/// Where `-----BEGIN ` stands whose line has not ended.
fn begin_of_key(bytes: &[u8], from: usize) -> Option<usize> {
    let near = bytes.len().saturating_sub(LAST_LINE_BYTES_MAX).max(from);
    let begin = memchr::memmem::rfind(&bytes[near..], b"-----BEGIN ")?;
    let label = &bytes[near + begin + 11..];
    memchr::memmem::find(label, b"-----")
        .is_none()
        .then_some(near + begin)
}

/// Whether a value may have this word and the one behind it: groups of a number, a date's parts, a
/// secret's name and what joins it to its value.
fn may_go_on(word: &[u8]) -> bool {
    let punctuation = |byte: &u8| !byte.is_ascii_alphanumeric() && *byte < 0x80;
    let start = word.iter().take_while(|byte| punctuation(byte)).count();
    let end = word.len()
        - word[start..]
            .iter()
            .rev()
            .take_while(|byte| punctuation(byte))
            .count();
    let bare = &word[start..end.max(start)];
    word.iter().any(u8::is_ascii_digit)
        || matches!(word.last(), Some(b':' | b'=' | b'>'))
        || word.len() <= 6
            && !word
                .iter()
                .any(|byte| byte.is_ascii_lowercase() || *byte >= 0x80)
        || matches!(
            bare,
            b"de" | b"del" | b"of" | b"is" | b"ist" | b"est" | b"es" | b"lautet"
        )
        || matches!(bare, b"\xe2\x80\x93" | b"\xe2\x80\x94")
        || is_month(bare)
        || names_secret(bare)
        || word.len() >= 44 && word.contains(&b'<')
}

/// `DB_PASSWORD`, `api`, `"client_secret"`: the last word may be the name's second.
fn names_secret(word: &[u8]) -> bool {
    word.split(|byte| !byte.is_ascii_alphanumeric() && *byte < 0x80)
        .any(|word| {
            Context::is_secret(word) || humps(word).any(|(_, hump)| Context::is_secret(hump))
        })
}

#[cfg(test)]
mod tests;
