//! A provider that costs next to nothing: canned answers over HTTP/1.1, for `bench/run.py`.
//!
//! Understands just what the benchmark sends: requests with a `content-length`, one after another
//! on a connection. A body with `"stream":true` gets 50 events, each in a write of its own.

use std::io;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const EVENTS: usize = 50;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:9100".to_owned());
    let listener = TcpListener::bind(address).await?;
    let answers: &'static Answers = Box::leak(Box::new(Answers::new()));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        connections.spawn(serve(stream, answers));
        while connections.try_join_next().is_some() {}
    }
}

struct Answers {
    unary: Vec<u8>,
    /// The head, then one chunk for each event, then the last chunk.
    stream: Vec<Vec<u8>>,
}

impl Answers {
    fn new() -> Self {
        let text = "a word ".repeat(80);
        let body = format!(
            r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1760000000,"model":"gpt-4o","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":200,"completion_tokens":160,"total_tokens":360}}}}"#
        );
        let unary = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = vec![
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(),
        ];
        for _ in 0..EVENTS {
            stream.push(chunk(concat!(
                r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1760000000,"model":"gpt-4o","#,
                r#""system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}],"usage":null}"#
            )));
        }
        stream.push(chunk(concat!(
            r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1760000000,"model":"gpt-4o","#,
            r#""choices":[],"usage":{"prompt_tokens":200,"completion_tokens":50,"total_tokens":250}}"#
        )));
        let mut last = chunk("data: [DONE]");
        last.extend_from_slice(b"0\r\n\r\n");
        stream.push(last);
        Self {
            unary: unary.into_bytes(),
            stream,
        }
    }
}

fn chunk(event: &str) -> Vec<u8> {
    format!("{:x}\r\n{event}\n\n\r\n", event.len() + 2).into_bytes()
}

async fn serve(mut stream: TcpStream, answers: &'static Answers) -> io::Result<()> {
    let mut read = Vec::with_capacity(256 * 1024);
    loop {
        let Some(length) = request_length(&read) else {
            if stream.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
            continue;
        };
        while read.len() < length {
            if stream.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
        }
        let is_stream = memmem::find(&read[..length], br#""stream":true"#).is_some();
        read.drain(..length);
        if is_stream {
            for piece in &answers.stream {
                stream.write_all(piece).await?;
            }
        } else {
            stream.write_all(&answers.unary).await?;
        }
    }
}

/// Head and body together, once the head is here.
fn request_length(read: &[u8]) -> Option<usize> {
    let head = memmem::find(read, b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&read[..head]).ok()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    Some(head + length.unwrap_or(0))
}
