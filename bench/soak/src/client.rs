//! HTTP with pooled connections; dropping an answer hangs up.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as Pooled;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// Nothing takes this long unless it is broken.
const DEADLINE: Duration = Duration::from_secs(60);
/// What common clients have, and shorter than the gateway's `idle_timeout`: a call that is sent while the
/// other side closes is lost.
const IDLE_MAX: Duration = Duration::from_secs(90);

#[derive(Clone, Debug)]
pub struct Client {
    pub address: SocketAddr,
    pooled: Pooled<HttpConnector, Full<Bytes>>,
}

/// An answer whose head is here.
pub struct Opened {
    pub status: u16,
    pub headers: HeaderMap,
    body: Incoming,
}

/// One that was read to its end.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Client {
    pub fn of(address: SocketAddr) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            address,
            pooled: Pooled::builder(TokioExecutor::new())
                .pool_idle_timeout(IDLE_MAX)
                .pool_timer(TokioTimer::new())
                .build(connector),
        }
    }

    pub async fn open(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Opened> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body))?;
        let answer = tokio::time::timeout(DEADLINE, self.pooled.request(request))
            .await
            .context("no answer in a minute")??;
        let (head, body) = answer.into_parts();
        Ok(Opened {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        })
    }

    pub async fn get(&self, path: &str) -> Result<Answer> {
        let none = Bytes::new();
        self.open(Method::GET, path, &[], none).await?.rest().await
    }
}

impl Opened {
    /// The next piece; `None` at the end.
    pub async fn piece(&mut self) -> Result<Option<Bytes>> {
        match tokio::time::timeout(DEADLINE, self.body.frame()).await {
            Err(_) => bail!("nothing more of an answer in a minute"),
            Ok(None) => Ok(None),
            Ok(Some(frame)) => Ok(Some(frame?.into_data().unwrap_or_default())),
        }
    }

    pub async fn rest(mut self) -> Result<Answer> {
        let mut body = BytesMut::new();
        while let Some(piece) = self.piece().await? {
            body.extend_from_slice(&piece);
        }
        Ok(Answer {
            status: self.status,
            headers: self.headers,
            body: body.freeze(),
        })
    }
}

pub fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}
