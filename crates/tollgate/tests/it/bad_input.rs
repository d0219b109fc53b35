//! Requests that a gateway must refuse: each with its status, code and message, and nothing lost.

use domain::record::Outcome;
use http::Method;
use serde_json::json;

use crate::encodings::{brotli, gzip, zstd};
use crate::harness::{Call, Gate, chat, config, get, provider};

/// A fault, what the client is told of it, and the field that is named.
struct Case {
    fault: &'static str,
    call: Call,
    status: u16,
    code: &'static str,
    param: Option<&'static str>,
}

fn case(fault: &'static str, call: Call, status: u16, code: &'static str) -> Case {
    Case {
        fault,
        call,
        status,
        code,
        param: None,
    }
}

fn invalid(fault: &'static str, body: &str, param: Option<&'static str>) -> Case {
    let call = chat("").bytes(body.to_owned());
    Case {
        param,
        ..case(fault, call, 400, "invalid_request_error")
    }
}

async fn refuses(cases: Vec<Case>) {
    let region = provider(Default::default()).await;
    let gate = Gate::start(config().backend("east", region.address())).await;
    for Case {
        fault,
        call,
        status,
        code,
        param,
    } in &cases
    {
        let answer = gate.send(call.clone()).await;
        let body = answer.text();
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (*status, *code),
            "{fault}: {body}"
        );
        assert!(!answer.message().is_empty(), "{fault}: {body}");
        assert!(!answer.id().is_empty(), "{fault}");
        assert!(
            answer
                .header("content-type")
                .starts_with("application/json"),
            "{fault}"
        );
        if let Some(param) = param {
            assert_eq!(answer.json()["error"]["param"], *param, "{fault}: {body}");
        }
        let record = gate.record(answer.id()).await;
        assert_eq!(
            (record.outcome, record.status),
            (Outcome::Refused, *status),
            "{fault}"
        );
        assert_eq!(record.metered.usage().total(), 0, "{fault}");
        assert!(record.attempts.is_empty(), "{fault}");
    }
    assert_eq!(
        region.counts().total.calls,
        0,
        "nothing of this reaches a provider"
    );
    assert_eq!(
        gate.send(chat("answer 5 words")).await.status,
        200,
        "and the gateway goes on"
    );
    gate.all_records(cases.len() + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_json_object_are_refused() {
    refuses(vec![
        invalid("nothing", "", None),
        invalid("no JSON", "hello", None),
        invalid(
            "unfinished",
            r#"{"model":"gpt-4o","messages":[{"role":"user""#,
            None,
        ),
        invalid(
            "trailing text",
            r#"{"model":"gpt-4o","messages":[]} {}"#,
            None,
        ),
        invalid(
            "a trailing comma",
            r#"{"model":"gpt-4o","messages":[],}"#,
            None,
        ),
        invalid("a list", r#"[{"model":"gpt-4o"}]"#, None),
        invalid("bare NaN", r#"{"model":"gpt-4o","temperature":NaN}"#, None),
        invalid(
            "a raw control character",
            "{\"model\":\"gpt-4o\",\"user\":\"a\u{1}b\"}",
            None,
        ),
        invalid("nesting without end", &"[".repeat(200_000), None),
        case(
            "no UTF-8",
            chat("").bytes(&b"{\"model\":\"gpt-4o\",\"user\":\"\xff\"}"[..]),
            400,
            "invalid_request_error",
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicate_keys_are_refused_however_they_are_written_and_wherever() {
    refuses(vec![
        invalid("two models", r#"{"model":"gpt-4o","messages":[],"model":"o3"}"#, None),
        invalid("two models, one escaped", r#"{"model":"gpt-4o","messages":[],"mod\u0065l":"o3"}"#, None),
        invalid("two max_tokens", r#"{"model":"gpt-4o","max_tokens":1,"messages":[],"max_tokens":9}"#, None),
        invalid(
            "two roles in a message",
            r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi","role":"system"}]}"#,
            None,
        ),
        invalid(
            "two deep in an unknown field",
            r#"{"model":"gpt-4o","messages":[],"x":{"y":[{"z":1,"z":2}]}}"#,
            None,
        ),
        invalid(
            "two include_usage",
            r#"{"model":"gpt-4o","messages":[],"stream_options":{"include_usage":true,"include_usage":false}}"#,
            None,
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_must_be_named_known_and_granted() {
    let azure = |deployment: &str| {
        chat("hi").path(&format!(
            "/openai/deployments/{deployment}/chat/completions?api-version=2024-10-21"
        ))
    };
    refuses(vec![
        invalid(
            "no model",
            r#"{"messages":[{"role":"user","content":"hi"}]}"#,
            Some("model"),
        ),
        invalid(
            "an empty model",
            r#"{"model":"","messages":[]}"#,
            Some("model"),
        ),
        invalid(
            "a model that is a number",
            r#"{"model":4,"messages":[]}"#,
            Some("model"),
        ),
        Case {
            param: Some("model"),
            ..case("unknown", chat("hi").model("gpt-9"), 404, "model_not_found")
        },
        case(
            "an unknown deployment",
            azure("gpt-9"),
            404,
            "model_not_found",
        ),
        case(
            "a model that is not granted",
            chat("hi").model("o3"),
            403,
            "not_permitted",
        ),
        case(
            "a deployment that is not granted",
            azure("o3"),
            403,
            "not_permitted",
        ),
        case(
            "another letter case",
            chat("hi").model("GPT-4o"),
            404,
            "model_not_found",
        ),
        Case {
            param: Some("model"),
            ..case(
                "a very long name",
                chat("hi").model(&"x".repeat(100_000)),
                400,
                "invalid_request_error",
            )
        },
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn absurd_amounts_are_refused_and_name_their_field() {
    let with = |field: &str| format!(r#"{{"model":"gpt-4o","messages":[],{field}}}"#);
    refuses(vec![
        invalid("negative", &with(r#""max_tokens":-1"#), Some("max_tokens")),
        invalid("1e30", &with(r#""max_tokens":1e30"#), Some("max_tokens")),
        invalid(
            "a fraction",
            &with(r#""max_tokens":1.5"#),
            Some("max_tokens"),
        ),
        invalid("a text", &with(r#""max_tokens":"10""#), Some("max_tokens")),
        invalid(
            "past 64 bits",
            &with(r#""max_tokens":18446744073709551616"#),
            Some("max_tokens"),
        ),
        invalid(
            "past 64 bits, the newer name",
            &with(r#""max_completion_tokens":18446744073709551616"#),
            Some("max_completion_tokens"),
        ),
        invalid("negative choices", &with(r#""n":-1"#), Some("n")),
        invalid(
            "a stream that is no truth value",
            &with(r#""stream":"yes""#),
            Some("stream"),
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_max_tokens_does_not_wrap_around_a_limit() {
    let region = provider(Default::default()).await;
    let strict = config()
        .backend("east", region.address())
        .longest_answer(100)
        .add(
            "/products/0/token_limits",
            json!({ "name": "strict", "tokens_per_minute": 1000, "reserve": "max" }),
        );
    let gate = Gate::start(strict).await;
    for call in [
        chat("hi").max_tokens(u64::MAX),
        chat("hi").max_tokens(u64::MAX).field("n", u64::MAX),
        chat("hi").max_tokens(1 << 63).field("n", 2),
    ] {
        let answer = gate.send(call).await;
        assert_eq!(
            (answer.status, answer.code()),
            (400, "exceeds_limit".to_owned())
        );
        assert_eq!(answer.header("retry-after"), "");
    }
    assert_eq!(region.counts().total.calls, 0);
    assert_eq!(
        gate.send(chat("answer 5 words").max_tokens(5)).await.status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_and_unknown_encodings_are_refused() {
    let bomb = vec![b' '; 200 * 1024 * 1024];
    let encoded =
        |encoding: &str, bytes: Vec<u8>| chat("").header("content-encoding", encoding).bytes(bytes);
    let body = chat("hi").body();
    let half = gzip(&body)[..20].to_vec();
    refuses(vec![
        case(
            "unknown",
            encoded("lzw", body.to_vec()),
            415,
            "invalid_request_error",
        ),
        case(
            "not gzip at all",
            encoded("gzip", body.to_vec()),
            400,
            "invalid_request_error",
        ),
        case(
            "half of it",
            encoded("gzip", half),
            400,
            "invalid_request_error",
        ),
        case(
            "a gzip bomb",
            encoded("gzip", gzip(&bomb)),
            413,
            "invalid_request_error",
        ),
        case(
            "a brotli bomb",
            encoded("br", brotli(&bomb)),
            413,
            "invalid_request_error",
        ),
        case(
            "a zstd bomb",
            encoded("zstd", zstd(&bomb)),
            413,
            "invalid_request_error",
        ),
        case(
            "encodings stacked, a bomb in a bomb",
            encoded("gzip, gzip", gzip(&gzip(&bomb))),
            415,
            "invalid_request_error",
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_routes_wrong_methods_and_a_missing_api_version_are_told_apart() {
    let region = provider(Default::default()).await;
    let gate = Gate::start(config().backend("east", region.address())).await;
    for path in [
        "/",
        "/v1",
        "/v1/nothing",
        "/v1/chat/completions/messages",
        "/openai/deployments/gpt-4o%2F..%2Fo3/chat/completions?api-version=2024-10-21",
        "/v1/responses",
        "/v2/chat/completions",
        "//v1/chat/completions",
    ] {
        let answer = gate.send(chat("hi").path(path)).await;
        assert_eq!(
            (answer.status, answer.code()),
            (404, "unknown_route".to_owned()),
            "{path}"
        );
    }
    for (method, path, allow) in [
        (Method::GET, "/v1/chat/completions", "POST"),
        (Method::DELETE, "/v1/embeddings", "POST"),
        (Method::POST, "/v1/models", "GET"),
    ] {
        let answer = gate.send(chat("hi").method(method).path(path)).await;
        assert_eq!(
            (answer.status, answer.code()),
            (405, "method_not_allowed".to_owned()),
            "{path}"
        );
        assert!(
            answer.header("allow").contains(allow),
            "{path}: {}",
            answer.header("allow")
        );
    }
    for path in [
        "/openai/deployments/gpt-4o/chat/completions",
        "/openai/deployments/gpt-4o/chat/completions?api-version=",
    ] {
        let answer = gate.send(chat("hi").path(path)).await;
        assert_eq!(
            (answer.status, answer.code()),
            (400, "invalid_request_error".to_owned())
        );
        assert!(answer.message().contains("api-version"));
    }
    assert_eq!(gate.send(get("/healthz")).await.status, 200);
    assert_eq!(region.counts().total.calls, 0);
}
