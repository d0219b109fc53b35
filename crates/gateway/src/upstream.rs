//! The network's side of an attempt: one request out, one answer's head and body back.
//!
//! Decides nothing: which backend, how often and what a failure means are the router's.

use std::collections::VecDeque;
use std::error::Error as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use config::snapshot::Backend;
use dialect::Operation;
use domain::record::AttemptFailure;
use http::header::CONTENT_ENCODING;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::encoding::{self, Decoder};

/// Idle connections kept for each backend.
const IDLE_CONNECTIONS_MAX: usize = 256;
const IDLE_CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);

/// Connections to one backend. Cheap to clone: the pool is shared.
#[derive(Clone, Debug)]
pub struct Connections {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// An answer whose body has yet to be read.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: AnswerBody,
}

impl Connections {
    pub fn new(connect_timeout: Duration) -> Result<Self, rustls::Error> {
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.enforce_http(false);
        http.set_connect_timeout(Some(connect_timeout));
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(provider)?
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .pool_idle_timeout(IDLE_CONNECTION_TIMEOUT)
            .build(https);
        Ok(Self { client })
    }

    /// Sends, and waits for the answer's head.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, AttemptFailure> {
        let answer = self
            .client
            .request(request)
            .await
            .map_err(|error| failure_of(&error))?;
        let (head, incoming) = answer.into_parts();
        let encodings = encoding::named(&head.headers, &CONTENT_ENCODING);
        let decoder = match encodings.as_slice() {
            [] => None,
            named => Some(Decoder::new(named).map_err(|_| AttemptFailure::Cut)?),
        };
        let body = AnswerBody {
            incoming,
            decoder,
            unread: VecDeque::new(),
        };
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }
}

fn failure_of(error: &hyper_util::client::legacy::Error) -> AttemptFailure {
    if !error.is_connect() {
        return AttemptFailure::Cut;
    }
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.is::<rustls::Error>() {
            return AttemptFailure::Tls;
        }
        // rustls reports through an `io::Error`, whose `source` skips the error that it wraps.
        if let Some(io) = cause.downcast_ref::<std::io::Error>()
            && io
                .get_ref()
                .is_some_and(|inner| inner.is::<rustls::Error>())
        {
            return AttemptFailure::Tls;
        }
        source = cause.source();
    }
    AttemptFailure::Connect
}

/// Where a backend answers an operation.
pub fn uri(backend: &Backend, operation: Operation, deployment: &str) -> Result<Uri, http::Error> {
    let path = dialect::route::upstream_path(
        backend.dialect,
        backend.url.path().trim_end_matches('/'),
        operation,
        deployment,
        backend.api_version.as_deref(),
    );
    let authority = &backend.url[url::Position::BeforeHost..url::Position::AfterPort];
    Uri::builder()
        .scheme(backend.url.scheme())
        .authority(authority)
        .path_and_query(PathAndQuery::try_from(path)?)
        .build()
}

/// The request of one attempt. `headers` are those that may cross, the gateway's credential among
/// them.
pub fn request(
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, http::Error> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(uri)
        .body(Full::new(body))?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// An answer's body, readable whatever its encoding.
pub struct AnswerBody {
    incoming: Incoming,
    decoder: Option<Decoder>,
    /// Read before, and given back.
    unread: VecDeque<Bytes>,
}

impl AnswerBody {
    /// The next piece; an error means that the answer was cut.
    pub fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, AttemptFailure>>> {
        if let Some(piece) = self.unread.pop_front() {
            return Poll::Ready(Some(Ok(piece)));
        }
        loop {
            let frame = match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Err(_)) => return Poll::Ready(Some(Err(AttemptFailure::Cut))),
                Some(Ok(frame)) => frame,
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let readable = match &mut self.decoder {
                None => data,
                Some(decoder) => match decoder.push(&data) {
                    Ok(readable) => readable,
                    Err(_) => return Poll::Ready(Some(Err(AttemptFailure::Cut))),
                },
            };
            if !readable.is_empty() {
                return Poll::Ready(Some(Ok(readable)));
            }
        }
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
}
