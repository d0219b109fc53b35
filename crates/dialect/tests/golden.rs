//! Wire formats by example. Each file of `golden/` is what crosses the wire; the `.expected.txt`
//! beside it is what the crate makes of it. `UPDATE_GOLDEN=1` rewrites the latter, to be reviewed.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may fail the test"
)]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use dialect::{Encoding, Operation, StreamMeter, request};

/// The inputs of one folder, at least `at_least` of them, so that an empty folder proves nothing.
fn inputs(folder: &str, suffix: &str, at_least: usize) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(folder);
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    found.retain(|path| name_of(path).ends_with(suffix));
    found.sort();
    assert!(found.len() >= at_least, "{found:?}");
    found
}

fn name_of(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// By the file's first word.
fn operation_of(path: &Path) -> Operation {
    match name_of(path).split(['-', '.']).next() {
        Some("chat") => Operation::ChatCompletions,
        Some("completions") => Operation::Completions,
        Some("embeddings") => Operation::Embeddings,
        other => panic!("{other:?}"),
    }
}

fn compare(input: &Path, suffix: &str, found: &str) {
    let name = name_of(input).strip_suffix(suffix).unwrap();
    let expected_path = input.with_file_name(format!("{name}.expected.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&expected_path, found).unwrap();
    }
    let expected = fs::read_to_string(&expected_path)
        .unwrap_or_else(|fault| panic!("{expected_path:?}: {fault}"));
    assert_eq!(found, expected, "{name}");
}

#[test]
fn every_request_reads_as_expected() {
    for path in inputs("requests", ".json", 12) {
        // A name with `azure` in it came on a deployment's path.
        let deployment = name_of(&path).contains("azure").then_some("team-chat");
        let body = Bytes::from(fs::read(&path).unwrap());
        let mut found = String::new();
        match request::read(operation_of(&path), body.clone(), deployment) {
            Err(error) => writeln!(found, "error: {error}\nparam: {:?}", error.param).unwrap(),
            Ok(request) => {
                writeln!(found, "{request:#?}").unwrap();
                writeln!(found, "bound: {}", request.prompt_tokens_bound()).unwrap();
                writeln!(found, "text bytes: {}", request.prompt_text_bytes()).unwrap();
                writeln!(found, "o200k: {}", request.prompt_tokens(Encoding::O200k)).unwrap();
                writeln!(found, "cl100k: {}", request.prompt_tokens(Encoding::Cl100k)).unwrap();
                let sent = request.body_for("gpt-4o-eu");
                writeln!(found, "sent: {}", std::str::from_utf8(&sent).unwrap()).unwrap();
            }
        }
        compare(&path, ".json", &found);
    }
}

#[test]
fn every_stream_meters_as_expected_however_it_is_cut() {
    for path in inputs("streams", ".sse", 6) {
        let stream = fs::read(&path).unwrap();
        let whole = meter(&path, &stream, stream.len());
        for size in [1, 7, 100, 1000] {
            assert_eq!(meter(&path, &stream, size), whole, "in pieces of {size}");
        }
        compare(&path, ".sse", &whole);
    }
}

fn meter(path: &Path, stream: &[u8], size: usize) -> String {
    let mut meter = StreamMeter::new(operation_of(path), true);
    let mut sent = Vec::new();
    for chunk in stream.chunks(size) {
        sent.extend_from_slice(&meter.push(Bytes::copy_from_slice(chunk)));
    }
    sent.extend_from_slice(&meter.finish());
    let mut found = String::new();
    writeln!(found, "reported: {:?}", meter.reported()).unwrap();
    writeln!(
        found,
        "complete: {}, error: {}, deltas: {}",
        meter.is_complete(),
        meter.saw_error(),
        meter.deltas()
    )
    .unwrap();
    for encoding in [Encoding::O200k, Encoding::Cl100k] {
        writeln!(found, "{encoding:?}: {}", meter.completion_tokens(encoding)).unwrap();
    }
    writeln!(found, "sent:\n{}", String::from_utf8_lossy(&sent)).unwrap();
    found
}

#[test]
fn token_counts_equal_tiktokens() {
    let vectors: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("vectors/token_counts.json")).unwrap();
    assert!(vectors.len() > 50);
    for vector in &vectors {
        let text = vector["text"].as_str().unwrap();
        assert_eq!(
            Some(Encoding::O200k.count(text)),
            vector["o200k"].as_u64(),
            "o200k of {text:?}"
        );
        assert_eq!(
            Some(Encoding::Cl100k.count(text)),
            vector["cl100k"].as_u64(),
            "cl100k of {text:?}"
        );
    }
}
