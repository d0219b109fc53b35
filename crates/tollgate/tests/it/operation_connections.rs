//! Connections outlive their calls: the next call must find them open for as long as is promised.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use simulator::Behaviour;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::harness::{Config, Gate, SEARCH_KEY, chat, config, in_time, provider};

/// Ten times as long as a head may take.
const LONG: Duration = Duration::from_secs(1);

/// No head may take long, and connections may wait for calls as they like.
fn waiting(config: Config) -> Config {
    config
        .with("/limits/header_timeout", "100ms".into())
        .with("/limits/idle_timeout", "1h".into())
}

async fn stays_open(socket: &mut TcpStream) {
    let read = timeout(LONG, socket.read(&mut [0; 1])).await;
    assert!(read.is_err(), "closed, or told something: {read:?}");
}

/// The head of what is answered to `bytes`, and as much of its body as came with it.
async fn said_to(socket: &mut TcpStream, bytes: &[u8]) -> String {
    in_time("an answer", async {
        socket.write_all(bytes).await.unwrap();
        let mut said = Vec::new();
        while !said.windows(4).any(|end| end == b"\r\n\r\n") {
            let read = socket.read_buf(&mut said).await.unwrap();
            assert!(read > 0, "closed: {}", String::from_utf8_lossy(&said));
        }
        String::from_utf8_lossy(&said).into_owned()
    })
    .await
}

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: tollgate\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_opened_ahead_of_its_first_call_is_there_when_that_comes() {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(waiting(config().backend("east", region.address()))).await;
    let mut socket = TcpStream::connect(gate.door.address).await.unwrap();
    stays_open(&mut socket).await;
    let said = said_to(&mut socket, HEALTH).await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_a_refused_body_does_not_end_its_connection() {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(waiting(config().backend("east", region.address()))).await;
    let mut socket = TcpStream::connect(gate.door.address).await.unwrap();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: tollgate\r\n\
        api-key: nobody-has-this-key-0123\r\ncontent-length: 20000\r\n\r\n";
    let said = said_to(&mut socket, head.as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 401"), "{said}");
    let told = said.split_once("\r\n\r\n").unwrap().1.len();
    let length = said.to_lowercase();
    let (_, length) = length.split_once("content-length: ").unwrap();
    let length: usize = length.lines().next().unwrap().parse().unwrap();
    let mut rest = vec![0; length - told];
    in_time("the refusal", socket.read_exact(&mut rest))
        .await
        .unwrap();
    socket.write_all(&[b' '; 10_000]).await.unwrap();
    stays_open(&mut socket).await;
    socket.write_all(&[b' '; 10_000]).await.unwrap();
    stays_open(&mut socket).await;
    let said = said_to(&mut socket, HEALTH).await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_between_http2_calls_are_not_taken_for_a_head_that_never_ends() {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(waiting(config().backend("east", region.address()))).await;
    let address = gate.door.address;
    let socket = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_millis(20))
        .keep_alive_while_idle(true)
        .handshake::<_, Full<Bytes>>(TokioIo::new(socket))
        .await
        .unwrap();
    let mut driving = JoinSet::new();
    driving.spawn(connection);
    for _ in 0..2 {
        let answer = in_time(
            "an answer",
            sender.send_request(chat("hi").into_request(address)),
        );
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 200);
        let mut body = answer.into_body();
        while let Some(frame) = in_time("its body", body.frame()).await {
            frame.unwrap();
        }
        let ended = timeout(LONG, driving.join_next()).await;
        assert!(ended.is_err(), "the connection ended: {ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_before_it_sends_is_told_that_a_refusal_ends_the_connection() {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(config().backend("east", region.address())).await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: tollgate\r\n\
        api-key: KEY\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n";
    let mut socket = TcpStream::connect(gate.door.address).await.unwrap();
    let unknown = head.replace("KEY", "nobody-has-this-key-0123");
    let said = said_to(&mut socket, unknown.as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 401"), "{said}");
    assert!(said.contains("connection: close\r\n"), "{said}");

    let mut socket = TcpStream::connect(gate.door.address).await.unwrap();
    let known = head.replace("KEY", SEARCH_KEY);
    let said = said_to(&mut socket, known.as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 100"), "{said}");
    let said = said_to(&mut socket, b"{}").await;
    assert!(said.starts_with("HTTP/1.1 400"), "{said}");
    assert!(!said.contains("connection: close"), "{said}");
}
