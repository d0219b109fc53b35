//! `listen`: an address, with or without TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::read::{Field, Pem, Reader, section};
use crate::snapshot::TlsText;
use crate::tree::{Content, Node};

/// Written as an address alone, or as a map.
#[derive(Clone, Debug)]
pub(crate) struct Listen {
    pub address: SocketAddr,
    pub tls: Option<Arc<TlsText>>,
}

section! {
    /// An address, and the certificate that is shown there.
    pub struct Listener {
        /// An IP address and a port. Needs a restart to change.
        pub address: SocketAddr,
        /// Speak TLS 1.2 and 1.3 there, with HTTP/2 and HTTP/1.1. Without it, plain HTTP.
        pub tls: Option<Tls>,
    }
}

section! {
    /// A certificate and its key, as PEM. Each is the path of a file, or the text itself (in a
    /// block after `|`, or as `${file:/path}` or `${env:NAME}`). Files are read again when they
    /// change, or on SIGHUP; connections that are open keep the certificate that they saw.
    pub struct Tls {
        /// The gateway's certificate, then those between it and the root.
        pub cert: Pem<false>,
        /// Its private key: PKCS #8, PKCS #1 or SEC 1, not encrypted.
        pub key: Pem<true>,
        /// Demand a certificate of every client, signed by one of these. What is in it is not looked
        /// at: callers prove themselves by key or token all the same.
        pub client_ca: Option<Pem<false>>,
    }
}

impl Field for Listen {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        if !matches!(node.content, Content::Map(_)) {
            let address = SocketAddr::read(node, reader)?;
            return Some(Self { address, tls: None });
        }
        let Listener { address, tls } = Listener::read(node, reader)?;
        let tls = tls.map(
            |Tls {
                 cert,
                 key,
                 client_ca,
             }| {
                Arc::new(TlsText {
                    cert: cert.0,
                    key: key.0,
                    client_ca: client_ca.map(|client_ca| client_ca.0),
                })
            },
        );
        Some(Self { address, tls })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let address = SocketAddr::schema(generator);
        let listener = generator.subschema_for::<Listener>();
        json_schema!({ "oneOf": [address, listener] })
    }
}
