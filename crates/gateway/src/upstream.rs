//! The network's side of an attempt: one request out, one answer's head and body back.
//!
//! Decides nothing: which backend, how often and what a failure means are the router's.

mod answer_body;
mod connections;

use bytes::Bytes;
use config::snapshot::Backend;
use config::{Problem, Snapshot};
use dialect::Operation;
use domain::record::AttemptFailure;
use http::header::CONTENT_ENCODING;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::Full;

use crate::encoding::{self, Decoder};
use crate::guards::service;
use crate::tls;

pub use answer_body::AnswerBody;
pub use connections::Connections;

/// What is wrong with the certificates of backends and of services that judge content.
pub fn check(snapshot: &Snapshot) -> Vec<Problem> {
    let backends = snapshot.backends.values().map(|backend| &backend.tls);
    let services = service::services(snapshot).into_iter();
    // One that moderates has the certificates of its backend, with the same problems.
    let services = services.map(|service| &service.tls);
    let mut problems: Vec<Problem> = Vec::new();
    for problem in tls::written_wrongly(backends.chain(services)) {
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }
    problems
}

/// An answer whose body has yet to be read.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: AnswerBody,
}

/// Sends, and waits for the answer's head.
pub async fn send(
    connections: &Connections,
    request: Request<Full<Bytes>>,
) -> Result<Answer, AttemptFailure> {
    let (answer, lease) = connections.send(request).await?;
    let (head, incoming) = answer.into_parts();
    let encodings = encoding::named(&head.headers, &CONTENT_ENCODING);
    let decoder = match encodings.as_slice() {
        [] => None,
        named => Some(Decoder::new(named).map_err(|_| AttemptFailure::Cut)?),
    };
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body: AnswerBody::new(incoming, lease, decoder),
    })
}

/// Scheme, host and port.
pub fn origin(url: &url::Url) -> Result<Uri, http::Error> {
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    Uri::builder()
        .scheme(url.scheme())
        .authority(authority)
        .path_and_query(PathAndQuery::from_static("/"))
        .build()
}

/// Where a backend answers an operation.
pub fn path(backend: &Backend, operation: Operation, deployment: &str) -> Result<Uri, http::Error> {
    let path = dialect::route::upstream_path(
        backend.dialect,
        backend.url.path().trim_end_matches('/'),
        operation,
        deployment,
        backend.api_version.as_deref(),
    );
    Ok(Uri::from(PathAndQuery::try_from(path)?))
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
