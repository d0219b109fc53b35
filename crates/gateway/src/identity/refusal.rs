//! Why a caller is not let in: status, code and challenge side by side.
//!
//! `Display` is what the client reads. It names what to fix, and never whether a secret nearly
//! matched, who else exists, or what a token said.

use std::sync::Arc;
use std::time::Duration;

use config::Fault;
use http::StatusCode;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error(
        "no credential: send a subscription key as `api-key` or `Authorization: Bearer`, or a token as `Authorization: Bearer`"
    )]
    NoCredential,
    #[error("the `{header}` header is empty")]
    Empty { header: &'static str },
    #[error("the `{header}` header may hold printable ASCII only")]
    NotAscii { header: &'static str },
    #[error("the `{header}` header is longer than a credential may be")]
    TooLong { header: &'static str },
    #[error("the `authorization` header must read `Bearer` and a key or token")]
    NotBearer,
    #[error("the subscription key is not known or was revoked")]
    UnknownKey,
    #[error(
        "the `{header}` header takes a subscription key; send a token as `Authorization: Bearer`"
    )]
    TokenInKeyHeader { header: &'static str },
    #[error("{0}")]
    BadToken(#[from] TokenFault),
    #[error("the request carries two different credentials of one kind; send one")]
    Conflicting,
    #[error("this subscription's product requires a subscription key")]
    KeyRequired,
    #[error("this subscription's product requires a token")]
    TokenRequired,
    #[error("the key and the token belong to different subscriptions")]
    SubscriptionsDiffer,
    #[error("the token's claim `{claim}` lacks a required value")]
    ClaimMissing { claim: String },
    #[error("the token names no subscription here")]
    NoSubscription,
    #[error("the subscription is suspended")]
    Suspended,
    /// The fault itself is for the log: it may quote what the token says.
    #[error("the rule `{rule}` cannot be applied to this request")]
    Policy {
        rule: String,
        #[source]
        fault: Fault,
    },
    #[error("the keys of the token issuer `{issuer}` are not available yet")]
    IssuerUnavailable {
        issuer: Arc<str>,
        retry_after: Duration,
    },
}

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    #[error("the token is malformed")]
    Malformed,
    #[error("the token's algorithm is not allowed")]
    AlgorithmNotAllowed,
    #[error("the token's key id is not one of its issuer's")]
    UnknownKeyId,
    #[error("the token's signature is not valid")]
    BadSignature,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token is meant for another audience")]
    WrongAudience,
    #[error("the token's issuer is not trusted")]
    WrongIssuer,
}

impl AuthError {
    pub fn describe(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoCredential
            | Self::Empty { .. }
            | Self::NotAscii { .. }
            | Self::TooLong { .. }
            | Self::NotBearer
            | Self::UnknownKey
            | Self::TokenInKeyHeader { .. }
            | Self::KeyRequired => (StatusCode::UNAUTHORIZED, "invalid_api_key"),
            Self::BadToken(_) | Self::TokenRequired => (StatusCode::UNAUTHORIZED, "invalid_token"),
            Self::Conflicting => (StatusCode::BAD_REQUEST, "invalid_request_error"),
            Self::SubscriptionsDiffer
            | Self::ClaimMissing { .. }
            | Self::NoSubscription
            | Self::Suspended => (StatusCode::FORBIDDEN, "not_permitted"),
            Self::Policy { .. } => (StatusCode::BAD_REQUEST, "policy_fault"),
            Self::IssuerUnavailable { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "issuer_unavailable")
            }
        }
    }

    /// `WWW-Authenticate` of a 401, as RFC 6750 writes it.
    pub fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::NoCredential | Self::KeyRequired | Self::TokenRequired => {
                Some(r#"Bearer realm="tollgate""#)
            }
            Self::Empty { .. }
            | Self::NotAscii { .. }
            | Self::TooLong { .. }
            | Self::NotBearer
            | Self::UnknownKey
            | Self::TokenInKeyHeader { .. } => {
                Some(r#"Bearer realm="tollgate", error="invalid_token""#)
            }
            Self::BadToken(fault) => Some(fault.challenge()),
            Self::Conflicting
            | Self::SubscriptionsDiffer
            | Self::ClaimMissing { .. }
            | Self::NoSubscription
            | Self::Suspended
            | Self::Policy { .. }
            | Self::IssuerUnavailable { .. } => None,
        }
    }

    /// When to come back, of a 503.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::IssuerUnavailable { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }
}

macro_rules! challenge {
    ($description:literal) => {
        concat!(
            r#"Bearer realm="tollgate", error="invalid_token", error_description=""#,
            $description,
            "\""
        )
    };
}

impl TokenFault {
    fn challenge(self) -> &'static str {
        match self {
            Self::Malformed => challenge!("the token is malformed"),
            Self::AlgorithmNotAllowed => challenge!("the algorithm is not allowed"),
            Self::UnknownKeyId => challenge!("the key id is unknown"),
            Self::BadSignature => challenge!("the signature is not valid"),
            Self::Expired => challenge!("the token has expired"),
            Self::NotYetValid => challenge!("the token is not valid yet"),
            Self::WrongAudience => challenge!("the audience is not accepted"),
            Self::WrongIssuer => challenge!("the issuer is not trusted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_refusal() -> Vec<AuthError> {
        let header = "api-key";
        vec![
            AuthError::NoCredential,
            AuthError::Empty { header },
            AuthError::NotAscii { header },
            AuthError::TooLong { header },
            AuthError::NotBearer,
            AuthError::UnknownKey,
            AuthError::TokenInKeyHeader { header },
            AuthError::BadToken(TokenFault::Malformed),
            AuthError::BadToken(TokenFault::AlgorithmNotAllowed),
            AuthError::BadToken(TokenFault::UnknownKeyId),
            AuthError::BadToken(TokenFault::BadSignature),
            AuthError::BadToken(TokenFault::Expired),
            AuthError::BadToken(TokenFault::NotYetValid),
            AuthError::BadToken(TokenFault::WrongAudience),
            AuthError::BadToken(TokenFault::WrongIssuer),
            AuthError::Conflicting,
            AuthError::KeyRequired,
            AuthError::TokenRequired,
            AuthError::SubscriptionsDiffer,
            AuthError::ClaimMissing {
                claim: "roles".into(),
            },
            AuthError::NoSubscription,
            AuthError::Suspended,
            AuthError::Policy {
                rule: "identity.jwt.entra.subscription".into(),
                fault: Fault {
                    message: "secret".into(),
                },
            },
            AuthError::IssuerUnavailable {
                issuer: "entra".into(),
                retry_after: Duration::from_secs(3),
            },
        ]
    }

    #[test]
    fn every_401_and_no_other_refusal_carries_a_challenge() {
        for refusal in every_refusal() {
            let is_401 = refusal.describe().0 == StatusCode::UNAUTHORIZED;
            assert_eq!(refusal.challenge().is_some(), is_401, "{refusal:?}");
            if let Some(challenge) = refusal.challenge() {
                assert!(http::HeaderValue::from_static(challenge).to_str().is_ok());
                assert_eq!(challenge.matches('"').count() % 2, 0, "{challenge}");
            }
        }
    }

    #[test]
    fn only_a_503_says_when_to_come_back() {
        for refusal in every_refusal() {
            let is_503 = refusal.describe().0 == StatusCode::SERVICE_UNAVAILABLE;
            assert_eq!(refusal.retry_after().is_some(), is_503, "{refusal:?}");
        }
    }

    #[test]
    fn a_fault_of_a_rule_names_the_rule_and_withholds_what_it_saw() {
        let refusal = AuthError::Policy {
            rule: "identity.jwt.entra.subscription".into(),
            fault: Fault {
                message: "secret".into(),
            },
        };
        assert!(
            refusal
                .to_string()
                .contains("identity.jwt.entra.subscription")
        );
        assert!(!refusal.to_string().contains("secret"));
    }
}
