//! An answer's body, readable whatever its encoding.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use domain::record::AttemptFailure;
use http_body::Body as _;
use hyper::body::Incoming;

use super::connections::Lease;
use crate::encoding::Decoder;

/// A refused attempt's body up to this size is read away, if it is there already, so that its
/// connection can be used again.
const DISCARD_BYTES_MAX: usize = 64 * 1024;

/// What one read of a compressed answer may inflate to: forty times the largest read. No answer is
/// like that, and a backend must not be able to fill the memory with some kilobytes.
const INFLATED_BYTES_MAX: usize = 16 * 1024 * 1024;

pub struct AnswerBody {
    incoming: Incoming,
    lease: Lease,
    decoder: Option<Decoder>,
    /// Read before, and given back.
    unread: VecDeque<Bytes>,
}

impl AnswerBody {
    pub fn new(incoming: Incoming, lease: Lease, decoder: Option<Decoder>) -> Self {
        Self {
            incoming,
            lease,
            decoder,
            unread: VecDeque::new(),
        }
    }

    /// The next piece; an error means that the answer was cut.
    pub fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, AttemptFailure>>> {
        if let Some(piece) = self.unread.pop_front() {
            return Poll::Ready(Some(Ok(piece)));
        }
        loop {
            let frame = match self.poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => {
                    self.lease.release();
                    return Poll::Ready(None);
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Some(Err(AttemptFailure::Cut))),
                Poll::Ready(Some(Ok(frame))) => frame,
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let readable = match &mut self.decoder {
                None => data,
                Some(decoder) => match decoder.push(&data, INFLATED_BYTES_MAX) {
                    Ok(readable) => readable,
                    Err(_) => return Poll::Ready(Some(Err(AttemptFailure::Cut))),
                },
            };
            if !readable.is_empty() {
                return Poll::Ready(Some(Ok(readable)));
            }
        }
    }

    /// What the connection has read already, else what it can read now.
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        if polled.is_ready() {
            return polled;
        }
        self.lease.drive(cx);
        Pin::new(&mut self.incoming).poll_frame(cx)
    }

    pub async fn data(&mut self) -> Option<Result<Bytes, AttemptFailure>> {
        std::future::poll_fn(|cx| self.poll_data(cx)).await
    }

    /// Gives a piece back, to be read again first.
    pub fn unread(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.unread.push_front(piece);
        }
    }

    /// Nobody wants it: reads away what is there, without waiting for more.
    pub fn discard(mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        let mut length = 0;
        while let Poll::Ready(Some(Ok(piece))) = self.poll_data(&mut cx) {
            length += piece.len();
            if length > DISCARD_BYTES_MAX {
                return;
            }
        }
    }
}
