//! CEL over what is known of a call, compiled once. A fault at run time is a refusal, never a pass.

use std::borrow::Cow;
use std::net::IpAddr;

use domain::{ApplicationName, ModelName};

use crate::snapshot::{Product, Subscription};

/// What expressions see: `subscription.{id,name,owner}`, `product.{id,name}`, `application.name`,
/// `caller.{key_id,issuer,subject}`, `claims`, `model.name`, `request.{headers,ip}`.
/// A `None` is CEL `null` (`application.name` of a call without one is the empty string).
#[derive(Clone, Copy)]
pub struct CallContext<'a> {
    pub subscription: Option<&'a Subscription>,
    pub product: Option<&'a Product>,
    pub application: Option<&'a ApplicationName>,
    pub key_id: Option<&'a str>,
    pub issuer: Option<&'a str>,
    pub subject: Option<&'a str>,
    pub claims: Option<&'a serde_json::Map<String, serde_json::Value>>,
    pub model: Option<&'a ModelName>,
    pub headers: &'a http::HeaderMap,
    pub ip: Option<IpAddr>,
}

/// A compiled expression. The common keys skip the interpreter.
#[derive(Debug)]
pub struct Expression {
    source: String,
}

/// Why an expression could not be evaluated: a missing header, a wrong type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    pub message: String,
}

impl Expression {
    /// Compiles, and refuses names that no call has.
    pub fn compile(source: &str) -> Result<Self, Fault> {
        let _ = source;
        todo!()
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// A string, number or boolean as text. Null, lists and maps are faults.
    pub fn text<'a>(&self, call: &CallContext<'a>) -> Result<Cow<'a, str>, Fault> {
        let _ = call;
        todo!()
    }
}
