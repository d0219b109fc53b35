//! Gets one large file whose bytes are known beforehand, for a command: follows redirects, waits as long
//! as bytes come, keeps to a bound.
//!
//! Speaks plain HTTP with any host, as mirrors within a company do: whoever calls this compares the file
//! with its hash, and that, not the way it came, says whether it is right.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, LOCATION};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use url::Url;

use super::{HttpClient, new_client};

/// Between two pieces, and before the first.
const SILENCE_MAX: Duration = Duration::from_secs(60);

const REDIRECTS_MAX: usize = 5;

/// Why a file could not be had. Names hosts, never a password.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    #[error("`{0}` is not an address that can be requested")]
    Address(String),
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    #[error("`{host}` cannot be reached")]
    Unreachable {
        host: String,
        #[source]
        source: hyper_util::client::legacy::Error,
    },
    #[error("`{host}` was silent for {} s", SILENCE_MAX.as_secs())]
    Silent { host: String },
    #[error("`{host}` answered {status}")]
    Status { host: String, status: StatusCode },
    #[error("`{host}` sent more than {REDIRECTS_MAX} redirects, or one to nowhere")]
    Redirected { host: String },
    #[error("the answer of `{host}` broke off")]
    Cut {
        host: String,
        #[source]
        source: hyper::Error,
    },
    #[error("`{host}` sent more than {bytes_max} bytes")]
    TooLarge { host: String, bytes_max: usize },
}

/// What came, and from where after all redirects.
#[derive(Debug)]
pub struct Downloaded {
    pub bytes: Vec<u8>,
    pub url: Url,
}

/// `accept` is what the server is asked for; the host's user and password may stand in `url`.
pub async fn download(
    url: &Url,
    accept: &'static str,
    bytes_max: usize,
) -> Result<Downloaded, DownloadError> {
    let client: HttpClient = new_client().map_err(DownloadError::Tls)?;
    let mut url = url.clone();
    for _ in 0..=REDIRECTS_MAX {
        let response = ask(&client, &url, accept).await?;
        let host = host(&url);
        if response.status().is_redirection() {
            url = redirected(&url, &response).ok_or(DownloadError::Redirected { host })?;
            continue;
        }
        if response.status() != StatusCode::OK {
            let status = response.status();
            return Err(DownloadError::Status { host, status });
        }
        let bytes = whole(response.into_body(), host, bytes_max).await?;
        return Ok(Downloaded { bytes, url });
    }
    Err(DownloadError::Redirected { host: host(&url) })
}

async fn ask(
    client: &HttpClient,
    url: &Url,
    accept: &'static str,
) -> Result<Response<Incoming>, DownloadError> {
    let get = request(url, accept).ok_or_else(|| DownloadError::Address(without_login(url)))?;
    match tokio::time::timeout(SILENCE_MAX, client.request(get)).await {
        Err(_elapsed) => Err(DownloadError::Silent { host: host(url) }),
        Ok(Err(source)) => Err(DownloadError::Unreachable {
            host: host(url),
            source,
        }),
        Ok(Ok(response)) => Ok(response),
    }
}

fn request(url: &Url, accept: &'static str) -> Option<Request<Full<Bytes>>> {
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let mut get = Request::new(Full::default());
    *get.uri_mut() = without_login(url).parse().ok()?;
    let headers = get.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    if !url.username().is_empty() || url.password().is_some() {
        let login = format!(
            "{}:{}",
            decoded(url.username()),
            decoded(url.password().unwrap_or_default())
        );
        let basic = format!("Basic {}", STANDARD.encode(login));
        let mut basic = HeaderValue::try_from(basic).ok()?;
        basic.set_sensitive(true);
        headers.insert(AUTHORIZATION, basic);
    }
    Some(get)
}

/// Where an answer sends us. A login is for the host that it was given for, and for no other.
fn redirected(from: &Url, response: &Response<Incoming>) -> Option<Url> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let to = from.join(location).ok()?;
    Some(with_login_of(from, to))
}

/// `to` with the login of `from`, if both are of one origin.
pub fn with_login_of(from: &Url, mut to: Url) -> Url {
    if from.origin() == to.origin() && to.username().is_empty() {
        // Neither fails for a URL that has a host.
        let _ = to.set_username(from.username());
        let _ = to.set_password(from.password());
    }
    to
}

async fn whole(
    mut body: Incoming,
    host: String,
    bytes_max: usize,
) -> Result<Vec<u8>, DownloadError> {
    let mut bytes = Vec::new();
    loop {
        let frame = match tokio::time::timeout(SILENCE_MAX, body.frame()).await {
            Err(_elapsed) => return Err(DownloadError::Silent { host }),
            Ok(None) => return Ok(bytes),
            Ok(Some(Err(source))) => return Err(DownloadError::Cut { host, source }),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        if bytes.len() + piece.len() > bytes_max {
            return Err(DownloadError::TooLarge { host, bytes_max });
        }
        bytes.extend_from_slice(&piece);
    }
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// For logs and requests: what is before the `@` is nobody's business.
pub fn without_login(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

fn decoded(part: &str) -> String {
    // `url` percent-encodes logins, and query pairs are decoded by the same rules but for `+`.
    let pair = format!("x={}", part.replace('+', "%2B"));
    url::form_urlencoded::parse(pair.as_bytes())
        .next()
        .map(|(_x, value)| value.into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_login_becomes_a_header_and_leaves_the_address() {
        let get = request(&url("https://me:p%40ss+word@mirror.example/simple/"), "*/*").unwrap();
        assert_eq!(get.uri(), "https://mirror.example/simple/");
        let basic = format!("Basic {}", STANDARD.encode("me:p@ss+word"));
        assert_eq!(get.headers()[AUTHORIZATION], basic);
    }

    #[test]
    fn a_login_stays_with_its_host() {
        let from = url("https://me:secret@mirror.example/simple/");
        let same = with_login_of(&from, from.join("../files/a.whl").unwrap());
        assert_eq!(same.password(), Some("secret"));
        let other = with_login_of(&from, url("https://elsewhere.example/a.whl"));
        assert_eq!(other.password(), None);
        assert_eq!(without_login(&same), "https://mirror.example/files/a.whl");
    }

    #[test]
    fn only_http_is_spoken() {
        assert!(request(&url("file:///etc/passwd"), "*/*").is_none());
        assert!(request(&url("ftp://mirror.example/a"), "*/*").is_none());
    }
}
