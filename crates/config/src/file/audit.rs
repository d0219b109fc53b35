//! `audit`: what is kept of calls, and for how long. `audit_stores`: where.

use std::sync::Arc;

use domain::AuditStoreId;
use domain::audit::Level;
use schemars::{Schema, SchemaGenerator};

use super::auth::{ClientCredentials, ManagedIdentity, WorkloadIdentity, is_confidential};
use super::backend::WebUrl;
use crate::problem::Place;
use crate::read::{
    Cel, Days, Declared, Field, List, Path, Placed, Reader, Reference, SecretText, Share, Size,
    Step, Text, section, words,
};
use crate::snapshot::{AzureKey, Kek, TokenSource, VaultKey};
use crate::tree::Node;

section! {
    /// What is kept of calls beside their usage records: prompt and answer as guards let them through,
    /// sealed and chained. The narrowest scope that says something wins as a whole: application,
    /// subscription, product, then the top level.
    pub struct Audit {
        /// How much is kept.
        pub content: Level,
        /// How long content is kept, from when its call began. What stays after that says that there
        /// was a call, not what was said.
        pub retention: Days = "90d",
        /// Where it is kept. Without it, the only store there is.
        pub store: Option<Reference<AuditStoreId>>,
        /// Refuse calls that could not be recorded with 503 `audit_unavailable`, before they are
        /// forwarded. Others go on and are counted.
        pub required: Placed<bool> = "false",
        /// The share of calls that is recorded, picked by their ids.
        pub sample: Placed<Share<true>> = "1",
        /// CEL that is true for calls to be recorded, as in `application.name == "support"`. Without
        /// it, all are.
        pub when: Option<Cel>,
        /// Records may live in this region only. A product's binds its subscriptions and applications
        /// too.
        pub region: Option<Text>,
    }
}

words! { Level, "level of content":
    /// No record.
    "none" => Level::None,
    /// Who called which model when and how it ended; no prompt and no answer.
    "metadata" => Level::Metadata,
    /// Prompt and answer too.
    "full" => Level::Full,
}

section! {
    /// A place for audit records. Without any, there is one called `default`, in region `default`.
    pub struct AuditStore {
        /// Names it in `audit.store` and metrics.
        pub id: Declared<AuditStoreId>,
        /// Its folder. Without it, `audit/ID` in `data_dir`.
        pub dir: Option<Path>,
        /// Where the folder is, as a label. Fixed once the store has been made.
        pub region: Text,
        /// What opens its records.
        pub keys: AuditKeys = "{}",
        /// Of a prompt and of an answer, each. Longer ones are cut, and the record says so.
        pub content_bytes: Size<1_024, 67_108_864> = "1MiB",
        /// Of all content. Past it nothing is recorded: calls that require it are refused.
        pub bytes: Size<33_554_432, 1_125_899_906_842_624> = "256GiB",
    }
}

section! {
    /// Data keys, one for each subscription, month and person, are kept in a file, wrapped by a root
    /// that is wrapped by a key-encryption key.
    pub struct AuditKeys {
        /// The folder of the key file. Back it up apart from the store: together they can be read.
        /// Without it, `audit-keys/ID` in `data_dir`.
        pub dir: Option<Path>,
        /// The key-encryption key. Without it, one is made and kept beside the key file.
        pub kek: Option<KekOfOneKind>,
        /// Earlier ones, until the next start has rotated to `kek`.
        pub previous: List<KekOfOneKind> = "[]",
    }
}

section! {
    /// A key-encryption key. Exactly one of `key`, `vault` and `azure_key_vault`.
    pub struct KekSection {
        /// Which one it is. The key file remembers it: another id is another key.
        pub id: Text,
        /// 32 bytes in base64, as `openssl rand -base64 32` prints them: `${env:NAME}` or
        /// `${file:/path}`.
        pub key: Option<Placed<SecretText>>,
        /// The transit engine of HashiCorp Vault or OpenBao.
        pub vault: Option<Placed<Vault>>,
        /// Azure Key Vault, or its managed HSM.
        pub azure_key_vault: Option<Placed<AzureKeyVault>>,
    }
}

section! {
    /// Wraps with `POST /v1/MOUNT/encrypt/KEY`.
    pub struct Vault {
        /// Vault's address.
        pub url: Placed<WebUrl>,
        /// Where the transit engine is mounted.
        pub mount: Text = "transit",
        /// The key's name there.
        pub key: Text,
        /// Sent as `X-Vault-Token`.
        pub token: SecretText,
        /// Sent as `X-Vault-Namespace`.
        pub namespace: Option<Text>,
    }
}

section! {
    /// Wraps with `wrapKey`, as RSA-OAEP-256. Exactly one of `managed_identity`, `workload_identity` and
    /// `client_credentials`; it needs the role "Key Vault Crypto Service Encryption User".
    pub struct AzureKeyVault {
        /// The vault: `https://NAME.vault.azure.net`.
        pub url: Placed<WebUrl>,
        /// An RSA key's name there.
        pub key: Text,
        /// Of the key. Without it, the newest wraps; what an older one wrapped can still be unwrapped.
        pub version: Option<Text>,
        /// The identity that Azure gives this machine or app.
        pub managed_identity: Option<Placed<ManagedIdentity>>,
        /// A Microsoft Entra application that trusts this platform's own tokens.
        pub workload_identity: Option<Placed<WorkloadIdentity>>,
        /// Any OAuth 2.0 issuer, by client id and secret.
        pub client_credentials: Option<Placed<ClientCredentials>>,
    }
}

/// What tokens for Key Vault are for.
const KEY_VAULT: &str = "https://vault.azure.net";

#[derive(Debug)]
pub(crate) struct KekOfOneKind(pub Kek);

impl Field for KekOfOneKind {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let before = reader.problems.count();
        let KekSection {
            id,
            key,
            vault,
            azure_key_vault,
        } = KekSection::read(node, reader)?;
        let id = id.text;
        match (key, vault, azure_key_vault) {
            (Some(key), None, None) => {
                let written = reader.within(Step::Field("key"), |reader| reader.written(key.place));
                Some(Self(Kek::Given {
                    id,
                    key: key.value.0,
                    written,
                }))
            }
            (None, Some(vault), None) => reader
                .within(Step::Field("vault"), |reader| vault.value.key(id, reader))
                .map(|key| Self(Kek::Vault(key))),
            (None, None, Some(vault)) => reader
                .within(Step::Field("azure_key_vault"), |reader| {
                    vault.value.key(id, vault.place, reader)
                })
                .map(|key| Self(Kek::AzureKeyVault(key))),
            // What was meant is reported already.
            (None, None, None) if reader.problems.count() > before => None,
            _ => {
                let fix = "write one of: key, vault, azure_key_vault";
                reader.error(node.place, "not exactly one key", fix);
                None
            }
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        KekSection::schema(generator)
    }
}

impl Vault {
    fn key(self, id: String, reader: &mut Reader<'_>) -> Option<VaultKey> {
        let Self {
            url,
            mount,
            key,
            token,
            namespace,
        } = self;
        Some(VaultKey {
            id,
            url: confidential(url, reader)?,
            mount: mount.text,
            key: key.text,
            token: token.0,
            namespace: namespace.map(|text| text.text),
        })
    }
}

impl AzureKeyVault {
    fn key(self, id: String, place: Place, reader: &mut Reader<'_>) -> Option<AzureKey> {
        let Self {
            url,
            key,
            version,
            managed_identity,
            workload_identity,
            client_credentials,
        } = self;
        let url = confidential(url, reader)?;
        let source: TokenSource = match (managed_identity, workload_identity, client_credentials) {
            (Some(section), None, None) => {
                section.value.source(section.place, KEY_VAULT, reader)?
            }
            (None, Some(section), None) => {
                section.value.source(section.place, KEY_VAULT, reader)?
            }
            (None, None, Some(section)) => {
                section.value.source(section.place, KEY_VAULT, reader)?
            }
            _ => {
                reader.error(
                    place,
                    "not exactly one source of tokens",
                    "write one of: managed_identity, workload_identity, client_credentials",
                );
                return None;
            }
        };
        Some(AzureKey {
            id,
            url,
            key: key.text,
            version: version.map(|text| text.text),
            source: Arc::new(source),
        })
    }
}

/// A URL to which the root key may be sent.
fn confidential(url: Placed<WebUrl>, reader: &mut Reader<'_>) -> Option<url::Url> {
    if is_confidential(&url.value.0) {
        return Some(url.value.0);
    }
    reader.within(Step::Field("url"), |reader| {
        reader.error(
            url.place,
            "plain `http`: the root key could be read on the way",
            "use `https`",
        );
    });
    None
}
