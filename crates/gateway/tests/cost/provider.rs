//! A provider on threads of its own, so that nothing it does is counted: blocking, one thread for
//! each connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

/// Some 160 words: what a short question gets.
const WORDS: usize = 160;

/// Ends with the process: a test's provider has nothing to clean up.
pub struct Provider {
    pub address: SocketAddr,
    go_on: SyncSender<()>,
}

impl Provider {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (go_on, goes_on) = sync_channel(1024);
        let goes_on = Arc::new(Mutex::new(goes_on));
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let goes_on = goes_on.clone();
                std::thread::spawn(move || converse(stream, &goes_on));
            }
        });
        Self { address, go_on }
    }

    /// Lets a stream's next event go, so that each comes by itself, however busy the machine is.
    pub fn go_on(&self) {
        self.go_on.send(()).unwrap();
    }
}

fn converse(mut stream: TcpStream, goes_on: &Mutex<Receiver<()>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut unread = Vec::new();
    let unary = unary_answer();
    while let Some(request) = read_request(&mut stream, &mut unread)? {
        let Some(events) = events_of(&request) else {
            stream.write_all(&unary)?;
            continue;
        };
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(format!("{head}{}", chunk(DELTA)).as_bytes())?;
        for _ in 1..events {
            let _told = goes_on.lock().unwrap().recv();
            stream.write_all(chunk(DELTA).as_bytes())?;
        }
        let _told = goes_on.lock().unwrap().recv();
        let end = format!("{}{}0\r\n\r\n", chunk(USAGE), chunk("data: [DONE]\n\n"));
        stream.write_all(end.as_bytes())?;
    }
    Ok(())
}

const DELTA: &str = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"gpt-4o\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}],\"usage\":null}\n\n";
const USAGE: &str = "data: {\"id\":\"chatcmpl-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":200,\"completion_tokens\":50,\"total_tokens\":250}}\n\n";

fn chunk(event: &str) -> String {
    format!("{:x}\r\n{event}\r\n", event.len())
}

fn unary_answer() -> Vec<u8> {
    let text = "word ".repeat(WORDS);
    let body = format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1760000000,"model":"gpt-4o","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":200,"completion_tokens":{WORDS},"total_tokens":{}}}}}"#,
        200 + WORDS
    );
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

/// A streamed request says how many events it wants in its `user` field.
fn events_of(request: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(request).ok()?;
    let (_, from) = text.split_once(r#""user":"events "#)?;
    from.split_once('"')?.0.parse().ok()
}

/// Head and body; `None` once the gateway closed the connection.
fn read_request(stream: &mut TcpStream, unread: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    loop {
        if let Some(head) = memchr::memmem::find(unread, b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&unread[..head]).to_ascii_lowercase();
            let length = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
            let length = head + 4 + length.unwrap_or(0);
            if unread.len() >= length {
                return Ok(Some(unread.drain(..length).collect()));
            }
        }
        let mut piece = [0; 16 * 1024];
        match stream.read(&mut piece)? {
            0 => return Ok(None),
            read => unread.extend_from_slice(&piece[..read]),
        }
    }
}
