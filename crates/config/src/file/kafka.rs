//! `sinks[].kafka`: brokers, TLS and logins.

use std::sync::Arc;

use schemars::{Schema, SchemaGenerator, json_schema};

use super::auth::{ClientCredentials, ManagedIdentity, WorkloadIdentity};
use super::sink::HostPort;
use super::tls;
use crate::problem::Place;
use crate::read::{Field, List, Pem, Placed, Reader, Span, Step, Text, quoted, section, words};
use crate::snapshot::{ClientTls, KafkaCompression, KafkaLogin, KafkaSasl, Secret, TokenSource};
use crate::tree::{Content, Node};

section! {
    /// A topic of Kafka 0.11 or newer, or of Azure Event Hubs (port 9093, with `tls` and `sasl`). Every
    /// event is acknowledged by all replicas in sync; its key is the subscription.
    pub struct KafkaSink {
        /// Some brokers; they tell of the others.
        pub brokers: Placed<List<HostPort>>,
        /// The topic, or the event hub.
        pub topic: Topic,
        /// `true`, or a map with the authorities that signed the brokers' certificates.
        pub tls: KafkaTlsChoice = "false",
        /// How the gateway logs in.
        pub sasl: Option<Placed<KafkaSaslKind>>,
        /// What brokers see in their logs and quotas.
        pub client_id: Text = "tollgate",
        /// Of batches. Event Hubs knows `gzip` in its premium and dedicated tiers, and never `zstd`.
        pub compression: KafkaCompression = "none",
        /// For connecting, logging in, and each request.
        pub timeout: Span = "10s",
    }
}

words! { KafkaCompression, "compression":
    /// As they are.
    "none" => KafkaCompression::None,
    /// Every broker knows it.
    "gzip" => KafkaCompression::Gzip,
    /// Kafka 2.1 and newer.
    "zstd" => KafkaCompression::Zstd,
}

section! {
    /// Certificates, as PEM: the path of a file, or the text itself.
    pub struct KafkaTlsFiles {
        /// Who signed the brokers' certificates. Without it, those whom this machine trusts.
        pub ca: Option<Pem<false>>,
        /// The gateway's own certificate, where brokers demand one.
        pub cert: Option<Pem<false>>,
        /// Its private key.
        pub key: Option<Pem<true>>,
    }
}

/// Off, on, or with certificates.
#[derive(Clone, Debug)]
pub(crate) struct KafkaTlsChoice(pub Option<ClientTls>);

impl Field for KafkaTlsChoice {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        if let Content::Scalar(_) = &node.content {
            let is_on = bool::read(node, reader)?;
            return Some(Self(is_on.then(ClientTls::default)));
        }
        let KafkaTlsFiles { ca, cert, key } = KafkaTlsFiles::read(node, reader)?;
        tls::paired(ca, cert, key, node.place, reader).map(|tls| Self(Some(tls)))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let files = generator.subschema_for::<KafkaTlsFiles>();
        json_schema!({ "oneOf": [{ "type": "boolean" }, files] })
    }
}

section! {
    /// One of these.
    pub struct KafkaSaslKind {
        /// A name and a password, sent as they are: needs `tls`. For Event Hubs the name is
        /// `$ConnectionString`, and the password is the connection string.
        pub plain: Option<KafkaLoginFields>,
        /// A name and a password that is never sent.
        pub scram_sha_256: Option<KafkaLoginFields>,
        /// The same, with a longer hash.
        pub scram_sha_512: Option<KafkaLoginFields>,
        /// A token that an issuer gives for a while: `OAUTHBEARER`. Needs `tls`. For Event Hubs the
        /// identity needs the role "Azure Event Hubs Data Sender".
        pub oauth: Option<Placed<KafkaOauth>>,
    }
}

section! {
    /// A login at the brokers.
    pub struct KafkaLoginFields {
        /// The name.
        pub username: Text,
        /// The password.
        pub password: Password,
    }
}

section! {
    /// One of these, as under `backends[].auth`. What the token is for is, if it is not written, the
    /// first broker: the namespace of Event Hubs.
    pub struct KafkaOauth {
        /// The identity that Azure gives this machine or app.
        pub managed_identity: Option<Placed<ManagedIdentity>>,
        /// A Microsoft Entra application that trusts this platform's own tokens.
        pub workload_identity: Option<Placed<WorkloadIdentity>>,
        /// Any OAuth 2.0 issuer, by client id and secret.
        pub client_credentials: Option<Placed<ClientCredentials>>,
    }
}

/// With its login resolved, which takes the environment.
#[derive(Debug)]
pub(crate) struct Kafka {
    pub section: KafkaSink,
    pub sasl: Option<Placed<KafkaSasl>>,
}

impl Field for Kafka {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut section = KafkaSink::read(node, reader)?;
        let audience = audience(&section.brokers.value);
        let sasl = match section.sasl.take() {
            Some(Placed { value, place }) => {
                let login = reader.within(Step::Field("sasl"), |reader| {
                    value.login(place, &audience, reader)
                });
                Some(Placed {
                    value: login?,
                    place,
                })
            }
            None => None,
        };
        Some(Self { section, sasl })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        KafkaSink::schema(generator)
    }
}

impl KafkaSaslKind {
    fn login(self, place: Place, audience: &str, reader: &mut Reader<'_>) -> Option<KafkaSasl> {
        let Self {
            plain,
            scram_sha_256,
            scram_sha_512,
            oauth,
        } = self;
        let login = |fields: KafkaLoginFields| KafkaLogin {
            username: fields.username.text,
            password: fields.password.0,
        };
        match (plain, scram_sha_256, scram_sha_512, oauth) {
            (Some(fields), None, None, None) => Some(KafkaSasl::Plain(login(fields))),
            (None, Some(fields), None, None) => Some(KafkaSasl::ScramSha256(login(fields))),
            (None, None, Some(fields), None) => Some(KafkaSasl::ScramSha512(login(fields))),
            (None, None, None, Some(Placed { value, place })) => {
                let source = reader.within(Step::Field("oauth"), |reader| {
                    value.source(place, audience, reader)
                })?;
                Some(KafkaSasl::Oauth(Arc::new(source)))
            }
            _ => {
                reader.error(
                    place,
                    "not exactly one login",
                    "write one of: plain, scram_sha_256, scram_sha_512, oauth",
                );
                None
            }
        }
    }
}

impl KafkaOauth {
    fn source(self, place: Place, audience: &str, reader: &mut Reader<'_>) -> Option<TokenSource> {
        let Self {
            managed_identity,
            workload_identity,
            client_credentials,
        } = self;
        match (managed_identity, workload_identity, client_credentials) {
            (Some(section), None, None) => reader
                .within(Step::Field("managed_identity"), |reader| {
                    section.value.source(section.place, audience, reader)
                }),
            (None, Some(section), None) => reader
                .within(Step::Field("workload_identity"), |reader| {
                    section.value.source(section.place, audience, reader)
                }),
            (None, None, Some(section)) => reader
                .within(Step::Field("client_credentials"), |reader| {
                    section.value.source(section.place, audience, reader)
                }),
            _ => {
                reader.error(
                    place,
                    "not exactly one source of tokens",
                    "write one of: managed_identity, workload_identity, client_credentials",
                );
                None
            }
        }
    }
}

/// Brokers by name whose login can be read by nobody on the way.
pub(crate) fn is_loopback(broker: &HostPort) -> bool {
    let host = broker.host();
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// What tokens for this broker are for.
fn audience(brokers: &List<HostPort>) -> String {
    let first = brokers.items.first().map_or("", HostPort::host);
    format!("https://{first}")
}

#[derive(Clone, Debug)]
pub(crate) struct Topic(pub String);

impl Field for Topic {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        const BYTES_MAX: usize = 249; // Kafka's own bound.
        let fix = "use 1 to 249 letters, digits, `.`, `_` and `-`";
        let (_, filled) = reader.scalar(node, "a topic's name", fix)?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let is_name = (1..=BYTES_MAX).contains(&filled.text.len())
            && filled.text.bytes().all(fits)
            && !matches!(&*filled.text, "." | "..");
        if !is_name {
            let problem = format!("{} is not a topic's name", quoted(&filled));
            reader.error(node.place, problem, fix);
            return None;
        }
        Some(Self(filled.text.into_owned()))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": 249, "examples": ["ai-usage"] })
    }
}

/// Of a login: any text, because brokers take any.
#[derive(Clone, Debug)]
pub(crate) struct Password(pub Secret);

impl Field for Password {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        const BYTES_MAX: usize = 4096;
        let fix = "write `${env:NAME}` or `${file:/path}`";
        let (_, filled) = reader.scalar(node, "a password", fix)?;
        if filled.text.is_empty()
            || filled.text.len() > BYTES_MAX
            || filled.text.chars().any(char::is_control)
        {
            let problem = "the password is empty, too long, or has control characters in it";
            reader.error(node.place, problem, fix);
            return None;
        }
        Some(Self(Secret::new(&filled.text)))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "writeOnly": true })
    }
}
