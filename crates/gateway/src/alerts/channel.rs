//! Sends one message through one channel, once. When to try again is [`super::deliver`]'s business.

mod mail;
mod slack;
mod teams;
mod webhook;

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use config::snapshot::{Channel, ChannelTarget, PrivateUrl};
use domain::Wall;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Full;

use super::message::Message;
use crate::fetch::Fetch;

pub use webhook::signature;

/// Why a message is not there. The text is for operators: it names hosts and answers, no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct Undelivered {
    pub fault: String,
    /// The message itself is what the channel does not take: the next one may be taken.
    pub is_refusal: bool,
    pub retry_after: Option<Duration>,
}

impl Undelivered {
    fn new(fault: String) -> Self {
        Self {
            fault,
            is_refusal: false,
            retry_after: None,
        }
    }
}

pub async fn send(
    channel: &Channel,
    message: &Message,
    fetch: &Fetch,
    now: Wall,
) -> Result<(), Undelivered> {
    match &channel.target {
        ChannelTarget::Webhook { url, key } => {
            let (headers, body) = webhook::request(message, key.as_ref(), now);
            post(fetch, url, headers, body).await
        }
        ChannelTarget::Slack { url } => {
            post(fetch, url, HeaderMap::new(), slack::body(message)).await
        }
        ChannelTarget::Teams { url } => {
            post(fetch, url, HeaderMap::new(), teams::body(message)).await
        }
        ChannelTarget::Smtp(smtp) => mail::send(smtp, message, now).await,
    }
}

async fn post(
    fetch: &Fetch,
    url: &PrivateUrl,
    headers: HeaderMap,
    body: String,
) -> Result<(), Undelivered> {
    let Ok(uri) = url.0.as_str().parse::<http::Uri>() else {
        return Err(Undelivered::new(format!("{url} cannot be requested")));
    };
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    for (name, value) in [
        (CONTENT_TYPE, "application/json"),
        (USER_AGENT, concat!("tollgate/", env!("CARGO_PKG_VERSION"))),
    ] {
        request
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    let answer = fetch
        .exchange(request)
        .await
        .map_err(|error| Undelivered::new(format!("{url}: {}", with_sources(&error))))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let retry_after = answer
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    let said = said(answer.body());
    Err(Undelivered {
        fault: format!("{url} answered {status}{said}"),
        is_refusal: matches!(
            status,
            StatusCode::BAD_REQUEST
                | StatusCode::PAYLOAD_TOO_LARGE
                | StatusCode::UNPROCESSABLE_ENTITY
        ),
        retry_after,
    })
}

/// The start of what a server says of itself, on one line.
fn said(body: &[u8]) -> String {
    const CHARACTERS_MAX: usize = 120;
    let text = String::from_utf8_lossy(body);
    let line: String = text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .filter(|c| !c.is_control())
        .take(CHARACTERS_MAX)
        .collect();
    if line.is_empty() {
        return line;
    }
    format!(": {line}")
}

/// An error and what is behind it.
fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        // Written to a `String`, which cannot fail.
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    text
}
