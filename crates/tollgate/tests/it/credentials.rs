//! Secrets stay on their side, whoever sends them under whatever name.

use serde_json::json;

use crate::harness::{Gate, PROVIDER_KEY, Reply, SEARCH_KEY, Upstream, chat, config};

/// Headers in which somebody may put a secret, wanted here or not.
const SECRET_HEADERS: [&str; 8] = [
    "x-api-key",
    "ocp-apim-subscription-key",
    "cookie",
    "proxy-authorization",
    "x-amz-security-token",
    "openai-organization",
    "x-forwarded-authorization",
    "x-our-own-secret",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_credential_of_a_client_reaches_an_upstream_under_any_name() {
    let upstream = Upstream::start(|_| Reply::hello()).await;
    let gate = Gate::start(config().backend("east", upstream.address)).await;
    let mut call = chat("hi").bearer(SEARCH_KEY);
    for name in SECRET_HEADERS {
        call = call.header(name, SEARCH_KEY);
    }
    assert_eq!(gate.send(call).await.status, 200);
    let seen = upstream.only();
    for (name, value) in &seen.head.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        assert!(!value.contains(SEARCH_KEY), "`{name}: {value}`");
    }
    assert!(!String::from_utf8_lossy(&seen.body).contains(SEARCH_KEY));
    assert!(!seen.head.uri.to_string().contains(SEARCH_KEY));
    assert_eq!(
        seen.header("authorization"),
        format!("Bearer {PROVIDER_KEY}")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_backends_get_their_key_as_api_key_and_nothing_else() {
    let upstream = Upstream::start(|_| Reply::hello()).await;
    let gate = Gate::start(config().azure_backend("east", upstream.address)).await;
    gate.send(chat("hi").bearer(SEARCH_KEY)).await;
    let seen = upstream.only();
    assert_eq!(
        (seen.header("api-key"), seen.header("authorization")),
        (PROVIDER_KEY, "")
    );
    assert_eq!(
        seen.head.uri.to_string(),
        "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_s_credential_reaches_neither_the_client_nor_the_log() {
    // An upstream that quotes what it was sent, as some do in their errors.
    let upstream = Upstream::start(|seen| {
        let quoted = seen.header("authorization").to_owned();
        let error = json!({ "error": { "message": format!("bad key {quoted}"), "code": "401" } });
        Reply::json(error.to_string())
            .status(401)
            .header("www-authenticate", &quoted)
            .header("x-ms-debug", "key refused")
    })
    .await;
    let gate = Gate::start_verbose(config().backend("east", upstream.address).retry(1, 0.0)).await;
    let answer = gate.send(chat("hi")).await;
    assert_eq!(
        (answer.status, answer.code()),
        (502, "upstream_auth_failed".to_owned())
    );
    assert!(!answer.text().contains(PROVIDER_KEY));
    assert!(
        answer
            .headers
            .values()
            .all(|value| !value.to_str().unwrap().contains(PROVIDER_KEY))
    );
    gate.record(answer.id()).await;
    assert!(!gate.log().contains(PROVIDER_KEY));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_id_is_ours_and_the_upstream_has_the_same() {
    let upstream = Upstream::start(|_| Reply::hello().header("x-request-id", "req_theirs")).await;
    let gate = Gate::start(config().backend("east", upstream.address)).await;
    let answer = gate.send(chat("hi").header("x-request-id", "mine")).await;
    assert!(
        !["", "mine", "req_theirs"].contains(&answer.id()),
        "{}",
        answer.id()
    );
    assert_eq!(upstream.only().header("x-request-id"), answer.id());
    assert_ne!(gate.send(chat("hi")).await.id(), answer.id());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_s_cookies_and_limits_stay_behind() {
    let upstream = Upstream::start(|_| {
        Reply::hello()
            .header("set-cookie", "session=theirs")
            .header("x-ratelimit-limit-tokens", "77")
            .header("x-ratelimit-remaining-tokens", "76")
            .header("x-ms-region", "Sweden Central")
    })
    .await;
    let gate = Gate::start(config().backend("east", upstream.address)).await;
    let answer = gate.send(chat("hi")).await;
    assert_eq!(answer.header("set-cookie"), "");
    assert_eq!(
        answer.header("x-ratelimit-limit-tokens"),
        "",
        "no limit of ours applies"
    );
    assert_eq!(answer.header("x-ms-region"), "Sweden Central");
}

#[tokio::test(flavor = "multi_thread")]
async fn prompts_answers_and_keys_are_found_neither_in_the_log_nor_on_disk() {
    let answer = "the-answer-that-nobody-may-keep";
    let upstream = Upstream::start(move |seen| {
        if seen.json()["stream"] == true {
            let chunk = json!({ "choices": [{ "index": 0, "delta": { "content": answer } }] });
            return Reply::events(format!("data: {chunk}\n\ndata: [DONE]\n\n"));
        }
        let choice = json!({ "index": 0, "message": { "role": "assistant", "content": answer } });
        Reply::json(json!({ "choices": [choice] }).to_string())
    })
    .await;
    let mut gate = Gate::start_verbose(
        config()
            .backend("east", upstream.address)
            .token_limit("team-tpm", 9_000),
    )
    .await;
    let prompt = "the-prompt-that-nobody-may-keep";
    let wrong_key = "a-wrong-key-0123456789abcdef";
    assert_eq!(gate.send(chat(prompt)).await.status, 200);
    assert!(gate.send(chat(prompt).stream()).await.is_whole);
    assert_eq!(
        gate.send(chat(prompt).max_tokens(u64::MAX)).await.status / 100,
        2
    );
    assert_eq!(
        gate.send(chat(prompt).bytes(format!("{{\"{prompt}\"")))
            .await
            .status,
        400
    );
    assert_eq!(gate.send(chat(prompt).key(wrong_key)).await.status, 401);
    assert!(gate.stop().await.success());

    let secrets = [prompt, answer, wrong_key, SEARCH_KEY, PROVIDER_KEY];
    let mut places = vec![("the log".to_owned(), gate.log().into_bytes())];
    for entry in walk(&gate.data()) {
        places.push((entry.display().to_string(), std::fs::read(&entry).unwrap()));
    }
    assert!(places.len() > 1, "the data directory holds files");
    for (place, bytes) in places {
        for secret in secrets {
            let found = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!found, "`{secret}` in {place}");
        }
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files
}
