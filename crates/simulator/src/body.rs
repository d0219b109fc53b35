//! Reads a request's body, up to a bound.

use std::pin::{Pin, pin};

use bytes::{Bytes, BytesMut};
use http_body::Body;

/// Longer bodies are refused as 413.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

#[derive(Debug)]
pub enum Unread {
    TooLarge,
    /// The other side broke off.
    Broken,
}

pub async fn read<B: Body<Data = Bytes>>(body: B) -> Result<Bytes, Unread> {
    let mut body = pin!(body);
    let mut whole = BytesMut::new();
    let mut first: Option<Bytes> = None;
    while let Some(frame) =
        std::future::poll_fn(|context| Pin::as_mut(&mut body).poll_frame(context)).await
    {
        let Ok(bytes) = frame.map_err(|_| Unread::Broken)?.into_data() else {
            continue;
        };
        if whole.len() + first.as_ref().map_or(0, Bytes::len) + bytes.len() > BODY_BYTES_MAX {
            return Err(Unread::TooLarge);
        }
        // Most bodies come in one frame, which is kept as it is.
        match (first.take(), whole.is_empty()) {
            (None, true) => first = Some(bytes),
            (None, false) => whole.extend_from_slice(&bytes),
            (Some(before), _) => {
                whole.extend_from_slice(&before);
                whole.extend_from_slice(&bytes);
            }
        }
    }
    Ok(first.unwrap_or_else(|| whole.freeze()))
}

impl std::fmt::Display for Unread {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::TooLarge => "the body is too large",
            Self::Broken => "the other side broke off",
        })
    }
}

impl std::error::Error for Unread {}
