//! Ten thousand guarded calls with planted values, through every way to write something down; then
//! every byte that was written is searched for them.
//!
//! `TOLLGATE_CALLS=100000` makes more.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use memchr::memmem;
use serde_json::json;

use crate::scripted::{Answer, Backend, DONE, USAGE};
use crate::sinks::{eventually, receiver::Receiver};
use crate::stage::{Stage, Told};

const CALLS: usize = 10_000;

/// Each with a part of it that nothing else holds.
const PLANTED: [(&str, &str); 10] = [
    ("zora.quixote@planted-mail.example", "quixote"),
    ("+49 30 90182095", "90182095"),
    ("DE89 3704 0044 0532 0130 00", "0532 0130"),
    ("4539 1488 0343 6467", "0343 6467"),
    ("203.0.113.77", "203.0.113.77"),
    ("00:1b:44:11:3a:b7", "1b:44:11"),
    ("sk-plantedplantedplanted42", "plantedplanted42"),
    (
        "eyJhbGciOiJIUzI1NiJ9.eyJwbGFudGVkIjoidmFsdWUifQ.cGxhbnRlZC1zaWduYXR1cmUtdmFsdWU",
        "eyJwbGFudGVk",
    ),
    (
        "postgres://planted:hunter2planted@db.internal/x",
        "hunter2planted",
    ),
    (
        "-----BEGIN PRIVATE KEY-----\nMIIEplantedplantedplantedplantedplantedplantedplantedplantedplan\n-----END PRIVATE KEY-----",
        "MIIEplanted",
    ),
];

const ACTIONS: [&str; 4] = ["redact", "mask", "hash", "block"];

fn text() -> String {
    let values = PLANTED.iter().map(|(value, _)| *value);
    let mut text = String::from("Here it is:");
    for value in values {
        text.push_str("\n- ");
        text.push_str(value);
    }
    text.push_str("\nThat is all.");
    text
}

fn configuration(backend: &Backend, collector: &Receiver, dir: &Path) -> String {
    let mut products = String::new();
    let mut subscriptions = String::new();
    for action in ACTIONS {
        products.push_str(&format!(
            "
  - {{ id: {action}, models: [gpt-4o], guards: [ {{ pii: {{ action: {action} }} }} ] }}"
        ));
        subscriptions.push_str(&format!(
            "
  - {{ id: {action}, product: {action}, keys: {{ primary: key-of-the-team-{action} }} }}"
        ));
    }
    let (dir, address, collector) = (dir.display(), &backend.address, &collector.url);
    format!(
        "
data_dir: '{dir}'
telemetry: {{ otlp: {{ endpoint: '{collector}', sample_ratio: 1, interval: 1s }} }}
sinks:
  - {{ id: file, file: {{ path: '{dir}/usage.jsonl' }}, batch: {{ linger: 1ms }} }}
  - {{ id: hook, webhook: {{ url: '{collector}/hook' }}, batch: {{ linger: 1ms }} }}
backends: [ {{ id: a, dialect: openai, url: '{address}', auth: none, breaker: {{ min_throughput: 1000000 }} }} ]
models: [ {{ name: gpt-4o, backend: a, max_output_tokens: 100 }} ]
products:{products}
subscriptions:{subscriptions}
"
    )
}

fn request(number: usize, action: &str) -> Request<Full<Bytes>> {
    let text = text();
    let (path, body) = match number % 5 {
        0 => (
            "/v1/embeddings",
            json!({"model": "gpt-4o", "input": [text]}),
        ),
        1 => (
            "/v1/completions",
            json!({"model": "gpt-4o", "prompt": text}),
        ),
        2 => (
            "/v1/chat/completions",
            json!({"model": "gpt-4o", "stream": true, "messages": [{"role": "user", "content": text}]}),
        ),
        3 => {
            let arguments = json!({"text": text, "lines": PLANTED.map(|(value, _)| value)});
            let call = json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments.to_string()}});
            (
                "/v1/chat/completions",
                json!({"model": "gpt-4o", "user": text, "messages": [
                    {"role": "assistant", "tool_calls": [call]},
                    {"role": "tool", "tool_call_id": "c1", "content": text}]}),
            )
        }
        _ => (
            "/v1/chat/completions",
            json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "say it"}]}),
        ),
    };
    Request::post(path)
        .header("api-key", format!("key-of-the-team-{action}"))
        .body(Full::new(Bytes::from(body.to_string())))
        .unwrap()
}

/// What the provider says: all of it, in text and in arguments; as a stream, cut within the values.
fn answers() -> [Answer; 4] {
    let text = text();
    let call =
        json!({"id": "c1", "function": {"name": "f", "arguments": json!({"a": text}).to_string()}});
    let message = json!({"role": "assistant", "content": text, "tool_calls": [call]});
    let usage = json!({"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17});
    let whole =
        json!({"choices": [{"index": 0, "message": message, "text": text}], "usage": usage});
    let mut events: Vec<String> = Vec::new();
    let characters: Vec<char> = text.chars().collect();
    for piece in characters.chunks(7) {
        let piece: String = piece.iter().collect();
        let delta = json!({"choices": [{"index": 0, "delta": {"content": piece}}]});
        events.push(format!("data: {delta}\n\n"));
    }
    let mut events: Vec<&str> = events.iter().map(String::as_str).collect();
    events.extend([USAGE, DONE]);
    let error = json!({"error": {"message": text, "type": "invalid_request_error"}});
    [
        Answer::json(200, whole.to_string()),
        Answer::stream(&events),
        Answer::json(400, error.to_string()),
        Answer::json(200, whole.to_string()),
    ]
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Every file below, by its path.
fn files(dir: &Path, into: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else {
            into.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

fn assert_nothing_raw(place: &str, bytes: &[u8]) {
    for (_, part) in PLANTED {
        let found = memmem::find(bytes, part.as_bytes());
        assert!(found.is_none(), "{place} holds {part:?} at {found:?}");
    }
}

#[tokio::test]
async fn nothing_raw_is_written_anywhere_and_none_of_it_reaches_the_provider() {
    // Where a part is found, so is whatever holds it.
    assert!(PLANTED.iter().all(|(value, part)| value.contains(part)));
    let calls = std::env::var("TOLLGATE_CALLS").map_or(CALLS, |calls| calls.parse().unwrap());
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(move || writer.clone())
        .finish();
    // With one subscriber alone, `tracing` lets whichever thread comes first decide for all of them.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let listening = tracing::subscriber::set_default(subscriber);

    let dir = tempfile::tempdir().unwrap();
    let collector = Receiver::new(|_| 200).await;
    let backend = Backend::answering(Answer::chat()).await;
    let text = configuration(&backend, &collector, dir.path());
    let stage = Stage::reading_in(dir, &text);
    let answers = answers();
    let vectors = Answer::json(
        200,
        r#"{"data":[{"embedding":[0.5]}],"usage":{"prompt_tokens":3}}"#,
    );
    let (mut refused, mut masked) = (0, 0);
    for number in 0..calls {
        let action = ACTIONS[number % ACTIONS.len()];
        let answer = &answers[number / ACTIONS.len() % answers.len()];
        let is_embedding = number % 5 == 0;
        backend.always(if is_embedding {
            vectors.clone()
        } else {
            answer.clone()
        });
        let response = stage.begin(request(number, action)).await;
        refused += usize::from(response.status() == 400);
        let told = Told::read(response).await.body;
        if action == "mask" {
            masked += usize::from(memmem::find(&told, b"quixote").is_some());
        } else {
            assert_nothing_raw(&format!("the answer to call {number}"), &told);
        }
    }
    // The calls were what they were meant to be.
    assert!(
        refused > calls / 5 && masked > calls / 20,
        "{refused}, {masked}"
    );
    let asked = backend.bodies();
    assert!(asked.len() > calls / 2, "{}", asked.len());
    for prompt in asked {
        assert_nothing_raw("a prompt that was sent", &prompt);
    }
    let metrics = stage.metrics();
    assert!(metrics.contains(r#"on="answer",ruling="redacted""#));
    assert_nothing_raw("/metrics", metrics.as_bytes());

    let taken = |sink: &str| {
        let lag = format!("tollgate_sink_lag_records{{sink=\"{sink}\"}} 0");
        let events =
            format!("tollgate_sink_events_total{{sink=\"{sink}\",result=\"delivered\"}} {calls}");
        let metrics = stage.metrics();
        metrics.contains(&lag) && metrics.contains(&events)
    };
    eventually("the sinks have every call", || {
        taken("file") && taken("hook")
    })
    .await;
    let mut written = Vec::new();
    files(stage.ledger_folder(), &mut written);
    let ledger = stage.into_folder().await;
    files(ledger.path(), &mut written);
    let records = store::ledger::recent(ledger.path(), calls + 1).unwrap();
    assert_eq!(records.len(), calls);
    drop(listening);
    let total: usize = written.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(total > calls * 100, "{total}");
    assert!(
        written
            .iter()
            .any(|(path, _)| path.ends_with("usage.jsonl"))
    );
    for (path, bytes) in &written {
        assert_nothing_raw(path, bytes);
    }
    let sent = collector.seen();
    assert!(sent.iter().any(|seen| seen.path.ends_with("/v1/traces")));
    assert!(sent.iter().any(|seen| seen.path.ends_with("/hook")));
    for seen in &sent {
        assert_nothing_raw(&seen.path, &seen.body);
    }
    let log = log.0.lock().unwrap();
    assert!(!log.is_empty());
    assert_nothing_raw("the log", &log);
    println!(
        "{calls} calls, {refused} refused: {total} bytes in {} files, {} bytes of log, {} requests of sinks and collector",
        written.len(),
        log.len(),
        sent.len()
    );
}
