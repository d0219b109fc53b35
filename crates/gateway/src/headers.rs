//! Which headers cross the gateway, each way. Both are allow-lists: what is not named stays here,
//! so a credential under an unforeseen name cannot leak.

use http::header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};

const REQUEST: [HeaderName; 3] = [CONTENT_TYPE, ACCEPT, USER_AGENT];
const REQUEST_NAMES: [&str; 6] = [
    "openai-beta",
    "idempotency-key",
    "x-ms-client-request-id",
    "traceparent",
    "tracestate",
    "x-session-id",
];
const REQUEST_PREFIXES: [&str; 1] = ["x-stainless-"];

const RESPONSE: [HeaderName; 2] = [CONTENT_TYPE, CACHE_CONTROL];
const RESPONSE_NAMES: [&str; 5] = [
    "openai-processing-ms",
    "openai-version",
    "openai-model",
    "retry-after",
    "retry-after-ms",
];
const RESPONSE_PREFIXES: [&str; 2] = ["x-ms-", "azureml-"];

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What an upstream is told of the client's request.
pub fn to_upstream(client: &HeaderMap, request_id: &HeaderValue) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(12);
    choose(
        client,
        &mut out,
        &REQUEST,
        &REQUEST_NAMES,
        &REQUEST_PREFIXES,
    );
    out.entry(CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("application/json"));
    out.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    out.insert(REQUEST_ID, request_id.clone());
    out
}

/// What a client is told of the upstream's answer.
pub fn to_client(upstream: &HeaderMap) -> HeaderMap {
    // A governed unary answer has 13: the type, six of limits, six of ours.
    let mut out = HeaderMap::with_capacity(16);
    choose(
        upstream,
        &mut out,
        &RESPONSE,
        &RESPONSE_NAMES,
        &RESPONSE_PREFIXES,
    );
    out
}

/// In one allocation; a number's own conversion takes two.
pub fn number(number: u64) -> HeaderValue {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    let mut rest = number;
    loop {
        start -= 1;
        digits[start] += (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    HeaderValue::from_bytes(&digits[start..]).unwrap_or(HeaderValue::from_static("0"))
}

fn choose(
    from: &HeaderMap,
    out: &mut HeaderMap,
    names: &[HeaderName],
    others: &[&str],
    prefixes: &[&str],
) {
    for (name, value) in from {
        let text = name.as_str();
        if names.contains(name)
            || others.contains(&text)
            || prefixes.iter().any(|prefix| text.starts_with(prefix))
        {
            out.append(name.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn no_credential_under_any_name_reaches_an_upstream() {
        let client = map(&[
            ("authorization", "Bearer s"),
            ("api-key", "s"),
            ("x-api-key", "s"),
            ("ocp-apim-subscription-key", "s"),
            ("cookie", "s"),
            ("x-our-secret", "s"),
            ("openai-organization", "s"),
            ("openai-beta", "assistants=v2"),
        ]);
        let sent = to_upstream(&client, &HeaderValue::from_static("id"));
        assert!(
            sent.values()
                .all(|value| value != "s" && value != "Bearer s")
        );
        assert_eq!(sent["openai-beta"], "assistants=v2");
        assert_eq!(sent["accept-encoding"], "identity");
    }

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 7, 10, 99, 1_000_000, u64::MAX] {
            assert_eq!(super::number(number), HeaderValue::from(number));
        }
    }

    #[test]
    fn an_upstream_s_own_limits_and_cookies_stay_behind() {
        let upstream = map(&[
            ("set-cookie", "s"),
            ("x-ratelimit-remaining-tokens", "1"),
            ("openai-organization", "s"),
            ("x-ms-region", "Sweden Central"),
        ]);
        let sent = to_client(&upstream);
        assert_eq!(sent.len(), 1);
        assert_eq!(sent["x-ms-region"], "Sweden Central");
    }
}
