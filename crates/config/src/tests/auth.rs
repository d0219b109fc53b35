//! Credentials at backends: what they mean, and where the environment speaks.

use std::path::Path;

use super::*;
use crate::snapshot::{
    Assigned, BackendAuth, ClientCredentials, IdentityService, ManagedIdentity, SecretMethod,
    TokenSource, WorkloadIdentity,
};

const KUBERNETES: [(&str, &str); 4] = [
    ("AZURE_TENANT_ID", "contoso"),
    ("AZURE_CLIENT_ID", "from-environment"),
    ("AZURE_FEDERATED_TOKEN_FILE", "/var/run/secrets/token"),
    ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/"),
];

/// What `auth` is in an environment with these variables, or the only problem.
fn auth_in(variables: &[(&str, &str)], auth: &str) -> Result<BackendAuth, String> {
    let text = SMALL.replace("{ api_key: 'sk-upstream' }", auth);
    let sources = [Source {
        name: "t.yaml".to_owned(),
        text,
    }];
    let found = |name: &str| {
        let variable = variables.iter().find(|(known, _)| *known == name);
        variable.map(|(_, value)| (*value).to_owned())
    };
    let environment = Environment {
        variables: &found,
        files: &|_| Err("no files here".to_owned()),
    };
    match load(&sources, &environment, &[], 1) {
        Ok((snapshot, _)) => Ok(snapshot.backends["eastus"].auth.clone()),
        Err(problems) => {
            assert_eq!(problems.len(), 1, "{}", shown(&problems));
            Err(problems[0].to_string())
        }
    }
}

fn source(variables: &[(&str, &str)], auth: &str) -> TokenSource {
    match auth_in(variables, auth) {
        Ok(BackendAuth::Token(source)) => TokenSource::clone(&source),
        other => panic!("{auth}: {other:?}"),
    }
}

fn managed(variables: &[(&str, &str)], auth: &str) -> ManagedIdentity {
    match source(variables, auth) {
        TokenSource::ManagedIdentity(identity) => identity,
        other => panic!("{auth}: {other:?}"),
    }
}

fn federated(variables: &[(&str, &str)], auth: &str) -> WorkloadIdentity {
    match source(variables, auth) {
        TokenSource::WorkloadIdentity(identity) => identity,
        other => panic!("{auth}: {other:?}"),
    }
}

fn client(auth: &str) -> ClientCredentials {
    match source(&[], auth) {
        TokenSource::ClientCredentials(client) => client,
        other => panic!("{auth}: {other:?}"),
    }
}

#[test]
fn an_empty_managed_identity_is_the_system_assigned_one_of_this_machine() {
    let identity = managed(&[], "{ managed_identity: {} }");
    let endpoint = "http://169.254.169.254".parse().expect("a URL");
    assert_eq!(
        identity,
        ManagedIdentity {
            service: IdentityService::Machine { endpoint },
            assigned: Assigned::System,
            resource: "https://cognitiveservices.azure.com".to_owned(),
        }
    );
}

#[test]
fn a_user_assigned_identity_is_named_by_one_of_three_ids() {
    let assigned = |id: &str| managed(&[], &format!("{{ managed_identity: {{ {id} }} }}")).assigned;
    assert_eq!(assigned("client_id: a"), Assigned::ClientId("a".to_owned()));
    assert_eq!(assigned("object_id: b"), Assigned::ObjectId("b".to_owned()));
    let resource = format!("/subscriptions/{}", "x".repeat(400));
    assert_eq!(
        assigned(&format!("resource_id: {resource}")),
        Assigned::ResourceId(resource)
    );
    let both = auth_in(&[], "{ managed_identity: { client_id: a, object_id: b } }");
    let problem = both.expect_err("two ids");
    assert!(
        problem.contains("more than one id")
            && problem.contains("backends[eastus].auth.managed_identity"),
        "{problem}"
    );
}

#[test]
fn an_app_asks_the_service_that_its_platform_names() {
    let app = [
        ("IDENTITY_ENDPOINT", "http://localhost:42356/msi/token"),
        ("IDENTITY_HEADER", "header-secret"),
    ];
    let IdentityService::App { endpoint, header } =
        managed(&app, "{ managed_identity: {} }").service
    else {
        panic!("the machine's service");
    };
    assert_eq!(
        (endpoint.as_str(), header.reveal()),
        ("http://localhost:42356/msi/token", "header-secret")
    );
    // One of the two alone is another platform's.
    for alone in [&app[..1], &app[1..]] {
        let service = managed(alone, "{ managed_identity: {} }").service;
        assert!(matches!(service, IdentityService::Machine { .. }));
    }
    let written = "{ managed_identity: { endpoint: 'http://127.0.0.1:9000' } }";
    assert!(matches!(
        managed(&app, written).service,
        IdentityService::Machine { endpoint } if endpoint.port() == Some(9000)
    ));
}

#[test]
fn workload_identity_comes_from_the_environment_where_the_file_says_nothing() {
    let identity = federated(&KUBERNETES, "{ workload_identity: {} }");
    assert_eq!(
        identity,
        WorkloadIdentity {
            token_url: "https://login.microsoftonline.us/contoso/oauth2/v2.0/token"
                .parse()
                .expect("a URL"),
            client_id: "from-environment".to_owned(),
            token_file: "/var/run/secrets/token".into(),
            scope: "https://cognitiveservices.azure.com/.default".to_owned(),
        }
    );
    let written = "{ workload_identity: { tenant_id: t, client_id: c, token_file: /tmp/f, \
                   authority: 'https://login.example.com/x', scope: s } }";
    let identity = federated(&KUBERNETES, written);
    assert_eq!(
        identity.token_url.as_str(),
        "https://login.example.com/x/t/oauth2/v2.0/token"
    );
    assert_eq!(
        (identity.client_id.as_str(), identity.scope.as_str()),
        ("c", "s")
    );
    assert_eq!(identity.token_file, Path::new("/tmp/f"));
    let public = federated(&KUBERNETES[..3], "{ workload_identity: {} }");
    assert_eq!(
        public.token_url.host_str(),
        Some("login.microsoftonline.com")
    );
}

#[test]
fn a_workload_identity_that_lacks_something_names_the_field_and_the_variable() {
    let missing = auth_in(&KUBERNETES[1..], "{ workload_identity: {} }").expect_err("no tenant");
    assert!(
        missing.contains("`tenant_id` is missing, and `AZURE_TENANT_ID` is not set"),
        "{missing}"
    );
    let found = problems(&SMALL.replace("{ api_key: 'sk-upstream' }", "{ workload_identity: {} }"));
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(
        found[2].contains("AZURE_FEDERATED_TOKEN_FILE"),
        "{found:#?}"
    );
}

#[test]
fn client_credentials_name_an_entra_tenant_or_any_issuer() {
    let entra = client("{ client_credentials: { tenant_id: t, client_id: c, client_secret: s } }");
    assert_eq!(
        entra.token_url.as_str(),
        "https://login.microsoftonline.com/t/oauth2/v2.0/token"
    );
    assert_eq!(
        entra.scope.as_deref(),
        Some("https://cognitiveservices.azure.com/.default")
    );
    assert_eq!(entra.method, SecretMethod::Post);
    let other = client(
        "{ client_credentials: { token_url: 'https://sso.example.com/token', client_id: c, \
         client_secret: s, token_endpoint_auth_method: client_secret_basic } }",
    );
    assert_eq!((other.scope, other.method), (None, SecretMethod::Basic));
}

#[test]
fn equal_sources_are_one_identity_whichever_backend_names_them() {
    let one = source(&[], "{ managed_identity: { client_id: a } }");
    assert_eq!(one, source(&[], "{ managed_identity: { client_id: a } }"));
    assert_ne!(one, source(&[], "{ managed_identity: { client_id: b } }"));
}

#[test]
fn tokens_and_secrets_never_cross_a_network_in_the_clear() {
    for (auth, field) in [
        (
            "{ client_credentials: { token_url: 'http://10.0.0.7/token', client_id: c, client_secret: s } }",
            "client_credentials.token_url",
        ),
        (
            "{ managed_identity: { endpoint: 'http://10.0.0.7' } }",
            "managed_identity.endpoint",
        ),
        (
            "{ workload_identity: { authority: 'http://10.0.0.7' } }",
            "workload_identity.authority",
        ),
    ] {
        let problem = auth_in(&KUBERNETES, auth).expect_err(auth);
        assert!(
            problem.contains("plain `http`") && problem.contains(field),
            "{problem}"
        );
    }
    let app = [
        ("IDENTITY_ENDPOINT", "http://10.0.0.7/token"),
        ("IDENTITY_HEADER", "h"),
    ];
    let problem = auth_in(&app, "{ managed_identity: {} }").expect_err("a foreign service");
    assert!(problem.contains("IDENTITY_ENDPOINT"), "{problem}");
}

#[test]
fn other_mistakes_are_told_apart() {
    for (auth, problem) in [
        (
            "{ managed_identity: {}, api_key: k }",
            "not exactly one credential",
        ),
        ("{ managed_identity: }", "not exactly one credential"),
        (
            "{ managed_identity: { clientid: a } }",
            "unknown field `clientid`",
        ),
        (
            "{ client_credentials: { client_id: c, client_secret: s } }",
            "not exactly one issuer",
        ),
        (
            "{ client_credentials: { tenant_id: t, client_id: c } }",
            "`client_secret` is missing",
        ),
        (
            "{ client_credentials: { tenant_id: t, client_id: c, client_secret: s, \
             token_endpoint_auth_method: tls } }",
            "tls",
        ),
    ] {
        let found = auth_in(&[], auth).expect_err(auth);
        assert!(found.contains(problem), "{auth}: {found}");
    }
}

#[test]
fn a_source_is_shown_without_its_secrets() {
    let app = [
        ("IDENTITY_ENDPOINT", "http://localhost:1/msi/token"),
        ("IDENTITY_HEADER", "header-s3cret"),
    ];
    let shown = [
        source(&app, "{ managed_identity: { client_id: app } }"),
        source(&[], "{ client_credentials: { tenant_id: t, client_id: app, client_secret: client-s3cret } }"),
    ]
    .map(|source| format!("{source} {source:?}"));
    for text in shown {
        assert!(text.contains("app") && !text.contains("s3cret"), "{text}");
    }
}
