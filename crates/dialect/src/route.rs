//! Which operation a path names, and the path that asks a backend for it.
//!
//! One slash at a path's end is tolerated. A deployment or model that decodes to something that no
//! name can be (a slash, a dot segment, a control character) is an unknown route.

use std::borrow::Cow;

use http::Method;

use crate::{Dialect, Operation};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// `deployment`: percent-decoded, from Azure's `/openai/deployments/{deployment}/…`; it is the model.
    Call {
        dialect: Dialect,
        operation: Operation,
        deployment: Option<Cow<'a, str>>,
    },
    Models {
        dialect: Dialect,
    },
    Model {
        dialect: Dialect,
        id: Cow<'a, str>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    #[error("unknown route")]
    NotFound,
    #[error("method not allowed")]
    MethodNotAllowed { allow: &'static str },
    #[error("the query parameter `api-version` is required")]
    NoApiVersion,
}

/// Reads `/v1/*`, `/openai/v1/*` and `/openai/deployments/{deployment}/*?api-version=`.
pub fn route<'a>(
    method: &Method,
    path: &'a str,
    query: Option<&str>,
) -> Result<Route<'a>, RouteError> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let (found, needs_version) = if let Some(rest) = path.strip_prefix("/v1/") {
        (operation_or_model(Dialect::OpenAi, rest), false)
    } else if let Some(rest) = path.strip_prefix("/openai/v1/") {
        (operation_or_model(Dialect::AzureOpenAi, rest), false)
    } else if let Some(rest) = path.strip_prefix("/openai/deployments/") {
        (deployment(rest), true)
    } else if let Some(rest) = path.strip_prefix("/openai/") {
        (model(Dialect::AzureOpenAi, rest), true)
    } else {
        (None, false)
    };
    let found = found.ok_or(RouteError::NotFound)?;
    let allow = match found {
        Route::Call { .. } => Method::POST,
        Route::Models { .. } | Route::Model { .. } => Method::GET,
    };
    if *method != allow {
        let allow = if allow == Method::POST { "POST" } else { "GET" };
        return Err(RouteError::MethodNotAllowed { allow });
    }
    if needs_version && !has_api_version(query) {
        return Err(RouteError::NoApiVersion);
    }
    Ok(found)
}

/// The dialect in whose form an error on `path` is written, known route or not.
pub fn dialect_of(path: &str) -> Dialect {
    match path.strip_prefix("/openai") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => Dialect::AzureOpenAi,
        _ => Dialect::OpenAi,
    }
}

/// Path and query on a backend whose base path is `base_path` (with or without `/v1`).
pub fn upstream_path(
    dialect: Dialect,
    base_path: &str,
    operation: Operation,
    deployment: &str,
    api_version: Option<&str>,
) -> String {
    let base = base_path.trim_end_matches('/');
    let name = operation_path(operation);
    match (dialect, api_version) {
        (Dialect::OpenAi, _) if base.ends_with("/v1") => format!("{base}/{name}"),
        (Dialect::OpenAi, _) => format!("{base}/v1/{name}"),
        (Dialect::AzureOpenAi, _) if base.ends_with("/openai/v1") => format!("{base}/{name}"),
        (Dialect::AzureOpenAi, api_version) => {
            // Portals show the endpoint with and without this.
            let base = base.strip_suffix("/openai").unwrap_or(base);
            match api_version {
                None => format!("{base}/openai/v1/{name}"),
                Some(version) => {
                    let (deployment, version) =
                        (percent_encode(deployment), percent_encode(version));
                    format!("{base}/openai/deployments/{deployment}/{name}?api-version={version}")
                }
            }
        }
    }
}

fn operation_path(operation: Operation) -> &'static str {
    match operation {
        Operation::ChatCompletions => "chat/completions",
        Operation::Completions => "completions",
        Operation::Embeddings => "embeddings",
    }
}

fn operation(path: &str) -> Option<Operation> {
    [
        Operation::ChatCompletions,
        Operation::Completions,
        Operation::Embeddings,
    ]
    .into_iter()
    .find(|&operation| operation_path(operation) == path)
}

fn operation_or_model(dialect: Dialect, rest: &str) -> Option<Route<'_>> {
    match operation(rest) {
        Some(operation) => Some(Route::Call {
            dialect,
            operation,
            deployment: None,
        }),
        None => model(dialect, rest),
    }
}

fn deployment(rest: &str) -> Option<Route<'_>> {
    let (segment, rest) = rest.split_once('/')?;
    let deployment = Some(name(segment).filter(|name| !name.contains('/'))?);
    Some(Route::Call {
        dialect: Dialect::AzureOpenAi,
        operation: operation(rest)?,
        deployment,
    })
}

/// A model's id may hold slashes (`meta-llama/Llama-3.3`), which some SDKs do not encode.
fn model(dialect: Dialect, rest: &str) -> Option<Route<'_>> {
    if rest == "models" {
        return Some(Route::Models { dialect });
    }
    Some(Route::Model {
        dialect,
        id: name(rest.strip_prefix("models/")?)?,
    })
}

fn name(encoded: &str) -> Option<Cow<'_, str>> {
    let name = percent_decode(encoded)?;
    let is_hostile = |segment: &str| matches!(segment, "" | "." | "..");
    if name.split('/').any(is_hostile) || name.contains('\\') || name.chars().any(char::is_control)
    {
        return None;
    }
    Some(name)
}

/// `None` for an escape that is cut or not hex, and for bytes that are not UTF-8.
fn percent_decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        decoded.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// All but RFC 3986's unreserved characters.
fn percent_encode(text: &str) -> Cow<'_, str> {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if text.bytes().all(is_unreserved) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if is_unreserved(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    Cow::Owned(encoded)
}

fn has_api_version(query: Option<&str>) -> bool {
    let pairs = query.into_iter().flat_map(|query| query.split('&'));
    pairs
        .filter_map(|pair| pair.strip_prefix("api-version="))
        .any(|version| !version.is_empty())
}

#[cfg(test)]
mod tests;
