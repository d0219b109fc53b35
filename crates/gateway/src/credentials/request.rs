//! What is asked of each kind of token issuer, to the byte.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use config::snapshot::{
    Assigned, ClientCredentials, IdentityService, ManagedIdentity, SecretMethod, WorkloadIdentity,
};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use http_body_util::Full;
use tokio::io::AsyncReadExt as _;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::reply::FetchFailure;

/// A longer file is no token.
const TOKEN_FILE_BYTES_MAX: u64 = 64 * 1024;

type Asked = Result<Request<Full<Bytes>>, FetchFailure>;

/// Of a virtual machine's metadata service, or of the service beside an app.
pub fn managed_identity(identity: &ManagedIdentity) -> Asked {
    let ManagedIdentity {
        service,
        assigned,
        resource,
    } = identity;
    let (mut url, version, resource_id, proof) = match service {
        IdentityService::Machine { endpoint } => {
            let mut url = endpoint.clone();
            let base = endpoint.path().trim_end_matches('/');
            url.set_path(&format!("{base}/metadata/identity/oauth2/token"));
            let proof = ("metadata", HeaderValue::from_static("true"));
            (url, "2018-02-01", "msi_res_id", proof)
        }
        IdentityService::App { endpoint, header } => {
            let proof = ("x-identity-header", secret(header.reveal())?);
            (endpoint.clone(), "2019-08-01", "mi_res_id", proof)
        }
    };
    let mut query = url.query_pairs_mut();
    query.append_pair("api-version", version);
    query.append_pair("resource", resource);
    match assigned {
        Assigned::System => {}
        Assigned::ClientId(id) => {
            query.append_pair("client_id", id);
        }
        Assigned::ObjectId(id) => {
            query.append_pair("object_id", id);
        }
        Assigned::ResourceId(id) => {
            query.append_pair(resource_id, id);
        }
    }
    drop(query);
    let mut request = to(&url, Method::GET, String::new())?;
    request.headers_mut().insert(proof.0, proof.1);
    Ok(request)
}

/// The platform's token, as its file has it now.
pub async fn platform_token(path: &Path) -> Result<String, FetchFailure> {
    let unreadable = |source| FetchFailure::TokenFile {
        path: path.to_owned(),
        source,
    };
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let mut text = String::new();
    file.take(TOKEN_FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .await
        .map_err(unreadable)?;
    match text.trim() {
        "" => Err(FetchFailure::EmptyTokenFile(path.to_owned())),
        token => Ok(token.to_owned()),
    }
}

/// The exchange of the platform's token for one of Microsoft Entra's.
pub fn workload_identity(identity: &WorkloadIdentity, assertion: &str) -> Asked {
    const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let WorkloadIdentity {
        token_url,
        client_id,
        token_file: _,
        scope,
    } = identity;
    let form = Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", client_id)
        .append_pair("scope", scope)
        .append_pair("client_assertion_type", ASSERTION_TYPE)
        .append_pair("client_assertion", assertion)
        .finish();
    to(token_url, Method::POST, form)
}

/// RFC 6749, section 4.4.
pub fn client_credentials(client: &ClientCredentials) -> Asked {
    let ClientCredentials {
        token_url,
        client_id,
        client_secret,
        scope,
        method,
    } = client;
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if let Some(scope) = scope {
        form.append_pair("scope", scope);
    }
    match method {
        SecretMethod::Post => {
            form.append_pair("client_id", client_id);
            form.append_pair("client_secret", client_secret.reveal());
            to(token_url, Method::POST, form.finish())
        }
        SecretMethod::Basic => {
            // Encoded as in a form first: section 2.3.1.
            let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", encoded(client_id), encoded(client_secret.reveal()));
            let basic = secret(&format!("Basic {}", STANDARD.encode(pair)))?;
            let mut request = to(token_url, Method::POST, form.finish())?;
            request.headers_mut().insert(AUTHORIZATION, basic);
            Ok(request)
        }
    }
}

fn to(url: &Url, method: Method, form: String) -> Asked {
    let mut request = Request::builder()
        .uri(url.as_str())
        .header(ACCEPT, "application/json");
    if method == Method::POST {
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    request
        .method(method)
        .body(Full::from(form))
        .map_err(|_| FetchFailure::Unaskable)
}

fn secret(text: &str) -> Result<HeaderValue, FetchFailure> {
    let mut value = HeaderValue::try_from(text).map_err(|_| FetchFailure::Unaskable)?;
    value.set_sensitive(true);
    Ok(value)
}
