//! Meters an SSE answer as it passes: finds the usage, strips the extra chunk that the gateway
//! asked for, counts what passed. Holds back at most one unfinished event.
//!
//! Lines end in `\n` or `\r\n`. The SSE specification also allows a lone `\r`, which no provider
//! sends: a stream of those would be one event without end, passed on unmetered.

mod event;
mod evidence;
mod output;

use std::fmt;

use bytes::Bytes;
use domain::Usage;
use memchr::memchr;

use crate::{Encoding, Operation};
use event::Event;
use evidence::Evidence;
use output::Output;

/// A larger event passes unheld and unmetered: its bytes are charged at four to a token.
const EVENT_BYTES_MAX: usize = 1024 * 1024;
const BYTES_PER_TOKEN: u64 = 4;

pub struct StreamMeter {
    operation: Operation,
    strip_usage: bool,
    /// The unfinished event; at most `EVENT_BYTES_MAX`.
    held: Vec<u8>,
    line: Line,
    /// The unfinished event is too large to hold: its bytes pass as they come.
    passing: bool,
    unmetered_bytes: u64,
    usage: Option<Usage>,
    is_complete: bool,
    saw_error: bool,
    deltas: u64,
    evidence: Evidence,
}

/// What the line that is being read holds so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Empty,
    CarriageReturn,
    Text,
}

impl StreamMeter {
    /// `strip_usage`: the client did not ask for the extra chunk, so it does not get it.
    pub fn new(operation: Operation, strip_usage: bool) -> Self {
        Self {
            operation,
            strip_usage,
            held: Vec::new(),
            line: Line::Empty,
            passing: false,
            unmetered_bytes: 0,
            usage: None,
            is_complete: false,
            saw_error: false,
            deltas: 0,
            evidence: Evidence::default(),
        }
    }

    /// Names the encoding that [`Self::completion_tokens`] will ask for. Without it, an answer of
    /// more text than is kept is counted in every encoding.
    #[must_use]
    pub fn counting(mut self, encoding: Encoding) -> Self {
        self.evidence.count_only(encoding);
        self
    }

    /// Takes what was read and gives what may be sent: whole events, their bytes unchanged. The
    /// same `Bytes`, not a copy, unless an event was cut or stripped. May be empty.
    pub fn push(&mut self, chunk: Bytes) -> Bytes {
        let mut output = Output::default();
        let mut event_start = 0;
        let mut at = 0;
        while let Some(length) = memchr(b'\n', &chunk[at..]) {
            let ends_event = self.line.is_blank_with(&chunk[at..at + length]);
            at += length + 1;
            self.line = Line::Empty;
            if ends_event {
                self.end_event(&chunk, event_start..at, &mut output);
                event_start = at;
            }
        }
        self.line = self.line.with(&chunk[at..]);
        self.hold(&chunk, event_start, &mut output);
        output.into_bytes(chunk)
    }

    /// The upstream's body ended: whatever is held (an unterminated last event).
    pub fn finish(&mut self) -> Bytes {
        let event = std::mem::take(&mut self.held);
        if event.is_empty() || self.strips(&event) {
            return Bytes::new();
        }
        Bytes::from(event)
    }

    pub fn reported(&self) -> Option<Usage> {
        self.usage
    }

    /// `[DONE]` came, so the answer is whole.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// An error event came from the provider inside a 200 stream.
    pub fn saw_error(&self) -> bool {
        self.saw_error
    }

    /// Some event was too large to be read.
    pub fn has_unmetered(&self) -> bool {
        self.unmetered_bytes > 0
    }

    /// A cheap count of completion tokens passed so far (about one for each delta); for progress
    /// entries only.
    pub fn deltas(&self) -> u64 {
        self.deltas
    }

    /// Completion tokens of everything that passed, by tokenizer, within 2%. For streams whose
    /// usage never came. Memory stays bounded however long the stream was.
    pub fn completion_tokens(&mut self, encoding: Encoding) -> u64 {
        self.evidence.tokens(encoding) + self.unmetered_bytes / BYTES_PER_TOKEN
    }

    fn end_event(&mut self, chunk: &Bytes, span: std::ops::Range<usize>, output: &mut Output) {
        if self.passing {
            self.passing = false;
            self.unmetered_bytes += span.len() as u64;
            output.keep(chunk, span);
            return;
        }
        if self.held.is_empty() {
            if !self.strips(&chunk[span.clone()]) {
                output.keep(chunk, span);
            }
            return;
        }
        let mut event = std::mem::take(&mut self.held);
        event.extend_from_slice(&chunk[span]);
        if !self.strips(&event) {
            output.keep_held(chunk, &event);
        }
        event.clear();
        self.held = event;
    }

    /// Holds the unfinished event that starts at `start`, unless it is too large.
    fn hold(&mut self, chunk: &Bytes, start: usize, output: &mut Output) {
        let tail = start..chunk.len();
        if !self.passing && self.held.len() + tail.len() <= EVENT_BYTES_MAX {
            self.held.extend_from_slice(&chunk[tail]);
            return;
        }
        if !self.held.is_empty() {
            let start_of_event = std::mem::take(&mut self.held);
            self.unmetered_bytes += start_of_event.len() as u64;
            output.keep_held(chunk, &start_of_event);
        }
        self.passing = true;
        self.unmetered_bytes += tail.len() as u64;
        output.keep(chunk, tail);
    }

    /// Meters one event; true if the client must not see it.
    fn strips(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > EVENT_BYTES_MAX {
            self.unmetered_bytes += bytes.len() as u64;
            return false;
        }
        match Event::read(self.operation, bytes) {
            Event::Other => {}
            Event::Done => self.is_complete = true,
            Event::Error => self.saw_error = true,
            Event::Delta { data, usage } => {
                self.deltas += 1;
                self.usage = usage.or(self.usage);
                self.evidence.keep(&data);
            }
            Event::ExtraUsage { usage } => {
                self.usage = usage.or(self.usage);
                return self.strip_usage;
            }
        }
        false
    }
}

impl Line {
    fn is_blank_with(self, rest: &[u8]) -> bool {
        matches!(
            (self, rest),
            (Self::Empty, b"" | b"\r") | (Self::CarriageReturn, b"")
        )
    }

    fn with(self, rest: &[u8]) -> Self {
        match (self, rest) {
            (line, b"") => line,
            (Self::Empty, b"\r") => Self::CarriageReturn,
            _ => Self::Text,
        }
    }
}

/// Leaves what was said out: logs hold no answers.
impl fmt::Debug for StreamMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamMeter")
            .field("operation", &self.operation)
            .field("strip_usage", &self.strip_usage)
            .field("held_bytes", &self.held.len())
            .field("usage", &self.usage)
            .field("is_complete", &self.is_complete)
            .field("saw_error", &self.saw_error)
            .field("deltas", &self.deltas)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
