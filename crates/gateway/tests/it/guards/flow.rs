//! How soon a guarded stream's text arrives, counted in what its model has said by then: a model that
//! says nothing more until the client has heard it shows what is held back, on a machine of any speed.

use std::time::Duration;

use http_body_util::BodyExt;
use simulator::{Behaviour, Running};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::judges::judge;
use super::judges::windows::streamed;
use super::streams::{DELTA_STOP, delta, said};
use crate::scripted::{DONE, USAGE};
use crate::stage::{KEY, Stage};

/// Far beyond what any machine needs: only what never comes takes so long.
const NEVER: Duration = Duration::from_secs(60);
const HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// A model that says what it is told to, when it is.
async fn model() -> (String, mpsc::Sender<String>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (says, mut said) = mpsc::channel::<String>(64);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.set_nodelay(true).unwrap();
        let mut request = Vec::new();
        while !is_whole(&request) {
            assert!(socket.read_buf(&mut request).await.unwrap() > 0);
        }
        socket.write_all(HEAD.as_bytes()).await.unwrap();
        while let Some(event) = said.recv().await {
            let chunk = format!("{:x}\r\n{event}\r\n", event.len());
            // A guard that blocks hangs up.
            if socket.write_all(chunk.as_bytes()).await.is_err() {
                return;
            }
        }
        let _ = socket.write_all(b"0\r\n\r\n").await;
    });
    (address, says, tasks)
}

fn is_whole(request: &[u8]) -> bool {
    let request = String::from_utf8_lossy(request);
    let Some((head, body)) = request.split_once("\r\n\r\n") else {
        return false;
    };
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.is_some_and(|(_, length)| body.len() >= length.parse().unwrap())
}

/// A call under way, and what its client heard so far.
struct Listening {
    _stage: Stage,
    _model: JoinSet<()>,
    says: mpsc::Sender<String>,
    body: gateway::body::Body,
    heard: String,
}

impl Listening {
    /// To a model that has begun with `first`.
    async fn to(guards: &str, judge: Option<&Running>, first: &str) -> Self {
        let (address, says, model) = model().await;
        let judge = judge.map_or("127.0.0.1:9".to_owned(), |judge| {
            judge.address().to_string()
        });
        let stage = Stage::reading(&format!(
            "
backends:
  - {{ id: a, dialect: openai, url: \"{address}\", auth: none }}
  - {{ id: safety, dialect: azure-content-safety, url: \"http://{judge}\", auth: {{ api_key: judge-key }} }}
models: [ {{ name: gpt-4o, backend: a, max_output_tokens: 1000, tokenizer: o200k }} ]
products: [ {{ id: standard, models: [gpt-4o], guards: {guards} }} ]
subscriptions: [ {{ id: search, product: standard, keys: {{ primary: {KEY} }} }} ]
"
        ));
        says.send(delta(first)).await.unwrap();
        let begun = tokio::time::timeout(NEVER, stage.begin(streamed())).await;
        Self {
            body: begun.unwrap().into_body(),
            _stage: stage,
            _model: model,
            says,
            heard: String::new(),
        }
    }

    async fn say(&self, text: &str) {
        self.says.send(delta(text)).await.unwrap();
    }

    /// Reads on until the client has heard at least this.
    async fn hears(&mut self, text: &str) {
        let hearing = async {
            while !said(&self.heard).0.starts_with(text) {
                let frame = self.body.frame().await.expect("the stream goes on");
                let piece = frame.unwrap().into_data().unwrap_or_default();
                self.heard.push_str(std::str::from_utf8(&piece).unwrap());
            }
        };
        let heard = tokio::time::timeout(NEVER, hearing).await;
        assert!(
            heard.is_ok(),
            "{text:?} never came, but {:?}",
            said(&self.heard).0
        );
    }

    /// Has the model end, and reads to the end.
    async fn hears_out(mut self) -> String {
        for event in [DELTA_STOP, USAGE, DONE] {
            // One that was hung up on listens no more.
            let _ = self.says.send(event.to_owned()).await;
        }
        drop(self.says);
        while let Some(Ok(frame)) = self.body.frame().await {
            let piece = frame.into_data().unwrap_or_default();
            self.heard.push_str(std::str::from_utf8(&piece).unwrap());
        }
        self.heard
    }
}

fn words(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("text{} and ", number % 10))
        .collect()
}

/// After each event, all but the last `behind` were heard.
async fn flows(guards: &str, judge: Option<&Running>, behind: usize) {
    let words = words(60);
    let mut listening = Listening::to(guards, judge, &words[0]).await;
    for number in 1..words.len() {
        listening.say(&words[number]).await;
        if let Some(heard) = (number + 1).checked_sub(behind) {
            listening.hears(&words[..heard].concat()).await;
        }
    }
    let heard = listening.hears_out().await;
    assert_eq!(said(&heard).0, words.concat());
}

#[tokio::test]
async fn text_without_personal_data_streams_on_an_event_behind_its_model() {
    flows("[ { pii: {} } ]", None, 1).await;
    flows(
        "[ { pii: { action: mask } }, { lists: { words: [Falcon] } } ]",
        None,
        2,
    )
    .await;
}

#[tokio::test]
async fn the_first_word_of_a_judged_stream_is_there_once_its_window_is_full_and_the_rest_follows() {
    let judge = judge(Behaviour::default()).await;
    // Windows of 100 characters, events of ten; an hour never passes.
    let guards = "[ { content_safety: { backend: safety, answer_window: 100, overlap: 20, timeout: 60s, where: [answer], hold: 1h } } ]";
    let words = words(11);
    let mut listening = Listening::to(guards, Some(&judge), &words[0]).await;
    for word in &words[1..] {
        listening.say(word).await;
    }
    listening.hears(&words[0]).await;
    // A window, the overlap that is looked at again, and where words end.
    flows(guards, Some(&judge), 10 + 2 + 2).await;
}

#[tokio::test]
async fn a_model_that_pauses_keeps_nobody_waiting_for_a_window_to_fill_up() {
    let judge = judge(Behaviour::default()).await;
    let guards = "[ { content_safety: { backend: safety, categories: { hate: 4 }, timeout: 60s, where: [answer], hold: 20ms } } ]";
    let mut listening = Listening::to(guards, Some(&judge), "One ").await;
    listening.hears("One ").await;
    for (text, heard) in [("word", "One word"), (" more", "One word more")] {
        listening.say(text).await;
        listening.hears(heard).await;
    }
    // What was told is seen again with what follows.
    listening.say(" harm-ha").await;
    listening.hears("One word more harm-ha").await;
    listening.say("te-6 and more").await;
    let heard = listening.hears_out().await;
    assert_eq!(said(&heard).0, "One word more harm-ha");
    assert!(heard.contains("\"code\":\"content_filter\""), "{heard}");
}
