//! A socket, a request's body and an answer's that leave signs of what passes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::patience::Signs;
use crate::body::{Body, Cut};

/// Below TLS, so that both kinds of connection are watched alike.
#[derive(Debug)]
pub struct WatchedStream {
    stream: TcpStream,
    signs: Arc<Signs>,
}

impl WatchedStream {
    pub fn new(stream: TcpStream, signs: Arc<Signs>) -> Self {
        Self { stream, signs }
    }

    fn note(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(Ok(_)) => self.signs.wrote(),
            Poll::Pending => self.signs.blocked(),
            Poll::Ready(Err(_)) => {}
        }
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        if buffer.filled().len() > before {
            self.signs.read();
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A request's body: open until it is dropped.
pub struct WatchedRequest {
    body: Incoming,
    /// `None` of one that is empty.
    signs: Option<Arc<Signs>>,
}

impl WatchedRequest {
    pub fn new(body: Incoming, signs: &Arc<Signs>) -> Self {
        let signs = (!body.is_end_stream()).then(|| signs.clone());
        if let Some(signs) = &signs {
            signs.begin_body();
        }
        Self { body, signs }
    }
}

impl http_body::Body for WatchedRequest {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for WatchedRequest {
    fn drop(&mut self) {
        if let Some(signs) = &self.signs {
            signs.end();
        }
    }
}

/// A call's answer: open until it is dropped.
pub struct WatchedBody {
    body: Body,
    signs: Arc<Signs>,
    /// HTTP/2 only: who else shares the connection must not wait for this one, nor may it hold
    /// more than a frame in the connection's own queue.
    stream: Option<Stream>,
}

struct Stream {
    number: u32,
    is_waiting: bool,
    /// Of a piece that was larger than one frame.
    rest: Bytes,
}

/// What HTTP/2 sends at once.
const FRAME_BYTES: usize = 16 * 1024;

impl WatchedBody {
    /// Of the call that `Signs::begin` gave this number to.
    pub fn new(body: Body, signs: Arc<Signs>, number: u32, shares_connection: bool) -> Self {
        let stream = shares_connection.then(|| Stream {
            number,
            is_waiting: false,
            rest: Bytes::new(),
        });
        Self {
            body,
            signs,
            stream,
        }
    }
}

impl http_body::Body for WatchedBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let Self {
            body,
            signs,
            stream,
        } = &mut *self;
        let Some(stream) = stream else {
            return Pin::new(body).poll_frame(cx);
        };
        // Asking for more means that the last piece went.
        stream.went(signs);
        if stream.rest.is_empty() {
            match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => stream.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        let length = stream.rest.len().min(FRAME_BYTES);
        let piece = stream.rest.split_to(length);
        stream.is_waiting = true;
        signs.wait(stream.number);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        let nothing_is_left = self
            .stream
            .as_ref()
            .is_none_or(|stream| stream.rest.is_empty());
        nothing_is_left && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // Asked before the first piece, for `content-length`.
        match &self.stream {
            Some(stream) if !stream.rest.is_empty() => SizeHint::default(),
            _ => self.body.size_hint(),
        }
    }
}

impl Stream {
    fn went(&mut self, signs: &Signs) {
        if std::mem::take(&mut self.is_waiting) {
            signs.went(self.number);
        }
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.went(&self.signs);
        }
        self.signs.end();
    }
}
