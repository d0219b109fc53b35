//! `backends[].auth`: how the gateway proves itself to a backend.

use std::sync::Arc;

use schemars::{Schema, SchemaGenerator, json_schema};

use super::backend::WebUrl;
use crate::problem::Place;
use crate::read::{Field, Path, Placed, Reader, SecretText, Section, Step, Text, section, words};
use crate::snapshot::{
    self, Assigned, BackendAuth, IdentityService, Secret, SecretMethod, TokenSource,
};
use crate::tree::{Content, Node};

/// Microsoft's public cloud.
const AUTHORITY: &str = "https://login.microsoftonline.com";
/// The same address on every virtual machine of Azure.
const METADATA_SERVICE: &str = "http://169.254.169.254";
/// What Azure OpenAI and the other AI services ask for.
const AI_SERVICES: &str = "https://cognitiveservices.azure.com";

/// One way to prove the gateway to a backend.
#[derive(Debug)]
pub(crate) struct Auth(pub BackendAuth);

section! {
    /// One of these, or the word `none`.
    pub struct AuthKind {
        /// Sent as `api-key` to Azure, as `Authorization: Bearer` to OpenAI.
        pub api_key: Option<SecretText>,
        /// Sent as `Authorization: Bearer`.
        pub bearer: Option<SecretText>,
        /// A token of the identity that Azure gives this machine or app; `{}` is the system-assigned
        /// one. It needs the role "Cognitive Services OpenAI User" on the backend.
        pub managed_identity: Option<Placed<ManagedIdentity>>,
        /// A token of a Microsoft Entra application that trusts this platform's own tokens, as on
        /// Kubernetes; `{}` takes everything from the variables that Azure's webhook sets there.
        pub workload_identity: Option<Placed<WorkloadIdentity>>,
        /// A token of any OAuth 2.0 issuer for a client id and its secret.
        pub client_credentials: Option<Placed<ClientCredentials>>,
    }
}

section! {
    /// The identity that Azure gives this machine or app. Where `IDENTITY_ENDPOINT` and
    /// `IDENTITY_HEADER` are set (App Service, Functions, Container Apps), tokens come from there, else
    /// from the metadata service. Without an id: the system-assigned identity.
    pub struct ManagedIdentity {
        /// The client id of a user-assigned identity.
        pub client_id: Option<Text>,
        /// Instead of `client_id`, the identity's object id.
        pub object_id: Option<Text>,
        /// Instead of `client_id`, the identity's resource id: `/subscriptions/…`.
        pub resource_id: Option<ResourceId>,
        /// What the token is for. Without it, for backends, `https://cognitiveservices.azure.com`.
        pub resource: Option<Text>,
        /// The base URL of a metadata service, asked whatever the environment says.
        pub endpoint: Option<Placed<WebUrl>>,
    }
}

section! {
    /// A Microsoft Entra application, or a user-assigned identity, with a federated credential.
    pub struct WorkloadIdentity {
        /// Without it, `AZURE_TENANT_ID`.
        pub tenant_id: Option<Text>,
        /// Without it, `AZURE_CLIENT_ID`.
        pub client_id: Option<Text>,
        /// The platform's token. Without it, `AZURE_FEDERATED_TOKEN_FILE`. Read again whenever a token
        /// is fetched, because the platform rotates it.
        pub token_file: Option<Path>,
        /// Without it, `AZURE_AUTHORITY_HOST`, else `https://login.microsoftonline.com`.
        pub authority: Option<Placed<WebUrl>>,
        /// What the token is for. Without it, for backends,
        /// `https://cognitiveservices.azure.com/.default`.
        pub scope: Option<Text>,
    }
}

section! {
    /// OAuth 2.0 client credentials.
    pub struct ClientCredentials {
        /// The issuer's token endpoint.
        pub token_url: Option<Placed<WebUrl>>,
        /// Instead of `token_url`, a Microsoft Entra tenant: its id or a domain of it.
        pub tenant_id: Option<Text>,
        /// The client's id at the issuer.
        pub client_id: Text,
        /// The client's secret.
        pub client_secret: SecretText,
        /// What the token is for. Without it, for backends, Azure's AI services if `tenant_id` names the
        /// issuer, else nothing is asked for.
        pub scope: Option<Text>,
        /// How the secret is sent.
        pub token_endpoint_auth_method: SecretMethod = "client_secret_post",
    }
}

words! { SecretMethod, "way to send a secret":
    /// In the body.
    "client_secret_post" => SecretMethod::Post,
    /// As `Authorization: Basic`.
    "client_secret_basic" => SecretMethod::Basic,
}

impl Field for Auth {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        if matches!(&node.content, Content::Scalar(scalar) if scalar.text == "none") {
            return Some(Self(BackendAuth::None));
        }
        let before = reader.problems.count();
        let AuthKind {
            api_key,
            bearer,
            managed_identity,
            workload_identity,
            client_credentials,
        } = AuthKind::read(node, reader)?;
        let written = [
            api_key.is_some(),
            bearer.is_some(),
            managed_identity.is_some(),
            workload_identity.is_some(),
            client_credentials.is_some(),
        ];
        match written.iter().filter(|is_written| **is_written).count() {
            1 => {}
            // What was meant is reported already.
            0 if reader.problems.count() > before => return None,
            _ => {
                let mut names = Vec::new();
                AuthKind::names(&mut names);
                reader.error(
                    node.place,
                    "not exactly one credential",
                    format!("write one of: {}, or `auth: none`", names.join(", ")),
                );
                return None;
            }
        }
        let source = if let Some(key) = api_key {
            return Some(Self(BackendAuth::ApiKey(key.0)));
        } else if let Some(token) = bearer {
            return Some(Self(BackendAuth::Bearer(token.0)));
        } else if let Some(section) = managed_identity {
            reader.within(Step::Field("managed_identity"), |reader| {
                section.value.source(section.place, AI_SERVICES, reader)
            })
        } else if let Some(section) = workload_identity {
            reader.within(Step::Field("workload_identity"), |reader| {
                section.value.source(section.place, AI_SERVICES, reader)
            })
        } else {
            let section = client_credentials?;
            reader.within(Step::Field("client_credentials"), |reader| {
                section.value.source(section.place, AI_SERVICES, reader)
            })
        };
        source.map(|source| Self(BackendAuth::Token(Arc::new(source))))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let kinds = generator.subschema_for::<AuthKind>();
        json_schema!({ "oneOf": [{ "const": "none" }, kinds] })
    }
}

impl Auth {
    /// Which field says what its token is for, where that is Azure's AI services because nothing else is
    /// written.
    pub fn is_for_azure_ai(&self) -> Option<&'static str> {
        let BackendAuth::Token(source) = &self.0 else {
            return None;
        };
        match &**source {
            TokenSource::ManagedIdentity(identity) => {
                (identity.resource == AI_SERVICES).then_some("managed_identity.resource")
            }
            TokenSource::WorkloadIdentity(identity) => {
                let is_assumed = identity.scope.strip_suffix("/.default") == Some(AI_SERVICES);
                is_assumed.then_some("workload_identity.scope")
            }
            TokenSource::ClientCredentials(_) => None,
        }
    }
}

impl ManagedIdentity {
    /// `audience` is what the token is for where nothing is written.
    pub fn source(
        self,
        place: Place,
        audience: &str,
        reader: &mut Reader<'_>,
    ) -> Option<TokenSource> {
        let Self {
            client_id,
            object_id,
            resource_id,
            resource,
            endpoint,
        } = self;
        let assigned = match (client_id, object_id, resource_id) {
            (None, None, None) => Assigned::System,
            (Some(id), None, None) => Assigned::ClientId(id.text),
            (None, Some(id), None) => Assigned::ObjectId(id.text),
            (None, None, Some(id)) => Assigned::ResourceId(id.0),
            _ => {
                reader.error(
                    place,
                    "more than one id for one identity",
                    "keep one of `client_id`, `object_id` and `resource_id`",
                );
                return None;
            }
        };
        let service = match endpoint {
            Some(endpoint) => IdentityService::Machine {
                endpoint: private(endpoint, "endpoint", is_beside, reader)?,
            },
            None => identity_service(place, reader)?,
        };
        Some(TokenSource::ManagedIdentity(snapshot::ManagedIdentity {
            service,
            assigned,
            resource: resource.map_or_else(|| audience.to_owned(), |resource| resource.text),
        }))
    }
}

/// What the environment says about where this process runs.
fn identity_service(place: Place, reader: &mut Reader<'_>) -> Option<IdentityService> {
    let (Some(endpoint), Some(header)) = (
        reader.variable("IDENTITY_ENDPOINT"),
        reader.variable("IDENTITY_HEADER"),
    ) else {
        let endpoint = url::Url::parse(METADATA_SERVICE).ok()?;
        return Some(IdentityService::Machine { endpoint });
    };
    let url = url::Url::parse(&endpoint)
        .ok()
        .filter(|url| url.query().is_none() && url.username().is_empty() && is_beside(url));
    let Some(endpoint) = url else {
        reader.error(
            place,
            "`IDENTITY_ENDPOINT` is no URL of the platform's identity service",
            "unset `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` to use the metadata service of the machine",
        );
        return None;
    };
    if !header.bytes().all(|byte| byte.is_ascii_graphic()) {
        reader.error(
            place,
            "`IDENTITY_HEADER` has characters that no header can carry",
            "restart the gateway with the variable as the platform sets it",
        );
        return None;
    }
    let header = Secret::new(&header);
    Some(IdentityService::App { endpoint, header })
}

impl WorkloadIdentity {
    /// `audience` is what the token is for where nothing is written.
    pub fn source(
        self,
        place: Place,
        audience: &str,
        reader: &mut Reader<'_>,
    ) -> Option<TokenSource> {
        let Self {
            tenant_id,
            client_id,
            token_file,
            authority,
            scope,
        } = self;
        let mut given = |written: Option<String>, field: &str, variable: &str| {
            let value = written.or_else(|| reader.variable(variable));
            if value.is_none() {
                reader.error(
                    place,
                    format!("`{field}` is missing, and `{variable}` is not set"),
                    format!("add `{field}`, or let the platform set `{variable}`"),
                );
            }
            value
        };
        let tenant = given(
            tenant_id.map(|text| text.text),
            "tenant_id",
            "AZURE_TENANT_ID",
        );
        let client_id = given(
            client_id.map(|text| text.text),
            "client_id",
            "AZURE_CLIENT_ID",
        );
        let token_file = match token_file {
            Some(path) => Some(path.0),
            None => given(None, "token_file", "AZURE_FEDERATED_TOKEN_FILE").map(Into::into),
        };
        let authority = match authority {
            Some(authority) => private(authority, "authority", is_confidential, reader),
            None => authority_host(place, reader),
        };
        let (tenant, client_id, token_file, authority) =
            (tenant?, client_id?, token_file?, authority?);
        Some(TokenSource::WorkloadIdentity(snapshot::WorkloadIdentity {
            token_url: token_endpoint(authority, &tenant)?,
            client_id,
            token_file,
            scope: scope.map_or_else(|| format!("{audience}/.default"), |scope| scope.text),
        }))
    }
}

fn authority_host(place: Place, reader: &mut Reader<'_>) -> Option<url::Url> {
    let Some(host) = reader.variable("AZURE_AUTHORITY_HOST") else {
        return url::Url::parse(AUTHORITY).ok();
    };
    let authority = url::Url::parse(&host)
        .ok()
        .filter(|url| url.query().is_none() && url.username().is_empty() && is_confidential(url));
    if authority.is_none() {
        reader.error(
            place,
            "`AZURE_AUTHORITY_HOST` is no `https` URL",
            "set it to your cloud's authority, or add `authority`",
        );
    }
    authority
}

impl ClientCredentials {
    /// `audience` is what the token is for where nothing is written.
    pub fn source(
        self,
        place: Place,
        audience: &str,
        reader: &mut Reader<'_>,
    ) -> Option<TokenSource> {
        let Self {
            token_url,
            tenant_id,
            client_id,
            client_secret,
            scope,
            token_endpoint_auth_method,
        } = self;
        let mut scope = scope.map(|scope| scope.text);
        let token_url = match (token_url, tenant_id) {
            (Some(url), None) => private(url, "token_url", is_confidential, reader)?,
            (None, Some(tenant)) => {
                scope.get_or_insert_with(|| format!("{audience}/.default"));
                token_endpoint(url::Url::parse(AUTHORITY).ok()?, &tenant.text)?
            }
            (None, None) | (Some(_), Some(_)) => {
                reader.error(
                    place,
                    "not exactly one issuer",
                    "write `tenant_id` for Microsoft Entra, or `token_url` for any issuer",
                );
                return None;
            }
        };
        let credentials = snapshot::ClientCredentials {
            token_url,
            client_id: client_id.text,
            client_secret: client_secret.0,
            scope,
            method: token_endpoint_auth_method,
        };
        Some(TokenSource::ClientCredentials(credentials))
    }
}

/// Entra's token endpoint of one tenant.
fn token_endpoint(mut authority: url::Url, tenant: &str) -> Option<url::Url> {
    authority
        .path_segments_mut()
        .ok()?
        .pop_if_empty()
        .extend([tenant, "oauth2", "v2.0", "token"]);
    Some(authority)
}

/// A URL to which credentials may be sent.
fn private(
    url: Placed<WebUrl>,
    field: &'static str,
    is_private: fn(&url::Url) -> bool,
    reader: &mut Reader<'_>,
) -> Option<url::Url> {
    let Placed { value, place } = url;
    if is_private(&value.0) {
        return Some(value.0);
    }
    reader.within(Step::Field(field), |reader| {
        reader.error(
            place,
            "plain `http`: tokens and secrets could be read on the way",
            "use `https`",
        );
    });
    None
}

pub(crate) fn is_confidential(url: &url::Url) -> bool {
    url.scheme() == "https" || is_loopback(url)
}

/// Identity services speak plain HTTP, on addresses that no router forwards.
fn is_beside(url: &url::Url) -> bool {
    is_confidential(url)
        || matches!(url.host(), Some(url::Host::Ipv4(ip)) if url.scheme() == "http" && ip.is_link_local())
}

fn is_loopback(url: &url::Url) -> bool {
    url.scheme() == "http"
        && match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        }
}

/// The path of an Azure resource: longer than other texts.
#[derive(Debug)]
pub(crate) struct ResourceId(String);

impl Field for ResourceId {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        const BYTES_MAX: usize = 1024; // Azure's own names add up to some 350.
        let fix = "write `/subscriptions/…/userAssignedIdentities/NAME`";
        let (_, filled) = reader.scalar(node, "a resource id", fix)?;
        let text = filled.text;
        if text.is_empty() || text.len() > BYTES_MAX || text.chars().any(char::is_control) {
            reader.error(node.place, "not a resource id", fix);
            return None;
        }
        Some(Self(text.into_owned()))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": 1024 })
    }
}
