//! Requests that are too large, too slow, too short or not HTTP.

use std::time::Duration;

use domain::record::Outcome;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Gate, SEARCH_KEY, chat, config, in_time, provider};

fn head(framing: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gate\r\napi-key: {SEARCH_KEY}\r\n\
         content-type: application/json\r\n{framing}\r\n\r\n"
    )
}

/// The gateway still serves, and holds exactly these refusals and the call that shows it.
async fn goes_on(gate: &Gate, refusals: &[u16]) {
    assert_eq!(gate.send(chat("answer 5 words")).await.status, 200);
    let records = gate.all_records(refusals.len() + 1).await;
    let mut refused: Vec<u16> = records
        .iter()
        .filter(|record| record.outcome == Outcome::Refused)
        .map(|record| record.status)
        .collect();
    refused.sort_unstable();
    assert_eq!(refused, refusals);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_megabytes_are_refused_whether_announced_or_not() {
    let region = provider(Default::default()).await;
    let gate = Gate::start(config().backend("east", region.address())).await;
    let body = " ".repeat(50 * 1024 * 1024);
    let announced = gate.send(chat("").bytes(body.clone())).await;
    assert_eq!(
        (announced.status, announced.code()),
        (413, "invalid_request_error".to_owned())
    );
    assert!(
        announced.message().contains("33554432"),
        "{}",
        announced.message()
    );

    let mut unannounced = head("transfer-encoding: chunked").into_bytes();
    for _ in 0..50 {
        unannounced.extend_from_slice(b"100000\r\n");
        unannounced.extend_from_slice(&body.as_bytes()[..1024 * 1024]);
        unannounced.extend_from_slice(b"\r\n");
    }
    unannounced.extend_from_slice(b"0\r\n\r\n");
    let answer = gate.door.raw(&unannounced).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer:.200}");
    goes_on(&gate, &[413, 413]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_everything_before_it_reads_learns_why_it_was_refused() {
    let region = provider(Default::default()).await;
    let gate = Gate::start(config().backend("east", region.address())).await;
    let large = 40 * 1024 * 1024;
    let announced = head(&format!("content-length: {large}"));
    for (head, status) in [
        (announced.clone(), "413"),
        (
            announced.replace(SEARCH_KEY, "unknown-key-0123456789"),
            "401",
        ),
        (announced.replace("/v1/chat", "/v1/nothing"), "404"),
    ] {
        let mut stream = TcpStream::connect(gate.door.address).await.unwrap();
        let mut answer = vec![0; 12];
        in_time("the refusal", async {
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&vec![b' '; large]).await.unwrap();
            stream.read_exact(&mut answer).await.unwrap();
        })
        .await;
        let answer = String::from_utf8_lossy(&answer);
        assert_eq!(answer, format!("HTTP/1.1 {status}"));
    }
    goes_on(&gate, &[413]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_ends_too_soon_is_refused_and_recorded() {
    let region = provider(Default::default()).await;
    let gate = Gate::start(config().backend("east", region.address())).await;
    for framing in ["content-length: 1000", "transfer-encoding: chunked"] {
        let answer = gate
            .door
            .raw(format!("{}{{\"model\":", head(framing)).as_bytes())
            .await;
        // Whoever closed its half may or may not still listen: a status is right, silence is too.
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
            "{answer:.200}"
        );
    }
    assert_eq!(region.counts().total.calls, 0);
    assert_eq!(gate.send(chat("answer 5 words")).await.status, 200);
    let records = gate.all_records(3).await;
    let lost = records
        .iter()
        .filter(|record| record.outcome != Outcome::Ok);
    assert!(
        lost.clone()
            .all(|record| record.metered.usage().total() == 0)
    );
    assert_eq!(lost.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_drips_is_refused_in_time() {
    let region = provider(Default::default()).await;
    let gate = Gate::start(
        config()
            .backend("east", region.address())
            .with("/limits/body_timeout", json!("300ms")),
    )
    .await;
    let mut stream = TcpStream::connect(gate.door.address).await.unwrap();
    stream
        .write_all(head("content-length: 1000").as_bytes())
        .await
        .unwrap();
    let mut answer = Vec::new();
    let (mut reader, mut writer) = stream.split();
    in_time("the refusal", async {
        let drip = async {
            while writer.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            () = drip => {}
            _ = reader.read_to_end(&mut answer) => {}
        }
    })
    .await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer:.200}");
    assert!(answer.contains("request_timeout"), "{answer}");
    goes_on(&gate, &[408]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_drips_is_cut_off_in_time() {
    let region = provider(Default::default()).await;
    let gate = Gate::start(
        config()
            .backend("east", region.address())
            .with("/limits/header_timeout", json!("300ms")),
    )
    .await;
    let mut stream = TcpStream::connect(gate.door.address).await.unwrap();
    stream
        .write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: g")
        .await
        .unwrap();
    let mut answer = Vec::new();
    in_time("the end of the connection", stream.read_to_end(&mut answer))
        .await
        .unwrap();
    goes_on(&gate, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn huge_headers_are_refused() {
    let region = provider(Default::default()).await;
    let gate = Gate::start(config().backend("east", region.address())).await;
    let one = gate
        .door
        .raw(head(&format!("x-filler: {}", "a".repeat(200_000))).as_bytes())
        .await;
    assert!(one.starts_with("HTTP/1.1 431"), "{one:.200}");
    let many: Vec<String> = (0..5000)
        .map(|number| format!("x-filler-{number}: a"))
        .collect();
    let many = gate.door.raw(head(&many.join("\r\n")).as_bytes()).await;
    assert!(many.starts_with("HTTP/1.1 431"), "{many:.200}");
    goes_on(&gate, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_or_smuggles_a_second_request_gets_no_further() {
    let region = provider(Default::default()).await;
    let gate = Gate::start(config().backend("east", region.address())).await;
    let smuggled = format!("0\r\n\r\n{}", head("content-length: 0"));
    for bytes in [
        "\u{16}\u{3}\u{1}\u{2} not HTTP at all\r\n\r\n".to_owned(),
        head("content-length: 5\r\ncontent-length: 6"),
        head("content-length: -5"),
        format!(
            "{}{smuggled}",
            head("content-length: 4\r\ntransfer-encoding: chunked, identity")
        ),
        format!(
            "{}zz\r\nhello\r\n0\r\n\r\n",
            head("transfer-encoding: chunked")
        ),
    ] {
        let answer = gate.door.raw(bytes.as_bytes()).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
            "{bytes:?}: {answer:.200}"
        );
        assert!(
            answer.matches("HTTP/1.1").count() <= 1,
            "{bytes:?}: {answer}"
        );
    }
    assert_eq!(region.counts().total.calls, 0);
    assert_eq!(gate.send(chat("answer 5 words")).await.status, 200);
}
