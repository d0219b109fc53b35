//! What of a chunk may be sent: a slice of it as long as that is possible, else a copy.

use std::ops::Range;

use bytes::Bytes;

#[derive(Debug, Default)]
pub(super) enum Output {
    #[default]
    Nothing,
    Slice(Range<usize>),
    Copy(Vec<u8>),
}

impl Output {
    pub(super) fn keep(&mut self, chunk: &Bytes, span: Range<usize>) {
        if span.is_empty() {
            return;
        }
        match self {
            Self::Nothing => *self = Self::Slice(span),
            Self::Slice(slice) if slice.end == span.start => slice.end = span.end,
            Self::Slice(slice) => {
                *self = Self::Copy([&chunk[slice.clone()], &chunk[span]].concat());
            }
            Self::Copy(copy) => copy.extend_from_slice(&chunk[span]),
        }
    }

    /// Bytes of earlier chunks.
    pub(super) fn keep_held(&mut self, chunk: &Bytes, held: &[u8]) {
        match self {
            Self::Nothing => *self = Self::Copy(held.to_vec()),
            Self::Slice(slice) => *self = Self::Copy([&chunk[slice.clone()], held].concat()),
            Self::Copy(copy) => copy.extend_from_slice(held),
        }
    }

    pub(super) fn into_bytes(self, chunk: Bytes) -> Bytes {
        match self {
            Self::Nothing => Bytes::new(),
            Self::Slice(span) if span.len() == chunk.len() => chunk,
            Self::Slice(span) => chunk.slice(span),
            Self::Copy(copy) => Bytes::from(copy),
        }
    }
}
