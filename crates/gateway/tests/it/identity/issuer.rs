//! A token issuer on 127.0.0.1: signs with the keys it is given, publishes those it is told to.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use url::Url;

pub enum SigningKey {
    Ec {
        id: Option<String>,
        pair: EcdsaKeyPair,
    },
    Rsa {
        id: String,
        pair: RsaKeyPair,
    },
}

impl SigningKey {
    pub fn ec(id: &str) -> Self {
        Self::Ec {
            id: Some(id.into()),
            pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
        }
    }

    pub fn nameless() -> Self {
        Self::Ec {
            id: None,
            pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
        }
    }

    pub fn rsa(id: &str) -> Self {
        Self::Rsa {
            id: id.into(),
            pair: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
        }
    }

    pub fn token(&self, claims: &Value) -> String {
        let header = match self {
            Self::Ec { id: Some(id), .. } => json!({"alg": "ES256", "typ": "JWT", "kid": id}),
            Self::Ec { id: None, .. } => json!({"alg": "ES256"}),
            Self::Rsa { id, .. } => json!({"alg": "RS256", "kid": id}),
        };
        self.token_with_header(&header, claims)
    }

    pub fn token_with_header(&self, header: &Value, claims: &Value) -> String {
        let message = unsigned(header, claims);
        let chance = SystemRandom::new();
        let signature = match self {
            Self::Ec { pair, .. } => pair
                .sign(&chance, message.as_bytes())
                .unwrap()
                .as_ref()
                .to_vec(),
            Self::Rsa { pair, .. } => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(
                    &RSA_PKCS1_SHA256,
                    &chance,
                    message.as_bytes(),
                    &mut signature,
                )
                .unwrap();
                signature
            }
        };
        format!("{message}.{}", encode(signature))
    }

    pub fn modulus(&self) -> Vec<u8> {
        match self {
            Self::Rsa { pair, .. } => pair
                .public_key()
                .modulus()
                .big_endian_without_leading_zero()
                .to_vec(),
            Self::Ec { .. } => unreachable!("an EC key has no modulus"),
        }
    }

    pub fn published(&self) -> Value {
        match self {
            Self::Ec { id, pair } => {
                // An uncompressed point: 4, x, y.
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                let mut key = json!({"kty": "EC", "crv": "P-256", "use": "sig", "x": encode(x), "y": encode(y)});
                if let Some(id) = id {
                    key["kid"] = json!(id);
                }
                key
            }
            Self::Rsa { id, pair } => {
                let exponent = pair
                    .public_key()
                    .exponent()
                    .big_endian_without_leading_zero()
                    .to_vec();
                json!({"kty": "RSA", "kid": id, "n": encode(self.modulus()), "e": encode(exponent)})
            }
        }
    }
}

const KEYS: &str = "/keys";

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Header and claims of a token, without a signature.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    format!(
        "{}.{}",
        encode(header.to_string()),
        encode(claims.to_string())
    )
}

pub struct TestIssuer {
    pub address: String,
    published: Arc<Published>,
    _tasks: JoinSet<()>,
}

struct Published {
    discovery: Mutex<Value>,
    keys: Mutex<Bytes>,
    is_down: AtomicBool,
    key_fetches: AtomicUsize,
    is_held: watch::Sender<bool>,
}

impl TestIssuer {
    pub async fn start(keys: &[&SigningKey]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let published = Arc::new(Published {
            discovery: Mutex::new(
                json!({"issuer": address, "jwks_uri": format!("{address}{KEYS}")}),
            ),
            keys: Mutex::default(),
            is_down: AtomicBool::new(false),
            key_fetches: AtomicUsize::new(0),
            is_held: watch::Sender::new(false),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, published.clone()));
        let issuer = Self {
            address,
            published,
            _tasks: tasks,
        };
        issuer.publish(keys);
        issuer
    }

    pub fn discovery(&self) -> Url {
        format!("{}/.well-known/openid-configuration", self.address)
            .parse()
            .unwrap()
    }

    pub fn publish(&self, keys: &[&SigningKey]) {
        let keys: Vec<_> = keys.iter().map(|key| key.published()).collect();
        self.publish_text(json!({ "keys": keys }).to_string());
    }

    pub fn publish_text(&self, text: String) {
        *self.published.keys.lock().unwrap() = text.into();
    }

    pub fn set_discovery(&self, document: Value) {
        *self.published.discovery.lock().unwrap() = document;
    }

    pub fn set_down(&self, is_down: bool) {
        self.published.is_down.store(is_down, Ordering::SeqCst);
    }

    /// Holds back the keys, read already, until they are let go.
    pub fn hold_keys(&self, is_held: bool) {
        self.published.is_held.send_replace(is_held);
    }

    pub fn key_fetches(&self) -> usize {
        self.published.key_fetches.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, published: Arc<Published>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let published = published.clone();
        connections.spawn(async move {
            let answer = service_fn(async |request: Request<Incoming>| {
                let is_keys = request.uri().path() == KEYS;
                let response = published.answer(is_keys);
                let _let_go = !is_keys
                    || published
                        .is_held
                        .subscribe()
                        .wait_for(|is_held| !is_held)
                        .await
                        .is_ok();
                Ok::<_, Infallible>(response)
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer);
            let _hung_up_or_done = connection.await.is_ok();
        });
    }
}

impl Published {
    fn answer(&self, is_keys: bool) -> Response<Full<Bytes>> {
        if is_keys {
            self.key_fetches.fetch_add(1, Ordering::SeqCst);
        }
        let mut response = Response::new(Full::default());
        if self.is_down.load(Ordering::SeqCst) {
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        } else if is_keys {
            *response.body_mut() = self.keys.lock().unwrap().clone().into();
        } else {
            *response.body_mut() = self.discovery.lock().unwrap().to_string().into();
        }
        response
    }
}
