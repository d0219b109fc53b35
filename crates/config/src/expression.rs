//! CEL over what is known of a call, compiled once. A fault at run time is a refusal, never a pass.
//!
//! A constant or a plain path (`subscription.id`, `request.headers["x"]`, `claims.azp`) never meets
//! the interpreter; anything else is evaluated over only the values that it names.
//!
//! Bounded: the language has no loops, a macro (`exists`, `map` …) cannot stand inside another, and
//! what it walks over is at most a request's headers and [`evaluate::CLAIM_VALUES_MAX`] claim values.

mod check;
mod evaluate;
mod member;
mod parse;
mod path;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use domain::{ApplicationName, ModelName};

use self::check::Needs;
use self::member::Member;
use crate::snapshot::{Product, Subscription};

/// What expressions see: `subscription.{id,name,owner}`, `product.{id,name}`, `application.name`,
/// `caller.{key_id,issuer,subject,user}`, `claims`, `model.name`, `request.{headers,ip}`.
/// A `None` is CEL `null` (`application.name` of a call without one is the empty string).
///
/// Headers are looked up without regard to case, their several values joined with `, `; an
/// expression that walks over all of them sees their names in lower case.
#[derive(Clone, Copy)]
pub struct CallContext<'a> {
    pub subscription: Option<&'a Subscription>,
    pub product: Option<&'a Product>,
    pub application: Option<&'a ApplicationName>,
    pub key_id: Option<&'a str>,
    pub issuer: Option<&'a str>,
    pub subject: Option<&'a str>,
    pub user: Option<&'a str>,
    pub claims: Option<&'a serde_json::Map<String, serde_json::Value>>,
    pub model: Option<&'a ModelName>,
    pub headers: &'a http::HeaderMap,
    pub ip: Option<IpAddr>,
}

/// A compiled expression. The common keys skip the interpreter. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Expression {
    source: String,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Constant(String),
    Member(Member),
    Header(http::HeaderName),
    /// The way to one value inside the claims.
    Claim(Vec<String>),
    Program(Arc<(cel::Program, Needs)>),
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
        let form = match path::form(source) {
            Some(form) => form,
            None => interpreted(source)?,
        };
        Ok(Self {
            source: source.to_owned(),
            form,
        })
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// A string, number or boolean as text. Null, lists and maps are faults.
    pub fn text<'a>(&'a self, call: &CallContext<'a>) -> Result<Cow<'a, str>, Fault> {
        match &self.form {
            Form::Constant(text) => Ok(Cow::Borrowed(text)),
            Form::Member(member) => member.of(call).ok_or_else(|| {
                Fault::of(format!("`{}` is not known for this call", member.written()))
            }),
            Form::Header(name) => header(call.headers, name)?
                .ok_or_else(|| Fault::of(format!("the header `{name}` is missing"))),
            Form::Claim(path) => claim(call, path),
            Form::Program(compiled) => {
                let (program, needs) = &**compiled;
                evaluate::text(program, needs, call).map(Cow::Owned)
            }
        }
    }

    /// What it reads that only a subscription, product, application or model tells: the expressions
    /// that find these cannot use it.
    pub fn reads_tenant(&self) -> Option<&'static str> {
        match &self.form {
            Form::Constant(_) | Form::Header(_) | Form::Claim(_) => None,
            Form::Member(member) => member.is_of_tenant().then(|| member.written()),
            Form::Program(compiled) => compiled
                .1
                .members
                .iter()
                .find(|member| member.is_of_tenant())
                .map(|member| member.written()),
        }
    }
}

impl Fault {
    fn of(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

/// An expression that is no plain path. One that reads nothing of a call is evaluated here, once.
fn interpreted(source: &str) -> Result<Form, Fault> {
    let program = parse::program(source)?;
    let needs = check::needs(program.expression())?;
    if needs.is_nothing() {
        return evaluate::constant(&program).map(Form::Constant);
    }
    Ok(Form::Program(Arc::new((program, needs))))
}

/// All values of one header.
fn header<'a>(
    headers: &'a http::HeaderMap,
    name: &http::HeaderName,
) -> Result<Option<Cow<'a, str>>, Fault> {
    let mut joined: Option<Cow<'a, str>> = None;
    for value in headers.get_all(name) {
        let text = std::str::from_utf8(value.as_bytes())
            .map_err(|_| Fault::of(format!("the header `{name}` is not UTF-8")))?;
        joined = Some(match joined {
            None => Cow::Borrowed(text),
            Some(before) => Cow::Owned(format!("{before}, {text}")),
        });
    }
    Ok(joined)
}

fn claim<'a>(call: &CallContext<'a>, path: &[String]) -> Result<Cow<'a, str>, Fault> {
    let missing = || Fault::of(format!("the claim `{}` is missing", path.join(".")));
    let (first, rest) = path.split_first().ok_or_else(missing)?;
    let mut value = call
        .claims
        .and_then(|claims| claims.get(first))
        .ok_or_else(missing)?;
    for name in rest {
        value = value.get(name).ok_or_else(missing)?;
    }
    match value {
        serde_json::Value::String(text) => Ok(Cow::Borrowed(text)),
        serde_json::Value::Bool(value) => Ok(Cow::Borrowed(if *value { "true" } else { "false" })),
        serde_json::Value::Number(number) => Ok(Cow::Owned(evaluate::number_text(number))),
        serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => {
            Err(Fault::of(format!(
                "the claim `{}` is no text, number or boolean",
                path.join(".")
            )))
        }
    }
}

#[cfg(test)]
mod tests;
