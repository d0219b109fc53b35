//! Compressed answers that nobody asked for.

use std::io::Read;

use serde_json::{Value, json};
use simulator::Behaviour;
use simulator::behaviour::Compression;

use crate::client::{ask, chat, region};

#[tokio::test]
async fn answers_and_streams_are_compressed_as_told() {
    for (compression, name) in [
        (Compression::Gzip, "gzip"),
        (Compression::Br, "br"),
        (Compression::Zstd, "zstd"),
    ] {
        let region = region(Behaviour {
            compress: Some(compression),
            ..Behaviour::default()
        })
        .await;
        for stream in [false, true] {
            let mut answer = ask(
                &region,
                &chat("answer 5 words", json!({ "stream": stream })),
            )
            .await;
            assert_eq!(answer.header("content-encoding"), name);
            let mut plain = Vec::new();
            match compression {
                Compression::Gzip => flate2::read::GzDecoder::new(&answer.body[..])
                    .read_to_end(&mut plain)
                    .unwrap(),
                Compression::Br => brotli::Decompressor::new(&answer.body[..], 4096)
                    .read_to_end(&mut plain)
                    .unwrap(),
                Compression::Zstd => zstd::stream::read::Decoder::new(&answer.body[..])
                    .unwrap()
                    .read_to_end(&mut plain)
                    .unwrap(),
            };
            answer.body = plain;
            let is_whole = if stream {
                answer.events().len() == 7
            } else {
                answer.json()["usage"] != Value::Null
            };
            assert!(is_whole);
        }
        assert_eq!(region.counts().total.sent_tokens, 10);
    }
}
