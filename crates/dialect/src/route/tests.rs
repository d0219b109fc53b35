use proptest::prelude::*;

use super::*;

const VERSION: Option<&str> = Some("api-version=2024-10-21");

fn call(
    dialect: Dialect,
    operation: Operation,
    deployment: Option<&str>,
) -> Result<Route<'_>, RouteError> {
    Ok(Route::Call {
        dialect,
        operation,
        deployment: deployment.map(Cow::Borrowed),
    })
}

#[test]
fn openai_paths_name_their_operation() {
    for (path, operation) in [
        ("/v1/chat/completions", Operation::ChatCompletions),
        ("/v1/completions", Operation::Completions),
        ("/v1/embeddings", Operation::Embeddings),
        ("/v1/embeddings/", Operation::Embeddings),
    ] {
        assert_eq!(
            route(&Method::POST, path, None),
            call(Dialect::OpenAi, operation, None)
        );
        let azure = format!("/openai{path}");
        assert_eq!(
            route(&Method::POST, &azure, None),
            call(Dialect::AzureOpenAi, operation, None)
        );
        assert_eq!(
            route(&Method::POST, &azure, VERSION),
            call(Dialect::AzureOpenAi, operation, None)
        );
    }
}

#[test]
fn a_deployment_is_decoded_and_needs_an_api_version() {
    let found = |segment: &str, query| {
        let path = format!("/openai/deployments/{segment}/chat/completions");
        match route(&Method::POST, &path, query)? {
            Route::Call { deployment, .. } => Ok(deployment.map(Cow::into_owned)),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(found("gpt-4o", VERSION), Ok(Some("gpt-4o".to_owned())));
    assert_eq!(
        found("team%20chat%C3%A9", Some("x=1&api-version=preview")),
        Ok(Some("team chaté".to_owned()))
    );
    assert_eq!(
        found("a%252eb", VERSION),
        Ok(Some("a%2eb".to_owned())),
        "decoded once only"
    );
    for query in [
        None,
        Some(""),
        Some("api-version="),
        Some("api-version"),
        Some("xapi-version=1"),
    ] {
        assert_eq!(
            found("gpt-4o", query),
            Err(RouteError::NoApiVersion),
            "{query:?}"
        );
    }
}

#[test]
fn hostile_deployments_are_unknown_routes() {
    for segment in [
        "", ".", "..", "%2e%2E", "a%2Fb", "a%5Cb", "a%00b", "a%0Ab", "%zz", "%2", "%", "%ff%fe",
        "a%C2%85",
    ] {
        let path = format!("/openai/deployments/{segment}/embeddings");
        assert_eq!(
            route(&Method::POST, &path, VERSION),
            Err(RouteError::NotFound),
            "{segment}"
        );
    }
}

#[test]
fn models_are_listed_and_shown() {
    assert_eq!(
        route(&Method::GET, "/v1/models", None),
        Ok(Route::Models {
            dialect: Dialect::OpenAi
        })
    );
    assert_eq!(
        route(&Method::GET, "/openai/models", VERSION),
        Ok(Route::Models {
            dialect: Dialect::AzureOpenAi
        })
    );
    assert_eq!(
        route(&Method::GET, "/openai/models", None),
        Err(RouteError::NoApiVersion)
    );
    let shown = |dialect, id| {
        Ok(Route::Model {
            dialect,
            id: Cow::Borrowed(id),
        })
    };
    assert_eq!(
        route(&Method::GET, "/v1/models/gpt-4o", None),
        shown(Dialect::OpenAi, "gpt-4o")
    );
    assert_eq!(
        route(&Method::GET, "/v1/models/meta/llama", None),
        shown(Dialect::OpenAi, "meta/llama")
    );
    assert_eq!(
        route(&Method::GET, "/v1/models/meta%2Fllama", None),
        shown(Dialect::OpenAi, "meta/llama")
    );
    assert_eq!(
        route(&Method::GET, "/openai/v1/models/gpt-4o", None),
        shown(Dialect::AzureOpenAi, "gpt-4o")
    );
    assert_eq!(
        route(&Method::GET, "/openai/models/gpt-4o", VERSION),
        shown(Dialect::AzureOpenAi, "gpt-4o")
    );
    assert_eq!(
        route(&Method::GET, "/v1/models/a/../b", None),
        Err(RouteError::NotFound)
    );
}

#[test]
fn anything_else_is_not_found_and_a_wrong_method_names_the_right_one() {
    for path in [
        "",
        "/",
        "/v1",
        "/v1/",
        "/v1//chat/completions",
        "/v1/chat/completions//",
        "/v1/chat/completions/x",
        "/V1/embeddings",
        "/v1/images/generations",
        "/openai/deployments/gpt-4o",
        "/openai/deployments/gpt-4o/images/generations",
        "/openai/chat/completions",
        "/anthropic/v1/messages",
        "v1/embeddings",
    ] {
        assert_eq!(
            route(&Method::POST, path, VERSION),
            Err(RouteError::NotFound),
            "{path}"
        );
    }
    let post = Err(RouteError::MethodNotAllowed { allow: "POST" });
    assert_eq!(route(&Method::GET, "/v1/embeddings", None), post);
    assert_eq!(
        route(&Method::GET, "/openai/deployments/d/embeddings", None),
        post
    );
    let get = Err(RouteError::MethodNotAllowed { allow: "GET" });
    assert_eq!(route(&Method::POST, "/v1/models", None), get);
    assert_eq!(route(&Method::DELETE, "/v1/models/gpt-4o", None), get);
}

#[test]
fn errors_are_in_the_dialect_of_the_path() {
    assert_eq!(dialect_of("/v1/nothing"), Dialect::OpenAi);
    assert_eq!(dialect_of("/openai/nothing"), Dialect::AzureOpenAi);
    assert_eq!(dialect_of("/openai"), Dialect::AzureOpenAi);
    assert_eq!(dialect_of("/openai-like"), Dialect::OpenAi);
    assert_eq!(dialect_of(""), Dialect::OpenAi);
}

#[test]
fn openai_upstreams_have_v1_once() {
    for (base, path) in [
        ("", "/v1/chat/completions"),
        ("/", "/v1/chat/completions"),
        ("/v1", "/v1/chat/completions"),
        ("/v1/", "/v1/chat/completions"),
        ("/proxy", "/proxy/v1/chat/completions"),
        ("/proxy/v1", "/proxy/v1/chat/completions"),
        ("/notv1", "/notv1/v1/chat/completions"),
    ] {
        assert_eq!(
            upstream_path(
                Dialect::OpenAi,
                base,
                Operation::ChatCompletions,
                "gpt-4o",
                None
            ),
            path
        );
    }
}

#[test]
fn azure_upstreams_are_asked_by_deployment_or_by_the_v1_surface() {
    let azure = |base, version| {
        upstream_path(
            Dialect::AzureOpenAi,
            base,
            Operation::Embeddings,
            "a b/ü",
            version,
        )
    };
    let by_deployment = "/openai/deployments/a%20b%2F%C3%BC/embeddings?api-version=2024-10-21";
    assert_eq!(azure("", Some("2024-10-21")), by_deployment);
    assert_eq!(azure("/openai/", Some("2024-10-21")), by_deployment);
    assert_eq!(
        azure("/gw", Some("2024-10-21")),
        format!("/gw{by_deployment}")
    );
    assert_eq!(azure("", None), "/openai/v1/embeddings");
    assert_eq!(
        azure("/openai/v1", Some("2024-10-21")),
        "/openai/v1/embeddings"
    );
    assert_eq!(azure("/openai/v1/", None), "/openai/v1/embeddings");
    assert_eq!(
        azure("", Some("a&b")),
        "/openai/deployments/a%20b%2F%C3%BC/embeddings?api-version=a%26b"
    );
}

proptest! {
    #[test]
    fn a_deployment_survives_encoding_and_decoding(name in r"[^/\\\p{Cc}%]{1,20}%?") {
        prop_assume!(name != "." && name != "..");
        let encoded = percent_encode(&name).into_owned();
        let decoded = super::name(&encoded);
        prop_assert_eq!(decoded.as_deref(), Some(name.as_str()));
    }

    #[test]
    fn no_path_is_too_odd(path in any::<String>(), query in any::<Option<String>>()) {
        for prefix in ["", "/v1/models/", "/openai/deployments/"] {
            let path = format!("{prefix}{path}");
            let _ = route(&Method::POST, &path, query.as_deref());
            dialect_of(&path);
        }
    }
}
