//! Which provider a path belongs to, and what it asks for.

use http::Method;

use crate::judge::Judge;

/// Whose wire form a listener speaks is told by the path: one listener speaks both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    OpenAi,
    Azure,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Chat,
    Completions,
    Embeddings,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Route<'path> {
    Call {
        provider: Provider,
        operation: Operation,
        deployment: Option<&'path str>,
    },
    Models {
        provider: Provider,
        id: Option<&'path str>,
    },
    /// A service that judges content.
    Judge(Judge),
    /// Azure's dated paths need `api-version`.
    NoApiVersion,
    MetadataToken,
    AppToken,
    TokenEndpoint,
    Counts,
    Behaviour,
    Unknown,
}

pub fn read<'path>(method: &Method, path: &'path str, query: Option<&str>) -> Route<'path> {
    match path {
        "/metadata/identity/oauth2/token" => return Route::MetadataToken,
        "/msi/token" => return Route::AppToken,
        "/__simulator/counts" => return Route::Counts,
        "/__simulator/behaviour" => return Route::Behaviour,
        _ => {}
    }
    if let Some(judge) = judge(method, path) {
        let is_dated = !path.starts_with("/contentsafety/")
            || parameter(query, "api-version").is_some_and(|version| !version.is_empty());
        return if is_dated {
            Route::Judge(judge)
        } else {
            Route::NoApiVersion
        };
    }
    if let Some(rest) = path
        .strip_prefix("/v1/")
        .or_else(|| path.strip_prefix("/openai/v1/"))
    {
        let provider = if path.starts_with("/openai") {
            Provider::Azure
        } else {
            Provider::OpenAi
        };
        return endpoint(method, provider, None, rest);
    }
    let dated = parameter(query, "api-version").is_some_and(|version| !version.is_empty());
    if let Some(rest) = path.strip_prefix("/openai/deployments/") {
        let Some((deployment, rest)) = rest.split_once('/') else {
            return Route::Unknown;
        };
        if !dated {
            return Route::NoApiVersion;
        }
        return endpoint(method, Provider::Azure, Some(deployment), rest);
    }
    if let Some(rest) = path.strip_prefix("/openai/") {
        return if dated {
            endpoint(method, Provider::Azure, None, rest)
        } else {
            Route::NoApiVersion
        };
    }
    if method == Method::POST && path.ends_with("/oauth2/v2.0/token") {
        return Route::TokenEndpoint;
    }
    Route::Unknown
}

fn judge(method: &Method, path: &str) -> Option<Judge> {
    if method != Method::POST {
        return None;
    }
    match path {
        "/contentsafety/text:analyze" => Some(Judge::AnalyzeText),
        "/contentsafety/text:shieldPrompt" => Some(Judge::ShieldPrompt),
        "/v1/moderations" | "/openai/v1/moderations" => Some(Judge::Moderations),
        "/analyze" => Some(Judge::Entities),
        _ => None,
    }
}

fn endpoint<'path>(
    method: &Method,
    provider: Provider,
    deployment: Option<&'path str>,
    rest: &'path str,
) -> Route<'path> {
    let call = |operation| Route::Call {
        provider,
        operation,
        deployment,
    };
    match (method.as_str(), rest) {
        ("POST", "chat/completions") => call(Operation::Chat),
        ("POST", "completions") => call(Operation::Completions),
        ("POST", "embeddings") => call(Operation::Embeddings),
        ("GET", "models") if deployment.is_none() => Route::Models { provider, id: None },
        ("GET", rest) if deployment.is_none() => match rest.strip_prefix("models/") {
            Some(id) => Route::Models {
                provider,
                id: Some(id),
            },
            None => Route::Unknown,
        },
        _ => Route::Unknown,
    }
}

/// A query or form parameter as it was written; nothing here needs percent-decoding.
pub fn parameter<'text>(query: Option<&'text str>, name: &str) -> Option<&'text str> {
    query?
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_the_provider_the_operation_and_the_deployment() {
        let post = |path, query| read(&Method::POST, path, query);
        let call = |provider, operation, deployment| Route::Call {
            provider,
            operation,
            deployment,
        };
        assert_eq!(
            post("/v1/chat/completions", None),
            call(Provider::OpenAi, Operation::Chat, None)
        );
        assert_eq!(
            post("/openai/v1/embeddings", None),
            call(Provider::Azure, Operation::Embeddings, None)
        );
        assert_eq!(
            post(
                "/openai/deployments/gpt/completions",
                Some("a=b&api-version=2024-10-21")
            ),
            call(Provider::Azure, Operation::Completions, Some("gpt"))
        );
        assert_eq!(
            post("/openai/deployments/gpt/completions", None),
            Route::NoApiVersion
        );
        assert_eq!(post("/openai/deployments/gpt", None), Route::Unknown);
        assert_eq!(post("/v1/models", None), Route::Unknown);
        assert_eq!(
            read(&Method::GET, "/v1/models/a", None),
            Route::Models {
                provider: Provider::OpenAi,
                id: Some("a")
            }
        );
        assert_eq!(
            post("/some-tenant/oauth2/v2.0/token", None),
            Route::TokenEndpoint
        );
    }
}
