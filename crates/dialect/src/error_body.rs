//! Our refusals in the caller's dialect, so that SDKs raise the right class.

use bytes::Bytes;
use domain::{Currency, Nanos};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::Dialect;

/// One error as every dialect can say it. `tollgate` is the "why": absent for errors without a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorBody<'a> {
    pub message: &'a str,
    /// OpenAI's `type`: `invalid_request_error`, `authentication_error`, `permission_error`, …
    pub kind: &'a str,
    pub code: &'a str,
    pub param: Option<&'a str>,
    pub request_id: &'a str,
    pub why: Option<Why<'a>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Why<'a> {
    pub rule: &'a str,
    pub scope: &'a str,
    pub limit: Option<Figure>,
    pub used: Option<Figure>,
    pub reserved: Option<Figure>,
    /// Of figures that are money.
    pub currency: Option<Currency>,
    /// RFC 3339.
    pub resets_at: Option<&'a str>,
}

/// A JSON number: tokens or calls, or a decimal amount of money, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    Count(u64),
    Money(Nanos),
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u64(*count),
            Self::Money(amount) => RawValue::from_string(amount.to_string())
                .map_err(serde::ser::Error::custom)?
                .serialize(serializer),
        }
    }
}

/// `{"error":{"message","type","code","param","tollgate":{…,"request_id"}}}`.
pub fn error_body(dialect: Dialect, error: &ErrorBody<'_>) -> Bytes {
    Bytes::from(json(dialect, error))
}

/// The same as the last event of an SSE stream that failed after its first byte.
pub fn error_event(dialect: Dialect, error: &ErrorBody<'_>) -> Bytes {
    Bytes::from(format!("data: {}\n\n", json(dialect, error)))
}

fn json(dialect: Dialect, error: &ErrorBody<'_>) -> String {
    match dialect {
        // Azure OpenAI's envelope is OpenAI's; its SDK is the same.
        Dialect::OpenAi | Dialect::AzureOpenAi => openai(error),
    }
}

fn openai(error: &ErrorBody<'_>) -> String {
    let ErrorBody {
        message,
        kind,
        code,
        param,
        request_id,
        why,
    } = error;
    let why = why.as_ref();
    let envelope = Envelope {
        error: Body {
            message,
            kind,
            code,
            param: *param,
            tollgate: Tollgate {
                rule: why.map(|why| why.rule),
                scope: why.map(|why| why.scope),
                limit: why.and_then(|why| why.limit),
                used: why.and_then(|why| why.used),
                reserved: why.and_then(|why| why.reserved),
                currency: why
                    .and_then(|why| why.currency)
                    .map(|code| code.to_string()),
                resets_at: why.and_then(|why| why.resets_at),
                request_id,
            },
        },
    };
    serde_json::to_string(&envelope).expect("strings and integers always serialise")
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    code: &'a str,
    /// Null where there is none, as OpenAI has it.
    param: Option<&'a str>,
    tollgate: Tollgate<'a>,
}

#[derive(Serialize)]
struct Tollgate<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<Figure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<Figure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reserved: Option<Figure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resets_at: Option<&'a str>,
    request_id: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_rule_in_the_agreed_order() {
        let error = ErrorBody {
            message: "the token limit \"team-tpm\" is used up",
            kind: "rate_limit_error",
            code: "token_limit",
            param: None,
            request_id: "0192",
            why: Some(Why {
                rule: "team-tpm",
                scope: "product",
                limit: Some(Figure::Count(1000)),
                used: Some(Figure::Count(900)),
                reserved: Some(Figure::Count(50)),
                currency: None,
                resets_at: Some("2026-11-22T12:00:00Z"),
            }),
        };
        let expected = concat!(
            r#"{"error":{"message":"the token limit \"team-tpm\" is used up","type":"rate_limit_error","#,
            r#""code":"token_limit","param":null,"tollgate":{"rule":"team-tpm","scope":"product","limit":1000,"#,
            r#""used":900,"reserved":50,"resets_at":"2026-11-22T12:00:00Z","request_id":"0192"}}}"#
        );
        assert_eq!(error_body(Dialect::OpenAi, &error), expected);
        assert_eq!(error_body(Dialect::AzureOpenAi, &error), expected);
        assert_eq!(
            error_event(Dialect::OpenAi, &error),
            format!("data: {expected}\n\n")
        );
    }

    #[test]
    fn money_is_an_exact_decimal_with_its_currency() {
        let error = ErrorBody {
            why: Some(Why {
                rule: "search-month",
                scope: "subscription/search",
                limit: Some(Figure::Money(Nanos(500_000_000_000))),
                used: Some(Figure::Money(Nanos(499_123_456_789))),
                reserved: Some(Figure::Money(Nanos(0))),
                currency: Some(Currency::USD),
                resets_at: None,
            }),
            ..ErrorBody::default()
        };
        let body = error_body(Dialect::OpenAi, &error);
        let body = std::str::from_utf8(&body).unwrap();
        let expected =
            r#""limit":500,"used":499.123456789,"reserved":0,"currency":"USD","request_id""#;
        assert!(body.contains(expected), "{body}");
    }

    #[test]
    fn an_error_without_a_rule_still_carries_its_request() {
        let error = ErrorBody {
            message: "`model` is required\n",
            kind: "invalid_request_error",
            code: "invalid_request_error",
            param: Some("model"),
            request_id: "0192",
            why: None,
        };
        assert_eq!(
            error_event(Dialect::AzureOpenAi, &error),
            concat!(
                r#"data: {"error":{"message":"`model` is required\n","type":"invalid_request_error","#,
                r#""code":"invalid_request_error","param":"model","tollgate":{"request_id":"0192"}}}"#,
                "\n\n"
            )
        );
    }
}
