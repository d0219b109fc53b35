//! The same pass over a text that comes in pieces. Only the end of what has come is held back, from
//! where a value could still begin or go on; all before it is given out at once.

use super::context::{Context, REACH_BYTES};
use super::date::is_month;
use super::scan::{Memory, Scan, Step};
use super::secret::Quote;
use super::seen::Seen;
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
    /// What came and was not given out.
    held: String,
    /// What came, as it is meant; what stands before `at` was given out.
    seen: Seen,
    at: usize,
    memory: Memory,
    /// A value that was given out goes on.
    within: Option<Within>,
    /// What is held begins with so much that is none of the text.
    lead_bytes: usize,
}

/// A value whose rest is dropped.
#[derive(Clone, Copy, Debug)]
struct Within {
    kind: Kind,
    quote: Option<Quote>,
}

impl Stream {
    pub fn new(detector: Detector) -> Self {
        Self {
            detector,
            held: String::new(),
            seen: Seen::default(),
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
            held: lead,
            ..Self::new(detector)
        }
    }

    /// Bytes that have come and were not given out.
    pub fn held_bytes(&self) -> usize {
        self.held.len() - self.lead_bytes
    }

    pub fn push(&mut self, chunk: &str, give: impl FnMut(Piece<'_>)) {
        self.held.push_str(chunk);
        self.go_on(false, give);
        self.forget();
    }

    /// No more will come: gives out all that is left.
    pub fn finish(mut self, give: impl FnMut(Piece<'_>)) {
        self.go_on(true, give);
    }

    fn go_on(&mut self, is_whole: bool, mut give: impl FnMut(Piece<'_>)) {
        self.seen.read(&self.held, is_whole);
        let mut given = 0;
        if self.within.is_some() {
            let is_left = self.leave_value(is_whole);
            given = self.seen.source(self.at);
            if !is_left {
                self.leave();
                return;
            }
        }
        let mut give = behind(&mut self.lead_bytes, &mut give);
        let text = self.seen.text();
        let open = if is_whole {
            text.len()
        } else {
            open_from(text, self.at)
        };
        let mut scan = Scan::new(text, self.at, self.detector, &mut self.memory);
        let mut at = self.at;
        while at < open {
            let is_held = !is_whole && text.len() - at <= HELD_BYTES_MAX;
            if is_held && scan.is_in_open_secret(at) {
                break;
            }
            let found = match scan.step(at) {
                Step::To(_) if is_held && scan.is_in_open_secret(at) => break,
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
            let value = self.seen.sources(&(at..found.end));
            if given < value.start {
                give(Piece::Text(&self.held[given..value.start]));
            }
            given = value.end;
            give(Piece::Value {
                kind: found.kind,
                text: &self.held[value],
            });
            let quote = scan.quote_of_secret(at);
            scan.pass(found.kind, at..found.end);
            at = found.end;
            if goes_on {
                self.within = Some(Within {
                    kind: found.kind,
                    quote,
                });
                at -= quote.map_or(0, |quote| quote.begun(text.as_bytes()));
            }
        }
        let end = self.seen.source(at);
        if given < end {
            give(Piece::Text(&self.held[given..end]));
        }
        drop(give);
        self.at = at;
        self.leave();
    }

    /// What stands before `at` was given out.
    fn leave(&mut self) {
        let gone = self.seen.leave(self.at);
        self.held.drain(..gone);
    }

    /// Drops the rest of a value that was given out. False while it may go on.
    fn leave_value(&mut self, is_whole: bool) -> bool {
        let Some(Within { kind, quote }) = self.within else {
            return true;
        };
        let text = self.seen.text();
        let rest = &text.as_bytes()[self.at..];
        let end = match (kind, quote) {
            (_, Some(quote)) => quote.end(rest),
            (Kind::PrivateKey, None) => memchr::memmem::find(rest, b"-----END ").and_then(|end| {
                let label = end + 9;
                memchr::memmem::find(&rest[label..], b"-----").map(|at| label + at + 5)
            }),
            (_, None) => rest.iter().position(|byte| !continues(*byte)),
        };
        if let Some(end) = end {
            self.at += end;
            self.within = None;
            return true;
        }
        let kept = match (kind, quote) {
            (_, Some(quote)) => quote.begun(rest),
            (Kind::PrivateKey, None) => LAST_LINE_BYTES_MAX,
            (_, None) => 0,
        };
        let at = text.len().saturating_sub(kept).max(self.at);
        let at = text.ceil_char_boundary(at);
        self.at = if is_whole { text.len() } else { at };
        false
    }

    fn forget(&mut self) {
        let keep_from = self.at.saturating_sub(MARGIN_BYTES);
        let keep_from = self.seen.text().floor_char_boundary(keep_from);
        // Moving the rest for each few bytes would cost more than keeping them.
        if keep_from < MARGIN_BYTES {
            return;
        }
        self.seen.forget(keep_from);
        self.memory.shift(keep_from);
        self.at -= keep_from;
    }
}

/// Gives out what stands behind so many bytes, which are counted down.
fn behind<'g>(
    bytes: &'g mut usize,
    give: &'g mut impl FnMut(Piece<'_>),
) -> impl FnMut(Piece<'_>) + 'g {
    move |piece| {
        let (Piece::Text(text) | Piece::Value { text, .. }) = piece;
        let dropped = text.len().min(*bytes);
        *bytes -= dropped;
        match piece {
            Piece::Text(_) if dropped < text.len() => give(Piece::Text(&text[dropped..])),
            Piece::Value { .. } if dropped == 0 => give(piece),
            _ => {}
        }
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
        let word = &bytes[start..end];
        if start == end || !may_go_on(word) && !may_be_bank(&bytes[from..start], word) {
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
        || is_short_capital(word)
        || bare
            .rsplit(punctuation)
            .next()
            .is_some_and(is_short_capital)
        || matches!(
            bare,
            b"de" | b"del" | b"of" | b"is" | b"ist" | b"est" | b"es" | b"lautet"
        )
        || matches!(bare, b"\xe2\x80\x93" | b"\xe2\x80\x94")
        || is_month(bare)
        || names_secret(bare)
        || word.len() >= 44 && word.contains(&b'<')
}

/// A group of letters, or a sign between groups.
fn is_short_capital(word: &[u8]) -> bool {
    let is_small = |byte: &u8| byte.is_ascii_lowercase() || *byte >= 0x80;
    (1..=6).contains(&word.len()) && !word.iter().any(is_small)
}

/// The four letters of a bank in an account in lower case: `gb29 nwbk 6016`.
fn may_be_bank(before: &[u8], word: &[u8]) -> bool {
    word.len() == 4
        && word.iter().all(u8::is_ascii_alphabetic)
        && before
            .trim_ascii_end()
            .last()
            .is_some_and(u8::is_ascii_digit)
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
