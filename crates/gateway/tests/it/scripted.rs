//! A backend on 127.0.0.1 that does with each request what a test wrote down for it.
//!
//! Speaks raw HTTP/1.1, so that it can lie about lengths, stop anywhere and break connections.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What happens to one request.
#[derive(Clone, Debug)]
pub enum Script {
    Answer(Answer),
    /// The connection is reset before any byte of an answer.
    Reset,
    /// Nothing is said until the gateway leaves.
    Silence,
    /// Speaks before it is asked, and not HTTP.
    Greeting,
}

#[derive(Clone, Debug)]
pub struct Answer {
    /// `103 Early Hints` goes before it.
    hints: bool,
    /// Waits for `release`.
    is_held: bool,
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    framing: Framing,
    end: End,
}

#[derive(Clone, Copy, Debug)]
enum Framing {
    /// As long as it says; `more` bytes are promised and never sent.
    Length {
        more: usize,
    },
    Chunked,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Whole,
    /// The connection is closed as if all was said.
    Close,
    Reset,
    /// Nothing more until the gateway leaves.
    Stall,
}

pub const JSON: &str = "application/json";
pub const EVENTS: &str = "text/event-stream; charset=utf-8";

/// The answer to a chat call: 12 + 5 tokens by its own word.
pub const CHAT: &str = r#"{"id":"c1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"About 384,400 km."},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17}}"#;

/// Events of a streamed answer; `USAGE` says 12 + 5 tokens.
pub const DELTA: &str = "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"About 384,400 km.\"}}]}\n\n";
pub const USAGE: &str = "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":5,\"total_tokens\":17}}\n\n";
pub const DONE: &str = "data: [DONE]\n\n";

impl Answer {
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            hints: false,
            is_held: false,
            status,
            headers: vec![("content-type", JSON.into())],
            body: body.into(),
            framing: Framing::Length { more: 0 },
            end: End::Whole,
        }
    }

    /// Answers a chat call in full.
    pub fn chat() -> Self {
        Self::json(200, CHAT)
    }

    pub fn stream(events: &[&str]) -> Self {
        Self {
            framing: Framing::Chunked,
            body: events.concat().into(),
            ..Self::json(200, "")
        }
        .with("content-type", EVENTS)
    }

    pub fn is_stream(&self) -> bool {
        self.headers.iter().any(|(_, value)| value == EVENTS)
    }

    /// An error in the provider's own words.
    pub fn error(status: u16) -> Self {
        Self::json(status, provider_error(status))
    }

    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Replaces the header, or adds it.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }

    pub fn after_hints(mut self) -> Self {
        self.hints = true;
        self
    }

    pub fn held(mut self) -> Self {
        self.is_held = true;
        self
    }

    pub fn with_retry_after(self, after_s: Option<u64>) -> Self {
        match after_s {
            Some(after_s) => self.with("retry-after", after_s.to_string()),
            None => self,
        }
    }

    /// Promises more of the body than it sends, and closes.
    pub fn truncated(mut self) -> Self {
        self.framing = Framing::Length { more: 100 };
        self.end = End::Close;
        self
    }

    /// The connection is reset where the rest of the body would be.
    pub fn reset(mut self) -> Self {
        self.framing = Framing::Length { more: 100 };
        self.end = End::Reset;
        self
    }

    /// A chunked body whose last chunk never comes: the connection is closed.
    pub fn closed(mut self) -> Self {
        self.framing = Framing::Chunked;
        self.end = End::Close;
        self
    }

    /// What was written is sent, then nothing until the gateway leaves.
    pub fn stalled(mut self) -> Self {
        self.framing = Framing::Chunked;
        self.end = End::Stall;
        self
    }

    fn head(&self) -> String {
        let hints = if self.hints {
            "HTTP/1.1 103 Early Hints\r\nlink: </>\r\n\r\n"
        } else {
            ""
        };
        let mut head = format!("{hints}HTTP/1.1 {} Scripted\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let framing = match self.framing {
            Framing::Length { more } => format!("content-length: {}", self.body.len() + more),
            Framing::Chunked => "transfer-encoding: chunked".into(),
        };
        format!("{head}{framing}\r\n\r\n")
    }
}

/// Never shown to a client that asked with its own good credential.
pub fn provider_error(status: u16) -> String {
    format!(r#"{{"error":{{"message":"the provider's own words","code":"own_{status}"}}}}"#)
}

pub struct Backend {
    pub address: String,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    next: Mutex<VecDeque<Script>>,
    always: Mutex<Script>,
    /// As they came, with what stands before them.
    heads: Mutex<Vec<String>>,
    bodies: Mutex<Vec<Bytes>>,
    requests: watch::Sender<usize>,
    hang_ups: watch::Sender<usize>,
    is_released: watch::Sender<bool>,
}

impl Backend {
    /// One that answers every request alike, until told otherwise.
    pub async fn start(always: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            next: Mutex::default(),
            always: Mutex::new(always),
            heads: Mutex::default(),
            bodies: Mutex::default(),
            requests: watch::Sender::new(0),
            hang_ups: watch::Sender::new(0),
            is_released: watch::Sender::new(false),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, shared.clone()));
        Self {
            address,
            shared,
            _tasks: tasks,
        }
    }

    pub async fn answering(answer: Answer) -> Self {
        Self::start(Script::Answer(answer)).await
    }

    pub fn always(&self, answer: Answer) {
        *self.shared.always.lock().unwrap() = Script::Answer(answer);
    }

    /// The next request that nothing was written for yet gets this.
    pub fn then(&self, script: Script) {
        self.shared.next.lock().unwrap().push_back(script);
    }

    pub fn requests(&self) -> usize {
        *self.shared.requests.borrow()
    }

    pub fn bodies(&self) -> Vec<Bytes> {
        self.shared.bodies.lock().unwrap().clone()
    }

    /// A header of each request, in their order.
    pub fn headers(&self, name: &str) -> Vec<Option<String>> {
        let of = |head: &String| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            let mut named = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name));
            named.next().map(|(_, value)| value.to_owned())
        };
        self.shared.heads.lock().unwrap().iter().map(of).collect()
    }

    /// Lets held answers go.
    pub fn release(&self) {
        self.shared.is_released.send_replace(true);
    }

    /// Until so many requests came.
    pub async fn asked(&self, times: usize) {
        let mut requests = self.shared.requests.subscribe();
        requests.wait_for(|seen| *seen >= times).await.unwrap();
    }

    /// Until the gateway broke so many connections off while this backend was silent.
    pub async fn left(&self, times: usize) {
        let mut hang_ups = self.shared.hang_ups.subscribe();
        hang_ups.wait_for(|seen| *seen >= times).await.unwrap();
    }
}

/// A backend that nobody can reach. Its port is taken and nothing listens on it: a free one could become
/// that of another test's backend, which would answer.
pub struct DeadBackend {
    pub address: String,
    _port: TcpSocket,
}

impl DeadBackend {
    pub fn new() -> Self {
        let port = TcpSocket::new_v4().unwrap();
        port.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self {
            address: format!("http://{}", port.local_addr().unwrap()),
            _port: port,
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        connections.spawn(async move {
            let _broken_or_done = shared.converse(stream).await.is_ok();
        });
    }
}

impl Shared {
    async fn converse(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        if matches!(*self.always.lock().unwrap(), Script::Greeting) {
            stream.write_all(b"220 mail.test ESMTP\r\n").await?;
            return self.wait_for_hang_up(stream).await;
        }
        let mut unread = BytesMut::new();
        while let Some((head, body)) = read_request(&mut stream, &mut unread).await? {
            self.heads.lock().unwrap().push(head);
            self.bodies.lock().unwrap().push(body);
            let script = self.next.lock().unwrap().pop_front();
            let script = script.unwrap_or_else(|| self.always.lock().unwrap().clone());
            self.requests.send_modify(|seen| *seen += 1);
            match script {
                Script::Reset => return stream.set_zero_linger(),
                Script::Silence | Script::Greeting => return self.wait_for_hang_up(stream).await,
                Script::Answer(answer) => {
                    if answer.is_held {
                        let mut is_released = self.is_released.subscribe();
                        let _sender_lives = is_released.wait_for(|is_released| *is_released).await;
                    }
                    stream.write_all(answer.head().as_bytes()).await?;
                    write_body(&mut stream, &answer).await?;
                    match answer.end {
                        End::Whole => {}
                        End::Close => return Ok(()),
                        End::Reset => return stream.set_zero_linger(),
                        End::Stall => return self.wait_for_hang_up(stream).await,
                    }
                }
            }
        }
        Ok(())
    }

    async fn wait_for_hang_up(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut nothing = [0; 1];
        while stream.read(&mut nothing).await.is_ok_and(|read| read > 0) {}
        self.hang_ups.send_modify(|seen| *seen += 1);
        Ok(())
    }
}

async fn write_body(stream: &mut TcpStream, answer: &Answer) -> io::Result<()> {
    match answer.framing {
        Framing::Length { .. } => stream.write_all(&answer.body).await,
        Framing::Chunked => {
            if !answer.body.is_empty() {
                let size = format!("{:x}\r\n", answer.body.len());
                stream.write_all(size.as_bytes()).await?;
                stream.write_all(&answer.body).await?;
                stream.write_all(b"\r\n").await?;
            }
            match answer.end {
                End::Whole => stream.write_all(b"0\r\n\r\n").await,
                End::Close | End::Reset | End::Stall => Ok(()),
            }
        }
    }
}

/// The next request's head and body; `None` once the gateway closed the connection.
async fn read_request(
    stream: &mut TcpStream,
    unread: &mut BytesMut,
) -> io::Result<Option<(String, Bytes)>> {
    loop {
        if let Some(end) = memchr::memmem::find(unread, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&unread[..end]).into_owned();
            let length = head
                .to_ascii_lowercase()
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok())
                .unwrap_or(0);
            unread.advance(end + 4);
            while unread.len() < length {
                if stream.read_buf(unread).await? == 0 {
                    return Ok(None);
                }
            }
            return Ok(Some((head, unread.split_to(length).freeze())));
        }
        if stream.read_buf(unread).await? == 0 {
            return Ok(None);
        }
    }
}
