//! A fake OpenID issuer: discovery, keys that rotate, and any token that a test wants, forged ones too.

mod keys;
mod mint;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::simulator::Tasks;
use crate::{body, clock};
use keys::Generation;
pub use mint::{Algorithm, Mint, MintError};

/// Older keys are withdrawn, even when a rotation is told to keep them.
const GENERATIONS_MAX: usize = 4;

/// An issuer that runs until it is stopped or dropped.
pub struct Issuer {
    address: SocketAddr,
    state: Arc<State>,
    tasks: Tasks,
}

/// How often each document was asked for, while down too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetches {
    pub discovery: u64,
    pub keys: u64,
}

struct State {
    url: String,
    /// Published keys, the newest last: it signs.
    generations: Mutex<VecDeque<Arc<Generation>>>,
    rotations: AtomicU64,
    is_down: AtomicBool,
    discovery_fetches: AtomicU64,
    key_fetches: AtomicU64,
}

impl Issuer {
    pub async fn start(listen: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            url: format!("http://{address}"),
            generations: Mutex::new([Arc::new(Generation::numbered(0))].into()),
            rotations: AtomicU64::new(0),
            is_down: AtomicBool::new(false),
            discovery_fetches: AtomicU64::new(0),
            key_fetches: AtomicU64::new(0),
        });
        let tasks = Tasks::default();
        tasks.accept(listener, {
            let state = state.clone();
            move |stream| {
                let state = state.clone();
                async move {
                    let service = service_fn(|request| state.serve(request));
                    if let Err(error) = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await
                    {
                        tracing::debug!(%error, "connection ended early");
                    }
                }
            }
        });
        Ok(Self {
            address,
            state,
            tasks,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The `iss` of its tokens.
    pub fn url(&self) -> &str {
        &self.state.url
    }

    /// Where a gateway finds the issuer.
    pub fn openid_config(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.state.url)
    }

    /// `iss`, `iat`, `nbf` and `exp` (an hour) are added where `mint.claims` has none.
    pub fn mint(&self, mint: &Mint) -> Result<String, MintError> {
        self.state.mint(mint)
    }

    /// Signs with a new key from now on. `keep_old`: the old ones stay published.
    pub fn rotate(&self, keep_old: bool) {
        self.state.rotate(keep_old);
    }

    /// While down, discovery and keys answer 503; minting goes on.
    pub fn set_down(&self, is_down: bool) {
        self.state.is_down.store(is_down, Ordering::Relaxed);
    }

    pub fn fetches(&self) -> Fetches {
        self.state.fetches()
    }

    pub async fn stop(self) {
        self.tasks.stop().await;
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Rotate {
    keep_old: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Down {
    down: bool,
}

impl State {
    async fn serve<B: Body<Data = Bytes>>(
        &self,
        request: Request<B>,
    ) -> Result<Response<Full<Bytes>>, body::Unread> {
        let (head, sent) = request.into_parts();
        let sent = body::read(sent).await?;
        let (status, reply) = self.route(&head.method, head.uri.path(), &sent);
        let mut response = Response::new(Full::new(Bytes::from(reply.to_string())));
        *response.status_mut() = status;
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        Ok(response)
    }

    fn route(&self, method: &Method, path: &str, sent: &[u8]) -> (StatusCode, Value) {
        match (method.as_str(), path) {
            ("GET", "/.well-known/openid-configuration") => {
                self.discovery_fetches.fetch_add(1, Ordering::Relaxed);
                self.unless_down(|| self.discovery())
            }
            ("GET", "/keys") => {
                self.key_fetches.fetch_add(1, Ordering::Relaxed);
                self.unless_down(|| self.published_keys())
            }
            ("GET", "/fetches") => (StatusCode::OK, json!(self.fetches())),
            ("POST", "/mint") => {
                match serde_json::from_slice(sent).map_err(|error| error.to_string()) {
                    Ok(mint) => match self.mint(&mint) {
                        Ok(token) => (StatusCode::OK, json!({ "token": token })),
                        Err(error) => (
                            StatusCode::INTERNAL_SERVER_ERROR,
                            json!({ "error": error.to_string() }),
                        ),
                    },
                    Err(error) => (StatusCode::BAD_REQUEST, json!({ "error": error })),
                }
            }
            ("POST", "/rotate") => {
                match serde_json::from_slice(if sent.is_empty() { b"{}" } else { sent }) {
                    Ok(Rotate { keep_old }) => {
                        self.rotate(keep_old);
                        (StatusCode::OK, self.published_keys())
                    }
                    Err(error) => (
                        StatusCode::BAD_REQUEST,
                        json!({ "error": error.to_string() }),
                    ),
                }
            }
            ("PUT", "/down") => match serde_json::from_slice(sent) {
                Ok(Down { down }) => {
                    self.is_down.store(down, Ordering::Relaxed);
                    (StatusCode::OK, json!({ "down": down }))
                }
                Err(error) => (
                    StatusCode::BAD_REQUEST,
                    json!({ "error": error.to_string() }),
                ),
            },
            _ => (StatusCode::NOT_FOUND, json!({ "error": "no such page" })),
        }
    }

    fn unless_down(&self, document: impl FnOnce() -> Value) -> (StatusCode, Value) {
        if self.is_down.load(Ordering::Relaxed) {
            return (
                StatusCode::SERVICE_UNAVAILABLE,
                json!({ "error": "temporarily_unavailable" }),
            );
        }
        (StatusCode::OK, document())
    }

    fn discovery(&self) -> Value {
        let url = &self.url;
        json!({
            "issuer": url,
            "jwks_uri": format!("{url}/keys"),
            "authorization_endpoint": format!("{url}/authorize"),
            "token_endpoint": format!("{url}/token"),
            "response_types_supported": ["code", "id_token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256", "PS256", "ES256", "EdDSA"],
        })
    }

    fn published_keys(&self) -> Value {
        let generations: Vec<_> = self.generations().iter().cloned().collect();
        let keys: Vec<Value> = generations
            .iter()
            .flat_map(|generation| generation.jwks())
            .collect();
        json!({ "keys": keys })
    }

    fn mint(&self, mint: &Mint) -> Result<String, MintError> {
        let signing = self
            .generations()
            .back()
            .cloned()
            .unwrap_or_else(|| Arc::new(Generation::numbered(0)));
        mint.token(&self.url, &signing, clock::unix_seconds())
    }

    fn rotate(&self, keep_old: bool) {
        let number = self.rotations.fetch_add(1, Ordering::Relaxed) + 1;
        let mut generations = self.generations();
        if !keep_old {
            generations.clear();
        }
        if generations.len() == GENERATIONS_MAX {
            generations.pop_front();
        }
        generations.push_back(Arc::new(Generation::numbered(number)));
    }

    fn fetches(&self) -> Fetches {
        Fetches {
            discovery: self.discovery_fetches.load(Ordering::Relaxed),
            keys: self.key_fetches.load(Ordering::Relaxed),
        }
    }

    fn generations(&self) -> std::sync::MutexGuard<'_, VecDeque<Arc<Generation>>> {
        self.generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
