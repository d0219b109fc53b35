//! Through the listener: framing of answers, and clients that close their connection.

use domain::record::Outcome;
use gateway::server::{Face, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::sync::DropGuard;

use crate::scripted::{Answer, Backend, CHAT, DELTA, DONE, Script, USAGE};
use crate::stage::{KEY, Rules, Stage};

/// A gateway that listens, until this is dropped.
struct Listening {
    stage: Stage,
    address: std::net::SocketAddr,
    stop: DropGuard,
}

impl Listening {
    async fn before(backend: &Backend) -> Self {
        let rules = Rules {
            priorities: vec![1],
            ..Rules::default()
        };
        let stage = Stage::new(&rules, &[backend]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serving = serve(stage.gateway.clone(), listener, Face::Public, stop.clone());
        stage.gateway.tasks.spawn(serving);
        Self {
            stage,
            address,
            stop: stop.drop_guard(),
        }
    }

    /// A connection on which this request was sent.
    async fn connect(&self, method: &str, path: &str, body: &str) -> TcpStream {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {KEY}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        connection.write_all(request.as_bytes()).await.unwrap();
        connection
    }

    async fn chat(&self, stream: bool) -> TcpStream {
        let body = format!(
            r#"{{"model":"gpt-4o","stream":{stream},"messages":[{{"role":"user","content":"How far is the moon?"}}]}}"#
        );
        self.connect("POST", "/v1/chat/completions", &body).await
    }

    async fn stop(self) -> Stage {
        drop(self.stop);
        self.stage
    }
}

/// Head and body, as they were on the wire.
async fn read(mut connection: TcpStream) -> (String, String) {
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[tokio::test]
async fn an_answer_has_its_own_length_and_a_stream_has_chunks() {
    let a = Backend::answering(Answer::chat()).await;
    let packed = zstd::encode_all(CHAT.as_bytes(), 3).unwrap();
    a.then(Script::Answer(
        Answer::json(200, packed).with("content-encoding", "zstd"),
    ));
    let gateway = Listening::before(&a).await;
    let length = format!("content-length: {}", CHAT.len());
    for _ in ["compressed", "plain"] {
        let (head, body) = read(gateway.chat(false).await).await;
        assert!(head.contains(&length), "{head}");
        assert_eq!(body, CHAT);
    }
    a.always(Answer::stream(&[DELTA, USAGE, DONE]));
    let (head, body) = read(gateway.chat(true).await).await;
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    assert!(!head.contains("content-length"), "{head}");
    assert!(body.ends_with("0\r\n\r\n"), "{body}");
}

#[tokio::test]
async fn a_head_request_gets_no_body() {
    let a = Backend::answering(Answer::chat()).await;
    let gateway = Listening::before(&a).await;
    let (_, listed) = read(gateway.connect("GET", "/v1/models", "").await).await;
    assert!(listed.contains("gpt-4o"), "{listed}");
    let (head, body) = read(gateway.connect("HEAD", "/v1/models", "").await).await;
    assert!(head.starts_with("HTTP/1.1 405"), "{head}");
    assert!(head.contains("allow: GET"), "{head}");
    assert_eq!(body, "");
}

#[tokio::test]
async fn a_cut_answer_of_more_than_is_held_lacks_its_last_chunk() {
    let large = format!(r#"{{"choices":["{}"#, "moon ".repeat(300_000));
    let a = Backend::answering(Answer::json(200, large.clone()).truncated()).await;
    let gateway = Listening::before(&a).await;
    let (head, body) = read(gateway.chat(false).await).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(!body.ends_with("0\r\n\r\n"));
}

#[tokio::test]
async fn a_client_that_closes_its_connection_ends_the_backends_work() {
    let a = Backend::start(Script::Silence).await;
    a.then(Script::Answer(Answer::stream(&[DELTA]).stalled()));
    let gateway = Listening::before(&a).await;

    let mut within = gateway.chat(true).await;
    let mut seen = Vec::new();
    while !seen.ends_with(b"\n\n\r\n") {
        assert!(within.read_buf(&mut seen).await.unwrap() > 0);
    }
    drop(within);
    a.left(1).await;

    let before = gateway.chat(false).await;
    a.asked(2).await;
    drop(before);
    a.left(2).await;

    let records = gateway.stop().await.records().await;
    assert_eq!(records.len(), 2);
    for record in records {
        assert_eq!(record.outcome, Outcome::HungUp);
        assert!(record.metered.usage().prompt > 0);
    }
}
