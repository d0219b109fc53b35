//! Our refusals in the caller's dialect, so that SDKs raise the right class.

use bytes::Bytes;
use serde::Serialize;

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
    pub limit: Option<u64>,
    pub used: Option<u64>,
    pub reserved: Option<u64>,
    /// RFC 3339.
    pub resets_at: Option<&'a str>,
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
    limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reserved: Option<u64>,
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
                limit: Some(1000),
                used: Some(900),
                reserved: Some(50),
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
