//! Texts: plain, secret, paths, header names, expressions.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::{Schema, SchemaGenerator, json_schema};

use super::{Field, Reader, quoted};
use crate::expression::Expression;
use crate::keys::{self, KeyFault};
use crate::problem::Place;
use crate::snapshot::{KeyHash, Secret};
use crate::tree::Node;

/// One line of text.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub text: String,
    pub place: Place,
}

impl Field for Text {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        const BYTES_MAX: usize = 256; // Names stand in records, and audiences and claims are no longer.
        let (_, filled) = reader.scalar(node, "text", "write one line of text")?;
        if filled.text.is_empty()
            || filled.text.len() > BYTES_MAX
            || filled.text.chars().any(char::is_control)
        {
            reader.error(
                node.place,
                "not one line of text",
                format!("write 1 to {BYTES_MAX} bytes on one line"),
            );
            return None;
        }
        Some(Self {
            text: filled.text.into_owned(),
            place: node.place,
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": 256 })
    }
}

/// A folder's path.
#[derive(Clone, Debug)]
pub(crate) struct Path(pub PathBuf);

impl Field for Path {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        Text::read(node, reader).map(|text| Self(text.text.into()))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

/// The gateway's own credential at a backend.
#[derive(Clone, Debug)]
pub(crate) struct SecretText(pub Secret);

impl Field for SecretText {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let (_, filled) =
            reader.scalar(node, "a secret", "write `${env:NAME}` or `${file:/path}`")?;
        // It is sent as a header, where anything else would be refused or would end the header.
        if filled.text.is_empty() || !filled.text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let fix = "write the secret alone, with no space or line break in it";
            reader.error(
                node.place,
                "the secret is empty or has characters that no header can carry",
                fix,
            );
            return None;
        }
        Some(Self(Secret::new(&filled.text)))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "writeOnly": true })
    }
}

/// A subscription's key. Only its hash is kept.
#[derive(Clone, Debug)]
pub(crate) struct KeyText {
    pub hash: KeyHash,
    pub place: Place,
}

impl Field for KeyText {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let fix = "write a secret of 16 characters or more, or `sha256:` and its 64 hex digits";
        let (_, filled) = reader.scalar(node, "a key", fix)?;
        let problem = match keys::written_hash(&filled.text) {
            Ok(hash) => {
                return Some(Self {
                    hash,
                    place: node.place,
                });
            }
            Err(KeyFault::Short) => "the key is shorter than 16 characters",
            Err(KeyFault::Hash) => "`sha256:` is not followed by 64 hex digits",
            Err(KeyFault::Characters) => {
                "the key has a space or a character that no header can carry"
            }
        };
        reader.error(node.place, problem, fix);
        None
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^sha256:[0-9A-Fa-f]{64}$|^.{16,}$|\\$\\{", "writeOnly": true })
    }
}

impl Field for http::HeaderName {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        const CREDENTIALS: [&str; 7] = [
            "authorization",
            "api-key",
            "x-api-key",
            "ocp-apim-subscription-key",
            "cookie",
            "proxy-authorization",
            "set-cookie",
        ];
        let (_, filled) = reader.scalar(node, "a header's name", "write it as `X-App-Name`")?;
        let Ok(name) = filled.text.parse::<Self>() else {
            reader.error(
                node.place,
                format!("{} is not a header's name", quoted(&filled)),
                "write it as `X-App-Name`",
            );
            return None;
        };
        if CREDENTIALS.contains(&name.as_str()) {
            let problem = format!("`{name}` carries credentials, which must not get into records");
            reader.error(
                node.place,
                problem,
                "use a header of your own, such as `X-App-Name`",
            );
            return None;
        }
        Some(name)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["X-App-Name"] })
    }
}

/// A CEL expression, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Cel {
    pub expression: Arc<Expression>,
    pub place: Place,
}

impl Field for Cel {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let fix =
            "write CEL over subscription, product, application, caller, claims, model and request";
        let (_, filled) = reader.scalar(node, "a CEL expression", fix)?;
        match reader.expression(&filled.text) {
            Ok(expression) => Some(Self {
                expression,
                place: node.place,
            }),
            Err(_) if filled.is_foreign => {
                reader.error(
                    node.place,
                    "the value is not an expression that can be compiled",
                    fix,
                );
                None
            }
            Err(fault) => {
                reader.error(node.place, fault.message, fix);
                None
            }
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "examples": ["subscription.id", "request.headers[\"x-session-id\"]"] })
    }
}
