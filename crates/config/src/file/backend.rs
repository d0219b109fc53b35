//! `backends`: where models are hosted.

use domain::BackendId;
use schemars::{Schema, SchemaGenerator, json_schema};

use super::auth::Auth;
use super::price::{Provisioned, ScopedPrice};
use super::tls::ClientTls;
use crate::read::{
    Declared, Field, List, Placed, Reader, Share, Span, Text, Whole, section, words,
};
use crate::tree::Node;

section! {
    /// A base URL with its dialect, credentials and breaker.
    pub struct Backend {
        /// Names it in pools and records, and to clients in `x-tollgate-backend`.
        pub id: Declared<BackendId>,
        /// The wire format that it speaks.
        pub dialect: Dialect,
        /// Its base URL, with or without `/v1`. Plain `http` outside loopback and private networks is
        /// a warning.
        pub url: WebUrl,
        /// Azure's API version: for `azure-openai`, of calls that bring none. Without it,
        /// `azure-content-safety` is asked by `2024-09-01`.
        pub api_version: Option<Text>,
        /// The gateway's own credential there. Clients' credentials never reach a backend.
        pub auth: Auth = "none",
        /// Whom the gateway trusts there, and what it shows. Without it: the public authorities, and
        /// nothing.
        pub tls: Option<Placed<ClientTls>>,
        /// How long the gateway waits for it.
        pub timeout: Timeout = "{}",
        /// When it is taken out of its pools, and for how long.
        pub breaker: Breaker = "{}",
        /// Whose prices in the catalogue are paid here, such as `openai`, `azure` or, for data zones,
        /// `azure/eu`. Without it, by the dialect and the host; `none` for none.
        pub catalogue: Option<Text>,
        /// Prices and percentages agreed on for this backend.
        pub prices: List<Placed<ScopedPrice>> = "[]",
        /// Throughput that is paid by the hour.
        pub provisioned: List<Placed<Provisioned>> = "[]",
    }
}

/// What a backend speaks: those that host models, and those that judge content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Model(dialect::Dialect),
    ContentSafety,
}

words! { Dialect, "dialect":
    /// OpenAI's API, and whatever else speaks it.
    "openai" => Dialect::Model(dialect::Dialect::OpenAi),
    /// Azure OpenAI: deployments in the path, `api-version` in the query.
    "azure-openai" => Dialect::Model(dialect::Dialect::AzureOpenAi),
    /// Azure AI Content Safety. It hosts no models: guards name it.
    "azure-content-safety" => Dialect::ContentSafety,
}

section! {
    /// How long the gateway waits for a backend.
    pub struct Timeout {
        /// For a connection, TLS included.
        pub connect: Span = "5s",
        /// From the request's last byte to the answer's first.
        pub first_byte: Span = "120s",
        /// The longest silence between two reads of an answer.
        pub idle: Span = "60s",
        /// From the request's first byte to the answer's last.
        pub total: Span = "600s",
    }
}

section! {
    /// Opens when too many of the interval's calls fail; half-open, it lets one probe through.
    pub struct Breaker {
        /// The share of failures at which it opens. 429, 408, 5xx, transport errors and a late first
        /// byte count; clients' own faults do not.
        pub failure_threshold: Share<false> = "0.5",
        /// Calls that the interval must hold before the share counts.
        pub min_throughput: Whole<1, 1_000_000> = "10",
        /// The time over which calls are counted.
        pub interval: Span = "60s",
        /// How long it stays open.
        pub trip_duration: Span = "30s",
        /// Stay open for the backend's `Retry-After` where that is longer.
        pub accept_retry_after: bool = "true",
    }
}

/// An `http` or `https` URL without credentials, query or fragment.
#[derive(Debug)]
pub(crate) struct WebUrl(pub url::Url);

impl Field for WebUrl {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let fix = "write it as `https://host/path`";
        let (_, filled) = reader.scalar(node, "a URL", fix)?;
        let Ok(mut url) = url::Url::parse(&filled.text) else {
            reader.error(node.place, "not a URL", fix);
            return None;
        };
        let problem = if !matches!(url.scheme(), "http" | "https") {
            "neither `http` nor `https`"
        } else if !url.username().is_empty() || url.password().is_some() {
            "credentials in a URL, which ends up in logs"
        } else if url.query().is_some() || url.fragment().is_some() {
            "a URL with a query or a fragment"
        } else {
            let path = url.path().trim_end_matches('/').to_owned();
            url.set_path(&path);
            if url.scheme() == "http" && !is_near(&url) {
                reader.warning(
                    node.place,
                    "plain `http` to a public host: prompts and credentials can be read on the way",
                    "use `https`",
                );
            }
            return Some(Self(url));
        };
        reader.error(node.place, problem, fix);
        None
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^https?://|\\$\\{" })
    }
}

/// Loopback, private and link-local addresses, and names that no public resolver answers.
pub(crate) fn is_near(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Some(url::Host::Ipv6(ip)) => {
            let mapped = ip
                .to_ipv4_mapped()
                .is_some_and(|ip| ip.is_loopback() || ip.is_private() || ip.is_link_local());
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local() || mapped
        }
        Some(url::Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            let private = ["localhost", "local", "internal", "svc", "test"];
            !name.contains('.')
                || name
                    .rsplit('.')
                    .next()
                    .is_some_and(|last| private.contains(&last))
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_of_ones_own_network_are_near() {
        let near = |url: &str| is_near(&url::Url::parse(url).expect("a URL"));
        for url in [
            "http://127.0.0.1:1",
            "http://localhost",
            "http://10.1.2.3",
            "http://[::1]",
            "http://[fd00::1]",
            "http://vllm:8000",
            "http://vllm.ai.svc",
        ] {
            assert!(near(url), "{url}");
        }
        for url in [
            "http://example.com",
            "http://8.8.8.8",
            "http://[2001:db8::1]",
            "http://172.32.0.1",
        ] {
            assert!(!near(url), "{url}");
        }
    }
}
