//! Where tokens for backends come from.

use std::fmt;
use std::path::PathBuf;

use url::Url;

use super::Secret;

/// An identity of the gateway at a token issuer, and what its tokens are for. Backends whose sources
/// are equal share one token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TokenSource {
    ManagedIdentity(ManagedIdentity),
    WorkloadIdentity(WorkloadIdentity),
    ClientCredentials(ClientCredentials),
}

/// What Azure gives to a machine or an app: no secret is configured anywhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ManagedIdentity {
    pub service: IdentityService,
    pub assigned: Assigned,
    /// What the token opens, as a resource: a scope without its `/.default`.
    pub resource: String,
}

/// Who hands the tokens of managed identities out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum IdentityService {
    /// The instance metadata service of a virtual machine, by its base URL.
    Machine { endpoint: Url },
    /// That of App Service, Functions and Container Apps; `header` proves that the app itself asks.
    App { endpoint: Url, header: Secret },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Assigned {
    System,
    ClientId(String),
    ObjectId(String),
    ResourceId(String),
}

/// Exchanges a token that the platform writes to a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkloadIdentity {
    pub token_url: Url,
    pub client_id: String,
    /// Read again for each exchange: the platform rotates it.
    pub token_file: PathBuf,
    pub scope: String,
}

/// OAuth 2.0 client credentials, of any issuer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientCredentials {
    pub token_url: Url,
    pub client_id: String,
    pub client_secret: Secret,
    pub scope: Option<String>,
    pub method: SecretMethod,
}

/// How a client's secret travels, by the names that OAuth registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecretMethod {
    /// `client_secret_post`
    Post,
    /// `client_secret_basic`
    Basic,
}

/// For logs and metrics: who asks for what, and no secret.
impl fmt::Display for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ManagedIdentity(ManagedIdentity {
                assigned, resource, ..
            }) => match assigned {
                Assigned::System => write!(f, "managed_identity system for {resource}"),
                Assigned::ClientId(id) | Assigned::ObjectId(id) | Assigned::ResourceId(id) => {
                    write!(f, "managed_identity {id} for {resource}")
                }
            },
            Self::WorkloadIdentity(WorkloadIdentity {
                client_id, scope, ..
            }) => write!(f, "workload_identity {client_id} for {scope}"),
            Self::ClientCredentials(ClientCredentials {
                token_url,
                client_id,
                scope,
                ..
            }) => match scope {
                Some(scope) => write!(f, "client_credentials {client_id} for {scope}"),
                None => write!(f, "client_credentials {client_id} at {token_url}"),
            },
        }
    }
}
