//! Bodies: the type that leaves the gateway, and reading a request's within its limits.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use config::snapshot::Settings;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Full};

use crate::cache::shared::{Followed, Reader};
use crate::encoding::{self, Decoder};
use crate::in_time::in_time;
use crate::meter::MeteredBody;
use crate::overload::BodyRoom;
use crate::refusal::Refusal;

/// A response body on its way to a client.
pub enum Body {
    Whole(Full<Bytes>),
    Metered(Box<MeteredBody>),
    /// That other calls are answered with too.
    Shared(Reader),
    /// Of another call.
    Followed(Box<Followed>),
}

/// The answer broke off. Ends the connection, so that it never looks whole.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
pub struct Cut;

pub fn full(bytes: impl Into<Bytes>) -> Body {
    Body::Whole(Full::new(bytes.into()))
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match &mut *self {
            Self::Whole(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|never| match never {}),
            Self::Metered(body) => Pin::new(body).poll_frame(cx),
            Self::Shared(body) => Pin::new(body).poll_frame(cx),
            Self::Followed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Metered(body) => body.is_end_stream(),
            Self::Shared(body) => body.is_end_stream(),
            Self::Followed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Metered(body) => body.size_hint(),
            Self::Shared(body) => body.size_hint(),
            Self::Followed(body) => body.size_hint(),
        }
    }
}

/// What a request's body may be, decompressed or not.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub bytes_max: u64,
    pub timeout: Duration,
}

impl Bounds {
    pub fn of(settings: &Settings) -> Self {
        Self {
            bytes_max: settings.body_bytes_max,
            timeout: settings.body_timeout,
        }
    }
}

/// Reads a whole request body, decompressed. Bounded in bytes before and after decompression, and
/// in time from first to last byte. Takes its share of what all bodies may hold, before it is read
/// where its length is announced.
pub async fn read<B>(
    body: B,
    headers: &HeaderMap,
    bounds: Bounds,
    mut room: BodyRoom,
) -> Result<Bytes, Refusal>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > bounds.bytes_max) {
        return Err(Refusal::BodyTooLarge {
            bytes_max: bounds.bytes_max,
        });
    }
    room.grow_to(announced.unwrap_or(0))?;
    let gathered = {
        let announced = announced.unwrap_or(0);
        let gathering = pin!(gather(body, announced, bounds.bytes_max, &mut room));
        in_time(bounds.timeout, gathering).await
    };
    let raw = gathered.ok_or(Refusal::BodyTimeout)??;
    let encodings = encoding::named(headers, &CONTENT_ENCODING);
    if encodings.is_empty() {
        return Ok(room.keep(raw));
    }
    let mut decoder = Decoder::new(&encodings)
        .map_err(|unknown| Refusal::UnsupportedEncoding { encoding: unknown })?;
    // Counted after it is there: each processor can be one body over the bound for as long as that
    // takes, no more.
    let decoded = decoder.decode_whole(&raw, bounds.bytes_max)?;
    room.grow_to(decoded.len() as u64)?;
    Ok(room.keep(decoded))
}

/// How long, and how much of it, the rest of a refused request is read: 64 MB at 20 Mbit/s. Such a
/// body takes no memory and no processor while it does not come, only its connection's place.
const DISCARD_TIMEOUT_MAX: Duration = Duration::from_secs(30);
const DISCARD_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Reads on after a refusal, up to its bounds. A connection that is closed on a client which still
/// sends is reset, and most clients then never see why they were refused.
/// Never for longer than a body that is wanted may take.
pub async fn discard<B>(mut body: B, timeout: Duration)
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let reading = async {
        let mut length = 0;
        while let Some(Ok(frame)) = body.frame().await {
            length += frame.data_ref().map_or(0, |data| data.len() as u64);
            if length > DISCARD_BYTES_MAX {
                return;
            }
        }
    };
    // Whoever takes longer, or sends more, is cut off.
    let _ = tokio::time::timeout(timeout.min(DISCARD_TIMEOUT_MAX), reading).await;
}

/// What a body is given at once of the memory that it announces: a client that sends nothing of it
/// holds no more.
const ANNOUNCED_BYTES_MAX: u64 = 1024 * 1024;

async fn gather<B>(
    mut body: B,
    announced: u64,
    bytes_max: u64,
    room: &mut BodyRoom,
) -> Result<Bytes, Refusal>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut first: Option<Bytes> = None;
    let mut joined = BytesMut::new();
    let mut length = 0u64;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refusal::BodyBroken {
            reason: error.to_string(),
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length += data.len() as u64;
        if length > bytes_max {
            return Err(Refusal::BodyTooLarge { bytes_max });
        }
        room.grow_to(length)?;
        // Most bodies come in one read: they are never copied.
        match first.take() {
            None if joined.is_empty() && body.is_end_stream() => return Ok(data),
            None if joined.is_empty() => first = Some(data),
            None => joined.extend_from_slice(&data),
            Some(earlier) => {
                let announced = announced.min(ANNOUNCED_BYTES_MAX) as usize;
                joined.reserve(announced.max(earlier.len() + data.len()));
                joined.extend_from_slice(&earlier);
                joined.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| joined.freeze()))
}
