//! Another system on this machine that takes events, or refuses them as it is told.

use std::convert::Infallible;
use std::io::Read as _;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

pub struct Seen {
    pub path: String,
    pub headers: HeaderMap,
    /// Decompressed.
    pub body: Bytes,
    pub status: u16,
}

type Answering = Box<dyn Fn(&str) -> u16 + Send + Sync>;

pub struct Receiver {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Receiver {
    /// `answering` makes a status of a body.
    pub async fn new(answering: impl Fn(&str) -> u16 + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (tasks, taken) = (TaskTracker::new(), seen.clone());
        let answering: Arc<Answering> = Arc::new(Box::new(answering));
        let connections = tasks.clone();
        tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (taken, answering) = (taken.clone(), answering.clone());
                connections.spawn(async move {
                    let service = service_fn(move |request| {
                        let (taken, answering) = (taken.clone(), answering.clone());
                        async move { Ok::<_, Infallible>(answer(request, &taken, &answering).await) }
                    });
                    // A gateway that breaks off is what some tests are about.
                    let _ = http1::Builder::new()
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

    /// Ids of all events that were answered with a 2xx so far, in order.
    pub fn ids(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let taken = seen.iter().filter(|seen| seen.status < 300);
        taken.flat_map(|seen| ids(&seen.body)).collect()
    }

    pub fn requests(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

async fn answer(
    request: Request<Incoming>,
    seen: &Mutex<Vec<Seen>>,
    answering: &Answering,
) -> Response<Full<Bytes>> {
    let (head, incoming) = request.into_parts();
    let mut limited = Limited::new(incoming, 16 << 20);
    let mut body = Vec::new();
    while let Some(Ok(frame)) = limited.frame().await {
        body.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new()));
    }
    if head
        .headers
        .get("content-encoding")
        .is_some_and(|kind| kind == "gzip")
    {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&*body)
            .read_to_end(&mut plain)
            .unwrap();
        body = plain;
    }
    let status = answering(&String::from_utf8_lossy(&body));
    seen.lock().unwrap().push(Seen {
        path: head.uri.path().to_owned(),
        headers: head.headers,
        body: body.into(),
        status,
    });
    let answer = Response::builder().status(status);
    answer.body(Full::default()).unwrap()
}

pub fn ids(array: &[u8]) -> Vec<String> {
    let events: Vec<Value> = serde_json::from_slice(array).unwrap();
    events
        .iter()
        .map(|event| event["id"].as_str().unwrap().to_owned())
        .collect()
}
