//! Clients that send or read slowly, or not at all: each is bounded in time and in memory.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use domain::record::{CallRecord, Outcome};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use simulator::Behaviour;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::harness::{
    Config, Gate, Reply, SEARCH_KEY, Upstream, chat, config, get, in_time, provider,
};

/// Short enough to be waited for, and long enough for a busy machine to do what is not slow.
fn impatient(config: Config) -> Config {
    config
        .with("/limits/header_timeout", "2s".into())
        .with("/limits/body_timeout", "2s".into())
        .with("/limits/write_timeout", "2s".into())
        .with("/limits/idle_timeout", "5s".into())
}

const HEAD: &str =
    "POST /v1/chat/completions HTTP/1.1\r\nhost: tollgate\r\ncontent-type: application/json\r\n";

/// Writes `begin`, then a byte now and then, until the other side closes. What it said.
async fn trickle(address: SocketAddr, begin: &str) -> String {
    let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
    writer.write_all(begin.as_bytes()).await.unwrap();
    let trickling = async {
        while writer.write_all(b"a").await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let mut said = Vec::new();
    let reading = async {
        let _ = reader.read_to_end(&mut said).await;
    };
    in_time("the end of a slow connection", async {
        tokio::select! {
            () = reading => {}
            () = async { trickling.await; std::future::pending().await } => {}
        }
    })
    .await;
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_heads_silence_and_half_a_preface_end_at_the_header_timeout() {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(impatient(config().backend("east", region.address()))).await;
    let address = gate.door.address;
    for begin in [
        HEAD,
        "P",
        "PRI * HTTP/2.0\r\n",
        "GET /healthz HTTP/1.1\r\nhost: a\r\n\r\nGET",
    ] {
        let said = trickle(address, begin).await;
        assert_eq!(
            said.matches("HTTP/1.1 200").count(),
            begin.matches("healthz").count()
        );
    }
    let mut silent = TcpStream::connect(address).await.unwrap();
    let read = in_time("the end of silence", silent.read(&mut [0; 1])).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    assert_eq!(gate.send(chat("hi")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_trickles_in_is_refused_at_the_body_timeout() {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(impatient(config().backend("east", region.address()))).await;
    let begin = format!("{HEAD}api-key: {SEARCH_KEY}\r\ncontent-length: 100000\r\n\r\n{{");
    let said = trickle(gate.door.address, &begin).await;
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert!(said.contains("request_timeout"), "{said}");
    let record = &gate.all_records(1).await[0];
    assert_eq!((record.outcome, record.status), (Outcome::Refused, 408));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_calls_ends_at_the_idle_timeout() {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(impatient(config().backend("east", region.address()))).await;
    let mut socket = TcpStream::connect(gate.door.address).await.unwrap();
    socket
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut said = Vec::new();
    let early = timeout(Duration::from_secs(1), socket.read_to_end(&mut said)).await;
    assert!(early.is_err(), "closed before its time: {early:?}");
    let _ = in_time(
        "the end of an idle connection",
        socket.read_to_end(&mut said),
    )
    .await;
    assert!(said.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_past_its_bound_is_431_in_both_protocols() {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(config().backend("east", region.address())).await;
    let large = "x".repeat(80 * 1024);
    let call = get("/v1/models").header("x-large", &large);
    assert_eq!(gate.send(call.clone()).await.status, 431);
    let fits = get("/v1/models").header("x-large", &large[..50 * 1024]);
    assert_eq!(gate.send(fits).await.status, 200);

    let (mut sender, _connection) = http2(gate.door.address, 1 << 20).await;
    let answer = in_time(
        "an answer",
        sender.send_request(call.into_request(gate.door.address)),
    );
    assert_eq!(answer.await.unwrap().status(), 431);
}

type Http2 = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

async fn http2(address: SocketAddr, window_bytes: u32) -> (Http2, JoinSet<()>) {
    let socket = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(window_bytes)
        .handshake(TokioIo::new(socket))
        .await
        .unwrap();
    let mut driving = JoinSet::new();
    driving.spawn(async move {
        let _ = connection.await;
    });
    (sender, driving)
}

/// One event of an answer: 32 KiB of words.
fn large_event() -> Bytes {
    let words = "word ".repeat(32 * 1024 / 5);
    let event = json!({ "id": "c", "choices": [{ "index": 0, "delta": { "content": words } }] });
    format!("data: {event}\n\n").into()
}

/// An upstream that answers every call with events for as long as they are taken.
async fn endless() -> (Upstream, watch::Receiver<u64>) {
    let (sent, watched) = watch::channel(0u64);
    let sending = Mutex::new(JoinSet::new());
    let upstream = Upstream::start(move |_| {
        let (sender, reply) = Reply::pieces();
        let sent = sent.clone();
        sending.lock().unwrap().spawn(async move {
            let event = large_event();
            while sender.send(event.clone()).await.is_ok() {
                sent.send_modify(|sent| *sent += event.len() as u64);
            }
        });
        reply
    })
    .await;
    (upstream, watched)
}

fn hung_up_with_what_passed(record: &CallRecord) {
    assert_eq!(record.outcome, Outcome::HungUp);
    assert!(record.metered.is_estimated());
    assert!(record.metered.usage().completion > 1_000, "{record:?}");
}

/// A client that asked for a stream, saw its begin, and reads no more.
async fn stopped_reader(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let mut socket = socket.connect(address).await.unwrap();
    let body = chat("go on").stream().body();
    let length = body.len();
    let head = format!("{HEAD}api-key: {SEARCH_KEY}\r\ncontent-length: {length}\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(&body).await.unwrap();
    let mut begin = [0; 4096];
    let length = in_time("the answer's begin", socket.read(&mut begin))
        .await
        .unwrap();
    let begin = String::from_utf8_lossy(&begin[..length]);
    assert!(begin.starts_with("HTTP/1.1 200"), "{begin}");
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_stop_hold_little_memory_and_are_cut_at_the_write_timeout() {
    const READERS: usize = 20;
    let (upstream, sent) = endless().await;
    // Long enough to look at what is held meanwhile.
    let config = impatient(config().backend("east", upstream.address))
        .with("/limits/write_timeout", "3s".into());
    let gate = Gate::start(config).await;
    // The first one brings what all need: the tokenizer's tables above all.
    drop(stopped_reader(gate.door.address).await);
    gate.all_records(1).await;
    let before = gate.resident_bytes();
    let mut stopped = Vec::new();
    for _ in 0..READERS {
        stopped.push(stopped_reader(gate.door.address).await);
    }
    // Until nothing more is taken: then what was taken is held somewhere on the way.
    let mut taken = 0;
    while taken < *sent.borrow() {
        taken = *sent.borrow();
        sleep(Duration::from_millis(500)).await;
    }
    let held = gate.resident_bytes().saturating_sub(before);
    eprintln!(
        "{READERS} stopped readers: {held} bytes in the gateway, {taken} taken of the backend"
    );
    assert!(held < 30 << 20, "{held} bytes for {READERS} readers");
    assert!(taken < READERS as u64 * (16 << 20), "{taken} bytes taken");

    let records = gate.all_records(READERS + 1).await;
    records[..READERS].iter().for_each(hung_up_with_what_passed);
    drop(stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_window_stays_shut_is_cut_at_the_write_timeout() {
    let (upstream, _sent) = endless().await;
    let gate = Gate::start(impatient(config().backend("east", upstream.address))).await;
    let (mut sender, mut driving) = http2(gate.door.address, 20_000).await;
    let request = chat("go on").stream().into_request(gate.door.address);
    let answer = in_time("an answer", sender.send_request(request))
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body();
    // Taken in hand and never let go of: no window is given back.
    let first = in_time("the first piece", body.frame())
        .await
        .unwrap()
        .unwrap();
    in_time("the end of the connection", driving.join_next()).await;
    hung_up_with_what_passed(&gate.all_records(1).await[0]);
    drop(first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_that_reads_on_gets_all_of_it() {
    const EVENTS: usize = 16;
    let upstream = Upstream::start(|_| {
        let events: Vec<u8> = std::iter::repeat_n(large_event(), EVENTS)
            .flatten()
            .collect();
        Reply::events([&events[..], b"data: [DONE]\n\n"].concat())
    })
    .await;
    // In all the reader takes longer than this; for each piece a small part of it, so that a busy
    // machine makes it no slower than it may be.
    let write_timeout = Duration::from_secs(5);
    let config = config()
        .backend("east", upstream.address)
        .with("/limits/write_timeout", "5s".into());
    let gate = Gate::start(config).await;
    let (mut sender, _driving) = http2(gate.door.address, 20_000).await;
    let request = chat("go on").stream().into_request(gate.door.address);
    let mut body = sender.send_request(request).await.unwrap().into_body();
    let mut length = 0;
    while let Some(frame) = in_time("a piece", body.frame()).await {
        let piece = frame.unwrap().into_data().unwrap().len();
        length += piece;
        // 60 KB/s, however small the frames are.
        sleep(Duration::from_micros(16 * piece as u64)).await;
    }
    assert_eq!(
        length,
        EVENTS * large_event().len() + "data: [DONE]\n\n".len()
    );
    let record = &gate.all_records(1).await[0];
    assert_eq!(record.outcome, Outcome::Ok);
    assert!(record.latency > write_timeout, "the reader was not slow");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_past_the_bound_waits_for_a_place() {
    let region = provider(Behaviour::default()).await;
    let config = config()
        .backend("east", region.address())
        .with("/limits/connections", 3.into());
    let gate = Gate::start(config).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(TcpStream::connect(gate.door.address).await.unwrap());
    }
    let mut next = TcpStream::connect(gate.door.address).await.unwrap();
    next.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut said = [0; 12];
    let waiting = timeout(Duration::from_millis(300), next.read_exact(&mut said)).await;
    assert!(waiting.is_err(), "served without a place");
    drop(open.pop());
    in_time("an answer", next.read_exact(&mut said))
        .await
        .unwrap();
    assert_eq!(&said, b"HTTP/1.1 200");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_settles_http2_streams_that_it_cuts_as_hung_up() {
    let upstream = Upstream::start(|_| {
        let (sender, reply) = Reply::pieces();
        // Never dropped: the answer has no end.
        Box::leak(Box::new(sender)).try_send(large_event()).unwrap();
        reply
    })
    .await;
    let config = config()
        .backend("east", upstream.address)
        .with("/limits/drain", "300ms".into());
    let mut gate = Gate::start(config).await;
    let (mut sender, _driving) = http2(gate.door.address, 1 << 20).await;
    let mut bodies = Vec::new();
    for _ in 0..3 {
        let request = chat("go on").stream().into_request(gate.door.address);
        let mut body = sender.send_request(request).await.unwrap().into_body();
        in_time("a piece", body.frame()).await.unwrap().unwrap();
        bodies.push(body);
    }
    assert!(gate.stop().await.success());
    assert!(gate.log().contains("were cut off"), "{}", gate.log());
    let records = gate.all_records(3).await;
    records.iter().for_each(hung_up_with_what_passed);
}
