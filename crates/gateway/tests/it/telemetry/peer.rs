//! Another side on this machine: a backend or a collector that remembers what it was sent.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

pub struct Seen {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

pub struct Peer {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Peer {
    pub async fn answering(status: u16, kind: &'static str, text: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let tasks = TaskTracker::new();
        let (taken, connections) = (seen.clone(), tasks.clone());
        tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let taken = taken.clone();
                connections.spawn(async move {
                    let service = service_fn(move |request: Request<Incoming>| {
                        let taken = taken.clone();
                        async move {
                            let (head, incoming) = request.into_parts();
                            let body = read(incoming).await;
                            taken.lock().unwrap().push(Seen {
                                path: head.uri.path().to_owned(),
                                headers: head.headers,
                                body,
                            });
                            let answer = Response::builder()
                                .status(status)
                                .header("content-type", kind)
                                .body(Full::new(Bytes::from_static(text.as_bytes())));
                            Ok::<_, Infallible>(answer.unwrap())
                        }
                    });
                    let connection = http1::Builder::new();
                    // A gateway that breaks off is what some tests are about.
                    let _ = connection
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { url, seen }
    }

    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

async fn read(incoming: Incoming) -> Bytes {
    let mut limited = Limited::new(incoming, 16 << 20);
    let mut read = Vec::new();
    while let Some(frame) = limited.frame().await {
        if let Ok(data) = frame.unwrap().into_data() {
            read.extend_from_slice(&data);
        }
    }
    read.into()
}
