//! Rate-limit headers, theirs read and ours written.

use std::time::Duration;

use http::HeaderMap;

/// What an upstream says is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    pub requests_remaining: Option<u64>,
    pub requests_reset: Option<Duration>,
    pub tokens_remaining: Option<u64>,
    pub tokens_reset: Option<Duration>,
}

pub fn read(headers: &HeaderMap) -> RateLimits {
    let _ = headers;
    todo!()
}

/// `retry-after-ms`, else `Retry-After` in seconds or as an HTTP date, for which the wall clock is
/// needed.
pub fn retry_after(headers: &HeaderMap, wall: domain::Wall) -> Option<Duration> {
    let _ = (headers, wall);
    todo!()
}

/// `3s`, `6m0s`, `250ms`, `1h2m3.5s` or plain seconds.
pub fn parse_reset(text: &str) -> Option<Duration> {
    let _ = text;
    todo!()
}

/// As OpenAI writes it: `1.5s`, `6m0s`, `250ms`.
pub fn format_reset(duration: Duration) -> String {
    let _ = duration;
    todo!()
}
