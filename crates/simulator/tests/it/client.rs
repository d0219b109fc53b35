//! A small client: one region, questions to it, and answers read to wherever they end.

use std::net::SocketAddr;
use std::pin::{Pin, pin};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body::Body;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use simulator::{Behaviour, Running, Simulator};

pub const ANY_PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// The connection broke before the body's end.
    pub is_cut: bool,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .unwrap_or_else(|| panic!("no {name}"))
            .to_str()
            .unwrap()
    }

    /// The events of a stream; `[DONE]`, which must be the last, is left out.
    pub fn events(&self) -> Vec<Value> {
        let text = std::str::from_utf8(&self.body).unwrap();
        let (events, end) = text
            .rsplit_once("data: [DONE]\n\n")
            .expect("a stream ends with [DONE]");
        assert_eq!(end, "");
        events
            .split_terminator("\n\n")
            .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
            .collect()
    }
}

pub async fn region(behaviour: Behaviour) -> Running {
    Simulator::start(ANY_PORT, behaviour, 7).await.unwrap()
}

/// A chat call of one user message.
pub fn chat(content: &str, more: Value) -> Value {
    let mut body =
        json!({ "model": "gpt-4o", "messages": [{ "role": "user", "content": content }] });
    let Value::Object(more) = more else {
        panic!("further fields are an object");
    };
    for (name, value) in more {
        body[name] = value;
    }
    body
}

pub async fn ask(running: &Running, body: &Value) -> Answer {
    post(
        running.address(),
        "/v1/chat/completions",
        &body.to_string(),
        &[],
    )
    .await
    .unwrap()
}

pub async fn post(
    address: SocketAddr,
    path: &str,
    body: &str,
    headers: &[(&str, &str)],
) -> Result<Answer, hyper_util::client::legacy::Error> {
    send("POST", address, path, body, headers).await
}

pub async fn get(address: SocketAddr, path: &str) -> Answer {
    send("GET", address, path, "", &[]).await.unwrap()
}

pub async fn send(
    method: &str,
    address: SocketAddr,
    path: &str,
    body: &str,
    headers: &[(&str, &str)],
) -> Result<Answer, hyper_util::client::legacy::Error> {
    let client: Client<HttpConnector, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = client
        .request(request.body(Full::from(body.to_owned())).unwrap())
        .await?;
    let (head, body) = response.into_parts();
    let mut body = pin!(body);
    let mut answer = Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: Vec::new(),
        is_cut: false,
    };
    while let Some(frame) =
        std::future::poll_fn(|context| Pin::as_mut(&mut body).poll_frame(context)).await
    {
        match frame {
            Ok(frame) => answer.body.extend_from_slice(&frame.into_data().unwrap()),
            Err(_) => {
                answer.is_cut = true;
                break;
            }
        }
    }
    Ok(answer)
}
