//! Gets one small document over HTTPS: bounded in size and in time.
//!
//! For what the gateway itself needs (discovery documents, key sets, tokens). Follows no redirect, uses no
//! proxy, keeps no connection, and speaks plain HTTP with the same machine only. Calls to models go
//! through the upstream client instead.

pub mod download;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::client::WantsClientCert;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use serde::de::DeserializeOwned;
use url::{Host, Url};

/// One exchange, from connecting to the last byte.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// A longer document is an error: the largest public key sets are some 20 KiB.
const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;

/// Cheap to clone. Reads the machine's trusted roots at the first fetch, not before.
#[derive(Clone, Default)]
pub struct Fetch {
    client: Arc<OnceLock<HttpClient>>,
}

type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Why a document could not be had. For logs: it names hosts.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("`{0}` is neither https nor http on a loopback address")]
    Insecure(Url),
    #[error("`{0}` is not an address that can be requested")]
    Address(Url),
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    #[error("the server cannot be reached")]
    Unreachable(#[source] hyper_util::client::legacy::Error),
    #[error("the answer broke off")]
    Cut(#[source] hyper::Error),
    #[error("no complete answer within {} s", FETCH_TIMEOUT.as_secs())]
    TimedOut,
    #[error("the server answered {0}")]
    Status(StatusCode),
    #[error("the answer is larger than {DOCUMENT_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the answer is not the JSON document that was expected")]
    Document(#[source] serde_json::Error),
}

impl Fetch {
    pub async fn json<T: DeserializeOwned>(&self, url: &Url) -> Result<T, FetchError> {
        let get = tokio::time::timeout(FETCH_TIMEOUT, self.get(url));
        let document = get.await.map_err(|_elapsed| FetchError::TimedOut)??;
        serde_json::from_slice(&document).map_err(FetchError::Document)
    }

    async fn get(&self, url: &Url) -> Result<Bytes, FetchError> {
        if !is_private(url) {
            return Err(FetchError::Insecure(url.clone()));
        }
        let Ok(uri) = url.as_str().parse::<Uri>() else {
            return Err(FetchError::Address(url.clone()));
        };
        let mut get = Request::new(Full::default());
        *get.uri_mut() = uri;
        let response = self.send(get).await?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        whole(response.into_body()).await
    }

    /// Any request and its answer, whatever the status. Its caller has seen to it that the way there
    /// is private.
    pub async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, FetchError> {
        let exchange = tokio::time::timeout(FETCH_TIMEOUT, async {
            let (head, body) = self.send(request).await?.into_parts();
            Ok(Response::from_parts(head, whole(body).await?))
        });
        exchange.await.map_err(|_elapsed| FetchError::TimedOut)?
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, FetchError> {
        let sent = self.client()?.request(request).await;
        sent.map_err(FetchError::Unreachable)
    }

    fn client(&self) -> Result<&HttpClient, FetchError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client: HttpClient = new_client().map_err(FetchError::Tls)?;
        Ok(self.client.get_or_init(|| client))
    }
}

async fn whole(mut body: Incoming) -> Result<Bytes, FetchError> {
    let mut document = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(part) = frame.map_err(FetchError::Cut)?.into_data() else {
            continue;
        };
        if document.len() + part.len() > DOCUMENT_BYTES_MAX {
            return Err(FetchError::TooLarge);
        }
        document.extend_from_slice(&part);
    }
    Ok(document.freeze())
}

/// Whether nobody on the way can read or change what is fetched.
pub fn is_private(url: &Url) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => is_loopback(url),
        _ => false,
    }
}

pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whose certificates are believed.
pub(crate) enum Trust {
    These(RootCertStore),
    /// The authorities that browsers trust, as this program was built with them.
    Public,
    /// Those whom this machine trusts.
    Machine,
}

pub(crate) fn trusting(
    trust: Trust,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, rustls::Error> {
    // Named rather than installed for the process: two providers in one binary would panic.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = || {
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()
    };
    match trust {
        Trust::These(roots) => Ok(tls()?.with_root_certificates(roots)),
        Trust::Public => Ok(tls()?.with_webpki_roots()),
        // The machine's roots know a company's own authority; an empty container has none at all.
        Trust::Machine => match tls()?.with_native_roots() {
            Ok(with_roots) => Ok(with_roots),
            Err(_no_roots) => Ok(tls()?.with_webpki_roots()),
        },
    }
}

/// For requests that are seconds apart or more.
pub(crate) fn new_client<B>() -> Result<Client<HttpsConnector<HttpConnector>, B>, rustls::Error>
where
    B: http_body::Body + Send,
    B::Data: Send,
{
    let tls = trusting(Trust::Machine)?.with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    // Documents are fetched an hour apart: a kept connection would only go stale.
    Ok(Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build(connector))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_the_same_machine_only() {
        let private = |url: &str| is_private(&Url::parse(url).unwrap());
        assert!(private("https://login.example.com/keys"));
        assert!(private("http://127.0.0.1:9000/keys"));
        assert!(private("http://[::1]:9000/keys"));
        assert!(private("http://localhost/keys"));
        assert!(!private("http://login.example.com/keys"));
        assert!(!private("http://localhost.example.com/keys"));
        assert!(!private("http://10.0.0.1/keys"));
        assert!(!private("file:///etc/passwd"));
    }

    #[tokio::test]
    async fn an_insecure_address_is_refused_before_any_connection() {
        let url = Url::parse("http://192.0.2.1/keys").unwrap();
        let refused = Fetch::default()
            .json::<serde_json::Value>(&url)
            .await
            .unwrap_err();
        assert!(matches!(refused, FetchError::Insecure(_)), "{refused}");
    }
}
