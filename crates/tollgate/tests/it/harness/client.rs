//! A client that says what a test wants said, on pooled connections or byte by byte.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{SEARCH_KEY, in_time};

/// No answer in these tests is larger.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A request to be. Made by `chat` and its like with the search team's key.
#[derive(Clone, Debug)]
pub struct Call {
    method: Method,
    path: String,
    headers: HeaderMap,
    fields: Value,
    bytes: Option<Bytes>,
}

pub fn chat(prompt: &str) -> Call {
    let message = json!({ "role": "user", "content": prompt });
    Call::post(
        "/v1/chat/completions",
        json!({ "model": "gpt-4o", "messages": [message] }),
    )
}

pub fn completion(prompt: &str) -> Call {
    let fields = json!({ "model": "gpt-3.5-turbo-instruct", "prompt": prompt, "max_tokens": 1000 });
    Call::post("/v1/completions", fields)
}

pub fn embedding(input: &str) -> Call {
    let fields = json!({ "model": "text-embedding-3-small", "input": input, "dimensions": 8 });
    Call::post("/v1/embeddings", fields)
}

pub fn get(path: &str) -> Call {
    let call = Call::post(path, Value::Null).bytes(Bytes::new());
    Call {
        method: Method::GET,
        ..call
    }
}

impl Call {
    fn post(path: &str, fields: Value) -> Self {
        let call = Self {
            method: Method::POST,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            fields,
            bytes: None,
        };
        call.key(SEARCH_KEY)
            .header("content-type", "application/json")
    }

    pub fn key(self, key: &str) -> Self {
        self.header("api-key", key)
    }

    pub fn bearer(self, credential: &str) -> Self {
        self.without("api-key")
            .header("authorization", &format!("Bearer {credential}"))
    }

    pub fn method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    pub fn path(self, path: &str) -> Self {
        Self {
            path: path.to_owned(),
            ..self
        }
    }

    /// Sets a header, in place of any of that name.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).unwrap();
        self.headers
            .insert(name, HeaderValue::from_str(value).unwrap());
        self
    }

    /// Adds a header beside any of that name.
    pub fn another_header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).unwrap();
        self.headers
            .append(name, HeaderValue::from_str(value).unwrap());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    pub fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields[name] = value.into();
        self
    }

    pub fn model(self, name: &str) -> Self {
        self.field("model", name)
    }

    pub fn max_tokens(self, tokens: u64) -> Self {
        self.field("max_tokens", tokens)
    }

    pub fn stream(self) -> Self {
        self.field("stream", true)
    }

    pub fn with_usage(self) -> Self {
        self.field("stream_options", json!({ "include_usage": true }))
    }

    /// How the fake provider behaves for this call: it travels as an unknown field.
    pub fn simulate(self, behaviour: Value) -> Self {
        self.field("simulate", behaviour)
    }

    /// These bytes as the body, whatever the fields say.
    pub fn bytes(self, bytes: impl Into<Bytes>) -> Self {
        Self {
            bytes: Some(bytes.into()),
            ..self
        }
    }

    /// The body that will be sent.
    pub fn body(&self) -> Bytes {
        self.bytes
            .clone()
            .unwrap_or_else(|| self.fields.to_string().into())
    }

    pub fn into_request(self, address: SocketAddr) -> Request<Full<Bytes>> {
        let body = Full::new(self.body());
        let uri = format!("http://{address}{}", self.path);
        let mut request = Request::builder()
            .method(self.method)
            .uri(uri)
            .body(body)
            .unwrap();
        *request.headers_mut() = self.headers;
        request
    }
}

/// Where a gateway listens, and connections to it.
#[derive(Clone, Debug)]
pub struct Door {
    pub address: SocketAddr,
    connections: Client<HttpConnector, Full<Bytes>>,
}

impl Door {
    pub fn at(address: SocketAddr) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            address,
            connections: Client::builder(TokioExecutor::new()).build(connector),
        }
    }

    /// The whole answer; panics if none began.
    pub async fn send(&self, call: Call) -> Answer {
        self.open(call).await.rest().await
    }

    pub async fn open(&self, call: Call) -> Opened {
        in_time("an answer", self.try_open(call)).await.unwrap()
    }

    pub async fn try_send(&self, call: Call) -> Result<Answer, Error> {
        Ok(self.try_open(call).await?.rest().await)
    }

    /// Dropping what this returns, or the future before, hangs up.
    pub async fn try_open(&self, call: Call) -> Result<Opened, Error> {
        let (head, body) = self
            .connections
            .request(call.into_request(self.address))
            .await?
            .into_parts();
        let unread = BytesMut::new();
        Ok(Opened {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
            unread,
        })
    }

    /// Writes bytes as they are and reads what comes back until the other side closes.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let (mut reader, mut writer) = TcpStream::connect(self.address).await.unwrap().into_split();
        let mut answer = Vec::new();
        let writing = async {
            // A server that has heard enough may close before it is all out.
            let _ = writer.write_all(bytes).await;
            let _ = writer.shutdown().await;
        };
        let reading = async {
            let _ = reader.read_to_end(&mut answer).await;
        };
        in_time("a raw exchange", async { tokio::join!(writing, reading) }).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// An answer whose head is here.
#[derive(Debug)]
pub struct Opened {
    pub status: u16,
    pub headers: HeaderMap,
    body: Incoming,
    unread: BytesMut,
}

impl Opened {
    pub fn id(&self) -> String {
        text_of(&self.headers, "x-request-id").to_owned()
    }

    /// The next server-sent event's data; `None` at the end, however it came.
    pub async fn event(&mut self) -> Option<String> {
        in_time("an event", async {
            loop {
                if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\n\n") {
                    let event = self.unread.split_to(end + 2);
                    return Some(data_of(&event));
                }
                let frame = self.body.frame().await?.ok()?;
                self.unread
                    .extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new()));
            }
        })
        .await
    }

    pub async fn rest(mut self) -> Answer {
        let mut is_whole = true;
        while let Some(frame) = in_time("the rest of an answer", self.body.frame()).await {
            match frame {
                Ok(frame) => {
                    self.unread
                        .extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new()));
                    assert!(self.unread.len() <= ANSWER_BYTES_MAX);
                }
                Err(_) => {
                    is_whole = false;
                    break;
                }
            }
        }
        let body = self.unread.freeze();
        Answer {
            status: self.status,
            headers: self.headers,
            body,
            is_whole,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Read to the end that its framing announced.
    pub is_whole: bool,
}

impl Answer {
    /// Empty if the header is not there.
    pub fn header(&self, name: &str) -> &str {
        text_of(&self.headers, name)
    }

    pub fn number(&self, name: &str) -> u64 {
        self.header(name)
            .parse()
            .unwrap_or_else(|_| panic!("`{name}` in {:?}", self.headers))
    }

    pub fn id(&self) -> &str {
        self.header("x-request-id")
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    /// Of an error.
    pub fn code(&self) -> String {
        self.json()["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    pub fn message(&self) -> String {
        self.json()["error"]["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Of a refusal by a rule: `rule`, `scope`, `limit`, `used`, `reserved`, `resets_at`.
    pub fn why(&self, field: &str) -> Value {
        self.json()["error"]["tollgate"][field].clone()
    }

    /// What the provider reported, `usage.total_tokens`.
    pub fn total_tokens(&self) -> u64 {
        self.json()["usage"]["total_tokens"].as_u64().unwrap()
    }

    /// A stream's events.
    pub fn events(&self) -> Vec<String> {
        self.text()
            .split_terminator("\n\n")
            .map(|event| data_of(event.as_bytes()))
            .collect()
    }

    /// A chat stream's words, put together.
    pub fn streamed_words(&self) -> String {
        let events = self.events();
        let chunks = events
            .iter()
            .filter_map(|data| serde_json::from_str::<Value>(data).ok());
        chunks
            .filter_map(|chunk| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned()))
            .collect()
    }

    /// A chat answer's words.
    pub fn words(&self) -> String {
        self.json()["choices"][0]["message"]["content"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn data_of(event: &[u8]) -> String {
    let text = String::from_utf8_lossy(event);
    let lines = text.lines().filter_map(|line| line.strip_prefix("data:"));
    lines.map(str::trim_start).collect::<Vec<_>>().join("\n")
}
