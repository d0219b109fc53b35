//! A fake token issuer: keeps what it was asked, answers what it is told to.

use std::convert::Infallible;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;
use url::Url;

/// Stops when it is dropped.
pub struct Issuer {
    address: SocketAddr,
    state: Arc<State>,
    _stop: DropGuard,
}

struct State {
    seen: Mutex<Vec<Asked>>,
    /// `None`: `t0ken-N` for an hour, N counting what was asked.
    answer: Mutex<Option<(u16, Bytes)>>,
    asked: watch::Sender<usize>,
    is_held: watch::Sender<bool>,
}

#[derive(Clone, Debug)]
pub struct Asked {
    pub method: http::Method,
    /// With its query.
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Asked {
    /// Empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

impl Issuer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let state = Arc::new(State {
            seen: Mutex::default(),
            answer: Mutex::default(),
            asked: watch::Sender::default(),
            is_held: watch::Sender::default(),
        });
        let stop = CancellationToken::new();
        let issuer = Self {
            address: listener.local_addr().unwrap(),
            state: state.clone(),
            _stop: stop.clone().drop_guard(),
        };
        let tasks = TaskTracker::new();
        let connections = tasks.clone();
        let accept = async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let state = state.clone();
                let service = service_fn(move |request| {
                    let state = state.clone();
                    async move { state.serve(request).await }
                });
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                connections.spawn(connection);
            }
        };
        tasks.spawn(async move { stop.run_until_cancelled(accept).await.unwrap_or(()) });
        issuer
    }

    /// One that keeps everybody waiting until it is released.
    pub async fn holding() -> Self {
        let issuer = Self::start().await;
        issuer.hold();
        issuer
    }

    pub fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.address)).unwrap()
    }

    pub fn hold(&self) {
        self.state.is_held.send_replace(true);
    }

    pub fn release(&self) {
        self.state.is_held.send_replace(false);
    }

    pub fn answer(&self, status: u16, body: &str) {
        *self.state.answer.lock().unwrap() =
            Some((status, Bytes::copy_from_slice(body.as_bytes())));
    }

    pub fn answer_with_tokens(&self) {
        *self.state.answer.lock().unwrap() = None;
    }

    /// Returns when it has been asked so many times.
    pub async fn asked(&self, times: usize) {
        let mut asked = self.state.asked.subscribe();
        asked.wait_for(|asked| *asked >= times).await.unwrap();
    }

    pub fn seen(&self) -> Vec<Asked> {
        self.state.seen.lock().unwrap().clone()
    }

    pub fn last(&self) -> Asked {
        self.seen().pop().unwrap()
    }
}

impl State {
    async fn serve(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, mut body) = request.into_parts();
        let mut read = Vec::new();
        while let Some(frame) = body.frame().await {
            read.extend_from_slice(frame.unwrap().data_ref().unwrap());
        }
        let asked = Asked {
            method: head.method,
            path: head.uri.to_string(),
            headers: head.headers,
            body: String::from_utf8(read).unwrap(),
        };
        let times = {
            let mut seen = self.seen.lock().unwrap();
            seen.push(asked);
            seen.len()
        };
        self.asked.send_replace(times);
        let mut is_held = self.is_held.subscribe();
        is_held.wait_for(|is_held| !is_held).await.unwrap();
        let told = self.answer.lock().unwrap().clone();
        let (status, body) = told.unwrap_or_else(|| {
            let token = format!("t0ken-{times}");
            let reply =
                json!({ "token_type": "Bearer", "access_token": token, "expires_in": "3600" });
            (200, reply.to_string().into())
        });
        Ok(Response::builder()
            .status(status)
            .body(Full::new(body))
            .unwrap())
    }
}

/// Everything that is logged on this thread, at every level.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub fn subscribe(&self) -> DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(self.clone())
            .with_ansi(false)
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
