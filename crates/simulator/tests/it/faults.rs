//! Answers that break off, stall or come late.

use std::io::ErrorKind;
use std::time::Duration;

use serde_json::json;
use simulator::Behaviour;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{ask, chat, post, region};

/// Everything that arrives after a streamed question, and how it ends.
async fn raw(region: &simulator::Running, body: &str) -> (String, std::io::Result<()>) {
    let mut stream = TcpStream::connect(region.address()).await.unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream
        .write_all(format!("{head}{body}").as_bytes())
        .await
        .unwrap();
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    let end = loop {
        match stream.read(&mut buffer).await {
            Ok(0) => break Ok(()),
            Ok(length) => received.extend_from_slice(&buffer[..length]),
            Err(error) => break Err(error),
        }
    };
    (String::from_utf8(received).unwrap(), end)
}

#[tokio::test]
async fn a_reset_stream_delivers_its_chunks_and_then_a_tcp_reset() {
    let region = region(Behaviour {
        reset_after_chunks: Some(4),
        ..Behaviour::default()
    })
    .await;
    let (received, end) = raw(
        &region,
        &chat("answer 9 words", json!({ "stream": true })).to_string(),
    )
    .await;
    assert_eq!(received.matches("data: ").count(), 4);
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    region_counts_cut(&region, 3).await;
}

async fn region_counts_cut(region: &simulator::Running, sent: u64) {
    let call = &region.calls()[0];
    assert_eq!(
        (
            call.sent_tokens,
            call.completion_tokens,
            call.complete,
            call.hung_up
        ),
        (sent, 9, false, false)
    );
}

#[tokio::test]
async fn a_closed_stream_ends_without_its_last_chunk() {
    let region = region(Behaviour {
        close_after_chunks: Some(2),
        ..Behaviour::default()
    })
    .await;
    let (received, end) = raw(
        &region,
        &chat("answer 9 words", json!({ "stream": true })).to_string(),
    )
    .await;
    assert!(
        end.is_ok() && !received.ends_with("0\r\n\r\n"),
        "{received}"
    );
    region_counts_cut(&region, 1).await;
}

#[tokio::test]
async fn a_truncated_answer_promises_more_bytes_than_it_sends() {
    let region = region(Behaviour {
        close_after_bytes: Some(30),
        ..Behaviour::default()
    })
    .await;
    let answer = ask(&region, &chat("answer 9 words", json!({}))).await;
    assert!(answer.is_cut && answer.body.len() == 30);
    assert!(answer.header("content-length").parse::<usize>().unwrap() > 30);
    region_counts_cut(&region, 0).await;
}

#[tokio::test]
async fn a_reset_before_the_head_gives_no_answer_at_all() {
    let region = region(Behaviour {
        reset_after_chunks: Some(0),
        ..Behaviour::default()
    })
    .await;
    let body = chat("answer 9 words", json!({})).to_string();
    assert!(
        post(region.address(), "/v1/chat/completions", &body, &[])
            .await
            .is_err()
    );
    let call = &region.calls()[0];
    assert_eq!(
        (call.status, call.prompt_tokens, call.hung_up),
        (None, 11, false)
    );
}

#[tokio::test]
async fn a_stalled_stream_stays_open_and_who_leaves_it_hung_up() {
    let region = region(Behaviour {
        stall_after_chunks: Some(3),
        ..Behaviour::default()
    })
    .await;
    let body = chat("answer 9 words", json!({ "stream": true })).to_string();
    let mut stream = TcpStream::connect(region.address()).await.unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream
        .write_all(format!("{head}{body}").as_bytes())
        .await
        .unwrap();
    let mut received = String::new();
    while received.matches("data: ").count() < 3 {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).await.unwrap();
        assert!(length > 0);
        received.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }
    assert_eq!(region.counts().total.calls, 0);
    drop(stream);
    while region.counts().total.calls == 0 {
        tokio::task::yield_now().await;
    }
    let call = &region.calls()[0];
    assert_eq!(
        (call.sent_tokens, call.hung_up, call.status),
        (2, true, Some(200))
    );
}

#[tokio::test]
async fn who_leaves_before_the_head_hung_up_and_owes_the_prompt() {
    let region = region(Behaviour {
        hang: Duration::from_secs(3600),
        ..Behaviour::default()
    })
    .await;
    let body = chat("answer 9 words", json!({})).to_string();
    let mut stream = TcpStream::connect(region.address()).await.unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream
        .write_all(format!("{head}{body}").as_bytes())
        .await
        .unwrap();
    while region.counts().begun == 0 {
        tokio::task::yield_now().await;
    }
    drop(stream);
    while region.counts().total.calls == 0 {
        tokio::task::yield_now().await;
    }
    let call = &region.calls()[0];
    assert_eq!(
        (call.prompt_tokens, call.status, call.hung_up),
        (11, None, true)
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_takes_the_time_it_is_told_to_take() {
    let behaviour = Behaviour {
        latency: Duration::from_millis(20),
        time_to_first_token: Duration::from_millis(30),
        tokens_per_second: 200,
        ..Behaviour::default()
    };
    let region = region(behaviour).await;
    let answered_within = async |milliseconds, stream| {
        let body = chat("answer 10 words", json!({ "stream": stream }));
        tokio::time::timeout(Duration::from_millis(milliseconds), ask(&region, &body))
            .await
            .is_ok()
    };
    for stream in [false, true] {
        assert!(!answered_within(98, stream).await);
        assert!(answered_within(103, stream).await);
    }
}

#[tokio::test]
async fn a_stream_may_end_with_an_error_event_and_is_then_not_whole() {
    let region = region(Behaviour {
        error_after_chunks: Some(4),
        ..Behaviour::default()
    })
    .await;
    let answer = ask(&region, &chat("answer 9 words", json!({ "stream": true }))).await;
    let text = String::from_utf8(answer.body).unwrap();
    let last = text.trim_end().rsplit("data: ").next().unwrap();
    let event: serde_json::Value = serde_json::from_str(last).unwrap();
    assert_eq!(
        (event["error"]["type"].as_str(), answer.is_cut),
        (Some("server_error"), false)
    );
    region_counts_cut(&region, 3).await;
}
