//! Which operation a path names, and the path that asks a backend for it.

use std::borrow::Cow;

use crate::{Dialect, Operation};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// `deployment`: percent-decoded, from Azure's `/openai/deployments/{deployment}/…`; it is the model.
    Call { dialect: Dialect, operation: Operation, deployment: Option<Cow<'a, str>> },
    Models { dialect: Dialect },
    Model { dialect: Dialect, id: Cow<'a, str> },
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
pub fn route<'a>(method: &http::Method, path: &'a str, query: Option<&str>) -> Result<Route<'a>, RouteError> {
    let _ = (method, path, query);
    todo!()
}

/// The dialect in whose form an error on `path` is written, known route or not.
pub fn dialect_of(path: &str) -> Dialect {
    let _ = path;
    todo!()
}

/// Path and query on a backend whose base path is `base_path` (with or without `/v1`).
pub fn upstream_path(dialect: Dialect, base_path: &str, operation: Operation, deployment: &str, api_version: Option<&str>) -> String {
    let _ = (dialect, base_path, operation, deployment, api_version);
    todo!()
}
