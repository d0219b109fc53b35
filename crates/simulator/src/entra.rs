//! Microsoft's token services, faked: the metadata service of a virtual machine, the service beside
//! an app, and the token endpoint for client credentials and federated tokens. The tokens say when they end, so any region can check them.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};

use crate::behaviour::Behaviour;
use crate::route::parameter;

const TOKEN_PREFIX: &str = "simulated-entra.";

/// Status and body.
pub type Reply = (u16, Value);

/// `GET /metadata/identity/oauth2/token?api-version=&resource=`
pub fn metadata_token(
    headers: &HeaderMap,
    query: Option<&str>,
    behaviour: &Behaviour,
    now: u64,
) -> Reply {
    let refuse = |why: &str| {
        (
            400,
            json!({ "error": "invalid_request", "error_description": why }),
        )
    };
    // The real one asks for the first and refuses the second, so that nobody is tricked into asking it.
    if headers.get("metadata").is_none_or(|value| value != "true") {
        return refuse("Required metadata header not specified");
    }
    if headers.contains_key("x-forwarded-for") {
        return refuse("Request contains a forbidden header");
    }
    let (Some(_), Some(resource)) = (
        parameter(query, "api-version"),
        parameter(query, "resource"),
    ) else {
        return refuse("Required query variables 'api-version' and 'resource' are missing");
    };
    let lifetime = behaviour.identity_token_lifetime.as_secs();
    let reply = json!({
        "access_token": token(now + lifetime),
        "client_id": parameter(query, "client_id").unwrap_or("00000000-0000-4000-8000-000000000001"),
        // Numbers are texts here, and numbers at the token endpoint.
        "expires_in": lifetime.to_string(),
        "expires_on": (now + lifetime).to_string(),
        "ext_expires_in": lifetime.to_string(),
        "not_before": now.to_string(),
        "resource": resource,
        "token_type": "Bearer",
    });
    (200, reply)
}

/// `GET /msi/token?api-version=&resource=`, as App Service and Container Apps have it.
pub fn app_token(
    headers: &HeaderMap,
    query: Option<&str>,
    behaviour: &Behaviour,
    now: u64,
) -> Reply {
    let is_app = headers
        .get("x-identity-header")
        .is_some_and(|value| value != "wrong");
    if !is_app {
        return (
            401,
            json!({ "statusCode": 401, "message": "no permission" }),
        );
    }
    let (Some("2019-08-01"), Some(resource)) = (
        parameter(query, "api-version"),
        parameter(query, "resource"),
    ) else {
        return (400, json!({ "statusCode": 400, "message": "bad request" }));
    };
    let expires = now + behaviour.identity_token_lifetime.as_secs();
    // No `expires_in`: this service only says when.
    let reply = json!({
        "access_token": token(expires),
        "client_id": parameter(query, "client_id").unwrap_or("00000000-0000-4000-8000-000000000001"),
        "expires_on": expires.to_string(),
        "resource": resource,
        "token_type": "Bearer",
    });
    (200, reply)
}

/// `POST /{tenant}/oauth2/v2.0/token` with a form.
pub fn client_credentials(
    headers: &HeaderMap,
    form: &[u8],
    behaviour: &Behaviour,
    now: u64,
) -> Reply {
    let refuse = |status, error: &str, why: &str| {
        (status, json!({ "error": error, "error_description": why }))
    };
    let form = std::str::from_utf8(form).ok();
    let given = |name| parameter(form, name).filter(|value| !value.is_empty());
    if given("grant_type") != Some("client_credentials") {
        return refuse(
            400,
            "unsupported_grant_type",
            "AADSTS70003: The app requested an unsupported grant type.",
        );
    }
    // Its content is not looked into: nobody issued it.
    let is_basic = headers
        .get(AUTHORIZATION)
        .is_some_and(|value| value.as_bytes().starts_with(b"Basic "));
    if (given("client_id").is_none() && !is_basic) || given("scope").is_none() {
        return refuse(
            400,
            "invalid_request",
            "AADSTS900144: The request body must contain 'client_id' and 'scope'.",
        );
    }
    let secret = given("client_secret").or(given("client_assertion"));
    if secret.map_or(!is_basic, |secret| secret == "wrong") {
        return refuse(
            401,
            "invalid_client",
            "AADSTS7000215: Invalid client secret provided.",
        );
    }
    let lifetime = behaviour.identity_token_lifetime.as_secs();
    let reply = json!({
        "token_type": "Bearer",
        "expires_in": lifetime,
        "ext_expires_in": lifetime,
        "access_token": token(now + lifetime),
    });
    (200, reply)
}

fn token(expires: u64) -> String {
    // Times here are whole seconds, cut off: one more, so that no token ends before its time.
    format!("{TOKEN_PREFIX}{}", expires + 1)
}

/// A token of either service that has not ended.
pub fn accepts(bearer: &str, now: u64) -> bool {
    let expires = bearer
        .strip_prefix(TOKEN_PREFIX)
        .and_then(|expires| expires.parse::<u64>().ok());
    expires.is_some_and(|expires| now < expires)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_service_wants_its_header_and_a_resource() {
        let behaviour = Behaviour::default();
        let mut headers = HeaderMap::new();
        let query = Some("api-version=2018-02-01&resource=https://cognitiveservices.azure.com");
        assert_eq!(metadata_token(&headers, query, &behaviour, 100).0, 400);
        headers.insert("metadata", http::HeaderValue::from_static("true"));
        assert_eq!(metadata_token(&headers, None, &behaviour, 100).0, 400);
        let (status, reply) = metadata_token(&headers, query, &behaviour, 100);
        assert_eq!((status, reply["expires_on"].as_str()), (200, Some("86500")));
        let token = reply["access_token"].as_str().unwrap();
        assert!(
            accepts(token, 86_500) && !accepts(token, 86_501) && !accepts("simulated-entra.x", 0)
        );
    }

    #[test]
    fn client_credentials_are_checked() {
        let asked = |headers: &HeaderMap, form: &str| {
            client_credentials(headers, form.as_bytes(), &Behaviour::default(), 100).0
        };
        let reply = |form: &str| asked(&HeaderMap::new(), form);
        assert_eq!(
            reply("grant_type=client_credentials&client_id=a&client_secret=b&scope=c"),
            200
        );
        assert_eq!(
            reply("grant_type=client_credentials&client_id=a&client_secret=wrong&scope=c"),
            401
        );
        assert_eq!(reply("grant_type=client_credentials&client_secret=b"), 400);
        assert_eq!(reply("grant_type=password"), 400);
        let federated = "grant_type=client_credentials&client_id=a&client_assertion=b&scope=c";
        assert_eq!(reply(federated), 200);
        let mut basic = HeaderMap::new();
        basic.insert(AUTHORIZATION, http::HeaderValue::from_static("Basic YTpi"));
        assert_eq!(asked(&basic, "grant_type=client_credentials&scope=c"), 200);
        assert_eq!(reply("grant_type=client_credentials&scope=c"), 400);
    }

    #[test]
    fn the_service_beside_an_app_wants_its_header_and_says_when_a_token_ends() {
        let behaviour = Behaviour::default();
        let mut headers = HeaderMap::new();
        let query = Some("api-version=2019-08-01&resource=r");
        assert_eq!(app_token(&headers, query, &behaviour, 100).0, 401);
        headers.insert("x-identity-header", http::HeaderValue::from_static("h"));
        assert_eq!(app_token(&headers, None, &behaviour, 100).0, 400);
        let (status, reply) = app_token(&headers, query, &behaviour, 100);
        assert_eq!((status, reply["expires_on"].as_str()), (200, Some("86500")));
        assert!(reply.get("expires_in").is_none());
    }
}
