//! Key-encryption keys as the configuration names them: written down, made once and kept, or held by
//! a key service that is asked over HTTPS.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ::audit::{Kek, Keys, Kms};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use config::snapshot::{self, AuditStore, AzureKey, VaultKey};
use disk::private;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::credentials::Credentials;

/// Of a key that is kept beside the key file.
const FILE: &str = "kek";
const GENERATED: &str = "generated";
const AZURE_VERSION: &str = "7.4";
/// A token for Key Vault may have yet to be fetched when a store is opened.
const TOKEN_TRIES: u32 = 20;

/// Whether opening a store asks a service, and so may take seconds.
pub fn asks_a_service(store: &AuditStore) -> bool {
    let remote = |kek: &snapshot::Kek| match kek {
        snapshot::Kek::Generated | snapshot::Kek::Given { .. } => false,
        snapshot::Kek::Vault(_) | snapshot::Kek::AzureKeyVault(_) => true,
    };
    remote(&store.kek) || store.previous.iter().any(remote)
}

/// The store's keys. One that is generated is made if `may_make`.
pub fn keys(store: &AuditStore, credentials: &Credentials, may_make: bool) -> Result<Keys, String> {
    let path = store.keys_dir.join(FILE);
    let mut previous = Vec::new();
    for kek in &store.previous {
        previous.push(read(kek, credentials)?);
    }
    let current = match &store.kek {
        snapshot::Kek::Generated => generated(&path, may_make)?,
        kek => {
            // So that giving a key of one's own is all that it takes to leave the generated one.
            if path.exists() {
                previous.push(generated(&path, false)?);
            }
            read(kek, credentials)?
        }
    };
    Ok(Keys {
        dir: store.keys_dir.clone(),
        current,
        previous,
    })
}

fn read(kek: &snapshot::Kek, credentials: &Credentials) -> Result<Kek, String> {
    let service = |kind| {
        Ok(Kek::Remote(Box::new(Service {
            kind,
            credentials: credentials.clone(),
            runtime: Handle::try_current().map_err(|error| error.to_string())?,
        })))
    };
    match kek {
        // Never among those that are written.
        snapshot::Kek::Generated => Err("a generated key cannot be named".to_owned()),
        snapshot::Kek::Given { id, key, .. } => {
            Kek::from_base64(id, key.reveal()).map_err(|error| error.to_string())
        }
        snapshot::Kek::Vault(key) => service(Kind::Vault(key.clone())),
        snapshot::Kek::AzureKeyVault(key) => service(Kind::Azure(key.clone())),
    }
}

fn generated(path: &PathBuf, may_make: bool) -> Result<Kek, String> {
    let failed = |error: io::Error| {
        format!(
            "the key-encryption key {} can be neither read nor made: {error}",
            path.display()
        )
    };
    match fs::read_to_string(path) {
        Ok(text) => Kek::from_base64(GENERATED, &text).map_err(|error| error.to_string()),
        Err(error) if error.kind() == io::ErrorKind::NotFound && may_make => {
            make(path).map_err(failed)?;
            let text = fs::read_to_string(path).map_err(failed)?;
            Kek::from_base64(GENERATED, &text).map_err(|error| error.to_string())
        }
        Err(error) => Err(failed(error)),
    }
}

fn make(path: &Path) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        private::create_directory(dir)?;
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| io::Error::other(error.to_string()))?;
    private::make_once(path, format!("{}\n", STANDARD.encode(key)).as_bytes())
}

/// A key service. Asked on threads that may block.
struct Service {
    kind: Kind,
    credentials: Credentials,
    runtime: Handle,
}

enum Kind {
    Vault(VaultKey),
    Azure(AzureKey),
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Service({})", self.id())
    }
}

impl Kms for Service {
    fn id(&self) -> &str {
        match &self.kind {
            Kind::Vault(key) => &key.id,
            Kind::Azure(key) => &key.id,
        }
    }

    fn wrap(&self, root: &[u8]) -> Result<Vec<u8>, String> {
        match &self.kind {
            Kind::Vault(key) => {
                let asked = json!({ "plaintext": STANDARD.encode(root) });
                let told = self.ask_vault(key, "encrypt", &asked)?;
                text(&told, "/data/ciphertext").map(|text| text.as_bytes().to_vec())
            }
            Kind::Azure(key) => {
                let mut path = vec!["keys", &key.key];
                path.extend(key.version.as_deref());
                path.push("wrapkey");
                let asked = json!({ "alg": "RSA-OAEP-256", "value": URL_SAFE_NO_PAD.encode(root) });
                let told = self.ask_azure(key, joined(&key.url, &path)?, &asked)?;
                // Which version of the key it was stands beside what it wrapped.
                let kept = json!({ "kid": text(&told, "/kid")?, "value": text(&told, "/value")? });
                Ok(kept.to_string().into_bytes())
            }
        }
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<Vec<u8>, String> {
        match &self.kind {
            Kind::Vault(key) => {
                let asked = json!({ "ciphertext": String::from_utf8_lossy(wrapped) });
                let told = self.ask_vault(key, "decrypt", &asked)?;
                let plain = STANDARD.decode(text(&told, "/data/plaintext")?);
                plain.map_err(|_| "its answer is not base64".to_owned())
            }
            Kind::Azure(key) => {
                let kept: Value = serde_json::from_slice(wrapped)
                    .map_err(|_| "this was not wrapped by Azure Key Vault".to_owned())?;
                let kid =
                    url::Url::parse(text(&kept, "/kid")?).map_err(|error| error.to_string())?;
                // The key file says where to ask: no further than the configuration does.
                if kid.origin() != key.url.origin() {
                    return Err(format!(
                        "it was wrapped by a key at {}",
                        kid.origin().ascii_serialization()
                    ));
                }
                let asked = json!({ "alg": "RSA-OAEP-256", "value": text(&kept, "/value")? });
                let told = self.ask_azure(key, joined(&kid, &["unwrapkey"])?, &asked)?;
                let plain = URL_SAFE_NO_PAD.decode(text(&told, "/value")?.trim_end_matches('='));
                plain.map_err(|_| "its answer is not base64".to_owned())
            }
        }
    }
}

impl Service {
    fn ask_vault(&self, key: &VaultKey, what: &str, asked: &Value) -> Result<Value, String> {
        let url = joined(&key.url, &["v1", &key.mount, what, &key.key])?;
        let mut headers = HeaderMap::new();
        let mut token =
            HeaderValue::from_str(key.token.reveal()).map_err(|error| error.to_string())?;
        token.set_sensitive(true);
        headers.insert("x-vault-token", token);
        if let Some(namespace) = &key.namespace {
            let namespace = HeaderValue::from_str(namespace).map_err(|error| error.to_string())?;
            headers.insert("x-vault-namespace", namespace);
        }
        self.wait_for(self.post(&url, headers, asked))
    }

    fn ask_azure(&self, key: &AzureKey, mut url: url::Url, asked: &Value) -> Result<Value, String> {
        url.set_query(Some(&format!("api-version={AZURE_VERSION}")));
        self.wait_for(async {
            let credential = self.credentials.of_source(&key.source);
            let mut headers = HeaderMap::new();
            let mut tries = 0;
            loop {
                match credential.authorise(&self.credentials.clock).await {
                    Ok(authorisation) => {
                        authorisation.add_to(&mut headers);
                        break;
                    }
                    Err(_missing) if tries < TOKEN_TRIES => {
                        tries += 1;
                        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
                    }
                    Err(_missing) => return Err("no token for it can be fetched".to_owned()),
                }
            }
            self.post(&url, headers, asked).await
        })
    }

    /// A call's thread may come here too, once after each rotation by another process: others take over
    /// what else it had to do.
    fn wait_for<T>(&self, told: impl Future<Output = T>) -> T {
        tokio::task::block_in_place(|| self.runtime.block_on(told))
    }

    async fn post(
        &self,
        url: &url::Url,
        headers: HeaderMap,
        asked: &Value,
    ) -> Result<Value, String> {
        let mut request = Request::new(Full::new(Bytes::from(asked.to_string())));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url
            .as_str()
            .parse()
            .map_err(|_| format!("`{url}` cannot be requested"))?;
        *request.headers_mut() = headers;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        let answer = self.credentials.fetch.exchange(request).await;
        let answer = answer.map_err(|error| error.to_string())?;
        if !answer.status().is_success() {
            return Err(format!("the service answered {}", answer.status()));
        }
        serde_json::from_slice(answer.body()).map_err(|_| "its answer is not JSON".to_owned())
    }
}

fn text<'v>(told: &'v Value, pointer: &str) -> Result<&'v str, String> {
    let text = told.pointer(pointer).and_then(Value::as_str);
    text.ok_or_else(|| format!("its answer lacks `{}`", pointer.trim_start_matches('/')))
}

fn joined(url: &url::Url, path: &[&str]) -> Result<url::Url, String> {
    let mut url = url.clone();
    url.path_segments_mut()
        .map_err(|()| "its address takes no path".to_owned())?
        .pop_if_empty()
        .extend(path);
    Ok(url)
}
