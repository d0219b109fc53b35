//! One POST and what it was answered, for webhooks and collectors.

use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use config::snapshot::Secret;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;

use super::batch::Failure;
use crate::fetch;

/// Of an answer; what is longer is not read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

#[derive(Default)]
pub struct Post {
    /// Made at the first request: it reads the machine's roots.
    client: Option<Client<HttpsConnector<HttpConnector>, Full<Bytes>>>,
}

pub struct Outgoing<'o> {
    pub url: &'o str,
    pub headers: &'o [(HeaderName, Secret)],
    /// The gateway's own, such as signatures.
    pub more: Vec<(HeaderName, HeaderValue)>,
    pub content_type: &'static str,
    pub body: Bytes,
    pub gzip: bool,
    pub timeout: Duration,
}

#[derive(Debug, thiserror::Error)]
enum PostError {
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    #[error("the address or a header cannot be sent")]
    Request(#[from] http::Error),
    #[error("the receiver cannot be reached")]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    #[error("no answer within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    #[error("the request could not be compressed")]
    Compression(#[from] std::io::Error),
}

impl Post {
    /// The answer's body, if it was a 2xx.
    pub async fn send(&mut self, outgoing: Outgoing<'_>) -> Result<Bytes, Failure> {
        let answer = self.exchange(outgoing).await;
        let answer = answer.map_err(|error| Failure::new(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer.into_body());
        }
        Err(Failure {
            text: format!("the receiver answered {status}"),
            retry_after: retry_after(&answer),
            is_about_content: matches!(
                status,
                StatusCode::BAD_REQUEST
                    | StatusCode::PAYLOAD_TOO_LARGE
                    | StatusCode::UNPROCESSABLE_ENTITY
            ),
        })
    }

    async fn exchange(&mut self, outgoing: Outgoing<'_>) -> Result<Response<Bytes>, PostError> {
        let timeout = outgoing.timeout;
        let request = request(outgoing)?;
        let client = match &self.client {
            Some(client) => client,
            None => self.client.insert(fetch::new_client()?),
        };
        let exchange = async {
            let (head, body) = client.request(request).await?.into_parts();
            Ok(Response::from_parts(head, beginning(body).await))
        };
        tokio::time::timeout(timeout, exchange)
            .await
            .map_err(|_elapsed| PostError::TimedOut(timeout))?
    }
}

fn request(outgoing: Outgoing<'_>) -> Result<Request<Full<Bytes>>, PostError> {
    let Outgoing {
        url,
        headers,
        more,
        content_type,
        body,
        gzip,
        timeout: _,
    } = outgoing;
    let mut request = Request::post(url)
        .header(CONTENT_TYPE, content_type)
        .header(USER_AGENT, concat!("tollgate/", env!("CARGO_PKG_VERSION")));
    let body = if gzip {
        request = request.header(CONTENT_ENCODING, "gzip");
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&body)?;
        encoder.finish()?.into()
    } else {
        body
    };
    let mut request = request.body(Full::new(body))?;
    for (name, value) in headers {
        let mut value = HeaderValue::from_str(value.reveal()).map_err(http::Error::from)?;
        value.set_sensitive(true);
        request.headers_mut().insert(name.clone(), value);
    }
    request.headers_mut().extend(more);
    Ok(request)
}

/// What the answer says, as far as anyone needs it.
async fn beginning(mut body: Incoming) -> Bytes {
    let mut read = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(bytes) = frame.into_data() {
            read.extend_from_slice(&bytes);
        }
        if read.len() > ANSWER_BYTES_MAX {
            read.truncate(ANSWER_BYTES_MAX);
            break;
        }
    }
    read.into()
}

/// In seconds; a date is left to our own pauses.
fn retry_after(answer: &Response<Bytes>) -> Option<Duration> {
    let value = answer.headers().get(RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}
