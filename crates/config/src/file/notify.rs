//! `notify`: where alerts are sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use domain::ChannelId;
use schemars::{Schema, SchemaGenerator, json_schema};

use super::backend::is_near;
use super::telemetry::HeaderText;
use crate::problem::Place;
use crate::read::{
    Declared, Field, List, Placed, Reader, Step, Text, Whole, quoted, section, words,
};
use crate::snapshot::{self, ChannelTarget, MailTls, PrivateUrl, SigningKey};
use crate::tree::Node;

/// Where alerts are sent, with its kind chosen.
#[derive(Debug)]
pub(crate) struct Channel {
    pub id: Declared<ChannelId>,
    pub target: ChannelTarget,
}

section! {
    /// A channel: its name, and one of `webhook`, `slack`, `teams` and `smtp`.
    pub struct ChannelFields {
        /// Names it in `notify` lists, logs and metrics.
        pub id: Declared<ChannelId>,
        /// A service of yours: JSON, signed.
        pub webhook: Option<Webhook>,
        /// A Slack channel.
        pub slack: Option<Slack>,
        /// A Microsoft Teams channel or chat.
        pub teams: Option<Teams>,
        /// E-mail.
        pub smtp: Option<Placed<Smtp>>,
    }
}

section! {
    /// A service that takes alerts as JSON: see `docs/alerts.md` for the body and its signature.
    pub struct Webhook {
        /// Where alerts are posted. Never logged beyond its host.
        pub url: HookUrl,
        /// Signs each message, by Standard Webhooks: `whsec_` and Base64, or any text of 16 characters
        /// or more. Without it, messages are not signed.
        pub secret: Option<WebhookSecret>,
    }
}

section! {
    /// A Slack channel, through an incoming webhook.
    pub struct Slack {
        /// `https://hooks.slack.com/services/…`: whoever has it can post, so keep it outside the file.
        pub url: Placed<HookUrl>,
    }
}

section! {
    /// A Microsoft Teams channel or chat, through the Workflows template "Post to a channel when a
    /// webhook request is received".
    pub struct Teams {
        /// The workflow's URL with its query: whoever has it can post, so keep it outside the file.
        pub url: Placed<HookUrl>,
    }
}

section! {
    /// E-mail through an SMTP server.
    pub struct Smtp {
        /// The server's name.
        pub host: Host,
        /// Without it: 587 with STARTTLS, 465 with implicit TLS, 25 with none.
        pub port: Option<Whole<1, 65_535>>,
        /// How the connection is encrypted.
        pub tls: MailTls = "starttls",
        /// Who logs in. Without it, nobody does.
        pub username: Option<Placed<Text>>,
        /// And how.
        pub password: Option<HeaderText>,
        /// The sender's address.
        pub from: MailAddress,
        /// Who gets it, each in one mail with all others.
        pub to: Placed<List<MailAddress>>,
    }
}

words! { MailTls, "way to encrypt":
    /// The connection becomes TLS before anything else is said, or the mail is not sent.
    "starttls" => MailTls::Starttls,
    /// TLS from the first byte.
    "implicit" => MailTls::Implicit,
    /// In the clear, without a login: for a relay on this machine or in the same private network.
    "none" => MailTls::None,
}

impl Field for Channel {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let before = reader.problems.count();
        let ChannelFields {
            id,
            webhook,
            slack,
            teams,
            smtp,
        } = ChannelFields::read(node, reader)?;
        let written = [
            webhook.is_some(),
            slack.is_some(),
            teams.is_some(),
            smtp.is_some(),
        ];
        if written.iter().filter(|is_written| **is_written).count() != 1 {
            // What was meant may be reported already.
            if written.contains(&true) || reader.problems.count() == before {
                let fix = "write one of: webhook, slack, teams, smtp";
                reader.error(node.place, "not exactly one kind of channel", fix);
            }
            return None;
        }
        let target = if let Some(Webhook { url, secret }) = webhook {
            ChannelTarget::Webhook {
                url: url.0,
                key: secret.map(|secret| secret.0),
            }
        } else if let Some(Slack { url }) = slack {
            let url = reader.within(Step::Field("slack"), |reader| secret_url(url, reader))?;
            ChannelTarget::Slack { url }
        } else if let Some(Teams { url }) = teams {
            let url = reader.within(Step::Field("teams"), |reader| secret_url(url, reader))?;
            ChannelTarget::Teams { url }
        } else {
            let Placed { value, place } = smtp?;
            let smtp =
                reader.within(Step::Field("smtp"), |reader| value.compiled(place, reader))?;
            ChannelTarget::Smtp(smtp)
        };
        Some(Self { id, target })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        ChannelFields::schema(generator)
    }
}

/// Where the URL is the credential, it must not be read on the way.
fn secret_url(url: Placed<HookUrl>, reader: &mut Reader<'_>) -> Option<PrivateUrl> {
    let Placed { value, place } = url;
    let host = value.0.0.host_str().unwrap_or_default();
    if value.0.0.scheme() == "https" || matches!(host, "localhost" | "127.0.0.1" | "[::1]") {
        return Some(value.0);
    }
    reader.within(Step::Field("url"), |reader| {
        let problem = "plain `http`: the URL is the credential, and could be read on the way";
        reader.error(place, problem, "use `https`");
    });
    None
}

impl Smtp {
    fn compiled(self, place: Place, reader: &mut Reader<'_>) -> Option<snapshot::Smtp> {
        let Self {
            host,
            port,
            tls,
            username,
            password,
            from,
            to,
        } = self;
        let default_port = match tls {
            MailTls::Starttls => 587,
            MailTls::Implicit => 465,
            MailTls::None => 25,
        };
        let port = port.and_then(|port| u16::try_from(port.0).ok());
        let login = match (username, password) {
            (Some(username), Some(password)) => Some((username, password)),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                let problem = "`username` and `password` belong together";
                reader.error(place, problem, "write both, or neither");
                return None;
            }
        };
        if let (MailTls::None, Some((username, _))) = (tls, &login) {
            let problem = "a password would be sent in the clear";
            reader.error(
                username.place,
                problem,
                "use `tls: starttls` or `implicit`, or leave out the login",
            );
            return None;
        }
        const RECIPIENTS_MAX: usize = 50; // Servers refuse more in one mail, some of them earlier.
        if to.value.items.is_empty() && to.value.is_whole || to.value.items.len() > RECIPIENTS_MAX {
            let problem = format!("not 1 to {RECIPIENTS_MAX} recipients");
            reader.error(
                to.place,
                problem,
                "write the addresses that shall get alerts, or one of a list",
            );
            return None;
        }
        Some(snapshot::Smtp {
            host: host.0,
            port: port.unwrap_or(default_port),
            tls,
            login: login.map(|(username, password)| (username.value.text, password.0)),
            from: from.0,
            to: to
                .value
                .items
                .into_iter()
                .map(|address| address.0)
                .collect(),
        })
    }
}

/// An `http` or `https` URL that may have a query.
#[derive(Debug)]
pub(crate) struct HookUrl(pub PrivateUrl);

impl Field for HookUrl {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let fix = "write it as `https://host/path`, or as `${env:NAME}`";
        let (_, filled) = reader.scalar(node, "a URL", fix)?;
        let Ok(url) = url::Url::parse(&filled.text) else {
            reader.error(node.place, "not a URL", fix);
            return None;
        };
        let problem = if !matches!(url.scheme(), "http" | "https") {
            "neither `http` nor `https`"
        } else if !url.username().is_empty() || url.password().is_some() {
            "credentials in a URL, which servers log"
        } else if url.fragment().is_some() {
            "a URL with a fragment, which is never sent"
        } else {
            if url.scheme() == "http" && !is_near(&url) {
                reader.warning(
                    node.place,
                    "plain `http` to a public host: what is sent can be read on the way",
                    "use `https`",
                );
            }
            return Some(Self(PrivateUrl(url)));
        };
        reader.error(node.place, problem, fix);
        None
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^https?://|\\$\\{", "writeOnly": true })
    }
}

/// A webhook's secret, as its bytes.
#[derive(Debug)]
pub(crate) struct WebhookSecret(pub SigningKey);

impl Field for WebhookSecret {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        const BYTES: std::ops::RangeInclusive<usize> = 16..=256;
        let fix = "write `whsec_` and the Base64 of 24 to 64 random bytes, or a text of 16 characters or more";
        let (_, filled) = reader.scalar(node, "a secret", fix)?;
        let key: Option<Vec<u8>> = match filled.text.strip_prefix("whsec_") {
            Some(encoded) => BASE64.decode(encoded).ok(),
            None => Some(filled.text.as_bytes().to_vec()),
        };
        let Some(key) = key.filter(|key| BYTES.contains(&key.len())) else {
            let problem = "not a secret that messages can be signed with";
            reader.error(node.place, problem, fix);
            return None;
        };
        Some(Self(SigningKey(key.into())))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 16, "writeOnly": true })
    }
}

/// A server's name or address.
#[derive(Debug)]
pub(crate) struct Host(pub String);

impl Field for Host {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let fix = "write its name alone: `smtp.example.com`";
        let (_, filled) = reader.scalar(node, "a host's name", fix)?;
        if url::Host::parse(&filled.text).is_err() {
            let problem = format!("{} is not a host's name", quoted(&filled));
            reader.error(node.place, problem, fix);
            return None;
        }
        Some(Self(filled.text.into_owned()))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "examples": ["smtp.example.com"] })
    }
}

/// `name@example.com`, alone.
#[derive(Debug)]
pub(crate) struct MailAddress(pub String);

impl Field for MailAddress {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let fix = "write it as `alerts@example.com`, without a name or brackets";
        let (_, filled) = reader.scalar(node, "a mail address", fix)?;
        if !is_address(&filled.text) {
            let problem = format!("{} is not a mail address", quoted(&filled));
            reader.error(node.place, problem, fix);
            return None;
        }
        Some(Self(filled.text.into_owned()))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["alerts@example.com"] })
    }
}

/// As servers take it without quotes.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let is_local = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let parts_are_filled = |text: &str| text.split('.').all(|part| !part.is_empty());
    (1..=64).contains(&local.len())
        && local.chars().all(is_local)
        && parts_are_filled(local)
        && domain.len() <= 253
        && parts_are_filled(domain)
        && domain
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-.".contains(c))
}
