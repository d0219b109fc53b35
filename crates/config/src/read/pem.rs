//! PEM texts: written, referred to, or in the file that a path names.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::{Field, Reader};
use crate::snapshot::{PemText, Secret};
use crate::tree::Node;

/// What every PEM text has.
const BEGIN: &str = "-----BEGIN ";
/// Room for a chain of certificates or a company's roots. A larger file is a mistake.
const BYTES_MAX: usize = 1024 * 1024;

/// Certificates, or the private key that belongs to one. What the text says is for who uses it to
/// find out: it takes cryptography.
#[derive(Clone, Debug)]
pub(crate) struct Pem<const SECRET: bool>(pub PemText);

impl<const SECRET: bool> Field for Pem<SECRET> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let fix = "write the path of a PEM file, or `${file:/path}`";
        let (_, filled) = reader.scalar(node, "a PEM file", fix)?;
        let text = if filled.text.contains(BEGIN) {
            filled.text.into_owned()
        } else if filled.is_foreign && filled.text.contains(char::is_whitespace) {
            reader.error(node.place, "what this stands for is not PEM", fix);
            return None;
        } else {
            match reader.file(&filled.text) {
                Ok(text) => text,
                Err(reason) => {
                    let what = super::quoted(&filled);
                    let fix = "name a PEM file that the gateway may read";
                    reader.error(node.place, format!("cannot read {what}: {reason}"), fix);
                    return None;
                }
            }
        };
        if !text.contains(BEGIN) || text.len() > BYTES_MAX {
            let fix = "name a file with `-----BEGIN …-----` lines, of up to 1 MiB";
            reader.error(node.place, "the file is not PEM", fix);
            return None;
        }
        Some(Self(PemText {
            text: Secret::new(&text),
            written: reader.written(node.place),
        }))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        let examples = if SECRET {
            ["/etc/tollgate/tls.key", "${env:TLS_KEY}"]
        } else {
            ["/etc/tollgate/tls.crt", "${file:/etc/tollgate/tls.crt}"]
        };
        json_schema!({ "type": "string", "minLength": 1, "examples": examples })
    }
}
