//! An upstream that remembers every request and answers as it is told, piece by piece if need be.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;

pub struct Upstream {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    _serving: JoinSet<()>,
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub head: Parts,
    pub body: Bytes,
}

pub struct Reply {
    status: u16,
    headers: HeaderMap,
    content: Content,
}

enum Content {
    Whole(Bytes),
    Pieces(Receiver<Bytes>),
}

impl Seen {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.head
            .headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

impl Reply {
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self::with_type("application/json", Content::Whole(body.into()))
    }

    /// A short chat answer with usage.
    pub fn hello() -> Self {
        let body = json!({
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "gpt-4o-2024-08-06",
            "choices": [{
                "index": 0,
                "message": { "role": "assistant", "content": "hello" },
                "finish_reason": "stop",
            }],
            "usage": { "prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10 },
        });
        Self::json(body.to_string())
    }

    /// A whole SSE answer.
    pub fn events(body: impl Into<Bytes>) -> Self {
        Self::with_type("text/event-stream", Content::Whole(body.into()))
    }

    /// An SSE answer that is sent as the test says; it ends when the sender is dropped.
    pub fn pieces() -> (Sender<Bytes>, Self) {
        let (sender, receiver) = channel(16);
        (
            sender,
            Self::with_type("text/event-stream", Content::Pieces(receiver)),
        )
    }

    pub fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let name = HeaderName::from_static(name);
        self.headers
            .insert(name, HeaderValue::from_str(value).unwrap());
        self
    }

    fn with_type(content_type: &'static str, content: Content) -> Self {
        Self {
            status: 200,
            headers: HeaderMap::new(),
            content,
        }
        .header("content-type", content_type)
    }
}

impl Upstream {
    pub async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, seen.clone(), Arc::new(answer)));
        Self {
            address,
            seen,
            _serving: serving,
        }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The only request so far.
    pub fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "requests that reached the upstream");
        seen[0].clone()
    }
}

type Answering = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

async fn accept(listener: TcpListener, seen: Arc<Mutex<Vec<Seen>>>, answering: Answering) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (seen, answering) = (seen.clone(), answering.clone());
        stream.set_nodelay(true).unwrap();
        connections.spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let (seen, answering) = (seen.clone(), answering.clone());
                async move {
                    let (head, body) = request.into_parts();
                    let one = Seen {
                        head,
                        body: whole(body).await,
                    };
                    seen.lock().unwrap().push(one.clone());
                    Ok::<_, Infallible>(response(answering(&one)))
                }
            });
            // The gateway may hang up at any time.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// Of a request that came from the gateway, which bounds them.
async fn whole(mut body: Incoming) -> Bytes {
    let mut bytes = BytesMut::new();
    while let Some(Ok(frame)) = body.frame().await {
        bytes.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new()));
    }
    bytes.freeze()
}

fn response(reply: Reply) -> Response<Either<Full<Bytes>, Pieces>> {
    let body = match reply.content {
        Content::Whole(bytes) => Either::Left(Full::new(bytes)),
        Content::Pieces(receiver) => Either::Right(Pieces(receiver)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap();
    *response.headers_mut() = reply.headers;
    response
}

struct Pieces(Receiver<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(context)
            .map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}
