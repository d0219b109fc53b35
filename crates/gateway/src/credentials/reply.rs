//! What token issuers answer: a token with its terms, or a refusal.
//!
//! A failure holds nothing of an answer but its status and the error's code: an answer's text may be
//! a token, and failures are logged.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use domain::Wall;
use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::life::{Setback, Terms};
use crate::fetch::FetchError;

/// For a token whose issuer does not say.
const LIFETIME_UNKNOWN: Duration = Duration::from_secs(300);

pub struct Granted {
    /// `Bearer …`
    pub header: HeaderValue,
    pub terms: Terms,
}

/// Why there is no token. For logs: it names addresses and files, and holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum FetchFailure {
    #[error("the issuer cannot be asked")]
    Exchange(#[from] FetchError),
    #[error("the issuer refused: {status}{}", code.as_ref().map_or_else(String::new, |code| format!(", {code}")))]
    Refused {
        status: StatusCode,
        code: Option<String>,
        retry_after: Option<Duration>,
    },
    #[error("the issuer's answer holds no bearer token")]
    NoToken,
    #[error("the issuer's token has ended already")]
    Ended,
    #[error("the platform's token in `{path}` cannot be read")]
    TokenFile {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the file of the platform's token, `{0}`, is empty")]
    EmptyTokenFile(PathBuf),
    #[error("the request cannot be written with what is configured")]
    Unaskable,
}

impl FetchFailure {
    /// As Microsoft asks: 404, 429 and 5xx of a metadata service pass, 410 is an update of up to 70 s,
    /// and any other refusal needs a change somewhere.
    pub fn setback(&self) -> Setback {
        match self {
            Self::Refused {
                status,
                retry_after,
                ..
            } => {
                let retry_after = *retry_after;
                let passes = status.is_server_error()
                    || matches!(
                        *status,
                        StatusCode::NOT_FOUND
                            | StatusCode::REQUEST_TIMEOUT
                            | StatusCode::TOO_MANY_REQUESTS
                    );
                if passes {
                    Setback::Passing { retry_after }
                } else {
                    Setback::Lasting { retry_after }
                }
            }
            Self::Exchange(_) | Self::Ended | Self::TokenFile { .. } | Self::EmptyTokenFile(_) => {
                Setback::Passing { retry_after: None }
            }
            Self::NoToken | Self::Unaskable => Setback::Lasting { retry_after: None },
        }
    }
}

/// The fields of every issuer. Numbers come as numbers, and from metadata services as text.
#[derive(Deserialize)]
struct Reply {
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<Value>,
    /// Seconds since 1970: all that App Service says.
    expires_on: Option<Value>,
    refresh_in: Option<Value>,
}

pub fn read(answer: &Response<Bytes>, asked_at: Wall) -> Result<Granted, FetchFailure> {
    if answer.status() != StatusCode::OK {
        return Err(FetchFailure::Refused {
            status: answer.status(),
            code: code(answer.body()),
            retry_after: retry_after(answer),
        });
    }
    // The parser's error would quote the answer.
    let reply: Reply = serde_json::from_slice(answer.body()).map_err(|_| FetchFailure::NoToken)?;
    let is_bearer = reply
        .token_type
        .is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
    if !is_bearer
        || !reply
            .access_token
            .bytes()
            .all(|byte| byte.is_ascii_graphic())
    {
        return Err(FetchFailure::NoToken);
    }
    if reply.access_token.is_empty() {
        return Err(FetchFailure::NoToken);
    }
    let mut header = HeaderValue::try_from(format!("Bearer {}", reply.access_token))
        .map_err(|_| FetchFailure::NoToken)?;
    header.set_sensitive(true);
    let until = |wall_s: u64| {
        let now_s = u64::try_from(asked_at.0 / 1000).unwrap_or(0);
        wall_s.saturating_sub(now_s)
    };
    let lifetime = seconds(reply.expires_in.as_ref())
        .or_else(|| seconds(reply.expires_on.as_ref()).map(until))
        .map_or(LIFETIME_UNKNOWN, Duration::from_secs);
    if lifetime.is_zero() {
        return Err(FetchFailure::Ended);
    }
    let refresh_in = seconds(reply.refresh_in.as_ref()).map(Duration::from_secs);
    Ok(Granted {
        header,
        terms: Terms {
            lifetime,
            refresh_in,
        },
    })
}

fn seconds(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::Number(number) => number
            .as_u64()
            .or_else(|| number.as_f64().map(|seconds| seconds as u64)),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn retry_after(answer: &Response<Bytes>) -> Option<Duration> {
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

/// The error by its own names, such as `invalid_client AADSTS7000215`: words in which no secret fits.
fn code(body: &[u8]) -> Option<String> {
    const BYTES_MAX: usize = 64;
    let body: Value = serde_json::from_slice(body).ok()?;
    let error = body["error"].as_str().filter(|error| {
        error.len() <= BYTES_MAX
            && error
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    });
    let described = body["error_description"].as_str().unwrap_or_default();
    let number = described.find("AADSTS").map(|start| {
        let digits = &described[start + "AADSTS".len()..];
        let end = digits
            .bytes()
            .take(12)
            .take_while(u8::is_ascii_digit)
            .count();
        format!("AADSTS{}", &digits[..end])
    });
    match (error, number) {
        (Some(error), Some(number)) => Some(format!("{error} {number}")),
        (Some(error), None) => Some(error.to_owned()),
        (None, number) => number,
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use serde_json::json;

    use super::*;

    const NOW: Wall = Wall::from_secs(1_790_000_000);

    fn answer(status: u16, body: &str) -> Response<Bytes> {
        Response::builder()
            .status(status)
            .body(Bytes::copy_from_slice(body.as_bytes()))
            .unwrap()
    }

    fn terms_of(reply: &Value) -> (u64, Option<u64>) {
        let granted = read(&answer(200, &reply.to_string()), NOW).unwrap();
        assert_eq!(granted.header, "Bearer abc");
        assert!(granted.header.is_sensitive());
        (
            granted.terms.lifetime.as_secs(),
            granted.terms.refresh_in.map(|refresh| refresh.as_secs()),
        )
    }

    fn failure(status: u16, body: &str) -> FetchFailure {
        match read(&answer(status, body), NOW) {
            Ok(_) => panic!("{body}"),
            Err(failure) => failure,
        }
    }

    #[test]
    fn lifetimes_are_numbers_or_texts_and_relative_or_absolute() {
        let entra = json!({ "access_token": "abc", "token_type": "Bearer", "expires_in": 3599 });
        assert_eq!(terms_of(&entra), (3599, None));
        let metadata = json!({ "access_token": "abc", "expires_in": "86000", "refresh_in": "43000", "expires_on": "1790086400" });
        assert_eq!(terms_of(&metadata), (86_000, Some(43_000)));
        let app =
            json!({ "access_token": "abc", "expires_on": "1790003600", "token_type": "bearer" });
        assert_eq!(terms_of(&app), (3600, None));
        let vague = json!({ "access_token": "abc", "expires_in": null });
        assert_eq!(terms_of(&vague), (300, None));
        let fraction = json!({ "access_token": "abc", "expires_in": 1.5e300 });
        assert_eq!(terms_of(&fraction), (u64::MAX, None));
    }

    #[test]
    fn a_token_that_has_ended_is_none() {
        let ended = json!({ "access_token": "abc", "expires_on": "1790000000" }).to_string();
        assert!(matches!(failure(200, &ended), FetchFailure::Ended));
    }

    #[test]
    fn what_is_no_bearer_token_is_refused_and_never_quoted() {
        for body in [
            "\"s3cret\"",
            "s3cret",
            "",
            r#"{"access_token":"","note":"s3cret"}"#,
            r#"{"access_token":["s3cret"]}"#,
            r#"{"access_token":"s3cret\r\nx: y"}"#,
            r#"{"access_token":"s3cret","token_type":"mac"}"#,
        ] {
            let failure = failure(200, body);
            assert!(matches!(failure, FetchFailure::NoToken), "{body}");
            let shown = format!("{failure} {failure:?} {:?}", failure.source());
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }

    #[test]
    fn refusals_are_told_by_their_codes_alone() {
        let body = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret s3cret."}"#;
        assert_eq!(
            failure(401, body).to_string(),
            "the issuer refused: 401 Unauthorized, invalid_client AADSTS7000215"
        );
        for body in [
            r#"{"error":"s3cret-S3CRET"}"#,
            r#"{"error":{"message":"s3cret"}}"#,
            "<html>s3cret</html>",
        ] {
            assert_eq!(
                failure(502, body).to_string(),
                "the issuer refused: 502 Bad Gateway"
            );
        }
    }

    #[test]
    fn what_passes_by_itself_is_asked_again_sooner() {
        for status in [404, 408, 429, 500, 503] {
            assert!(matches!(
                failure(status, "{}").setback(),
                Setback::Passing { .. }
            ));
        }
        for status in [400, 401, 403, 410] {
            assert!(matches!(
                failure(status, "{}").setback(),
                Setback::Lasting { .. }
            ));
        }
        let mut throttled = answer(429, "{}");
        throttled
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static("30"));
        let Err(failure) = read(&throttled, NOW) else {
            panic!("a token");
        };
        let retry_after = Some(Duration::from_secs(30));
        assert_eq!(failure.setback(), Setback::Passing { retry_after });
    }
}
