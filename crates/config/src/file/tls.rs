//! `tls` of what the gateway connects to: whom it trusts there, and what it shows.

use schemars::{Schema, SchemaGenerator};

use crate::problem::{Place, Problems};
use crate::read::{Field, Pem, Placed, Reader, section};
use crate::snapshot;
use crate::tree::Node;

section! {
    /// Certificates, as PEM: the path of a file, or the text itself.
    pub struct ClientTlsFiles {
        /// Who signed the other side's certificate, such as a company's own authority. Nobody else is
        /// trusted then. Without it, the public authorities.
        pub ca: Option<Pem<false>>,
        /// The gateway's own certificate, where the other side demands one.
        pub cert: Option<Pem<false>>,
        /// Its private key.
        pub key: Option<Pem<true>>,
    }
}

/// With its certificate and key paired.
#[derive(Clone, Debug)]
pub(crate) struct ClientTls(pub snapshot::ClientTls);

impl Field for ClientTls {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let ClientTlsFiles { ca, cert, key } = ClientTlsFiles::read(node, reader)?;
        paired(ca, cert, key, node.place, reader).map(Self)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<ClientTlsFiles>()
    }
}

pub(super) fn paired(
    ca: Option<Pem<false>>,
    cert: Option<Pem<false>>,
    key: Option<Pem<true>>,
    place: Place,
    reader: &mut Reader<'_>,
) -> Option<snapshot::ClientTls> {
    let identity = match (cert, key) {
        (Some(cert), Some(key)) => Some((cert.0, key.0)),
        (None, None) => None,
        _ => {
            let problem = "a certificate without its key, or a key without its certificate";
            reader.error(place, problem, "write both `cert` and `key`");
            return None;
        }
    };
    Some(snapshot::ClientTls {
        ca: ca.map(|ca| ca.0),
        identity,
    })
}

/// What is written for a URL; plain HTTP would show and check none of it.
pub(crate) fn of(
    url: &url::Url,
    written: Option<Placed<ClientTls>>,
    field: &str,
    problems: &mut Problems,
) -> snapshot::ClientTls {
    let Some(Placed { value, place }) = written else {
        return snapshot::ClientTls::default();
    };
    if url.scheme() != "https" {
        let problem = "the URL is plain `http`, which has no certificates";
        let fix = "write `https` in the URL, or remove `tls`";
        problems.error(place, &format!("{field}.tls"), problem, fix);
    }
    value.0
}
