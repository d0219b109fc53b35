//! A plain HTTP client, as an application has one: it knows the gateway by its address only.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// The demo's own answers are far shorter; `/metrics` too.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

#[derive(Clone, Debug)]
pub struct Client {
    inner: legacy::Client<HttpConnector, Full<Bytes>>,
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            inner: legacy::Client::builder(TokioExecutor::new()).build_http(),
        }
    }
}

impl Client {
    pub async fn get(&self, address: SocketAddr, path: &str) -> Result<Answer> {
        let request = Request::builder()
            .uri(format!("http://{address}{path}"))
            .body(Full::default())?;
        self.send(request).await
    }

    /// Streams are read to their end too.
    pub async fn post(&self, address: SocketAddr, credential: &str, chat: &Chat) -> Result<Answer> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://{address}/v1/chat/completions"))
            .header("authorization", format!("Bearer {credential}"))
            .header("content-type", "application/json")
            .header("x-app-name", chat.application)
            .body(Full::from(chat.body()))?;
        self.send(request).await
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer> {
        let (head, mut incoming) = self
            .inner
            .request(request)
            .await
            .context("no answer")?
            .into_parts();
        let mut body = Vec::new();
        while let Some(frame) = incoming.frame().await {
            if let Ok(data) = frame.context("the answer broke off")?.into_data() {
                body.extend_from_slice(&data);
            }
            if body.len() > ANSWER_BYTES_MAX {
                bail!("the answer is longer than the demo reads");
            }
        }
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }
}

#[derive(Clone, Debug)]
pub struct Chat {
    pub application: &'static str,
    pub model: &'static str,
    pub system: Option<&'static str>,
    pub prompt: String,
    pub stream: bool,
}

impl Chat {
    fn body(&self) -> String {
        let system = self.system.map(|text| ("system", text));
        let messages: Vec<serde_json::Value> = system
            .into_iter()
            .chain([("user", self.prompt.as_str())])
            .map(|(role, content)| serde_json::json!({ "role": role, "content": content }))
            .collect();
        serde_json::json!({
            "model": self.model,
            "messages": messages,
            "stream": self.stream,
        })
        .to_string()
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}
