//! Meters an SSE answer as it passes: finds the usage, strips the extra chunk that the gateway
//! asked for, counts what passed. Holds back at most one unfinished event.

use bytes::Bytes;
use domain::Usage;

use crate::{Encoding, Operation};

#[derive(Debug)]
pub struct StreamMeter {}

impl StreamMeter {
    /// `strip_usage`: the client did not ask for the extra chunk, so it does not get it.
    pub fn new(operation: Operation, strip_usage: bool) -> Self {
        let _ = (operation, strip_usage);
        todo!()
    }

    /// Takes what was read and gives what may be sent: whole events, their bytes unchanged. The
    /// same `Bytes`, not a copy, unless an event was cut or stripped. May be empty.
    pub fn push(&mut self, chunk: Bytes) -> Bytes {
        let _ = chunk;
        todo!()
    }

    /// The upstream's body ended: whatever is held (an unterminated last event).
    pub fn finish(&mut self) -> Bytes {
        todo!()
    }

    pub fn reported(&self) -> Option<Usage> {
        todo!()
    }

    /// `[DONE]` came, so the answer is whole.
    pub fn is_complete(&self) -> bool {
        todo!()
    }

    /// An error event came from the provider inside a 200 stream.
    pub fn saw_error(&self) -> bool {
        todo!()
    }

    /// A cheap count of completion tokens passed so far (about one for each delta); for progress
    /// entries only.
    pub fn deltas(&self) -> u64 {
        todo!()
    }

    /// Completion tokens of everything that passed, by tokenizer, within 2%. For streams whose
    /// usage never came. Memory stays bounded however long the stream was.
    pub fn completion_tokens(&mut self, encoding: Encoding) -> u64 {
        let _ = encoding;
        todo!()
    }
}
