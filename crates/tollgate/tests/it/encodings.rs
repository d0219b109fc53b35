//! Compressed requests and compressed answers.

use std::io::Write;

use serde_json::json;
use simulator::Behaviour;
use simulator::behaviour::Compression;

use crate::harness::{Gate, Reply, Upstream, chat, config, embedding, provider};

pub fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

pub fn brotli(plain: &[u8]) -> Vec<u8> {
    let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22);
    encoder.write_all(plain).unwrap();
    encoder.into_inner()
}

pub fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(plain, 3).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_requests_are_read_and_sent_on_plain() {
    let upstream = Upstream::start(|_| Reply::hello()).await;
    let gate = Gate::start(config().backend("east", upstream.address)).await;
    let plain = chat("answer 12 words").body();
    for (encoding, compressed) in [
        ("gzip", gzip(&plain)),
        ("br", brotli(&plain)),
        ("zstd", zstd(&plain)),
        ("identity", plain.to_vec()),
    ] {
        let call = chat("")
            .header("content-encoding", encoding)
            .bytes(compressed);
        assert_eq!(gate.send(call).await.status, 200, "{encoding}");
        let seen = upstream.seen().pop().unwrap();
        assert_eq!(
            (seen.header("content-encoding"), &seen.body),
            ("", &plain),
            "{encoding}"
        );
        assert_eq!(seen.header("accept-encoding"), "identity");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_compressed_unasked_is_readable_and_metered() {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(config().backend("east", region.address())).await;
    for compression in [Compression::Gzip, Compression::Br, Compression::Zstd] {
        region.set(Behaviour {
            compress: Some(compression),
            ..Behaviour::default()
        });
        let unary = gate.send(chat("answer 9 words")).await;
        assert_eq!(unary.words().split(' ').count(), 9, "{compression:?}");
        let stream = gate.send(chat("answer 9 words").stream()).await;
        assert_eq!(
            stream.streamed_words().split_whitespace().count(),
            9,
            "{compression:?}"
        );
        let vector = gate.send(embedding("red river")).await;
        assert_eq!(
            vector.json()["data"][0]["embedding"]
                .as_array()
                .unwrap()
                .len(),
            8
        );
        for answer in [&unary, &stream, &vector] {
            assert_eq!(answer.header("content-encoding"), "", "{compression:?}");
            assert!(
                !gate.record(answer.id()).await.metered.is_estimated(),
                "{compression:?}"
            );
        }
        assert_eq!(gate.record(stream.id()).await.metered.usage().completion, 9);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_compressed_stream_arrive_one_by_one() {
    let paced = Behaviour {
        compress: Some(Compression::Gzip),
        stall_after_chunks: Some(4),
        ..Behaviour::default()
    };
    let region = provider(paced).await;
    let gate = Gate::start(config().backend("east", region.address())).await;
    let mut stream = gate.open(chat("answer 9 words").stream()).await;
    // The provider then says nothing more: what it said before must be here all the same.
    for _ in 0..4 {
        stream.event().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_an_upstream_is_readable_when_it_is_compressed() {
    let body = json!({ "error": { "message": "no such thing", "code": "nope" } }).to_string();
    let compressed = gzip(body.as_bytes());
    let upstream = Upstream::start(move |_| {
        Reply::json(compressed.clone())
            .status(404)
            .header("content-encoding", "gzip")
    })
    .await;
    let gate = Gate::start(config().backend("east", upstream.address)).await;
    let answer = gate.send(chat("hi")).await;
    assert_eq!((answer.status, answer.text()), (404, body));
}
