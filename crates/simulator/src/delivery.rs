//! An answer's body on its way: pieces at their pace, each flushed alone, and the ways to break off.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::behaviour::Behaviour;
use crate::ledger::Slot;

/// What goes to the wire at once, and how many completion tokens it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub bytes: Bytes,
    pub tokens: u64,
}

/// Pieces in the making: one buffer for a whole answer, cut where pieces end.
#[derive(Default)]
pub struct Pieces {
    written: Vec<u8>,
    ends: Vec<(usize, u64)>,
}

impl Pieces {
    pub fn whole(body: String, tokens: u64) -> Self {
        Self {
            ends: vec![(body.len(), tokens)],
            written: body.into_bytes(),
        }
    }

    /// One server-sent event.
    pub fn event(&mut self, tokens: u64, parts: &[&str]) {
        self.written.extend_from_slice(b"data: ");
        for part in parts {
            self.written.extend_from_slice(part.as_bytes());
        }
        self.written.extend_from_slice(b"\n\n");
        self.ends.push((self.written.len(), tokens));
    }

    pub fn into_queue(self) -> VecDeque<Piece> {
        let written = Bytes::from(self.written);
        let mut start = 0;
        self.ends
            .into_iter()
            .map(|(end, tokens)| Piece {
                bytes: written.slice(std::mem::replace(&mut start, end)..end),
                tokens,
            })
            .collect()
    }
}

/// How a body ends once its pieces are out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Whole,
    Reset,
    Close,
    Stall,
    /// The last piece is an error event.
    Failed,
}

/// Leaves of the pieces what is sent before the behaviour breaks the answer off, if it does.
pub fn break_off(pieces: &mut VecDeque<Piece>, behaviour: &Behaviour) -> Ending {
    let breaks = [
        (behaviour.reset_after_chunks, Ending::Reset),
        (behaviour.close_after_chunks, Ending::Close),
        (behaviour.stall_after_chunks, Ending::Stall),
    ];
    if let Some((chunks, ending)) = breaks
        .into_iter()
        .find_map(|(after, ending)| Some((after?, ending)))
        && chunks < pieces.len() as u64
    {
        pieces.truncate(chunks as usize);
        return ending;
    }
    let breaks = [
        (behaviour.reset_after_bytes, Ending::Reset),
        (behaviour.close_after_bytes, Ending::Close),
    ];
    let Some((mut left, ending)) = breaks
        .into_iter()
        .find_map(|(after, ending)| Some((after?, ending)))
    else {
        return Ending::Whole;
    };
    for position in 0..pieces.len() {
        let length = pieces[position].bytes.len() as u64;
        if length > left {
            pieces.truncate(position + 1);
            // A piece that is cut carries none of its tokens for sure.
            pieces[position].bytes.truncate(left as usize);
            pieces[position].tokens = 0;
            pieces.retain(|piece| !piece.bytes.is_empty());
            return ending;
        }
        left -= length;
    }
    Ending::Whole
}

/// Leaves of a stream what is sent before its provider fails, and the event that says so.
pub fn fail(pieces: &mut VecDeque<Piece>, after_chunks: u64, error: &str) -> Ending {
    pieces.truncate(usize::try_from(after_chunks).unwrap_or(usize::MAX));
    pieces.push_back(Piece {
        bytes: format!("data: {error}\n\n").into(),
        tokens: 0,
    });
    Ending::Failed
}

/// When pieces are due: the first at `first`, then by the tokens that went before.
#[derive(Clone, Copy)]
pub struct Pace {
    pub first: Instant,
    pub tokens_per_second: u32,
}

impl Pace {
    pub fn due(self, tokens: u64) -> Instant {
        if self.tokens_per_second == 0 {
            return self.first;
        }
        self.first + Duration::from_secs_f64(tokens as f64 / f64::from(self.tokens_per_second))
    }
}

pub struct Delivery {
    pieces: VecDeque<Piece>,
    ending: Ending,
    pace: Option<Pace>,
    tokens: u64,
    sleep: Option<Pin<Box<Sleep>>>,
    /// The piece before has yet to leave the HTTP library's buffer.
    flush: bool,
    slot: Arc<Slot>,
}

/// The simulator broke its answer off.
#[derive(Debug)]
pub struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the simulator broke the connection, as it was told")
    }
}

impl std::error::Error for Broken {}

impl Delivery {
    pub fn new(
        pieces: VecDeque<Piece>,
        ending: Ending,
        pace: Option<Pace>,
        slot: Arc<Slot>,
    ) -> Self {
        if pieces.is_empty() && ending == Ending::Whole {
            slot.hand_over(0, true);
        }
        Self {
            pieces,
            ending,
            pace,
            tokens: 0,
            sleep: None,
            flush: false,
            slot,
        }
    }

    fn end(&self) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.ending {
            Ending::Whole | Ending::Failed => Poll::Ready(None),
            // Nobody wakes this: it ends when the other side leaves.
            Ending::Stall => Poll::Pending,
            Ending::Reset | Ending::Close => {
                self.slot.break_off(self.ending == Ending::Reset);
                Poll::Ready(Some(Err(Broken)))
            }
        }
    }
}

impl Body for Delivery {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if std::mem::take(&mut self.flush) {
            // A body that is not ready makes the HTTP library write out what it holds.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(pace) = self.pace {
            let due = pace.due(self.tokens);
            if self.sleep.is_none() && !self.pieces.is_empty() && due > crate::clock::now() {
                self.sleep = Some(Box::pin(sleep_until(due)));
            }
        }
        if let Some(sleep) = &mut self.sleep {
            std::task::ready!(sleep.as_mut().poll(context));
            self.sleep = None;
        }
        let Some(Piece { bytes, tokens }) = self.pieces.pop_front() else {
            return self.end();
        };
        self.tokens += tokens;
        self.flush = true;
        if self.ending == Ending::Failed {
            self.slot.break_off(false);
        }
        self.slot.hand_over(tokens, self.is_end_stream());
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && matches!(self.ending, Ending::Whole | Ending::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces() -> VecDeque<Piece> {
        let mut pieces = Pieces::default();
        pieces.event(1, &["a"]);
        pieces.event(2, &["b", "c"]);
        pieces.into_queue()
    }

    #[test]
    fn events_are_cut_where_they_end() {
        let pieces = pieces();
        assert_eq!(
            pieces[0],
            Piece {
                bytes: Bytes::from_static(b"data: a\n\n"),
                tokens: 1
            }
        );
        assert_eq!(
            pieces[1],
            Piece {
                bytes: Bytes::from_static(b"data: bc\n\n"),
                tokens: 2
            }
        );
    }

    #[test]
    fn an_answer_is_broken_off_after_chunks_or_bytes() {
        let after = |behaviour: Behaviour| {
            let mut pieces = pieces();
            let ending = break_off(&mut pieces, &behaviour);
            (
                ending,
                pieces
                    .iter()
                    .map(|piece| (piece.bytes.len(), piece.tokens))
                    .collect::<Vec<_>>(),
            )
        };
        let usual = Behaviour::default();
        assert_eq!(after(usual.clone()), (Ending::Whole, vec![(9, 1), (10, 2)]));
        assert_eq!(
            after(Behaviour {
                reset_after_chunks: Some(1),
                ..usual.clone()
            }),
            (Ending::Reset, vec![(9, 1)])
        );
        assert_eq!(
            after(Behaviour {
                stall_after_chunks: Some(0),
                ..usual.clone()
            }),
            (Ending::Stall, vec![])
        );
        assert_eq!(
            after(Behaviour {
                close_after_bytes: Some(12),
                ..usual.clone()
            }),
            (Ending::Close, vec![(9, 1), (3, 0)])
        );
        assert_eq!(
            after(Behaviour {
                close_after_bytes: Some(9),
                ..usual.clone()
            }),
            (Ending::Close, vec![(9, 1)])
        );
        assert_eq!(
            after(Behaviour {
                close_after_chunks: Some(5),
                ..usual
            })
            .0,
            Ending::Whole
        );
    }
}
